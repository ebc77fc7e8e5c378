// What clients of the simulator ask for, and how such a request travels to a replica and its answer back.

import type { LeaseId, ReplicaId, Revision } from '../../../src/model/brands.ts';
import type { Caller, Operation, RangeRequest } from '../../../src/model/store.ts';
import type { RangeOutcome } from '../../../src/mvcc/store.ts';
import type { QueryResult } from '../../../src/model/queries.ts';
import type { WriteRequest, WriteResult } from '../../../src/driver/proposals.ts';

export type ClientAction =
  | { readonly kind: 'write'; readonly operation: Operation }
  | { readonly kind: 'read'; readonly request: RangeRequest }
  | { readonly kind: 'keepAlive'; readonly id: LeaseId }
  /** The service looks up what a token for this user would carry. */
  | { readonly kind: 'login'; readonly name: string };

export type ClientOperation = {
  /** Unique in a run, and the value that its puts write. */
  readonly name: string;
  readonly action: ClientAction;
  readonly caller: Caller;
  readonly beganMs: number;
  /** What was known to be done when the operation began: it must not come before that. */
  readonly floor: Floor;
  /** Requests under way that could still be applied, or were. 0 and no answer: the write must never show up. */
  possible: number;
};

/** `position`: of a command among all. `index`: of its log entry. */
export type Floor = { readonly revision: number; readonly position: number; readonly index: number };

export type ClientRequest =
  | { readonly kind: 'write'; readonly operation: ClientOperation; readonly request: WriteRequest }
  | { readonly kind: 'read'; readonly caller: Caller; readonly request: RangeRequest }
  | { readonly kind: 'keepAlive'; readonly caller: Caller; readonly id: LeaseId }
  | { readonly kind: 'login'; readonly name: string }
  /** Who leads? `failed` led, and does not answer. */
  | { readonly kind: 'leader'; readonly failed: ReplicaId | null };

/** Where in the log the replica was when it answered. */
export type Place = { readonly revision: Revision; readonly index: number };

export type ClientAnswer =
  /** `writeId`: as it is in the log. */
  | ({ readonly kind: 'write'; readonly writeId: string; readonly result: WriteResult } & Place)
  | ({ readonly kind: 'read'; readonly result: RangeOutcome } & Place)
  /** `cameMs`: when the request came to the replica, in the simulator's time. */
  | ({ readonly kind: 'keepAlive'; readonly cameMs: number; readonly result: QueryResult<'keepAlive'> } & Place)
  | ({ readonly kind: 'login'; readonly result: QueryResult<'credential'> } & Place)
  | { readonly kind: 'refused'; readonly leader: ReplicaId | null }
  | { readonly kind: 'leader'; readonly leader: ReplicaId | null };
