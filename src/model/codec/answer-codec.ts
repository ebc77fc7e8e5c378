// Answers of the store in bytes: pairs, ranges, deletes and transactions. Remembered writes, and outcomes of calls on
// their way, hold them in this form, which never changes, like that of a put (`put-codec.ts`). A writer may be told to
// stop where nobody will want the rest.

import { unreachable } from '../../base/assert.ts';
import { revision } from '../brands.ts';
import { type BinaryReader, type BinaryWriter, MalformedBytesError, varintBytes } from '../../base/binary.ts';
import type { DeleteRangeAnswer, KeyValue, Pairs, RangeAnswer, TxnAnswer, TxnPart } from '../store.ts';
import { PackedPairs } from './packed-pairs.ts';
import { pairBytes, readPair, skipPair, writePair } from './pair-codec.ts';

const partCode = { range: 0, rangeKeysOnly: 1, put: 2, putWithPrevious: 3, deleteRange: 4, txn: 5 } as const;

export function writeTxnAnswer(writer: BinaryWriter, answer: TxnAnswer, bytesMax = Infinity): void {
  writer.boolean(answer.succeeded);
  writer.varint(answer.parts.length);
  for (const part of answer.parts) {
    // A large answer is not kept, so it need not be written to its end.
    if (writer.length > bytesMax) return;
    writePart(writer, part, bytesMax);
  }
}

/** How many bytes `writeTxnAnswer` makes of it. */
export function txnAnswerBytes({ parts }: TxnAnswer): number {
  let bytes = 1 + varintBytes(parts.length);
  for (const part of parts) bytes += 1 + partBytes(part);
  return bytes;
}

/** `depthMax`: the levels of nested answers. @throws MalformedBytesError beyond it. */
export function readTxnAnswer(reader: BinaryReader, depthMax = Infinity): TxnAnswer {
  if (depthMax === 0) throw new MalformedBytesError('answers that are nested too deeply');
  const succeeded = reader.boolean();
  return { succeeded, parts: Array.from({ length: reader.count() }, () => readPart(reader, depthMax - 1)) };
}

function writePart(writer: BinaryWriter, part: TxnPart, bytesMax: number): void {
  switch (part.kind) {
    case 'range':
      writer.byte(part.keysOnly ? partCode.rangeKeysOnly : partCode.range);
      writer.varint(part.revision);
      writeRangeAnswer(writer, part.answer, bytesMax);
      return;
    case 'put': {
      const { previous } = part.answer;
      writer.byte(previous === null ? partCode.put : partCode.putWithPrevious);
      writer.varint(part.revision);
      if (previous !== null) writePair(writer, previous);
      return;
    }
    case 'deleteRange':
      writer.byte(partCode.deleteRange);
      writer.varint(part.revision);
      writeDeleted(writer, part.answer, bytesMax);
      return;
    case 'txn':
      writer.byte(partCode.txn);
      writeTxnAnswer(writer, part.answer, bytesMax);
  }
}

function partBytes(part: TxnPart): number {
  if (part.kind === 'txn') return txnAnswerBytes(part.answer);
  const at = varintBytes(part.revision);
  switch (part.kind) {
    case 'range':
      return at + rangeAnswerBytes(part.answer);
    case 'put':
      return at + (part.answer.previous === null ? 0 : pairBytes(part.answer.previous));
    case 'deleteRange':
      return at + deletedBytes(part.answer);
    default:
      return unreachable(part);
  }
}

function readPart(reader: BinaryReader, depthMax: number): TxnPart {
  const code = reader.byte();
  if (code === partCode.txn) return { kind: 'txn', answer: readTxnAnswer(reader, depthMax) };
  const at = revision(reader.varint());
  switch (code) {
    case partCode.range:
    case partCode.rangeKeysOnly:
      return {
        kind: 'range',
        revision: at,
        answer: readRangeAnswer(reader),
        keysOnly: code === partCode.rangeKeysOnly,
      };
    case partCode.put:
      return { kind: 'put', revision: at, answer: { previous: null } };
    case partCode.putWithPrevious:
      return { kind: 'put', revision: at, answer: { previous: readPair(reader) } };
    case partCode.deleteRange:
      return { kind: 'deleteRange', revision: at, answer: readDeleted(reader) };
    default:
      throw new MalformedBytesError(`a part of kind ${code}`);
  }
}

export function writeRangeAnswer(writer: BinaryWriter, answer: RangeAnswer, bytesMax = Infinity): void {
  writer.boolean(answer.more);
  writer.varint(answer.count);
  writePairs(writer, answer.kvs, bytesMax);
}

/** How many bytes `writeRangeAnswer` makes of it. */
export function rangeAnswerBytes({ count, kvs }: RangeAnswer): number {
  return 1 + varintBytes(count) + pairsBytes(kvs);
}

export function readRangeAnswer(reader: BinaryReader): RangeAnswer {
  const more = reader.boolean();
  const count = reader.varint();
  return { more, count, kvs: readRangePairs(reader) };
}

export function writeDeleted(writer: BinaryWriter, answer: DeleteRangeAnswer, bytesMax = Infinity): void {
  writer.varint(answer.deleted);
  writePairs(writer, answer.previous, bytesMax);
}

/** How many bytes `writeDeleted` makes of it. */
export function deletedBytes({ deleted, previous }: DeleteRangeAnswer): number {
  return varintBytes(deleted) + pairsBytes(previous);
}

export function readDeleted(reader: BinaryReader): DeleteRangeAnswer {
  const deleted = reader.varint();
  return { deleted, previous: readPairs(reader) };
}

function writePairs(writer: BinaryWriter, pairs: Pairs, bytesMax: number): void {
  writer.varint(pairs.length);
  if (pairs instanceof PackedPairs) return writePacked(writer, pairs);
  for (const pair of pairs) {
    if (writer.length > bytesMax) return;
    writePair(writer, pair);
  }
}

/** Only a read has packed pairs, and hands them over with its answer. */
function writePacked(writer: BinaryWriter, { blocks, isOwn }: PackedPairs): void {
  for (const block of blocks) {
    if (isOwn) writer.given(block);
    else writer.raw(block);
  }
}

function pairsBytes(pairs: Pairs): number {
  let bytes = varintBytes(pairs.length);
  if (pairs instanceof PackedPairs) return bytes + pairs.bytes;
  for (const pair of pairs) bytes += pairBytes(pair);
  return bytes;
}

function readPairs(reader: BinaryReader): KeyValue[] {
  return Array.from({ length: reader.count() }, () => readPair(reader));
}

/** Fewer pairs are made at once. */
const packedPairsMin = 1_000;

/** The pairs of a range: many of them are made when they are asked for. */
function readRangePairs(reader: BinaryReader): Pairs {
  const length = reader.count();
  if (length < packedPairsMin) return Array.from({ length }, () => readPair(reader));
  const rest = reader.rest();
  const { remaining } = reader;
  let lastAt = 0;
  let contentBytes = 0;
  for (let pair = 0; pair < length; pair++) {
    lastAt = remaining - reader.remaining;
    contentBytes += skipPair(reader);
  }
  const block = rest.subarray(0, remaining - reader.remaining);
  return new PackedPairs([block], { length, isOwn: false, contentBytes, lastAt });
}
