import { describe, expect, it } from 'vitest';
import { failureInWords, simulate } from './simulation.ts';

// Few and fixed. To explore: node test/sim/main.ts --seeds 1000 --first 1
const seeds = 80;

describe('simulator', () => {
  it('SIM-RUN-1: under the faults of each seed no promise breaks, and after them the group comes back', () => {
    const counts = new Map<string, number>();
    for (let seed = 1; seed <= seeds; seed++) {
      const report = simulate({ seed, bug: null });
      if (report.failure !== null) expect.fail(failureInWords(report, report.failure, null));
      for (const [what, times] of report.counts) counts.set(what, (counts.get(what) ?? 0) + times);
    }
    // The seeds are worth something only if the faults happened, and work got done under them.
    for (const what of faultsThatMustHappen) expect(counts.get(what) ?? 0, what).toBeGreaterThan(0);
    expect(counts.get('write answered') ?? 0).toBeGreaterThan(50 * seeds);
  }, 180_000);

  it('SIM-SEED-1: a seed repeats a run exactly', () => {
    for (const seed of [2, 3]) {
      const first = simulate({ seed, bug: null });
      const second = simulate({ seed, bug: null });
      expect(second.fingerprint).toBe(first.fingerprint);
      expect([...second.counts]).toEqual([...first.counts]);
    }
    expect(simulate({ seed: 2, bug: null }).fingerprint).not.toBe(simulate({ seed: 3, bug: null }).fingerprint);
  });

  it('SIM-CANARY-1: messages that leave before their writes are durable are found', () => {
    expect(rulesBroken('replyBeforePersist', 5)).toContain('commit by a durable quorum');
  });

  it('SIM-CANARY-2: a retry under a new id is found', () => {
    expect(rulesBroken('retryWithNewId', 5)).toContain('a write is applied once');
  });
});

const faultsThatMustHappen = [
  'messages dropped',
  'messages duplicated',
  'messages late',
  'partition',
  'one-way partition',
  'slow link',
  'pause',
  'clock jump',
  'rest',
  'evicted',
  'transfer',
  'crash',
  'crashes that lost writes',
  'crashes before sendEarly',
  'crashes before write',
  'crashes before written',
  'crashes before send',
  'crashes before answer',
  'crashes after a sync',
  'rivals',
  'requests lost',
  'requests duplicated',
  'answers lost',
  'retries in the log',
] as const;

function rulesBroken(bug: 'replyBeforePersist' | 'retryWithNewId', seedsMax: number): (string | undefined)[] {
  return Array.from({ length: seedsMax }, (_, place) => simulate({ seed: place + 1, bug }).failure?.rule);
}
