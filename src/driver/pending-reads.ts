// Reads that wait, first for the leader to confirm that it leads, and then for the store to have applied what was
// committed by then.

import type { LogIndex, ReplicaId } from '../model/brands.ts';
import { readsPendingMax } from '../limits.ts';

export type ReadResult =
  /** Every write that was acknowledged before the read began is applied here. */
  | { readonly kind: 'ready' }
  | { readonly kind: 'refused'; readonly leader: ReplicaId | null }
  | { readonly kind: 'overloaded' }
  | { readonly kind: 'halted'; readonly reason: string };

/** `settle` is called once. */
export type Read = { readonly settle: (result: ReadResult) => void };

/** `index`: the entry that must be applied first. Null: it is not known yet. */
type PendingRead = Read & { readonly index: LogIndex | null };

export class PendingReads {
  readonly #reads = new Map<number, PendingRead>();
  #next = 1;

  get size(): number {
    return this.#reads.size;
  }

  /** Answers the number by which the core knows the read. Null: there is no room. */
  add({ settle }: Read): number | null {
    if (this.#reads.size >= readsPendingMax) return null;
    const context = this.#next++;
    this.#reads.set(context, { settle, index: null });
    return context;
  }

  confirmed(context: number, index: LogIndex): void {
    const read = this.#reads.get(context);
    if (read !== undefined) this.#reads.set(context, { settle: read.settle, index });
  }

  /** Null: the read was answered before. */
  take(context: number): Read | null {
    const read = this.#reads.get(context) ?? null;
    this.#reads.delete(context);
    return read;
  }

  /** The reads that may be answered now. */
  takeReady(applied: LogIndex): readonly Read[] {
    const ready: Read[] = [];
    for (const [context, read] of this.#reads) {
      if (read.index === null || read.index > applied) continue;
      this.#reads.delete(context);
      ready.push(read);
    }
    return ready;
  }

  takeAll(): readonly Read[] {
    const all = [...this.#reads.values()];
    this.#reads.clear();
    return all;
  }
}
