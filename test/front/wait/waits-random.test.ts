// Random crashes, sleeps, breaks and changes of the leader against clients who wait in one queue by session. A failure
// names its seed, and `WAIT_SEED=n npx vitest run test/front/wait/waits-random.test.ts` runs it alone.

import { describe, expect, it } from 'vitest';
import { attemptLongMs, sessionWaitGraceMs } from '../../../src/limits.ts';
import { Random } from '../../support/random.ts';
import { type WaitingBug, WaitingClient, WaitingGroup } from './waiting-group.ts';

const named = process.env['WAIT_SEED'];
const seeds = named === undefined ? Array.from({ length: 12 }, (_, index) => index + 1) : [Number(named)];
const faultyMs = 60_000;
const clientCount = 4;

/** What did not hold. */
async function violationsOf(seed: number, bug: WaitingBug | null): Promise<readonly string[]> {
  const random = new Random(seed);
  const group = new WaitingGroup(random, bug);
  const clients = Array.from({ length: clientCount }, (_, number) => new WaitingClient(group, number));
  let isFaulty = true;
  const again = (meanMs: number, act: () => void): void => {
    group.later(random.exponential(meanMs), () => {
      if (!isFaulty) return;
      act();
      again(meanMs, act);
    });
  };
  again(3_000, () => random.pick(group.replicas).restart(random.chance(0.5)));
  again(2_000, () => random.pick(clients).cut());
  again(4_000, () => {
    group.leads(0);
    const next = random.pick([1, 2, 3]);
    group.later(random.exponential(500), () => group.leads(next));
  });
  for (const client of clients) {
    again(400, () => {
      if (client.state === 'idle') client.wait();
      else if (client.state === 'holding') client.release();
      else if (random.chance(0.15)) client.leave();
    });
  }
  await group.run(faultyMs);
  isFaulty = false;
  if (group.leader === 0) group.leads(1);
  // Each one who waits is served, once places that nobody could give up have gone with their leases.
  for (const client of clients) {
    if (client.state === 'holding') client.release();
    client.served = 0;
  }
  const serve = (): boolean => {
    for (const client of clients) {
      if (client.state === 'idle' && client.served === 0) client.wait();
      if (client.state === 'holding') client.release();
    }
    return clients.every(({ served }) => served > 0);
  };
  if (!(await group.run(120_000, serve))) group.violations.push('who waits is served in the end');
  for (const client of clients) if (client.state !== 'idle') client.leave();
  // One holds, and the others leave.
  await group.run(2 * sessionWaitGraceMs);
  const [first, ...others] = clients;
  first?.wait();
  await group.run(10_000, () => first?.state === 'holding');
  for (const client of others) client.wait();
  await group.run(1_000);
  if (group.places.length !== clientCount) group.violations.push('each has a place');
  for (const client of others) client.leave();
  // One that has moved to another leader a moment ago leaves once it is known to stand there.
  await group.run(attemptLongMs + 1_000);
  if (group.places.some(({ key }) => key !== first?.key)) group.violations.push('who left has no place');
  return group.violations;
}

describe('waits of several clients, with all that may go wrong', () => {
  it('FRONT-WAIT-6: one holds, each who waits is served, and who left has no place', async () => {
    for (const seed of seeds) expect(await violationsOf(seed, null), `seed ${seed}`).toEqual([]);
  });

  it.each([
    ['placeNotLeft', 'who left has no place'],
    ['secondPlace', 'a wait has one place'],
    ['turnTooEarly', 'one holds'],
  ] as const)('FRONT-WAIT-6: these checks find what is wrong on purpose: %s', async (bug, rule) => {
    const found: string[] = [];
    for (const seed of [1, 2, 3, 4]) found.push(...(await violationsOf(seed, bug)));
    expect(found).toContain(rule);
  });
});
