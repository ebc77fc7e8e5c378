// What every store must do, whatever its database. A rule gets a fresh database and nothing else, so the same list runs
// on Node's SQLite and inside a Durable Object.

import type { SqlPort } from '../../../src/base/sql-port.ts';
import { Fed } from '../requests.ts';

/** `stepRows`: the keys that a step of a large delete moves. Absent: everything is applied at once. */
export type StoreRule = { readonly name: string; readonly run: (sql: SqlPort, stepRows?: number) => void };

export function rule(name: string, run: (fed: Fed) => void): StoreRule {
  return { name, run: (sql, stepRows) => run(new Fed(sql, 0, stepRows ?? null)) };
}
