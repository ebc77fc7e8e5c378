// Deletes of very many keys go in steps. They leave what a delete at once leaves, and before the last step everything
// is as before.

import { describe, expect, it } from 'vitest';
import { leaseId, logIndex, revision } from '../../src/model/brands.ts';
import { emptyBytes, textOf } from '../../src/base/bytes.ts';
import {
  deleteMeasureFactor,
  deleteStepKeyBytes,
  previousKeptBytesMax,
  rangeAnswerBytesMax,
  historySliceKeysMax,
  watchEventsBytesMax,
} from '../../src/limits.ts';
import { groupLevel } from '../../src/model/levels.ts';
import type { Command, KeyRange, Operation, RevisionEvents } from '../../src/model/store.ts';
import { combinedCrc32, crc32 } from '../../src/mvcc/hash/checksum.ts';
import type { HistorySlice } from '../../src/mvcc/history.ts';
import { UnknownStoreFormat } from '../../src/mvcc/schema.ts';
import { openSnapshot } from '../../src/mvcc/snapshot/snapshot-source.ts';
import { type Applied, Store } from '../../src/mvcc/store.ts';
import { NodeSql } from '../support/node-sql.ts';
import {
  everything,
  expire,
  Fed,
  grant,
  keyRange,
  put,
  putLeased,
  remove,
  revokeLease,
  service,
  shown,
  shownEvents,
} from './requests.ts';

type Twins = { readonly atOnce: Fed; readonly inSteps: Fed };

/** Two stores that hold the same. */
function twins(operations: readonly Operation[]): Twins {
  const made = [new Fed(new NodeSql()), new Fed(new NodeSql())] as const;
  for (const fed of made) {
    fed.do({ kind: 'groupLevel', level: groupLevel.second });
    for (let first = 0; first < operations.length; first += 100) fed.batch(operations.slice(first, first + 100));
  }
  return { atOnce: made[0], inSteps: made[1] };
}

/**
 * Runs one operation on both stores. `between` is called after each step before the last, and returns the store to go
 * on with.
 */
function applyToBoth(
  { atOnce, inSteps }: Twins,
  operation: Operation,
  options: { readonly rowsMax: number; readonly between?: (store: Store) => Store },
): { readonly steps: number; readonly expected: Applied; readonly applied: Applied } {
  const command: Command = { writeId: `x${atOnce.index}`, caller: service, atMs: 5, operation };
  const index = logIndex(++atOnce.index);
  inSteps.index++;
  const expected = atOnce.sql.transaction(() => atOnce.store.apply(index, [command]));
  let running = inSteps.store.applyInSteps(index, [command], options.rowsMax);
  for (let steps = 1; ; steps++) {
    if (steps > 1_000) throw new Error('it comes to no end');
    const step = running === null ? null : inSteps.sql.transaction(() => running?.next());
    if (step === null)
      return { steps: 0, expected, applied: inSteps.sql.transaction(() => inSteps.store.apply(index, [command])) };
    if (step?.done === true) return { steps, expected, applied: step.value };
    const { store } = inSteps;
    if (options.between !== undefined) inSteps.store = options.between(store);
    if (inSteps.store !== store) running = inSteps.store.applyInSteps(index, [command], options.rowsMax);
  }
}

/** The store is closed after each step that wrote something. A crash undoes a whole step, and counting begins again. */
function reopening({ inSteps }: Twins): (store: Store) => Store {
  return (store) => (store.isUnderWay ? new Store(inSteps.sql) : store);
}

/** All that a store holds, with the parts of a batch put together. */
function contents({ sql }: Pick<Fed, 'sql'>): readonly unknown[] {
  const batches =
    sql.all(`SELECT last_revision, log_index, MAX(writes_total), group_concat(hex(body), ''), MAX(hash), hex(MAX(scrubbed))
    FROM (SELECT * FROM batches ORDER BY last_revision, log_index, part) GROUP BY last_revision, log_index`);
  const tables = ['head', 'superseded', 'large_values', 'leases', 'lease_keys', 'mvcc_meta'];
  return [...batches, ...tables.map((table) => sql.all(`SELECT * FROM ${table}`))];
}

function seenOf({ outcomes, leases }: Applied): Pick<Applied, 'outcomes' | 'leases'> {
  return { outcomes, leases };
}

function expectSame({ atOnce, inSteps }: Twins, applied: Applied, expected: Applied): void {
  expect(seenOf(applied)).toEqual(seenOf(expected));
  expect(contents(inSteps)).toEqual(contents(atOnce));
  expect(inSteps.store.runningHash).toEqual(atOnce.store.runningHash);
  expect(inSteps.store.appliedIndex).toBe(atOnce.store.appliedIndex);
  expect(inSteps.store.persistedIndex).toBe(atOnce.store.persistedIndex);
  expect(inSteps.store.sizes().keys).toBe(atOnce.store.sizes().keys);
  const from = 1;
  const history = inSteps.history(from);
  expect(history).toEqual(atOnce.history(from));
  inSteps.reopen();
  expect(inSteps.store.runningHash).toEqual(atOnce.store.runningHash);
  expect(inSteps.store.revision).toBe(atOnce.store.revision);
  expect(inSteps.history(from)).toEqual(history);
}

const count = 23;
const name = (key: number): string => `k/${String(key).padStart(3, '0')}`;
const filled: readonly Operation[] = [
  put('a', 'before'),
  ...Array.from({ length: count }, (_, key) => put(name(key), `v${key}`)),
  ...Array.from({ length: 7 }, (_, key) => put(name(3 * key), key === 4 ? new Uint8Array(3_000).fill(key) : 'again')),
  grant(1),
  grant(2),
  grant(3),
  ...Array.from({ length: 5 }, (_, key) => putLeased(name(4 * key), 1)),
  ...Array.from({ length: 6 }, (_, key) => putLeased(`l/${key}`, 2)),
  put('z', 'behind'),
];

const operations: readonly (readonly [string, Operation])[] = [
  ['a range', remove(keyRange('k/', 'k0'))],
  ['from a key on', remove(keyRange('k/004', '\0'))],
  ['everything', remove(everything)],
  ['a range, answered with its pairs', remove(keyRange('k/', 'k0'), true)],
  ['a lease', revokeLease(1)],
  ['several leases, one without keys, one twice', expire(2, 3, 9, 1, 2)],
];

describe('a large delete', () => {
  for (const [what, operation] of operations) {
    it.each([1, 2, 3, 4])(`MVCC-DELETE-3: ${what} in steps of %i leaves what it leaves at once`, (rowsMax) => {
      const both = twins(filled);
      const { steps, applied, expected } = applyToBoth(both, operation, { rowsMax });
      expect(steps).toBeGreaterThanOrEqual(2);
      expectSame(both, applied, expected);
    });

    it.each([1, 3])(`MVCC-DELETE-4: ${what} in steps of %i goes on after a crash between any two steps`, (rowsMax) => {
      const both = twins(filled);
      const { applied, expected } = applyToBoth(both, operation, { rowsMax, between: reopening(both) });
      expectSame(both, applied, expected);
    });

    it(`MVCC-DELETE-5: before the last step of ${what} all is read as it was before`, () => {
      const both = twins(filled);
      const { inSteps } = both;
      const seen = (store: Store): unknown => {
        inSteps.store = store;
        return [
          store.revision,
          store.appliedIndex,
          store.persistedIndex,
          store.sizes().keys,
          inSteps.range(everything),
          inSteps.range(everything, { revision: 12 }),
          inSteps.range(everything, { countOnly: true }),
          inSteps.range(keyRange('k/', 'k0'), { limit: 2, keysOnly: true }),
          inSteps.range('k/004'),
          store.countCreatedBefore(keyRange('k/', 'k0'), 20, 9),
          store.firstCreated(keyRange('k/001', '\0')),
          store.firstCreated(keyRange('k/', 'k0')),
          [...store.heads(keyRange('k/', 'k0'))],
          inSteps.history(1),
          inSteps.ask({ kind: 'hashKv', revision: 0 }),
          store.leaseCount,
        ];
      };
      const before = seen(inSteps.store);
      let reopens = false;
      const between = (store: Store): Store => {
        expect(seen(store)).toEqual(before);
        store.compactStep(10);
        reopens = !reopens && store.isUnderWay;
        const next = reopens ? new Store(inSteps.sql) : store;
        expect(seen(next)).toEqual(before);
        return next;
      };
      const { applied, expected } = applyToBoth(both, operation, { rowsMax: 2, between });
      expect(seenOf(applied)).toEqual(seenOf(expected));
      expect(inSteps.store.revision).toBe(both.atOnce.store.revision);
    });
  }

  it('MVCC-DELETE-6: code that does not know of steps opens no store between two of them', () => {
    const both = twins(filled);
    const format = (): number =>
      Number(both.inSteps.sql.all("SELECT value FROM mvcc_meta WHERE name = 'format'")[0]?.[0]);
    const usual = format();
    const formats = new Set<number>();
    const between = (store: Store): Store => {
      if (store.isUnderWay) formats.add(format());
      return store;
    };
    applyToBoth(both, remove(everything), { rowsMax: 4, between });
    expect([...formats]).toEqual([usual + 1_000]);
    expect(format()).toBe(usual);
    both.inSteps.sql.run("UPDATE mvcc_meta SET value = 1999 WHERE name = 'format'");
    expect(() => new Store(both.inSteps.sql)).toThrow(UnknownStoreFormat);
  });

  it('MVCC-DELETE-7: as many keys as a step moves go at once, one more goes in steps', () => {
    const both = twins(filled);
    const { store } = both.inSteps;
    const operation = remove(keyRange('k/', 'k0'));
    expect(store.takesSteps(operation, count)).toBe(false);
    expect(store.takesSteps(operation, count - 1)).toBe(true);
    expect(store.takesSteps(revokeLease(1), 5)).toBe(false);
    expect(store.takesSteps(revokeLease(1), 4)).toBe(true);
    expect(store.takesSteps(expire(1, 2), 11)).toBe(false);
    expect(store.takesSteps(expire(1, 2, 1), 10)).toBe(true);
    expect(store.takesSteps(remove('k/004'), 0)).toBe(false);
    expect(applyToBoth(both, operation, { rowsMax: count }).steps).toBe(0);
  });

  it('MVCC-DELETE-8: what fails, or was done before, is answered at once', () => {
    const both = twins([...filled, put('k/000', 'x')]);
    const { inSteps } = both;
    inSteps.do(remove(keyRange('k/', 'k0')));
    const index = logIndex(inSteps.index + 1);
    const again = (writeId: string, operation: Operation): unknown =>
      inSteps.store.applyInSteps(index, [{ writeId, caller: service, atMs: 1, operation }], 1);
    inSteps.batch(Array.from({ length: 5 }, (_, key) => put(name(key))));
    const written = { writeId: 'once', caller: service, atMs: 1, operation: remove(keyRange('k/', 'k0')) };
    inSteps.commands([written]);
    inSteps.batch(Array.from({ length: 5 }, (_, key) => put(name(key))));
    expect(again('once', remove(keyRange('k/', 'k0')))).toBeNull();
    expect(again('other', remove(keyRange('k/', 'k0')))).not.toBeNull();
    expect(again('lease', revokeLease(77))).toBeNull();
    expect(
      again('key', { kind: 'deleteRange', request: { ...keyRange('', 'z'), previous: false, key: emptyBytes } }),
    ).toBeNull();
  });

  it('MVCC-DELETE-9: pairs that are too much for an answer are found out before anything is written, also in steps', () => {
    const value = new Uint8Array(1_500_000);
    const both = twins([]);
    const pairs = Math.ceil(rangeAnswerBytesMax / value.length);
    for (const fed of [both.atOnce, both.inSteps]) for (let key = 0; key < pairs; key++) fed.put(name(key), value);
    let steps = 0;
    const between = (store: Store): Store => {
      steps++;
      expect(store.isUnderWay).toBe(false);
      return store;
    };
    const { applied, expected } = applyToBoth(both, remove(everything, true), { rowsMax: 1, between });
    expect(applied.outcomes).toEqual(expected.outcomes);
    expect(applied.outcomes).toMatchObject([{ kind: 'failed', failure: { kind: 'answerTooLarge' } }]);
    expect(steps).toBe(Math.floor(pairs / deleteMeasureFactor));
    expect(both.inSteps.range(everything, { countOnly: true }).count).toBe(pairs);
    expect(both.inSteps.store.runningHash).toEqual(both.atOnce.store.runningHash);
    // One key less is answered.
    const less = applyToBoth(both, remove(keyRange(name(0), name(pairs - 1)), true), { rowsMax: 1 });
    for (const { outcomes } of [less.applied, less.expected]) {
      expect(outcomes).toMatchObject([{ kind: 'deleteRange', answer: { deleted: pairs - 1 } }]);
      const [outcome] = outcomes;
      expect(outcome?.kind === 'deleteRange' && outcome.answer.previous.map(({ key }) => textOf(key))).toEqual(
        Array.from({ length: pairs - 1 }, (_, key) => name(key)),
      );
    }
  });

  it('MVCC-DELETE-10: more earlier values than count in the hash leave the same hash', () => {
    const value = new Uint8Array(100_000).fill(7);
    const keys = Math.ceil((1.5 * previousKeptBytesMax) / value.length);
    const both = twins(Array.from({ length: keys }, (_, key) => put(name(key), value)));
    const { applied, expected } = applyToBoth(both, remove(everything), {
      rowsMax: 4,
      between: reopening(both),
    });
    expectSame(both, applied, expected);
  });

  it('MVCC-DELETE-11: a step ends at deleteStepKeyBytes of keys, too', () => {
    const long = 'k'.repeat(2_000);
    const keys = Math.ceil((2.5 * deleteStepKeyBytes) / long.length);
    const both = twins(Array.from({ length: keys }, (_, key) => put(`${long}${String(key).padStart(4, '0')}`)));
    let steps = 0;
    const between = (store: Store): Store => {
      steps++;
      return store;
    };
    const { applied, expected } = applyToBoth(both, remove(everything), { rowsMax: keys - 1, between });
    expect(steps).toBe(3);
    expectSame(both, applied, expected);
    const parts = both.inSteps.sql.all(
      'SELECT length(body) FROM batches WHERE last_revision = ?',
      both.inSteps.store.revision,
    );
    for (const [length] of parts) expect(Number(length)).toBeLessThan(deleteStepKeyBytes + 2_100);
  });

  it('MVCC-DELETE-12: nothing else is applied between two steps, and no snapshot begins', () => {
    const both = twins(filled);
    const { sql, store, index } = both.inSteps;
    const command: Command = { writeId: 'x', caller: service, atMs: 5, operation: remove(everything) };
    const running = store.applyInSteps(logIndex(index + 1), [command], 3);
    while (!store.isUnderWay) running?.next();
    expect(() => store.apply(logIndex(index + 2), [])).toThrow('under way');
    expect(() => store.skip(logIndex(index + 2))).toThrow('under way');
    expect(() => openSnapshot(sql, store)).toThrow('between two entries');
  });

  it('MVCC-DELETE-15: opened between two steps, a store has applied what left no row before it, too', () => {
    const both = twins(filled);
    const { sql, store, index } = both.inSteps;
    store.skip(logIndex(index + 1));
    const command: Command = { writeId: 'x', caller: service, atMs: 5, operation: remove(everything) };
    const running = store.applyInSteps(logIndex(index + 2), [command], 3);
    while (!store.isUnderWay) running?.next();
    const again = new Store(sql);
    expect([again.appliedIndex, again.persistedIndex]).toEqual([index + 1, index]);
    expect([store.appliedIndex, store.persistedIndex]).toEqual([index + 1, index]);
    expect(again.runningHash).toEqual(store.runningHash);
  });

  it('MVCC-DELETE-13: a write that deleted in steps is remembered by its id', () => {
    const both = twins(filled);
    const { index } = both.inSteps;
    const { applied } = applyToBoth(both, remove(keyRange('k/', 'k0')), {
      rowsMax: 3,
      between: reopening(both),
    });
    both.inSteps.reopen();
    const again: Command = { writeId: `x${index}`, caller: service, atMs: 9, operation: remove(everything) };
    expect(both.inSteps.commands([again])).toEqual(applied.outcomes);
    expect(both.inSteps.range('a').count).toBe(1);
  });

  it('MVCC-DELETE-14: what is put after it supersedes nothing', () => {
    const both = twins(filled);
    applyToBoth(both, remove(keyRange('k/', 'k0')), { rowsMax: 3 });
    both.inSteps.put('k/001', 'new');
    expect(shown(both.inSteps.range(keyRange('k/', 'k0')).kvs)).toEqual([`k/001=new@${both.inSteps.store.revision}`]);
    const last = both.inSteps.history(both.inSteps.store.revision);
    expect(last.kind === 'events' && shownEvents(last.revisions)).toEqual([
      `${both.inSteps.store.revision}: put k/001=new@${both.inSteps.store.revision}`,
    ]);
    expect(both.inSteps.store.storedLeaseDeadlineMs(leaseId(1n))).not.toBeNull();
  });
});

it('MVCC-HASH-12: checksums of parts make that of the whole', () => {
  const bytes = Uint8Array.from({ length: 700 }, (_, place) => (place * 31) % 251);
  for (const cut of [0, 1, 2, 7, 255, 256, 699, 700]) {
    const [first, second] = [bytes.subarray(0, cut), bytes.subarray(cut)];
    expect(combinedCrc32(crc32(first, 12_345), crc32(second), second.length)).toBe(crc32(bytes, 12_345));
  }
});

const named = (keys: number, long = ''): Fed => {
  const fed = new Fed(new NodeSql(), 0, 1_000);
  const all = Array.from({ length: keys }, (_, key) => put(`k/${String(key).padStart(6, '0')}${long}`));
  for (let first = 0; first < keys; first += 1_000) fed.batch(all.slice(first, first + 1_000));
  fed.remove(everything);
  return fed;
};
const sliced = (fed: Fed, ranges: readonly KeyRange[] | null): HistorySlice =>
  fed.store.history({ from: fed.store.revision, bytesMax: 1_000, ranges, inSlices: true });
const keysIn = ({ events }: RevisionEvents): readonly (string | null)[] => events.map(({ kv }) => textOf(kv.key));

describe('the history of a large delete, in slices', () => {
  it('MVCC-HISTORY-7: more than historySliceKeysMax keys take several reads, and are then told whole', () => {
    const whole = named(historySliceKeysMax);
    expect(sliced(whole, null).kind).toBe('events');
    const more = named(historySliceKeysMax + 1);
    const { revision: last } = more.store;
    const some = [keyRange('k/000007', 'k/000010')];
    expect(sliced(more, some)).toEqual({ kind: 'busy' });
    // A second query ends the first one.
    expect(sliced(more, null)).toEqual({ kind: 'busy' });
    expect(sliced(more, some)).toEqual({ kind: 'busy' });
    expect(sliced(more, some)).toMatchObject({ kind: 'events', through: last, revisions: [{ events: { length: 3 } }] });
    expect(sliced(more, null)).toEqual({ kind: 'busy' });
    const piece = sliced(more, null);
    const atOnce = more.history(last);
    expect(piece.kind === 'events' && atOnce.kind === 'events').toBe(true);
    if (piece.kind !== 'events' || atOnce.kind !== 'events') return;
    expect(piece.revisions.map(keysIn)).toEqual(atOnce.revisions.map(keysIn));
    expect(piece.revisions[0]?.events.at(-1)?.previous).toMatchObject({ version: 1 });
    // The events before it are told first.
    const before = more.store.history({ from: revision(last - 1), bytesMax: 1e9, ranges: null, inSlices: true });
    expect(before).toMatchObject({ kind: 'events', through: last - 1 });
  });

  it('MVCC-HISTORY-8: more than a message holds is told to be too large, a range with less of it is not', () => {
    const long = 'x'.repeat(1_992);
    const keys = Math.floor(watchEventsBytesMax / (2_000 + 64)) + 1;
    const fed = named(keys, long);
    let piece = sliced(fed, null);
    for (let reads = 0; piece.kind === 'busy' && reads < 10; reads++) piece = sliced(fed, null);
    expect(piece).toEqual({ kind: 'tooLarge', revision: fed.store.revision });
    const some = [keyRange('k/000001', 'k0')];
    piece = sliced(fed, some);
    for (let reads = 0; piece.kind === 'busy' && reads < 10; reads++) piece = sliced(fed, some);
    expect(piece).toMatchObject({ kind: 'events', revisions: [{ events: { length: keys - 1 } }] });
  });
});
