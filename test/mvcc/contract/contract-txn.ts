// Rules of the store: transactions.

import { expect } from 'vitest';
import { rangeAnswerBytesMax, txnOperationsMax } from '../../../src/limits.ts';
import {
  type Compare,
  compareResult,
  type Outcome,
  type TxnOperation,
  type TxnPart,
} from '../../../src/model/store.ts';
import { rule, type StoreRule } from './contract.ts';
import {
  bytes,
  everything,
  type Fed,
  fromKeyOn,
  keyRange,
  put,
  read,
  remove,
  shown,
  shownEvents,
  txn,
  versionIs,
} from '../requests.ts';

const { greater, less, notEqual } = compareResult;

function partsOf(outcome: Outcome): readonly TxnPart[] {
  if (outcome.kind !== 'txn') throw new Error(`a txn answers parts, not ${outcome.kind}`);
  return outcome.answer.parts;
}

function holds(fed: Fed, ...compare: readonly Compare[]): boolean {
  const outcome = fed.do(txn({ compare }));
  return outcome.kind === 'txn' && outcome.answer.succeeded;
}

function putsOf(count: number, prefix = 'k'): TxnOperation[] {
  return Array.from({ length: count }, (_, n) => put(`${prefix}${n}`));
}

const reads = (count: number): TxnOperation[] => Array.from({ length: count }, () => read('large'));

const duplicate = { kind: 'duplicateKey' };

export const txnRules: readonly StoreRule[] = [
  rule('MVCC-COMPARE-1: every target and result; an absent key is zero, and false for its value', (fed) => {
    fed.put('k', 'm');
    fed.put('k', 'n');
    const key = keyRange('k');
    expect(holds(fed, versionIs('k', 2), versionIs('k', 1, greater), versionIs('k', 3, less))).toBe(true);
    expect(holds(fed, versionIs('k', 2, notEqual))).toBe(false);
    expect(holds(fed, { ...key, target: 'create', operand: 2, result: 0 })).toBe(true);
    expect(holds(fed, { ...key, target: 'mod', operand: 2, result: greater })).toBe(true);
    expect(holds(fed, { ...key, target: 'value', operand: bytes('m'), result: greater })).toBe(true);
    expect(holds(fed, { ...key, target: 'lease', operand: 0n as never, result: 0 })).toBe(true);
    expect(holds(fed, { ...key, target: 'lease', operand: -1n as never, result: greater })).toBe(true);
    expect(holds(fed, { ...key, target: 'unknown', result: 0 })).toBe(true);
    expect(holds(fed, versionIs('k', 9, 77))).toBe(true);
    expect(holds(fed, versionIs('none', 0))).toBe(true);
    for (const result of [0, greater, less, notEqual]) {
      expect(holds(fed, { ...keyRange('none'), target: 'value', operand: bytes(''), result })).toBe(false);
    }
  }),
  rule('MVCC-COMPARE-2: a ranged compare must hold for every key', (fed) => {
    fed.put('a', '1');
    fed.put('b', '2');
    fed.put('b', '3');
    expect(holds(fed, versionIs(everything, 0, greater))).toBe(true);
    expect(holds(fed, versionIs(everything, 1))).toBe(false);
    expect(holds(fed, versionIs(keyRange('a', 'b'), 1))).toBe(true);
    expect(holds(fed, versionIs(keyRange('x', fromKeyOn), 0))).toBe(true);
    expect(holds(fed, { ...keyRange('x', 'z'), target: 'value', operand: bytes('1'), result: notEqual })).toBe(false);
  }),
  rule('MVCC-TXN-1: one branch runs, in one revision; later parts see earlier puts', (fed) => {
    fed.put('a', '1');
    const outcome = fed.do(
      txn({
        compare: [versionIs('a', 1)],
        success: [read('b'), put('b', '2'), read(everything), remove('a', true), read(everything, { countOnly: true })],
        failure: [put('c', '3')],
      }),
    );
    expect(outcome).toMatchObject({ kind: 'txn', revision: 3, answer: { succeeded: true } });
    const [first, second, third, fourth, fifth] = partsOf(outcome);
    expect(first).toMatchObject({ kind: 'range', revision: 2, answer: { count: 0 } });
    expect(second).toMatchObject({ kind: 'put', revision: 3 });
    expect(third?.kind === 'range' && shown(third.answer.kvs)).toEqual(['a=1@2', 'b=2@3']);
    expect(fourth?.kind === 'deleteRange' && shown(fourth.answer.previous)).toEqual(['a=1@2']);
    expect(fifth).toMatchObject({ kind: 'range', revision: 3, answer: { count: 1 } });
    expect(shownEvents(fed.events)).toEqual(['2: put a=1@2', '3: put b=2@3, delete a was a=1@2']);
    const otherwise = fed.do(txn({ compare: [versionIs('a', 1)], failure: [put('c', '3')] }));
    expect(otherwise).toMatchObject({ revision: 4, answer: { succeeded: false } });
  }),
  rule('MVCC-TXN-2: a txn that changes nothing makes no revision', (fed) => {
    fed.put('a', '1');
    const quiet = [txn({}), txn({ success: [read('a')] }), txn({ success: [remove('none'), txn({})] })];
    for (const operation of quiet) expect(fed.do(operation)).toMatchObject({ kind: 'txn', revision: 2 });
    expect(partsOf(fed.do(txn({ success: [remove('none')] })))).toMatchObject([{ revision: 2 }]);
    expect(fed.events).toHaveLength(1);
  }),
  rule('MVCC-TXN-3: compares of nested txns see the state before the txn', (fed) => {
    const nested = txn({
      compare: [versionIs('a', 0)],
      success: [put('b', 'saw none')],
      failure: [put('b', 'saw it')],
    });
    const outcome = fed.do(txn({ success: [put('a', '1'), nested] }));
    expect(partsOf(outcome)[1]).toMatchObject({
      kind: 'txn',
      answer: { succeeded: true, parts: [{ kind: 'put', revision: 2 }] },
    });
    expect(shown(fed.range(everything).kvs)).toEqual(['a=1@2', 'b=saw none@2']);
  }),
  rule(
    'MVCC-TXN-4: an error in the branch taken undoes all of it, also from within nested txns; the other is not looked at',
    (fed) => {
      fed.put('a', '1');
      const failing: readonly [TxnOperation, string][] = [
        [put('x', 'v', { lease: 4n as never }), 'leaseNotFound'],
        [put('x', '', { ignoreValue: true }), 'keyNotFound'],
        [read('a', { revision: 3 }), 'futureRevision'],
        [read('a', { revision: -2 }), 'compacted'],
      ];
      for (const [operation, kind] of failing) {
        expect(fed.fails(txn({ success: [put('b', '2'), remove('a'), operation] }))?.kind).toBe(kind);
        expect(fed.fails(txn({ success: [put('b', '2'), txn({ success: [operation] })] }))?.kind).toBe(kind);
        expect(fed.fails(txn({ compare: [versionIs('a', 1)], failure: [operation] }))).toBeNull();
      }
      expect(shown(fed.range(everything).kvs)).toEqual(['a=1@2']);
      expect(fed.store.revision).toBe(2);
      expect(fed.store.sizes().keys).toBe(1);
      // A failure that shows only half-way is undone as well: the transaction deletes the key itself, in a gap of the
      // duplicate rule.
      const halfway = [remove(keyRange('a', fromKeyOn)), put('c', '1'), put('a', '', { ignoreValue: true })];
      expect(fed.fails(txn({ success: halfway }))).toEqual({ kind: 'keyNotFound' });
      expect(shown(fed.range(everything).kvs)).toEqual(['a=1@2']);
      expect(fed.put('d')).toMatchObject({ revision: 3 });
      expect(shownEvents(fed.events)).toEqual(['2: put a=1@2', '3: put d=v@3']);
    },
  ),
  rule('MVCC-TXN-5: a range inside a txn reads at revisions before it', (fed) => {
    fed.put('a', '1');
    fed.put('a', '2');
    const outcome = fed.do(
      txn({ success: [put('a', '3'), read('a', { revision: 3 }), read('a', { revision: 2 }), read('a')] }),
    );
    const values = partsOf(outcome).map((part) => (part.kind === 'range' ? shown(part.answer.kvs) : []));
    expect(values).toEqual([[], ['a=2@3'], ['a=1@2'], ['a=3@4']]);
    expect(fed.do({ kind: 'compact', request: { revision: 3 } })).toMatchObject({ kind: 'compact' });
    expect(fed.fails(txn({ success: [read('a', { revision: 2 })] }))).toEqual({
      kind: 'compacted',
      compactedRevision: 3,
    });
    expect(fed.fails(txn({ success: [read('a', { revision: -1 })] }))?.kind).toBe('compacted');
    expect(fed.fails(txn({ success: [read('a', { revision: 3 })] }))).toBeNull();
  }),
  rule('MVCC-TXN-6: a key given twice is refused, in every branch', (fed) => {
    const refused: TxnOperation[][] = [
      [put('k'), put('k')],
      [put('k'), remove('k')],
      [remove(keyRange('a', 'z')), put('k')],
      [put('k'), txn({ failure: [put('k')] })],
      [txn({ success: [put('k')] }), txn({ success: [put('k')] })],
      [txn({ success: [remove('k')] }), txn({ success: [put('k')] })],
      [txn({ success: [put('k'), put('k')] })],
    ];
    for (const operations of refused) {
      expect(fed.fails(txn({ success: operations }))).toEqual(duplicate);
      expect(fed.fails(txn({ failure: operations }))).toEqual(duplicate);
    }
    const taken: TxnOperation[][] = [
      [put('k'), put('l'), remove(keyRange('a', 'k'))],
      [remove('k'), remove(everything), remove('k')],
      [txn({ compare: [versionIs('k', 0)], success: [put('k')], failure: [put('k')] })],
    ];
    for (const operations of taken) expect(fed.fails(txn({ success: operations }))).toBeNull();
  }),
  rule(
    'MVCC-TXN-7: etcd has two gaps in that rule, and the events of a key touched twice show the state before',
    (fed) => {
      fed.put('k', 'old');
      const openEnd = fed.do(txn({ success: [put('k', 'new'), remove(keyRange('a', fromKeyOn), true)] }));
      expect(partsOf(openEnd)[1]).toMatchObject({ kind: 'deleteRange', revision: 3, answer: { deleted: 1 } });
      expect(fed.range('k').count).toBe(0);
      expect(fed.range('k', { revision: 2 }).count).toBe(1);
      const sideBySide = fed.do(
        txn({ success: [txn({ success: [put('k', 'again')] }), txn({ success: [remove('k')] })] }),
      );
      expect(sideBySide).toMatchObject({ kind: 'txn', revision: 4 });
      fed.put('k', '5');
      fed.do(txn({ success: [remove(keyRange('a', fromKeyOn)), put('k', '6')] }));
      expect(fed.range('k').kvs).toMatchObject([{ createRevision: 6, version: 1 }]);
      expect(fed.fails(txn({ success: [remove(keyRange('z', 'a')), put('k')] }))).toBeNull();
      const shownLive = shownEvents(fed.events);
      expect(shownLive.slice(0, 5)).toEqual([
        '2: put k=old@2',
        '3: put k=new@3 was k=old@2, delete k was k=old@2',
        '4: put k=again@4, delete k',
        '5: put k=5@5',
        '6: delete k was k=5@5, put k=6@6',
      ]);
      const later = fed.history(1);
      expect(later.kind === 'events' && shownEvents(later.revisions)).toEqual(shownLive);
    },
  ),
  rule('MVCC-TXN-8: shape is checked in all branches: empty keys, empty operations, values and leases given', (fed) => {
    const operations: readonly [TxnOperation, string][] = [
      [put(''), 'keyNotProvided'],
      [read(''), 'keyNotProvided'],
      [remove(''), 'keyNotProvided'],
      [{ kind: 'empty' }, 'keyNotFound'],
      [put('k', 'v', { ignoreValue: true }), 'valueProvided'],
      [read('k', { sortOrder: 9 }), 'invalidSortOption'],
      [txn({ compare: [versionIs('', 0)] }), 'keyNotProvided'],
    ];
    for (const [operation, kind] of operations) {
      expect(fed.fails(txn({ failure: [operation] }))?.kind).toBe(kind);
      expect(fed.fails(txn({ success: [txn({ failure: [operation] })] }))?.kind).toBe(kind);
    }
    expect(fed.fails(txn({ compare: [versionIs('', 0)] }))).toEqual({ kind: 'keyNotProvided' });
  }),
  rule('MVCC-LIMIT-4: a level holds txnOperationsMax, and what it nests the rest', (fed) => {
    const tooMany = { kind: 'tooManyOperations' };
    const full = putsOf(txnOperationsMax);
    expect(fed.fails(txn({ success: full, failure: full }))).toBeNull();
    expect(fed.fails(txn({ failure: [...full, put('more')] }))).toEqual(tooMany);
    const compares = Array.from({ length: txnOperationsMax + 1 }, () => versionIs('k', 0));
    expect(fed.fails(txn({ compare: compares }))).toEqual(tooMany);
    expect(fed.fails(txn({ success: [txn({ success: full.slice(1) })] }))).toBeNull();
    expect(fed.fails(txn({ success: [txn({ success: full })] }))).toEqual(tooMany);
    expect(fed.fails(txn({ success: [txn({ success: [txn({ success: full.slice(2) })] })] }))).toBeNull();
    expect(fed.fails(txn({ success: [txn({ success: [txn({ success: full.slice(1) })] })] }))).toEqual(tooMany);
  }),
  rule('MVCC-LIMIT-5: the parts of a txn share the bound of an answer; beyond it nothing is done', (fed) => {
    const value = new Uint8Array(1_500_000);
    const fitting = Math.floor(rangeAnswerBytesMax / (value.byteLength + 128));
    fed.put('large', value);
    expect(fed.fails(txn({ success: [put('k'), ...reads(fitting)] }))).toBeNull();
    expect(fed.fails(txn({ success: [put('k'), ...reads(fitting + 1)] }))).toEqual({ kind: 'answerTooLarge' });
    expect(fed.store.revision).toBe(3);
    expect(fed.range('k').kvs).toMatchObject([{ version: 1 }]);
  }),
  rule('MVCC-TXN-9: an answer that is too large is refused wherever the reads stand that make it so', (fed) => {
    const value = new Uint8Array(1_500_000);
    const tooMany = reads(Math.floor(rangeAnswerBytesMax / (value.byteLength + 128)) + 1);
    fed.put('large', value);
    const before = { revision: fed.store.revision, index: fed.store.appliedIndex };
    for (const success of [tooMany, [...tooMany, put('k')], [txn({ success: tooMany })]]) {
      expect(fed.fails(txn({ success }))).toEqual({ kind: 'answerTooLarge' });
    }
    expect(fed.store.revision).toBe(before.revision);
    expect(fed.store.appliedIndex).toBe(before.index + 3);
    expect(fed.range('k').kvs).toEqual([]);
  }),
];
