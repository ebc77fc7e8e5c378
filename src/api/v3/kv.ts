// etcd's kv: range, put, deleterange, txn, compaction, with the sizes that etcd measures them by.

import { unreachable } from '../../assert.ts';
import { messageBytesMax, writeBytesMax } from '../../limits.ts';
import type { Operation, Outcome, RangeRequest } from '../../model.ts';
import type { ApiCall } from '../contract.ts';
import type { Failure } from '../errors.ts';
import { deleteRangeFields, putFields, rangeFields, txnFields } from './encode.ts';
import { compactionRequest, deleteRangeRequest, putRequest, rangeRequest, readBody, txnRequest } from './schema.ts';
import { operationBytes, rangeBytes } from './size.ts';
import type { Frame, ParseUnary } from './unary.ts';
import { answer, failKept, refuse, writeCall } from './unary.ts';

/** No request is more than this much larger as protobuf than as JSON: only a negative number can be larger at all. */
const protobufMarginBytes = 1_024;

/** etcd looks at a put's shape before it looks at its size, and at a message's size before all else. */
function findTooLarge(operation: Operation): Failure | null {
  const bytes = operationBytes(operation);
  if (bytes > messageBytesMax) return { kind: 'bodyTooLarge', bytes, bytesMax: messageBytesMax };
  if (bytes <= writeBytesMax) return null;
  if (operation.kind === 'put') {
    const { key, value, lease, ignoreValue, ignoreLease } = operation.request;
    if (key.byteLength === 0) return { kind: 'keyNotProvided' };
    if (ignoreValue && value.byteLength > 0) return { kind: 'valueProvided' };
    if (ignoreLease && lease !== 0n) return { kind: 'leaseProvided' };
  }
  return { kind: 'requestTooLarge', bytes, bytesMax: writeBytesMax };
}

function rangeCall(request: RangeRequest, { bodyBytes, timeoutMs }: Frame): ApiCall {
  if (bodyBytes > messageBytesMax - protobufMarginBytes) {
    const bytes = rangeBytes(request);
    if (bytes > messageBytesMax) return refuse({ kind: 'bodyTooLarge', bytes, bytesMax: messageBytesMax });
  }
  return {
    kind: 'read',
    protocol: 'v3',
    timeoutMs,
    request,
    serializable: request.serializable,
    respond(result, header) {
      if (result.kind === 'failed') return failKept(result.failure);
      return answer(header, header.revision, rangeFields(result.answer));
    },
  };
}

function sizedWrite(operation: Operation, frame: Frame): ApiCall {
  if (frame.bodyBytes > writeBytesMax - protobufMarginBytes) {
    const failure = findTooLarge(operation);
    if (failure !== null) return refuse(failure);
  }
  return writeCall(frame, operation, { fields: outcomeFields });
}

function outcomeFields(outcome: Exclude<Outcome, { kind: 'failed' | 'appliedBefore' }>): string {
  switch (outcome.kind) {
    case 'put':
      return putFields(outcome.answer);
    case 'deleteRange':
      return deleteRangeFields(outcome.answer);
    case 'txn':
      return txnFields(outcome.answer);
    case 'compact':
    case 'createAccessKey':
    case 'revokeAccessKey':
    case 'leaseGrant':
    case 'alarm':
    case 'done':
      return '';
    default:
      return unreachable(outcome);
  }
}

export const kvPaths: Readonly<Record<string, ParseUnary>> = {
  'kv/range': (scanner, frame) => {
    const request = readBody(rangeRequest, scanner);
    return request && rangeCall(request, frame);
  },
  'kv/put': (scanner, frame) => {
    const request = readBody(putRequest, scanner);
    return request && sizedWrite({ kind: 'put', request }, frame);
  },
  'kv/deleterange': (scanner, frame) => {
    const request = readBody(deleteRangeRequest, scanner);
    return request && sizedWrite({ kind: 'deleteRange', request }, frame);
  },
  'kv/txn': (scanner, frame) => {
    const request = readBody(txnRequest, scanner);
    return request && sizedWrite({ kind: 'txn', request }, frame);
  },
  'kv/compaction': (scanner, frame) => {
    const request = readBody(compactionRequest, scanner);
    return request && sizedWrite({ kind: 'compact', request }, frame);
  },
};
