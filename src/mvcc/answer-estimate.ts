// The bytes that the answer to a write or a read will take at most, as far as the present store tells. So a place in
// memory is taken before a write is proposed, and not looked for when the write is done, and a read without room is not
// made in vain. Nothing in the log depends on the estimate: if the store changes before, the answer has another size.
// A place that is larger than the answer can be is kept from others, so what is too much to measure is bounded by what
// the database holds.

import { unreachable } from '../base/assert.ts';
import { equalBytes } from '../base/bytes.ts';
import { answerMeasuredRowsMax, keyBytesMax, rangeAnswerBytesMax, valueBytesMax } from '../limits.ts';
import type { Operation, PutRequest, RangeRequest, TxnOperation, TxnRequest } from '../model/store.ts';
import { sortOrder, sortTarget } from '../model/store.ts';
import { type KeySpan, spanOf } from '../model/key-range.ts';
import type { SqlValue } from '../base/sql-port.ts';
import { pairNow, versionAsOf } from './overlay/overlay.ts';
import type { Versions } from './overlay/versions.ts';
import { pairOverheadBytes } from './range.ts';
import { bytesOf, numberOf, valueLength } from './rows.ts';

/** No answer takes more than rangeAnswerBytesMax. An answer without pairs takes nothing that counts. */
export function answerBytesOf(versions: Versions, operation: Operation | TxnOperation): number {
  const { kind } = operation;
  const hasPairs = kind === 'put' || kind === 'deleteRange' || kind === 'range' || kind === 'txn';
  return hasPairs ? new Estimate(versions).ofOperation(operation) : 0;
}

/** What a transaction has put so far, which its later ranges show. */
type Put = { readonly key: Uint8Array; readonly bytes: number };

/** Of the pairs that are measured. `limit` 0: all of them. */
type Measured = { readonly keysOnly: boolean; readonly limit: number };
const allOfThem: Measured = { keysOnly: false, limit: 0 };

class Estimate {
  readonly #versions: Versions;
  #rowsLeft = answerMeasuredRowsMax;
  #puts: readonly Put[] = [];

  constructor(versions: Versions) {
    this.#versions = versions;
  }

  /** Either branch may run. */
  ofTxn({ success, failure }: TxnRequest): number {
    const before = this.#puts;
    const ofSuccess = this.#ofAll(success);
    const putBySuccess = this.#puts.slice(before.length);
    this.#puts = before;
    const ofFailure = this.#ofAll(failure);
    if (putBySuccess.length > 0) this.#puts = [...this.#puts, ...putBySuccess];
    return Math.max(ofSuccess, ofFailure);
  }

  #ofAll(operations: readonly TxnOperation[]): number {
    let bytes = 0;
    for (const operation of operations) {
      bytes += this.ofOperation(operation);
      if (bytes >= rangeAnswerBytesMax) return rangeAnswerBytesMax;
    }
    return bytes;
  }

  ofOperation(operation: TxnOperation): number {
    switch (operation.kind) {
      case 'put':
        return this.#ofPut(operation.request);
      case 'deleteRange':
        return operation.request.previous ? this.#ofPairs(spanOf(operation.request), allOfThem) : 0;
      case 'range':
        return this.#ofRange(operation.request);
      case 'txn':
        return this.ofTxn(operation.request);
      case 'empty':
        return 0;
      default:
        return unreachable(operation);
    }
  }

  #ofPut({ key, value, previous }: PutRequest): number {
    this.#puts = [...this.#puts, { key, bytes: pairOverheadBytes + key.byteLength + value.byteLength }];
    return previous ? this.#ofPairs({ kind: 'single', key }, allOfThem) : 0;
  }

  #ofRange(request: RangeRequest): number {
    const { countOnly, keysOnly, revision } = request;
    if (countOnly) return 0;
    const measured = { keysOnly, limit: isByKey(request) ? request.limit : 0 };
    const span = spanOf(request);
    const stored = revision > 0 ? this.#ofPast(span, revision, measured) : this.#ofPairs(span, measured);
    const bytes = stored + this.#ofPuts(span);
    return Math.min(bytes, request.limit > 0 ? request.limit * pairBytesMax : rangeAnswerBytesMax);
  }

  #ofPairs(span: KeySpan, { keysOnly, limit }: Measured): number {
    if (this.#rowsLeft < 0) return this.#ofUnmeasured(span);
    const rowsMax = Math.min(this.#rowsLeft + 1, limit === 0 ? Infinity : limit);
    const { where, bindings } = within(span);
    const rows = `SELECT key, value, large FROM head WHERE ${where} ORDER BY key LIMIT ?`;
    const [found] = this.#versions.sql.all(
      `SELECT COUNT(*), ifnull(SUM(${pairLength(keysOnly)}), 0) FROM (${rows})`,
      ...bindings,
      rowsMax,
    );
    this.#rowsLeft -= numberOf(found?.[0]);
    if (this.#rowsLeft < 0) return this.#ofUnmeasured(span);
    return Math.min(rangeAnswerBytesMax, numberOf(found?.[1]) + this.#inMemory(span, null, keysOnly));
  }

  /**
   * What the ranges of a transaction show of its own puts. Whether a long range has a key is not looked at, and neither
   * is the revision: it may be the one that the transaction makes.
   */
  #ofPuts(span: KeySpan): number {
    const isSeen = ({ key }: Put): boolean => span.kind !== 'single' || equalBytes(key, span.key);
    return this.#puts.reduce((bytes, put) => bytes + (isSeen(put) ? put.bytes : 0), 0);
  }

  /** Versions that were superseded are kept in the order of keys, as well. */
  #ofPast(span: KeySpan, revision: number, { keysOnly, limit }: Measured): number {
    if (this.#rowsLeft < 0) return this.#ofUnmeasured(span);
    const { where, bindings } = within(span);
    const rowsMax = span.kind === 'single' ? 1 : this.#rowsLeft + 1;
    // Of one key the version of then is found at once, however many there are.
    const earlierOrder = span.kind === 'single' ? `AND mod <= ${revision} ORDER BY mod DESC` : 'ORDER BY key, mod';
    const newest = `SELECT key, mod, value, large FROM head WHERE ${where} ORDER BY key LIMIT ${rowsMax}`;
    const earlier = `SELECT key, mod, until, value, large FROM superseded WHERE ${where} ${earlierOrder} LIMIT ${rowsMax}`;
    const { sql } = this.#versions;
    const ends = [newest, earlier].map((rows) => sql.all(`SELECT COUNT(*), max(key) FROM (${rows})`, ...bindings)[0]);
    this.#rowsLeft -= Math.max(...ends.map((row) => numberOf(row?.[0])));
    // Where a table has more rows, those of the keys before the last one that was looked at are known.
    const isCut = (rows: number): boolean => span.kind !== 'single' && rows === rowsMax;
    const cuts = ends.flatMap((row) => (isCut(numberOf(row?.[0])) ? [bytesOf(row?.[1])] : []));
    const beforeCuts = cuts.map(() => ' AND key < ?').join('');
    const visible = `SELECT key, value, large FROM (${newest}) WHERE mod <= ${revision}${beforeCuts}
      UNION ALL SELECT key, value, large FROM (${earlier}) WHERE mod <= ${revision} AND until > ${revision}${beforeCuts}
      ORDER BY key LIMIT ${limit === 0 ? -1 : limit}`;
    const bound = [...bindings, ...cuts];
    const [found] = sql.all(
      `SELECT COUNT(*), ifnull(SUM(${pairLength(keysOnly)}), 0) FROM (${visible})`,
      ...bound,
      ...bound,
    );
    const isEnough = cuts.length === 0 || (limit > 0 && numberOf(found?.[0]) === limit);
    if (!isEnough) return this.#ofUnmeasured(span);
    return Math.min(rangeAnswerBytesMax, numberOf(found?.[1]) + this.#inMemory(span, revision, keysOnly));
  }

  /** What is in memory may replace what the tables have, and counts beside it. `revision` null: that of now. */
  #inMemory(span: KeySpan, revision: number | null, keysOnly: boolean): number {
    let bytes = 0;
    for (const overlaid of this.#versions.overlay.within(span)) {
      const pair = revision === null ? pairNow(overlaid) : (versionAsOf(overlaid, revision)?.kv ?? null);
      if (pair === null) continue;
      bytes += pair.key.byteLength + pairOverheadBytes + (keysOnly ? 0 : pair.value.byteLength);
    }
    return bytes;
  }

  /** There are too many rows to measure. What they answer is in the database, or in memory. */
  #ofUnmeasured(span: KeySpan): number {
    const { sql, overlay } = this.#versions;
    const bytesMax = span.kind === 'single' ? pairBytesMax : rangeAnswerBytesMax;
    return Math.min(bytesMax, (sql.databaseBytes() + overlay.bytes) * answerOfStoredMax);
  }
}

function within(span: KeySpan): { readonly where: string; readonly bindings: readonly SqlValue[] } {
  switch (span.kind) {
    case 'single':
      return { where: 'key = ?', bindings: [span.key] };
    case 'open':
      return { where: 'key >= ?', bindings: [span.from] };
    case 'bounded':
      return { where: 'key >= ? AND key < ?', bindings: [span.from, span.to] };
    default:
      return unreachable(span);
  }
}

function pairLength(keysOnly: boolean): string {
  return `length(key) + ${pairOverheadBytes}${keysOnly ? '' : ` + ${valueLength}`}`;
}

/** A row takes 14 bytes of the database at least, and its pair counts with `pairOverheadBytes` more than it has. */
const answerOfStoredMax = 1 + Math.ceil(pairOverheadBytes / 14);
const pairBytesMax = keyBytesMax + valueBytesMax + pairOverheadBytes;

/** Whether the first pairs by key are those that a limit leaves. */
function isByKey(request: RangeRequest): boolean {
  const { minModRevision, maxModRevision, minCreateRevision, maxCreateRevision } = request;
  const isFiltered = minModRevision > 0 || maxModRevision > 0 || minCreateRevision > 0 || maxCreateRevision > 0;
  const isPlain = request.sortOrder === sortOrder.none || request.sortOrder === sortOrder.ascend;
  return !isFiltered && isPlain && request.sortTarget === sortTarget.key;
}
