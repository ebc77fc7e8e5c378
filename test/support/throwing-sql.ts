// A database at which the code above it throws after it has written the pair of one key. The storage is not at fault:
// the throw stands for a bug of the store's own code, the same on every replica and at every start.

import { PassingSql } from './passing-sql.ts';
import { equalBytes, utf8 } from '../../src/base/bytes.ts';
import type { SqlValue } from '../../src/base/sql-port.ts';

export const thrownAt = 'throws';
export const thrownAtKey = utf8(thrownAt);

class PlantedThrow extends Error {}

export function isPlanted(error: unknown): boolean {
  return error instanceof PlantedThrow;
}

export class ThrowingSql extends PassingSql {
  override run(statement: string, ...bindings: readonly SqlValue[]): void {
    super.run(statement, ...bindings);
    if (!statement.startsWith('INSERT OR REPLACE INTO head')) return;
    if (bindings.some((value) => value instanceof Uint8Array && equalBytes(value, thrownAtKey))) {
      throw new PlantedThrow('as planted');
    }
  }
}
