// When a read may run. The answers that reads make in one turn are bounded, and a read whose caller has no room for an
// answer waits as a call, with nothing of its answer in memory. Where others of its caller wait, or little room is
// left, an answer is measured before it is read. The queues of callers are served in turn. An answer that turns out not
// to fit is forgotten, and its read runs again once there is room for it.

import {
  answerPieceBytes,
  largeReadsKnownMax,
  readMeasureBytes,
  readMeasuredBelowBytes,
  readRefusedAheadMs,
  readRoomLookMs,
  readSliceValueBytes,
  readsOfCallerWaitingMax,
  readsWaitingMax,
  readTurnBytesMax,
} from '../../limits.ts';
import type { AnswerRoom } from '../../model/answer-room.ts';

export type TurnsHost = {
  /** Whether the store may be shown. */
  readonly serves: () => boolean;
  /** Lets others have their turn. */
  readonly pause: () => Promise<void>;
  readonly nowMs: () => number;
  /** Runs the task after so long. */
  readonly later: (task: () => void, delayMs: number) => void;
};

/** Whether a read may begin whose answer is longer than one slice. */
type MayGoOn = () => boolean;

export type ReadFacts = {
  readonly room: AnswerRoom;
  readonly gone: AbortSignal | null;
  readonly untilMs: number;
  /**
   * Names what is read. Two reads of the same have answers of about the same size. Null: it is read by this one alone.
   */
  readonly subject: (() => string) | null;
  /** What the answer takes, at most, as far as the store tells before the read. Null: the answer is never large. */
  readonly measure: (() => number) | null;
};

/** Why a read did not run. */
export type NotRun = { readonly kind: 'gone' | 'overloaded' | AnswerRoom['late'] };

/** The read has to wait, and to run again. `bytes`: what its answer takes, as far as it is known. */
export type Waits = { readonly kind: 'waits'; readonly bytes: number | null };

/** What one run of a read has come to. */
export type Ran<Result> = { readonly kind: 'ran'; readonly result: Result };

/**
 * `result` null: it has to wait, and kept nothing. `bytes`: what it takes, or will. `drop` is called if there is no
 * room for that.
 */
export type Run<Result> = () => {
  readonly result: Result | null;
  readonly bytes: number;
  readonly drop?: () => void;
};

type Waiting = ReadFacts & {
  /** What its answer takes. Null: it has not run. */
  bytes: number | null;
  readonly run: () => ReturnType<Run<unknown>>;
  /** One of the two is called once. `settle` null: the read has run, and its answer has room. */
  readonly settle: (why: NotRun | null) => void;
  readonly fail: (error: unknown) => void;
  /** Nobody waits for its answer any more. */
  readonly left: () => void;
};

/** The reads of one caller. Sets keep the order in which reads came, and let each leave at once. */
type Queue = {
  readonly fresh: Set<Waiting>;
  /** Those whose answers did not fit. */
  readonly large: Set<Waiting>;
  /** Those of more than one slice. */
  readonly long: Set<Waiting>;
  /** The bytes of such answers, by the subjects of their reads. */
  readonly sizes: Map<string, number>;
};

export class ReadTurns {
  readonly #host: TurnsHost;
  readonly #mayGoOn: MayGoOn;
  /** The caller that is next stands first. */
  readonly #queues = new Map<AnswerRoom['caller'], Queue>();
  #waiting = 0;
  /** The bytes of answers that were read since others last had their turn, or earlier. */
  #turnBytes = 0;
  /** The turn has as many bytes as it may, and others have theirs. */
  #isFull = false;
  #isLooking = false;

  constructor(host: TurnsHost, mayGoOn: MayGoOn) {
    this.#host = host;
    this.#mayGoOn = mayGoOn;
  }

  get waiting(): number {
    return this.#waiting;
  }

  /** Runs a read now if it may run. `bytes`: those of what did not fit; null: the read did not run. */
  now<Result>(run: Run<Result>, facts: ReadFacts): Ran<Result> | Waits {
    const { room, measure } = facts;
    const queue = this.#queues.get(room.caller);
    if (this.#isFull || !room.isOpen(null)) return { kind: 'waits', bytes: null };
    if (queue !== undefined) {
      const bytes = knownOf(queue, facts);
      if (bytes !== null || this.#nextOf(queue) !== null) return { kind: 'waits', bytes };
    }
    if (queue !== undefined || !room.isOpen(readMeasuredBelowBytes)) {
      const bytes = this.#measured(measure);
      if (!room.isOpen(bytes)) return { kind: 'waits', bytes };
    }
    const { result, bytes, drop } = run();
    this.#took(bytes);
    if (result !== null && room.take(bytes)) return { kind: 'ran', result };
    drop?.();
    return { kind: 'waits', bytes };
  }

  /** Runs a read once it may run, or several times where what it takes does not fit. `bytes`: as those of `now`. */
  later<Result>(run: Run<Result>, facts: ReadFacts, bytes: number | null): Promise<Ran<Result> | NotRun> {
    if (facts.gone?.aborted === true) return Promise.resolve({ kind: 'gone' });
    return new Promise((resolve, reject) => {
      let result: Result | null = null;
      const read: Waiting = {
        ...facts,
        bytes,
        run: () => {
          const ran = run();
          ({ result } = ran);
          return ran;
        },
        settle: (why) => {
          if (why !== null) resolve(why);
          else if (result !== null) resolve({ kind: 'ran', result });
        },
        fail: reject,
        left: () => {
          if (this.#remove(read)) read.settle({ kind: 'gone' });
        },
      };
      this.#add(read);
    });
  }

  /** There may be room where there was none: what waits for it is looked at. */
  look = (): void => {
    if (this.#waiting === 0) return;
    const { serves, nowMs } = this.#host;
    const now = nowMs();
    for (const { fresh, large, long } of this.#queues.values()) {
      for (const queue of [large, long, fresh]) {
        for (const read of queue) {
          const lateAtMs = read.untilMs - (read.room.late === 'memoryFull' ? readRefusedAheadMs : 0);
          if (serves() && lateAtMs > now) break;
          this.#remove(read);
          read.settle({ kind: serves() ? read.room.late : 'gone' });
        }
      }
    }
    while (!this.#isFull) {
      const next = this.#next();
      if (next === null) break;
      this.#run(next);
    }
    this.#lookLater();
  };

  #run(read: Waiting): void {
    try {
      // It may be known by now, because another read of the same ran meanwhile.
      read.bytes ??= knownOf(this.#queues.get(read.room.caller), read) ?? this.#measured(read.measure);
      const isLong = read.bytes !== null && read.bytes >= readSliceValueBytes;
      if (!read.room.isOpen(read.bytes) || (isLong && !this.#mayGoOn())) return this.#add(read);
      const { result, bytes, drop } = read.run();
      this.#took(bytes);
      if (result !== null && read.room.take(bytes)) return read.settle(null);
      drop?.();
      read.bytes = bytes;
    } catch (error) {
      return read.fail(error);
    }
    this.#add(read);
  }

  #add(read: Waiting): void {
    const { caller } = read.room;
    const queue = this.#queues.get(caller) ?? newQueue();
    const ofCaller = sizeOf(queue);
    if (this.#waiting >= readsWaitingMax || ofCaller >= readsOfCallerWaitingMax) {
      return read.settle({ kind: 'overloaded' });
    }
    this.#queues.set(caller, queue);
    noteSize(queue, read);
    if (read.bytes === null) queue.fresh.add(read);
    else (read.bytes < readSliceValueBytes ? queue.large : queue.long).add(read);
    this.#waiting++;
    read.gone?.addEventListener('abort', read.left);
    this.#lookLater();
  }

  /** False: the read does not wait. */
  #remove(read: Waiting): boolean {
    const { caller } = read.room;
    const queue = this.#queues.get(caller);
    if (queue === undefined) return false;
    if (![queue.fresh, queue.large, queue.long].some((reads) => reads.delete(read))) return false;
    read.gone?.removeEventListener('abort', read.left);
    this.#waiting--;
    if (sizeOf(queue) === 0) this.#queues.delete(caller);
    return true;
  }

  /** Takes the next read that has room, and its caller then comes after the others. */
  #next(): Waiting | null {
    for (const [caller, queue] of this.#queues) {
      const read = this.#nextOf(queue);
      if (read === null) continue;
      this.#remove(read);
      if (this.#queues.delete(caller) && sizeOf(queue) > 0) this.#queues.set(caller, queue);
      return read;
    }
    return null;
  }

  /** What is known to be large or long does not keep other reads waiting. */
  #nextOf({ fresh, large, long }: Queue): Waiting | null {
    for (const reads of this.#mayGoOn() ? [large, long, fresh] : [large, fresh]) {
      const [oldest] = reads;
      if (oldest?.room.isOpen(oldest.bytes) === true) return oldest;
    }
    return null;
  }

  /** Null: the answer is small, or nothing is known of it. Measuring is work, too, and so counts in the turn. */
  #measured(measure: ReadFacts['measure']): number | null {
    if (measure === null) return null;
    this.#took(readMeasureBytes);
    const bytes = measure();
    return bytes > answerPieceBytes ? bytes : null;
  }

  #took(bytes: number): void {
    this.#turnBytes += bytes;
    if (this.#turnBytes < readTurnBytesMax || this.#isFull) return;
    this.#isFull = true;
    void this.#host.pause().then(() => {
      this.#turnBytes = 0;
      this.#isFull = false;
      this.look();
    });
  }

  /** Memory that becomes free does not say so. */
  #lookLater(): void {
    if (this.#isLooking || this.#waiting === 0) return;
    this.#isLooking = true;
    this.#host.later(() => {
      this.#isLooking = false;
      this.look();
    }, readRoomLookMs);
  }
}

function newQueue(): Queue {
  return { fresh: new Set(), large: new Set(), long: new Set(), sizes: new Map() };
}

function sizeOf({ fresh, large, long }: Queue): number {
  return fresh.size + large.size + long.size;
}

function knownOf(queue: Queue | undefined, { subject }: ReadFacts): number | null {
  return subject === null ? null : (queue?.sizes.get(subject()) ?? null);
}

/** What is known to be large is not read in vain once more. */
function noteSize({ large, long, sizes }: Queue, read: Waiting): void {
  if (read.subject === null) return;
  const subject = read.subject();
  read.bytes ??= sizes.get(subject) ?? null;
  if (read.bytes === null) return;
  const isFull = sizes.size >= largeReadsKnownMax && !sizes.has(subject);
  if (large.size + long.size === 0 || isFull) sizes.clear();
  sizes.set(subject, read.bytes);
}
