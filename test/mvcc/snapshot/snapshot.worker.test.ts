// Snapshots from the SQLite of one object to that of another: tables are dropped and renamed there, in one step.

import { evictDurableObject, runInDurableObject } from 'cloudflare:test';
import { describe, expect, it } from 'vitest';
import { logIndex, replicaId, term } from '../../../src/model/brands.ts';
import { openSnapshot, type SnapshotName, snapshotPage } from '../../../src/mvcc/snapshot/snapshot-source.ts';
import { SnapshotSink } from '../../../src/mvcc/snapshot/snapshot-sink.ts';
import { LogTable } from '../../../src/driver/log-table.ts';
import { ObjectSql } from '../../../src/replica/object-sql.ts';
import type { SqlPort } from '../../../src/base/sql-port.ts';
import { compact, Fed, grant, put, putLeased, remove, txn } from '../requests.ts';
import { clear, incomingRows, openedAt, schemaOf } from './snapshot-transfer.ts';
import { crash, replicaStub } from '../../support/service.ts';

const tenant = 'snapshots';

function inObject<Result>(replica: number, body: (sql: SqlPort) => Result): Promise<Result> {
  return runInDurableObject(replicaStub(tenant, replica), (_instance, state) => body(new ObjectSql(state.storage)));
}

function fill(fed: Fed): void {
  fed.do({ kind: 'groupLevel', level: 2 });
  fed.do(grant(7));
  for (let round = 0; round < 5; round++) {
    fed.batch([put('a', new Uint8Array(900).fill(round)), putLeased('b', 7), put(`k${round}`, String(round))]);
  }
  fed.do(txn({ success: [put('c', 'short'), remove({ key: Uint8Array.of(97), rangeEnd: Uint8Array.of(0) })] }));
  fed.batch([
    put('a', 'again'),
    { kind: 'userAdd', name: 'u', passwordHash: 'hash' },
    { kind: 'roleAdd', name: 'r' },
    { kind: 'userGrantRole', name: 'u', role: 'r' },
  ]);
  fed.do(compact(9));
}

function shown(fed: Fed): unknown {
  const { store } = fed;
  const revisions = Array.from({ length: store.revision - 8 }, (_, place) => place + 9);
  return {
    hash: fed.ask<'hash'>({ kind: 'hash' }),
    hashes: revisions.map((revision) => fed.ask<'hashKv'>({ kind: 'hashKv', revision })),
    history: fed.history(9),
    running: store.runningHash,
    level: store.level,
    schema: schemaOf(fed.sql),
  };
}

/**
 * Takes the next page of the snapshot under way in one object from another object. Returns whether it was the last
 * page.
 */
async function carry(from: number, to: number): Promise<boolean> {
  const progress = await inObject(to, (sql) => new SnapshotSink(sql).progress);
  if (progress === null) throw new Error('a snapshot is under way');
  const { page, next } = await inObject(from, (sql) => snapshotPage(sql, progress.name, progress.cursor, 300));
  await inObject(to, (sql) => new SnapshotSink(sql).write(page, next));
  return next === null;
}

describe('MVCC-SNAP-8: a snapshot goes from one object to another, and is swapped in as one', () => {
  it('over an eviction and a crash of the receiver, beside a store that it has', async () => {
    const [source, receiver] = [11, 12];
    const { name, head } = await inObject(source, (sql) => {
      const fed = new Fed(sql);
      fill(fed);
      return openSnapshot(sql, fed.store);
    });
    const expected = await inObject(source, (sql) => shown(new Fed(sql)));
    const log = await inObject(receiver, (sql) => {
      new LogTable(sql).writeHardState({ term: term(7), votedFor: replicaId(2), commit: logIndex(0) });
      const fed = new Fed(sql);
      fed.batch([put('own', new Uint8Array(2_000)), put('own', 'newer')]);
      new SnapshotSink(sql).begin(name, head);
      return sql.all('SELECT * FROM hard_state');
    });
    expect(log).toHaveLength(1);
    let pages = 0;
    while (!(await carry(source, receiver))) {
      const written = 1_000 * ++pages;
      if (pages === 2) await evictDurableObject(replicaStub(tenant, receiver));
      if (pages === 4) await crash(tenant, receiver);
      await inObject(source, (sql) => {
        const fed = new Fed(sql, written);
        fed.reopen();
        fed.put('k0', `later ${written}`);
      });
    }
    expect(pages).toBeGreaterThan(4);
    await expect(inObject(receiver, (sql) => swapAndFail(sql))).rejects.toThrow('after the swap');
    const kept = await inObject(receiver, (sql) => new Fed(sql).range('own').kvs.length);
    expect(kept).toBe(1);
    const came = await inObject(receiver, (sql) => {
      leaveUnfinished(sql);
      sql.transaction(() => new SnapshotSink(sql).finish());
      return shown(openedAt(sql, name));
    });
    expect(came).toEqual(expected);
    await crash(tenant, receiver);
    await inObject(receiver, (sql) => {
      const fed = openedAt(sql, name);
      expect(sql.all('SELECT * FROM hard_state')).toEqual(log);
      clear(sql);
      expect(incomingRows(sql)).toBe(0);
      fed.put('k0', 'on');
      fed.do(compact(fed.store.revision));
      fed.sweep();
    });
  });

  it('abandoned, it leaves the tables that were', async () => {
    const [source, receiver] = [21, 22];
    const { name, head } = await inObject(source, (sql): { name: SnapshotName; head: readonly Uint8Array[] } => {
      const fed = new Fed(sql);
      fill(fed);
      return openSnapshot(sql, fed.store);
    });
    const before = await inObject(receiver, (sql) => {
      const tables = schemaOf(new Fed(sql).sql);
      new SnapshotSink(sql).begin(name, head);
      return tables;
    });
    await carry(source, receiver);
    await crash(tenant, receiver);
    const after = await inObject(receiver, (sql) => {
      leaveUnfinished(sql);
      new SnapshotSink(sql).abandon();
      clear(sql);
      expect(incomingRows(sql)).toBe(0);
      return schemaOf(sql);
    });
    expect(after).toEqual(before);
  });
});

/** The platform cannot end a read that is left before its last row, and refuses to drop any table meanwhile. */
function leaveUnfinished(sql: SqlPort): void {
  for (const table of ['batches', 'head', 'sqlite_master']) {
    for (const row of sql.iterate(`SELECT * FROM ${table}`)) {
      expect(row.length).toBeGreaterThan(0);
      break;
    }
  }
  sql.run('CREATE TABLE others (id INTEGER)');
  expect(() => sql.run('DROP TABLE others')).toThrow('locked');
}

function swapAndFail(sql: SqlPort): void {
  sql.transaction(() => {
    new SnapshotSink(sql).finish();
    throw new Error('after the swap');
  });
}
