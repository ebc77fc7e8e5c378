// The locks and semaphores of v1. A call takes a place in the queue of a name, and holds while fewer than `limit`
// places were taken before it. The OpenAPI document has the rules. A place with a session has a lease of its own, which
// is revoked when the call ends without a place.

import type { AcquireCall, ReleaseCall } from '../../api/contract.ts';
import type { Failure } from '../../api/errors/failures.ts';
import { holderOf, holderValue, lockTxn, placeKey } from '../../api/queues.ts';
import { readOf } from '../../api/requests.ts';
import { assert, unreachable } from '../../base/assert.ts';
import type { LeaseId } from '../../model/brands.ts';
import { emptyBytes, equalBytes } from '../../base/bytes.ts';
import type { Operation, TxnOperation, TxnRequest } from '../../model/store.ts';
import type { Acquired, Hold } from '../../model/waits.ts';
import { accessOfOperation } from '../../mvcc/auth/access.ts';
import type { CallContext } from '../calls/call-context.ts';
import { authorize } from '../calls/call-steps.ts';
import { notLeader, unlessCaughtUp, unlessLeading } from '../calls/leader-steps.ts';
import {
  afterWait,
  failed,
  giveBack,
  grantSession,
  keyEnded,
  leavePlace,
  placeTaken,
  type Queuing,
  respond,
  sessionLease,
  type Interim,
  tooManyWait,
  value,
  waitHere,
  write,
  withClaim,
  writeFor,
} from './lock-calls.ts';
import { Handover } from './lock-handover.ts';
import type { PlaceClaim } from './place-claims.ts';
import { keyInTheWay, placeAt, queueOf } from './lock-places.ts';
import type { Place } from './lock-queues.ts';
import type { Member } from '../member.ts';

type Acquiring = Pick<AcquireCall, 'name' | 'limit' | 'hold'> & { readonly waitMs: number };

/** A call whose place and lease are known. */
type Seat = {
  readonly queuing: Queuing;
  readonly call: Acquiring;
  readonly lease: LeaseId;
  readonly key: Uint8Array;
  readonly claim: PlaceClaim;
};

export async function serveAcquire(member: Member, call: AcquireCall, context: CallContext): Promise<Response> {
  const queuing: Queuing = { member, context, call, handover: new Handover(context.gone) };
  return respond(queuing, await acquireFor(queuing, { ...call, waitMs: call.waitSeconds * 1_000 }), call);
}

export async function acquireFor(queuing: Queuing, call: Acquiring): Promise<Interim<Acquired>> {
  const elsewhere = await unlessLeading(queuing.member, queuing.context);
  if (elsewhere !== null) return { kind: 'answer', answer: elsewhere };
  const lease = call.hold.kind === 'lease' ? call.hold.id : sessionLease(queuing);
  const key = placeKey(call.name, lease);
  return withClaim(queuing, key, (claim) => acquire({ queuing, call, lease, key, claim }));
}

async function acquire(seat: Seat): Promise<Interim<Acquired>> {
  const { queuing, call, lease, key, claim } = seat;
  const value = holderValue({ limit: call.limit, session: call.hold.kind === 'session' });
  const operation: Operation = { kind: 'txn', request: lockTxn(call.name, lease, value) };
  const refusal = await refusedBefore(seat, operation);
  if (refusal !== null) return failed(refusal);
  if (call.hold.kind === 'session') {
    const granted = await grantSession(queuing, lease, call.hold.ttlSeconds);
    if (granted.kind !== 'value') return granted;
  }
  const written = await writeFor(queuing, operation);
  if (written.kind !== 'value') {
    // The lease of a call whose id was used before may be that call's.
    const isOwn = written.kind === 'failed' && written.failure.kind !== 'idempotencyKeyReused';
    if (isOwn) await leave(seat, null);
    return written;
  }
  const taken = placeTaken(queuing, written.value, key);
  if (taken.kind !== 'value') return taken;
  const place: Place = { name: call.name, key, createRevision: taken.value.createRevision, limit: call.limit };
  claim.found(place.createRevision, taken.value.before === null);
  // A place that this lease was told of before is not this call's to give up.
  const given = claim.isOwn ? place : null;
  // A key that came after the look before: it was written before this place, so it is seen here.
  const inTheWay = keyInTheWay(queuing.member.driver.store, call.name, place.createRevision);
  if (inTheWay !== null) {
    await leave(seat, given);
    return failed({ kind: 'nameInUse', key: inTheWay });
  }
  const other = otherLimit(seat);
  if (other !== null) {
    await leave(seat, given);
    return failed({ kind: 'limitDiffers', limit: other });
  }
  return waitForPlace(seat, place, given);
}

/**
 * The answer to a call that would take its place in vain; null: it may take one. Nothing is written to find this out.
 */
async function refusedBefore({ queuing, call, key }: Seat, operation: Operation): Promise<Failure | null> {
  const { member, context } = queuing;
  const refused = await authorize(member, context.caller, accessOfOperation(operation));
  if (refused !== null) return refused;
  const { store } = member.driver;
  const own = placeAt(store, key);
  const inTheWay = own === null ? keyInTheWay(store, call.name) : null;
  if (inTheWay !== null) return { kind: 'nameInUse', key: inTheWay };
  const { oldest, count } = queueOf(store, call.name);
  if (oldest === null) return null;
  const { limit } = holderOf(oldest.value);
  if (limit !== call.limit) return { kind: 'limitDiffers', limit };
  const isFull = count >= call.limit && own === null;
  return isFull && call.waitMs === 0 ? heldBy(queuing, call) : null;
}

/** The limit of the queue, which its oldest place says; null: it is the limit of this call. */
function otherLimit({ queuing, call, key }: Seat): number | null {
  const { store } = queuing.member.driver;
  const { oldest } = queueOf(store, call.name);
  const counting = oldest === null || equalBytes(oldest.key, key) ? placeAt(store, key) : oldest;
  const limit = counting === null ? call.limit : holderOf(counting.value).limit;
  return limit === call.limit ? null : limit;
}

/** `given`: the place that goes when the call ends without it. */
async function waitForPlace(seat: Seat, place: Place, given: Place | null): Promise<Interim<Acquired>> {
  const { queuing, call, lease } = seat;
  const { member } = queuing;
  const sinceMs = member.nowMs();
  const end = await waitHere(queuing, {
    place,
    timeoutMs: call.waitMs,
    kept: call.hold.kind === 'session' ? lease : null,
    untilLost: true,
  });
  switch (end) {
    case 'turn': {
      const ended = keyEnded(queuing);
      if (ended !== null) {
        await leave(seat, given);
        return failed(ended);
      }
      const held = await hold(seat, place);
      if (held.kind === 'value') afterWait(queuing, member.nowMs() - sinceMs, () => leave(seat, given));
      return held;
    }
    case 'moved':
      return { kind: 'answer', answer: notLeader(member, member.driver.raft.leader) };
    case 'gone':
      if (queuing.call.writeId === null) await leave(seat, given);
      return { kind: 'gone' };
    case 'timeout': {
      const held = heldBy(queuing, call);
      await leave(seat, given);
      return failed(held);
    }
    case 'full':
      await leave(seat, given);
      return failed(tooManyWait(queuing));
    case 'keyEnded':
      await leave(seat, given);
      return failed(keyEnded(queuing) ?? { kind: 'sessionExpired' });
    case 'lost':
      await leave(seat, null);
      return failed({ kind: 'sessionExpired' });
    default:
      return unreachable(end);
  }
}

/** The turn of the place has come. If the place is still there, it holds, and the time of its session begins now. */
async function hold(seat: Seat, place: Place): Promise<Interim<Acquired>> {
  const { queuing, call, lease, key } = seat;
  const { member } = queuing;
  const elsewhere = await unlessCaughtUp(member);
  if (elsewhere !== null) return { kind: 'answer', answer: elsewhere };
  const ttl = await ttlOf(queuing, lease, call.hold);
  if (ttl.kind !== 'value') return ttl;
  const { store } = member.driver;
  const own = placeAt(store, key);
  const { createRevision: fencingToken } = place;
  if (own?.createRevision !== fencingToken || ttl.value === null) {
    await leave(seat, null);
    return failed({ kind: 'sessionExpired' });
  }
  return value({ key, lease, ttlSeconds: ttl.value, fencingToken, revision: store.revision });
}

/** null: the lease has ended. */
async function ttlOf({ member, context }: Queuing, id: LeaseId, { kind }: Hold): Promise<Interim<number | null>> {
  if (kind === 'lease') {
    const query = { kind: 'timeToLive', id, keys: false } as const;
    const result = member.driver.store.query(query, { kind: 'service' }, member.nowMs());
    return value(result.kind === 'answer' ? (result.answer.lease?.ttlSeconds ?? null) : null);
  }
  const result = await context.services.leases.keepAlive({ kind: 'service' }, id);
  if (result === null) return { kind: 'answer', answer: notLeader(member, null) };
  return value(result.kind === 'answer' ? result.answer.ttlSeconds : null);
}

/** The holders, for a call that took no place. There are some: `limit` places were taken before. */
function heldBy({ member }: Queuing, { name, limit }: Acquiring): Failure {
  const { store } = member.driver;
  const { oldest, count } = queueOf(store, name);
  assert(oldest !== null, 'who waits in vain is behind somebody');
  const waiting = Math.max(0, count - limit);
  return { kind: 'lockHeld', fencingToken: oldest.createRevision, waiting, revision: store.revision };
}

/** A call ends without a place. `place` null: it took no place, and has at most its lease to give up. */
async function leave({ queuing, call, lease, claim }: Seat, place: Place | null): Promise<void> {
  if (call.hold.kind === 'session') {
    await giveBack(queuing, { kind: 'leaseRevoke', id: lease });
    await claim.leave(null);
  } else await claim.leave(place === null ? null : () => leavePlace(queuing, place, lease));
}

export async function serveRelease(member: Member, call: ReleaseCall, context: CallContext): Promise<Response> {
  const queuing: Queuing = { member, context, call, handover: new Handover(context.gone) };
  return respond(queuing, await release(queuing, call), call);
}

/**
 * The place goes by one write, so that a retry is answered as the first try was; then, where it was made for it, the
 * lease.
 */
async function release(queuing: Queuing, call: ReleaseCall): Promise<Interim<{ readonly revision: number }>> {
  const written = await writeFor(queuing, { kind: 'txn', request: releaseTxn(call) });
  if (written.kind !== 'value') return written;
  const outcome = written.value;
  const { revision } = outcome;
  if (outcome.kind !== 'txn') return value({ revision });
  const [part] = outcome.answer.parts;
  if (outcome.answer.succeeded !== call.condition.holdsWhen) {
    const other = part?.kind === 'range' ? part.answer.kvs.at(0) : undefined;
    if (other === undefined) return failed({ kind: 'lockNotHeld' });
    return failed({ kind: 'fencingTokenDiffers', current: other.createRevision, revision });
  }
  const place = part?.kind === 'deleteRange' ? part.answer.previous[0] : undefined;
  if (place !== undefined && holderOf(place.value).session) {
    await write(queuing, { kind: 'leaseRevoke', id: call.lease }, 'leave');
  }
  return value({ revision });
}

/** If the condition of the transaction does not hold, its failure branch reads the place. */
function releaseTxn({ key, condition }: ReleaseCall): TxnRequest {
  const own = { key, rangeEnd: emptyBytes };
  const released: TxnOperation[] = [{ kind: 'deleteRange', request: { ...own, previous: true } }];
  const refused: TxnOperation[] = [{ kind: 'range', request: readOf(own, { keysOnly: true }) }];
  const { compare, holdsWhen } = condition;
  return holdsWhen
    ? { compare, success: released, failure: refused }
    : { compare, success: refused, failure: released };
}
