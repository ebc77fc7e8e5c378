// A running CRC-32 (IEEE 802.3) over typed values: fast enough for whole tables, and the same on every runtime.

import { utf8 } from '../bytes.ts';
import type { SqlValue } from '../sql-port.ts';

const table = new Uint32Array(256);
for (let byte = 0; byte < 256; byte++) {
  let rest = byte;
  for (let bit = 0; bit < 8; bit++) rest = rest & 1 ? (rest >>> 1) ^ 0xedb88320 : rest >>> 1;
  table[byte] = rest >>> 0;
}

const tag = { nothing: 0, number: 1, text: 2, bytes: 3 } as const;

export class Checksum {
  #rest = 0xffffffff;
  readonly #number = new DataView(new ArrayBuffer(8));

  /** Values of different types, and values that follow each other, cannot be taken for one another. */
  add(value: SqlValue): void {
    if (value === null) return this.#byte(tag.nothing);
    if (typeof value === 'number') {
      this.#byte(tag.number);
      return this.#addNumber(value);
    }
    const bytes = typeof value === 'string' ? utf8(value) : value;
    this.#byte(typeof value === 'string' ? tag.text : tag.bytes);
    this.#addNumber(bytes.byteLength);
    let rest = this.#rest;
    for (const byte of bytes) rest = (rest >>> 8) ^ (table[(rest ^ byte) & 0xff] ?? 0);
    this.#rest = rest;
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
    this.#rest = (this.#rest >>> 8) ^ (table[(this.#rest ^ value) & 0xff] ?? 0);
  }
}
