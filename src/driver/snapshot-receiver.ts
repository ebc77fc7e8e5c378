// Takes a snapshot, part by part, into tables beside those that serve. What came is on disk together with the position
// to go on from, so that a receiver that slept or crashed, or whose sender is gone, continues. Nothing else changes
// until everything is there.

import { assert } from '../base/assert.ts';
import { MalformedBytesError } from '../base/binary.ts';
import type { ReplicaId } from '../model/brands.ts';
import { snapshotAskAgainTicks } from '../limits.ts';
import {
  decodeCursor,
  isSameName,
  isSameCursor,
  type SnapshotName,
  withinBatch,
} from '../mvcc/snapshot/snapshot-page.ts';
import { SnapshotSink } from '../mvcc/snapshot/snapshot-sink.ts';
import type { SqlPort } from '../base/sql-port.ts';
import type { SnapshotMessage, TransferPoint } from './snapshot-messages.ts';

type Ask = Extract<SnapshotMessage, { readonly kind: 'snapshotAsk' }>;
type Part = Extract<SnapshotMessage, { readonly kind: 'snapshotPart' }>;

/** What a part led to. */
export type Received =
  | { readonly kind: 'ask'; readonly ask: Ask }
  /** The part was not the one that is waited for. */
  | { readonly kind: 'nothing' }
  /** Everything is here, and `finish` puts it in place. `last` says where the log goes on. */
  | { readonly kind: 'complete'; readonly last: Part };

const beginning: TransferPoint = { kind: 'head', part: 0 };

export class SnapshotReceiver {
  readonly #own: ReplicaId;
  readonly #sql: SqlPort;
  readonly #sink: SnapshotSink;
  /** Null: none is wanted. */
  #from: ReplicaId | null = null;
  /** Null: whichever the sender opens. */
  #name: SnapshotName | null = null;
  #next: TransferPoint = beginning;
  #head: Uint8Array[] = [];
  #ticks = 0;
  /** There may be rows of a snapshot that nobody wants any more, or of the store that a snapshot has replaced. */
  #clearing: boolean;
  /** There are rows of a batch that begins anew. */
  #rewinding = false;

  constructor(own: ReplicaId, sql: SqlPort) {
    this.#own = own;
    this.#sql = sql;
    this.#sink = new SnapshotSink(sql);
    this.#clearing = this.#sink.progress === null;
  }

  get isActive(): boolean {
    return this.#from !== null;
  }

  get isClearing(): boolean {
    return this.#clearing;
  }

  /**
   * Asks that replica, as soon as there is room, unless it is being asked already. Each replica numbers the parts of a
   * batch in its own way, so a batch that another replica has begun begins anew.
   */
  begin(from: ReplicaId): Ask | null {
    if (this.#from === from) return null;
    if (this.#from === null) {
      const progress = this.#sink.progress?.isComplete === false ? this.#sink.progress : null;
      this.#name = progress?.name ?? null;
      this.#next = progress === null ? beginning : { kind: 'rows', after: progress.cursor };
      this.#head = [];
    }
    this.#from = from;
    this.#rewinding = this.#isWithinBatch;
    return this.#ask(from);
  }

  /** Asks again, because the answer is late or another replica leads now. */
  tick(leader: ReplicaId | null): Ask | null {
    if (this.#clearing || this.#rewinding) {
      if (this.#from !== null) return this.#ask(this.#from);
      this.#clearStep();
      return null;
    }
    if (this.#from === null) return null;
    this.#ticks += 1;
    if (leader !== null && leader !== this.#own && leader !== this.#from) return this.begin(leader);
    return this.#ticks < snapshotAskAgainTicks ? null : this.#ask(this.#from);
  }

  /**
   * The sender cannot go on. Where it was asked for the rest of a batch, it may still be able to send the whole batch.
   * Otherwise the receiver begins anew with a newer snapshot.
   */
  gone({ from, name }: Extract<SnapshotMessage, { readonly kind: 'snapshotGone' }>): Ask | null {
    if (from !== this.#from || name.index !== this.#name?.index || this.#rewinding) return null;
    if (this.#isWithinBatch) this.#rewinding = true;
    else this.#startOver();
    return this.#ask(from);
  }

  receive(part: Part): Received {
    // The snapshot that is being cleared away was asked for before, so this part is late.
    if (part.from !== this.#from || this.#clearing || this.#rewinding || !this.#isExpected(part)) {
      return { kind: 'nothing' };
    }
    try {
      this.#take(part);
    } catch (error) {
      // What came is no snapshot that this code can read. Asking again does no harm.
      if (!(error instanceof MalformedBytesError)) throw error;
      this.#startOver();
      return { kind: 'nothing' };
    }
    if (part.next === null) return { kind: 'complete', last: part };
    this.#next = part.next;
    const ask = this.#ask(part.from);
    return ask === null ? { kind: 'nothing' } : { kind: 'ask', ask };
  }

  /** Called inside the caller's transaction. The store must be opened anew after it. */
  finish(): void {
    this.#sink.finish();
    this.#from = null;
  }

  /** The snapshot is not needed any more. */
  abandon(): void {
    this.#startOver();
    this.#from = null;
  }

  #take({ name, point, bytes, next }: Part): void {
    this.#name = name;
    if (point.kind === 'rows') {
      this.#sql.transaction(() => this.#sink.write(bytes, next?.kind === 'rows' ? next.after : null));
      return;
    }
    this.#head.push(bytes);
    if (next?.kind === 'head') return;
    assert(next !== null, 'after the head come the rows');
    this.#sql.transaction(() => this.#sink.begin(name, this.#head));
    this.#head = [];
  }

  #isExpected({ name, point }: Part): boolean {
    if (this.#name !== null && !isSameName(this.#name, name)) return false;
    if (point.kind === 'head') return this.#next.kind === 'head' && this.#next.part === point.part;
    return this.#next.kind === 'rows' && isSameCursor(this.#next.after, point.after);
  }

  #startOver(): void {
    this.#name = null;
    this.#next = beginning;
    this.#head = [];
    this.#rewinding = false;
    if (this.#sink.progress === null) return;
    this.#sql.transaction(() => this.#sink.abandon());
    this.#clearing = true;
  }

  get #isWithinBatch(): boolean {
    const after = this.#next.kind === 'rows' ? this.#next.after : null;
    return after !== null && withinBatch(decodeCursor(after)) !== null;
  }

  #clearStep(): void {
    this.#clearing = this.#sink.clearStep();
  }

  #rewindStep(): void {
    this.#rewinding = this.#sink.rewindStep();
    this.#next = { kind: 'rows', after: this.#sink.progress?.cursor ?? null };
  }

  /** Null: what is there must be deleted first. */
  #ask(to: ReplicaId): Ask | null {
    this.#ticks = 0;
    if (this.#clearing) this.#clearStep();
    else if (this.#rewinding) this.#rewindStep();
    if (this.#clearing || this.#rewinding) return null;
    return { kind: 'snapshotAsk', from: this.#own, to, name: this.#name, point: this.#next };
  }
}
