// Two versions of the code in one group: the present one, and one of an earlier level (level-1.js, level-2.js).

import { describe, expect, it } from 'vitest';
import { logIndex, replicaId, term } from '../../src/model/brands.ts';
import { groupLevelMax } from '../../src/model/levels.ts';
import { withLearner } from '../../src/raft/configuration.ts';
import { Driver } from '../../src/driver/driver.ts';
import { decodeEnvelope, encodeEnvelope } from '../../src/driver/envelope.ts';
import type { PeerReport } from '../../src/driver/peer-report.ts';
import { prefix, remove, txn } from '../mvcc/requests.ts';
import * as level1 from '../support/levels/level-1.js';
import * as level2 from '../support/levels/level-2.js';
import { type FormerVersion, MixedGroup } from './mixed-group.ts';

function expectSameRows(group: MixedGroup): void {
  group.run();
  const [first, ...others] = group.replicas.map((replica) => replica.rows());
  for (const other of others) expect(other).toBe(first);
}

const levelsOf = (group: MixedGroup): readonly (number | null)[] => group.replicas.map(({ level }) => level);
const three = (level: number): readonly number[] => [level, level, level];

const formers = [
  { former: 'level 1', level: 1 },
  { former: 'level 2', level: 2 },
] as const satisfies readonly { readonly former: FormerVersion; readonly level: number }[];

describe.each(formers)('code of $former in one group with the present one', ({ former, level }) => {
  it.each([
    ['one replica', ['new', 'new', former]],
    ['two replicas', [former, former, 'new']],
  ] as const)('VERSION-1: a group with %s of it serves, whoever leads, and stays at its level', (_, versions) => {
    const group = new MixedGroup(versions);
    for (const number of [1, 2, 3]) {
      group.lead(number);
      expect(group.leader()).toBe(group.replica(number));
      expect(group.put(`k/${number}`, 'v')).toMatchObject({ kind: 'put' });
      expect(group.remove(`k/${number - 1}`)).toMatchObject({ kind: 'deleteRange' });
    }
    expectSameRows(group);
    expect(levelsOf(group)).toEqual(three(level));
    const { driver } = group.replicas.find((replica) => replica.driver instanceof Driver) ?? {};
    if (!(driver instanceof Driver)) throw new Error('a replica runs the present code');
    group.lead(driver.raft.id);
    const { configuration } = driver.raft;
    const next = withLearner(configuration, { location: '', plan: null });
    expect(driver.proposeConfiguration(configuration, next)).toBe(level > 1);
  });

  it('VERSION-2: a group whose replicas are updated one by one serves all the time, and rises to the newest level when all are', () => {
    const group = new MixedGroup([former, former, former]);
    group.run();
    for (const number of [3, 1, 2]) {
      expect(group.put('k', `before ${number}`)).toMatchObject({ kind: 'put' });
      expect(levelsOf(group)).toEqual(three(level));
      group.replica(number).start('new');
      group.run();
    }
    expect(levelsOf(group)).toEqual(three(groupLevelMax));
    group.put('k', 'after');
    expectSameRows(group);
    const hashes = group.replicas.map(({ driver }) => (driver instanceof Driver ? driver.store.runningHash : null));
    expect(new Set(hashes.map((hash) => JSON.stringify(hash))).size).toBe(1);
    expect(hashes[0]).not.toBeNull();
  });

  it('VERSION-3: a replica of it that meets an entry of a later level halts before it, and the others go on', () => {
    for (let later = level + 1; later <= groupLevelMax; later++) {
      const late = new MixedGroup(['new', 'new', former]);
      late.lead(1);
      late.put('k', 'v');
      // The level is raised although this replica does not know it, which no leader does by itself.
      expect(late.leader().driver).toBeInstanceOf(Driver);
      late.write({ kind: 'groupLevel', level: later });
      late.put('k', 'later');
      const old = late.replica(3);
      expect(old.driver?.halted).toContain('cannot be applied by this version');
      expect(JSON.parse(old.rows())).toHaveLength(1);
      expect(old.driver?.store.revision).toBe(2);
      expect(late.put('k', 'and on')).toMatchObject({ kind: 'put', revision: 4 });
    }
  });

  it('VERSION-4: after a downgrade it opens every store and serves; taken back, the group rises again', () => {
    const group = new MixedGroup(['new', 'new', 'new']);
    group.put('k/1', 'v');
    expect(levelsOf(group)).toEqual(three(groupLevelMax));
    group.write({ kind: 'downgradeEnable', targetVersion: '3.6' });
    group.run();
    expect(levelsOf(group)).toEqual(three(1));
    for (const replica of group.replicas) replica.start(former);
    expect(group.put('k/2', 'by the former code')).toMatchObject({ kind: 'put', revision: 3 });
    expect(levelsOf(group)).toEqual(three(1));
    for (const replica of group.replicas) replica.start('new');
    expect(group.put('k/3', 'still level 1')).toMatchObject({ kind: 'put' });
    expect(levelsOf(group)).toEqual(three(1));
    // Once the downgrade is taken back, the level rises as far as all replicas know: to the level of the former code
    // while one replica runs it.
    group.replica(2).start(former);
    group.write({ kind: 'downgradeCancel' });
    group.run();
    expect(levelsOf(group)).toEqual(three(level));
    group.replica(2).start('new');
    group.run();
    expect(levelsOf(group)).toEqual(three(groupLevelMax));
    expectSameRows(group);
  });
});

describe.each(formers)('what is remembered at the newest level', ({ former }) => {
  it('VERSION-7: is read by code of $former after a downgrade, failures that it does not know included', () => {
    const group = new MixedGroup(['new', 'new', 'new']);
    for (let n = 0; n < 20; n++) group.put(`k/${n}`, 'v');
    const tooMuch = txn({ success: [remove(prefix('k/'))] });
    const refused = { kind: 'failed', failure: { kind: 'tooMuchWork' } };
    expect(group.write(tooMuch, 'refused')).toMatchObject(refused);
    group.write({ kind: 'downgradeEnable', targetVersion: '3.6' });
    group.run();
    for (const replica of group.replicas) replica.start(former);
    expect(group.write(tooMuch, 'refused')).toMatchObject({ kind: 'failed', failure: { kind: 'operationNotServed' } });
    // Below level 3 this command is not too much work.
    expect(group.write(tooMuch, 'another')).toMatchObject({ kind: 'txn' });
    for (const replica of group.replicas) replica.start('new');
    expect(group.write(tooMuch, 'refused')).toMatchObject(refused);
    expectSameRows(group);
  });
});

describe('envelopes of two versions', () => {
  const sides = { from: replicaId(1), to: replicaId(2), term: term(3) };
  const heartbeat = { kind: 'heartbeat', ...sides, commit: logIndex(4), round: 5 } as const;
  const removed = { kind: 'removed', ...sides, members: [replicaId(2)] } as const;
  const report: PeerReport = {
    supports: groupLevelMax,
    state: 'serving',
    hash: { index: logIndex(4), hash: 77 },
    divergedAt: logIndex(0),
  };

  it('VERSION-5: code of level 1 and the present one read each other’s; what is new goes only to who has said that it knows it', () => {
    const bytes = encodeEnvelope({ group: 'g', messages: [heartbeat], report });
    expect(level1.decodeEnvelope(bytes)).toEqual({ group: 'g', messages: [heartbeat] });
    expect(decodeEnvelope(bytes)).toEqual({ group: 'g', messages: [heartbeat], report });
    const old = level1.encodeEnvelope({ group: 'g', messages: [heartbeat] });
    expect(decodeEnvelope(old)).toEqual({ group: 'g', messages: [heartbeat], report: null });
    expect(() => level1.decodeEnvelope(encodeEnvelope({ group: 'g', messages: [removed], report }))).toThrow(/version/);
  });

  it('VERSION-5: code of level 2 and the present one read each other’s, reports and members that come and go included', () => {
    const envelope = { group: 'g', messages: [heartbeat, removed], report };
    const older = { ...envelope, report: { ...report, supports: 2 } };
    expect(level2.decodeEnvelope(encodeEnvelope(envelope))).toEqual(envelope);
    expect(decodeEnvelope(level2.encodeEnvelope(older))).toEqual(older);
  });
});
