// How a client's request is handed on to a replica: the headers in which the gateway says who calls, which write it is
// and what is known of the leader. No client sees these headers, and what a client sends under their names is dropped
// (`forwardedHeaders`).

import type { Caller } from '../model/store.ts';
import { callerText } from './caller-text.ts';
import { leaderHeader, membersHeader } from './redirects.ts';

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
/** Who answers a read or a watch (`AskedAs`). A client sends it, too, but for `members`. */
export const readHeader = 'quorate-read';
/** Set where the body is handed on as it comes (`Endpoint.body`). */
export const goesOnHeader = 'quorate-goes-on';
/** On the answer to a read or a watch: the number of the replica that gave it. */
export const servedByHeader = 'quorate-served-by';

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
export type Forwarded = {
  readonly caller: Caller;
  readonly writeId: string;
  /** null: the answer will not name it (`Endpoint.namesOrigin`). */
  readonly origin: string | null;
};

/** The client's headers, without any that only the gateway may set, and with what it says itself. */
export function forwardedHeaders(client: Headers, { caller, writeId, origin }: Forwarded): Headers {
  const headers = new Headers(client);
  for (const name of ownHeaders) headers.delete(name);
  headers.set(callerHeader, callerText(caller));
  headers.set(writeIdHeader, writeId);
  if (origin !== null) headers.set(originHeader, origin);
  return headers;
}

export type AskedAs =
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
