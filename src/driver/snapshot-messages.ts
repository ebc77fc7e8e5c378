// What replicas say to each other beside Raft's messages, and how a snapshot travels: the receiver asks for one part
// after the other, the sender answers each, and the sender need remember nothing of it. What is lost is asked for
// again, of whichever replica leads then.

import type { LogIndex, ReplicaId, Term } from '../model/brands.ts';
import type { Message } from '../raft/types.ts';
import type { SnapshotName } from '../mvcc/snapshot/snapshot-source.ts';

/** A part of the head, by its number, or what follows a cursor of the rows. Null: the rows from their beginning. */
export type TransferPoint =
  | { readonly kind: 'head'; readonly part: number }
  | { readonly kind: 'rows'; readonly after: Uint8Array | null };

/** All that replicas say to each other. */
export type PeerMessage = Message | SnapshotMessage;

export type SnapshotMessage = { readonly from: ReplicaId; readonly to: ReplicaId } & (
  | {
      readonly kind: 'snapshotAsk';
      /** Null: the newest one that there is. */
      readonly name: SnapshotName | null;
      readonly point: TransferPoint;
    }
  | {
      readonly kind: 'snapshotPart';
      readonly name: SnapshotName;
      /** The term of the last log entry that the snapshot covers. */
      readonly term: Term;
      /** The group as of that entry (`encodeConfiguration`). */
      readonly configuration: Uint8Array;
      readonly point: TransferPoint;
      readonly bytes: Uint8Array;
      /** Null: this was the last part. */
      readonly next: TransferPoint | null;
    }
  /** The sender cannot go on with the snapshot: it has compacted beyond it, or has not applied as much. */
  | { readonly kind: 'snapshotGone'; readonly name: SnapshotName }
  /** The leader and a majority held another hash after the entry at `index` than `hash`, which the receiver told. */
  | { readonly kind: 'diverged'; readonly index: LogIndex; readonly hash: number }
);
