// What replicas say to each other beside Raft's messages. How a snapshot travels: the receiver asks for one part after
// the other, the sender answers each, and nothing is under way that would have to be remembered. What is lost is asked
// for again, of whoever leads then.

import type { LogIndex, ReplicaId, Term } from '../model/brands.ts';
import type { Message } from '../raft/types.ts';
import type { SnapshotName } from '../mvcc/snapshot/snapshot-source.ts';

/** A part of the head, by its number; or what follows a cursor of the rows (null: their beginning). */
export type TransferPoint =
  | { readonly kind: 'head'; readonly part: number }
  | { readonly kind: 'rows'; readonly after: Uint8Array | null };

/** All that replicas say to each other. */
export type PeerMessage = Message | SnapshotMessage;

export type SnapshotMessage = { readonly from: ReplicaId; readonly to: ReplicaId } & (
  | {
      readonly kind: 'snapshotAsk';
      /** null: any, the newest there is. */
      readonly name: SnapshotName | null;
      readonly point: TransferPoint;
    }
  | {
      readonly kind: 'snapshotPart';
      readonly name: SnapshotName;
      /** Of the log entry that the snapshot goes up to. */
      readonly term: Term;
      /** The group as of that entry (`encodeConfiguration`). */
      readonly configuration: Uint8Array;
      readonly point: TransferPoint;
      readonly bytes: Uint8Array;
      /** null: this was the last part. */
      readonly next: TransferPoint | null;
    }
  /** The sender cannot go on with it: it has compacted beyond it, or is not as far. */
  | { readonly kind: 'snapshotGone'; readonly name: SnapshotName }
  /** The leader and a majority held another hash after the entry at `index` than `hash`, which the receiver told. */
  | { readonly kind: 'diverged'; readonly index: LogIndex; readonly hash: number }
);
