// When a follower takes a suspected leader for gone, in virtual time.

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { logIndex, replicaId, type ReplicaId } from '../../src/model/brands.ts';
import {
  electionTimeoutTicks,
  leaderDoubtfulMs,
  leaderDoubtPauseMs,
  leaderDoubtTurnMs,
  leaderProbeFactor,
  leaderProbeMs,
  leaderSilentMs,
  tickMs,
} from '../../src/limits.ts';
import type { ReadResult } from '../../src/driver/pending-reads.ts';
import { LeaderDoubt } from '../../src/replica/leader-doubt.ts';

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

const leader = replicaId(1);

/** A follower as `LeaderDoubt` sees it. */
class Follower {
  leader: ReplicaId | null = leader;
  resting = false;
  commit = logIndex(7);
  reads = 0;
  /** The outcome of a read, and when it comes. Null: it never comes. */
  read: { readonly afterMs: number; readonly kind: ReadResult['kind'] } | null = null;
  readonly doubt = new LeaderDoubt({ raft: () => this, read: () => this.#read(), nowMs: () => Date.now() });

  constructor() {
    this.doubt.heard(leader);
    vi.advanceTimersByTime(leaderDoubtPauseMs);
    this.doubt.heard(leader);
  }

  #read(): Promise<ReadResult> {
    this.reads++;
    return new Promise((resolve) => {
      if (this.read === null) return;
      const { afterMs, kind } = this.read;
      const result = kind === 'refused' ? { kind, leader: null } : kind === 'halted' ? { kind, reason: '' } : { kind };
      setTimeout(resolve, afterMs, result);
    });
  }

  /** The verdict, and the milliseconds that it took. */
  async look(): Promise<{ readonly isGone: boolean; readonly tookMs: number }> {
    const startMs = Date.now();
    const looked = this.doubt.isGone(leader).then((isGone) => ({ isGone, tookMs: Date.now() - startMs }));
    await vi.advanceTimersByTimeAsync(2_000);
    return looked;
  }
}

async function silentFor(follower: Follower, silentMs: number): Promise<Follower> {
  await vi.advanceTimersByTimeAsync(silentMs);
  return follower;
}

describe('a leader that is not heard', () => {
  it('FAILOVER-1: is gone once it has been silent for leaderSilentMs, and is asked nothing', async () => {
    const early = await silentFor(new Follower(), leaderDoubtfulMs);
    expect(await early.look()).toEqual({ isGone: true, tookMs: leaderSilentMs - leaderDoubtfulMs });
    const late = await silentFor(new Follower(), 10 * leaderSilentMs);
    expect(await late.look()).toEqual({ isGone: true, tookMs: leaderDoubtTurnMs });
    expect(early.reads + late.reads).toBe(0);
  });

  it('FAILOVER-2: is not gone if what it sent arrives once a stall of the process is over', async () => {
    const follower = await silentFor(new Follower(), 10 * leaderSilentMs);
    follower.read = { afterMs: 5, kind: 'ready' };
    setTimeout(() => follower.doubt.heard(leader), leaderDoubtTurnMs - 1);
    expect(await follower.look()).toEqual({ isGone: false, tookMs: leaderDoubtTurnMs + 5 });
  });

  it('FAILOVER-3: in a group that rests silence means nothing: the leader is asked', async () => {
    const follower = await silentFor(new Follower(), 60_000);
    follower.resting = true;
    follower.read = { afterMs: 20, kind: 'ready' };
    expect(await follower.look()).toEqual({ isGone: false, tookMs: 20 });
  });

  it('FAILOVER-4: who leads by then is not the one that was suspected', async () => {
    const follower = await silentFor(new Follower(), leaderSilentMs);
    setTimeout(() => (follower.leader = replicaId(3)), 10);
    expect(await follower.look()).toMatchObject({ isGone: false });
  });
});

describe('a leader that is heard', () => {
  it('FAILOVER-5: lives if it confirms a read in time, and is gone if it refuses, for then it does not lead', async () => {
    const follower = await silentFor(new Follower(), leaderDoubtfulMs - 1);
    follower.read = { afterMs: leaderProbeMs - 1, kind: 'ready' };
    expect(await follower.look()).toEqual({ isGone: false, tookMs: leaderProbeMs - 1 });
    follower.doubt.heard(leader);
    follower.read = { afterMs: 5, kind: 'refused' };
    expect(await follower.look()).toEqual({ isGone: true, tookMs: 5 });
  });

  it('FAILOVER-6: is gone if it neither confirms a read in time nor commits anything; one that commits is busy', async () => {
    const hung = new Follower();
    expect(await hung.look()).toEqual({ isGone: true, tookMs: leaderProbeMs });
    const busy = new Follower();
    setTimeout(() => (busy.commit = logIndex(8)), leaderProbeMs / 2);
    expect(await busy.look()).toEqual({ isGone: false, tookMs: leaderProbeMs });
  });

  it('FAILOVER-7: one that is far has so many times as long as its last confirmation took, up to an election time-out', async () => {
    const farMs = 2 * leaderProbeMs;
    const follower = new Follower();
    follower.read = { afterMs: farMs, kind: 'ready' };
    // Nothing is known of the leader yet.
    expect(await follower.look()).toMatchObject({ isGone: true });
    await vi.advanceTimersByTimeAsync(leaderDoubtPauseMs);
    follower.doubt.heard(leader);
    expect(await follower.look()).toEqual({ isGone: false, tookMs: farMs });
    follower.doubt.heard(leader);
    follower.read = null;
    const most = electionTimeoutTicks * tickMs;
    expect(await follower.look()).toEqual({ isGone: true, tookMs: Math.min(leaderProbeFactor * farMs, most) });
  });

  it('FAILOVER-8: all who suspect it at a time share one look; one that is new, or kept its place, has leaderDoubtPauseMs', async () => {
    const follower = new Follower();
    follower.leader = replicaId(3);
    follower.doubt.heard(follower.leader);
    expect(await follower.doubt.isGone(follower.leader)).toBe(false);
    follower.leader = leader;
    follower.doubt.heard(leader);
    await vi.advanceTimersByTimeAsync(leaderDoubtPauseMs);
    follower.doubt.heard(leader);
    const looks = [follower.doubt.isGone(leader), follower.doubt.isGone(leader)];
    await vi.advanceTimersByTimeAsync(leaderProbeMs);
    expect(await Promise.all(looks)).toEqual([true, true]);
    expect(follower.reads).toBe(1);
    // The group heard the leader after all, and it leads on.
    await vi.advanceTimersByTimeAsync(leaderDoubtPauseMs - 1);
    follower.doubt.heard(leader);
    expect(await follower.doubt.isGone(leader)).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    follower.doubt.heard(leader);
    expect(await follower.look()).toMatchObject({ isGone: true });
    expect(follower.reads).toBe(2);
  });
});
