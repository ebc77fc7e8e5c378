// What an isolate knows of a group from the answers of its replicas: who leads, who the members are and where, how fast
// the leader answers. Hints alone: whatever is wrong here costs time, and is set right by a later answer.

import type { PlacedMember } from '../model/calls.ts';
import {
  attemptHedgeFactor,
  attemptHedgeLatestMs,
  attemptHedgeMs,
  membersKnownMs,
  nearestAvoidedMs,
} from '../limits.ts';
import { distanceTo } from '../tenants/nearness.ts';
import type { Reader } from './read-target.ts';

/** What one answer counts in what is usual. */
const newestPart = 1 / 8;
/** Every new group but one of a single replica has these. */
const firstMembers = [1, 2, 3];

export class KnownGroup {
  leader = 1;
  #members: readonly PlacedMember[] = [];
  #numbers: readonly number[] = firstMembers;
  #membersMs = 0;
  #answeredMs = 0;
  #usualMs = 0;
  /** Replicas that did not answer a reader, and until when readers go elsewhere. */
  readonly #avoided = new Map<number, number>();

  // Who leads, and how fast it answers

  /** The leader answered a call, and not by sending it on. `tookMs` null: longer than it usually does. */
  answered(replica: number, tookMs: number | null, nowMs: number): void {
    if (replica !== this.leader) this.#usualMs = 0;
    this.leader = replica;
    this.#answeredMs = nowMs;
    if (tookMs === null) return;
    this.#usualMs = this.#usualMs === 0 ? tookMs : this.#usualMs + (tookMs - this.#usualMs) * newestPart;
  }

  /** How long an answer may take before another replica is asked, too. */
  get hedgeMs(): number {
    return Math.min(Math.max(attemptHedgeMs, attemptHedgeFactor * this.#usualMs), attemptHedgeLatestMs);
  }

  /**
   * When those who have waited since then may suspect the leader: once it has answered nothing for so long. A busy one
   * answers other calls meanwhile; but that puts it off no further than `attemptHedgeLatestMs`.
   */
  suspectAtMs(sinceMs: number, patienceMs: number): number {
    const silentMs = Math.max(sinceMs, this.#answeredMs) + patienceMs;
    return Math.min(silentMs, sinceMs + Math.max(patienceMs, attemptHedgeLatestMs));
  }

  // Who the members are, and where

  /** In the order in which they are tried; a guess before they were told. */
  get candidates(): readonly number[] {
    return this.#numbers;
  }

  next(replica: number): number {
    const numbers = this.#numbers;
    return numbers[(numbers.indexOf(replica) + 1) % numbers.length] ?? 1;
  }

  told(members: readonly PlacedMember[], nowMs: number): void {
    if (members.length === 0) return;
    // A replica that was removed knows who stayed, and not where they run.
    this.#members = members.every(({ location }) => location !== '') ? members : [];
    this.#numbers = members.map(({ number }) => number);
    this.#membersMs = nowMs;
    for (const replica of this.#avoided.keys()) if (!this.#numbers.includes(replica)) this.#avoided.delete(replica);
  }

  /** null: ask who the members are. They may have changed since they were told. */
  nearestTo({ point }: Reader, nowMs: number): number | null {
    if (this.#members.length === 0 || nowMs - this.#membersMs >= membersKnownMs) return null;
    const able = this.#members.filter(({ number }) => (this.#avoided.get(number) ?? 0) <= nowMs);
    if (point === null) return able.find(({ number }) => number !== this.leader)?.number ?? this.leader;
    const far = able.map(({ number, location }) => ({ number, distance: distanceTo(location, point) }));
    return far.toSorted((left, right) => left.distance - right.distance)[0]?.number ?? this.leader;
  }

  /** It did not answer a reader, or another replica did sooner. */
  avoid(replica: number, nowMs: number): void {
    this.#avoided.set(replica, nowMs + nearestAvoidedMs);
  }
}
