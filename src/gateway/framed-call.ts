// A frame of a call on its way to one replica, by the method of its object, and the answer on its way back, which
// counts in the memory of this isolate.

import { type Failure, failureResponse } from '../api/errors/errors.ts';
import { holdAnswer, holdAnswerOfWrite } from '../api/held-answer.ts';
import type { AttemptAnswer } from '../api/redirects.ts';
import type { FrameCall } from '../api/replica-request.ts';
import { withSuspension } from '../api/suspended-answer.ts';
import { assert } from '../base/assert.ts';
import { GatheredBytes } from '../base/byte-parts.ts';
import { isolateMemory, type MemoryHolder, type MemoryShare, type Reservation } from '../base/memory-budget.ts';
import { later } from '../base/timers.ts';
import { memoryCountedBytesMin } from '../limits.ts';
import { attemptAnswer, type CallFrame } from '../routing/call-frame.ts';
import { decodeAnswer } from '../session/answer-codec.ts';
import { askFrameCall } from './ask-replica.ts';
import type { ReplicaStub } from './env.ts';

export type FrameFacts = Omit<FrameCall, 'kind' | 'call' | 'timeoutMs' | 'takesPadding'>;

/** `signal` aborts where another attempt has answered. `counted` is told of the count of writes. */
export type FrameAsking = {
  readonly holder: MemoryHolder;
  readonly signal: AbortSignal | null;
  readonly counted: (writes: number) => void;
};

export async function askFrame(
  stub: ReplicaStub,
  frame: CallFrame,
  facts: FrameFacts,
  { holder, signal, counted }: FrameAsking,
): Promise<AttemptAnswer<Response>> {
  const { timeoutMs, protocol } = frame.call;
  const memory = isolateMemory.reserve(holder);
  // The answer to a write that was done is held in any case, so a write is sent only while there is room for more.
  const lacking = frame.writes ? isolateMemory.lacking(holder, memoryCountedBytesMin) : null;
  if (lacking !== null) return { kind: 'done', value: failureResponse(protocol, { kind: 'memoryFull', of: lacking }) };
  const said = await askFrameCall(stub, { ...facts, kind: 'call', call: frame.bytes, timeoutMs, takesPadding: true });
  // The object is no replica, or is one no more.
  if ('kind' in said) return said;
  if (said.writes !== undefined) counted(said.writes);
  const hold = (bytes: number): MemoryShare | null => (frame.writes ? memory.holdAlways(bytes) : memory.hold(bytes));
  try {
    const read = said.answer instanceof Uint8Array ? said.answer : await readAnswer(said.answer, hold, signal);
    return renderAnswer(frame, read, { replica: facts.askedAs === null ? null : said.replica, holder, memory });
  } finally {
    memory.release();
  }
}

type Rendering = {
  /** Which replica answered; null: the answer does not say. */
  readonly replica: number | null;
  readonly holder: MemoryHolder;
  /** What the frame of the answer takes: its text comes instead. */
  readonly memory: Reservation;
};

function renderAnswer(frame: CallFrame, read: Uint8Array | Failure, rendering: Rendering): AttemptAnswer<Response> {
  const { call } = frame;
  if (!(read instanceof Uint8Array)) return { kind: 'done', value: failureResponse(call.protocol, read) };
  const answer = decodeAnswer(read);
  // Newer code says what this does not understand.
  if (answer === null) return { kind: 'done', value: failureResponse(call.protocol, { kind: 'internal' }) };
  const answered = attemptAnswer(frame, answer, rendering.replica);
  if (answered.kind !== 'done') return answered;
  const response = answered.value.toResponse();
  if (answer.kind === 'answered' && answer.outcome.kind === 'failed') withSuspension(response, answer.outcome.failure);
  rendering.memory.release();
  const holding = { holder: rendering.holder, budget: isolateMemory, later };
  const unheld = frame.writes ? holdAnswerOfWrite(response, holding) : holdAnswer(response, holding);
  return { kind: 'done', value: unheld === null ? response : failureResponse(call.protocol, unheld) };
}

/** The object ended while its answer was on the way: the attempt has failed, as where it ends before that. */
function brokenOff(error: unknown): never {
  throw Object.assign(new Error('the answer broke off', { cause: error }), { retryable: true });
}

/** What has come is counted here, and no more at the replica. */
async function readAnswer(
  response: Response,
  hold: (bytes: number) => MemoryShare | null,
  signal: AbortSignal | null,
): Promise<Uint8Array | Failure> {
  assert(response.body !== null, 'an answer has a body');
  const reader: ReadableStreamDefaultReader<Uint8Array> = response.body.getReader();
  const leave = (): void => {
    reader.cancel().catch(() => undefined);
  };
  signal?.addEventListener('abort', leave);
  const gathered = new GatheredBytes();
  for (;;) {
    const { done, value } = await reader.read().catch(brokenOff);
    if (signal?.aborted === true) throw new Error('another attempt has answered');
    if (done) return gathered.finish();
    gathered.add(value);
    const lacking = hold(gathered.length);
    if (lacking === null) continue;
    leave();
    gathered.drop();
    return { kind: 'memoryFull', of: lacking };
  }
}
