// Lets history go that is older than the tenant's plan keeps: the leader proposes compactions, as a client could, and
// the replicas delete the rows in small steps (`Compaction`). A revision may go once it is older than the one bound and
// further back than the other. How old revisions are is known from samples: every replica that is awake notes now and
// then which revision it is at, so no put costs anything. A new instance begins with what its log still tells.

import type { RevisionTime } from '../driver/revision-times.ts';
import { retentionMarksMax, retentionSpacingMs, retentionStepRevisions } from '../limits.ts';

/** Each bound is 0 where there is none. Without either nothing goes by itself. */
export type RetentionTerms = { readonly seconds: number; readonly revisions: number };

export type RetentionOptions = {
  readonly terms: () => RetentionTerms;
  readonly store: () => { readonly revision: number; readonly compactedRevision: number };
  readonly leads: () => boolean;
  /**
   * The store is near its quota, or beyond: whatever is older than the bound of time goes, also of the last revisions.
   */
  readonly isTight: () => boolean;
  /** What the log tells of the time of revisions, the oldest first. */
  readonly times: () => readonly RevisionTime[];
  /** Proposes a compaction. It never fails. */
  readonly propose: (revision: number) => Promise<unknown>;
  /** Resolves with whether there is a leader, which then compacts. */
  readonly wake: () => Promise<boolean>;
  readonly nowMs: () => number;
};

export class Retention {
  readonly #options: RetentionOptions;
  /** The store was at this revision at this time, the oldest first. */
  #marks: RevisionTime[] = [];
  /** False: what the log tells is not among the marks yet. It is looked at once there may be history to let go. */
  #hasAskedLog = false;
  #proposing = false;
  #nextMs = 0;
  #wakeAtMs: number | null = null;

  constructor(options: RetentionOptions) {
    this.#options = options;
  }

  /** The time at which the object's alarm must ring. Null: it need not. It may change in `resting` and in `alarm`. */
  get wakeAtMs(): number | null {
    return this.#wakeAtMs;
  }

  /** True: a compaction is proposed, or could be, so that the store may become smaller by itself. */
  get mayRelieve(): boolean {
    return this.#proposing || (this.#mayHaveMore() && this.#due(this.#options.nowMs()) !== null);
  }

  tick(): void {
    const { leads, nowMs } = this.#options;
    const now = nowMs();
    // A replica that is awake needs no alarm, and one in the past would ring at once, for nothing.
    this.#wakeAtMs = null;
    this.#mark(now, false);
    if (!this.#mayHaveMore() || !leads() || this.#proposing || now < this.#nextMs) return;
    const due = this.#due(now);
    if (due !== null) void this.#compact(due, now);
  }

  /** A leader whose group rests wakes it when enough of the history is old. */
  resting(): void {
    const { leads, nowMs } = this.#options;
    this.#wakeAtMs = null;
    if (!leads()) return;
    this.#mark(nowMs(), true);
    this.#wakeAtMs = this.#dueAtMs();
  }

  /** Called when the object's alarm rings, for whatever reason. An instance that has just begun knows no role yet. */
  async alarm(): Promise<void> {
    const { nowMs, wake } = this.#options;
    const dueAtMs = this.#dueAtMs();
    this.#wakeAtMs = dueAtMs;
    if (dueAtMs === null || nowMs() < dueAtMs) return;
    this.#wakeAtMs = (await wake()) ? null : nowMs() + retentionSpacingMs;
  }

  /** When enough of the history will be old, if nothing more is written. Null: never. */
  #dueAtMs(): number | null {
    if (!this.#mayHaveMore()) return null;
    const { revision, compactedRevision } = this.#options.store();
    const enough = Math.max(1, compactedRevision) + this.#stepRevisions;
    const mark = this.#known.find((each) => this.#bounded(each.revision, revision) >= enough);
    return mark === undefined ? null : Math.max(mark.atMs + this.#options.terms().seconds * 1_000, this.#nextMs);
  }

  /** False, at the price of a comparison: so little was written since the last compaction that all of it is kept. */
  #mayHaveMore(): boolean {
    const { revision, compactedRevision } = this.#options.store();
    const { seconds, revisions } = this.#options.terms();
    if (seconds === 0 && revisions === 0) return false;
    if (revision - compactedRevision > revisions + retentionStepRevisions) return true;
    return revision > compactedRevision + 1 && this.#options.isTight();
  }

  /** The revision to which history goes now. Null: too little of it would go. */
  #due(nowMs: number): number | null {
    const { revision, compactedRevision } = this.#options.store();
    const { seconds } = this.#options.terms();
    const cutoffMs = nowMs - seconds * 1_000;
    const old = seconds === 0 ? revision : (this.#known.findLast(({ atMs }) => atMs <= cutoffMs)?.revision ?? 0);
    const target = this.#bounded(old, revision);
    return target >= Math.max(1, compactedRevision) + this.#stepRevisions ? target : null;
  }

  /** What may go of history up to `old`, without the last revisions that are kept however old they are. */
  #bounded(old: number, revision: number): number {
    const { seconds, revisions } = this.#options.terms();
    const isByTimeAlone = seconds > 0 && this.#options.isTight();
    return Math.min(old, isByTimeAlone ? revision : revision - revisions);
  }

  get #stepRevisions(): number {
    return this.#options.isTight() ? 1 : retentionStepRevisions;
  }

  get #spacingMs(): number {
    const { seconds } = this.#options.terms();
    return Math.max(retentionSpacingMs, (seconds * 1_000) / retentionMarksMax);
  }

  get #known(): readonly RevisionTime[] {
    if (this.#hasAskedLog) return this.#marks;
    this.#hasAskedLog = true;
    const [first] = this.#marks;
    const before = this.#options.times().filter(({ atMs }) => first === undefined || atMs < first.atMs);
    this.#marks = [...before, ...this.#marks];
    return this.#marks;
  }

  /** `isLast`: no tick follows, so the mark is made in any case, in the place of one that is close to another. */
  #mark(atMs: number, isLast: boolean): void {
    const { revision } = this.#options.store();
    const marks = this.#marks;
    const [before, last] = [marks.at(-2), marks.at(-1)];
    if (last !== undefined && last.revision >= revision) return;
    if (!isLast && last !== undefined && atMs - last.atMs < this.#spacingMs) return;
    if (last !== undefined && before !== undefined && last.atMs - before.atMs < this.#spacingMs) marks.pop();
    marks.push({ revision, atMs });
    // Of those that are old only the newest counts.
    const cutoffMs = atMs - this.#options.terms().seconds * 1_000;
    const firstYoung = marks.findIndex((each) => each.atMs > cutoffMs);
    marks.splice(0, Math.max(0, firstYoung - 1));
  }

  async #compact(revision: number, nowMs: number): Promise<void> {
    this.#proposing = true;
    this.#nextMs = nowMs + this.#spacingMs;
    await this.#options.propose(revision);
    this.#proposing = false;
  }
}
