import { expect, it } from 'vitest';
import { corpusRuns, replayOnServer } from './corpus-runs.ts';

it('CONF-CORPUS-2: every recorded conversation of the short run replays against Quorate with 0 differences', async () => {
  const { compared, differences } = await replayOnServer(corpusRuns().short);
  expect(differences).toEqual([]);
  expect(compared).toBeGreaterThan(5_000);
}, 300_000);
