// Several entries of the log in one row of `batches`: a row is billed, so the batches of small entries that follow each
// other are packed. A packed row reads like that of one entry, the last of them. What it says beside that (`earlier`)
// tells where each entry before the last one ends: so the row can be had as it was after any of its entries, and a
// snapshot can be sent on that was opened there.
//
// Which entries share a row depends on the log alone, and not on when a replica flushes: a row takes the next entry if
// both are small (`contentBytes`), and if that entry is of point operations.

import { BinaryReader, BinaryWriter } from '../base/binary.ts';
import { concatBytes, emptyBytes } from '../base/bytes.ts';

/** A row with all of its batch. `earlier`: null if it has one entry. */
export type BatchRow = {
  readonly lastRevision: number;
  readonly logIndex: number;
  readonly writesTotal: number;
  readonly body: Uint8Array;
  readonly hash: number | null;
  readonly scrubbed: Uint8Array | null;
  readonly digests: Uint8Array | null;
  readonly earlier: Uint8Array | null;
};

/** The parts of a body: the changed keys by revision, and the writes. */
function partsOf(body: Uint8Array): { readonly changes: Uint8Array; readonly writes: Uint8Array } {
  const reader = new BinaryReader(body);
  const changes = reader.bytes();
  return { changes, writes: body.subarray(body.byteLength - reader.remaining) };
}

function bodyOf(changes: Uint8Array, writes: Uint8Array): Uint8Array {
  const writer = new BinaryWriter(changes.byteLength + writes.byteLength + 8);
  writer.bytes(changes);
  writer.raw(writes);
  return writer.finish();
}

function countWrites(writes: Uint8Array): number {
  let count = 0;
  for (const reader = new BinaryReader(writes); reader.remaining > 0; count++) {
    reader.bytes();
    reader.bytes();
  }
  return count;
}

/**
 * What counts towards `packedBatchBytes`. It is the same whether entries are added up, or the row that has them is
 * looked at: how entries fell into flushes must not matter.
 */
export function contentBytes(body: Uint8Array): number {
  const { changes, writes } = partsOf(body);
  return changes.byteLength + writes.byteLength;
}

/** The row with all of these entries, in this order. */
export function packed(rows: readonly [BatchRow, ...BatchRow[]]): BatchRow {
  const earlier = new BinaryWriter(64 * rows.length);
  const changes: Uint8Array[] = [];
  const writes: Uint8Array[] = [];
  const digests = new BinaryWriter(256);
  const ends = { changes: 0, writes: 0, nth: 0 };
  let [last] = rows;
  for (const row of rows) {
    if (row !== last) writeEarlier(earlier, last, ends.changes, ends.writes, digests.length);
    else if (row.earlier !== null) earlier.raw(row.earlier);
    const parts = partsOf(row.body);
    if (row.digests !== null) copyDigests(digests, row.digests, ends.nth);
    changes.push(parts.changes);
    writes.push(parts.writes);
    ends.changes += parts.changes.byteLength;
    ends.writes += parts.writes.byteLength;
    ends.nth += countWrites(parts.writes);
    last = row;
  }
  return {
    ...last,
    body: bodyOf(concatBytes(...changes), concatBytes(...writes)),
    digests: bytesOrNull(digests.finish()),
    earlier: bytesOrNull(earlier.finish()),
  };
}

/** The row as it was after that entry. Null: the entry is none of those before the last one. */
export function rowAfterEntry(row: BatchRow, logIndex: number): BatchRow | null {
  const { earlier } = row;
  if (earlier === null) return null;
  for (const reader = new BinaryReader(earlier); reader.remaining > 0;) {
    const before = earlier.subarray(0, earlier.byteLength - reader.remaining);
    const { ends, ...entry } = readEarlier(reader);
    if (entry.logIndex !== logIndex) continue;
    const { changes, writes } = partsOf(row.body);
    return {
      ...entry,
      body: bodyOf(changes.subarray(0, ends.changes), writes.subarray(0, ends.writes)),
      digests: bytesOrNull(row.digests?.subarray(0, ends.digests) ?? emptyBytes),
      earlier: bytesOrNull(before),
    };
  }
  return null;
}

function writeEarlier(writer: BinaryWriter, row: BatchRow, changes: number, writes: number, digests: number): void {
  for (const number of [row.logIndex, row.lastRevision, row.writesTotal, changes, writes, digests]) {
    writer.varint(number);
  }
  writer.boolean(row.hash !== null);
  if (row.hash !== null) writer.varint(row.hash);
  writer.boolean(row.scrubbed !== null);
  if (row.scrubbed !== null) writer.bytes(row.scrubbed);
}

type Earlier = Pick<BatchRow, 'logIndex' | 'lastRevision' | 'writesTotal' | 'hash' | 'scrubbed'> & {
  /** Where the entry ends in each of these. */
  readonly ends: { readonly changes: number; readonly writes: number; readonly digests: number };
};

function readEarlier(reader: BinaryReader): Earlier {
  const [logIndex, lastRevision, writesTotal] = [reader.varint(), reader.varint(), reader.varint()];
  const ends = { changes: reader.varint(), writes: reader.varint(), digests: reader.varint() };
  const hash = reader.boolean() ? reader.varint() : null;
  const scrubbed = reader.boolean() ? reader.bytes() : null;
  return { logIndex, lastRevision, writesTotal, ends, hash, scrubbed };
}

/** The digests of a row, each with the position of its write, which comes after so many others. */
function copyDigests(writer: BinaryWriter, digests: Uint8Array, after: number): void {
  for (const reader = new BinaryReader(digests); reader.remaining > 0;) {
    writer.varint(reader.varint() + after);
    writer.signed64(reader.signed64());
  }
}

function bytesOrNull(bytes: Uint8Array): Uint8Array | null {
  return bytes.byteLength === 0 ? null : bytes;
}
