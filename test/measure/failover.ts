// How long a store is without a leader: crashes the leader's object again and again, and measures from the crash to the next
// acknowledged write. `node test/measure/failover.ts [rounds]`; each crash is that of `npm start -- --fault-port`.

import { setTimeout as sleep } from 'node:timers/promises';
import { startQuorate } from '../support/quorate-process.ts';

const rounds = Number(process.argv[2] ?? 100);
/** Between two crashes, for the group to settle: without it the next fault would be measured on a group that is still healing. */
const settleMs = 500;

async function main(): Promise<void> {
  const server = await startQuorate({ arguments: ['--fault-port', '0'] });
  try {
    const { url, tenant, faultUrl } = server.ready;
    const put = async (value: string): Promise<void> => {
      const headers = { 'Quorate-Key': tenant.key };
      const response = await fetch(`${url}/v1/kv/failover`, { method: 'PUT', body: value, headers });
      if (response.status !== 200) throw new Error(`a put answered ${response.status}: ${await response.text()}`);
      await response.arrayBuffer();
    };
    const crashLeader = async (): Promise<void> => {
      const body = JSON.stringify({ tenant: tenant.id, replica: 'leader' });
      const headers = { 'Quorate-Key': tenant.key };
      const response = await fetch(`${faultUrl ?? ''}/abort`, { method: 'POST', body, headers });
      if (!response.ok) throw new Error(`the abort answered ${response.status}: ${await response.text()}`);
    };
    const healthyMs: number[] = [];
    const failoverMs: number[] = [];
    for (let round = 0; round < rounds; round++) {
      healthyMs.push(await timed(() => put(`before ${round}`)));
      await crashLeader();
      failoverMs.push(await timed(() => put(`after ${round}`)));
      await sleep(settleMs);
    }
    console.log(`${rounds} crashes of the leader; milliseconds from the crash to the next acknowledged write`);
    console.log(`  after a crash  ${summary(failoverMs)}`);
    console.log(`  undisturbed    ${summary(healthyMs)}`);
  } finally {
    await server.dispose();
  }
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

await main();
