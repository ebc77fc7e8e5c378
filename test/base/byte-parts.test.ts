// Bytes in parts.

import { describe, expect, it } from 'vitest';
import { BinaryWriter } from '../../src/base/binary.ts';
import { ByteParts, GatheredBytes, PartsWriter } from '../../src/base/byte-parts.ts';
import { joinBytes } from '../../src/base/bytes.ts';

function bytesOf(length: number, first: number): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => (first + index * 7) & 0xff);
}

describe('BYTES-1: parts', () => {
  const lengths = [0, 1, 100, 16_383, 16_384, 40_000, 200, 70_000, 3, 65_536];
  const values = lengths.map((length, index) => bytesOf(length, index));

  function write(writer: BinaryWriter): void {
    for (const value of values) {
      writer.varint(value.byteLength);
      writer.signed64(-5n);
      writer.bytes(value);
    }
    for (let n = 0; n < 20_000; n++) writer.bytes(bytesOf(n % 30, n));
  }

  it('are together what one writer writes, in pieces of any size', () => {
    const whole = new BinaryWriter();
    write(whole);
    const expected = whole.finish();
    for (const pieceBytes of [1_000, 65_536, Infinity]) {
      const writer = new PartsWriter(1_000_000);
      write(writer);
      const parts = new ByteParts(writer.parts());
      expect(parts.bytes).toBe(expected.byteLength);
      const pieces: Uint8Array[] = [];
      while (parts.bytes > 0) pieces.push(parts.take(pieceBytes));
      expect(Buffer.compare(joinBytes(pieces), expected)).toBe(0);
      expect(pieces.slice(0, -1).every(({ byteLength }) => byteLength === pieceBytes)).toBe(true);
      expect(parts.take(5).byteLength).toBe(0);
    }
  });

  it('are copies, but for bytes that are given up', () => {
    const [kept, given] = [new Uint8Array(100_000), new Uint8Array(100_000)];
    const writer = new PartsWriter(100);
    writer.raw(kept);
    writer.given(given);
    const parts = new ByteParts(writer.parts());
    expect(parts.take(100_000).buffer).not.toBe(kept.buffer);
    expect(parts.take(100_000).buffer).toBe(given.buffer);
    parts.free();
    expect([kept.byteLength, given.byteLength]).toEqual([100_000, 0]);
  });

  it('have no memory any more once they were taken, or were dropped', () => {
    const own = [bytesOf(3, 0), bytesOf(4, 9), bytesOf(5, 1)];
    const parts = new ByteParts(own);
    expect([parts.take(5), parts.bytes]).toEqual([Uint8Array.of(0, 7, 14, 9, 16), 7]);
    parts.free();
    expect(own.map(({ byteLength }) => byteLength)).toEqual([0, 4, 5]);
    expect(parts.take(3)).toEqual(Uint8Array.of(23, 30, 1));
    parts.drop();
    expect([own.map(({ byteLength }) => byteLength), parts.bytes]).toEqual([[0, 0, 0], 0]);
  });
});

it('BYTES-3: bytes that come one behind the other are in one buffer of their size, and are given back together', () => {
  const parts = [bytesOf(100, 1), bytesOf(70_000, 2), bytesOf(0, 3), bytesOf(300_000, 4), bytesOf(5, 5)];
  const gathered = new GatheredBytes();
  for (const part of parts) gathered.add(part);
  expect(gathered.length).toBe(370_105);
  const bytes = gathered.finish();
  expect(Buffer.compare(bytes, joinBytes(parts))).toBe(0);
  expect(bytes.buffer.byteLength).toBe(370_105);
  gathered.drop();
  expect(bytes.byteLength).toBe(0);
});
