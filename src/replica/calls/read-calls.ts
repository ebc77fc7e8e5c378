// Serves reads of keys: ranges, and transactions that only read. Each is of one revision, however many steps it takes.

import type { ApiRequest, Protocol, ReadCall, ResponseHeader, WriteCall } from '../../api/contract.ts';
import { failureResponse } from '../../api/errors/errors.ts';
import { readHeader, servedByHeader } from '../../api/forwarded.ts';
import { unreachable } from '../../base/assert.ts';
import type { Revision } from '../../model/brands.ts';
import type { Caller, RangeRequest, StoreFailure, TxnRequest } from '../../model/store.ts';
import type { RangeOutcome } from '../../mvcc/store.ts';
import { isSerializable } from '../../mvcc/txn-shape.ts';
import type { CallContext } from './call-context.ts';
import { followsAndCaughtUp, headerOf, leadsAndCaughtUp, mayBeBehind, redirectTo } from './call-steps.ts';
import type { Member } from '../member.ts';

/**
 * Any replica answers that has caught up, or that need not; for the leader alone it is where the caller did not choose.
 */
export async function serveRead(
  member: Member,
  call: ReadCall,
  { headers }: ApiRequest,
  context: CallContext,
): Promise<Response> {
  const place = headers.get(readHeader);
  if (place === 'members') return redirectTo(member, member.driver.raft.leader);
  if (!call.serializable) {
    const elsewhere = await (place === 'nearest' ? followsAndCaughtUp : leadsAndCaughtUp)(member, call, context);
    if (elsewhere !== null) return elsewhere;
  }
  const { request, serializable } = call;
  const begin = (): Steps<RangeOutcome> => permittedRange(member, context.caller, request);
  const read = await answerOf(member, { begin, serializable, protocol: call.protocol }, context);
  if (read.kind === 'response') return read.response;
  const { result } = read;
  const answer = call.respond(result, result.kind === 'failed' ? headerOf(member) : headerAt(member, result.revision));
  return place === null ? answer : servedBy(member, answer);
}

function* permittedRange(member: Member, caller: Caller, request: RangeRequest): Steps<RangeOutcome> {
  const { store } = member.driver;
  const failure = store.authorizeRange(caller, request, member.nowMs());
  return failure === null ? yield* store.rangeInSteps(request) : { kind: 'failed', failure };
}

export function servedBy(member: Member, response: Response): Response {
  response.headers.set(servedByHeader, String(member.identity.number));
  return response;
}

/** A txn without a write is a read: nothing of it is in the log, and an id that it came with names nothing. */
export async function serveReadTxn(
  member: Member,
  call: WriteCall,
  request: TxnRequest,
  context: CallContext,
): Promise<Response> {
  const serializable = isSerializable(request);
  if (!serializable) {
    const elsewhere = await leadsAndCaughtUp(member, call, context);
    if (elsewhere !== null) return elsewhere;
  }
  const { store } = member.driver;
  const begin = () => store.readTxnInSteps(request, context.caller, member.nowMs());
  const read = await answerOf(member, { begin, serializable, protocol: call.protocol }, context);
  if (read.kind === 'response') return read.response;
  return call.respond(read.result, headerAt(member, read.result.revision));
}

function headerAt(member: Member, revision: Revision): ResponseHeader {
  return { ...headerOf(member), revision };
}

type Steps<Result> = Generator<void, Result, void>;
type Failed = { readonly kind: 'failed'; readonly failure: StoreFailure };
type Asked<Result> = {
  readonly begin: () => Steps<Result>;
  readonly serializable: boolean;
  readonly protocol: Protocol;
};
type Answered<Result> =
  | { readonly kind: 'result'; readonly result: Result }
  /** For the gateway, or for the client: the store was not asked to the end. */
  | { readonly kind: 'response'; readonly response: Response };

/** A replica that did not have to catch up may be behind what it refuses for: then it does, and is asked again. */
async function answerOf<Result extends Failed | { readonly kind: string }>(
  member: Member,
  asked: Asked<Result>,
  context: CallContext,
): Promise<Answered<Result>> {
  const first = await answerOnce(member, asked, context);
  if (!asked.serializable || first.kind === 'response') return first;
  const { result } = first;
  if (!('failure' in result) || !mayBeBehind(result.failure, context.caller)) return first;
  const elsewhere = await followsAndCaughtUp(member, asked, context);
  if (elsewhere === null) return answerOnce(member, asked, context);
  // Another replica may know the revision. A caller whom this one does not know is refused here, as long as nobody can
  // say better.
  return result.failure.kind === 'futureRevision' ? { kind: 'response', response: elsewhere } : first;
}

async function answerOnce<Result>(
  member: Member,
  { begin, protocol }: Asked<Result>,
  { services, gone }: CallContext,
): Promise<Answered<Result>> {
  const stepped = await services.reads.run(begin, gone);
  switch (stepped.kind) {
    case 'done':
      return { kind: 'result', result: stepped.result };
    case 'gone':
      return { kind: 'response', response: redirectTo(member, member.driver.raft.leader) };
    case 'timeout':
    case 'overloaded':
      return { kind: 'response', response: failureResponse(protocol, { kind: stepped.kind }) };
    default:
      return unreachable(stepped);
  }
}
