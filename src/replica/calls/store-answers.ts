// Answers calls on the store, as data: whoever parsed a call keeps what renders its answer (`api/store-call.ts`). A
// call comes as a request, as the gateway's frame, or on a session, and is the same here.

import type { AskedAs } from '../../api/forwarded.ts';
import { codeName, knownFailure } from '../../api/errors/errors.ts';
import { okName } from '../../api/errors/wire-error.ts';
import { outcomeOfQuery, outcomeOfWrite, refusedByStore } from '../../api/store-call.ts';
import { keyText } from '../../base/bytes.ts';
import { AssertionError, unreachable } from '../../base/assert.ts';
import type { AnswerRoom } from '../../model/answer-room.ts';
import type { CallAnswer, ClientQuery, StoreCall } from '../../model/calls.ts';
import type {
  Caller,
  Operation,
  Outcome,
  Pairs,
  RangeRequest,
  StoreFailure,
  TxnAnswer,
  TxnOperation,
  TxnRequest,
} from '../../model/store.ts';
import { accessOfOperation } from '../../mvcc/auth/access.ts';
import { AnswerBudget } from '../../mvcc/range.ts';
import type { RangeOutcome } from '../../mvcc/store.ts';
import { isReadOnly, isSerializable } from '../../model/read-only.ts';
import { withCandidate } from '../lease/lease-candidate.ts';
import { PackedPairs } from '../../model/codec/packed-pairs.ts';
import type { Member } from '../member.ts';
import type { Services } from '../services.ts';
import type { CallFacts } from './call-context.ts';
import { authorize, mayBeBehind, queryStoreInSteps, readFailure } from './call-steps.ts';
import {
  answered,
  headerOf,
  notLeader,
  proposeWrite,
  refusedByService,
  unlessFollowing,
  unlessLeading,
  whereLeaderIs,
  type Write,
  type WriteFacts,
} from './leader-steps.ts';
import { bytesOfAnswer, bytesOfCall, limitedKind } from './rate-limits.ts';
import { suspensionOf } from './suspension.ts';
import { activeAlarms, alarmRefusal } from './maintenance-quota.ts';

export type AnswerContext = WriteFacts &
  Pick<CallFacts, 'gone' | 'seen'> & {
    readonly services: Services;
    /** Where the answer to a read goes. */
    readonly room: AnswerRoom;
    /** Who is to answer a read; null: the caller did not choose. */
    readonly askedAs: AskedAs | null;
  };

/** A fault of this code is an answer, too, unless it is an assertion's, which is the end of this instance. */
export async function answerStoreCall(member: Member, call: StoreCall, context: AnswerContext): Promise<CallAnswer> {
  const beganMs = member.nowMs();
  try {
    const answer = await answerCallOf(member, call, context);
    // The replica that leads counts what another one has sent on.
    if (answer.kind === 'answered') {
      const { outcome } = answer;
      const code = outcome.kind === 'failed' ? codeName(knownFailure(outcome.failure)) : okName;
      context.services.tallies.called(nameOf(call), code, member.nowMs() - beganMs);
    }
    return answer;
  } catch (error) {
    if (error instanceof AssertionError) throw error;
    console.error(error);
    return refusedByService(member, { kind: 'internal' });
  }
}

/** The call as it is counted, by the name that its command, or etcd's call, has. */
function nameOf(call: StoreCall): string {
  if (call.kind === 'read') return 'range';
  return call.kind === 'write' ? call.operation.kind : call.query.kind;
}

async function answerCallOf(member: Member, call: StoreCall, context: AnswerContext): Promise<CallAnswer> {
  // Of a store that is wrong nothing is told.
  if (!member.driver.serves) return notLeader(member, member.driver.raft.leader);
  const suspended = suspensionOf(member, context.caller);
  if (suspended !== null) return answered(member, refusedByStore(suspended));
  const kind = limitedKind(call);
  const limited = kind === null ? null : context.services.rates.refusal(context.caller, kind);
  // Calls of one message begin together, so nothing is awaited without need.
  if (limited !== null) return refusedByService(member, await limited);
  const answer = await answerAllowed(member, call, context);
  // Another replica answers what this one sends on.
  if (answer.kind === 'answered' && context.caller.kind !== 'service') {
    context.services.rates.moved(() => bytesOfCall(call) + bytesOfAnswer(answer));
  }
  return answer;
}

function answerAllowed(member: Member, call: StoreCall, context: AnswerContext): Promise<CallAnswer> {
  switch (call.kind) {
    case 'read':
      return answerRead(member, call.request, context);
    case 'write':
      return answerWrite(member, call, context);
    case 'query':
      return answerQuery(member, call.query, context);
    default:
      return unreachable(call);
  }
}

// Writes

export async function answerWrite(member: Member, write: Write, context: AnswerContext): Promise<CallAnswer> {
  const { operation } = write;
  const refusal = alarmRefusal(member, context.caller, operation);
  if (refusal !== null) return refuseAlarm(member, operation, context, refusal);
  if (operation.kind === 'txn' && isReadOnly(operation.request)) {
    return answerReadTxn(member, operation.request, context);
  }
  const propose = async (): Promise<CallAnswer> => {
    const { seen } = context;
    const proposed = await proposeWrite(member, context, { ...write, operation: withCandidate(operation), seen });
    return proposed.kind === 'outcome' ? answered(member, outcomeOfWrite(proposed.outcome)) : proposed.answer;
  };
  const isOfTenant = operation.kind === 'alarmActivate' && context.caller.kind !== 'service';
  return isOfTenant ? answerTenantAlarm(member, operation, context, propose) : propose();
}

async function answerTenantAlarm(
  member: Member,
  operation: Operation,
  context: AnswerContext,
  propose: () => Promise<CallAnswer>,
): Promise<CallAnswer> {
  const elsewhere = await unlessLeading(member, context);
  if (elsewhere !== null) return elsewhere;
  const tried = await context.services.alarms.activate(activeAlarms(member), propose);
  return tried.kind === 'noRoom' ? refuseAlarm(member, operation, context, tried.failure) : tried.value;
}

/** Who could not change any alarm is told that, as etcd does. */
async function refuseAlarm(
  member: Member,
  operation: Operation,
  context: AnswerContext,
  refusal: StoreFailure,
): Promise<CallAnswer> {
  const elsewhere = await unlessLeading(member, context);
  if (elsewhere !== null) return elsewhere;
  const refused = await authorize(member, context.caller, accessOfOperation(operation));
  return answered(member, refusedByStore(refused ?? refusal));
}

// Reads

/**
 * Any replica answers that has caught up, or that need not; for the leader alone it is where the caller did not choose.
 * A replica that has just started may have shown more before (`Driver.isSure`), and catches up in any case.
 */
async function answerRead(member: Member, request: RangeRequest, context: AnswerContext): Promise<CallAnswer> {
  if (context.askedAs === 'members') return notLeader(member, member.driver.raft.leader);
  const serializable = request.serializable && member.driver.isSure;
  if (!serializable) {
    const isAnybodys = request.serializable || context.askedAs === 'nearest';
    const elsewhere = await (isAnybodys ? unlessFollowing : unlessLeading)(member, context);
    if (elsewhere !== null) return elsewhere;
  }
  const begin = (budget: AnswerBudget): Steps<RangeOutcome> => permittedRange(member, context.caller, request, budget);
  const read = await resultOf(
    member,
    {
      begin,
      serializable,
      holdsPairs: !request.countOnly,
      bytesOf: bytesOfRange,
      subject: () => subjectOf(request),
      measure: () => permittedBytes(member, context.caller, { kind: 'range', request }),
    },
    context,
  );
  if (read.kind === 'answer') return read.answer;
  const { result } = read;
  if (result.kind === 'failed') return answered(member, refusedByStore(result.failure));
  return answered(member, { kind: 'range', answer: result.answer }, result.revision);
}

function* permittedRange(
  member: Member,
  caller: Caller,
  request: RangeRequest,
  budget: AnswerBudget,
): Steps<RangeOutcome> {
  const { store } = member.driver;
  const failure = store.authorizeRange(caller, request, member.nowMs());
  return failure === null ? yield* store.rangeInSteps(request, budget) : { kind: 'failed', failure };
}

/** A txn without a write is a read: nothing of it is in the log, and an id that it came with names nothing. */
async function answerReadTxn(member: Member, request: TxnRequest, context: AnswerContext): Promise<CallAnswer> {
  const isAnybodys = isSerializable(request);
  const serializable = isAnybodys && member.driver.isSure;
  if (!serializable) {
    const elsewhere = await (isAnybodys ? unlessFollowing : unlessLeading)(member, context);
    if (elsewhere !== null) return elsewhere;
  }
  const { store } = member.driver;
  const begin = (budget: AnswerBudget): Steps<Outcome> =>
    store.readTxnInSteps(request, context.caller, member.nowMs(), budget);
  const measure = (): number => permittedBytes(member, context.caller, { kind: 'txn', request });
  const read = await resultOf(
    member,
    { begin, serializable, holdsPairs: true, bytesOf: bytesOfOutcome, measure },
    context,
  );
  if (read.kind === 'answer') return read.answer;
  return answered(member, outcomeOfWrite(read.result), read.result.revision);
}

/** How long a caller waits does not tell the size of what it may not read. */
function permittedBytes(
  member: Member,
  caller: Caller,
  read: Extract<TxnOperation, { readonly request: object }>,
): number {
  const { store } = member.driver;
  const refused =
    read.kind === 'range'
      ? store.authorizeRange(caller, read.request, member.nowMs())
      : store.authorize(caller, accessOfOperation(read), member.nowMs());
  return refused === null ? store.answerBytesOf(read) : 0;
}

type Steps<Result> = Generator<void, Result, void>;
type Failed = { readonly kind: 'failed'; readonly failure: StoreFailure };
type Asked<Result> = {
  /** `budget`: what the read may hold, and says that it holds. */
  readonly begin: (budget: AnswerBudget) => Steps<Result>;
  readonly serializable: boolean;
  /** False: it counts, and holds nothing between its slices. */
  readonly holdsPairs: boolean;
  readonly bytesOf: (result: Result) => number;
  readonly subject?: () => string;
  readonly measure: () => number;
};
type ReadResult<Result> =
  | { readonly kind: 'result'; readonly result: Result }
  /** The store was not asked to the end. */
  | { readonly kind: 'answer'; readonly answer: CallAnswer };

/** A replica that did not have to catch up may be behind what it refuses for: then it does, and is asked again. */
async function resultOf<Result extends Failed | { readonly kind: string }>(
  member: Member,
  asked: Asked<Result>,
  context: AnswerContext,
): Promise<ReadResult<Result>> {
  const first = await resultOnce(member, asked, context);
  if (!asked.serializable || first.kind === 'answer') return first;
  const { result } = first;
  if (!('failure' in result) || !mayBeBehind(result.failure, context.caller)) return first;
  const elsewhere = await unlessFollowing(member, context);
  if (elsewhere === null) return resultOnce(member, asked, context);
  // Another replica may know the revision. A caller whom this one does not know is refused here, as long as nobody can
  // say better.
  return result.failure.kind === 'futureRevision' ? { kind: 'answer', answer: elsewhere } : first;
}

async function resultOnce<Result>(
  member: Member,
  { begin, holdsPairs, ...asked }: Asked<Result>,
  { services, gone, room }: AnswerContext,
): Promise<ReadResult<Result>> {
  let budget = new AnswerBudget();
  const anew = (): Steps<Result> => {
    budget = new AnswerBudget();
    return begin(budget);
  };
  const stepped = await services.reads.run(anew, {
    gone,
    room,
    ...asked,
    ...(holdsPairs ? { heldBytes: () => budget.heldBytes, forget: () => budget.drop() } : {}),
  });
  switch (stepped.kind) {
    case 'done':
      return { kind: 'result', result: stepped.result };
    case 'gone':
      return { kind: 'answer', answer: notLeader(member, member.driver.raft.leader) };
    case 'timeout':
    case 'overloaded':
    case 'memoryFull':
      return { kind: 'answer', answer: refusedByService(member, readFailure(stepped.kind)) };
    default:
      return unreachable(stepped);
  }
}

/** Names what a range reads. */
function subjectOf({ key, rangeEnd, limit, keysOnly, countOnly }: RangeRequest): string {
  return [keyText(key), keyText(rangeEnd), limit, keysOnly, countOnly].join(' ');
}

function bytesOfRange(result: RangeOutcome): number {
  return result.kind === 'failed' ? 0 : bytesOfPairs(result.answer.kvs);
}

/** What a pair takes beside its key and its value, at most, in an answer's bytes. */
const pairHeldBytes = 48;

function bytesOfPairs(pairs: Pairs): number {
  if (pairs instanceof PackedPairs) return pairs.bytes;
  let bytes = 0;
  for (const { key, value } of pairs) bytes += pairHeldBytes + key.byteLength + value.byteLength;
  return bytes;
}

function bytesOfOutcome(outcome: Outcome): number {
  return outcome.kind === 'txn' ? bytesOfTxn(outcome.answer) : 0;
}

function bytesOfTxn({ parts }: TxnAnswer): number {
  let bytes = 0;
  for (const each of parts) {
    if (each.kind === 'range') bytes += bytesOfPairs(each.answer.kvs);
    else if (each.kind === 'txn') bytes += bytesOfTxn(each.answer);
  }
  return bytes;
}

// Queries

async function answerQuery(member: Member, query: ClientQuery, context: AnswerContext): Promise<CallAnswer> {
  if (query.kind === 'keepAlive') return answerKeepAlive(member, query.id, context);
  const elsewhere = await unlessLeading(member, context);
  if (elsewhere !== null) return elsewhere;
  if (query.kind === 'timeToLive') return answerTimeToLive(member, query, context);
  const header = headerOf(member);
  const result = await queryStoreInSteps(member, context, query);
  if (result === null) return notLeader(member, member.driver.raft.leader);
  if (result.kind === 'ended') return refusedByService(member, result.failure);
  return { kind: 'answered', header, outcome: outcomeOfQuery(result) };
}

async function answerTimeToLive(
  member: Member,
  query: Extract<ClientQuery, { readonly kind: 'timeToLive' }>,
  context: AnswerContext,
): Promise<CallAnswer> {
  const remaining = await context.services.leases.remaining(query.id);
  if (remaining === null) return notLeader(member, null);
  const header = headerOf(member);
  const result = await queryStoreInSteps(member, context, query);
  if (result === null) return notLeader(member, null);
  if (result.kind === 'ended') return refusedByService(member, result.failure);
  if (result.kind === 'failed') return { kind: 'answered', header, outcome: refusedByStore(result.failure) };
  const { revision, answer } = result;
  const outcome = { kind: 'timeToLive', revision, answer, remainingSeconds: remaining.seconds } as const;
  return { kind: 'answered', header, outcome };
}

async function answerKeepAlive(
  member: Member,
  id: Extract<ClientQuery, { readonly kind: 'keepAlive' }>['id'],
  context: AnswerContext,
): Promise<CallAnswer> {
  const elsewhere = await whereLeaderIs(member, context);
  if (elsewhere !== null) return elsewhere;
  const result = await context.services.leases.keepAlive(context.caller, id);
  return result === null ? notLeader(member, null) : answered(member, outcomeOfQuery(result));
}
