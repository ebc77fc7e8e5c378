// Hands out snapshots, a part at a time, to replicas that ask. It keeps no copy of the store: rows are read when their part is asked
// for, and the state machine sees to it that they are those of the moment in which the snapshot was opened. For that, and for the log
// to go on from there, compaction and truncation wait while somebody is at it.

import { assert } from '../assert.ts';
import { MalformedBytesError } from '../binary.ts';
import type { LogIndex, ReplicaId, Term } from '../brands.ts';
import { snapshotIdleTicks } from '../limits.ts';
import { openSnapshot, type SnapshotName, type SnapshotPage, snapshotPage } from '../mvcc/snapshot-source.ts';
import type { Store } from '../mvcc/store.ts';
import { type Configuration, encodeConfiguration } from '../raft/configuration.ts';
import type { SqlPort } from '../sql-port.ts';
import type { SnapshotMessage, SnapshotPlace } from './snapshot-messages.ts';

type Ask = Extract<SnapshotMessage, { readonly kind: 'snapshotAsk' }>;

/** What is asked of the log. */
export type LogPlaces = {
  readonly base: () => { readonly index: LogIndex };
  readonly termAt: (index: LogIndex) => Term;
  readonly configurationAt: (index: LogIndex) => Configuration;
};

export type SnapshotSenderOptions = {
  readonly sql: SqlPort;
  readonly store: Store;
  readonly log: LogPlaces;
  /** Of one part. */
  readonly rowsBytes: number;
};

type Transfer = {
  readonly name: SnapshotName;
  /** Of the moment in which it was opened. Only here: a receiver that lacks some of it begins anew. */
  readonly head: readonly Uint8Array[];
  idleTicks: number;
};

export class SnapshotSender {
  readonly #options: SnapshotSenderOptions;
  readonly #transfers = new Map<ReplicaId, Transfer>();

  constructor(options: SnapshotSenderOptions) {
    this.#options = options;
  }

  /** Somebody is at it: neither compaction's rows nor the log's may go. */
  get isActive(): boolean {
    return this.#transfers.size > 0;
  }

  /** The log must be kept from here on; null: as far as snapshots go it need not. */
  get heldIndex(): LogIndex | null {
    let held: LogIndex | null = null;
    for (const { name } of this.#transfers.values()) if (held === null || name.index < held) held = name.index;
    return held;
  }

  /** Who has stopped asking, or has got what the snapshot was for, holds nothing back any more. `matchOf`: null where it is not known. */
  tick(matchOf: (receiver: ReplicaId) => LogIndex | null): void {
    for (const [receiver, transfer] of this.#transfers) {
      transfer.idleTicks += 1;
      const isDone = (matchOf(receiver) ?? -1) >= transfer.name.index && transfer.idleTicks > 1;
      if (isDone || transfer.idleTicks > snapshotIdleTicks) this.#transfers.delete(receiver);
    }
  }

  answer({ from: receiver, to, name, place }: Ask): SnapshotMessage {
    const sides = { from: to, to: receiver };
    const transfer = name === null ? this.#open(receiver) : this.#continue(receiver, name);
    const read = transfer === null ? null : this.#read(transfer, name === null ? firstPlace : place);
    if (transfer === null || read === null) {
      assert(name !== null, 'a snapshot that was just opened can be read');
      this.#transfers.delete(receiver);
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
    const transfer = { ...openSnapshot(sql, store), idleTicks: 0 };
    this.#transfers.set(receiver, transfer);
    return transfer;
  }

  /** Also one that another sender began: its rows are the same here. null: the log does not go on from there. */
  #continue(receiver: ReplicaId, name: SnapshotName): Transfer | null {
    const { store, log } = this.#options;
    if (name.index < log.base().index || name.index > store.appliedIndex) return null;
    const known = this.#transfers.get(receiver);
    const transfer: Transfer = known?.name.index === name.index ? known : { name, head: [], idleTicks: 0 };
    transfer.idleTicks = 0;
    this.#transfers.set(receiver, transfer);
    return transfer;
  }

  #read({ name, head }: Transfer, place: SnapshotPlace): Read | null {
    if (place.kind === 'head') {
      const bytes = head[place.part];
      if (bytes === undefined) return null;
      const isLast = place.part === head.length - 1;
      return { place, bytes, next: isLast ? { kind: 'rows', after: null } : { kind: 'head', part: place.part + 1 } };
    }
    const page = this.#page(name, place.after);
    if (page.kind === 'gone') return null;
    return { place, bytes: page.page, next: page.next === null ? null : { kind: 'rows', after: page.next } };
  }

  /** A cursor that is none, as another version's may be, cannot be gone on from. */
  #page(name: SnapshotName, after: Uint8Array | null): SnapshotPage {
    try {
      return snapshotPage(this.#options.sql, name, after, this.#options.rowsBytes);
    } catch (error) {
      if (!(error instanceof MalformedBytesError)) throw error;
      return { kind: 'gone' };
    }
  }
}

type Read = { readonly place: SnapshotPlace; readonly bytes: Uint8Array; readonly next: SnapshotPlace | null };

const firstPlace: SnapshotPlace = { kind: 'head', part: 0 };
