// A list in pages asks, with each page, how many keys are left from its first key on. That number follows from the page
// before, so reading n keys in pages does not count n keys for each page. It is a small memory that may be lost at any
// time.

import { equalBytes, keyText } from '../base/bytes.ts';
import { pageCountsKeptMax } from '../limits.ts';
import type { KeySpan } from '../model/key-range.ts';

/** The next page begins with the first key after `lastKey`. */
export type PageLeft = {
  readonly span: KeySpan;
  readonly revision: number;
  readonly lastKey: Uint8Array;
  readonly left: number;
};

export class PageCounts {
  readonly #pages = new Map<string, PageLeft>();

  remember(page: PageLeft): void {
    const key = place(page.lastKey, page.revision);
    this.#pages.delete(key);
    this.#pages.set(key, page);
    if (this.#pages.size <= pageCountsKeptMax) return;
    for (const oldest of this.#pages.keys()) {
      this.#pages.delete(oldest);
      return;
    }
  }

  /** The number of keys of `span` at `revision`, if it continues a page that is remembered. Null: it does not. */
  find(span: KeySpan, revision: number): number | null {
    if (span.kind === 'single') return null;
    const end = span.from.byteLength - 1;
    if (span.from[end] !== 0) return null;
    const page = this.#pages.get(place(span.from.subarray(0, end), revision));
    return page === undefined || !sameEnd(page.span, span) ? null : page.left;
  }
}

function place(lastKey: Uint8Array, revision: number): string {
  return `${revision} ${keyText(lastKey)}`;
}

function sameEnd(left: KeySpan, right: KeySpan): boolean {
  if (left.kind === 'open') return right.kind === 'open';
  return left.kind === 'bounded' && right.kind === 'bounded' && equalBytes(left.to, right.to);
}
