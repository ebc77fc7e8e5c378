// What the tests in workerd share: the service as its callers see it, and a tenant of their own.

import { applyD1Migrations, type D1Migration, runInDurableObject } from 'cloudflare:test';
import { env, exports } from 'cloudflare:workers';
import type { Replica } from '../../src/replica/replica.ts';
import { answerFaults, frameFaults } from './openapi-checker.ts';

export type TestEnv = {
  readonly REPLICA: DurableObjectNamespace<Replica>;
  readonly DIRECTORY: D1Database;
  readonly DIRECTORY_MIGRATIONS: D1Migration[];
  readonly OPERATOR_TOKEN: string;
};

/** The bindings of wrangler.toml and of the test configuration, which the compiler cannot see. */
export const bindings = env as unknown as TestEnv;

const service = exports as unknown as { readonly default: { fetch(request: Request): Promise<Response> } };

export const origin = 'http://quorate.test';

export async function prepareDirectory(): Promise<void> {
  await applyD1Migrations(bindings.DIRECTORY, bindings.DIRECTORY_MIGRATIONS);
}

/** API-DOC-6: every answer of the service, to any test, must be in the OpenAPI document. */
export async function call(path: string, init: RequestInit = {}): Promise<Response> {
  const request = new Request(`${origin}${path}`, init);
  const response = await service.default.fetch(request);
  const [withoutQuery = ''] = path.split('?');
  const faults = await answerFaults({ method: request.method, path: withoutQuery }, response);
  if (faults.length > 0) throw new Error(`API-DOC-6: ${faults.join('\n')}`);
  return response;
}

export function asOperator(path: string, init: RequestInit = {}): Promise<Response> {
  return withKey(bindings.OPERATOR_TOKEN, path, init);
}

export function withKey(key: string, path: string, init: RequestInit = {}): Promise<Response> {
  const headers = new Headers(init.headers);
  headers.set('Authorization', `Bearer ${key}`);
  return call(path, { ...init, headers });
}

export type NewTenant = { readonly id: string; readonly name: string; readonly key: string };

export async function newTenant(body: Record<string, unknown>): Promise<NewTenant> {
  const response = await asOperator('/v1/tenants', { method: 'POST', body: JSON.stringify(body) });
  if (response.status !== 201) throw new Error(`provisioning answered ${response.status}: ${await response.text()}`);
  return response.json();
}

export function replicaStub(tenant: string, replica: number): DurableObjectStub<Replica> {
  return bindings.REPLICA.get(bindings.REPLICA.idFromName(`${tenant}/${replica}`));
}

/** Crashes one object: what was not durable is lost, and so is everything in memory. */
export async function crash(tenant: string, replica: number): Promise<void> {
  const crashed = runInDurableObject(replicaStub(tenant, replica), (_, state) => state.abort('crashed by the test'));
  await crashed.then(
    () => {
      throw new Error('the object did not crash');
    },
    () => undefined,
  );
}

export async function leaderOf(key: string): Promise<number> {
  const status: { leader: number } = await (await withKey(key, '/v1/status')).json();
  return status.leader;
}

export async function put(key: string, path: string, value: string): Promise<number> {
  const response = await withKey(key, `/v1/kv/${path}`, { method: 'PUT', body: value });
  if (response.status !== 200) throw new Error(`put answered ${response.status}: ${await response.text()}`);
  const answer: { revision: number } = await response.json();
  return answer.revision;
}

/** A WebSocket to /v1/watch whose frames can be awaited one by one. */
export class WatchSocket {
  readonly socket: WebSocket;
  readonly #frames: unknown[] = [];
  readonly #waiting: ((frame: unknown) => void)[] = [];
  readonly #faults: string[] = [];
  readonly closed: Promise<{ code: number; reason: string }>;

  /** The frames of v1 must be in the document. */
  constructor(socket: WebSocket, protocol: 'v1' | 'v3' = 'v3') {
    this.socket = socket;
    socket.accept();
    socket.addEventListener('message', ({ data }) => {
      const frame: unknown = JSON.parse(String(data));
      if (protocol === 'v1') this.#faults.push(...frameFaults(frame));
      const waiting = this.#waiting.shift();
      if (waiting === undefined) this.#frames.push(frame);
      else waiting(frame);
    });
    this.closed = new Promise((resolve) => {
      socket.addEventListener('close', ({ code, reason }) => resolve({ code, reason }));
    });
  }

  static async open(key: string, query: string): Promise<WatchSocket> {
    const response = await withKey(key, `/v1/watch?${query}`, { headers: { Upgrade: 'websocket' } });
    if (response.webSocket === null) throw new Error(`no upgrade: ${response.status} ${await response.text()}`);
    return new WatchSocket(response.webSocket, 'v1');
  }

  next(): Promise<unknown> {
    if (this.#faults.length > 0) throw new Error(`API-DOC-6: ${this.#faults.join('\n')}`);
    if (this.#frames.length > 0) return Promise.resolve(this.#frames.shift());
    return new Promise((resolve) => this.#waiting.push(resolve));
  }
}

function lost(): Promise<never> {
  return Promise.reject(new Error('cut off by the test'));
}

const cutOff = new WeakSet<Replica>();
const cutClasses = new WeakSet<object>();

/**
 * A peer's call reaches the method of the class: an object with a method of its own would pass for one of former code.
 */
function cutReceive(instance: Replica): void {
  const ofClass: Pick<Replica, 'receive'> = Object.getPrototypeOf(instance);
  if (cutClasses.has(ofClass)) return;
  cutClasses.add(ofClass);
  const { receive } = ofClass;
  ofClass.receive = function receiveUnlessCut(this: Replica, messages) {
    return cutOff.has(this) ? { kind: 'left' } : receive.call(this, messages);
  };
}

/**
 * Starts the object anew, and lets no call between it and its peers through until the returned function is called. Only
 * what the object's class knows of its namespace and of requests is touched.
 */
export async function cutFromPeers(tenant: string, replica: number): Promise<() => void> {
  await crash(tenant, replica);
  let isCut = true;
  const cut: Replica[] = [];
  await runInDurableObject(replicaStub(tenant, replica), (instance) => {
    cutReceive(instance);
    cutOff.add(instance);
    cut.push(instance);
    const get = (id: DurableObjectId, options?: DurableObjectNamespaceGetDurableObjectOptions) =>
      isCut ? { receive: lost, fetch: lost } : bindings.REPLICA.get(id, options);
    const idFromName = (name: string) => bindings.REPLICA.idFromName(name);
    Reflect.set(instance, 'env', { ...bindings, REPLICA: { idFromName, get } });
  });
  return () => {
    isCut = false;
    for (const instance of cut) cutOff.delete(instance);
  };
}

export type NewKey = { readonly id: string; readonly key: string };

export async function newKey(tenant: NewTenant, role: 'admin' | 'write' | 'read', more: object = {}): Promise<NewKey> {
  const body = JSON.stringify({ role, ...more });
  const response = await asOperator(`/v1/tenants/${tenant.id}/keys`, { method: 'POST', body });
  if (!response.ok) throw new Error(`a new key was answered ${response.status}: ${await response.text()}`);
  return response.json();
}

export async function revokeKey(tenant: NewTenant, key: NewKey): Promise<void> {
  const response = await asOperator(`/v1/tenants/${tenant.id}/keys/${key.id}`, { method: 'DELETE' });
  if (!response.ok) throw new Error(`revoking was answered ${response.status}: ${await response.text()}`);
}

/** Asks again until it is so, for as long as a test may take. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await scheduler.wait(50);
}
