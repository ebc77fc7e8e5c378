// The search for a key that stands in the way of a lock.

import { describe, expect, it } from 'vitest';
import { leaseId, revision } from '../../../src/model/brands.ts';
import { textOf, utf8 } from '../../../src/base/bytes.ts';
import { lockWaitersMax } from '../../../src/limits.ts';
import type { KeyValue } from '../../../src/model/store.ts';
import { keyInTheWay } from '../../../src/replica/lock/lock-places.ts';
import { pair } from '../../api/wire.ts';

function place(id: number): KeyValue {
  return pair(`l/${id.toString(16)}`, { lease: leaseId(BigInt(id)), createRevision: revision(id + 1) });
}

/** A queue in which so many places stand before a key that is no place. */
function keyAfter(places: number, createdBefore?: number): string | null {
  const pairs = Array.from({ length: places }, (_, index) => place(index + 1));
  const key = pair('l/size', { createRevision: revision(5) });
  const found = keyInTheWay({ heads: () => [...pairs, key].values() }, utf8('l'), createdBefore);
  return found === null ? null : textOf(found);
}

describe('a key in the way of a lock', () => {
  it('LOCK-52: is found behind as many keys as may be places, and no more are looked at', () => {
    expect(keyAfter(0)).toBe('l/size');
    expect(keyAfter(lockWaitersMax - 1)).toBe('l/size');
    expect(keyAfter(lockWaitersMax)).toBeNull();
    let looks = 0;
    const endless = {
      *heads() {
        for (; ; looks++) yield pair(`l/${looks}`, { createRevision: revision(9) });
      },
    };
    expect(keyInTheWay(endless, utf8('l'), 9)).toBeNull();
    expect(looks).toBeLessThan(lockWaitersMax);
  });

  it('LOCK-52: is none where it came after the place', () => {
    expect(keyAfter(0, 6)).toBe('l/size');
    expect(keyAfter(0, 5)).toBeNull();
  });
});
