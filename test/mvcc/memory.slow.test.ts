// The memory that a large store takes, and what its format promises.

import { PassingSql } from '../support/passing-sql.ts';
import { beforeAll, describe, expect, it } from 'vitest';
import { logIndex } from '../../src/model/brands.ts';
import { type Command, sortOrder, sortTarget } from '../../src/model/store.ts';
import type { SqlPort, SqlRow } from '../../src/base/sql-port.ts';
import { schemaFormat, UnknownStoreFormat } from '../../src/mvcc/schema.ts';
import { Store } from '../../src/mvcc/store.ts';
import { heldBytes } from '../support/held-bytes.ts';
import { NodeSql } from '../support/node-sql.ts';
import { everything, Fed, keyRange, put, range, remove, service } from './requests.ts';

const keyCount = 200_000;
const pageSize = 1_000;
const boundBytes = 32 * 1_048_576;

/** Measures the memory while rows pass by. */
class MeasuredSql extends PassingSql {
  most = 0;
  samples = 0;

  override *iterate(...call: Parameters<SqlPort['iterate']>): IterableIterator<SqlRow> {
    let passed = 0;
    for (const row of super.iterate(...call)) {
      yield row;
      if (++passed % 10_000 !== 0) continue;
      this.most = Math.max(this.most, heldBytes());
      this.samples++;
    }
  }
}

describe('a store of 200,000 keys of 1 KB', () => {
  const fed = new Fed(new NodeSql());

  beforeAll(() => {
    const value = new Uint8Array(1_024).fill(0x76);
    for (let first = 0; first < keyCount; first += 2_000) {
      const commands = Array.from({ length: 2_000 }, (_, n): Command => {
        const key = `k/${String(first + n).padStart(9, '0')}`;
        return { writeId: key, caller: service, atMs: 1, operation: put(key, value) };
      });
      fed.sql.transaction(() => fed.store.apply(logIndex(++fed.index), commands));
    }
    fed.put('k/000000000', 'changed');
    fed.remove('k/000000001');
  }, 120_000);

  for (const [name, revision] of [
    ['the head', 0],
    ['an old revision', keyCount + 1],
  ] as const) {
    it(`MVCC-MEMORY-1: ${name} is read in pages within 32 MB, and the pages cost the same at the end`, () => {
      const before = heldBytes();
      let most = 0;
      let from = 'k/';
      let seen = 0;
      for (let page = 0; ; page++) {
        const answer = fed.range(keyRange(from, 'k0'), { limit: pageSize, revision });
        seen += answer.kvs.length;
        if (page % 20 === 0) most = Math.max(most, heldBytes() - before);
        if (!answer.more) break;
        from = `${Buffer.from(answer.kvs.at(-1)?.key ?? '').toString()}\0`;
      }
      expect(seen).toBe(revision === 0 ? keyCount - 1 : keyCount);
      expect(most).toBeLessThan(boundBytes);
    });
  }

  it('MVCC-MEMORY-2: a read that passes all pairs by keeps no more than it answers', () => {
    const before = heldBytes();
    const sql = new MeasuredSql(fed.sql);
    const store = new Store(sql);
    const result = store.range(
      range(everything, { sortTarget: sortTarget.mod, sortOrder: sortOrder.descend, limit: 10 }),
    );
    expect(result.kind === 'answer' && result.answer.kvs).toHaveLength(10);
    expect(sql.samples).toBeGreaterThan(10);
    expect(sql.most - before).toBeLessThan(boundBytes);
    // All pairs together are too much for one answer, so the read stops there.
    expect(store.range(range(everything, { sortTarget: sortTarget.mod })).kind).toBe('failed');
    expect(sql.most - before).toBeLessThan(2 * boundBytes);
  });

  it('MVCC-MEMORY-3: deleting 200,000 keys at once holds less than 40 MB, and its history tells each key', () => {
    fed.reopen();
    fed.put('last');
    const before = heldBytes();
    const outcome = fed.do(remove(everything));
    expect(outcome).toMatchObject({ kind: 'deleteRange', answer: { deleted: keyCount } });
    const held = heldBytes() - before;
    // There are 200,000 events; their values would take 200 MB.
    expect(held).toBeLessThan(40 * 1_048_576);
    const events = fed.events.at(-1)?.events ?? [];
    expect(events).toHaveLength(keyCount);
    expect(events.at(-2)?.previous?.value.byteLength).toBe(1_024);
    fed.events.length = 0;
    const piece = fed.history(fed.store.revision);
    expect(piece.kind === 'events' && piece.revisions[0]?.events.length).toBe(keyCount);
    expect(piece.kind === 'events' && piece.revisions[0]?.events.at(-2)?.previous?.value.byteLength).toBe(1_024);
  });
});

it('MVCC-FORMAT-1: a store of a newer format is not opened', () => {
  const sql = new NodeSql();
  expect(new Store(sql).revision).toBe(1);
  sql.run("UPDATE mvcc_meta SET value = ? WHERE name = 'format'", schemaFormat + 1);
  expect(() => new Store(sql)).toThrow(UnknownStoreFormat);
});
