// The steps that calls share: find the leader, catch up, check what the caller may do, propose a write, query the
// store. If another replica must answer, the answer is for the gateway alone (`redirectTo`), which then asks that
// replica.

import type { Protocol } from '../../api/contract.ts';
import { type Failure, failureResponse, knownFailure } from '../../api/errors/errors.ts';
import type { CallAnswer } from '../../model/calls.ts';
import { redirectResponse } from '../../api/redirects.ts';
import { assert } from '../../base/assert.ts';
import type { ReplicaId } from '../../model/brands.ts';
import type { Caller, Outcome, StoreFailure } from '../../model/store.ts';
import type { AccessNeed } from '../../mvcc/auth/access.ts';
import type { Query, QueryResult } from '../../model/queries.ts';
import type { Member } from '../member.ts';
import {
  placedMembers,
  proposeWrite,
  unlessCaughtUp,
  unlessFollowing,
  unlessLeading,
  whereLeaderIs,
  type Write,
} from './leader-steps.ts';
import type { OpenCall } from '../open-calls.ts';
import type { CallContext, CallFacts, Doubts } from './call-context.ts';
import type { NotRun } from './read-turns.ts';
import type { SteppedReads } from './stepped-reads.ts';

type Asked = { readonly protocol: Protocol };

/** Every key of the tenant, and every good token, has this access. */
export const anyValidKey: AccessNeed = { kind: 'keys', reads: [], writes: [] };

export function redirectTo(member: Member, leader: ReplicaId | null): Response {
  return redirectResponse(leader ?? 0, placedMembers(member));
}

// The first steps of calls that are answered by a response (`leader-steps.ts`).

/** null: this replica leads. */
export async function leaderElsewhere(member: Member, context: Doubts): Promise<Response | null> {
  const answer = await whereLeaderIs(member, context);
  return answer === null ? null : answerResponse('v3', answer);
}

/** null: every write that was acknowledged before is applied here. */
export async function caughtUp(member: Member, call: Asked): Promise<Response | null> {
  const answer = await unlessCaughtUp(member);
  return answer === null ? null : answerResponse(call.protocol, answer);
}

/** null: every write that was acknowledged before is applied here, whoever leads. */
export async function followsAndCaughtUp(member: Member, call: Asked, context: Doubts): Promise<Response | null> {
  const answer = await unlessFollowing(member, context);
  return answer === null ? null : answerResponse(call.protocol, answer);
}

/** null: this replica leads, and every write that was acknowledged before is applied here. */
export async function leadsAndCaughtUp(member: Member, call: Asked, context: Doubts): Promise<Response | null> {
  const answer = await unlessLeading(member, context);
  return answer === null ? null : answerResponse(call.protocol, answer);
}

/** A response for the gateway if another replica must answer, and for the client if the service refuses the call. */
export function answerResponse(protocol: Protocol, answer: CallAnswer): Response {
  if (answer.kind === 'notLeader') return redirectResponse(answer.leader, answer.members);
  assert(answer.kind === 'answered' && answer.outcome.kind === 'failed', 'the answer is elsewhere, or a refusal');
  return failureResponse(protocol, knownFailure(answer.outcome.failure));
}

/** null: the caller has the access that the call needs. */
export function authorize(member: Member, caller: Caller, need: AccessNeed): Promise<StoreFailure | null> {
  return unlessBehind(member, caller, () => member.driver.store.authorize(caller, need, member.nowMs()));
}

/** A replica that is behind may not know a new key or user yet: it catches up before it refuses. */
async function unlessBehind(
  member: Member,
  caller: Caller,
  refusal: () => StoreFailure | null,
): Promise<StoreFailure | null> {
  const refused = refusal();
  if (refused === null || !mayBeBehind(refused, caller)) return refused;
  if ((await member.leader(null)) === null || (await member.read()).kind !== 'ready') return refused;
  return refusal();
}

/**
 * True if the refusal may not hold once this replica has caught up: a revision that it does not know may be the present
 * one.
 */
export function mayBeBehind(refused: StoreFailure, caller: Caller): boolean {
  if (refused.kind === 'futureRevision') return true;
  if (refused.kind === 'unauthenticated') return refused.reason === 'unknown';
  return refused.kind === 'invalidToken' && caller.kind === 'user';
}

/** The store checks the access of the caller, and answers. The replica must have caught up before. */
export function queryStore<Kind extends Query['kind']>(
  member: Member,
  caller: Caller,
  query: Query & { readonly kind: Kind },
): QueryResult<Kind> {
  return member.driver.store.query<Kind>(query, caller, member.nowMs());
}

/**
 * Like `queryStore`, for a query that may read the whole store: other work comes between its steps. `ended`: too many
 * queries are under way, or the caller's key has ended meanwhile. null: this replica no longer serves, or no caller
 * waits for the answer.
 */
export async function queryStoreInSteps<Kind extends Query['kind']>(
  member: Member,
  { caller, gone, services, room }: Pick<CallContext, 'caller' | 'gone' | 'services' | 'room'>,
  query: Query & { readonly kind: Kind },
): Promise<QueryResult<Kind> | { readonly kind: 'ended'; readonly failure: Failure } | null> {
  const { driver } = member;
  const begin = (): Generator<void, QueryResult<Kind>, void> =>
    driver.store.queryInSteps<Kind>(query, caller, member.nowMs());
  if (query.kind !== 'hash' && query.kind !== 'hashKv') return queryInTurns(services.reads, begin, { gone, room });
  const steps = begin();
  const first = steps.next();
  if (first.done === true) return first.value;
  const full = services.open.refusal('hash', caller);
  if (full !== null) return { kind: 'ended', failure: full };
  let ended: Failure | null = null;
  const place: OpenCall = {
    kind: 'hash',
    caller,
    end: (failure) => {
      ended = failure;
    },
    probe: null,
  };
  services.open.add(place);
  const release = driver.store.holdHistory();
  try {
    for (;;) {
      const step = steps.next();
      if (step.done === true) return step.value;
      await scheduler.wait(0);
      if (ended !== null) return { kind: 'ended', failure: ended };
      if (!driver.serves || gone?.aborted === true) return null;
    }
  } finally {
    services.open.delete(place);
    release();
  }
}

/** Runs a query whose answer is bounded, however much it reads, as reads of keys are run. */
async function queryInTurns<Result>(
  reads: SteppedReads,
  begin: () => Generator<void, Result, void>,
  { gone, room }: Pick<CallContext, 'gone' | 'room'>,
): Promise<Result | { readonly kind: 'ended'; readonly failure: Failure } | null> {
  const stepped = await reads.run(begin, { gone, room, bytesOf: heldBytes });
  if (stepped.kind === 'done') return stepped.result;
  return stepped.kind === 'gone' ? null : { kind: 'ended', failure: readFailure(stepped.kind) };
}

/** Why a read did not run. */
export function readFailure(kind: Exclude<NotRun['kind'], 'gone'>): Failure {
  // Shares of tenants and of isolates are free again sooner than a key's own, as a rule.
  return kind === 'memoryFull' ? { kind, of: 'key' } : { kind };
}

/** What a number, or the head of anything else, takes of memory, about. */
const valueHeldBytes = 16;

/** What the answer to a query takes of memory, about: lists of ids, of names, or of the keys of a lease. */
function heldBytes(value: unknown): number {
  if (value instanceof Uint8Array) return valueHeldBytes + value.byteLength;
  if (typeof value === 'string') return valueHeldBytes + value.length;
  if (typeof value !== 'object' || value === null) return valueHeldBytes;
  let bytes = valueHeldBytes;
  for (const each of Object.values(value)) bytes += heldBytes(each);
  return bytes;
}

export type Proposed =
  | { readonly kind: 'outcome'; readonly outcome: Outcome }
  /** The write is not known to be applied, and this is the answer, for the gateway or for the client. */
  | { readonly kind: 'response'; readonly response: Response };

/** Like `proposeWrite`, with the answer as a response. */
export async function propose(
  member: Member,
  context: Doubts & Pick<CallFacts, 'caller' | 'writeId' | 'mayBeAlone' | 'seen'>,
  write: Asked & Write,
): Promise<Proposed> {
  const proposed = await proposeWrite(member, context, { ...write, seen: context.seen });
  if (proposed.kind === 'outcome') return proposed;
  return { kind: 'response', response: answerResponse(write.protocol, proposed.answer) };
}
