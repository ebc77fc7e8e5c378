// Rules of the store: put, delete, range.

import { expect } from 'vitest';
import { logIndex } from '../../../src/model/brands.ts';
import { emptyBytes } from '../../../src/base/bytes.ts';
import { keyBytesMax, rangeAnswerBytesMax, valueBytesMax } from '../../../src/limits.ts';
import { StorageFault } from '../../../src/base/sql-port.ts';
import { sortOrder, sortTarget } from '../../../src/model/store.ts';
import { pairOverheadBytes } from '../../../src/mvcc/range.ts';
import { inlineValueBytesMax } from '../../../src/mvcc/schema.ts';
import { rule, type StoreRule } from './contract.ts';
import { everything, type Fed, fromKeyOn, keyRange, keysOf, prefix, put, remove, shown, txn } from '../requests.ts';

const { ascend, descend } = sortOrder;

/** The keys b, a and c are put, then a and b again, so that versions, creations and changes have different orders. */
function some(fed: Fed): void {
  for (const [key, value] of ['b3', 'a9', 'c1', 'a2', 'b5', 'a4']) fed.put(key ?? '', value);
}

export const kvRules: readonly StoreRule[] = [
  rule('MVCC-REVISION-1: a fresh store is at revision 1, and each change adds one', (fed) => {
    expect(fed.store.revision).toBe(1);
    expect(fed.store.compactedRevision).toBe(-1);
    expect(fed.put('k', 'v')).toMatchObject({ kind: 'put', revision: 2 });
    expect(fed.put('k', 'v')).toMatchObject({ revision: 3 });
    expect(fed.range('k').kvs).toMatchObject([{ version: 2, createRevision: 2, modRevision: 3 }]);
    expect(fed.remove('k')).toMatchObject({ kind: 'deleteRange', revision: 4, answer: { deleted: 1 } });
    expect(fed.remove('k')).toMatchObject({ revision: 4, answer: { deleted: 0 } });
    expect(fed.put('k', 'w')).toMatchObject({ revision: 5 });
    expect(fed.range('k').kvs).toMatchObject([{ version: 1, createRevision: 5, modRevision: 5 }]);
  }),
  rule('MVCC-REVISION-2: the revision and the applied index outlive a restart', (fed) => {
    fed.put('k', 'v');
    fed.reopen();
    expect(fed.store).toMatchObject({ revision: 2, appliedIndex: 1, compactedRevision: -1 });
    expect(fed.fails({ kind: 'compact', request: { revision: 2 } })).toBeNull();
    fed.reopen();
    expect(fed.store).toMatchObject({ revision: 2, appliedIndex: 2, persistedIndex: 2, compactedRevision: 2 });
  }),
  rule('MVCC-REVISION-3: an entry without commands counts as applied and leaves no row', (fed) => {
    fed.put('k', 'v');
    fed.remove('none');
    fed.flush();
    expect(fed.store).toMatchObject({ revision: 2, appliedIndex: 2, persistedIndex: 2 });
    fed.store.skip(logIndex(3));
    expect(fed.store).toMatchObject({ appliedIndex: 3, persistedIndex: 2 });
    fed.reopen();
    expect(fed.store).toMatchObject({ revision: 2, appliedIndex: 2 });
  }),
  rule('MVCC-PUT-1: previous pairs are answered when they are asked for', (fed) => {
    expect(fed.put('k', 'one', { previous: true })).toMatchObject({ answer: { previous: null } });
    const second = fed.put('k', 'two', { previous: true });
    expect(second.kind === 'put' && second.answer.previous && shown([second.answer.previous])).toEqual(['k=one@2']);
    expect(fed.put('k', 'three')).toMatchObject({ answer: { previous: null } });
    fed.put('l', 'x');
    const deleted = fed.remove(everything, true);
    expect(deleted.kind === 'deleteRange' && shown(deleted.answer.previous)).toEqual(['k=three@4', 'l=x@5']);
  }),
  rule('MVCC-PUT-2: ignore_value and ignore_lease keep what is there, and refuse what is given or missing', (fed) => {
    expect(fed.fails(put('k', 'v', { ignoreValue: true }))).toEqual({ kind: 'valueProvided' });
    expect(fed.fails(put('k', '', { ignoreValue: true }))).toEqual({ kind: 'keyNotFound' });
    expect(fed.fails(put('k', 'v', { ignoreLease: true }))).toEqual({ kind: 'keyNotFound' });
    expect(fed.fails(put('k', 'v', { ignoreLease: true, lease: 7n as never }))).toEqual({ kind: 'leaseProvided' });
    const large = new Uint8Array(inlineValueBytesMax + 1).fill(7);
    fed.put('k', large);
    fed.put('k', emptyBytes, { ignoreValue: true });
    expect(fed.range('k').kvs.at(0)).toMatchObject({ value: large, version: 2 });
  }),
  rule('MVCC-PUT-3: a lease that does not exist is refused', (fed) => {
    expect(fed.fails(put('k', 'v', { lease: -5n as never }))).toEqual({ kind: 'leaseNotFound' });
    expect(fed.store.revision).toBe(1);
  }),
  rule('MVCC-PUT-4: keys and values are any bytes, also empty values', (fed) => {
    const all = Uint8Array.from({ length: 256 }, (_, byte) => byte);
    for (const value of [all, emptyBytes]) {
      fed.put(all, value);
      expect(fed.range(keyRange(all)).kvs.at(0)).toMatchObject({ key: all, value });
    }
    expect(fed.range(keyRange(all), { revision: 2 }).kvs.at(0)).toMatchObject({ value: all });
  }),
  rule('MVCC-PUT-5: puts of one entry are written together, and are what they would be one by one', (fed) => {
    const puts = Array.from({ length: 100 }, (_, n) => {
      const size = n % 10 === 9 ? inlineValueBytesMax + 1 : n % 7;
      return put(`k${(n * n) % 37}`, new Uint8Array(size).fill(n), { previous: n % 3 === 0 });
    });
    const outcomes = fed.batch(puts);
    const together = fed.events.splice(0);
    expect(outcomes.map((outcome) => outcome.revision)).toEqual(puts.map((_, n) => n + 2));
    const pairs = fed.range(everything).kvs;
    const middle = fed.range(everything, { revision: 50 }).kvs;
    expect(fed.fails(remove(everything))).toBeNull();
    fed.events.length = 0;
    const base = fed.store.revision - 1;
    const alone = puts.map((operation) => fed.do(operation));
    const shifted = <Pair extends { readonly createRevision: number; readonly modRevision: number } | null>(
      pair: Pair,
    ) =>
      pair === null
        ? null
        : { ...pair, createRevision: pair.createRevision - base, modRevision: pair.modRevision - base };
    expect(fed.range(everything).kvs.map(shifted)).toEqual(pairs);
    expect(fed.range(everything, { revision: base + 50 }).kvs.map(shifted)).toEqual(middle);
    const shownAlone = fed.events.map(({ events: [event] }) =>
      [event?.kv, event?.previous].map((pair) => shifted(pair ?? null)),
    );
    expect(shownAlone).toEqual(together.map(({ events: [event] }) => [event?.kv, event?.previous]));
    const answers = alone.map((outcome) => (outcome.kind === 'put' ? shifted(outcome.answer.previous) : 'not a put'));
    expect(answers).toEqual(
      outcomes.map((outcome) => (outcome.kind === 'put' ? outcome.answer.previous : 'not a put')),
    );
  }),
  rule('MVCC-LIMIT-1: a key of keyBytesMax is taken, one byte more is refused', (fed) => {
    const key = new Uint8Array(keyBytesMax).fill(0x6b);
    expect(fed.fails(put(key, 'v'))).toBeNull();
    expect(fed.range(keyRange(key)).count).toBe(1);
    const longer = new Uint8Array(keyBytesMax + 1).fill(0x6b);
    expect(fed.fails(put(longer, 'v'))).toEqual({ kind: 'keyTooLong', bytes: keyBytesMax + 1 });
  }),
  rule('MVCC-LIMIT-2: a value of valueBytesMax is taken, one byte more is refused', (fed) => {
    const value = new Uint8Array(valueBytesMax).fill(1);
    expect(fed.fails(put('k', value))).toBeNull();
    expect(fed.range('k').kvs.at(0)?.value.byteLength).toBe(valueBytesMax);
    const larger = new Uint8Array(valueBytesMax + 1);
    expect(fed.fails(put('k', larger))).toEqual({ kind: 'valueTooLarge', bytes: valueBytesMax + 1 });
  }),
  rule(
    'MVCC-LIMIT-3: an answer of rangeAnswerBytesMax is given, one byte more is refused, and a page of it is given',
    (fed) => {
      const count = 32;
      const full = new Uint8Array(rangeAnswerBytesMax / count - pairOverheadBytes - 2);
      for (let n = 0; n < count; n++) fed.put(String(n + 10), full);
      expect(fed.range(everything).kvs).toHaveLength(count);
      expect(fed.fails(remove(keyRange('nothing', 'there'), true))).toBeNull();
      fed.put('10', new Uint8Array(full.byteLength + 1));
      expect(fed.rangeFails(everything)).toEqual({ kind: 'answerTooLarge' });
      expect(fed.rangeFails(everything, { sortTarget: sortTarget.mod })).toEqual({ kind: 'answerTooLarge' });
      expect(fed.range(everything, { limit: count - 1 })).toMatchObject({ more: true, count });
      expect(fed.range(everything, { limit: count - 1, sortOrder: descend, sortTarget: sortTarget.mod }).more).toBe(
        true,
      );
      expect(fed.range(everything, { keysOnly: true }).kvs).toHaveLength(count);
      expect(fed.fails(remove(everything, true))).toEqual({ kind: 'answerTooLarge' });
      expect(fed.do(remove(everything))).toMatchObject({ answer: { deleted: count } });
    },
  ),
  rule('MVCC-RANGE-1: one key, from a key on, between keys, everything, nothing', (fed) => {
    some(fed);
    expect(keysOf(fed.range('b').kvs)).toEqual(['b']);
    expect(keysOf(fed.range(keyRange('b', fromKeyOn)).kvs)).toEqual(['b', 'c']);
    expect(keysOf(fed.range(keyRange('a', 'c')).kvs)).toEqual(['a', 'b']);
    expect(keysOf(fed.range(everything).kvs)).toEqual(['a', 'b', 'c']);
    expect(fed.range(keyRange('c', 'a'))).toEqual({ kvs: [], more: false, count: 0 });
    expect(fed.range('none')).toEqual({ kvs: [], more: false, count: 0 });
    expect(fed.rangeFails('')).toEqual({ kind: 'keyNotProvided' });
  }),
  rule('MVCC-RANGE-2: a read at a revision sees what was then, also of deleted and created keys', (fed) => {
    some(fed);
    fed.remove('a');
    fed.put('d', '7');
    fed.put('a', '8');
    expect(shown(fed.range(everything, { revision: 4 }).kvs)).toEqual(['a=9@3', 'b=3@2', 'c=1@4']);
    expect(shown(fed.range(everything, { revision: 8 }).kvs)).toEqual(['b=5@6', 'c=1@4']);
    expect(shown(fed.range(everything, { revision: 9, sortOrder: descend }).kvs)).toEqual(['d=7@9', 'c=1@4', 'b=5@6']);
    expect(shown(fed.range('a', { revision: 7 }).kvs)).toEqual(['a=4@7']);
    expect(fed.range('a', { revision: 8 }).kvs).toEqual([]);
    expect(fed.range(everything, { revision: 1 })).toEqual({ kvs: [], more: false, count: 0 });
    expect(fed.range(everything, { revision: -1 }).count).toBe(4);
    expect(fed.rangeFails('a', { revision: 11 })).toEqual({ kind: 'futureRevision', revision: 10 });
  }),
  rule('MVCC-RANGE-3: limit cuts, `more` says so, `count` passes over it', (fed) => {
    some(fed);
    for (const revision of [0, 5]) {
      expect(fed.range(everything, { limit: 2, revision })).toMatchObject({ more: true, count: 3 });
      expect(fed.range(everything, { limit: 3, revision })).toMatchObject({ more: false, count: 3 });
    }
    expect(fed.range(everything, { countOnly: true, limit: 1 })).toEqual({ kvs: [], more: false, count: 3 });
    expect(fed.range(everything, { limit: 2 ** 63 }).kvs).toHaveLength(3);
  }),
  rule('MVCC-RANGE-4: pages count as the whole list does', (fed) => {
    for (let n = 0; n < 25; n++) fed.put(`p/${String(n).padStart(2, '0')}`, 'v');
    const revision = fed.store.revision;
    fed.put('p/00+', 'later');
    fed.remove('p/07');
    let from = 'p/';
    const seen: string[] = [];
    for (let left = 25; left > 0; left -= 4) {
      const page = fed.range(keyRange(from, 'p0'), { limit: 4, revision });
      expect(page).toMatchObject({ count: left, more: left > 4 });
      seen.push(...keysOf(page.kvs));
      from = `${seen.at(-1)}\0`;
    }
    expect(seen).toEqual(keysOf(fed.range(prefix('p/'), { revision }).kvs));
    // A list of the same first key with another end is another list.
    fed.range(keyRange('p/', 'p0'), { limit: 4, revision });
    expect(fed.range(keyRange('p/03\0', 'p/06'), { revision, limit: 1 }).count).toBe(2);
  }),
  rule('MVCC-RANGE-5: sorted by every target, both ways, ties in the order of keys', (fed) => {
    some(fed);
    const sorted = (target: number, order: number, limit = 0): string[] =>
      keysOf(fed.range(everything, { sortTarget: target, sortOrder: order, limit }).kvs);
    expect(sorted(sortTarget.key, descend)).toEqual(['c', 'b', 'a']);
    expect(sorted(sortTarget.version, ascend)).toEqual(['c', 'b', 'a']);
    expect(sorted(sortTarget.create, ascend)).toEqual(['b', 'a', 'c']);
    expect(sorted(sortTarget.mod, descend)).toEqual(['a', 'b', 'c']);
    expect(sorted(sortTarget.value, ascend)).toEqual(['c', 'a', 'b']);
    expect(sorted(sortTarget.value, descend, 1)).toEqual(['b']);
    // Without an order but with a limit, etcd sorts the lowest three keys and leaves the last out.
    expect(sorted(sortTarget.create, 0, 2)).toEqual(['b', 'a']);
    expect(sorted(sortTarget.version, 0, 1)).toEqual(['b']);
    fed.put('c', '1');
    expect(sorted(sortTarget.version, ascend)).toEqual(['b', 'c', 'a']);
    expect(sorted(sortTarget.version, descend)).toEqual(['a', 'b', 'c']);
    expect(fed.rangeFails('a', { sortOrder: 3 })).toEqual({ kind: 'invalidSortOption' });
    expect(fed.rangeFails('a', { sortTarget: -1 })).toEqual({ kind: 'invalidSortOption' });
  }),
  rule('MVCC-RANGE-6: revision filters apply before the limit, and not to the count', (fed) => {
    some(fed);
    expect(shown(fed.range(everything, { minModRevision: 6 }).kvs)).toEqual(['a=4@7', 'b=5@6']);
    expect(fed.range(everything, { minModRevision: 6, limit: 1 })).toMatchObject({ more: true, count: 3 });
    expect(fed.range(everything, { maxCreateRevision: 3, limit: 2 })).toMatchObject({ more: false, count: 3 });
    expect(keysOf(fed.range(everything, { minCreateRevision: 3, maxModRevision: 4 }).kvs)).toEqual(['c']);
    expect(fed.range('b', { minModRevision: 7 })).toEqual({ kvs: [], more: false, count: 1 });
    expect(fed.range(everything, { maxModRevision: -1 })).toEqual({ kvs: [], more: false, count: 3 });
    expect(fed.range(everything, { minModRevision: -1 }).kvs).toHaveLength(3);
    expect(keysOf(fed.range(everything, { revision: 4, maxModRevision: 3, limit: 1 }).kvs)).toEqual(['a']);
    expect(keysOf(fed.range(everything, { minModRevision: 1, sortTarget: 1, limit: 2 }).kvs)).toEqual(['c', 'b']);
  }),
  rule('MVCC-RANGE-7: keys only', (fed) => {
    some(fed);
    expect(shown(fed.range(everything, { keysOnly: true }).kvs)).toEqual(['a=@7', 'b=@6', 'c=@4']);
    const byValue = { keysOnly: true, sortTarget: sortTarget.value };
    expect(shown(fed.range(everything, byValue).kvs)).toEqual(['c=@4', 'a=@7', 'b=@6']);
  }),
  rule(
    'MVCC-DELETE-1: a range is deleted in one revision, with values of every size, and stays readable before',
    (fed) => {
      const sizes = [0, 1, inlineValueBytesMax, inlineValueBytesMax + 1, 5_000, 1_500_000];
      for (const [n, size] of sizes.entries()) fed.put(`d/${n}`, new Uint8Array(size).fill(n));
      const before = fed.store.revision;
      expect(fed.remove(prefix('d/'))).toMatchObject({ revision: before + 1, answer: { deleted: sizes.length } });
      expect(fed.range(prefix('d/')).count).toBe(0);
      const then = fed.range(prefix('d/'), { revision: before }).kvs;
      expect(then.map((pair) => pair.value.byteLength)).toEqual(sizes);
      const events = fed.events.at(-1)?.events ?? [];
      expect(events.map((event) => event.previous?.value.byteLength)).toEqual(sizes);
      expect(fed.do(remove(keyRange('z', 'a')))).toMatchObject({ answer: { deleted: 0 } });
      expect(fed.fails(remove(''))).toEqual({ kind: 'keyNotProvided' });
    },
  ),
  rule('MVCC-SIZE-1: the number of keys is known at all times', (fed) => {
    some(fed);
    expect(fed.store.sizes()).toMatchObject({ keys: 3 });
    fed.put('d', 'v');
    fed.put('d', 'w');
    fed.remove(keyRange('a', 'c'));
    expect(fed.store.sizes()).toMatchObject({ keys: 2 });
    expect(fed.store.sizes().databaseBytes).toBeGreaterThan(4_096);
    fed.reopen();
    expect(fed.store.sizes()).toMatchObject({ keys: 2 });
  }),
  rule(
    'MVCC-SQL-1: what the database throws is a fault of the storage, and what a body throws comes out as it is',
    ({ sql }) => {
      sql.run('CREATE TABLE kept (n INTEGER PRIMARY KEY)');
      for (const fault of [
        () => sql.run('INSERT INTO nowhere VALUES (1)'),
        () => sql.all('SELECT n FROM nowhere'),
        () => [...sql.iterate('SELECT n FROM nowhere')],
        () => sql.run('INSERT INTO kept VALUES (1), (1)'),
        () => sql.transaction(() => sql.run('INSERT INTO nowhere VALUES (1)')),
      ]) {
        expect(fault).toThrow(StorageFault);
      }
      const thrown = new TypeError('of the body');
      const body = (): never => {
        sql.run('INSERT INTO kept VALUES (2)');
        throw thrown;
      };
      expect(() => sql.transaction(() => sql.transaction(body))).toThrow(thrown);
      sql.transaction(() => {
        sql.run('INSERT INTO kept VALUES (3)');
        expect(() => sql.transaction(body)).toThrow(thrown);
      });
      expect(sql.all('SELECT n FROM kept')).toEqual([[3]]);
    },
  ),
  rule(
    'MVCC-QUEUE-1: of a range the pair that was created first, and how many were before a revision, up to a bound',
    (fed) => {
      const { store } = fed;
      expect(store.firstCreated(prefix('q/'))).toBeNull();
      fed.batch([put('q/c', '1'), put('q/a', '2'), put('q/c', '3'), put('p/', 'x'), put('q0', 'x')]);
      fed.do(txn({ success: [put('q/z'), put('q/b')] }));
      expect(shown([store.firstCreated(prefix('q/'))].flatMap((pair) => pair ?? []))).toEqual(['q/c=3@4']);
      const before = (revision: number, max = 9): number => store.countCreatedBefore(prefix('q/'), revision, max);
      expect([before(2), before(3), before(4), before(7), before(8), before(8, 3)]).toEqual([0, 1, 2, 2, 4, 3]);
      fed.remove('q/c');
      fed.put('q/c', '4');
      fed.remove('q/a');
      expect(store.firstCreated(prefix('q/'))).toEqual(fed.range('q/b').kvs.at(0));
      expect(store.firstCreated(keyRange('q0', fromKeyOn))).toEqual(fed.range('q0').kvs.at(0));
      expect(store.countCreatedBefore(everything, 8, 9)).toBe(4);
    },
  ),
];
