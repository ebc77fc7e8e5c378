// A call on a group as the gateway makes it: each attempt asks an object by its stub. The platform throws where an
// object, or the connection to it, is gone.

import type { Attempted, GroupCall, Told } from '../routing/attempts.ts';
import type { ReplicaStub } from './env.ts';

/** As `GroupCall`, with the replica as a stub. `ask` throws what the platform throws. */
export type StubCall<Value> = Omit<GroupCall<Value>, 'ask'> & {
  readonly ask: (stub: ReplicaStub, told: Told, signal: AbortSignal | null) => Promise<Attempted<Value>>;
};

/** @throws what is no outage: a fault of this code. */
export async function attempt<Value>(
  call: StubCall<Value>,
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
 * The platform marks errors that come from the object or from the connection to it. Any other error is a fault of this
 * code.
 */
export function isOutage(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return ['remote', 'durableObjectReset', 'retryable'].some((mark) => Reflect.get(error, mark) === true);
}
