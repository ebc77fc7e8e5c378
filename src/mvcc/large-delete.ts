// Deletes very many keys, those of a range or of leases, in bounded steps. All of them belong to one entry of the log,
// and nothing of it is seen before the last step: the versions that were moved are still present at the revision
// before, where readers look meanwhile. The progress is written in the same transaction as the rows, so the delete goes
// on after a crash. It leaves, row by row and in its hash, what deleting all keys at once leaves; only the record of
// the batch has more and smaller parts.

import { assert } from '../base/assert.ts';
import { BinaryReader, BinaryWriter } from '../base/binary.ts';
import {
  type LeaseId,
  leaseId,
  type LogIndex,
  logIndex,
  type Revision,
  revision as asRevision,
} from '../model/brands.ts';
import { emptyBytes } from '../base/bytes.ts';
import { deleteMeasureFactor, deleteStepKeyBytes, previousKeptBytesMax, rangeAnswerBytesMax } from '../limits.ts';
import type { Operation } from '../model/store.ts';
import type { SqlPort, SqlRow, SqlValue } from '../base/sql-port.ts';
import { type Batches, type BatchId, type Hashed, writeChangedKey } from './batches.ts';
import { crc32 } from './hash/checksum.ts';
import { type KeySpan, spanOf } from '../model/key-range.ts';
import { pairOverheadBytes } from './range.ts';
import { bytesOf, keyValueOf, numberOf, pairColumns, valueLength } from './rows.ts';
import { addEvent, addLateDelete, hashOfParts } from './hash/running-hash.ts';
import { markUnderWay, readMeta, unmarkUnderWay, writeMeta } from './schema.ts';

/** What is deleted in one revision: the keys of a range, or those of a lease. */
export type DeletedKeys =
  | { readonly kind: 'span'; readonly span: Exclude<KeySpan, { readonly kind: 'single' }> }
  | { readonly kind: 'lease'; readonly id: LeaseId };

/**
 * An operation that may delete very many keys. Other operations delete as many keys as they name. (The ranges of a
 * transaction are bounded by a refusal.)
 */
export function mayDeleteMany(operation: Operation): operation is LargeDeletion {
  if (operation.kind === 'deleteRange') return spanOf(operation.request).kind !== 'single';
  return operation.kind === 'leaseRevoke' || operation.kind === 'leaseExpire';
}

export type LargeDeletion = Extract<Operation, { readonly kind: 'deleteRange' | 'leaseRevoke' | 'leaseExpire' }>;

/** `keys`: the number of keys. `recordBytes`: the bytes that they take in the record of the batch. */
type Deletion = { readonly deleted: DeletedKeys; readonly keys: number; readonly recordBytes: number };

/**
 * `moved`, `previousBytes`: the keys moved by the `nth` deletion, which is under way, and the bytes of previous pairs,
 * as RevisionWriter counts them.
 */
type Progress = {
  readonly index: LogIndex;
  /** The revision of the store before the entry. Nothing of a later revision is seen. */
  readonly before: Revision;
  readonly deletions: readonly Deletion[];
  nth: number;
  moved: number;
  previousBytes: number;
  parts: number;
  /** What the running hash takes: the record so far, and what the record does not say of the events. */
  recordCrc: number;
  eventsCrc: number;
  eventsBytes: number;
};

const progressVersion = 1;

const supersede = `INSERT INTO superseded (key, mod, until, created, version, lease, value, large)
  SELECT key, mod, ?1, created, version, lease, value, large FROM head WHERE`;
const between = 'key >= ?2 AND key <= ?3';
const supersedeBetween = `${supersede} ${between}`;
const deleteBetween = 'DELETE FROM head WHERE key >= ? AND key <= ?';
const detachBetween = `DELETE FROM lease_keys WHERE (lease, key) IN
  (SELECT lease, key FROM head WHERE lease IS NOT NULL AND key >= ? AND key <= ?)`;
const someAttached = 'SELECT 1 FROM lease_keys LIMIT 1';
const supersedeOfLease = `${supersede} key IN (SELECT key FROM lease_keys WHERE lease = ?2 AND key <= ?3)`;
const deleteOfLease = 'DELETE FROM head WHERE key IN (SELECT key FROM lease_keys WHERE lease = ? AND key <= ?)';
const detachOfLease = 'DELETE FROM lease_keys WHERE lease = ? AND key <= ?';

// In the record a key has a byte for its kind before it, and its length: one byte up to 127, and two above.
const measureColumns =
  'COUNT(*), MAX(key), ifnull(SUM(length(key) + CASE WHEN length(key) < 128 THEN 2 ELSE 3 END), 0)';
const pairsColumn = `, ifnull(SUM(length(key) + ${valueLength} + ${pairOverheadBytes}), 0)`;

/**
 * `lastKey`: the last key that was looked at, if there may be more. `answerBytes`: the bytes of the pairs, if they are
 * asked for.
 */
type Measured = {
  readonly keys: number;
  readonly lastKey: Uint8Array | null;
  readonly recordBytes: number;
  readonly answerBytes: number;
};

/** The first keys after a key (null: of all keys). No value is read for this. */
function measureSome(
  sql: SqlPort,
  deleted: DeletedKeys,
  options: { readonly after: Uint8Array | null; readonly rowsMax: number; readonly pairs: boolean },
): Measured {
  const { rowsMax } = options;
  const [count, lastKey = null, recordBytes, answerBytes = 0] = measuredRow(sql, deleted, options);
  const keys = numberOf(count);
  return {
    keys,
    lastKey: keys < rowsMax ? null : bytesOf(lastKey),
    recordBytes: numberOf(recordBytes),
    answerBytes: numberOf(answerBytes),
  };
}

function measuredRow(sql: SqlPort, deleted: DeletedKeys, options: Parameters<typeof measureSome>[2]): SqlRow {
  const { after, rowsMax, pairs } = options;
  const lower = after === null ? '>=' : '>';
  if (deleted.kind === 'lease') {
    const rows = `SELECT key FROM lease_keys WHERE lease = ? AND key ${lower} ? ORDER BY key LIMIT ?`;
    const bindings = [String(deleted.id), after ?? emptyBytes, rowsMax] as const;
    return sql.all(`SELECT ${measureColumns} FROM (${rows})`, ...bindings)[0] ?? [];
  }
  const { span } = deleted;
  const bindings: SqlValue[] = [after ?? span.from, rowsMax];
  if (span.kind === 'bounded') bindings.push(span.to);
  const upper = span.kind === 'bounded' ? ' AND key < ?3' : '';
  const rows = `SELECT key, value, large FROM head WHERE key ${lower} ?1${upper} ORDER BY key LIMIT ?2`;
  return sql.all(`SELECT ${measureColumns}${pairs ? pairsColumn : ''} FROM (${rows})`, ...bindings)[0] ?? [];
}

/** Whether there are more keys than that, of all deletions together. */
export function holdsMoreKeys(sql: SqlPort, all: readonly DeletedKeys[], keysMax: number): boolean {
  let left = keysMax;
  for (const deleted of all) {
    left -= measureSome(sql, deleted, { after: null, rowsMax: left + 1, pairs: false }).keys;
    if (left < 0) return true;
  }
  return false;
}

/** Goes in steps. Null: the pairs were asked for, and are more than an answer holds. */
export function* measureDeletions(
  sql: SqlPort,
  all: readonly DeletedKeys[],
  options: { readonly rowsMax: number; readonly answersPairs: boolean },
): Generator<void, readonly Deletion[] | null, void> {
  const rowsMax = options.rowsMax * deleteMeasureFactor;
  const deletions: Deletion[] = [];
  let [answerBytes, measured] = [0, 0];
  for (const deleted of all) {
    let [keys, recordBytes] = [0, 0];
    for (let after: Uint8Array | null = null; ;) {
      const some: Measured = measureSome(sql, deleted, { after, rowsMax, pairs: options.answersPairs });
      keys += some.keys;
      recordBytes += some.recordBytes;
      answerBytes += some.answerBytes;
      if (answerBytes > rangeAnswerBytesMax) return null;
      measured += some.keys + 1;
      if (measured >= rowsMax) {
        measured = 0;
        yield;
      }
      after = some.lastKey;
      if (after === null) break;
    }
    deletions.push({ deleted, keys, recordBytes });
  }
  return deletions;
}

export class LargeDelete {
  readonly #sql: SqlPort;
  readonly #batches: Batches;
  readonly #progress: Progress;
  /** The revision of the store after each of the deletions: one that has keys makes a revision. */
  readonly #revisions: readonly Revision[];
  /** The number of all changes in the record. */
  readonly #changesBytes: number;

  private constructor(sql: SqlPort, batches: Batches, progress: Progress) {
    this.#sql = sql;
    this.#batches = batches;
    this.#progress = progress;
    const revisions: Revision[] = [];
    let [revision, changesBytes] = [progress.before, 0];
    for (const { keys, recordBytes } of progress.deletions) {
      if (keys > 0) {
        revision = asRevision(revision + 1);
        changesBytes += varintBytes(revision) + varintBytes(keys) + recordBytes;
      }
      revisions.push(revision);
    }
    this.#revisions = revisions;
    this.#changesBytes = changesBytes;
    batches.hideAfter(progress.before);
  }

  /** The delete that was under way when the store was closed. Null: none was. */
  static resume(sql: SqlPort, batches: Batches): LargeDelete | null {
    const progress = readMeta(sql, 'underWay');
    return progress === null ? null : new LargeDelete(sql, batches, decodeProgress(bytesOf(progress)));
  }

  /** `hash`: the running hash before the entry. 0: the level of the group has none. */
  static begin(
    sql: SqlPort,
    batches: Batches,
    entry: Pick<Progress, 'index' | 'before' | 'deletions'> & { readonly hash: number },
  ): LargeDelete {
    const { index, before, deletions, hash } = entry;
    const counts = { nth: 0, moved: 0, previousBytes: 0, parts: 0, eventsCrc: 0, eventsBytes: 0 };
    markUnderWay(sql);
    return new LargeDelete(sql, batches, { index, before, deletions, ...counts, recordCrc: hash });
  }

  get index(): LogIndex {
    return this.#progress.index;
  }

  /** The revision of the store once the delete is done. */
  get lastRevision(): Revision {
    return this.#revisions.at(-1) ?? this.#progress.before;
  }

  /** The number of keys that there were. */
  get keys(): number {
    return this.#progress.deletions.reduce((sum, { keys }) => sum + keys, 0);
  }

  /** The revision before the delete, at which the deleted pairs can still be read. */
  get before(): Revision {
    return this.#progress.before;
  }

  /** The leases whose keys it deletes. */
  get leases(): readonly LeaseId[] {
    return this.#progress.deletions.flatMap(({ deleted }) => (deleted.kind === 'lease' ? [deleted.id] : []));
  }

  /** True: no key is left to delete, and the last step comes next. */
  get hasMoved(): boolean {
    return this.#progress.nth === this.#progress.deletions.length;
  }

  /** Moves at most so many keys. `writesTotal`: the number of remembered writes once the entry is applied. */
  step(rowsMax: number, writesTotal: number): void {
    const progress = this.#progress;
    const made: Made = { record: new BinaryWriter(4_096), details: new BinaryWriter(4_096) };
    if (progress.parts === 0) made.record.varint(this.#changesBytes);
    for (let left = rowsMax; left > 0 && made.record.length < deleteStepKeyBytes;) {
      const deletion = progress.deletions[progress.nth];
      if (deletion === undefined) break;
      if (progress.moved < deletion.keys) left -= this.#move(deletion, left, made);
      if (progress.moved === deletion.keys) this.#goToNext();
    }
    progress.eventsCrc = crc32(made.details.finish(), progress.eventsCrc);
    progress.eventsBytes += made.details.length;
    this.#append(made.record.finish(), writesTotal, null);
    writeMeta(this.#sql, 'underWay', encodeProgress(progress));
  }

  /**
   * The last step, from which on everything that was written is seen. `writes`: the ids of the entry's writes with
   * their outcomes, as they stand in the record. `hashed`: the hash that the last row has.
   */
  finish(writes: Uint8Array, writesTotal: number, hashed: (written: number) => Hashed | null): BatchId {
    const progress = this.#progress;
    assert(this.hasMoved, 'all keys have moved');
    const { lastRevision: revision } = this;
    const recordBytes = varintBytes(this.#changesBytes) + this.#changesBytes + writes.byteLength;
    const { eventsCrc, eventsBytes } = progress;
    const recordCrc = crc32(writes, progress.recordCrc);
    const written = hashOfParts({ recordCrc, recordBytes, eventsCrc, eventsBytes, revision, writesTotal });
    this.#append(writes, writesTotal, hashed(written));
    unmarkUnderWay(this.#sql);
    this.#batches.showAll();
    return { lastRevision: revision, logIndex: progress.index };
  }

  /** Returns how many keys it moved. */
  #move(deletion: Deletion, rowsMax: number, made: Made): number {
    const progress = this.#progress;
    const { deleted } = deletion;
    const revision = this.#revisions[progress.nth];
    assert(revision !== undefined, 'a deletion has its revision');
    if (progress.moved === 0) {
      made.record.varint(revision);
      made.record.varint(deletion.keys);
    }
    const keys =
      progress.previousBytes > previousKeptBytesMax
        ? this.#moveLate(deleted, rowsMax, made)
        : this.#moveSeen(deleted, rowsMax, made);
    const [first, last] = [keys[0], keys.at(-1)];
    assert(first !== undefined && last !== undefined, 'as many keys are deleted as were counted');
    for (const key of keys) writeChangedKey(made.record, { type: 'delete', key });
    this.#moveRows(deleted, revision, { first, last });
    progress.moved += keys.length;
    assert(progress.moved <= deletion.keys, 'no more keys are deleted than were counted');
    return keys.length;
  }

  /** The first keys of a revision, whose previous pairs count in the hash. */
  #moveSeen(deleted: DeletedKeys, rowsMax: number, { details }: Made): readonly Uint8Array[] {
    const progress = this.#progress;
    let [count, bytes] = [0, progress.previousBytes];
    const bytesMax = Math.min(previousKeptBytesMax, bytes + deleteStepKeyBytes);
    for (const [, pairBytes] of this.#next(deleted, `length(key) + ${valueLength}`, rowsMax)) {
      if (bytes > bytesMax) break;
      bytes += numberOf(pairBytes);
      count++;
    }
    progress.previousBytes = bytes;
    const pairs = this.#next(deleted, pairColumns, count).map((row) => keyValueOf(row, 1));
    for (const previous of pairs) addEvent(details, { type: 'delete', kv: previous, previous });
    return pairs.map(({ key }) => key);
  }

  #moveLate(deleted: DeletedKeys, rowsMax: number, { details }: Made): readonly Uint8Array[] {
    const keys: Uint8Array[] = [];
    let bytes = 0;
    for (const [key] of this.#next(deleted, '0', rowsMax)) {
      keys.push(bytesOf(key));
      bytes += bytesOf(key).byteLength;
      addLateDelete(details);
      if (bytes >= deleteStepKeyBytes) break;
    }
    return keys;
  }

  /** The first keys of those that are left, with these columns. */
  #next(deleted: DeletedKeys, columns: string, rowsMax: number): readonly SqlRow[] {
    if (deleted.kind === 'lease') {
      const keys = 'SELECT key FROM lease_keys WHERE lease = ? ORDER BY key LIMIT ?';
      return this.#sql.all(
        `SELECT key, ${columns} FROM head WHERE key IN (${keys}) ORDER BY key`,
        String(deleted.id),
        rowsMax,
      );
    }
    const { span } = deleted;
    const [upper, bindings] = span.kind === 'bounded' ? [' AND key < ?', [span.to]] : ['', []];
    return this.#sql.all(
      `SELECT key, ${columns} FROM head WHERE key >= ?${upper} ORDER BY key LIMIT ?`,
      span.from,
      ...bindings,
      rowsMax,
    );
  }

  #moveRows(
    deleted: DeletedKeys,
    revision: Revision,
    { first, last }: { readonly first: Uint8Array; readonly last: Uint8Array },
  ): void {
    const sql = this.#sql;
    if (deleted.kind === 'lease') {
      const bindings = [String(deleted.id), last] as const;
      sql.run(supersedeOfLease, revision, ...bindings);
      sql.run(deleteOfLease, ...bindings);
      sql.run(detachOfLease, ...bindings);
      return;
    }
    if (sql.all(someAttached).length > 0) sql.run(detachBetween, first, last);
    sql.run(supersedeBetween, revision, first, last);
    sql.run(deleteBetween, first, last);
  }

  #goToNext(): void {
    const progress = this.#progress;
    progress.nth++;
    progress.moved = 0;
    progress.previousBytes = 0;
  }

  /** An empty part is not appended, such as that of a step over leases without keys. */
  #append(bytes: Uint8Array, writesTotal: number, hashed: Hashed | null): void {
    const progress = this.#progress;
    if (bytes.byteLength === 0) return;
    progress.recordCrc = crc32(bytes, progress.recordCrc);
    const place = { lastRevision: this.lastRevision, logIndex: progress.index };
    this.#batches.appendPart(place, progress.parts++, { writesTotal, bytes, hashed });
  }
}

/** Done in one step. */
type Made = { readonly record: BinaryWriter; readonly details: BinaryWriter };

function varintBytes(value: number): number {
  const writer = new BinaryWriter(16);
  writer.varint(value);
  return writer.length;
}

const kinds: readonly DeletedKeys['kind'][] = ['span', 'lease'];

function encodeProgress(progress: Progress): Uint8Array {
  const writer = new BinaryWriter(256);
  writer.byte(progressVersion);
  for (const name of numbers) writer.varint(progress[name]);
  writer.varint(progress.deletions.length);
  for (const { deleted, keys, recordBytes } of progress.deletions) {
    writer.byte(kinds.indexOf(deleted.kind));
    writer.varint(keys);
    writer.varint(recordBytes);
    if (deleted.kind === 'lease') writer.signed64(deleted.id);
    else {
      writer.bytes(deleted.span.from);
      writer.boolean(deleted.span.kind === 'bounded');
      if (deleted.span.kind === 'bounded') writer.bytes(deleted.span.to);
    }
  }
  return writer.finish();
}

const numbers = [
  'index',
  'before',
  'nth',
  'moved',
  'previousBytes',
  'parts',
  'recordCrc',
  'eventsCrc',
  'eventsBytes',
] as const;

function decodeProgress(bytes: Uint8Array): Progress {
  const reader = new BinaryReader(bytes);
  const version = reader.byte();
  assert(version === progressVersion, `the progress of a large delete of version ${version}`);
  const [
    index = 0,
    before = 0,
    nth = 0,
    moved = 0,
    previousBytes = 0,
    parts = 0,
    recordCrc = 0,
    eventsCrc = 0,
    eventsBytes = 0,
  ] = numbers.map(() => reader.varint());
  const deletions = Array.from({ length: reader.count() }, () => readDeletion(reader));
  reader.end();
  return {
    index: logIndex(index),
    before: asRevision(before),
    deletions,
    nth,
    moved,
    previousBytes,
    parts,
    recordCrc,
    eventsCrc,
    eventsBytes,
  };
}

function readDeletion(reader: BinaryReader): Deletion {
  const kind = kinds[reader.byte()];
  const [keys, recordBytes] = [reader.varint(), reader.varint()];
  if (kind === 'lease') return { deleted: { kind, id: leaseId(reader.signed64()) }, keys, recordBytes };
  assert(kind === 'span', 'a deletion is of a kind that is known');
  const from = reader.bytes();
  const span = reader.boolean()
    ? ({ kind: 'bounded', from, to: reader.bytes() } as const)
    : ({ kind: 'open', from } as const);
  return { deleted: { kind, span }, keys, recordBytes };
}
