// Hands out snapshots, a part at a time, to replicas that ask. It keeps no copy of the store: rows are read when their
// part is asked for, and the state machine sees to it that they are those of the moment in which the snapshot was
// opened. For that the sender holds the history that compaction would take, and it holds the log, from which the
// receiver goes on, until the receiver has caught up with what was written meanwhile. If the log becomes too long, the
// sender gives the snapshot up: the receiver is told so when it asks, and begins anew.

import { assert } from '../base/assert.ts';
import { MalformedBytesError } from '../base/binary.ts';
import type { LogIndex, ReplicaId, Term } from '../model/brands.ts';
import { snapshotIdleTicks } from '../limits.ts';
import {
  neededBy,
  openSnapshot,
  type SnapshotName,
  type SnapshotPage,
  snapshotPage,
} from '../mvcc/snapshot/snapshot-source.ts';
import {
  decodeCursor,
  isSameCursor,
  isSameName,
  type PartCursor,
  withinBatch,
} from '../mvcc/snapshot/snapshot-page.ts';
import type { Store } from '../mvcc/store.ts';
import { type Configuration, encodeConfiguration } from '../raft/configuration.ts';
import type { SqlPort } from '../base/sql-port.ts';
import type { LogBounds } from './log-truncation.ts';
import type { SnapshotMessage, TransferPoint } from './snapshot-messages.ts';

type Ask = Extract<SnapshotMessage, { readonly kind: 'snapshotAsk' }>;

/** What the sender asks of the log. */
export type SenderLog = {
  readonly base: () => { readonly index: LogIndex };
  readonly lastIndex: () => LogIndex;
  readonly termAt: (index: LogIndex) => Term;
  readonly configurationAt: (index: LogIndex) => Configuration;
};

export type SnapshotSenderOptions = {
  readonly sql: SqlPort;
  readonly store: Store;
  readonly log: SenderLog;
  readonly bounds: Pick<LogBounds, 'logEntriesKept' | 'logHeldBytesMax' | 'snapshotRowsBytes'>;
  /** The bytes of the store as it is. */
  readonly storeBytes: () => number;
};

type Transfer = {
  readonly name: SnapshotName;
  /**
   * The head as of the moment in which the snapshot was opened. It is only here, so a receiver that lacks some of it
   * begins anew.
   */
  readonly head: readonly Uint8Array[];
  /** Lets compaction take what the snapshot needed. */
  readonly release: () => void;
  /** The bytes that the log may have on account of this receiver. */
  readonly heldBytesMax: number;
  /** The cursors within one batch that were handed out. They are of the parts in which this replica has the batch. */
  within: { readonly batch: PartCursor; readonly cursors: readonly Uint8Array[] } | null;
  idleTicks: number;
};

/** The receiver has all that the snapshot was for, and takes from the log what was written meanwhile. */
type CatchUp = { readonly heldBytesMax: number; match: LogIndex; idleTicks: number };

export class SnapshotSender {
  readonly #options: SnapshotSenderOptions;
  readonly #transfers = new Map<ReplicaId, Transfer>();
  readonly #catchUps = new Map<ReplicaId, CatchUp>();

  constructor(options: SnapshotSenderOptions) {
    this.#options = options;
  }

  /** Whether somebody is taking a snapshot. */
  get isActive(): boolean {
    return this.#transfers.size > 0 || this.#catchUps.size > 0;
  }

  /** The log must be kept from this entry on. Null: no snapshot needs it. */
  get heldIndex(): LogIndex | null {
    let held: LogIndex | null = null;
    for (const { name } of this.#transfers.values()) if (held === null || name.index < held) held = name.index;
    for (const { match } of this.#catchUps.values()) if (held === null || match < held) held = match;
    return held;
  }

  /** The bytes that the log may have on account of the receivers. */
  get heldBytesMax(): number {
    let most = 0;
    for (const held of [...this.#transfers.values(), ...this.#catchUps.values()])
      most = Math.max(most, held.heldBytesMax);
    return most;
  }

  /**
   * A receiver that makes no progress any more, or has caught up, holds nothing back. `matchOf`: null if it is not
   * known.
   */
  tick(matchOf: (receiver: ReplicaId) => LogIndex | null): void {
    for (const [receiver, transfer] of this.#transfers) {
      const match = matchOf(receiver);
      if (match !== null && match >= transfer.name.index) {
        this.#end(receiver);
        this.#catchUps.set(receiver, { heldBytesMax: transfer.heldBytesMax, match, idleTicks: 0 });
      } else if (++transfer.idleTicks > snapshotIdleTicks) this.#end(receiver);
    }
    const { log, bounds } = this.#options;
    for (const [receiver, catchUp] of this.#catchUps) {
      const match = matchOf(receiver) ?? catchUp.match;
      catchUp.idleTicks = match > catchUp.match ? 0 : catchUp.idleTicks + 1;
      catchUp.match = match;
      const isDone = match >= log.lastIndex() - bounds.logEntriesKept;
      if (isDone || catchUp.idleTicks > snapshotIdleTicks) this.#catchUps.delete(receiver);
    }
  }

  /** The log is not held for a receiver that needs it from before this entry. */
  giveUp(first: LogIndex): void {
    for (const [receiver, { name }] of this.#transfers) if (name.index < first) this.#end(receiver);
    for (const [receiver, { match }] of this.#catchUps) if (match < first) this.#catchUps.delete(receiver);
  }

  answer({ from: receiver, to, name, point }: Ask): SnapshotMessage {
    const sides = { from: to, to: receiver };
    const transfer = name === null ? this.#open(receiver) : this.#continue(receiver, name);
    const read = transfer === null ? null : this.#read(transfer, name === null ? firstPoint : point);
    if (transfer === null || read === null) {
      assert(name !== null, 'a snapshot that was just opened can be read');
      this.#end(receiver);
      return { ...sides, kind: 'snapshotGone', name };
    }
    const { index } = transfer.name;
    const { log } = this.#options;
    return {
      ...sides,
      kind: 'snapshotPart',
      name: transfer.name,
      term: log.termAt(index),
      configuration: encodeConfiguration(log.configurationAt(index)),
      ...read,
    };
  }

  #open(receiver: ReplicaId): Transfer {
    const { sql, store } = this.#options;
    const opened = openSnapshot(sql, store);
    return this.#begin(receiver, opened, store.holdHistory());
  }

  /**
   * Opens also a snapshot that another sender began, since its rows are the same here. Null: the log does not go on
   * from it.
   */
  #continue(receiver: ReplicaId, name: SnapshotName): Transfer | null {
    const { sql, store, log } = this.#options;
    if (name.index < log.base().index || name.index > store.appliedIndex) return null;
    const known = this.#transfers.get(receiver);
    if (known !== undefined && isSameName(known.name, name)) {
      known.idleTicks = 0;
      return known;
    }
    const needed = neededBy(sql, name);
    return needed === null ? null : this.#begin(receiver, { name, head: [] }, store.holdHistory(needed));
  }

  #begin(receiver: ReplicaId, opened: Pick<Transfer, 'name' | 'head'>, release: () => void): Transfer {
    this.#end(receiver);
    const { bounds, storeBytes } = this.#options;
    const heldBytesMax = bounds.logHeldBytesMax(storeBytes());
    const transfer = { ...opened, release, heldBytesMax, within: null, idleTicks: 0 };
    this.#transfers.set(receiver, transfer);
    return transfer;
  }

  #end(receiver: ReplicaId): void {
    this.#transfers.get(receiver)?.release();
    this.#transfers.delete(receiver);
    this.#catchUps.delete(receiver);
  }

  #read(transfer: Transfer, point: TransferPoint): Read | null {
    const { head } = transfer;
    if (point.kind === 'head') {
      const bytes = head[point.part];
      if (bytes === undefined) return null;
      const isLast = point.part === head.length - 1;
      return { point, bytes, next: isLast ? { kind: 'rows', after: null } : { kind: 'head', part: point.part + 1 } };
    }
    const page = this.#page(transfer, point.after);
    if (page === null) return null;
    return { point, bytes: page.page, next: page.next === null ? null : { kind: 'rows', after: page.next } };
  }

  /**
   * Nothing goes on from a malformed cursor, which another version may have sent, nor within a batch that this transfer
   * has not begun.
   */
  #page(transfer: Transfer, after: Uint8Array | null): SnapshotPage | null {
    const { sql, bounds } = this.#options;
    try {
      const within = after === null ? null : withinBatch(decodeCursor(after));
      if (within !== null && !hasHandedOut(transfer, after)) return null;
      const page = snapshotPage(sql, transfer.name, after, bounds.snapshotRowsBytes);
      handOut(transfer, page.next);
      return page;
    } catch (error) {
      if (!(error instanceof MalformedBytesError)) throw error;
      return null;
    }
  }
}

function hasHandedOut({ within }: Transfer, cursor: Uint8Array | null): boolean {
  return within !== null && within.cursors.some((known) => isSameCursor(known, cursor));
}

/** The cursors of the last batch are kept: their pages may be asked for again. */
function handOut(transfer: Transfer, cursor: Uint8Array | null): void {
  const batch = cursor === null ? null : withinBatch(decodeCursor(cursor));
  if (cursor === null || batch === null || hasHandedOut(transfer, cursor)) return;
  const { within } = transfer;
  const isSame = within?.batch.lastRevision === batch.lastRevision && within.batch.logIndex === batch.logIndex;
  transfer.within = { batch, cursors: isSame ? [...within.cursors, cursor] : [cursor] };
}

type Read = { readonly point: TransferPoint; readonly bytes: Uint8Array; readonly next: TransferPoint | null };

const firstPoint: TransferPoint = { kind: 'head', part: 0 };
