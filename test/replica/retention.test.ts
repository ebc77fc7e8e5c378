// Which history goes by itself, and when: with a store and a clock that the test moves, and with a real log.

import { describe, expect, it } from 'vitest';
import { revisionTimes } from '../../src/driver/revision-times.ts';
import {
  retentionMarksMax,
  retentionRevisionsDefault,
  retentionSpacingMs,
  retentionStepRevisions,
} from '../../src/limits.ts';
import { logIndex } from '../../src/model/brands.ts';
import { Retention, type RetentionTerms } from '../../src/replica/retention.ts';
import { GroupOfOne, service } from './lease/group-of-one.ts';
import { put } from '../mvcc/requests.ts';

const hour = 3_600;

class Kept {
  nowMs = 1_000_000_000;
  readonly store = { revision: 1, compactedRevision: -1 };
  terms: RetentionTerms = { seconds: hour, revisions: retentionRevisionsDefault };
  leads = true;
  isTight = false;
  woken = 0;
  readonly proposed: { readonly atMs: number; readonly revision: number }[] = [];
  times: { revision: number; atMs: number }[] = [];
  readonly retention: Retention;

  constructor() {
    this.retention = new Retention({
      terms: () => this.terms,
      store: () => this.store,
      leads: () => this.leads,
      isTight: () => this.isTight,
      times: () => this.times,
      propose: (revision) => {
        this.proposed.push({ atMs: this.nowMs, revision });
        this.store.compactedRevision = revision;
        return Promise.resolve();
      },
      wake: () => {
        this.woken++;
        return Promise.resolve(true);
      },
      nowMs: () => this.nowMs,
    });
  }

  /** So many seconds, in each of which so many revisions are made. */
  async run(seconds: number, perSecond: number): Promise<void> {
    for (let second = 0; second < seconds; second++) {
      this.nowMs += 1_000;
      this.store.revision += perSecond;
      this.retention.tick();
      await Promise.resolve();
    }
  }
}

describe('RETENTION-1: history goes', () => {
  it('once it is older than the time and beyond the last revisions', async () => {
    const kept = new Kept();
    const made: number[] = [];
    for (let minute = 0; minute < 180; minute++) {
      made.push(kept.store.revision);
      await kept.run(60, 10);
      const { compactedRevision, revision } = kept.store;
      expect(compactedRevision).toBeLessThanOrEqual(Math.max(-1, revision - retentionRevisionsDefault));
      // What was the present an hour ago can be read.
      const hourAgo = made[minute - 59];
      expect(compactedRevision).toBeLessThanOrEqual(hourAgo ?? -1);
      if (hourAgo === undefined || minute < 90) continue;
      // It keeps no more than a sample and a step too much.
      const lateSeconds = (2 * hour) / retentionMarksMax + 61;
      expect(compactedRevision).toBeGreaterThanOrEqual(hourAgo - lateSeconds * 10 - retentionStepRevisions);
    }
  });

  it('by one bound alone, where the other one is 0, and not without either', async () => {
    const byRevisions = new Kept();
    byRevisions.terms = { seconds: 0, revisions: 500 };
    await byRevisions.run(100, 100);
    expect(byRevisions.store.compactedRevision).toBeGreaterThan(10_001 - 500 - 2 * retentionStepRevisions);
    expect(byRevisions.store.compactedRevision).toBeLessThanOrEqual(10_001 - 500);
    const byTime = new Kept();
    byTime.terms = { seconds: 60, revisions: 0 };
    await byTime.run(200, 100);
    expect(byTime.store.compactedRevision).toBeGreaterThan(200 * 100 - 6_000 - 3_100);
    expect(byTime.store.compactedRevision).toBeLessThanOrEqual(200 * 100 - 6_000 + 1);
    const never = new Kept();
    never.terms = { seconds: 0, revisions: 0 };
    await never.run(300, 1_000);
    expect(never.proposed).toEqual([]);
  });
});

describe('RETENTION-2: the leader lets history go', () => {
  it('in steps, with pauses between', async () => {
    const kept = new Kept();
    kept.terms = { seconds: 0, revisions: 100 };
    await kept.run(60, 5_000);
    let before = -1;
    for (const { revision } of kept.proposed) {
      expect(revision - before).toBeGreaterThanOrEqual(retentionStepRevisions);
      before = revision;
    }
    const times = kept.proposed.map(({ atMs }) => atMs);
    expect(times.length).toBeGreaterThan(3);
    for (const [at, atMs] of times.entries()) {
      if (at > 0) expect(atMs - (times[at - 1] ?? 0)).toBeGreaterThanOrEqual(retentionSpacingMs);
    }
  });

  it('and no other replica does, nor is a store with little history looked at', async () => {
    const follower = new Kept();
    follower.leads = false;
    follower.terms = { seconds: 0, revisions: 100 };
    await follower.run(60, 5_000);
    expect(follower.proposed).toEqual([]);
    const small = new Kept();
    small.times = [{ revision: 1, atMs: 0 }];
    await small.run(2, (retentionRevisionsDefault + retentionStepRevisions - 2) / 2);
    await small.run(2 * hour, 0);
    expect(small.proposed).toEqual([]);
    small.store.revision += 2;
    await small.run(1, 0);
    await small.run(2 * hour, 0);
    expect(small.proposed).toHaveLength(1);
  });
});

describe('RETENTION-3: a new instance knows how old revisions are', () => {
  it('and lets them go', async () => {
    const kept = new Kept();
    kept.store.revision = 30_000;
    kept.times = [
      { revision: 12_000, atMs: kept.nowMs - 2 * hour * 1_000 },
      { revision: 15_000, atMs: kept.nowMs - hour * 1_000 },
      { revision: 28_000, atMs: kept.nowMs - hour * 1_000 + 10_000 },
    ];
    await kept.run(1, 0);
    expect(kept.proposed.map(({ revision }) => revision)).toEqual([15_000]);
  });

  it('from its log', () => {
    const group = new GroupOfOne();
    group.driver.campaign();
    for (let tick = 0; tick < 20; tick++) group.driver.tick();
    const first = group.driver.store.revision;
    const at = new Map<number, number>();
    for (let write = 0; write < 40; write++) {
      group.clockMs += 1_000;
      group.driver.write({ writeId: `w${write}`, caller: service, operation: put('k') }, () => undefined);
      group.driver.tick();
      at.set(group.driver.store.revision, group.clockMs);
    }
    expect(group.driver.store.revision).toBe(first + 40);
    const times = group.driver.revisionTimes(8);
    expect(times.length).toBeGreaterThan(4);
    expect(times.length).toBeLessThanOrEqual(9);
    for (const { revision, atMs } of times) if (revision > first) expect(atMs).toBe(at.get(revision));
    expect(times.map(({ revision }) => revision)).toEqual(
      times.map(({ revision }) => revision).toSorted((a, b) => a - b),
    );
    const all = group.driver.revisionTimes(1_000);
    expect(all.filter(({ revision }) => revision > first)).toHaveLength(40);
  });

  it('also from a log that begins after a truncation', () => {
    const entry = { kind: 'noop', data: new Uint8Array(0) };
    const log = { base: () => ({ index: logIndex(5) }), entries: () => [entry] };
    const store = { revisionsAfter: () => [{ lastRevision: 9, logIndex: 6 }] };
    expect(revisionTimes(log as never, store as never, 3)).toEqual([]);
  });
});

describe('RETENTION-4: a group at rest', () => {
  it('is woken by its leader’s alarm once enough of its history is old, and lets it go', async () => {
    const kept = new Kept();
    await kept.run(100, 300);
    kept.retention.resting();
    const { wakeAtMs } = kept.retention;
    expect(wakeAtMs).not.toBeNull();
    expect(wakeAtMs ?? 0).toBeGreaterThan(kept.nowMs + (hour - 120) * 1_000);
    expect(wakeAtMs ?? 0).toBeLessThanOrEqual(kept.nowMs + hour * 1_000);
    kept.nowMs = (wakeAtMs ?? 0) - 1;
    await kept.retention.alarm();
    expect(kept.woken).toBe(0);
    kept.nowMs++;
    await kept.retention.alarm();
    expect(kept.woken).toBe(1);
    kept.retention.tick();
    expect(kept.proposed).toHaveLength(1);
  });

  it('wants no alarm while it is awake', async () => {
    const kept = new Kept();
    await kept.run(100, 300);
    kept.retention.resting();
    expect(kept.retention.wakeAtMs).not.toBeNull();
    await kept.run(1, 0);
    expect(kept.retention.wakeAtMs).toBeNull();
  });

  it('needs no alarm for little history, and a follower sets none', async () => {
    const little = new Kept();
    await little.run(100, 100);
    little.retention.resting();
    expect(little.retention.wakeAtMs).toBeNull();
    const follower = new Kept();
    follower.leads = false;
    await follower.run(100, 300);
    follower.retention.resting();
    expect(follower.retention.wakeAtMs).toBeNull();
  });

  it('rings again where the alarm rang too early, also in an instance that has just begun', async () => {
    const kept = new Kept();
    kept.leads = false;
    kept.store.revision = 30_000;
    kept.times = [{ revision: 20_000, atMs: kept.nowMs - 1_000 }];
    await kept.retention.alarm();
    expect([kept.woken, kept.retention.wakeAtMs]).toEqual([0, kept.nowMs + (hour - 1) * 1_000]);
    kept.nowMs += hour * 1_000;
    await kept.retention.alarm();
    expect([kept.woken, kept.retention.wakeAtMs]).toEqual([1, null]);
  });

  it('keeps the time of its alarm, however often it rests meanwhile', async () => {
    const kept = new Kept();
    await kept.run(100, 300);
    kept.retention.resting();
    const first = kept.retention.wakeAtMs ?? 0;
    for (let rest = 0; rest < 300; rest++) {
      await kept.run(1, 1);
      kept.retention.resting();
      expect(kept.retention.wakeAtMs).toBeGreaterThanOrEqual(first);
      expect(kept.retention.wakeAtMs).toBeLessThan(first + (hour * 1_000) / retentionMarksMax);
      kept.nowMs += 5_000;
    }
  });
});

it('RETENTION-5: a store near its quota keeps what is younger than the time alone', async () => {
  const kept = new Kept();
  await kept.run(100, 10);
  await kept.run(2 * hour, 0);
  expect(kept.proposed).toEqual([]);
  expect(kept.retention.mayRelieve).toBe(false);
  kept.isTight = true;
  await kept.run(hour / 2, 1);
  const [first] = kept.proposed;
  expect(first?.revision).toBe(1_001);
  expect(kept.retention.mayRelieve).toBe(false);
  await kept.run(hour, 0);
  expect(kept.store.compactedRevision).toBeGreaterThan(1_001 + 1_600);
});
