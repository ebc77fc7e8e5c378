// Writes one revision: puts and deletes, with the rows they take and the events they make. What may be written was decided
// before: nothing here fails.

import { type LeaseId, noLease, type Revision, revision as asRevision } from '../brands.ts';
import { emptyBytes } from '../bytes.ts';
import { previousKeptBytesMax } from '../limits.ts';
import type { KeyRange, KeyValue, StoreEvent } from '../model.ts';
import type { SqlPort } from '../sql-port.ts';
import { type KeySpan, spanOf } from './key-range.ts';
import { scanPairs } from './range-scan.ts';
import { keyValueOf, leaseColumn, numberOf, pairColumns } from './rows.ts';
import { inlineValueBytesMax } from './schema.ts';

const supersedeColumns = 'INSERT INTO superseded (key, mod, until, created, version, lease, value, large)';
const supersedeSelect = 'SELECT key, mod, ?1, created, version, lease, value, large FROM head WHERE';
/** Moves the newest version aside and hands it over, in one statement; no row where the key does not exist. */
const supersedeOne = `${supersedeColumns} ${supersedeSelect} key = ?2 RETURNING ${pairColumns}`;
const supersedeFrom = `${supersedeColumns} ${supersedeSelect} key >= ?2`;
const supersedeBetween = `${supersedeColumns} ${supersedeSelect} key >= ?2 AND key < ?3`;
const deleteOne = 'DELETE FROM head WHERE key = ?';
const deleteFrom = 'DELETE FROM head WHERE key >= ?';
const deleteBetween = 'DELETE FROM head WHERE key >= ? AND key < ?';
const replaceHead =
  'INSERT OR REPLACE INTO head (key, mod, created, version, lease, value, large) VALUES (?, ?, ?, ?, ?, ?, ?)';
const insertLarge = 'INSERT INTO large_values (bytes) VALUES (?) RETURNING id';
/** Versions of a key end in the order in which they began: only the newest earlier one can end at that revision. */
const previousAt = `SELECT ${pairColumns} FROM
  (SELECT * FROM superseded WHERE key = ?1 AND mod < ?2 ORDER BY mod DESC LIMIT 1) WHERE until = ?2`;

export type PutPair = { readonly key: Uint8Array; readonly value: Uint8Array; readonly lease: LeaseId };

export class RevisionWriter {
  readonly revision: Revision;
  readonly events: StoreEvent[] = [];
  /** How many keys there are more than before (or fewer). */
  keysAdded = 0;
  readonly #sql: SqlPort;
  #previousBytes = 0;

  constructor(sql: SqlPort, revision: Revision) {
    this.#sql = sql;
    this.revision = revision;
  }

  /** Answers the pair as it was, as the revision so far left it. */
  put(pair: PutPair): KeyValue | null {
    const previous = this.#supersede(pair.key);
    const { revision } = this;
    const kv: KeyValue = {
      key: pair.key,
      value: pair.value,
      lease: pair.lease,
      createRevision: previous?.createRevision ?? revision,
      modRevision: revision,
      version: (previous?.version ?? 0) + 1,
    };
    const isLarge = pair.value.byteLength > inlineValueBytesMax;
    const large = isLarge ? numberOf(this.#sql.all(insertLarge, pair.value)[0]?.[0]) : null;
    const lease = leaseColumn(kv.lease);
    const value = isLarge ? null : pair.value;
    this.#sql.run(replaceHead, kv.key, revision, kv.createRevision, kv.version, lease, value, large);
    if (previous === null) this.keysAdded++;
    this.events.push({ type: 'put', kv, previous });
    return previous;
  }

  /** Answers how many keys were deleted. */
  deleteRange(range: KeyRange): number {
    const span = spanOf(range);
    const deleted = span.kind === 'single' ? this.#deleteOne(span.key) : this.#deleteSpan(span);
    this.keysAdded -= deleted;
    return deleted;
  }

  #supersede(key: Uint8Array): KeyValue | null {
    const row = this.#sql.all(supersedeOne, this.revision, key)[0];
    return row === undefined ? null : keyValueOf(row);
  }

  #deleteOne(key: Uint8Array): number {
    const previous = this.#supersede(key);
    if (previous === null) return 0;
    this.#sql.run(deleteOne, key);
    this.events.push({ type: 'delete', kv: deletedPair(key, this.revision), previous });
    return 1;
  }

  #deleteSpan(span: Exclude<KeySpan, { kind: 'single' }>): number {
    const before = this.events.length;
    for (const pair of this.#eachDeleted(span)) this.events.push(pair);
    const deleted = this.events.length - before;
    if (deleted === 0) return 0;
    if (span.kind === 'open') {
      this.#sql.run(supersedeFrom, this.revision, span.from);
      this.#sql.run(deleteFrom, span.from);
    } else {
      this.#sql.run(supersedeBetween, this.revision, span.from, span.to);
      this.#sql.run(deleteBetween, span.from, span.to);
    }
    return deleted;
  }

  /** Beyond some bytes, the pairs as they were are left in the database: deleting everything must not load everything. */
  *#eachDeleted(span: KeySpan): Generator<StoreEvent, void, void> {
    const scan = { span, asOf: 'head', filter: null, descending: false, values: true, limit: null } as const;
    let lastKey: Uint8Array | null = null;
    for (const previous of scanPairs(this.#sql, scan)) {
      lastKey = previous.key;
      this.#previousBytes += previous.key.byteLength + previous.value.byteLength;
      yield { type: 'delete', kv: deletedPair(previous.key, this.revision), previous };
      if (this.#previousBytes > previousKeptBytesMax) break;
    }
    if (lastKey === null || this.#previousBytes <= previousKeptBytesMax) return;
    const from = keyAfter(lastKey);
    const rest: KeySpan = span.kind === 'bounded' ? { kind: 'bounded', from, to: span.to } : { kind: 'open', from };
    for (const { key } of scanPairs(this.#sql, { ...scan, span: rest, values: false })) {
      yield new LateDeleteEvent(this.#sql, key, this.revision);
    }
  }
}

/** A delete whose earlier pair is read when it is looked at: while the event is handed out, so before any compaction. */
export class LateDeleteEvent {
  readonly type = 'delete';
  readonly kv: KeyValue;
  readonly #sql: SqlPort;

  constructor(sql: SqlPort, key: Uint8Array, revision: Revision) {
    this.#sql = sql;
    this.kv = deletedPair(key, revision);
  }

  get previous(): KeyValue | null {
    return previousPair(this.#sql, this.kv.key, this.kv.modRevision);
  }
}

/** The pair as it was before `revision`, which put or deleted the key; null where it did not exist (or is compacted). */
export function previousPair(sql: SqlPort, key: Uint8Array, revision: Revision): KeyValue | null {
  const row = sql.all(previousAt, key, revision)[0];
  return row === undefined ? null : keyValueOf(row);
}

const revisionZero = asRevision(0);

/** What a delete event shows. */
export function deletedPair(key: Uint8Array, revision: Revision): KeyValue {
  return { key, value: emptyBytes, createRevision: revisionZero, modRevision: revision, version: 0, lease: noLease };
}

/** The first key after a key. */
export function keyAfter(key: Uint8Array): Uint8Array {
  const after = new Uint8Array(key.byteLength + 1);
  after.set(key);
  return after;
}
