// The gateway's own requests to a replica, which are no calls of clients. An object whose code is of the version before
// has no method `ask`, but a method for each kind of request, and is called by that method.

import type { Failure } from '../api/errors/failures.ts';
import { assert } from '../base/assert.ts';
import {
  type FrameAnswer,
  type FrameCall,
  type GroupAnswer,
  type GroupRequest,
  type GroupRequestKind,
  isUnknownKind,
  isUnknownMethod,
  type ObjectAnswer,
  type ObjectRequest,
  type ObjectRequestKind,
  type ReplicaAnswer,
  type ReplicaRequest,
} from '../api/replica-request.ts';
import type { Patience } from '../api/endpoint.ts';
import type { AttemptAnswer } from '../api/redirects.ts';
import type { ReplicaStub } from './env.ts';
import type { StubCall } from './stub-calls.ts';

/** Asks one object, whoever leads its group. */
export function askObject<Kind extends ObjectRequestKind>(
  stub: ReplicaStub,
  request: ObjectRequest<Kind> & ObjectRequest,
): Promise<ObjectAnswer<Kind>> {
  // The replica answers as the kind of the request says (`Replica.ask`).
  return ask(stub, request) as Promise<ObjectAnswer<Kind>>;
}

/** A call that the gateway itself makes, for the leader to answer. */
export function groupCall<Kind extends GroupRequestKind>(
  patience: Patience,
  request: GroupRequest<Kind> & GroupRequest,
): StubCall<GroupAnswer<Kind>> {
  return {
    patience,
    reader: null,
    ask: (stub, { failed, suspected }) => {
      const answer = ask(stub, { ...request, failedLeader: failed, suspectedLeader: suspected });
      // The replica answers as the kind of the request says (`answerGroupRequest`).
      return answer as Promise<AttemptAnswer<GroupAnswer<Kind>>>;
    },
  };
}

/** A call of a client, of one replica. @throws where the replica's code knows no such request (`isUnknownRequest`). */
export async function askFrameCall(stub: ReplicaStub, call: FrameCall): Promise<FrameAnswer | AttemptAnswer<never>> {
  // The replica answers as the kind of the request says (`answerFrameCall`).
  return known(await stub.ask(call), call) as FrameAnswer | AttemptAnswer<never>;
}

/** The replica runs code that does not know the request, and did nothing. */
export class UnknownRequestError extends Error {
  override readonly name = 'UnknownRequestError';
  readonly failure: Failure;

  constructor(kind: ReplicaRequest['kind']) {
    super(`a replica runs code that knows no request of the kind ${kind}`);
    this.failure = { kind: 'groupLevelTooLow', what: `This call (${kind})` };
  }
}

/** Whether the object's code knows no such request. The call may then be made in another way. */
export function isUnknownRequest(error: unknown): boolean {
  return error instanceof UnknownRequestError || isUnknownMethod(error) || isUnknownKind(error);
}

function known(answer: ReplicaAnswer, { kind }: ReplicaRequest): ReplicaAnswer {
  if (answer !== null && typeof answer === 'object' && 'kind' in answer && answer.kind === 'unknownRequest') {
    throw new UnknownRequestError(kind);
  }
  return answer;
}

async function ask(stub: ReplicaStub, request: ReplicaRequest): Promise<ReplicaAnswer> {
  try {
    return known(await stub.ask(request), request);
  } catch (error) {
    if (isUnknownMethod(error)) return await askFormer(stub, request);
    if (isUnknownKind(error)) throw new UnknownRequestError(request.kind);
    throw error;
  }
}

async function askFormer(stub: ReplicaStub, request: ReplicaRequest): Promise<ReplicaAnswer> {
  const method: unknown = Reflect.get(stub, request.kind);
  assert(typeof method === 'function', 'a stub has a method of any name');
  try {
    return await (Reflect.apply(method, stub, [request]) as Promise<ReplicaAnswer>);
  } catch (error) {
    if (isUnknownMethod(error)) throw new UnknownRequestError(request.kind);
    throw error;
  }
}
