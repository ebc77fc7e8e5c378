// WebSockets as their clients see them, on a server that was started as users start it: what only a real connection
// shows.

import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type QuorateProcess, startQuorate } from '../support/quorate-process.ts';
import { openWebSocket, type WebSocketClient } from '../support/websocket-client.ts';

const waitMs = 10_000;

let server: QuorateProcess;

beforeAll(async () => {
  server = await startQuorate({ environment: {} });
});

afterAll(async () => {
  await server.dispose();
});

type Kind = { readonly name: string; readonly path: string; readonly message: string };

/** Every kind of socket, with a message that has no effect but its answer. */
const kinds: readonly Kind[] = [
  { name: 'watch of v1', path: '/v1/watch?prefix=', message: '{"type":"progress"}' },
  { name: 'watch of v3', path: '/v3/watch', message: '{"create_request":{"key":"YQ=="}}' },
  { name: 'keepalives', path: '/v3/lease/keepalive', message: '{"ID":"77"}' },
  { name: 'calls', path: '/v3/kv/range', message: '{"key":"YQ=="}' },
  { name: 'observers', path: '/v3/election/observe', message: '{"name":"YQ=="}' },
];

type Key = { readonly id: string; readonly key: string };

async function asOperator(method: string, path: string, body: object | null = null): Promise<Response> {
  const headers = { Authorization: `Bearer ${server.ready.operatorToken}` };
  const response = await fetch(`${server.ready.url}${path}`, {
    method,
    headers,
    body: body === null ? null : JSON.stringify(body),
  });
  if (!response.ok) throw new Error(`${method} ${path} answered ${response.status}: ${await response.text()}`);
  return response;
}

async function newKey(tenant: string): Promise<Key> {
  return (await (await asOperator('POST', `/v1/tenants/${tenant}/keys`, { role: 'write' })).json()) as Key;
}

async function newTenant(name: string): Promise<Key> {
  return (await (await asOperator('POST', '/v1/tenants', { name, replicas: 1 })).json()) as Key;
}

class Open {
  readonly socket: WebSocketClient;
  readonly messages: string[] = [];
  readonly ended: Promise<void>;

  constructor(socket: WebSocketClient) {
    this.socket = socket;
    socket.endsConnection = false;
    socket.onMessage = (text) => this.messages.push(text);
    this.ended = new Promise((resolve) => {
      socket.onEnd = resolve;
    });
    socket.start();
  }

  /** Sends a message and waits for its answer. */
  async speak(text: string): Promise<void> {
    const before = this.messages.length;
    this.socket.send(text);
    await until(() => this.messages.length > before, `an answer to ${text}`);
  }
}

async function open(path: string, key: string): Promise<Open> {
  const upgrade = await openWebSocket(new URL(path, server.ready.url), { Authorization: `Bearer ${key}` }, waitMs);
  if (upgrade.socket === null) throw new Error(`no upgrade of ${path}: ${upgrade.status} ${upgrade.body}`);
  return new Open(upgrade.socket);
}

async function until(isSo: () => boolean, what: string): Promise<void> {
  for (const deadline = Date.now() + waitMs; !isSo();) {
    if (Date.now() > deadline) throw new Error(`it did not come: ${what}`);
    await sleep(10);
  }
}

async function inTime(promise: Promise<unknown>, what: string): Promise<void> {
  let came = false;
  const end = promise.then(() => (came = true));
  await Promise.race([end, until(() => came, what)]);
}

it('SOCKET-1: a close that the client begins is answered by a close frame, and the connection ends', async () => {
  const { key } = server.ready.tenant;
  for (const { name, path, message } of kinds) {
    for (const speaks of [false, true]) {
      const one = await open(path, key);
      if (speaks && path !== '/v3/election/observe') await one.speak(message);
      one.socket.close();
      await inTime(one.ended, `the close frame of ${name}`);
      expect(one.socket.closeFrame, name).toEqual({ code: 1000, reason: '' });
      await inTime(one.socket.serverEnded, `the end of the connection of ${name}`);
    }
  }
});

it('SOCKET-1: a close frame with any code, or with none, is answered, by its code where that is one', async () => {
  const codes = [null, 1001, 1005, 2000, 4999, 0, 999, 1004, 1006, 1015, 5000, 65_535];
  const answers = new Map<number | null, number | null>([
    [null, null],
    [1001, 1001],
    [1005, null],
    [2000, 2000],
    [4999, 4999],
  ]);
  for (const code of codes) {
    const one = await open('/v1/watch?prefix=', server.ready.tenant.key);
    one.socket.close(code);
    await endsWith(one, answers.has(code) ? (answers.get(code) ?? null) : 1002, `a watch closed with ${code}`);
  }
});

it("SOCKET-1: Node's WebSocket, which waits for the server to end the connection, is told that it closed", async () => {
  for (const { name, path } of kinds) {
    const socket = new WebSocket(server.ready.url.replace('http', 'ws') + path, ['Bearer', server.ready.tenant.key]);
    const opened = new Promise((resolve) => socket.addEventListener('open', resolve));
    const closed = new Promise<CloseEvent>((resolve) => socket.addEventListener('close', resolve));
    await inTime(opened, `the upgrade of ${name}`);
    // A message that arrives while it closes makes this client forget that it was asked to close.
    await sleep(50);
    socket.close(1000, 'done');
    await inTime(closed, `onclose of ${name}`);
    const { code, reason, wasClean } = await closed;
    expect({ code, reason, wasClean }, name).toEqual({ code: 1000, reason: 'done', wasClean: true });
  }
});

it('SOCKET-1: a close that the server begins ends the connection once the client has closed, too', async () => {
  const { id } = server.ready.tenant;
  const key = await newKey(id);
  const watches = kinds.slice(0, 2);
  const sockets = await Promise.all(watches.map(({ path }) => open(path, key.key)));
  for (const [place, { message }] of watches.entries()) await sockets[place]?.speak(message);
  await asOperator('DELETE', `/v1/tenants/${id}/keys/${key.id}`);
  for (const [place, { name }] of watches.entries()) await endsWith(sockets[place], 4401, name);

  const tenant = await newTenant('short-lived');
  const all = await Promise.all(kinds.map(({ path }) => open(path, tenant.key)));
  for (const [place, { message, path }] of kinds.entries()) {
    if (path === '/v3/election/observe') all[place]?.socket.send(message);
    else await all[place]?.speak(message);
  }
  await asOperator('DELETE', `/v1/tenants/${tenant.id}?force=true`);
  for (const [place, { name }] of kinds.entries()) await endsWith(all[place], 4404, name);
});

it('SOCKET-4: a client that cannot read the answer to its upgrade is told by a close frame; another one gets the status', async () => {
  const { key } = server.ready.tenant;
  const reader = (await (
    await asOperator('POST', `/v1/tenants/${server.ready.tenant.id}/keys`, { role: 'read', prefix: 'mine/' })
  ).json()) as Key;
  await fetch(`${server.ready.url}/v1/kv/a`, { method: 'PUT', body: '1', headers: { 'Quorate-Key': key } });
  const refusals: readonly (readonly [string, string | null, number, string])[] = [
    ['/v1/watch?prefix=', null, 4401, 'Send an access key'],
    ['/v3/watch', null, 4401, 'Send an access key'],
    ['/v3/kv/range', `${key.slice(0, -1)}_`, 4401, 'it looks cut'],
    ['/v1/watch?prefix=yours/', reader.key, 4403, 'lacks'],
    ['/v1/watch?nothing=1', key, 4400, 'nothing'],
    ['/v3/no/such/path', key, 4404, ''],
    ['/no-such-path', key, 4404, ''],
  ];
  for (const [path, secret, code, words] of refusals) {
    const url = new URL(path, server.ready.url);
    // The request of a page names its origin, and has the access key, if there is one, as a subprotocol.
    const offered = secret === null ? {} : { 'Sec-WebSocket-Protocol': `Bearer, ${secret}` };
    const upgrade = await openWebSocket(url, { Origin: 'https://page.example', ...offered }, waitMs);
    if (upgrade.socket === null) throw new Error(`${path} was answered ${upgrade.status}`);
    expect(upgrade.headers['sec-websocket-protocol'], path).toBe(secret === null ? undefined : 'Bearer');
    const one = new Open(upgrade.socket);
    await endsWith(one, code, path);
    expect(one.socket.closeFrame?.reason, path).toContain(words);
    expect(one.messages, path).toEqual([]);
    const plain = secret === null ? {} : { Authorization: `Bearer ${secret}` };
    expect((await openWebSocket(url, plain, waitMs)).status, path).toBe(code - 4000);
  }
  const node = new WebSocket(`${server.ready.url.replace('http', 'ws')}/v1/watch?prefix=`, ['Bearer', 'qrt_nobody']);
  const closed = new Promise<CloseEvent>((resolve) => node.addEventListener('close', resolve));
  await inTime(closed, 'onclose of a refused upgrade');
  expect((await closed).code).toBe(4401);
  const lowercase = { 'Sec-WebSocket-Protocol': 'bearer, qrt_nobody' };
  const answer = await openWebSocket(new URL('/v3/watch', server.ready.url), lowercase, waitMs);
  expect([answer.status, answer.headers['sec-websocket-protocol']]).toEqual([101, 'bearer']);
  answer.socket?.destroy();
});

function create(name: string): string {
  return JSON.stringify({ create_request: { key: btoa(name) } });
}

/** The message for the watch with this id. An answer does not name the first watch, whose id is 0. */
function ofWatch(id: number): unknown {
  return expect.objectContaining(id === 0 ? {} : { watch_id: String(id) });
}

it('SOCKET-5: what etcd takes of frames is taken: large ones, several messages, binary, in fragments, empty', async () => {
  const { key } = server.ready.tenant;
  const one = await open('/v3/watch', key);
  one.socket.send(create('x'.repeat(52_000)));
  one.socket.send(`${create('a')}\n${create('b')}\n${create('c')}`);
  one.socket.sendBinary(new TextEncoder().encode(create('d')));
  const fragmented = create('e');
  one.socket.sendFragments([fragmented.slice(0, 9), '', fragmented.slice(9)]);
  one.socket.send('');
  one.socket.send('ping');
  one.socket.send(create('f'));
  await until(() => one.messages.length === 8, 'seven watches and a pong');
  const answers = one.messages.filter((text) => text !== 'pong').map((text): unknown => JSON.parse(text));
  const ids = [0, 1, 2, 3, 4, 5, 6];
  expect(answers).toMatchObject(ids.map(() => ({ result: { created: true } })));
  expect(answers.map((answer) => (answer as { result: unknown }).result)).toEqual(ids.map(ofWatch));
  one.socket.send(`{"x":"${'y'.repeat(4 * 1_048_576)}"}`);
  await endsWith(one, 4400, 'a watch whose frame is too large');
  expect(one.socket.closeFrame?.reason).toContain('4194304 bytes');
  expect(one.messages.at(-1)).toContain('"code":3');
});

/**
 * The runtime on this machine goes on waiting where the first message of a socket is the close frame (kj,
 * `BlockedReceive::tryPumpFrom`): the process in front sees both close frames, and ends the connection.
 */
it('SOCKET-1: a client that never spoke has its connection ended by the server, too', async () => {
  const { id } = server.ready.tenant;
  const key = await newKey(id);
  const silent = await open('/v1/watch?prefix=', key.key);
  await asOperator('DELETE', `/v1/tenants/${id}/keys/${key.id}`);
  await endsWith(silent, 4401, 'a silent watch');
});

async function endsWith(one: Open | undefined, code: number | null, name: string): Promise<void> {
  if (one === undefined) throw new Error(`no socket for ${name}`);
  await inTime(one.ended, `the close frame of ${name}`);
  expect(one.socket.closeFrame === null ? 'none' : one.socket.closeFrame.code, name).toBe(code);
  await inTime(one.socket.serverEnded, `the end of the connection of ${name}`);
}
