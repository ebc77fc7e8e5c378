// The leases of a group as its leader holds them, for one term: when each of them ends. It has no clock and no timer;
// time comes in as an argument. It proposes nothing itself: `lease-service.ts` asks what is due, and commits it.
//
// Keeping a lease alive is no entry of the log: the leader extends it here, in memory. What a change of leaders, or a
// group that sleeps, may not do is end a lease early. The rows of the store hold a deadline for each lease (of its
// grant or of its last checkpoint) and one bit for all, `settled`. What must hold, always:
//
//   While a store is settled, no lease has a later deadline in any leader's memory than in its row.
//
// A new leader of a store that is not settled extends all leases to their full time, from when it leads (etcd's rule):
// that is later than any keepalive that another leader answered, since a leader confirms that it leads after the
// keepalive came, and counts from when it came. Of a settled store it takes the deadlines as they stand, and so a lease
// that ended while the group slept is found ended by whoever wakes first. It holds because
//
//   - a grant makes the store not settled, in the log;
//   - before a group rests, its leader commits what differs here from the rows, and with the last of it that the store
//     is settled. From the moment in which it proposes that, it extends nothing (`needsOpening`) until
//   - the first extension after it has committed that the store is not settled any more: the log keeps the two in
//     order;
//   - a leader that is not one any more commits nothing, confirms no read, and so answers no keepalive.
//
// A deadline is a time of day of the leader that wrote it, and clocks differ. So what a new leader takes from the rows
// it ends `leaseClocksDifferMs` after its deadline: late rather than early. It tells clients of the deadline, and
// extends by its own clock.
//
// One exception: the lease of a caller who waits at this leader for its own turn is put off by the leader itself
// (`extendKept`), before that is in the log. Nobody was told, and a new leader that ends it does what a later call
// would do.

import { assert } from '../../base/assert.ts';
import type { LeaseId } from '../../model/brands.ts';
import { leaseClocksDifferMs, leaseRestMarginMs } from '../../limits.ts';
import type { LeaseDeadline } from '../../model/store.ts';
import type { LeaseChange, StoredLease } from '../../mvcc/leases.ts';
import type { Store } from '../../mvcc/store.ts';
import { type HeapItem, LeaseHeap } from './lease-heap.ts';

/** The leases as the store has them, as far as the log was applied. */
export type LeaseRecords = Pick<Store, 'leasesSettled' | 'leaseCount' | 'leasesAfter' | 'earliestLeaseDeadlineMs'>;

/** Invariant: deadlineMs <= endsMs; they differ only where the deadline is by another leader's clock. */
type Lease = HeapItem & {
  readonly id: LeaseId;
  readonly ttlMs: number;
  /** The deadline that clients are told, and that is written down. */
  deadlineMs: number;
  /** The deadline as the rows have it. */
  storedMs: number;
  ending: boolean;
};

/** What keeps a group that has nothing else to do from its rest. */
export type RestObstacle =
  | 'none'
  /** Leases end soon, or are being ended: ask again. */
  | 'wait'
  /** Deadlines must be written down first. */
  | 'settle';

export type Checkpoint = { readonly deadlines: readonly LeaseDeadline[]; readonly settled: boolean };

export class Lessor {
  readonly #records: LeaseRecords;
  readonly #leases = new Map<LeaseId, Lease>();
  readonly #ends = new LeaseHeap<Lease>();
  /** The leases whose deadlines differ from their rows. */
  readonly #unsaved = new Set<Lease>();
  #ending = 0;
  #settling = false;
  /** The time at which this replica began to lead, where it extends the leases of the store. Null: it extends none. */
  readonly #extendedFromMs: number | null;
  /** The last lease that was read. Null: none was. */
  #readTo: LeaseId | null = null;

  /**
   * The lessor of a leader that has applied everything that was committed before its term. It knows all leases once
   * `read` has answered so.
   */
  constructor(records: LeaseRecords, nowMs: number) {
    this.#records = records;
    this.#extendedFromMs = records.leasesSettled ? null : nowMs;
  }

  /**
   * Reads the next leases of the store. False: there are more. What is applied between two calls comes by `applied`: a
   * lease that was granted meanwhile is this leader's own, and its row tells nothing new.
   */
  read(leasesMax: number): boolean {
    const records = this.#records.leasesAfter(this.#readTo, leasesMax);
    for (const record of records) {
      this.#readTo = record.id;
      if (this.#leases.has(record.id)) continue;
      const lease = this.#add(record, leaseClocksDifferMs);
      if (this.#extendedFromMs !== null) this.#putOff(lease, this.#extendedFromMs + lease.ttlMs);
    }
    return records.length < leasesMax;
  }

  get count(): number {
    return this.#leases.size;
  }

  /** The time at which the next lease ends. Null: there is no lease, or every lease is being ended already. */
  get earliestMs(): number | null {
    return this.#ends.first?.endsMs ?? null;
  }

  /**
   * Whether the store is settled, or is about to be: then, before a lease is extended, a checkpoint that says otherwise
   * must be applied.
   */
  get needsOpening(): boolean {
    return this.#settling || this.#records.leasesSettled;
  }

  /** Called with what the log did to leases, in its order. */
  applied(change: LeaseChange): void {
    const lease = this.#leases.get(change.id);
    if (lease !== undefined) this.#remove(lease);
    if (change.kind === 'granted') this.#add(change, 0);
  }

  /** Null: the lease is unknown, or past its deadline, even if it is still there. The time is rounded down. */
  remainingSeconds(id: LeaseId, nowMs: number): number | null {
    const lease = this.#leases.get(id);
    if (lease === undefined || this.#hasEnded(lease, nowMs)) return null;
    return Math.floor(Math.max(0, lease.deadlineMs - nowMs) / 1_000);
  }

  /** Whether the lease is past its deadline and still there. Calls on it are answered when it is gone. */
  isEnding(id: LeaseId, nowMs: number): boolean {
    const lease = this.#leases.get(id);
    return lease !== undefined && this.#hasEnded(lease, nowMs);
  }

  /** Gives these leases their full time from `fromMs`, when the keepalive came. Unknown ids are ignored. */
  extend(id: LeaseId, fromMs: number): void {
    assert(!this.needsOpening, 'a lease is extended in memory only while its store is not settled');
    const lease = this.#leases.get(id);
    if (lease === undefined || lease.ending) return;
    if (fromMs + lease.ttlMs > lease.deadlineMs) this.#putOff(lease, fromMs + lease.ttlMs);
  }

  /**
   * Extends the leases of callers that wait here, once less than half of their time is left. True: a lease was
   * extended.
   */
  extendKept(ids: Iterable<LeaseId>, nowMs: number): boolean {
    let extended = false;
    for (const id of ids) {
      const lease = this.#leases.get(id);
      if (lease === undefined || lease.ending || lease.deadlineMs - nowMs > lease.ttlMs / 2) continue;
      this.#putOff(lease, nowMs + lease.ttlMs);
      extended = true;
    }
    return extended;
  }

  /**
   * The leases past their deadlines, the longest overdue first. They are being ended from now on, until `applied` or
   * `putBack`.
   */
  takeDue(nowMs: number, countMax: number): readonly LeaseId[] {
    const ids: LeaseId[] = [];
    while (ids.length < countMax) {
      const lease = this.#ends.first;
      if (lease === null || lease.endsMs > nowMs) break;
      this.#ends.remove(lease);
      lease.ending = true;
      this.#ending++;
      ids.push(lease.id);
    }
    return ids;
  }

  /** Leases that were not ended are due as before. */
  putBack(ids: readonly LeaseId[]): void {
    for (const id of ids) {
      const lease = this.#leases.get(id);
      if (lease === undefined || !lease.ending) continue;
      lease.ending = false;
      this.#ending--;
      this.#ends.add(lease);
    }
  }

  restObstacle(nowMs: number): RestObstacle {
    if (this.#leases.size === 0) return 'none';
    const { earliestMs } = this;
    if (this.#ending > 0 || this.#settling || earliestMs === null) return 'wait';
    if (earliestMs <= nowMs + leaseRestMarginMs) return 'wait';
    return this.#unsaved.size === 0 && this.#records.leasesSettled ? 'none' : 'settle';
  }

  /**
   * The deadlines that are to be written down next. With the last of them the store is settled. `saved` or `notSaved`
   * follows.
   */
  takeCheckpoint(countMax: number): Checkpoint {
    assert(!this.#settling, 'one checkpoint after the other');
    const deadlines: LeaseDeadline[] = [];
    for (const { id, deadlineMs } of this.#unsaved) {
      if (deadlines.length >= countMax) break;
      deadlines.push({ id, deadlineMs });
    }
    const settled = deadlines.length === this.#unsaved.size;
    this.#settling = settled;
    return { deadlines, settled };
  }

  /** It was applied. */
  saved({ deadlines }: Checkpoint): void {
    this.#settling = false;
    for (const { id, deadlineMs } of deadlines) {
      const lease = this.#leases.get(id);
      if (lease === undefined) continue;
      lease.storedMs = deadlineMs;
      if (lease.deadlineMs === deadlineMs) this.#unsaved.delete(lease);
    }
  }

  notSaved(): void {
    this.#settling = false;
  }

  #hasEnded(lease: Lease, nowMs: number): boolean {
    return lease.ending || lease.endsMs <= nowMs;
  }

  #add({ id, ttlSeconds, deadlineMs }: StoredLease, clocksDifferMs: number): Lease {
    const lease: Lease = {
      id,
      ttlMs: ttlSeconds * 1_000,
      deadlineMs,
      endsMs: deadlineMs + clocksDifferMs,
      storedMs: deadlineMs,
      ending: false,
      place: -1,
    };
    this.#leases.set(id, lease);
    this.#ends.add(lease);
    return lease;
  }

  #remove(lease: Lease): void {
    this.#leases.delete(lease.id);
    this.#unsaved.delete(lease);
    if (lease.ending) this.#ending--;
    else this.#ends.remove(lease);
  }

  #putOff(lease: Lease, deadlineMs: number): void {
    lease.deadlineMs = deadlineMs;
    lease.endsMs = deadlineMs;
    this.#ends.moved(lease);
    if (deadlineMs === lease.storedMs) this.#unsaved.delete(lease);
    else this.#unsaved.add(lease);
  }
}
