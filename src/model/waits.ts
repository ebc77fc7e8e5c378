// The calls of a session that wait for their turn in a queue, for as long as it takes, and what comes of them, as data.
// `api/queues.ts` says what a queue is. Types only.

import type { LeaseId } from './brands.ts';
import type { CallAnswer, CallOutcome, ResponseHeader } from './calls.ts';

/** Which lease holds a place: a new one, which lives on while its caller waits, or one that the caller keeps alive. */
export type Hold =
  | { readonly kind: 'session'; readonly ttlSeconds: number }
  | { readonly kind: 'lease'; readonly id: LeaseId };

export type Acquired = {
  readonly key: Uint8Array;
  readonly lease: LeaseId;
  readonly ttlSeconds: number;
  /** The create revision of the key, which is higher than that of every holder before. */
  readonly fencingToken: number;
  readonly revision: number;
};

export type Locked = { readonly key: Uint8Array; readonly revision: number };

export type Elected = {
  readonly key: Uint8Array;
  readonly createRevision: number;
  readonly lease: LeaseId;
  /** The revision of the first transaction, however long the call waited. */
  readonly revision: number;
};

/** Where `lease` of a lock or a campaign is 0n, a lease of `sessionSeconds` is granted first. */
export type SessionWait =
  /** etcd's Lock. */
  | { readonly kind: 'lock'; readonly name: Uint8Array; readonly lease: LeaseId }
  /** etcd's Campaign. */
  | { readonly kind: 'campaign'; readonly name: Uint8Array; readonly lease: LeaseId; readonly value: Uint8Array }
  /** A lock or a semaphore of v1. `waitMs` 0: it does not wait. */
  | {
      readonly kind: 'acquire';
      readonly name: Uint8Array;
      readonly limit: number;
      readonly hold: Hold;
      readonly waitMs: number;
    };

export type WaitOutcome =
  | { readonly kind: 'locked'; readonly locked: Locked }
  | { readonly kind: 'elected'; readonly elected: Elected }
  | { readonly kind: 'acquired'; readonly acquired: Acquired }
  | Extract<CallOutcome, { readonly kind: 'failed' }>;

/** What one replica says to a wait, once. */
export type WaitAnswer =
  | { readonly kind: 'answered'; readonly header: ResponseHeader; readonly outcome: WaitOutcome }
  /** Another replica leads, and the same wait is asked there, under the same id. */
  | Extract<CallAnswer, { readonly kind: 'notLeader' }>;
