// The body of a streaming answer as a watch stream's channel: SSE, newline-delimited JSON, a v3 POST. Its backlog is known to
// the byte, so a client that does not read is found out. The object stays awake while a body is open.

import { Buffer } from 'node:buffer';
import type { Closing } from '../api/close-frames.ts';
import { watchBodiesBacklogBytesMax, watchBodyBacklogBytesMax, watchBodyBacklogBytesMin } from '../limits.ts';
import type { Reservation } from '../memory-budget.ts';
import type { Room, WatchChannel } from './watch-channel.ts';

export type BodyOptions = {
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
          this.#options.memory.release();
          this.#options.gone();
        },
      },
      { highWaterMark: highWaterBytes, size: (chunk) => chunk.byteLength },
    );
  }

  get backlogBytes(): number {
    return this.#controller === null ? 0 : highWaterBytes - (this.#controller.desiredSize ?? highWaterBytes);
  }

  send(message: string): void {
    if (this.#isClosing) return;
    this.#spoke = true;
    this.#controller?.enqueue(bytesOf(message + this.#options.terminator));
  }

  /**
   * Writes something that means nothing: a client that has left by an ordinary close (FIN) is noticed only when something is written to
   * it. Where bytes wait already, they do as well.
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
    this.#controller?.close();
    this.#options.closed();
  }

  /** Drops what the client has not read. */
  abandon(): void {
    this.#controller?.error(new Error('the client did not read the end of the stream'));
    this.#controller = null;
    this.#options.memory.release();
  }
}
