// What is known of a put, a range or a delete without looking at the store. Pure. The order of the checks is etcd's.

import { keyBytesMax, valueBytesMax } from '../limits.ts';
import {
  type KeyRange,
  type PutRequest,
  type RangeRequest,
  type StoreFailure,
  sortOrder,
  sortTarget,
} from '../model/store.ts';

const sortOrders: ReadonlySet<number> = new Set(Object.values(sortOrder));
const sortTargets: ReadonlySet<number> = new Set(Object.values(sortTarget));

export function rangeShape(request: RangeRequest): StoreFailure | null {
  if (request.key.byteLength === 0) return { kind: 'keyNotProvided' };
  if (!sortOrders.has(request.sortOrder) || !sortTargets.has(request.sortTarget)) return { kind: 'invalidSortOption' };
  return null;
}

export function putShape(request: PutRequest): StoreFailure | null {
  if (request.key.byteLength === 0) return { kind: 'keyNotProvided' };
  if (request.ignoreValue && request.value.byteLength !== 0) return { kind: 'valueProvided' };
  if (request.ignoreLease && request.lease !== 0n) return { kind: 'leaseProvided' };
  if (request.key.byteLength > keyBytesMax) return { kind: 'keyTooLong', bytes: request.key.byteLength };
  if (request.value.byteLength > valueBytesMax) return { kind: 'valueTooLarge', bytes: request.value.byteLength };
  return null;
}

export function deleteRangeShape(request: KeyRange): StoreFailure | null {
  return request.key.byteLength === 0 ? { kind: 'keyNotProvided' } : null;
}
