// The replica's end of a session's waits: which there are, in whose name, and what is told of each once. A place is
// left at once when its client says so or its handle goes. When the connection breaks, whoever serves the waits keeps
// the place for a while. It is pure.

import { sessionWaitOverheadBytes, sessionWaitsMax, sessionWaitsToldMax } from '../limits.ts';
import type { FailureData, ResponseHeader } from '../model/calls.ts';
import type { Caller } from '../model/store.ts';
import { checkWait } from '../model/wait-check.ts';
import type { SessionWait, WaitAnswer } from '../model/waits.ts';
import type { ClientFrame, ServerFrame } from './frames.ts';
import { encodeWaitAnswer, ownWait, waitBytes } from './wait-codec.ts';

/** What a replica knows of a wait beside the wait itself. */
export type WaitFacts = {
  readonly caller: Caller;
  /** Names the wait over all its attempts, on whichever replica. */
  readonly writeId: string;
  /** 0: none. */
  readonly suspectedLeader: number;
  readonly mayBeAlone: boolean;
};

/** A wait as the replica serves it. */
export type ServedWait = {
  /** The place is left at once, also if its turn has come and was told: that crossed what the client said. */
  readonly leave: () => void;
  /** The connection has ended. Its client may come back for the place. */
  readonly detach: () => void;
};

export type SessionWaitPort = {
  /** `settle` is called once at most, also before this returns, and not after `leave` or `detach`. */
  readonly begin: (wait: SessionWait, facts: WaitFacts, settle: (answer: WaitAnswer) => void) => ServedWait;
};

/** What the waits need of the session that they are on. */
export type WaitingSession = {
  readonly send: (frame: ServerFrame) => void;
  readonly writeIdOf: (id: number) => string;
  /** Why nothing may be asked with this handle. Null: it may. */
  readonly refusalOf: (handle: number) => FailureData | null;
  readonly callerOf: (handle: number) => Caller | null;
  /** Counts again what the session holds in memory. Null: it may be held. */
  readonly hold: () => FailureData | null;
  readonly header: () => ResponseHeader;
};

type WaitFrame = Extract<ClientFrame, { readonly kind: 'wait' }>;
type Wait = {
  readonly id: number;
  readonly handle: number;
  bytes: number;
  /** Null: it is beginning. */
  served: ServedWait | null;
};

export class SessionWaits {
  readonly #port: SessionWaitPort;
  readonly #session: WaitingSession;
  readonly #waits = new Map<number, Wait>();
  /** The last ones whose turn has come, the oldest first: their clients may have left before they heard it. */
  readonly #told = new Map<number, Wait>();
  #heldBytes = 0;

  constructor(port: SessionWaitPort, session: WaitingSession) {
    this.#port = port;
    this.#session = session;
  }

  get count(): number {
    return this.#waits.size;
  }

  /** What is held in memory here. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  wait({ id, handle, suspectedLeader, mayBeAlone, wait }: WaitFrame): void {
    // The client says again what is known.
    if (this.#waits.has(id)) return;
    const caller = this.#session.callerOf(handle);
    const refusal = this.#refusal(wait, handle);
    if (refusal !== null || wait === null || caller === null) {
      return this.#refuse(id, refusal ?? { kind: 'accessKeyMissing' });
    }
    const own: Wait = { id, handle, bytes: sessionWaitOverheadBytes + waitBytes(wait), served: null };
    this.#waits.set(id, own);
    this.#heldBytes += own.bytes;
    const lacking = this.#session.hold();
    if (lacking !== null) {
      this.#remove(own);
      return this.#refuse(id, lacking);
    }
    const facts = { caller, writeId: this.#session.writeIdOf(id), suspectedLeader, mayBeAlone };
    own.served = this.#port.begin(ownWait(wait), facts, (answer) => {
      this.#remove(own);
      const isGranted = answer.kind === 'answered' && answer.outcome.kind !== 'failed';
      if (isGranted) this.#remember(own, sessionWaitOverheadBytes + wait.name.byteLength);
      this.#session.send({ kind: 'waited', id, answer: encodeWaitAnswer(answer) });
    });
  }

  leave(id: number): void {
    const wait = this.#waits.get(id) ?? this.#told.get(id);
    if (wait === undefined) return;
    this.#remove(wait);
    wait.served?.leave();
    this.#session.hold();
  }

  /** The waits of a handle end, as they do by themselves where the key ends. `failure` null: the client knows. */
  endOf(handle: number, failure: FailureData | null): void {
    for (const wait of this.#waits.values()) {
      if (wait.handle !== handle) continue;
      this.#remove(wait);
      wait.served?.leave();
      if (failure !== null) this.#refuse(wait.id, failure, 'store');
    }
  }

  /** The connection has ended. */
  closed(): void {
    for (const wait of this.#waits.values()) {
      this.#remove(wait);
      wait.served?.detach();
    }
    for (const wait of this.#told.values()) this.#remove(wait);
  }

  #refusal(wait: SessionWait | null, handle: number): FailureData | null {
    if (this.#waits.size >= sessionWaitsMax) {
      return { kind: 'tooManyOpen', what: 'wait', of: 'session', max: sessionWaitsMax };
    }
    const refusal = this.#session.refusalOf(handle);
    if (refusal !== null) return refusal;
    return wait === null ? { kind: 'notServed', what: 'A wait of this kind' } : checkWait(wait);
  }

  #refuse(id: number, failure: FailureData, by: 'store' | 'service' = 'service'): void {
    const outcome = { kind: 'failed', by, failure } as const;
    const answer = encodeWaitAnswer({ kind: 'answered', header: this.#session.header(), outcome });
    this.#session.send({ kind: 'waited', id, answer });
  }

  #remember(wait: Wait, bytes: number): void {
    wait.bytes = bytes;
    this.#heldBytes += bytes;
    this.#told.set(wait.id, wait);
    for (const oldest of this.#told.values()) {
      if (this.#told.size <= sessionWaitsToldMax) break;
      this.#remove(oldest);
    }
    this.#session.hold();
  }

  #remove(wait: Wait): void {
    if (this.#waits.delete(wait.id) || this.#told.delete(wait.id)) this.#heldBytes -= wait.bytes;
  }
}
