// The SQL port over Node's SQLite: real SQL in fast tests and in the simulator.

import { DatabaseSync, type StatementSync } from 'node:sqlite';
import type { NotPromise, SqlPort, SqlRow, SqlValue } from '../../src/sql-port.ts';

export class NodeSql implements SqlPort {
  readonly database: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  #depth = 0;

  constructor(path = ':memory:') {
    this.database = new DatabaseSync(path);
  }

  run(statement: string, ...bindings: readonly SqlValue[]): void {
    this.#prepare(statement).run(...bindings);
  }

  all(statement: string, ...bindings: readonly SqlValue[]): SqlRow[] {
    return this.#prepare(statement)
      .all(...bindings)
      .map((row) => Object.values(row) as SqlValue[]);
  }

  *iterate(statement: string, ...bindings: readonly SqlValue[]): IterableIterator<SqlRow> {
    // A statement of its own: two iterations of the same text may be under way at once.
    for (const row of this.database.prepare(statement).iterate(...bindings)) {
      yield Object.values(row as Record<string, SqlValue>);
    }
  }

  databaseBytes(): number {
    const pages = this.all('PRAGMA page_count')[0]?.[0];
    const pageBytes = this.all('PRAGMA page_size')[0]?.[0];
    return Number(pages) * Number(pageBytes);
  }

  transaction<Result>(body: () => NotPromise<Result>): Result {
    const savepoint = `nested${this.#depth}`;
    this.database.exec(`SAVEPOINT ${savepoint}`);
    this.#depth++;
    try {
      const result = body();
      this.database.exec(`RELEASE ${savepoint}`);
      return result;
    } catch (error) {
      this.database.exec(`ROLLBACK TO ${savepoint}; RELEASE ${savepoint}`);
      throw error;
    } finally {
      this.#depth--;
    }
  }

  close(): void {
    this.database.close();
  }

  #prepare(statement: string): StatementSync {
    let prepared = this.#statements.get(statement);
    if (prepared === undefined) {
      prepared = this.database.prepare(statement);
      this.#statements.set(statement, prepared);
    }
    return prepared;
  }
}
