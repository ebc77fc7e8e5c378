// A client's call that the gateway has parsed and sends as a frame. The answer is a frame, too. It goes at once where
// it is small and soon there; else it is the body of a response, which comes when it is made, and whose reader may
// leave.

import type { Failure } from '../../api/errors/failures.ts';
import { holdAnswer, holdAnswerOfWrite } from '../../api/held-answer.ts';
import { answerWith } from '../../api/large-answer.ts';
import type { FrameAnswer, FrameCall } from '../../api/replica-request.ts';
import { unreachable } from '../../base/assert.ts';
import { isolateMemory } from '../../base/memory-budget.ts';
import { later, within } from '../../base/timers.ts';
import { answerPieceBytes, frameAnswerSoonMs, requestTimeoutMs } from '../../limits.ts';
import type { AnswerRoom } from '../../model/answer-room.ts';
import { replicaId, type ReplicaId } from '../../model/brands.ts';
import type { CallAnswer } from '../../model/calls.ts';
import { isReadOnly } from '../../model/read-only.ts';
import { encodeAnswer, encodeAnswerInParts } from '../../session/answer-codec.ts';
import { decodeCall, type DecodedCall } from '../../session/call-codec.ts';
import type { Member } from '../member.ts';
import type { Services } from '../services.ts';
import { holderOf } from './memory-holder.ts';
import { memoryRoom } from './memory-room.ts';
import { refusedByService } from './leader-steps.ts';
import { lateBody, type LateAnswer } from './late-body.ts';
import { answerStoreCall } from './store-answers.ts';

export type Answering = {
  readonly member: Member;
  readonly services: Services;
  /** Resolves once what was written is durable. */
  readonly durable: () => Promise<void>;
};

export async function answerFrameCall(answering: Answering, request: FrameCall): Promise<FrameAnswer> {
  const { member } = answering;
  return { ...(await answerFrame(answering, request)), writes: member.driver.store.writesTotal };
}

async function answerFrame(answering: Answering, request: FrameCall): Promise<FrameAnswer> {
  const { member } = answering;
  const replica = member.identity.number;
  const holder = holderOf(member, request.caller);
  const refused = (failure: Failure): Uint8Array => encodeAnswer(refusedByService(member, failure));
  const memory = isolateMemory.reserve(holder);
  const lacking = memory.hold(request.call.byteLength);
  if (lacking !== null) return { replica, answer: refused({ kind: 'memoryFull', of: lacking }) };
  const decoded = decodeCall(request.call);
  const gone = new AbortController();
  const room = memoryRoom(holder, memory, request.call.byteLength);
  const encoded = answerInTime(answering, request, decoded, { room, gone: gone.signal }).then(encodeAnswerInParts);
  const pads = request.takesPadding === true;
  const late: LateAnswer = { memory, durable: answering.durable, gone, pads };
  const soon = await within(encoded, frameAnswerSoonMs);
  if (soon === null) return { replica, answer: new Response(lateBody(encoded, late)) };
  memory.lose();
  if (soon.bytes <= answerPieceBytes) return { replica, answer: soon.rest() };
  const response = answerWith(soon, {});
  const holding = { holder, budget: isolateMemory, later };
  const unheld = writes(decoded) ? holdAnswerOfWrite(response, holding) : holdAnswer(response, holding);
  return { replica, answer: unheld === null ? response : refused(unheld) };
}

async function answerInTime(
  { member, services }: Answering,
  request: FrameCall,
  decoded: DecodedCall,
  { room, gone }: { readonly room: AnswerRoom; readonly gone: AbortSignal },
): Promise<CallAnswer> {
  switch (decoded.kind) {
    case 'refused':
      return refusedByService(member, decoded.refusal);
    case 'malformed':
      return refusedByService(member, { kind: 'badRequest', detail: decoded.detail });
    case 'unknown':
      return refusedByService(member, { kind: 'notServed', what: `A call of kind ${decoded.code}` });
    case 'call':
      break;
    default:
      return unreachable(decoded);
  }
  const { caller, writeId, mayBeAlone, seen, askedAs, timeoutMs } = request;
  const failedLeader = replicaOrNone(request.failedLeader);
  const suspectedLeader = replicaOrNone(request.suspectedLeader);
  const facts = { caller, writeId, mayBeAlone, seen, askedAs, gone };
  const context = { ...facts, failedLeader, suspectedLeader, services, room };
  const answer = answerStoreCall(member, decoded.call, context);
  if (timeoutMs === null || timeoutMs >= requestTimeoutMs) return answer;
  return (await within(answer, timeoutMs)) ?? refusedByService(member, { kind: 'timeout' });
}

function writes(decoded: DecodedCall): boolean {
  if (decoded.kind !== 'call' || decoded.call.kind !== 'write') return false;
  const { operation } = decoded.call;
  return !(operation.kind === 'txn' && isReadOnly(operation.request));
}

function replicaOrNone(number: number): ReplicaId | null {
  return number === 0 ? null : replicaId(number);
}
