// The members of the group as etcd's calls tell them: one for each replica. Their client URL is where the tenant is called; their
// peer URL is a name, for nobody can call a replica by it.

import type { ClusterMember, MemberChange, MemberChangeCall, MemberListCall } from '../api/contract.ts';
import type { Failure } from '../api/errors.ts';
import { unreachable } from '../assert.ts';
import { authorize, type CallContext, headerOf, leadsAndCaughtUp } from './call-context.ts';
import { anyUser, rootOnly } from './maintenance-calls.ts';
import type { Member } from './member.ts';

export async function serveMemberList(member: Member, call: MemberListCall, context: CallContext): Promise<Response> {
  const elsewhere = call.linearizable ? await leadsAndCaughtUp(member, call, context) : null;
  if (elsewhere !== null) return elsewhere;
  const failure = await authorize(member, context.caller, anyUser);
  const answer = membersOf(member, context.origin);
  return call.respond(failure === null ? { kind: 'answer', answer } : { kind: 'failed', failure }, headerOf(member));
}

/** What a group cannot do yet is refused by its name, once everything that etcd looks at first is right. */
export async function serveMemberChange(
  member: Member,
  call: MemberChangeCall,
  context: CallContext,
): Promise<Response> {
  const elsewhere = await leadsAndCaughtUp(member, call, context);
  if (elsewhere !== null) return elsewhere;
  const refused = await authorize(member, context.caller, rootOnly);
  const failure = refused ?? failureOf(call.change, membersOf(member, context.origin));
  return call.respond({ kind: 'failed', failure }, headerOf(member));
}

function membersOf(member: Member, origin: string): readonly ClusterMember[] {
  const { tenant, members } = member.identity;
  return members.map(({ number }) => ({
    id: BigInt(member.memberIdOf(number)),
    name: `replica-${number}`,
    peerUrls: [`http://replica-${number}.${tenant}.quorate.internal:2380`],
    clientUrls: [origin],
    isLearner: false,
  }));
}

function failureOf(change: MemberChange, members: readonly ClusterMember[]): Failure {
  if (change.kind === 'add') {
    const taken = members.some(({ peerUrls }) => peerUrls.some((url) => change.peerUrls.includes(url)));
    return taken ? { kind: 'peerUrlsExist' } : notServed('Adding a member');
  }
  if (!members.some(({ id }) => id === change.id)) return { kind: 'memberNotFound' };
  switch (change.kind) {
    case 'promote':
      return { kind: 'memberNotLearner' };
    case 'update':
      return change.peerUrls === null ? { kind: 'memberUrlsInvalid' } : notServed('Giving a replica another peer URL');
    case 'remove':
      return notServed('Removing a replica');
    default:
      return unreachable(change);
  }
}

function notServed(what: string): Failure {
  return { kind: 'notServed', what };
}
