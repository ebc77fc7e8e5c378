// Commands at which the code under test throws, on every replica alike and whenever they are applied: puts of one key,
// alone and within a transaction.

import { equalBytes } from '../../../src/base/bytes.ts';
import type { Operation, TxnOperation } from '../../../src/model/store.ts';
import { thrownAt, thrownAtKey } from '../../support/throwing-sql.ts';
import type { Random } from '../../support/random.ts';
import { deleteIn, everyKey, putIn, rangeIn } from '../workloads/requests.ts';

/** The operation that a client may ask for instead of another one. */
export function throwingOperation(name: string, random: Random): Operation {
  const put = putIn(thrownAt, name, random);
  if (random.chance(0.5)) return put;
  const before: TxnOperation[] = [putIn('b', name, random), deleteIn(everyKey, false)].filter(() => random.chance(0.7));
  const after: TxnOperation[] = random.chance(0.3) ? [rangeIn(everyKey)] : [];
  return { kind: 'txn', request: { compare: [], success: [...before, put, ...after], failure: [] } };
}

export function throws(operation: Operation | TxnOperation): boolean {
  if (operation.kind === 'put') return equalBytes(operation.request.key, thrownAtKey);
  return operation.kind === 'txn' && operation.request.success.some(throws);
}
