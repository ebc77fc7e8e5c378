// CRC-32 (IEEE 802.3), of bytes and of typed values one after the other: fast enough for whole tables and for every
// entry of the log, and the same on every runtime.

import { utf8 } from '../../base/bytes.ts';
import type { SqlValue } from '../../base/sql-port.ts';

/**
 * The effect of a byte if no, one, two or three bytes follow it, so that four bytes take one step, of 0.7 ns a byte.
 */
const tables = [new Uint32Array(256), new Uint32Array(256), new Uint32Array(256), new Uint32Array(256)] as const;
const [last, second, third, fourth] = tables;
for (let byte = 0; byte < 256; byte++) {
  let rest = byte;
  for (const table of tables) {
    for (let bit = 0; bit < 8; bit++) rest = rest & 1 ? (rest >>> 1) ^ 0xedb88320 : rest >>> 1;
    table[byte] = rest >>> 0;
  }
}

/**
 * A checksum is from 0 to 2^32 - 1. `before`: the checksum of the bytes before these. Other bytes before these make
 * another result.
 */
export function crc32(bytes: Uint8Array, before = 0): number {
  return (remainder(bytes, before ^ 0xffffffff) ^ 0xffffffff) >>> 0;
}

/**
 * The checksum of some bytes and of others after them, from both checksums and the length of the latter. It is computed
 * as zlib's crc32_combine does: one byte more is the remainder of the first times x^8, modulo the polynomial.
 */
export function combinedCrc32(first: number, second: number, secondBytes: number): number {
  let factor = 0x8000_0000;
  let power = 0x0080_0000;
  for (let left = secondBytes; left > 0; left = Math.floor(left / 2)) {
    if (left % 2 === 1) factor = product(power, factor);
    power = product(power, power);
  }
  return (product(factor, first) ^ second) >>> 0;
}

/** The product of two polynomials, modulo that of CRC-32. The highest bit is x^0. */
function product(left: number, right: number): number {
  let sum = 0;
  let shifted = right;
  for (let bit = 0x8000_0000; bit !== 0; bit >>>= 1) {
    if ((left & bit) !== 0) sum ^= shifted;
    shifted = shifted & 1 ? (shifted >>> 1) ^ 0xedb88320 : shifted >>> 1;
  }
  return sum >>> 0;
}

function remainder(bytes: Uint8Array, before: number): number {
  let rest = before;
  let place = 0;
  // No byte and no entry of a table is ever missing: `?? 0` is for the compiler, and costs nothing.
  for (const end = bytes.byteLength - 3; place < end; place += 4) {
    rest ^=
      (bytes[place] ?? 0) |
      ((bytes[place + 1] ?? 0) << 8) |
      ((bytes[place + 2] ?? 0) << 16) |
      ((bytes[place + 3] ?? 0) << 24);
    rest =
      (fourth[rest & 0xff] ?? 0) ^
      (third[(rest >>> 8) & 0xff] ?? 0) ^
      (second[(rest >>> 16) & 0xff] ?? 0) ^
      (last[rest >>> 24] ?? 0);
  }
  for (; place < bytes.byteLength; place++) rest = (rest >>> 8) ^ (last[(rest ^ (bytes[place] ?? 0)) & 0xff] ?? 0);
  return rest;
}

const tag = { nothing: 0, number: 1, text: 2, bytes: 3 } as const;

export class Checksum {
  #rest = 0xffffffff;
  readonly #number = new DataView(new ArrayBuffer(8));

  /** Values of different types, and values that follow each other, have different bytes. */
  add(value: SqlValue): void {
    if (value === null) return this.#byte(tag.nothing);
    if (typeof value === 'number') {
      this.#byte(tag.number);
      return this.#addNumber(value);
    }
    const bytes = typeof value === 'string' ? utf8(value) : value;
    this.#byte(typeof value === 'string' ? tag.text : tag.bytes);
    this.#addNumber(bytes.byteLength);
    this.#rest = remainder(bytes, this.#rest);
  }

  /** From 0 to 2^32 - 1. */
  value(): number {
    return (this.#rest ^ 0xffffffff) >>> 0;
  }

  #addNumber(value: number): void {
    this.#number.setFloat64(0, value);
    for (let place = 0; place < 8; place++) this.#byte(this.#number.getUint8(place));
  }

  #byte(value: number): void {
    this.#rest = (this.#rest >>> 8) ^ (last[(this.#rest ^ value) & 0xff] ?? 0);
  }
}
