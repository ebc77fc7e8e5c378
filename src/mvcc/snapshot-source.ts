// Hands out a snapshot, page by page, while the store goes on. No copy is held and nothing is locked: a version of a key never
// changes, only when it ended is written later. So the versions that began at the snapshot's revision or before, and that were seen
// at its compacted revision or after, are the same at all times and on all replicas, until a sweep goes further than that.

import { assert } from '../assert.ts';
import { emptyBytes } from '../bytes.ts';
import { rememberedWritesMax, snapshotRowsScannedMax } from '../limits.ts';
import type { SqlPort, SqlRow } from '../sql-port.ts';
import { Batches } from './batches.ts';
import { sweptRevision } from './compaction.ts';
import { columnsOf } from './generic-rows.ts';
import { bytesOf, numberOf, textFrom } from './rows.ts';
import { encodeHead } from './snapshot-head.ts';
import {
  beforeBatches,
  beforeVersions,
  decodeCursor,
  encodeCursor,
  PageWriter,
  type SnapshotCursor,
  type SnapshotName,
  type SnapshotVersion,
} from './snapshot-page.ts';
import type { Store } from './store.ts';

export type { SnapshotName } from './snapshot-page.ts';

/** `next`: where the next page begins; null: this was the last one. */
export type SnapshotPage =
  | { readonly kind: 'page'; readonly page: Uint8Array; readonly next: Uint8Array | null }
  /** This replica has not applied as much, or has forgotten what the snapshot needs. */
  | { readonly kind: 'gone' };

type VersionsCursor = Extract<SnapshotCursor, { readonly kind: 'versions' }>;
type BatchesCursor = Extract<SnapshotCursor, { readonly kind: 'batches' }>;

// Both halves are read from the cursor on in the order of their tables, and merged row by row. What the snapshot does not have is
// passed over outside of SQL: so a page knows how much it has looked at. It is read in slices, each to its end: a statement
// that is left before its last row holds its view of the database open for as long as the platform pleases.
const selectVersions = `
  SELECT key, mod, NULL, created, version, lease, value, large FROM head WHERE key >= ?1 AND (key > ?1 OR mod > ?2)
  UNION ALL
  SELECT key, mod, until, created, version, lease, value, large FROM superseded WHERE (key, mod) > (?1, ?2)
  ORDER BY key, mod LIMIT ?3`;
const selectLarge = 'SELECT bytes FROM large_values WHERE id = ?';
const selectWritesTotal = 'SELECT writes_total FROM batches WHERE last_revision = ? AND log_index = ? LIMIT 1';

function selectBatches(names: readonly string[]): string {
  return `SELECT last_revision, log_index, part, ${names.join(', ')} FROM batches
    WHERE (last_revision, log_index, part) > (?1, ?2, ?3) AND last_revision <= ?4
    ORDER BY last_revision, log_index, part LIMIT 1`;
}

/** Of versions; their large values are read one by one. Batches are, too: each may be a megabyte. */
const sliceRows = 100;

/** The statements that a page is read with, for the test that looks at how they are run. */
export const pageStatements = { versions: selectVersions, batches: selectBatches(['body']) } as const;

/**
 * The snapshot of now, in one turn. Its name has the index that the store would restart from: entries after it changed nothing.
 * `head`: in parts, to be kept for as long as somebody may ask for one.
 */
export function openSnapshot(
  sql: SqlPort,
  store: Store,
): { readonly name: SnapshotName; readonly head: readonly Uint8Array[] } {
  const name = { index: store.persistedIndex, revision: store.revision, compacted: store.compactedRevision };
  return { name, head: encodeHead(sql, name) };
}

/**
 * The page after `cursor` (null: the first). It has at most `bytesMax` beside its frame, or one row; fewer where
 * many had to be passed over. Throws MalformedBytesError for a cursor that is none.
 */
export function snapshotPage(
  sql: SqlPort,
  name: SnapshotName,
  cursor: Uint8Array | null,
  bytesMax: number,
): SnapshotPage {
  assert(bytesMax > 0, 'a page has room for something');
  if (!isHeld(sql, name)) return { kind: 'gone' };
  const after = cursor === null ? beforeVersions : decodeCursor(cursor);
  const page = new PageWriter({ name, from: cursor, bytesMax });
  const between = after.kind === 'versions' ? addVersions(sql, name, after, page) : after;
  const { reached, isLast } =
    between.kind === 'versions' ? { reached: between, isLast: false } : addBatches(sql, name, between, page);
  const to = encodeCursor(reached);
  return { kind: 'page', page: page.finish(to, isLast), next: isLast ? null : to };
}

/** The row of the index is also what says that this replica has applied it. */
function isHeld(sql: SqlPort, { index, revision, compacted }: SnapshotName): boolean {
  if (sweptRevision(sql) > compacted) return false;
  if (index === 0) return true;
  const row = sql.all(selectWritesTotal, revision, index)[0];
  return row !== undefined && new Batches(sql).holdsWritesAfter(numberOf(row[0]) - rememberedWritesMax);
}

/** Answers where it stopped. */
function addVersions(sql: SqlPort, name: SnapshotName, after: VersionsCursor, page: PageWriter): SnapshotCursor {
  let reached = after;
  for (let scanned = 0; scanned < snapshotRowsScannedMax;) {
    const slice = Math.min(sliceRows, snapshotRowsScannedMax - scanned);
    const rows = sql.all(selectVersions, reached.key, reached.mod, slice);
    for (const row of rows) {
      const version = versionOf(sql, row, name);
      if (version !== null && !page.addVersion(version)) return reached;
      reached = { kind: 'versions', key: bytesOf(row[0]), mod: numberOf(row[1]) };
    }
    if (rows.length < slice) return beforeBatches;
    scanned += slice;
  }
  return reached;
}

/** null: the snapshot does not have it. What ended after the snapshot's revision had not ended then. */
function versionOf(sql: SqlPort, row: SqlRow, { revision, compacted }: SnapshotName): SnapshotVersion | null {
  const mod = numberOf(row[1]);
  const ended = row[2] ?? null;
  const until = ended === null || numberOf(ended) > revision ? null : numberOf(ended);
  // As compaction keeps it: see there.
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

function addBatches(
  sql: SqlPort,
  { index, revision }: SnapshotName,
  after: BatchesCursor,
  page: PageWriter,
): { readonly reached: BatchesCursor; readonly isLast: boolean } {
  const names = columnsOf(sql, 'batches');
  const statement = selectBatches(names);
  let reached = after;
  for (;;) {
    const row = sql.all(statement, reached.lastRevision, reached.logIndex, reached.part, revision)[0];
    if (row === undefined || numberOf(row[1]) > index) return { reached, isLast: true };
    const [last, entry, part, ...columns] = row;
    if (!page.addBatch(names, columns)) return { reached, isLast: false };
    reached = { kind: 'batches', lastRevision: numberOf(last), logIndex: numberOf(entry), part: numberOf(part) };
  }
}
