// One call on a group, as far as finding its replica goes: how a replica is asked, and what may come of asking it.

import type { Patience } from '../api/endpoint.ts';
import type { AttemptAnswer } from '../api/redirects.ts';
import type { AskedAs } from '../api/forwarded.ts';
import type { ReplicaStub } from './env.ts';
import type { Reader } from './read-target.ts';

/** What a replica is told with a call. */
export type Told = {
  /** A call to this leader failed: stand for election at once. 0: none. */
  readonly failed: number;
  /** This leader has not answered for a while: make sure, and then stand. 0: none. */
  readonly suspected: number;
  readonly read: AskedAs;
};

export const toLeader: Told = { failed: 0, suspected: 0, read: 'leader' };

export type GroupCall<Value> = {
  readonly patience: Patience;
  /** Whom the call is for; null: the leader. */
  readonly reader: Reader | null;
  /** Aborts with the signal, where it can. A write names itself the same in each attempt. */
  readonly ask: (stub: ReplicaStub, told: Told, signal: AbortSignal | null) => Promise<AttemptAnswer<Value>>;
};

export type Attempted<Value> = AttemptAnswer<Value> | { readonly kind: 'failed' };

export type Routed<Value> =
  | { readonly kind: 'done'; readonly value: Value }
  | { readonly kind: 'absent' }
  | { readonly kind: 'unavailable'; readonly detail: string };

export type Started<Value> = {
  readonly replica: number;
  readonly told: Told;
  readonly startedMs: number;
  /** null: of a first attempt, for which none is made. It ends with its request. */
  readonly abort: AbortController | null;
  readonly answer: Promise<Attempted<Value>>;
};

export function start<Value>(
  call: GroupCall<Value>,
  { stub, replica, told, abort }: { stub: ReplicaStub; replica: number; told: Told; abort: AbortController | null },
): Started<Value> {
  return { replica, told, startedMs: Date.now(), abort, answer: attempt(call, stub, told, abort?.signal ?? null) };
}

async function attempt<Value>(
  call: GroupCall<Value>,
  stub: ReplicaStub,
  told: Told,
  signal: AbortSignal | null,
): Promise<Attempted<Value>> {
  try {
    return await call.ask(stub, told, signal);
  } catch (error) {
    if (signal?.aborted === true || isOutage(error)) return { kind: 'failed' };
    throw error;
  }
}

/**
 * What comes from the object or from the way to it is marked by the platform; anything else is a fault of this code.
 */
export function isOutage(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return ['remote', 'durableObjectReset', 'retryable'].some((mark) => Reflect.get(error, mark) === true);
}
