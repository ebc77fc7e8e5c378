// How much an isolate may hold for clients, and whose share that counts to.

import { expect, test } from 'vitest';
import {
  memoryBytesMax,
  memoryCountedBytesMin,
  memoryOfKeyBytesMax,
  memoryOfTenantBytesMax,
  rangeAnswerBytesMax,
} from '../../src/limits.ts';
import { MemoryBudget } from '../../src/base/memory-budget.ts';

const bounds = { bytesMax: 100_000, tenantBytesMax: 60_000, keyBytesMax: 40_000 };

test('MEMORY-1: each key, each tenant and the isolate have a bound; what is at it is held, a byte more is not', () => {
  const budget = new MemoryBudget(bounds);
  const own = budget.reserve({ tenant: 't', key: 'a' });
  expect(own.hold(40_000)).toBeNull();
  expect(own.hold(40_001)).toBe('key');
  // A refusal changes nothing.
  expect([own.bytes, budget.bytes]).toEqual([40_000, 40_000]);
  expect(budget.reserve({ tenant: 't', key: 'a' }).hold(5_000)).toBe('key');
  const other = budget.reserve({ tenant: 't', key: 'b' });
  expect(other.hold(20_001)).toBe('tenant');
  expect(other.hold(20_000)).toBeNull();
  const elsewhere = budget.reserve({ tenant: 'u', key: 'a' });
  expect(elsewhere.hold(24_001)).toBe('service');
  expect(elsewhere.hold(24_000)).toBeNull();
  expect(budget.bytes).toBe(84_000);
});

test('MEMORY-1: however many tenants hold all that they may, one more may hold a little', () => {
  const budget = new MemoryBudget({
    bytesMax: memoryBytesMax,
    tenantBytesMax: memoryOfTenantBytesMax,
    keyBytesMax: 1e9,
  });
  const most = (tenant: string): number => {
    const reservation = budget.reserve({ tenant, key: 'a' });
    let step = memoryOfTenantBytesMax;
    while (step >= memoryCountedBytesMin) {
      if (reservation.hold(reservation.bytes + step) !== null) step /= 2;
    }
    return reservation.bytes / 1_048_576;
  };
  const held = Array.from({ length: 5 }, (_, nth) => most(`t${nth}`));
  expect(held).toEqual([48, 12, 3, 0.75, 0.1875]);
});

test('MEMORY-1: where all tenants take as much at a time, each comes to hold as much as the others', () => {
  const budget = new MemoryBudget({
    bytesMax: memoryBytesMax,
    tenantBytesMax: memoryOfTenantBytesMax,
    keyBytesMax: 1e9,
  });
  const all = Array.from({ length: 10 }, (_, nth) => budget.reserve({ tenant: `t${nth}`, key: 'a' }));
  const step = 65_536;
  while (all.map((each) => each.hold(each.bytes + step)).includes(null));
  const bytes = all.map((each) => each.bytes);
  expect(Math.max(...bytes) - Math.min(...bytes)).toBeLessThanOrEqual(step);
  expect(Math.min(...bytes)).toBeGreaterThan(memoryBytesMax / 11);
  const late = budget.reserve({ tenant: 'late', key: 'a' });
  expect(late.hold(1_048_576)).toBeNull();
});

test('MEMORY-1: a budget of one share gives all of it to whoever comes', () => {
  const budget = new MemoryBudget({ bytesMax: 10_000, tenantBytesMax: 10_000, keyBytesMax: 10_000 });
  expect(budget.reserve({ tenant: 't', key: 'a' }).hold(5_000)).toBeNull();
  expect(budget.reserve({ tenant: 'u', key: 'a' }).hold(5_001)).toBe('service');
  expect(budget.reserve({ tenant: 'u', key: 'a' }).hold(5_000)).toBeNull();
});

test('MEMORY-1: what is given back can be held by others, once', () => {
  const budget = new MemoryBudget(bounds);
  const one = budget.reserve({ tenant: 't', key: 'a' });
  const two = budget.reserve({ tenant: 't', key: 'a' });
  expect(one.hold(30_000)).toBeNull();
  expect(two.hold(20_000)).toBe('key');
  expect(one.hold(20_000)).toBeNull();
  expect(two.hold(20_000)).toBeNull();
  one.release();
  one.release();
  expect(budget.bytes).toBe(20_000);
  expect(two.hold(memoryCountedBytesMin - 1)).toBeNull();
  // A few bytes are not counted.
  expect(budget.bytes).toBe(0);
});

test('MEMORY-1: the shares of the service are within one another, and the largest answer fits in the least', () => {
  expect(memoryOfKeyBytesMax).toBeGreaterThanOrEqual((rangeAnswerBytesMax * 4) / 3);
  expect(memoryOfTenantBytesMax).toBeGreaterThan(memoryOfKeyBytesMax);
  expect(memoryBytesMax).toBeGreaterThan(memoryOfTenantBytesMax);
});

test('MEMORY-7: what an object held that ended without giving it back is held no more once it begins anew', () => {
  const budget = new MemoryBudget(bounds);
  const lost = budget.reserve({ tenant: 't', key: 'a', object: 't/1' });
  expect(lost.hold(30_000)).toBeNull();
  const other = budget.reserve({ tenant: 't', key: 'a', object: 't/2' });
  expect(other.hold(10_000)).toBeNull();
  budget.begins('t/1');
  expect(budget.bytes).toBe(10_000);
  // The holder of the former instance may still be called: neither call counts any more.
  expect(lost.hold(40_000)).toBeNull();
  lost.release();
  expect(budget.bytes).toBe(10_000);
  budget.begins('t/1');
  expect(budget.bytes).toBe(10_000);
});
