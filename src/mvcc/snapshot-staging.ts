// The tables that a snapshot is written into: those of a store of its format, under names of their own, beside the ones that serve.
// Nothing but the store's tables is ever dropped or renamed: the log and the vote of a replica outlive its store.

import { assert } from '../assert.ts';
import type { SqlPort } from '../sql-port.ts';
import { textFrom } from './rows.ts';
import { schemaFormat, schemaStatements } from './schema.ts';
import { tablesOf } from './snapshot-head.ts';

const prefix = 'incoming_';
/** The snapshot that is under way, and how far it is. */
export const progressTable = `${prefix}snapshot`;

const createProgress = `CREATE TABLE ${progressTable} (one INTEGER PRIMARY KEY CHECK (one = 1), log_index INTEGER NOT NULL,
  revision INTEGER NOT NULL, compacted INTEGER NOT NULL, format INTEGER NOT NULL, place BLOB, complete INTEGER NOT NULL)`;
const selectTables = `SELECT name FROM sqlite_master WHERE type = 'table' AND substr(name, 1, ${prefix.length}) = '${prefix}'`;
const selectProgressTable = `SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = '${progressTable}'`;

export function stagingName(table: string): string {
  return `${prefix}${table}`;
}

export function hasStaging(sql: SqlPort): boolean {
  return sql.all(selectProgressTable).length > 0;
}

/** Empty tables. Their indexes come when they are swapped in: an index cannot be renamed. */
export function createStaging(sql: SqlPort, format: number): void {
  sql.run(createProgress);
  for (const statement of schemaStatements(format)) {
    if (!isOfIndex(statement)) sql.run(underStagingName(statement));
  }
}

export function dropStaging(sql: SqlPort): void {
  for (const [name] of sql.all(selectTables)) sql.run(`DROP TABLE ${textFrom(name)}`);
}

/** What came takes the place of what was. */
export function swapStaging(sql: SqlPort, format: number): void {
  for (const table of tablesOf(schemaFormat)) sql.run(`DROP TABLE IF EXISTS ${table}`);
  for (const table of tablesOf(format)) sql.run(`ALTER TABLE ${stagingName(table)} RENAME TO ${table}`);
  for (const statement of schemaStatements(format)) if (isOfIndex(statement)) sql.run(statement);
  sql.run(`DROP TABLE ${progressTable}`);
}

function isOfIndex(statement: string): boolean {
  return statement.startsWith('CREATE INDEX ');
}

function underStagingName(statement: string): string {
  const named = statement.replace(/^(CREATE TABLE|ALTER TABLE) (\w+)/, `$1 ${prefix}$2`);
  assert(named !== statement, 'a store is made of tables and indexes');
  return named;
}
