// A transaction in bytes, with its nested ones, and the ranges and deletes that it is made of. As for a put
// (`put-codec.ts`), log entries and calls on their way have this form, and it never changes.

import { unreachable } from '../../base/assert.ts';
import { leaseId } from '../brands.ts';
import { type BinaryReader, type BinaryWriter, MalformedBytesError } from '../../base/binary.ts';
import type { Compare, DeleteRangeRequest, RangeRequest, TxnOperation, TxnRequest } from '../store.ts';
import { readPut, writePut } from './put-codec.ts';

const operationCode = { range: 0, put: 1, deleteRange: 2, txn: 3, empty: 4 } as const;
const targetCode = { version: 0, create: 1, mod: 2, value: 3, lease: 4, unknown: 5 } as const;

/** The most bytes that `writeTxn` makes of it. */
export function txnBytes(request: TxnRequest): number {
  let bytes = 24;
  for (const compare of request.compare) {
    bytes += 40 + compare.key.byteLength + compare.rangeEnd.byteLength;
    if (compare.target === 'value') bytes += compare.operand.byteLength;
  }
  for (const operation of request.success) bytes += operationBytes(operation);
  for (const operation of request.failure) bytes += operationBytes(operation);
  return bytes;
}

function operationBytes(operation: TxnOperation): number {
  switch (operation.kind) {
    case 'range':
      return 96 + operation.request.key.byteLength + operation.request.rangeEnd.byteLength;
    case 'put':
      return 40 + operation.request.key.byteLength + operation.request.value.byteLength;
    case 'deleteRange':
      return 40 + operation.request.key.byteLength + operation.request.rangeEnd.byteLength;
    case 'txn':
      return 8 + txnBytes(operation.request);
    case 'empty':
      return 8;
    default:
      return unreachable(operation);
  }
}

export function writeTxn(writer: BinaryWriter, request: TxnRequest): void {
  writer.varint(request.compare.length);
  for (const compare of request.compare) writeCompare(writer, compare);
  for (const branch of [request.success, request.failure]) {
    writer.varint(branch.length);
    for (const operation of branch) writeOperation(writer, operation);
  }
}

/**
 * What a transaction from outside may still have: levels that it nests, and elements of its lists, all of them
 * together.
 */
export type TxnBounds = { readonly depth: number; elements: number };

/**
 * `bounds` null: the transaction comes from a log entry, which was bounded before. @throws MalformedBytesError beyond
 * the bounds.
 */
export function readTxn(reader: BinaryReader, bounds: TxnBounds | null = null): TxnRequest {
  if (bounds?.depth === 0) throw new MalformedBytesError('transactions that are nested too deeply');
  return {
    compare: readList(reader, bounds, () => readCompare(reader)),
    success: readList(reader, bounds, () => readOperation(reader, bounds)),
    failure: readList(reader, bounds, () => readOperation(reader, bounds)),
  };
}

function readList<Element>(reader: BinaryReader, bounds: TxnBounds | null, read: () => Element): Element[] {
  const length = reader.count();
  if (bounds !== null) {
    bounds.elements -= length;
    if (bounds.elements < 0) throw new MalformedBytesError('too many compares and operations');
  }
  return Array.from({ length }, read);
}

function readNested(reader: BinaryReader, bounds: TxnBounds | null): TxnRequest {
  if (bounds === null) return readTxn(reader);
  const inner = { depth: bounds.depth - 1, elements: bounds.elements };
  const request = readTxn(reader, inner);
  bounds.elements = inner.elements;
  return request;
}

function writeCompare(writer: BinaryWriter, compare: Compare): void {
  writer.bytes(compare.key);
  writer.bytes(compare.rangeEnd);
  writer.float(compare.result);
  writer.byte(targetCode[compare.target]);
  switch (compare.target) {
    case 'version':
    case 'create':
    case 'mod':
      writer.float(compare.operand);
      return;
    case 'value':
      writer.bytes(compare.operand);
      return;
    case 'lease':
      writer.signed64(compare.operand);
      return;
    case 'unknown':
  }
}

function readCompare(reader: BinaryReader): Compare {
  const common = { key: reader.bytes(), rangeEnd: reader.bytes(), result: reader.float() };
  const code = reader.byte();
  switch (code) {
    case targetCode.version:
      return { ...common, target: 'version', operand: reader.float() };
    case targetCode.create:
      return { ...common, target: 'create', operand: reader.float() };
    case targetCode.mod:
      return { ...common, target: 'mod', operand: reader.float() };
    case targetCode.value:
      return { ...common, target: 'value', operand: reader.bytes() };
    case targetCode.lease:
      return { ...common, target: 'lease', operand: leaseId(reader.signed64()) };
    case targetCode.unknown:
      return { ...common, target: 'unknown' };
    default:
      throw new MalformedBytesError(`a compare's target of number ${code}`);
  }
}

export function writeDeleteRange(writer: BinaryWriter, request: DeleteRangeRequest): void {
  writer.bytes(request.key);
  writer.bytes(request.rangeEnd);
  writer.boolean(request.previous);
}

export function readDeleteRange(reader: BinaryReader): DeleteRangeRequest {
  return { key: reader.bytes(), rangeEnd: reader.bytes(), previous: reader.boolean() };
}

function writeOperation(writer: BinaryWriter, operation: TxnOperation): void {
  writer.byte(operationCode[operation.kind]);
  switch (operation.kind) {
    case 'range':
      writeRange(writer, operation.request);
      return;
    case 'put':
      writePut(writer, operation.request);
      return;
    case 'deleteRange':
      writeDeleteRange(writer, operation.request);
      return;
    case 'txn':
      writeTxn(writer, operation.request);
      return;
    case 'empty':
  }
}

function readOperation(reader: BinaryReader, bounds: TxnBounds | null): TxnOperation {
  const code = reader.byte();
  switch (code) {
    case operationCode.range:
      return { kind: 'range', request: readRange(reader) };
    case operationCode.put:
      return { kind: 'put', request: readPut(reader) };
    case operationCode.deleteRange:
      return { kind: 'deleteRange', request: readDeleteRange(reader) };
    case operationCode.txn:
      return { kind: 'txn', request: readNested(reader, bounds) };
    case operationCode.empty:
      return { kind: 'empty' };
    default:
      throw new MalformedBytesError(`a txn's operation of kind ${code}`);
  }
}

/** Numbers are written as they came, also those over 2^53. Only those that are not 0 are written. */
const rangeNumbers = [
  'limit',
  'revision',
  'sortOrder',
  'sortTarget',
  'minModRevision',
  'maxModRevision',
  'minCreateRevision',
  'maxCreateRevision',
] as const;
const rangeFlags = ['serializable', 'keysOnly', 'countOnly'] as const;

export function writeRange(writer: BinaryWriter, request: RangeRequest): void {
  writer.bytes(request.key);
  writer.bytes(request.rangeEnd);
  let flags = 0;
  for (const [place, name] of rangeFlags.entries()) if (request[name]) flags |= 1 << place;
  let present = 0;
  for (const [place, name] of rangeNumbers.entries()) if (request[name] !== 0) present |= 1 << place;
  writer.byte(flags);
  writer.byte(present);
  for (const name of rangeNumbers) if (request[name] !== 0) writer.float(request[name]);
}

export function readRange(reader: BinaryReader): RangeRequest {
  const key = reader.bytes();
  const rangeEnd = reader.bytes();
  const flags = reader.byte();
  const present = reader.byte();
  // The frame of a client may have -0, which no writer writes: it is read as 0.
  const number = (place: number): number => ((present & (1 << place)) === 0 ? 0 : reader.float() + 0);
  // The numbers are read in the order of `rangeNumbers`: a literal is evaluated as it is written.
  return {
    key,
    rangeEnd,
    serializable: (flags & 1) !== 0,
    keysOnly: (flags & 2) !== 0,
    countOnly: (flags & 4) !== 0,
    limit: number(0),
    revision: number(1),
    sortOrder: number(2),
    sortTarget: number(3),
    minModRevision: number(4),
    maxModRevision: number(5),
    minCreateRevision: number(6),
    maxCreateRevision: number(7),
  };
}
