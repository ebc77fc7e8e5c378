// Forgets history. A compaction counts at once, as a number. Its rows are deleted later, in steps as small as the host
// likes. No answer depends on how far that is, so replicas need not be equally far. A reader of the whole store, which
// takes many steps, holds the rows that it needs.

import { assert } from '../base/assert.ts';
import type { Revision } from '../model/brands.ts';
import { BinaryReader, BinaryWriter } from '../base/binary.ts';
import { compactionStepBytes, rememberedWritesMax } from '../limits.ts';
import type { StoreFailure } from '../model/store.ts';
import type { SqlPort, SqlRow } from '../base/sql-port.ts';
import { bytesOf, numberOf } from './rows.ts';
import { readMeta, writeMeta } from './schema.ts';

// The superfluous rows between two positions in the order of (key, mod). A version that began at the compacted revision
// itself stays, even if it ended there, too (a transaction may put and delete a key), because a watch may start at that
// revision. The versions that a reader needs stay as well: those that began at its revision or before and that
// compaction had left then.
const inPart = `(key, mod) > (?1, ?2) AND (key, mod) <= (?3, ?4) AND until <= ?5 AND mod < ?5
  AND (mod > ?6 OR (until <= ?7 AND mod < ?7))`;
const deleteLargeBetween = `DELETE FROM large_values WHERE id IN
  (SELECT large FROM superseded WHERE ${inPart} AND large IS NOT NULL)`;
const deleteBetween = `DELETE FROM superseded WHERE ${inPart}`;
const inRest = `(key, mod) > (?1, ?2) AND until <= ?3 AND mod < ?3
  AND (mod > ?4 OR (until <= ?5 AND mod < ?5))`;
const deleteLargeFrom = `DELETE FROM large_values WHERE id IN
  (SELECT large FROM superseded WHERE ${inRest} AND large IS NOT NULL)`;
const deleteFrom = `DELETE FROM superseded WHERE ${inRest}`;
/** SQLite reads the length of a BLOB without its bytes. */
const selectPart = `SELECT key, mod,
  CASE WHEN until <= ?3 AND mod < ?3 THEN ifnull((SELECT length(bytes) FROM large_values WHERE id = large), 0) ELSE 0 END
  FROM superseded WHERE (key, mod) > (?1, ?2) ORDER BY key, mod LIMIT ?4`;

const selectOldestBatch = `SELECT last_revision, writes_total FROM batches ORDER BY last_revision, log_index, part LIMIT 1`;
const selectBatchesPart = `SELECT last_revision, length(body) FROM batches ORDER BY last_revision, log_index, part LIMIT ?`;
const deleteBatches = 'DELETE FROM batches WHERE last_revision < ?1 AND last_revision <= ?2 AND writes_total <= ?3';

type Cursor = { readonly key: Uint8Array; readonly mod: number };
/** `through`: rows are deleted as of this compacted revision. `target`, `after`: the sweep that is under way. */
type Sweep = { readonly through: number; readonly target: number; readonly after: Cursor | null };

/** A moment of the store: its revision, its compacted revision, and how many writes there had been. */
export type Needed = { readonly revision: number; readonly compacted: number; readonly writesTotal: number };
const nothingNeeded: Needed = { revision: -1, compacted: Infinity, writesTotal: Infinity };

/** Before every row: no revision is 0. */
const beginning: Cursor = { key: Uint8Array.of(0), mod: 0 };

export class Compaction {
  readonly #sql: SqlPort;
  #compacted: number;
  #sweep: Sweep;
  readonly #needed = new Set<Needed>();
  /**
   * True: a sweep left rows that were needed. A restart forgets this, and the rows are deleted after the next
   * compaction.
   */
  #left = false;

  constructor(sql: SqlPort) {
    this.#sql = sql;
    this.#compacted = readCompacted(sql);
    this.#sweep = readSweep(sql);
  }

  /** Called when writes were rolled back. What is held stays held. */
  reopen(): void {
    this.#compacted = readCompacted(this.#sql);
    this.#sweep = readSweep(this.#sql);
  }

  /** -1: there was no compaction yet. Reading at the compacted revision is allowed. */
  get compactedRevision(): number {
    return this.#compacted;
  }

  /** Null: the compaction was done. */
  compact(revision: number, current: Revision): StoreFailure | null {
    if (revision <= this.#compacted) return { kind: 'compacted', compactedRevision: this.#compacted };
    if (revision > current) return { kind: 'futureRevision', revision: current };
    writeMeta(this.#sql, 'compacted', revision);
    this.#compacted = revision;
    return null;
  }

  /** The needed rows stay until the returned function is called. They must be there: see `sweptRevision`. */
  hold(needed: Needed): () => void {
    const held = { ...needed };
    this.#needed.add(held);
    return () => void this.#needed.delete(held);
  }

  get isHeld(): boolean {
    return this.#needed.size > 0;
  }

  /**
   * Looks at about `rowsMax` rows, or fewer if their values are large, and deletes those that are not needed. True:
   * there is more to do, whatever is held.
   */
  step(rowsMax: number, writesTotal: number): boolean {
    assert(Number.isSafeInteger(rowsMax) && rowsMax > 0, 'a step looks at one row or more');
    const needed = this.#neededByAny();
    const isDone = this.#sweep.after === null && this.#sweep.through >= this.#compacted;
    const mayTakeLeft = this.#left && needed.compacted >= this.#compacted;
    if (isDone && !mayTakeLeft) return this.#stepBatches(rowsMax, writesTotal, needed);
    if (this.#sweep.after === null) this.#left = false;
    const sweep = this.#sql.turn(() => this.#stepVersions(rowsMax, needed));
    this.#sweep = sweep;
    if (needed.compacted < sweep.target) this.#left = true;
    return true;
  }

  #neededByAny(): Needed {
    let { revision, compacted, writesTotal } = nothingNeeded;
    for (const needed of this.#needed) {
      revision = Math.max(revision, needed.revision);
      compacted = Math.min(compacted, needed.compacted);
      writesTotal = Math.min(writesTotal, needed.writesTotal);
    }
    return { revision, compacted, writesTotal };
  }

  /**
   * A sweep deletes only what its target made superfluous, because snapshots must know which revisions are still whole.
   * A reader that comes during a sweep needs nothing that it deletes.
   */
  #stepVersions(rowsMax: number, needed: Needed): Sweep {
    const under = this.#sweep.after === null ? { target: this.#compacted, after: beginning } : this.#sweep;
    const held = [needed.revision, Math.min(needed.compacted, under.target)] as const;
    const after = under.after ?? beginning;
    const part = this.#sql.all(selectPart, after.key, after.mod, under.target, rowsMax);
    const end = partEnd(part, 2, rowsMax);
    const through = this.#sweep.through;
    if (end === undefined) {
      this.#sql.run(deleteLargeFrom, after.key, after.mod, under.target, ...held);
      this.#sql.run(deleteFrom, after.key, after.mod, under.target, ...held);
      return this.#saved({ through: under.target, target: under.target, after: null });
    }
    const to: Cursor = { key: bytesOf(end[0]), mod: numberOf(end[1]) };
    this.#sql.run(deleteLargeBetween, after.key, after.mod, to.key, to.mod, under.target, ...held);
    this.#sql.run(deleteBetween, after.key, after.mod, to.key, to.mod, under.target, ...held);
    return this.#saved({ through, target: under.target, after: to });
  }

  #saved(sweep: Sweep): Sweep {
    writeMeta(this.#sql, 'sweep', encodeSweep(sweep));
    return sweep;
  }

  /**
   * A batch is deleted once its revisions are compacted and its writes are no longer remembered. The newest always
   * stays.
   */
  #stepBatches(rowsMax: number, writesTotal: number, needed: Needed): boolean {
    const compacted = Math.min(this.#compacted, needed.compacted);
    const writesMax = Math.min(writesTotal, needed.writesTotal) - rememberedWritesMax;
    const oldest = this.#sql.all(selectOldestBatch)[0];
    if (oldest === undefined || numberOf(oldest[0]) >= compacted || numberOf(oldest[1]) > writesMax) return false;
    const end = partEnd(this.#sql.all(selectBatchesPart, rowsMax), 1, rowsMax);
    const to = end === undefined ? compacted : numberOf(end[0]);
    this.#sql.run(deleteBatches, compacted, to, writesMax);
    return true;
  }
}

/**
 * The row at which enough bytes, counted in that column, or enough rows have come together. None: less than that is
 * left.
 */
function partEnd(rows: readonly SqlRow[], bytesColumn: number, rowsMax: number): SqlRow | undefined {
  let bytes = 0;
  return rows.find((row, place) => {
    bytes += numberOf(row[bytesColumn]);
    return bytes >= compactionStepBytes || place === rowsMax - 1;
  });
}

/** Rows that only revisions below this one need may be deleted, except those that are held. -1: none is deleted. */
export function sweptRevision(sql: SqlPort): number {
  const { through, target, after } = readSweep(sql);
  return after === null ? through : target;
}

/**
 * The value of `sweep` in a store that was written without the rows that compaction at that revision makes superfluous.
 */
export function sweepDone(compacted: number): Uint8Array {
  return encodeSweep({ through: compacted, target: compacted, after: null });
}

function readCompacted(sql: SqlPort): number {
  const compacted = readMeta(sql, 'compacted');
  return compacted === null ? -1 : numberOf(compacted);
}

function readSweep(sql: SqlPort): Sweep {
  const sweep = readMeta(sql, 'sweep');
  return sweep === null ? { through: -1, target: -1, after: null } : decodeSweep(bytesOf(sweep));
}

function encodeSweep(sweep: Sweep): Uint8Array {
  const writer = new BinaryWriter(64);
  writer.varint(sweep.through + 1);
  writer.varint(sweep.target + 1);
  writer.boolean(sweep.after !== null);
  if (sweep.after !== null) {
    writer.bytes(sweep.after.key);
    writer.varint(sweep.after.mod);
  }
  return writer.finish();
}

function decodeSweep(bytes: Uint8Array): Sweep {
  const reader = new BinaryReader(bytes);
  const through = reader.varint() - 1;
  const target = reader.varint() - 1;
  const after = reader.boolean() ? { key: reader.bytes(), mod: reader.varint() } : null;
  reader.end();
  return { through, target, after };
}
