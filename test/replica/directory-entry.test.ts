// What a leader tells the directory, and when. The test holds the clock and the directory.

import { describe, expect, it } from 'vitest';
import { replicaId } from '../../src/model/brands.ts';
import { directoryAlarmMs, directoryRetryMs, directoryRetryMsMax, directoryTimeoutMs } from '../../src/limits.ts';
import { type Configuration, foundingConfiguration, withLearner, withVoter } from '../../src/raft/configuration.ts';
import { DirectoryEntry } from '../../src/replica/directory-entry.ts';
import { SharedAlarm } from '../../src/replica/shared-alarm.ts';
import type { ToldConfiguration } from '../../src/tenants/directory.ts';
import { NodeSql } from '../support/node-sql.ts';
import { inVirtualTime } from '../support/virtual-time.ts';
import { pass } from '../support/virtual-crash.ts';

inVirtualTime();

const founding = foundingConfiguration([1, 2, 3].map((id) => ({ id: replicaId(id), location: 'weur' })));
const withFourth = withLearner(founding, { location: 'enam', plan: null });
const fourVote = withVoter(withFourth, replicaId(4));

type Hears = 'hears' | 'fails' | 'throws' | 'hangs';

class Group {
  readonly sql = new NodeSql();
  readonly told: ToldConfiguration[] = [];
  hears: Hears = 'hears';
  readonly raft: { role: 'leader' | 'follower'; configuration: Configuration; isConfigurationCommitted: boolean } = {
    role: 'leader',
    configuration: founding,
    isConfigurationCommitted: true,
  };
  readonly driver = { raft: this.raft, configurationIndex: 0 };
  wakes = 0;
  wakesLeader = true;
  entry = this.start();

  start(): DirectoryEntry {
    this.entry = new DirectoryEntry({
      sql: this.sql,
      driver: this.driver,
      tell: (told) => {
        this.told.push(told);
        if (this.hears === 'hangs') return new Promise(() => {});
        if (this.hears === 'throws') throw new Error('there is no directory');
        return this.hears === 'hears' ? Promise.resolve() : Promise.reject(new Error('the directory is away'));
      },
      wake: () => {
        this.wakes++;
        return Promise.resolve(this.wakesLeader);
      },
      nowMs: () => Date.now(),
      broken: (error) => {
        throw error;
      },
    });
    return this.entry;
  }

  change(configuration: Configuration, index: number): void {
    [this.raft.configuration, this.driver.configurationIndex] = [configuration, index];
  }

  async ticks(count: number): Promise<void> {
    for (let tick = 0; tick < count; tick++) {
      this.entry.tick();
      await pass(100);
    }
  }
}

describe('what the directory is told', () => {
  it('MEMBER-20: the leader tells each committed configuration once, with its place in the log, also after a restart', async () => {
    const group = new Group();
    await group.ticks(20);
    expect(group.told).toEqual([]);
    group.change(withFourth, 7);
    group.raft.isConfigurationCommitted = false;
    await group.ticks(5);
    group.raft.isConfigurationCommitted = true;
    group.raft.role = 'follower';
    await group.ticks(5);
    expect(group.told).toEqual([]);
    group.raft.role = 'leader';
    await group.ticks(5);
    expect(group.told).toMatchObject([
      { configuredAt: 7, nextNumber: 5, replicas: [{}, {}, {}, { number: 4, location: 'enam' }] },
    ]);
    group.start();
    await group.ticks(5);
    group.change(fourVote, 9);
    group.start();
    await group.ticks(5);
    expect(group.told.map(({ configuredAt }) => configuredAt)).toEqual([7, 9]);
  });

  it('MEMBER-20: a group of which this replica has told nothing is told once, if its members have changed', async () => {
    const group = new Group();
    await group.ticks(20);
    expect(group.told).toEqual([]);
    group.change(founding, 5);
    group.start();
    await group.ticks(20);
    group.start();
    await group.ticks(20);
    expect(group.told).toMatchObject([{ configuredAt: 5, nextNumber: 4 }]);
  });

  it('MEMBER-21: it is told again until it was heard, later each time', async () => {
    const group = new Group();
    group.change(founding, 1);
    group.hears = 'fails';
    await group.ticks(directoryRetryMs / 100);
    expect(group.told).toHaveLength(1);
    group.hears = 'throws';
    await group.ticks((3 * directoryRetryMs) / 100);
    expect(group.told).toHaveLength(3);
    await group.ticks((20 * directoryRetryMsMax) / 100);
    expect(group.told.length).toBeLessThan(3 + 6 + 20);
    group.hears = 'hears';
    await group.ticks(directoryRetryMsMax / 100 + 1);
    const count = group.told.length;
    await group.ticks((2 * directoryRetryMsMax) / 100);
    expect(group.told).toHaveLength(count);
  });

  it('MEMBER-22: a directory that does not answer keeps the group awake for directoryTimeoutMs, and holds it no longer', async () => {
    const group = new Group();
    group.change(founding, 1);
    group.hears = 'hangs';
    group.entry.tick();
    expect(group.entry.mayRest).toBe(false);
    await pass(directoryTimeoutMs - 1);
    expect(group.entry.mayRest).toBe(false);
    await pass(1);
    expect(group.entry.mayRest).toBe(true);
    group.entry.resting();
    const alarmMs = Date.now() + directoryAlarmMs;
    expect(group.entry.wakeAtMs).toBe(alarmMs);
    // The object was put to sleep and made anew by its alarm.
    group.start();
    await group.entry.alarm();
    expect([group.wakes, group.entry.wakeAtMs]).toEqual([0, alarmMs]);
    await pass(directoryAlarmMs);
    group.wakesLeader = false;
    await group.entry.alarm();
    expect([group.wakes, group.entry.wakeAtMs]).toEqual([1, Date.now() + directoryAlarmMs]);
    await pass(directoryAlarmMs);
    group.wakesLeader = true;
    group.hears = 'hears';
    await group.entry.alarm();
    expect([group.wakes, group.entry.wakeAtMs]).toEqual([2, null]);
    await group.ticks(2);
    group.entry.resting();
    expect(group.entry.wakeAtMs).toBeNull();
  });

  it('MEMBER-22: who does not lead, or has been heard, asks for no alarm', async () => {
    const group = new Group();
    group.raft.role = 'follower';
    group.entry.resting();
    group.raft.role = 'leader';
    await group.ticks(1);
    group.entry.resting();
    expect(group.entry.wakeAtMs).toBeNull();
  });

  it('TENANT-16: a replica whose tenant is deleted writes nothing once the directory has heard', async () => {
    const group = new Group();
    group.change(founding, 1);
    group.entry.tick();
    group.entry.stop();
    await pass(1);
    expect(group.sql.all("SELECT name FROM sqlite_master WHERE name = 'directory_entry'")).toEqual([]);
    await group.ticks(20);
    expect(group.told).toHaveLength(1);
  });
});

function alarms(otherMs: number | null) {
  let setMs: number | null = null;
  const storage = {
    getAlarm: () => Promise.resolve(setMs),
    setAlarm: (atMs: number) => Promise.resolve(void (setMs = atMs)),
    deleteAlarm: () => Promise.resolve(void (setMs = null)),
  };
  return { alarm: new SharedAlarm(storage, () => otherMs), set: () => setMs };
}

describe('one alarm for two', () => {
  it('MEMBER-23: it rings for whoever wants it first, and neither takes it from the other', async () => {
    const { alarm, set } = alarms(500);
    await alarm.setAlarm(900);
    expect(set()).toBe(500);
    await alarm.setAlarm(300);
    expect(set()).toBe(300);
    await alarm.wanted();
    expect(set()).toBe(300);
    await alarm.deleteAlarm();
    expect(set()).toBe(500);
    const alone = alarms(null);
    await alone.alarm.setAlarm(900);
    await alone.alarm.wanted();
    expect(alone.set()).toBe(900);
    await alone.alarm.deleteAlarm();
    expect(alone.set()).toBeNull();
  });
});
