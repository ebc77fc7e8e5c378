// Answers of the store in bytes: pairs, ranges, deletes and transactions. Remembered writes, and outcomes of calls on
// their way, hold them in this form, which never changes, like that of a put (`put-codec.ts`). A writer may be told to
// stop where nobody will want the rest.

import { unreachable } from '../../base/assert.ts';
import { leaseId, noLease, revision } from '../brands.ts';
import { type BinaryReader, type BinaryWriter, MalformedBytesError, varintBytes } from '../../base/binary.ts';
import type { DeleteRangeAnswer, KeyValue, RangeAnswer, TxnAnswer, TxnPart } from '../store.ts';

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
  return { more, count, kvs: readPairs(reader) };
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

function writePairs(writer: BinaryWriter, pairs: readonly KeyValue[], bytesMax: number): void {
  writer.varint(pairs.length);
  for (const pair of pairs) {
    if (writer.length > bytesMax) return;
    writePair(writer, pair);
  }
}

function pairsBytes(pairs: readonly KeyValue[]): number {
  let bytes = varintBytes(pairs.length);
  for (const pair of pairs) bytes += pairBytes(pair);
  return bytes;
}

function readPairs(reader: BinaryReader): KeyValue[] {
  return Array.from({ length: reader.count() }, () => readPair(reader));
}

export function writePair(writer: BinaryWriter, pair: KeyValue): void {
  writer.bytes(pair.key);
  writer.bytes(pair.value);
  writer.varint(pair.createRevision);
  writer.varint(pair.modRevision);
  writer.varint(pair.version);
  writer.boolean(pair.lease !== noLease);
  if (pair.lease !== noLease) writer.signed64(pair.lease);
}

/** How many bytes `writePair` makes of it. */
export function pairBytes({ key, value, createRevision, modRevision, version, lease }: KeyValue): number {
  const [keyBytes, valueBytes] = [key.byteLength, value.byteLength];
  const texts = varintBytes(keyBytes) + keyBytes + varintBytes(valueBytes) + valueBytes;
  const numbers = varintBytes(createRevision) + varintBytes(modRevision) + varintBytes(version);
  return texts + numbers + (lease === noLease ? 1 : 9);
}

export function readPair(reader: BinaryReader): KeyValue {
  return {
    key: reader.bytes(),
    value: reader.bytes(),
    createRevision: revision(reader.varint()),
    modRevision: revision(reader.varint()),
    version: reader.varint(),
    lease: reader.boolean() ? leaseId(reader.signed64()) : noLease,
  };
}
