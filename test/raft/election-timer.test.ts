import { describe, expect, it } from 'vitest';
import { ElectionTimer } from '../../src/raft/election-timer.ts';
import { seededRandom } from '../support/random.ts';

describe('the election timer', () => {
  it('RAFT-40: a time-out lasts from the shortest to just under twice as long, and differs from one to the next', () => {
    const timer = new ElectionTimer({ electionTimeoutTicks: 10, random: seededRandom(1) });
    const seen = new Set<number>();
    for (let round = 0; round < 300; round++) {
      timer.restart();
      while (!timer.hasExpired) timer.tick();
      seen.add(timer.elapsedTicks);
    }
    expect([...seen].sort((left, right) => left - right)).toEqual([10, 11, 12, 13, 14, 15, 16, 17, 18, 19]);
  });

  it('RAFT-40: a leader lives for the shortest time-out after it was heard', () => {
    const timer = new ElectionTimer({ electionTimeoutTicks: 3, random: () => 0.9 });
    expect(timer.leaderLives).toBe(false);
    timer.leaderHeard();
    timer.tick();
    timer.tick();
    expect(timer.leaderLives).toBe(true);
    timer.tick();
    expect([timer.leaderLives, timer.hasExpired]).toEqual([false, false]);
    timer.leaderHeard();
    timer.leaderForgotten();
    expect(timer.leaderLives).toBe(false);
  });
});
