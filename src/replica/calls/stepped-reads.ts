// Reads that look at more than fits between two turns go on in slices, with other work between them. A read that is
// done in its first slice, as nearly all are, is answered at once. Of the others few are under way at a time, because
// each holds what it has so far. The rest wait with nothing in memory, and begin anew when it is their turn.

import { readTurnBytesMax, requestTimeoutMs, steppedReadsMax, steppedReadsWaitingMax } from '../../limits.ts';

/** What a read needs of its replica. */
export type ReadHost = {
  /** The rows that a reader of this moment needs stay until the returned function is called. */
  readonly holdHistory: () => () => void;
  /** Whether the store may be shown. */
  readonly serves: () => boolean;
  /** Lets others have their turn. */
  readonly pause: () => Promise<void>;
  readonly nowMs: () => number;
};

/**
 * `gone`: this replica does not serve any more, or nobody waits for the answer. `timeout`: the caller has been told
 * that it takes too long.
 */
export type Stepped<Result> =
  | { readonly kind: 'done'; readonly result: Result }
  | { readonly kind: 'gone' | 'timeout' | 'overloaded' };

type Steps<Result> = Generator<void, Result, void>;

export class SteppedReads {
  readonly #host: ReadHost;
  #underWay = 0;
  /** The bytes of answers that were read since others last had their turn, or earlier. */
  #turnBytes = 0;
  /** Resolves when others have had their turn. Null: there is room in this one. */
  #nextTurn: Promise<void> | null = null;
  readonly #waiting: (() => void)[] = [];

  constructor(host: ReadHost) {
    this.#host = host;
  }

  /** `begin` may be called twice: it reads the store as it is by then. `bytesOf`: what a result holds. */
  async run<Result>(
    begin: () => Steps<Result>,
    gone: AbortSignal | null,
    bytesOf: (result: Result) => number = () => 0,
  ): Promise<Stepped<Result>> {
    const untilMs = this.#host.nowMs() + requestTimeoutMs;
    while (this.#nextTurn !== null) {
      await this.#nextTurn;
      if (!this.#host.serves() || gone?.aborted === true) return { kind: 'gone' };
      if (this.#host.nowMs() >= untilMs) return { kind: 'timeout' };
    }
    const steps = begin();
    const first = steps.next();
    if (first.done === true) {
      this.#took(bytesOf(first.value));
      return { kind: 'done', result: first.value };
    }
    const waits = this.#underWay >= steppedReadsMax;
    if (waits && this.#waiting.length >= steppedReadsWaitingMax) return { kind: 'overloaded' };
    if (waits) await new Promise<void>((resolve) => void this.#waiting.push(resolve));
    else this.#underWay++;
    try {
      return await this.#goOn(waits ? begin : () => steps, { paused: waits, gone, untilMs });
    } finally {
      this.#leave();
    }
  }

  #took(bytes: number): void {
    this.#turnBytes += bytes;
    if (this.#turnBytes < readTurnBytesMax) return;
    this.#nextTurn = this.#host.pause().then(() => {
      this.#turnBytes = 0;
      this.#nextTurn = null;
    });
  }

  async #goOn<Result>(
    begin: () => Steps<Result>,
    {
      paused,
      gone,
      untilMs,
    }: { readonly paused: boolean; readonly gone: AbortSignal | null; readonly untilMs: number },
  ): Promise<Stepped<Result>> {
    const release = this.#host.holdHistory();
    try {
      let hasPaused = paused;
      for (let steps: Steps<Result> | null = null; ; hasPaused = false) {
        if (!hasPaused) await this.#host.pause();
        if (!this.#host.serves() || gone?.aborted === true) return { kind: 'gone' };
        if (this.#host.nowMs() >= untilMs) return { kind: 'timeout' };
        steps ??= begin();
        const step = steps.next();
        if (step.done === true) return { kind: 'done', result: step.value };
      }
    } finally {
      release();
    }
  }

  /** The slot goes to the read that has waited longest. */
  #leave(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#underWay--;
    else next();
  }
}
