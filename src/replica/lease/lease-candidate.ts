// The id that is tried first for a lease whose grant names none.

import { leaseId, noLease } from '../../model/brands.ts';
import type { Operation } from '../../model/store.ts';

/** A grant that names no id gets a number to begin with: the log holds it, so all replicas agree. */
export function withCandidate(operation: Operation): Operation {
  if (operation.kind !== 'leaseGrant' || operation.id !== noLease) return operation;
  const [random = 0n] = crypto.getRandomValues(new BigUint64Array(1));
  return { ...operation, candidate: leaseId(BigInt.asUintN(52, random) + 1n) };
}
