// Rules of the store: how much one command may look at and write, from level 3 on. A command that needs more fails as a
// whole.

import { expect } from 'vitest';
import { utf8 } from '../../../src/base/bytes.ts';
import { commandRowsMax, txnOperationsMax, txnOperationsTotalMax } from '../../../src/limits.ts';
import { sortOrder, sortTarget, type TxnOperation, type TxnRequest } from '../../../src/model/store.ts';
import { runSteps } from '../../../src/mvcc/steps.ts';
import { Store } from '../../../src/mvcc/store.ts';
import { rule, type StoreRule } from './contract.ts';
import {
  type Fed,
  prefix,
  put,
  putRequest,
  range,
  remove,
  service,
  toLevel,
  txn,
  txnRequest,
  versionIs,
} from '../requests.ts';

const keys = prefix('k');
const read = (options: Parameters<typeof range>[1] = {}, of = keys): TxnOperation => ({
  kind: 'range',
  request: range(of, options),
});

/** The store has ten keys of two versions each, in a group of level 3. */
function filled(fed: Fed): void {
  fed.do(toLevel(3));
  for (const value of ['a', 'b']) fed.batch(Array.from({ length: 10 }, (_, n) => put(`k${n}`, value)));
}

function withLimits(fed: Fed, limits: { readonly rowsMax?: number; readonly valueBytesMax?: number }): void {
  fed.store = new Store(fed.sql, { rowsMax: 1_000, valueBytesMax: 1_000, ...limits });
}

/** The lowest limit with which the command is done. Below it nothing is done. */
function rowsOf(fed: Fed, request: Partial<TxnRequest>): number {
  for (let rowsMax = 0; ; rowsMax++) {
    withLimits(fed, { rowsMax });
    const { revision } = fed.store;
    const before = fed.range(keys);
    const failure = fed.fails(txn(request));
    if (failure === null) return rowsMax;
    expect(failure).toEqual({ kind: 'tooMuchWork', what: 'rows', max: rowsMax });
    expect(fed.store.revision).toBe(revision);
    expect(fed.range(keys)).toEqual(before);
  }
}

const nested = (request: Partial<TxnRequest>): TxnOperation => ({ kind: 'txn', request: txnRequest(request) });

/** An operation that is this many operations together with those that it nests. */
const nestedOf = (count: number): TxnOperation =>
  nested({ success: Array.from({ length: count - 1 }, () => read({ limit: 1 })) });

export const workRules: readonly StoreRule[] = [
  rule('MVCC-WORK-1: what a command looks at is drawn from one budget; beyond it nothing is done', (fed) => {
    filled(fed);
    const all = versionIs(keys, 2);
    const half = { minModRevision: 17 };
    const reads: readonly [Partial<TxnRequest>, number][] = [
      // A key that is looked for counts one, and a row that is found counts another one.
      [{ compare: [versionIs('none', 0)] }, 1],
      [{ compare: [versionIs('k1', 2)] }, 2],
      // A compare stops at the first key for which it fails.
      [{ compare: [all] }, 11],
      [{ compare: [versionIs(keys, 7)] }, 2],
      [{ compare: [all, all, all] }, 33],
      [{ compare: [all], success: [nested({ compare: [all], success: [nested({ compare: [all] })] })] }, 33],
      [{ success: [read()] }, 11],
      [{ success: [read(), nested({ success: [read()] })] }, 22],
      [{ success: [read({ sortTarget: sortTarget.mod, sortOrder: sortOrder.descend, limit: 1 })] }, 12],
      // Rows that are counted and not handed over take a sixteenth, rounded up.
      [{ success: [read({ countOnly: true })] }, 2],
      [{ success: [read({ limit: 3 })] }, 5],
      // A filter and an older revision pass rows by. These rows count once in advance, and once more for the count of
      // the answer.
      [{ success: [read(half)] }, 1 + 1 + 5 + 1],
      [{ success: [read({ revision: 11 })] }, 1 + 2 + 10],
      [{ success: [read({ revision: 11, countOnly: true })] }, 1 + 2 + 2],
    ];
    for (const [nth, [request, rows]] of reads.entries()) expect(rowsOf(fed, request), `reads ${nth}`).toBe(rows);
  }),
  rule(
    'MVCC-WORK-2: what it writes is drawn from the same budget, a row fourfold, before anything is deleted',
    (fed) => {
      filled(fed);
      const writes: readonly [Partial<TxnRequest>, number][] = [
        [{ success: [put('k1'), put('k2')] }, 8],
        [{ compare: [versionIs(keys, 9, 3)], success: [put('k1')] }, 15],
        [{ success: [remove('k8')] }, 4],
        [{ success: [remove(prefix('none'))] }, 1],
        [{ success: [put('k1'), remove(prefix('k9'))] }, 4 + 1 + 4],
        [{ success: [put('z'), read({ limit: 2 }), remove(keys, true)] }, 4 + 4 + 1 + 8 * 4 + 8],
      ];
      for (const [nth, [request, rows]] of writes.entries()) expect(rowsOf(fed, request), `writes ${nth}`).toBe(rows);
      expect(fed.range(keys).count).toBe(0);
    },
  ),
  rule('MVCC-WORK-3: values that are read, and those that are written as they were, are bounded', (fed) => {
    filled(fed);
    for (const n of [0, 1, 2]) fed.put(`v${n}`, 'x'.repeat(100));
    const values = prefix('v');
    const compare = { ...values, target: 'value', operand: utf8('a'), result: 1 } as const;
    const copy: TxnOperation = { kind: 'put', request: putRequest('v1', '', { ignoreValue: true }) };
    const requests: readonly [Partial<TxnRequest>, number][] = [
      [{ compare: [compare] }, 300],
      [{ success: [read({}, values)] }, 300],
      [{ success: [read({ keysOnly: true }, values)] }, 0],
      [{ success: [read({ keysOnly: true, sortTarget: sortTarget.value }, values)] }, 300],
      [{ success: [put('z'), copy] }, 400],
      [{ success: [remove(values, true)] }, 300],
    ];
    for (const [nth, [request, bytes]] of requests.entries()) {
      if (bytes > 0) {
        withLimits(fed, { valueBytesMax: bytes - 1 });
        const { revision } = fed.store;
        expect(fed.fails(txn(request))).toEqual({ kind: 'tooMuchWork', what: 'value bytes', max: bytes - 1 });
        expect(fed.store.revision).toBe(revision);
      }
      withLimits(fed, { valueBytesMax: bytes });
      expect(fed.fails(txn(request)), `request ${nth}`).toBeNull();
    }
  }),
  rule(
    'MVCC-WORK-4: commandRowsMax rows are looked at and not one more, also where they are spread over nested txns',
    (fed) => {
      fed.do(toLevel(3));
      const count = commandRowsMax / 2;
      for (let at = 0; at < count; at += 1_000) {
        fed.batch(Array.from({ length: 1_000 }, (_, n) => put(`k${String(at + n).padStart(6, '0')}`)));
      }
      const all = versionIs(keys, 1);
      const tooMuch = { kind: 'tooMuchWork', what: 'rows', max: commandRowsMax };
      const but = versionIs({ key: utf8('k000002'), rangeEnd: keys.rangeEnd }, 1);
      // Each of the two compares counts a key that is looked for, and its rows.
      expect(fed.fails(txn({ compare: [all, but] }))).toBeNull();
      expect(fed.fails(txn({ compare: [all, all] }))).toEqual(tooMuch);
      expect(fed.fails(txn({ compare: [all], success: [txn({ compare: [all] })] }))).toEqual(tooMuch);
      expect(fed.fails(txn({ success: [put('z'), remove(keys)] }))).toEqual(tooMuch);
      expect(fed.range(prefix('z')).count).toBe(0);
      fed.do(toLevel(2));
      expect(fed.fails(txn({ compare: [all], success: [txn({ compare: [all] })] }))).toBeNull();
      expect(fed.fails(txn({ success: [put('z'), remove(keys)] }))).toBeNull();
      expect(fed.range(keys).count).toBe(0);
    },
  ),
  rule('MVCC-WORK-5: a refusal is remembered, and is the same whatever a replica has listed or swept before', (fed) => {
    filled(fed);
    withLimits(fed, { rowsMax: 3 });
    const operation = txn({ success: [read({ revision: 20, countOnly: true }), put('z')] });
    const command = { writeId: 'same', caller: service, atMs: 1, operation };
    const refused = [{ kind: 'failed', failure: { kind: 'tooMuchWork', what: 'rows', max: 3 } }];
    expect(fed.commands([command])).toMatchObject(refused);
    withLimits(fed, {});
    expect(fed.commands([command])).toMatchObject(refused);
    fed.reopen();
    expect(fed.commands([command])).toMatchObject(refused);
    // The store has a page whose count is remembered, and rows that a compaction made superfluous.
    const next = { key: utf8('k3\0'), rangeEnd: keys.rangeEnd };
    const rows = (): number => rowsOf(fed, { success: [read({ limit: 2 }, next), read({ revision: 21 })] });
    const before = rows();
    expect(fed.range(keys, { limit: 4 }).more).toBe(true);
    expect(rows()).toBe(before);
    fed.do({ kind: 'compact', request: { revision: 21 } });
    const compacted = rows();
    while (fed.store.compactStep(100));
    expect(rows()).toBe(compacted);
  }),
  rule(
    'MVCC-WORK-8: a txn that only reads draws on no budget, and holds as many operations as others, at every level',
    (fed) => {
      fed.batch(Array.from({ length: 10 }, (_, n) => put(`k${n}`)));
      const request = txnRequest({ compare: [versionIs(keys, 1)] });
      const nested = txn({ success: Array.from({ length: 60 }, () => read()) });
      const tooMany = txnRequest({ success: Array.from({ length: 60 }, () => nested) });
      for (const level of [1, 3]) {
        fed.do(toLevel(level));
        withLimits(fed, { rowsMax: 9 });
        expect(runSteps(fed.store.readTxnInSteps(request, service, 1))).toMatchObject({ kind: 'txn' });
        const failure = { kind: 'tooManyOperations' };
        expect(runSteps(fed.store.readTxnInSteps(tooMany, service, 1))).toMatchObject({ kind: 'failed', failure });
      }
    },
  ),
  rule(
    'MVCC-WORK-6: a txn holds txnOperationsTotalMax compares and operations on all its levels, from level 3 on',
    (fed) => {
      const half = txnOperationsMax / 2;
      const children = (sizes: number): TxnOperation[] => {
        const full = Math.floor(sizes / half);
        return [
          ...Array.from({ length: full }, () => nestedOf(half)),
          ...(sizes % half === 0 ? [] : [nestedOf(sizes % half)]),
        ];
      };
      const request = (size: number): Partial<TxnRequest> => ({
        compare: [versionIs('none', 0)],
        success: children(size - 1),
      });
      expect(fed.fails(txn(request(txnOperationsTotalMax + 1)))).toBeNull();
      fed.do(toLevel(3));
      expect(fed.fails(txn(request(txnOperationsTotalMax)))).toBeNull();
      expect(fed.fails(txn(request(txnOperationsTotalMax + 1)))).toEqual({ kind: 'tooManyOperations' });
      const ofBranch = txn({ failure: request(txnOperationsTotalMax).success ?? [], success: [put('a'), put('b')] });
      expect(fed.fails(ofBranch)).toEqual({ kind: 'tooManyOperations' });
    },
  ),
];
