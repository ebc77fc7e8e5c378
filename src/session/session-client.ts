// The client's end of a session with one replica: one connection, which is opened when there is a call or a watch, and
// anew after it broke; calls by their ids; credentials as handles. It is pure: `SessionClientPort` has what it needs of
// the world.

import { assert, unreachable } from '../base/assert.ts';
import { joinBytes } from '../base/bytes.ts';
import {
  sessionCreditBytes,
  sessionFramesMax,
  sessionMessageBytes,
  sessionReconnectMs,
  sessionReconnectMsMax,
  sessionSilentMs,
  sessionSweepMs,
  sessionWatchPingMs,
} from '../limits.ts';
import type { CallAnswer, Credentials, FailureData } from '../model/calls.ts';
import type { SessionWait } from '../model/waits.ts';
import { decodeAnswer } from './answer-codec.ts';
import type {
  CallOptions,
  Handle,
  OpenWait,
  OpenWatch,
  ReplicaSession,
  SessionAnswer,
  SessionClientPort,
  SessionConnection,
  WaitOptions,
  WaitSink,
  WatchSink,
} from './client-port.ts';
import { type ClientFrame, decodeServerMessage, encodeClientFrame, encodeMessage, type ServerFrame } from './frames.ts';
import { DeclaredWaits } from './wait-client.ts';
import { DeclaredWatches } from './watch-client.ts';
import type { SessionWatch } from './watch-codec.ts';

type Pending = {
  readonly said: CallFrame;
  readonly madeAtMs: number;
  readonly lateAtMs: number;
  readonly settle: (answer: SessionAnswer) => void;
  /** It was sent again, and may have begun before. */
  isRepeated: boolean;
  readonly seen: number | null | undefined;
  /** The parts so far of an answer that comes in parts. */
  readonly pieces: Uint8Array[];
};

type CallFrame = Extract<ClientFrame, { readonly kind: 'call' }>;
type Declared = { readonly key: string; readonly credentials: Credentials; count: number };

export class SessionClient implements ReplicaSession {
  readonly #port: SessionClientPort;
  #connection: SessionConnection | null = null;
  #isOpen = false;
  /** The number of attempts to connect, by which what an earlier connection says is passed over. */
  #attempt = 0;
  #failures = 0;
  #notBeforeMs = 0;
  readonly #pending = new Map<number, Pending>();
  readonly #declared = new Map<Handle, Declared>();
  readonly #handles = new Map<string, Handle>();
  readonly #watches = new DeclaredWatches((frame) => {
    if (this.#isOpen) this.#say(frame);
  });
  readonly #waits: DeclaredWaits;
  /** A wait was declared, and nothing came since. */
  #isWaitUnheard = false;
  #lastHandle = 0;
  /** What was said last of the calls that follow. undefined: nothing. */
  #saidSeen: number | null | undefined = undefined;
  #outbox: Uint8Array[] = [];
  #flushing = false;
  /** The bytes of messages that were read, and for which no new credit was given. */
  #read = 0;
  /** When something came, or began to be owed. Before the connection is open: when it was begun. */
  #heardMs = 0;
  /** When something came. */
  #cameMs = 0;
  #pings = 0;
  /** When the replica was asked whether it is there. Null: it was not, or something came since. */
  #askedMs: number | null = null;
  /** The task that looks for what does not come. Null: it is not set. */
  #sweep: { readonly delayMs: number; readonly cancel: () => void } | null = null;
  /** A task that connects anew for the sake of watches and waits is set. */
  #isReconnecting = false;
  #isClosed = false;

  constructor(port: SessionClientPort) {
    this.#port = port;
    this.#waits = new DeclaredWaits((frame) => {
      if (this.#isOpen) this.#say(frame);
      return this.#isOpen;
    }, port.nowMs);
  }

  get callsUnderWay(): number {
    return this.#pending.size;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  readonly open = (): void => {
    this.#connects(this.#port.nowMs());
  };

  readonly endIfSilent = (sinceMs: number): void => {
    if (this.#isOpen && this.#cameMs <= sinceMs) this.#disconnect();
  };

  readonly declare = (credentials: Credentials): Handle => {
    const key = JSON.stringify(credentials);
    const known = this.#handles.get(key);
    const declared = known === undefined ? undefined : this.#declared.get(known);
    if (known !== undefined && declared !== undefined) {
      declared.count++;
      return known;
    }
    const handle = ++this.#lastHandle;
    this.#handles.set(key, handle);
    this.#declared.set(handle, { key, credentials, count: 1 });
    if (this.#isOpen) this.#say(encodeClientFrame({ kind: 'declare', handle, credentials }));
    return handle;
  };

  readonly release = (handle: Handle): void => {
    const declared = this.#declared.get(handle);
    assert(declared !== undefined, 'a handle is released as often as it was declared');
    if (--declared.count > 0) return;
    this.#declared.delete(handle);
    this.#handles.delete(declared.key);
    if (this.#isOpen) this.#say(encodeClientFrame({ kind: 'release', handle }));
  };

  readonly call = (
    call: Uint8Array,
    { id, handle, deadlineMs, failedLeader, suspectedLeader, mayBeAlone, seen }: CallOptions,
    settle: (answer: SessionAnswer) => void,
  ): (() => void) => {
    assert(!this.#pending.has(id) && !this.#waits.has(id), 'an id is under way once on a session');
    const nowMs = this.#port.nowMs();
    if (!this.#connects(nowMs)) {
      settle({ kind: 'lost' });
      return () => undefined;
    }
    const said: CallFrame = {
      kind: 'call',
      id,
      handle,
      deadlineMs: Math.max(0, Math.ceil(deadlineMs)),
      failedLeader,
      suspectedLeader,
      mayBeAlone,
      call,
    };
    const lateAtMs = nowMs + deadlineMs;
    this.#pending.set(id, { said, seen, madeAtMs: nowMs, lateAtMs, settle, isRepeated: false, pieces: [] });
    if (this.#pending.size === 1 && this.#isOpen) this.#heardMs = nowMs;
    if (this.#isOpen) this.#sayCall(said, seen);
    this.#sweepLater();
    return () => this.#cancel(id);
  };

  readonly watch = (watch: SessionWatch, handle: Handle, sink: WatchSink): OpenWatch => {
    const open = this.#watches.open(watch, handle, sink);
    this.#connectForDeclared();
    this.#sweepLater();
    return open;
  };

  readonly wait = (wait: SessionWait, options: WaitOptions, sink: WaitSink): OpenWait => {
    const { id } = options;
    assert(!this.#pending.has(id) && !this.#waits.has(id), 'an id is under way once on a session');
    const open = this.#waits.open(wait, options, sink);
    this.#waitsUnheard();
    this.#connectForDeclared();
    this.#sweepLater();
    return open;
  };

  readonly close = (): void => {
    this.#isClosed = true;
    this.#sweep?.cancel();
    this.#sweep = null;
    this.#connection?.close();
    this.#lose(null);
  };

  /** The replica answers it no more. If nothing came since the call was made, the replica may not be there. */
  #cancel(id: number): void {
    const call = this.#pending.get(id);
    if (call === undefined) return;
    this.#pending.delete(id);
    if (!this.#isOpen) return;
    this.#say(encodeClientFrame({ kind: 'cancel', id }));
    if (this.#cameMs <= call.madeAtMs) this.#askWhetherThere();
  }

  // The connection

  /** False: the connection broke, and is not to be tried again yet. */
  #connects(nowMs: number): boolean {
    if (this.#connection !== null) return true;
    if (this.#isClosed || nowMs < this.#notBeforeMs) return false;
    const attempt = ++this.#attempt;
    this.#heardMs = nowMs;
    const isThis = (): boolean => attempt === this.#attempt;
    this.#connection = this.#port.connect({
      opened: () => {
        if (isThis()) this.#opened();
      },
      message: (message) => {
        if (isThis()) this.#message(message);
      },
      closed: () => {
        if (isThis()) this.#closed(null);
      },
    });
    this.#sweepLater();
    return true;
  }

  /** Watches and waits, which are declared anew on each connection. */
  get #declaredCount(): number {
    return this.#watches.count + this.#waits.count;
  }

  /** What is declared goes on after a break, so it waits where a call would be lost. */
  #connectForDeclared(): void {
    if (this.#declaredCount === 0 || this.#isReconnecting || this.#isClosed) return;
    const nowMs = this.#port.nowMs();
    if (this.#connects(nowMs)) return;
    this.#isReconnecting = true;
    this.#port.later(Math.max(0, this.#notBeforeMs - nowMs), () => {
      this.#isReconnecting = false;
      this.#connectForDeclared();
    });
  }

  #opened(): void {
    this.#isOpen = true;
    this.#heardMs = this.#port.nowMs();
    this.#cameMs = this.#heardMs;
    this.#introduce({ isFirst: true });
  }

  /**
   * Says hello, and declares all that this end holds: who calls, the calls that were not answered, and the watches.
   * `isFirst` false: the replica has forgotten the session. A call that is sent again may have begun before, or a call
   * that was sent before may begin later.
   */
  #introduce({ isFirst }: { readonly isFirst: boolean }): void {
    const { processId } = this.#port;
    this.#read = 0;
    this.#outbox = [encodeClientFrame({ kind: 'hello', processId, credit: sessionCreditBytes })];
    for (const [handle, { credentials }] of this.#declared) {
      this.#outbox.push(encodeClientFrame({ kind: 'declare', handle, credentials }));
    }
    this.#saidSeen = undefined;
    for (const pending of this.#pending.values()) {
      const { said, seen, pieces } = pending;
      pieces.length = 0;
      pending.isRepeated = !isFirst;
      this.#sayCall({ ...said, mayBeAlone: isFirst && said.mayBeAlone }, seen);
    }
    for (const frame of this.#watches.declarations()) this.#outbox.push(frame);
    for (const frame of this.#waits.declarations()) this.#outbox.push(frame);
    if (this.#waits.count > 0) this.#waitsUnheard();
    this.#flushSoon();
  }

  /**
   * The wait has a random part, so that clients that lost their connections at the same moment come back at different
   * ones.
   */
  #closed(why: FailureData | null): void {
    const wait = Math.min(sessionReconnectMs * 2 ** this.#failures, sessionReconnectMsMax);
    if (this.#failures < 16) this.#failures++;
    this.#notBeforeMs = this.#port.nowMs() + wait * (0.5 + this.#port.random() / 2);
    this.#lose(why);
  }

  #disconnect(why: FailureData | null = null): void {
    // What the connection says of its end is passed over.
    this.#attempt++;
    this.#connection?.close();
    this.#closed(why);
  }

  #lose(why: FailureData | null): void {
    this.#attempt++;
    this.#connection = null;
    this.#isOpen = false;
    this.#askedMs = null;
    this.#outbox = [];
    const lost = [...this.#pending.values()];
    this.#pending.clear();
    for (const { settle } of lost) settle({ kind: 'lost' });
    this.#watches.interrupted(why);
    this.#waits.interrupted();
    this.#connectForDeclared();
  }

  /** One frame says for all calls after it what their sender had seen. */
  #sayCall(said: CallFrame, seen: number | null | undefined): void {
    if (seen !== undefined && seen !== this.#saidSeen) {
      this.#outbox.push(encodeClientFrame({ kind: 'seen', writes: seen }));
      this.#saidSeen = seen;
    }
    this.#say(encodeClientFrame(said));
  }

  #say(frame: Uint8Array): void {
    this.#outbox.push(frame);
    this.#flushSoon();
  }

  /** What is said in one turn shares a message. */
  #flushSoon(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    this.#port.soon(() => {
      this.#flushing = false;
      this.#flush();
    });
  }

  #flush(): void {
    if (!this.#isOpen) return;
    let frames: Uint8Array[] = [];
    let bytes = 0;
    const all = this.#outbox;
    this.#outbox = [];
    for (const frame of all) {
      if (frames.length >= sessionFramesMax || (bytes > 0 && bytes + frame.byteLength > sessionMessageBytes)) {
        this.#connection?.send(encodeMessage(frames));
        frames = [];
        bytes = 0;
      }
      frames.push(frame);
      bytes += frame.byteLength;
    }
    if (frames.length > 0) this.#connection?.send(encodeMessage(frames));
  }

  // What the replica says

  #message(message: Uint8Array): void {
    this.#heardMs = this.#port.nowMs();
    this.#cameMs = this.#heardMs;
    this.#askedMs = null;
    this.#isWaitUnheard = false;
    const frames = decodeServerMessage(message);
    if (frames === null) return this.#disconnect();
    this.#failures = 0;
    this.#read += message.byteLength;
    const attempt = this.#attempt;
    for (const frame of frames) {
      this.#take(frame);
      // What follows a frame that cannot be read would leave a gap.
      if (attempt !== this.#attempt) return;
    }
    if (this.#read < sessionCreditBytes / 4 || !this.#isOpen) return;
    this.#say(encodeClientFrame({ kind: 'credit', bytes: this.#read }));
    this.#read = 0;
  }

  #take(frame: ServerFrame): void {
    switch (frame.kind) {
      case 'welcome':
        return this.#introduce({ isFirst: false });
      case 'answer':
        return this.#answered(frame.id, frame.answer);
      case 'piece':
        this.#pending.get(frame.id)?.pieces.push(frame.bytes);
        return;
      case 'ended':
        return this.#port.ended(frame.handle, frame.failure);
      case 'goAway':
        return this.#disconnect(frame.failure);
      case 'pong':
        return;
      case 'created':
      case 'events':
      case 'progress':
      case 'canceled':
        if (!this.#watches.take(frame)) this.#disconnect();
        return;
      case 'counted':
        return this.#port.counted(frame.writes);
      case 'waited':
        if (this.#waits.take(frame.id, frame.answer) === null) this.#disconnect();
        return;
      default:
        unreachable(frame);
    }
  }

  #answered(id: number, bytes: Uint8Array): void {
    const pending = this.#pending.get(id);
    if (pending === undefined) return;
    this.#pending.delete(id);
    const { pieces } = pending;
    const answer = decodeAnswer(pieces.length === 0 ? bytes : joinBytes([...pieces, bytes]));
    // Newer code may send what this code does not understand. And where the group may have forgotten a call that was
    // sent twice, it speaks of the second time alone.
    const isOfOne = answer !== null && !(pending.isRepeated && isOutcomeUnknown(answer));
    pending.settle(isOfOne ? answer : { kind: 'lost' });
  }

  // What does not come

  #sweepLater(): void {
    const delayMs = this.#pending.size > 0 ? sessionSweepMs : sessionSilentMs;
    if (this.#pending.size + this.#declaredCount === 0 && !this.#isDoubted) return;
    if (this.#sweep !== null && this.#sweep.delayMs <= delayMs) return;
    this.#sweep?.cancel();
    const cancel = this.#port.later(delayMs, () => {
      this.#sweep = null;
      this.#lookForLate();
    });
    this.#sweep = { delayMs, cancel };
  }

  #lookForLate(): void {
    const nowMs = this.#port.nowMs();
    for (const [id, { lateAtMs, settle }] of this.#pending) {
      if (lateAtMs > nowMs) continue;
      this.#cancel(id);
      settle({ kind: 'late' });
    }
    this.#lookForSilence(nowMs);
    this.#sweepLater();
  }

  /** Nothing answers that a wait was declared, so the replica is asked soon whether it is there. */
  #waitsUnheard(): void {
    this.#isWaitUnheard = true;
    if (this.#isOpen && this.#pending.size === 0) this.#heardMs = this.#port.nowMs();
  }

  /** The connection is not open yet, or the replica has not said that it is there. */
  get #isDoubted(): boolean {
    return this.#askedMs !== null || (this.#connection !== null && !this.#isOpen);
  }

  /** Who waits for an answer asks soon whether the replica is there. Who watches or stands in a queue lets it sleep. */
  #lookForSilence(nowMs: number): void {
    if (this.#connection === null) return;
    // The platform may keep a connection open whose object is gone.
    if (this.#isDead(nowMs)) return this.#disconnect();
    if (this.#pending.size + this.#declaredCount === 0) return;
    const isWaiting = this.#pending.size > 0 || this.#watches.isWaiting || this.#isWaitUnheard;
    const askAfterMs = isWaiting ? sessionSilentMs : sessionWatchPingMs;
    if (nowMs - this.#heardMs >= askAfterMs) this.#askWhetherThere();
  }

  #isDead(nowMs: number): boolean {
    if (!this.#isOpen) return nowMs - this.#heardMs >= 2 * sessionSilentMs;
    return this.#askedMs !== null && nowMs - this.#askedMs >= sessionSilentMs;
  }

  /** The answer is owed whatever becomes of calls, so that short ones, one after another, find a dead connection. */
  #askWhetherThere(): void {
    if (!this.#isOpen || this.#askedMs !== null) return;
    this.#askedMs = this.#port.nowMs();
    this.#say(encodeClientFrame({ kind: 'ping', number: ++this.#pings }));
    this.#sweepLater();
  }
}

function isOutcomeUnknown(answer: CallAnswer): boolean {
  return (
    answer.kind === 'answered' && answer.outcome.kind === 'failed' && answer.outcome.failure.kind === 'outcomeUnknown'
  );
}
