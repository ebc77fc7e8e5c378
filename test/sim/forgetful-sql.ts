// A planted bug: one key is never attached to a lease, on any replica, and so outlives it.

import type { NotPromise, SqlPort, SqlRow, SqlValue } from '../../src/sql-port.ts';

export class ForgetfulSql implements SqlPort {
  readonly #sql: SqlPort;

  constructor(sql: SqlPort) {
    this.#sql = sql;
  }

  run(statement: string, ...bindings: readonly SqlValue[]): void {
    const attaches = /^\s*insert\b.*\blease_keys\b/is.test(statement);
    if (attaches && bindings.some((value) => value instanceof Uint8Array && String.fromCharCode(...value) === 'c'))
      return;
    this.#sql.run(statement, ...bindings);
  }

  all(statement: string, ...bindings: readonly SqlValue[]): SqlRow[] {
    return this.#sql.all(statement, ...bindings);
  }

  iterate(statement: string, ...bindings: readonly SqlValue[]): IterableIterator<SqlRow> {
    return this.#sql.iterate(statement, ...bindings);
  }

  transaction<Result>(body: () => NotPromise<Result>): Result {
    return this.#sql.transaction(body);
  }

  databaseBytes(): number {
    return this.#sql.databaseBytes();
  }
}
