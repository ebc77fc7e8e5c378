// The Raft log and the hard state in SQLite: one row for each entry, one row for term, vote and commit.
// It owns the tables `log` and `hard_state`. It must be called inside the turn's transaction when it writes.

import { assert } from '../assert.ts';
import { type LogIndex, logIndex, replicaId, type Term, term } from '../brands.ts';
import type { Entry, EntryKind, HardState, LogReader } from '../raft/types.ts';
import type { SqlPort, SqlRow } from '../sql-port.ts';

/** Written with the hard state. A newer format than this is refused; every older one is read and brought up to date here. */
const logFormat = 1;

const kinds: readonly EntryKind[] = ['noop', 'command', 'membership'];

export class LogTable implements LogReader {
  readonly #sql: SqlPort;
  #base: { readonly index: LogIndex; readonly term: Term };
  #last: LogIndex;
  #hardState: HardState;

  constructor(sql: SqlPort) {
    this.#sql = sql;
    sql.run(`CREATE TABLE IF NOT EXISTS hard_state (
      one INTEGER PRIMARY KEY CHECK (one = 1), format INTEGER NOT NULL, term INTEGER NOT NULL, voted_for INTEGER,
      commit_index INTEGER NOT NULL, base_index INTEGER NOT NULL, base_term INTEGER NOT NULL)`);
    sql.run(`CREATE TABLE IF NOT EXISTS log (
      log_index INTEGER PRIMARY KEY, term INTEGER NOT NULL, kind INTEGER NOT NULL, data BLOB NOT NULL)`);
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
  }

  get hardState(): HardState {
    return this.#hardState;
  }

  base(): { readonly index: LogIndex; readonly term: Term } {
    return this.#base;
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

  /** Puts the entries at their indexes; whatever the log held from the first of them on is gone. */
  write(entries: readonly Entry[]): void {
    const first = entries[0];
    if (first === undefined) return;
    assert(first.index <= this.#last + 1, `entry ${first.index} leaves a gap after ${this.#last}`);
    assert(first.index > this.#base.index, `entry ${first.index} is below the start of the log`);
    if (first.index <= this.#last) this.#sql.run('DELETE FROM log WHERE log_index >= ?', first.index);
    for (const entry of entries) {
      this.#sql.run(
        'INSERT INTO log VALUES (?, ?, ?, ?)',
        entry.index,
        entry.term,
        kinds.indexOf(entry.kind),
        entry.data,
      );
      this.#last = entry.index;
    }
  }

  /** Reads one row. A replaced instance of the object learns here that it no longer owns the storage. */
  touch(): void {
    this.#sql.all('SELECT term FROM hard_state');
  }
}

function entryOf(row: SqlRow): Entry {
  const [index, entryTerm, kindNumber, data] = row;
  const kind = kinds[Number(kindNumber)];
  assert(kind !== undefined && data instanceof Uint8Array, `entry ${String(index)} of the log is malformed`);
  return { index: logIndex(Number(index)), term: term(Number(entryTerm)), kind, data };
}
