import { expect, test } from 'vitest';
import { keyText, utf8 } from '../../../src/base/bytes.ts';
import type { KeyRange } from '../../../src/model/store.ts';
import { isEmptyRange } from '../../../src/model/key-range.ts';
import { WatchRanges } from '../../../src/mvcc/watch/watch-ranges.ts';
import { Random } from '../../support/random.ts';
import { holds, shape } from './plain-history.ts';

function found<Member>(ranges: WatchRanges<Member>, key: Uint8Array): Member[] {
  const members: Member[] = [];
  ranges.visit(keyText(key), (member) => members.push(member));
  return members;
}

test('WATCH-INDEX-1: a key is found by exactly the ranges that hold it', () => {
  const ranges = new WatchRanges<string>();
  ranges.add(shape('a').range, 'one');
  ranges.add(shape('a/', 'a0').range, 'prefix');
  ranges.add(shape('b', '\0').range, 'from');
  ranges.add(shape('\0', '\0').range, 'all');
  expect(found(ranges, utf8('a')).sort()).toEqual(['all', 'one']);
  expect(found(ranges, utf8('a/x')).sort()).toEqual(['all', 'prefix']);
  expect(found(ranges, utf8('a0')).sort()).toEqual(['all']);
  expect(found(ranges, Uint8Array.of(0xff, 0xff)).sort()).toEqual(['all', 'from']);
});

test.each([1, 2, 3])('WATCH-INDEX-1: random ranges, added and removed, agree with a plain search (seed %i)', (seed) => {
  const random = new Random(seed);
  const key = (): Uint8Array =>
    Uint8Array.from(
      { length: 1 + Math.floor(random.next() * 3) },
      () => [0, 1, 97, 98, 255][Math.floor(random.next() * 5)] ?? 0,
    );
  const ranges = new WatchRanges<number>();
  const known = new Map<number, KeyRange>();
  for (let step = 0; step < 2_000; step++) {
    if (random.next() < 0.6 || known.size === 0) {
      const range = {
        key: key(),
        rangeEnd: random.next() < 0.3 ? new Uint8Array(0) : random.next() < 0.2 ? Uint8Array.of(0) : key(),
      };
      if (isEmptyRange(range)) continue;
      known.set(step, range);
      ranges.add(range, step);
    } else {
      const members = [...known];
      const [member, range] = members[Math.floor(random.next() * members.length)] ?? [0, shape('a').range];
      known.delete(member);
      ranges.delete(range, member);
    }
    if (step % 10 !== 0) continue;
    const asked = key();
    const expected = [...known].filter(([, range]) => holds(range, asked)).map(([member]) => member);
    expect(found(ranges, asked).sort((a, b) => a - b)).toEqual(expected.sort((a, b) => a - b));
  }
});

test('WATCH-INDEX-2: what watches other keys costs an event nothing', () => {
  const ranges = new WatchRanges<number>();
  for (let at = 0; at < 20_000; at++) {
    const name = String(at).padStart(6, '0');
    ranges.add(shape(`key/${name}`).range, at);
    ranges.add(shape(`prefix/${name}/`, `prefix/${name}0`).range, at);
  }
  const members: number[] = [];
  const looked = ranges.visit('prefix/010000/x', (member) => members.push(member));
  expect(members).toEqual([10_000]);
  // The bound is the depth of a random tree of 20,000 nodes, and not its size.
  expect(looked).toBeLessThan(100);
});
