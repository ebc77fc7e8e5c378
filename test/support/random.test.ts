import { describe, expect, it } from 'vitest';
import { seededRandom } from './random.ts';

function draw(seed: number, count: number): number[] {
  const random = seededRandom(seed);
  return Array.from({ length: count }, () => random());
}

describe('the randomness of tests', () => {
  it('SIM-SEED-2: a seed decides the sequence, and neighbouring seeds have nothing in common', () => {
    expect(draw(7, 100)).toEqual(draw(7, 100));
    const seen = new Set([0, 1, 2, 3, 4_294_967_295].flatMap((seed) => draw(seed, 100)));
    expect(seen.size).toBe(500);
  });

  it('SIM-SEED-2: numbers are uniform in [0, 1)', () => {
    const buckets = Array.from({ length: 16 }, () => 0);
    for (const drawn of draw(42, 16_000)) {
      expect(drawn >= 0 && drawn < 1).toBe(true);
      const bucket = Math.floor(drawn * 16);
      buckets[bucket] = (buckets[bucket] ?? 0) + 1;
    }
    // The bound is six standard deviations around 1,000.
    for (const count of buckets) expect(Math.abs(count - 1_000)).toBeLessThan(190);
  });
});
