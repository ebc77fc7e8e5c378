// Tells the directory how this replica and its group are, and what it served: an operator sees all groups, and wakes
// none. Counts are kept in memory, and on disk after a minute and before rest: one row each time. They are told after
// `reportEveryMs` of use, and sooner where there is trouble, or trouble has ended. What is told is what was counted in
// all, so that it may be told twice, and a directory that was away for long loses nothing. A group that rests is not
// woken for it: the object's alarm tells what is on disk.

import { assert } from '../base/assert.ts';
import { hasTable, type SqlPort } from '../base/sql-port.ts';
import { within } from '../base/timers.ts';
import {
  directoryAlarmMs,
  directoryRetryMs,
  directoryRetryMsMax,
  directoryTimeoutMs,
  reportEveryMs,
  reportFirstMs,
  reportHoursKeptMax,
  reportLookMs,
  reportSaveMs,
  reportSpacingMs,
  troubleAfterMs,
} from '../limits.ts';
import type { Counts, HourCounts, ToldReport, ToldState, Trouble } from '../model/told-report.ts';
import { countNames, type Tallies } from './tallies.ts';

export type SeenState = {
  readonly leads: boolean;
  readonly state: ToldState;
  /** What is wrong at this moment. */
  readonly troubles: readonly Trouble[];
};

export type ReporterOptions = {
  readonly replica: number;
  readonly sql: SqlPort;
  readonly tallies: Tallies;
  readonly see: () => SeenState;
  /** False: this instance has just begun, and knows of its group only what is on disk. */
  readonly isAwake: () => boolean;
  /** Resolves when the directory has it. */
  readonly tell: (report: ToldReport) => Promise<void>;
  readonly nowMs: () => number;
  /** The storage did not do what it was told, so the object must start again. */
  readonly broken: (error: unknown) => void;
};

const recordFormat = 1;
const hourMs = 3_600_000;
const noTroubles: readonly Trouble[] = [];

/** What is on disk, as JSON. */
type Kept = {
  totals: Counts;
  hours: readonly HourCounts[];
  seen: SeenState | null;
  /** What the directory heard last. */
  told: { readonly atMs: number; readonly leads: boolean; readonly troubles: readonly Trouble[] };
  /** All of `totals` was told. */
  isTold: boolean;
  wakeAtMs: number;
};

const nothing: Kept = {
  totals: {},
  hours: [],
  seen: null,
  told: { atMs: 0, leads: false, troubles: noTroubles },
  isTold: true,
  wakeAtMs: 0,
};

export class Reporter {
  readonly #options: ReporterOptions;
  readonly #kept: Kept;
  readonly #sinceMs = new Map<Trouble, number>();
  #lookMs = 0;
  #saveMs = 0;
  #nextMs = 0;
  #retryMs = directoryRetryMs;
  #isTelling = false;
  #isStopped = false;

  constructor(options: ReporterOptions) {
    this.#options = options;
    const { sql } = options;
    const row = hasTable(sql, 'report') ? sql.all('SELECT format, kept FROM report')[0] : undefined;
    this.#kept = { ...nothing };
    if (row === undefined) return;
    const [format, kept] = row;
    assert(Number(format) <= recordFormat, `the report has format ${String(format)}; this code reads ${recordFormat}`);
    Object.assign(this.#kept, JSON.parse(String(kept)));
  }

  /** The time at which the object's alarm must ring. Null: it need not. */
  get wakeAtMs(): number | null {
    return this.#kept.wakeAtMs === 0 ? null : this.#kept.wakeAtMs;
  }

  /** What was counted since the replica was made. */
  get totals(): Counts {
    this.#add();
    return this.#kept.totals;
  }

  get mayRest(): boolean {
    return !this.#isTelling;
  }

  tick(): void {
    const nowMs = this.#options.nowMs();
    if (this.#isStopped || nowMs < this.#lookMs) return;
    this.#lookMs = nowMs + reportLookMs;
    const kept = this.#kept;
    if (kept.told.atMs === 0) kept.told = { ...kept.told, atMs: nowMs - reportEveryMs + reportFirstMs };
    if (this.#saveMs === 0) this.#saveMs = nowMs + reportSaveMs;
    const seen = this.#see(nowMs);
    if (!this.#isTelling && nowMs >= this.#nextMs && this.#dueAtMs(seen) <= nowMs) {
      this.#tell(seen).catch(this.#options.broken);
    } else if (nowMs >= this.#saveMs && !this.#options.tallies.isEmpty) this.#save(seen);
  }

  /** After this the object may leave the memory, and what was counted is on disk. */
  resting(): void {
    const { tallies, nowMs } = this.#options;
    if (this.#isStopped) return;
    const seen = this.#see(nowMs());
    const dueAtMs = this.#dueAtMs(seen, !tallies.isEmpty);
    const wakeAtMs = dueAtMs === Number.POSITIVE_INFINITY ? 0 : Math.max(dueAtMs, nowMs() + directoryAlarmMs);
    if (tallies.isEmpty && (wakeAtMs === 0) === (this.#kept.wakeAtMs === 0)) return;
    this.#kept.wakeAtMs = wakeAtMs;
    this.#save(seen);
  }

  /** Called when the object's alarm rings, for whatever reason. */
  async alarm(): Promise<void> {
    const { nowMs, isAwake } = this.#options;
    const { wakeAtMs, seen } = this.#kept;
    if (this.#isStopped || this.#isTelling || wakeAtMs === 0 || nowMs() < wakeAtMs) return;
    const told = isAwake() ? this.#see(nowMs()) : seen;
    if (told === null) return;
    if ((await this.#tell(told)) || this.#isStopped) return;
    this.#kept.wakeAtMs = nowMs() + directoryAlarmMs;
    this.#write();
  }

  /** Ends it for good: nothing is written from here on. */
  stop(): void {
    this.#isStopped = true;
  }

  /** Trouble that comes and goes by itself, as at a change of leader, is none. */
  #see(nowMs: number): SeenState {
    const seen = this.#options.see();
    for (const trouble of this.#sinceMs.keys()) if (!seen.troubles.includes(trouble)) this.#sinceMs.delete(trouble);
    for (const trouble of seen.troubles) if (!this.#sinceMs.has(trouble)) this.#sinceMs.set(trouble, nowMs);
    const lasts = (trouble: Trouble): boolean =>
      nowMs - (this.#sinceMs.get(trouble) ?? nowMs) >= troubleAfterMs[trouble];
    return { ...seen, troubles: seen.troubles.filter(lasts) };
  }

  /** Infinity: the directory knows what there is to know. */
  #dueAtMs({ leads, troubles }: SeenState, hasCounted = !this.#options.tallies.isEmpty): number {
    const { told, isTold } = this.#kept;
    if (troubles.join() !== told.troubles.join()) return told.atMs + reportSpacingMs;
    const hasNews = hasCounted || !isTold || (leads && !told.leads);
    return hasNews ? told.atMs + reportEveryMs : Number.POSITIVE_INFINITY;
  }

  /** Resolves with whether it was heard. */
  async #tell(seen: SeenState): Promise<boolean> {
    const { nowMs, tell, replica } = this.#options;
    this.#isTelling = true;
    this.#save(seen);
    const { totals, hours } = this.#kept;
    const report: ToldReport = { replica, atMs: nowMs(), ...seen, totals, hours };
    const isHeard = await isDone(() => tell(report));
    this.#isTelling = false;
    if (this.#isStopped) return isHeard;
    if (isHeard) {
      this.#retryMs = directoryRetryMs;
      this.#heard(report);
    } else {
      this.#nextMs = nowMs() + this.#retryMs;
      this.#retryMs = Math.min(2 * this.#retryMs, directoryRetryMsMax);
    }
    return isHeard;
  }

  #heard({ atMs, leads, troubles, totals }: ToldReport): void {
    const kept = this.#kept;
    kept.told = { atMs, leads, troubles };
    // The present hour goes on, and is told again with what follows.
    kept.hours = kept.hours.filter(({ hour }) => hour >= hourOf(atMs));
    kept.isTold = kept.totals === totals;
    kept.wakeAtMs = 0;
    this.#write();
  }

  #save(seen: SeenState): void {
    const nowMs = this.#options.nowMs();
    this.#saveMs = nowMs + reportSaveMs;
    this.#kept.seen = seen;
    this.#add();
    this.#write();
  }

  /** What is in memory is counted to the hour in which it is taken. */
  #add(): void {
    const { tallies, nowMs } = this.#options;
    if (tallies.isEmpty) return;
    const kept = this.#kept;
    const taken = tallies.take();
    const hour = hourOf(nowMs());
    const before = kept.hours.find((each) => each.hour === hour);
    const others = kept.hours.filter((each) => each !== before);
    // Of a directory that is away for longer than that the oldest hours become one.
    const [first, second, ...rest] = others;
    const isFull = others.length >= reportHoursKeptMax && first !== undefined && second !== undefined;
    const kepts = isFull ? [{ hour: second.hour, counts: sum(first.counts, second.counts) }, ...rest] : others;
    // How long calls took is no use that anybody pays for.
    const used = new Map([...taken].filter(([name]) => !name.startsWith(countNames.durations)));
    kept.hours = [...kepts, { hour, counts: sum(before?.counts ?? {}, Object.fromEntries(used)) }];
    kept.totals = sum(kept.totals, Object.fromEntries(taken));
    kept.isTold = false;
  }

  #write(): void {
    const { sql } = this.#options;
    sql.transaction(() => {
      sql.run(`CREATE TABLE IF NOT EXISTS report
        (one INTEGER PRIMARY KEY CHECK (one = 1), format INTEGER NOT NULL, kept TEXT NOT NULL)`);
      sql.run('INSERT OR REPLACE INTO report VALUES (1, ?, ?)', recordFormat, JSON.stringify(this.#kept));
    });
  }
}

function hourOf(atMs: number): number {
  return Math.floor(atMs / hourMs);
}

function sum(left: Counts, right: Counts): Counts {
  const all = new Map(Object.entries(left));
  for (const [name, count] of Object.entries(right)) all.set(name, (all.get(name) ?? 0) + count);
  return Object.fromEntries(all);
}

async function isDone(tell: () => Promise<void>): Promise<boolean> {
  try {
    const told = tell().then(() => true);
    return (await within(told, directoryTimeoutMs)) === true;
  } catch {
    return false;
  }
}
