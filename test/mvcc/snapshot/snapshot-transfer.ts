// Carries snapshots from one database to another, as replicas do, and compares what was received with what was sent.

import { expect } from 'vitest';
import { leasesMax } from '../../../src/limits.ts';
import { logIndex } from '../../../src/model/brands.ts';
import { schemaFormat } from '../../../src/mvcc/schema.ts';
import { tablesOf } from '../../../src/mvcc/snapshot/snapshot-head.ts';
import {
  neededBy,
  openSnapshot,
  type SnapshotName,
  type SnapshotPage,
  snapshotPage,
} from '../../../src/mvcc/snapshot/snapshot-source.ts';
import { SnapshotSink } from '../../../src/mvcc/snapshot/snapshot-sink.ts';
import type { SqlPort } from '../../../src/base/sql-port.ts';
import { dump } from '../random-commands.ts';
import { everything, Fed } from '../requests.ts';

/** Keeps the rows that the snapshot needs from the sweep, until the returned function is called. */
export function heldFor({ sql, store }: Fed, name: SnapshotName): () => void {
  const needed = neededBy(sql, name);
  if (needed === null) throw new Error('the snapshot is gone');
  return store.holdHistory(needed);
}

/** All pages of the snapshot, each with as many rows as fit. */
export function* pagesOf(sql: SqlPort, name: SnapshotName, bytesMax: number): Generator<SnapshotPage, void, void> {
  let cursor: Uint8Array | null = null;
  do {
    const page = snapshotPage(sql, name, cursor, bytesMax);
    yield page;
    cursor = page.next;
  } while (cursor !== null);
}

/** Copies the present store of `from` into another database. */
export function copied(from: Fed, to: SqlPort, bytesMax = 10_000): Fed {
  const { name, head } = openSnapshot(from.sql, from.store);
  const sink = new SnapshotSink(to);
  sink.begin(name, head);
  for (const { page, next } of pagesOf(from.sql, name, bytesMax)) sink.write(page, next);
  sink.finish();
  return openedAt(to, name);
}

/** The store that a snapshot made. Its log goes on after the snapshot's index. */
export function openedAt(sql: SqlPort, name: SnapshotName): Fed {
  const fed = new Fed(sql, 1_000_000);
  fed.index = fed.store.appliedIndex;
  expect(fed.store).toMatchObject({
    revision: name.revision,
    compactedRevision: name.compacted,
    appliedIndex: logIndex(name.index),
    persistedIndex: logIndex(name.index),
  });
  return fed;
}

/** Compares everything that can be read of the two stores, now and at every revision that is kept. */
export function expectSame(one: Fed, other: Fed): void {
  expect(one.store.compactedRevision).toBe(other.store.compactedRevision);
  const compacted = one.store.compactedRevision;
  expect(dump(one.sql, compacted)).toEqual(dump(other.sql, compacted));
  for (let revision = Math.max(1, compacted); revision <= other.store.revision; revision++) {
    expect(one.range(everything, { revision })).toEqual(other.range(everything, { revision }));
    const hashes = [one, other].map((fed) => fed.ask<'hashKv'>({ kind: 'hashKv', revision }));
    expect(hashes[0]).toEqual(hashes[1]);
  }
  expect(one.history(compacted)).toEqual(other.history(compacted));
  expect(one.ask<'hash'>({ kind: 'hash' })).toEqual(other.ask<'hash'>({ kind: 'hash' }));
  expect([one.store.level, one.store.runningHash]).toEqual([other.store.level, other.store.runningHash]);
  expect(one.store.leasesAfter(null, leasesMax)).toEqual(other.store.leasesAfter(null, leasesMax));
  expect(one.store.leasesSettled).toBe(other.store.leasesSettled);
  expect(one.store.accessKeys()).toEqual(other.store.accessKeys());
  expect(one.store.sizes().keys).toBe(other.store.sizes().keys);
}

/** The tables and indexes of the store, however their statements are written. */
export function schemaOf(sql: SqlPort): unknown {
  const tables = tablesOf(schemaFormat);
  const rows = sql.all('SELECT tbl_name, type, name, sql FROM sqlite_master ORDER BY type, name');
  const own = rows.filter(([table]) => tables.includes(String(table)));
  return own.map((row) =>
    row.map((text) =>
      String(text)
        .replaceAll(/["\s]+/g, ' ')
        .replaceAll(/ ?([(),]) ?/g, '$1'),
    ),
  );
}

/** Clears away what snapshots left. */
export function clear(sql: SqlPort): void {
  const sink = new SnapshotSink(sql);
  while (sink.clearStep());
}

/** The number of rows of snapshots that did not become the store. Null: there are no tables for such rows. */
export function incomingRows(sql: SqlPort): number | null {
  const tables = sql.all("SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'incoming%'");
  if (tables.length === 0) return null;
  return tables.reduce((sum, [table]) => sum + Number(sql.all(`SELECT COUNT(*) FROM ${String(table)}`)[0]?.[0]), 0);
}
