// The cursor of a list: where its next page begins and at which revision, so that all pages show the same revision. It
// is opaque to clients and gives no rights, because the store checks the caller's key on every page. The sum in it
// finds a cursor that was cut short, changed, or taken from another list.

import { Buffer } from 'node:buffer';
import { compareBytes, concatBytes, equalBytes } from '../../base/bytes.ts';
import { cursorCharactersMax } from '../../limits.ts';
import type { KeyRange } from '../../model/store.ts';

export type Order = 'asc' | 'desc';

export type Cursor = {
  readonly revision: number;
  /** How many keys were on the pages before. */
  readonly served: number;
  /** The last key of the page before. */
  readonly after: Uint8Array;
};

/** The head of a cursor: its format, its revision, `served`, and the sum. */
const headBytes = 1 + 8 + 8 + 4;
const format = 1;

export function encodeCursor(cursor: Cursor, list: KeyRange, order: Order): string {
  const head = Buffer.alloc(headBytes);
  head.writeUInt8(format, 0);
  head.writeBigUInt64BE(BigInt(cursor.revision), 1);
  head.writeBigUInt64BE(BigInt(cursor.served), 9);
  head.writeUInt32BE(sumOf(head.subarray(0, 17), cursor.after, list, order), 17);
  return Buffer.from(concatBytes(head, cursor.after)).toString('base64url');
}

/** null where the list gave no such cursor. */
export function decodeCursor(text: string, list: KeyRange, order: Order): Cursor | null {
  if (text.length > cursorCharactersMax || !/^[A-Za-z0-9_-]+$/.test(text)) return null;
  const bytes = Buffer.from(text, 'base64url');
  if (bytes.toString('base64url') !== text || bytes.byteLength <= headBytes || bytes.readUInt8(0) !== format)
    return null;
  const after = new Uint8Array(bytes.subarray(headBytes));
  if (bytes.readUInt32BE(17) !== sumOf(bytes.subarray(0, 17), after, list, order)) return null;
  const revision = Number(bytes.readBigUInt64BE(1));
  const served = Number(bytes.readBigUInt64BE(9));
  if (!Number.isSafeInteger(revision) || revision < 1 || !Number.isSafeInteger(served) || !lies(after, list))
    return null;
  return { revision, served, after };
}

/** The part of the list that follows the cursor's key. */
export function rangeAfter(cursor: Cursor, list: KeyRange, order: Order): KeyRange {
  return order === 'asc'
    ? { key: concatBytes(cursor.after, new Uint8Array(1)), rangeEnd: list.rangeEnd }
    : { key: list.key, rangeEnd: cursor.after };
}

function lies(key: Uint8Array, { key: first, rangeEnd }: KeyRange): boolean {
  const endless = equalBytes(rangeEnd, new Uint8Array(1));
  return compareBytes(key, first) >= 0 && (endless || compareBytes(key, rangeEnd) < 0);
}

/** FNV-1a of 32 bits over everything that the cursor depends on, each part after its length. */
function sumOf(head: Uint8Array, after: Uint8Array, list: KeyRange, order: Order): number {
  let sum = 0x811c9dc5;
  const add = (byte: number): void => {
    sum = Math.imul(sum ^ byte, 0x01000193) >>> 0;
  };
  for (const part of [head, after, list.key, list.rangeEnd]) {
    add(part.byteLength & 0xff);
    add(part.byteLength >> 8);
    for (const byte of part) add(byte);
  }
  add(order === 'asc' ? 0 : 1);
  return sum;
}
