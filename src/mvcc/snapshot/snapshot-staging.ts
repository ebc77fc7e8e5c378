// The tables that a snapshot is written into: those of a store of its format, under names of their own, beside the ones
// that serve. Nothing but the store's tables is touched: the log and the vote of a replica outlive its store.
//
// No table is ever dropped. SQLite refuses that while any statement is still reading anything, and the platform has no
// way to end one that was left before its last row. Tables can be emptied and renamed meanwhile: so what was the store
// becomes the empty tables for the next snapshot, once its rows are gone: some at a time, for freeing a large store
// takes long.

import { assert } from '../../base/assert.ts';
import { clearingStepBytes, clearingStepRows } from '../../limits.ts';
import { hasTable, type SqlPort, type SqlRow } from '../../base/sql-port.ts';
import { columnsOf } from './generic-rows.ts';
import { numberOf, textFrom } from '../rows.ts';
import { schemaFormat, schemaStatements } from '../schema.ts';
import { tablesOf } from './snapshot-head.ts';

const prefix = 'incoming_';
/** The snapshot that is under way and its progress, in one row or none. */
export const progressTable = `${prefix}snapshot`;

const createProgress = `CREATE TABLE ${progressTable} (one INTEGER PRIMARY KEY CHECK (one = 1), log_index INTEGER NOT NULL,
  revision INTEGER NOT NULL, compacted INTEGER NOT NULL, format INTEGER NOT NULL, place BLOB, complete INTEGER NOT NULL)`;

export function stagingName(table: string): string {
  return `${prefix}${table}`;
}

export function hasStaging(sql: SqlPort): boolean {
  return hasTable(sql, progressTable);
}

/**
 * Makes empty tables, also if there were some. Their indexes are made when they are swapped in, because an index cannot
 * be renamed.
 */
export function prepareStaging(sql: SqlPort, format: number): void {
  if (!hasStaging(sql)) sql.run(createProgress);
  for (const { statement, table, column, index } of partsOf(format)) {
    const staging = stagingName(table);
    const isDone = column === null ? hasTable(sql, staging) : columnsOf(sql, staging).includes(column);
    if (index === null && !isDone) sql.run(statement.replace(table, staging));
  }
  clearStaging(sql, format);
}

/** Deletes some rows. False: there are none. */
export function clearStagingStep(sql: SqlPort): boolean {
  return tablesOf(schemaFormat).some((table) => {
    const staging = stagingName(table);
    return hasTable(sql, staging) && deleteSome(sql, staging);
  });
}

function deleteSome(sql: SqlPort, table: string): boolean {
  const keys = keysOf(sql, table);
  // SQLite reads the length of a BLOB without its bytes.
  const length = columnsOf(sql, table).map((column) => `ifnull(length(${column}), 0)`);
  const select = `SELECT ${length.join(' + ')}, ${keys} FROM ${table} ORDER BY ${keys} LIMIT ${clearingStepRows}`;
  let last: SqlRow = [];
  let bytes = 0;
  for (const [rowBytes, ...key] of sql.all(select)) {
    last = key;
    bytes += numberOf(rowBytes);
    if (bytes >= clearingStepBytes) break;
  }
  if (last.length === 0) return false;
  sql.run(`DELETE FROM ${table} WHERE (${keys}) <= (${last.map(() => '?').join(', ')})`, ...last);
  return true;
}

/** The columns of the primary key, in their order there. */
function keysOf(sql: SqlPort, table: string): string {
  const columns = sql.all(`SELECT name FROM pragma_table_info('${table}') WHERE pk > 0 ORDER BY pk`);
  assert(columns.length > 0, 'every table of a store has a primary key');
  return columns.map(([name]) => textFrom(name)).join(', ');
}

function clearStaging(sql: SqlPort, format: number): void {
  sql.run(`DELETE FROM ${progressTable}`);
  for (const table of tablesOf(format)) {
    // A database that had no store before has no tables left for the next snapshot.
    if (hasTable(sql, stagingName(table))) sql.run(`DELETE FROM ${stagingName(table)}`);
  }
}

/** The tables of the snapshot take the place of the former ones. */
export function swapStaging(sql: SqlPort, format: number): void {
  const indexes = partsOf(format).filter(({ index }) => index !== null);
  for (const name of tablesOf(format)) {
    if (!hasTable(sql, name)) rename(sql, stagingName(name), name);
    else if (indexes.some(({ table }) => table === name)) replaceRows(sql, name);
    else swapNames(sql, name);
  }
  for (const { statement, index } of indexes) if (!hasIndex(sql, index ?? '')) sql.run(statement);
  // A store of a lower format has fewer tables. Those that only the former store had are small.
  const kept = tablesOf(format);
  for (const name of tablesOf(schemaFormat)) {
    if (!kept.includes(name) && hasTable(sql, name)) sql.run(`DELETE FROM ${name}`);
  }
  sql.run(`DELETE FROM ${progressTable}`);
}

function swapNames(sql: SqlPort, table: string): void {
  rename(sql, table, `outgoing_${table}`);
  rename(sql, stagingName(table), table);
  rename(sql, `outgoing_${table}`, stagingName(table));
}

/** A table with an index is copied, because the index stays with it. It has few rows. */
function replaceRows(sql: SqlPort, table: string): void {
  const columns = columnsOf(sql, stagingName(table)).join(', ');
  sql.run(`DELETE FROM ${table}`);
  sql.run(`INSERT INTO ${table} (${columns}) SELECT ${columns} FROM ${stagingName(table)}`);
}

function rename(sql: SqlPort, from: string, to: string): void {
  sql.run(`ALTER TABLE ${from} RENAME TO ${to}`);
}

function hasIndex(sql: SqlPort, name: string): boolean {
  return sql.all("SELECT 1 FROM sqlite_master WHERE type = 'index' AND name = ?", name).length > 0;
}

/** What a statement makes: a table, or a column or an index of a table. */
type Part = {
  readonly statement: string;
  readonly table: string;
  readonly column: string | null;
  readonly index: string | null;
};

function partsOf(format: number): readonly Part[] {
  return schemaStatements(format).map((statement) => {
    const table = /^(?:CREATE TABLE|ALTER TABLE|CREATE INDEX \w+ ON) (\w+)/.exec(statement)?.[1];
    assert(table !== undefined, 'a store is made of tables, their columns and their indexes');
    const column = /^ALTER TABLE \w+ ADD COLUMN (\w+)/.exec(statement)?.[1] ?? null;
    const index = /^CREATE INDEX (\w+)/.exec(statement)?.[1] ?? null;
    return { statement, table, column, index };
  });
}
