// What all calls have in common: the protocol that answers them, and how long they may take.

import type { Compare } from '../model/store.ts';

/** v1 tells failures as application/problem+json, and v3 as etcd's error bodies. */
export type Protocol = 'v1' | 'v3';

export type { ResponseHeader } from '../model/calls.ts';

export type Bounded = {
  readonly protocol: Protocol;
  /** How long the client waits, from the header Grpc-Timeout; null: the time-out of the service. */
  readonly timeoutMs: number | null;
};

/**
 * A condition on a write, as compares of its transaction. Invariant: the condition holds exactly where the
 * transaction's compares come out as `holdsWhen`.
 */
export type WriteCondition = { readonly compare: readonly Compare[]; readonly holdsWhen: boolean };

/** How a stream of etcd's comes: as messages in the body of a POST, or as text frames of a WebSocket. */
export type Transport = 'websocket' | 'post';
