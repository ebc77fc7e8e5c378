// Serves one call of a client on one replica: parse, make sure that this is the place for it, propose or read, answer.
// A call that belongs to another replica is answered for the gateway alone (`redirectTo`), which then asks there.

import { parseCall } from '../api/call.ts';
import type { ApiRequest, ReadCall, ResponseHeader, StatusCall, WatchCall, WriteCall } from '../api/contract.ts';
import { failureResponse } from '../api/errors.ts';
import { leaderHeader, membersHeader, redirectStatus } from '../api/routing.ts';
import { unreachable } from '../assert.ts';
import type { ReplicaId } from '../brands.ts';
import { type AccessNeed, accessOfRange } from '../mvcc/access.ts';
import { requestTimeoutMs } from '../limits.ts';
import type { Caller, StoreFailure } from '../model.ts';
import type { Member } from './member.ts';
import { statusReport } from './status.ts';

export type CallContext = {
  readonly caller: Caller;
  /** The gateway's id for the write, where the client gave none. */
  readonly writeId: string;
  /** The leader that the gateway could not reach. */
  readonly failedLeader: ReplicaId | null;
  readonly openWatch: (call: WatchCall, caller: Caller) => Response | Promise<Response>;
};

/** What every key of the tenant may. */
const anyValidKey: AccessNeed = { kind: 'keys', reads: [], writes: [] };

export function redirectTo(member: Member, leader: ReplicaId | null): Response {
  const members = member.identity.members.map((each) => each.number);
  return new Response(null, {
    status: redirectStatus,
    headers: { [leaderHeader]: String(leader ?? 0), [membersHeader]: members.join(',') },
  });
}

export async function serveCall(member: Member, request: ApiRequest, context: CallContext): Promise<Response> {
  const call = parseCall(request);
  switch (call.kind) {
    case 'refused':
      return call.response;
    case 'write':
      return within(call, serveWrite(member, call, context));
    case 'read':
      return within(call, serveRead(member, call, context));
    case 'status':
      return serveStatus(member, call, context);
    case 'watch':
      return serveWatch(member, call, context);
    case 'answered':
      return call.response;
    case 'query':
    case 'timeToLive':
    case 'keepAlive':
    case 'keepAliveStream':
    case 'password':
    case 'authenticate':
    case 'sessionWrite':
    case 'lock':
    case 'campaign':
    case 'observe':
    case 'acquire':
    case 'release':
    case 'etcdStatus':
    case 'defragment':
    case 'snapshot':
    case 'transferLeadership':
    case 'downgrade':
    case 'memberList':
    case 'memberChange':
    case 'health':
    case 'frames':
      return failureResponse(call.protocol, { kind: 'notServed', what: request.path });
    default:
      return unreachable(call);
  }
}

async function serveWrite(member: Member, call: WriteCall, context: CallContext): Promise<Response> {
  const elsewhere = await leaderElsewhere(member, context);
  if (elsewhere !== null) return elsewhere;
  const writeId = call.writeId === null ? `g:${context.writeId}` : `c:${call.writeId}`;
  const result = await member.write({ writeId, caller: context.caller, operation: call.operation });
  switch (result.kind) {
    case 'applied':
      return call.respond(result.outcome, headerOf(member));
    case 'notLeader':
      return redirectTo(member, result.leader);
    case 'unknown':
    case 'halted':
      return redirectTo(member, null);
    case 'overloaded':
      return failureResponse(call.protocol, { kind: 'overloaded' });
    default:
      return unreachable(result);
  }
}

async function serveRead(member: Member, call: ReadCall, context: CallContext): Promise<Response> {
  if (!call.serializable) {
    const elsewhere = (await leaderElsewhere(member, context)) ?? (await caughtUp(member, call));
    if (elsewhere !== null) return elsewhere;
  }
  const { store } = member.driver;
  const refused = await authorize(member, context.caller, accessOfRange(call.request));
  if (refused !== null) return call.respond({ kind: 'failed', failure: refused }, headerOf(member));
  return call.respond(store.range(call.request), headerOf(member));
}

async function serveStatus(member: Member, call: StatusCall, context: CallContext): Promise<Response> {
  const refused = await authorize(member, context.caller, anyValidKey);
  if (refused !== null) return failureResponse(call.protocol, refused);
  await member.leader(context.failedLeader);
  return call.respond(statusReport(member));
}

/** Any replica serves a watch; it must first know all that was acknowledged before the watch was asked for. */
async function serveWatch(member: Member, call: WatchCall, context: CallContext): Promise<Response> {
  if ((await member.leader(context.failedLeader)) === null) return redirectTo(member, null);
  const elsewhere = await caughtUp(member, call);
  if (elsewhere !== null) return elsewhere;
  return context.openWatch(call, context.caller);
}

/** null: this replica leads. */
async function leaderElsewhere(member: Member, context: CallContext): Promise<Response | null> {
  if (member.driver.raft.role === 'leader') return null;
  const leader = await member.leader(context.failedLeader);
  return leader === member.identity.number ? null : redirectTo(member, leader);
}

/** null: all that was acknowledged before is applied here. */
async function caughtUp(member: Member, call: { readonly protocol: 'v1' | 'v3' }): Promise<Response | null> {
  const result = await member.read();
  switch (result.kind) {
    case 'ready':
      return null;
    case 'refused':
      return redirectTo(member, result.leader === member.identity.number ? null : result.leader);
    case 'halted':
      return redirectTo(member, null);
    case 'overloaded':
      return failureResponse(call.protocol, { kind: 'overloaded' });
    default:
      return unreachable(result);
  }
}

/** A replica that is behind may not know a new key yet: it catches up before it says so. */
async function authorize(member: Member, caller: Caller, need: AccessNeed): Promise<StoreFailure | null> {
  const { store } = member.driver;
  const refused = store.authorize(caller, need, member.nowMs());
  if (refused?.kind !== 'unauthenticated' || refused.reason !== 'unknown') return refused;
  if ((await member.leader(null)) === null || (await member.read()).kind !== 'ready') return refused;
  return store.authorize(caller, need, member.nowMs());
}

export function headerOf(member: Member): ResponseHeader {
  const { clusterId, memberId, driver } = member;
  return { clusterId, memberId, raftTerm: driver.raft.term, revision: driver.store.revision };
}

/** Grpc-Timeout bounds the call: the caller is answered in time, whatever becomes of a write. */
async function within(
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
