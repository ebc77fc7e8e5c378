// Locks and elections as etcd's clients build them. A queue is a prefix, a place in it is a key that is named by its
// lease, and places are ordered by their create revisions. The transactions and reads in this file are etcd's. The
// replica runs them and keeps the callers that wait. Pure.

import { type LeaseId, noLease } from '../model/brands.ts';
import { concatBytes, emptyBytes, prefixEnd, textOf, utf8 } from '../base/bytes.ts';
import { semaphoreLimitMax } from '../limits.ts';
import type { Compare, KeyRange, KeyValue, RangeRequest, TxnOperation, TxnRequest } from '../model/store.ts';
import { compareResult, sortOrder, sortTarget } from '../model/store.ts';
import { readOf } from './requests.ts';

const slash = '/'.charCodeAt(0);

/** A lease in hex as Go prints it: a negative id keeps its sign. */
export function leaseHex(lease: LeaseId): string {
  // BigInt prints a negative number as Go does.
  return lease.toString(16);
}

function queuePrefix(name: Uint8Array): Uint8Array {
  return concatBytes(name, utf8('/'));
}

export function queueRange(name: Uint8Array): KeyRange {
  const key = queuePrefix(name);
  return { key, rangeEnd: prefixEnd(key) ?? emptyBytes };
}

/** `<name>/<lease in hex>`. */
export function placeKey(name: Uint8Array, lease: LeaseId): Uint8Array {
  return concatBytes(name, utf8(`/${leaseHex(lease)}`));
}

/** Reads the place that was taken first: its owner holds the lock, or leads. */
export function oldestPlace(name: Uint8Array): RangeRequest {
  return readOf(queueRange(name), { limit: 1, sortTarget: sortTarget.create, sortOrder: sortOrder.ascend });
}

/** Reads a whole queue, the oldest place first. */
export function allPlaces(name: Uint8Array, limit: number): RangeRequest {
  return readOf(queueRange(name), { limit, sortTarget: sortTarget.create, sortOrder: sortOrder.ascend });
}

function isCreatedAt(key: Uint8Array, createRevision: number): Compare {
  return { key, rangeEnd: emptyBytes, result: compareResult.equal, target: 'create', operand: createRevision };
}

function getOf(key: Uint8Array): TxnOperation {
  return { kind: 'range', request: readOf({ key, rangeEnd: emptyBytes }) };
}

function putIn(key: Uint8Array, value: Uint8Array, lease: LeaseId): TxnOperation {
  return { kind: 'put', request: { key, value, lease, previous: false, ignoreValue: false, ignoreLease: false } };
}

/**
 * Takes a place unless this lease has one. The parts of the answer are the put, or the place as it is, and then the
 * oldest place.
 */
export function lockTxn(name: Uint8Array, lease: LeaseId, value: Uint8Array = emptyBytes): TxnRequest {
  const key = placeKey(name, lease);
  const oldest: TxnOperation = { kind: 'range', request: oldestPlace(name) };
  return {
    compare: [isCreatedAt(key, 0)],
    success: [putIn(key, value, lease), oldest],
    failure: [getOf(key), oldest],
  };
}

/**
 * As `lockTxn`, but without reading the oldest place. A place that exists keeps its value, and the caller then
 * proclaims the new one.
 */
export function campaignTxn(name: Uint8Array, lease: LeaseId, value: Uint8Array): TxnRequest {
  const key = placeKey(name, lease);
  return { compare: [isCreatedAt(key, 0)], success: [putIn(key, value, lease)], failure: [getOf(key)] };
}

export type LeaderKey = {
  readonly name: Uint8Array;
  readonly key: Uint8Array;
  readonly createRevision: number;
  readonly lease: LeaseId;
};

/** The transaction does not succeed where the caller neither leads nor is a candidate any more. */
export function proclaimTxn(leader: LeaderKey, lease: LeaseId, value: Uint8Array): TxnRequest {
  const { key, createRevision } = leader;
  return { compare: [isCreatedAt(key, createRevision)], success: [putIn(key, value, lease)], failure: [] };
}

export function resignTxn({ key, createRevision }: LeaderKey): TxnRequest {
  const range = { key, rangeEnd: emptyBytes };
  return {
    compare: [isCreatedAt(key, createRevision)],
    success: [{ kind: 'deleteRange', request: { ...range, previous: false } }],
    failure: [],
  };
}

// What v1 writes into its places

/** `session` is true where the lease was made for this place and ends with it. */
export type Holder = { readonly limit: number; readonly session: boolean };

export function holderValue({ limit, session }: Holder): Uint8Array {
  return utf8(session ? `{"limit":${limit},"session":true}` : `{"limit":${limit}}`);
}

const holderForm = /^\{"limit":([1-9][0-9]{0,3})(,"session":true)?\}$/;

/**
 * What the value of a place says. A value of another form, as etcd's clients write it, is that of a lock, whose lease
 * is its client's own.
 */
export function holderOf(value: Uint8Array): Holder {
  const [, digits, session] = holderForm.exec(textOf(value) ?? '') ?? [];
  const limit = Number(digits ?? 1);
  return limit > semaphoreLimitMax ? { limit: 1, session: false } : { limit, session: session !== undefined };
}

/**
 * Whether a key below `<name>/` is a place, of this queue or of a queue below it: the key is attached to the lease that
 * it is named by. etcd's lock waits for any other key as for a place that was taken before, for as long as the key
 * exists.
 */
export function isPlace({ key, lease }: Pick<KeyValue, 'key' | 'lease'>): boolean {
  return lease !== noLease && leaseOfPlace(key.subarray(0, Math.max(0, key.lastIndexOf(slash))), key) === lease;
}

/** The lease that a key below `<name>/` is named by; null: `placeKey` makes no such key. */
export function leaseOfPlace(name: Uint8Array, key: Uint8Array): bigint | null {
  const text = textOf(key.subarray(name.byteLength + 1)) ?? '';
  const [, sign, digits] = /^(-?)([0-9a-f]{1,16})$/.exec(text) ?? [];
  if (digits === undefined) return null;
  const lease = BigInt(`0x${digits}`) * (sign === '-' ? -1n : 1n);
  return lease !== noLease && BigInt.asIntN(64, lease) === lease ? lease : null;
}
