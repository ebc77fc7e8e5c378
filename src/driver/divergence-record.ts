// Whether this replica's store was found to differ from the others', and is being made anew. This is on disk, so that
// after a restart the replica does not serve what is known to be wrong.

import { assert } from '../base/assert.ts';
import { type LogIndex, logIndex } from '../model/brands.ts';
import { hasTable, type SqlPort } from '../base/sql-port.ts';

const recordFormat = 1;

export class DivergenceRecord {
  readonly #sql: SqlPort;
  #at = logIndex(0);
  #rebuilding = false;

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
    this.#rebuilding = rebuilding === 1;
  }

  /** The entry after which the store was last found to differ. 0: it never was. */
  get at(): LogIndex {
    return this.#at;
  }

  get isRebuilding(): boolean {
    return this.#rebuilding;
  }

  found(at: LogIndex): void {
    this.#write(at, true);
  }

  /** Called inside the transaction that puts the snapshot in place. */
  rebuilt(): void {
    if (this.#rebuilding) this.#write(this.#at, false);
  }

  #write(at: LogIndex, rebuilding: boolean): void {
    this.#sql.transaction(() => {
      this.#sql.run(`CREATE TABLE IF NOT EXISTS divergence
        (one INTEGER PRIMARY KEY CHECK (one = 1), format INTEGER NOT NULL, at_index INTEGER NOT NULL, rebuilding INTEGER NOT NULL)`);
      this.#sql.run('INSERT OR REPLACE INTO divergence VALUES (1, ?, ?, ?)', recordFormat, at, rebuilding ? 1 : 0);
    });
    this.#at = at;
    this.#rebuilding = rebuilding;
  }
}
