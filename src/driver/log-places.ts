// The rows of log entries that use their places again: a row that is deleted is billed as one that is written, so an
// entry is written over one that the log does not need any more. Entries that follow each other mostly lie in places
// that follow each other: memory has a few runs of them, however long the log is.
//
// A place is free once the log begins after its entry. The base of the log is on disk with the write that uses the
// place, or before it, so after a crash at any moment the base alone tells the rows apart: those above it are the log,
// and those at or below it are free places. So what is cut at the end of the log is deleted: it is above the base.

import { assert } from '../base/assert.ts';
import { type LogIndex, logIndex } from '../model/brands.ts';
import type { SqlPort, SqlRow } from '../base/sql-port.ts';
import type { Entry, EntryKind } from '../raft/types.ts';

/** Entries from `first` on that lie in the places from `place` on. */
type Run = { readonly first: number; readonly place: number; readonly count: number };
/** `bytes`: of the entries that lay there, about. */
type FreeRun = { readonly place: number; readonly count: number; readonly bytes: number };

/** The rows of a log, and of what it has no more. */
export type PlacesBounds = { readonly rows: number; readonly bytes: number };

/** Positions of this list are on disk. */
export const storedKinds: readonly EntryKind[] = ['noop', 'command', 'membership'];

const createTable = `CREATE TABLE IF NOT EXISTS log_places (
  place INTEGER PRIMARY KEY, log_index INTEGER NOT NULL, term INTEGER NOT NULL, kind INTEGER NOT NULL,
  data BLOB NOT NULL)`;
/** Rows that follow each other in both ways are one run. */
const selectRuns = `SELECT min(log_index), min(place), count(*), total(bytes), kept FROM
  (SELECT place, log_index, length(data) AS bytes, log_index > ? AS kept,
    place - row_number() OVER (PARTITION BY log_index - place ORDER BY place) AS island FROM log_places)
  GROUP BY kept, island, log_index - place ORDER BY kept, min(log_index)`;
const selectLast = 'SELECT max(place) FROM log_places';
const insertEntry = 'INSERT INTO log_places (place, log_index, term, kind, data) VALUES (?, ?, ?, ?, ?)';
const replaceEntry = 'UPDATE log_places SET log_index = ?, term = ?, kind = ?, data = ? WHERE place = ?';
const selectEntries = 'SELECT log_index, term, kind, data FROM log_places WHERE place BETWEEN ? AND ? ORDER BY place';
const selectTerm = 'SELECT term FROM log_places WHERE place = ?';
const selectLengths = 'SELECT log_index, length(data) FROM log_places WHERE place BETWEEN ? AND ? ORDER BY place';
const selectBytes = 'SELECT total(length(data)) FROM log_places WHERE place BETWEEN ? AND ?';
const deletePlaces = 'DELETE FROM log_places WHERE place BETWEEN ? AND ?';

export class LogPlaces {
  readonly #sql: SqlPort;
  /** In the order of the entries, without a gap. */
  #runs: Run[] = [];
  /** In the order in which they are used again. */
  #free: FreeRun[] = [];
  #lastPlace: number;

  /** `base`: the entry after which the log begins. */
  constructor(sql: SqlPort, base: LogIndex) {
    this.#sql = sql;
    sql.run(createTable);
    this.#lastPlace = Number(sql.all(selectLast)[0]?.[0] ?? 0);
    if (this.#lastPlace === 0) return;
    for (const [first, place, count, bytes, kept] of sql.all(selectRuns, base).map((row) => row.map(Number))) {
      assert(first !== undefined && place !== undefined && count !== undefined, 'a run has its numbers');
      if (kept === 0) this.#free.push({ place, count, bytes: bytes ?? 0 });
      else {
        const next = this.last === null ? first : this.last + 1;
        assert(first === next, `the log has entry ${first} where entry ${next} should be`);
        this.#runs.push({ first, place, count });
      }
    }
  }

  /** The first entry. Null: no entry lies here. */
  get first(): LogIndex | null {
    const [run] = this.#runs;
    return run === undefined ? null : logIndex(run.first);
  }

  /** The last entry. Null: no entry lies here. */
  get last(): LogIndex | null {
    const run = this.#runs.at(-1);
    return run === undefined ? null : logIndex(run.first + run.count - 1);
  }

  /** The bytes that free places still have, about. */
  get freeBytes(): number {
    return this.#free.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  get rows(): number {
    return [...this.#runs, ...this.#free].reduce((sum, { count }) => sum + count, 0);
  }

  /** The entry after the last one. */
  append(entry: Entry): void {
    assert(this.last === null || entry.index === this.last + 1, `entry ${entry.index} follows ${String(this.last)}`);
    const free = this.#takeFree();
    const place = free ?? ++this.#lastPlace;
    const columns = [entry.index, entry.term, storedKinds.indexOf(entry.kind), entry.data] as const;
    if (free === null) this.#sql.run(insertEntry, place, ...columns);
    else this.#sql.run(replaceEntry, ...columns, place);
    const run = this.#runs.at(-1);
    if (run !== undefined && run.place + run.count === place)
      this.#runs.splice(-1, 1, { ...run, count: run.count + 1 });
    else this.#runs.push({ first: entry.index, place, count: 1 });
  }

  /** Null: the entry does not lie here. */
  term(index: LogIndex): number | null {
    const [run] = this.#within(index, index);
    return run === undefined ? null : Number(this.#sql.all(selectTerm, run.place)[0]?.[0]);
  }

  /** Index, term, kind and data of those entries that lie here, in order. */
  *entries(first: LogIndex, last: LogIndex): Generator<SqlRow, void, void> {
    for (const run of this.#within(first, last)) yield* this.#sql.iterate(selectEntries, ...placesOf(run));
  }

  /** Index and length of each entry, in order. */
  *lengths(): Generator<SqlRow, void, void> {
    for (const run of this.#runs) yield* this.#sql.iterate(selectLengths, ...placesOf(run));
  }

  /** The bytes of the entries. */
  get bytes(): number {
    return this.#runs.reduce((sum, run) => sum + this.#bytesOf(run), 0);
  }

  /** The entries up to that one are no part of the log any more: their places are free. Returns their bytes. */
  free(through: LogIndex): number {
    let freed = 0;
    for (const run of this.#within(0, through)) {
      const bytes = this.#bytesOf(run);
      this.#free.push({ place: run.place, count: run.count, bytes });
      freed += bytes;
    }
    this.#runs = this.#within(through + 1, Infinity);
    return freed;
  }

  /** Deletes free places until all rows are within the bounds, or none is free. */
  shrink({ rows, bytes }: PlacesBounds, keptBytes: number): void {
    let tooMany = this.rows - rows;
    let tooLarge = keptBytes + this.freeBytes - bytes;
    while (tooMany > 0 || tooLarge > 0) {
      const run = this.#free.pop();
      if (run === undefined) return;
      const each = run.bytes / run.count;
      const forBytes = tooLarge <= 0 ? 0 : each === 0 ? run.count : Math.ceil(tooLarge / each);
      const count = Math.min(run.count, Math.max(tooMany, forBytes));
      const left = run.count - count;
      this.#sql.run(deletePlaces, run.place + left, run.place + run.count - 1);
      if (left > 0) this.#free.push({ place: run.place, count: left, bytes: each * left });
      tooMany -= count;
      tooLarge -= each * count;
    }
  }

  /** Deletes the entries from that one on: as a free place, each would be an entry of the log after a restart. */
  deleteFrom(first: LogIndex): void {
    for (const run of this.#within(first, Infinity)) this.#sql.run(deletePlaces, ...placesOf(run));
    this.#runs = this.#within(0, first - 1);
  }

  /** Hands all entries over to the table of logs that lie by their index. Nothing lies here any more. */
  moveToIndexes(): void {
    for (const run of this.#runs) {
      this.#sql.run(`INSERT INTO log (log_index, term, kind, data) ${selectEntries}`, ...placesOf(run));
    }
    this.#sql.run('DELETE FROM log_places');
    this.#runs = [];
    this.#free = [];
    this.#lastPlace = 0;
  }

  #takeFree(): number | null {
    const [run] = this.#free;
    if (run === undefined) return null;
    const { place, count, bytes } = run;
    if (count === 1) this.#free.shift();
    else this.#free[0] = { place: place + 1, count: count - 1, bytes: bytes - bytes / count };
    return place;
  }

  #bytesOf(run: Run): number {
    return Number(this.#sql.all(selectBytes, ...placesOf(run))[0]?.[0]);
  }

  /** The runs of those entries alone. */
  #within(first: number, last: number): Run[] {
    return this.#runs.flatMap((run) => {
      const from = Math.max(first, run.first);
      const to = Math.min(last, run.first + run.count - 1);
      return from > to ? [] : [{ first: from, place: run.place + from - run.first, count: to - from + 1 }];
    });
  }
}

function placesOf({ place, count }: Run): [number, number] {
  return [place, place + count - 1];
}
