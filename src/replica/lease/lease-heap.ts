// Leases by the time at which they end, the next one first: a binary heap whose items know their positions, so that an
// item can be moved or taken out without a search. 500,000 leases need no timer, and a look at the first costs nothing.

import { assert } from '../../base/assert.ts';

/** An item of the heap. `place` is the heap's alone, and -1 while the item is in no heap. */
export type HeapItem = { endsMs: number; place: number };

export class LeaseHeap<Item extends HeapItem> {
  readonly #items: Item[] = [];

  get size(): number {
    return this.#items.length;
  }

  get first(): Item | null {
    return this.#items[0] ?? null;
  }

  add(item: Item): void {
    assert(item.place === -1, 'an item is in a heap once');
    this.#items.push(item);
    item.place = this.#items.length - 1;
    this.#rise(item);
  }

  remove(item: Item): void {
    assert(this.#items[item.place] === item, 'the item is in this heap');
    const last = this.#items.pop();
    if (last !== undefined && last !== item) {
      this.#put(last, item.place);
      this.moved(last);
    }
    item.place = -1;
  }

  /** Called after the end of an item was changed. */
  moved(item: Item): void {
    this.#rise(item);
    this.#sink(item);
  }

  #rise(item: Item): void {
    while (item.place > 0) {
      const parentPlace = (item.place - 1) >> 1;
      const parent = this.#items[parentPlace];
      if (parent === undefined || parent.endsMs <= item.endsMs) return;
      this.#put(parent, item.place);
      this.#put(item, parentPlace);
    }
  }

  #sink(item: Item): void {
    for (;;) {
      const left = this.#items[2 * item.place + 1];
      const right = this.#items[2 * item.place + 2];
      const next = left !== undefined && right !== undefined && right.endsMs < left.endsMs ? right : left;
      if (next === undefined || next.endsMs >= item.endsMs) return;
      const { place } = next;
      this.#put(next, item.place);
      this.#put(item, place);
    }
  }

  #put(item: Item, place: number): void {
    this.#items[place] = item;
    item.place = place;
  }
}
