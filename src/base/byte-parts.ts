// Many bytes in parts that lie apart in memory, as they are written and as they are given away. Whoever has the parts
// owns them: nobody else has a view of their buffers, so the memory of a part that was read is given back at once.
// Garbage of such buffers may grow to many times what is in use before the platform collects it.

import { BinaryWriter } from './binary.ts';
import { joinBytes } from './bytes.ts';

/** Bytes that are given away in pieces, from the first one on. */
export class ByteParts {
  readonly #parts: Uint8Array[];
  /** How many bytes of the first part were taken. */
  #offset = 0;
  #bytes = 0;
  /** Parts that were taken whole. */
  #taken: Uint8Array[] = [];

  /** The parts are its own from now on. */
  constructor(parts: readonly Uint8Array[]) {
    this.#parts = parts.toReversed();
    for (const part of parts) this.#bytes += part.byteLength;
  }

  /** What is left. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The next bytes, as many as there are up to `bytesMax`: a view where they lie in one part. */
  take(bytesMax: number): Uint8Array {
    const wanted = Math.min(bytesMax, this.#bytes);
    const pieces: Uint8Array[] = [];
    for (let missing = wanted; missing > 0;) {
      const part = this.#parts.at(-1) ?? noBytes;
      const piece = part.subarray(this.#offset, this.#offset + missing);
      pieces.push(piece);
      missing -= piece.byteLength;
      this.#offset += piece.byteLength;
      if (this.#offset < part.byteLength) continue;
      this.#parts.pop();
      this.#offset = 0;
      this.#taken.push(part);
    }
    this.#bytes -= wanted;
    const [only] = pieces;
    return pieces.length === 1 && only !== undefined ? only : joinBytes(pieces);
  }

  /** All that is left. */
  rest(): Uint8Array {
    return this.take(this.#bytes);
  }

  /** Nobody reads any more what was taken: its memory is given back. */
  free(): void {
    for (const part of this.#taken) giveBack(part);
    this.#taken = [];
  }

  /** Nobody will read the rest either. */
  drop(): void {
    this.free();
    for (const part of this.#parts) giveBack(part);
    this.#parts.length = 0;
    this.#bytes = 0;
  }
}

const noBytes = new Uint8Array(0);

/** A buffer that was transferred has no memory any more, and views of it have no bytes. */
export function giveBack({ buffer }: Uint8Array): void {
  if (buffer instanceof ArrayBuffer && !buffer.detached) buffer.transfer(0);
}

/** Bytes that come one behind the other, in one buffer that grows where it is. */
export class GatheredBytes {
  #bytes: Uint8Array<ArrayBuffer>;
  #length = 0;

  constructor(expectedBytes = partBytes) {
    this.#bytes = new Uint8Array(expectedBytes);
  }

  get length(): number {
    return this.#length;
  }

  add(bytes: Uint8Array): void {
    const needed = this.#length + bytes.byteLength;
    if (needed > this.#bytes.byteLength) this.#resize(Math.max(needed, 2 * this.#bytes.byteLength));
    this.#bytes.set(bytes, this.#length);
    this.#length = needed;
  }

  /** All bytes, in a buffer of their own. Nothing more may be added. */
  finish(): Uint8Array {
    if (this.#bytes.byteLength > this.#length) this.#resize(this.#length);
    return this.#bytes;
  }

  drop(): void {
    giveBack(this.#bytes);
  }

  /** The former buffer has no memory any more. */
  #resize(byteLength: number): void {
    this.#bytes = new Uint8Array(this.#bytes.buffer.transfer(byteLength));
  }
}

/** The bytes of a part, unless longer ones were written at once. */
const partBytes = 65_536;
/** What a part may have beyond that, because the last bytes that are written into it are not cut. */
const partSpareBytes = 16_384;

/** Writes bytes as parts. */
export class PartsWriter extends BinaryWriter {
  readonly #parts: Uint8Array[] = [];

  /** `expectedBytes`: of everything. */
  constructor(expectedBytes: number) {
    super(Math.min(expectedBytes, partBytes + partSpareBytes));
  }

  override raw(value: Uint8Array): void {
    if (this.length > 0 && this.length + value.byteLength > partBytes + partSpareBytes) this.#cut(value.byteLength);
    super.raw(value);
    if (this.length >= partBytes) this.#cut(0);
  }

  /** Such bytes become a part as they are. */
  override given(value: Uint8Array): void {
    this.#cut(0);
    this.#push(value);
  }

  /** Nothing more may be written. */
  parts(): Uint8Array[] {
    this.#push(this.finish());
    return this.#parts;
  }

  #cut(expectedBytes: number): void {
    this.#push(this.cut(Math.max(expectedBytes, shortBytes)));
  }

  #push(part: Uint8Array): void {
    if (part.byteLength > 0) this.#parts.push(part);
  }
}

/** What is made ready for the next part grows with what is written. */
const shortBytes = 4_096;
