import { expect, it } from 'vitest';
import { corpusRuns, replayOnServer } from './corpus-runs.ts';

it('CONF-CORPUS-3: the recorded conversations of the short run replay by gRPC with 0 differences', async () => {
  const { compared, byGrpc, differences } = await replayOnServer(corpusRuns().short, { byGrpc: true });
  expect(differences).toEqual([]);
  expect(compared).toBeGreaterThan(5_000);
  expect(byGrpc).toBeGreaterThan(3_000);
}, 300_000);
