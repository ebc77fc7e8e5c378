// Pairs that are kept as bytes.

import { describe, expect, it } from 'vitest';
import { BinaryReader, BinaryWriter } from '../../src/base/binary.ts';
import { ByteParts, PartsWriter } from '../../src/base/byte-parts.ts';
import { leaseId, noLease, revision } from '../../src/model/brands.ts';
import { rangeAnswerBytes, readRangeAnswer, writeRangeAnswer } from '../../src/model/codec/answer-codec.ts';
import { AnswerBudget } from '../../src/mvcc/range.ts';
import { PackedPairs, PairGatherer } from '../../src/model/codec/packed-pairs.ts';
import type { KeyValue, Pairs } from '../../src/model/store.ts';

function pairsOf(count: number, valueBytes: (index: number) => number): KeyValue[] {
  return Array.from({ length: count }, (_, index) => ({
    key: Buffer.from(`key ${index}`),
    value: new Uint8Array(valueBytes(index)).fill(index),
    createRevision: revision(index + 2),
    modRevision: revision(index + 300),
    version: index + 1,
    lease: index % 3 === 0 ? leaseId(BigInt(-index)) : noLease,
  }));
}

function gathered(pairs: readonly KeyValue[], packs = true): Pairs {
  const gatherer = new PairGatherer({ packs });
  for (const pair of pairs) gatherer.add(pair);
  expect(gatherer.length).toBe(pairs.length);
  return gatherer.pairs();
}

const plain = (pairs: Iterable<KeyValue>): unknown[] =>
  [...pairs].map(({ key, value, ...numbers }) => [Buffer.from(key).toString(), Buffer.from(value), numbers]);

describe('BYTES-2: packed pairs', () => {
  it.each([
    ['small ones', pairsOf(5_000, (index) => index % 50)],
    ['large ones', pairsOf(7, () => 300_000)],
    ['both', pairsOf(90, (index) => (index % 9 === 0 ? 80_000 : 20))],
    ['17', pairsOf(17, () => 0)],
  ])('are those that were read: %s', (_, pairs) => {
    const packed = gathered(pairs);
    expect(packed).toBeInstanceOf(PackedPairs);
    expect([packed.length, plain(packed)]).toEqual([pairs.length, plain(pairs)]);
    for (const index of [0, 3, pairs.length - 1, -1, -2]) {
      expect(plain([packed.at(index)].flatMap((pair) => pair ?? []))).toEqual(plain(pairs.slice(index).slice(0, 1)));
    }
    expect(packed.at(pairs.length)).toBeUndefined();
    expect(packed.map(({ version }) => version)).toEqual(pairs.map(({ version }) => version));
    const contentBytes = pairs.reduce((sum, { key, value }) => sum + key.byteLength + value.byteLength, 0);
    expect(packed instanceof PackedPairs && packed.contentBytes).toBe(contentBytes);
    expect(packed.filter(({ version }) => version < 3)).toHaveLength(2);
  });

  it('are in bytes what loose ones are, and come out of them as they were', () => {
    const pairs = pairsOf(3_000, (index) => (index % 500 === 0 ? 70_000 : 30));
    const whole = new BinaryWriter();
    writeRangeAnswer(whole, { kvs: pairs, more: true, count: 4_000 });
    const packed = { kvs: gathered(pairs), more: true, count: 4_000 };
    expect(rangeAnswerBytes(packed)).toBe(whole.length);
    const writer = new PartsWriter(rangeAnswerBytes(packed));
    writeRangeAnswer(writer, packed);
    const bytes = new ByteParts(writer.parts()).rest();
    expect(Buffer.compare(bytes, whole.finish())).toBe(0);
    const read = readRangeAnswer(new BinaryReader(bytes));
    expect(read.kvs).toBeInstanceOf(PackedPairs);
    expect([plain(read.kvs), plain([read.kvs.at(-1)].flatMap((pair) => pair ?? []))]).toEqual([
      plain(pairs),
      plain(pairs.slice(-1)),
    ]);
    // What was read from bytes of others is not given away.
    const again = new PartsWriter(100);
    writeRangeAnswer(again, read);
    new ByteParts(again.parts()).drop();
    expect(plain(read.kvs)).toEqual(plain(pairs));
  });

  it('of a read that is forgotten have no memory any more', () => {
    const budget = new AnswerBudget();
    const gathered = [budget.gatherer({ packs: true }), budget.gatherer({ packs: true })];
    for (const gatherer of gathered) for (const pair of pairsOf(400, () => 300)) gatherer.add(pair);
    const packed = gathered[0]?.pairs();
    const blocks = packed instanceof PackedPairs ? packed.blocks : [];
    expect(blocks.length).toBe(2);
    budget.drop();
    expect(blocks.map(({ byteLength }) => byteLength)).toEqual([0, 0]);
  });

  it('are only those that are many or large, and none in a command', () => {
    expect(gathered(pairsOf(16, () => 1_000))).toBeInstanceOf(Array);
    expect(gathered(pairsOf(1, () => 16_385))).toBeInstanceOf(PackedPairs);
    expect(
      gathered(
        pairsOf(100, () => 1_000),
        false,
      ),
    ).toBeInstanceOf(Array);
  });
});
