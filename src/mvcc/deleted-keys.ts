// The keys that the deletes of a transaction cover, so that each put is compared with all of them at once: a
// transaction of a megabyte has tens of thousands of both. Pure.

import { keyText } from '../base/bytes.ts';
import type { KeySpan } from '../model/key-range.ts';

/** Keys as `keyText` makes them, which are in the order of the bytes. */
type Range = { readonly from: string; readonly to: string };

export class DeletedKeys {
  readonly #keys = new Set<string>();
  /** The ranges in their order. No two of them meet. */
  #ranges: readonly Range[] = [];
  /** The ranges that are not joined with those yet. */
  #added: Range[] = [];

  /** A range up to "\0" covers nothing here, and neither does an empty range: that is etcd's gap. */
  add(span: KeySpan): void {
    if (span.kind === 'single') this.#keys.add(keyText(span.key));
    else if (span.kind === 'bounded') this.#addRange({ from: keyText(span.from), to: keyText(span.to) });
  }

  addAll(other: DeletedKeys): void {
    for (const key of other.#keys) this.#keys.add(key);
    for (const range of other.#ranges) this.#added.push(range);
    for (const range of other.#added) this.#added.push(range);
  }

  /** `key`: as `keyText` makes it. */
  holds(key: string): boolean {
    if (this.#keys.has(key)) return true;
    this.#settle();
    let [low, high] = [0, this.#ranges.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#ranges[middle]?.from ?? '') <= key) low = middle + 1;
      else high = middle;
    }
    const range = this.#ranges[low - 1];
    return range !== undefined && key < range.to;
  }

  #addRange(range: Range): void {
    if (range.from < range.to) this.#added.push(range);
  }

  #settle(): void {
    if (this.#added.length === 0) return;
    const joined: Range[] = [];
    for (const range of [...this.#ranges, ...this.#added].sort(byStart)) {
      const last = joined.at(-1);
      if (last === undefined || range.from > last.to) joined.push(range);
      else if (range.to > last.to) joined[joined.length - 1] = { from: last.from, to: range.to };
    }
    this.#ranges = joined;
    this.#added = [];
  }
}

function byStart(left: Range, right: Range): number {
  if (left.from === right.from) return 0;
  return left.from < right.from ? -1 : 1;
}
