// The Raft log and the hard state in SQLite: one row for each entry, one row for term, vote, commit and where the log
// begins, and one for each configuration in the log. It owns the tables `log`, `log_places` (`log-places.ts`),
// `hard_state` and `configurations`. Whoever writes here must be inside a turn (`SqlPort.turn`).

import { assert } from '../base/assert.ts';
import { type LogIndex, logIndex, replicaId, type Term, term } from '../model/brands.ts';
import { type Configuration, encodeConfiguration } from '../raft/configuration.ts';
import type { Position } from '../raft/log.ts';
import type { Entry, HardState, LogReader, StoredConfiguration } from '../raft/types.ts';
import { hasTable, type SqlPort, type SqlRow } from '../base/sql-port.ts';
import { logBytesKept, logBytesMax, logEntriesKept, logEntriesMax } from '../limits.ts';
import { LogPlaces, type PlacesBounds, storedKinds } from './log-places.ts';

/**
 * The format is written with the hard state, and follows the level of the group (`lieInPlaces`). A newer one is
 * refused. In the first one each entry lies in `log` by its index. In the second one new entries use places again
 * (`log_places`), and those in `log` are from before, until they are cut.
 */
const byIndex = 1;
const inPlaces = 2;

/** Rows that the log needs no more are kept up to this, to be written over. */
const usualPlaces: PlacesBounds = { rows: logEntriesMax + logEntriesKept, bytes: logBytesMax + logBytesKept };

const insertEntry = 'INSERT INTO log VALUES (?, ?, ?, ?)';
const selectEntries = 'SELECT log_index, term, kind, data FROM log WHERE log_index BETWEEN ? AND ? ORDER BY log_index';
const selectOldest = 'SELECT log_index, length(data) FROM log ORDER BY log_index LIMIT ?';

export class LogTable implements LogReader {
  readonly #sql: SqlPort;
  #base: Position;
  #last: LogIndex;
  #hardState: HardState;
  /** Null: each entry lies by its index. */
  #places: LogPlaces | null = null;
  /** The configurations of the table, in order. */
  #configurations: StoredConfiguration[];
  /** The bytes of the entries that are kept. Null: they were not counted yet. */
  #bytes: number | null = null;

  constructor(sql: SqlPort) {
    this.#sql = sql;
    sql.run(`CREATE TABLE IF NOT EXISTS hard_state (
      one INTEGER PRIMARY KEY CHECK (one = 1), format INTEGER NOT NULL, term INTEGER NOT NULL, voted_for INTEGER,
      commit_index INTEGER NOT NULL, base_index INTEGER NOT NULL, base_term INTEGER NOT NULL)`);
    sql.run(`CREATE TABLE IF NOT EXISTS log (
      log_index INTEGER PRIMARY KEY, term INTEGER NOT NULL, kind INTEGER NOT NULL, data BLOB NOT NULL)`);
    const row = sql.all('SELECT format, term, voted_for, commit_index, base_index, base_term FROM hard_state')[0];
    if (row === undefined) sql.run('INSERT INTO hard_state VALUES (1, ?, 0, NULL, 0, 0, 0)', byIndex);
    const [format, storedTerm, votedFor, commit, baseIndex, baseTerm] = row ?? [byIndex, 0, null, 0, 0, 0];
    assert(Number(format) <= inPlaces, `the log has format ${String(format)}; this code reads up to ${inPlaces}`);
    this.#hardState = {
      term: term(Number(storedTerm)),
      votedFor: votedFor === null ? null : replicaId(Number(votedFor)),
      commit: logIndex(Number(commit)),
    };
    this.#base = { index: logIndex(Number(baseIndex)), term: term(Number(baseTerm)) };
    const last = sql.all('SELECT max(log_index) FROM log')[0]?.[0] ?? null;
    this.#last = last === null ? this.#base.index : logIndex(Number(last));
    if (format === inPlaces) {
      this.#places = new LogPlaces(sql, this.#base.index);
      const { first } = this.#places;
      assert(first === null || first === this.#last + 1, `entry ${String(first)} leaves a gap after ${this.#last}`);
      this.#last = this.#places.last ?? this.#last;
    }
    this.#configurations = hasTable(sql, 'configurations')
      ? sql.all('SELECT log_index, body FROM configurations ORDER BY log_index').map(storedOf)
      : [];
  }

  get hardState(): HardState {
    return this.#hardState;
  }

  base(): Position {
    return this.#base;
  }

  configurations(): readonly StoredConfiguration[] {
    return this.#configurations;
  }

  get size(): { readonly entries: number; readonly bytes: number } {
    this.#bytes ??= this.#bytesByIndex('') + (this.#places?.bytes ?? 0);
    return { entries: this.#last - this.#base.index, bytes: this.#bytes };
  }

  /** The bytes on disk, with those of entries that are no part of the log any more. */
  get diskBytes(): number {
    return this.size.bytes + (this.#places?.freeBytes ?? 0);
  }

  lastIndex(): LogIndex {
    return this.#last;
  }

  term(index: LogIndex): Term {
    if (index === this.#base.index) return this.#base.term;
    const inPlace = this.#places?.term(index) ?? null;
    if (inPlace !== null) return term(inPlace);
    const row = this.#sql.all('SELECT term FROM log WHERE log_index = ?', index)[0];
    assert(row !== undefined, `the log has no entry ${index}`);
    return term(Number(row[0]));
  }

  entries(first: LogIndex, last: LogIndex, bytesMax: number): Entry[] {
    const entries: Entry[] = [];
    let bytes = 0;
    for (const row of this.#rows(first, last)) {
      const entry = entryOf(row);
      bytes += entry.data.byteLength;
      if (entries.length > 0 && bytes > bytesMax) break;
      entries.push(entry);
    }
    assert(entries[0]?.index === first, `the log has no entry ${first}`);
    return entries;
  }

  writeHardState(state: HardState): void {
    this.#sql.run(
      'UPDATE hard_state SET term = ?, voted_for = ?, commit_index = ?',
      state.term,
      state.votedFor,
      state.commit,
    );
    this.#hardState = state;
  }

  /** Puts the entries at their indexes. What the log held from the first of them on is gone. */
  write(entries: readonly Entry[]): void {
    const first = entries[0];
    if (first === undefined) return;
    assert(first.index <= this.#last + 1, `entry ${first.index} leaves a gap after ${this.#last}`);
    assert(first.index > this.#base.index, `entry ${first.index} is below the start of the log`);
    if (first.index <= this.#last) this.#deleteFrom(first.index);
    for (const entry of entries) {
      if (this.#places !== null) this.#places.append(entry);
      else this.#sql.run(insertEntry, entry.index, entry.term, storedKinds.indexOf(entry.kind), entry.data);
      this.#last = entry.index;
      if (this.#bytes !== null) this.#bytes += entry.data.byteLength;
      if (entry.kind === 'membership') this.#addConfiguration({ index: entry.index, data: entry.data });
    }
  }

  /** Writes what the group was when this replica joined it, before any entry. */
  found(configuration: Configuration): void {
    assert(this.#last === 0 && this.#configurations.length === 0, 'a group is founded once, before its log begins');
    this.#addConfiguration({ index: logIndex(0), data: encodeConfiguration(configuration) });
  }

  /**
   * Writes the entries with which a group begins. Every replica has them before the first one is asked anything, so
   * they are committed. They are of the first term, in which nobody leads.
   */
  begin(entries: readonly Uint8Array[]): void {
    assert(this.#last === 0 && this.#hardState.term === 0, 'a log begins once');
    const founded = term(1);
    this.write(entries.map((data, at) => ({ index: logIndex(at + 1), term: founded, kind: 'command', data })));
    this.writeHardState({ term: founded, votedFor: null, commit: logIndex(entries.length) });
  }

  get liesInPlaces(): boolean {
    return this.#places !== null;
  }

  /**
   * From here on the log lies as its group's level says: in places from level 6 on. It is called in the turn that
   * changes the level, so code that does not know the format never finds it with a level that it knows.
   */
  lieInPlaces(lies: boolean): void {
    if (lies === (this.#places !== null)) return;
    this.#sql.run('UPDATE hard_state SET format = ?', lies ? inPlaces : byIndex);
    this.#places?.moveToIndexes();
    this.#places = lies ? new LogPlaces(this.#sql, this.#base.index) : null;
  }

  /** From now on the log begins after `base`, which is one of its entries. `kept`: bounds rows that are not needed. */
  truncate(base: LogIndex, kept: PlacesBounds = usualPlaces): void {
    assert(base >= this.#base.index && base <= this.#last, 'a log is truncated at one of its entries');
    const before = this.size.bytes;
    this.#setBase({ index: base, term: this.term(base) });
    const bytes = before - this.#bytesByIndex('WHERE log_index <= ?', base) - (this.#places?.free(base) ?? 0);
    this.#bytes = bytes;
    this.#sql.run('DELETE FROM log WHERE log_index <= ?', base);
    this.#places?.shrink(kept, bytes);
    const newestBefore = this.#configurations.findLast(({ index }) => index <= base);
    if (newestBefore === undefined || this.#configurations[0] === newestBefore) return;
    this.#sql.run('DELETE FROM configurations WHERE log_index < ?', newestBefore.index);
    this.#configurations = this.#configurations.filter(({ index }) => index >= newestBefore.index);
  }

  /**
   * From now on the log begins after `base`, the last entry that a snapshot covers. `keep`: the entries after it stay
   * (`Raft.holds`).
   */
  restore(base: Position, configuration: Configuration, { keep }: { readonly keep: boolean }): void {
    // The level of the snapshot's group decides how the log lies, and is known to the next instance.
    if (keep) this.#places?.free(base.index);
    else this.#places?.deleteFrom(logIndex(0));
    if (keep) this.#sql.run('DELETE FROM log WHERE log_index <= ?', base.index);
    else this.#sql.run('DELETE FROM log');
    this.lieInPlaces(false);
    this.#setBase(base);
    // The snapshot may be all that this replica has heard of that term, in which it gave nobody its vote.
    const { term: own, commit } = this.#hardState;
    if (own < base.term) this.writeHardState({ term: base.term, votedFor: null, commit });
    this.#bytes = null;
    if (!keep) this.#last = base.index;
    const later = keep ? this.#configurations.filter(({ index }) => index > base.index) : [];
    if (this.#configurations.length > 0) this.#sql.run('DELETE FROM configurations');
    this.#configurations = [];
    for (const stored of [{ index: base.index, data: encodeConfiguration(configuration) }, ...later])
      this.#addConfiguration(stored);
  }

  /** Whether an entry after that one has commands. */
  hasCommandAfter(index: LogIndex): boolean {
    const kind = storedKinds.indexOf('command');
    const tables = this.#places === null ? ['log'] : ['log', 'log_places'];
    // Free places have entries up to the base, and so none after `index`.
    return tables.some(
      (table) =>
        this.#sql.all(`SELECT 1 FROM ${table} WHERE log_index > ? AND kind = ? LIMIT 1`, index, kind).length > 0,
    );
  }

  /**
   * The entry up to which the oldest entries come to so many bytes, or are so many. It is the base if none are asked
   * for.
   */
  indexAfter({ bytes, entries }: { readonly bytes: number; readonly entries: number }): LogIndex {
    let left = bytes;
    let index = this.#base.index;
    if (left <= 0) return index;
    let count = 0;
    for (const [next, length] of this.#lengths(entries)) {
      if (count++ === entries) break;
      index = logIndex(Number(next));
      left -= Number(length);
      if (left <= 0) break;
    }
    return index;
  }

  *#lengths(most: number): Generator<SqlRow, void, void> {
    yield* this.#sql.all(selectOldest, most);
    if (this.#places !== null) yield* this.#places.lengths();
  }

  *#rows(first: LogIndex, last: LogIndex): Generator<SqlRow, void, void> {
    if (first < (this.#places?.first ?? Infinity)) yield* this.#sql.iterate(selectEntries, first, last);
    if (this.#places !== null) yield* this.#places.entries(first, last);
  }

  #bytesByIndex(where: '' | 'WHERE log_index <= ?', ...bindings: readonly LogIndex[]): number {
    return Number(this.#sql.all(`SELECT total(length(data)) FROM log ${where}`, ...bindings)[0]?.[0] ?? 0);
  }

  #deleteFrom(first: LogIndex): void {
    this.#sql.run('DELETE FROM log WHERE log_index >= ?', first);
    this.#places?.deleteFrom(first);
    this.#last = logIndex(first - 1);
    this.#bytes = null;
    if ((this.#configurations.at(-1)?.index ?? 0) < first) return;
    this.#sql.run('DELETE FROM configurations WHERE log_index >= ?', first);
    this.#configurations = this.#configurations.filter(({ index }) => index < first);
  }

  #addConfiguration(stored: StoredConfiguration): void {
    // Most groups never change their members, and have no such table.
    this.#sql.run('CREATE TABLE IF NOT EXISTS configurations (log_index INTEGER PRIMARY KEY, body BLOB NOT NULL)');
    this.#sql.run('INSERT INTO configurations VALUES (?, ?)', stored.index, stored.data);
    this.#configurations.push(stored);
  }

  #setBase(base: Position): void {
    this.#sql.run('UPDATE hard_state SET base_index = ?, base_term = ?', base.index, base.term);
    this.#base = base;
  }

  /** Reads one row. An instance of the object that was replaced learns here that the storage is no longer its own. */
  touch(): void {
    this.#sql.all('SELECT term FROM hard_state');
  }
}

function storedOf([index, data]: SqlRow): StoredConfiguration {
  assert(data instanceof Uint8Array, `the configuration at ${String(index)} is malformed`);
  return { index: logIndex(Number(index)), data };
}

function entryOf(row: SqlRow): Entry {
  const [index, entryTerm, kindNumber, data] = row;
  const kind = storedKinds[Number(kindNumber)];
  assert(kind !== undefined && data instanceof Uint8Array, `entry ${String(index)} of the log is malformed`);
  return { index: logIndex(Number(index)), term: term(Number(entryTerm)), kind, data };
}
