// Reads that look at more than fits between two turns go on in slices, with other work between them. A read that is
// done in its first slice, as nearly all are, is answered at once. Of the others few are under way at a time, because
// each holds what it has so far. The rest wait with nothing in memory, and begin anew when it is their turn.

import { readSliceValueBytes, requestTimeoutMs, steppedReadsMax, steppedReadsWaitingMax } from '../../limits.ts';
import type { AnswerRoom } from '../../model/answer-room.ts';
import { type NotRun, type Ran, type ReadFacts, ReadTurns, type TurnsHost, type Waits } from './read-turns.ts';

/** What a read needs of its replica. */
export type ReadHost = TurnsHost & {
  /** The rows that a reader of this moment needs stay until the returned function is called. */
  readonly holdHistory: () => () => void;
};

/**
 * `gone`: this replica does not serve any more, or nobody waits for the answer. `timeout`: the caller has been told
 * that it takes too long. `memoryFull`: until then there was no room for the answer.
 */
export type Stepped<Result> = { readonly kind: 'done'; readonly result: Result } | NotRun;

type Steps<Result> = Generator<void, Result, void>;
/** The first slice of a read: its end, or what goes on. */
type First<Result> =
  | { readonly done: true; readonly result: Result }
  /** `steps` null: nothing is kept of it. */
  | { readonly done: false; steps: Steps<Result> | null };
type Unfinished<Result> = Extract<First<Result>, { readonly done: false }>;

const noRoom: Waits = { kind: 'waits', bytes: readSliceValueBytes };
const unbegun = { kind: 'ran', result: { done: false, steps: null }, bytes: null } as const;

export type ReadOptions<Result> = {
  readonly gone: AbortSignal | null;
  /** Where the answer goes, and what it takes there. */
  readonly room: AnswerRoom;
  readonly bytesOf: (result: Result) => number;
  /** Names what is read, where others may read the same. */
  readonly subject?: () => string;
  /** What the answer takes, at most, as far as is known before the read. Left out: it is never large. */
  readonly measure?: () => number;
};

export class SteppedReads {
  readonly #host: ReadHost;
  readonly #turns: ReadTurns;
  #underWay = 0;
  /** They are called with a slot, in their order. */
  readonly #waiting = new Set<() => void>();

  constructor(host: ReadHost) {
    this.#host = host;
    this.#turns = new ReadTurns(host);
  }

  /** A caller may have room for answers again. */
  readonly look = (): void => this.#turns.look();

  /** `begin` may be called several times: it reads the store as it is by then. */
  async run<Result>(
    begin: () => Steps<Result>,
    { gone, room, bytesOf, subject, measure }: ReadOptions<Result>,
  ): Promise<Stepped<Result>> {
    // A longer read goes on in slices only where there is room for one.
    const measured = measure === undefined ? null : (): number => Math.min(measure(), readSliceValueBytes);
    const untilMs = this.#host.nowMs() + requestTimeoutMs;
    const facts = { gone, room, subject: subject ?? null, measure: measured, untilMs };
    const first = (): ReturnType<typeof firstSlice<Result>> => firstSlice(begin, bytesOf);
    // What is known to be long is not begun in vain, while others have the slots.
    const isLong = this.#isFull && measured !== null && measured() >= readSliceValueBytes;
    let ran: Ran<First<Result>> | Waits | NotRun = isLong ? unbegun : this.#turns.now(first, facts);
    for (;;) {
      if (ran.kind === 'waits') ran = await this.#turns.later(first, facts, ran.bytes);
      if (ran.kind !== 'ran') return ran;
      if (ran.result.done) return { kind: 'done', result: ran.result.result };
      const stepped: Stepped<Result> | Waits = await this.#inSlices(begin, ran.result, facts);
      if (stepped.kind === 'waits') {
        ran = stepped;
        continue;
      }
      if (stepped.kind !== 'done') return stepped;
      const bytes = bytesOf(stepped.result);
      if (room.take(bytes)) return stepped;
      ran = { kind: 'waits', bytes };
    }
  }

  async #inSlices<Result>(
    begin: () => Steps<Result>,
    first: Unfinished<Result>,
    facts: ReadFacts,
  ): Promise<Stepped<Result> | Waits> {
    const { room, gone } = facts;
    // What is long is mostly large. Where nothing large has room, it does not go on.
    if (!room.isOpen(readSliceValueBytes)) return noRoom;
    const waits = this.#isFull;
    // The steps hold what the first slice has read, and would hold it as long as this call is under way.
    if (waits) first.steps = null;
    if (waits && this.#waiting.size >= steppedReadsWaitingMax) return { kind: 'overloaded' };
    if (!waits) this.#underWay++;
    else if (!(await this.#slot(gone))) return { kind: 'gone' };
    try {
      if (waits && !room.isOpen(readSliceValueBytes)) return noRoom;
      const { steps } = first;
      return await this.#goOn(steps === null ? begin : () => steps, { ...facts, paused: waits });
    } finally {
      this.#leave();
    }
  }

  get #isFull(): boolean {
    return this.#underWay >= steppedReadsMax;
  }

  /** Waits for a slot. False: nobody waits for the answer any more, and there is no slot for it. */
  #slot(gone: AbortSignal | null): Promise<boolean> {
    if (gone?.aborted === true) return Promise.resolve(false);
    return new Promise((resolve) => {
      const proceed = (): void => {
        gone?.removeEventListener('abort', left);
        resolve(true);
      };
      const left = (): void => {
        this.#waiting.delete(proceed);
        resolve(false);
      };
      gone?.addEventListener('abort', left);
      this.#waiting.add(proceed);
    });
  }

  async #goOn<Result>(
    begin: () => Steps<Result>,
    { paused, gone, untilMs }: ReadFacts & { readonly paused: boolean },
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
    const [next] = this.#waiting;
    if (next === undefined) {
      this.#underWay--;
      return;
    }
    this.#waiting.delete(next);
    next();
  }
}

function firstSlice<Result>(
  begin: () => Steps<Result>,
  bytesOf: (result: Result) => number,
): { readonly result: First<Result>; readonly bytes: number | null } {
  const steps = begin();
  const first = steps.next();
  if (first.done !== true) return { result: { done: false, steps }, bytes: null };
  return { result: { done: true, result: first.value }, bytes: bytesOf(first.value) };
}
