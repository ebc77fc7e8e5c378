// A database at which the code above it throws after it has written the pair of one key, or when it reads the pair to
// write it to memory. The storage is not at fault: the throw stands for a bug of the store's own code, the same on
// every replica and at every start.

import { PassingSql } from './passing-sql.ts';
import { equalBytes, utf8 } from '../../src/base/bytes.ts';
import type { NotPromise, SqlRow, SqlValue } from '../../src/base/sql-port.ts';

export const thrownAt = 'throws';
export const thrownAtKey = utf8(thrownAt);

class PlantedThrow extends Error {}

export function isPlanted(error: unknown): boolean {
  return error instanceof PlantedThrow;
}

export function plantedThrow(): Error {
  return new PlantedThrow('as planted');
}

export class ThrowingSql extends PassingSql {
  #inTurn = false;

  override run(statement: string, ...bindings: readonly SqlValue[]): void {
    super.run(statement, ...bindings);
    if (statement.startsWith('INSERT OR REPLACE INTO head')) throwAt(bindings);
  }

  override all(statement: string, ...bindings: readonly SqlValue[]): SqlRow[] {
    if (this.#inTurn && /^SELECT .* FROM head WHERE key = \?$/.test(statement)) throwAt(bindings);
    const rows = super.all(statement, ...bindings);
    const readsAhead = this.#inTurn && /FROM \(VALUES .*\) CROSS JOIN head/s.test(statement);
    return readsAhead && names(bindings) ? [...rows, untoldRow] : rows;
  }

  override turn<Result>(body: () => NotPromise<Result>): Result {
    this.#inTurn = true;
    try {
      return super.turn(body);
    } finally {
      this.#inTurn = false;
    }
  }
}

/** As if the value were too large to be read ahead: the pair is read once its command is applied. */
const untoldRow: SqlRow = [thrownAtKey, 1, 1, 1, null, null, 1];

function throwAt(bindings: readonly SqlValue[]): void {
  if (names(bindings)) throw plantedThrow();
}

function names(bindings: readonly SqlValue[]): boolean {
  return bindings.some((value) => value instanceof Uint8Array && equalBytes(value, thrownAtKey));
}
