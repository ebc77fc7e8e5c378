// A put in bytes, alone or within a transaction. Log entries, and calls on their way, hold it in this form, which never
// changes: code that needs another form adds it beside this one, and each reader says by its own version which form it
// reads.

import { leaseId, noLease } from '../brands.ts';
import type { BinaryReader, BinaryWriter } from '../../base/binary.ts';
import type { PutRequest } from '../store.ts';

const putFlag = { previous: 1, ignoreValue: 2, ignoreLease: 4, lease: 8 } as const;

export function writePut(writer: BinaryWriter, request: PutRequest): void {
  writer.bytes(request.key);
  writer.bytes(request.value);
  let flags = 0;
  if (request.previous) flags |= putFlag.previous;
  if (request.ignoreValue) flags |= putFlag.ignoreValue;
  if (request.ignoreLease) flags |= putFlag.ignoreLease;
  if (request.lease !== noLease) flags |= putFlag.lease;
  writer.byte(flags);
  if (request.lease !== noLease) writer.signed64(request.lease);
}

export function readPut(reader: BinaryReader): PutRequest {
  const key = reader.bytes();
  const value = reader.bytes();
  const flags = reader.byte();
  return {
    key,
    value,
    lease: (flags & putFlag.lease) === 0 ? noLease : leaseId(reader.signed64()),
    previous: (flags & putFlag.previous) !== 0,
    ignoreValue: (flags & putFlag.ignoreValue) !== 0,
    ignoreLease: (flags & putFlag.ignoreLease) !== 0,
  };
}
