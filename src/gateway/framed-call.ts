// A client's call on the store as a frame: it is parsed here, where one of many gateways has the time for it, and its
// answer is rendered here. What a frame does not hold, and what is refused, crosses as the request that it came as.

import type { ApiCall } from '../api/contract.ts';
import { type Failure, failureResponse } from '../api/errors/errors.ts';
import { servedByHeader } from '../api/forwarded.ts';
import { holdAnswer } from '../api/held-answer.ts';
import type { AttemptAnswer } from '../api/redirects.ts';
import type { FrameCall } from '../api/replica-request.ts';
import { type FramedCall, framed, respond } from '../api/store-call.ts';
import { withSuspension } from '../api/suspended-answer.ts';
import { assert } from '../base/assert.ts';
import { joinBytes } from '../base/bytes.ts';
import { isolateMemory, type MemoryHolder, type Reservation } from '../base/memory-budget.ts';
import { later } from '../base/timers.ts';
import { checkCall } from '../model/call-check.ts';
import { isReadOnly } from '../model/read-only.ts';
import { decodeAnswer } from '../session/answer-codec.ts';
import { encodeCall, fitsFrame } from '../session/call-codec.ts';
import { askFrameCall } from './ask-replica.ts';
import type { ReplicaStub } from './env.ts';

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

export type FrameFacts = Omit<FrameCall, 'kind' | 'call' | 'timeoutMs'>;

/** `signal` aborts where another attempt has answered. */
export async function askFrame(
  stub: ReplicaStub,
  frame: CallFrame,
  facts: FrameFacts,
  { holder, signal }: { readonly holder: MemoryHolder; readonly signal: AbortSignal | null },
): Promise<AttemptAnswer<Response>> {
  const { timeoutMs } = frame.call;
  const said = await askFrameCall(stub, { ...facts, kind: 'call', call: frame.bytes, timeoutMs });
  // The object is no replica, or is one no more.
  if ('kind' in said) return said;
  const memory = isolateMemory.reserve(holder);
  try {
    const read = said.answer instanceof Uint8Array ? said.answer : await readAnswer(said.answer, memory, signal);
    return attemptAnswer(frame, read, { replica: facts.askedAs === null ? null : said.replica, holder, memory });
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

function attemptAnswer(frame: CallFrame, read: Uint8Array | Failure, rendering: Rendering): AttemptAnswer<Response> {
  const { call } = frame;
  if (!(read instanceof Uint8Array)) return { kind: 'done', value: lackingMemory(frame, read) };
  const answer = decodeAnswer(read);
  // Newer code says what this does not understand.
  if (answer === null) return { kind: 'done', value: failureResponse(call.protocol, { kind: 'internal' }) };
  if (answer.kind === 'absent') return answer;
  if (answer.kind === 'notLeader') return { kind: 'redirect', leader: answer.leader, members: answer.members };
  const { outcome, header } = answer;
  const response = respond(call, outcome, header);
  const isByService = outcome.kind === 'failed' && outcome.by === 'service';
  if (rendering.replica !== null && call.kind === 'read' && !isByService) {
    response.headers.set(servedByHeader, String(rendering.replica));
  }
  if (outcome.kind === 'failed') withSuspension(response, outcome.failure);
  rendering.memory.release();
  const unheld = holdAnswer(response, rendering.holder, { budget: isolateMemory, later });
  return { kind: 'done', value: unheld === null ? response : lackingMemory(frame, unheld) };
}

/** A write was done, whatever becomes of its answer. */
function lackingMemory({ call, writes }: CallFrame, failure: Failure): Response {
  return failureResponse(call.protocol, writes ? { kind: 'timeout' } : failure);
}

/** The object ended while its answer was on the way: the attempt has failed, as where it ends before that. */
function brokenOff(error: unknown): never {
  throw Object.assign(new Error('the answer broke off', { cause: error }), { retryable: true });
}

/** What has come is counted here, and no more at the replica. */
async function readAnswer(
  response: Response,
  memory: Reservation,
  signal: AbortSignal | null,
): Promise<Uint8Array | Failure> {
  assert(response.body !== null, 'an answer has a body');
  const reader: ReadableStreamDefaultReader<Uint8Array> = response.body.getReader();
  const leave = (): void => {
    reader.cancel().catch(() => undefined);
  };
  signal?.addEventListener('abort', leave);
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for (;;) {
    const { done, value } = await reader.read().catch(brokenOff);
    if (signal?.aborted === true) throw new Error('another attempt has answered');
    if (done) return joinBytes(parts);
    parts.push(value);
    bytes += value.byteLength;
    const lacking = memory.hold(bytes);
    if (lacking === null) continue;
    leave();
    return { kind: 'memoryFull', of: lacking };
  }
}
