// etcd's JSON API as the tests in workerd call it, with Quorate-Key and a user's token, over HTTP and over WebSockets.

import { Buffer } from 'node:buffer';
import { expect } from 'vitest';
import { bindings, call } from './service.ts';

export type Answer = { readonly status: number; readonly body: Record<string, unknown> };

export function b64(text: string): string {
  return Buffer.from(text).toString('base64');
}

export async function post(path: string, body: unknown, headers: Record<string, string>): Promise<Answer> {
  const response = await call(path, { method: 'POST', body: JSON.stringify(body), headers });
  return { status: response.status, body: await response.json() };
}

/** The etcd of a tenant, for a caller who has its access key and perhaps a token. */
export class EtcdClient {
  readonly #key: string;
  readonly #token: string | null;

  constructor(key: string, token: string | null = null) {
    this.#key = key;
    this.#token = token;
  }

  get headers(): Record<string, string> {
    return { 'Quorate-Key': this.#key, ...(this.#token === null ? {} : { Authorization: this.#token }) };
  }

  post(path: string, body: unknown): Promise<Answer> {
    return post(path, body, this.headers);
  }

  async done(path: string, body: unknown): Promise<Record<string, unknown>> {
    const answer = await this.post(path, body);
    expect([path, answer.status, answer.body]).toEqual([path, 200, answer.body]);
    return answer.body;
  }

  async login(name: string, password: string): Promise<EtcdClient> {
    return new EtcdClient(this.#key, await tokenOf(this, name, password));
  }
}

/** The operator, who changes the groups of tenants. */
export class Operator extends EtcdClient {
  readonly #tenant: string;

  constructor(tenant: string) {
    super('');
    this.#tenant = tenant;
  }

  override get headers(): Record<string, string> {
    return { Authorization: `Bearer ${bindings.OPERATOR_TOKEN}`, 'Quorate-Tenant': this.#tenant };
  }
}

export async function tokenOf(client: EtcdClient, name: string, password: string): Promise<string> {
  const { token } = await client.done('/v3/auth/authenticate', { name, password });
  return String(token);
}

/** Turns auth on. Returns the root's client. */
export async function enableAuth(key: string): Promise<EtcdClient> {
  const anybody = new EtcdClient(key);
  await anybody.done('/v3/auth/user/add', { name: 'root', password: 'root-password' });
  await anybody.done('/v3/auth/role/add', { name: 'root' });
  await anybody.done('/v3/auth/user/grant', { user: 'root', role: 'root' });
  await anybody.done('/v3/auth/enable', {});
  return anybody.login('root', 'root-password');
}

export type Granted = { readonly permType: string; readonly key: string; readonly rangeEnd?: string };

/** Makes a user with a role of its own. The password is the name, twice. */
export async function addUser(root: EtcdClient, name: string, permissions: readonly Granted[]): Promise<EtcdClient> {
  await root.done('/v3/auth/user/add', { name, password: name + name });
  await root.done('/v3/auth/role/add', { name: `role-of-${name}` });
  for (const { permType, key, rangeEnd } of permissions) {
    const perm = { permType, key: b64(key), ...(rangeEnd === undefined ? {} : { range_end: b64(rangeEnd) }) };
    await root.done('/v3/auth/role/grant', { name: `role-of-${name}`, perm });
  }
  await root.done('/v3/auth/user/grant', { user: name, role: `role-of-${name}` });
  return root.login(name, name + name);
}

/** A WebSocket whose text frames can be awaited one by one. */
export class FrameSocket {
  readonly socket: WebSocket;
  readonly #frames: string[] = [];
  readonly #waiting: ((frame: string) => void)[] = [];
  readonly closed: Promise<{ code: number; reason: string }>;

  constructor(socket: WebSocket) {
    this.socket = socket;
    socket.accept();
    socket.addEventListener('message', ({ data }) => {
      const waiting = this.#waiting.shift();
      if (waiting === undefined) this.#frames.push(String(data));
      else waiting(String(data));
    });
    this.closed = new Promise((resolve) => {
      socket.addEventListener('close', ({ code, reason }) => resolve({ code, reason }));
    });
  }

  static of(response: Response): FrameSocket {
    if (response.webSocket === null) throw new Error(`no upgrade: ${response.status}`);
    return new FrameSocket(response.webSocket);
  }

  static async open(path: string, headers: Record<string, string>): Promise<FrameSocket> {
    return FrameSocket.of(await call(path, { headers: { ...headers, Upgrade: 'websocket' } }));
  }

  send(body: unknown): void {
    this.socket.send(typeof body === 'string' ? body : JSON.stringify(body));
  }

  /** The frames that came and that nobody awaited. */
  get rest(): readonly string[] {
    return this.#frames;
  }

  async next(): Promise<Record<string, unknown>> {
    return JSON.parse(await this.nextText());
  }

  nextText(): Promise<string> {
    const frame = this.#frames.shift();
    return frame === undefined ? new Promise((resolve) => this.#waiting.push(resolve)) : Promise.resolve(frame);
  }
}
