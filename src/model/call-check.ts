// The bounds of a call on a store, in the order in which etcd refuses what is past them. They are looked at after every
// decoder, of JSON or of frames, and before the call is one: behind them only the store refuses.

import { unreachable } from '../base/assert.ts';
import { utf8 } from '../base/bytes.ts';
import { authNameBytesMax, messageBytesMax, writeBytesMax, writeIdBytesMax } from '../limits.ts';
import type { ClientQuery, ClientWrite, StoreCall } from './calls.ts';
import { operationBytes, rangeBytes } from './request-size.ts';
import type { Compare, Operation, RangeRequest, TxnOperation, TxnRequest } from './store.ts';

/** What is wrong with a call, whatever the store holds. Each is a failure of the wire, too. */
export type CallRefusal =
  | { readonly kind: 'bodyTooLarge'; readonly bytes: number; readonly bytesMax: number }
  | { readonly kind: 'requestTooLarge'; readonly bytes: number; readonly bytesMax: number }
  | { readonly kind: 'keyNotProvided' }
  | { readonly kind: 'valueProvided' }
  | { readonly kind: 'leaseProvided' }
  | { readonly kind: 'nameTooLong'; readonly bytes: number }
  | { readonly kind: 'badRequest'; readonly detail: string };

/**
 * `encodedBytes`: what the call took where it was decoded. null: only the store can refuse it. A decoder of JSON
 * looks at the forms of numbers and ids itself.
 */
export function checkCall(call: StoreCall, encodedBytes: number): CallRefusal | null {
  switch (call.kind) {
    case 'read':
      return readTooLarge(call.request, encodedBytes) ?? numbersOfRange(call.request);
    case 'write':
      return (
        writeTooLarge(call.operation, encodedBytes) ?? numbersOfWrite(call.operation) ?? writeIdRefusal(call.writeId)
      );
    case 'query':
      return namesOfQuery(call.query);
    default:
      return unreachable(call);
  }
}

// Sizes

/** A request may be this much larger as protobuf than where it was decoded: only negative numbers make it larger. */
const protobufMarginBytes = 65_536;

export function readTooLarge(request: RangeRequest, encodedBytes: number): CallRefusal | null {
  if (encodedBytes <= messageBytesMax - protobufMarginBytes) return null;
  const bytes = rangeBytes(request);
  return bytes > messageBytesMax ? { kind: 'bodyTooLarge', bytes, bytesMax: messageBytesMax } : null;
}

/** etcd looks at a put's shape before it looks at its size, and at a message's size before all else. */
export function writeTooLarge(operation: Operation, encodedBytes: number): CallRefusal | null {
  if (encodedBytes <= writeBytesMax - protobufMarginBytes) return null;
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

// Forms

/** Headers carry bytes of unclear encoding beyond ASCII, so an id is visible ASCII. */
const writeIdForm = /^[\x21-\x7e]+$/;

export function isWriteId(text: string): boolean {
  return text.length <= writeIdBytesMax && writeIdForm.test(text);
}

function writeIdRefusal(writeId: string | null): CallRefusal | null {
  if (writeId === null || isWriteId(writeId)) return null;
  return { kind: 'badRequest', detail: `the id of a write must be 1 to ${writeIdBytesMax} visible ASCII characters` };
}

const int64Limit = 2 ** 63;
const rangeNumbers = [
  'limit',
  'revision',
  'sortOrder',
  'sortTarget',
  'minModRevision',
  'maxModRevision',
  'minCreateRevision',
  'maxCreateRevision',
] as const satisfies readonly (keyof RangeRequest)[];

/** A whole number of 64 bits, perhaps rounded on its way in. */
function isWhole(value: number): boolean {
  return Number.isInteger(value) && value >= -int64Limit && value <= int64Limit;
}

function notWhole(name: string): CallRefusal {
  return { kind: 'badRequest', detail: `${name} is not a whole number of 64 bits` };
}

function numbersOfRange(request: RangeRequest): CallRefusal | null {
  const name = rangeNumbers.find((each) => !isWhole(request[each]));
  return name === undefined ? null : notWhole(name);
}

function numbersOfWrite(operation: ClientWrite): CallRefusal | null {
  switch (operation.kind) {
    case 'txn':
      return numbersOfTxn(operation.request);
    case 'compact':
      return isWhole(operation.request.revision) ? null : notWhole('revision');
    case 'leaseGrant':
      return isWhole(operation.ttlSeconds) ? null : notWhole('TTL');
    case 'put':
    case 'deleteRange':
    case 'leaseRevoke':
      return null;
    default:
      return unreachable(operation);
  }
}

function numbersOfTxn({ compare, success, failure }: TxnRequest): CallRefusal | null {
  for (const each of compare) {
    const refusal = numbersOfCompare(each);
    if (refusal !== null) return refusal;
  }
  for (const branch of [success, failure]) {
    for (const operation of branch) {
      const refusal = numbersOfOperation(operation);
      if (refusal !== null) return refusal;
    }
  }
  return null;
}

function numbersOfCompare(compare: Compare): CallRefusal | null {
  if (!isWhole(compare.result)) return notWhole('result');
  const { target } = compare;
  const isNumber = target === 'version' || target === 'create' || target === 'mod';
  return isNumber && !isWhole(compare.operand) ? notWhole(target) : null;
}

function numbersOfOperation(operation: TxnOperation): CallRefusal | null {
  if (operation.kind === 'range') return numbersOfRange(operation.request);
  return operation.kind === 'txn' ? numbersOfTxn(operation.request) : null;
}

function namesOfQuery(query: ClientQuery): CallRefusal | null {
  if (query.kind === 'userGet') return nameRefusal(query.name);
  if (query.kind === 'roleGet') return nameRefusal(query.role);
  return query.kind === 'alarms' && !isWhole(query.alarm) ? notWhole('alarm') : null;
}

/** The store has no such user or role, and makes none. */
function nameRefusal(name: string): CallRefusal | null {
  const bytes = utf8(name).byteLength;
  return bytes > authNameBytesMax ? { kind: 'nameTooLong', bytes } : null;
}
