// The Raft log and the hard state in SQLite: one row for each entry, one row for term, vote, commit and where the log
// begins, and one for each configuration in the log. It owns the tables `log`, `hard_state` and `configurations`.
// Whoever writes here must be inside a turn (`SqlPort.turn`).

import { assert } from '../base/assert.ts';
import { type LogIndex, logIndex, replicaId, type Term, term } from '../model/brands.ts';
import { type Configuration, encodeConfiguration } from '../raft/configuration.ts';
import type { Position } from '../raft/log.ts';
import type { Entry, EntryKind, HardState, LogReader, StoredConfiguration } from '../raft/types.ts';
import type { SqlPort, SqlRow } from '../base/sql-port.ts';

/**
 * The format is written with the hard state. A newer format than this is refused. Every older one is read, and brought
 * up to date here.
 */
const logFormat = 1;

const selectOldest = 'SELECT log_index, length(data) FROM log ORDER BY log_index LIMIT ?';
const kinds: readonly EntryKind[] = ['noop', 'command', 'membership'];

export class LogTable implements LogReader {
  readonly #sql: SqlPort;
  #base: Position;
  #last: LogIndex;
  #hardState: HardState;
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
    sql.run('CREATE TABLE IF NOT EXISTS configurations (log_index INTEGER PRIMARY KEY, body BLOB NOT NULL)');
    const row = sql.all('SELECT format, term, voted_for, commit_index, base_index, base_term FROM hard_state')[0];
    if (row === undefined) sql.run('INSERT INTO hard_state VALUES (1, ?, 0, NULL, 0, 0, 0)', logFormat);
    const [format, storedTerm, votedFor, commit, baseIndex, baseTerm] = row ?? [logFormat, 0, null, 0, 0, 0];
    assert(Number(format) <= logFormat, `the log has format ${String(format)}; this code reads up to ${logFormat}`);
    this.#hardState = {
      term: term(Number(storedTerm)),
      votedFor: votedFor === null ? null : replicaId(Number(votedFor)),
      commit: logIndex(Number(commit)),
    };
    this.#base = { index: logIndex(Number(baseIndex)), term: term(Number(baseTerm)) };
    const last = sql.all('SELECT max(log_index) FROM log')[0]?.[0] ?? null;
    this.#last = last === null ? this.#base.index : logIndex(Number(last));
    this.#configurations = sql.all('SELECT log_index, body FROM configurations ORDER BY log_index').map(storedOf);
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
    this.#bytes ??= this.#bytesOf('');
    return { entries: this.#last - this.#base.index, bytes: this.#bytes };
  }

  lastIndex(): LogIndex {
    return this.#last;
  }

  term(index: LogIndex): Term {
    if (index === this.#base.index) return this.#base.term;
    const row = this.#sql.all('SELECT term FROM log WHERE log_index = ?', index)[0];
    assert(row !== undefined, `the log has no entry ${index}`);
    return term(Number(row[0]));
  }

  entries(first: LogIndex, last: LogIndex, bytesMax: number): Entry[] {
    const entries: Entry[] = [];
    let bytes = 0;
    const rows = this.#sql.iterate(
      'SELECT log_index, term, kind, data FROM log WHERE log_index BETWEEN ? AND ? ORDER BY log_index',
      first,
      last,
    );
    for (const row of rows) {
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
      this.#sql.run(
        'INSERT INTO log VALUES (?, ?, ?, ?)',
        entry.index,
        entry.term,
        kinds.indexOf(entry.kind),
        entry.data,
      );
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

  /** From now on the log begins after `base`, which is one of its entries. */
  truncate(base: LogIndex): void {
    assert(base >= this.#base.index && base <= this.#last, 'a log is truncated at one of its entries');
    this.#setBase({ index: base, term: this.term(base) });
    if (this.#bytes !== null) this.#bytes -= this.#bytesOf('WHERE log_index <= ?', base);
    this.#sql.run('DELETE FROM log WHERE log_index <= ?', base);
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
    if (keep) this.#sql.run('DELETE FROM log WHERE log_index <= ?', base.index);
    else this.#sql.run('DELETE FROM log');
    this.#setBase(base);
    // The snapshot may be all that this replica has heard of that term, in which it gave nobody its vote.
    const { term: own, commit } = this.#hardState;
    if (own < base.term) this.writeHardState({ term: base.term, votedFor: null, commit });
    this.#bytes = null;
    if (!keep) this.#last = base.index;
    const later = keep ? this.#configurations.filter(({ index }) => index > base.index) : [];
    this.#sql.run('DELETE FROM configurations');
    this.#configurations = [];
    for (const stored of [{ index: base.index, data: encodeConfiguration(configuration) }, ...later])
      this.#addConfiguration(stored);
  }

  /** Whether an entry after that one has commands. */
  hasCommandAfter(index: LogIndex): boolean {
    const kind = kinds.indexOf('command');
    return this.#sql.all('SELECT 1 FROM log WHERE log_index > ? AND kind = ? LIMIT 1', index, kind).length > 0;
  }

  /**
   * The entry up to which the oldest entries come to so many bytes, or are so many. It is the base if none are asked
   * for.
   */
  indexAfter({ bytes, entries }: { readonly bytes: number; readonly entries: number }): LogIndex {
    let left = bytes;
    let index = this.#base.index;
    if (left <= 0) return index;
    for (const [next, length] of this.#sql.all(selectOldest, entries)) {
      index = logIndex(Number(next));
      left -= Number(length);
      if (left <= 0) break;
    }
    return index;
  }

  #bytesOf(where: '' | 'WHERE log_index <= ?', ...bindings: readonly LogIndex[]): number {
    return Number(this.#sql.all(`SELECT total(length(data)) FROM log ${where}`, ...bindings)[0]?.[0] ?? 0);
  }

  #deleteFrom(first: LogIndex): void {
    this.#sql.run('DELETE FROM log WHERE log_index >= ?', first);
    this.#bytes = null;
    if ((this.#configurations.at(-1)?.index ?? 0) < first) return;
    this.#sql.run('DELETE FROM configurations WHERE log_index >= ?', first);
    this.#configurations = this.#configurations.filter(({ index }) => index < first);
  }

  #addConfiguration(stored: StoredConfiguration): void {
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
  const kind = kinds[Number(kindNumber)];
  assert(kind !== undefined && data instanceof Uint8Array, `entry ${String(index)} of the log is malformed`);
  return { index: logIndex(Number(index)), term: term(Number(entryTerm)), kind, data };
}
