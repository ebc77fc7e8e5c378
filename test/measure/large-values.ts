// The keys and values of a large store, always the same ones: mostly records of 1 KB, some documents, and few files of
// up to a megabyte. Each size has about the same share of the bytes, so small values make most keys, and large ones
// most bytes of a row.

import { Random } from '../support/random.ts';

/** How many values of a thousand have this size. */
const sizes = [
  { bytes: 1_024, perMille: 800 },
  { bytes: 4_096, perMille: 150 },
  { bytes: 16_384, perMille: 40 },
  { bytes: 131_072, perMille: 8 },
  { bytes: 1_000_000, perMille: 2 },
] as const;

export const megabyte = 1_048_576;

/** The size in megabytes. */
export function mb(bytes: number): string {
  return (bytes / megabyte).toFixed(0);
}

export type LargeValue = { readonly key: string; readonly value: Uint8Array };

export class LargeValues {
  /** The bytes of all values so far. */
  bytes = 0;
  count = 0;
  readonly #random: Random;
  readonly #noise: Uint8Array;

  constructor(seed = 1) {
    this.#random = new Random(seed);
    // No two values are equal, and no value compresses.
    this.#noise = this.#random.bytes(2 * megabyte);
  }

  /** Values that together have about this many bytes; at least one value. */
  next(bytesMax: number): readonly LargeValue[] {
    const values: LargeValue[] = [];
    for (let bytes = 0; bytes < bytesMax;) {
      const value = this.#value();
      values.push({ key: this.keyAt(this.count), value });
      this.count++;
      this.bytes += value.byteLength;
      bytes += value.byteLength;
    }
    return values;
  }

  /** The values in the order in which they are made, which is that of the store. */
  keyAt(place: number): string {
    return `large/${String(place).padStart(9, '0')}`;
  }

  #value(): Uint8Array {
    const drawn = this.#random.next() * 1_000;
    let below = 0;
    const size = sizes.find(({ perMille }) => drawn < (below += perMille)) ?? sizes[0];
    const start = this.#random.below(this.#noise.byteLength - size.bytes);
    return this.#noise.slice(start, start + size.bytes);
  }
}
