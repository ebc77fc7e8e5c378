// Counts what a replica serves: calls by kind and code, and how long they took. A count is a number in memory, and
// `Reporter` takes it from here at times, so no call costs a row.

import { latencyBucketsMs } from '../limits.ts';

/** The first words of names. What follows is behind a blank: the call, then its code or the bound of its bucket. */
export const countNames = {
  calls: 'call',
  /** How many took no longer than the bound, and longer than the bound before. */
  durations: 'ms',
  durationSum: 'msSum',
  elections: 'elections',
} as const;

/** The name of the bucket that has no bound. */
const unbounded = '+Inf';

type Calls = { readonly codes: Map<string, number>; readonly buckets: number[]; sumMs: number };

export class Tallies {
  #calls = new Map<string, Calls>();
  #others = new Map<string, number>();

  get isEmpty(): boolean {
    return this.#calls.size === 0 && this.#others.size === 0;
  }

  /** `tookMs` null: the call waits on purpose, and its time says nothing. */
  called(call: string, code: string, tookMs: number | null): void {
    let calls = this.#calls.get(call);
    if (calls === undefined) {
      calls = { codes: new Map(), buckets: [], sumMs: 0 };
      this.#calls.set(call, calls);
    }
    calls.codes.set(code, (calls.codes.get(code) ?? 0) + 1);
    if (tookMs === null) return;
    const bucket = bucketOf(tookMs);
    calls.buckets[bucket] = (calls.buckets[bucket] ?? 0) + 1;
    calls.sumMs += tookMs;
  }

  count(name: string): void {
    this.#others.set(name, (this.#others.get(name) ?? 0) + 1);
  }

  /** What was counted since this was last called. */
  take(): Map<string, number> {
    const taken = this.#others;
    for (const [call, { codes, buckets, sumMs }] of this.#calls) {
      for (const [code, count] of codes) taken.set(`${countNames.calls} ${call} ${code}`, count);
      for (const [bucket, count] of buckets.entries()) {
        if (count > 0) taken.set(`${countNames.durations} ${call} ${latencyBucketsMs[bucket] ?? unbounded}`, count);
      }
      if (buckets.length > 0) taken.set(`${countNames.durationSum} ${call}`, sumMs);
    }
    this.#calls = new Map();
    this.#others = new Map();
    return taken;
  }
}

function bucketOf(tookMs: number): number {
  const bucket = latencyBucketsMs.findIndex((boundMs) => tookMs <= boundMs);
  return bucket < 0 ? latencyBucketsMs.length : bucket;
}
