// Faults of the leader of a store, and how long the next write takes after each: over HTTP, and over sessions of the
// client's own with the replicas, in turn.

import { setTimeout as sleep } from 'node:timers/promises';
import { type QuorateProcess, startQuorate } from '../support/quorate-process.ts';
import { SessionStore } from './session-store.ts';

/** A fault of the leader, and how it is undone. */
export type Fault = {
  readonly name: string;
  readonly words: string;
  readonly path: string;
  readonly body: Readonly<Record<string, unknown>>;
  readonly undo: Readonly<Record<string, unknown>> | null;
};

export const faults: readonly Fault[] = [
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

export const ways = ['http', 'session'] as const;

export type Way = { readonly name: (typeof ways)[number]; readonly put: (value: string) => Promise<void> };

/** Milliseconds of each round: of a write without a fault, of the one after it, and of the one after that. */
export type Measured = {
  readonly way: Way;
  readonly undisturbed: readonly number[];
  readonly next: readonly number[];
  readonly second: readonly number[];
};

/** A server that takes faults, with a client of each way. */
export class FaultyServer {
  readonly ways: readonly Way[];
  readonly #store: Store;
  readonly #sessions: SessionStore;
  readonly #server: QuorateProcess;

  private constructor(server: QuorateProcess) {
    this.#server = server;
    const store = new Store(server);
    const { url, tenant } = server.ready;
    const sessions = new SessionStore({ url, headers: { 'Quorate-Key': tenant.key } });
    this.#store = store;
    this.#sessions = sessions;
    this.ways = [
      { name: 'http', put: (value) => store.put(value) },
      { name: 'session', put: (value) => sessions.put('failover', value) },
    ];
  }

  static async start(): Promise<FaultyServer> {
    return new FaultyServer(await startQuorate({ arguments: ['--fault-port', '0'] }));
  }

  /** Does the fault so often for each of these ways, in turn. */
  async measure(asked: readonly Way[], fault: Fault, rounds: number): Promise<readonly Measured[]> {
    const store = this.#store;
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
    return measured;
  }

  async dispose(): Promise<void> {
    this.#sessions.close();
    await this.#server.dispose();
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
