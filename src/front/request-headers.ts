// The headers of a request by their names, as the parsers of calls ask for them, from the list in which node:http keeps
// them. To build the platform's Headers takes longer than to parse most calls.

import type { RequestHeaders } from '../api/contract.ts';

/** Fields in visible ASCII are read alike by everybody. */
const visible = /^[\t\x20-\x7e]*$/;

export class ListedHeaders implements RequestHeaders {
  readonly #values = new Map<string, string>();
  /** False: a value has bytes beyond ASCII, which others may read in another way. */
  readonly isPlain: boolean;

  /** @param list Names and values alternate, as they came. */
  constructor(list: readonly string[]) {
    let isPlain = true;
    for (let at = 0; at + 1 < list.length; at += 2) {
      const name = (list[at] ?? '').toLowerCase();
      const value = list[at + 1] ?? '';
      if (!visible.test(value)) isPlain = false;
      const before = this.#values.get(name);
      // RFC 9110, section 5.3: a field that comes again goes on with the list.
      this.#values.set(name, before === undefined ? value : `${before}, ${value}`);
    }
    this.isPlain = isPlain;
  }

  get(name: string): string | null {
    return this.#values.get(name) ?? this.#values.get(name.toLowerCase()) ?? null;
  }

  has(name: string): boolean {
    return this.#values.has(name) || this.#values.has(name.toLowerCase());
  }
}
