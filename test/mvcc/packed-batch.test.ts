// Batches that share a row: which do, what is read from such a row, and that flushes do not matter.

import { describe, expect, it } from 'vitest';
import { packedBatchBytes } from '../../src/limits.ts';
import { groupLevel, groupLevelMax } from '../../src/model/levels.ts';
import { logIndex } from '../../src/model/brands.ts';
import type { Command, Operation } from '../../src/model/store.ts';
import { Batches } from '../../src/mvcc/batches.ts';
import { contentBytes, packed, rowAfterEntry, type BatchRow } from '../../src/mvcc/packed-batch.ts';
import type { SqlPort } from '../../src/base/sql-port.ts';
import { NodeSql } from '../support/node-sql.ts';
import { Random } from '../support/random.ts';
import { dump, randomCommands, steadyKey } from './random-commands.ts';
import { RandomOperations } from './random-operations.ts';
import { compact, Fed, grant, put, putLeased, remove, service, toLevel, txn } from './requests.ts';
import { copied } from './snapshot/snapshot-transfer.ts';

function rowsOf(sql: SqlPort): readonly (readonly [number, number])[] {
  const select = 'SELECT last_revision, log_index FROM batches ORDER BY last_revision, log_index';
  return sql.all(select).map(([last, index]) => [Number(last), Number(index)]);
}

function bytes(value: unknown): Uint8Array | null {
  return value instanceof Uint8Array ? value : null;
}

function newestRow(sql: SqlPort): BatchRow {
  const select = `SELECT last_revision, log_index, writes_total, body, hash, scrubbed, digests, earlier FROM batches
    ORDER BY last_revision DESC, log_index DESC LIMIT 1`;
  const [last, index, writesTotal, body, hash, scrubbed, digests, earlier] = sql.all(select)[0] ?? [];
  return {
    lastRevision: Number(last),
    logIndex: Number(index),
    writesTotal: Number(writesTotal),
    body: bytes(body) ?? new Uint8Array(0),
    hash: Number(hash),
    scrubbed: bytes(scrubbed),
    digests: bytes(digests),
    earlier: bytes(earlier),
  };
}

/** The newest level, whose entry has the first row. */
function newest(): Fed {
  const fed = Fed.inMemory(() => new Fed(new NodeSql()));
  fed.do(toLevel(groupLevelMax));
  return fed;
}

function command(writeId: string, operation: Operation, digest?: bigint): Command {
  const plain = { writeId, caller: service, atMs: 1, operation };
  return digest === undefined ? plain : { ...plain, digest };
}

describe('MVCC-PACK-1: from level 6 on batches of point operations share rows, and others begin one', () => {
  it('one flush or many, with barriers between', () => {
    for (const flushes of [false, true]) {
      const fed = newest();
      for (let n = 0; n < 5; n++) {
        fed.put(`k${n}`);
        if (flushes) fed.flush();
      }
      expect(rowsOf(fed.sql)).toEqual([[6, 6]]);
      fed.do(grant(7));
      fed.put('k');
      fed.do(putLeased('l', 7));
      expect(rowsOf(fed.sql)).toEqual([
        [6, 6],
        [8, 9],
      ]);
    }
  });

  it('below level 6 each entry has a row', () => {
    const fed = Fed.inMemory(() => new Fed(new NodeSql()));
    fed.do(toLevel(groupLevel.fifth));
    for (let n = 0; n < 3; n++) fed.put(`k${n}`);
    expect(rowsOf(fed.sql)).toHaveLength(4);
  });

  it('stores that flush and start anew at different moments have the same rows', () => {
    for (let seed = 1; seed <= 12; seed++) {
      const random = new RandomOperations(seed);
      const direct = new Fed(new NodeSql());
      const waiting = Fed.inMemory(() => new Fed(new NodeSql()));
      const sent: Command[] = [];
      for (const fed of [direct, waiting]) {
        fed.do(toLevel(groupLevelMax));
        fed.do(steadyKey);
      }
      for (let round = 3; round <= 150; round++) {
        // Mostly single puts and deletes, which share rows.
        const commands = random.chance(0.2)
          ? randomCommands(random, sent, direct, round)
          : [
              command(
                `p${round}`,
                random.chance(0.8) ? put(`k${random.below(9)}`, 'v'.repeat(random.below(300))) : remove('k1'),
              ),
            ];
        const [one, other] = [direct, waiting].map((fed) => fed.apply(logIndex(round), commands));
        expect(other).toEqual(one);
        if (random.chance(0.1)) waiting.flush();
        for (const fed of [direct, waiting]) {
          if (random.chance(0.05)) fed.reopen();
          if (random.chance(0.2)) fed.store.compactStep(1 + random.below(10));
          if (fed.store.appliedIndex < round) fed.store.skip(logIndex(round));
        }
      }
      const [one, other] = [direct, waiting].map((fed) => dump(fed.sql, fed.store.compactedRevision));
      expect(other).toEqual(one);
      expect(direct.store.runningHash).toEqual(waiting.store.runningHash);
      const from = Math.max(1, direct.store.compactedRevision);
      expect(waiting.history(from)).toEqual(direct.history(from));
      expect(rowsOf(direct.sql).length).toBeLessThan(120);
    }
  });
});

describe('MVCC-PACK-2: a row takes another batch while it has fewer than packedBatchBytes, and only a smaller one', () => {
  /** A batch whose content has so many bytes: the changes say the key, and the writes its id. */
  function putOf(bytes: number, id: string): Command {
    const keyBytes = bytes - overhead;
    return command(id, put('k'.repeat(keyBytes)));
  }
  const overhead = (() => {
    const fed = newest();
    fed.do(grant(1));
    fed.commands([command('i0', put('k'.repeat(1_000)))]);
    const row = newestRow(fed.sql);
    const before = rowAfterEntry(row, row.logIndex - 1);
    return contentBytes(row.body) - contentBytes(before?.body ?? new Uint8Array(0)) - 1_000;
  })();

  it('at the bound and one below', () => {
    for (const less of [0, 1]) {
      const fed = newest();
      let content = contentBytes(newestRow(fed.sql).body);
      for (let n = 1; packedBatchBytes - less - content > 0; n++) {
        const left = packedBatchBytes - less - content;
        const next = left > 1_900 ? 900 : left;
        fed.commands([putOf(next, `i${n}`)]);
        content = contentBytes(newestRow(fed.sql).body);
      }
      expect(content).toBe(packedBatchBytes - less);
      const before = rowsOf(fed.sql).length;
      fed.commands([putOf(1_200, 'ix')]);
      expect(rowsOf(fed.sql).length - before).toBe(less === 0 ? 1 : 0);
    }
  });

  it('a batch of the bound has a row to itself, and so has the one after it', () => {
    const fed = newest();
    fed.batch(Array.from({ length: 10 }, (_, n) => put(`${'k'.repeat(1_000)}${n}`)));
    fed.put('a');
    fed.put('b');
    expect(rowsOf(fed.sql)).toHaveLength(3);
  });
});

it('MVCC-PACK-3: from a row the row after each of its entries can be had, and after no other', () => {
  for (let seed = 1; seed <= 10; seed++) {
    const random = new Random(seed);
    const fed = newest();
    const known: BatchRow[] = [];
    for (let n = 0; n < 80; n++) {
      const digest = random.chance(0.5) ? BigInt(n) : undefined;
      const commands = Array.from({ length: 1 + random.below(3) }, (_, nth) => {
        const operation = random.chance(0.8) ? put(`k${random.below(40)}`, 'v'.repeat(30)) : remove('none');
        return command(`w${n}.${nth}${'x'.repeat(40)}`, operation, digest);
      });
      fed.commands(commands);
      if (random.chance(0.05)) fed.do(grant(n + 1));
      known.push(newestRow(fed.sql));
    }
    const batches = new Batches(fed.sql);
    const rows = rowsOf(fed.sql).map(([, index]) => index);
    expect(rows.length).toBeGreaterThan(2);
    for (const row of known) {
      const { lastRevision, logIndex: index } = row;
      expect(batches.rowAfter({ lastRevision, logIndex: index })).toEqual(rows.includes(index) ? null : row);
    }
    expect(batches.rowAfter({ lastRevision: 1_000_000, logIndex: 1 })).toBeNull();
  }
  expect(packed([known0])).toEqual(known0);
  expect(rowAfterEntry(known0, 1)).toBeNull();
});

const known0: BatchRow = {
  lastRevision: 3,
  logIndex: 2,
  writesTotal: 1,
  body: Uint8Array.of(0),
  hash: 7,
  scrubbed: null,
  digests: null,
  earlier: null,
};

describe('MVCC-PACK-4: a write in a shared row is remembered like any other', () => {
  const reused = { kind: 'failed', failure: { kind: 'idempotencyKeyReused' } };

  it('before the flush and after it, over restarts, in a copy, and by its digest', () => {
    const fed = newest();
    const writes = Array.from({ length: 20 }, (_, n) => {
      const digest = n % 3 === 0 ? undefined : BigInt(n);
      return command(`id${n}`, n % 4 === 3 ? txn({ success: [put(`t${n}`)] }) : put(`k${n % 6}`), digest);
    });
    const outcomes = writes.map((write) => fed.commands([write])[0]);
    const { revision } = fed.store;
    const check = (each: Fed): void => {
      for (const [n, write] of writes.entries()) {
        expect(each.commands([write])[0]).toEqual(outcomes[n]);
        if (write.digest === undefined) continue;
        expect(each.commands([{ ...write, digest: write.digest + 100n }])[0]).toMatchObject(reused);
      }
      expect(each.store.revision).toBe(revision);
    };
    check(fed);
    fed.flush();
    expect(rowsOf(fed.sql)).toHaveLength(1);
    check(fed);
    fed.reopen();
    check(fed);
    const copy = copied(fed, new NodeSql());
    check(copy);
    copy.reopen();
    check(copy);
  });

  it('an answer that was looked up before a flush is looked up anew after it', () => {
    const fed = newest();
    fed.commands([command('a', put('k'), 1n)]);
    fed.commands([command('b', put('k'), 2n)]);
    const again = (): unknown => fed.commands([command('b', put('k'), 3n)])[0];
    expect(again()).toMatchObject(reused);
    fed.flush();
    expect(again()).toMatchObject(reused);
    expect(fed.commands([command('b', put('k'), 2n)])[0]).toMatchObject({ kind: 'put', revision: 3 });
  });
});

it('MVCC-PACK-5: what a row has goes with a compaction once all of it may go', () => {
  const fed = newest();
  for (let n = 0; n < 10; n++) fed.put('k', String(n));
  fed.do(compact(5));
  fed.sweep();
  expect(fed.history(5)).toMatchObject({ kind: 'events', through: fed.store.revision });
  expect(fed.range('k', { revision: 6 }).kvs.at(0)?.modRevision).toBe(6);
});
