// The newest pairs of some keys as `head` has them, or that it has no such key, so that a put of a key that was written
// or read lately needs no SQL to learn what it overwrites. It is memory alone, and bounded: whoever finds nothing here
// asks the tables. Whatever writes to `head` other than a flush forgets all of it first.

import { keptHeadsBytesMax, keptValueBytesMax } from '../../limits.ts';
import type { KeyValue } from '../../model/store.ts';

/** What a key takes beside the bytes of key and value: its text, its place in the map, the pair, and two buffers. */
const headBytes = 400;

export class Heads {
  /** By the texts of the keys, those that came first foremost. Null: the tables have no such key. */
  readonly #pairs = new Map<string, KeyValue | null>();
  #bytes = 0;

  /** Of memory, about. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Null: the tables have no such key. Undefined: only the tables know. */
  find(text: string): KeyValue | null | undefined {
    return this.#pairs.get(text);
  }

  has(text: string): boolean {
    return this.#pairs.has(text);
  }

  /**
   * `pair` is what the tables have of the key, and owns its bytes. Those that came first make room for it. Returns the
   * bytes that it takes.
   */
  learn(text: string, pair: KeyValue | null): number {
    this.#forget(text);
    if (pair !== null && pair.value.byteLength > keptValueBytesMax) return 0;
    this.#pairs.set(text, pair);
    const bytes = bytesOf(text, pair);
    this.#bytes += bytes;
    while (this.#bytes > keptHeadsBytesMax) {
      const [oldest] = this.#pairs.keys();
      this.#forget(oldest ?? text);
    }
    return bytes;
  }

  forgetAll(): void {
    this.#pairs.clear();
    this.#bytes = 0;
  }

  #forget(text: string): void {
    const pair = this.#pairs.get(text);
    if (pair === undefined) return;
    this.#pairs.delete(text);
    this.#bytes -= bytesOf(text, pair);
  }
}

function bytesOf(text: string, pair: KeyValue | null): number {
  return headBytes + text.length + (pair === null ? 0 : pair.key.byteLength + pair.value.byteLength);
}
