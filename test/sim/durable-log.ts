// A replica's log as it is in its database, read by the checkers past the driver.

import type { SqlPort } from '../../src/sql-port.ts';

export type LogRow = {
  readonly index: number;
  readonly term: number;
  readonly kind: string;
  readonly data: Uint8Array;
};

const kinds = ['noop', 'command', 'membership'] as const;

/** Rows after `after`, in order. */
export function logRows(sql: SqlPort, after: number): LogRow[] {
  return sql
    .all('SELECT log_index, term, kind, data FROM log WHERE log_index > ? ORDER BY log_index', after)
    .map(([index, term, kind, data]) => ({
      index: Number(index),
      term: Number(term),
      kind: kinds[Number(kind)] ?? `kind ${String(kind)}`,
      data: data instanceof Uint8Array ? data : new Uint8Array(0),
    }));
}

export function sameRow(left: LogRow, right: LogRow): boolean {
  return left.term === right.term && left.kind === right.kind && Buffer.compare(left.data, right.data) === 0;
}

/**
 * Everything that the store wrote: all tables beside the log, each row as text. Left out is what does not follow from the
 * log alone: the alarm, rows that compaction has made superfluous go when the host finds time, and with them places of large values.
 */
export function storeDump(sql: SqlPort): string {
  const names = sql
    .all("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name")
    .map(([name]) => String(name))
    .filter((name) => !['log', 'hard_state', 'large_values', 'simulated_alarm'].includes(name));
  return names.map((name) => `${name}\n${sql.all(selectionOf(name)).map(rowInWords).sort().join('\n')}`).join('\n');
}

function selectionOf(table: string): string {
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
    default:
      return `SELECT * FROM ${table}`;
  }
}

function rowInWords(row: readonly unknown[]): string {
  return row
    .map((value) => (value instanceof Uint8Array ? Buffer.from(value).toString('hex') : String(value)))
    .join('|');
}
