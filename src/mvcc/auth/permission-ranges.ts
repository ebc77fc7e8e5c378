// The keys that a set of permissions opens, as intervals that do not touch each other, so that a request may span what
// several permissions open together. Pure.

import { unreachable } from '../../base/assert.ts';
import { compareBytes, emptyBytes } from '../../base/bytes.ts';
import type { KeyRange } from '../../model/store.ts';
import { type KeySpan, spanOf } from '../../model/key-range.ts';

/** The keys from `from` on, and before `to`. Null: there is no end. */
export type Interval = { readonly from: Uint8Array; readonly to: Uint8Array | null };

/** The bytes that an interval takes in memory beside its keys. */
const intervalOverheadBytes = 256;

/** A permission for one key opens the keys from it up to the next possible key, which is only itself. */
export function intervalOf(range: KeyRange): Interval {
  const span = spanOf(range);
  switch (span.kind) {
    case 'single':
      return { from: span.key, to: nextKey(span.key) };
    case 'open':
      return { from: span.from, to: null };
    case 'bounded':
      return { from: span.from, to: span.to };
    default:
      return unreachable(span);
  }
}

function nextKey(key: Uint8Array): Uint8Array {
  const next = new Uint8Array(key.byteLength + 1);
  next.set(key);
  return next;
}

/** Joins intervals that overlap or touch. They come in the order in which they begin. */
export function* joined(intervals: Iterable<Interval>): Generator<Interval, void, void> {
  let current: Interval | null = null;
  for (const interval of intervals) {
    if (current === null) {
      current = interval;
    } else if (current.to === null || compareBytes(interval.from, current.to) <= 0) {
      current = { from: current.from, to: laterEnd(current.to, interval.to) };
    } else {
      yield current;
      current = interval;
    }
  }
  if (current !== null) yield current;
}

/** Null: there is no end. */
export function laterEnd(one: Uint8Array | null, other: Uint8Array | null): Uint8Array | null {
  if (one === null || other === null) return null;
  return compareBytes(one, other) >= 0 ? one : other;
}

export function intervalBytes(interval: Interval): number {
  return intervalOverheadBytes + interval.from.byteLength + (interval.to ?? emptyBytes).byteLength;
}

/** Decides whether one of these joined intervals, in their order, holds everything that the request names. */
export function intervalsHold(intervals: readonly Interval[], request: KeyRange): boolean {
  const span = spanOf(request);
  const from = span.kind === 'single' ? span.key : span.from;
  let low = 0;
  let high = intervals.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const interval = intervals[middle];
    if (interval !== undefined && compareBytes(interval.from, from) <= 0) low = middle + 1;
    else high = middle;
  }
  const nearest = intervals[low - 1];
  return nearest !== undefined && intervalHolds(nearest, span);
}

/** Decides the same for intervals that are too many to be kept. */
export function intervalsHoldOnce(intervals: Iterable<Interval>, request: KeyRange): boolean {
  const span = spanOf(request);
  for (const interval of intervals) if (intervalHolds(interval, span)) return true;
  return false;
}

/**
 * Whether each key of an ordered set lies in one of the intervals. `firstFrom` returns the first key of the set from a
 * key on; null: there is none. It is called once for each interval that has such a key, however many keys lie there.
 */
export function intervalsHoldKeys(
  intervals: Iterable<Interval>,
  firstFrom: (from: Uint8Array) => Uint8Array | null,
): boolean {
  let key = firstFrom(emptyBytes);
  if (key === null) return true;
  for (const { from, to } of intervals) {
    if (to !== null && compareBytes(to, key) <= 0) continue;
    if (compareBytes(from, key) > 0) return false;
    key = to === null ? null : firstFrom(to);
    if (key === null) return true;
  }
  return false;
}

/** Ranges that hold nothing are not decided here: see `isEmptyRange`. */
function intervalHolds(interval: Interval, span: KeySpan): boolean {
  const from = span.kind === 'single' ? span.key : span.from;
  if (compareBytes(interval.from, from) > 0) return false;
  if (interval.to === null) return true;
  if (span.kind === 'open') return false;
  if (compareBytes(from, interval.to) >= 0) return false;
  return span.kind === 'single' || compareBytes(span.to, interval.to) <= 0;
}
