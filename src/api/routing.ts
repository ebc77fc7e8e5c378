// What the gateway and a replica say to each other around a client's request: who calls, which write it is, and where the
// request should have gone. None of it reaches a client, and what a client sends under these names is dropped.

import { unreachable } from '../assert.ts';
import type { Caller } from '../model.ts';

/** Who calls, as far as the gateway could check it (`callerText`). */
export const callerHeader = 'quorate-caller';
/** Scheme, host and port that the client called, where the answer may have to name them. */
export const originHeader = 'quorate-origin';
/** Names a write over all attempts to deliver it. */
export const writeIdHeader = 'quorate-write-id';
/** The number of a leader that did not answer: the replica stands for election at once. */
export const failedLeaderHeader = 'quorate-failed-leader';

/** RFC 9110, 15.5.20, "Misdirected Request": this is not the replica to ask. */
export const redirectStatus = 421;
/** On a redirect: the leader's number, 0 where it is not known, "absent" where there is no such replica. */
export const leaderHeader = 'quorate-leader';
/** On a redirect: the numbers of the group's members, separated by commas. */
export const membersHeader = 'quorate-members';
export const absentLeader = 'absent';

/** What one replica answered to a call that another may have to answer. */
export type Attempt<Value> =
  | { readonly kind: 'done'; readonly value: Value }
  /** Another replica leads (0: nobody knows). `members` are the replicas of the group. */
  | { readonly kind: 'redirect'; readonly leader: number; readonly members: readonly number[] }
  /** There is no such replica. */
  | { readonly kind: 'absent' };

/** Path and query of a URL, neither of them decoded. */
export function pathAndQuery(url: string): { readonly path: string; readonly query: string } {
  const start = url.indexOf('/', url.indexOf('//') + 2);
  if (start < 0) return { path: '/', query: '' };
  const mark = url.indexOf('?', start);
  return mark < 0
    ? { path: url.slice(start), query: '' }
    : { path: url.slice(start, mark), query: url.slice(mark + 1) };
}

/** Calls whose answer goes on: they are passed through, not buffered, and any replica serves them. */
export function isStreamPath(path: string): boolean {
  return path === '/v1/watch' || path === '/v3/watch' || path === '/v3beta/watch';
}

/** The members of a group are told with the address that the client came by; a WebSocket may ask for them later. */
export function namesItsOrigin(path: string, upgrades: boolean): boolean {
  return upgrades || path.includes('/cluster/');
}

/** Ids and words have no space; a name is percent-encoded: a header takes visible ASCII. */
export function callerText(caller: Caller): string {
  switch (caller.kind) {
    case 'service':
      return 'service';
    case 'accessKey':
      return `accessKey ${caller.id}`;
    case 'user':
      return `user ${caller.id} ${caller.authRevision} ${encodeURIComponent(caller.name.toWellFormed())}`;
    case 'anonymous':
      return `anonymous ${caller.id} ${caller.token}`;
    default:
      return unreachable(caller);
  }
}

/** null: nothing that `callerText` wrote. */
export function parseCaller(text: string): Caller | null {
  const [kind = '', id = '', second = '', third = ''] = text.split(' ');
  switch (kind) {
    case 'service':
      return { kind };
    case 'accessKey':
      return { kind, id };
    case 'user':
      return { kind, id, name: decodeURIComponent(third), authRevision: Number(second) };
    case 'anonymous':
      return { kind, id, token: second === 'none' ? 'none' : 'invalid' };
    default:
      return null;
  }
}
