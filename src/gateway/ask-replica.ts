// The gateway's own requests to a replica, which are no calls of clients. An object whose code is of the version before
// has no method `ask`, but a method for each kind of request, and is called by that method.

import { assert } from '../base/assert.ts';
import {
  type FrameAnswer,
  type FrameCall,
  type GroupAnswer,
  type GroupRequest,
  type GroupRequestKind,
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

/** A call of a client, of one replica. A replica whose code knows no such request throws (`isUnknownMethod`). */
export function askFrameCall(stub: ReplicaStub, call: FrameCall): Promise<FrameAnswer | AttemptAnswer<never>> {
  // The replica answers as the kind of the request says (`answerFrameCall`).
  return stub.ask(call) as Promise<FrameAnswer | AttemptAnswer<never>>;
}

async function ask(stub: ReplicaStub, request: ReplicaRequest): Promise<ReplicaAnswer> {
  try {
    return await stub.ask(request);
  } catch (error) {
    if (isUnknownMethod(error)) return await askFormer(stub, request);
    throw error;
  }
}

async function askFormer(stub: ReplicaStub, request: ReplicaRequest): Promise<ReplicaAnswer> {
  const method: unknown = Reflect.get(stub, request.kind);
  assert(typeof method === 'function', 'a stub has a method of any name');
  return Reflect.apply(method, stub, [request]) as Promise<ReplicaAnswer>;
}
