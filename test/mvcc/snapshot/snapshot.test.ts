// What snapshots hold, when they end, and how much of a store one page looks at.

import { describe, expect, it } from 'vitest';
import { MalformedBytesError } from '../../../src/base/binary.ts';
import { logIndex, revision } from '../../../src/model/brands.ts';
import {
  rememberedWritesMax,
  snapshotHeadPartBytes,
  snapshotPartRowsMax,
  snapshotRowsScannedMax,
} from '../../../src/limits.ts';
import { pageFrameBytesMax, readPage } from '../../../src/mvcc/snapshot/snapshot-page.ts';
import {
  neededBy,
  openSnapshot,
  pageStatements,
  type SnapshotName,
  snapshotPage,
} from '../../../src/mvcc/snapshot/snapshot-source.ts';
import { SnapshotSink } from '../../../src/mvcc/snapshot/snapshot-sink.ts';
import { NodeSql } from '../../support/node-sql.ts';
import { compact, everything, Fed, keyRange, put, remove, shownEvents, txn } from '../requests.ts';
import { copied, expectSame, heldFor, openedAt, pagesOf } from './snapshot-transfer.ts';

const opened = (): Fed => new Fed(new NodeSql());
const large = (fill: number): Uint8Array => new Uint8Array(700).fill(fill);

function isGone(fed: Fed, name: SnapshotName): boolean {
  return neededBy(fed.sql, name) === null;
}

function rowsOf(fed: Fed, table: string): number {
  return Number(fed.sql.all(`SELECT COUNT(*) FROM ${table}`)[0]?.[0]);
}

function shownHistory(fed: Fed, from: number): readonly string[] {
  const piece = fed.history(from);
  return piece.kind === 'events' ? shownEvents(piece.revisions) : [];
}

describe('MVCC-SNAP-2: a snapshot has what compaction keeps and nothing else', () => {
  it('of a store that was never written', () => {
    const source = opened();
    const copy = copied(source, new NodeSql());
    expectSame(copy, source);
    expect(copy.put('a')).toMatchObject({ kind: 'put', revision: 2 });
  });

  it('a key that was put and deleted in the compacted revision itself', () => {
    const source = opened();
    source.put('b');
    source.do(txn({ success: [put('k', 'short'), remove(keyRange('a', '\0'))] }));
    source.do(compact(3));
    const copy = copied(source, new NodeSql());
    expect(shownHistory(copy, 3)).toEqual(['3: put k=short@3, delete b, delete k']);
    expect(shownHistory(copy, 3)).toEqual(shownHistory(source, 3));
  });

  it.each([false, true])('no superfluous row, also where the source still has it (swept: %s)', (swept) => {
    const source = opened();
    for (let round = 0; round < 5; round++) for (const key of ['a', 'b']) source.put(key, large(round));
    source.do(compact(9));
    if (swept) source.sweep();
    const copy = copied(source, new NodeSql());
    // The versions that stay: a at 8, which the compacted revision sees; b at 9, until 11; and the newest of each key.
    expect([rowsOf(copy, 'superseded'), rowsOf(copy, 'head'), rowsOf(copy, 'large_values')]).toEqual([2, 2, 4]);
    expectSame(copy, source);
    // Nothing is left for a sweep to look at.
    expect(copy.store.compactStep(100)).toBe(false);
    for (const fed of [copy, source]) {
      fed.do(compact(11));
      fed.sweep();
      expect([rowsOf(fed, 'superseded'), rowsOf(fed, 'large_values')]).toEqual([0, 2]);
    }
  });

  it('what was overwritten, deleted and created after it was opened is as it was', () => {
    const source = opened();
    for (const key of ['a', 'b', 'c']) source.put(key, large(1));
    const { name, head } = openSnapshot(source.sql, source.store);
    const sql = new NodeSql();
    const receiver = new SnapshotSink(sql);
    receiver.begin(name, head);
    const first = snapshotPage(source.sql, name, null, 1);
    receiver.write(first.page, first.next);
    source.put('a', 'later');
    source.remove('b');
    source.put('aa', large(2));
    source.put('c', large(3));
    let cursor = first.next;
    while (cursor !== null) {
      const { page, next } = snapshotPage(source.sql, name, cursor, 1);
      receiver.write(page, next);
      cursor = next;
    }
    receiver.finish();
    const copy = openedAt(sql, name);
    expect(copy.range(everything).kvs).toEqual(source.range(everything, { revision: 4 }).kvs);
    expect(rowsOf(copy, 'superseded')).toBe(0);
  });

  it('is named by what the store would restart from', () => {
    const source = opened();
    source.put('a');
    source.store.skip(logIndex(9));
    expect(openSnapshot(source.sql, source.store).name).toEqual({
      index: logIndex(1),
      revision: revision(2),
      compacted: -1,
    });
  });
});

describe('MVCC-SNAP-4: a snapshot is gone where its rows may be, and only there', () => {
  it('on a replica that has not applied as much', () => {
    const [source, behind] = [opened(), opened()];
    for (const fed of [source, behind]) fed.put('a');
    source.put('b');
    const { name } = openSnapshot(source.sql, source.store);
    expect([isGone(source, name), isGone(behind, name)]).toEqual([false, true]);
    behind.put('b');
    expect(isGone(behind, name)).toBe(false);
  });

  it('once a sweep has begun to go further', () => {
    const source = opened();
    for (let round = 0; round < 10; round++) source.put('k', large(round));
    source.do(compact(4));
    expect(source.store.compactStep(2)).toBe(true);
    const { name, head } = openSnapshot(source.sql, source.store);
    const kept = shownHistory(source, 4);
    // The sweep under way stays with the revision for which it began, so the compaction alone deletes nothing.
    source.do(compact(8));
    source.reopen();
    expect(source.store.compactStep(2)).toBe(true);
    expect(source.store.compactStep(100)).toBe(true);
    expect(isGone(source, name)).toBe(false);
    const sql = new NodeSql();
    const sink = new SnapshotSink(sql);
    sink.begin(name, head);
    for (const { page, next } of pagesOf(source.sql, name, 10)) sink.write(page, next);
    sink.finish();
    expect(shownHistory(openedAt(sql, name), 4)).toEqual(kept);
    expect(source.store.compactStep(1)).toBe(true);
    expect(isGone(source, name)).toBe(true);
    source.sweep();
    expect(isGone(source, name)).toBe(true);
    expect(isGone(source, openSnapshot(source.sql, source.store).name)).toBe(false);
  });

  it('on a replica that was made from a later one', () => {
    const source = opened();
    for (let round = 0; round < 10; round++) source.put('k', String(round));
    source.do(compact(4));
    const { name } = openSnapshot(source.sql, source.store);
    source.put('k', 'more');
    const same = copied(source, new NodeSql());
    expect(isGone(same, name)).toBe(false);
    expect(shownHistory(copied(same, new NodeSql()), 4)).toEqual(shownHistory(source, 4));
    source.do(compact(5));
    const later = copied(source, new NodeSql());
    expect([isGone(source, name), isGone(later, name)]).toEqual([false, true]);
  });

  it('where writes that it remembers are forgotten', () => {
    const source = opened();
    source.put('k');
    for (let entry = 0; entry < 10; entry++) source.batch([put('k', String(entry)), remove('none')]);
    source.do(compact(source.store.revision));
    const { name } = openSnapshot(source.sql, source.store);
    const remembered = 22;
    const nothing = (count: number): void => void source.batch(Array.from({ length: count }, () => remove('none')));
    for (let left = rememberedWritesMax - remembered; left > 0; left -= 2_048) nothing(Math.min(left, 2_048));
    source.sweep();
    expect(isGone(source, name)).toBe(false);
    // The row of the first entry is deleted to make room for another.
    nothing(1);
    const release = heldFor(source, name);
    source.sweep();
    expect(isGone(source, name)).toBe(false);
    release();
    source.sweep();
    expect(isGone(source, name)).toBe(true);
    const now = openSnapshot(source.sql, source.store);
    expect(isGone(source, now.name)).toBe(false);
    // The oldest row that is left is the first one that the snapshot needs, so more writes alone delete nothing.
    nothing(500);
    expect(isGone(source, now.name)).toBe(false);
    const copy = copied(source, new NodeSql(), 100_000);
    const before = copy.store.revision;
    const retried = copy.commands([{ writeId: 'w700', caller: { kind: 'service' }, atMs: 1, operation: put('new') }]);
    expect(retried).toMatchObject([{ failure: { kind: 'idempotencyKeyReused' } }]);
    expect(copy.store.revision).toBe(before);
  });

  it('not because the oldest entry changed very many keys', () => {
    const source = opened();
    source.batch(Array.from({ length: 600 }, (_, n) => put(`${String(n).padStart(4, '0')}${'k'.repeat(2_000)}`)));
    expect(rowsOf(source, 'batches')).toBeGreaterThan(1);
    source.put('a');
    const [hash, otherHash] = [source, copied(source, new NodeSql(), 500_000)].map((fed) => fed.ask({ kind: 'hash' }));
    expect(otherHash).toEqual(hash);
  });
});

describe('MVCC-SNAP-5: a page is a few seeks, and bounded in bytes, in its rows, and in those that it looks at', () => {
  it.each(Object.entries(pageStatements))('%s', (_, statement) => {
    const { sql } = opened();
    const bindings = statement.includes('?4') ? [1, 2, 3, 4] : [Uint8Array.of(1), 2, 3];
    const plan = sql.all(`EXPLAIN QUERY PLAN ${statement}`, ...bindings).map((row) => String(row[3]));
    expect(plan.filter((step) => /SCAN|TEMP B-TREE/.test(step))).toEqual([]);
    expect(plan.filter((step) => step.startsWith('SEARCH'))).toHaveLength(statement.includes('UNION') ? 2 : 1);
  });

  it('has the rows that fit, and one at least', () => {
    const source = opened();
    const sizes = [1, 100, 700, 5_000];
    for (let n = 0; n < 40; n++) source.put(`k${n}`, new Uint8Array(sizes[n % 4] ?? 0));
    const { name } = openSnapshot(source.sql, source.store);
    for (const bytesMax of [1, 700, 1_500, 20_000]) {
      let rows = 0;
      for (const { page } of pagesOf(source.sql, name, bytesMax)) {
        const records = [...readPage(page).records].filter(({ kind }) => kind === 'version' || kind === 'batch');
        rows += records.length;
        if (records.length > 1) expect(page.byteLength).toBeLessThan(bytesMax + pageFrameBytesMax);
        else expect(page.byteLength).toBeLessThan(5_000 + pageFrameBytesMax);
      }
      expect(rows).toBe(80);
    }
  });

  it.each([
    [snapshotPartRowsMax, [snapshotPartRowsMax, 1]],
    [snapshotPartRowsMax + 1, [snapshotPartRowsMax, 2]],
  ])('has snapshotPartRowsMax rows and not one more: of %i', (rows, expected) => {
    const source = opened();
    source.batch(Array.from({ length: rows }, (_, n) => put(`k${n}`)));
    const { name } = openSnapshot(source.sql, source.store);
    const counts = Array.from(pagesOf(source.sql, name, 1_000_000), ({ page }) => {
      return [...readPage(page).records].filter(({ kind }) => kind === 'version' || kind === 'batch').length;
    });
    expect(counts).toEqual(expected);
  });

  it.each([
    [snapshotRowsScannedMax - 1, ['version', 'columns', 'batch', 'end']],
    [snapshotRowsScannedMax, ['version', 'end']],
    [snapshotRowsScannedMax + 1, ['end']],
  ])('looks at snapshotRowsScannedMax rows and not at one more: of %i', (rows, expected) => {
    const source = opened();
    source.put('z');
    const { name } = openSnapshot(source.sql, source.store);
    source.batch(Array.from({ length: rows - 1 }, (_, n) => put(`k${String(n).padStart(6, '0')}`)));
    const kinds: string[][] = [];
    for (const { page } of pagesOf(source.sql, name, 1_000))
      kinds.push([...readPage(page).records].map(({ kind }) => kind));
    expect(kinds[0]).toEqual(expected);
    expect(kinds.flat().filter((kind) => kind !== 'end')).toEqual(['version', 'columns', 'batch']);
  });

  it('a head of many rows has parts of snapshotHeadPartBytes at most, as full as they can be', () => {
    const source = opened();
    source.sql.run(`INSERT INTO leases SELECT CAST(value + 1000000000000000000 AS TEXT), 60, 1700000000000 + value
      FROM (WITH RECURSIVE n(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n WHERE value < 100000) SELECT * FROM n)`);
    const { name, head } = openSnapshot(source.sql, source.store);
    expect(head.length).toBeGreaterThan(2);
    for (const [place, part] of head.entries()) {
      expect(part.byteLength).toBeLessThanOrEqual(snapshotHeadPartBytes);
      if (place < head.length - 1) expect(part.byteLength).toBeGreaterThan(snapshotHeadPartBytes - 200);
    }
    const sql = new NodeSql();
    new SnapshotSink(sql).begin(name, head);
    expect(sql.all('SELECT COUNT(*) FROM incoming_leases')).toEqual([[100_000]]);
  });

  it('what is no cursor is malformed', () => {
    const source = opened();
    source.put('a');
    const { name } = openSnapshot(source.sql, source.store);
    for (const cursor of [new Uint8Array(0), Uint8Array.of(2), Uint8Array.of(0, 9, 1), Uint8Array.of(1, 0, 0, 0, 0)]) {
      expect(() => snapshotPage(source.sql, name, cursor, 100)).toThrow(MalformedBytesError);
    }
  });
});
