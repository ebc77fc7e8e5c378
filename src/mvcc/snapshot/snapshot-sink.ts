// Takes a snapshot in, page by page, beside the present store, and puts it in the store's place when all of it has
// come. The progress is written in the same transaction as the rows: whoever opens the database after a crash goes on,
// with any sender, or abandons the snapshot.

import { assert, unreachable } from '../../base/assert.ts';
import { MalformedBytesError } from '../../base/binary.ts';
import { clearingStepBytes, clearingStepRows } from '../../limits.ts';
import { logIndex, revision } from '../../model/brands.ts';
import type { SqlPort, SqlRow } from '../../base/sql-port.ts';
import { sweepDone } from '../compaction.ts';
import { bytesOf, numberOf } from '../rows.ts';
import { schemaFormat, UnknownStoreFormat } from '../schema.ts';
import { type HeadRecord, headTables, readHead } from './snapshot-head.ts';
import {
  allParts,
  beforeBatches,
  beforeVersions,
  decodeCursor,
  encodeCursor,
  isSameName,
  isSameCursor,
  type PageRecord,
  readPage,
  type SnapshotName,
  withinBatch,
} from './snapshot-page.ts';
import {
  clearStagingStep,
  hasStaging,
  prepareStaging,
  progressTable,
  stagingName,
  swapStaging,
} from './snapshot-staging.ts';
import { StagedRows, StagedVersions } from './staged-rows.ts';

/**
 * `cursor`: the row after which the next page must begin. Null: the next page is the first. `isComplete`: the last page
 * was written.
 */
export type SnapshotProgress = {
  readonly name: SnapshotName;
  readonly cursor: Uint8Array | null;
  readonly isComplete: boolean;
};

type Under = SnapshotProgress & { readonly format: number };

/** A store of an older format is upgraded as soon as it is opened, so no replica sends one. */
const schemaFormatMin = 2;

const selectProgress = `SELECT log_index, revision, compacted, format, place, complete FROM ${progressTable}`;
const insertProgress = `INSERT INTO ${progressTable} VALUES (1, ?, ?, ?, ?, NULL, 0)`;
const updateProgress = `UPDATE ${progressTable} SET place = ?, complete = ?`;
const meta = stagingName('mvcc_meta');
const selectStagedMeta = `SELECT value FROM ${meta} WHERE name = ?`;
const insertSweep = `INSERT INTO ${meta} (name, value) VALUES ('sweep', ?)`;
const selectNewestBatch = `SELECT last_revision, log_index, part FROM ${stagingName('batches')}
  ORDER BY last_revision DESC, log_index DESC, part DESC LIMIT 1`;

const selectLastParts = `SELECT part, length(body) FROM ${stagingName('batches')}
  WHERE last_revision = ? AND log_index = ? ORDER BY part DESC LIMIT ?`;
const deletePart = `DELETE FROM ${stagingName('batches')} WHERE last_revision = ? AND log_index = ? AND part = ?`;

export class SnapshotSink {
  readonly #sql: SqlPort;

  constructor(sql: SqlPort) {
    this.#sql = sql;
  }

  /** Null: no snapshot is under way. */
  get progress(): SnapshotProgress | null {
    const under = this.#under();
    return under === null ? null : { name: under.name, cursor: under.cursor, isComplete: under.isComplete };
  }

  /**
   * Begins a snapshot, with all parts of its head. One that is under way is abandoned. @throws MalformedBytesError, or
   * UnknownStoreFormat where a newer version wrote the store. A call here that throws changes nothing.
   */
  begin(name: SnapshotName, head: readonly Uint8Array[]): void {
    this.#sql.transaction(() => {
      const { format, records } = readHead(head, name);
      if (format > schemaFormat) {
        throw new UnknownStoreFormat(`a snapshot has format ${format}, this version knows up to ${schemaFormat}`);
      }
      if (format < schemaFormatMin) throw new MalformedBytesError(`a snapshot has format ${format}`);
      prepareStaging(this.#sql, format);
      this.#sql.run(insertProgress, name.index, name.revision, name.compacted, format);
      writeHead(this.#sql, format, records);
      const isWhole = this.#stagedMeta('format') === format && (this.#stagedMeta('compacted') ?? -1) === name.compacted;
      if (!isWhole) throw new MalformedBytesError('the head is not of the snapshot that it names');
      // No page has rows that compaction made superfluous.
      if (name.compacted >= 0) this.#sql.run(insertSweep, sweepDone(name.compacted));
    });
  }

  /** Takes the next page, with the `next` that its sender told. @throws MalformedBytesError for any other page. */
  write(page: Uint8Array, next: Uint8Array | null): void {
    const under = this.#under();
    assert(under !== null, 'pages belong to a snapshot that was begun');
    const { name, from, records } = readPage(page);
    if (!isSameName(name, under.name)) throw new MalformedBytesError('a page of another snapshot');
    if (!isSameCursor(from, under.cursor)) throw new MalformedBytesError('a page out of order');
    this.#sql.transaction(() => {
      const { to, isLast } = writeRecords(this.#sql, under, records);
      if (!isSameCursor(next, isLast ? null : to)) throw new MalformedBytesError('a page that goes on elsewhere');
      // What is kept as the cursor is read again, so it must be one.
      decodeCursor(to);
      if (isLast) this.#checkNewest(name);
      this.#sql.run(updateProgress, to, isLast ? 1 : 0);
    });
  }

  /**
   * Goes back to where any replica can go on: if the snapshot has come as far as into a batch, what has come of that
   * batch is deleted, some rows at a time. True: there is more to delete.
   */
  rewindStep(): boolean {
    const cursor = this.#under()?.cursor ?? null;
    const within = cursor === null ? null : withinBatch(decodeCursor(cursor));
    if (within === null) return false;
    const { lastRevision, logIndex: index } = within;
    return this.#sql.transaction(() => {
      let bytes = 0;
      for (const [part, length] of this.#sql.all(selectLastParts, lastRevision, index, clearingStepRows)) {
        this.#sql.run(deletePart, lastRevision, index, numberOf(part));
        bytes += numberOf(length);
        if (bytes >= clearingStepBytes) break;
      }
      const [last, entry, part] = this.#sql.all(selectNewestBatch)[0] ?? [];
      const isSame = last === lastRevision && entry === index;
      const before = { kind: 'batches', lastRevision: numberOf(last ?? 0), logIndex: numberOf(entry ?? 0) } as const;
      const reached = last === undefined ? beforeBatches : { ...before, part: isSame ? numberOf(part) : allParts };
      this.#sql.run(updateProgress, encodeCursor(reached), 0);
      return isSame;
    });
  }

  /**
   * The snapshot, all of which must have come, is the store from now on; `clearStep` deletes the rows of the former
   * store. The store must be opened anew, and readers of the former store must not read on.
   */
  finish(): void {
    const under = this.#under();
    assert(under?.isComplete === true, 'a snapshot is complete before it becomes the store');
    this.#sql.transaction(() => swapStaging(this.#sql, under.format));
  }

  /** Abandons the snapshot that is under way. The store is as it was, and `clearStep` deletes what has come. */
  abandon(): void {
    if (hasStaging(this.#sql)) this.#sql.run(`DELETE FROM ${progressTable}`);
  }

  /**
   * Deletes some rows that an abandoned snapshot, or a replaced store, has left. False: nothing is left. Such rows
   * hinder only the beginning of the next snapshot, which deletes those that are still there at once.
   */
  clearStep(): boolean {
    assert(this.#under() === null, 'a snapshot that is under way is not cleared away');
    return this.#sql.transaction(() => clearStagingStep(this.#sql));
  }

  #under(): Under | null {
    if (!hasStaging(this.#sql)) return null;
    const row = this.#sql.all(selectProgress)[0];
    if (row === undefined) return null;
    const [index, at, compacted, format, place, complete] = row;
    return {
      name: {
        index: logIndex(numberOf(index)),
        revision: revision(numberOf(at)),
        compacted: numberOf(compacted),
      },
      format: numberOf(format),
      cursor: place === null ? null : bytesOf(place),
      isComplete: complete === 1,
    };
  }

  #stagedMeta(name: string): SqlRow[number] {
    return this.#sql.all(selectStagedMeta, name)[0]?.[0] ?? null;
  }

  /** The newest batch of a store tells its revision and its applied index. */
  #checkNewest(name: SnapshotName): void {
    const [last, index] = this.#sql.all(selectNewestBatch)[0] ?? [1, 0];
    if (last !== name.revision || index !== name.index) throw new MalformedBytesError('a snapshot without its end');
  }
}

function writeHead(sql: SqlPort, format: number, records: Iterable<HeadRecord>): void {
  const tables = headTables(format);
  let rows: StagedRows | null = null;
  for (const record of records) {
    if (record.kind === 'row') {
      assert(rows !== null, 'the table of a row comes first');
      rows.add(record.row);
      continue;
    }
    const { table, names } = record;
    if (!tables.includes(table)) throw new MalformedBytesError('a head with rows of another table');
    rows?.flush();
    rows = new StagedRows(sql, table, names);
  }
  rows?.flush();
}

/** Returns where the page ended. */
function writeRecords(
  sql: SqlPort,
  under: Under,
  records: Iterable<PageRecord>,
): PageRecord & { readonly kind: 'end' } {
  const { cursor, name } = under;
  const after = cursor === null ? beforeVersions : decodeCursor(cursor);
  const versions = new StagedVersions(sql, { after, revision: name.revision });
  let batches: StagedRows | null = null;
  for (const record of records) {
    switch (record.kind) {
      case 'version':
        versions.add(record.version);
        break;
      case 'columns':
        batches = new StagedRows(sql, 'batches', record.names);
        break;
      case 'batch':
        assert(batches !== null, 'the names of the columns come first');
        batches.add(record.row);
        break;
      case 'end':
        versions.flush();
        batches?.flush();
        return record;
      default:
        return unreachable(record);
    }
  }
  throw new MalformedBytesError('a page without its end');
}
