// `npm run fairness`: what five hostile tenants cost 45 others of the same server. The quiet ones put and get at a
// steady pace, first alone, and then beside the hostile ones, which have a plan.

import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { setTimeout as sleep } from 'node:timers/promises';
import { commandLine } from '../../src/cli/command-line.ts';
import { percentileOf } from '../bench/figures.ts';
import { choice, wholeNumber } from '../support/option-values.ts';
import { type Ready, startQuorate } from '../support/quorate-process.ts';
import { hostileWays } from './fairness-ways.ts';

const paceMs = 500;
/** The goal: the p99 of a quiet tenant beside hostile ones, over its p99 alone. */
const factorMax = 2;

const help = `Usage: npm run fairness -- [options]

Starts a server with 50 tenants, of which five are hostile: huge lists, huge transactions, thousands of watches, logins, slow readers.
Prints the latencies of the others, alone and beside them, and ends with 1 where their p99 is more than ${factorMax} times as long.

  --seconds N    how long each is measured (15)
  --quiet N      how many tenants are quiet (45)
  --replicas N   the replicas of each tenant (1)
  --plan NAME    the plan of the hostile tenants: free, standard or large (free)
  --help         print this
`;

const values = commandLine(help, {
  seconds: { type: 'string', default: '15' },
  quiet: { type: 'string', default: '45' },
  replicas: { type: 'string', default: '1' },
  plan: { type: 'string', default: 'free' },
});
const seconds = wholeNumber('--seconds', values.seconds);
const quiet = wholeNumber('--quiet', values.quiet);
const replicas = wholeNumber('--replicas', values.replicas);
const plan = choice('--plan', values.plan, ['free', 'standard', 'large']);

type Measured = { readonly latenciesMs: number[]; failures: number };

const server = await startQuorate();
try {
  const keys: string[] = [];
  for (let n = 0; n < quiet; n++) keys.push(await provision(server.ready, `quiet-${n}`, 'standard'));
  const hostile: string[] = [];
  for (const way of hostileWays) hostile.push(await provision(server.ready, way.replaceAll(' ', '-'), plan));
  await measure(keys, 3);
  const alone = await measure(keys, seconds);
  print('alone', alone);
  const given = Object.fromEntries(hostileWays.map((way, n) => [way, hostile[n]]));
  const worker = new Worker(fileURLToPath(import.meta.resolve('./fairness-hostile.ts')), {
    workerData: { url: server.ready.url, keys: given },
  });
  worker.unref();
  // They fill their stores, and their bursts are used up.
  await sleep(5_000);
  const beside = await measure(keys, seconds);
  print(`beside ${hostileWays.length} hostile ones of the plan ${plan}`, beside);
  await worker.terminate();
  const factor = percentileOf(beside.latenciesMs, 0.99) / percentileOf(alone.latenciesMs, 0.99);
  console.log(`p99 beside them is ${factor.toFixed(2)} times as long as alone; the goal is at most ${factorMax}`);
  if (factor > factorMax || beside.failures > alone.failures) process.exitCode = 1;
} finally {
  await server.dispose();
}

async function provision({ url, operatorToken }: Ready, name: string, of: string): Promise<string> {
  const response = await fetch(`${url}/v1/tenants`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${operatorToken}` },
    body: JSON.stringify({ name, replicas, plan: of }),
  });
  const text = await response.text();
  if (response.status !== 201) throw new Error(`a tenant was not made: ${text}`);
  return (JSON.parse(text) as { key: string }).key;
}

async function measure(tenants: readonly string[], forSeconds: number): Promise<Measured> {
  const measured: Measured = { latenciesMs: [], failures: 0 };
  const endMs = performance.now() + forSeconds * 1_000;
  await Promise.all(tenants.map((key, n) => beQuiet(key, { measured, endMs, afterMs: (n * paceMs) / tenants.length })));
  measured.latenciesMs.sort((left, right) => left - right);
  return measured;
}

async function beQuiet(
  key: string,
  { measured, endMs, afterMs }: { readonly measured: Measured; readonly endMs: number; readonly afterMs: number },
): Promise<void> {
  await sleep(afterMs);
  for (let nth = 0; performance.now() < endMs; nth++) {
    for (const method of ['PUT', 'GET']) {
      const beganMs = performance.now();
      const body = method === 'PUT' ? String(nth) : null;
      const headers = { Authorization: `Bearer ${key}` };
      const isDone = await fetch(`${server.ready.url}/v1/kv/quiet`, { method, headers, body }).then(
        async (response) => (await response.arrayBuffer(), response.ok),
        () => false,
      );
      if (!isDone) measured.failures++;
      measured.latenciesMs.push(performance.now() - beganMs);
    }
    await sleep(paceMs);
  }
}

function print(when: string, { latenciesMs, failures }: Measured): void {
  const at = (part: number): string => percentileOf(latenciesMs, part).toFixed(1);
  console.log(
    `${when}: ${latenciesMs.length} calls of ${quiet} tenants, ms: median ${at(0.5)}, p99 ${at(0.99)}, worst ${at(1)}; failed ${failures}`,
  );
}
