// Compact binary: the form in which log entries, rows and messages between replicas are written. It checks bounds both
// ways, and knows nothing of what it carries.

import { assert } from './assert.ts';

/** The bytes end too early, or hold what their format does not allow. */
export class MalformedBytesError extends Error {
  override readonly name = 'MalformedBytesError';
}

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** How many bytes a varint takes. */
export function varintBytes(value: number): number {
  let bytes = 1;
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes++;
  return bytes;
}

/** What is kept beside the bytes that were written, where they are few. */
const spareBytesMax = 4_096;

export class BinaryWriter {
  #bytes: Uint8Array;
  /** Of `#bytes`; null: no number of eight bytes was written since these are there. */
  #view: DataView | null = null;
  #length = 0;

  constructor(expectedBytes = 256) {
    this.#bytes = new Uint8Array(Math.max(16, expectedBytes));
  }

  get length(): number {
    return this.#length;
  }

  byte(value: number): void {
    assert(Number.isInteger(value) && value >= 0 && value <= 0xff, 'a byte is from 0 to 255');
    this.#reserve(1);
    this.#bytes[this.#length++] = value;
  }

  boolean(value: boolean): void {
    this.byte(value ? 1 : 0);
  }

  /** A whole number from 0 to 2^53 - 1, in seven bits for each byte, the lowest first. */
  varint(value: number): void {
    assert(Number.isSafeInteger(value) && value >= 0, 'a varint is a whole number from 0 to 2^53 - 1');
    this.#reserve(8);
    let rest = value;
    while (rest >= 0x80) {
      this.#bytes[this.#length++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.#bytes[this.#length++] = rest;
  }

  /** Any number of JavaScript as it is, also one that lost digits on its way in. */
  float(value: number): void {
    this.#reserve(8);
    this.#viewed().setFloat64(this.#length, value);
    this.#length += 8;
  }

  signed64(value: bigint): void {
    assert(BigInt.asIntN(64, value) === value, 'a signed 64-bit integer');
    this.#reserve(8);
    this.#viewed().setBigInt64(this.#length, value);
    this.#length += 8;
  }

  /** Writes the length, and then the bytes. */
  bytes(value: Uint8Array): void {
    this.varint(value.byteLength);
    this.raw(value);
  }

  /** Writes the bytes alone: the reader must know how many there are. */
  raw(value: Uint8Array): void {
    this.#reserve(value.byteLength);
    this.#bytes.set(value, this.#length);
    this.#length += value.byteLength;
  }

  /** Writes bytes that the caller gives up: nobody else has a view of their buffer. */
  given(value: Uint8Array): void {
    this.raw(value);
  }

  text(value: string): void {
    if (value === '') return this.varint(0);
    this.bytes(encoder.encode(value));
  }

  /** The bytes that were written, mostly as a view. Nothing more may be written. */
  finish(): Uint8Array {
    const bytes = this.#bytes.subarray(0, this.#length);
    // Whoever keeps a view keeps all of the buffer, which may have grown to twice what was needed.
    const spareBytes = this.#bytes.byteLength - this.#length;
    return spareBytes > spareBytesMax && spareBytes > this.#length / 8 ? bytes.slice() : bytes;
  }

  /** The bytes that were written since the last cut, as `finish` gives them. What is written next begins anew. */
  protected cut(expectedBytes: number): Uint8Array {
    const bytes = this.finish();
    this.#bytes = new Uint8Array(expectedBytes);
    this.#view = null;
    this.#length = 0;
    return bytes;
  }

  #reserve(count: number): void {
    const needed = this.#length + count;
    if (needed <= this.#bytes.byteLength) return;
    const larger = new Uint8Array(Math.max(needed, this.#bytes.byteLength * 2));
    larger.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = larger;
    this.#view = null;
  }

  #viewed(): DataView {
    return (this.#view ??= new DataView(this.#bytes.buffer));
  }
}

/** @throws MalformedBytesError where the bytes end, or are not what is asked for. */
export class BinaryReader {
  readonly #bytes: Uint8Array;
  /** Of `#bytes`; null: no number of eight bytes was read. */
  #view: DataView | null = null;
  #offset = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get remaining(): number {
    return this.#bytes.byteLength - this.#offset;
  }

  /** A view of what was not read yet. */
  rest(): Uint8Array {
    return this.#bytes.subarray(this.#offset);
  }

  byte(): number {
    return this.#bytes[this.#take(1)] ?? 0;
  }

  boolean(): boolean {
    const value = this.byte();
    if (value > 1) throw new MalformedBytesError(`a boolean is 0 or 1, not ${value}`);
    return value === 1;
  }

  varint(): number {
    let value = 0;
    let scale = 1;
    for (;;) {
      const byte = this.byte();
      value += (byte & 0x7f) * scale;
      if (!Number.isSafeInteger(value)) throw new MalformedBytesError('a varint over 2^53 - 1');
      if (byte < 0x80) return value;
      scale *= 0x80;
      if (scale > 2 ** 49) throw new MalformedBytesError('a varint of more than 8 bytes');
    }
  }

  float(): number {
    return this.#viewed().getFloat64(this.#take(8));
  }

  signed64(): bigint {
    return this.#viewed().getBigInt64(this.#take(8));
  }

  /** The result is a view into the bytes that are read, and not a copy. */
  bytes(): Uint8Array {
    return this.raw(this.varint());
  }

  raw(count: number): Uint8Array {
    const start = this.#take(count);
    return this.#bytes.subarray(start, start + count);
  }

  text(): string {
    const bytes = this.bytes();
    if (bytes.byteLength === 0) return '';
    try {
      return decoder.decode(bytes);
    } catch {
      throw new MalformedBytesError('text that is not UTF-8');
    }
  }

  /**
   * The number of elements that follow. It is never more than there are bytes left, so a wrong length allocates
   * nothing.
   */
  count(): number {
    const count = this.varint();
    if (count > this.remaining) throw new MalformedBytesError(`${count} elements in ${this.remaining} bytes`);
    return count;
  }

  /** @throws MalformedBytesError if bytes are left. */
  end(): void {
    if (this.remaining !== 0) throw new MalformedBytesError(`${this.remaining} bytes too many`);
  }

  #viewed(): DataView {
    const { buffer, byteOffset, byteLength } = this.#bytes;
    return (this.#view ??= new DataView(buffer, byteOffset, byteLength));
  }

  #take(count: number): number {
    if (count > this.remaining) throw new MalformedBytesError(`${count} bytes expected, ${this.remaining} left`);
    const start = this.#offset;
    this.#offset += count;
    return start;
  }
}
