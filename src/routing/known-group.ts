// What an isolate, or the front, knows of a group from the answers of its replicas: who leads, who the members are and
// where, how fast the leader answers. All of it is a hint: a wrong hint costs time, and a later answer corrects it.

import type { PlacedMember } from '../model/calls.ts';
import {
  attemptHedgeFactor,
  attemptHedgeLatestMs,
  attemptHedgeMs,
  membersKnownMs,
  nearestAvoidedMs,
} from '../limits.ts';
import { distanceTo, type Point } from '../model/nearness.ts';

/**
 * The nearest replica answers. Where the reader is not known (null), a follower does: it is no further away than the
 * leader.
 */
export type Reader = { readonly point: Point | null };

/** The weight of the newest answer in the moving average of how long the leader takes. */
const newestPart = 1 / 8;
/** The numbers in every new group of three or five replicas, tried until the members are known. */
const firstMembers = [1, 2, 3];

export class KnownGroup {
  leader = 1;
  #members: readonly PlacedMember[] = [];
  #numbers: readonly number[] = firstMembers;
  #membersMs = 0;
  #answeredMs = 0;
  #usualMs = 0;
  #writesSeen: number | null = null;
  /** Replicas that did not answer a reader, each with the time until which readers go elsewhere. */
  readonly #avoided = new Map<number, number>();

  // How many writes there were

  /** How many writes of the group were ever remembered, as far as a replica has told. Null: none has. */
  get writesSeen(): number | null {
    return this.#writesSeen;
  }

  /** Replicas may be behind each other, and the greatest count is the newest. */
  counted(writes: number): void {
    if (this.#writesSeen === null || writes > this.#writesSeen) this.#writesSeen = writes;
  }

  // Who leads, and how fast it answers

  /** The replica answered a call as the leader. `tookMs` is null where the answer took longer than it usually does. */
  answered(replica: number, tookMs: number | null, nowMs: number): void {
    if (replica !== this.leader) this.#usualMs = 0;
    this.leader = replica;
    this.#answeredMs = nowMs;
    if (tookMs === null) return;
    this.#usualMs = this.#usualMs === 0 ? tookMs : this.#usualMs + (tookMs - this.#usualMs) * newestPart;
  }

  /** How long an answer may take before a second replica is asked beside the first. */
  get hedgeMs(): number {
    return Math.min(Math.max(attemptHedgeMs, attemptHedgeFactor * this.#usualMs), attemptHedgeLatestMs);
  }

  /**
   * When a call that has waited since `sinceMs` may suspect the leader: once the leader has answered no call for
   * `patienceMs`. A busy leader answers other calls meanwhile, which delays the suspicion, but no longer than
   * `attemptHedgeLatestMs`.
   */
  suspectAtMs(sinceMs: number, patienceMs: number): number {
    const silentMs = Math.max(sinceMs, this.#answeredMs) + patienceMs;
    return Math.min(silentMs, sinceMs + Math.max(patienceMs, attemptHedgeLatestMs));
  }

  // Who the members are, and where

  /** The members in the order in which they are tried. It is a guess until a replica has told them. */
  get candidates(): readonly number[] {
    return this.#numbers;
  }

  next(replica: number): number {
    const numbers = this.#numbers;
    return numbers[(numbers.indexOf(replica) + 1) % numbers.length] ?? 1;
  }

  told(members: readonly PlacedMember[], nowMs: number): void {
    if (members.length === 0) return;
    // A replica that was removed knows which members stayed, but not where they run.
    this.#members = members.every(({ location }) => location !== '') ? members : [];
    this.#numbers = members.map(({ number }) => number);
    this.#membersMs = nowMs;
    for (const replica of this.#avoided.keys()) if (!this.#numbers.includes(replica)) this.#avoided.delete(replica);
  }

  /**
   * null where the members must be asked for: they are not known, or were told so long ago that they may have changed.
   */
  nearestTo({ point }: Reader, nowMs: number): number | null {
    if (this.#members.length === 0 || nowMs - this.#membersMs >= membersKnownMs) return null;
    const able = this.#members.filter(({ number }) => (this.#avoided.get(number) ?? 0) <= nowMs);
    if (point === null) return able.find(({ number }) => number !== this.leader)?.number ?? this.leader;
    const far = able.map(({ number, location }) => ({ number, distance: distanceTo(location, point) }));
    return far.toSorted((left, right) => left.distance - right.distance)[0]?.number ?? this.leader;
  }

  /** The replica did not answer a reader, or another replica answered sooner. */
  avoid(replica: number, nowMs: number): void {
    this.#avoided.set(replica, nowMs + nearestAvoidedMs);
  }
}
