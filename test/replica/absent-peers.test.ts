// For how long the object of a voter must not exist before another replica takes the voter's place.

import { expect, it } from 'vitest';
import { replicaId } from '../../src/model/brands.ts';
import { absentReplaceMs } from '../../src/limits.ts';
import {
  type Configuration,
  foundingConfiguration,
  withLearner,
  without,
  withVoter,
} from '../../src/raft/configuration.ts';
import { AbsentPeers } from '../../src/replica/absent-peers.ts';
import { nextStep } from '../../src/driver/membership-plan.ts';
import type { Driver } from '../../src/driver/driver.ts';

const gone = replicaId(3);

const founders = foundingConfiguration([1, 2, 3].map((id) => ({ id: replicaId(id), location: '' })));

class Leader {
  nowMs = 0;
  readonly proposed: Configuration[] = [];
  readonly peers: AbsentPeers;

  constructor(configuration = founders) {
    const driver: Pick<Driver, 'absent' | 'proposeConfiguration'> & { readonly raft: unknown } = {
      raft: { role: 'leader', isConfigurationCommitted: true, configuration },
      absent: () => undefined,
      proposeConfiguration: (_, next) => this.proposed.push(next) > 0,
    };
    this.peers = new AbsentPeers({
      driver: driver as unknown as Driver,
      provision: () => Promise.resolve(),
      nowMs: () => this.nowMs,
    });
  }

  /** Until then, each call finds no object. */
  absentUntil(untilMs: number, peer = gone): void {
    for (; this.nowMs < untilMs; this.nowMs += 100) this.peers.absent(peer);
    this.peers.absent(peer);
  }
}

it('MEMBER-9: a voter whose object was absent for absentReplaceMs without a break is replaced, and not before', () => {
  const leader = new Leader();
  leader.absentUntil(absentReplaceMs - 100);
  expect(leader.proposed).toEqual([]);
  leader.absentUntil(absentReplaceMs);
  expect(leader.proposed.at(-1)?.members.at(-1)?.plan).toEqual({ replaces: gone });
});

it('MEMBER-9: an answer ends the absence: what comes later is another one', () => {
  const leader = new Leader();
  leader.absentUntil(absentReplaceMs - 100);
  leader.peers.present(gone);
  leader.absentUntil(2 * absentReplaceMs - 200);
  expect(leader.proposed).toEqual([]);
  leader.absentUntil(2 * absentReplaceMs);
  expect(leader.proposed).not.toEqual([]);
});

it('MEMBER-9: a clock that is set back begins the absence anew, instead of waiting until it is as late again', () => {
  const leader = new Leader();
  leader.nowMs = 10 * absentReplaceMs;
  leader.absentUntil(leader.nowMs + 1_000);
  leader.nowMs = 0;
  leader.absentUntil(absentReplaceMs);
  expect(leader.proposed).not.toEqual([]);
});

it('MEMBER-10: a voter that was lost before it took the place it was made for makes room for another one', () => {
  const joined = withLearner(founders, { location: 'apac', plan: { replaces: replicaId(1) } });
  const voting = withVoter(joined, replicaId(4));
  const leader = new Leader(voting);
  leader.absentUntil(absentReplaceMs, replicaId(4));
  expect(leader.proposed.at(-1)?.members.map(({ id, voter }) => [id, voter])).toEqual([
    [1, true],
    [2, true],
    [3, true],
    [5, false],
  ]);
  expect(leader.proposed.at(-1)?.members.at(-1)).toMatchObject({ location: 'apac', plan: { replaces: 1 } });
});

it('MEMBER-10: whom a new voter replaces leaves once that voter has answered as one', () => {
  const joined = withLearner(founders, { location: 'apac', plan: { replaces: replicaId(1) } });
  const voting = withVoter(joined, replicaId(4));
  const state = { self: replicaId(2), isReady: () => true };
  expect(nextStep(voting, { ...state, hasConfiguration: () => false })).toBeNull();
  expect(nextStep(voting, { ...state, hasConfiguration: (id) => id === replicaId(4) })).toEqual({
    kind: 'change',
    configuration: without(voting, replicaId(1)),
  });
});
