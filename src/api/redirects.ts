// How a replica says that another one must answer: a response that the gateway follows, and that no client sees.

import type { PlacedMember } from '../model/calls.ts';

/** RFC 9110, 15.5.20, "Misdirected Request": this is not the replica to ask. */
export const redirectStatus = 421;
/** On a redirect: the leader's number, 0 where it is not known, "absent" where there is no such replica. */
export const leaderHeader = 'quorate-leader';
/** On a redirect: the group's members (`membersText`). */
export const membersHeader = 'quorate-members';
export const absentLeader = 'absent';

/** What one replica answered to a call that another may have to answer. */
export type AttemptAnswer<Value> =
  | { readonly kind: 'done'; readonly value: Value }
  /** Another replica leads (0: nobody knows). `members` are the replicas of the group. */
  | { readonly kind: 'redirect'; readonly leader: number; readonly members: readonly PlacedMember[] }
  /** There is no such replica. */
  | { readonly kind: 'absent' };

/** Where a member's place is not known, its number alone. */
export function membersText(members: readonly PlacedMember[]): string {
  return members.map(({ number, location }) => (location === '' ? `${number}` : `${number}:${location}`)).join(',');
}

/** `leader` 0: it is not known. */
export function redirectResponse(leader: number, members: readonly PlacedMember[]): Response {
  const headers = { [leaderHeader]: String(leader), [membersHeader]: membersText(members) };
  return new Response(null, { status: redirectStatus, headers });
}

export function parseMembers(text: string): readonly PlacedMember[] {
  if (text === '') return [];
  return text.split(',').map((member) => {
    const [number = '', location = ''] = member.split(':');
    return { number: Number(number), location };
  });
}
