// How a client's request is handed on to a replica: the headers in which the gateway says who calls, which write it is
// and what is known of the leader. No client sees these headers, and a header of a client that has one of these names
// is dropped (`forwardedHeaders`).

import type { RequestHeaders } from './contract.ts';
import type { Caller } from '../model/store.ts';
import { callerText } from './caller-text.ts';
import { leaderHeader, membersHeader } from './redirects.ts';

/** Who calls (`callerText`), as far as the gateway could check it. */
export const callerHeader = 'quorate-caller';
/** Scheme, host and port that the client called, where the answer may have to name them. */
export const originHeader = 'quorate-origin';
/** The write id, the same in all attempts to deliver the write. */
export const writeIdHeader = 'quorate-write-id';
/** The number of a leader to which a call failed. The replica stands for election at once. */
export const failedLeaderHeader = 'quorate-failed-leader';
/** Set on an attempt to write that may be refused alone (`SentAttempts`). A gateway of older code does not set it. */
export const mayBeAloneHeader = 'quorate-may-be-alone';
/**
 * How many writes the sender of this one had been told of before it first sent it; `none`: it was told of no count
 * (`SentAttempts`). A gateway of older code does not count.
 */
const seenHeader = 'quorate-seen';
/** On the answer to a write that may have been forgotten: how many writes the group has remembered by now. */
export const writesHeader = 'quorate-writes';
/**
 * The number of a leader that has not answered for a while. The replica finds out whether the leader lives, and stands
 * for election if it does not.
 */
export const suspectedLeaderHeader = 'quorate-suspected-leader';
/**
 * Which replica is to answer a read or a watch (`AskedAs`). A client may send this header, too, but not with the value
 * `members`.
 */
export const readHeader = 'quorate-read';
/** Set where the body of a stream is handed on as it comes, for want of a length (`Endpoint.body`). */
export const goesOnHeader = 'quorate-goes-on';
/** On the answer to a read or a watch: the number of the replica that gave it. */
export const servedByHeader = 'quorate-served-by';
/** On an answer to the gateway, which takes it away: the call was refused because the tenant is suspended. */
export const suspendedHeader = 'quorate-suspended';

/**
 * The headers that only the gateway and the replicas may set. `readHeader` is not one of them: a client may send it.
 */
const ownHeaders = [
  goesOnHeader,
  callerHeader,
  originHeader,
  writeIdHeader,
  mayBeAloneHeader,
  seenHeader,
  writesHeader,
  failedLeaderHeader,
  suspectedLeaderHeader,
  servedByHeader,
  suspendedHeader,
  leaderHeader,
  membersHeader,
] as const;

/** What the gateway says of a call to whichever replica it asks. */
export type Forwarded = {
  readonly caller: Caller;
  readonly writeId: string;
  /** null where no answer to the call names it (`Endpoint.namesOrigin`). */
  readonly origin: string | null;
};

/** The client's headers without those that only the gateway may set, and with what the gateway itself says. */
export function forwardedHeaders(client: Headers, { caller, writeId, origin }: Forwarded): Headers {
  const headers = new Headers(client);
  for (const name of ownHeaders) headers.delete(name);
  headers.set(callerHeader, callerText(caller));
  headers.set(writeIdHeader, writeId);
  if (origin !== null) headers.set(originHeader, origin);
  return headers;
}

/** Says with a write how many writes its sender had seen. */
export function setSeen(headers: Headers, seen: number | null): void {
  headers.set(seenHeader, seen === null ? 'none' : String(seen));
}

/** undefined: the sender does not count. */
export function seenOf(headers: RequestHeaders): number | null | undefined {
  const said = headers.get(seenHeader);
  if (said === null) return undefined;
  return said === 'none' ? null : Number(said);
}

export type AskedAs =
  | 'leader'
  /** The replica that was asked answers, once it has found out what was acknowledged before. */
  | 'nearest'
  /** No replica answers yet: the gateway asks who the members are and where they run, and gets a redirect. */
  | 'members';

/** null: the request does not say. */
export function askedAsOf(headers: RequestHeaders): AskedAs | null {
  const said = headers.get(readHeader);
  return said === 'leader' || said === 'nearest' || said === 'members' ? said : null;
}

/**
 * Leaders that did not answer the gateway; 0: none. The replica stands for election against `failedLeader` at once, and
 * against `suspectedLeader` once it has found out that this leader does not live.
 */
export type DoubtedLeaders = { readonly failedLeader: number; readonly suspectedLeader: number };
