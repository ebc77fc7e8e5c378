// Rules of the store: leases and the keys attached to them.

import { expect } from 'vitest';
import { leaseId } from '../../../src/model/brands.ts';
import { textOf, utf8 } from '../../../src/base/bytes.ts';
import { leaseSecondsMax, leasesMax, previousKeptBytesMax } from '../../../src/limits.ts';
import type { Command, Operation } from '../../../src/model/store.ts';
import { rule, type StoreRule } from './contract.ts';
import {
  everything,
  expire,
  type Fed,
  grant,
  keyRange,
  put,
  putLeased,
  remove,
  revokeLease,
  service,
  shownEvents,
  txn,
  versionIs,
} from '../requests.ts';

const id = (value: number): ReturnType<typeof leaseId> => leaseId(BigInt(value));

function keysOfLease(fed: Fed, lease: number): readonly (string | null)[] | null {
  const answer = fed.ask<'timeToLive'>({ kind: 'timeToLive', id: id(lease), keys: true });
  return answer.lease === null ? null : answer.lease.keys.map(textOf);
}

function leaseIds(fed: Fed): bigint[] {
  return [...fed.ask<'leases'>({ kind: 'leases' }).ids].toSorted((left, right) => (left < right ? -1 : 1));
}

const checkpoint = (deadlines: readonly (readonly [number, number])[], settled: boolean) =>
  ({
    kind: 'leaseCheckpoint',
    deadlines: deadlines.map(([lease, deadlineMs]) => ({ id: id(lease), deadlineMs })),
    settled,
  }) as const;

const command = (writeId: string, operation: Command['operation']): Command => ({
  writeId,
  caller: service,
  atMs: 1,
  operation,
});
const numbered = (n: number): string => `k/${String(n).padStart(6, '0')}`;

export const leaseRules: readonly StoreRule[] = [
  rule(
    'MVCC-LEASE-1: a lease has the id asked for, or the next free one; its time is bounded; it makes no revision',
    (fed) => {
      const granted = (operation: ReturnType<typeof grant>): unknown => {
        const outcome = fed.do(operation);
        return outcome.kind === 'leaseGrant' ? [outcome.id, outcome.ttlSeconds, outcome.revision] : outcome;
      };
      expect(granted(grant(7, 600))).toEqual([7n, 600, 1]);
      expect(granted(grant(-(2n ** 63n), 1))).toEqual([-(2n ** 63n), 2, 1]);
      expect(granted(grant(2n ** 63n - 1n, -5))).toEqual([2n ** 63n - 1n, 2, 1]);
      expect(granted(grant(1, leaseSecondsMax))).toEqual([1n, leaseSecondsMax, 1]);
      expect(fed.fails(grant(2, leaseSecondsMax + 1))).toEqual({ kind: 'leaseTtlTooLarge' });
      expect(fed.fails(grant(7, 5))).toEqual({ kind: 'leaseExists' });
      expect(granted(grant(0, 60, 7))).toEqual([8n, 60, 1]);
      expect(granted(grant(0, 60, Number.MAX_SAFE_INTEGER))).toEqual([BigInt(Number.MAX_SAFE_INTEGER), 60, 1]);
      expect(granted(grant(0, 60, Number.MAX_SAFE_INTEGER))).toEqual([2n, 60, 1]);
      expect(leaseIds(fed)).toEqual([-(2n ** 63n), 1n, 2n, 7n, 8n, BigInt(Number.MAX_SAFE_INTEGER), 2n ** 63n - 1n]);
      expect(fed.ask<'timeToLive'>({ kind: 'timeToLive', id: id(7), keys: false }).lease).toEqual({
        ttlSeconds: 600,
        keys: [],
      });
      expect(fed.ask<'timeToLive'>({ kind: 'timeToLive', id: id(404), keys: true }).lease).toBeNull();
      expect(fed.ask<'keepAlive'>({ kind: 'keepAlive', id: id(8) }).ttlSeconds).toBe(60);
      expect(fed.ask<'keepAlive'>({ kind: 'keepAlive', id: id(0) }).ttlSeconds).toBeNull();
    },
  ),
  rule('MVCC-LEASE-2: a put attaches its key, and every other put, and every delete, detaches it', (fed) => {
    fed.batch([grant(1), grant(2)]);
    fed.batch(['c', 'a', 'b', 'd', 'e'].map((key) => putLeased(key, 1)));
    expect(keysOfLease(fed, 1)).toEqual(['a', 'b', 'c', 'd', 'e']);
    fed.do(putLeased('a', 2));
    fed.do(put('b', 'w', { ignoreLease: true }));
    expect([keysOfLease(fed, 1), keysOfLease(fed, 2)]).toEqual([['b', 'c', 'd', 'e'], ['a']]);
    // The put stands in one group with puts that never had a lease.
    fed.batch([put('x'), put('b'), put('y')]);
    fed.do(remove('c'));
    expect(keysOfLease(fed, 1)).toEqual(['d', 'e']);
    fed.do(remove(keyRange('d', 'e')));
    expect(keysOfLease(fed, 1)).toEqual(['e']);
    fed.do(remove(everything));
    expect([keysOfLease(fed, 1), keysOfLease(fed, 2)]).toEqual([[], []]);
    expect(fed.range('a').kvs).toEqual([]);
    fed.do(putLeased('a', 1));
    expect(fed.range('a').kvs.at(0)?.lease).toBe(1n);
  }),
  rule(
    'MVCC-LEASE-3: within a txn keys are attached and detached as it goes, and not at all if it is undone',
    (fed) => {
      fed.batch([grant(1), grant(2)]);
      fed.do(txn({ success: [putLeased('a', 1), putLeased('b', 1), txn({ success: [putLeased('c', 2)] })] }));
      expect([keysOfLease(fed, 1), keysOfLease(fed, 2)]).toEqual([['a', 'b'], ['c']]);
      fed.do(txn({ success: [remove('a'), put('b'), putLeased('c', 1)] }));
      expect([keysOfLease(fed, 1), keysOfLease(fed, 2)]).toEqual([['c'], []]);
      const undone = txn({ success: [remove(keyRange('a', 'z')), put('c', '', { ignoreValue: true, lease: id(2) })] });
      expect(fed.fails(undone)).toEqual({ kind: 'duplicateKey' });
      const gap = [remove(keyRange('a', '\0')), put('c', '', { ignoreValue: true, lease: id(2) })];
      expect(fed.fails(txn({ success: gap }))).toEqual({ kind: 'keyNotFound' });
      expect([keysOfLease(fed, 1), keysOfLease(fed, 2)]).toEqual([['c'], []]);
      expect(fed.fails(txn({ success: [put('z'), putLeased('y', 9)] }))).toEqual({ kind: 'leaseNotFound' });
      expect(
        fed.fails(txn({ compare: [versionIs('none', 0)], success: [put('z')], failure: [putLeased('y', 9)] })),
      ).toBeNull();
    },
  ),
  rule('MVCC-LEASE-4: revoking deletes the keys in their order, in one revision, or makes none', (fed) => {
    fed.batch([grant(1), grant(2)]);
    fed.batch([putLeased('o/z', 1), putLeased('o/B', 1), putLeased('o/a', 1), put('mark'), putLeased('o/b', 2)]);
    expect(fed.do(revokeLease(1))).toEqual({ kind: 'done', revision: 7 });
    expect(shownEvents(fed.events.slice(-1))).toEqual([
      '7: delete o/B was o/B=v@3, delete o/a was o/a=v@4, delete o/z was o/z=v@2',
    ]);
    expect(fed.history(7)).toMatchObject({ revisions: fed.events.slice(-1) });
    expect(fed.range(everything).count).toBe(2);
    expect(fed.store.sizes().keys).toBe(2);
    expect(fed.fails(revokeLease(1))).toEqual({ kind: 'leaseNotFound' });
    expect(fed.fails(revokeLease(0))).toEqual({ kind: 'leaseNotFound' });
    expect(fed.fails(putLeased('late', 1))).toEqual({ kind: 'leaseNotFound' });
    fed.do(remove('o/b'));
    expect(fed.do(revokeLease(2))).toEqual({ kind: 'done', revision: 8 });
    fed.do(grant(1));
    expect(keysOfLease(fed, 1)).toEqual([]);
    expect(fed.range('o/a', { revision: 6 }).kvs.at(0)?.lease).toBe(1n);
  }),
  rule('MVCC-LEASE-5: expiry makes one revision for each lease that has keys, and passes over what is gone', (fed) => {
    fed.batch([grant(1), grant(2), grant(3)]);
    fed.batch([putLeased('b', 1), putLeased('a', 3), putLeased('c', 1)]);
    fed.leaseChanges.length = 0;
    expect(fed.do(expire(3, 9, 2, 1, 3))).toEqual({ kind: 'done', revision: 6 });
    expect(shownEvents(fed.events.slice(-2))).toEqual([
      '5: delete a was a=v@3',
      '6: delete b was b=v@2, delete c was c=v@4',
    ]);
    expect(fed.leaseChanges).toEqual([3, 2, 1].map((ended) => ({ kind: 'ended', id: BigInt(ended) })));
    expect(leaseIds(fed)).toEqual([]);
    expect(fed.do(expire(1))).toEqual({ kind: 'done', revision: 6 });
    expect(fed.sql.all('SELECT * FROM lease_keys')).toEqual([]);
  }),
  rule(
    'MVCC-LEASE-6: deadlines come from the log; a checkpoint sets them and settles the store until the next grant',
    (fed) => {
      const stored = (): unknown[] =>
        fed.store.leasesAfter(null, 10).map(({ id: lease, ttlSeconds, deadlineMs }) => [lease, ttlSeconds, deadlineMs]);
      expect([fed.store.earliestLeaseDeadlineMs, fed.store.leasesSettled, fed.store.leaseCount]).toEqual([
        null,
        false,
        0,
      ]);
      fed.do(grant(1, 10), service, 5_000);
      fed.do(grant(2, 20), service, 6_000);
      expect(fed.leaseChanges).toEqual([
        { kind: 'granted', id: 1n, ttlSeconds: 10, deadlineMs: 15_000 },
        { kind: 'granted', id: 2n, ttlSeconds: 20, deadlineMs: 26_000 },
      ]);
      expect(
        fed.do(
          checkpoint(
            [
              [1, 90_000],
              [9, 1],
            ],
            true,
          ),
        ),
      ).toEqual({ kind: 'done', revision: 1 });
      for (const restarted of [false, true]) {
        if (restarted) fed.reopen();
        expect(stored()).toEqual([
          [1n, 10, 90_000],
          [2n, 20, 26_000],
        ]);
        expect([fed.store.earliestLeaseDeadlineMs, fed.store.leasesSettled, fed.store.leaseCount]).toEqual([
          26_000,
          true,
          2,
        ]);
      }
      fed.do(revokeLease(2));
      expect(fed.store.leasesSettled).toBe(true);
      fed.do(grant(3));
      expect(fed.store.leasesSettled).toBe(false);
      fed.do(checkpoint([], true));
      fed.do(checkpoint([], false));
      fed.reopen();
      expect([fed.store.leasesSettled, fed.store.leaseCount]).toEqual([false, 2]);
    },
  ),
  rule(
    'MVCC-LEASE-7: a retried grant answers the same id, a retried revocation what it did; only the service ends leases',
    (fed) => {
      const first = fed.commands([command('g', grant(0, 60, 5))]);
      expect(fed.commands([command('g', grant(0, 60, 99))])).toEqual(first);
      fed.do(putLeased('k', 5));
      const revoked = fed.commands([command('r', revokeLease(5))]);
      expect(fed.commands([command('r', revokeLease(5))])).toEqual(revoked);
      const role = {
        id: 'admin',
        role: 'admin',
        prefix: utf8(''),
        expiresAtMs: null,
        createdAtMs: 1,
        name: '',
      } as const;
      fed.do({ kind: 'createAccessKey', accessKey: role });
      const admin = { kind: 'accessKey', id: 'admin' } as const;
      for (const operation of [expire(1), checkpoint([], true)]) {
        expect(fed.fails(operation, admin)).toEqual({ kind: 'forbidden', need: 'the service', prefix: null });
      }
    },
  ),
  rule('MVCC-LEASE-8: the keys of a lease, and those of a range, may be more than memory holds', (fed) => {
    fed.batch([grant(1), grant(2)]);
    const value = 'x'.repeat(500);
    const count = Math.ceil((1.5 * previousKeptBytesMax) / value.length);
    for (const lease of [1, 2]) {
      fed.batch(Array.from({ length: count }, (_, n) => put(numbered(n), value, { lease: id(lease) })));
      fed.do(lease === 1 ? revokeLease(1) : remove(keyRange('k/', 'k0')));
      const events = fed.events.at(-1)?.events ?? [];
      expect(events.map((event) => textOf(event.kv.key))).toEqual(Array.from({ length: count }, (_, n) => numbered(n)));
      expect(events.at(-1)).toMatchObject({ type: 'delete', kv: { version: 0 }, previous: { lease: id(lease) } });
    }
    expect(fed.sql.all('SELECT * FROM lease_keys')).toEqual([]);
    expect([keysOfLease(fed, 1), keysOfLease(fed, 2)]).toEqual([null, []]);
  }),
  rule('MVCC-LEASE-10: an end that names a deadline passes over a lease whose row has another one', (fed) => {
    const overdue = (...leases: readonly (readonly [number, number | null])[]): Operation => ({
      kind: 'leaseExpire',
      leases: leases.map(([lease, storedMs]) => ({ id: id(lease), storedMs })),
    });
    fed.do(grant(1, 10), service, 5_000);
    fed.do(grant(2, 10), service, 5_000);
    fed.batch([putLeased('a', 1), putLeased('b', 2)]);
    fed.do(revokeLease(1));
    fed.do(grant(1, 10), service, 6_000);
    fed.do(checkpoint([[2, 90_000]], false));
    fed.leaseChanges.length = 0;
    expect(fed.do(overdue([1, 15_000], [2, 15_000], [3, 15_000]))).toEqual({ kind: 'done', revision: 4 });
    expect([leaseIds(fed), fed.leaseChanges]).toEqual([[1n, 2n], []]);
    expect([fed.store.storedLeaseDeadlineMs(id(1)), fed.store.storedLeaseDeadlineMs(id(3))]).toEqual([16_000, null]);
    expect(fed.do(overdue([1, 16_000], [2, 90_000]))).toEqual({ kind: 'done', revision: 5 });
    expect(leaseIds(fed)).toEqual([]);
    fed.do(grant(1, 10), service, 5_000);
    fed.do(overdue([1, null]));
    expect(leaseIds(fed)).toEqual([]);
  }),
  rule('MVCC-LIMIT-8: leasesMax leases may be granted, one more is refused', (fed) => {
    const numbers = `WITH RECURSIVE n(i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM n WHERE i < ${leasesMax + 8})`;
    fed.sql.run(`${numbers} INSERT INTO leases SELECT CAST(i AS TEXT), 60, 1 FROM n`);
    fed.reopen();
    expect(fed.store.leaseCount).toBe(leasesMax - 1);
    expect(fed.fails(grant(1))).toBeNull();
    expect(fed.fails(grant(2))).toEqual({ kind: 'tooMany', what: 'leases', max: leasesMax });
    fed.do(revokeLease(1));
    expect(fed.fails(grant(2))).toBeNull();
  }),
];
