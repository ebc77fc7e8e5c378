// What calls with one lease and one name do to each other's place.

import { beforeEach, expect, test } from 'vitest';
import { placesToldMax } from '../../../src/limits.ts';
import { type PlaceClaim, PlaceClaims } from '../../../src/replica/lock/place-claims.ts';
import { utf8 } from '../../../src/base/bytes.ts';

const key = utf8('lock/1');
let claims: PlaceClaims;
let left: string[];

beforeEach(() => {
  claims = new PlaceClaims();
  left = [];
});

let ids = 0;

async function found(revision: number, isNew: boolean, id = `id${++ids}`): Promise<PlaceClaim> {
  const claim = await claims.join(key, id);
  claim.found(revision, isNew);
  return claim;
}

function leave(claim: PlaceClaim, name: string): Promise<void> {
  return claim.leave(async () => {
    left.push(name);
    await Promise.resolve();
  });
}

test('LOCK-54: a call that leaves takes the place from no other call that waits with it; the last one gives it up, once', async () => {
  const [first, second] = [await found(5, true), await found(5, false)];
  await leave(first, 'first');
  await leave(first, 'first again');
  expect(left).toEqual([]);
  expect(second.isOwn).toBe(true);
  await leave(second, 'second');
  expect(left).toEqual(['second']);
  expect(claims.count).toBe(0);
});

test('LOCK-54: the place that one left goes where the other one ends without it, and stays where it is told of it', async () => {
  const [first, refused] = [await found(5, true), await claims.join(key, 'other')];
  await leave(first, 'first');
  await refused.end();
  expect(left).toEqual(['first']);
  const [second, third] = [await found(7, true), await claims.join(key, 'other')];
  await leave(second, 'second');
  third.found(7, false);
  third.tell();
  expect(left).toEqual(['first']);
});

test('LOCK-54: a call that is told of the place keeps it from whoever leaves it before or after', async () => {
  const [first, second] = [await found(5, true), await found(5, false)];
  first.tell();
  await leave(second, 'second');
  const third = await found(5, false);
  expect(third.isOwn).toBe(false);
  third.tell();
  await leave(first, 'first');
  expect(left).toEqual([]);
  await leave(third, 'third');
  expect(left).toEqual(['third']);
});

test('LOCK-54: a newer place is given up although calls were told of an older one', async () => {
  const first = await found(5, true);
  first.tell();
  const second = await found(9, true);
  await leave(second, 'second');
  await leave(first, 'first');
  expect(left).toEqual(['second', 'first']);
});

test('LOCK-54: a call that comes while the place is being given up goes on after that, also where that fails', async () => {
  for (const outcome of ['done', 'failed']) {
    const first = await found(5, true);
    const given = Promise.withResolvers<void>();
    const leaving = first.leave(() => given.promise).catch(() => undefined);
    let isIn = false;
    const joining = claims.join(key, 'later').then((claim) => {
      isIn = true;
      return claim;
    });
    for (let turn = 0; turn < 10; turn++) await Promise.resolve();
    expect(isIn).toBe(false);
    if (outcome === 'done') given.resolve();
    else given.reject(new Error('not written'));
    await leaving;
    await (await joining).end();
    expect(claims.count).toBe(0);
  }
});

test('LOCK-54: a call that is asked again, at the same leader or after another, is still one call', async () => {
  const moved = await found(5, true, 'same');
  await moved.end();
  const again = await found(5, true, 'same');
  again.tell();
  const third = await found(5, true, 'same');
  expect(third.isOwn).toBe(true);
  await leave(third, 'third');
  expect(left).toEqual(['third']);
  expect(claims.count).toBe(0);
});

test('LOCK-54: a place that one left stays for another that is asked again elsewhere', async () => {
  const [first, moved] = [await found(5, true), await found(5, false)];
  await leave(first, 'first');
  await moved.end();
  expect(left).toEqual([]);
});

test('LOCK-54: any number of calls may have been told of a place', async () => {
  const told = [];
  for (let index = 0; index < 20; index++) {
    const claim = await found(5, index === 0);
    claim.tell();
    told.push(claim);
  }
  for (const claim of told) await leave(claim, 'told');
  // It is not known any more who of so many was told, so it stays until the lease ends.
  expect(left).toEqual([]);
});

test('LOCK-55: placesToldMax places are remembered of which calls were told, and one more forgets the oldest', async () => {
  const [first, second] = [await found(5, true), await found(5, false)];
  first.tell();
  second.tell();
  const others = async (count: number): Promise<void> => {
    for (let index = claims.count; index < count; index++) {
      const claim = await claims.join(utf8(`lock/${index + 2}`), 'other');
      claim.found(6, true);
      claim.tell();
    }
  };
  await others(placesToldMax);
  expect(claims.count).toBe(placesToldMax);
  // Still known: one of two that were told leaves.
  const third = await found(5, false);
  expect(third.isOwn).toBe(false);
  await third.leave(null);
  await others(placesToldMax);
  const more = await claims.join(utf8('lock/one more'), 'other');
  more.found(7, true);
  more.tell();
  expect(claims.count).toBe(placesToldMax);
});
