// The SQL port over a Durable Object's storage. BLOBs come out as ArrayBuffer there, and as Uint8Array here.

import type { NotPromise, SqlPort, SqlRow, SqlValue } from '../sql-port.ts';

export class ObjectSql implements SqlPort {
  readonly #storage: DurableObjectStorage;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
  }

  run(statement: string, ...bindings: readonly SqlValue[]): void {
    this.#storage.sql.exec(statement, ...bindings);
  }

  all(statement: string, ...bindings: readonly SqlValue[]): SqlRow[] {
    const rows = [...this.#storage.sql.exec(statement, ...bindings).raw()];
    for (const row of rows) bytesInPlace(row);
    return rows as SqlValue[][];
  }

  *iterate(statement: string, ...bindings: readonly SqlValue[]): IterableIterator<SqlRow> {
    for (const row of this.#storage.sql.exec(statement, ...bindings).raw()) {
      bytesInPlace(row);
      yield row as SqlValue[];
    }
  }

  databaseBytes(): number {
    return this.#storage.sql.databaseSize;
  }

  transaction<Result>(body: () => NotPromise<Result>): Result {
    return this.#storage.transactionSync(body);
  }
}

function bytesInPlace(row: (SqlStorageValue | Uint8Array)[]): void {
  for (let column = 0; column < row.length; column++) {
    const value = row[column];
    if (value instanceof ArrayBuffer) row[column] = new Uint8Array(value);
  }
}
