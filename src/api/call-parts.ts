// What all calls have in common: which API it is, how long it may take, how it is answered and by whom.

/** v1 answers problem+json, v3 etcd's error bodies. */
export type Protocol = 'v1' | 'v3';

export type { ResponseHeader } from '../model/calls.ts';

export type Bounded = {
  readonly protocol: Protocol;
  /** What the client allows, from Grpc-Timeout; null: the service's own time-out. */
  readonly timeoutMs: number | null;
};

/** How etcd's streams come: messages in a body, or text frames. */
export type Transport = 'websocket' | 'post';
