import { describe, expect, it } from 'vitest';
import { ElectionTimer } from '../../src/raft/election-timer.ts';
import { seededRandom } from '../../src/raft/random.ts';

function draw(seed: number, count: number): number[] {
  const random = seededRandom(seed);
  return Array.from({ length: count }, () => random());
}

describe('chance', () => {
  it('RAFT-39: a seed decides the sequence, and neighbouring seeds have nothing in common', () => {
    expect(draw(7, 100)).toEqual(draw(7, 100));
    const seen = new Set([0, 1, 2, 3, 4_294_967_295].flatMap((seed) => draw(seed, 100)));
    expect(seen.size).toBe(500);
  });

  it('RAFT-39: numbers are uniform in [0, 1)', () => {
    const buckets = Array.from({ length: 16 }, () => 0);
    for (const drawn of draw(42, 16_000)) {
      expect(drawn >= 0 && drawn < 1).toBe(true);
      const bucket = Math.floor(drawn * 16);
      buckets[bucket] = (buckets[bucket] ?? 0) + 1;
    }
    // Six standard deviations around 1,000.
    for (const count of buckets) expect(Math.abs(count - 1_000)).toBeLessThan(190);
  });
});

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
