// One call on a group, as the search for the replica that answers it sees the call: how a replica is asked, and how an
// attempt may end.

import type { Patience } from '../api/endpoint.ts';
import type { AttemptAnswer } from '../api/redirects.ts';
import type { AskedAs } from '../api/forwarded.ts';
import type { Reader } from './known-group.ts';

/** What a replica is told with a call. */
export type Told = {
  /** A call to this leader failed, so the replica is to stand for election at once. 0: no call failed. */
  readonly failed: number;
  /**
   * This leader has not answered for a while, so the replica is to find out whether it lives, and to stand for election
   * if it does not. 0: no leader is suspected.
   */
  readonly suspected: number;
  readonly read: AskedAs;
};

export const toLeader: Told = { failed: 0, suspected: 0, read: 'leader' };

export type GroupCall<Value> = {
  readonly patience: Patience;
  /** The reader, where any replica may answer; null: the leader answers. */
  readonly reader: Reader | null;
  /**
   * Makes one attempt. It ends early when the signal aborts, where it can. A write has the same write id in each
   * attempt.
   */
  readonly ask: (replica: number, told: Told, signal: AbortSignal | null) => Promise<Attempted<Value>>;
};

export type Attempted<Value> =
  | AttemptAnswer<Value>
  /** The replica, or the connection to it, is gone, or the attempt was given up. */
  | { readonly kind: 'failed' }
  /** The caller has gone: nobody waits for an answer, so nobody else is asked. */
  | { readonly kind: 'left' };

export type Routed<Value> =
  | { readonly kind: 'done'; readonly value: Value }
  | { readonly kind: 'absent' }
  /** No replica answered in time, or before the caller had gone. */
  | { readonly kind: 'unavailable' };

export type Started<Value> = {
  readonly replica: number;
  readonly told: Told;
  readonly startedMs: number;
  /** null for a first attempt, which ends only with its request: making a controller for every call costs too much. */
  readonly abort: AbortController | null;
  readonly answer: Promise<Attempted<Value>>;
};

export function start<Value>(
  call: GroupCall<Value>,
  { replica, told, abort }: { replica: number; told: Told; abort: AbortController | null },
): Started<Value> {
  return { replica, told, startedMs: Date.now(), abort, answer: call.ask(replica, told, abort?.signal ?? null) };
}
