// `npm run failover`: how long a store is without a leader. Does a fault to the leader's object again and again, as
// `npm start -- --fault-port` can, and measures from before the fault to the next acknowledged write, as a client sees
// it: over HTTP, and over sessions of its own with the replicas, in turn.

import { setTimeout as sleep } from 'node:timers/promises';
import { commandLine } from '../../src/cli/command-line.ts';
import { choice, wholeNumber } from '../support/option-values.ts';
import { type QuorateProcess, startQuorate } from '../support/quorate-process.ts';
import { SessionStore } from './session-store.ts';

const help = `Usage: npm run failover -- [options]

Does a fault to the leader of a store, sends one more write, and measures the milliseconds until that write is acknowledged. Prints the same
for the write after it, and for a write without a fault. Each fault is done for a client over HTTP and for one over sessions, in turn.

  --rounds N     how often each fault is done (100)
  --fault NAME   only this fault: abort, partition, slow or failing
  --way NAME     only this way: http or session
  --help         print this
`;

/** A fault of the leader, and how it is undone. */
type Fault = {
  readonly name: string;
  readonly words: string;
  readonly path: string;
  readonly body: Readonly<Record<string, unknown>>;
  readonly undo: Readonly<Record<string, unknown>> | null;
};

const faults: readonly Fault[] = [
  { name: 'abort', words: 'its object crashes', path: '/abort', body: {}, undo: null },
  {
    name: 'partition',
    words: 'it reaches no peer, and none reaches it',
    path: '/peers',
    body: { fail: 1, direction: 'both' },
    undo: { fail: 0, direction: 'both' },
  },
  {
    name: 'slow',
    words: 'every call to it hangs',
    path: '/slow',
    body: { delay_ms: 10_000 },
    undo: { delay_ms: 0 },
  },
  {
    name: 'failing',
    words: 'its own calls to its peers fail',
    path: '/peers',
    body: { fail: 1, direction: 'out' },
    undo: { fail: 0, direction: 'out' },
  },
];

/**
 * The pause between two faults, in which the group settles. Without it the next fault would meet a group that is still
 * healing.
 */
const settleMs = 1_500;

const ways = ['http', 'session'] as const;

async function main(): Promise<void> {
  const values = commandLine(help, {
    rounds: { type: 'string', default: '100' },
    fault: { type: 'string' },
    way: { type: 'string' },
  });
  const way = values.way === undefined ? null : choice('--way', values.way, ways);
  const rounds = wholeNumber('--rounds', values.rounds);
  const names = faults.map(({ name }) => name);
  const only = values.fault === undefined ? null : choice('--fault', values.fault, names);
  const chosen = faults.filter(({ name }) => only === null || name === only);
  const server = await startQuorate({ arguments: ['--fault-port', '0'] });
  const store = new Store(server);
  const { url, tenant } = server.ready;
  const sessions = new SessionStore({ url, headers: { 'Quorate-Key': tenant.key } });
  const puts: readonly Way[] = [
    { name: 'http', put: (value) => store.put(value) },
    { name: 'session', put: (value) => sessions.put('failover', value) },
  ];
  try {
    console.log(`${rounds} faults of each kind to the leader, for each way; milliseconds`);
    const asked = puts.filter(({ name }) => way === null || name === way);
    for (const fault of chosen) await measure(store, asked, fault, rounds);
  } finally {
    sessions.close();
    await server.dispose();
  }
}

type Way = { readonly name: (typeof ways)[number]; readonly put: (value: string) => Promise<void> };

async function measure(store: Store, asked: readonly Way[], fault: Fault, rounds: number): Promise<void> {
  const measured = asked.map((way) => ({
    way,
    undisturbed: [] as number[],
    next: [] as number[],
    second: [] as number[],
  }));
  // A new leader is trusted for a while.
  await store.leader();
  await sleep(settleMs);
  for (let round = 0; round < rounds; round++) {
    for (const { way, undisturbed, next, second } of measured) {
      const leader = await store.leader();
      // The second one is undisturbed: the first one may have to find who leads by now.
      await way.put(`${fault.name} ${round}, found`);
      undisturbed.push(await timed(() => way.put(`${fault.name} ${round}, before`)));
      next.push(
        await timed(async () => {
          await store.fault(fault.path, leader, fault.body);
          await way.put(`${fault.name} ${round}, next`);
        }),
      );
      second.push(await timed(() => way.put(`${fault.name} ${round}, second`)));
      if (fault.undo !== null) await store.fault(fault.path, leader, fault.undo);
      await sleep(settleMs);
    }
  }
  console.log(`${fault.name}: ${fault.words}`);
  for (const { way, undisturbed, next, second } of measured) {
    console.log(`  ${way.name}`);
    console.log(`    next write       ${summary(next)}`);
    console.log(`    second write     ${summary(second)}`);
    console.log(`    undisturbed      ${summary(undisturbed)}`);
  }
}

class Store {
  readonly #server: QuorateProcess;

  constructor(server: QuorateProcess) {
    this.#server = server;
  }

  async put(value: string): Promise<void> {
    await this.#send('PUT', `${this.#server.ready.url}/v1/kv/failover`, value);
  }

  async leader(): Promise<number> {
    const status: unknown = JSON.parse(await this.#send('GET', `${this.#server.ready.url}/v1/status`));
    const leader = typeof status === 'object' && status !== null && 'leader' in status ? status.leader : null;
    if (typeof leader !== 'number') throw new Error('the store knows no leader');
    return leader;
  }

  async fault(path: string, replica: number, body: Fault['body']): Promise<void> {
    const { faultUrl, tenant } = this.#server.ready;
    await this.#send('POST', `${faultUrl ?? ''}${path}`, JSON.stringify({ tenant: tenant.id, replica, ...body }));
  }

  async #send(method: string, url: string, body?: string): Promise<string> {
    const headers = { 'Quorate-Key': this.#server.ready.tenant.key };
    const response = await fetch(url, { method, headers, ...(body === undefined ? {} : { body }) });
    const text = await response.text();
    if (response.status !== 200) throw new Error(`${method} ${url} answered ${response.status}: ${text}`);
    return text;
  }
}

async function timed(work: () => Promise<void>): Promise<number> {
  const startMs = performance.now();
  await work();
  return performance.now() - startMs;
}

function summary(values: readonly number[]): string {
  const sorted = values.toSorted((left, right) => left - right);
  const at = (part: number) => (sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? 0).toFixed(0);
  return `median ${at(0.5).padStart(4)}, p90 ${at(0.9).padStart(4)}, worst ${at(1).padStart(4)}`;
}

await main();
