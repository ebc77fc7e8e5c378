// What a run has seen: the history of its clients, how often each thing happened, and for how long no write was
// acknowledged.

import type { Answer, Input, Operation } from '../sim/checkers/history.ts';
import type { Called } from './store-calls.ts';

/** Times are milliseconds since the run began. */
export const nanosecondsOfTime = 1_000_000;

export class Recorder {
  readonly history: Operation[] = [];
  readonly counts = new Map<string, number>();
  /** Answers that must not be. Each of them is a violation of the run. */
  readonly unexpected: string[] = [];
  /** The highest revision that any answer told. */
  revision = 1;
  readonly #startMs = performance.now();
  #clients = 0;
  #acknowledgedMs = 0;
  #longestGap = { fromMs: 0, ms: 0 };
  #restedMs = 0;
  #isOver = false;

  get nowMs(): number {
    return performance.now() - this.#startMs;
  }

  /** The longest time in which a write was wanted and none was acknowledged. */
  get longestGap(): { readonly fromMs: number; readonly ms: number } {
    return this.#longestGap;
  }

  newClient(): number {
    return this.#clients++;
  }

  count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
  }

  /** Nobody writes for a while, on purpose, so the time does not count. */
  rests(): void {
    this.#noteGap();
    this.#restedMs = Number.POSITIVE_INFINITY;
  }

  wakes(): void {
    if (!this.#isOver) this.#restedMs = this.nowMs;
  }

  /** Nobody writes any more, so no further time counts. */
  ends(): void {
    this.rests();
    this.#isOver = true;
  }

  /** The number that the client has in the history from now on. */
  ended(client: number, call: number, input: Input, called: Called<Answer>, returned = this.nowMs): number {
    const isWrite = input.writes.length > 0;
    this.count(`${isWrite ? 'writes' : 'reads'} ${called.kind}`);
    const base = { client, call, input };
    switch (called.kind) {
      case 'unsent':
        return client;
      case 'lost':
        this.count(`lost: ${called.why}`);
        this.history.push({ ...base, outcome: { kind: 'lost', why: called.why } });
        return this.newClient();
      case 'refused':
        this.history.push({ ...base, outcome: { kind: 'refused', return: returned, why: called.why } });
        return client;
      case 'answered':
        this.revision = Math.max(this.revision, called.value.revision);
        if (isWrite) this.#acknowledged();
        this.history.push({ ...base, outcome: { kind: 'answered', return: returned, answer: called.value } });
        return client;
      default:
        return called satisfies never;
    }
  }

  #acknowledged(): void {
    this.#noteGap();
    this.#acknowledgedMs = this.nowMs;
  }

  #noteGap(): void {
    const fromMs = Math.max(this.#acknowledgedMs, this.#restedMs);
    const ms = this.nowMs - fromMs;
    if (ms > this.#longestGap.ms) this.#longestGap = { fromMs, ms };
  }
}
