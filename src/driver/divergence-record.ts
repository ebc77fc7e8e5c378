// Whether this replica's store was found to differ from the others', and is being made anew; and whether a snapshot
// took its place since anything was confirmed. This is on disk, so that after a restart the replica does not serve what
// is known to be wrong, or older than what it served before.

import { assert } from '../base/assert.ts';
import { type LogIndex, logIndex } from '../model/brands.ts';
import { hasTable, type SqlPort } from '../base/sql-port.ts';

const recordFormat = 1;
/** The column is named after the first of them. */
const state = { usual: 0, rebuilding: 1, replaced: 2 } as const;
type State = (typeof state)[keyof typeof state];

export class DivergenceRecord {
  readonly #sql: SqlPort;
  #at = logIndex(0);
  #state: State = state.usual;

  constructor(sql: SqlPort) {
    this.#sql = sql;
    const row = hasTable(sql, 'divergence')
      ? sql.all('SELECT format, at_index, rebuilding FROM divergence')[0]
      : undefined;
    if (row === undefined) return;
    const [format, at, rebuilding] = row;
    assert(
      Number(format) <= recordFormat,
      `the divergence has format ${String(format)}; this code reads ${recordFormat}`,
    );
    this.#at = logIndex(Number(at));
    this.#state = Object.values(state).find((known) => known === rebuilding) ?? state.usual;
  }

  /** The entry after which the store was last found to differ. 0: it never was. */
  get at(): LogIndex {
    return this.#at;
  }

  get isRebuilding(): boolean {
    return this.#state === state.rebuilding;
  }

  /** A snapshot took the place of a store that may have shown more, and nothing was confirmed since. */
  get isReplaced(): boolean {
    return this.#state === state.replaced;
  }

  found(at: LogIndex): void {
    this.#write(at, state.rebuilding);
  }

  /** Called inside the transaction that puts the snapshot in place. */
  replaced(): void {
    this.#write(this.#at, state.replaced);
  }

  /** The store shows all that it ever showed. */
  confirmed(): void {
    if (this.isReplaced) this.#write(this.#at, state.usual);
  }

  #write(at: LogIndex, next: State): void {
    this.#sql.transaction(() => {
      this.#sql.run(`CREATE TABLE IF NOT EXISTS divergence
        (one INTEGER PRIMARY KEY CHECK (one = 1), format INTEGER NOT NULL, at_index INTEGER NOT NULL, rebuilding INTEGER NOT NULL)`);
      this.#sql.run('INSERT OR REPLACE INTO divergence VALUES (1, ?, ?, ?)', recordFormat, at, next);
    });
    this.#at = at;
    this.#state = next;
  }
}
