// One WebSocket between a watcher and a replica. The replica's end hibernates: the socket and its attachment stay while
// no instance is in memory, and are gone after a crash. What is sent waits for the output gate, and arrives in order
// or, once the connection broke, not at all.

import type { HibernatingSocket } from '../../../src/replica/watch/watch-socket.ts';
import { framesWithBug, isProgress } from '../bugs/buggy-frames.ts';
import type { PlantedBug } from '../bugs/bugs.ts';
import type { Random } from '../../support/random.ts';
import type { Schedule } from './schedule.ts';

/** The client's handlers. */
export type ClientEnd = {
  readonly opened: () => void;
  /** `isFirst`: this is the first message since the connection began, or since its replica woke. */
  readonly message: (text: string, isFirst: boolean) => void;
  /** Nothing comes any more. */
  readonly closed: (code: number) => void;
};

/** The handlers of the replica that accepted the socket. */
export type ServerEnd = {
  readonly gate: (action: () => void) => void;
  readonly message: (text: string) => void;
  /** The client is gone. */
  readonly closed: () => void;
  /** The service has closed it. */
  readonly ended: () => void;
};

export type SocketOptions = {
  readonly random: Random;
  readonly schedule: Schedule;
  readonly bug: PlantedBug | null;
  /** The time that the client takes for each message; 0: it keeps up. */
  readonly readMs: number;
  readonly client: ClientEnd;
};

/** RFC 6455, 7.1.5: the connection ended without a word. */
const abnormalClosure = 1_006;
const delayMs = 2;
/**
 * The bytes that a slow reader has not read count this many times, so that a few messages fill what a replica keeps for
 * it.
 */
const backlogScale = 4_096;

export class SimulatedSocket implements HibernatingSocket {
  readonly #options: SocketOptions;
  #server: ServerEnd | null = null;
  #attachment: Uint8Array | null = null;
  /** Nothing passes any more, in either direction. */
  #isBroken = false;
  /** The client has gone on without this connection. */
  #isLeft = false;
  #arrivesMs = 0;
  #unreadBytes = 0;
  #isFirst = true;

  constructor(options: SocketOptions) {
    this.#options = options;
  }

  // The replica's end

  accepted(server: ServerEnd): void {
    this.#server = server;
    this.#carry(() => this.#options.client.opened());
  }

  /** An instance takes up a socket that an earlier instance has left. */
  woken(): void {
    this.#isFirst = true;
  }

  send(message: string): void {
    const { bug, random } = this.#options;
    for (const text of framesWithBug(bug, message, random)) {
      const isFirst = this.#isFirst && !isProgress(text);
      if (isFirst) this.#isFirst = false;
      const arrives = (): void => this.#options.client.message(text, isFirst);
      if (bug === 'progressAhead' && isProgress(text)) {
        this.#server?.gate(() => this.#options.schedule.after(0, arrives));
      } else this.#carry(arrives, text.length);
    }
  }

  close(code: number): void {
    // Until the close frame has left, a crash ends the connection in its own way.
    this.#server?.gate(() => this.#server?.ended());
    this.#carry(() => this.#options.client.closed(code));
  }

  serializeAttachment(attachment: Uint8Array): void {
    this.#attachment = attachment.slice();
  }

  deserializeAttachment(): unknown {
    return this.#attachment;
  }

  get bufferedAmount(): number {
    return this.#options.readMs === 0 ? 0 : this.#unreadBytes * backlogScale;
  }

  /** The replica crashed, and the connection with it. What is on its way may still arrive. */
  dropped(): void {
    this.#server = null;
    const { random } = this.#options;
    if (random.chance(0.5)) this.#isBroken = true;
    this.#tellClient(this.#isBroken ? 0 : Math.max(0, this.#arrivesMs - this.#options.schedule.nowMs));
  }

  // The client's end

  say(text: string): void {
    const { schedule, random } = this.#options;
    schedule.after(random.exponential(delayMs), () => {
      if (!this.#isBroken) this.#server?.message(text);
    });
  }

  leave(): void {
    this.#isLeft = true;
    this.#isBroken = true;
    this.#tellServer();
  }

  /** The network fails. Both ends notice, each in its own time. */
  cut(): void {
    if (this.#isBroken) return;
    this.#isBroken = true;
    this.#tellServer();
    this.#tellClient(0);
  }

  #tellServer(): void {
    const { schedule, random } = this.#options;
    schedule.after(random.exponential(random.pick([5, 1_000])), () => this.#server?.closed());
  }

  #tellClient(afterMs: number): void {
    const { schedule, random, client } = this.#options;
    schedule.after(afterMs + random.exponential(random.pick([5, 500])), () => {
      if (!this.#isLeft) client.closed(abnormalClosure);
    });
  }

  #carry(deliver: () => void, bytes = 0): void {
    const { schedule, random, readMs, bug } = this.#options;
    this.#unreadBytes += bytes;
    const leaves = (): void => {
      const { nowMs } = schedule;
      this.#arrivesMs = Math.max(this.#arrivesMs + readMs, nowMs + random.exponential(delayMs));
      schedule.after(this.#arrivesMs - nowMs, () => {
        this.#unreadBytes -= bytes;
        if (!this.#isBroken) deliver();
      });
    };
    if (bug === 'eventsBeforeDurable' || this.#server === null) leaves();
    else this.#server.gate(leaves);
  }
}
