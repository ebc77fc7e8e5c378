// Reads that look at more than fits between two turns go on in slices, with other work between them. A read that is
// done in its first slice, as nearly all are, is answered at once. Of the others few are under way at a time, because
// each holds what it has so far. The rest wait as calls (`read-turns.ts`), with nothing in memory.
//
// What a read has so far counts, with the next slice, before that slice is read. Where there is no room for it, one
// read of the isolate waits with what it has, and any other one forgets what it has: so no two wait for each other.

import {
  rangeAnswerBytesMax,
  readRefusedAheadMs,
  readRoomLookMs,
  readSliceValueBytes,
  requestTimeoutMs,
  steppedReadsMax,
} from '../../limits.ts';
import type { AnswerRoom } from '../../model/answer-room.ts';
import {
  type NotRun,
  type Ran,
  type ReadFacts,
  ReadTurns,
  type Run,
  type TurnsHost,
  type Waits,
} from './read-turns.ts';

/** What a read needs of its replica. */
export type ReadHost = TurnsHost & {
  /** The rows that a reader of this moment needs stay until the returned function is called. */
  readonly holdHistory: () => () => void;
  /** Shared by all replicas of the isolate. */
  readonly waitingPlace: WaitingPlace;
};

/** The place of the one read that may wait for memory while it holds some. */
export class WaitingPlace {
  #isTaken = false;

  /** False: another read has it. */
  take(): boolean {
    if (this.#isTaken) return false;
    this.#isTaken = true;
    return true;
  }

  leave(): void {
    this.#isTaken = false;
  }
}

export const isolateWaitingPlace = new WaitingPlace();

/**
 * `gone`: this replica does not serve any more, or nobody waits for the answer. `timeout`: the caller has been told
 * that it takes too long. `memoryFull`: until then there was no room for the answer.
 */
export type Stepped<Result> = { readonly kind: 'done'; readonly result: Result } | NotRun;

type Steps<Result> = Generator<void, Result, void>;
/** The first slice of a read: its end, or what goes on. */
type First<Result> =
  | { readonly done: true; readonly result: Result }
  /** The read has a slot, and room for its next slice. `release`: the rows of its moment need not stay any more. */
  | { readonly done: false; readonly steps: Steps<Result>; readonly release: () => void };
type Unfinished<Result> = Extract<First<Result>, { readonly done: false }>;

const long: Waits = { kind: 'waits', bytes: readSliceValueBytes };

type SlicedFacts = ReadFacts & {
  readonly heldBytes: (() => number) | undefined;
  /** What the whole answer takes, at most, as far as the store tells. */
  readonly wholeBytes: (() => number) | null;
};

export type ReadOptions<Result> = {
  readonly gone: AbortSignal | null;
  /** Where the answer goes, and what it takes there. */
  readonly room: AnswerRoom;
  readonly bytesOf: (result: Result) => number;
  /** The bytes of what was read so far. Left out: the read holds nothing between its slices. */
  readonly heldBytes?: () => number;
  /** What was read in slices is dropped: nobody gets it. */
  readonly forget?: () => void;
  /** Names what is read, where others may read the same. */
  readonly subject?: () => string;
  /** What the answer takes, at most, as far as is known before the read. Left out: it is never large. */
  readonly measure?: () => number;
};

export class SteppedReads {
  readonly #host: ReadHost;
  readonly #turns: ReadTurns;
  #underWay = 0;
  /** Looks whether there is room now for the read that waits with what it has. Null: none does. */
  #lookForRoom: (() => void) | null = null;

  constructor(host: ReadHost) {
    this.#host = host;
    this.#turns = new ReadTurns(host, () => this.#underWay < steppedReadsMax);
  }

  /** A caller may have room for answers again. */
  readonly look = (): void => {
    this.#lookForRoom?.();
    this.#turns.look();
  };

  /** `begin` may be called several times: it reads the store as it is by then. */
  async run<Result>(
    begin: () => Steps<Result>,
    { gone, room, bytesOf, heldBytes, forget, subject, measure }: ReadOptions<Result>,
  ): Promise<Stepped<Result>> {
    // A longer read goes on in slices only where there is room for one.
    const measured = measure === undefined ? null : (): number => Math.min(measure(), readSliceValueBytes);
    const untilMs = this.#host.nowMs() + requestTimeoutMs;
    const facts = { gone, room, subject: subject ?? null, measure: measured, untilMs };
    const sliced = { ...facts, heldBytes, wholeBytes: measure ?? null };
    const first = (): ReturnType<Run<First<Result>>> => this.#first(begin(), bytesOf, heldBytes);
    // What is known to be long is not begun in vain, while others have the slots.
    const isLong = this.#isFull && measured !== null && measured() >= readSliceValueBytes;
    let ran: Ran<First<Result>> | Waits | NotRun = isLong ? long : this.#turns.now(first, facts);
    for (;;) {
      if (ran.kind === 'waits') ran = await this.#turns.later(first, facts, ran.bytes);
      if (ran.kind !== 'ran') return ran;
      if (ran.result.done) return { kind: 'done', result: ran.result.result };
      const stepped: Stepped<Result> | Waits = await this.#inSlices(ran.result, sliced);
      if (stepped.kind !== 'done') forget?.();
      if (stepped.kind === 'waits') {
        ran = stepped;
        continue;
      }
      if (stepped.kind !== 'done') return stepped;
      const bytes = bytesOf(stepped.result);
      if (room.take(bytes)) return stepped;
      room.take(0);
      forget?.();
      ran = { kind: 'waits', bytes };
    }
  }

  get #isFull(): boolean {
    return this.#underWay >= steppedReadsMax;
  }

  /** Where others have the slots, nothing is kept of a read that turns out to be long. */
  #first<Result>(
    steps: Steps<Result>,
    bytesOf: (result: Result) => number,
    heldBytes: (() => number) | undefined,
  ): ReturnType<Run<First<Result>>> {
    const first = steps.next();
    if (first.done === true) return { result: { done: true, result: first.value }, bytes: bytesOf(first.value) };
    if (this.#isFull) return { result: null, bytes: readSliceValueBytes };
    this.#underWay++;
    const bytes = heldBytes === undefined ? 0 : bytesWithSlice(heldBytes());
    const release = this.#host.holdHistory();
    const drop = (): void => {
      release();
      this.#underWay--;
    };
    return { result: { done: false, steps, release }, bytes, drop };
  }

  /** The slot is left in any case. */
  async #inSlices<Result>(
    { steps, release }: Unfinished<Result>,
    facts: SlicedFacts,
  ): Promise<Stepped<Result> | Waits> {
    let stepped: Stepped<Result> | Waits | null = null;
    try {
      stepped = await this.#goOn(steps, facts);
      return stepped;
    } finally {
      release();
      if (stepped?.kind !== 'done') facts.room.take(0);
      this.#underWay--;
      this.#turns.look();
    }
  }

  async #goOn<Result>(steps: Steps<Result>, facts: SlicedFacts): Promise<Stepped<Result> | Waits> {
    for (;;) {
      await this.#host.pause();
      const ended = this.#endOf(facts);
      if (ended !== null) return ended;
      const step = steps.next();
      if (step.done === true) return { kind: 'done', result: step.value };
      const held = facts.heldBytes?.() ?? 0;
      const lacks = takesSlice(held, facts) ? null : await this.#roomForSlice(held, facts);
      if (lacks !== null) return lacks;
    }
  }

  #endOf({ gone, untilMs }: ReadFacts): NotRun | null {
    if (!this.#host.serves() || gone?.aborted === true) return { kind: 'gone' };
    return this.#host.nowMs() >= untilMs ? { kind: 'timeout' } : null;
  }

  /** Null: there is room by now for what was read and for another slice. `waits`: what was read is to be forgotten. */
  async #roomForSlice(held: number, facts: SlicedFacts): Promise<NotRun | Waits | null> {
    const { room, untilMs, wholeBytes } = facts;
    const bytes = bytesWithSlice(held);
    const { waitingPlace, nowMs, later } = this.#host;
    if (!waitingPlace.take()) {
      // The next time it begins with more room, so that it does not come to the same end.
      const more = Math.min(2 * bytes, wholeBytes?.() ?? rangeAnswerBytesMax);
      return { kind: 'waits', bytes: Math.max(bytes, more) };
    }
    try {
      for (;;) {
        await new Promise<void>((resolve) => {
          this.#lookForRoom = resolve;
          later(resolve, readRoomLookMs);
        });
        const ended = this.#endOf(facts);
        if (ended !== null) return ended;
        if (takesSlice(held, facts)) return null;
        if (room.late === 'memoryFull' && nowMs() >= untilMs - readRefusedAheadMs) return { kind: room.late };
      }
    } finally {
      this.#lookForRoom = null;
      waitingPlace.leave();
    }
  }
}

/** False: there is no room for what was read and for another slice. */
function takesSlice(held: number, { room, heldBytes }: SlicedFacts): boolean {
  return heldBytes === undefined || room.take(bytesWithSlice(held));
}

function bytesWithSlice(held: number): number {
  return Math.min(held + readSliceValueBytes, rangeAnswerBytesMax);
}
