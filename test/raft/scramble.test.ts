// Random runs. A failure names its seed; `RAFT_SEED=n vitest run test/raft/scramble.test.ts` plays that one alone, and
// `RAFT_SEEDS=first-last` a range of others.

import { describe, expect, it } from 'vitest';
import { scramble, type Counts, type PlantedBug } from './scramble.ts';

const stepsMax = 1_500;
/** Runs that once failed. */
const pinned = [
  // A late answer to an old term confirmed a round of the new one.
  3_296,
];

function seeds(): readonly number[] {
  const one = process.env['RAFT_SEED'];
  const [first, last] = (one === undefined ? (process.env['RAFT_SEEDS'] ?? '1-100') : `${one}-${one}`)
    .split('-')
    .map(Number);
  const from = first ?? 1;
  const range = Array.from({ length: (last ?? from) - from + 1 }, (_, place) => from + place);
  return one === undefined ? [...range, ...pinned] : range;
}

function run(seed: number): Counts {
  try {
    return scramble({ seed, stepsMax });
  } catch (error) {
    throw new Error(`seed ${seed}: RAFT_SEED=${seed} vitest run test/raft/scramble.test.ts`, { cause: error });
  }
}

function isFound(bug: PlantedBug, property: RegExp): boolean {
  for (let seed = 1; seed <= 300; seed++) {
    try {
      scramble({ seed, stepsMax, bug });
    } catch (error) {
      if (error instanceof Error && property.test(error.message)) return true;
    }
  }
  return false;
}

describe('random runs', () => {
  it('RAFT-20: safety under faults, and life after they end', () => {
    const total: Counts = { commits: 0, leaders: 0, reads: 0, crashes: 0 };
    const all = seeds();
    for (const seed of all) {
      const counts = run(seed);
      total.commits += counts.commits;
      total.leaders += counts.leaders;
      total.reads += counts.reads;
      total.crashes += counts.crashes;
    }
    // Runs in which nothing happens would hold everything.
    for (const count of Object.values(total)) expect(count).toBeGreaterThan(all.length);
  });

  it('RAFT-21: a replica that forgets its vote is found by the checkers', () => {
    expect(isFound('forgetsVotes', /^election safety|a term has one leader/)).toBe(true);
  });

  it('RAFT-22: a replica that forgets entries it acknowledged is found by the checkers', () => {
    expect(isFound('forgetsEntries', /^leader completeness|^state machine safety|matches beyond|committed entry/)).toBe(
      true,
    );
  });
});
