import { describe, expect, it } from 'vitest';
import type { HistoryEntry } from '../sim/linearizability.ts';
import { porcupineJson } from './porcupine.ts';
import { chaos } from './run.ts';
import { checkTruth, Watching } from './watching.ts';
import { Random } from '../sim/random.ts';

describe('chaos on a real server', () => {
  it('CHAOS-1: with aborts, cut and slow calls and kills, answers fit one order and watches miss nothing', async () => {
    const report = await chaos({ seed: 7, seconds: 12, historyFile: null });
    expect(report.faults).toEqual([]);
    expect(report.operations).toBeGreaterThan(100);
    expect([...report.counts.keys()].some((what) => what.startsWith('fault '))).toBe(true);
  }, 120_000);

  it('CHAOS-2: a history can be written as porcupine reads it', () => {
    const entry: HistoryEntry = {
      name: 'c3-1',
      action: { kind: 'login', name: 'x' },
      calledMs: 1,
      answeredMs: Number.POSITIVE_INFINITY,
      told: null,
    };
    const [written]: unknown[] = JSON.parse(porcupineJson([entry]));
    expect(written).toMatchObject({ ClientId: 3, Call: 1_000_000, Return: 1_000_000, Output: null });
  });

  it('CHAOS-3: the checks find a gap, a repetition, an invented revision and a wrong previous value', () => {
    const truth = new Map([
      [2, 'put a=1 was -'],
      [3, 'put a=2 was 1'],
    ]);
    expect(checkTruth(truth, 3)).toEqual([]);
    expect(
      checkTruth(
        new Map([
          [2, 'put a=1 was -'],
          [3, 'put a=2 was 9'],
        ]),
        3,
      ),
    ).toHaveLength(1);
    expect(checkTruth(new Map([[2, 'put a=1 was -']]), 3)).toHaveLength(1);
    const watching = new Watching(() => ({ url: '', key: '' }), new Random(1), 2);
    watching.take({ type: 'events', revision: 3, events: [event(3, 'a', '2', '1')] });
    expect(watching.check(truth)).toEqual([expect.stringContaining('revision 2 is missing')]);
    watching.take({ type: 'events', revision: 3, events: [event(3, 'a', '2', '1')] });
    expect(watching.check(truth)).toContainEqual(expect.stringContaining('unique'));
    watching.take({ type: 'events', revision: 4, events: [event(4, 'a', '3', '2')] });
    expect(watching.check(truth)).toContainEqual(expect.stringContaining('revision 4 never was'));
  });
});

function event(revision: number, key: string, value: string, prev: string) {
  return { type: 'put', kv: { key, value, mod_revision: revision }, prev: { value: prev } };
}
