// etcd's locks and elections: a call takes a place by one transaction, waits for the turn of that place, and is then
// answered. A caller that goes away loses its place, unless it named its call: the same call, sent again, then finds
// the place for as long as its lease lives.

import type { Answer } from '../../api/answer.ts';
import type {
  CampaignCall,
  LockCall,
  ObserveCall,
  Protocol,
  ResponseHeader,
  Result,
  SessionWriteCall,
} from '../../api/contract.ts';
import type { Failure } from '../../api/errors/failures.ts';
import { campaignTxn, lockTxn, placeKey, proclaimTxn, resignTxn } from '../../api/queues.ts';
import { unreachable } from '../../base/assert.ts';
import { leaseId, type LeaseId, noLease } from '../../model/brands.ts';
import type { CallAnswer } from '../../model/calls.ts';
import type { Elected, Locked } from '../../model/waits.ts';
import { equalBytes } from '../../base/bytes.ts';
import { sessionSeconds } from '../../limits.ts';
import type { Operation, Outcome } from '../../model/store.ts';
import { identityOf } from '../../mvcc/write-ids.ts';
import type { CallContext, CallFacts } from '../calls/call-context.ts';
import { answerResponse, caughtUp, redirectTo } from '../calls/call-steps.ts';
import {
  headerOf,
  notLeader,
  type ProposedWrite,
  proposeWrite,
  unlessCaughtUp,
  type WriteFacts,
} from '../calls/leader-steps.ts';
import { placeAt, takenAlready, takenBy, type Taken } from './lock-places.ts';
import { Handover } from './lock-handover.ts';
import { refused } from './lock-observe.ts';
import type { Place } from './lock-queues.ts';
import type { PlaceClaim } from './place-claims.ts';
import type { WaitEnd, WaitOptions } from './lock-waits.ts';
import type { Member } from '../member.ts';
import type { Services } from '../services.ts';

/** What is known of a call that takes a place, beside the call. */
export type QueueContext = WriteFacts &
  Pick<CallFacts, 'gone'> & { readonly services: Pick<Services, 'signatures' | 'open' | 'leases' | 'waits'> };

/** A call that takes a place, and the replica that serves it. */
export type Queuing = {
  readonly member: Member;
  readonly context: QueueContext;
  /** `writeId` null: the client did not name its call. */
  readonly call: { readonly writeId: string | null };
  /** How the answer reaches a caller that has waited. */
  readonly handover: Handover;
};

/** A result on the way to an answer: a value to go on with, or what the whole call is answered with. */
export type Interim<Value> =
  | { readonly kind: 'value'; readonly value: Value }
  | { readonly kind: 'failed'; readonly failure: Failure }
  /** Another replica must answer, or the service refuses the call. */
  | { readonly kind: 'answer'; readonly answer: CallAnswer }
  /** The caller has gone. */
  | { readonly kind: 'gone' };

export function value<Value>(of: Value): Interim<Value> {
  return { kind: 'value', value: of };
}

export function failed(failure: Failure): Interim<never> {
  return { kind: 'failed', failure };
}

/** The answer to a call of etcd's. */
export function respond<Value>(
  { member, handover }: Queuing,
  interim: Interim<Value>,
  call: { readonly protocol: Protocol; respond(result: Result<Value>, header: ResponseHeader): Answer },
): Response {
  switch (interim.kind) {
    case 'value':
      return handover.of(call.respond({ kind: 'answer', answer: interim.value }, headerOf(member)).toResponse());
    case 'failed':
      return call.respond(interim, headerOf(member)).toResponse();
    case 'answer':
      return answerResponse(call.protocol, interim.answer);
    case 'gone':
      return new Response(null, { status: 499 });
    default:
      return unreachable(interim);
  }
}

/** Makes one of the writes of a call. `purpose` tells it from the other writes of the same call. */
export function write(
  { member, context, call }: Queuing,
  operation: Operation,
  purpose?: string,
): Promise<ProposedWrite> {
  const { writeId } = call;
  return proposeWrite(member, context, { writeId, operation, ...(purpose === undefined ? {} : { purpose }) });
}

export async function writeFor(queuing: Queuing, operation: Operation, purpose?: string): Promise<Interim<Outcome>> {
  const proposed = await write(queuing, operation, purpose);
  if (proposed.kind === 'answer') return proposed;
  const { outcome } = proposed;
  return outcome.kind === 'failed' ? failed(outcome.failure) : value(outcome);
}

/**
 * The lease of a session that is made for a call. Its id follows from the caller and the call's own id, so that a call
 * that is sent again, to another leader, finds it however long it has waited; and from the service's secret, so that
 * nobody else can take it first.
 */
export function sessionLease({ member, context, call }: Queuing): LeaseId {
  const { caller, services } = context;
  const callId = call.writeId === null ? `g:${context.writeId}` : `c:${call.writeId}`;
  const { tenant } = member.identity;
  const number = services.signatures.numberOf(`session/${tenant}/${identityOf({ caller, writeId: callId })}`);
  return leaseId(BigInt.asUintN(52, number) + 1n);
}

export async function grantSession(queuing: Queuing, id: LeaseId, ttlSeconds: number): Promise<Interim<LeaseId>> {
  const granted = await writeFor(queuing, { kind: 'leaseGrant', id, candidate: id, ttlSeconds }, 'session');
  const isThere = granted.kind === 'failed' && granted.failure.kind === 'leaseExists';
  return granted.kind === 'value' || isThere ? value(id) : granted;
}

async function leaseOf(queuing: Queuing, lease: LeaseId): Promise<Interim<LeaseId>> {
  return lease === noLease ? grantSession(queuing, sessionLease(queuing), sessionSeconds) : value(lease);
}

/** The place that a transaction took, or found taken by this call. After a retry the store is read to find it. */
export function placeTaken({ member }: Queuing, outcome: Outcome, key: Uint8Array): Interim<Taken> {
  const taken = takenBy(outcome, key) ?? takenAlready(placeAt(member.driver.store, key));
  return taken === null ? failed({ kind: 'sessionExpired' }) : value(taken);
}

/**
 * Waits as `lock` and `campaign` do: it is the turn of this place, and all that was acknowledged before is applied
 * here.
 */
async function waitForTurn(queuing: Queuing, place: Place, call: Waiting): Promise<Interim<null>> {
  const { member } = queuing;
  const { timeoutMs, lease, claim } = call;
  const leave = (): Promise<void> => claim.leave(() => leavePlace(queuing, place, lease));
  const sinceMs = member.nowMs();
  const end = await waitHere(queuing, { place, timeoutMs, kept: null, untilLost: false });
  switch (end) {
    case 'turn': {
      const elsewhere = await unlessCaughtUp(member);
      if (elsewhere !== null) return { kind: 'answer', answer: elsewhere };
      const ended = keyEnded(queuing);
      if (ended !== null) {
        await leaveForGood(queuing, place, call);
        return failed(ended);
      }
      afterWait(queuing, member.nowMs() - sinceMs, () => leaveForGood(queuing, place, call));
      return value(null);
    }
    case 'moved':
      return { kind: 'answer', answer: notLeader(member, member.driver.raft.leader) };
    case 'gone':
      if (queuing.call.writeId === null) await leave();
      return { kind: 'gone' };
    case 'timeout':
      await leave();
      return failed({ kind: 'timeout' });
    case 'full':
      await leave();
      return failed(tooManyWait(queuing));
    case 'keyEnded':
      await leaveForGood(queuing, place, call);
      return failed(keyEnded(queuing) ?? { kind: 'sessionExpired' });
    case 'lost':
      return failed({ kind: 'sessionExpired' });
    default:
      return unreachable(end);
  }
}

type Waiting = {
  readonly timeoutMs: number | null;
  readonly lease: LeaseId;
  /** The call made the lease. */
  readonly made: boolean;
  readonly claim: PlaceClaim;
};

/** Only a leader can notice that it no longer leads. */
export function waitHere(
  { member, context }: Queuing,
  options: Omit<WaitOptions, 'caller' | 'gone'>,
): Promise<WaitEnd> {
  if (member.driver.raft.role !== 'leader') return Promise.resolve('moved');
  const { caller, gone } = context;
  return context.services.waits.wait({ ...options, caller, gone });
}

/** Why the caller's key was refused after it had waited; null: the key is as good as before. */
export function keyEnded({ member, context }: Queuing): Failure | null {
  return member.driver.store.authorizeKey(context.caller, { kind: 'anyone' }, member.nowMs());
}

export function tooManyWait({ context }: Queuing): Failure {
  return context.services.open.refusal('wait', context.caller) ?? { kind: 'overloaded' };
}

/**
 * A write that gives something back. What comes of it is told to nobody: the caller is gone, or hears something else.
 * The caller may not write any more, so the service does: it was this call that took what is given back.
 */
export async function giveBack(
  { member, context, call }: Queuing,
  operation: Operation,
  purpose = 'leave',
): Promise<void> {
  const asService: QueueContext = { ...context, caller: { kind: 'service' } };
  await proposeWrite(member, asService, { writeId: call.writeId, operation, purpose });
}

/** Gives a place up. */
export async function leavePlace(queuing: Queuing, place: Place, lease: LeaseId): Promise<void> {
  const { key, name, createRevision } = place;
  await giveBack(queuing, { kind: 'txn', request: resignTxn({ key, name, createRevision, lease }) });
}

/** Gives up the place, and the lease if the call made it: nobody could keep that lease alive. */
function leaveForGood(queuing: Queuing, place: Place, { lease, made, claim }: Waiting): Promise<void> {
  return claim.leave(async () => {
    await leavePlace(queuing, place, lease);
    if (made) await giveBack(queuing, { kind: 'leaseRevoke', id: lease }, 'leaseLeave');
  });
}

/** A call with its part of a place, which other calls with the same lease may have as well. */
export async function withClaim<Value>(
  { context, call: { writeId } }: Queuing,
  key: Uint8Array,
  call: (claim: PlaceClaim) => Promise<Interim<Value>>,
): Promise<Interim<Value>> {
  const callId = writeId === null ? `g:${context.writeId}` : `c:${writeId}`;
  const id = identityOf({ caller: context.caller, writeId: callId });
  const claim = await context.services.waits.claims.join(key, id);
  try {
    const interim = await call(claim);
    if (interim.kind === 'value') claim.tell();
    return interim;
  } finally {
    await claim.end();
  }
}

/** A caller that named its call may send it again, and then finds its place. */
export function afterWait({ call, handover }: Queuing, waitedMs: number, giveUp: () => Promise<void>): void {
  if (call.writeId === null) handover.afterWait(waitedMs, giveUp);
}

// The calls

export async function serveSessionWrite(
  member: Member,
  call: SessionWriteCall,
  context: CallContext,
): Promise<Response> {
  const queuing: Queuing = { member, context, call, handover: new Handover(context.gone) };
  const id = call.lease === noLease ? sessionLease(queuing) : call.lease;
  if (call.lease === noLease) {
    const operation = { kind: 'leaseGrant', id, candidate: id, ttlSeconds: sessionSeconds } as const;
    const granted = await write(queuing, operation, 'session');
    if (granted.kind === 'answer') return answerResponse(call.protocol, granted.answer);
    const { outcome } = granted;
    const isThere = outcome.kind === 'failed' && outcome.failure.kind === 'leaseExists';
    if (outcome.kind === 'failed' && !isThere) return call.respond(outcome, headerOf(member)).toResponse();
  }
  const written = await write(queuing, call.operation(id));
  if (written.kind === 'answer') return answerResponse(call.protocol, written.answer);
  return call.respond(written.outcome, headerOf(member)).toResponse();
}

export async function serveLock(member: Member, call: LockCall, context: CallContext): Promise<Response> {
  const queuing: Queuing = { member, context, call, handover: new Handover(context.gone) };
  return respond(queuing, await lock(queuing, call), call);
}

export async function lock(
  queuing: Queuing,
  call: Pick<LockCall, 'name' | 'lease' | 'timeoutMs'>,
): Promise<Interim<Locked>> {
  const granted = await leaseOf(queuing, call.lease);
  if (granted.kind !== 'value') return granted;
  const lease = granted.value;
  const { timeoutMs } = call;
  const made = call.lease === noLease;
  return withClaim(queuing, placeKey(call.name, lease), (claim) =>
    lockWith(queuing, call.name, { timeoutMs, lease, made, claim }),
  );
}

async function lockWith(queuing: Queuing, name: Uint8Array, waiting: Waiting): Promise<Interim<Locked>> {
  const { store } = queuing.member.driver;
  const { lease, claim } = waiting;
  const key = placeKey(name, lease);
  const written = await writeFor(queuing, { kind: 'txn', request: lockTxn(name, lease) });
  if (written.kind !== 'value') return written;
  const taken = placeTaken(queuing, written.value, key);
  if (taken.kind !== 'value') return taken;
  const { createRevision, isOldest, before } = taken.value;
  claim.found(createRevision, before === null);
  // What is remembered of a call that was sent before may tell of a place that was left since.
  if (isOldest === true && placeAt(store, key)?.createRevision === createRevision) {
    const giveUp = (): Promise<void> => leaveForGood(queuing, { name, key, createRevision, limit: 1 }, waiting);
    const isOwn = claim.isOwn && queuing.call.writeId === null;
    if (isOwn && queuing.context.gone?.aborted === true) {
      await giveUp();
      return { kind: 'gone' };
    }
    if (isOwn) queuing.handover.atOnce(giveUp);
    return value({ key, revision: written.value.revision });
  }
  const waited = await waitForTurn(queuing, { name, key, createRevision, limit: 1 }, waiting);
  if (waited.kind !== 'value') return waited;
  return placeAt(store, key) === null ? failed({ kind: 'sessionExpired' }) : value({ key, revision: store.revision });
}

export async function serveCampaign(member: Member, call: CampaignCall, context: CallContext): Promise<Response> {
  const queuing: Queuing = { member, context, call, handover: new Handover(context.gone) };
  return respond(queuing, await campaign(queuing, call), call);
}

/** Like etcd's, it does not check that its own place is still there when its turn has come. */
export async function campaign(
  queuing: Queuing,
  call: Pick<CampaignCall, 'name' | 'lease' | 'value' | 'timeoutMs'>,
): Promise<Interim<Elected>> {
  const granted = await leaseOf(queuing, call.lease);
  if (granted.kind !== 'value') return granted;
  const lease = granted.value;
  const { timeoutMs } = call;
  const made = call.lease === noLease;
  return withClaim(queuing, placeKey(call.name, lease), (claim) =>
    campaignWith(queuing, call, { timeoutMs, lease, made, claim }),
  );
}

async function campaignWith(
  queuing: Queuing,
  call: Pick<CampaignCall, 'name' | 'value'>,
  waiting: Waiting,
): Promise<Interim<Elected>> {
  const { name } = call;
  const { lease, claim } = waiting;
  const key = placeKey(name, lease);
  const written = await writeFor(queuing, { kind: 'txn', request: campaignTxn(name, lease, call.value) });
  if (written.kind !== 'value') return written;
  const taken = placeTaken(queuing, written.value, key);
  if (taken.kind !== 'value') return taken;
  const { createRevision, before } = taken.value;
  claim.found(createRevision, before === null);
  const place = { name, key, createRevision, limit: 1 };
  if (before !== null && !equalBytes(before.value, call.value)) {
    const leader = { name, key, createRevision, lease };
    const operation = { kind: 'txn', request: proclaimTxn(leader, lease, call.value) } as const;
    const proclaimed = await writeFor(queuing, operation, 'proclaim');
    // As etcd's, a candidate that cannot say its value resigns: a key that was put without this lease goes.
    if (proclaimed.kind === 'failed') await leavePlace(queuing, place, lease);
    if (proclaimed.kind !== 'value') return proclaimed;
    const { value: outcome } = proclaimed;
    if (outcome.kind === 'txn' && !outcome.answer.succeeded) return failed({ kind: 'notElectionLeader' });
  }
  // What is remembered of a wait that a client of a session asks for again may tell of a place that was left since.
  const isOfSession = queuing.context.session !== undefined;
  if (isOfSession && placeAt(queuing.member.driver.store, key)?.createRevision !== createRevision) {
    return failed({ kind: 'sessionExpired' });
  }
  const waited = await waitForTurn(queuing, place, waiting);
  if (waited.kind !== 'value') return waited;
  return value({ key, createRevision, lease, revision: written.value.revision });
}

/** Any replica that has caught up tells who leads an election. */
export async function serveObserve(member: Member, call: ObserveCall, context: CallContext): Promise<Response> {
  const { caller, failedLeader, services } = context;
  if ((await member.leader(failedLeader)) === null) return redirectTo(member, null);
  const elsewhere = await caughtUp(member, call);
  if (elsewhere !== null) return elsewhere;
  const failure = member.driver.store.authorizeRange(caller, call.request, member.nowMs());
  return failure === null ? services.observers.open(call, caller) : refused(call, failure);
}
