// The storage of a replica in the simulator: real SQLite, with the platform's rules of durability. Everything since the
// last sync is one open transaction. A crash keeps some first part of it and loses the rest, and never half of a turn's
// transaction.

import { assert } from '../../../src/base/assert.ts';
import type { NotPromise, SqlPort, SqlRow, SqlValue } from '../../../src/base/sql-port.ts';
import { NodeSql } from '../../support/node-sql.ts';

export class SimulatedSql implements SqlPort {
  /** The database without the bookkeeping, for checkers that only read. */
  readonly reader = new NodeSql();
  #depth = 0;
  #open = false;
  /** A turn threw: this instance has nothing more to write. */
  #isOver = false;
  /** The transactions since the last sync. After each, a savepoint marks a position to which a crash may go back. */
  #unsynced = 0;

  run(statement: string, ...bindings: readonly SqlValue[]): void {
    if (this.#depth > 0) return this.reader.run(statement, ...bindings);
    this.transaction(() => this.reader.run(statement, ...bindings));
  }

  all(statement: string, ...bindings: readonly SqlValue[]): SqlRow[] {
    if (this.#depth > 0 || onlyReads(statement)) return this.reader.all(statement, ...bindings);
    return this.transaction(() => this.reader.all(statement, ...bindings));
  }

  iterate(statement: string, ...bindings: readonly SqlValue[]): IterableIterator<SqlRow> {
    assert(onlyReads(statement), 'rows that a statement writes are read as a whole');
    return this.reader.iterate(statement, ...bindings);
  }

  databaseBytes(): number {
    return this.reader.databaseBytes();
  }

  /** Where it throws, the instance must end: it may not write any more. */
  turn<Result>(body: () => NotPromise<Result>): Result {
    try {
      return this.transaction(body);
    } catch (error) {
      this.#isOver = true;
      throw error;
    }
  }

  transaction<Result>(body: () => NotPromise<Result>): Result {
    assert(!this.#isOver, 'an instance whose turn threw writes no more');
    if (!this.#open) this.reader.run('BEGIN');
    this.#open = true;
    this.#depth++;
    let result: Result;
    try {
      result = this.reader.transaction(body);
    } finally {
      this.#depth--;
    }
    if (this.#depth === 0) this.reader.run(`SAVEPOINT unsynced${this.#unsynced++}`);
    return result;
  }

  /** How many transactions a crash could lose. */
  get unsynced(): number {
    return this.#unsynced;
  }

  sync(): void {
    if (this.#open) this.reader.run('COMMIT');
    this.#open = false;
    this.#unsynced = 0;
  }

  /** Keeps the first `kept` of the transactions since the last sync. */
  crash(kept: number): void {
    assert(kept >= 0 && kept <= this.#unsynced, `${kept} of ${this.#unsynced} transactions cannot survive`);
    if (this.#open && kept === 0) this.reader.run('ROLLBACK');
    else if (this.#open) {
      this.reader.run(`ROLLBACK TO unsynced${kept - 1}`);
      this.reader.run('COMMIT');
    }
    this.#open = false;
    this.#unsynced = 0;
    this.#depth = 0;
    this.#isOver = false;
  }

  close(): void {
    this.reader.close();
  }
}

function onlyReads(statement: string): boolean {
  return /^\s*(select|pragma|with)\b/i.test(statement);
}
