// The first pairs in an order other than by key, kept while all pairs of a range pass by: no more than asked for are in
// memory. Pure.

import { compareBytes } from '../base/bytes.ts';
import { type KeyValue, type RangeRequest, sortOrder, sortTarget } from '../model/store.ts';

/**
 * Below 0: `left` stands before `right`. Equal pairs keep the order of their keys, whichever the direction (as in
 * etcd).
 */
export type PairOrder = (left: KeyValue, right: KeyValue) => number;

export function pairOrderOf(request: Pick<RangeRequest, 'sortOrder' | 'sortTarget'>): PairOrder {
  const ascending = ascendingBy(request.sortTarget);
  return request.sortOrder === sortOrder.descend ? (left, right) => ascending(right, left) : ascending;
}

function ascendingBy(target: number): PairOrder {
  switch (target) {
    case sortTarget.version:
      return (left, right) => left.version - right.version;
    case sortTarget.create:
      return (left, right) => left.createRevision - right.createRevision;
    case sortTarget.mod:
      return (left, right) => left.modRevision - right.modRevision;
    case sortTarget.value:
      return (left, right) => compareBytes(left.value, right.value);
    default:
      return (left, right) => compareBytes(left.key, right.key);
  }
}

type Placed = { readonly pair: KeyValue; readonly place: number };

/** A heap whose top is the last of those kept. */
export class FirstPairs {
  readonly #order: PairOrder;
  readonly #limit: number;
  readonly #heap: Placed[] = [];
  #offered = 0;

  /** `limit` of at least 1. */
  constructor(order: PairOrder, limit: number) {
    this.#order = order;
    this.#limit = limit;
  }

  /** The number of pairs that passed by. */
  get offered(): number {
    return this.#offered;
  }

  /**
   * Takes a pair. The pairs must come in the order of their keys. Returns the pair that is no longer kept: another one,
   * this one, or none.
   */
  offer(pair: KeyValue): KeyValue | null {
    const placed = { pair, place: this.#offered++ };
    if (this.#heap.length < this.#limit) {
      this.#heap.push(placed);
      this.#rise(this.#heap.length - 1);
      return null;
    }
    const last = this.#heap[0];
    if (last === undefined || this.#compare(placed, last) > 0) return pair;
    this.#heap[0] = placed;
    this.#sink(0);
    return last.pair;
  }

  inOrder(): KeyValue[] {
    return this.#heap.toSorted((left, right) => this.#compare(left, right)).map((placed) => placed.pair);
  }

  #compare(left: Placed, right: Placed): number {
    return this.#order(left.pair, right.pair) || left.place - right.place;
  }

  /** Whether the pair at `upper` must stand below the pair at `lower`. */
  #isBefore(upper: number, lower: number): boolean {
    const above = this.#heap[upper];
    const below = this.#heap[lower];
    return above !== undefined && below !== undefined && this.#compare(above, below) < 0;
  }

  #swap(left: number, right: number): void {
    const one = this.#heap[left];
    const other = this.#heap[right];
    if (one === undefined || other === undefined) return;
    this.#heap[left] = other;
    this.#heap[right] = one;
  }

  #rise(from: number): void {
    let child = from;
    while (child > 0) {
      const parent = (child - 1) >> 1;
      if (!this.#isBefore(parent, child)) return;
      this.#swap(parent, child);
      child = parent;
    }
  }

  #sink(from: number): void {
    let parent = from;
    for (;;) {
      let last = parent;
      for (const child of [2 * parent + 1, 2 * parent + 2]) if (this.#isBefore(last, child)) last = child;
      if (last === parent) return;
      this.#swap(parent, last);
      parent = last;
    }
  }
}
