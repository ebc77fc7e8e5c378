// The last writes by their ids, so that a retry is answered with what became of it and not applied again. What is
// remembered is the same on every replica and after every restart: the last `rememberedWritesMax` writes.
//
// A write that changed nothing (a failure, a delete of nothing, a txn whose branch wrote nothing) is remembered like
// any other. A caller may have its answer from a retry while an earlier attempt is still on its way: were that one to
// run when it comes, a write that was answered "nothing was changed" would change something afterwards.
//
// A write whose id is not remembered may have been done and forgotten. Whoever sends it says how many writes there had
// been before it was first sent. If no more than the window have come since, it would still be remembered, so it was
// not done. The count is the same on every replica, and so is what is decided by it.

import type { BatchId, BatchRecord } from './batches.ts';
import { type Batches, digestIn } from './batches.ts';
import { assert } from '../base/assert.ts';
import type { LogIndex } from '../model/brands.ts';
import type { Command, Outcome } from '../model/store.ts';
import { decodeOutcome, encodeOutcome } from './codec/outcome-codec.ts';

/** The id counts for its caller only. */
export function identityOf(command: Pick<Command, 'caller' | 'writeId'>): string {
  const { caller, writeId } = command;
  if (caller.kind === 'service') return `s${writeId}`;
  const key = `${caller.id.length}:${caller.id}`;
  return caller.kind === 'user' ? `u${key}${caller.name.length}:${caller.name}${writeId}` : `k${key}${writeId}`;
}

/** Null: the write is in the batch that is being applied. */
type BatchOfWrite = BatchId | null;

/** `nth`: the position among the writes of its row, or of its entry where that has no row yet. */
type EntryWrite = { readonly outcome: Uint8Array; readonly nth: number };
type EntryWrites = ReadonlyMap<string, EntryWrite>;

export class RememberedWrites {
  readonly #batches: Batches;
  /** How many writes were ever remembered. */
  #total: number;
  /** The ids are read from the rows when the first write comes: a store that is only read never needs them. */
  #batchOf: Map<string, BatchOfWrite> | null = null;
  /**
   * The identity of the nth write stands at n modulo the window, so the one that is forgotten is found without walking
   * through the holes of a map.
   */
  readonly #window: string[] = [];
  readonly #windowMax: number;
  #underWay: string[] = [];
  /** The writes of the entry that was looked into last: some hundred bytes for each, and no more than its row has. */
  #latest: { readonly batch: BatchId; readonly flushes: number; readonly writes: EntryWrites } | null = null;

  constructor(batches: Batches, { total, windowMax }: { readonly total: number; readonly windowMax: number }) {
    this.#batches = batches;
    this.#total = total;
    this.#windowMax = windowMax;
  }

  get total(): number {
    return this.#total;
  }

  /**
   * Whether a write that came after `seen` others may be forgotten. `waiting`: writes that will be remembered
   * before it.
   */
  mayHaveForgotten(seen: number, waiting: number): boolean {
    return this.#total + waiting - seen > this.#windowMax;
  }

  knows(identity: string): boolean {
    return this.#loaded().has(identity);
  }

  find(identity: string, record: BatchRecord | null): Outcome | null {
    const batch = this.#loaded().get(identity);
    if (batch === undefined) return null;
    const outcome =
      batch === null ? (record?.outcomeOf(identity) ?? null) : (this.#writesAt(batch).get(identity)?.outcome ?? null);
    assert(outcome !== null, 'a remembered write has its outcome');
    return decodeOutcome(outcome);
  }

  /**
   * The digest of a remembered write that came in an entry after `from`. Null: it has none. Entries up to `from` had
   * their digests at another time, and not on every replica.
   */
  digestOf(identity: string, record: BatchRecord | null, from: LogIndex): bigint | null {
    const batch = this.#loaded().get(identity);
    if (batch === undefined) return null;
    if (batch === null) return record?.digestOf(identity) ?? null;
    const digests = batch.logIndex > from ? this.#batches.digests(batch) : null;
    return digests === null ? null : digestIn(digests, this.#writesAt(batch).get(identity)?.nth ?? Infinity);
  }

  remember(identity: string, outcome: Outcome, record: BatchRecord, digest: bigint | null): void {
    const batchOf = this.#loaded();
    record.addWrite(identity, encodeOutcome(outcome), digest);
    batchOf.set(identity, null);
    this.#underWay.push(identity);
    const slot = this.#total % this.#windowMax;
    const leaving = this.#window[slot];
    if (leaving !== undefined) batchOf.delete(leaving);
    this.#window[slot] = identity;
    this.#total++;
  }

  /** The batch that was under way is in its row now. */
  settle(batch: BatchId): void {
    const batchOf = this.#loaded();
    for (const identity of this.#underWay) if (batchOf.has(identity)) batchOf.set(identity, batch);
    this.#underWay = [];
  }

  /** Retries come together, as the first attempts did, so the writes of an entry are read once for all of them. */
  #writesAt(batch: BatchId): EntryWrites {
    const { flushes } = this.#batches;
    if (this.#latest?.batch === batch && this.#latest.flushes === flushes) return this.#latest.writes;
    const writes = new Map<string, EntryWrite>();
    for (const { identity, outcome } of this.#batches.writesAt(batch)) {
      writes.set(identity, { outcome: outcome.slice(), nth: writes.size });
    }
    this.#latest = { batch, flushes, writes };
    return writes;
  }

  #loaded(): Map<string, BatchOfWrite> {
    if (this.#batchOf !== null) return this.#batchOf;
    this.#batchOf = new Map();
    let nth = this.#total - 1;
    for (const { batch, writes } of this.#batches.newestFirst()) {
      for (const { identity } of [...writes].toReversed()) {
        if (this.#batchOf.size === this.#windowMax) return this.#batchOf;
        this.#batchOf.set(identity, batch);
        this.#window[nth-- % this.#windowMax] = identity;
      }
    }
    return this.#batchOf;
  }
}
