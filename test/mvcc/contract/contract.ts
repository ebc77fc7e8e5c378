// What every store must do, whatever database it stands on. A rule gets a fresh database and no more, so that the same
// list runs on Node's SQLite and inside a Durable Object.

import type { SqlPort } from '../../../src/base/sql-port.ts';
import { Fed } from '../requests.ts';

/** `stepRows`: keys that a step of a large delete moves; absent: everything is applied at once. */
export type StoreRule = { readonly name: string; readonly run: (sql: SqlPort, stepRows?: number) => void };

export function rule(name: string, run: (fed: Fed) => void): StoreRule {
  return { name, run: (sql, stepRows) => run(new Fed(sql, 0, stepRows ?? null)) };
}
