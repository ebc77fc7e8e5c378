// How long a store is without a leader: does something to the leader again and again, and measures from then to the next acknowledged
// write, which the caller just sends. npm run failover -- [--rounds N] [--fault abort|partition|slow|failing]; all four without --fault.

import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { type QuorateProcess, startQuorate } from '../support/quorate-process.ts';

const faults = {
  /** Its object crashes. */
  abort: { path: 'abort', body: {} },
  /** No call of its peers reaches it, and none of its own reaches them; the gateway does. */
  partition: { path: 'peers', body: { fail: 1, delay_ms: 0, direction: 'both' } },
  /** It takes every call, of clients and peers, only after a long time. */
  slow: { path: 'slow', body: { delay_ms: 10_000 } },
  /** Its calls to its peers fail; theirs to it do not. */
  failing: { path: 'peers', body: { fail: 1, delay_ms: 0, direction: 'out' } },
} as const;
type FaultName = keyof typeof faults;

/** Between two faults, for the group to settle: without it the next one would be measured on a group that is still healing. */
const settleMs = 700;

async function main(): Promise<void> {
  const { rounds, names } = parsed();
  const server = await startQuorate({ arguments: ['--fault-port', '0'] });
  try {
    console.log(`${rounds} rounds; milliseconds from the fault to the next acknowledged write`);
    const healthyMs: number[] = [];
    for (const name of names) {
      const failoverMs: number[] = [];
      for (let round = 0; round < rounds; round++) {
        healthyMs.push(await timed(() => put(server, `before ${round}`)));
        const leader = await leaderOf(server);
        await post(server, faults[name].path, { replica: leader, ...faults[name].body });
        failoverMs.push(await timed(() => put(server, `after ${round}`)));
        await heal(server, leader);
        await sleep(settleMs);
      }
      console.log(`  ${name.padEnd(12)} ${summary(failoverMs)}`);
    }
    console.log(`  ${'undisturbed'.padEnd(12)} ${summary(healthyMs)}`);
  } finally {
    await server.dispose();
  }
}

async function put({ ready: { url, tenant } }: QuorateProcess, value: string): Promise<void> {
  const headers = { 'Quorate-Key': tenant.key };
  const response = await fetch(`${url}/v1/kv/failover`, { method: 'PUT', body: value, headers });
  if (response.status !== 200) throw new Error(`a put answered ${response.status}: ${await response.text()}`);
  await response.arrayBuffer();
}

async function leaderOf({ ready: { url, tenant } }: QuorateProcess): Promise<number> {
  for (;;) {
    const response = await fetch(`${url}/v1/status`, { headers: { 'Quorate-Key': tenant.key } });
    const { leader } = (await response.json()) as { leader: number | null };
    if (leader !== null) return leader;
    await sleep(50);
  }
}

async function heal(server: QuorateProcess, replica: number): Promise<void> {
  await post(server, 'peers', { replica, fail: 0, delay_ms: 0, direction: 'both' });
  await post(server, 'slow', { replica, delay_ms: 0 });
}

async function post({ ready: { faultUrl, tenant } }: QuorateProcess, path: string, fault: object): Promise<void> {
  const headers = { 'Quorate-Key': tenant.key };
  const body = JSON.stringify({ tenant: tenant.id, ...fault });
  const response = await fetch(`${faultUrl ?? ''}/${path}`, { method: 'POST', body, headers });
  if (!response.ok) throw new Error(`/${path} answered ${response.status}: ${await response.text()}`);
  await response.arrayBuffer();
}

async function timed(work: () => Promise<void>): Promise<number> {
  const startMs = performance.now();
  await work();
  return performance.now() - startMs;
}

function summary(values: readonly number[]): string {
  const sorted = values.toSorted((left, right) => left - right);
  const at = (part: number) => (sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? 0).toFixed(1);
  return `median ${at(0.5)}, p90 ${at(0.9)}, worst ${at(1)}`;
}

function parsed(): { readonly rounds: number; readonly names: readonly FaultName[] } {
  try {
    const options = { rounds: { type: 'string', default: '100' }, fault: { type: 'string' } } as const;
    const { values } = parseArgs({ options });
    const rounds = Number(values.rounds);
    if (!Number.isSafeInteger(rounds) || rounds < 1)
      throw new Error(`--rounds takes a whole number, not "${values.rounds}"`);
    const all: readonly FaultName[] = ['abort', 'partition', 'slow', 'failing'];
    if (values.fault === undefined) return { rounds, names: all };
    const name = all.find((one) => one === values.fault);
    if (name === undefined) throw new Error(`--fault takes one of ${all.join(', ')}, not "${values.fault}"`);
    return { rounds, names: [name] };
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exit(2);
  }
}

await main();
