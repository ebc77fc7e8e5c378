// What each log entry changed, in one row for each entry, or for several small ones (`packed-batch.ts`): the changed
// keys of each revision, for the history, and the ids of the writes with their outcomes, for retries. The newest row
// also tells the revision and the applied index of the store, and its running hash: so it says how far the tables are.
// The batches of entries that are not flushed yet are in memory.

import { assert } from '../base/assert.ts';
import { type LogIndex, logIndex, type Revision, revision } from '../model/brands.ts';
import { BinaryReader, BinaryWriter, MalformedBytesError } from '../base/binary.ts';
import { emptyBytes, joinBytes } from '../base/bytes.ts';
import { batchPartBytesMax, packedBatchBytes } from '../limits.ts';
import type { RevisionEvents, StoreEvent } from '../model/store.ts';
import type { SqlPort, SqlRow } from '../base/sql-port.ts';
import { type BatchRow, contentBytes, packed, rowAfterEntry } from './packed-batch.ts';
import { bytesOf, numberOf } from './rows.ts';

const insertPart = 'INSERT INTO batches (last_revision, log_index, part, writes_total, body) VALUES (?, ?, ?, ?, ?)';
const insertHashedPart = `INSERT INTO batches (last_revision, log_index, part, writes_total, body, hash, scrubbed)
  VALUES (?, ?, ?, ?, ?, ?, ?)`;
const insertDigestedPart = `INSERT INTO batches (last_revision, log_index, part, writes_total, body, hash, scrubbed, digests)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?)`;
const selectDigests = 'SELECT digests FROM batches WHERE last_revision = ? AND log_index = ? AND digests IS NOT NULL';
const packedColumns = 'last_revision, log_index, writes_total, body, hash, scrubbed, digests, earlier';
const selectNewestPacked = `SELECT ${packedColumns}, part FROM batches
  ORDER BY last_revision DESC, log_index DESC, part DESC LIMIT 1`;
const selectPackedFrom = `SELECT ${packedColumns} FROM batches WHERE (last_revision, log_index) >= (?, ?) AND part = 0
  ORDER BY last_revision, log_index LIMIT 1`;
const insertPacked = `INSERT INTO batches (${packedColumns}, part) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0)`;
const replacePacked = `UPDATE batches SET (${packedColumns}) = (?, ?, ?, ?, ?, ?, ?, ?)
  WHERE last_revision = ? AND log_index = ? AND part = 0`;
const selectIdFrom = `SELECT last_revision, log_index FROM batches WHERE (last_revision, log_index) >= (?, ?)
  ORDER BY last_revision, log_index LIMIT 1`;
const selectNewestHash = `SELECT hash, scrubbed FROM batches WHERE last_revision <= ?
  ORDER BY last_revision DESC, log_index DESC, part DESC LIMIT 1`;
const selectNewest = `SELECT last_revision, log_index, writes_total FROM batches WHERE last_revision <= ?
  ORDER BY last_revision DESC, log_index DESC, part DESC LIMIT 1`;
const selectOne = 'SELECT body FROM batches WHERE last_revision = ? AND log_index = ? ORDER BY part';
const selectFrom = `SELECT last_revision, log_index, body FROM batches
  WHERE last_revision >= ? AND last_revision <= ? AND part = 0 ORDER BY last_revision, log_index`;
const selectPart = 'SELECT body FROM batches WHERE last_revision = ? AND log_index = ? AND part = ?';
const selectOldest = `SELECT last_revision, log_index, writes_total FROM batches
  ORDER BY last_revision, log_index, part LIMIT 1`;
const selectIdsNewestFirst = `SELECT last_revision, log_index FROM batches WHERE last_revision <= ? AND part = 0
  ORDER BY last_revision DESC, log_index DESC`;
const selectNewestFirst = `SELECT log_index, body, last_revision, part FROM batches WHERE last_revision <= ?
  ORDER BY last_revision DESC, log_index DESC, part DESC`;

/**
 * The key of a batch's row. `lastRevision` is the store's revision after the batch; entries without a revision share
 * that of the entry before.
 */
export type BatchId = { readonly lastRevision: Revision; readonly logIndex: LogIndex };

/**
 * The running hash after an entry, and the last key that was scrubbed. Null: the next scrub begins with the first key.
 * `digests`: those of the entry's requests (`BatchRecord.digests`).
 */
export type Hashed = {
  readonly hash: number;
  readonly scrubbed: Uint8Array | null;
  readonly digests?: Uint8Array | null;
};

export type BatchPart = { readonly writesTotal: number; readonly bytes: Uint8Array; readonly hashed: Hashed | null };

export type ChangedKey = { readonly type: StoreEvent['type']; readonly key: Uint8Array };
/** `keys` may be iterated again and again. The keys of a revision that changed very many are not all in memory. */
export type ChangedKeys = { readonly revision: Revision; readonly count: number; readonly keys: Iterable<ChangedKey> };
export type WrittenId = { readonly identity: string; readonly outcome: Uint8Array };

/** A batch while it is applied. */
export class BatchRecord {
  readonly #changes = new BinaryWriter(512);
  readonly #writes = new BinaryWriter(512);
  readonly #outcomes = new Map<string, Uint8Array>();
  readonly #digests = new Map<string, { readonly nth: number; readonly digest: bigint }>();

  get isEmpty(): boolean {
    return this.#changes.length === 0 && this.#writes.length === 0;
  }

  addRevision(changed: RevisionEvents): void {
    this.#changes.varint(changed.revision);
    this.#changes.varint(changed.events.length);
    for (const event of changed.events) writeChangedKey(this.#changes, { type: event.type, key: event.kv.key });
  }

  addWrite(identity: string, outcome: Uint8Array, digest: bigint | null): void {
    this.#writes.text(identity);
    this.#writes.bytes(outcome);
    if (digest !== null) this.#digests.set(identity, { nth: this.#outcomes.size, digest });
    this.#outcomes.set(identity, outcome);
  }

  digestOf(identity: string): bigint | null {
    return this.#digests.get(identity)?.digest ?? null;
  }

  /** The digests, each with the position of its write. Null: no write has one. */
  digests(): Uint8Array | null {
    if (this.#digests.size === 0) return null;
    const writer = new BinaryWriter(this.#digests.size * 12);
    for (const { nth, digest } of this.#digests.values()) {
      writer.varint(nth);
      writer.signed64(BigInt.asIntN(64, digest));
    }
    return writer.finish();
  }

  outcomeOf(identity: string): Uint8Array | null {
    return this.#outcomes.get(identity) ?? null;
  }

  /** The last part of the body. */
  writes(): Uint8Array {
    return this.#writes.finish();
  }

  body(): Uint8Array {
    const body = new BinaryWriter(this.#changes.length + this.#writes.length + 8);
    body.bytes(this.#changes.finish());
    body.raw(this.#writes.finish());
    return body.finish();
  }
}

/** If one revision has more keys, they are read from the bytes as they are asked for. */
const keysReadAtOnceMax = 64;

/** The changed keys of each revision of a batch, the oldest first. */
function* changesIn(body: Uint8Array): Generator<ChangedKeys, void, void> {
  const changes = new BinaryReader(body).bytes();
  const reader = new BinaryReader(changes);
  while (reader.remaining > 0) {
    const changed = revision(reader.varint());
    const count = reader.count();
    const start = changes.byteLength - reader.remaining;
    const keys: ChangedKey[] = [];
    for (let read = 0; read < count; read++) {
      const key = readChangedKey(reader);
      if (count <= keysReadAtOnceMax) keys.push(key);
    }
    const end = changes.byteLength - reader.remaining;
    const many = count > keysReadAtOnceMax;
    yield { revision: changed, count, keys: many ? new ManyChangedKeys(changes.subarray(start, end)) : keys };
  }
}

class ManyChangedKeys {
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  *[Symbol.iterator](): Generator<ChangedKey, void, void> {
    const reader = new BinaryReader(this.#bytes);
    while (reader.remaining > 0) yield readChangedKey(reader);
  }
}

export function writeChangedKey(writer: BinaryWriter, { type, key }: ChangedKey): void {
  writer.byte(type === 'put' ? 0 : 1);
  writer.bytes(key);
}

function readChangedKey(reader: BinaryReader): ChangedKey {
  const code = reader.byte();
  if (code > 1) throw new MalformedBytesError(`a change of kind ${code}`);
  return { type: code === 0 ? 'put' : 'delete', key: reader.bytes() };
}

/** The writes of a batch, in their order. */
function* writesIn(body: Uint8Array): Generator<WrittenId, void, void> {
  const reader = new BinaryReader(body);
  reader.bytes();
  yield* writesOf(reader);
}

function* writesOf(reader: BinaryReader): Generator<WrittenId, void, void> {
  while (reader.remaining > 0) yield { identity: reader.text(), outcome: reader.bytes() };
}

/** `nth`: the position among the batch's writes, from 0. Null: that write had no digest. */
export function digestIn(digests: Uint8Array, nth: number): bigint | null {
  const reader = new BinaryReader(digests);
  while (reader.remaining > 0) {
    const place = reader.varint();
    const digest = BigInt.asUintN(64, reader.signed64());
    if (place === nth) return digest;
  }
  return null;
}

/** What a batch in memory takes beside its body. */
const waitingBatchBytes = 200;

/** `isPacked`: it may share its row with the one before it. `hashed`: null in a group of level 1. */
type WaitingBatch = {
  readonly batch: BatchId;
  readonly writesTotal: number;
  readonly body: Uint8Array;
  readonly hashed: Hashed | null;
  readonly isPacked: boolean;
};

function bytesWaiting({ body, hashed }: WaitingBatch): number {
  return waitingBatchBytes + body.byteLength + (hashed?.digests?.byteLength ?? 0);
}

function rowOf({ batch, writesTotal, body, hashed }: WaitingBatch): BatchRow {
  const { hash = null, scrubbed = null, digests = null } = hashed ?? {};
  return { ...batch, writesTotal, body, hash, scrubbed, digests, earlier: null };
}

function waitingOf({
  lastRevision,
  logIndex: index,
  hash,
  scrubbed,
  ...row
}: BatchRow): Omit<WaitingBatch, 'isPacked'> {
  const batch = { lastRevision: revision(lastRevision), logIndex: logIndex(index) };
  return { ...row, batch, hashed: hash === null ? null : { hash, scrubbed, digests: row.digests } };
}

function packedRowOf([last, index, writesTotal, body, hash, scrubbed, digests, earlier]: SqlRow): BatchRow {
  return {
    lastRevision: numberOf(last),
    logIndex: numberOf(index),
    writesTotal: numberOf(writesTotal),
    body: bytesOf(body),
    hash: (hash ?? null) === null ? null : numberOf(hash),
    scrubbed: bytesOrNull(scrubbed),
    digests: bytesOrNull(digests),
    earlier: bytesOrNull(earlier),
  };
}

function bytesOrNull(value: SqlRow[number] | undefined): Uint8Array | null {
  return value === undefined || value === null ? null : bytesOf(value);
}

export class Batches {
  readonly #sql: SqlPort;

  /** Rows of later revisions belong to an entry that is under way. */
  #through = Number.MAX_SAFE_INTEGER;
  /** The batches without a row, by their log index, in order. */
  readonly #waiting = new Map<LogIndex, WaitingBatch>();
  #waitingBytes = 0;
  #flushes = 0;

  constructor(sql: SqlPort) {
    this.#sql = sql;
  }

  hideAfter(revision: Revision): void {
    this.#through = revision;
  }

  showAll(): void {
    this.#through = Number.MAX_SAFE_INTEGER;
  }

  /** The bytes of the batches in memory, about. */
  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  get someWait(): boolean {
    return this.#waiting.size > 0;
  }

  /** Positions among the writes of a batch count within its row, which a flush may change. */
  get flushes(): number {
    return this.#flushes;
  }

  /** The batch has no row before `flush`. */
  appendLater(waiting: WaitingBatch): void {
    const { batch } = waiting;
    this.#waiting.set(batch.logIndex, waiting);
    this.#waitingBytes += bytesWaiting(waiting);
  }

  /** The entry leaves no batch after all. */
  takeBack(index: LogIndex): void {
    const waiting = this.#waiting.get(index);
    if (waiting === undefined) return;
    this.#waiting.delete(index);
    this.#waitingBytes -= bytesWaiting(waiting);
  }

  /** Gives each batch its row. The caller writes what the batches tell of in the same turn. */
  flush(): void {
    this.#appendAll([...this.#waiting.values()]);
    this.#waiting.clear();
    this.#waitingBytes = 0;
  }

  append(batch: WaitingBatch): void {
    this.#appendAll([batch]);
  }

  /** What is packed shares rows, the first of which may be there already. */
  #appendAll(batches: readonly WaitingBatch[]): void {
    this.#flushes++;
    const first = batches[0]?.isPacked === true ? this.#newestPacked() : null;
    let rows: BatchRow[] = first === null ? [] : [first];
    let bytes = first === null ? 0 : contentBytes(first.body);
    const write = (): void => {
      const [head, ...others] = rows;
      if (head !== undefined && (head !== first || others.length > 0)) this.#writePacked(head, others, head === first);
      [rows, bytes] = [[], 0];
    };
    for (const batch of batches) {
      const more = contentBytes(batch.body);
      const isSmall = more < packedBatchBytes;
      if (!isSmall || !batch.isPacked || bytes >= packedBatchBytes) write();
      if (isSmall) {
        rows.push(rowOf(batch));
        bytes += more;
      } else this.#appendParts(batch);
    }
    write();
  }

  /** `isThere`: the first one has a row, which the others join. */
  #writePacked(first: BatchRow, others: readonly BatchRow[], isThere: boolean): void {
    const row = others.length === 0 ? first : packed([first, ...others]);
    const { lastRevision, logIndex: index, writesTotal, body, hash, scrubbed, digests, earlier } = row;
    if (earlier === null) return this.#appendParts(waitingOf(row));
    const columns = [lastRevision, index, writesTotal, body, hash, scrubbed, digests, earlier] as const;
    if (isThere) this.#sql.run(replacePacked, ...columns, first.lastRevision, first.logIndex);
    else this.#sql.run(insertPacked, ...columns);
  }

  /** The newest row. Null: it has other parts, or takes no more. */
  #newestPacked(): BatchRow | null {
    const [row] = this.#sql.all(selectNewestPacked);
    const newest = row === undefined || row.at(-1) !== 0 ? null : packedRowOf(row);
    return newest === null || contentBytes(newest.body) >= packedBatchBytes ? null : newest;
  }

  /** The row as it was after that entry, which the entries after it may have joined. Null: it is none of any row. */
  rowAfter({ lastRevision, logIndex: index }: { lastRevision: number; logIndex: number }): BatchRow | null {
    // Only a store that was of format 7 has packed rows.
    if (!this.#sql.all('PRAGMA table_info(batches)').some((column) => column[1] === 'earlier')) return null;
    const [found] = this.#sql.all(selectPackedFrom, lastRevision, index);
    return found === undefined ? null : rowAfterEntry(packedRowOf(found), index);
  }

  #appendParts({ batch, writesTotal, body, hashed }: Omit<WaitingBatch, 'isPacked'>): void {
    for (let part = 0, offset = 0; offset < body.byteLength; part++, offset += batchPartBytesMax) {
      const bytes = body.subarray(offset, offset + batchPartBytesMax);
      const isLast = offset + batchPartBytesMax >= body.byteLength;
      this.appendPart(batch, part, { writesTotal, bytes, hashed: isLast ? hashed : null });
    }
  }

  /** The parts come in their order, and the last one has the hash. */
  appendPart(batch: BatchId, part: number, { writesTotal, bytes, hashed }: BatchPart): void {
    const row = [batch.lastRevision, batch.logIndex, part, writesTotal, bytes] as const;
    if (hashed === null) this.#sql.run(insertPart, ...row);
    else if ((hashed.digests ?? null) === null) this.#sql.run(insertHashedPart, ...row, hashed.hash, hashed.scrubbed);
    else this.#sql.run(insertDigestedPart, ...row, hashed.hash, hashed.scrubbed, hashed.digests ?? null);
  }

  /** The bytes that `BatchRecord.digests` made. Only a store of format 4 has them. */
  digests(batch: BatchId): Uint8Array | null {
    const waiting = this.#waiting.get(batch.logIndex);
    if (waiting !== undefined) return waiting.hashed?.digests ?? null;
    const { lastRevision, logIndex: index } = this.#rowOf(batch);
    const value = this.#sql.all(selectDigests, lastRevision, index)[0]?.[0] ?? null;
    return value === null ? null : bytesOf(value);
  }

  /** The hash in the newest row, in a group of level 2 or above. */
  newestHash(): Hashed {
    assert(!this.someWait, 'the newest batch has its row when a store is opened');
    const row = this.#sql.all(selectNewestHash, this.#through)[0];
    const [hash, scrubbed = null] = row ?? [];
    return { hash: numberOf(hash), scrubbed: scrubbed === null ? null : bytesOf(scrubbed) };
  }

  newest(): (BatchId & { readonly writesTotal: number }) | null {
    assert(!this.someWait, 'the newest batch has its row when a store is opened');
    const row = this.#sql.all(selectNewest, this.#through)[0];
    if (row === undefined) return null;
    const [last, index, writesTotal] = row;
    return {
      lastRevision: revision(numberOf(last)),
      logIndex: logIndex(numberOf(index)),
      writesTotal: numberOf(writesTotal),
    };
  }

  /** The batches of log entries after `index`, the newest first. */
  *after(index: LogIndex): Generator<BatchId, void, void> {
    for (const { batch } of [...this.#waiting.values()].toReversed()) if (batch.logIndex > index) yield batch;
    for (const [last, entry] of this.#sql.iterate(selectIdsNewestFirst, this.#through)) {
      if (numberOf(entry) <= index) return;
      yield { lastRevision: revision(numberOf(last)), logIndex: logIndex(numberOf(entry)) };
    }
  }

  /** The changed keys of each revision from `from` on, the oldest first, read as they are asked for. */
  *changesFrom(from: Revision): Generator<ChangedKeys, void, void> {
    for (const [last, index, body] of this.#sql.iterate(selectFrom, from, this.#through)) {
      const first = bytesOf(body);
      const batch = { lastRevision: revision(numberOf(last)), logIndex: logIndex(numberOf(index)) };
      const reader = new BinaryReader(first);
      const changesBytes = reader.varint();
      if (changesBytes <= reader.remaining) yield* changesIn(first);
      else yield* this.#changesInParts(batch, { begin: first.byteLength - reader.remaining, changesBytes });
    }
    for (const { batch, body } of this.#waiting.values()) if (batch.lastRevision >= from) yield* changesIn(body);
  }

  /** The changes of a batch of several parts, which are never in memory together. */
  *#changesInParts(
    { lastRevision, logIndex: index }: BatchId,
    { begin, changesBytes }: { readonly begin: number; readonly changesBytes: number },
  ): Generator<ChangedKeys, void, void> {
    const partAt = (part: number): Uint8Array | null => {
      const row = this.#sql.all(selectPart, lastRevision, index, part)[0];
      return row === undefined ? null : bytesOf(row[0]);
    };
    const end = begin + changesBytes;
    for (let reader = new PartsReader(partAt, { part: 0, begin: 0, offset: begin }); reader.at < end;) {
      const changed = revision(reader.varint());
      const count = reader.varint();
      const keys = new ChangedKeysInParts(partAt, reader.offset, count);
      yield { revision: changed, count, keys };
      reader = new PartsReader(partAt, keys.end);
    }
  }

  /** Whether every write but the first `forgotten` of those that were ever remembered still has its row. */
  holdsWritesAfter(forgotten: number): boolean {
    const row = this.#sql.all(selectOldest)[0];
    if (row === undefined) return true;
    const [last, index, writesTotal] = row;
    if (numberOf(writesTotal) <= forgotten) return true;
    const batch = { lastRevision: revision(numberOf(last)), logIndex: logIndex(numberOf(index)) };
    return numberOf(writesTotal) - this.#countWrites(batch) <= Math.max(0, forgotten);
  }

  #countWrites(batch: BatchId): number {
    let count = 0;
    for (const _ of this.writesAt(batch)) count++;
    return count;
  }

  /** The writes in their order. The changes before them, which may be very many, are not kept in memory. */
  *writesAt(batch: BatchId): Generator<WrittenId, void, void> {
    const waiting = this.#waiting.get(batch.logIndex);
    if (waiting === undefined) yield* this.#writesInRows(this.#rowOf(batch));
    else yield* writesIn(waiting.body);
  }

  /** The row that the batch is in, alone or packed. */
  #rowOf({ lastRevision, logIndex: index }: BatchId): { readonly lastRevision: number; readonly logIndex: number } {
    const [row] = this.#sql.all(selectIdFrom, lastRevision, index);
    assert(row !== undefined, 'a remembered batch has its row');
    return { lastRevision: numberOf(row[0]), logIndex: numberOf(row[1]) };
  }

  *#writesInRows(batch: {
    readonly lastRevision: number;
    readonly logIndex: number;
  }): Generator<WrittenId, void, void> {
    const parts: Uint8Array[] = [];
    let changesLeft: number | null = null;
    for (const [value] of this.#sql.iterate(selectOne, batch.lastRevision, batch.logIndex)) {
      const part = bytesOf(value);
      if (changesLeft === null) {
        const reader = new BinaryReader(part);
        changesLeft = reader.varint();
        changesLeft += part.byteLength - reader.remaining;
      }
      if (changesLeft < part.byteLength) parts.push(part.subarray(changesLeft));
      changesLeft = Math.max(0, changesLeft - part.byteLength);
    }
    assert(changesLeft !== null, 'a remembered batch has its row');
    yield* writesOf(new BinaryReader(joined(parts)));
  }

  /** The writes of each batch. */
  *newestFirst(): Generator<{ readonly batch: BatchId; readonly writes: Iterable<WrittenId> }, void, void> {
    for (const { batch, body } of [...this.#waiting.values()].toReversed()) yield { batch, writes: writesIn(body) };
    let hasParts = false;
    for (const [index, body, last, part] of this.#sql.iterate(selectNewestFirst, this.#through)) {
      if (part !== 0) {
        hasParts = true;
        continue;
      }
      const batch = { lastRevision: revision(numberOf(last)), logIndex: logIndex(numberOf(index)) };
      yield { batch, writes: hasParts ? this.writesAt(batch) : writesIn(bytesOf(body)) };
      hasParts = false;
    }
  }
}

/** The position of a reader of parts: within which part, and where that part begins in the whole. */
type PartsOffset = { readonly part: number; readonly begin: number; readonly offset: number };
type PartAt = (part: number) => Uint8Array | null;

/**
 * Reads a record that lies in parts, one part after the other. A number or a key may begin in one part and end in the
 * next.
 */
class PartsReader {
  readonly #partAt: PartAt;
  /** The bytes of the present part, and of the parts after it into which the next read may reach. */
  #bytes: Uint8Array;
  readonly #lengths: number[];
  #offset: number;
  #part: number;
  #begin: number;

  constructor(partAt: PartAt, { part, begin, offset }: PartsOffset) {
    this.#partAt = partAt;
    this.#bytes = partAt(part) ?? emptyBytes;
    this.#lengths = [this.#bytes.byteLength];
    this.#part = part;
    this.#begin = begin;
    this.#offset = offset;
  }

  get offset(): PartsOffset {
    return { part: this.#part, begin: this.#begin, offset: this.#offset };
  }

  /** The position in the whole record. */
  get at(): number {
    return this.#begin + this.#offset;
  }

  varint(): number {
    return this.#take(this.#reader(numberBytesMax), (reader) => reader.varint());
  }

  changedKey(): ChangedKey {
    const reader = this.#reader(1 + numberBytesMax);
    reader.byte();
    const keyBytes = reader.varint();
    return this.#take(this.#reader(1 + numberBytesMax + keyBytes), readChangedKey);
  }

  /** A reader of so many bytes, or of all that are left. */
  #reader(bytes: number): BinaryReader {
    while (this.#bytes.byteLength - this.#offset < bytes) {
      const next = this.#partAt(this.#part + this.#lengths.length);
      if (next === null) break;
      this.#bytes = joinBytes([this.#bytes, next]);
      this.#lengths.push(next.byteLength);
    }
    return new BinaryReader(this.#bytes.subarray(this.#offset));
  }

  #take<Value>(reader: BinaryReader, read: (reader: BinaryReader) => Value): Value {
    const before = reader.remaining;
    const value = read(reader);
    this.#offset += before - reader.remaining;
    for (
      let [length = 0] = this.#lengths;
      this.#lengths.length > 1 && this.#offset >= length;
      [length = 0] = this.#lengths
    ) {
      this.#bytes = this.#bytes.subarray(length);
      this.#offset -= length;
      this.#begin += length;
      this.#part++;
      this.#lengths.shift();
    }
    return value;
  }
}

/** The most bytes of a varint. */
const numberBytesMax = 8;

/** The result may be iterated again and again. */
class ChangedKeysInParts {
  readonly #partAt: PartAt;
  readonly #begin: PartsOffset;
  readonly #count: number;
  #end: PartsOffset | null = null;

  constructor(partAt: PartAt, begin: PartsOffset, count: number) {
    this.#partAt = partAt;
    this.#begin = begin;
    this.#count = count;
  }

  *[Symbol.iterator](): Generator<ChangedKey, void, void> {
    const reader = new PartsReader(this.#partAt, this.#begin);
    for (let read = 0; read < this.#count; read++) yield reader.changedKey();
    this.#end = reader.offset;
  }

  /** What follows the last change. */
  get end(): PartsOffset {
    if (this.#end === null) for (const _ of this);
    assert(this.#end !== null, 'all keys were read');
    return this.#end;
  }
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const [only] = parts;
  return parts.length === 1 && only !== undefined ? only : joinBytes(parts);
}
