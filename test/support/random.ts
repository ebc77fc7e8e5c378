// The randomness of all tests: a seed decides everything. Pinned seeds rely on its sequence, which therefore never
// changes. It is not for secrets.

import { assert } from '../../src/base/assert.ts';

export class Random {
  #state: number;

  constructor(seed: number) {
    // Neighbouring seeds must not give similar runs.
    this.#state = Math.imul(seed ^ 0x5bd1e995, 0x9e3779b1) | 0;
    for (let round = 0; round < 4; round++) this.next();
  }

  /** Uniform in [0, 1): Mulberry32. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  }

  chance(probability: number): boolean {
    // Nothing is drawn for a chance of 0, so that a fault that is off leaves the rest of a run as it was.
    return probability > 0 && this.next() < probability;
  }

  between(low: number, high: number): number {
    return low + (high - low) * this.next();
  }

  /** A whole number from 0 to `bound` - 1. */
  below(bound: number): number {
    return Math.floor(this.next() * bound);
  }

  /** A whole number between two ends, both included. */
  integer(low: number, high: number): number {
    return low + Math.floor(this.next() * (high - low + 1));
  }

  /** A number that is mostly small, and now and then several times the mean. */
  exponential(mean: number): number {
    return -mean * Math.log(1 - this.next());
  }

  pick<Value>(values: readonly Value[]): Value {
    const value = values[this.below(values.length)];
    assert(value !== undefined, 'nothing to pick from');
    return value;
  }

  /** One of the choices, each as often as its weight says. */
  weighted<Choice>(choices: readonly (readonly [weight: number, choice: Choice])[]): Choice {
    let left = this.next() * choices.reduce((sum, [weight]) => sum + weight, 0);
    for (const [weight, choice] of choices) {
      left -= weight;
      if (left < 0) return choice;
    }
    const last = choices.at(-1);
    assert(last !== undefined, 'nothing to choose from');
    return last[1];
  }

  /** So many values, each made anew. */
  several<Element>(count: number, make: () => Element): Element[] {
    return Array.from({ length: count }, make);
  }

  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.below(256));
  }

  /** A generator of its own, so that the draws of one part do not shift those of another. */
  fork(): Random {
    return new Random(Math.floor(this.next() * 4_294_967_296));
  }
}

/** A function that gives the numbers alone, as the core takes them. */
export function seededRandom(seed: number): () => number {
  const random = new Random(seed);
  return () => random.next();
}
