// Very many leases: the memory that they take, and that they leave nothing.

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, it } from 'vitest';
import { leaseId, logIndex } from '../../src/model/brands.ts';
import type { Command, Operation } from '../../src/model/store.ts';
import { NodeSql } from '../support/node-sql.ts';
import { everything, Fed, grant, putLeased, service } from './requests.ts';

const leaseCount = 100_000;
const entrySize = 1_000;

setFlagsFromString('--expose-gc');
const collect: unknown = runInNewContext('gc');

function heldBytes(): number {
  if (typeof collect !== 'function') throw new TypeError('no garbage collector to call');
  collect();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

it(
  'MVCC-LEASE-9: 100,000 leases are granted and expired in bounded memory, and leave no row',
  { timeout: 120_000 },
  () => {
    const fed = new Fed(new NodeSql());
    const apply = (name: string, operations: readonly Operation[]): void => {
      const commands = operations.map((operation, n): Command => ({
        writeId: `${name}/${n}`,
        caller: service,
        atMs: 1,
        operation,
      }));
      fed.sql.transaction(() => fed.store.apply(logIndex(++fed.index), commands));
    };
    const numbers = (first: number): number[] => Array.from({ length: entrySize }, (_, n) => first + n);
    apply(
      'warm',
      numbers(0).map(() => grant(0)),
    );
    const before = heldBytes();
    let most = 0;
    for (let first = 1; first <= leaseCount; first += entrySize) {
      apply(
        `grant ${first}`,
        numbers(first).map((n) => grant(1_000_000 + n)),
      );
      apply(
        `put ${first}`,
        numbers(first)
          .filter((n) => n % 2 === 0)
          .map((n) => putLeased(`k/${n}`, 1_000_000 + n)),
      );
      if (first % 20_000 === 1) most = Math.max(most, heldBytes() - before);
    }
    expect(fed.store.leaseCount).toBe(leaseCount + entrySize);
    expect(fed.range(everything, { countOnly: true }).count).toBe(leaseCount / 2);
    for (let first = 1; first <= leaseCount; first += entrySize) {
      const leases = numbers(first).map((n) => ({ id: leaseId(BigInt(1_000_000 + n)), storedMs: null }));
      apply(`expire ${first}`, [{ kind: 'leaseExpire', leases }]);
      if (first % 20_000 === 1) most = Math.max(most, heldBytes() - before);
    }
    // Only the ids of the last writes grow, and they are bounded.
    expect(most).toBeLessThan(24 * 1_048_576);
    expect(fed.store.leaseCount).toBe(entrySize);
    expect(fed.range(everything).kvs).toEqual([]);
    expect(fed.sql.all('SELECT COUNT(*) FROM leases')).toEqual([[entrySize]]);
    expect(fed.sql.all('SELECT * FROM lease_keys')).toEqual([]);
  },
);
