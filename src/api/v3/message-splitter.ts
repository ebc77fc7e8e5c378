// Cuts a stream of bytes into the JSON objects that follow each other in it, as they arrive. It looks only at braces,
// brackets and strings, and leaves the rest to the decoder of an object. It holds at most one message.

import { joinBytes } from '../../base/bytes.ts';
import { requestBodyBytesMax, watchMessageBytesMax } from '../../limits.ts';

export type Split = {
  readonly messages: readonly Uint8Array[];
  /** Why nothing after these messages can be read. The splitter then takes no more bytes. */
  readonly fault: string | null;
};

const quote = 0x22;
const backslash = 0x5c;

export class MessageSplitter {
  #parts: Uint8Array[] = [];
  #held = 0;
  #depth = 0;
  #inString = false;
  #escaped = false;
  #fault: string | null = null;
  readonly #messageBytesMax: number;

  constructor(messageBytesMax = watchMessageBytesMax) {
    this.#messageBytesMax = messageBytesMax;
  }

  push(chunk: Uint8Array): Split {
    const messages: Uint8Array[] = [];
    let start = 0;
    for (const [position, code] of chunk.entries()) {
      if (this.#fault !== null) break;
      if (this.#depth === 0) {
        if (code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09) continue;
        if (code !== 0x7b) {
          this.#fault = 'expected a JSON object';
          break;
        }
        start = position;
        this.#depth = 1;
        continue;
      }
      const isWhole = this.#closes(code);
      if (this.#held + position + 1 - start > this.#messageBytesMax) {
        this.#fault = `a message has at most ${this.#messageBytesMax} bytes`;
      } else if (isWhole) {
        messages.push(this.#take(chunk.subarray(start, position + 1)));
      }
    }
    if (this.#fault !== null) this.#parts = [];
    else if (this.#depth > 0) this.#hold(chunk.slice(start));
    return { messages, fault: this.#fault };
  }

  /** Ends the stream. Answers what is wrong with its end; null: nothing. */
  end(): string | null {
    if (this.#fault === null && this.#depth > 0) this.#fault = 'the body ends inside a message';
    return this.#fault;
  }

  /** Follows one byte inside of a message. Answers true where the byte ends the message. */
  #closes(code: number): boolean {
    if (this.#inString) {
      if (this.#escaped) this.#escaped = false;
      else if (code === backslash) this.#escaped = true;
      else if (code === quote) this.#inString = false;
      return false;
    }
    if (code === quote) this.#inString = true;
    else if (code === 0x7b || code === 0x5b) this.#depth++;
    else if (code === 0x7d || code === 0x5d) this.#depth--;
    return this.#depth === 0;
  }

  #take(last: Uint8Array): Uint8Array {
    const message = this.#parts.length === 0 ? last.slice() : joinBytes([...this.#parts, last]);
    this.#parts = [];
    this.#held = 0;
    return message;
  }

  #hold(part: Uint8Array): void {
    this.#parts.push(part);
    this.#held += part.byteLength;
  }
}

/** The messages of one whole frame, which may hold several or none, as a body may. */
export function splitFrame(frame: Uint8Array): Split {
  const bytes = frame.byteLength;
  if (bytes > requestBodyBytesMax) {
    return { messages: [], fault: `a frame has at most ${requestBodyBytesMax} bytes, and this one has ${bytes}` };
  }
  const splitter = new MessageSplitter(requestBodyBytesMax);
  const { messages, fault } = splitter.push(frame);
  return { messages, fault: fault ?? (splitter.end() === null ? null : 'the frame ends inside a message') };
}
