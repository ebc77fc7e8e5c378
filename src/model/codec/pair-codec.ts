// A pair in bytes. The form never changes, like that of the answers that hold pairs (`answer-codec.ts`).

import { type BinaryReader, type BinaryWriter, varintBytes } from '../../base/binary.ts';
import { leaseId, noLease, revision } from '../brands.ts';
import type { KeyValue } from '../store.ts';

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

/** Goes past a pair. Returns the bytes of its key and value. @throws MalformedBytesError where the bytes are none. */
export function skipPair(reader: BinaryReader): number {
  const contentBytes = reader.bytes().byteLength + reader.bytes().byteLength;
  for (let number = 0; number < 3; number++) reader.varint();
  if (reader.boolean()) reader.signed64();
  return contentBytes;
}
