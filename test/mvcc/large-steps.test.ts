// Work over a whole store goes in steps that are bounded in rows and in bytes, so that a large store keeps nobody
// waiting.

import { expect, it } from 'vitest';
import { replicaId, term } from '../../src/model/brands.ts';
import { clearingStepBytes, clearingStepRows, compactionStepBytes } from '../../src/limits.ts';
import { openSnapshot } from '../../src/mvcc/snapshot/snapshot-source.ts';
import { SnapshotSink } from '../../src/mvcc/snapshot/snapshot-sink.ts';
import type { Query } from '../../src/model/queries.ts';
import { foundingConfiguration, encodeConfiguration } from '../../src/raft/configuration.ts';
import { SnapshotReceiver } from '../../src/driver/snapshot-receiver.ts';
import { NodeSql } from '../support/node-sql.ts';
import { compact, Fed, keyRange, put, remove, service } from './requests.ts';
import { incomingRows, openedAt, pagesOf } from './snapshot/snapshot-transfer.ts';

const valueBytes = 1_000_000;

function filled(keys: number): Fed {
  const fed = new Fed(new NodeSql());
  for (let key = 0; key < keys; key++) fed.put(`k/${key}`, new Uint8Array(valueBytes).fill(key));
  return fed;
}

function largeValues({ sql }: { readonly sql: NodeSql | Fed['sql'] }, prefix = ''): number {
  return Number(sql.all(`SELECT COUNT(*) FROM ${prefix}large_values`)[0]?.[0]);
}

it('MVCC-COMPACT-5: a step frees no more bytes of large values than its bound, and one value', () => {
  const fed = filled(40);
  fed.do(remove(keyRange('k/', 'k0')));
  fed.do(compact(fed.store.revision));
  const freed: number[] = [];
  for (let before = largeValues(fed); fed.store.compactStep(500); before = largeValues(fed)) {
    freed.push(before - largeValues(fed));
  }
  expect(largeValues(fed)).toBe(0);
  expect(Math.max(...freed)).toBe(Math.ceil(compactionStepBytes / valueBytes));
});

it.each<Query & { readonly kind: 'hash' | 'hashKv' }>([{ kind: 'hash' }, { kind: 'hashKv', revision: 0 }])(
  'MVCC-HASH-11: in steps, a $kind is that of its first one, whatever is written, compacted and swept between them',
  (query) => {
    const fed = filled(20);
    fed.do(compact(8));
    const expected = fed.store.query(query, service, 0);
    const release = fed.store.holdHistory();
    const steps = fed.store.queryInSteps(query, service, 0);
    let count = 0;
    for (;;) {
      const step = steps.next();
      if (step.done === true) {
        expect(step.value).toEqual(expected);
        release();
        break;
      }
      count++;
      fed.batch([put(`k/${count}`, 'changed'), put('k/new', String(count)), remove('k/11'), put('k/11', 'again')]);
      fed.do(compact(fed.store.revision));
      fed.sweep();
    }
    // Each step frees one value or two.
    expect(count).toBeGreaterThanOrEqual(10);
    expect(fed.store.query(query, service, 0)).not.toEqual(expected);
  },
);

it('MVCC-SNAP-9: the store that a snapshot took the place of goes in steps that are bounded, over restarts', () => {
  const source = new Fed(new NodeSql());
  source.put('k', 'v');
  const before = filled(30);
  before.batch(Array.from({ length: 5_000 }, (_, n) => put(`small/${n}`)));
  const { sql } = before;
  if (!(sql instanceof NodeSql)) throw new TypeError('it is on Node');
  const { name, head } = openSnapshot(source.sql, source.store);
  const sink = new SnapshotSink(sql);
  sink.begin(name, head);
  for (const { page, next } of pagesOf(source.sql, name, 500)) sink.write(page, next);
  sink.finish();
  const removed: { readonly rows: number; readonly values: number }[] = [];
  for (;;) {
    const [rowsBefore, valuesBefore] = [incomingRows(sql) ?? 0, largeValues({ sql }, 'incoming_')];
    if (!new SnapshotSink(sql).clearStep()) break;
    removed.push({
      rows: rowsBefore - (incomingRows(sql) ?? 0),
      values: valuesBefore - largeValues({ sql }, 'incoming_'),
    });
  }
  expect(incomingRows(sql)).toBe(0);
  expect(Math.max(...removed.map((step) => step.rows))).toBe(clearingStepRows);
  expect(Math.max(...removed.map((step) => step.values))).toBe(Math.ceil(clearingStepBytes / valueBytes));
  expect(openedAt(sql, name).store.sizes().keys).toBe(1);
});

it('MVCC-SNAP-10: a receiver asks for the next snapshot once what is left of the last one is gone', () => {
  const source = filled(20);
  const sql = new NodeSql();
  const { name, head } = openSnapshot(source.sql, source.store);
  const sink = new SnapshotSink(sql);
  sink.begin(name, head);
  for (const { page, next } of pagesOf(source.sql, name, 1_048_576)) sink.write(page, next);
  sink.abandon();
  const [leader, own] = [replicaId(1), replicaId(2)];
  const receiver = new SnapshotReceiver(own, sql);
  expect(receiver.begin(leader)).toBeNull();
  expect(receiver.isClearing).toBe(true);
  const part = {
    kind: 'snapshotPart',
    from: leader,
    to: own,
    name,
    term: term(1),
    configuration: encodeConfiguration(foundingConfiguration([{ id: leader, location: '' }])),
    point: { kind: 'head', part: 0 },
    bytes: head[0] ?? new Uint8Array(),
    next: { kind: 'rows', after: null },
  } as const;
  expect(receiver.receive(part)).toEqual({ kind: 'nothing' });
  let ticks = 1;
  let ask = receiver.tick(leader);
  for (; ask === null; ask = receiver.tick(leader)) ticks++;
  expect(ticks).toBeGreaterThan(2);
  expect([ask.point, incomingRows(sql)]).toEqual([{ kind: 'head', part: 0 }, 0]);
  expect(receiver.receive(part)).toMatchObject({ kind: 'ask', ask: { name, point: { kind: 'rows', after: null } } });
});
