// The size of a request as protobuf, because etcd's limits are on that size. Zero and empty fields are left out in
// protobuf as well.

import { unreachable } from '../base/assert.ts';
import type { Compare, Operation, PutRequest, RangeRequest, TxnOperation, TxnRequest } from './store.ts';

/** The tag of a field takes one byte for field numbers up to 15, which are all that there are here. */
const tagBytes = 1;
const negativeBytes = 10;

function varintBytes(value: number): number {
  if (value < 0) return negativeBytes;
  let bytes = 1;
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes++;
  return bytes;
}

function numberBytes(value: number): number {
  return value === 0 ? 0 : tagBytes + varintBytes(value);
}

function flagBytes(value: boolean): number {
  return value ? tagBytes + 1 : 0;
}

function bytesBytes(value: Uint8Array): number {
  return value.byteLength === 0 ? 0 : nestedBytes(value.byteLength);
}

function nestedBytes(length: number): number {
  return tagBytes + varintBytes(length) + length;
}

export function rangeBytes(request: RangeRequest): number {
  return (
    bytesBytes(request.key) +
    bytesBytes(request.rangeEnd) +
    numberBytes(request.limit) +
    numberBytes(request.revision) +
    numberBytes(request.sortOrder) +
    numberBytes(request.sortTarget) +
    flagBytes(request.serializable) +
    flagBytes(request.keysOnly) +
    flagBytes(request.countOnly) +
    numberBytes(request.minModRevision) +
    numberBytes(request.maxModRevision) +
    numberBytes(request.minCreateRevision) +
    numberBytes(request.maxCreateRevision)
  );
}

function putBytes(request: PutRequest): number {
  return (
    bytesBytes(request.key) +
    bytesBytes(request.value) +
    numberBytes(Number(request.lease)) +
    flagBytes(request.previous) +
    flagBytes(request.ignoreValue) +
    flagBytes(request.ignoreLease)
  );
}

function compareBytes(compare: Compare): number {
  return bytesBytes(compare.key) + bytesBytes(compare.rangeEnd) + numberBytes(compare.result) + operandBytes(compare);
}

function operandBytes(compare: Compare): number {
  switch (compare.target) {
    case 'value':
      return tagBytes + 1 + bytesBytes(compare.operand);
    case 'lease':
      return tagBytes + 1 + numberBytes(Number(compare.operand));
    case 'version':
    case 'create':
    case 'mod':
      return tagBytes + 1 + numberBytes(compare.operand);
    case 'unknown':
      return tagBytes + 1;
    default:
      return unreachable(compare);
  }
}

function txnOperationBytes(operation: TxnOperation): number {
  switch (operation.kind) {
    case 'range':
      return nestedBytes(rangeBytes(operation.request));
    case 'put':
      return nestedBytes(putBytes(operation.request));
    case 'deleteRange':
      return nestedBytes(deleteRangeBytes(operation.request));
    case 'txn':
      return nestedBytes(txnBytes(operation.request));
    case 'empty':
      return 0;
    default:
      return unreachable(operation);
  }
}

function deleteRangeBytes(request: {
  readonly key: Uint8Array;
  readonly rangeEnd: Uint8Array;
  readonly previous: boolean;
}): number {
  return bytesBytes(request.key) + bytesBytes(request.rangeEnd) + flagBytes(request.previous);
}

export function txnBytes(request: TxnRequest): number {
  let bytes = 0;
  for (const compare of request.compare) bytes += nestedBytes(compareBytes(compare));
  for (const operation of request.success) bytes += nestedBytes(txnOperationBytes(operation));
  for (const operation of request.failure) bytes += nestedBytes(txnOperationBytes(operation));
  return bytes;
}

/**
 * The size of operations that a client can make large. The others are small, or are measured before they become an
 * operation.
 */
export function operationBytes(operation: Operation): number {
  if (operation.kind === 'put') return putBytes(operation.request);
  if (operation.kind === 'deleteRange') return deleteRangeBytes(operation.request);
  return operation.kind === 'txn' ? txnBytes(operation.request) : 0;
}
