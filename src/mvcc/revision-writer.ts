// Writes one revision: puts and deletes, with their events, and their rows or their versions in memory. Whether they
// may be written was decided before, so nothing here fails.

import { type LeaseId, noLease, type Revision, revision as asRevision } from '../model/brands.ts';
import { bytesOfKeyText, emptyBytes, keyText } from '../base/bytes.ts';
import { previousKeptBytesMax, replacedKeptBytesMax } from '../limits.ts';
import type { KeyRange, KeyValue, StoreEvent } from '../model/store.ts';
import type { SqlPort, SqlRow } from '../base/sql-port.ts';
import { type KeySpan, spanOf } from '../model/key-range.ts';
import type { Versions } from './overlay/versions.ts';
import { scanPairs } from './range-scan.ts';
import { keyValueOf, leaseColumn, numberOf, pairColumns, pairColumnsWithoutValue } from './rows.ts';
import { inlineValueBytesMax } from './schema.ts';

const supersedeColumns = 'INSERT INTO superseded (key, mod, until, created, version, lease, value, large)';
const supersedeSelect = 'SELECT key, mod, ?1, created, version, lease, value, large FROM head WHERE';
/** Moves the newest version aside and hands it over, in one statement. There is no row if the key does not exist. */
const supersedeOne = `${supersedeColumns} ${supersedeSelect} key = ?2 RETURNING ${pairColumns}`;
const supersedeUnread = `${supersedeColumns} ${supersedeSelect} key = ?2 RETURNING ${pairColumnsWithoutValue}`;
const supersedeFrom = `${supersedeColumns} ${supersedeSelect} key >= ?2`;
const supersedeBetween = `${supersedeColumns} ${supersedeSelect} key >= ?2 AND key < ?3`;
const ofLease = 'key IN (SELECT key FROM lease_keys WHERE lease = ?2)';
const supersedeOfLease = `${supersedeColumns} ${supersedeSelect} ${ofLease}`;
const deleteOne = 'DELETE FROM head WHERE key = ?';
const deleteFrom = 'DELETE FROM head WHERE key >= ?';
const deleteBetween = 'DELETE FROM head WHERE key >= ? AND key < ?';
const deleteOfLease = 'DELETE FROM head WHERE key IN (SELECT key FROM lease_keys WHERE lease = ?)';
const attachKey = 'INSERT INTO lease_keys (lease, key) VALUES (?, ?)';
const detachKey = 'DELETE FROM lease_keys WHERE lease = ? AND key = ?';
const someAttached = 'SELECT 1 FROM lease_keys LIMIT 1';
const detachColumns =
  'DELETE FROM lease_keys WHERE (lease, key) IN (SELECT lease, key FROM head WHERE lease IS NOT NULL';
const detachFrom = `${detachColumns} AND key >= ?)`;
const detachBetween = `${detachColumns} AND key >= ? AND key < ?)`;
const detachLease = 'DELETE FROM lease_keys WHERE lease = ?';
const attachedAfter = 'FROM head WHERE key IN (SELECT key FROM lease_keys WHERE lease = ?1 AND key > ?2) ORDER BY key';
const attachedPairs = `SELECT ${pairColumns} ${attachedAfter}`;
const attachedPairsWithoutValue = `SELECT ${pairColumnsWithoutValue} ${attachedAfter}`;
const replaceHead =
  'INSERT OR REPLACE INTO head (key, mod, created, version, lease, value, large) VALUES (?, ?, ?, ?, ?, ?, ?)';
const insertLarge = 'INSERT INTO large_values (bytes) VALUES (?) RETURNING id';

export type PutPair = { readonly key: Uint8Array; readonly value: Uint8Array; readonly lease: LeaseId };

/** What the events of an entry keep of the pairs that its puts overwrote. */
export class ReplacedPairs {
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  get isFull(): boolean {
    return this.#bytes >= replacedKeptBytesMax;
  }

  keep({ key, value }: KeyValue): void {
    this.#bytes += key.byteLength + value.byteLength;
  }
}

export class RevisionWriter {
  readonly revision: Revision;
  readonly events: StoreEvent[] = [];
  /** How many more keys there are than before (or fewer). */
  keysAdded = 0;
  readonly #versions: Versions;
  readonly #sql: SqlPort;
  readonly #replaced: ReplacedPairs;
  #previousBytes = 0;

  constructor(versions: Versions, revision: Revision, replaced: ReplacedPairs) {
    this.#versions = versions;
    this.#sql = versions.sql;
    this.#replaced = replaced;
    this.revision = revision;
  }

  /**
   * Returns the previous pair, as the revision so far left it. The pair has no value if it is not `wanted` and much is
   * kept already.
   */
  put(pair: PutPair, wanted: boolean): KeyValue | null {
    const isLate = this.#replaced.isFull;
    const isUnread = isLate && !wanted;
    const previous = this.#versions.writesToMemory
      ? this.#versions.pair(pair.key, 'head', !isUnread)
      : this.#supersede(pair.key, isUnread ? supersedeUnread : supersedeOne);
    const { revision } = this;
    const kv: KeyValue = {
      key: pair.key,
      value: pair.value,
      lease: pair.lease,
      createRevision: previous?.createRevision ?? revision,
      modRevision: revision,
      version: (previous?.version ?? 0) + 1,
    };
    if (this.#versions.writesToMemory) this.#versions.overlay.write(kv.key, { mod: revision, kv }, previous, isUnread);
    else this.#replaceHead(kv, previous);
    if (previous === null) this.keysAdded++;
    if (previous !== null && isLate) this.events.push(new LatePutEvent(this.#versions, kv));
    else this.events.push({ type: 'put', kv, previous });
    if (previous !== null && !isLate) this.#replaced.keep(previous);
    return previous;
  }

  #replaceHead(kv: KeyValue, previous: KeyValue | null): void {
    const isLarge = kv.value.byteLength > inlineValueBytesMax;
    const large = isLarge ? numberOf(this.#sql.all(insertLarge, kv.value)[0]?.[0]) : null;
    const lease = leaseColumn(kv.lease);
    const value = isLarge ? null : kv.value;
    this.#sql.run(replaceHead, kv.key, kv.modRevision, kv.createRevision, kv.version, lease, value, large);
    moveKey(this.#sql, kv.key, { from: previous?.lease ?? noLease, to: kv.lease });
  }

  /** Returns how many keys were deleted. */
  deleteRange(range: KeyRange): number {
    const span = spanOf(range);
    const deleted = span.kind === 'single' ? this.#deleteOne(span.key) : this.#deleteSpan(span);
    this.keysAdded -= deleted;
    return deleted;
  }

  /** Deletes the keys of a lease, in their order. */
  deleteAttached(id: LeaseId): void {
    const lease = String(id);
    const pairs = (after: Uint8Array, values: boolean): Iterable<KeyValue> =>
      pairsOf(this.#sql.iterate(values ? attachedPairs : attachedPairsWithoutValue, lease, after));
    const before = this.events.length;
    for (const event of this.#eachDeleted(pairs)) this.events.push(event);
    const deleted = this.events.length - before;
    if (deleted === 0) return;
    this.#sql.run(supersedeOfLease, this.revision, lease);
    this.#sql.run(deleteOfLease, lease);
    this.#sql.run(detachLease, lease);
    this.keysAdded -= deleted;
  }

  #supersede(key: Uint8Array, statement = supersedeOne): KeyValue | null {
    const row = this.#sql.all(statement, this.revision, key)[0];
    return row === undefined ? null : keyValueOf(row);
  }

  #deleteOne(key: Uint8Array): number {
    const toMemory = this.#versions.writesToMemory;
    const previous = toMemory ? this.#versions.pair(key, 'head', true) : this.#supersede(key);
    if (previous === null) return 0;
    if (toMemory) this.#versions.overlay.write(key, { mod: this.revision, kv: null }, previous);
    else {
      this.#sql.run(deleteOne, key);
      moveKey(this.#sql, key, { from: previous.lease, to: noLease });
    }
    this.events.push({ type: 'delete', kv: deletedPair(key, this.revision), previous });
    return 1;
  }

  #deleteSpan(span: Exclude<KeySpan, { kind: 'single' }>): number {
    const before = this.events.length;
    const scan = { asOf: 'head', filter: null, descending: false, limit: null } as const;
    const pairs = (after: Uint8Array, values: boolean): Iterable<KeyValue> =>
      scanPairs(this.#sql, { ...scan, span: after === emptyBytes ? span : { ...span, from: keyAfter(after) }, values });
    for (const event of this.#eachDeleted(pairs)) this.events.push(event);
    const deleted = this.events.length - before;
    if (deleted === 0) return 0;
    const detaches = this.#sql.all(someAttached).length > 0;
    if (span.kind === 'open') {
      if (detaches) this.#sql.run(detachFrom, span.from);
      this.#sql.run(supersedeFrom, this.revision, span.from);
      this.#sql.run(deleteFrom, span.from);
    } else {
      if (detaches) this.#sql.run(detachBetween, span.from, span.to);
      this.#sql.run(supersedeBetween, this.revision, span.from, span.to);
      this.#sql.run(deleteBetween, span.from, span.to);
    }
    return deleted;
  }

  /**
   * `pairs`: the pairs to be deleted after a key, in order. Beyond some bytes, the previous pairs stay in the database,
   * because deleting everything must not load everything.
   */
  *#eachDeleted(pairs: (after: Uint8Array, values: boolean) => Iterable<KeyValue>): Generator<StoreEvent, void, void> {
    let lastKey: Uint8Array | null = null;
    for (const previous of pairs(emptyBytes, true)) {
      lastKey = previous.key;
      this.#previousBytes += previous.key.byteLength + previous.value.byteLength;
      yield { type: 'delete', kv: deletedPair(previous.key, this.revision), previous };
      if (this.#previousBytes > previousKeptBytesMax) break;
    }
    if (lastKey === null || this.#previousBytes <= previousKeptBytesMax) return;
    for (const { key } of pairs(lastKey, false)) yield new LateDeleteEvent(this.#versions, key, this.revision);
  }
}

function* pairsOf(rows: Iterable<SqlRow>): Generator<KeyValue, void, void> {
  for (const row of rows) yield keyValueOf(row);
}

/** The lease that a key is attached to, before and after. noLease: none. */
export function moveKey(sql: SqlPort, key: Uint8Array, lease: { readonly from: LeaseId; readonly to: LeaseId }): void {
  if (lease.from === lease.to) return;
  if (lease.from !== noLease) sql.run(detachKey, String(lease.from), key);
  if (lease.to !== noLease) sql.run(attachKey, String(lease.to), key);
}

/**
 * A delete whose previous pair is read when it is looked at: while the event is handed out, and so before any
 * compaction. There may be very many of them, and a key as text takes a fifth of the memory of one as bytes.
 */
export class LateDeleteEvent {
  readonly #versions: Versions;
  readonly #key: string;
  readonly #revision: Revision;

  constructor(versions: Versions, key: Uint8Array, revision: Revision) {
    this.#versions = versions;
    this.#key = keyText(key);
    this.#revision = revision;
  }

  get type(): 'delete' {
    return 'delete';
  }

  get kv(): KeyValue {
    return deletedPair(this.#keyBytes(), this.#revision);
  }

  get previous(): KeyValue | null {
    return this.#versions.previousPair(this.#keyBytes(), this.#revision);
  }

  #keyBytes(): Uint8Array {
    return bytesOfKeyText(this.#key);
  }
}

/** The same for a put that overwrote a pair. */
export class LatePutEvent {
  readonly #versions: Versions;
  readonly kv: KeyValue;

  constructor(versions: Versions, kv: KeyValue) {
    this.#versions = versions;
    this.kv = kv;
  }

  get type(): 'put' {
    return 'put';
  }

  get previous(): KeyValue | null {
    return this.#versions.previousPair(this.kv.key, this.kv.modRevision);
  }
}

/** Looking at the previous pair is a read. */
export function isLate(event: StoreEvent): event is LateDeleteEvent | LatePutEvent {
  return event instanceof LateDeleteEvent || event instanceof LatePutEvent;
}

const revisionZero = asRevision(0);

/** The pair that a delete event shows. */
export function deletedPair(key: Uint8Array, revision: Revision): KeyValue {
  return { key, value: emptyBytes, createRevision: revisionZero, modRevision: revision, version: 0, lease: noLease };
}

/** The first key after a key. */
export function keyAfter(key: Uint8Array): Uint8Array {
  const after = new Uint8Array(key.byteLength + 1);
  after.set(key);
  return after;
}
