// A put as a log entry holds it, alone or within a txn.

import { leaseId, noLease } from '../../model/brands.ts';
import type { BinaryReader, BinaryWriter } from '../../base/binary.ts';
import type { PutRequest } from '../../model/store.ts';

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
