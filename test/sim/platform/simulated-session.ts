// One WebSocket of a session, between a client and a replica. What either end sends arrives in its order or, once the
// connection broke, not at all; what the replica sends waits for the output gate. The replica's end hibernates. The
// client's window may be far smaller than the real one, and is then given back by this file; it is held that the
// replica honours it.

import { assert } from '../../../src/base/assert.ts';
import type { ReplicaId } from '../../../src/model/brands.ts';
import type { ConnectionEvents, SessionConnection } from '../../../src/session/client-port.ts';
import { decodeClientMessage, encodeClientFrame, encodeMessage } from '../../../src/session/frames.ts';
import type { PlantedBug } from '../bugs/bugs.ts';
import type { Random } from '../../support/random.ts';
import { check } from '../trace.ts';
import type { Schedule } from './schedule.ts';

/** The handlers of the replica that accepted the socket. */
export type SessionEnd = {
  readonly gate: (action: () => void) => void;
  readonly message: (bytes: Uint8Array) => void;
  readonly closed: () => void;
};

export type SimulatedSessionOptions = {
  readonly to: ReplicaId;
  readonly random: Random;
  readonly schedule: Schedule;
  readonly bug: PlantedBug | null;
  /** The bytes that the client lets the replica send. 0: the client's own window counts. */
  readonly windowBytes: number;
  readonly client: ConnectionEvents;
};

const delayMs = 2;
const creditDelayMs = 100;
/** A message up to this goes without credit: a few answers that say that a write was done, or why it was not. */
const uncreditedMessageBytes = 1_024;
/** A replica does not count what it says before the client has said anything. */
const welcomeBytesMax = 16;

export class SimulatedSession implements SessionConnection {
  readonly #options: SimulatedSessionOptions;
  #server: SessionEnd | null = null;
  #isWoken = false;
  #isBroken = false;
  #isClosed = false;
  #toServerMs = 0;
  #toClientMs = 0;
  /** The bytes that the present instance has sent and that were not given back. */
  #unread = 0;
  /** Tells the instances of the replica apart: credit that was for one is nothing to the next. */
  #epoch = 0;

  constructor(options: SimulatedSessionOptions) {
    this.#options = options;
  }

  // The replica's end

  accepted(server: SessionEnd): void {
    this.#server = server;
    this.#toClient(() => this.#options.client.opened());
  }

  /** An instance takes up a socket that an earlier instance has left. */
  woken(): void {
    this.#isWoken = true;
    this.#unread = 0;
    this.#epoch++;
  }

  /** The replica sends. */
  tell(message: Uint8Array): void {
    const { windowBytes, client } = this.#options;
    const bytes = message.byteLength;
    const isCredited =
      windowBytes === 0 || bytes <= uncreditedMessageBytes || this.#unread < windowBytes + welcomeBytesMax;
    check(isCredited, 'a window is honoured', () => {
      return `replica ${this.#options.to} sends ${bytes} bytes; ${this.#unread} of ${windowBytes} are not read`;
    });
    this.#unread += bytes;
    const epoch = this.#epoch;
    const copy = message.slice();
    this.#toClient(() => {
      client.message(copy);
      if (windowBytes > 0) this.#giveBack(bytes, epoch);
    });
  }

  /** The replica closes the socket, crashed, or was removed. */
  dropped(): void {
    this.#server = null;
    const { random, schedule } = this.#options;
    if (random.chance(0.5)) this.#isBroken = true;
    const afterMs = this.#isBroken ? 0 : Math.max(0, this.#toClientMs - schedule.nowMs);
    schedule.after(afterMs + random.exponential(random.pick([5, 500])), () => this.#close());
  }

  // The client's end

  send(message: Uint8Array): void {
    const { windowBytes, bug } = this.#options;
    const said = this.#isWoken && bug === 'sessionWatchLate' ? withLaterWatches(message) : message;
    const copy = windowBytes === 0 ? said.slice() : this.#withWindow(said);
    if (copy !== null) this.#toServer(() => this.#server?.message(copy));
  }

  close(): void {
    this.#isClosed = true;
    this.#isBroken = true;
    this.#tellServer();
  }

  /** The network fails, or nobody is there. Both ends notice, each in its own time. */
  cut(): void {
    if (this.#isBroken) return;
    this.#isBroken = true;
    this.#tellServer();
    const { schedule, random } = this.#options;
    schedule.after(random.exponential(random.pick([5, 500])), () => this.#close());
  }

  /** The small window comes in place of the client's own. */
  #withWindow(message: Uint8Array): Uint8Array | null {
    const { windowBytes, bug } = this.#options;
    const frames = decodeClientMessage(message);
    assert(frames !== null, 'a client sends what can be read');
    const credit = bug === 'windowIgnored' ? 1_000 * windowBytes : windowBytes;
    const changed = frames
      .filter(({ kind }) => kind !== 'credit')
      .map((frame) => encodeClientFrame(frame.kind === 'hello' ? { ...frame, credit } : frame));
    return changed.length === 0 ? null : encodeMessage(changed);
  }

  #giveBack(bytes: number, epoch: number): void {
    const { schedule, random } = this.#options;
    schedule.after(random.exponential(creditDelayMs), () => {
      const message = encodeMessage([encodeClientFrame({ kind: 'credit', bytes })]);
      this.#toServer(() => {
        if (this.#epoch !== epoch) return;
        this.#unread -= bytes;
        this.#server?.message(message);
      });
    });
  }

  #close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#isBroken = true;
    this.#options.client.closed();
  }

  #tellServer(): void {
    const { schedule, random } = this.#options;
    schedule.after(random.exponential(random.pick([5, 1_000])), () => this.#server?.closed());
  }

  #toServer(deliver: () => void): void {
    const { schedule, random } = this.#options;
    this.#toServerMs = Math.max(this.#toServerMs, schedule.nowMs + random.exponential(delayMs));
    schedule.after(this.#toServerMs - schedule.nowMs, () => {
      if (!this.#isBroken) deliver();
    });
  }

  #toClient(deliver: () => void): void {
    const leaves = (): void => {
      const { schedule, random } = this.#options;
      this.#toClientMs = Math.max(this.#toClientMs, schedule.nowMs + random.exponential(delayMs));
      schedule.after(this.#toClientMs - schedule.nowMs, () => {
        if (!this.#isBroken && !this.#isClosed) deliver();
      });
    };
    this.#server?.gate(leaves);
  }
}

/** Watches that are declared again begin one revision too late. */
function withLaterWatches(message: Uint8Array): Uint8Array {
  const frames = decodeClientMessage(message);
  assert(frames !== null, 'a client sends what can be read');
  const later = frames.map((frame) => {
    if (frame.kind !== 'watch' || frame.watch.start === 0) return frame;
    return { ...frame, watch: { ...frame.watch, start: frame.watch.start + 1 } };
  });
  return encodeMessage(later.map(encodeClientFrame));
}
