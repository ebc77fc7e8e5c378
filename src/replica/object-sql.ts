// The SQL port over the storage of a Durable Object. There BLOBs come out as ArrayBuffer, and here as Uint8Array.

import { type NotPromise, type SqlPort, type SqlRow, type SqlValue, StorageFault } from '../base/sql-port.ts';

export class ObjectSql implements SqlPort {
  readonly #storage: DurableObjectStorage;

  constructor(storage: DurableObjectStorage) {
    this.#storage = storage;
  }

  run(statement: string, ...bindings: readonly SqlValue[]): void {
    try {
      this.#storage.sql.exec(statement, ...bindings);
    } catch (error) {
      throw new StorageFault(error);
    }
  }

  all(statement: string, ...bindings: readonly SqlValue[]): SqlRow[] {
    try {
      const rows = [...this.#storage.sql.exec(statement, ...bindings).raw()];
      for (const row of rows) bytesInPlace(row);
      return rows as SqlValue[][];
    } catch (error) {
      throw new StorageFault(error);
    }
  }

  *iterate(statement: string, ...bindings: readonly SqlValue[]): IterableIterator<SqlRow> {
    try {
      for (const row of this.#storage.sql.exec(statement, ...bindings).raw()) {
        bytesInPlace(row);
        yield row as SqlValue[];
      }
    } catch (error) {
      throw new StorageFault(error);
    }
  }

  databaseBytes(): number {
    return this.#storage.sql.databaseSize;
  }

  /**
   * What an object writes between two awaits is one transaction of the platform. The platform rolls it back if the
   * object is aborted before it gives way; an error that nobody catches does not roll it back.
   */
  turn<Result>(body: () => NotPromise<Result>): Result {
    return body();
  }

  transaction<Result>(body: () => NotPromise<Result>): Result {
    let thrown: unknown = null;
    try {
      return this.#storage.transactionSync(() => {
        try {
          return body();
        } catch (error) {
          thrown = error;
          throw error;
        }
      });
    } catch (error) {
      throw error === thrown ? error : new StorageFault(error);
    }
  }
}

function bytesInPlace(row: (SqlStorageValue | Uint8Array)[]): void {
  for (let column = 0; column < row.length; column++) {
    const value = row[column];
    if (value instanceof ArrayBuffer) row[column] = new Uint8Array(value);
  }
}
