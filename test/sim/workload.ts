// What clients ask for: few keys, so that they meet; values that name the operation that wrote them, so that a write that was
// applied twice shows.

import { unreachable } from '../../src/assert.ts';
import { leaseId, type LeaseId, noLease } from '../../src/brands.ts';
import { emptyBytes, utf8 } from '../../src/bytes.ts';
import {
  compareResult,
  type KeyRange,
  type Operation,
  type RangeRequest,
  sortOrder,
  sortTarget,
  type TxnOperation,
} from '../../src/model.ts';
import type { ClientAction } from './client-operation.ts';
import type { Random } from './random.ts';

const keys = ['a', 'a/b', 'a/c', 'b', 'b\u00ff', 'c'] as const;

/** As often as they stand here. */
const actions = [
  ...(['put', 'put', 'put', 'guarded', 'guarded', 'delete', 'read', 'read', 'read', 'other'] as const),
  ...(['grant', 'keepAlive', 'keepAlive', 'keepAlive', 'revoke'] as const),
] as const;
/** Ids that clients choose: they meet, and are granted again. */
const chosenIds = [leaseId(7n), leaseId(-8n)] as const;
const ttlsSeconds = [1, 2, 3, 5, 8, 15] as const;
const longTtlsSeconds = [10, 15, 25] as const;

/** What a client has learned: the newest revision, of each key the revision that it last saw there, its leases. */
export type Knowledge = { revision: number; readonly modRevisions: Map<string, number>; leases: readonly LeaseId[] };

export function nextAction(
  name: string,
  random: Random,
  { knowledge, longLeases }: { readonly knowledge: Knowledge; readonly longLeases: boolean },
): ClientAction {
  const kind = random.pick(actions);
  switch (kind) {
    case 'grant':
      return grant(random, random.pick(longLeases ? longTtlsSeconds : ttlsSeconds));
    case 'keepAlive':
      return { kind: 'keepAlive', id: someLease(random, knowledge) };
    case 'revoke':
      if (random.chance(0.5)) return write({ kind: 'leaseRevoke', id: someLease(random, knowledge) });
      return { kind: 'keepAlive', id: someLease(random, knowledge) };
    case 'put':
      return write(put(name, random, { lease: random.chance(0.5) ? noLease : someLease(random, knowledge) }));
    case 'delete':
      return write({ kind: 'deleteRange', request: { ...someRange(random), previous: random.chance(0.5) } });
    case 'guarded':
      return write(guarded(name, random, knowledge));
    case 'read':
      return read(random.chance(0.5) ? everyKey : someRange(random), { serializable: random.chance(0.3), revision: 0 });
    case 'other': {
      const revision = Math.max(1, knowledge.revision - random.integer(0, 30));
      if (random.chance(0.3)) return write({ kind: 'compact', request: { revision } });
      return read(everyKey, { serializable: random.chance(0.5), revision });
    }
    default:
      return unreachable(kind);
  }
}

/** A write that always changes the store. `lease`: which it needs. */
export function plainPut(name: string, random: Random, lease: LeaseId = noLease): ClientAction {
  return write(put(name, random, { lease }));
}

export function grant(random: Random, ttlSeconds: number): ClientAction {
  const id = random.chance(0.4) ? random.pick(chosenIds) : noLease;
  return write({ kind: 'leaseGrant', id, candidate: leaseId(BigInt(random.integer(1, 1_000))), ttlSeconds });
}

export function write(operation: Operation): ClientAction {
  return { kind: 'write', operation };
}

/** Mostly one that the client was granted. */
function someLease(random: Random, { leases }: Knowledge): LeaseId {
  return random.chance(0.2) || leases.length === 0 ? random.pick(chosenIds) : random.pick(leases);
}

function read(of: KeyRange, how: { readonly serializable: boolean; readonly revision: number }): ClientAction {
  return { kind: 'read', request: rangeRequest(of, how) };
}

function put(
  name: string,
  random: Random,
  { key = random.pick(keys), lease }: { readonly key?: string; readonly lease: LeaseId },
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

/** Put if nobody has written the key since it was last seen, else read it. */
function guarded(name: string, random: Random, knowledge: Knowledge): Operation {
  const key = random.pick(keys);
  const other = random.pick(keys.filter((one) => one !== key));
  const operand = knowledge.modRevisions.get(key) ?? 0;
  const compare = {
    key: utf8(key),
    rangeEnd: emptyBytes,
    result: compareResult.equal,
    target: 'mod',
    operand,
  } as const;
  const removal = { kind: 'deleteRange', request: { ...single(other), previous: true } } as const;
  const reading = { kind: 'range', request: rangeRequest(everyKey, { serializable: false, revision: 0 }) } as const;
  const lease = random.chance(0.7) ? noLease : someLease(random, knowledge);
  const success: TxnOperation[] = [put(name, random, { key, lease })];
  if (random.chance(0.3)) success.push(removal);
  if (random.chance(0.3)) success.push(reading);
  const failure: TxnOperation[] = random.chance(0.7) ? [reading] : [];
  return { kind: 'txn', request: { compare: [compare], success, failure } };
}

export const everyKey: KeyRange = { key: Uint8Array.of(0), rangeEnd: Uint8Array.of(0) };

function single(key: string): KeyRange {
  return { key: utf8(key), rangeEnd: emptyBytes };
}

function someRange(random: Random): KeyRange {
  if (random.chance(0.6)) return single(random.pick(keys));
  const [key, end] = [random.pick(keys), random.pick(keys)];
  if (random.chance(0.3)) return { key: utf8(key), rangeEnd: Uint8Array.of(0) };
  // Not an empty one.
  return key < end ? { key: utf8(key), rangeEnd: utf8(end) } : single(key);
}

export function rangeRequest(
  of: KeyRange,
  { serializable, revision }: { readonly serializable: boolean; readonly revision: number },
): RangeRequest {
  return {
    ...of,
    limit: 0,
    revision,
    sortOrder: sortOrder.none,
    sortTarget: sortTarget.key,
    serializable,
    keysOnly: false,
    countOnly: false,
    minModRevision: 0,
    maxModRevision: 0,
    minCreateRevision: 0,
    maxCreateRevision: 0,
  };
}
