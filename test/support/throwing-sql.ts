// A database at which the code above it throws after it has written the pair of one key. The storage is not at fault:
// the throw stands for a bug of the store's own code, the same on every replica and at every start.

import { equalBytes, utf8 } from '../../src/base/bytes.ts';
import type { NotPromise, SqlPort, SqlRow, SqlValue } from '../../src/base/sql-port.ts';

export const thrownAt = 'throws';
export const thrownAtKey = utf8(thrownAt);

class PlantedThrow extends Error {}

export function isPlanted(error: unknown): boolean {
  return error instanceof PlantedThrow;
}

export class ThrowingSql implements SqlPort {
  readonly #sql: SqlPort;

  constructor(sql: SqlPort) {
    this.#sql = sql;
  }

  run(statement: string, ...bindings: readonly SqlValue[]): void {
    this.#sql.run(statement, ...bindings);
    if (!statement.startsWith('INSERT OR REPLACE INTO head')) return;
    if (bindings.some((value) => value instanceof Uint8Array && equalBytes(value, thrownAtKey))) {
      throw new PlantedThrow('as planted');
    }
  }

  all(statement: string, ...bindings: readonly SqlValue[]): SqlRow[] {
    return this.#sql.all(statement, ...bindings);
  }

  iterate(statement: string, ...bindings: readonly SqlValue[]): IterableIterator<SqlRow> {
    return this.#sql.iterate(statement, ...bindings);
  }

  turn<Result>(body: () => NotPromise<Result>): Result {
    return this.#sql.turn(body);
  }

  transaction<Result>(body: () => NotPromise<Result>): Result {
    return this.#sql.transaction(body);
  }

  databaseBytes(): number {
    return this.#sql.databaseBytes();
  }
}
