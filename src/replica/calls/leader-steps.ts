// The first steps of all calls, as data: find the leader, catch up, propose a write. If another replica must answer,
// the result of a step says so.

import { isolateMemory, type MemoryShare, type Reservation } from '../../base/memory-budget.ts';
import { wait } from '../../base/timers.ts';
import type { Failure } from '../../api/errors/failures.ts';
import { unreachable } from '../../base/assert.ts';
import { leaderWaitMs, logEntryBytesMax, readRoomLookMs, writeRoomMs } from '../../limits.ts';
import type { ReplicaId, Revision } from '../../model/brands.ts';
import type { CallAnswer, CallOutcome, PlacedMember, ResponseHeader } from '../../model/calls.ts';
import type { Operation, Outcome } from '../../model/store.ts';
import type { Member } from '../member.ts';
import type { CallFacts, Doubts } from './call-context.ts';
import { holderOf } from './memory-holder.ts';
import { requestDigest } from './request-digest.ts';

/** The members of the group, as the gateway is told of them. */
export function placedMembers(member: Member): readonly PlacedMember[] {
  return member.members.filter(({ voter }) => voter).map(({ id, location }) => ({ number: id, location }));
}

export function headerOf(member: Member): ResponseHeader {
  const { clusterId, memberId, driver } = member;
  return { clusterId, memberId, raftTerm: driver.raft.term, revision: driver.store.revision };
}

/** Another replica must answer. */
export function notLeader(member: Member, leader: ReplicaId | null): CallAnswer {
  return { kind: 'notLeader', leader: leader ?? 0, members: placedMembers(member) };
}

/** The call is not done, and the caller is told why. */
export function refusedByService(member: Member, failure: Failure): CallAnswer {
  return answered(member, { kind: 'failed', by: 'service', failure });
}

export function answered(member: Member, outcome: CallOutcome, revision?: Revision): CallAnswer {
  const header = headerOf(member);
  return { kind: 'answered', header: revision === undefined ? header : { ...header, revision }, outcome };
}

function leads(member: Member): boolean {
  return member.driver.raft.role === 'leader';
}

/** null: this replica leads. */
export async function whereLeaderIs(
  member: Member,
  { failedLeader, suspectedLeader }: Doubts,
): Promise<CallAnswer | null> {
  if (leads(member)) return null;
  const leader = await member.leader(failedLeader, suspectedLeader);
  return leader === member.identity.number ? null : notLeader(member, leader);
}

/** null: every write that was acknowledged before is applied here. */
export async function unlessCaughtUp(member: Member): Promise<CallAnswer | null> {
  const result = await member.read();
  switch (result.kind) {
    case 'ready':
      return null;
    case 'refused':
      return notLeader(member, result.leader === member.identity.number ? null : result.leader);
    case 'halted':
      return notLeader(member, null);
    case 'overloaded':
      return refusedByService(member, { kind: 'overloaded' });
    default:
      return unreachable(result);
  }
}

/**
 * A replica that has just started may have shown a newer state before (`Driver.isSure`). What it tells without having
 * to catch up waits until that is over, or until there is no leader, which the answer then says.
 */
export async function untilSure(member: Member): Promise<void> {
  const deadlineMs = member.nowMs() + leaderWaitMs;
  while (!member.driver.isSure && member.nowMs() < deadlineMs) {
    if ((await member.leader(null)) === null) return;
    if ((await member.read()).kind !== 'ready') await member.nextTick();
  }
}

/** null: every write that was acknowledged before is applied here, whoever leads. */
export async function unlessFollowing(member: Member, doubts: Doubts): Promise<CallAnswer | null> {
  const leader = await member.leader(doubts.failedLeader, doubts.suspectedLeader);
  return leader === null ? notLeader(member, null) : unlessCaughtUp(member);
}

/**
 * null: this replica leads, and every write that was acknowledged before is applied here. A leader asks for its
 * confirmation in this turn, so that the calls of one message share it.
 */
export async function unlessLeading(member: Member, doubts: Doubts): Promise<CallAnswer | null> {
  if (leads(member)) return unlessCaughtUp(member);
  return (await whereLeaderIs(member, doubts)) ?? unlessCaughtUp(member);
}

// Writes

/** A write of any kind. `purpose` tells the writes of one call apart. */
export type Write = {
  /** The client's own id for the write; null: the client gave no id. */
  readonly writeId: string | null;
  readonly operation: Operation;
  readonly purpose?: string;
  /**
   * As in `CallFacts`. Left out of a write that may come long after its call, such as the end of a wait: nobody tells
   * the call of newer counts.
   */
  readonly seen?: number | null | undefined;
};

export type ProposedWrite =
  | { readonly kind: 'outcome'; readonly outcome: Outcome }
  /** The write is not known to be applied. */
  | { readonly kind: 'answer'; readonly answer: CallAnswer };

/**
 * `session`: the session that asks. Its client chose `writeId`, and may use it again for another request by mistake.
 * Absent: the call came another way.
 */
export type WriteFacts = Doubts & Pick<CallFacts, 'caller' | 'writeId' | 'mayBeAlone'> & { readonly session?: string };

export async function proposeWrite(member: Member, context: WriteFacts, write: Write): Promise<ProposedWrite> {
  const elsewhere = leads(member) ? null : await whereLeaderIs(member, context);
  if (elsewhere !== null) return { kind: 'answer', answer: elsewhere };
  const callId = write.writeId === null ? `g:${context.writeId}` : `c:${write.writeId}`;
  const writeId = write.purpose === undefined ? callId : `${write.purpose}|${callId}`;
  const { caller, mayBeAlone, session } = context;
  const { operation } = write;
  const source = session === undefined ? {} : { source: session };
  const isNamed = write.writeId !== null || session !== undefined;
  const named = isNamed ? { digest: requestDigest(operation) } : {};
  const place = isolateMemory.reserve(holderOf(member, caller));
  const bytes = member.driver.store.answerBytesOf(operation);
  const lacking = place.hold(bytes) === null ? null : await lackingForLong(member, place, bytes);
  if (lacking !== null)
    return { kind: 'answer', answer: refusedByService(member, { kind: 'memoryFull', of: lacking }) };
  const counted = write.seen === undefined ? {} : { seen: write.seen };
  const written = member.write({ writeId, caller, operation, ...named, ...counted }, { mayBeAlone, ...source });
  // Once there is an outcome, the answer itself counts.
  const result = await written.finally(() => place.release());
  switch (result.kind) {
    case 'applied':
      return { kind: 'outcome', outcome: result.outcome };
    case 'notLeader':
      return { kind: 'answer', answer: notLeader(member, result.leader) };
    case 'unknown':
    case 'halted':
      return { kind: 'answer', answer: notLeader(member, null) };
    case 'overloaded':
      return { kind: 'answer', answer: refusedByService(member, { kind: 'overloaded' }) };
    case 'refused':
    case 'refusedAlone': {
      const { revision } = member.driver.store;
      return { kind: 'outcome', outcome: { kind: 'failed', revision, failure: result.failure } };
    }
    case 'tooLarge': {
      const failure = { kind: 'requestTooLarge', bytes: result.bytes, bytesMax: logEntryBytesMax } as const;
      return { kind: 'answer', answer: refusedByService(member, failure) };
    }
    default:
      return unreachable(result);
  }
}

/** Null: there was room by now. Others that read or write may leave some, and do not say so. */
async function lackingForLong(member: Member, place: Reservation, bytes: number): Promise<MemoryShare | null> {
  const untilMs = member.nowMs() + writeRoomMs;
  for (;;) {
    await wait(readRoomLookMs);
    const lacking = place.hold(bytes);
    if (lacking === null || member.nowMs() >= untilMs) return lacking;
  }
}
