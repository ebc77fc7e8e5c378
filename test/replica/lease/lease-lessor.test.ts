// The lessor alone: deadlines, rests, changes of leaders.

import { expect, test } from 'vitest';
import type { LeaseId } from '../../../src/model/brands.ts';
import { leaseClocksDifferMs, leaseRestMarginMs } from '../../../src/limits.ts';
import type { StoredLease } from '../../../src/mvcc/leases.ts';
import { type LeaseRecords, Lessor } from '../../../src/replica/lease/lease-lessor.ts';
import { Random } from '../../support/random.ts';
import { lease } from './group-of-one.ts';

/** The rows of leases, as the log would leave them. */
class Rows implements LeaseRecords {
  readonly rows = new Map<LeaseId, StoredLease>();
  leasesSettled = false;

  get leaseCount(): number {
    return this.rows.size;
  }

  leasesAfter(id: LeaseId | null, max: number): readonly StoredLease[] {
    const after = id === null ? '' : String(id);
    const rows = [...this.rows.values()].filter((row) => String(row.id) > after);
    return rows.toSorted((left, right) => (String(left.id) < String(right.id) ? -1 : 1)).slice(0, max);
  }

  get earliestLeaseDeadlineMs(): number | null {
    return this.rows.size === 0 ? null : Math.min(...[...this.rows.values()].map((row) => row.deadlineMs));
  }

  add(id: number, ttlSeconds: number, deadlineMs: number): StoredLease {
    const row = { id: lease(id), ttlSeconds, deadlineMs };
    this.rows.set(row.id, row);
    return row;
  }

  apply(checkpoint: { deadlines: readonly { id: LeaseId; deadlineMs: number }[]; settled: boolean }): void {
    for (const { id, deadlineMs } of checkpoint.deadlines) {
      const row = this.rows.get(id);
      if (row !== undefined) this.rows.set(id, { ...row, deadlineMs });
    }
    this.leasesSettled = checkpoint.settled;
  }
}

/** A lessor that has read them all. */
function newLessor(rows: Rows, nowMs: number): Lessor {
  const lessor = new Lessor(rows, nowMs);
  expect(lessor.read(Number.POSITIVE_INFINITY)).toBe(true);
  return lessor;
}

/** A lessor that granted these leases itself. */
function lessorOf(rows: Rows, nowMs: number): Lessor {
  const granted = [...rows.rows.values()];
  rows.rows.clear();
  const lessor = newLessor(rows, nowMs);
  for (const row of granted) {
    rows.rows.set(row.id, row);
    lessor.applied({ kind: 'granted', ...row });
  }
  return lessor;
}

test('LEASE-1: leases are due when their deadlines are past, the longest overdue first, no more at a time than is asked for', () => {
  const rows = new Rows();
  for (const [id, deadlineMs] of [5_000, 3_000, 9_000, 4_000, 7_000].entries()) rows.add(id + 1, 2, deadlineMs);
  const lessor = lessorOf(rows, 0);
  expect(lessor.earliestMs).toBe(3_000);
  expect(lessor.takeDue(2_999, 10)).toEqual([]);
  expect(lessor.takeDue(5_000, 2)).toEqual([lease(2), lease(4)]);
  expect(lessor.takeDue(5_000, 2)).toEqual([lease(1)]);
  expect(lessor.takeDue(5_000, 2)).toEqual([]);
  lessor.putBack([lease(4), lease(2)]);
  expect(lessor.takeDue(5_000, 10)).toEqual([lease(2), lease(4)]);
  lessor.applied({ kind: 'ended', id: lease(2) });
  lessor.putBack([lease(2), lease(4)]);
  expect(lessor.takeDue(5_000, 10)).toEqual([lease(4)]);
  expect(lessor.count).toBe(4);
});

test('LEASE-2: a keepalive gives full time from when it came; what is past its deadline is not kept alive any more', () => {
  const rows = new Rows();
  rows.add(1, 10, 10_000);
  const lessor = lessorOf(rows, 0);
  expect(lessor.remainingSeconds(lease(1), 100)).toBe(9);
  lessor.extend(lease(1), 4_000);
  expect(lessor.remainingSeconds(lease(1), 4_000)).toBe(10);
  lessor.extend(lease(1), 1_000);
  expect(lessor.remainingSeconds(lease(1), 4_000)).toBe(10);
  expect(lessor.remainingSeconds(lease(2), 0)).toBeNull();
  expect(lessor.isEnding(lease(1), 13_999)).toBe(false);
  expect(lessor.isEnding(lease(1), 14_000)).toBe(true);
  expect(lessor.remainingSeconds(lease(1), 14_000)).toBeNull();
  expect(lessor.takeDue(14_000, 1)).toEqual([lease(1)]);
  lessor.extend(lease(1), 14_000);
  expect(lessor.isEnding(lease(1), 14_000)).toBe(true);
});

test('LEASE-3: a new leader extends all leases to their full time; of a settled store it takes the deadlines as they stand', () => {
  const rows = new Rows();
  rows.add(1, 10, 10_000);
  rows.add(2, 60, 2_000);
  const extended = newLessor(rows, 50_000);
  expect(extended.remainingSeconds(lease(1), 50_000)).toBe(10);
  expect(extended.remainingSeconds(lease(2), 50_000)).toBe(60);
  rows.leasesSettled = true;
  const settled = newLessor(rows, 5_000);
  expect(settled.takeDue(5_000, 10)).toEqual([lease(2)]);
  expect(settled.remainingSeconds(lease(1), 5_000)).toBe(5);
});

test('LEASE-31: leases are read a few at a time, and what is granted and ended meanwhile is told', () => {
  const rows = new Rows();
  for (let id = 1; id <= 9; id++) rows.add(id, 10, 10_000);
  const lessor = new Lessor(rows, 50_000);
  expect(lessor.read(4)).toBe(false);
  expect(lessor.count).toBe(4);
  const grant = (id: number): void => lessor.applied({ kind: 'granted', ...rows.add(id, 30, 81_000) });
  const end = (id: number): void => {
    rows.rows.delete(lease(id));
    lessor.applied({ kind: 'ended', id: lease(id) });
  };
  // One that was read, and two that were not, go; one comes before those that were read, one after, one again.
  for (const id of [2, 8, 6]) end(id);
  for (const id of [10, 95, 6]) grant(id);
  expect(lessor.read(4)).toBe(false);
  expect(lessor.read(4)).toBe(true);
  expect(lessor.count).toBe(9);
  const seconds = (id: number): number | null => lessor.remainingSeconds(lease(id), 51_000);
  expect([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 95].map(seconds)).toEqual([9, null, 9, 9, 9, 30, 9, null, 9, 30, 30]);
  expect(lessor.takeDue(60_000, 20)).toHaveLength(6);
});

test('LEASE-16: a deadline by another leader’s clock ends its lease leaseClocksDifferMs later, and not before; one that this leader gave, at once', () => {
  const rows = new Rows();
  rows.add(1, 10, 10_000);
  rows.leasesSettled = true;
  const lessor = newLessor(rows, 0);
  const endMs = 10_000 + leaseClocksDifferMs;
  expect(lessor.takeDue(endMs - 1, 1)).toEqual([]);
  expect(lessor.remainingSeconds(lease(1), endMs - 1)).toBe(0);
  expect(lessor.takeDue(endMs, 1)).toEqual([lease(1)]);
  lessor.putBack([lease(1)]);
  rows.leasesSettled = false;
  const own = newLessor(rows, 5_000);
  own.extend(lease(1), 6_000);
  expect(own.takeDue(15_999, 1)).toEqual([]);
  expect(own.takeDue(16_000, 1)).toEqual([lease(1)]);
});

test('LEASE-4: before a rest what differs from the rows is written down, in parts, and with the last the store is settled', () => {
  const rows = new Rows();
  for (let id = 1; id <= 5; id++) rows.add(id, 100, 100_000);
  const lessor = lessorOf(rows, 0);
  lessor.extend(lease(1), 5_000);
  lessor.extend(lease(3), 6_000);
  lessor.extend(lease(5), 7_000);
  expect(lessor.restObstacle(10_000)).toBe('settle');
  const part = lessor.takeCheckpoint(2);
  expect(part).toEqual({
    deadlines: [
      { id: lease(1), deadlineMs: 105_000 },
      { id: lease(3), deadlineMs: 106_000 },
    ],
    settled: false,
  });
  // The store is not settled yet: a keepalive between two parts is written by a later part.
  expect(lessor.needsOpening).toBe(false);
  lessor.extend(lease(1), 10_000);
  rows.apply(part);
  lessor.saved(part);
  const last = lessor.takeCheckpoint(2);
  expect(last.settled).toBe(true);
  expect(new Set(last.deadlines.map(({ id }) => id))).toEqual(new Set([lease(1), lease(5)]));
  expect(lessor.needsOpening).toBe(true);
  expect(() => lessor.extend(lease(2), 11_000)).toThrow();
  rows.apply(last);
  lessor.saved(last);
  expect(lessor.restObstacle(10_000)).toBe('none');
  expect(lessor.needsOpening).toBe(true);
  rows.apply({ deadlines: [], settled: false });
  lessor.extend(lease(2), 11_000);
  expect(lessor.restObstacle(10_000)).toBe('settle');
});

test('LEASE-5: a group does not rest while leases are being ended, or end soon', () => {
  const rows = new Rows();
  rows.add(1, 10, 10_000);
  const lessor = lessorOf(rows, 0);
  rows.leasesSettled = true;
  expect(lessor.restObstacle(10_000 - leaseRestMarginMs - 1)).toBe('none');
  expect(lessor.restObstacle(10_000 - leaseRestMarginMs)).toBe('wait');
  lessor.takeDue(10_000, 1);
  expect(lessor.restObstacle(10_000)).toBe('wait');
  lessor.applied({ kind: 'ended', id: lease(1) });
  expect(lessor.restObstacle(10_000)).toBe('none');
});

test('LEASE-6: the lease of one who waits is put off once half of its time is over', () => {
  const rows = new Rows();
  rows.add(1, 10, 10_000);
  const lessor = lessorOf(rows, 0);
  expect(lessor.extendKept([lease(1), lease(9)], 4_999)).toBe(false);
  expect(lessor.extendKept([lease(1), lease(9)], 5_000)).toBe(true);
  expect(lessor.remainingSeconds(lease(1), 5_000)).toBe(10);
});

test('LEASE-7: over grants, keepalives, rests and changes of leaders, no lease ends early, and a settled one not late', () => {
  for (let seed = 1; seed <= 40; seed++) {
    const random = new Random(seed);
    const rows = new Rows();
    let nowMs = 0;
    let lessor = newLessor(rows, nowMs);
    /** The time until which each lease was promised to live. */
    const promised = new Map<LeaseId, number>();
    let nextId = 1;
    for (let step = 0; step < 400; step++) {
      nowMs += random.integer(0, 700);
      const draw = random.next();
      const ids = [...rows.rows.keys()];
      if (draw < 0.2 || ids.length === 0) {
        const row = rows.add(nextId++, random.integer(2, 12), 0);
        const granted = { ...row, deadlineMs: nowMs + row.ttlSeconds * 1_000 };
        rows.rows.set(row.id, granted);
        rows.leasesSettled = false;
        lessor.applied({ kind: 'granted', ...granted });
        promised.set(row.id, granted.deadlineMs);
      } else if (draw < 0.6) {
        const id = random.pick(ids);
        if (lessor.isEnding(id, nowMs)) continue;
        if (lessor.needsOpening) rows.apply({ deadlines: [], settled: false });
        lessor.extend(id, nowMs);
        promised.set(id, nowMs + (rows.rows.get(id)?.ttlSeconds ?? 0) * 1_000);
      } else if (draw < 0.75) {
        if (lessor.restObstacle(nowMs) !== 'settle') continue;
        const checkpoint = lessor.takeCheckpoint(random.integer(1, 4));
        // The leader may be gone before it hears of the entry, or the entry was never committed.
        const isCommitted = random.chance(0.7);
        if (isCommitted) rows.apply(checkpoint);
        if (random.chance(0.2)) lessor = newLessor(rows, nowMs);
        else if (isCommitted) lessor.saved(checkpoint);
        else lessor.notSaved();
      } else if (draw < 0.8) {
        const wasSettled = rows.leasesSettled;
        lessor = newLessor(rows, nowMs);
        for (const row of rows.rows.values()) {
          if (wasSettled && row.deadlineMs > nowMs) {
            expect(lessor.remainingSeconds(row.id, nowMs)).toBe(Math.floor((row.deadlineMs - nowMs) / 1_000));
          }
        }
      } else {
        for (const id of lessor.takeDue(nowMs, 3)) {
          expect(promised.get(id), `seed ${seed}: lease ${id} ended early`).toBeLessThanOrEqual(nowMs);
          rows.rows.delete(id);
          lessor.applied({ kind: 'ended', id });
        }
      }
    }
  }
});
