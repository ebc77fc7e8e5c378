// The members of the group as etcd's calls tell them: one for each replica. Their client URL is where the tenant is called; their
// peer URL is a name, for nobody can call a replica by it.

import type { ClusterMember, MemberChange, MemberChangeCall, MemberListCall } from '../api/contract.ts';
import type { Failure } from '../api/errors.ts';
import { unreachable } from '../assert.ts';
import { utf8 } from '../bytes.ts';
import { peerUrlsBytesMax } from '../limits.ts';
import type { AnnouncedLearner } from '../model.ts';
import { authorize, type CallContext, headerOf, leadsAndCaughtUp, propose, queryStore } from './call-context.ts';
import { anyUser, rootOnly } from './maintenance-calls.ts';
import type { Member } from './member.ts';

export async function serveMemberList(member: Member, call: MemberListCall, context: CallContext): Promise<Response> {
  const elsewhere = call.linearizable ? await leadsAndCaughtUp(member, call, context) : null;
  if (elsewhere !== null) return elsewhere;
  const failure = await authorize(member, context.caller, anyUser);
  const answer = membersOf(member, context.origin);
  return call.respond(failure === null ? { kind: 'answer', answer } : { kind: 'failed', failure }, headerOf(member));
}

/**
 * A learner that is announced by its peer URLs is listed, as in etcd before it has started, and nothing more comes of it. What
 * would change the replicas is refused by its name, once everything that etcd looks at first is right.
 */
export async function serveMemberChange(
  member: Member,
  call: MemberChangeCall,
  context: CallContext,
): Promise<Response> {
  const elsewhere = await leadsAndCaughtUp(member, call, context);
  if (elsewhere !== null) return elsewhere;
  const failed = (failure: Failure): Response => call.respond({ kind: 'failed', failure }, headerOf(member));
  const refused = await authorize(member, context.caller, rootOnly);
  if (refused !== null) return failed(refused);
  const learnerId = BigInt(member.idOf(`learner/${context.writeId}`));
  const planned = plan(call.change, {
    learnerId,
    learner: learnerOf(member),
    members: membersOf(member, context.origin),
  });
  if (planned.kind === 'failed') return failed(planned.failure);
  const { from, to } = planned;
  if (from !== to?.id || call.change.kind === 'update') {
    const operation = { kind: 'learnerChange', from, to } as const;
    const proposed = await propose(member, context, { protocol: call.protocol, writeId: null, operation });
    if (proposed.kind === 'response') return proposed.response;
    if (proposed.outcome.kind === 'failed') return failed(proposed.outcome.failure);
    // Another change came first.
    if (learnerOf(member)?.id !== to?.id) return failed(to === null ? notFound : { kind: 'tooManyLearners' });
  }
  const members = membersOf(member, context.origin);
  const added = call.change.kind === 'add' ? (members.find(({ id }) => id === learnerId) ?? null) : null;
  return call.respond({ kind: 'answer', answer: { members, member: added } }, headerOf(member));
}

type Present = {
  /** That of a learner which this call adds: the same when the call comes again. */
  readonly learnerId: bigint;
  readonly learner: AnnouncedLearner | null;
  readonly members: readonly ClusterMember[];
};
type Planned =
  | { readonly kind: 'failed'; readonly failure: Failure }
  | { readonly kind: 'change'; readonly from: bigint; readonly to: AnnouncedLearner | null };

const notFound: Failure = { kind: 'memberNotFound' };

/** etcd's order of checks. */
function plan(change: MemberChange, present: Present): Planned {
  const { learner, members, learnerId } = present;
  if (change.kind === 'add') {
    if (learner?.id === learnerId) return { kind: 'change', from: learnerId, to: learner };
    return planned(addFailure(change, present), 0n, { id: learnerId, peerUrls: change.peerUrls });
  }
  const isReplica = learner?.id !== change.id;
  if (!members.some(({ id }) => id === change.id)) return planned(notFound, 0n, null);
  switch (change.kind) {
    case 'promote':
      return planned({ kind: isReplica ? 'memberNotLearner' : 'learnerNotReady' }, 0n, null);
    case 'remove':
      return planned(isReplica ? notServed('Removing a replica') : null, change.id, null);
    case 'update': {
      const { id, peerUrls } = change;
      if (peerUrls === null || bytesOf(peerUrls) > peerUrlsBytesMax)
        return planned({ kind: 'memberUrlsInvalid' }, 0n, null);
      if (isTaken(peerUrls, members, id)) return planned({ kind: 'peerUrlsExist' }, 0n, null);
      return planned(isReplica ? notServed('Giving a replica another peer URL') : null, id, { id, peerUrls });
    }
    default:
      return unreachable(change);
  }
}

function addFailure({ peerUrls, isLearner }: MemberAdd, { learner, members }: Present): Failure | null {
  if (bytesOf(peerUrls) > peerUrlsBytesMax) return { kind: 'memberUrlsInvalid' };
  if (isTaken(peerUrls, members, null)) return { kind: 'peerUrlsExist' };
  if (!isLearner) return notServed('Adding a voting member');
  return learner === null ? null : { kind: 'tooManyLearners' };
}

type MemberAdd = Extract<MemberChange, { readonly kind: 'add' }>;

function planned(failure: Failure | null, from: bigint, to: AnnouncedLearner | null): Planned {
  return failure === null ? { kind: 'change', from, to } : { kind: 'failed', failure };
}

function isTaken(peerUrls: readonly string[], members: readonly ClusterMember[], except: bigint | null): boolean {
  return members.some((each) => each.id !== except && each.peerUrls.some((url) => peerUrls.includes(url)));
}

function bytesOf(urls: readonly string[]): number {
  return urls.reduce((sum, url) => sum + utf8(url).byteLength, 0);
}

function learnerOf(member: Member): AnnouncedLearner | null {
  const result = queryStore(member, { kind: 'service' }, { kind: 'announcedLearner' });
  return result.kind === 'answer' ? result.answer.learner : null;
}

function membersOf(member: Member, origin: string): readonly ClusterMember[] {
  const { tenant, members } = member.identity;
  const replicas = members.map(({ number }): ClusterMember => ({
    id: BigInt(member.memberIdOf(number)),
    name: `replica-${number}`,
    peerUrls: [`http://replica-${number}.${tenant}.quorate.internal:2380`],
    clientUrls: [origin],
    isLearner: false,
  }));
  const learner = learnerOf(member);
  return learner === null ? replicas : [...replicas, { ...learner, name: '', clientUrls: [], isLearner: true }];
}

function notServed(what: string): Failure {
  return { kind: 'notServed', what };
}
