// The port through which tests crash one replica of a running server. Off unless asked for, on loopback alone.

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { errorCode, errorMessage, ServerFailure } from './failure.ts';

const requestBytesMax = 4_096;
/** The number of a group's replicas only grows as replicas are replaced; this refuses nonsense. */
const replicaNumberMax = 1_000_000;
/** How long a group may take to choose a leader. */
const leaderWaitMs = 10_000;

export type FaultPortOptions = {
  readonly port: number;
  readonly workerUrl: URL;
  /** Crashes one Durable Object, by its name. */
  readonly abort: (objectName: string) => Promise<void>;
};

export type FaultPort = { readonly url: URL; readonly close: () => Promise<void> };

type Answer = { readonly status: number; readonly body: object };
type Target =
  | { readonly kind: 'replica'; readonly tenant: string; readonly replica: number }
  | { readonly kind: 'leader'; readonly tenant: string; readonly key: string }
  | { readonly kind: 'invalid'; readonly reason: string };

/** @throws ServerFailure where the port is taken. */
export async function openFaultPort(options: FaultPortOptions): Promise<FaultPort> {
  const server = createServer((request, response) => {
    void respond(options, request, response);
  });
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ host: '127.0.0.1', port: options.port }, resolve);
    });
  } catch (error) {
    const reason = errorCode(error) === 'EADDRINUSE' ? 'it is in use' : errorMessage(error);
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

async function respond(options: FaultPortOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  let answer: Answer;
  try {
    answer = await answerTo(options, request);
  } catch (error) {
    answer = { status: 502, body: { detail: errorMessage(error) } };
  }
  response.writeHead(answer.status, { 'Content-Type': 'application/json' });
  response.end(`${JSON.stringify(answer.body)}\n`);
}

async function answerTo(options: FaultPortOptions, request: IncomingMessage): Promise<Answer> {
  if (request.url !== '/abort') return { status: 404, body: { detail: 'the fault port has one path: /abort' } };
  if (request.method !== 'POST') return { status: 405, body: { detail: '/abort takes POST' } };
  const target = parseTarget(await readBody(request), request.headers['quorate-key']);
  if (target.kind === 'invalid') return { status: 400, body: { detail: target.reason } };
  const replica = target.kind === 'replica' ? target.replica : await findLeader(options.workerUrl, target.key);
  if (replica === null) return { status: 503, body: { detail: 'the group has no leader' } };
  await options.abort(`${target.tenant}/${replica}`);
  return { status: 200, body: { tenant: target.tenant, aborted: replica } };
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

function parseTarget(body: string, key: string | string[] | undefined): Target {
  const members = parseMembers(body);
  const tenant = members.get('tenant');
  const replica = members.get('replica');
  if (typeof tenant !== 'string' || tenant === '') {
    return { kind: 'invalid', reason: '"tenant" must be the id of a tenant' };
  }
  if (replica === 'leader') {
    if (typeof key === 'string' && key !== '') return { kind: 'leader', tenant, key };
    return { kind: 'invalid', reason: '"leader" needs a key of the tenant in the header Quorate-Key' };
  }
  if (typeof replica === 'number' && Number.isInteger(replica) && replica >= 1 && replica <= replicaNumberMax) {
    return { kind: 'replica', tenant, replica };
  }
  return { kind: 'invalid', reason: '"replica" must be a number from 1, or "leader"' };
}

function parseMembers(body: string): Map<string, unknown> {
  try {
    const value: unknown = JSON.parse(body);
    return new Map(typeof value === 'object' && value !== null ? Object.entries(value) : []);
  } catch {
    return new Map();
  }
}

/** The leader's number, as the group itself tells it; null where it has none for a long time. */
async function findLeader(workerUrl: URL, key: string): Promise<number | null> {
  const deadline = Date.now() + leaderWaitMs;
  for (;;) {
    const response = await fetch(new URL('/v1/status', workerUrl), { headers: { 'Quorate-Key': key } });
    const text = await response.text();
    if (!response.ok && response.status < 500) throw new Error(`GET /v1/status answered ${response.status}: ${text}`);
    const leader = parseMembers(text).get('leader');
    if (response.ok && typeof leader === 'number') return leader;
    if (Date.now() >= deadline) return null;
    await sleep(50);
  }
}
