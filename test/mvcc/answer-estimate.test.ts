// What the answer to a write will take is told before the write is done.

import { expect, it } from 'vitest';
import { answerMeasuredRowsMax, keyBytesMax, rangeAnswerBytesMax, valueBytesMax } from '../../src/limits.ts';
import type { Operation, TxnOperation } from '../../src/model/store.ts';
import { sortOrder } from '../../src/model/store.ts';
import { NodeSql } from '../support/node-sql.ts';
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
    expect(bytes(txn({ success: [put('a'), txn(branches), read('k00001')] }))).toBe(pairs(11, size));
    expect(bytes(txn({ success: [put('a'), read(everything, { limit: 3 })] }))).toBe(pairs(3, size));
    expect(bytes(txn({ success: [put('a'), read(everything, { keysOnly: true })] }))).toBe(pairs(10, 0));
    // With another order it is not known which pairs the limit leaves.
    const newest = read(everything, { limit: 3, sortOrder: sortOrder.descend });
    expect(bytes(txn({ success: [put('a'), newest] }))).toBe(pairs(10, size));
  },
);

it('MVCC-ANSWER-1: where the past is read, the largest answer is assumed', () => {
  const { bytes } = filled(3, 100);
  expect(bytes(txn({ success: [put('a'), read(everything, { revision: 2 })] }))).toBe(rangeAnswerBytesMax);
  const one = read('k00001', { revision: 2 });
  expect(bytes(txn({ success: [put('a'), one] }))).toBe(keyBytesMax + valueBytesMax + overhead);
});

it('MVCC-ANSWER-2: answerMeasuredRowsMax pairs are measured, and of one more the largest answer is assumed', () => {
  const { fed, bytes } = filled(answerMeasuredRowsMax, 1);
  const previous = remove(everything, true);
  expect(bytes(previous)).toBe(pairs(answerMeasuredRowsMax, 1));
  expect(bytes(txn({ success: [put('a'), read(everything), read('k00001')] }))).toBe(rangeAnswerBytesMax);
  fed.put('one-more');
  expect(bytes(previous)).toBe(rangeAnswerBytesMax);
});

it('MVCC-ANSWER-2: no estimate is over rangeAnswerBytesMax', () => {
  const { bytes } = filled(23, valueBytesMax);
  expect(bytes(remove(everything, true))).toBe(rangeAnswerBytesMax);
});
