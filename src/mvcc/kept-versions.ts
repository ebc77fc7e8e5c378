// The versions of keys that a store keeps as of a revision, row by row, while the store goes on. They are the same at
// all times and on all replicas, until a sweep goes further than `compacted`: a version never changes, and only its end
// is written later.

import { emptyBytes } from '../base/bytes.ts';
import type { SqlPort, SqlRow } from '../base/sql-port.ts';
import { bytesOf, numberOf, textFrom } from './rows.ts';

/** `until` null: the version is the newest of its key at the revision. `lease`: as in the tables. */
export type KeptVersion = {
  readonly key: Uint8Array;
  readonly mod: number;
  readonly until: number | null;
  readonly created: number;
  readonly version: number;
  readonly lease: string | null;
  readonly value: Uint8Array;
};

/** `compacted`: -1: there was no compaction. */
export type KeptView = { readonly revision: number; readonly compacted: number };
export type VersionCursor = { readonly key: Uint8Array; readonly mod: number };
/** `version` null: the view does not have the row. */
export type ScannedVersion = { readonly at: VersionCursor; readonly version: KeptVersion | null };

/** Before every row: no revision is 0. */
export const beforeAllVersions: VersionCursor = { key: Uint8Array.of(0), mod: 0 };

// Both halves are read in the order of their tables, and merged row by row. Rows that the view does not have are left
// out here and not in SQL, so that the reader knows how much was looked at.
export const selectVersions = `
  SELECT key, mod, NULL, created, version, lease, value, large FROM head WHERE key >= ?1 AND (key > ?1 OR mod > ?2)
  UNION ALL
  SELECT key, mod, until, created, version, lease, value, large FROM superseded WHERE (key, mod) > (?1, ?2)
  ORDER BY key, mod LIMIT ?3`;
const selectLarge = 'SELECT bytes FROM large_values WHERE id = ?';

/** Large values are read one by one. */
const sliceRows = 100;

/**
 * All rows after a position, also those that the view does not have. They are read in slices, each to its end, because
 * a statement that is left before its last row holds its view of the database open for as long as the platform pleases.
 * So the reader may also pause, and write.
 */
export function* scanVersions(
  sql: SqlPort,
  view: KeptView,
  after: VersionCursor,
): Generator<ScannedVersion, void, void> {
  for (let reached = after; ;) {
    const rows = sql.all(selectVersions, reached.key, reached.mod, sliceRows);
    for (const row of rows) {
      reached = { key: bytesOf(row[0]), mod: numberOf(row[1]) };
      yield { at: reached, version: versionOf(sql, row, view) };
    }
    if (rows.length < sliceRows) return;
  }
}

/** A version that ended after the view's revision had not ended then. */
function versionOf(sql: SqlPort, row: SqlRow, { revision, compacted }: KeptView): KeptVersion | null {
  const mod = numberOf(row[1]);
  const ended = row[2] ?? null;
  const until = ended === null || numberOf(ended) > revision ? null : numberOf(ended);
  // This is the rule by which compaction keeps versions: see there.
  const isSeen = until === null || until > compacted || mod >= compacted;
  if (mod > revision || !isSeen) return null;
  const [, , , created, version, lease, value, large] = row;
  return {
    key: bytesOf(row[0]),
    mod,
    until,
    created: numberOf(created),
    version: numberOf(version),
    lease: lease === null ? null : textFrom(lease),
    value: large === null ? bytesOf(value ?? emptyBytes) : bytesOf(sql.all(selectLarge, numberOf(large))[0]?.[0]),
  };
}
