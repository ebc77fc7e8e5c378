// Bytes that travel between replicas, or lie on a disk, with a checksum behind them, so that bytes that were cut or
// changed are found before any of them is used.

import { BinaryReader, type BinaryWriter, MalformedBytesError } from '../../base/binary.ts';
import { crc32 } from '../hash/checksum.ts';

const sealBytes = 4;

/** The bytes that were written, with their checksum. Nothing more may be written. */
export function seal(writer: BinaryWriter): Uint8Array {
  const sum = crc32(writer.finish());
  for (let shift = 24; shift >= 0; shift -= 8) writer.byte((sum >>> shift) & 0xff);
  return writer.finish();
}

/** Reads what `seal` closed. @throws MalformedBytesError where the checksum is not that of the bytes. */
export function unseal(bytes: Uint8Array): BinaryReader {
  const length = bytes.byteLength - sealBytes;
  if (length < 0) throw new MalformedBytesError(`${bytes.byteLength} bytes are too few for a checksum`);
  const body = bytes.subarray(0, length);
  let sum = 0;
  for (const byte of bytes.subarray(length)) sum = ((sum << 8) | byte) >>> 0;
  if (sum !== crc32(body)) throw new MalformedBytesError('the checksum is not that of the bytes');
  return new BinaryReader(body);
}
