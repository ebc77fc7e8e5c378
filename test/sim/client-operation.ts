// What clients of the simulator ask for, and how such a request travels to a replica and its answer back.

import type { ReplicaId, Revision } from '../../src/brands.ts';
import type { Operation, RangeRequest } from '../../src/model.ts';
import type { RangeOutcome } from '../../src/mvcc/store.ts';
import type { WriteRequest, WriteResult } from '../../src/replica/driver.ts';

export type ClientAction =
  | { readonly kind: 'write'; readonly operation: Operation }
  | { readonly kind: 'read'; readonly request: RangeRequest };

export type ClientOperation = {
  /** Unique in a run, and the value that its puts write. */
  readonly name: string;
  readonly action: ClientAction;
  /** What was known to be done when the operation began: it must not come before that. */
  readonly floor: { readonly revision: number; readonly position: number };
  /** Requests under way that could still be applied, or were. 0 and no answer: the write must never show up. */
  possible: number;
};

export type ClientRequest =
  | { readonly kind: 'write'; readonly operation: ClientOperation; readonly request: WriteRequest }
  | { readonly kind: 'read'; readonly request: RangeRequest }
  /** Who leads? `failed` led, and does not answer. */
  | { readonly kind: 'leader'; readonly failed: ReplicaId | null };

export type ClientAnswer =
  | { readonly kind: 'write'; readonly result: WriteResult }
  | { readonly kind: 'read'; readonly revision: Revision; readonly result: RangeOutcome }
  | { readonly kind: 'readRefused'; readonly leader: ReplicaId | null }
  | { readonly kind: 'leader'; readonly leader: ReplicaId | null };
