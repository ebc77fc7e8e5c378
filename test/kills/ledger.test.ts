import { describe, expect, it } from 'vitest';
import { KillLedger, type Seen } from './ledger.ts';

/** A store in which `a` was put twice and acknowledged, and a third put was under way when everything was killed. */
function killed(): KillLedger {
  const ledger = new KillLedger();
  for (const [value, revision] of [
    ['1', 2],
    ['2', 3],
  ] as const) {
    ledger.begins('a', value);
    ledger.acknowledged('a', revision);
  }
  ledger.begins('a', '3');
  return ledger;
}

const second: Seen = { key: 'a', value: '2', modRevision: 3, version: 2 };
const third: Seen = { key: 'a', value: '3', modRevision: 4, version: 3 };

describe('KILLS-1: what a kill may do, and what not', () => {
  it('a write without an answer is done once or never, and is then what it was read as', () => {
    for (const pair of [second, third]) {
      const ledger = killed();
      ledger.read('a read', pair.modRevision, [pair]);
      expect([ledger.violations, ledger.begins('a', '4')]).toEqual([[], true]);
    }
    const undecided = killed();
    expect(undecided.begins('a', '4')).toBe(false);
    undecided.read('a read', 4, [third]);
    undecided.read('a later read', 4, [second]);
    expect(undecided.violations).toMatchObject([expect.stringContaining('a later read shows of a')]);
  });

  it.each([
    ['an acknowledged write is lost', 3, [{ key: 'a', value: '1', modRevision: 2, version: 1 }]],
    ['a key is lost', 3, []],
    ['the revision goes back', 2, [second]],
    ['a write is applied twice', 5, [{ ...third, modRevision: 5, version: 4 }]],
    ['a write comes from nowhere', 4, [second, { ...third, key: 'b' }]],
  ] as const)('%s: found', (_, revision, pairs) => {
    const ledger = killed();
    ledger.read('a read', revision, pairs);
    expect(ledger.violations.length).toBe(1);
  });

  it('a watch that leaves a revision out, repeats one, or tells another change is found', () => {
    const event = { key: 'a', value: '2', revision: 3 };
    for (const [next, told] of [
      [3, event],
      [2, event],
      [4, event],
      [3, { ...event, key: 'b' }],
    ] as const) {
      const ledger = killed();
      ledger.told('a watch', next, told);
      expect(ledger.violations.length).toBe(next === 3 && told === event ? 0 : 1);
    }
  });
});
