// Requests to the store with a default for every field, so that a caller says only what it means.

import { leaseId } from '../model/brands.ts';
import type { KeyRange, PutRequest, RangeRequest } from '../model/store.ts';
import { sortOrder, sortTarget } from '../model/store.ts';

export function readOf(range: KeyRange, options: Partial<RangeRequest> = {}): RangeRequest {
  return {
    ...range,
    limit: 0,
    revision: 0,
    sortOrder: sortOrder.none,
    sortTarget: sortTarget.key,
    serializable: false,
    keysOnly: false,
    countOnly: false,
    minModRevision: 0,
    maxModRevision: 0,
    minCreateRevision: 0,
    maxCreateRevision: 0,
    ...options,
  };
}

export function putOf(key: Uint8Array, value: Uint8Array, lease: bigint | null): PutRequest {
  return { key, value, lease: leaseId(lease ?? 0n), previous: false, ignoreValue: false, ignoreLease: false };
}
