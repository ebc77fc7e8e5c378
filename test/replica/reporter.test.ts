// What a replica counts, keeps, and tells the directory, and when. The test holds the clock and the directory.

import { describe, expect, it } from 'vitest';
import {
  directoryAlarmMs,
  directoryRetryMs,
  latencyBucketsMs,
  reportEveryMs,
  reportFirstMs,
  reportHoursKeptMax,
  reportLookMs,
  reportSaveMs,
  reportSpacingMs,
  tickMs,
  troubleAfterMs,
} from '../../src/limits.ts';
import type { ToldReport, ToldState, Trouble } from '../../src/model/told-report.ts';
import { Reporter } from '../../src/replica/reporter.ts';
import { Tallies } from '../../src/replica/tallies.ts';
import { NodeSql } from '../support/node-sql.ts';
import { inVirtualTime } from '../support/virtual-time.ts';
import { pass } from '../support/virtual-crash.ts';

inVirtualTime();

const state: ToldState = {
  leader: 1,
  term: 1,
  revision: 7,
  appliedIndex: 9,
  storeBytes: 100,
  logBytes: 10,
  quotaBytes: 1_000,
  alarms: [],
  behind: [],
  lag: 0,
  sessions: 0,
  sockets: 0,
  watches: 0,
};

class Replica {
  readonly sql = new NodeSql();
  readonly told: ToldReport[] = [];
  isThere = true;
  leads = false;
  isAwake = true;
  troubles: readonly Trouble[] = [];
  tallies = new Tallies();
  reporter = this.start();

  /** Also after the object left the memory. */
  start(): Reporter {
    this.tallies = new Tallies();
    this.reporter = new Reporter({
      replica: 1,
      sql: this.sql,
      tallies: this.tallies,
      see: () => ({ leads: this.leads, state, troubles: this.troubles }),
      isAwake: () => this.isAwake,
      tell: (report) => {
        this.told.push(structuredClone(report));
        return this.isThere ? Promise.resolve() : Promise.reject(new Error('the directory is away'));
      },
      nowMs: () => Date.now(),
      broken: (error) => {
        throw error;
      },
    });
    return this.reporter;
  }

  async run(forMs: number): Promise<void> {
    for (let passedMs = 0; passedMs < forMs; passedMs += tickMs) {
      this.reporter.tick();
      await pass(tickMs);
    }
  }

  put(times = 1): void {
    for (let count = 0; count < times; count++) this.tallies.called('put', 'OK', 3);
  }

  kept(): string {
    return String(this.sql.all('SELECT kept FROM report')[0]?.[0]);
  }
}

describe('TALLY-1: calls are counted by kind and code, and by how long they took', () => {
  it('in buckets, and beyond the last', () => {
    const tallies = new Tallies();
    const last = latencyBucketsMs.at(-1) ?? 0;
    for (const tookMs of [0, 1, 2, last, last + 1]) tallies.called('put', 'OK', tookMs);
    tallies.called('put', 'Unavailable', 0);
    tallies.called('lock', 'OK', null);
    tallies.count('elections');
    expect(Object.fromEntries(tallies.take())).toEqual({
      'call put OK': 5,
      'call put Unavailable': 1,
      'call lock OK': 1,
      'ms put 1': 3,
      'ms put 2': 1,
      [`ms put ${last}`]: 1,
      'ms put +Inf': 1,
      'msSum put': 3 + 2 * last + 1,
      elections: 1,
    });
    expect([tallies.isEmpty, tallies.take().size]).toEqual([true, 0]);
  });
});

describe('REPORT-1: a call costs no row: counts are on disk after a minute, and before rest', () => {
  it('writes one row a minute, whatever was counted', async () => {
    const replica = new Replica();
    replica.put(1_000);
    await replica.run(reportSaveMs - reportLookMs);
    expect(replica.sql.all("SELECT name FROM sqlite_master WHERE name = 'report'")).toEqual([]);
    await replica.run(2 * reportLookMs);
    expect(replica.kept()).toContain('"call put OK":1000');
  });

  it('keeps what a replica counted that leaves the memory', () => {
    const replica = new Replica();
    for (const times of [2, 3]) {
      replica.put(times);
      replica.reporter.resting();
      replica.start();
    }
    expect(replica.reporter.totals).toMatchObject({ 'call put OK': 5, 'ms put 4': 5, 'msSum put': 15 });
  });

  it('writes nothing where nothing was counted', async () => {
    const replica = new Replica();
    await replica.run(3 * reportSaveMs);
    replica.reporter.resting();
    expect(replica.sql.all("SELECT name FROM sqlite_master WHERE name = 'report'")).toEqual([]);
    expect(replica.told).toEqual([]);
  });
});

describe('REPORT-2: a replica that was used tells of it after reportEveryMs, and a new one after reportFirstMs', () => {
  it('all that was counted, and by hour', async () => {
    const replica = new Replica();
    replica.put();
    await replica.run(reportFirstMs + 2 * reportLookMs);
    expect(replica.told).toHaveLength(1);
    expect(replica.told[0]).toMatchObject({ replica: 1, totals: { 'call put OK': 1, 'ms put 4': 1 }, state });
    expect(replica.told[0]?.hours).toEqual([{ hour: expect.any(Number), counts: { 'call put OK': 1 } }]);
    replica.put(2);
    await replica.run(reportEveryMs - 3 * reportLookMs);
    expect(replica.told).toHaveLength(1);
    await replica.run(4 * reportLookMs);
    expect(replica.told).toHaveLength(2);
    expect(replica.told[1]?.totals).toMatchObject({ 'call put OK': 3 });
    await replica.run(2 * reportEveryMs);
    expect(replica.told).toHaveLength(2);
  });

  it('a new leader tells, whatever it served', async () => {
    const replica = new Replica();
    replica.leads = true;
    await replica.run(reportFirstMs + 2 * reportLookMs);
    expect(replica.told.map(({ leads }) => leads)).toEqual([true]);
  });
});

describe('REPORT-3: a directory that is away for long loses nothing', () => {
  it('is told again until it hears, all hours since', async () => {
    const replica = new Replica();
    replica.isThere = false;
    const days = 1;
    for (let hour = 0; hour < 24 * days; hour++) {
      replica.put();
      replica.reporter.tick();
      await pass(3_600_000);
    }
    replica.isThere = true;
    await replica.run(2 * reportLookMs);
    const last = replica.told.at(-1);
    expect(last?.totals).toMatchObject({ 'call put OK': 24 });
    expect(last?.hours.reduce((sum, { counts }) => sum + (counts['call put OK'] ?? 0), 0)).toBe(24);
    expect(last?.hours.length).toBeGreaterThan(20);
    const count = replica.told.length;
    await replica.run(reportEveryMs);
    expect(replica.told).toHaveLength(count);
  });

  it('tries again after pauses', async () => {
    const replica = new Replica();
    replica.isThere = false;
    replica.put();
    await replica.run(reportFirstMs + 2 * reportLookMs);
    const tries = replica.told.length;
    await replica.run(10 * directoryRetryMs);
    expect(replica.told.length).toBeGreaterThan(tries);
    expect(replica.told.length).toBeLessThan(tries + 10);
  });

  it('keeps reportHoursKeptMax hours, and then counts the oldest as one', async () => {
    const replica = new Replica();
    replica.isThere = false;
    for (let hour = 0; hour < reportHoursKeptMax + 5; hour++) {
      replica.put();
      replica.reporter.resting();
      await pass(3_600_000);
    }
    replica.isThere = true;
    await replica.reporter.alarm();
    const { hours = [] } = replica.told.at(-1) ?? {};
    expect(hours.length).toBeLessThanOrEqual(reportHoursKeptMax + 1);
    expect(hours.reduce((sum, { counts }) => sum + (counts['call put OK'] ?? 0), 0)).toBe(reportHoursKeptMax + 5);
  });
});

describe('REPORT-4: a group that rests is not woken to tell: the alarm of its object does', () => {
  it('what is on disk', async () => {
    const replica = new Replica();
    await replica.run(reportLookMs);
    replica.put(4);
    replica.reporter.resting();
    const { wakeAtMs } = replica.reporter;
    expect(wakeAtMs).not.toBeNull();
    expect(wakeAtMs).toBeLessThanOrEqual(Date.now() + reportEveryMs);
    replica.start();
    replica.isAwake = false;
    await replica.reporter.alarm();
    expect(replica.told).toEqual([]);
    await pass((wakeAtMs ?? 0) - Date.now());
    await replica.reporter.alarm();
    expect(replica.told[0]).toMatchObject({ totals: { 'call put OK': 4 }, state });
    expect(replica.reporter.wakeAtMs).toBeNull();
  });

  it('again later, where the directory is away', async () => {
    const replica = new Replica();
    await replica.run(reportLookMs);
    replica.put();
    replica.reporter.resting();
    replica.isThere = false;
    await pass((replica.reporter.wakeAtMs ?? 0) - Date.now());
    await replica.reporter.alarm();
    expect(replica.reporter.wakeAtMs).toBe(Date.now() + directoryAlarmMs);
  });
});

describe('REPORT-5: trouble that lasts is told soon, and so is its end', () => {
  it.each(['alarm', 'nearQuota', 'behind', 'noQuorum'] as const)('%s', async (trouble) => {
    const replica = new Replica();
    await replica.run(reportLookMs);
    replica.troubles = [trouble];
    await replica.run(troubleAfterMs[trouble] + reportSpacingMs + 2 * reportLookMs);
    expect(replica.told.map(({ troubles }) => troubles)).toEqual([[trouble]]);
    replica.troubles = [];
    await replica.run(reportSpacingMs + 2 * reportLookMs);
    expect(replica.told.map(({ troubles }) => troubles)).toEqual([[trouble], []]);
  });

  it('none that comes and goes, as at an election', async () => {
    const replica = new Replica();
    for (let times = 0; times < 10; times++) {
      replica.troubles = ['noQuorum'];
      await replica.run(troubleAfterMs.noQuorum - 2 * reportLookMs);
      replica.troubles = [];
      await replica.run(2 * reportLookMs);
    }
    expect(replica.told).toEqual([]);
  });

  it('no more often than in reportSpacingMs', async () => {
    const replica = new Replica();
    for (let times = 0; times < 60; times++) {
      replica.troubles = times % 2 === 0 ? ['alarm'] : [];
      await replica.run(reportLookMs);
    }
    expect(replica.told.length).toBeLessThanOrEqual(60_000 / reportSpacingMs);
  });
});
