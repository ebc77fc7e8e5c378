// The time from the sending of a put to the arrival of its event, at each of many watchers of one key.

import { setTimeout as sleep } from 'node:timers/promises';
import { percentileOf } from './figures.ts';

const eventWaitMs = 60_000;
const putsPerSecond = 50;

export type EventLatency = { readonly p50Ms: number; readonly p99Ms: number };

export class EventTimes {
  /** The times at which the put of each event was sent, in the order of the events. */
  readonly #sentMs: number[] = [];
  #latenciesMs: number[] = [];
  #watchers = 0;
  #ended = 0;

  /** A watcher that has begun. The function that is returned is called for each event that comes to it. */
  watcher(): () => void {
    this.#watchers++;
    let seen = this.#sentMs.length;
    return () => {
      const sentMs = this.#sentMs[seen++];
      if (sentMs !== undefined) this.#latenciesMs.push(performance.now() - sentMs);
    };
  }

  watcherEnded(): void {
    this.#ended++;
  }

  async measure(put: () => Promise<unknown>, seconds: number): Promise<EventLatency> {
    const puts = seconds * putsPerSecond;
    this.#latenciesMs = [];
    const beganMs = performance.now();
    const asked: Promise<unknown>[] = [];
    for (let index = 0; index < puts; index++) {
      await sleep(Math.max(0, beganMs + (index * 1_000) / putsPerSecond - performance.now()));
      this.#sentMs.push(performance.now());
      asked.push(put());
    }
    await Promise.all(asked);
    const expected = puts * this.#watchers;
    for (const deadline = performance.now() + eventWaitMs; this.#latenciesMs.length < expected;) {
      if (this.#ended > 0) throw new Error(`${this.#ended} watches ended`);
      if (performance.now() > deadline) throw new Error(`${this.#latenciesMs.length} of ${expected} events came`);
      await sleep(10);
    }
    const sorted = this.#latenciesMs.toSorted((left, right) => left - right);
    return { p50Ms: percentileOf(sorted, 0.5), p99Ms: percentileOf(sorted, 0.99) };
  }
}
