// What the answer to a write will take is told before the write is done.

import { expect, it } from 'vitest';
import { answerMeasuredRowsMax, rangeAnswerBytesMax, valueBytesMax } from '../../src/limits.ts';
import type { KeyValue, Operation, Outcome, TxnOperation, TxnPart } from '../../src/model/store.ts';
import { sortOrder } from '../../src/model/store.ts';
import { NodeSql } from '../support/node-sql.ts';
import { RandomOperations } from './random-operations.ts';
import { everything, Fed, grant, keyRange, put, read, remove, txn } from './requests.ts';

const overhead = 64;

function filled(
  keys: number,
  valueBytes: number,
): { readonly fed: Fed; readonly bytes: (operation: Operation) => number } {
  const fed = new Fed(new NodeSql());
  fed.batch(Array.from({ length: keys }, (_, n) => put(`k${String(n).padStart(5, '0')}`, new Uint8Array(valueBytes))));
  return { fed, bytes: (operation) => fed.store.answerBytesOf(operation) };
}

/** The bytes of all pairs of an answer, as the bound of an answer counts them. */
const pairs = (count: number, valueBytes: number): number => count * (6 + valueBytes + overhead);
/** Those of the pair that `put('a')` puts. */
const own = 2 + overhead;

it('MVCC-ANSWER-1: a write whose answer has no pairs takes nothing', () => {
  const { bytes } = filled(3, 100);
  const count: TxnOperation = read(everything, { countOnly: true });
  const operations: readonly Operation[] = [
    put('k00000'),
    remove(everything),
    grant(1),
    txn({ success: [put('a'), count] }),
  ];
  for (const operation of operations) expect(bytes(operation)).toBe(0);
});

it.each([100, 2_000])(
  'MVCC-ANSWER-1: the pairs of an answer are measured in the present store: values of %i',
  (size) => {
    const { bytes } = filled(10, size);
    const previous = remove(everything, true);
    expect(bytes(previous)).toBe(pairs(10, size));
    const replaced = put('k00001', 'x', { previous: true });
    expect(bytes(replaced)).toBe(pairs(1, size));
    expect(bytes(put('none', 'x', { previous: true }))).toBe(0);
    expect(bytes(txn({ success: [put('a'), read('k00001')] }))).toBe(pairs(1, size));
    const branches = { success: [read(keyRange('k00001', 'k00003'))], failure: [read(everything), put('a')] };
    expect(bytes(txn(branches))).toBe(pairs(10, size));
    expect(bytes(txn({ success: [put('a'), txn(branches), read('k00001')] }))).toBe(own + pairs(11, size));
    expect(bytes(txn({ success: [put('a'), read(everything, { limit: 3 })] }))).toBe(own + pairs(3, size));
    expect(bytes(txn({ success: [put('a'), read(everything, { keysOnly: true })] }))).toBe(own + pairs(10, 0));
    // With another order it is not known which pairs the limit leaves.
    const newest = read(everything, { limit: 3, sortOrder: sortOrder.descend });
    expect(bytes(txn({ success: [put('a'), newest] }))).toBe(own + pairs(10, size));
  },
);

it('MVCC-ANSWER-1: where the past is read, the pairs of then are measured', () => {
  const { fed, bytes } = filled(10, 100);
  const then = fed.store.revision;
  fed.put('k00003', new Uint8Array(5_000));
  fed.batch([remove('k00004')]);
  fed.put('k9');
  const past = (options: Parameters<typeof read>[1] = {}): number =>
    bytes(txn({ success: [put('a'), read(everything, { revision: then, ...options })] }));
  expect(past()).toBe(own + pairs(10, 100));
  expect(past({ keysOnly: true })).toBe(own + pairs(10, 0));
  expect(past({ limit: 3 })).toBe(own + pairs(3, 100));
  expect(past({ countOnly: true })).toBe(0);
  for (const key of ['k00003', 'k00004', 'k00005']) {
    expect(bytes(txn({ success: [put('a'), read(key, { revision: then })] }))).toBe(pairs(1, 100));
  }
  expect(bytes(txn({ success: [put('a'), read('k9', { revision: then })] }))).toBe(0);
});

it('MVCC-ANSWER-1: of a key with a long history the version of then is measured', () => {
  const { fed, bytes } = filled(1, 100);
  const then = fed.store.revision;
  fed.batch(Array.from({ length: answerMeasuredRowsMax + 1 }, () => put('k00000', 'x')));
  expect(bytes(txn({ success: [put('a'), read('k00000', { revision: then })] }))).toBe(pairs(1, 100));
});

it('MVCC-ANSWER-1: a page of the past is measured where a long history lies behind it', () => {
  const { fed, bytes } = filled(50, 100);
  const then = fed.store.revision;
  fed.batch(Array.from({ length: answerMeasuredRowsMax + 1 }, () => put('k00040', 'x')));
  const page = (limit: number): TxnOperation => read(everything, { revision: then, limit });
  expect(bytes(txn({ success: [put('a'), page(40)] }))).toBe(own + pairs(40, 100));
  expect(bytes(txn({ success: [put('a'), page(41)] }))).toBeGreaterThan(pairs(41, 100));
});

it('MVCC-ANSWER-1: a range after a put of the same transaction answers what was put', () => {
  const { bytes } = filled(1, 100);
  const value = new Uint8Array(100_000);
  const one = 1 + 100_000 + overhead;
  const reads = [read('a'), read(everything), read('k00000')];
  expect(bytes(txn({ success: [put('a', value), ...reads] }))).toBe(2 * one + 2 * pairs(1, 100));
  // What comes before it, or in the other branch, does not see it.
  expect(bytes(txn({ success: [...reads, put('a', value)], failure: reads }))).toBe(2 * pairs(1, 100));
  const nested = txn({ success: [put('a', value)], failure: [put('b')] });
  expect(bytes(txn({ success: [nested, ...reads] }))).toBeGreaterThanOrEqual(2 * one + 2 * pairs(1, 100));
});

it.each([false, true])('MVCC-ANSWER-1: no answer takes more than its estimate (in memory: %s)', (inMemory) => {
  for (let seed = 1; seed <= 20; seed++) {
    const random = new RandomOperations(seed);
    const fed = inMemory ? Fed.inMemory(emptyStore) : emptyStore();
    for (let nth = 0; nth < 100; nth++) {
      random.revision = fed.store.revision;
      const operation = random.operation();
      const estimate = fed.store.answerBytesOf(operation);
      const answer = pairsOf(fed.do(operation)).reduce((sum, { key, value }) => sum + bytesIn(key, value), 0);
      expect(estimate, `seed ${seed}, operation ${nth}`).toBeGreaterThanOrEqual(answer);
    }
  }
});

const bytesIn = (key: Uint8Array, value: Uint8Array): number => key.byteLength + value.byteLength + overhead;

const emptyStore = (): Fed => new Fed(new NodeSql());

function pairsOf(outcome: Outcome | TxnPart): readonly KeyValue[] {
  if (outcome.kind === 'put') return outcome.answer.previous === null ? [] : [outcome.answer.previous];
  if (outcome.kind === 'deleteRange') return outcome.answer.previous;
  if (outcome.kind === 'range') return [...outcome.answer.kvs];
  return outcome.kind === 'txn' ? outcome.answer.parts.flatMap(pairsOf) : [];
}

it('MVCC-ANSWER-2: answerMeasuredRowsMax pairs are measured, and more of them take no more than the database has', () => {
  const { fed, bytes } = filled(answerMeasuredRowsMax, 1);
  const previous = remove(everything, true);
  expect(bytes(previous)).toBe(pairs(answerMeasuredRowsMax, 1));
  fed.put('one-more');
  const past = txn({ success: [put('a'), read(everything, { revision: fed.store.revision })] });
  const twice = txn({ success: [put('a'), read(everything), read('k00001')] });
  for (const operation of [previous, past, twice]) {
    expect(bytes(operation)).toBeGreaterThan(pairs(answerMeasuredRowsMax + 1, 1));
    expect(bytes(operation)).toBeLessThan(rangeAnswerBytesMax / 16);
  }
});

it('MVCC-ANSWER-2: the least pairs do not take more than is assumed', () => {
  const fed = new Fed(new NodeSql());
  const keys = Array.from({ length: 20_000 }, (_, n) => Uint8Array.of(n >> 8, n & 0xff));
  fed.batch(keys.map((key) => put(key, '')));
  const count = keys.length * (2 + overhead);
  const assumed = fed.store.answerBytesOf(remove(everything, true));
  expect(assumed).toBeGreaterThanOrEqual(count);
});

it('MVCC-ANSWER-2: no estimate is over rangeAnswerBytesMax', () => {
  const { fed, bytes } = filled(23, valueBytesMax);
  const past = { revision: fed.store.revision };
  for (const operation of [remove(everything, true), txn({ success: [put('a'), read(everything, past)] })]) {
    expect(bytes(operation)).toBe(rangeAnswerBytesMax);
  }
});
