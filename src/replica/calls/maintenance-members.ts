// The members of the group in etcd's calls: one for each replica. Their client URL is the one by which the tenant is
// called. Their peer URL is only a name: no replica can be called by it. A member that is added by a peer URL with a
// location of the platform in its name (http://weur.quorate.internal:2380) becomes a replica at that location.

import type { ClusterMember, MemberChange, MemberChangeCall, MemberListCall } from '../../api/contract.ts';
import type { Failure } from '../../api/errors/errors.ts';
import { locationHints } from '../../model/locations.ts';
import { assert, unreachable } from '../../base/assert.ts';
import type { ReplicaId } from '../../model/brands.ts';
import type { AnnouncedLearner } from '../../model/store.ts';
import type { CallContext } from './call-context.ts';
import { authorize, leadsAndCaughtUp, propose, queryStore, redirectTo } from './call-steps.ts';
import { headerOf } from './leader-steps.ts';
import { anyUser, rootOnly } from './maintenance-calls.ts';
import { addReplica, type Changed, promoteReplica, removeReplica } from '../member-changes.ts';
import type { Member } from '../member.ts';

export async function serveMemberList(member: Member, call: MemberListCall, context: CallContext): Promise<Response> {
  const elsewhere = call.linearizable ? await leadsAndCaughtUp(member, call, context) : null;
  if (elsewhere !== null) return elsewhere;
  const failure = await authorize(member, context.caller, anyUser);
  const answer = membersOf(member, context.origin);
  return call
    .respond(failure === null ? { kind: 'answer', answer } : { kind: 'failed', failure }, headerOf(member))
    .toResponse();
}

/**
 * A learner with other peer URLs is listed, like a learner of etcd that has not started. It never starts, because no
 * replica can be started there. A voter with such URLs is refused by its name, after all checks that etcd makes first.
 */
export async function serveMemberChange(
  member: Member,
  call: MemberChangeCall,
  context: CallContext,
): Promise<Response> {
  const elsewhere = await leadsAndCaughtUp(member, call, context);
  if (elsewhere !== null) return elsewhere;
  const failed = (failure: Failure): Response =>
    call.respond({ kind: 'failed', failure }, headerOf(member)).toResponse();
  const refused = await authorize(member, context.caller, rootOnly);
  if (refused !== null) return failed(refused);
  // A change of the members changes the group and not the store: that is the operator's alone.
  if (context.caller.kind !== 'service') return failed({ kind: 'permissionDenied' });
  const learnerId = BigInt(member.idOf(`learner/${context.writeId}`));
  const planned = plan(call.change, {
    learnerId,
    learner: learnerOf(member),
    members: membersOf(member, context.origin),
  });
  if (planned.kind === 'failed') return failed(planned.failure);
  if (planned.kind === 'replica') {
    const { nextId } = member.driver.raft.configuration;
    const changed = await changeReplicas(member, planned.change, nextId);
    if (changed.kind === 'failed') return failed(changed.failure);
    if (changed.kind === 'elsewhere') return redirectTo(member, member.driver.raft.leader);
    const members = membersOf(member, context.origin);
    const isNew = ({ id }: ClusterMember): boolean => id === BigInt(member.memberIdOf(nextId));
    const added = planned.change.kind === 'add' ? (members.find(isNew) ?? null) : null;
    return call.respond({ kind: 'answer', answer: { members, member: added } }, headerOf(member)).toResponse();
  }
  const { from, to } = planned;
  if (from !== to?.id || call.change.kind === 'update') {
    const operation = { kind: 'learnerChange', from, to } as const;
    const proposed = await propose(member, context, { protocol: call.protocol, writeId: null, operation });
    if (proposed.kind === 'response') return proposed.response;
    if (proposed.outcome.kind === 'failed') return failed(proposed.outcome.failure);
    // Another change of the members came first.
    if (learnerOf(member)?.id !== to?.id) return failed(to === null ? notFound : { kind: 'tooManyLearners' });
  }
  const members = membersOf(member, context.origin);
  const added = call.change.kind === 'add' ? (members.find(({ id }) => id === learnerId) ?? null) : null;
  return call.respond({ kind: 'answer', answer: { members, member: added } }, headerOf(member)).toResponse();
}

/** `number`: the number of the replica that is added. */
function changeReplicas(member: Member, change: ReplicaChange, number: ReplicaId): Promise<Changed> {
  switch (change.kind) {
    case 'add':
      return addReplica(member, { number, location: change.location, plan: change.votes ? { replaces: null } : null });
    case 'remove':
      // Clients of etcd have no way to insist, so their call may go below the usual number of voters.
      return removeReplica(member, numberOf(member, change.id), { votersMin: 1 });
    case 'promote':
      return promoteReplica(member, numberOf(member, change.id));
    default:
      return unreachable(change);
  }
}

function numberOf(member: Member, id: bigint): ReplicaId {
  const found = member.members.find((each) => BigInt(member.memberIdOf(each.id)) === id);
  assert(found !== undefined, 'a member that was found has a number');
  return found.id;
}

type Present = {
  /** The number of the learner that this call adds: the same when the call comes again. */
  readonly learnerId: bigint;
  readonly learner: AnnouncedLearner | null;
  readonly members: readonly ClusterMember[];
};
type Planned =
  | { readonly kind: 'failed'; readonly failure: Failure }
  | { readonly kind: 'change'; readonly from: bigint; readonly to: AnnouncedLearner | null }
  | { readonly kind: 'replica'; readonly change: ReplicaChange };

type ReplicaChange =
  | { readonly kind: 'add'; readonly location: string; readonly votes: boolean }
  | { readonly kind: 'remove' | 'promote'; readonly id: bigint };

const notFound: Failure = { kind: 'memberNotFound' };

/** The checks are in etcd's order. */
function plan(change: MemberChange, present: Present): Planned {
  const { learner, members, learnerId } = present;
  if (change.kind === 'add') {
    if (learner?.id === learnerId) return { kind: 'change', from: learnerId, to: learner };
    const location = placeOf(change.peerUrls);
    if (location !== null) {
      return { kind: 'replica', change: { kind: 'add', location, votes: !change.isLearner } };
    }
    return planned(addFailure(change, present), 0n, { id: learnerId, peerUrls: change.peerUrls });
  }
  const isReplica = learner?.id !== change.id;
  if (!members.some(({ id }) => id === change.id)) return planned(notFound, 0n, null);
  switch (change.kind) {
    case 'promote':
      if (isReplica) return { kind: 'replica', change };
      return planned({ kind: 'learnerNotReady' }, 0n, null);
    case 'remove':
      return isReplica ? { kind: 'replica', change } : planned(null, change.id, null);
    case 'update': {
      const { id, peerUrls } = change;
      if (peerUrls === null) return planned({ kind: 'memberUrlsInvalid' }, 0n, null);
      if (isTaken(peerUrls, members, id)) return planned({ kind: 'peerUrlsExist' }, 0n, null);
      return planned(isReplica ? notServed('Giving a replica another peer URL') : null, id, { id, peerUrls });
    }
    default:
      return unreachable(change);
  }
}

function addFailure({ peerUrls, isLearner }: MemberAdd, { learner, members }: Present): Failure | null {
  if (isTaken(peerUrls, members, null)) return { kind: 'peerUrlsExist' };
  if (!isLearner) return notServed('A voting member that is no place of this service');
  return learner === null ? null : { kind: 'tooManyLearners' };
}

type MemberAdd = Extract<MemberChange, { readonly kind: 'add' }>;

function planned(failure: Failure | null, from: bigint, to: AnnouncedLearner | null): Planned {
  return failure === null ? { kind: 'change', from, to } : { kind: 'failed', failure };
}

function isTaken(peerUrls: readonly string[], members: readonly ClusterMember[], except: bigint | null): boolean {
  return members.some((each) => each.id !== except && each.peerUrls.some((url) => peerUrls.includes(url)));
}

function learnerOf(member: Member): AnnouncedLearner | null {
  const result = queryStore(member, { kind: 'service' }, { kind: 'announcedLearner' });
  return result.kind === 'answer' ? result.answer.learner : null;
}

function membersOf(member: Member, origin: string): readonly ClusterMember[] {
  const { tenant } = member.identity;
  const replicas = member.members.map(({ id, voter }): ClusterMember => ({
    id: BigInt(member.memberIdOf(id)),
    name: `replica-${id}`,
    peerUrls: [`http://replica-${id}.${tenant}.quorate.internal:2380`],
    clientUrls: [origin],
    isLearner: !voter,
  }));
  const learner = learnerOf(member);
  return learner === null ? replicas : [...replicas, { ...learner, name: '', clientUrls: [], isLearner: true }];
}

/** The location that the only peer URL names; null: no location is named. */
function placeOf(peerUrls: readonly string[]): string | null {
  const [only = ''] = peerUrls;
  const name = /^https?:\/\/([a-z-]+)\.quorate\.internal:2380$/.exec(only)?.[1];
  return peerUrls.length === 1 ? (locationHints.find((hint) => hint === name) ?? null) : null;
}

function notServed(what: string): Failure {
  return { kind: 'notServed', what };
}
