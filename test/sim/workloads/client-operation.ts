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
  /** The service looks up what a token for this user would contain. */
  | { readonly kind: 'login'; readonly name: string };

export type ClientOperation = {
  /** The name is unique in a run, and is the value that the operation's puts write. */
  readonly name: string;
  readonly action: ClientAction;
  readonly caller: Caller;
  readonly beganMs: number;
  /** The position of what was known to be done when the operation began: it must not come before that. */
  readonly floor: Floor;
  /**
   * The number of requests under way that could still be applied, or were. 0 and no answer: the write must never be
   * done.
   */
  possible: number;
};

/** `position`: the position of a command among all commands. `index`: the index of its log entry. */
export type Floor = { readonly revision: number; readonly position: number; readonly index: number };

export type ClientRequest =
  | {
      readonly kind: 'write';
      readonly operation: ClientOperation;
      readonly request: WriteRequest;
      readonly mayBeAlone: boolean;
    }
  | { readonly kind: 'read'; readonly caller: Caller; readonly request: RangeRequest }
  | { readonly kind: 'keepAlive'; readonly caller: Caller; readonly id: LeaseId }
  | { readonly kind: 'login'; readonly name: string }
  /** Asks which replica leads. `failed` led, and does not answer. */
  | { readonly kind: 'leader'; readonly failed: ReplicaId | null };

/** The index that the replica had applied when it answered. */
export type Place = {
  readonly revision: Revision;
  readonly index: number;
  /** How many writes the replica had remembered. Former code does not count. */
  readonly writes?: number;
};

/** How many writes of the group a client was told of, in any answer. Null: of no count. */
export class CountedWrites {
  seen: number | null = null;

  readonly told = (writes: number): void => {
    this.seen = Math.max(this.seen ?? 0, writes);
  };
}

export type ClientAnswer =
  /** `writeId`: the id as it is in the log. */
  | ({ readonly kind: 'write'; readonly writeId: string; readonly result: WriteResult } & Place)
  | ({ readonly kind: 'read'; readonly result: RangeOutcome } & Place)
  /** `cameMs`: the time at which the request came to the replica, in the simulator's time. */
  | ({ readonly kind: 'keepAlive'; readonly cameMs: number; readonly result: QueryResult<'keepAlive'> } & Place)
  | ({ readonly kind: 'login'; readonly result: QueryResult<'credential'> } & Place)
  | { readonly kind: 'refused'; readonly leader: ReplicaId | null }
  | { readonly kind: 'leader'; readonly leader: ReplicaId | null };
