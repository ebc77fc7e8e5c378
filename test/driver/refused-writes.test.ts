// Writes that are answered without the log: what the applied state refuses, and what it has answered before.

import { describe, expect, it } from 'vitest';
import { emptyBytes, utf8 } from '../../src/base/bytes.ts';
import type { Driver } from '../../src/driver/driver.ts';
import type { WriteRequest, WriteResult } from '../../src/driver/proposals.ts';
import { logEntryBytesMax, writesUnsureBytesMax } from '../../src/limits.ts';
import { permissionType } from '../../src/model/auth.ts';
import { leaseId } from '../../src/model/brands.ts';
import { groupLevel } from '../../src/model/levels.ts';
import { alarmKind, type Caller, type Operation } from '../../src/model/store.ts';
import { put, service, txn } from '../mvcc/requests.ts';
import { NodeSql } from '../support/node-sql.ts';
import { leaderAlone, write } from './leader-alone.ts';
import { Three } from './three-drivers.ts';

const big = new Uint8Array(1_000_000);
const by = (id: string): Caller => ({ kind: 'accessKey', id });
const alice: Caller = { kind: 'user', id: 'writer', name: 'alice', authRevision: 100 };
const permission = { key: utf8('a'), rangeEnd: emptyBytes, type: permissionType.readWrite };
const alarm = (of: number): Operation => ({ kind: 'alarmActivate', alarm: { memberId: 7n, alarm: of } });
const grantToAlice: Operation = { kind: 'userGrantRole', name: 'alice', role: 'writers' };
const revokeFromAlice: Operation = { kind: 'userRevokeRole', name: 'alice', role: 'writers' };

/** A user without a role, and a role that may write "a". */
const users: readonly Operation[] = [
  { kind: 'userAdd', name: 'root', passwordHash: null },
  { kind: 'userGrantRole', name: 'root', role: 'root' },
  { kind: 'userAdd', name: 'alice', passwordHash: null },
  { kind: 'roleAdd', name: 'writers' },
  { kind: 'roleGrantPermission', role: 'writers', permission },
  { kind: 'authEnable' },
];
const writerKey: Operation = {
  kind: 'createAccessKey',
  accessKey: { id: 'writer', role: 'write', prefix: utf8('a'), createdAtMs: 0, expiresAtMs: null, name: '' },
};

function withUsers(driver: Driver): Driver {
  for (const [place, operation] of users.entries()) write(driver, service, `users${place}`, operation);
  return driver;
}

/** Of a sender that knows what becomes of its attempts. */
function attempt(driver: Driver, request: WriteRequest, results: WriteResult[]): void {
  driver.submit([{ request, settle: (result) => results.push(result), mayBeAlone: true }], []);
}

function writeAlone(driver: Driver, request: WriteRequest): WriteResult | undefined {
  const results: WriteResult[] = [];
  attempt(driver, request, results);
  driver.tick();
  return results[0];
}

/** What is on disk of writes: the log, all of the database, and what is remembered. */
function traces(driver: Driver, sql: NodeSql): unknown {
  driver.flush();
  const [remembered] = sql.all('SELECT MAX(writes_total) FROM batches');
  return [driver.raft.lastIndex, driver.logSize, sql.databaseBytes(), remembered];
}

const refusedAlone = (kind: string): unknown => ({ kind: 'refusedAlone', failure: { kind } });

describe('WRITE-9: ten writes of 1 MB that the state refuses grow neither the log nor the database nor the remembered ids', () => {
  const leased: readonly Operation[] = [
    { kind: 'leaseGrant', id: leaseId(5n), candidate: leaseId(5n), ttlSeconds: 60 },
    put('b', 'v', { lease: leaseId(5n) }),
  ];
  const nested: Operation = txn({
    success: [{ kind: 'txn', request: { compare: [], success: [put('a', big)], failure: [] } }],
  });
  const kinds: readonly (readonly [string, readonly Operation[], Caller, Operation])[] = [
    ['permissionDenied', users, alice, put('a', big)],
    ['permissionDenied', users, alice, nested],
    ['userNameEmpty', users, { kind: 'anonymous', id: 'writer', token: 'none' }, put('a', big)],
    ['invalidToken', users, { kind: 'anonymous', id: 'writer', token: 'invalid' }, put('a', big)],
    ['invalidToken', users, { ...alice, authRevision: 1 }, put('a', big)],
    ['invalidToken', users, { ...alice, name: 'nobody' }, put('a', big)],
    ['invalidToken', [], { ...alice, id: '' }, put('a', big)],
    // Which keys a lease has may change.
    ['forbidden', leased, by('writer'), put('a', big, { lease: leaseId(5n) })],
    ['noSpace', [alarm(alarmKind.noSpace)], by('writer'), put('a', big)],
    ['noSpace', [alarm(alarmKind.noSpace)], service, put('a', big)],
    ['corruptAlarm', [alarm(alarmKind.corrupt)], by('writer'), put('a', big)],
    ['corruptAlarm', [alarm(alarmKind.corrupt), alarm(alarmKind.noSpace)], by('writer'), nested],
  ];

  it.each(kinds)('%s (%#)', (kind, state, caller, operation) => {
    const sql = new NodeSql();
    const driver = leaderAlone(sql);
    for (const [place, each] of state.entries()) write(driver, service, `state${place}`, each);
    const before = traces(driver, sql);
    for (let count = 0; count < 10; count++) {
      const named = count % 2 === 0 ? {} : { digest: 1n };
      const result = writeAlone(driver, { writeId: `w${count}`, caller, operation, ...named });
      expect(result).toMatchObject(refusedAlone(kind) as object);
    }
    expect(traces(driver, sql)).toEqual(before);
    // The store itself says the same.
    expect(write(driver, caller, 'in the log', operation)).toMatchObject({
      kind: 'applied',
      outcome: { kind: 'failed', failure: { kind }, revision: driver.store.revision },
    });
  });

  it('outcomeUnknown: WRITE-17: a write that may be forgotten, or whose sender was told of no count', () => {
    const sql = new NodeSql();
    const driver = leaderAlone(sql);
    const { writesTotal } = driver.store;
    const before = traces(driver, sql);
    const cold = { writeId: 'w', caller: by('writer'), operation: put('a', 'v'), seen: null };
    for (let count = 0; count < 10; count++) {
      expect(writeAlone(driver, cold)).toMatchObject({
        kind: 'applied',
        outcome: { kind: 'failed', failure: { kind: 'outcomeUnknown', writes: writesTotal } },
      });
    }
    expect(traces(driver, sql)).toEqual(before);
    expect(writeAlone(driver, { ...cold, seen: writesTotal })).toMatchObject({ outcome: { kind: 'put' } });
    // Its sender may ask again, with the count or without one.
    for (const seen of [null, writesTotal]) {
      expect(writeAlone(driver, { ...cold, seen })).toMatchObject({ outcome: { kind: 'put' } });
    }
  });

  it('idempotencyKeyReused, and a retry of what was applied', () => {
    const sql = new NodeSql();
    const driver = leaderAlone(sql);
    const first = { writeId: 'w', caller: by('writer'), operation: put('a', 'v'), digest: 1n };
    expect(writeAlone(driver, first)).toMatchObject({ kind: 'applied', outcome: { kind: 'put' } });
    const before = traces(driver, sql);
    for (let count = 0; count < 10; count++) {
      const other = { ...first, operation: put('a', big), digest: 2n };
      const reused = { kind: 'applied', outcome: { kind: 'failed', failure: { kind: 'idempotencyKeyReused' } } };
      expect(writeAlone(driver, other)).toMatchObject(reused);
      // Also of a sender that does not know what became of its attempts: the id is remembered as it is.
      expect(write(driver, other.caller, 'w', other.operation, { digest: 2n })).toMatchObject(reused);
      expect(write(driver, first.caller, 'w', first.operation, { digest: 1n })).toMatchObject({
        kind: 'applied',
        outcome: { kind: 'put', revision: driver.store.revision },
      });
    }
    expect(traces(driver, sql)).toEqual(before);
  });
});

describe('WRITE-10: a write that was applied is answered as it was, without the log', () => {
  it('while an alarm refuses others', () => {
    const driver = leaderAlone();
    const request = { writeId: 'w', caller: by('writer'), operation: put('a', 'v') };
    const applied = writeAlone(driver, request);
    write(driver, service, 'alarm', alarm(alarmKind.noSpace));
    const { lastIndex } = driver.raft;
    expect(writeAlone(driver, request)).toEqual(applied);
    expect(writeAlone(driver, { ...request, writeId: 'x' })).toEqual(refusedAlone('noSpace'));
    expect(driver.raft.lastIndex).toBe(lastIndex);
  });

  it('but not to who may not do it any more', () => {
    const driver = withUsers(leaderAlone());
    write(driver, service, 'grant', grantToAlice);
    const request = { writeId: 'w', caller: alice, operation: put('a', 'v') };
    expect(writeAlone(driver, request)).toMatchObject({ kind: 'applied', outcome: { kind: 'put' } });
    write(driver, service, 'take away', revokeFromAlice);
    expect(writeAlone(driver, request)).toEqual(refusedAlone('permissionDenied'));
    write(driver, service, 'grant again', grantToAlice);
    const { revision } = driver.store;
    expect(writeAlone(driver, request)).toMatchObject({ kind: 'applied', outcome: { kind: 'put', revision } });
  });
});

it('WRITE-11: what was refused alone is done when it is asked for again and may be', () => {
  const driver = withUsers(leaderAlone());
  const request = { writeId: 'w', caller: alice, operation: put('a', 'v') };
  expect(writeAlone(driver, request)).toEqual(refusedAlone('permissionDenied'));
  write(driver, service, 'grant', grantToAlice);
  expect(writeAlone(driver, request)).toMatchObject({ kind: 'applied', outcome: { kind: 'put' } });
});

function threeWithUsers(): Three {
  const three = new Three();
  const results: WriteResult[] = [];
  for (const operation of [writerKey, ...users]) {
    three.write(1, service, operation, results);
    three.deliver();
  }
  three.tickAll();
  expect(results).toHaveLength(users.length + 1);
  return three;
}

describe('WRITE-12: a refusal holds at a moment after the write came, as a read does', () => {
  const request = { writeId: 'alice', caller: alice, operation: put('a', 'v') };

  it('a leader that has not applied a grant that was acknowledged applies it first', () => {
    const three = threeWithUsers();
    const results: WriteResult[] = [];
    three.write(1, service, grantToAlice, results);
    three.deliver();
    expect(results).toMatchObject([{ kind: 'applied' }]);
    three.alone = 1;
    three.electWithoutEntry(2);
    attempt(three.driver(2), request, results);
    expect(results).toHaveLength(1);
    three.deliver();
    expect(results).toMatchObject([{ kind: 'applied' }, { kind: 'applied', outcome: { kind: 'put' } }]);
  });

  it('a leader that was deposed refuses nothing', () => {
    const three = threeWithUsers();
    const results: WriteResult[] = [];
    three.alone = 1;
    three.electWithoutEntry(2);
    three.deliver();
    three.write(2, service, grantToAlice, results);
    three.deliver();
    attempt(three.driver(1), request, results);
    three.deliver();
    expect(results).toMatchObject([{ kind: 'applied' }]);
    three.alone = null;
    for (let tick = 0; tick < 20; tick++) three.tickAll();
    expect(results).toMatchObject([{ kind: 'applied' }, { kind: 'notLeader' }]);
  });

  it('and so does what is remembered: a right that was taken away meanwhile is seen', () => {
    const three = threeWithUsers();
    const results: WriteResult[] = [];
    three.write(1, service, grantToAlice, results);
    three.deliver();
    attempt(three.driver(1), request, results);
    three.deliver();
    three.alone = 1;
    three.electWithoutEntry(2);
    three.deliver();
    three.write(2, service, revokeFromAlice, results);
    three.deliver();
    expect(results.map(({ kind }) => kind)).toEqual(['applied', 'applied', 'applied']);
    attempt(three.driver(1), request, results);
    three.alone = null;
    for (let tick = 0; tick < 20; tick++) three.tickAll();
    expect(results.slice(3)).toMatchObject([{ kind: 'notLeader' }]);
  });
});

describe('WRITE-18: a leader that has just been elected puts a write with a count into the log once it knows that the group counts', () => {
  it('and not before it has applied what earlier leaders proposed', () => {
    const three = new Three();
    three.write(1, service, { kind: 'groupLevel', level: groupLevel.seventh }, []);
    three.deliver();
    three.tickAll();
    three.alone = 1;
    three.electWithoutEntry(2);
    const driver = three.driver(2);
    const seen: unknown[] = [];
    driver.listen({ applied: (commands) => void seen.push(...commands.map((command) => command.seen)) });
    const results: WriteResult[] = [];
    driver.write({ writeId: 'w', caller: service, operation: put('a'), seen: 0 }, (result) => results.push(result));
    for (let tick = 0; tick < 3; tick++) three.tickAll();
    expect(results).toMatchObject([{ kind: 'applied', outcome: { kind: 'put' } }]);
    expect(seen).toEqual([0]);
  });
});

describe('WRITE-13: what is refused behind an attempt of the same id that is on its way is decided in the log', () => {
  it('as the first attempt was', () => {
    const three = new Three();
    const results: WriteResult[] = [];
    for (const operation of [writerKey, ...users, grantToAlice]) three.write(1, service, operation, []);
    three.deliver();
    const request = { writeId: 'alice', caller: alice, operation: put('a', 'v'), digest: 1n };
    // The right goes, and comes back in the entry of the first attempt: by what is applied between the two it is
    // refused.
    three.write(1, service, revokeFromAlice, []);
    const driver = three.driver(1);
    const settle = (result: WriteResult): number => results.push(result);
    driver.submit([{ request: { writeId: 'again', caller: service, operation: grantToAlice }, settle: () => 0 }], []);
    driver.submit([{ request, settle, mayBeAlone: true }], []);
    expect(results).toEqual([]);
    three.deliverUntil(() => driver.store.answerWithoutLog({ ...request, atMs: 1 })?.kind === 'refusedAlone');
    driver.submit([{ request, settle, mayBeAlone: true }], []);
    three.deliver();
    three.tickAll();
    expect(results).toMatchObject([
      { kind: 'applied', outcome: { kind: 'put' } },
      { kind: 'applied', outcome: { kind: 'put' } },
    ]);
    expect(results[0]).toEqual(results[1]);
  });
});

it('WRITE-3: of a sender that does not know what became of its attempts a refusal is in the log, and never done', () => {
  const driver = withUsers(leaderAlone());
  const denied = { kind: 'applied', outcome: { failure: { kind: 'permissionDenied' } } };
  const { lastIndex } = driver.raft;
  expect(write(driver, alice, 'w', put('a', 'v'))).toMatchObject(denied);
  expect(driver.raft.lastIndex).toBe(lastIndex + 1);
  write(driver, service, 'grant', grantToAlice);
  expect(write(driver, alice, 'w', put('a', 'v'))).toMatchObject(denied);
  // An attempt that came late, and might have been refused alone, is answered the same.
  expect(writeAlone(driver, { writeId: 'w', caller: alice, operation: put('a', 'v') })).toMatchObject(denied);
});

it('WRITE-14: writes that wait for that to be sure have writesUnsureBytesMax bytes together; one more is asked to come again', () => {
  const three = new Three();
  for (const operation of [writerKey, ...users]) three.write(1, service, operation, []);
  three.deliver();
  three.tickAll();
  three.alone = 1;
  const results: WriteResult[] = [];
  const taken = Math.floor(writesUnsureBytesMax / (big.length + 64));
  for (let count = 0; count <= taken; count++) {
    attempt(three.driver(1), { writeId: `w${count}`, caller: alice, operation: put('a', big) }, results);
  }
  expect(results).toEqual([{ kind: 'overloaded' }]);
  three.alone = null;
  for (let tick = 0; tick < 3; tick++) three.tickAll();
  expect(results.slice(1)).toEqual(Array.from({ length: taken }, () => refusedAlone('permissionDenied')));
  // What was held is free again.
  attempt(three.driver(1), { writeId: 'next', caller: alice, operation: put('a', big) }, results);
  three.deliver();
  expect(results.at(-1)).toEqual(refusedAlone('permissionDenied'));
  const operation = put('a', new Uint8Array(logEntryBytesMax));
  attempt(three.driver(1), { writeId: 'large', caller: alice, operation }, results);
  expect(results.at(-1)).toMatchObject({ kind: 'refused', failure: { kind: 'valueTooLarge' } });
});
