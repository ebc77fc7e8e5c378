// The leases of one replica at work. If it leads, it holds the lessor of its term and commits what the lessor finds:
// leases that have ended, and their deadlines before the group rests. On every replica it keeps the alarm set for
// leases that may end while all replicas sleep.

import { assert } from '../../base/assert.ts';
import type { LeaseId, ReplicaId, Term } from '../../model/brands.ts';
import {
  leaseAlarmStaggerMs,
  leaseAlarmStaggerMsMax,
  leaseCheckpointMax,
  leaseExpiriesMax,
  leasesReadMax,
  leaseWatchMs,
  requestTimeoutMs,
  tickMs,
} from '../../limits.ts';
import { groupLevel } from '../../model/levels.ts';
import type { Caller, LeaseOperation, OverdueLease } from '../../model/store.ts';
import type { LeaseChange } from '../../mvcc/leases.ts';
import type { Store } from '../../mvcc/store.ts';
import type { QueryResult } from '../../model/queries.ts';
import type { LeaseAlarm } from './lease-alarm.ts';
import { type LeaseRecords, Lessor } from './lease-lessor.ts';
import type { Member } from '../member.ts';

/** The part of the replica that is used here. */
export type LeaseMember = Pick<Member, 'write' | 'read' | 'leader' | 'nowMs'> & {
  readonly driver: {
    readonly raft: { readonly role: string; readonly term: Term };
    readonly store: LeaseRecords & Pick<Store, 'query' | 'level' | 'storedLeaseDeadlineMs'>;
  };
};

export type LeaseServiceOptions = {
  readonly member: LeaseMember;
  readonly alarm: LeaseAlarm;
  /** How many replicas of the group come before this one. */
  readonly rank: number;
  /** The leases of callers that wait here for their turn: these live on meanwhile. */
  readonly kept: () => Iterable<LeaseId>;
  /** Unique in the group, for good. */
  readonly newWriteId: () => string;
  /** Others get their turn meanwhile, also if the time is 0 ms. */
  readonly wait: (delayMs: number) => Promise<void>;
  /** An assertion failed: the object must reset. */
  readonly broken: (error: unknown) => void;
};

type Leading = { readonly term: Term; readonly lessor: Lessor };

/** How often the leases of callers that wait are looked at. */
const keptSpacingMs = 1_000;

export class LeaseService {
  readonly #options: LeaseServiceOptions;
  readonly #member: LeaseMember;
  readonly #staggerMs: number;
  #leading: Leading | null = null;
  /** The lessor that still reads the leases of the store. */
  #reading: Lessor | null = null;
  #promotion: Promise<Lessor | null> | null = null;
  #expiry: Promise<boolean> | null = null;
  #opening: Promise<boolean> | null = null;
  #keptMs = 0;
  /** True: leases changed since the alarm was set for the earliest of them. */
  #changed = true;

  constructor(options: LeaseServiceOptions) {
    this.#options = options;
    this.#member = options.member;
    this.#staggerMs = Math.min(options.rank * leaseAlarmStaggerMs, leaseAlarmStaggerMsMax);
  }

  // What clients ask

  /** Null: this replica does not lead, or cannot make sure of it. */
  async keepAlive(caller: Caller, id: LeaseId): Promise<QueryResult<'keepAlive'> | null> {
    const cameMs = this.#member.nowMs();
    const lessor = await this.#confirmed();
    for (;;) {
      if (lessor === null || lessor !== this.#lessor) return null;
      const nowMs = this.#member.nowMs();
      const result = this.#member.driver.store.query({ kind: 'keepAlive', id }, caller, nowMs);
      if (result.kind === 'failed' || result.answer.ttlSeconds === null) return result;
      if (lessor.isEnding(id, nowMs)) {
        if (!(await this.#expire(lessor))) return null;
      } else if (lessor.needsOpening) {
        if (!(await this.#open())) return null;
      } else {
        lessor.extend(id, cameMs);
        return result;
      }
    }
  }

  /**
   * Null: this replica does not lead, or cannot make sure of it. `seconds` null: the lease is unknown or past its
   * deadline.
   */
  async remaining(id: LeaseId): Promise<{ readonly seconds: number | null } | null> {
    const lessor = await this.#confirmed();
    return lessor === null ? null : { seconds: lessor.remainingSeconds(id, this.#member.nowMs()) };
  }

  // What the replica does

  /** Called with what was just applied did to leases, in its order. */
  applied(changes: readonly LeaseChange[]): void {
    if (changes.length === 0) return;
    const nowMs = this.#member.nowMs();
    let earliestMs = Number.POSITIVE_INFINITY;
    for (const change of changes) {
      this.#leading?.lessor.applied(change);
      this.#reading?.applied(change);
      if (change.kind === 'granted') earliestMs = Math.min(earliestMs, change.deadlineMs);
    }
    this.#changed = true;
    if (this.#records.leaseCount === 0) this.#options.alarm.want(null, nowMs);
    else if (earliestMs !== Number.POSITIVE_INFINITY) this.#options.alarm.wantBy(earliestMs + this.#staggerMs, nowMs);
  }

  leaderChanged(): void {
    if (this.#leads) this.#promote().catch(this.#options.broken);
    else this.#leading = null;
  }

  tick(): void {
    if (!this.#leads) return;
    const lessor = this.#lessor;
    // A promotion that was refused is tried again.
    if (lessor === null) return this.leaderChanged();
    const nowMs = this.#member.nowMs();
    if (nowMs - this.#keptMs >= keptSpacingMs) {
      this.#keptMs = nowMs;
      const extended = lessor.extendKept(this.#options.kept(), nowMs);
      if (extended && lessor.needsOpening) this.#open().catch(this.#options.broken);
    }
    if ((lessor.earliestMs ?? nowMs + 1) <= nowMs) this.#expire(lessor).catch(this.#options.broken);
  }

  /** Asked of the leader of a group that has nothing else to do. False: not yet; it then does what is in the way. */
  mayRest(): boolean {
    if (this.#records.leaseCount === 0) return true;
    const lessor = this.#lessor;
    if (lessor === null || this.#opening !== null) return false;
    const nowMs = this.#member.nowMs();
    lessor.extendKept(this.#options.kept(), nowMs);
    const obstacle = lessor.restObstacle(nowMs);
    if (obstacle === 'settle') this.#checkpoint(lessor).catch(this.#options.broken);
    return obstacle === 'none';
  }

  /** From here on the object may be put to sleep, and the deadlines in the rows count. */
  resting(): void {
    if (!this.#changed) return;
    this.#changed = false;
    this.#setAlarm();
  }

  /** Called when the object's alarm rings. A lease may have ended, so a replica that leads must look. */
  async alarm(): Promise<void> {
    const { alarm } = this.#options;
    alarm.rang();
    const earliestMs = this.#records.earliestLeaseDeadlineMs;
    if (earliestMs === null) return;
    const nowMs = this.#member.nowMs();
    if (earliestMs > nowMs) return this.#setAlarm();
    // The rows may be behind a leader's memory, and the replica that ends the lease may fail, so this replica looks
    // again.
    this.#changed = true;
    alarm.want(nowMs + leaseWatchMs, nowMs);
    await this.#wakeLeader();
  }

  get #leads(): boolean {
    return this.#member.driver.raft.role === 'leader';
  }

  get #records(): LeaseRecords {
    return this.#member.driver.store;
  }

  /** The lessor of this term, if this replica leads it. */
  get #lessor(): Lessor | null {
    const leading = this.#leading;
    return leading !== null && this.#leads && leading.term === this.#member.driver.raft.term ? leading.lessor : null;
  }

  #setAlarm(): void {
    const earliestMs = this.#records.earliestLeaseDeadlineMs;
    const nowMs = this.#member.nowMs();
    const atMs = earliestMs === null ? null : Math.max(earliestMs, nowMs) + this.#staggerMs;
    this.#options.alarm.want(atMs, nowMs);
  }

  async #wakeLeader(): Promise<void> {
    const deadlineMs = this.#member.nowMs() + requestTimeoutMs;
    let failed: ReplicaId | null = null;
    for (;;) {
      const leader: ReplicaId | null = await this.#member.leader(failed);
      if (leader !== null && (await this.#member.read()).kind === 'ready') return;
      if (this.#member.nowMs() >= deadlineMs) return;
      failed = leader;
      await this.#options.wait(tickMs);
    }
  }

  // Leading

  /** The lessor, once it is sure that this replica led after the call came. */
  async #confirmed(): Promise<Lessor | null> {
    if (!this.#leads || (await this.#member.read()).kind !== 'ready') return null;
    return this.#lessor ?? this.#promote();
  }

  /** A confirmed read means that everything that was committed before this term is applied here. */
  #promote(): Promise<Lessor | null> {
    this.#promotion ??= this.#becomeLessor().finally(() => {
      this.#promotion = null;
    });
    return this.#promotion;
  }

  async #becomeLessor(): Promise<Lessor | null> {
    const { raft, store } = this.#member.driver;
    const { term } = raft;
    if (this.#lessor !== null) return this.#lessor;
    const read = await this.#member.read();
    if (read.kind !== 'ready' || !this.#leads || raft.term !== term) return null;
    const lessor = new Lessor(store, this.#member.nowMs());
    this.#reading = lessor;
    try {
      while (!lessor.read(leasesReadMax)) {
        // Others get their turn meanwhile, also if the time is 0 ms.
        await this.#options.wait(0);
        if (!this.#leads || raft.term !== term) return null;
      }
    } finally {
      this.#reading = null;
    }
    this.#leading = { term, lessor };
    return lessor;
  }

  /** False: not all due leases were ended, and the next tick tries again. */
  #expire(lessor: Lessor): Promise<boolean> {
    this.#expiry ??= this.#expireDue(lessor).finally(() => {
      this.#expiry = null;
    });
    return this.#expiry;
  }

  async #expireDue(lessor: Lessor): Promise<boolean> {
    while (lessor === this.#lessor) {
      const ids = lessor.takeDue(this.#member.nowMs(), leaseExpiriesMax);
      if (ids.length === 0) return true;
      const committed = await this.#commit({ kind: 'leaseExpire', leases: this.#overdue(ids) });
      // This holds also for leases whose end was committed: a checkpoint may have given the row of one another deadline
      // meanwhile.
      lessor.putBack(ids);
      if (!committed) return false;
      // Others get their turn meanwhile, also if the time is 0 ms.
      await this.#options.wait(0);
    }
    return false;
  }

  /**
   * The deadlines are those that the rows have now. A client may revoke a lease and grant its id again before this is
   * applied: then the row has another deadline, or one that has passed just the same. Level 1 has no way to tell that.
   */
  #overdue(ids: readonly LeaseId[]): OverdueLease[] {
    const { store } = this.#member.driver;
    if (store.level < groupLevel.second) return ids.map((id) => ({ id, storedMs: null }));
    return ids.map((id) => {
      const storedMs = store.storedLeaseDeadlineMs(id);
      assert(storedMs !== null, 'a lease that its lessor holds has a row');
      return { id, storedMs };
    });
  }

  #open(): Promise<boolean> {
    this.#opening ??= this.#commit({ kind: 'leaseCheckpoint', deadlines: [], settled: false }).finally(() => {
      this.#opening = null;
    });
    return this.#opening;
  }

  /** Writes one part. The next one follows when the group asks again whether it may rest. */
  async #checkpoint(lessor: Lessor): Promise<void> {
    const checkpoint = lessor.takeCheckpoint(leaseCheckpointMax);
    if (await this.#commit({ kind: 'leaseCheckpoint', ...checkpoint })) lessor.saved(checkpoint);
    else lessor.notSaved();
  }

  /** Runs in the order of the calls. It does not keep the group awake. */
  async #commit(operation: LeaseOperation): Promise<boolean> {
    const request = { writeId: this.#options.newWriteId(), caller: { kind: 'service' }, operation } as const;
    // Sent once: where the alarm CORRUPT refuses it, nothing of it need be in the log at each tick.
    const result = await this.#member.write(request, { quiet: true, mayBeAlone: true });
    return result.kind === 'applied' && result.outcome.kind !== 'failed';
  }
}
