// Changes of the group's members, as an operator or etcd's calls ask for them, on the leader: each is one entry of the
// log. What follows from an entry (a learner votes once it has caught up, the replica that it replaces leaves) the
// leader does by itself.

import type { Failure } from '../api/errors/errors.ts';
import type { ReplicaId } from '../model/brands.ts';
import { electionTimeoutTicks, replicasMax, requestTimeoutMs } from '../limits.ts';
import { groupLevel } from '../model/levels.ts';
import {
  type Configuration,
  memberOf,
  type MemberPlan,
  withLearner,
  without,
  withVoter,
} from '../raft/configuration.ts';
import type { Member } from './member.ts';

export type Changed =
  | { readonly kind: 'done' }
  | { readonly kind: 'failed'; readonly failure: Failure }
  /** Another replica is to lead first: it does the change when it is asked. */
  | { readonly kind: 'elsewhere' };

export type NewReplica = {
  /** The number that the caller expects: the same call, made again, adds no second replica. */
  readonly number: ReplicaId;
  readonly location: string;
  /** Null: somebody has to promote it. */
  readonly plan: MemberPlan | null;
};

const what = 'A change of members';

/**
 * The call is done once the learner is in the group. It is a replica as soon as the leader has made its object, and
 * votes as planned.
 */
export async function addReplica(member: Member, { number, location, plan }: NewReplica): Promise<Changed> {
  const { configuration } = member.driver.raft;
  const known = memberOf(configuration, number);
  if (known !== null) return known.location === location ? done : failed({ kind: 'membersChanging' });
  if (number !== configuration.nextId) return failed({ kind: 'membersChanging' });
  const replaces = plan?.replaces ?? null;
  if (replaces !== null && memberOf(configuration, replaces) === null) {
    return failed({ kind: 'replicaNotFound', replica: replaces });
  }
  if (replaces !== null && configuration.members.some((other) => other.plan?.replaces === replaces)) {
    return failed({ kind: 'membersChanging' });
  }
  const staying = configuration.members.length - (replaces === null ? 0 : 1);
  if (staying >= replicasMax || configuration.members.length > replicasMax) {
    return failed({ kind: 'tooManyReplicas', max: replicasMax });
  }
  return change(member, configuration, withLearner(configuration, { location, plan }));
}

/**
 * The call is done once the group goes on without the replica. It is refused if fewer than `votersMin` voters would be
 * left.
 */
export async function removeReplica(
  member: Member,
  number: ReplicaId,
  { votersMin }: { readonly votersMin: number },
): Promise<Changed> {
  const { configuration, id } = member.driver.raft;
  const known = memberOf(configuration, number);
  if (known === null) {
    return number < configuration.nextId ? done : failed({ kind: 'replicaNotFound', replica: number });
  }
  if (known.voter && configuration.voters.length === 1) return failed({ kind: 'lastReplica' });
  const next = without(configuration, number);
  const staying = votersStaying(next);
  if (known.voter && staying < votersMin) return failed({ kind: 'tooFewReplicas', staying, min: votersMin });
  if (number === id) return handOver(member);
  return change(member, configuration, next);
}

/** The voters, without any whose place another one has taken already. */
function votersStaying({ members, voters }: Configuration): number {
  const leaving = members.filter(({ voter, plan }) => voter && plan !== null && plan.replaces !== null);
  return voters.length - leaving.length;
}

/** A learner that has caught up votes from now on. */
export async function promoteReplica(member: Member, number: ReplicaId): Promise<Changed> {
  const { configuration } = member.driver.raft;
  const known = memberOf(configuration, number);
  if (known === null) return failed({ kind: 'memberNotFound' });
  if (known.voter) return failed({ kind: 'memberNotLearner' });
  if (!member.driver.isReady(number)) return failed({ kind: 'learnerNotReady' });
  const changed = await change(member, configuration, withVoter(configuration, number));
  // It lost its disk, and the promotion was taken back.
  const isTakenBack = memberOf(member.driver.raft.configuration, number)?.voter === false;
  return changed.kind === 'done' && isTakenBack ? failed({ kind: 'learnerNotReady' }) : changed;
}

const done: Changed = { kind: 'done' };

function failed(failure: Failure): Changed {
  return { kind: 'failed', failure };
}

async function change(member: Member, present: Configuration, next: Configuration): Promise<Changed> {
  if (!(await hasLevel(member))) return failed({ kind: 'groupLevelTooLow', what });
  if (!member.changeMembers(present, next)) return failed({ kind: 'membersChanging' });
  const deadlineMs = member.nowMs() + requestTimeoutMs;
  while (member.driver.raft.role === 'leader') {
    if (member.driver.raft.isConfigurationCommitted) return done;
    if (member.nowMs() >= deadlineMs) return failed({ kind: 'timeout' });
    await member.nextTick();
  }
  // The change may be committed or not: the present leader knows.
  return { kind: 'elsewhere' };
}

/** A group that has just begun, or was just updated, raises its level within a few ticks. */
async function hasLevel(member: Member): Promise<boolean> {
  const { driver } = member;
  for (let ticks = 0; ticks < 2 * electionTimeoutTicks; ticks++) {
    if (driver.store.level >= groupLevel.second) return true;
    if (driver.store.downgradeAnnounced || driver.raft.role !== 'leader') return false;
    await member.nextTick();
  }
  return false;
}

/** Leadership goes to the voter that is furthest. */
async function handOver(member: Member): Promise<Changed> {
  const { raft } = member.driver;
  const others = raft.configuration.voters.filter((voter) => voter !== raft.id);
  const [best] = others.toSorted((left, right) => (raft.matchOf(right) ?? -1) - (raft.matchOf(left) ?? -1));
  if (best === undefined) return failed({ kind: 'lastReplica' });
  return (await member.transferLeadership(best)) ? { kind: 'elsewhere' } : failed({ kind: 'membersChanging' });
}
