// A call whose first replica did not answer, or not in time. The search asks other replicas, one after the other or
// beside each other, until one answers. The first answer counts, and the attempts that are still under way are then
// given up.

import { attemptLongMs, attemptTimeoutMs, requestTimeoutMs } from '../limits.ts';
import { type Attempted, type GroupCall, type Routed, start, type Started, type Told, toLeader } from './attempts.ts';
import type { KnownGroup } from './known-group.ts';

export type SearchOptions<Value> = {
  readonly call: GroupCall<Value>;
  readonly group: KnownGroup;
  /** When the call as a whole is given up, however many searches were made for it. */
  readonly deadlineMs: number;
};

type Ended<Value> = { readonly started: Started<Value>; readonly attempted: Attempted<Value> };
/** Which replica to ask next, from when on, and which leader that replica is to suspect (0: none). */
type Plan = { readonly replica: number; readonly atMs: number; readonly suspected: number };

/**
 * So many attempts follow each other without a pause. From then on pauses protect a group that stays without a leader.
 */
const attemptsAtOnce = 4;
const pauseMs = 20;
const pauseMsMax = 250;
const never = Number.POSITIVE_INFINITY;

export class Search<Value> {
  readonly #call: GroupCall<Value>;
  readonly #group: KnownGroup;
  readonly #pending = new Set<Started<Value>>();
  #ended: Ended<Value>[] = [];
  #broken: { readonly error: unknown } | null = null;
  #wake: () => void = () => {};

  /** The leader, as far as this call has been told. */
  #leader: number;
  #failed = 0;
  /** Whether a replica has said, since the last hedge, that the leader lives. */
  #leaderLives = false;
  readonly #absent = new Set<number>();
  #attempts = 0;
  #lastAsked = 0;
  /** The next attempt; null while attempts under way may still answer. */
  #plan: Plan | null = null;
  /**
   * Since when, and for how long, the search waits for the attempts under way before it asks another replica beside
   * them.
   */
  #waitingSinceMs = 0;
  #patienceMs: number;
  #deadlineMs: number;

  constructor({ call, group, deadlineMs }: SearchOptions<Value>) {
    this.#call = call;
    this.#group = group;
    this.#deadlineMs = deadlineMs;
    this.#patienceMs = group.hedgeMs;
    this.#leader = group.leader;
  }

  /** Runs until the call is answered or given up. `first` is the first attempt of the call. */
  async run(first: Started<Value>): Promise<Routed<Value>> {
    this.#follow(first);
    try {
      for (;;) {
        const routed = this.#takeEnded() ?? this.#goOn(Date.now());
        if (routed !== null) return routed;
        await this.#pause();
        if (this.#broken !== null) throw this.#broken.error;
      }
    } finally {
      for (const started of this.#pending) this.#giveUp(started);
    }
  }

  // Attempts under way

  #follow(started: Started<Value>): void {
    this.#attempts++;
    this.#pending.add(started);
    this.#waitingSinceMs = started.startedMs;
    started.answer.then(
      (attempted) => {
        this.#ended.push({ started, attempted });
        this.#wake();
      },
      (error: unknown) => {
        this.#broken ??= { error };
        this.#wake();
      },
    );
  }

  #ask(replica: number, suspected: number): void {
    this.#lastAsked = replica;
    const told = { ...toldOf(this.#group, this.#call, replica), failed: this.#failed, suspected };
    this.#follow(start(this.#call, { replica, told, abort: new AbortController() }));
  }

  #giveUp(started: Started<Value>): void {
    started.abort?.abort();
    this.#pending.delete(started);
    if (started.told.read === 'nearest') this.#group.avoid(started.replica, Date.now());
  }

  /** Waits until an attempt ends, or until the next moment at which there is something to do. */
  async #pause(): Promise<void> {
    if (this.#ended.length > 0 || this.#broken !== null) return;
    const untilMs = this.#nextMomentMs;
    await new Promise<void>((resolve) => {
      const timer = untilMs === never ? null : setTimeout(resolve, untilMs - Date.now());
      this.#wake = () => {
        if (timer !== null) clearTimeout(timer);
        resolve();
      };
    });
  }

  get #nextMomentMs(): number {
    const { patience } = this.#call;
    const waits = patience === 'waits' && this.#pending.size > 0;
    const deadlineMs = waits ? never : this.#deadlineMs;
    const expiryMs = waits ? never : Math.min(...[...this.#pending].map(expiryOf));
    const hedgeMs = patience === 'hedged' && this.#pending.size > 0 ? this.#hedgeAtMs : never;
    return Math.min(deadlineMs, expiryMs, hedgeMs, this.#plan?.atMs ?? never);
  }

  get #hedgeAtMs(): number {
    return this.#group.suspectAtMs(this.#waitingSinceMs, this.#patienceMs);
  }

  // Attempts that have ended

  #takeEnded(): Routed<Value> | null {
    const ended = this.#ended;
    this.#ended = [];
    for (const { started, attempted } of ended) {
      // The answer of an attempt that was given up does not count.
      if (!this.#pending.delete(started)) continue;
      const routed = this.#take(started, attempted, Date.now());
      if (routed !== null) return routed;
    }
    return null;
  }

  #take(started: Started<Value>, attempted: Attempted<Value>, nowMs: number): Routed<Value> | null {
    const { replica, startedMs, told } = started;
    // A replica that kept the call that long was serving it. The time for finding another replica begins anew.
    if (this.#call.patience === 'waits' && nowMs - startedMs >= attemptLongMs)
      this.#deadlineMs = nowMs + requestTimeoutMs;
    switch (attempted.kind) {
      case 'done':
        noteAnswer(this.#group, this.#call, started);
        return attempted;
      case 'failed':
        if (told.read === 'nearest') return this.#leaveNearest(started, nowMs);
        this.#failed = replica;
        break;
      case 'left':
        return unavailable;
      case 'absent':
        this.#absent.add(replica);
        if (this.#group.candidates.every((candidate) => this.#absent.has(candidate))) return { kind: 'absent' };
        break;
      case 'redirect': {
        const { leader, members } = attempted;
        this.#group.told(members, nowMs);
        if (told.read === 'members') {
          this.#planFor(this.#nearest(nowMs), nowMs);
          return null;
        }
        if (told.read === 'nearest') {
          if (leader !== 0) this.#leader = leader;
          return this.#leaveNearest(started, nowMs);
        }
        if (leader !== 0 && leader !== replica) {
          this.#goTo(leader, nowMs);
          return null;
        }
        break;
      }
    }
    if (this.#pending.size === 0) this.#planFor(this.#group.next(replica), nowMs);
    return null;
  }

  #leaveNearest({ replica }: Started<Value>, nowMs: number): null {
    this.#group.avoid(replica, nowMs);
    if (this.#underWayAt(this.#leader) === 0) this.#planFor(this.#leader, nowMs);
    return null;
  }

  /** A replica said who leads, and that the leader lives. */
  #goTo(leader: number, nowMs: number): void {
    this.#leader = leader;
    if (this.#underWayAt(leader) === 0) return this.#planFor(leader, nowMs);
    this.#leaderLives = true;
    this.#waitingSinceMs = nowMs;
    this.#patienceMs *= 2;
  }

  #planFor(replica: number, nowMs: number, suspected = 0): void {
    this.#plan = { replica, atMs: nowMs + attemptPauseMs(this.#attempts), suspected };
  }

  // What is due

  #goOn(nowMs: number): Routed<Value> | null {
    const waits = this.#call.patience === 'waits' && this.#pending.size > 0;
    if (!waits) {
      if (nowMs >= this.#deadlineMs) return unavailable;
      this.#giveUpLate(nowMs);
    }
    const plan = this.#plan;
    if (plan !== null && nowMs >= plan.atMs) {
      this.#plan = null;
      if (this.#underWayAt(plan.replica) === 0) this.#ask(plan.replica, plan.suspected);
    }
    if (this.#call.patience === 'hedged' && this.#pending.size > 0 && nowMs >= this.#hedgeAtMs) this.#hedge(nowMs);
    return null;
  }

  #giveUpLate(nowMs: number): void {
    for (const started of this.#pending) {
      if (nowMs < expiryOf(started)) continue;
      this.#giveUp(started);
      if (this.#pending.size > 0 || this.#plan !== null) continue;
      this.#planFor(this.#group.next(started.replica), nowMs, started.replica);
    }
  }

  /**
   * Asks one more replica. Where the leader is known to live, its call may be lost, and the leader is asked a second
   * time. Otherwise another replica is asked, which finds out whether the leader lives before it stands for election.
   */
  #hedge(nowMs: number): void {
    this.#waitingSinceMs = nowMs;
    const atLeader = this.#underWayAt(this.#leader);
    if (atLeader === 0) return this.#ask(this.#leader, 0);
    const isLost = this.#leaderLives && atLeader === 1;
    this.#leaderLives = false;
    if (isLost) return this.#ask(this.#leader, 0);
    let replica = this.#lastAsked === 0 ? this.#leader : this.#lastAsked;
    for (const _ of this.#group.candidates) {
      replica = this.#group.next(replica);
      if (this.#underWayAt(replica) === 0) return this.#ask(replica, this.#leader);
    }
  }

  #underWayAt(replica: number): number {
    let count = 0;
    for (const started of this.#pending) if (started.replica === replica) count++;
    return count;
  }

  #nearest(nowMs: number): number {
    return (this.#call.reader === null ? null : this.#group.nearestTo(this.#call.reader, nowMs)) ?? this.#leader;
  }
}

/** How long the next attempt waits, where so many were made. */
export function attemptPauseMs(attempts: number): number {
  const pauses = attempts - attemptsAtOnce;
  return pauses < 0 ? 0 : Math.min(pauseMs * 2 ** pauses, pauseMsMax);
}

export const unavailable: Routed<never> = { kind: 'unavailable' };

function expiryOf({ startedMs }: Started<unknown>): number {
  return startedMs + attemptTimeoutMs;
}

/**
 * What a replica is told with a call that is for the leader or for the nearest replica. The body of a stream cannot be
 * sent a second time after a redirect.
 */
export function toldOf<Value>(group: KnownGroup, { reader, patience }: GroupCall<Value>, replica: number): Told {
  if (reader === null) return toLeader;
  if (patience !== 'waits' && group.nearestTo(reader, Date.now()) === null) return { ...toLeader, read: 'members' };
  return replica === group.leader ? toLeader : { ...toLeader, read: 'nearest' };
}

/** Remembers what the answer of `started` says of the group. */
export function noteAnswer<Value>(
  group: KnownGroup,
  call: GroupCall<Value>,
  { replica, told, startedMs }: Started<Value>,
): void {
  if (told.read !== 'leader') return;
  const nowMs = Date.now();
  const isUsual = call.patience === 'hedged' && told.failed === 0 && told.suspected === 0;
  group.answered(replica, isUsual ? nowMs - startedMs : null, nowMs);
}
