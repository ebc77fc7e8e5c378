// A call on a store in bytes, as a frame of a session holds it. Its version is that of the session (`api/v1/session.ts`
// names the subprotocol). Decoding never throws, whatever the bytes are, and each call is checked before it is one.

import { unreachable } from '../base/assert.ts';
import { BinaryReader, BinaryWriter, MalformedBytesError } from '../base/binary.ts';
import { callElementsMax, callNestedMax } from '../limits.ts';
import { leaseId, noLease } from '../model/brands.ts';
import { type CallRefusal, checkCall } from '../model/call-check.ts';
import type { ClientQuery, ClientWrite, StoreCall } from '../model/calls.ts';
import { readPut, writePut } from '../model/codec/put-codec.ts';
import {
  readDeleteRange,
  readRange,
  readTxn,
  txnBytes,
  writeDeleteRange,
  writeRange,
  writeTxn,
} from '../model/codec/txn-codec.ts';
import type { TxnRequest } from '../model/store.ts';

/** The first byte of a call. */
export const callCode = {
  range: 1,
  put: 2,
  deleteRange: 3,
  txn: 4,
  compact: 5,
  leaseGrant: 6,
  leaseRevoke: 7,
  timeToLive: 8,
  keepAlive: 9,
  leases: 10,
  authStatus: 11,
  userGet: 12,
  userList: 13,
  roleGet: 14,
  roleList: 15,
  alarms: 16,
} as const satisfies Readonly<Record<'range' | ClientWrite['kind'] | ClientQuery['kind'], number>>;

export type DecodedCall =
  | { readonly kind: 'call'; readonly call: StoreCall }
  /** The bytes are a call, which breaks a bound. */
  | { readonly kind: 'refused'; readonly refusal: CallRefusal }
  /** Newer code may know such calls. */
  | { readonly kind: 'unknown'; readonly code: number }
  /** The bytes are no call. */
  | { readonly kind: 'malformed'; readonly detail: string };

/** A transaction with more in it than a frame may hold goes to the store in another way, and is refused there. */
export function fitsFrame(call: StoreCall): boolean {
  if (call.kind !== 'write' || call.operation.kind !== 'txn') return true;
  return elementsOf(call.operation.request, callNestedMax) <= callElementsMax;
}

function elementsOf({ compare, success, failure }: TxnRequest, levels: number): number {
  if (levels === 0) return Infinity;
  let elements = compare.length + success.length + failure.length;
  for (const branch of [success, failure]) {
    for (const part of branch) if (part.kind === 'txn') elements += elementsOf(part.request, levels - 1);
  }
  return elements;
}

export function encodeCall(call: StoreCall): Uint8Array {
  const writer = new BinaryWriter(expectedBytes(call));
  writeCall(writer, call);
  return writer.finish();
}

/** The bytes of keys and values are views of `bytes`. */
export function decodeCall(bytes: Uint8Array): DecodedCall {
  const reader = new BinaryReader(bytes);
  try {
    const code = reader.byte();
    const call = readCall(reader, code);
    if (call === null) return { kind: 'unknown', code };
    reader.end();
    const refusal = checkCall(call, bytes.byteLength);
    return refusal === null ? { kind: 'call', call } : { kind: 'refused', refusal };
  } catch (error) {
    if (error instanceof MalformedBytesError) return { kind: 'malformed', detail: error.message };
    throw error;
  }
}

function expectedBytes(call: StoreCall): number {
  if (call.kind !== 'write') return 128;
  const { operation } = call;
  if (operation.kind === 'txn') return 80 + txnBytes(operation.request);
  return operation.kind === 'put' ? 112 + operation.request.key.byteLength + operation.request.value.byteLength : 128;
}

function writeCall(writer: BinaryWriter, call: StoreCall): void {
  switch (call.kind) {
    case 'read':
      writer.byte(callCode.range);
      writeRange(writer, call.request);
      return;
    case 'write':
      writer.byte(callCode[call.operation.kind]);
      writer.text(call.writeId ?? '');
      writeOperation(writer, call.operation);
      return;
    case 'query':
      writer.byte(callCode[call.query.kind]);
      writeQuery(writer, call.query);
      return;
    default:
      unreachable(call);
  }
}

/** Null: the call is of a kind that is not known. */
function readCall(reader: BinaryReader, code: number): StoreCall | null {
  if (code === callCode.range) return { kind: 'read', request: readRange(reader) };
  if (code >= callCode.put && code <= callCode.leaseRevoke) {
    const writeId = reader.text();
    return { kind: 'write', writeId: writeId === '' ? null : writeId, operation: readOperation(reader, code) };
  }
  const query = readQuery(reader, code);
  return query === null ? null : { kind: 'query', query };
}

function writeOperation(writer: BinaryWriter, operation: ClientWrite): void {
  switch (operation.kind) {
    case 'put':
      return writePut(writer, operation.request);
    case 'deleteRange':
      return writeDeleteRange(writer, operation.request);
    case 'txn':
      return writeTxn(writer, operation.request);
    case 'compact':
      return writer.float(operation.request.revision);
    case 'leaseGrant':
      writer.signed64(operation.id);
      return writer.float(operation.ttlSeconds);
    case 'leaseRevoke':
      return writer.signed64(operation.id);
    default:
      return unreachable(operation);
  }
}

function readOperation(reader: BinaryReader, code: number): ClientWrite {
  switch (code) {
    case callCode.put:
      return { kind: 'put', request: readPut(reader) };
    case callCode.deleteRange:
      return { kind: 'deleteRange', request: readDeleteRange(reader) };
    case callCode.txn: {
      const bounds = { depth: callNestedMax, elements: callElementsMax };
      return { kind: 'txn', request: readTxn(reader, bounds) };
    }
    case callCode.compact:
      return { kind: 'compact', request: { revision: reader.float() } };
    case callCode.leaseGrant: {
      const id = leaseId(reader.signed64());
      // The replica fills in the candidate.
      return { kind: 'leaseGrant', id, candidate: noLease, ttlSeconds: reader.float() };
    }
    case callCode.leaseRevoke:
      return { kind: 'leaseRevoke', id: leaseId(reader.signed64()) };
    default:
      throw new MalformedBytesError(`a write of kind ${code}`);
  }
}

function writeQuery(writer: BinaryWriter, query: ClientQuery): void {
  switch (query.kind) {
    case 'timeToLive':
      writer.signed64(query.id);
      return writer.boolean(query.keys);
    case 'keepAlive':
      return writer.signed64(query.id);
    case 'userGet':
      return writer.text(query.name);
    case 'roleGet':
      return writer.text(query.role);
    case 'alarms':
      return writer.float(query.alarm);
    case 'leases':
    case 'authStatus':
    case 'userList':
    case 'roleList':
      return;
    default:
      unreachable(query);
  }
}

function readQuery(reader: BinaryReader, code: number): ClientQuery | null {
  switch (code) {
    case callCode.timeToLive:
      return { kind: 'timeToLive', id: leaseId(reader.signed64()), keys: reader.boolean() };
    case callCode.keepAlive:
      return { kind: 'keepAlive', id: leaseId(reader.signed64()) };
    case callCode.leases:
      return { kind: 'leases' };
    case callCode.authStatus:
      return { kind: 'authStatus' };
    case callCode.userGet:
      return { kind: 'userGet', name: reader.text() };
    case callCode.userList:
      return { kind: 'userList' };
    case callCode.roleGet:
      return { kind: 'roleGet', role: reader.text() };
    case callCode.roleList:
      return { kind: 'roleList' };
    case callCode.alarms:
      return { kind: 'alarms', alarm: reader.float() };
    default:
      return null;
  }
}
