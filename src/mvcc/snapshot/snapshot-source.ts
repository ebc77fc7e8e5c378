// Hands out a snapshot, page by page, while the store goes on. No copy is made and nothing is locked: the versions stay
// that began at the snapshot's revision or before, and were visible at its compacted revision or after
// (kept-versions.ts).

import { assert } from '../../base/assert.ts';
import { rememberedWritesMax, snapshotRowsScannedMax } from '../../limits.ts';
import type { SqlPort, SqlRow, SqlValue } from '../../base/sql-port.ts';
import { Batches } from '../batches.ts';
import { type Needed, sweptRevision } from '../compaction.ts';
import { columnsOf, rowBytesMax } from './generic-rows.ts';
import { scanVersions, selectVersions } from '../kept-versions.ts';
import { numberOf } from '../rows.ts';
import { encodeHead } from './snapshot-head.ts';
import {
  allParts,
  beforeBatches,
  beforeVersions,
  decodeCursor,
  encodeCursor,
  PageWriter,
  type SnapshotCursor,
  type SnapshotName,
} from './snapshot-page.ts';
import type { Store } from '../store.ts';

export type { SnapshotName } from './snapshot-page.ts';

/** `next`: where the next page begins. Null: this was the last page. */
export type SnapshotPage = { readonly page: Uint8Array; readonly next: Uint8Array | null };

type VersionsCursor = Extract<SnapshotCursor, { readonly kind: 'versions' }>;
type BatchesCursor = Extract<SnapshotCursor, { readonly kind: 'batches' }>;

const selectWritesTotal = 'SELECT writes_total FROM batches WHERE last_revision = ? AND log_index = ? LIMIT 1';

function selectBatches(names: readonly string[]): string {
  return `SELECT last_revision, log_index, part, ${names.join(', ')} FROM batches
    WHERE (last_revision, log_index, part) > (?1, ?2, ?3) AND last_revision <= ?4
    ORDER BY last_revision, log_index, part LIMIT 1`;
}

/** The statements that read a page, for the test that looks at how they run. */
export const pageStatements = { versions: selectVersions, batches: selectBatches(['body']) } as const;

/**
 * Makes the snapshot of the present store, in one turn. Its name has the index from which the store would restart,
 * because entries after it changed nothing. `head`: in parts, to be kept for as long as somebody may ask for one.
 */
export function openSnapshot(
  sql: SqlPort,
  store: Store,
): { readonly name: SnapshotName; readonly head: readonly Uint8Array[] } {
  assert(!store.isUnderWay, 'a snapshot begins between two entries');
  const name = { index: store.persistedIndex, revision: store.revision, compacted: store.compactedRevision };
  return { name, head: encodeHead(sql, name) };
}

/**
 * The page after `cursor` (null: the first page) of a snapshot whose rows are held (`Store.holdHistory`). It has at
 * most `bytesMax` beside its frame, or one row; it has less if many rows are small, or had to be passed by. @throws
 * MalformedBytesError for a wrong cursor.
 */
export function snapshotPage(
  sql: SqlPort,
  name: SnapshotName,
  cursor: Uint8Array | null,
  bytesMax: number,
): SnapshotPage {
  assert(bytesMax > 0, 'a page has room for something');
  const after = cursor === null ? beforeVersions : decodeCursor(cursor);
  const page = new PageWriter({ name, from: cursor, bytesMax });
  const between = after.kind === 'versions' ? addVersions(sql, name, after, page) : after;
  const { reached, isLast } =
    between.kind === 'versions' ? { reached: between, isLast: false } : addBatches(sql, name, between, page);
  const to = encodeCursor(reached);
  return { page: page.finish(to, isLast), next: isLast ? null : to };
}

/**
 * What must be held for the snapshot, if nothing is held yet. Null: this replica has not applied as much, or may have
 * swept some of it. The row of the index also tells that it has applied it.
 */
export function neededBy(sql: SqlPort, { index, revision, compacted }: SnapshotName): Needed | null {
  if (sweptRevision(sql) > compacted) return null;
  if (index === 0) return { revision, compacted, writesTotal: 0 };
  const batches = new Batches(sql);
  const row = sql.all(selectWritesTotal, revision, index)[0];
  const writesTotal =
    row === undefined ? batches.rowAfter({ lastRevision: revision, logIndex: index })?.writesTotal : numberOf(row[0]);
  if (writesTotal === undefined) return null;
  return batches.holdsWritesAfter(writesTotal - rememberedWritesMax) ? { revision, compacted, writesTotal } : null;
}

/** Returns where it stopped. */
function addVersions(sql: SqlPort, name: SnapshotName, after: VersionsCursor, page: PageWriter): SnapshotCursor {
  let reached = after;
  let scanned = 0;
  for (const { at, version } of scanVersions(sql, name, after)) {
    if (version !== null && !page.addVersion(version)) return reached;
    reached = { kind: 'versions', ...at };
    if (++scanned === snapshotRowsScannedMax) return reached;
  }
  return beforeBatches;
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
  const rowAfter = ({ at }: Pick<BatchRow, 'at'>): BatchRow | null => {
    const row = sql.all(statement, at.lastRevision, at.logIndex, at.part, revision)[0];
    if (row === undefined || numberOf(row[1]) > index) return lastRowAfter(sql, { index, revision }, at, names);
    const [last, entry, part, ...columns] = row;
    const place = { lastRevision: numberOf(last), logIndex: numberOf(entry), part: numberOf(part) };
    return { at: { kind: 'batches', ...place }, columns };
  };
  for (let next = rowAfter({ at: after }); next !== null;) {
    const { rows, following }: RowsOfBatch = rowsOfBatch(next, rowAfter, page);
    const isWhole = following === null || !isOfBatch(following, next.at);
    if (!isWhole || !page.addBatch(names, columnsOfRows(rows))) {
      return { reached: page.isEmpty ? addSome(page, names, rows) : reached, isLast: false };
    }
    // The next page may come from a replica that has the batch in other parts.
    reached = { ...next.at, part: allParts };
    next = following;
  }
  return { reached, isLast: true };
}

/** The row of the snapshot's index, where entries after it have joined it since. Null: it was handed out. */
function lastRowAfter(
  sql: SqlPort,
  { index, revision }: Pick<SnapshotName, 'index' | 'revision'>,
  at: BatchesCursor,
  names: readonly string[],
): BatchRow | null {
  if (at.lastRevision === revision && at.logIndex === index) return null;
  const row = new Batches(sql).rowAfter({ lastRevision: revision, logIndex: index });
  if (row === null) return null;
  const values: Readonly<Record<string, SqlValue>> = {
    last_revision: revision,
    log_index: index,
    part: 0,
    writes_total: row.writesTotal,
    body: row.body,
    hash: row.hash,
    scrubbed: row.scrubbed,
    digests: row.digests,
    earlier: row.earlier,
  };
  const columns = names.map((name) => values[name] ?? null);
  return { at: { kind: 'batches', lastRevision: revision, logIndex: index, part: 0 }, columns };
}

/** `columns`: those that `addBatches` names. */
type BatchRow = { readonly at: BatchesCursor; readonly columns: SqlRow };

type RowAfter = (row: BatchRow) => BatchRow | null;
type RowsOfBatch = { readonly rows: readonly BatchRow[]; readonly following: BatchRow | null };

/** The row and those of the same batch that follow, until they are more than a page takes. */
function rowsOfBatch(first: BatchRow, rowAfter: RowAfter, page: PageWriter): RowsOfBatch {
  const rows = [first];
  let bytes = rowBytesMax(first.columns);
  let following = rowAfter(first);
  while (following !== null && isOfBatch(following, first.at) && page.mayTake(rows.length, bytes)) {
    rows.push(following);
    bytes += rowBytesMax(following.columns);
    following = rowAfter(following);
  }
  return { rows, following };
}

function columnsOfRows(rows: readonly BatchRow[]): readonly SqlRow[] {
  return rows.map(({ columns }) => columns);
}

function isOfBatch({ at }: BatchRow, batch: BatchesCursor): boolean {
  return at.lastRevision === batch.lastRevision && at.logIndex === batch.logIndex;
}

/** Rows of a batch that is too large for one page. Returns where it stopped. */
function addSome(page: PageWriter, names: readonly string[], rows: readonly BatchRow[]): BatchesCursor {
  let reached: BatchesCursor | null = null;
  for (const { at, columns } of rows) {
    if (!page.addBatch(names, [columns])) break;
    reached = at;
  }
  assert(reached !== null, 'an empty page takes a row');
  return reached;
}
