// How a version of a key is read from a row and written to one. Only this file and the range scans know the columns of
// `head` and `superseded`.

import { assert } from '../base/assert.ts';
import { type LeaseId, leaseId, noLease, revision } from '../model/brands.ts';
import { emptyBytes } from '../base/bytes.ts';
import type { KeyValue } from '../model/store.ts';
import type { SqlRow, SqlValue } from '../base/sql-port.ts';

/** The value wherever it lives; for a row of `head` or `superseded`. */
const valueColumn = 'CASE WHEN large IS NULL THEN value ELSE (SELECT bytes FROM large_values WHERE id = large) END';

/** The bytes of the value, without reading them; for a row of `head` or `superseded`. */
export const valueLength = `CASE WHEN large IS NULL THEN ifnull(length(value), 0)
  ELSE (SELECT length(bytes) FROM large_values WHERE id = large) END`;

/** The columns that `keyValueOf` reads, in its order. */
export const pairColumns = `key, mod, created, version, lease, ${valueColumn}`;
export const pairColumnsWithoutValue = 'key, mod, created, version, lease';

/** Reads `pairColumns`, or `pairColumnsWithoutValue` (the value is then empty), from column `first` on. */
export function keyValueOf(row: SqlRow, first = 0): KeyValue {
  const value = row[first + 5];
  return {
    key: bytesOf(row[first]),
    value: value === undefined || value === null ? emptyBytes : bytesOf(value),
    createRevision: revision(numberOf(row[first + 2])),
    modRevision: revision(numberOf(row[first + 1])),
    version: numberOf(row[first + 3]),
    lease: leaseOf(row[first + 4]),
  };
}

export function numberOf(value: SqlValue | undefined): number {
  assert(typeof value === 'number', 'a number from the database');
  return value;
}

export function bytesOf(value: SqlValue | undefined): Uint8Array {
  assert(value instanceof Uint8Array, 'bytes from the database');
  return value;
}

export function textFrom(value: SqlValue | undefined): string {
  assert(typeof value === 'string', 'text from the database');
  return value;
}

function leaseOf(value: SqlValue | undefined): LeaseId {
  return value === null || value === undefined ? noLease : leaseId(BigInt(textFrom(value)));
}

export function leaseColumn(lease: LeaseId): string | null {
  return lease === noLease ? null : String(lease);
}
