// A snapshot of a store that is larger than an isolate's memory.

import { beforeAll, describe, expect, it } from 'vitest';
import { logIndex } from '../../../src/model/brands.ts';
import type { Command } from '../../../src/model/store.ts';
import { openSnapshot, snapshotPage } from '../../../src/mvcc/snapshot/snapshot-source.ts';
import { SnapshotSink } from '../../../src/mvcc/snapshot/snapshot-sink.ts';
import { heldBytes } from '../../support/held-bytes.ts';
import { NodeSql } from '../../support/node-sql.ts';
import { Fed, put, service } from '../requests.ts';
import { openedAt } from './snapshot-transfer.ts';

const keyCount = 150_000;
const pageBytes = 1_048_576;
const boundBytes = 16 * 1_048_576;

describe('MVCC-SNAP-7: a snapshot takes some pages of memory on both sides, however large the store and its head are', () => {
  const fed = new Fed(new NodeSql());

  beforeAll(() => {
    const value = new Uint8Array(1_024).fill(0x76);
    for (let first = 0; first < keyCount; first += 2_000) {
      const commands = Array.from({ length: 2_000 }, (_, n): Command => {
        // Every third row is a version that was overwritten.
        const key = `k/${String((first + n) % ((keyCount * 2) / 3)).padStart(9, '0')}`;
        return { writeId: `${first + n}`, caller: service, atMs: 1, operation: put(key, value) };
      });
      fed.sql.transaction(() => fed.store.apply(logIndex(++fed.index), commands));
    }
    fed.reopen();
  });

  it('150,000 versions of 1 KB, and one of 1.5 MB', () => {
    fed.sql.transaction(() => fed.put('k/', new Uint8Array(1_500_000)));
    expect(fed.sql.databaseBytes()).toBeGreaterThan(150_000_000);
    const sql = new NodeSql();
    const { name, head } = openSnapshot(fed.sql, fed.store);
    const sink = new SnapshotSink(sql);
    sink.begin(name, head);
    const before = heldBytes();
    let most = 0;
    let pages = 0;
    let cursor: Uint8Array | null = null;
    do {
      const { page, next } = snapshotPage(fed.sql, name, cursor, pageBytes);
      sink.write(page, next);
      if (pages++ % 20 === 0) most = Math.max(most, heldBytes() - before);
      cursor = next;
    } while (cursor !== null);
    expect(pages).toBeGreaterThan(150);
    expect(most).toBeLessThan(boundBytes);
    sink.finish();
    const copy = openedAt(sql, name);
    expect(copy.ask<'hash'>({ kind: 'hash' })).toEqual(fed.ask<'hash'>({ kind: 'hash' }));
    expect(copy.store.sizes().keys).toBe((keyCount * 2) / 3 + 1);
  });

  it('a head of 500,000 leases is held once, in parts, and written row by row', () => {
    const source = new Fed(new NodeSql());
    source.sql.run(`INSERT INTO leases SELECT CAST(value + 1000000000000000000 AS TEXT), 60, 1700000000000 + value
      FROM (WITH RECURSIVE n(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM n WHERE value < 500000) SELECT * FROM n)`);
    const before = heldBytes();
    const { name, head } = openSnapshot(source.sql, source.store);
    const headBytes = head.reduce((sum, part) => sum + part.byteLength, 0);
    expect(headBytes).toBeGreaterThan(15_000_000);
    expect(heldBytes() - before).toBeLessThan(2 * headBytes);
    const sql = new MeasuredRuns();
    new SnapshotSink(sql).begin(name, head);
    expect(sql.samples).toBeGreaterThan(10);
    expect(sql.most - before).toBeLessThan(2 * headBytes + boundBytes);
    expect(sql.all('SELECT COUNT(*) FROM incoming_leases')).toEqual([[500_000]]);
  });
});

/** Measures the memory while rows are written. */
class MeasuredRuns extends NodeSql {
  most = 0;
  samples = 0;
  #runs = 0;

  override run(...call: Parameters<NodeSql['run']>): void {
    super.run(...call);
    if (++this.#runs % 1_000 !== 0) return;
    this.most = Math.max(this.most, heldBytes());
    this.samples++;
  }
}
