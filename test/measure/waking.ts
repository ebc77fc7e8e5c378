// `npm run waking`: how long the first call takes on a group that rests.

import { setTimeout as sleep } from 'node:timers/promises';
import { commandLine } from '../../src/cli/command-line.ts';
import { wholeNumber } from '../support/option-values.ts';
import { startQuorate } from '../support/quorate-process.ts';

/** The group rests after 5 quiet seconds. */
const restMs = 6_500;

const help = `Usage: npm run waking -- [options]

Measures the first call on a group that rests: with all three objects in memory, without the leader's, without a follower's, without any.

  --rounds N     how often each is measured, with a put and with a get; a round takes 13 s (7)
  --help         print this
`;

const values = commandLine(help, { rounds: { type: 'string', default: '7' } });
const rounds = wholeNumber('--rounds', values.rounds);

const server = await startQuorate({ arguments: ['--fault-port', '0'] });
try {
  const { url, tenant, faultUrl } = server.ready;
  const headers = { 'Quorate-Key': tenant.key };
  const call = async (method: 'PUT' | 'GET'): Promise<number> => {
    const startMs = performance.now();
    const body = method === 'PUT' ? { body: 'x' } : {};
    const response = await fetch(`${url}/v1/kv/waking`, { method, headers, ...body });
    await response.arrayBuffer();
    if (response.status !== 200) throw new Error(`${method} answered ${response.status}`);
    return performance.now() - startMs;
  };
  const forget = async (replica: number): Promise<void> => {
    const body = JSON.stringify({ tenant: tenant.id, replica });
    const response = await fetch(`${faultUrl ?? ''}/abort`, { method: 'POST', headers, body });
    await response.arrayBuffer();
    if (!response.ok) throw new Error(`the abort answered ${response.status}`);
  };
  const leaderOf = async (): Promise<number> => {
    const status = (await (await fetch(`${url}/v1/status`, { headers })).json()) as { leader: number };
    return status.leader;
  };
  const cases: readonly [string, (leader: number) => readonly number[]][] = [
    ['all objects in memory', () => []],
    ['all but the leader', (leader) => [leader]],
    ['all but a follower', (leader) => [(leader % 3) + 1]],
    ['no object in memory', () => [1, 2, 3]],
  ];
  await call('PUT');
  console.log(`${rounds} rounds; milliseconds of the first call, median (worst)`);
  for (const [name, gone] of cases) {
    const times = { PUT: [] as number[], GET: [] as number[] };
    for (let round = 0; round < 2 * rounds; round++) {
      const leader = await leaderOf();
      await sleep(restMs);
      for (const replica of gone(leader)) await forget(replica);
      const method = round % 2 === 0 ? 'PUT' : 'GET';
      times[method].push(await call(method));
    }
    console.log(`  ${name.padEnd(24)} put ${summary(times.PUT)}   get ${summary(times.GET)}`);
  }
} finally {
  await server.dispose();
}

function summary(measured: readonly number[]): string {
  const sorted = measured.toSorted((left, right) => left - right);
  return `${(sorted[Math.floor(sorted.length / 2)] ?? 0).toFixed(1)} (${(sorted.at(-1) ?? 0).toFixed(1)})`;
}
