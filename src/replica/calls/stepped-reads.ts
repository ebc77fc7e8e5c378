// Reads that look at more than fits between two turns: they go on in steps, and other work comes between. A read that
// is done at its first step, as nearly all are, is answered at once. Of the others few are under way at a time, for
// each holds what it has so far; the rest wait with nothing in hand, and begin anew when it is their turn.

import { requestTimeoutMs, steppedReadsMax, steppedReadsWaitingMax } from '../../limits.ts';

/** What a read needs of its replica. */
export type ReadHost = {
  /** What a reader of now needs stays until what is answered is called. */
  readonly holdHistory: () => () => void;
  /** The store may be shown. */
  readonly serves: () => boolean;
  /** Lets others have their turn. */
  readonly pause: () => Promise<void>;
  readonly nowMs: () => number;
};

/**
 * `gone`: this replica does not serve any more, or nobody waits for the answer. `timeout`: by now its caller has been
 * told that.
 */
export type Stepped<Result> =
  | { readonly kind: 'done'; readonly result: Result }
  | { readonly kind: 'gone' | 'timeout' | 'overloaded' };

type Steps<Result> = Generator<void, Result, void>;

export class SteppedReads {
  readonly #host: ReadHost;
  #underWay = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(host: ReadHost) {
    this.#host = host;
  }

  /** `begin` may be called twice: what it looks at is what the store is by then. */
  async run<Result>(begin: () => Steps<Result>, gone: AbortSignal | null): Promise<Stepped<Result>> {
    const steps = begin();
    const first = steps.next();
    if (first.done === true) return { kind: 'done', result: first.value };
    const untilMs = this.#host.nowMs() + requestTimeoutMs;
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

  /** The place goes to whoever waits longest. */
  #leave(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#underWay--;
    else next();
  }
}
