import { describe, expect, it } from 'vitest';
import { utf8 } from '../../../src/base/bytes.ts';
import { leaseId, noLease } from '../../../src/model/brands.ts';
import { type HistoryEntry, linearize, type Told } from './linearizability.ts';
import type { PlainPair } from '../models/plain.ts';
import { everyKey, read, write } from '../workloads/requests.ts';

type Times = readonly [calledMs: number, answeredMs: number];

function put(name: string, key: string, [calledMs, answeredMs]: Times, revision: number | null): HistoryEntry {
  const request = {
    key: utf8(key),
    value: utf8(name),
    lease: noLease,
    previous: false,
    ignoreValue: false,
    ignoreLease: false,
  };
  const told: Told | null =
    revision === null ? null : { kind: 'write', outcome: { kind: 'put', revision, previous: null } };
  return { name, action: write({ kind: 'put', request }), calledMs, answeredMs, told };
}

function sees([calledMs, answeredMs]: Times, revision: number, kvs: readonly PlainPair[]): HistoryEntry {
  const told: Told = { kind: 'read', revision, answer: { kvs, count: kvs.length, more: false } };
  return { name: 'read', action: read(everyKey), calledMs, answeredMs, told };
}

function pair(key: string, value: string, [create, mod, version]: readonly [number, number, number]): PlainPair {
  return { key, value, create, mod, version, lease: '0' };
}

function keptAlive(calledMs: number, ttlSeconds: number | null): HistoryEntry {
  const action = { kind: 'keepAlive', id: leaseId(7n) } as const;
  return { name: 'keepAlive', action, calledMs, answeredMs: calledMs + 1, told: { kind: 'keepAlive', ttlSeconds } };
}

const never = Number.POSITIVE_INFINITY;

describe('linearizability', () => {
  it('SIM-LINEAR-1: operations that overlap may have come in either order, all others in the order of time', () => {
    const first = put('x', 'a', [0, 1], 2);
    const second = put('y', 'a', [2, 9], 3);
    const old = [pair('a', 'x', [2, 2, 1])];
    const fresh = [pair('a', 'y', [2, 3, 2])];
    expect(linearize([first, second, sees([3, 4], 2, old), sees([5, 6], 3, fresh)]).kind).toBe('linearizable');
    expect(linearize([first, second, sees([3, 4], 3, fresh), sees([5, 6], 2, old)]).kind).toBe('not');
    expect(linearize([first, second, sees([10, 11], 2, old)]).kind).toBe('not');
  });

  it('SIM-LINEAR-2: a write without an answer may be seen later, or never, and not be taken back', () => {
    const lost = put('x', 'a', [0, never], null);
    const seen = [pair('a', 'x', [2, 2, 1])];
    expect(linearize([lost, sees([5, 6], 1, []), sees([7, 8], 2, seen)]).kind).toBe('linearizable');
    expect(linearize([lost, sees([5, 6], 1, []), sees([7, 8], 1, [])]).kind).toBe('linearizable');
    expect(linearize([lost, sees([5, 6], 2, seen), sees([7, 8], 1, [])]).kind).toBe('not');
  });

  it('SIM-LINEAR-3: a wrong guess about writes without answers is taken back, however late it shows', () => {
    const lost = [put('x', 'a', [0, never], null), put('y', 'b', [0, never], null)];
    const later = [put('z', 'a', [2, 3], 4), put('w', 'b', [4, 5], 5)];
    const orders = [
      [pair('a', 'z', [2, 4, 2]), pair('b', 'w', [3, 5, 2])],
      [pair('a', 'z', [3, 4, 2]), pair('b', 'w', [2, 5, 2])],
    ];
    for (const order of orders) {
      expect(linearize([...lost, ...later, sees([6, 7], 5, order)]).kind).toBe('linearizable');
    }
    const neither = [pair('a', 'z', [2, 4, 2]), pair('b', 'w', [2, 5, 2])];
    expect(linearize([...lost, ...later, sees([6, 7], 5, neither)]).kind).toBe('not');
  });

  it('SIM-LINEAR-4: a lease that was granted may end at any time, with all its keys, and once', () => {
    const operation = { kind: 'leaseGrant', id: leaseId(7n), candidate: leaseId(1n), ttlSeconds: 5 } as const;
    const granted: HistoryEntry = {
      name: 'grant',
      action: write(operation),
      calledMs: 0,
      answeredMs: 1,
      told: { kind: 'write', outcome: { kind: 'leaseGrant', revision: 1, id: '7', ttlSeconds: 5 } },
    };
    expect(linearize([granted, keptAlive(2, 5), keptAlive(4, null)]).kind).toBe('linearizable');
    expect(linearize([granted, keptAlive(2, null), keptAlive(4, 5)]).kind).toBe('not');
  });
});
