// How a replica says that another one must answer: by a response that the gateway follows, and that no client sees.

import type { PlacedMember } from '../model/calls.ts';

/** RFC 9110, section 15.5.20, "Misdirected Request": another replica must be asked. */
export const redirectStatus = 421;
/** On a redirect: the number of the leader, 0 where it is not known, or "absent" where the object is not a replica. */
export const leaderHeader = 'quorate-leader';
/** On a redirect: the members of the group (`membersText`). */
export const membersHeader = 'quorate-members';
export const absentLeader = 'absent';

/** What a replica answers to one attempt at a call. */
export type AttemptAnswer<Value> =
  | { readonly kind: 'done'; readonly value: Value }
  /** Another replica leads (0: nobody knows). `members` are the replicas of the group. */
  | { readonly kind: 'redirect'; readonly leader: number; readonly members: readonly PlacedMember[] }
  /** The object that was asked is not a replica. */
  | { readonly kind: 'absent' };

/** Each member as `number:location`, or as its number alone where its location is not known. */
export function membersText(members: readonly PlacedMember[]): string {
  return members.map(({ number, location }) => (location === '' ? `${number}` : `${number}:${location}`)).join(',');
}

/** `leader` is 0 where the leader is not known. */
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
