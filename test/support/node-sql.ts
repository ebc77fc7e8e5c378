// The SQL port over Node's SQLite: real SQL in fast tests and in the simulator.

import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { type NotPromise, type SqlPort, type SqlRow, type SqlValue, StorageFault } from '../../src/base/sql-port.ts';

export class NodeSql implements SqlPort {
  readonly database: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  /**
   * Statements for iterations that are not under way: two of the same text may run at once, each with a statement of
   * its own.
   */
  readonly #iterators = new Map<string, StatementSync[]>();
  #depth = 0;

  constructor(path = ':memory:') {
    this.database = new DatabaseSync(path);
  }

  run(statement: string, ...bindings: readonly SqlValue[]): void {
    try {
      this.#prepared(statement).run(...bindings.map(bound));
    } catch (error) {
      throw new StorageFault(error);
    }
  }

  all(statement: string, ...bindings: readonly SqlValue[]): SqlRow[] {
    try {
      return this.#prepared(statement)
        .all(...bindings.map(bound))
        .map(rowOf);
    } catch (error) {
      throw new StorageFault(error);
    }
  }

  *iterate(statement: string, ...bindings: readonly SqlValue[]): IterableIterator<SqlRow> {
    const idle = this.#iterators.get(statement) ?? [];
    this.#iterators.set(statement, idle);
    let prepared: StatementSync | undefined;
    try {
      prepared = idle.pop() ?? this.#prepare(statement);
      for (const row of prepared.iterate(...bindings.map(bound))) yield rowOf(row);
    } catch (error) {
      throw new StorageFault(error);
    } finally {
      if (prepared !== undefined) idle.push(prepared);
    }
  }

  databaseBytes(): number {
    const [pages, freePages, pageBytes] = ['page_count', 'freelist_count', 'page_size'].map((name) =>
      Number(this.all(`PRAGMA ${name}`)[0]?.[0]),
    );
    return (Number(pages) - Number(freePages)) * Number(pageBytes);
  }

  turn<Result>(body: () => NotPromise<Result>): Result {
    return this.transaction(body);
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

  #prepared(statement: string): StatementSync {
    let prepared = this.#statements.get(statement);
    if (prepared === undefined) {
      prepared = this.#prepare(statement);
      this.#statements.set(statement, prepared);
    }
    return prepared;
  }

  #prepare(statement: string): StatementSync {
    const prepared = this.database.prepare(statement);
    // Rows are arrays, as the port promises: objects would lose columns of the same name.
    prepared.setReturnArrays(true);
    return prepared;
  }
}

/** The types of Node know rows as objects only. */
function rowOf(row: unknown): SqlRow {
  if (!Array.isArray(row)) throw new TypeError('a row is an array');
  return row.map(valueOf);
}

function valueOf(value: unknown): SqlValue {
  if (value === null || typeof value === 'string' || typeof value === 'number' || value instanceof Uint8Array)
    return value;
  throw new TypeError(`a value of type ${typeof value} does not pass the port`);
}

/** Node binds bytes without a backing store as NULL; an empty array loses its own once its `buffer` was looked at. */
const emptyBlob = new Uint8Array(new ArrayBuffer(1), 0, 0);

function bound(value: SqlValue): SqlValue {
  return value instanceof Uint8Array && value.byteLength === 0 ? emptyBlob : value;
}
