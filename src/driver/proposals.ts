// Writes on their way: those that wait for a log entry, and those in entries that are not committed yet. While an entry
// is under way later writes wait, so that they share the next one.

import { assert } from '../base/assert.ts';
import type { ReplicaId, Term } from '../model/brands.ts';
import {
  entryRowsMax,
  entryValueBytesMax,
  heavyEntryRows,
  heavyRowPauseMs,
  logEntryBytesMax,
  proposalsInFlightMax,
  proposalSpacingMs,
  writesQueuedBytesMax,
  writesQueuedMax,
  writesQueuedRowsMax,
  writesQueuedShare,
} from '../limits.ts';
import type { Caller, Command, Operation, Outcome, StoreFailure } from '../model/store.ts';
import { commandBytes } from '../mvcc/codec/command-codec.ts';
import { type Work, workAtMost } from '../mvcc/work-estimate.ts';
import { identityOf } from '../mvcc/write-ids.ts';
import type { Position } from '../raft/log.ts';
import type { Entry } from '../raft/types.ts';

/**
 * `digest`: the digest of a request that its client named. It is absent if the service named the request, and in a
 * group below level 3. `seen`: how many writes the sender had been told of before it first sent this one; null: it
 * counts, and was told of no count yet, so it is told. Absent: it does not count, or the group is below level 7.
 */
export type WriteRequest = {
  readonly writeId: string;
  readonly caller: Caller;
  readonly operation: Operation;
  readonly digest?: bigint;
  readonly seen?: number | null;
};

export type WriteResult =
  | { readonly kind: 'applied'; readonly outcome: Outcome; readonly term: Term }
  | { readonly kind: 'notLeader'; readonly leader: ReplicaId | null }
  /**
   * The replica ceased to lead, or ended, before the write was known to be committed, so it may be applied or not. Ask
   * again with the same id.
   */
  | { readonly kind: 'unknown' }
  | { readonly kind: 'overloaded' }
  /** No attempt of the write is ever done, here or anywhere, and nothing of this one is in the log. */
  | { readonly kind: 'refused'; readonly failure: StoreFailure }
  /**
   * The state once this attempt had come refused the write: this attempt is never done, and nothing of it is in the log
   * or remembered. Another attempt may be done.
   */
  | { readonly kind: 'refusedAlone'; readonly failure: StoreFailure }
  /** The write does not fit a log entry, and never will. `bytes` is what a log entry takes at most. */
  | { readonly kind: 'tooLarge'; readonly bytes: number }
  | { readonly kind: 'halted'; readonly reason: string };

/**
 * `settle` is called once, with what became of the write. A `quiet` write, which is the service's own, does not put off
 * the group's rest. `mayBeAlone`: the sender knows what becomes of each attempt, so this one may be refused alone. The
 * refusal of any other write is in the log and remembered, because an earlier attempt may be on its way, and must not
 * be done later. `source`: the session that asks, if it is one; writes of several sources are taken in turn. Absent:
 * the source is the caller.
 */
export type Write = {
  readonly request: WriteRequest;
  readonly settle: (result: WriteResult) => void;
  readonly quiet?: boolean;
  readonly mayBeAlone?: boolean;
  readonly source?: string;
};

/** A write that may be in the log: its sender was told of a count, or does not count. */
export type CountedWrite = Write & { readonly request: { readonly seen?: number } };

type QueuedWrite = CountedWrite & { readonly source: string; readonly bytes: number; readonly work: Work };
/** What waits. */
type Waiting = { writes: number; bytes: number; rows: number };
/** What goes into one entry. */
export type EntryToPropose = {
  readonly commands: readonly Command[];
  readonly writes: readonly Write[];
};
export type Proposal = Position & EntryToPropose;

export class Proposals {
  /** In the order in which they came. */
  #queued: QueuedWrite[] = [];
  #waiting: Waiting = { writes: 0, bytes: 0, rows: 0 };
  readonly #waitingOf = new Map<string, Waiting>();
  #inFlight: Proposal[] = [];
  #lastMs = 0;
  /** After heavy work other work comes first. */
  #pause = { untilMs: 0, ms: 0 };

  /** Null: the write waits for an entry. Otherwise it was not taken, and this is why. */
  enqueue(write: CountedWrite): WriteResult | null {
    const bytes = commandBytes({ ...write.request, atMs: 0 });
    if (bytes > logEntryBytesMax) return { kind: 'tooLarge', bytes };
    const work = workAtMost(write.request.operation);
    const source = write.source ?? identityOf({ caller: write.request.caller, writeId: '' });
    const ofSource = this.#waitingOf.get(source) ?? { writes: 0, bytes: 0, rows: 0 };
    // What the service itself writes is little, and must not wait for its clients.
    const share = write.request.caller.kind === 'service' ? 1 : writesQueuedShare;
    const more = { writes: 1, bytes, rows: work.rows };
    if (!fits(this.#waiting, more, 1) || !fits(ofSource, more, share)) return { kind: 'overloaded' };
    this.#queued.push({ ...write, source, bytes, work });
    this.#waitingOf.set(source, ofSource);
    for (const waiting of [this.#waiting, ofSource]) {
      waiting.writes += 1;
      waiting.bytes += bytes;
      waiting.rows += work.rows;
    }
    return null;
  }

  get isEmpty(): boolean {
    return this.#queued.length === 0 && this.#inFlight.length === 0;
  }

  /** Whether a write of this id and this caller waits for its entry, or for its entry's commit. */
  has(request: WriteRequest): boolean {
    return isAmong(this.#queued, request) || this.#inFlight.some(({ writes }) => isAmong(writes, request));
  }

  /**
   * While an entry is under way, later writes wait for its commit, or for the next one, which comes after a short
   * while.
   */
  mayPropose(nowMs: number): boolean {
    if (this.#queued.length === 0) return false;
    const { untilMs, ms } = this.#pause;
    // More than the whole pause is left only if the clock was set back.
    if (nowMs < untilMs && untilMs - nowMs <= ms) return false;
    if (this.#inFlight.length === 0) return true;
    return this.#inFlight.length < proposalsInFlightMax && nowMs - this.#lastMs >= proposalSpacingMs;
  }

  /**
   * As many writes as one entry holds, or one that has an entry to itself. Those of one source keep their order. If not
   * all of them fit, the sources are served in turn.
   */
  takeForEntry(nowMs: number, standsAlone: (operation: Operation) => boolean = () => false): EntryToPropose {
    const writes = this.#takeWrites(standsAlone);
    return { writes, commands: writes.map((write) => ({ ...write.request, atMs: nowMs })) };
  }

  proposed(taken: EntryToPropose, { index, term }: Position, nowMs: number): void {
    this.#inFlight.push({ ...taken, index, term });
    this.#lastMs = nowMs;
  }

  /** An entry that was proposed here is applied, and looked at so many rows. */
  worked(rows: number, nowMs: number): void {
    if (rows <= heavyEntryRows) return;
    const ms = Math.min(rows, entryRowsMax) * heavyRowPauseMs;
    this.#pause = { untilMs: nowMs + ms, ms };
  }

  /** What this replica proposed as this entry, which is committed. Null: the entry is another replica's. */
  take(entry: Entry): Proposal | null {
    const first = this.#inFlight[0];
    if (first === undefined || first.index !== entry.index) return null;
    // The entry at this index is another leader's, so this replica's own was never committed and is given up.
    if (first.term !== entry.term) return null;
    this.#inFlight.shift();
    return first;
  }

  /** Takes all writes: those of which nobody knows what becomes, and those that were not proposed. */
  giveUp(): { readonly unknown: readonly Write[]; readonly refused: readonly Write[] } {
    const unknown = this.#inFlight.flatMap(({ writes }) => writes);
    const refused = this.#queued;
    this.#inFlight = [];
    this.#queued = [];
    this.#waiting = { writes: 0, bytes: 0, rows: 0 };
    this.#waitingOf.clear();
    return { unknown, refused };
  }

  #takeWrites(standsAlone: (operation: Operation) => boolean): readonly QueuedWrite[] {
    const inTurn = this.#waitingOf.size > 1 && !this.#fitsOneEntry ? inTurnOf(this.#queued) : this.#queued;
    let count = 0;
    let bytes = 0;
    let rows = 0;
    let valueBytes = 0;
    for (const { bytes: more, work, request } of inTurn) {
      const isAlone = standsAlone(request.operation);
      if (count > 0 && (isAlone || bytes + more > logEntryBytesMax || rows + work.rows > entryRowsMax)) break;
      if (count > 0 && valueBytes + work.valueBytes > entryValueBytesMax) break;
      bytes += more;
      rows += work.rows;
      valueBytes += work.valueBytes;
      count++;
      if (isAlone) break;
    }
    const taken = count === inTurn.length ? inTurn : inTurn.slice(0, count);
    const isTaken = inTurn === this.#queued ? null : new Set(taken);
    this.#queued = isTaken === null ? inTurn.slice(count) : this.#queued.filter((write) => !isTaken.has(write));
    for (const write of taken) this.#left(write);
    return taken;
  }

  get #fitsOneEntry(): boolean {
    return this.#waiting.bytes <= logEntryBytesMax && this.#waiting.rows <= entryRowsMax;
  }

  #left({ source, bytes, work }: QueuedWrite): void {
    const ofSource = this.#waitingOf.get(source);
    assert(ofSource !== undefined, 'what waits is counted');
    for (const waiting of [this.#waiting, ofSource]) {
      waiting.writes -= 1;
      waiting.bytes -= bytes;
      waiting.rows -= work.rows;
    }
    if (ofSource.writes === 0) this.#waitingOf.delete(source);
  }
}

function fits(waiting: Waiting, more: Waiting, share: number): boolean {
  return (
    waiting.writes + more.writes <= writesQueuedMax * share &&
    waiting.bytes + more.bytes <= writesQueuedBytesMax * share &&
    waiting.rows + more.rows <= writesQueuedRowsMax * share
  );
}

/** One write of each source, then the next of each, and so on. */
function inTurnOf(writes: readonly QueuedWrite[]): QueuedWrite[] {
  const rounds: QueuedWrite[][] = [];
  const counts = new Map<string, number>();
  for (const write of writes) {
    const round = counts.get(write.source) ?? 0;
    counts.set(write.source, round + 1);
    (rounds[round] ??= []).push(write);
  }
  return rounds.flat();
}

export function isAmong(writes: readonly Write[], { writeId, caller }: WriteRequest): boolean {
  return writes.some(
    ({ request }) => request.writeId === writeId && identityOf(request) === identityOf({ writeId, caller }),
  );
}

export function settleApplied({ term, writes }: Proposal, outcomes: readonly Outcome[]): void {
  for (const [place, write] of writes.entries()) {
    const outcome = outcomes[place];
    assert(outcome !== undefined, 'a command was applied without an outcome');
    write.settle({ kind: 'applied', outcome, term });
  }
}
