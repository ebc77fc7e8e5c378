// The port through which tests do faults to the replicas of a running server: a crash, the loss of a disk, peers that
// cannot be reached, an object that hangs. The port is off unless it is asked for, and listens on loopback alone.

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { errorCode, errorMessage, ServerFailure } from '../failure.ts';
import { findGroup } from './fault-group.ts';
import type { Fault, FaultRequest, FaultsSet, FaultTarget } from './fault-protocol.ts';
import { faultKinds, parseFault } from './fault-request.ts';

const requestBytesMax = 4_096;

/** The faults that the Worker can do to one object. */
export type ObjectFaults = {
  readonly doFault: (request: FaultRequest & { readonly replica: number }) => Promise<void>;
  readonly faultsOf: (object: { readonly tenant: string; readonly replica: number }) => Promise<FaultsSet>;
};

export type FaultPortOptions = { readonly port: number; readonly workerUrl: URL; readonly objects: ObjectFaults };

export type FaultPort = { readonly url: URL; readonly close: () => Promise<void> };

type Answer = { readonly status: number; readonly body: object };

/** @throws ServerFailure where the port is in use. */
export async function openFaultPort(options: FaultPortOptions): Promise<FaultPort> {
  const faults = new Faults(options);
  const server = createServer((request, response) => {
    void respond(faults, request, response);
  });
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ host: '127.0.0.1', port: options.port }, resolve);
    });
  } catch (error) {
    const reason =
      errorCode(error) === 'EADDRINUSE'
        ? 'it is in use; choose another one with --fault-port (0 takes any free one)'
        : errorMessage(error);
    throw new ServerFailure(`cannot open the fault port ${options.port}: ${reason}`);
  }
  // A server that listens on TCP has an address of this shape.
  const { port } = server.address() as AddressInfo;
  return {
    url: new URL(`http://127.0.0.1:${port}`),
    close: async () => {
      server.closeAllConnections();
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
      });
    },
  };
}

async function respond(faults: Faults, request: IncomingMessage, response: ServerResponse): Promise<void> {
  let answer: Answer;
  try {
    answer = await answerTo(faults, request);
  } catch (error) {
    answer = { status: 502, body: { detail: errorMessage(error) } };
  }
  response.writeHead(answer.status, { 'Content-Type': 'application/json' });
  response.end(`${JSON.stringify(answer.body)}\n`);
}

async function answerTo(faults: Faults, request: IncomingMessage): Promise<Answer> {
  const { url, method } = request;
  if (url === '/faults') {
    return method === 'GET' ? await faults.list() : refused(405, '/faults takes GET');
  }
  const kind = faultKinds.find((known) => url === `/${known}`);
  if (kind === undefined) {
    return refused(404, `the fault port has the paths /faults, ${faultKinds.map((known) => `/${known}`).join(', ')}`);
  }
  if (method !== 'POST') return refused(405, `/${kind} takes POST`);
  const key = request.headers['quorate-key'];
  return await faults.take(kind, await readBody(request), typeof key === 'string' ? key : '');
}

function refused(status: number, detail: string): Answer {
  return { status, body: { detail } };
}

async function readBody(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of request) {
    if (!Buffer.isBuffer(part)) continue;
    bytes += part.byteLength;
    if (bytes > requestBytesMax) return '';
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

class Faults {
  readonly #options: FaultPortOptions;
  /** The objects on which a fault was ever set. */
  readonly #touched = new Map<string, { readonly tenant: string; readonly replica: number }>();

  constructor(options: FaultPortOptions) {
    this.#options = options;
  }

  async take(kind: Fault['kind'], body: string, key: string): Promise<Answer> {
    const parsed = parseFault(kind, body);
    if (parsed.kind === 'invalid') return refused(400, parsed.reason);
    const { tenant, replica, fault } = parsed.request;
    const found = await this.#find(tenant, replica, key);
    if ('status' in found) return found;
    const { replicas } = found;
    for (const each of replicas) {
      this.#touched.set(`${tenant}/${each}`, { tenant, replica: each });
      await this.#options.objects.doFault({ tenant, replica: each, fault });
    }
    return { status: 200, body: { tenant, [done[kind]]: replica === 'all' ? replicas : replicas[0] } };
  }

  async list(): Promise<Answer> {
    const faults: object[] = [];
    for (const { tenant, replica } of this.#touched.values()) {
      const set = await this.#options.objects.faultsOf({ tenant, replica });
      const peers = { in: peerJson(set.in), out: peerJson(set.out) };
      const isFaulty = [set.in, set.out].some(({ fail, delayMs }) => fail > 0 || delayMs > 0) || set.slowMs > 0;
      if (isFaulty) faults.push({ tenant, replica, peers, slow: { delay_ms: set.slowMs } });
    }
    return { status: 200, body: { faults } };
  }

  /** The numbers of the replicas that are meant, or the answer that says why none can be named. */
  async #find(tenant: string, target: FaultTarget, key: string): Promise<{ replicas: readonly number[] } | Answer> {
    if (typeof target === 'number') return { replicas: [target] };
    if (key === '') return refused(400, `"${target}" needs a key of the tenant in the header Quorate-Key`);
    if (!key.startsWith(`qrt_${tenant}_`)) return refused(400, `the key in Quorate-Key is not one of tenant ${tenant}`);
    const group = await findGroup(this.#options.workerUrl, key);
    if (group === null) return refused(503, 'the group has no leader now; name a replica by its number, or try again');
    return { replicas: target === 'leader' ? [group.leader] : group.replicas };
  }
}

const done = { abort: 'aborted', wipe: 'wiped', peers: 'set', slow: 'set' } as const satisfies Record<
  Fault['kind'],
  string
>;

function peerJson({ fail, delayMs }: FaultsSet['in']): object {
  return { fail, delay_ms: delayMs };
}
