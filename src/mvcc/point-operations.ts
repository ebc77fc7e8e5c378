// Point operations: all that they look at, and write, is single keys that their requests name. Their effects may stay
// in memory (`overlay/`), and what they overwrite can be read ahead.

import type { KeyRange, Operation, TxnOperation } from '../model/store.ts';
import { spanOf } from '../model/key-range.ts';

export function isPointOperation(operation: Operation | TxnOperation): boolean {
  const { kind } = operation;
  if (kind === 'put' || kind === 'empty') return true;
  if (kind === 'range' || kind === 'deleteRange') return namesOneKey(operation.request);
  if (kind !== 'txn') return false;
  const { compare, success, failure } = operation.request;
  return compare.every(namesOneKey) && success.every(isPointOperation) && failure.every(isPointOperation);
}

/** The keys that a point operation names. Others name none here. */
export function keysOf(operation: Operation | TxnOperation): readonly Uint8Array[] {
  const { kind } = operation;
  if (kind === 'put' || kind === 'range' || kind === 'deleteRange') return [operation.request.key];
  if (kind !== 'txn') return [];
  const { compare, success, failure } = operation.request;
  return [...compare.map(({ key }) => key), ...success.flatMap(keysOf), ...failure.flatMap(keysOf)];
}

function namesOneKey(range: KeyRange): boolean {
  return spanOf(range).kind === 'single';
}
