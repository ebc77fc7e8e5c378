// The body of a streaming answer as the channel of a watch stream: SSE, newline-delimited JSON, a v3 POST. Its backlog
// is known to the byte, so a client that does not read is noticed. The object stays awake while a body is open.

import { Buffer } from 'node:buffer';
import type { Closing } from '../../api/close-frames.ts';
import { watchBodiesBacklogBytesMax, watchBodyBacklogBytesMax, watchBodyBacklogBytesMin } from '../../limits.ts';
import type { Reservation } from '../../base/memory-budget.ts';
import type { Room, WatchChannel } from './watch-channel.ts';

export type BodyOptions = {
  /**
   * Resolves once everything that is written to storage by now is durable. Null: what is written is durable at once.
   * The platform holds back messages of WebSockets and answers until then, but not the rest of an answer that has
   * begun, and a message may tell what was just written.
   */
  readonly durable: (() => Promise<void>) | null;
  /** The text that follows each message. */
  readonly terminator: string;
  /** The text that means nothing between two messages. */
  readonly blank: string;
  /** How far the client may be behind now. It shrinks as more bodies are open. */
  readonly backlogBytesMax: () => number;
  /** The memory of the isolate that the body holds. */
  readonly memory: Reservation;
  /** Called when the client has read: there may be room again. */
  readonly drained: () => void;
  /** The client went away. */
  readonly gone: () => void;
  /** The stream has ended the answer. */
  readonly closed: () => void;
};

const highWaterBytes = 65_536;

/** How far each of `open` bodies may be behind: its share of what all may be together, within bounds. */
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
  /** The messages that wait for storage, in their order. */
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
   * Writes something without meaning, because a client that has left by an ordinary close (FIN) is noticed only by a
   * write. If bytes wait already, they do as well.
   */
  probe(): void {
    if (!this.#isClosing && this.backlogBytes <= 0) this.#controller?.enqueue(bytesOf(this.#options.blank));
  }

  /** The same, unless something was sent since the last call of this. */
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
    // Nothing survives the answer.
  }

  /** No further message comes. Those that were sent may still be read. */
  close(_closing: Closing): void {
    this.finish();
  }

  /** The same, if nothing but the stream itself ended it. */
  finish(): void {
    if (this.#isClosing) return;
    this.#isClosing = true;
    if (this.#held.length === 0) this.#controller?.close();
    this.#options.closed();
  }

  /** Drops the bytes that the client has not read. */
  abandon(): void {
    this.#controller?.error(new Error('the client did not read the end of the stream'));
    this.#controller = null;
    this.#drop();
    this.#options.memory.release();
  }

  /** Waits a moment, so that everything that is said in this turn waits for the same sync. */
  #releaseWhen(durable: () => Promise<void>): void {
    let count = 0;
    Promise.resolve()
      .then(() => {
        count = this.#held.length;
        return durable();
      })
      .then(
        () => this.#release(count, durable),
        // The storage failed, so the object ends, and its streams with it.
        () => this.abandon(),
      );
  }

  /** Messages that were said later may tell of later writes. */
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
