// Short forms of the requests of clients.

import { readOf } from '../../../src/api/requests.ts';
import { leaseId, type LeaseId, noLease } from '../../../src/model/brands.ts';
import { emptyBytes, prefixEnd, utf8 } from '../../../src/base/bytes.ts';
import {
  type Compare,
  compareResult,
  type KeyRange,
  type Operation,
  type RangeRequest,
  type TxnOperation,
} from '../../../src/model/store.ts';
import type { ClientAction } from './client-operation.ts';
import type { Random } from '../../support/random.ts';

/** Ids that clients choose. They collide, and are granted again. */
export const chosenLeaseIds = [leaseId(7n), leaseId(-8n)] as const;

export const everyKey: KeyRange = { key: Uint8Array.of(0), rangeEnd: Uint8Array.of(0) };

export function single(key: string): KeyRange {
  return { key: utf8(key), rangeEnd: emptyBytes };
}

export function withPrefix(prefix: string): KeyRange {
  return { key: utf8(prefix), rangeEnd: prefixEnd(utf8(prefix)) ?? Uint8Array.of(0) };
}

export function write(operation: Operation): ClientAction {
  return { kind: 'write', operation };
}

export function read(range: KeyRange, how: Partial<RangeRequest> = {}): ClientAction {
  return { kind: 'read', request: readOf(range, how) };
}

export function rangeIn(range: KeyRange): TxnOperation {
  return { kind: 'range', request: readOf(range) };
}

/** The value names the operation that wrote it, so a write that was applied twice shows. */
export function putIn(
  key: string,
  name: string,
  random: Random,
  lease: LeaseId = noLease,
): Extract<TxnOperation, { kind: 'put' }> {
  // Long values live in a table of their own.
  const value = utf8(random.chance(0.1) ? name.padEnd(random.integer(500, 900), '.') : name);
  const request = {
    key: utf8(key),
    value,
    lease,
    previous: random.chance(0.3),
    ignoreValue: false,
    ignoreLease: false,
  };
  return { kind: 'put', request };
}

export function deleteIn(range: KeyRange, previous: boolean): Extract<TxnOperation, { kind: 'deleteRange' }> {
  return { kind: 'deleteRange', request: { ...range, previous } };
}

/** The condition that nobody has written the key since it was last seen; 0: it does not exist. */
export function unchangedSince(key: string, modRevision: number): Compare {
  return { ...single(key), result: compareResult.equal, target: 'mod', operand: modRevision };
}

export function grant(random: Random, ttlSeconds: number): ClientAction {
  const id = random.chance(0.4) ? random.pick(chosenLeaseIds) : noLease;
  return write({ kind: 'leaseGrant', id, candidate: leaseId(BigInt(random.integer(1, 1_000))), ttlSeconds });
}
