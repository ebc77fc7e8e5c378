// What a key and a range end mean together (etcd's rules), and which ranges a key prefix holds. Pure.

import { unreachable } from '../base/assert.ts';
import { compareBytes, equalBytes, prefixEnd, startsWith } from '../base/bytes.ts';
import type { KeyRange } from './store.ts';

/**
 * `single`: the one key. `open`: every key from `from` on. `bounded`: from `from` up to, but without, `to`; may be
 * empty.
 */
export type KeySpan =
  | { readonly kind: 'single'; readonly key: Uint8Array }
  | { readonly kind: 'open'; readonly from: Uint8Array }
  | { readonly kind: 'bounded'; readonly from: Uint8Array; readonly to: Uint8Array };

export function spanOf(range: KeyRange): KeySpan {
  const { key, rangeEnd } = range;
  if (rangeEnd.byteLength === 0) return { kind: 'single', key };
  if (rangeEnd.byteLength === 1 && rangeEnd[0] === 0) return { kind: 'open', from: key };
  return { kind: 'bounded', from: key, to: rangeEnd };
}

/**
 * Whether a range holds no key, now or ever. A range of one key, and one of every key from a key on, are never empty.
 */
export function isEmptyRange(range: KeyRange): boolean {
  const span = spanOf(range);
  return span.kind === 'bounded' && compareBytes(span.from, span.to) >= 0;
}

export function spanHolds(span: KeySpan, key: Uint8Array): boolean {
  switch (span.kind) {
    case 'single':
      return equalBytes(span.key, key);
    case 'open':
      return compareBytes(key, span.from) >= 0;
    case 'bounded':
      return compareBytes(key, span.from) >= 0 && compareBytes(key, span.to) < 0;
    default:
      return unreachable(span);
  }
}

/**
 * Whether every key that the range could ever hold begins with `prefix`. An empty range must lie inside the prefix all
 * the same.
 */
export function prefixHolds(prefix: Uint8Array, range: KeyRange): boolean {
  if (prefix.byteLength === 0) return true;
  const span = spanOf(range);
  if (span.kind === 'single') return startsWith(span.key, prefix);
  if (!startsWith(span.from, prefix)) return false;
  const end = prefixEnd(prefix);
  // The prefix 0xff has no end: all keys from it on begin with it.
  if (end === null) return true;
  return span.kind === 'bounded' && compareBytes(span.to, end) <= 0;
}
