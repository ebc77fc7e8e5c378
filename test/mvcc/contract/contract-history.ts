// Rules of the store: compaction, history, retries.

import { expect } from 'vitest';
import { logIndex } from '../../../src/model/brands.ts';
import {
  batchPartBytesMax,
  historyScanBytesMax,
  keyBytesMax,
  rememberedAnswerBytesMax,
  rememberedWritesMax,
} from '../../../src/limits.ts';
import type { Caller, Command, Operation, Outcome } from '../../../src/model/store.ts';
import { inlineValueBytesMax } from '../../../src/mvcc/schema.ts';
import { rule, type StoreRule } from './contract.ts';
import {
  bytes,
  compact,
  everything,
  type Fed,
  grant,
  keyRange,
  prefix,
  put,
  read,
  remove,
  service,
  shown,
  shownEvents,
  txn,
  versionIs,
} from '../requests.ts';

/** a: put at 2, 4, deleted at 6. b: put at 3, 5. c: put at 7. */
function some(fed: Fed): void {
  for (const key of ['a', 'b', 'a', 'b']) fed.put(key, String(fed.store.revision + 1));
  fed.remove('a');
  fed.put('c', '7');
}

function shownHistory(fed: Fed, from: number): string[] {
  const piece = fed.history(from);
  if (piece.kind === 'compacted') throw new Error('the history is compacted');
  expect(piece.through).toBe(fed.store.revision);
  return shownEvents(piece.revisions);
}

function rowsOf(fed: Fed, table: 'superseded' | 'large_values' | 'batches'): number {
  return Number(fed.sql.all(`SELECT COUNT(*) FROM ${table}`)[0]?.[0]);
}

function again(fed: Fed, writeId: string, operation: Operation, caller: Caller = service): Outcome {
  const [outcome] = fed.commands([{ writeId, caller, atMs: 1, operation }]);
  if (outcome === undefined) throw new Error('a command has an outcome');
  return outcome;
}

export const historyRules: readonly StoreRule[] = [
  rule('MVCC-HISTORY-6: a revision of any number of keys is told whole', (fed) => {
    for (const count of [1, 63, 64, 65, 200]) {
      fed.batch(Array.from({ length: count }, (_, n) => put(`k${n}`)));
      fed.remove(prefix('k'));
      const published = fed.events.at(-1);
      expect(published?.events).toHaveLength(count);
      expect(fed.history(fed.store.revision)).toMatchObject({ revisions: [published] });
      expect(fed.history(fed.store.revision, { ranges: [keyRange('k0')] })).toMatchObject({
        revisions: [{ events: [{ kv: { key: bytes('k0') } }] }],
      });
    }
  }),
  rule(
    'MVCC-COMPACT-1: at or below the compacted revision, and above the current one, is refused; 0 works once',
    (fed) => {
      expect(fed.fails(compact(-1))).toEqual({ kind: 'compacted', compactedRevision: -1 });
      expect(fed.do(compact(0))).toEqual({ kind: 'compact', revision: 1 });
      expect(fed.fails(compact(0))).toEqual({ kind: 'compacted', compactedRevision: 0 });
      some(fed);
      expect(fed.fails(compact(8))).toEqual({ kind: 'futureRevision', revision: 7 });
      expect(fed.fails(compact(7))).toBeNull();
      expect(fed.store).toMatchObject({ revision: 7, compactedRevision: 7 });
    },
  ),
  rule(
    'MVCC-COMPACT-2: reading below the compacted revision is refused, at it and above it answers as before',
    (fed) => {
      some(fed);
      const before = [5, 6, 7].map((revision) => shown(fed.range(everything, { revision }).kvs));
      fed.do(compact(5));
      for (const swept of [false, true]) {
        if (swept) fed.sweep(1);
        expect(fed.rangeFails('a', { revision: 4 })).toEqual({ kind: 'compacted', compactedRevision: 5 });
        expect([5, 6, 7].map((revision) => shown(fed.range(everything, { revision }).kvs))).toEqual(before);
        expect(fed.range(everything, { revision: 5, countOnly: true }).count).toBe(2);
      }
      fed.reopen();
      expect(fed.store.compactedRevision).toBe(5);
      expect(shown(fed.range('a', { revision: 5 }).kvs)).toEqual(['a=4@4']);
    },
  ),
  rule('MVCC-COMPACT-3: rows go in small steps, over restarts, and only what no answer needs', (fed) => {
    for (let round = 0; round < 10; round++) {
      for (const key of ['a', 'b', 'c']) fed.put(key, new Uint8Array(inlineValueBytesMax + 1).fill(round));
    }
    expect([rowsOf(fed, 'superseded'), rowsOf(fed, 'large_values')]).toEqual([27, 30]);
    expect(fed.store.compactStep(4)).toBe(false);
    fed.do(compact(fed.store.revision - 1));
    let steps = 0;
    for (; fed.store.compactStep(4); steps++) fed.reopen();
    expect(steps).toBeGreaterThan(6);
    // At the compacted revision, c still has its last value but one.
    expect([rowsOf(fed, 'superseded'), rowsOf(fed, 'large_values')]).toEqual([1, 4]);
    fed.do(compact(fed.store.revision));
    fed.sweep();
    expect([rowsOf(fed, 'superseded'), rowsOf(fed, 'large_values')]).toEqual([0, 3]);
    expect([...fed.range(everything).kvs].every((pair) => pair.value.byteLength === inlineValueBytesMax + 1)).toBe(
      true,
    );
  }),
  rule('MVCC-COMPACT-4: a compaction while rows still go has a pass of its own after it', (fed) => {
    for (let round = 0; round < 10; round++) fed.put('k', String(round));
    fed.do(compact(3));
    expect(fed.store.compactStep(2)).toBe(true);
    fed.do(compact(11));
    expect(fed.store.compactStep(100)).toBe(true);
    expect(rowsOf(fed, 'superseded')).toBe(8);
    fed.sweep(2);
    expect(rowsOf(fed, 'superseded')).toBe(0);
    expect(shown(fed.range('k', { revision: 11 }).kvs)).toEqual(['k=9@11']);
  }),
  rule('MVCC-COMPACT-6: what a reader of the whole store needs stays until it lets go, and all else goes', (fed) => {
    for (let round = 0; round < 10; round++) fed.put('k', String(round));
    fed.do(compact(4));
    const release = fed.store.holdHistory();
    const later = fed.store.holdHistory();
    expect(fed.store.holdsHistory).toBe(true);
    for (let round = 0; round < 10; round++) fed.put('k', String(round));
    fed.do(compact(21));
    fed.sweep(2);
    // The versions of revisions 4 to 11 stay. Those before and after are deleted.
    expect(fed.sql.all('SELECT count(*), min(mod), max(mod) FROM superseded')).toEqual([[8, 4, 11]]);
    later();
    fed.sweep();
    expect(rowsOf(fed, 'superseded')).toBe(8);
    release();
    release();
    expect(fed.store.holdsHistory).toBe(false);
    fed.sweep();
    expect(rowsOf(fed, 'superseded')).toBe(0);
  }),
  rule('MVCC-COMPACT-6: it may come while a pass is under way', (fed) => {
    for (let round = 0; round < 10; round++) fed.put('k', String(round));
    fed.do(compact(6));
    expect(fed.store.compactStep(2)).toBe(true);
    const release = fed.store.holdHistory();
    fed.do(compact(11));
    fed.sweep();
    expect(rowsOf(fed, 'superseded')).toBe(5);
    release();
    fed.sweep();
    expect(rowsOf(fed, 'superseded')).toBe(0);
  }),
  rule('MVCC-HISTORY-1: history repeats what was published, whole revisions in order, also after a restart', (fed) => {
    some(fed);
    fed.batch([put('d', '8'), remove('none'), put('e', '9'), remove(everything)]);
    fed.do(txn({ success: [put('x', '1'), put('y', '2'), remove('none')] }));
    const live = shownEvents(fed.events);
    expect(shownHistory(fed, 1)).toEqual(live);
    expect(shownHistory(fed, 9)).toEqual(live.slice(7));
    fed.reopen();
    expect(shownHistory(fed, 2)).toEqual(live);
    expect(fed.history(100)).toMatchObject({ kind: 'events', revisions: [] });
  }),
  rule(
    'MVCC-HISTORY-2: from below the compacted revision is refused; at it the revision is whole, its previous pairs gone',
    (fed) => {
      some(fed);
      fed.do(txn({ success: [put('a', '8'), put('b', '8')] }));
      fed.do(txn({ success: [put('a', '9'), remove(keyRange('b', '\0'))] }));
      const live = shownEvents(fed.events);
      fed.do(compact(6));
      for (const swept of [false, true]) {
        if (swept) fed.sweep();
        expect(fed.history(5)).toEqual({ kind: 'compacted', compactedRevision: 6 });
        expect(shownHistory(fed, 6)).toEqual(['6: delete a', ...live.slice(5)]);
      }
      fed.do(compact(9));
      fed.sweep();
      expect(shownHistory(fed, 9)).toEqual(['9: put a=9@9, delete b, delete c']);
    },
  ),
  rule('MVCC-HISTORY-3: a put and a delete of one key in the compacted revision itself are both still told', (fed) => {
    fed.do(txn({ success: [put('k', 'short'), remove(keyRange('a', '\0'))] }));
    for (const key of ['l', 'k', 'm', 'k', 'l']) fed.put(key);
    const live = shownEvents(fed.events);
    expect(live[0]).toBe('2: put k=short@2, delete k');
    fed.do(compact(2));
    fed.sweep(1);
    expect(shownHistory(fed, 2)).toEqual(live);
    // The same holds if its row is the last that is looked at.
    fed.do(txn({ success: [put('z', 'short'), remove(keyRange('y', '\0'))] }));
    const last = fed.store.revision;
    fed.do(compact(last));
    fed.sweep();
    expect(shownHistory(fed, last)).toEqual([`${last}: put z=short@${last}, delete z`]);
  }),
  rule('MVCC-HISTORY-4: a piece ends at about its bytes, and never within a revision', (fed) => {
    for (let n = 0; n < 6; n++) fed.batch([put(`a${n}`), txn({ success: [put(`b${n}`), put(`c${n}`)] })]);
    const seen: string[] = [];
    for (let from = 1; from <= fed.store.revision;) {
      const piece = fed.history(from, { bytesMax: 150 });
      if (piece.kind === 'compacted') throw new Error('nothing was compacted');
      expect(piece.revisions.length).toBeGreaterThan(0);
      expect(piece.revisions.length).toBeLessThan(5);
      seen.push(...shownEvents(piece.revisions));
      from = piece.through + 1;
    }
    expect(seen).toEqual(shownEvents(fed.events));
  }),
  rule('MVCC-HISTORY-5: only events in the ranges asked for; revisions without one are passed over', (fed) => {
    some(fed);
    fed.do(txn({ success: [put('a', '8'), put('z', '8')] }));
    const piece = fed.history(1, { ranges: [keyRange('a'), prefix('c')] });
    expect(piece).toMatchObject({ kind: 'events', through: 8 });
    expect(piece.kind === 'events' && piece.revisions.map((made) => made.revision)).toEqual([2, 4, 6, 7, 8]);
    expect(piece.kind === 'events' && piece.revisions.at(-1)?.events).toHaveLength(1);
  }),
  rule('MVCC-RETRY-1: a write with the id of an earlier one is answered as that one was, and not applied', (fed) => {
    const first = again(fed, 'one', put('k', 'v', { previous: true }));
    const update = again(fed, 'two', put('k', 'w', { previous: true }));
    const swap = txn({
      compare: [versionIs('k', 2)],
      success: [put('k', 'x'), read('k'), remove('none', true)],
      failure: [read('k')],
    });
    const swapped = again(fed, 'three', swap);
    const deleted = again(fed, 'four', remove('k', true));
    const compacted = again(fed, 'five', compact(3));
    const revision = fed.store.revision;
    for (const restarted of [false, true]) {
      if (restarted) fed.reopen();
      expect(again(fed, 'one', put('k', 'v', { previous: true }))).toEqual(first);
      expect(again(fed, 'two', put('k', 'w', { previous: true }))).toEqual(update);
      expect(again(fed, 'three', swap)).toEqual(swapped);
      expect(again(fed, 'four', remove('k', true))).toEqual(deleted);
      expect(again(fed, 'five', compact(3))).toEqual(compacted);
    }
    expect(fed.store.revision).toBe(revision);
    expect(fed.events).toHaveLength(4);
  }),
  rule('MVCC-RETRY-2: a retry is also known within one entry; an id counts for its caller only', (fed) => {
    const command: Command = { writeId: 'same', caller: service, atMs: 1, operation: put('k') };
    const outcomes = fed.commands([command, command]);
    expect(outcomes[1]).toEqual(outcomes[0]);
    expect(fed.store.revision).toBe(2);
    // Two puts have one id, so the second key was never written.
    const otherKey = { ...command, writeId: 'twice' };
    const twice = fed.commands([
      { ...otherKey, operation: put('x') },
      { ...otherKey, operation: put('y') },
    ]);
    expect(twice).toMatchObject([{ revision: 3 }, { revision: 3 }]);
    expect(fed.range('y').count).toBe(0);
    const mixed = [put('l'), put('m'), compact(9), put('n'), put('l')].map((operation, n): Command => {
      return { writeId: `m${n % 4}`, caller: service, atMs: 1, operation };
    });
    // The fifth write has the id of the first. The failure between them shows the revision that the puts before it
    // made.
    expect(fed.commands(mixed)).toMatchObject([
      { revision: 4 },
      { revision: 5 },
      { kind: 'failed', revision: 5 },
      { revision: 6 },
      { revision: 4 },
    ]);
    fed.do({
      kind: 'createAccessKey',
      accessKey: { id: 'me', role: 'write', prefix: new Uint8Array(0), expiresAtMs: null, createdAtMs: 1, name: '' },
    });
    again(fed, 'same', put('k'), { kind: 'accessKey', id: 'me' });
    expect(fed.range('k').kvs).toMatchObject([{ version: 2 }]);
  }),
  rule('MVCC-RETRY-3: a write that changed nothing is not run again either', (fed) => {
    const create = txn({ compare: [versionIs('k', 0)], success: [put('k', 'created')], failure: [read('k')] });
    const failing: readonly Operation[] = [put('none', '', { ignoreValue: true }), compact(1_000), put('')];
    fed.put('k', 'there');
    const created = again(fed, 'create', create);
    expect(created).toMatchObject({ revision: 2, answer: { succeeded: false } });
    const removed = again(fed, 'remove', remove('none', true));
    expect(removed).toMatchObject({ revision: 2, answer: { deleted: 0 } });
    const failed = failing.map((operation, place) => again(fed, `failing${place}`, operation));
    expect(failed).toMatchObject([
      { failure: { kind: 'keyNotFound' } },
      { failure: { kind: 'futureRevision', revision: 2 } },
      { failure: { kind: 'keyNotProvided' } },
    ]);
    fed.remove('k');
    fed.put('none');
    for (const restarted of [false, true]) {
      if (restarted) fed.reopen();
      expect(again(fed, 'create', create)).toEqual(created);
      expect(again(fed, 'remove', remove('none', true))).toEqual(removed);
      expect(failing.map((operation, place) => again(fed, `failing${place}`, operation))).toEqual(failed);
    }
    expect(fed.store.revision).toBe(4);
  }),
  rule('MVCC-RETRY-4: an answer of rememberedAnswerBytesMax is kept, of a larger one only that it was given', (fed) => {
    // Beside the value the answer holds its kind, its revision, the key and the numbers of the pair.
    const fitting = rememberedAnswerBytesMax - 10;
    for (const [size, kind] of [
      [fitting, 'put'],
      [fitting + 1, 'appliedBefore'],
    ] as const) {
      fed.put('k', new Uint8Array(size));
      const outcome = again(fed, `w${size}`, put('k', 'v', { previous: true }));
      expect(outcome.kind).toBe('put');
      const retry = again(fed, `w${size}`, put('k', 'v', { previous: true }));
      expect(retry).toEqual(kind === 'put' ? outcome : { kind, revision: outcome.revision });
    }
  }),
  rule('MVCC-RETRY-6: an id that is used for a request of another form is answered so, and nothing is done', (fed) => {
    const first = again(fed, 'id', put('k', 'v'));
    const others: readonly Operation[] = [
      remove('k', true),
      compact(2),
      txn({ success: [put('k', 'w')] }),
      grant(0),
      { kind: 'roleAdd', name: 'r' },
    ];
    for (const restarted of [false, true]) {
      if (restarted) fed.reopen();
      for (const operation of others) {
        expect(again(fed, 'id', operation)).toMatchObject({ failure: { kind: 'idempotencyKeyReused' } });
      }
      expect(again(fed, 'id', put('k', 'v'))).toEqual(first);
    }
    const swap = txn({ compare: [versionIs('k', 1)], success: [put('k', 'w'), read('k')], failure: [read('k')] });
    const swapped = again(fed, 'swap', swap);
    expect(swapped).toMatchObject({ kind: 'txn', answer: { succeeded: true } });
    const inner = txn({
      success: [put('k', 'x'), { kind: 'txn', request: { compare: [], success: [], failure: [] } }],
    });
    for (const operation of [txn({ success: [put('k', 'x')] }), txn({ success: [read('k'), put('k', 'x')] }), inner]) {
      expect(again(fed, 'swap', operation)).toMatchObject({ failure: { kind: 'idempotencyKeyReused' } });
    }
    expect(again(fed, 'swap', swap)).toEqual(swapped);
    expect(fed.store.revision).toBe(3);
  }),
  rule(
    'MVCC-RETRY-5: the last rememberedWritesMax writes are remembered, one more is not; rows beyond go once compacted',
    (fed) => {
      again(fed, 'oldest', put('k', 'first'));
      const fill = (count: number, name: string): void => {
        for (let from = 0; from < count; from += 1_000) {
          const commands: Command[] = [];
          for (let n = from; n < Math.min(from + 1_000, count); n++) {
            commands.push({ writeId: `${name}${n}`, caller: service, atMs: 1, operation: put('k', 'v') });
          }
          fed.commands(commands);
        }
      };
      fill(rememberedWritesMax - 1, 'a');
      const revision = fed.store.revision;
      fed.reopen();
      expect(again(fed, 'oldest', put('k', 'first'))).toMatchObject({ kind: 'put', revision: 2 });
      fed.do(compact(revision));
      fed.sweep();
      // The compaction is a write as well, so the oldest write is not remembered any more, and its row is deleted.
      expect(again(fed, 'a0', put('k', 'v'))).toMatchObject({ revision: 3 });
      expect(again(fed, 'oldest', put('k', 'first'))).toMatchObject({ revision: revision + 1 });
      // Only a part of its entry is remembered, and no more of it after a restart.
      fed.reopen();
      expect(again(fed, 'a5', put('k', 'v'))).toMatchObject({ revision: 8 });
      expect(again(fed, 'a0', put('k', 'v'))).toMatchObject({ revision: revision + 2 });
      const rows = rowsOf(fed, 'batches');
      fill(2_000, 'b');
      fed.do(compact(fed.store.revision));
      fed.sweep(1);
      expect(rowsOf(fed, 'batches')).toBeLessThanOrEqual(rows + 2);
      fed.reopen();
      expect(again(fed, 'b0', put('k', 'v')).revision).toBe(revision + 3);
      expect(again(fed, 'a9', put('k', 'v'))).toMatchObject({ revision: fed.store.revision, kind: 'put' });
      expect(fed.store.revision).toBe(revision + 2_003);
    },
  ),
  rule(
    'MVCC-LIMIT-7: what an entry changed takes several rows beyond batchPartBytesMax, and is read back whole',
    (fed) => {
      const commands = Array.from({ length: 600 }, (_, n): Command => {
        const key = new Uint8Array(keyBytesMax).fill(n % 251);
        key.set([n >> 8, n & 0xff]);
        return { writeId: `large${n}`, caller: service, atMs: 1, operation: put(key, String(n)) };
      });
      expect(600 * keyBytesMax).toBeGreaterThan(batchPartBytesMax);
      // This is done twice, with other ids: rows are read from the newest to the oldest, and both are whole.
      const earlier = commands.map((command) => ({ ...command, writeId: `earlier ${command.writeId}` }));
      const earlierOutcomes = fed.commands(earlier);
      const outcomes = fed.commands(commands);
      expect(rowsOf(fed, 'batches')).toBe(4);
      fed.reopen();
      expect(fed.store).toMatchObject({ revision: 1_201, appliedIndex: 2 });
      // One read of history looks through historyScanBytesMax, and this entry is larger.
      const first = fed.history(602);
      const through = first.kind === 'events' ? first.through : 0;
      expect(through).toBe(Math.ceil(historyScanBytesMax / (keyBytesMax + 2)) + 601);
      const second = fed.history(through + 1);
      expect(second).toMatchObject({ kind: 'events', through: 1_201 });
      const told = [first, second].flatMap((piece) => (piece.kind === 'events' ? piece.revisions : []));
      expect(told).toEqual(fed.events.slice(600));
      expect(fed.commands(commands)).toEqual(outcomes);
      expect(fed.commands(earlier)).toEqual(earlierOutcomes);
      fed.reopen();
      expect(fed.commands(commands)).toEqual(outcomes);
      expect(fed.store.revision).toBe(1_201);
    },
  ),
  rule('MVCC-APPLY-1: entries are applied in order and once; an empty one leaves no row', (fed) => {
    fed.put('k');
    fed.store.skip(logIndex(2));
    expect(fed.store.appliedIndex).toBe(2);
    expect(() => fed.store.skip(logIndex(2))).toThrow('each once');
    fed.flush();
    expect(() => fed.store.apply(logIndex(1), [])).toThrow('each once');
  }),
];
