// A client's call on the store as a frame: it is parsed where it arrives, in the gateway or in the front, and its
// answer is rendered there. What a frame does not hold, and what is refused, crosses as the request that it came as.

import type { Answer } from '../api/answer.ts';
import type { ApiCall } from '../api/contract.ts';
import { isRefusedAlone, writesToldBy } from '../api/errors/errors.ts';
import { servedByHeader } from '../api/forwarded.ts';
import type { AttemptAnswer } from '../api/redirects.ts';
import type { SentAttempt, SentAttempts } from '../api/sent-attempts.ts';
import { type FramedCall, framed, respond } from '../api/store-call.ts';
import { checkCall } from '../model/call-check.ts';
import type { CallAnswer } from '../model/calls.ts';
import { isReadOnly } from '../model/read-only.ts';
import { encodeCall, fitsFrame } from '../session/call-codec.ts';
import type { Attempted, Routed } from './attempts.ts';

/** A call with its bytes. `writes`: it may change the store. */
export type CallFrame = { readonly call: FramedCall; readonly bytes: Uint8Array; readonly writes: boolean };

/** null: it crosses as a request. */
export function frameOf(parsed: ApiCall): CallFrame | null {
  const frame = framed(parsed);
  if (frame === null || !fitsFrame(frame.asked)) return null;
  const { call, asked } = frame;
  const bytes = encodeCall(asked);
  // The bounds of a frame are those of etcd's messages. v1 has bounds of its own, and a value may be a little larger.
  if (checkCall(asked, bytes.byteLength) !== null) return null;
  const writes = asked.kind === 'write' && !(asked.operation.kind === 'txn' && isReadOnly(asked.operation.request));
  return { call, bytes, writes };
}

/** `replica`: which one answered; null: the answer does not say. */
export function attemptAnswer({ call }: CallFrame, answer: CallAnswer, replica: number | null): AttemptAnswer<Answer> {
  if (answer.kind === 'absent') return answer;
  if (answer.kind === 'notLeader') return { kind: 'redirect', leader: answer.leader, members: answer.members };
  const { outcome, header } = answer;
  const rendered = respond(call, outcome, header);
  const isByService = outcome.kind === 'failed' && outcome.by === 'service';
  const tells = replica !== null && call.kind === 'read' && !isByService;
  return { kind: 'done', value: tells ? rendered.withHeader(servedByHeader, String(replica)) : rendered };
}

/**
 * Makes one attempt at a call that the leader answers, among others that its sender makes, and another one in its place
 * where the group tells that sender of a count.
 */
export async function askOnce<Value extends Answer | Response>(
  sent: SentAttempts,
  asked: (attempt: SentAttempt) => Promise<Attempted<Value>>,
): Promise<Attempted<Value>> {
  for (;;) {
    const attempt = sent.begin();
    const came = await asked(attempt).catch((error: unknown) => {
      sent.ended(attempt, 'unknown');
      throw error;
    });
    if (came.kind === 'failed' || came.kind === 'left') {
      sent.ended(attempt, 'unknown');
      return came;
    }
    const answered = sent.answered(attempt, came);
    const writes = came.kind === 'done' ? writesToldBy(came.value) : null;
    if (writes === null || !sent.mayRenew(writes)) return answered;
  }
}

/** What became of a call for its caller, who is told `unavailable` as a time-out. */
export function settled<Value extends Answer | Response>(
  routed: Routed<Value>,
  sent: SentAttempts | null,
): Routed<Value> {
  if (routed.kind !== 'done' || sent?.mayHaveBegun !== true) return routed;
  return isRefusedAlone(routed.value) ? { kind: 'unavailable' } : routed;
}
