// When leases may end, and when they must have ended. Times are the simulator's own; the log says which grant of an id
// is meant.
//
// Not too early: a lease does not end before its ttl has passed since the acknowledged keepalive (or the grant) came to
// the leader. Deadlines are times of day of the leader's clock, and a lease that nobody extends after a rest is ended
// by another replica's clock, so leaders allow for a difference of `leaseClocksDifferMs`. Where clocks differ by no
// more, and no clock jumps, nothing is tolerated but the rounding to milliseconds. Otherwise a lease may end earlier by
// as much as clocks differed in the run.
//
// Not too late: after all faults, a lease that nobody keeps alive ends within `lateAwakeMs` or `lateAsleepMs` of the
// latest time that anything could have put it off to: a keepalive, acknowledged or not, or a new leader of a store that
// is not settled.

import type { LeaseId } from '../../../src/model/brands.ts';
import { leaseClocksDifferMs } from '../../../src/limits.ts';
import type { LeaseOperation } from '../../../src/model/store.ts';
import { check, type Trace } from '../trace.ts';

const lateAwakeMs = 2_000;
const lateAsleepMs = 5_000;
const roundingMs = 1;

/** An id may be granted again. */
type Life = {
  readonly id: LeaseId;
  readonly ttlMs: number;
  readonly grantedIndex: number;
  endedIndex: number;
  /** The time at which its expiry was proposed. Null: it was not proposed, or somebody revoked the lease. */
  expiredMs: number | null;
  promisedUntilMs: number;
  promisedBy: string;
  latestMs: number;
};

export type Answered = { readonly index: number; readonly cameMs: number; readonly who: string };

export class LeaseChecker {
  readonly #nowMs: () => number;
  readonly #trace: Trace;
  readonly #lives = new Map<LeaseId, Life[]>();
  /** The expiries that were proposed, by the entry that they become. */
  readonly #proposedMs = new Map<LeaseOperation, number>();
  #clocks = { earliestMs: 0, latestMs: 0 };
  /** The clock of a leader has jumped, so a lease that it granted ends as much earlier or later. */
  #hasJumped = false;
  #deadlines: { readonly sinceMs: number; readonly lateMs: number } | null = null;

  constructor(nowMs: () => number, trace: Trace) {
    this.#nowMs = nowMs;
    this.#trace = trace;
  }

  /** A clock is wrong by so much from now on. `jumped`: it was wrong by another amount before. */
  clockSet(offsetMs: number, { jumped }: { readonly jumped: boolean }): void {
    this.#hasJumped ||= jumped;
    const { earliestMs, latestMs } = this.#clocks;
    this.#clocks = { earliestMs: Math.min(earliestMs, offsetMs), latestMs: Math.max(latestMs, offsetMs) };
  }

  // What the log says

  granted(id: LeaseId, ttlSeconds: number, index: number): void {
    const lives = this.#lives.get(id) ?? [];
    this.#lives.set(id, lives);
    const ttlMs = ttlSeconds * 1_000;
    this.#trace.count('leases granted');
    lives.push({
      id,
      ttlMs,
      grantedIndex: index,
      endedIndex: Number.POSITIVE_INFINITY,
      expiredMs: null,
      promisedUntilMs: 0,
      promisedBy: '',
      latestMs: this.#nowMs() + ttlMs,
    });
  }

  ended(id: LeaseId, operation: LeaseOperation, index: number): void {
    const life = this.#lives.get(id)?.at(-1);
    check(life !== undefined, 'leases', () => `${id} ends and was never granted`);
    life.endedIndex = index;
    this.#trace.add(
      operation.kind === 'leaseExpire' ? 'lease expired' : 'lease revoked',
      () => `${id} at entry ${index}`,
    );
    if (operation.kind !== 'leaseExpire') return;
    life.expiredMs = this.#proposedMs.get(operation) ?? null;
    check(life.expiredMs !== null, 'leases', () => `${id} is expired by an operation that no lessor proposed`);
    this.#checkNotEarly(life);
    this.#checkNotLate(life);
  }

  // What replicas do

  /** A lessor proposes to end leases. */
  expiryProposed(operation: LeaseOperation): void {
    this.#proposedMs.set(operation, this.#nowMs());
  }

  /** The new leader may have extended all leases. */
  lessorBegan(): void {
    for (const life of this.#alive()) life.latestMs = Math.max(life.latestMs, this.#nowMs() + life.ttlMs);
  }

  /** The keepalive may extend the lease, whether or not it is answered. */
  keepAliveCame(id: LeaseId): void {
    const life = this.#lives.get(id)?.at(-1);
    if (life !== undefined) life.latestMs = Math.max(life.latestMs, this.#nowMs() + life.ttlMs);
  }

  // What clients are told

  grantAcknowledged(
    id: LeaseId,
    index: number,
    { who, beganMs }: { readonly who: string; readonly beganMs: number },
  ): void {
    const life = this.#lives.get(id)?.find((one) => one.grantedIndex === index);
    check(life !== undefined, 'leases', () => `${who} was granted ${id}, which the log does not`);
    this.#promise(life, beganMs + life.ttlMs, who);
  }

  keepAliveAcknowledged(id: LeaseId, ttlSeconds: number | null, { index, cameMs, who }: Answered): void {
    const life = this.#lives.get(id)?.findLast((one) => one.grantedIndex <= index && index < one.endedIndex);
    if (ttlSeconds === null) {
      check(life === undefined, 'keepalives', () => `${who} was told that ${id} is unknown at entry ${index}`);
      return;
    }
    check(life !== undefined, 'keepalives', () => `${who} kept ${id} alive at entry ${index}, where it was not`);
    check(life.ttlMs === ttlSeconds * 1_000, 'keepalives', () => `${who} was told a ttl of ${ttlSeconds} s for ${id}`);
    this.#trace.count('leases kept alive');
    this.#promise(life, cameMs + life.ttlMs, who);
  }

  // The end of a run

  /** From now on nothing is asked of leases any more. */
  expectEnds({ asleep }: { readonly asleep: boolean }): void {
    this.#deadlines = { sinceMs: this.#nowMs(), lateMs: asleep ? lateAsleepMs : lateAwakeMs };
  }

  /** The time at which the last lease must have ended. */
  get lastEndMs(): number {
    return Math.max(this.#nowMs(), ...this.#alive().map((life) => this.#latestEndMs(life)));
  }

  get aliveCount(): number {
    return this.#alive().length;
  }

  checkAllEnded(): void {
    for (const life of this.#alive()) this.#checkNotLate(life);
  }

  #promise(life: Life, untilMs: number, who: string): void {
    if (untilMs > life.promisedUntilMs) {
      life.promisedUntilMs = untilMs;
      life.promisedBy = who;
    }
    this.#checkNotEarly(life);
  }

  #checkNotEarly(life: Life): void {
    const { id, expiredMs, promisedUntilMs, promisedBy } = life;
    if (expiredMs === null) return;
    const isAllowedFor = !this.#hasJumped && this.#spreadMs <= leaseClocksDifferMs;
    const tolerated = isAllowedFor ? roundingMs : this.#spreadMs + roundingMs;
    check(expiredMs >= promisedUntilMs - tolerated, 'a lease lives as long as was acknowledged', () => {
      return `${id} was ended at ${expiredMs.toFixed(2)}; ${promisedBy} was told until ${promisedUntilMs.toFixed(2)}, clocks differed by ${tolerated.toFixed(2)} ms`;
    });
  }

  #checkNotLate(life: Life): void {
    if (this.#deadlines === null) return;
    const endMs = this.#latestEndMs(life);
    check(this.#nowMs() <= endMs, 'a lease ends within a bound', () => {
      const tolerated = this.#deadlines?.lateMs;
      return `${life.id} could have been extended until ${life.latestMs.toFixed(2)} and lives, or ended, ${(this.#nowMs() - endMs).toFixed(2)} ms after the ${tolerated} ms that it may take`;
    });
  }

  /** A clock that is behind ends a lease later by as much. */
  #latestEndMs(life: Life): number {
    const { sinceMs = 0, lateMs = 0 } = this.#deadlines ?? {};
    return Math.max(life.latestMs, sinceMs) + this.#spreadMs + lateMs;
  }

  #alive(): Life[] {
    return [...this.#lives.values()].flatMap((lives) =>
      lives.filter((life) => life.endedIndex === Number.POSITIVE_INFINITY),
    );
  }

  get #spreadMs(): number {
    return this.#clocks.latestMs - this.#clocks.earliestMs;
  }
}
