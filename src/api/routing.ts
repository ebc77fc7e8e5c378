// What the gateway and a replica say to each other around a client's request: what was called, who calls, which write
// it is, and where the request should have gone. None of it reaches a client, and what a client sends under these names
// is dropped (`callHeaders`).

import { unreachable } from '../base/assert.ts';
import type { PlacedMember } from '../model/calls.ts';
import type { Caller } from '../model/store.ts';

/** Who calls, as far as the gateway could check it (`callerText`). */
export const callerHeader = 'quorate-caller';
/** Scheme, host and port that the client called, where the answer may have to name them. */
export const originHeader = 'quorate-origin';
/** Names a write over all attempts to deliver it. */
export const writeIdHeader = 'quorate-write-id';
/** The number of a leader to which a call failed: the replica stands for election at once. */
export const failedLeaderHeader = 'quorate-failed-leader';
/**
 * The number of a leader that has not answered for a while: the replica makes sure that it is gone, and then stands.
 */
export const suspectedLeaderHeader = 'quorate-suspected-leader';
/** Who answers a read or a watch (`ReadPlace`). A client sends it, too, but for `members`. */
export const readHeader = 'quorate-read';
/** Set where the body is handed on as it comes (`Endpoint.body`). */
export const goesOnHeader = 'quorate-goes-on';
/** On the answer to a read or a watch: the number of the replica that gave it. */
export const servedByHeader = 'quorate-served-by';

/** RFC 9110, 15.5.20, "Misdirected Request": this is not the replica to ask. */
export const redirectStatus = 421;
/** On a redirect: the leader's number, 0 where it is not known, "absent" where there is no such replica. */
export const leaderHeader = 'quorate-leader';
/** On a redirect: the group's members (`membersText`). */
export const membersHeader = 'quorate-members';
export const absentLeader = 'absent';

/** In these the gateway and the replicas speak, and nobody else. `readHeader` alone is the client's, too. */
const ownHeaders = [
  goesOnHeader,
  callerHeader,
  originHeader,
  writeIdHeader,
  failedLeaderHeader,
  suspectedLeaderHeader,
  servedByHeader,
  leaderHeader,
  membersHeader,
] as const;

/** What is said of a call to whichever replica is asked. */
export type CallFacts = {
  readonly caller: Caller;
  readonly writeId: string;
  /** null: the answer will not name it (`Endpoint.namesOrigin`). */
  readonly origin: string | null;
};

/** The client's headers, without any that only the gateway may set, and with what it says itself. */
export function callHeaders(client: Headers, { caller, writeId, origin }: CallFacts): Headers {
  const headers = new Headers(client);
  for (const name of ownHeaders) headers.delete(name);
  headers.set(callerHeader, callerText(caller));
  headers.set(writeIdHeader, writeId);
  if (origin !== null) headers.set(originHeader, origin);
  return headers;
}

export type ReadPlace =
  | 'leader'
  /** The replica that was asked, if it can find out what was acknowledged before. */
  | 'nearest'
  /** Nobody yet: the gateway asks who the members are and where they run, and gets a redirect. */
  | 'members';

/**
 * Leaders that did not answer the gateway; 0: none. At once `failedLeader`, after a look at it `suspectedLeader` is
 * stood against.
 */
export type DoubtedLeaders = { readonly failedLeader: number; readonly suspectedLeader: number };

export type { PlacedMember };

/** What one replica answered to a call that another may have to answer. */
export type Attempt<Value> =
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

/** Neither of them decoded. */
export type Target = { readonly path: string; readonly query: string };

/** Path and query of the URL that a client sent, as it sent them: the runtime hands them on untouched. */
export function pathAndQuery(url: string): Target {
  const start = url.indexOf('/', url.indexOf('//') + 2);
  return start < 0 ? { path: '/', query: '' } : split(url.slice(start));
}

/**
 * Every call of a client goes to a replica by this URL, and what the client called stands behind it: in a query, where
 * the URL standard resolves no dot segments and takes no backslash for a slash. So nothing that a client sends chooses
 * where a request goes.
 */
const callUrlStart = 'http://replica.internal/call?';

export function callUrl({ path, query }: Target): string {
  return query === '' ? `${callUrlStart}${path}` : `${callUrlStart}${path}?${query}`;
}

/** What `callUrl` was given, but for what the URL standard percent-encodes in a query; null: it is not such a URL. */
export function targetOf(url: string): Target | null {
  return url.startsWith(callUrlStart) ? split(url.slice(callUrlStart.length)) : null;
}

function split(pathWithQuery: string): Target {
  const mark = pathWithQuery.indexOf('?');
  if (mark < 0) return { path: pathWithQuery, query: '' };
  return { path: pathWithQuery.slice(0, mark), query: pathWithQuery.slice(mark + 1) };
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

/** Who shares places, and memory: the callers of one access key, or, where a user came without one, of that user. */
export function ownerText(caller: Caller): string {
  if (caller.kind === 'service') return 'service';
  if (caller.id !== '') return `key ${caller.id}`;
  return caller.kind === 'user' ? `user ${caller.name}` : 'nobody';
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
