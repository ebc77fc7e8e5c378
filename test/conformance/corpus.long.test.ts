import { expect, it } from 'vitest';
import { corpusRuns, replayOnServer } from './corpus-runs.ts';

it('CONF-CORPUS-2: every further recorded conversation replays against Quorate with 0 differences', async () => {
  const { compared, differences } = await replayOnServer(corpusRuns().long);
  expect(differences).toEqual([]);
  expect(compared).toBeGreaterThan(7_000);
}, 300_000);
