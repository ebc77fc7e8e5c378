// Which writes never come into the log.

import { describe, expect, it } from 'vitest';
import { leaseId, logIndex } from '../../src/model/brands.ts';
import { utf8 } from '../../src/base/bytes.ts';
import { keyBytesMax, logEntryBytesMax } from '../../src/limits.ts';
import { groupLevelMax } from '../../src/model/levels.ts';
import { termCode } from '../../src/model/terms.ts';
import type { AccessKey, AccessRole, Caller, Operation } from '../../src/model/store.ts';
import { commandBytes, decodeCommands } from '../../src/mvcc/codec/command-codec.ts';
import type { Driver } from '../../src/driver/driver.ts';
import type { WriteResult } from '../../src/driver/proposals.ts';
import type { SqlPort } from '../../src/base/sql-port.ts';
import { keyRange, put, service, txn } from '../mvcc/requests.ts';
import { logRows } from '../sim/platform/durable-log.ts';
import { NodeSql } from '../support/node-sql.ts';
import { leaderAlone, nowMs, write } from './leader-alone.ts';
import { MixedGroup, type Version } from './mixed-group.ts';
import { Three } from './three-drivers.ts';

function compareOf(length: number): Operation {
  const compare = { ...keyRange('k'), result: 0, target: 'value', operand: new Uint8Array(length) } as const;
  return txn({ compare: [compare], success: [put('k', 'v')] });
}

/** A transaction whose command has this many bytes, as commands are measured. */
function commandOf(bytes: number, writeId: string): Operation {
  return compareOf(bytes - commandBytes({ writeId, caller: service, atMs: 0, operation: compareOf(0) }));
}

const big = new Uint8Array(1_000_000);
const key = (id: string, role: AccessRole, expiresAtMs: number | null = null): Operation => {
  return { kind: 'createAccessKey', accessKey: { ...accessKeyOf(id, role), expiresAtMs } };
};
const accessKeyOf = (id: string, role: AccessRole): AccessKey => {
  return { id, name: '', role, prefix: utf8('a'), createdAtMs: 0, expiresAtMs: null };
};
const by = (id: string): Caller => ({ kind: 'accessKey', id });

const unauthenticated = (reason: string): unknown => ({ failure: { kind: 'unauthenticated', reason } });

/** What writes left on disk: the log, and the remembered ids. */
function traces(driver: Driver, sql: SqlPort): unknown {
  const [remembered] = sql.all('SELECT MAX(writes_total) FROM batches');
  return [driver.raft.lastIndex, driver.logSize.bytes, remembered];
}

describe('writes on their way', () => {
  it('WRITE-1: a command of logEntryBytesMax is proposed; one byte more is a value, and the leader goes on', () => {
    const driver = leaderAlone();
    const { lastIndex } = driver.raft;
    expect(write(driver, service, 'fits', commandOf(logEntryBytesMax, 'fits'))).toMatchObject({ kind: 'applied' });
    const bytes = logEntryBytesMax + 1;
    expect(write(driver, service, 'more', commandOf(bytes, 'more'))).toEqual({ kind: 'tooLarge', bytes });
    expect(driver.raft.lastIndex).toBe(lastIndex + 1);
    expect(write(driver, service, 'next', put('k', utf8('v')))).toMatchObject({ kind: 'applied' });
  });

  it('WRITE-2: what its key may never do, and what has no shape, is refused by the leader; nothing of it is kept', () => {
    const sql = new NodeSql();
    const driver = leaderAlone(sql);
    write(driver, service, 'make', key('expired', 'write', nowMs));
    const before = traces(driver, sql);
    const forbidden = { failure: { kind: 'forbidden' } };
    const nested = txn({ success: [{ kind: 'txn', request: { compare: [], success: [put('b', big)], failure: [] } }] });
    const refused: readonly (readonly [Caller, Operation, unknown])[] = [
      [by('revoked'), put('a', big), unauthenticated('revoked')],
      [by('expired'), put('a', big), unauthenticated('expired')],
      [by('nobody'), put('a', big), unauthenticated('unknown')],
      [{ kind: 'user', id: 'revoked', name: 'alice', authRevision: 9 }, put('a', big), unauthenticated('revoked')],
      [{ kind: 'anonymous', id: 'revoked', token: 'invalid' }, put('a', big), unauthenticated('revoked')],
      [by('reader'), put('a', big), forbidden],
      [by('reader'), { kind: 'leaseGrant', id: leaseId(5n), candidate: leaseId(5n), ttlSeconds: 60 }, forbidden],
      [by('reader'), { kind: 'leaseRevoke', id: leaseId(5n) }, forbidden],
      [by('writer'), put('b', big), forbidden],
      [by('writer'), nested, forbidden],
      [by('writer'), { kind: 'compact', request: { revision: 1 } }, forbidden],
      [by('writer'), key('more', 'admin'), forbidden],
      [by('writer'), { kind: 'groupLevel', level: 3 }, forbidden],
      [service, put('', big), { failure: { kind: 'keyNotProvided' } }],
      [by('writer'), put('a'.repeat(keyBytesMax + 1), big), { failure: { kind: 'keyTooLong' } }],
      [service, txn({ success: [put('a', big), put('a', 'v')] }), { failure: { kind: 'duplicateKey' } }],
    ];
    for (const [place, [caller, operation, expected]] of refused.entries()) {
      const result = write(driver, caller, `refused${place}`, operation);
      expect(result, String(place)).toMatchObject({ kind: 'refused', ...(expected as object) });
    }
    expect(traces(driver, sql)).toEqual(before);
    // The store itself gives the same answer to such a command if it is in the log.
    const place = logIndex(driver.store.appliedIndex + 1);
    const commands = refused.map(([caller, operation], nth) => ({
      caller,
      operation,
      writeId: `log${nth}`,
      atMs: nowMs,
    }));
    const { outcomes } = driver.store.apply(place, commands);
    expect(outcomes).toMatchObject(refused.map(([, , expected]) => expected));
  });

  it('WRITE-8: digests are in the log where the group knows them, and not once it has proposed a lower level', () => {
    const mixes: readonly (readonly Version[])[] = [
      ['new', 'new', 'new'],
      ['new', 'new', 'level 2'],
    ];
    for (const versions of mixes) {
      const isNew = !versions.includes('level 2');
      const group = new MixedGroup(versions);
      group.run();
      group.lead(1);
      const { driver, sql } = group.replica(1);
      let count = 0;
      /** The digest in the entry that this write becomes. */
      const versionOfNext = (): unknown => {
        const digest = BigInt(count);
        driver?.write({ writeId: `d${count++}`, caller: service, operation: put('k'), digest }, () => undefined);
        group.deliver();
        return logRows(sql, 0).at(-1)?.data[0];
      };
      versionOfNext();
      expect(group.replica(1).level).toBe(isNew ? groupLevelMax : 2);
      expect(versionOfNext()).toBe(isNew ? 4 : 1);
      const operation: Operation = { kind: 'downgradeEnable', targetVersion: '3.6' };
      driver?.write({ writeId: 'operator', caller: service, operation }, () => undefined);
      group.deliver();
      // The leader proposes the lower level, which is not committed yet.
      driver?.tick();
      expect(group.replica(1).level).toBe(isNew ? groupLevelMax : 2);
      expect(versionOfNext()).toBe(1);
    }
  });

  it('WRITE-16: counts are in the log where the group knows them, and not once it has proposed a lower level', () => {
    const mixes: readonly (readonly Version[])[] = [
      ['new', 'new', 'new'],
      ['new', 'new', 'level 2'],
    ];
    for (const versions of mixes) {
      const isNew = !versions.includes('level 2');
      const group = new MixedGroup(versions);
      group.run();
      group.lead(1);
      const { driver, sql } = group.replica(1);
      let count = 0;
      const seenInNext = (seen: number): unknown => {
        driver?.write({ writeId: `s${count++}`, caller: service, operation: put('k'), seen }, () => undefined);
        group.deliver();
        const row = logRows(sql, 0).at(-1);
        return row === undefined ? null : decodeCommands(row.data)[0]?.seen;
      };
      seenInNext(0);
      expect(group.replica(1).level).toBe(isNew ? groupLevelMax : 2);
      expect(seenInNext(1)).toBe(isNew ? 1 : undefined);
      // Nobody has seen more writes than there were.
      if (isNew) expect(seenInNext(Number.MAX_SAFE_INTEGER)).toBeLessThan(1_000);
      const operation: Operation = { kind: 'downgradeEnable', targetVersion: '3.6' };
      driver?.write({ writeId: 'operator', caller: service, operation }, () => undefined);
      group.deliver();
      driver?.tick();
      expect(seenInNext(1)).toBeUndefined();
    }
  });

  it('WRITE-15: a leader proposes nothing that the group, at its level, does not know', () => {
    const named: Operation[] = [
      { kind: 'suspension', isSuspended: true },
      { kind: 'terms', changes: [{ code: termCode.wipeAtMs, value: null }] },
      { kind: 'createAccessKey', accessKey: { ...accessKeyOf('n', 'read'), name: 'n' } },
      { kind: 'rotateAccessKey', id: 'a', endsAtMs: 1, accessKey: accessKeyOf('b', 'read') },
    ];
    for (const versions of [
      ['new', 'new', 'new'],
      ['new', 'new', 'level 2'],
    ] as const) {
      const isNew = !versions.some((version) => version === 'level 2');
      const group = new MixedGroup(versions);
      group.run();
      group.lead(1);
      const { driver } = group.replica(1);
      const results: WriteResult[] = [];
      const write = (operation: Operation): void => {
        const writeId = `n${results.length}`;
        driver?.write({ writeId, caller: service, operation }, (result) => results.push(result));
        group.deliver();
      };
      write({ kind: 'createAccessKey', accessKey: accessKeyOf('a', 'read') });
      for (const operation of named) write(operation);
      expect(results.map(({ kind }) => kind)).toEqual(['applied', ...named.map(() => (isNew ? 'applied' : 'refused'))]);
      if (isNew) continue;
      expect(results[1]).toMatchObject({ failure: { kind: 'operationNotServed', operation: 'suspension' } });
    }
  });

  describe('WRITE-4: a leader refuses no key that it may not know yet', () => {
    it('that an entry made which it has not applied', () => {
      const three = new Three();
      const results: WriteResult[] = [];
      three.write(1, service, key('new', 'write'), results);
      three.deliver();
      expect(results).toMatchObject([{ kind: 'applied' }]);
      // The other replicas do not know yet that the entry is committed.
      expect(three.driver(2).store.accessKeys()).toEqual([]);
      three.alone = 1;
      three.electWithoutEntry(2);
      three.write(2, by('new'), put('a', 'v'), results);
      expect(results).toHaveLength(1);
      three.deliver();
      expect(results).toMatchObject([{ kind: 'applied' }, { kind: 'applied', outcome: { kind: 'put' } }]);
    });

    it('that another leader made meanwhile', () => {
      const three = new Three();
      const results: WriteResult[] = [];
      three.alone = 1;
      three.electWithoutEntry(2);
      three.deliver();
      three.write(2, service, key('new', 'write'), results);
      three.deliver();
      expect(results).toMatchObject([{ kind: 'applied' }]);
      expect(three.driver(1).raft.role).toBe('leader');
      three.write(1, by('new'), put('a', 'v'), results);
      three.deliver();
      expect(results).toHaveLength(1);
      three.alone = null;
      for (let tick = 0; tick < 20; tick++) three.tickAll();
      expect(results).toMatchObject([{ kind: 'applied' }, { kind: 'notLeader' }]);
    });
  });
});
