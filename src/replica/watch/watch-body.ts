// The body of a streaming answer as a watch stream's channel: SSE, newline-delimited JSON, a v3 POST. Its backlog is
// known to the byte, so a client that does not read is found out. The object stays awake while a body is open.

import { Buffer } from 'node:buffer';
import type { Closing } from '../../api/close-frames.ts';
import { watchBodiesBacklogBytesMax, watchBodyBacklogBytesMax, watchBodyBacklogBytesMin } from '../../limits.ts';
import type { Reservation } from '../../base/memory-budget.ts';
import type { Room, WatchChannel } from './watch-channel.ts';

export type BodyOptions = {
  /**
   * Resolves once all that is written to storage by now is durable; null: what is written is durable at once. What the
   * platform holds back for messages of WebSockets and for answers, it does not for what follows of an answer that has
   * begun: a message may tell of what was just written.
   */
  readonly durable: (() => Promise<void>) | null;
  /** Follows each message. */
  readonly terminator: string;
  /** What means nothing between two messages. */
  readonly blank: string;
  /** What the client may be behind now. It shrinks as more bodies are open. */
  readonly backlogBytesMax: () => number;
  /** What it holds of the isolate's memory. */
  readonly memory: Reservation;
  /** The client has read: there may be room again. */
  readonly drained: () => void;
  /** The client went away. */
  readonly gone: () => void;
  /** The stream has ended the answer. */
  readonly closed: () => void;
};

const highWaterBytes = 65_536;

/** Between the lines of server-sent events: a comment. */
export const blankComment = ':\n';
/** Before a line that is JSON: white space of it. A line of its own would be a text that is no JSON. */
export const blankSpace = ' ';

/** What each of `open` bodies may be behind: its share of what all may be together, within bounds. */
export function bodyBacklogBytesMax(open: number): number {
  const share = watchBodiesBacklogBytesMax / Math.max(1, open);
  return Math.max(watchBodyBacklogBytesMin, Math.min(watchBodyBacklogBytesMax, share));
}

/** The last text that was encoded: the watches of one shape send the same one in a row. */
let shared: { readonly text: string; readonly bytes: Uint8Array } = { text: '', bytes: new Uint8Array(0) };

function bytesOf(text: string): Uint8Array {
  if (shared.text !== text) shared = { text, bytes: Buffer.from(text, 'utf8') };
  return shared.bytes;
}

export class BodyChannel implements WatchChannel {
  readonly needsSigns = true;
  readonly stream: ReadableStream<Uint8Array>;
  readonly #options: BodyOptions;
  #controller: ReadableStreamDefaultController<Uint8Array> | null = null;
  #isClosing = false;
  #spoke = false;
  /** What waits for storage, in its order. */
  #held: Uint8Array[] = [];
  #heldBytes = 0;

  constructor(options: BodyOptions) {
    this.#options = options;
    this.stream = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#controller = controller;
        },
        pull: () => {
          this.#options.memory.hold(this.backlogBytes);
          this.#options.drained();
        },
        cancel: () => {
          this.#controller = null;
          this.#drop();
          this.#options.memory.release();
          this.#options.gone();
        },
      },
      { highWaterMark: highWaterBytes, size: (chunk) => chunk.byteLength },
    );
  }

  get backlogBytes(): number {
    if (this.#controller === null) return 0;
    return this.#heldBytes + highWaterBytes - (this.#controller.desiredSize ?? highWaterBytes);
  }

  send(message: string): void {
    if (this.#isClosing) return;
    this.#spoke = true;
    if (this.#controller === null) return;
    const bytes = bytesOf(message + this.#options.terminator);
    const { durable } = this.#options;
    if (durable === null) return this.#controller.enqueue(bytes);
    this.#held.push(bytes);
    this.#heldBytes += bytes.byteLength;
    if (this.#held.length === 1) this.#releaseWhen(durable);
  }

  /**
   * Writes something that means nothing: a client that has left by an ordinary close (FIN) is noticed only when
   * something is written to it. Where bytes wait already, they do as well.
   */
  probe(): void {
    if (!this.#isClosing && this.backlogBytes <= 0) this.#controller?.enqueue(bytesOf(this.#options.blank));
  }

  /** The same, unless something was sent since this was called before. */
  probeIfQuiet(): void {
    if (!this.#spoke) this.probe();
    this.#spoke = false;
  }

  room(): Room {
    const { backlogBytes } = this;
    const max = this.#options.backlogBytesMax();
    if (backlogBytes > max || this.#options.memory.hold(Math.max(0, backlogBytes)) !== null) return 'over';
    return backlogBytes > max / 4 ? 'full' : 'free';
  }

  holds(): boolean {
    return true;
  }

  changed(): void {
    // Nothing outlives the answer.
  }

  /** No further message; what was sent may still be read. */
  close(_closing: Closing): void {
    this.finish();
  }

  /** The same, where nothing ended it but itself. */
  finish(): void {
    if (this.#isClosing) return;
    this.#isClosing = true;
    if (this.#held.length === 0) this.#controller?.close();
    this.#options.closed();
  }

  /** Drops what the client has not read. */
  abandon(): void {
    this.#controller?.error(new Error('the client did not read the end of the stream'));
    this.#controller = null;
    this.#drop();
    this.#options.memory.release();
  }

  /** In a moment, so that all that is said in this turn waits for the same. */
  #releaseWhen(durable: () => Promise<void>): void {
    let count = 0;
    Promise.resolve()
      .then(() => {
        count = this.#held.length;
        return durable();
      })
      .then(
        () => this.#release(count, durable),
        // Storage failed: the object ends, and its streams with it.
        () => this.abandon(),
      );
  }

  /** What was said later may tell of what was written later. */
  #release(count: number, durable: () => Promise<void>): void {
    for (const bytes of this.#held.splice(0, count)) {
      this.#heldBytes -= bytes.byteLength;
      this.#controller?.enqueue(bytes);
    }
    if (this.#held.length > 0) this.#releaseWhen(durable);
    else if (this.#isClosing) this.#controller?.close();
  }

  #drop(): void {
    this.#held = [];
    this.#heldBytes = 0;
  }
}
