import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { runningMs } from './running-time.ts';

it('KILLS-2: time in which the process does not run counts as one tick', async () => {
  const before = runningMs();
  const endMs = performance.now() + 700;
  while (performance.now() < endMs);
  await sleep(1);
  expect(runningMs() - before).toBeLessThanOrEqual(200);
  while (runningMs() < before + 300) await sleep(10);
  expect(performance.now()).toBeGreaterThan(endMs);
});
