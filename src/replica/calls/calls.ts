// Serves one call of a client on one replica: it parses the call, makes sure that this replica may serve it, proposes
// or reads, and answers. If another replica must serve the call, the answer is for the gateway alone (`redirectTo`),
// which then asks that replica.

import { parseCall, protocolOf } from '../../api/call.ts';
import type {
  ApiCall,
  WholeRequest,
  FramesCall,
  QueryCall,
  SessionCall,
  StatusCall,
  WatchCall,
} from '../../api/contract.ts';
import { codeNameOfStatus, failureResponse } from '../../api/errors/errors.ts';
import { askedAsOf, readHeader, servedByHeader } from '../../api/forwarded.ts';
import { redirectResponse, redirectStatus } from '../../api/redirects.ts';
import { type FramedCall, framed, respond } from '../../api/store-call.ts';
import { withSuspension } from '../../api/suspended-answer.ts';
import { assert, AssertionError, unreachable } from '../../base/assert.ts';
import { requestTimeoutMs } from '../../limits.ts';
import { holdAnswer, holdAnswerOfWrite } from '../../api/held-answer.ts';
import { isolateMemory } from '../../base/memory-budget.ts';
import { later } from '../../base/timers.ts';
import { openRoom } from '../../model/answer-room.ts';
import type { CallAnswer } from '../../model/calls.ts';
import { keyFailure, serveAuthenticate, servePassword } from './auth-calls.ts';
import type { CallContext, CallOrigin } from './call-context.ts';
import {
  anyValidKey,
  authorize,
  followsAndCaughtUp,
  leadsAndCaughtUp,
  queryStoreInSteps,
  readFailure,
  redirectTo,
} from './call-steps.ts';
import { serveKeepAliveStream } from '../lease/lease-calls.ts';
import { serveAcquire, serveRelease } from '../lock/lock-acquire.ts';
import { serveCampaign, serveLock, serveObserve, serveSessionWrite } from '../lock/lock-calls.ts';
import {
  serveDefragment,
  serveDowngrade,
  serveEtcdStatus,
  serveHealth,
  serveTransferLeadership,
} from './maintenance-calls.ts';
import { headerOf, untilSure } from './leader-steps.ts';
import { serveMemberChange, serveMemberList } from './maintenance-members.ts';
import { serveDump } from './maintenance-dump-stream.ts';
import { memoryRoom } from './memory-room.ts';
import { isReadOnly } from '../../model/read-only.ts';
import type { Member } from '../member.ts';
import { holderOf } from './memory-holder.ts';
import { answerStoreCall, answerWrite } from './store-answers.ts';
import { suspensionOf } from './suspension.ts';
import { statusReport } from '../status.ts';

/** Answers every call, also after a fault of this code. Only a failed assertion is thrown on: it ends this instance. */
export async function answerCall(member: Member, request: WholeRequest, origin: CallOrigin): Promise<Response> {
  try {
    return await serveCall(member, request, origin);
  } catch (error) {
    // The gateway takes a call that throws for an outage, and asks another replica. There a fault of this code would
    // fail, too.
    if (error instanceof AssertionError) throw error;
    console.error(error);
    return failureResponse(protocolOf(request.path), { kind: 'internal' });
  }
}

async function serveCall(member: Member, request: WholeRequest, origin: CallOrigin): Promise<Response> {
  const call = parseCall(request);
  const suspended = call.kind === 'refused' ? null : suspensionOf(member, origin.caller);
  if (suspended !== null) return withSuspension(failureResponse(protocolOf(request.path), suspended), suspended);
  // What is asked of the store by `answerStoreCall` is counted there, however it comes.
  const isCounted = call.kind === 'refused' || framed(call) !== null;
  const limited = isCounted ? null : origin.services.rates.refusal(origin.caller, 'reads');
  if (limited !== null) return failureResponse(protocolOf(request.path), await limited);
  const holder = holderOf(member, origin.caller);
  const memory = isolateMemory.reserve(holder);
  const context = { ...origin, room: memoryRoom(holder, memory, 0) };
  // What the read holds, the response holds from here on.
  const answer = await serveParsed(member, call, request, context).finally(() => memory.lose());
  if (!isCounted && answer.status !== redirectStatus) {
    origin.services.tallies.called(nameOf(call), codeNameOfStatus(answer.status), null);
  }
  const holding = { holder, budget: isolateMemory, later };
  const isWrite = call.kind === 'write' && !(call.operation.kind === 'txn' && isReadOnly(call.operation.request));
  const failure = isWrite ? holdAnswerOfWrite(answer, holding) : holdAnswer(answer, holding);
  return failure === null ? answer : failureResponse(protocolOf(request.path), failure);
}

/** The call as it is counted. */
function nameOf(call: ApiCall): string {
  if (call.kind === 'write') return call.operation.kind;
  return call.kind === 'query' ? call.query.kind : call.kind;
}

async function serveParsed(
  member: Member,
  call: ApiCall,
  request: WholeRequest,
  context: CallContext,
): Promise<Response> {
  // Of a store that was found to be wrong nothing is told, except that it is wrong.
  if (!member.driver.serves && !tellsOfReplica.includes(call.kind))
    return redirectTo(member, member.driver.raft.leader);
  switch (call.kind) {
    case 'refused':
      return call.response;
    case 'query':
      if (isHash(call)) return withinItsTimeout(call, serveHash(member, call, context));
      return withinItsTimeout(call, serveStoreCall(member, call, request, context));
    case 'read':
    case 'write':
    case 'timeToLive':
    case 'keepAlive':
      return withinItsTimeout(call, serveStoreCall(member, call, request, context));
    case 'session':
      return serveSession(member, call, context);
    case 'status':
      return serveStatus(member, call, context);
    case 'watch':
      return serveWatch(member, call, request, context);
    case 'answered':
      return call.response;
    case 'password':
      return withinItsTimeout(call, servePassword(member, call, context));
    case 'authenticate':
      return withinItsTimeout(call, serveAuthenticate(member, call, context));
    case 'etcdStatus':
      return withinItsTimeout(call, serveEtcdStatus(member, call, context));
    case 'defragment':
      return withinItsTimeout(call, serveDefragment(member, call, context));
    case 'dump':
      return serveDump(member, call, context);
    case 'transferLeadership':
      return withinItsTimeout(call, serveTransferLeadership(member, call, context));
    case 'downgrade':
      return withinItsTimeout(call, serveDowngrade(member, call, context));
    case 'memberList':
      return withinItsTimeout(call, serveMemberList(member, call, context));
    case 'memberChange':
      return withinItsTimeout(call, serveMemberChange(member, call, context));
    case 'health':
      return serveHealth(member, call, context);
    case 'frames':
      return serveFrames(member, call, context);
    case 'keepAliveStream':
      return serveKeepAliveStream(member, call, request, context);
    case 'sessionWrite':
      return withinItsTimeout(call, serveSessionWrite(member, call, context));
    case 'lock':
      return serveLock(member, call, context);
    case 'campaign':
      return serveCampaign(member, call, context);
    case 'observe':
      return serveObserve(member, call, context);
    case 'acquire':
      return serveAcquire(member, call, context);
    case 'release':
      return withinItsTimeout(call, serveRelease(member, call, context));
    default:
      return unreachable(call);
  }
}

const tellsOfReplica: readonly ApiCall['kind'][] = ['refused', 'answered', 'status', 'etcdStatus', 'health'];

/** Asks the store, and answers in the form of the request. */
async function serveStoreCall(
  member: Member,
  call: FramedCall,
  { headers }: WholeRequest,
  context: CallContext,
): Promise<Response> {
  const askedAs = askedAsOf(headers);
  const asked = framed(call)?.asked;
  const answer = await (asked === undefined
    ? answerRareWrite(member, call, context)
    : answerStoreCall(member, asked, { ...context, askedAs }));
  if (answer.kind !== 'answered') return redirectOf(answer);
  const response = respond(call, answer.outcome, answer.header).toResponse();
  const isByService = answer.outcome.kind === 'failed' && answer.outcome.by === 'service';
  return call.kind === 'read' && askedAs !== null && !isByService ? servedBy(member, response) : response;
}

/** One that no client asks for by a frame, of users and roles for instance. */
function answerRareWrite(member: Member, call: FramedCall, context: CallContext): Promise<CallAnswer> {
  assert(call.kind === 'write', 'reads, and queries but for hashes, are asked for by frames, too');
  return answerWrite(member, call, { ...context, askedAs: null });
}

function redirectOf(answer: CallAnswer): Response {
  assert(answer.kind === 'notLeader', 'this replica exists');
  return redirectResponse(answer.leader, answer.members);
}

function isHash({ query }: QueryCall): boolean {
  return query.kind === 'hash' || query.kind === 'hashKv';
}

/** A query that reads the whole store. */
async function serveHash(member: Member, call: QueryCall, context: CallContext): Promise<Response> {
  const elsewhere = await leadsAndCaughtUp(member, call, context);
  if (elsewhere !== null) return elsewhere;
  // The hash is that of the revision in this header, however long it takes.
  const header = headerOf(member);
  const result = await queryStoreInSteps(member, context, call.query);
  if (result === null) return redirectTo(member, member.driver.raft.leader);
  return result.kind === 'ended'
    ? failureResponse(call.protocol, result.failure)
    : call.respond(result, header).toResponse();
}

/** Adds the number of this replica to its answer to a read or a watch. */
function servedBy(member: Member, response: Response): Response {
  response.headers.set(servedByHeader, String(member.identity.number));
  return response;
}

/** A caller whose key is not valid gets no socket. The access of each frame is checked when it comes. */
async function serveFrames(member: Member, call: FramesCall, context: CallContext): Promise<Response> {
  const failure = await keyFailure(member, context.caller);
  return failure === null ? context.openings.openFrames(call) : failureResponse(call.protocol, failure);
}

/** The same of a session, whose calls come with credentials of their own. */
async function serveSession(member: Member, call: SessionCall, context: CallContext): Promise<Response> {
  const failure = await keyFailure(member, context.caller);
  return failure === null ? context.openings.openSession(call) : failureResponse(call.protocol, failure);
}

async function serveStatus(member: Member, call: StatusCall, context: CallContext): Promise<Response> {
  const refused = await authorize(member, context.caller, anyValidKey);
  if (refused !== null) return failureResponse(call.protocol, refused);
  const { failedLeader, suspectedLeader } = context;
  const leader = await member.leader(failedLeader, suspectedLeader);
  // Only the leader knows the state of the other replicas. If it does not answer the gateway, this replica tells what
  // it knows.
  const isDoubted = failedLeader !== null || suspectedLeader !== null;
  if (leader !== null && leader !== member.identity.number && !isDoubted) return redirectTo(member, leader);
  await untilSure(member);
  // What the replica learned meanwhile may be that the key is revoked.
  const refusedNow = await authorize(member, context.caller, anyValidKey);
  if (refusedNow !== null) return failureResponse(call.protocol, refusedNow);
  // The first call of this kind counts the keys.
  const { store } = member.driver;
  const { gone } = context;
  const read = { gone, room: openRoom, bytesOf: () => 0 };
  const counted = await context.services.reads.run(() => store.countKeysInSteps(), read);
  if (counted.kind === 'gone') return redirectTo(member, null);
  if (counted.kind !== 'done') return failureResponse(call.protocol, readFailure(counted.kind));
  return call.respond(statusReport(member)).toResponse();
}

/**
 * Any replica serves a watch. It must first have applied every write that was acknowledged before the watch was asked
 * for.
 */
async function serveWatch(
  member: Member,
  call: WatchCall,
  { headers }: WholeRequest,
  context: CallContext,
): Promise<Response> {
  if (headers.get(readHeader) === 'members') return redirectTo(member, member.driver.raft.leader);
  const elsewhere = await followsAndCaughtUp(member, call, context);
  return elsewhere ?? servedBy(member, await context.openings.openWatch(call));
}

/** Grpc-Timeout bounds the call: the caller is answered in time, and a write may still be done later. */
async function withinItsTimeout(
  call: { readonly protocol: 'v1' | 'v3'; readonly timeoutMs: number | null },
  answer: Promise<Response>,
): Promise<Response> {
  if (call.timeoutMs === null || call.timeoutMs >= requestTimeoutMs) return answer;
  const answered = new AbortController();
  const timeout = scheduler.wait(call.timeoutMs, { signal: answered.signal }).then(
    () => failureResponse(call.protocol, { kind: 'timeout' }),
    () => answer,
  );
  try {
    return await Promise.race([answer, timeout]);
  } finally {
    answered.abort();
  }
}
