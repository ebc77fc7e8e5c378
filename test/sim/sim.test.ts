import { describe, expect, it } from 'vitest';
import type { PlantedBug } from './bugs.ts';
import { failureInWords, simulate } from './simulation.ts';

// Few and fixed. To explore: node test/sim/main.ts --seeds 1000 --first 1
const seeds = 44;

describe('simulator', () => {
  it('SIM-RUN-1: under the faults of each seed no promise breaks, and after them the group comes back', async () => {
    const counts = new Map<string, number>();
    for (let seed = 1; seed <= seeds; seed++) {
      const report = await simulate({ seed, bug: null });
      if (report.failure !== null) expect.fail(failureInWords(report, report.failure, null));
      for (const [what, times] of report.counts) counts.set(what, (counts.get(what) ?? 0) + times);
    }
    // The seeds are worth something only if the faults happened, and work got done under them.
    for (const what of faultsThatMustHappen) expect(counts.get(what) ?? 0, what).toBeGreaterThan(0);
    expect(counts.get('write answered') ?? 0).toBeGreaterThan(50 * seeds);
  }, 180_000);

  it('SIM-SEED-1: a seed repeats a run exactly', async () => {
    for (const seed of [2, 3]) {
      const first = await simulate({ seed, bug: null });
      const second = await simulate({ seed, bug: null });
      expect(second.fingerprint).toBe(first.fingerprint);
      expect([...second.counts]).toEqual([...first.counts]);
    }
    const [left, right] = [await simulate({ seed: 2, bug: null }), await simulate({ seed: 3, bug: null })];
    expect(left.fingerprint).not.toBe(right.fingerprint);
  });

  it('SIM-CANARY-1: messages that leave before their writes are durable are found', async () => {
    expect(await rulesBroken('replyBeforePersist', 5)).toContain('commit by a durable quorum');
  });

  it('SIM-CANARY-2: a retry under a new id is found', async () => {
    expect(await rulesBroken('retryWithNewId', 5)).toContain('a write is applied once');
  });

  it('SIM-CANARY-3: keepalives that a failover forgets are found', async () => {
    expect(await rulesBroken('leasesNotExtended', 12)).toContain('a lease lives as long as was acknowledged');
  });

  it('SIM-CANARY-4: keys that outlive their lease are found', async () => {
    expect(await rulesBroken('attachedKeyKept', 12)).toContain('events are right');
  });

  it('SIM-CANARY-5: leases that nobody ends while the group sleeps are found', async () => {
    expect(await rulesBroken('alarmNotSet', 5)).toContain('a lease ends within a bound');
  });

  it('SIM-CANARY-6: permissions that are looked at too early are found', async () => {
    expect(await rulesBroken('permissionCheckedEarly', 30)).toContain('nobody sees more than is permitted');
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
  'alarm',
  'lease expired',
  'lease revoked',
  'leases kept alive',
  'leases end asleep',
  'leases end awake',
  'writes denied',
  'failed: permissionDenied',
  'failed: invalidToken',
  'failed: forbidden',
] as const;

async function rulesBroken(bug: PlantedBug, seedsMax: number): Promise<(string | undefined)[]> {
  const rules: (string | undefined)[] = [];
  for (let seed = 1; seed <= seedsMax && rules.at(-1) === undefined; seed++) {
    rules.push((await simulate({ seed, bug })).failure?.rule);
  }
  return rules;
}
