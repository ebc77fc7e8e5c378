// The lease service with the store, on a group of one: expiry in bulk, rests, the alarm.

import { expect, test, vi } from 'vitest';
import { groupLevelMax } from '../../../src/model/levels.ts';
import { leasesReadMax, leaseWatchMs } from '../../../src/limits.ts';
import { LeaseAlarm } from '../../../src/replica/lease/lease-alarm.ts';
import type { Operation } from '../../../src/model/store.ts';
import { put } from '../../mvcc/requests.ts';
import { fail, GroupOfOne, lease, MemoryAlarm, service } from './group-of-one.ts';

/** The storage was asked which alarm is set. */
function looked(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

test('LEASE-9: before a rest deadlines are written down; the alarm rings at the earliest; the first keepalive after it is logged', async () => {
  const group = new GroupOfOne();
  await group.lead();
  await group.grant(1, 60);
  await group.grant(2, 600);
  const grantedMs = group.clockMs;
  await group.tick(20);
  expect(await group.leases.keepAlive(service, lease(1))).toMatchObject({ kind: 'answer' });
  await group.untilRested();
  expect(group.driver.store.leasesSettled).toBe(true);
  expect(group.driver.store.earliestLeaseDeadlineMs).toBe(grantedMs + 2_000 + 60_000);
  expect(group.alarm.at).toBe(grantedMs + 62_000);
  const before = group.driver.raft.lastIndex;
  await group.leases.keepAlive(service, lease(2));
  expect(group.driver.raft.lastIndex).toBe(before + 1);
  expect(group.driver.store.leasesSettled).toBe(false);
  await group.leases.keepAlive(service, lease(1));
  expect(group.driver.raft.lastIndex).toBe(before + 1);
});

test('LEASE-31: a new leader reads leasesReadMax leases at a time, and others get their turn before it reads more', async () => {
  const group = new GroupOfOne();
  const insert = (id: number): void =>
    group.sql.run('INSERT INTO leases (id, ttl, deadline) VALUES (?, 60, ?)', String(id), group.clockMs + 60_000);
  group.sql.transaction(() => {
    for (let id = 1; id <= leasesReadMax + 1; id++) insert(id);
  });
  const read = vi.spyOn(group.driver.store, 'leasesAfter');
  group.driver.campaign();
  await group.settled();
  expect(read.mock.results.map(({ value }) => (value as unknown[]).length)).toEqual([leasesReadMax, 1]);
  expect(read.mock.calls.map(([, max]) => max)).toEqual([leasesReadMax, leasesReadMax]);
  expect(await group.leases.remaining(lease(leasesReadMax + 1))).toEqual({ seconds: 60 });
});

test('LEASE-10: an alarm before the deadline is set again, one after it ends the lease, and while nobody rests it rings now and then', async () => {
  const group = new GroupOfOne();
  await group.lead();
  await group.grant(1, 60);
  await group.untilRested();
  const deadlineMs = group.driver.store.earliestLeaseDeadlineMs ?? 0;
  await group.leases.alarm();
  expect(group.alarm.at).toBe(deadlineMs);
  group.clockMs = deadlineMs + 50;
  await group.leases.alarm();
  expect(group.alarm.at).toBe(group.clockMs + leaseWatchMs);
  await group.tick();
  expect(group.driver.store.leaseCount).toBe(0);
  expect(group.alarm.at).toBeNull();
});

test('LEASE-11: a keepalive that comes while its lease is being ended is answered after it', async () => {
  const group = new GroupOfOne();
  await group.lead();
  await group.grant(1, 2);
  group.clockMs += 2_500;
  const answered = await group.leases.keepAlive(service, lease(1));
  expect(answered).toMatchObject({ kind: 'answer', answer: { ttlSeconds: null } });
  expect(group.driver.store.leaseCount).toBe(0);
  expect(await group.leases.remaining(lease(1))).toEqual({ seconds: null });
});

test('LEASE-12: who waits keeps its lease, awake and over rests, and no longer', async () => {
  const group = new GroupOfOne();
  await group.lead();
  await group.grant(1, 20);
  group.kept.add(lease(1));
  await group.untilRested();
  for (let rests = 0; rests < 3; rests++) {
    group.clockMs = (group.alarm.at ?? 0) + 10;
    await group.leases.alarm();
    await group.untilRested();
    expect(group.driver.store.leaseCount).toBe(1);
  }
  group.kept.clear();
  group.clockMs = (group.alarm.at ?? 0) + 10;
  await group.leases.alarm();
  await group.tick();
  expect(group.driver.store.leaseCount).toBe(0);
});

test('LEASE-13: the alarm is written only where that changes something', async () => {
  const storage = new MemoryAlarm();
  const alarm = new LeaseAlarm(storage, fail);
  alarm.want(null, 0);
  await looked();
  expect(storage.writes).toBe(0);
  alarm.wantBy(9_000, 0);
  alarm.wantBy(8_000, 0);
  alarm.wantBy(9_500, 0);
  expect([storage.at, storage.writes]).toEqual([8_000, 2]);
  alarm.want(8_000, 0);
  expect(storage.writes).toBe(2);
  alarm.want(9_000, 0);
  expect([storage.at, storage.writes]).toEqual([9_000, 3]);
  // The lease has 285 years. The alarm rings once a month before that, and is not written each time that somebody
  // looks.
  const farMs = 9e12;
  alarm.want(farMs, 10_000);
  expect(storage.at).toBeLessThan(farMs);
  alarm.want(farMs, 11_000);
  expect(storage.writes).toBe(4);
  alarm.want(null, 12_000);
  alarm.want(null, 12_000);
  expect([storage.at, storage.writes]).toEqual([null, 5]);
  alarm.rang();
  alarm.want(20_000, 13_000);
  expect([storage.at, storage.writes]).toEqual([20_000, 6]);
  // An instance that woke finds which alarm is set.
  const woken = new LeaseAlarm(storage, fail);
  woken.want(20_000, 14_000);
  await looked();
  expect(storage.writes).toBe(6);
});

const attached = (key: string, id: number): Operation => put(key, 'v', { lease: lease(id) });

test('LEASE-14: a lease that was granted again while the end of the one before was under way lives on', async () => {
  const group = new GroupOfOne();
  await group.lead();
  await group.tick();
  expect(group.driver.store.level).toBe(groupLevelMax);
  await group.grant(1, 2);
  await group.write(attached('old', 1));
  group.hold();
  await group.tick(21);
  await group.write({ kind: 'leaseRevoke', id: lease(1) });
  await group.grant(1, 60);
  await group.write(attached('new', 1));
  const { revision } = group.driver.store;
  await group.release();
  expect(group.driver.store.revision).toBe(revision);
  expect(await group.leases.remaining(lease(1))).toEqual({ seconds: 60 });
  group.clockMs += 60_000;
  await group.tick();
  expect([group.driver.store.leaseCount, group.driver.store.sizes().keys]).toEqual([0, 0]);
});

test('LEASE-14: the end of a lease names no deadline in a group of level 1, whose older members could not read it', async () => {
  const group = new GroupOfOne({ supports: 1 });
  await group.lead();
  await group.grant(1, 2);
  await group.tick(25);
  expect([group.driver.store.level, group.driver.store.leaseCount]).toEqual([1, 0]);
  const versions = group.sql.all('SELECT data FROM log WHERE length(data) > 0').map(([data]) => Object(data)[0]);
  expect(versions).toEqual([2, 2]);
});

test('LEASE-15: a deadline that is being written down while its lease comes to its end does not keep the lease', async () => {
  const group = new GroupOfOne();
  await group.lead();
  await group.tick();
  await group.grant(1, 10);
  group.clockMs += 1_000;
  await group.leases.keepAlive(service, lease(1));
  group.hold();
  expect(group.leases.mayRest()).toBe(false);
  group.clockMs += 10_000;
  await group.tick();
  await group.release();
  expect(group.driver.store.leaseCount).toBe(0);
  expect(group.leases.mayRest()).toBe(true);
});
