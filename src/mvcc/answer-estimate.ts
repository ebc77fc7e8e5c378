// The bytes that the answer to a write or a read will take, as far as the present store tells. So a place in memory is
// taken before a write is proposed, and not looked for when the write is done, and a read without room is not made in
// vain. Nothing in the log depends on the estimate: if the store changes before, the answer has another size.

import { unreachable } from '../base/assert.ts';
import { answerMeasuredRowsMax, keyBytesMax, rangeAnswerBytesMax, valueBytesMax } from '../limits.ts';
import type { KeyRange, Operation, RangeRequest, TxnOperation, TxnRequest } from '../model/store.ts';
import { sortOrder, sortTarget } from '../model/store.ts';
import type { SqlValue } from '../base/sql-port.ts';
import { type KeySpan, spanOf } from '../model/key-range.ts';
import { pairNow } from './overlay/overlay.ts';
import type { Versions } from './overlay/versions.ts';
import { pairOverheadBytes } from './range.ts';
import { numberOf, valueLength } from './rows.ts';

/** No answer takes more than rangeAnswerBytesMax. An answer without pairs takes nothing that counts. */
export function answerBytesOf(versions: Versions, operation: Operation | TxnOperation): number {
  const { kind } = operation;
  const hasPairs = kind === 'put' || kind === 'deleteRange' || kind === 'range' || kind === 'txn';
  return hasPairs ? new Estimate(versions).ofOperation(operation) : 0;
}

class Estimate {
  readonly #versions: Versions;
  #rowsLeft = answerMeasuredRowsMax;

  constructor(versions: Versions) {
    this.#versions = versions;
  }

  /** Either branch may run. */
  ofTxn({ success, failure }: TxnRequest): number {
    return Math.max(this.#ofAll(success), this.#ofAll(failure));
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
        return operation.request.previous ? this.#ofPairs({ ...operation.request, rangeEnd: noEnd }) : 0;
      case 'deleteRange':
        return operation.request.previous ? this.#ofPairs(operation.request) : 0;
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

  #ofRange(request: RangeRequest): number {
    const { countOnly, revision, limit } = request;
    if (countOnly) return 0;
    // A read of the past may answer what the newest versions do not tell.
    if (revision > 0) return spanOf(request).kind === 'single' ? pairBytesMax : rangeAnswerBytesMax;
    return this.#ofPairs(request, { keysOnly: request.keysOnly, limit: isByKey(request) ? limit : 0 });
  }

  /** `limit`: that of the range; 0: the range has no limit. */
  #ofPairs(range: KeyRange, { keysOnly = false, limit = 0 } = {}): number {
    const span = spanOf(range);
    const rowsMax = Math.min(this.#rowsLeft + 1, limit === 0 ? Infinity : limit);
    const [where, bindings]: [string, readonly SqlValue[]] =
      span.kind === 'single'
        ? ['key = ?', [span.key]]
        : span.kind === 'open'
          ? ['key >= ?', [span.from]]
          : ['key >= ? AND key < ?', [span.from, span.to]];
    const pair = `length(key) + ${pairOverheadBytes}${keysOnly ? '' : ` + ${valueLength}`}`;
    const rows = `SELECT key, value, large FROM head WHERE ${where} ORDER BY key LIMIT ?`;
    const [found] = this.#versions.sql.all(
      `SELECT COUNT(*), ifnull(SUM(${pair}), 0) FROM (${rows})`,
      ...bindings,
      rowsMax,
    );
    this.#rowsLeft -= numberOf(found?.[0]);
    if (this.#rowsLeft < 0) return rangeAnswerBytesMax;
    return Math.min(rangeAnswerBytesMax, numberOf(found?.[1]) + this.#inMemory(span, keysOnly));
  }

  /** What is in memory may replace what the tables have, and counts beside it. */
  #inMemory(span: KeySpan, keysOnly: boolean): number {
    let bytes = 0;
    for (const overlaid of this.#versions.overlay.within(span)) {
      const pair = pairNow(overlaid);
      if (pair === null) continue;
      bytes += pair.key.byteLength + pairOverheadBytes + (keysOnly ? 0 : pair.value.byteLength);
    }
    return bytes;
  }
}

const noEnd = new Uint8Array(0);
const pairBytesMax = keyBytesMax + valueBytesMax + pairOverheadBytes;

/** Whether the first pairs by key are those that a limit leaves. */
function isByKey(request: RangeRequest): boolean {
  const { minModRevision, maxModRevision, minCreateRevision, maxCreateRevision } = request;
  const isFiltered = minModRevision > 0 || maxModRevision > 0 || minCreateRevision > 0 || maxCreateRevision > 0;
  const isPlain = request.sortOrder === sortOrder.none || request.sortOrder === sortOrder.ascend;
  return !isFiltered && isPlain && request.sortTarget === sortTarget.key;
}
