// The log of a replica as it is in its database. The checkers read it past the driver.

import { decodeConfiguration } from '../../../src/raft/configuration.ts';
import type { SqlPort } from '../../../src/base/sql-port.ts';

export type LogRow = {
  readonly index: number;
  readonly term: number;
  readonly kind: string;
  readonly data: Uint8Array;
};

const kinds = ['noop', 'command', 'membership'] as const;

/** The rows after `after`, in order. */
export function logRows(sql: SqlPort, after: number): LogRow[] {
  const from = Math.max(after, logBase(sql).index);
  return entryTables(sql)
    .flatMap((table) => sql.all(`SELECT log_index, term, kind, data FROM ${table} WHERE log_index > ?`, from))
    .sort(([left], [right]) => Number(left) - Number(right))
    .map(([index, term, kind, data]) => ({
      index: Number(index),
      term: Number(term),
      kind: kinds[Number(kind)] ?? `kind ${String(kind)}`,
      data: data instanceof Uint8Array ? data : new Uint8Array(0),
    }));
}

/** Null: the log has no such entry. */
export function termOnDisk(sql: SqlPort, index: number): number | null {
  const base = logBase(sql);
  if (index <= base.index) return null;
  const rows = entryTables(sql).flatMap((table) => sql.all(`SELECT term FROM ${table} WHERE log_index = ?`, index));
  return rows.length === 0 ? null : Number(rows[0]?.[0]);
}

/** Entries lie by their index, or in places, where those up to the base are no part of the log any more. */
function entryTables(sql: SqlPort): readonly string[] {
  const known = sql.all("SELECT name FROM sqlite_master WHERE name IN ('log', 'log_places')");
  return known.map(([name]) => String(name));
}

/** The beginning of the log: the entry before the first one that is kept. */
export function logBase(sql: SqlPort): { readonly index: number; readonly term: number } {
  const [index, term] = sql.all('SELECT base_index, base_term FROM hard_state')[0] ?? [0, 0];
  return { index: Number(index), term: Number(term) };
}

/** The voters by the newest configuration on disk. Null: by the founding one. */
export function votersOnDisk(sql: SqlPort): readonly number[] | null {
  const exists = sql.all("SELECT 1 FROM sqlite_master WHERE name = 'configurations'").length > 0;
  const body = exists ? sql.all('SELECT body FROM configurations ORDER BY log_index DESC LIMIT 1')[0]?.[0] : null;
  return body instanceof Uint8Array ? decodeConfiguration(body).voters : null;
}

export function sameRow(left: LogRow, right: LogRow): boolean {
  return left.term === right.term && left.kind === right.kind && Buffer.compare(left.data, right.data) === 0;
}

/**
 * Everything that the store wrote: all tables beside the log, each row as text. What does not follow from the log alone
 * is left out: the alarm, and superfluous rows, which are swept when the host finds time, and with them the ids of
 * large values.
 */
export function storeDump(sql: SqlPort, batches: BatchesInDump): string {
  return tablesOf(sql)
    .flatMap(({ table, select }) => {
      const rows = sql.all(select, ...(table === 'batches' ? [batches.from, batches.hashesFrom] : [])).map(rowInWords);
      return rows.length === 0 && leftByFormats.includes(table) ? [] : [`${table}\n${rows.sort().join('\n')}`];
    })
    .join('\n');
}

/**
 * `from`: the batches of entries before this one are left out. `hashesFrom`: the hashes of entries before this one are
 * left out, because a snapshot of a group that has gone back to level 1 has none.
 */
export type BatchesInDump = { readonly from: number; readonly hashesFrom: number };

type Table = { readonly table: string; readonly select: string };

const notOfTheStore = [
  'log',
  'log_places',
  'hard_state',
  'configurations',
  'divergence',
  'large_values',
  'simulated_alarm',
  'simulated_identity',
];
/** A store keeps these tables, without rows, when its format falls, or when a snapshot of a lower one replaces it. */
const leftByFormats: readonly string[] = ['access_key_names', 'access_key_prefixes'];
/**
 * The columns are read by name: a statement that was prepared before a table got more columns would go on without
 * those.
 */
const selectTables = `SELECT name, (SELECT group_concat(name) FROM pragma_table_info(tables.name))
  FROM sqlite_master AS tables WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name`;
const hashColumns: readonly string[] = ['hash', 'scrubbed'];
const known = new WeakMap<SqlPort, { readonly version: number; readonly tables: readonly Table[] }>();

function tablesOf(sql: SqlPort): readonly Table[] {
  const version = Number(sql.all('PRAGMA schema_version')[0]?.[0]);
  const before = known.get(sql);
  if (before?.version === version) return before.tables;
  const tables = sql
    .all(selectTables)
    .map(([name, columns]) => ({ table: String(name), select: selectionOf(String(name), String(columns)) }))
    .filter(({ table }) => !notOfTheStore.includes(table) && !table.startsWith('incoming_'));
  known.set(sql, { version, tables });
  return tables;
}

function selectionOf(table: string, columns: string): string {
  const value = `coalesce(value, (SELECT bytes FROM large_values WHERE id = large))`;
  const compacted = `(SELECT value FROM mvcc_meta WHERE name = 'compacted')`;
  switch (table) {
    case 'head':
      return `SELECT key, mod, created, version, lease, ${value} FROM head`;
    case 'superseded':
      return `SELECT key, mod, until, created, version, lease, ${value} FROM superseded
        WHERE until > coalesce(${compacted}, 0) OR mod >= ${compacted}`;
    case 'mvcc_meta':
      return `SELECT name, value FROM mvcc_meta WHERE name <> 'sweep'`;
    case 'batches':
      return selectBatches(columns);
    default:
      return `SELECT ${columns} FROM ${table}`;
  }
}

/**
 * Each batch is put together, because code from before large deletes went in steps makes fewer parts of one. Stores
 * that never were of level 2 lack the columns of hashes. Others lack those of digests, which count from an entry on;
 * only the last part of a batch has any.
 */
function selectBatches(columns: string): string {
  const names = columns.split(',');
  const hashes = hashColumns.map((name) =>
    names.includes(name) ? `CASE WHEN log_index >= ?2 THEN MAX(${name}) END` : 'NULL',
  );
  const from = `(SELECT value FROM mvcc_meta WHERE name = 'digestsFrom')`;
  const format = `(SELECT value FROM mvcc_meta WHERE name = 'format')`;
  const counted = `CASE WHEN ${format} >= 4 AND log_index > ${from} THEN MAX(digests) END`;
  const digests = names.includes('digests') ? counted : 'NULL';
  return `SELECT last_revision, log_index, MAX(writes_total), group_concat(hex(body), ''), ${hashes.join(', ')}, ${digests}
    FROM (SELECT * FROM batches WHERE log_index >= ?1 AND ?2 >= 0 ORDER BY last_revision, log_index, part)
    GROUP BY last_revision, log_index`;
}

function rowInWords(row: readonly unknown[]): string {
  return row
    .map((value) =>
      value instanceof Uint8Array
        ? Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('latin1')
        : String(value),
    )
    .join('|');
}
