// Two versions of the code in one group: the present one, and the one before groups had levels (level-1.js).

import { describe, expect, it } from 'vitest';
import { logIndex, replicaId, term } from '../../src/brands.ts';
import { withLearner } from '../../src/raft/configuration.ts';
import { Driver } from '../../src/replica/driver.ts';
import { decodeEnvelope, encodeEnvelope } from '../../src/replica/envelope.ts';
import * as level1 from './level-1.js';
import { MixedGroup, type Version } from './mixed-group.ts';

function expectSameRows(group: MixedGroup): void {
  group.run();
  const [first, ...others] = group.replicas.map((replica) => replica.rows());
  for (const other of others) expect(other).toBe(first);
}

describe('two versions in one group', () => {
  it.each([
    ['new', 'new', 'old'],
    ['old', 'old', 'new'],
  ] as const satisfies readonly (readonly Version[])[])(
    'VERSION-1: a group of %s, %s and %s serves, whoever leads, and stays at level 1',
    (...versions) => {
      const group = new MixedGroup(versions);
      for (const number of [1, 2, 3]) {
        group.lead(number);
        expect(group.leader()).toBe(group.replica(number));
        expect(group.put(`k/${number}`, 'v')).toMatchObject({ kind: 'put' });
        expect(group.remove(`k/${number - 1}`)).toMatchObject({ kind: 'deleteRange' });
      }
      expectSameRows(group);
      expect(group.replicas.map(({ level }) => level).filter((level) => level !== null && level !== 1)).toEqual([]);
      for (const { driver } of group.replicas) {
        if (driver instanceof Driver) {
          expect(
            driver.proposeConfiguration(
              driver.raft.configuration,
              withLearner(driver.raft.configuration, { location: '', plan: null }),
            ),
          ).toBe(false);
        }
      }
    },
  );

  it('VERSION-2: a group whose replicas are updated one by one serves all the time, and rises to level 2 when all are', () => {
    const group = new MixedGroup(['old', 'old', 'old']);
    for (const number of [3, 1, 2]) {
      expect(group.put('k', `before ${number}`)).toMatchObject({ kind: 'put' });
      group.replica(number).start('new');
      group.run();
      const expected = number === 2 ? 2 : 1;
      expect(group.replicas.map(({ level }) => level ?? 1)).toEqual([expected, expected, expected]);
    }
    group.put('k', 'after');
    expectSameRows(group);
    const hashes = group.replicas.map(({ driver }) => (driver instanceof Driver ? driver.store.runningHash : null));
    expect(new Set(hashes.map((hash) => JSON.stringify(hash))).size).toBe(1);
    expect(hashes[0]).not.toBeNull();
  });

  it('VERSION-3: a replica of the old code that meets an entry of level 2 halts before it, and the others go on', () => {
    const late = new MixedGroup(['new', 'new', 'old']);
    late.lead(1);
    late.put('k', 'v');
    // The level is raised over its head, as no leader does by itself.
    const { driver } = late.leader();
    expect(driver).toBeInstanceOf(Driver);
    late.write({ kind: 'groupLevel', level: 2 });
    late.put('k', 'later');
    const old = late.replica(3);
    expect(old.driver?.halted).toContain('cannot be applied by this version');
    expect(JSON.parse(old.rows())).toHaveLength(1);
    expect(old.driver?.store.revision).toBe(2);
    expect(late.put('k', 'and on')).toMatchObject({ kind: 'put', revision: 4 });
  });

  it('VERSION-4: after a downgrade the old code opens every store and serves; taken back, the group rises again', () => {
    const group = new MixedGroup(['new', 'new', 'new']);
    group.put('k/1', 'v');
    expect(group.replicas.map(({ level }) => level)).toEqual([2, 2, 2]);
    group.write({ kind: 'downgradeEnable', targetVersion: '3.6' });
    group.run();
    expect(group.replicas.map(({ level }) => level)).toEqual([1, 1, 1]);
    for (const replica of group.replicas) replica.start('old');
    expect(group.put('k/2', 'by the old code')).toMatchObject({ kind: 'put', revision: 3 });
    for (const replica of group.replicas) replica.start('new');
    expect(group.put('k/3', 'still level 1')).toMatchObject({ kind: 'put' });
    expect(group.replicas.map(({ level }) => level)).toEqual([1, 1, 1]);
    group.write({ kind: 'downgradeCancel' });
    group.run();
    expect(group.replicas.map(({ level }) => level)).toEqual([2, 2, 2]);
    expectSameRows(group);
  });

  it('VERSION-5: each version reads the other’s envelopes; what is new goes only to who has said that it knows it', () => {
    const heartbeat = {
      kind: 'heartbeat',
      from: replicaId(1),
      to: replicaId(2),
      term: term(3),
      commit: logIndex(4),
      round: 5,
    } as const;
    const report = {
      supports: 2,
      state: 'serving',
      hash: { index: logIndex(4), hash: 77 },
      divergedAt: logIndex(0),
    } as const;
    const bytes = encodeEnvelope({ group: 'g', messages: [heartbeat], report });
    expect(level1.decodeEnvelope(bytes)).toEqual({ group: 'g', messages: [heartbeat] });
    expect(decodeEnvelope(bytes)).toEqual({ group: 'g', messages: [heartbeat], report });
    const old = level1.encodeEnvelope({ group: 'g', messages: [heartbeat] });
    expect(decodeEnvelope(old)).toEqual({ group: 'g', messages: [heartbeat], report: null });
    const removed = {
      kind: 'removed',
      from: replicaId(1),
      to: replicaId(2),
      term: term(3),
      members: [replicaId(2)],
    } as const;
    expect(() => level1.decodeEnvelope(encodeEnvelope({ group: 'g', messages: [removed], report }))).toThrow(/version/);
  });
});
