// A database that hands everything on to another one. Tests override what they change or look at.

import type { NotPromise, SqlPort, SqlRow, SqlValue } from '../../src/base/sql-port.ts';

export class PassingSql implements SqlPort {
  readonly #sql: SqlPort;

  constructor(sql: SqlPort) {
    this.#sql = sql;
  }

  /** The other database. Everything asks for it here. */
  protected get sql(): SqlPort {
    return this.#sql;
  }

  run(statement: string, ...bindings: readonly SqlValue[]): void {
    this.sql.run(statement, ...bindings);
  }

  all(statement: string, ...bindings: readonly SqlValue[]): SqlRow[] {
    return this.sql.all(statement, ...bindings);
  }

  iterate(statement: string, ...bindings: readonly SqlValue[]): IterableIterator<SqlRow> {
    return this.sql.iterate(statement, ...bindings);
  }

  turn<Result>(body: () => NotPromise<Result>): Result {
    return this.sql.turn(body);
  }

  transaction<Result>(body: () => NotPromise<Result>): Result {
    return this.sql.transaction(body);
  }

  databaseBytes(): number {
    return this.sql.databaseBytes();
  }
}
