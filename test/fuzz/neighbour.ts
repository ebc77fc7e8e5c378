// Another tenant of the same server. It puts and gets again and again at a steady pace, and measures how long each call
// takes.

import { setTimeout as sleep } from 'node:timers/promises';

const paceMs = 50;

export type Latencies = {
  readonly count: number;
  readonly medianMs: number;
  readonly p99Ms: number;
  readonly worstMs: number;
};

export class Neighbour {
  readonly #url: string;
  readonly #key: string;
  #latenciesMs: number[] = [];
  readonly failures: string[] = [];
  #isStopped = false;
  readonly #running: Promise<void>;

  constructor(url: string, key: string) {
    this.#url = url;
    this.#key = key;
    this.#running = this.#run();
  }

  /** Sums up what was measured since the last call. */
  take(): Latencies {
    const sorted = this.#latenciesMs.toSorted((left, right) => left - right);
    this.#latenciesMs = [];
    const at = (part: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0;
    return { count: sorted.length, medianMs: at(0.5), p99Ms: at(0.99), worstMs: sorted.at(-1) ?? 0 };
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#running;
  }

  async #run(): Promise<void> {
    for (let nth = 0; !this.#isStopped; nth++) {
      await this.#ask('PUT', String(nth));
      await this.#ask('GET', null);
      await sleep(paceMs);
    }
  }

  async #ask(method: string, body: string | null): Promise<void> {
    const sinceMs = performance.now();
    const headers = { Authorization: `Bearer ${this.#key}` };
    try {
      const response = await fetch(`${this.#url}/v1/kv/neighbour`, { method, body, headers });
      await response.arrayBuffer();
      if (!response.ok) this.failures.push(`${method} answered ${response.status}`);
    } catch (error) {
      this.failures.push(`${method}: ${String(error)}`);
    }
    this.#latenciesMs.push(performance.now() - sinceMs);
  }
}
