// What a txn is by its operations alone: whether it changes nothing, and whether it may be of an earlier state. Pure.
// All branches count, whichever would be taken.

import type { TxnOperation, TxnRequest } from './store.ts';

/** Whether no branch, nested ones included, has a put or a delete: such a transaction need not be in the log. */
export function isReadOnly(request: TxnRequest): boolean {
  return everyPart(
    request,
    (part) => part.kind === 'range' || part.kind === 'empty' || (part.kind === 'txn' && isReadOnly(part.request)),
  );
}

/**
 * As in etcd, everything that the transaction reads may be of an earlier state, and so may what it compares. A
 * transaction that only compares does not say so, and is not served from an earlier state, although etcd would.
 */
export function isSerializable(request: TxnRequest): boolean {
  const { success, failure } = request;
  if (success.length + failure.length === 0) return false;
  return everyPart(request, (part) => part.kind === 'range' && part.request.serializable);
}

function everyPart({ success, failure }: TxnRequest, holds: (part: TxnOperation) => boolean): boolean {
  return success.every(holds) && failure.every(holds);
}
