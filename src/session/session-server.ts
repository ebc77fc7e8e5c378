// The replica's end of one session: which handles it knows, which calls are under way, what may be sent to its client,
// and what waits. It is pure: whoever holds the WebSocket feeds it messages, and serves the calls that it begins.

import { unreachable } from '../base/assert.ts';
import {
  requestTimeoutMs,
  sessionCallBytesMax,
  sessionCallsMax,
  sessionCountedWrites,
  sessionCreditBytesMax,
  sessionHandlesMax,
  sessionFramesMax,
  sessionMessageBytesMax,
} from '../limits.ts';
import type { AnswerRoom } from '../model/answer-room.ts';
import { isReadOnly } from '../model/read-only.ts';
import type { CallAnswer, Credentials, FailureData, ResponseHeader, StoreCall } from '../model/calls.ts';
import type { Caller } from '../model/store.ts';
import { encodeAnswer, encodeAnswerInParts } from './answer-codec.ts';
import { decodeCall } from './call-codec.ts';
import { type ClientFrame, decodeClientMessage, encodeMessage, encodeServerFrame, processIdBytes } from './frames.ts';
import { type CallRoom, SessionOutbox } from './session-outbox.ts';
import { type SessionWaitPort, SessionWaits } from './wait-server.ts';
import { type SessionWatchPort, SessionWatches } from './watch-server.ts';

export type SessionIdentity =
  | { readonly kind: 'caller'; readonly caller: Caller }
  | { readonly kind: 'failed'; readonly failure: FailureData };

/** What a replica knows of a call beside the call itself. */
export type SessionCallFacts = {
  readonly caller: Caller;
  /** The name of a write over all its attempts, on whichever replica. */
  readonly writeId: string;
  /** 0: none. The replica looks for itself whether it is gone. */
  readonly suspectedLeader: number;
  readonly mayBeAlone: boolean;
  /** As in `SentAttempt`; undefined: its client does not count. */
  readonly seen: number | null | undefined;
  /** Where the answer to a read goes. */
  readonly room: AnswerRoom;
};

export type SessionServerPort = {
  readonly replica: number;
  readonly send: (message: Uint8Array) => void;
  /** Ends the session for good, after what was sent. */
  readonly close: (failure: FailureData) => void;
  /** The caller that these credentials are of. A caller of another tenant is refused. */
  readonly identify: (credentials: Credentials) => SessionIdentity;
  /** `settle` is called once, unless the function that this returns was called before: then nobody waits any more. */
  readonly begin: (call: StoreCall, facts: SessionCallFacts, settle: (answer: CallAnswer) => void) => () => void;
  /** All calls of a message have begun, so what they ask of the store goes to it together. */
  readonly begun: () => void;
  /** Runs the task once everything that ends in this turn has ended. */
  readonly soon: (task: () => void) => void;
  readonly header: () => ResponseHeader;
  /** How many writes of the group were ever remembered. */
  readonly writes: () => number;
  readonly nowMs: () => number;
  /** Holds so much of the isolate's memory, this session's whole share. Null: it may be held. */
  readonly hold: (bytes: number) => FailureData | null;
  /** Whether it could hold so much. */
  readonly mayHold: (bytes: number) => boolean;
  /** Holds so much, also beyond the bounds. */
  readonly holdAlways: (bytes: number) => void;
  /** Reads that wait for room may have it now. */
  readonly roomMade: () => void;
  /** `declared` is called when a caller comes with a handle, and `released` when the handle goes. */
  readonly declared: (handle: number, caller: Caller) => void;
  readonly released: (handle: number) => void;
  readonly watches: SessionWatchPort;
  readonly waits: SessionWaitPort;
};

type Handle = SessionIdentity;
type CallFrame = Extract<ClientFrame, { readonly kind: 'call' }>;
/** `cancel` null: the call has not begun, for want of credit. */
type UnderWay = {
  readonly frame: CallFrame;
  readonly lateAtMs: number;
  readonly room: CallRoom;
  readonly seen: number | null | undefined;
  cancel: (() => void) | null;
};

export class SessionServer {
  readonly #port: SessionServerPort;
  /** The process id of the client, in hex. Null: the client has not said hello. */
  #processId: string | null = null;
  readonly #handles = new Map<number, Handle>();
  readonly #calls = new Map<number, UnderWay>();
  /** Calls that have not begun, in their order. */
  readonly #waiting = new Set<number>();
  readonly #watches: SessionWatches;
  readonly #waits: SessionWaits;
  readonly #outbox: SessionOutbox;
  /** Of calls that are under way. */
  #callBytes = 0;
  /** What the client said of the calls that follow. */
  #seen: number | null | undefined = undefined;
  /** The count of writes that the client was told last. Null: none. */
  #toldWrites: number | null = null;
  /** The client was asked to say hello. What was on its way before it heard that is passed over. */
  #isWelcomed = false;
  #ended = false;

  constructor(port: SessionServerPort) {
    this.#port = port;
    this.#outbox = new SessionOutbox({
      ...port,
      hold: (bytes) => port.hold(this.#ownBytes + bytes),
      mayHold: (bytes) => port.mayHold(this.#ownBytes + bytes),
      holdAlways: (bytes) => port.holdAlways(this.#ownBytes + bytes),
      seal: () => this.#watches.seal(),
      end: (failure) => this.#end(failure),
    });
    this.#watches = new SessionWatches(port.watches, {
      send: (frame) => this.#outbox.send(frame),
      flushSoon: () => this.#outbox.flushSoon(),
      credit: () => this.#outbox.spareCredit,
      refusalOf: (handle) => this.#refusalOf(handle),
      callerOf: (handle) => this.#callerOf(handle),
      hold: () => port.hold(this.#outbox.bytes + this.#ownBytes),
      header: port.header,
    });
    this.#waits = new SessionWaits(port.waits, {
      send: (frame) => this.#outbox.send(frame),
      writeIdOf: (id) => this.#writeIdOf(id),
      refusalOf: (handle) => this.#refusalOf(handle),
      callerOf: (handle) => this.#callerOf(handle),
      hold: () => port.hold(this.#outbox.bytes + this.#ownBytes),
      header: port.header,
    });
  }

  get callsUnderWay(): number {
    return this.#calls.size;
  }

  /** Its client must read, or is left in a while. */
  get isBehind(): boolean {
    return this.#outbox.isBehind;
  }

  message(bytes: Uint8Array): void {
    if (this.#ended) return;
    if (bytes.byteLength > sessionMessageBytesMax) {
      return this.#refuse(`a message has at most ${sessionMessageBytesMax} bytes`);
    }
    const frames = decodeClientMessage(bytes);
    if (frames === null) return this.#refuse(`a message is at most ${sessionFramesMax} frames, each behind its length`);
    if (this.#processId === null && frames[0]?.kind !== 'hello') return this.welcome();
    for (const frame of frames) this.#take(ownBytes(frame, bytes));
    this.#port.begun();
  }

  /** Calls that are past their time are answered so. A write among them may still be done. */
  tick(): void {
    const nowMs = this.#port.nowMs();
    for (const [id, { lateAtMs, cancel }] of this.#calls) {
      if (lateAtMs > nowMs) continue;
      cancel?.();
      this.#waiting.delete(id);
      this.#fail(id, { kind: 'timeout' });
    }
    this.#watches.tick(nowMs);
    this.#outbox.tick(nowMs);
  }

  /** Watches may have caught up. */
  caughtUp(): void {
    this.#watches.answerProgress();
  }

  /** After this the replica may forget the session. */
  resting(): void {
    this.#watches.resting();
  }

  /**
   * Asks the client to declare anew what it holds, once: whoever is asked twice sends its calls twice. It is sent
   * without credit, too.
   */
  welcome(): void {
    if (this.#isWelcomed) return;
    this.#isWelcomed = true;
    this.#port.send(encodeMessage([encodeServerFrame({ kind: 'welcome', replica: this.#port.replica })]));
  }

  /** The connection has ended, and nobody waits. */
  closed(): void {
    this.#ended = true;
    this.#outbox.end();
    for (const { cancel } of this.#calls.values()) cancel?.();
    this.#watches.closed();
    this.#waits.closed();
    for (const handle of this.#handles.keys()) this.#release(handle);
    this.#calls.clear();
    this.#waiting.clear();
    this.#callBytes = 0;
    this.#port.hold(0);
  }

  /** The access key behind the handle is no good any more, or its caller may not hold a session. */
  endHandle(handle: number, failure: FailureData): void {
    if (!this.#handles.has(handle)) return;
    this.#handles.set(handle, { kind: 'failed', failure });
    this.#outbox.send({ kind: 'ended', handle, failure });
    this.#watches.endOf(handle, failure);
    this.#waits.endOf(handle, failure);
  }

  goAway(failure: FailureData): void {
    if (this.#ended) return;
    this.#outbox.send({ kind: 'goAway', failure });
    this.#outbox.flush();
    if (!this.#ended) this.#end(failure);
  }

  #take(frame: ClientFrame): void {
    if (this.#ended) return;
    switch (frame.kind) {
      case 'hello':
        return this.#hello(frame.processId, frame.credit);
      case 'declare':
        return this.#declare(frame.handle, frame.credentials);
      case 'release':
        return this.#release(frame.handle);
      case 'call':
        return this.#call(frame);
      case 'cancel':
        return this.#cancel(frame.id);
      case 'credit':
        return this.#grant(frame.bytes);
      case 'ping':
        return this.#outbox.send({ kind: 'pong', number: frame.number });
      case 'watch':
        return this.#watches.watch(frame);
      case 'unwatch':
        return this.#watches.unwatch(frame.id);
      case 'askProgress':
        return this.#watches.askProgress(frame.id);
      case 'wait':
        return this.#waits.wait(frame);
      case 'leave':
        return this.#waits.leave(frame.id);
      case 'seen':
        this.#seen = frame.writes;
        return;
      default:
        return unreachable(frame);
    }
  }

  #hello(processId: Uint8Array, credit: number): void {
    if (processId.byteLength !== processIdBytes) return this.#refuse(`a process id has ${processIdBytes} bytes`);
    if (credit > sessionCreditBytesMax) return this.#refuse(`credit is at most ${sessionCreditBytesMax} bytes`);
    const text = hexOf(processId);
    if (this.#processId !== null && this.#processId !== text) return this.#refuse('a session is of one process');
    this.#processId = text;
    this.#outbox.hello(credit);
    this.#seen = undefined;
  }

  /** The client knows about how many writes there were. It goes with an answer, which is sent anyway. */
  #tellWrites(): void {
    const writes = this.#port.writes();
    if (this.#toldWrites !== null && writes < this.#toldWrites + sessionCountedWrites) return;
    this.#toldWrites = writes;
    this.#outbox.send({ kind: 'counted', writes });
  }

  #declare(handle: number, credentials: Credentials): void {
    if (!this.#handles.has(handle) && this.#handles.size >= sessionHandlesMax) {
      return this.#refuse(`a session has at most ${sessionHandlesMax} handles`);
    }
    this.#release(handle);
    const identity = this.#port.identify(credentials);
    this.#handles.set(handle, identity);
    if (identity.kind === 'failed') return this.#outbox.send({ kind: 'ended', handle, failure: identity.failure });
    this.#port.declared(handle, identity.caller);
  }

  #release(handle: number): void {
    if (!this.#handles.delete(handle)) return;
    this.#watches.endOf(handle, null);
    this.#waits.endOf(handle, null);
    this.#port.released(handle);
  }

  #refusalOf(handle: number): FailureData | null {
    const identity = this.#handles.get(handle);
    if (identity === undefined) return { kind: 'accessKeyMissing' };
    return identity.kind === 'failed' ? identity.failure : null;
  }

  #callerOf(handle: number): Caller | null {
    const identity = this.#handles.get(handle);
    return identity?.kind === 'caller' ? identity.caller : null;
  }

  // Calls

  #call(frame: CallFrame): void {
    // The client asks again for a call that is under way, which is answered once.
    if (this.#calls.has(frame.id)) return;
    if (this.#calls.size >= sessionCallsMax) return this.#fail(frame.id, { kind: 'overloaded' });
    const callBytes = frame.call.byteLength;
    if (this.#callBytes + callBytes > sessionCallBytesMax) return this.#fail(frame.id, { kind: 'overloaded' });
    const lacking = this.#port.hold(this.#outbox.bytes + this.#ownBytes + callBytes);
    if (lacking !== null) return this.#fail(frame.id, lacking);
    const lateAtMs = this.#port.nowMs() + Math.min(frame.deadlineMs, requestTimeoutMs);
    const call: UnderWay = { frame, lateAtMs, room: this.#outbox.room(), seen: this.#seen, cancel: null };
    this.#callBytes += callBytes;
    this.#calls.set(frame.id, call);
    // A client that does not read gets no further answers made.
    if (this.#outbox.hasCredit) this.#begin(call);
    else this.#waiting.add(frame.id);
  }

  #begin(call: UnderWay): void {
    const { id, handle, failedLeader, suspectedLeader, mayBeAlone } = call.frame;
    const caller = this.#callerOf(handle);
    if (caller === null) return this.#fail(id, this.#refusalOf(handle) ?? { kind: 'accessKeyMissing' });
    const decoded = decodeCall(call.frame.call);
    switch (decoded.kind) {
      case 'malformed':
        return this.#fail(id, { kind: 'badRequest', detail: decoded.detail });
      case 'refused':
        return this.#fail(id, decoded.refusal);
      case 'unknown':
        return this.#fail(id, { kind: 'notServed', what: `A call of kind ${decoded.code}` });
      case 'call':
        break;
      default:
        return unreachable(decoded);
    }
    const facts: SessionCallFacts = {
      caller,
      writeId: this.#writeIdOf(id),
      // Anybody with a key can say that a leader failed. A replica that believed it would stand for election at once,
      // and might take the place of a leader that answers.
      suspectedLeader: failedLeader === 0 ? suspectedLeader : failedLeader,
      mayBeAlone,
      seen: call.seen,
      room: call.room,
    };
    let settled = false;
    const cancel = this.#port.begin(decoded.call, facts, (answer) => {
      settled = true;
      this.#settle(id, decoded.call, answer);
    });
    if (!settled) call.cancel = cancel;
  }

  /** One write has one id over all replicas of the group. */
  #writeIdOf(id: number): string {
    return `s.${this.#processId ?? ''}.${id.toString(36)}`;
  }

  #settle(id: number, call: StoreCall, answer: CallAnswer): void {
    const underWay = this.#takeCall(id);
    if (underWay === undefined || this.#ended) return;
    this.#tellWrites();
    const lacking = this.#outbox.answer(id, encodeAnswerInParts(answer), { isKept: writes(call) });
    if (lacking !== null) this.#fail(id, lacking);
  }

  #fail(id: number, failure: FailureData): void {
    const outcome = { kind: 'failed', by: 'service', failure } as const;
    this.#answer(id, encodeAnswer({ kind: 'answered', header: this.#port.header(), outcome }));
  }

  #answer(id: number, answer: Uint8Array): void {
    this.#takeCall(id);
    this.#outbox.send({ kind: 'answer', id, answer });
  }

  /** The call is under way no more. undefined: it was not. */
  #takeCall(id: number): UnderWay | undefined {
    const call = this.#calls.get(id);
    if (call === undefined) return undefined;
    this.#calls.delete(id);
    this.#callBytes -= call.frame.call.byteLength;
    this.#outbox.leave(call.room);
    return call;
  }

  /** The call leaves its queue at once. A write that is on its way may still be done. */
  #cancel(id: number): void {
    const call = this.#takeCall(id);
    this.#waiting.delete(id);
    call?.cancel?.();
    this.#outbox.forget(id);
  }

  #grant(bytes: number): void {
    this.#outbox.grant(bytes);
    for (const id of this.#waiting) {
      if (!this.#outbox.hasCredit) break;
      this.#waiting.delete(id);
      const call = this.#calls.get(id);
      if (call !== undefined) this.#begin(call);
    }
    this.#watches.roomy();
  }

  /** What calls that are under way take, and watches, and waits. */
  get #ownBytes(): number {
    return this.#callBytes + this.#watches.heldBytes + this.#waits.heldBytes;
  }

  #refuse(detail: string): void {
    this.#end({ kind: 'badRequest', detail });
  }

  #end(failure: FailureData): void {
    this.#port.close(failure);
    this.closed();
  }
}

/** A short call in a long message is copied, so that it does not keep the message in memory. */
function ownBytes(frame: ClientFrame, message: Uint8Array): ClientFrame {
  if (frame.kind !== 'call' || frame.call.byteLength * 4 >= message.byteLength) return frame;
  return { ...frame, call: frame.call.slice() };
}

function writes(call: StoreCall): boolean {
  if (call.kind !== 'write') return false;
  const { operation } = call;
  return !(operation.kind === 'txn' && isReadOnly(operation.request));
}

function hexOf(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += byte.toString(16).padStart(2, '0');
  return text;
}
