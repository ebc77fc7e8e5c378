// Many pairs as their bytes: an object and two views for each pair would take ten times what a small pair does. A pair
// is made when it is asked for.

import { BinaryReader, BinaryWriter } from '../../base/binary.ts';
import { giveBack } from '../../base/byte-parts.ts';
import type { KeyValue, Pairs } from '../store.ts';
import { pairBytes, readPair, writePair } from './pair-codec.ts';

/** Pairs one behind the other, in blocks that end where a pair does. */
export class PackedPairs implements Pairs {
  readonly length: number;
  readonly blocks: readonly Uint8Array[];
  /** Whether nobody else has a view of the blocks. */
  readonly isOwn: boolean;
  /** The bytes of keys and values. */
  readonly contentBytes: number;
  readonly #lastAt: number;

  constructor(blocks: readonly Uint8Array[], { length, isOwn, contentBytes, lastAt }: PackedFacts) {
    this.length = length;
    this.blocks = blocks;
    this.isOwn = isOwn;
    this.contentBytes = contentBytes;
    this.#lastAt = lastAt;
  }

  get bytes(): number {
    let bytes = 0;
    for (const { byteLength } of this.blocks) bytes += byteLength;
    return bytes;
  }

  *[Symbol.iterator](): IterableIterator<KeyValue> {
    for (const block of this.blocks) {
      const reader = new BinaryReader(block);
      while (reader.remaining > 0) yield readPair(reader);
    }
  }

  at(index: number): KeyValue | undefined {
    const block = this.blocks.at(-1);
    if (index === -1 && block !== undefined) return readPair(new BinaryReader(block.subarray(this.#lastAt)));
    let left = index < 0 ? this.length + index : index;
    for (const pair of this) if (left-- === 0) return pair;
    return undefined;
  }

  filter(wanted: (pair: KeyValue) => boolean): KeyValue[] {
    return [...this].filter((pair) => wanted(pair));
  }

  map<Mapped>(map: (pair: KeyValue) => Mapped): Mapped[] {
    const mapped: Mapped[] = [];
    for (const pair of this) mapped.push(map(pair));
    return mapped;
  }
}

/** `lastAt`: where the last pair begins in the last block. */
type PackedFacts = Pick<PackedPairs, 'length' | 'isOwn' | 'contentBytes'> & { readonly lastAt: number };

/** Few pairs of few bytes are kept as they are. */
const loosePairsMax = 16;
const looseBytesMax = 16_384;
const blockBytes = 65_536;
const firstBlockBytes = 4_096;

/** Gathers pairs, and packs them once they are many. */
export class PairGatherer {
  readonly #packs: boolean;
  #loose: KeyValue[] = [];
  #contentBytes = 0;
  #blocks: Uint8Array[] = [];
  #writer: BinaryWriter | null = null;
  #length = 0;
  #lastAt = 0;

  /** `packs` false: all pairs are kept as they are. */
  constructor({ packs }: { readonly packs: boolean }) {
    this.#packs = packs;
  }

  get length(): number {
    return this.#length;
  }

  add(pair: KeyValue): void {
    this.#length++;
    this.#contentBytes += pair.key.byteLength + pair.value.byteLength;
    if (this.#writer !== null) return this.#pack(this.#writer, pair);
    this.#loose.push(pair);
    if (!this.#packs || (this.#length <= loosePairsMax && this.#contentBytes <= looseBytesMax)) return;
    const loose = this.#loose;
    this.#loose = [];
    for (const each of loose) this.#pack(this.#writer ?? new BinaryWriter(firstBlockBytes), each);
  }

  /** Nothing more may be added. */
  pairs(): Pairs {
    if (this.#writer === null) return this.#loose;
    const block = this.#writer.finish();
    if (block.byteLength > 0) this.#blocks.push(block);
    return new PackedPairs(this.#blocks, {
      length: this.#length,
      isOwn: true,
      contentBytes: this.#contentBytes,
      lastAt: this.#lastAt,
    });
  }

  /** Nobody will read what was gathered: its memory is given back. */
  drop(): void {
    const last = this.#writer?.finish();
    for (const block of last === undefined ? this.#blocks : [...this.#blocks, last]) giveBack(block);
    this.#blocks = [];
    this.#loose = [];
  }

  #pack(writer: BinaryWriter, pair: KeyValue): void {
    const bytes = pairBytes(pair);
    let into = writer;
    if (writer.length + bytes > blockBytes) {
      if (writer.length > 0) this.#blocks.push(writer.finish());
      into = new BinaryWriter(Math.max(bytes + numberSpareBytes, blockBytes));
    }
    this.#writer = into;
    this.#lastAt = into.length;
    writePair(into, pair);
  }
}

/** What the writer wants to be free when it writes the last number. */
const numberSpareBytes = 16;
