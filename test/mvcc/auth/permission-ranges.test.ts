// Which keys a set of permissions opens, compared with a look at every key.

import { describe, expect, it } from 'vitest';
import { compareBytes, utf8 } from '../../../src/base/bytes.ts';
import type { KeyRange } from '../../../src/model/store.ts';
import { isEmptyRange, spanHolds, spanOf } from '../../../src/model/key-range.ts';
import {
  intervalOf,
  intervalsHold,
  intervalsHoldKeys,
  intervalsHoldOnce,
  joined,
} from '../../../src/mvcc/auth/permission-ranges.ts';
import { PermissionTree } from '../../../src/mvcc/auth/permission-tree.ts';
import { RandomOperations } from '../random-operations.ts';
import { fromKeyOn, keyRange } from '../requests.ts';

// All keys over a small alphabet, as close to each other as keys can be.
const letters = ['\0', 'a', 'b'];
const keys = letters
  .flatMap((one) => [one, ...letters.flatMap((two) => [one + two, ...letters.map((three) => one + two + three)])])
  .map(utf8)
  .toSorted(compareBytes);

const point = (...bytes: readonly number[]): KeyRange => keyRange(Uint8Array.from(bytes));
const open = (...bytes: readonly number[]): KeyRange => keyRange(Uint8Array.from(bytes), fromKeyOn);

function someRange(random: RandomOperations): KeyRange {
  const key = random.pick(keys);
  const kind = random.below(4);
  if (kind === 0) return keyRange(key);
  return { key, rangeEnd: kind === 1 ? utf8(fromKeyOn) : random.pick(keys) };
}

describe('MVCC-AUTH-13: intervals hold what some permission of theirs holds at every key, and nothing else', () => {
  for (let seed = 1; seed <= 20; seed++) {
    it(`seed ${seed}`, () => {
      const random = new RandomOperations(seed);
      const permissions = Array.from({ length: random.below(8) }, () => someRange(random)).filter(
        (of) => !isEmptyRange(of),
      );
      const inOrder = permissions.map(intervalOf).toSorted((left, right) => compareBytes(left.from, right.from));
      const intervals = [...joined(inOrder)];
      for (const [place, { from }] of intervals.entries()) {
        const to = intervals[place - 1]?.to;
        if (place > 0) expect(to !== null && to !== undefined && compareBytes(to, from) < 0).toBe(true);
      }
      for (let asked = 0; asked < 300; asked++) {
        const request = someRange(random);
        if (isEmptyRange(request)) continue;
        const inside = keys.filter((key) => spanHolds(spanOf(request), key));
        const isOpen = inside.every((key) => permissions.some((permission) => spanHolds(spanOf(permission), key)));
        const held = intervalsHold(intervals, request);
        expect(intervalsHoldOnce(intervals, request)).toBe(held);
        // There are keys longer than those that are looked at, so a set may hold a request that these keys do not show,
        // and never the reverse.
        if (held) expect(isOpen).toBe(true);
        const last = inside.at(-1);
        const isClosed = spanOf(request).kind === 'single' || (last?.byteLength ?? 3) < 3;
        if (isOpen && isClosed && inside.length > 0)
          expect([held, request, permissions]).toEqual([true, request, permissions]);
      }
    });
  }
});

it('MVCC-AUTH-13: an empty range is looked up in etcd’s tree, as etcd 3.7.1 was seen to answer', () => {
  // The permissions of a user of a recorded conversation, in the order of its roles, and the answers that this user
  // got.
  const permissions = [
    point(0x62, 0xff),
    open(0x7e, 0x78, 0x31, 0x30),
    point(0xe9, 0x78, 0x31, 0x30),
    point(0xff),
    open(0x61),
    open(0xe9, 0x78, 0x2f),
    point(0x62, 0xff),
    point(0x62, 0xff),
    point(0x7e, 0x78, 0),
    point(0x7e, 0x78, 0x31, 0x30),
  ];
  const asked = [Uint8Array.of(0x7e, 0x78, 0x31, 0x30), Uint8Array.of(0x61, 0)] as const;
  const tree = (count: number): PermissionTree => new PermissionTree(permissions.slice(0, count).map(intervalOf));
  expect(tree(10).holdsEmpty(...asked)).toBe(false);
  expect(tree(9).holdsEmpty(...asked)).toBe(true);
  expect(tree(1).holdsEmpty(...asked)).toBe(false);
  expect(tree(0).holdsEmpty(...asked)).toBe(false);
});

describe('MVCC-AUTH-14: the keys of a lease are held against intervals in as many looks as there are intervals, not keys', () => {
  for (let seed = 1; seed <= 20; seed++) {
    it(`seed ${seed}`, () => {
      const random = new RandomOperations(seed);
      for (let round = 0; round < 100; round++) {
        const permissions = Array.from({ length: random.below(6) }, () => someRange(random)).filter(
          (of) => !isEmptyRange(of),
        );
        const inOrder = permissions.map(intervalOf).toSorted((left, right) => compareBytes(left.from, right.from));
        const intervals = [...joined(inOrder)];
        const held = keys.filter((key) => intervalsHold(intervals, { key, rangeEnd: utf8('') }));
        // Few keys are drawn, from all keys or from those that are held: of many, hardly ever all would be held.
        const attached = (random.chance(0.5) ? held : keys).filter(() => random.chance(0.3));
        let looks = 0;
        const firstFrom = (from: Uint8Array): Uint8Array | null => {
          looks++;
          return attached.find((key) => compareBytes(key, from) >= 0) ?? null;
        };
        const expected = attached.every((key) => intervalsHold(intervals, { key, rangeEnd: utf8('') }));
        expect(intervalsHoldKeys(intervals, firstFrom)).toBe(expected);
        expect(looks).toBeLessThanOrEqual(intervals.length + 1);
      }
    });
  }
});
