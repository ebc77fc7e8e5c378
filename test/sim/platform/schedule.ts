// Simulated time: what is to happen, in order. Two actions at the same moment run in the order in which they were
// planned.

import { assert } from '../../../src/base/assert.ts';

type Planned = { readonly atMs: number; readonly sequence: number; readonly action: () => void };

export class Schedule {
  #nowMs = 0;
  #sequence = 0;
  #hasPromises = false;
  /** A binary heap with the next action first. */
  readonly #planned: Planned[] = [];

  get nowMs(): number {
    return this.#nowMs;
  }

  /**
   * A promise that somebody waits for was just made or settled. Most actions have no promises, and need not wait for
   * any.
   */
  promised(): void {
    this.#hasPromises = true;
  }

  /** The next turn of the event loop, by which everything that waits for a promise has gone on. */
  async #settled(): Promise<void> {
    this.#hasPromises = false;
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
  }

  /** The number of actions carried out so far. */
  steps = 0;

  after(delayMs: number, action: () => void): void {
    assert(delayMs >= 0, `a delay of ${delayMs} ms`);
    const planned = this.#planned;
    planned.push({ atMs: this.#nowMs + delayMs, sequence: this.#sequence++, action });
    let child = planned.length - 1;
    while (child > 0) {
      const parent = (child - 1) >> 1;
      if (!this.#swapIfLater(parent, child)) break;
      child = parent;
    }
  }

  /**
   * Carries out everything that is planned until then, and what it plans in turn. Stops early once `done` holds. After
   * an action that made or settled promises, everything that waits for them goes on, in the order in which that
   * happened, before the next action.
   */
  async runUntil(endMs: number, done: () => boolean = () => false): Promise<void> {
    while (!done()) {
      const next = this.#planned[0];
      if (next === undefined || next.atMs > endMs) break;
      this.#removeFirst();
      this.#nowMs = next.atMs;
      this.steps++;
      next.action();
      if (this.#hasPromises) await this.#settled();
    }
    if (!done()) this.#nowMs = Math.max(this.#nowMs, endMs);
  }

  #removeFirst(): void {
    const planned = this.#planned;
    const last = planned.pop();
    if (last === undefined || planned.length === 0) return;
    planned[0] = last;
    let parent = 0;
    for (;;) {
      const left = 2 * parent + 1;
      if (left >= planned.length) return;
      const child = left + 1 < planned.length && this.#later(left, left + 1) ? left + 1 : left;
      if (!this.#swapIfLater(parent, child)) return;
      parent = child;
    }
  }

  #later(first: number, second: number): boolean {
    const left = this.#planned[first];
    const right = this.#planned[second];
    assert(left !== undefined && right !== undefined, 'outside the heap');
    return left.atMs > right.atMs || (left.atMs === right.atMs && left.sequence > right.sequence);
  }

  #swapIfLater(parent: number, child: number): boolean {
    if (!this.#later(parent, child)) return false;
    const planned = this.#planned;
    const [upper, lower] = [planned[parent], planned[child]];
    assert(upper !== undefined && lower !== undefined, 'outside the heap');
    planned[parent] = lower;
    planned[child] = upper;
    return true;
  }
}
