// What is known of a write, above all of a transaction, without looking at the store: empty keys, counts, keys given
// twice. Pure. All branches count, whichever would run.

import { unreachable } from '../base/assert.ts';
import { groupLevel } from '../model/levels.ts';
import { txnOperationsMax, txnOperationsTotalMax } from '../limits.ts';
import { keyText } from '../base/bytes.ts';
import type { Operation, StoreFailure, TxnOperation, TxnRequest } from '../model/store.ts';
import { DeletedKeys } from './deleted-keys.ts';
import { spanOf } from '../model/key-range.ts';
import { deleteRangeShape, putShape, rangeShape } from './request-shape.ts';

/** `level`: the level of the group. Null: nothing is wrong as far as can be known without the store. */
export function operationShape(operation: Operation, level: number): StoreFailure | null {
  if (operation.kind === 'put') return putShape(operation.request);
  if (operation.kind === 'deleteRange') return deleteRangeShape(operation.request);
  return operation.kind === 'txn' ? txnShape(operation.request, level) : null;
}

function txnShape(request: TxnRequest, level: number): StoreFailure | null {
  if (level >= groupLevel.third && txnSize(request) > txnOperationsTotalMax) return { kind: 'tooManyOperations' };
  const failure = levelShape(request, txnOperationsMax);
  if (failure !== null) return failure;
  const duplicate = touchedBy(request.success) === null || touchedBy(request.failure) === null;
  return duplicate ? { kind: 'duplicateKey' } : null;
}

/** The number of all compares and operations, in every branch and on every level. */
function txnSize(request: TxnRequest): number {
  let size = request.compare.length;
  for (const branch of [request.success, request.failure]) {
    size += branch.length;
    for (const operation of branch) if (operation.kind === 'txn') size += txnSize(operation.request);
  }
  return size;
}

/** A level may hold `operationsMax`, and the transactions that it nests the rest. */
function levelShape(request: TxnRequest, operationsMax: number): StoreFailure | null {
  const longest = Math.max(request.compare.length, request.success.length, request.failure.length);
  if (longest > operationsMax) return { kind: 'tooManyOperations' };
  for (const compare of request.compare) if (compare.key.byteLength === 0) return { kind: 'keyNotProvided' };
  for (const branch of [request.success, request.failure]) {
    for (const operation of branch) {
      const failure = partShape(operation, operationsMax - longest);
      if (failure !== null) return failure;
    }
  }
  return null;
}

function partShape(operation: TxnOperation, nestedMax: number): StoreFailure | null {
  switch (operation.kind) {
    case 'range':
      return rangeShape(operation.request);
    case 'put':
      return putShape(operation.request);
    case 'deleteRange':
      return deleteRangeShape(operation.request);
    case 'txn':
      return levelShape(operation.request, nestedMax);
    case 'empty':
      return { kind: 'keyNotFound' };
    default:
      return unreachable(operation);
  }
}

type Touched = { readonly puts: Set<string>; readonly deletes: DeletedKeys };

/**
 * The keys that a branch puts and the ranges that it deletes. Null: a key is given twice. The two gaps are etcd's: a
 * delete up to "\0" or over an empty range covers nothing here, and the puts of a nested transaction are compared only
 * with the deletes of this level and of the nested transactions before it.
 */
function touchedBy(operations: readonly TxnOperation[]): Touched | null {
  const puts = new Set<string>();
  const deletes = new DeletedKeys();
  for (const operation of operations) {
    if (operation.kind === 'deleteRange') deletes.add(spanOf(operation.request));
  }
  for (const operation of operations) {
    if (operation.kind === 'txn' && !addNested(operation.request, puts, deletes)) return null;
  }
  for (const operation of operations) {
    if (operation.kind !== 'put') continue;
    const key = keyText(operation.request.key);
    if (puts.has(key) || deletes.holds(key)) return null;
    puts.add(key);
  }
  return { puts, deletes };
}

/** Only one branch of a nested transaction runs, so both branches may put the same key. False: a key is given twice. */
function addNested(request: TxnRequest, puts: Set<string>, deletes: DeletedKeys): boolean {
  const success = touchedBy(request.success);
  if (success === null) return false;
  const failure = touchedBy(request.failure);
  if (failure === null) return false;
  for (const branch of [success, failure]) {
    for (const key of branch.puts) if (puts.has(key) || deletes.holds(key)) return false;
  }
  for (const branch of [success, failure]) {
    for (const key of branch.puts) puts.add(key);
    deletes.addAll(branch.deletes);
  }
  return true;
}
