// Calls that wait for their turn in a queue, which the front sends by session, beside the same calls at the runtime
// behind it. What passes between the front and the runtime is counted, so each test knows which way a call went.

import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { frontBounds, type FrontBounds } from '../../../src/front/bounds.ts';
import { Front } from '../../../src/front/front.ts';
import { GrpcClient, type GrpcClientCall } from '../../support/grpc-client.ts';
import { startQuorate, type QuorateProcess } from '../../support/quorate-process.ts';
import { ask, askWhole, type Answer, RawClient } from '../raw-client.ts';
import { Tap } from '../tap.ts';

let server: QuorateProcess;
let front: Front;
let tap: Tap;
let directPort: number;
const fronts: Front[] = [];
const clients: GrpcClient[] = [];

beforeAll(async () => {
  server = await startQuorate({ arguments: ['--direct', '--fault-port', '0'] });
  directPort = Number(new URL(server.ready.url).port);
  tap = await Tap.before(directPort);
  front = await open();
});

afterAll(async () => {
  for (const client of clients) client.close();
  for (const each of fronts) await each.close();
  tap.close();
  await server.dispose();
});

async function open(bounds: Partial<FrontBounds> = {}): Promise<Front> {
  const opened = await Front.listen({ host: '127.0.0.1', port: 0 }, { ...frontBounds, lookMs: 50, ...bounds });
  opened.open({ host: '127.0.0.1', port: tap.port });
  fronts.push(opened);
  return opened;
}

function grpc(port = front.port, key = server.ready.tenant.key): GrpcClient {
  const client = new GrpcClient(`http://127.0.0.1:${port}`, { authorization: `Bearer ${key}` });
  clients.push(client);
  return client;
}

const base64 = (text: string): string => Buffer.from(text).toString('base64');
const plain = (text: string): string => Buffer.from(text, 'base64').toString();

type More = { readonly headers?: readonly string[]; readonly key?: string };

function post(path: string, body: object, { headers = [], key = server.ready.tenant.key }: More = {}): string {
  const text = JSON.stringify(body);
  const lines = [`POST ${path} HTTP/1.1`, 'Host: store', `Quorate-Key: ${key}`, 'X-Request-Id: one', ...headers];
  return `${[...lines, `Content-Length: ${Buffer.byteLength(text)}`].join('\r\n')}\r\n\r\n${text}`;
}

async function direct(path: string, body: object): Promise<{ readonly status: number; readonly body: string }> {
  return await ask(directPort, post(path, body));
}

/** The requests that the runtime got since. */
async function passing<Value>(task: () => Promise<Value>): Promise<{ value: Value; went: readonly string[] }> {
  const before = tap.heads.length;
  const value = await task();
  // Not those that open a session.
  return { value, went: tap.heads.slice(before).filter((head) => !head.includes('/v1/session')) };
}

/** Until calls with this key go by session, also those by gRPC, whose header of credentials is another. */
async function warm(port = front.port, key = server.ready.tenant.key): Promise<void> {
  const there = post('/v3/kv/range', { key: base64('there') }, { key });
  const client = grpc(port, key);
  for (let tries = 0; ; tries++) {
    const { went } = await passing(async () => {
      await ask(port, there);
      await client.call('/etcdserverpb.KV/Range', { key: base64('there') });
    });
    if (went.length === 0) return;
    expect(tries).toBeLessThan(1_000);
    await sleep(10);
  }
}

async function until(isSo: () => Promise<boolean> | boolean): Promise<void> {
  while (!(await isSo())) await sleep(10);
}

/** The places of a queue, the oldest first. */
async function places(name: string): Promise<readonly string[]> {
  const range = { key: base64(`${name}/`), range_end: base64(`${name}0`), sort_target: 'CREATE', keys_only: true };
  const { body } = await direct('/v3/kv/range', range);
  const { kvs = [] }: { kvs?: { key: string }[] } = JSON.parse(body);
  return kvs.map(({ key }) => plain(key));
}

async function queued(name: string, count: number): Promise<readonly string[]> {
  await until(async () => (await places(name)).length === count);
  return await places(name);
}

async function unlock(key: string | undefined): Promise<void> {
  await direct('/v3/lock/unlock', { key: base64(key ?? '') });
}

async function clear(name: string): Promise<void> {
  await direct('/v3/kv/deleterange', { key: base64(`${name}/`), range_end: base64(`${name}0`) });
}

/** Revisions, leases and the keys that are named by them differ from one call to the next. */
function withoutNumbers(text: string): string {
  const decoded = text.replaceAll(/"(key|name)":"([A-Za-z0-9+/=]+)"/g, (whole, field: string, value: string) =>
    base64(plain(value)) === value && plain(value).startsWith('queue') ? `"${field}":"${plain(value)}"` : whole,
  );
  return decoded.replaceAll(/\/[0-9a-f]+"/g, '/#"').replaceAll(/\d+(?:\.\d+)?/g, '#');
}

function comparable({ status, headers, body }: Answer): object {
  // How long an answer is, is said or not by how it is framed.
  const shown = headers.filter((header) => !header.startsWith('content-length'));
  return { status, headers: shown.map(withoutNumbers), body: withoutNumbers(body) };
}

const name = base64('queue');
const grant = (): Promise<unknown> => direct('/v3/lease/grant', { ID: '7007', TTL: '600' });

/** Calls that take a place in the queue, or are refused. */
const calls: Readonly<Record<string, (more?: More) => string>> = {
  'etcd: a lock': (more) => post('/v3/lock/lock', { name }, more),
  'etcd: a lock with a lease': (more) => post('/v3/lock/lock', { name, lease: '7007' }, more),
  'etcd: a lock with a lease that is not there': (more) => post('/v3/lock/lock', { name, lease: '7008' }, more),
  'etcd: the older prefix': (more) => post('/v3beta/lock/lock', { name }, more),
  'etcd: a campaign': (more) => post('/v3/election/campaign', { name, value: base64('me') }, more),
  'etcd: a campaign with a lease that is not there': (more) =>
    post('/v3/election/campaign', { name, lease: '7008' }, more),
  'a lock': (more) => post('/v1/locks/queue', { ttl: 60, wait: 60 }, more),
  'a lock that does not wait': (more) => post('/v1/locks/queue', { ttl: 60 }, more),
  'a lock with a lease': (more) => post('/v1/locks/queue', { lease: '7007', wait: 60 }, more),
  'a lock with a lease that is not there': (more) => post('/v1/locks/queue', { lease: '7008', wait: 60 }, more),
  'a place of a semaphore': (more) => post('/v1/semaphores/queue', { ttl: 60, limit: 2, wait: 60 }, more),
};

/** What was there before. */
const before: Readonly<Record<string, () => Promise<unknown>>> = {
  nobody: () => Promise.resolve(),
  'a holder': () => direct('/v1/locks/queue', { ttl: 60 }),
  'a key that is no place': () => direct('/v3/kv/put', { key: base64('queue/x') }),
};

/** The answer to a call that may wait: the place before it is given up once it waits. */
async function answerAt(port: number, bytes: string): Promise<Answer> {
  const first = await places('queue');
  const asked = askWhole(port, bytes);
  let isAnswered = false;
  void asked.then(() => (isAnswered = true));
  if (first.length > 0) {
    await until(async () => isAnswered || (await places('queue')).length > first.length);
    // One whose turn has come is answered now, and any other in a moment.
    if (!isAnswered) await unlock(first[0]);
  }
  const answer = await asked;
  await clear('queue');
  return answer;
}

/** What a candidate says and gives up, and who leads. */
async function electionAt(port: number): Promise<readonly object[]> {
  const won = await askWhole(port, post('/v3/election/campaign', { name, lease: '7007', value: base64('me') }));
  const { leader }: { leader: object } = JSON.parse(won.body);
  const said = { leader, value: base64('you') };
  const others = [
    post('/v3/election/proclaim', said),
    post('/v3/election/leader', { name }),
    post('/v3/election/resign', { leader }),
    post('/v3/election/proclaim', said),
    post('/v3/election/leader', { name }),
    post('/v3/lock/unlock', { key: base64('queue/none') }),
  ];
  const answers = [won];
  for (const bytes of others) answers.push(await askWhole(port, bytes));
  return answers.map(comparable);
}

describe('FRONT-WAIT-1: a wait of a caller whom the gateway took goes by session, and is answered alike', () => {
  beforeAll(async () => {
    await warm();
    await grant();
  });
  const cases = Object.keys(before).flatMap((was) => Object.keys(calls).map((call) => [was, call] as const));
  it.each(cases)('%s, then %s', async (was, call) => {
    const bytes = calls[call]?.() ?? '';
    await before[was]?.();
    const expected = comparable(await answerAt(directPort, bytes));
    await before[was]?.();
    const { value, went } = await passing(() => answerAt(front.port, bytes));
    expect(comparable(value)).toEqual(expected);
    expect(went).toEqual([]);
  });

  it('etcd: what a candidate says and gives up, and who leads', async () => {
    const expected = await electionAt(directPort);
    const { value, went } = await passing(() => electionAt(front.port));
    expect(value).toEqual(expected);
    expect(went).toEqual([]);
  });

  it('gRPC: a lock and an election', async () => {
    const client = grpc();
    const { value, went } = await passing(async () => {
      const locked = await client.call('/v3lockpb.Lock/Lock', { name, lease: '7007' });
      await clear('queue');
      const elected = await client.call('/v3electionpb.Election/Campaign', { name, value: base64('me') });
      const [{ leader }] = elected.messages as [{ leader: object }];
      const said = { leader, value: base64('you') };
      const proclaimed = await client.call('/v3electionpb.Election/Proclaim', said);
      const shown = await client.call('/v3electionpb.Election/Leader', { name });
      const resigned = await client.call('/v3electionpb.Election/Resign', { leader });
      const late = await client.call('/v3electionpb.Election/Proclaim', said);
      const none = await client.call('/v3electionpb.Election/Leader', { name });
      const gone = await client.call('/v3lockpb.Lock/Lock', { name, lease: '7008' });
      const unlocked = await client.call('/v3lockpb.Lock/Unlock', { key: base64('queue/none') });
      return { locked, proclaimed, shown, resigned, late, none, gone, unlocked };
    });
    expect(went).toEqual([]);
    expect(value).toMatchObject({
      locked: { code: 0, messages: [{ key: base64('queue/1b5f') }] },
      proclaimed: { code: 0 },
      shown: { code: 0, messages: [{ kv: { value: base64('you') } }] },
      resigned: { code: 0 },
      late: { code: 2, message: 'election: not leader' },
      none: { code: 2, message: 'election: no leader' },
      gone: { code: 2, message: 'etcdserver: requested lease not found' },
      unlocked: { code: 0 },
    });
  });
});

/** Ways to wait and to leave. */
const leaving: Readonly<Record<string, (path: string, message: object) => Promise<() => unknown>>> = {
  'a connection that is closed': (path, message) => overHttp(path, message, (client) => client.socket.end()),
  'a connection that is reset': (path, message) => overHttp(path, message, (client) => client.socket.resetAndDestroy()),
  'gRPC: a stream that is given up': (path, message) => overGrpc(path, message, (call) => call.stream.close(8)),
  'gRPC: a connection that says GOAWAY and ends': (path, message) =>
    overGrpc(path, message, (call) => call.stream.session?.destroy()),
  'gRPC: a deadline': (path, message) => overGrpc(path, message, () => undefined, { 'grpc-timeout': '1500m' }),
};

function overHttp(path: string, message: object, leave: (client: RawClient) => unknown): Promise<() => unknown> {
  const client = new RawClient(front.port);
  client.send(post(path, message));
  return Promise.resolve(() => leave(client));
}

const grpcPaths: Readonly<Record<string, string>> = {
  '/v3/lock/lock': '/v3lockpb.Lock/Lock',
  '/v3/election/campaign': '/v3electionpb.Election/Campaign',
};

function overGrpc(
  path: string,
  message: object,
  leave: (call: GrpcClientCall) => unknown,
  metadata: Readonly<Record<string, string>> = {},
): Promise<() => unknown> {
  const call = grpc().open(grpcPaths[path] ?? '', metadata);
  call.send(message);
  call.end();
  return Promise.resolve(() => leave(call));
}

describe('FRONT-WAIT-2: a client that goes away leaves its place in the queue at once', () => {
  beforeAll(() => warm());
  it.each(Object.keys(leaving))(
    '%s',
    async (way) => {
      for (const path of ['/v3/lock/lock', '/v3/election/campaign']) {
        await direct('/v3/lock/lock', { name });
        const [holder] = await places('queue');
        const { went } = await passing(async () => {
          const leave = await leaving[way]?.(path, { name });
          await queued('queue', 2);
          const last = ask(directPort, post('/v3/lock/lock', { name }));
          const [, left, next] = await queued('queue', 3);
          leave?.();
          // The lease of the place lives for a minute, and the connection of a session that broke has ten seconds.
          const leftMs = performance.now();
          await until(async () => !(await places('queue')).includes(left ?? ''));
          expect(performance.now() - leftMs).toBeLessThan(9_000);
          expect(await places('queue')).toEqual([holder, next]);
          await unlock(holder);
          expect((await last).status).toBe(200);
        });
        expect(went).toEqual([]);
        await clear('queue');
      }
    },
    60_000,
  );

  it('with a lease that was made for the place', async () => {
    await direct('/v1/locks/queue', { ttl: 600 });
    const { body } = await direct('/v3/lease/leases', {});
    const leave = await overHttp('/v1/locks/queue', { ttl: 600, wait: 600 }, (client) => client.socket.end());
    await queued('queue', 2);
    leave();
    await queued('queue', 1);
    const after = await direct('/v3/lease/leases', {});
    expect(JSON.parse(after.body).leases).toEqual(JSON.parse(body).leases);
    await clear('queue');
  });

  it('LOCK-54: a call of v1 that its client gives up takes its place from no later one with the same lease', async () => {
    for (let turn = 0; turn < 18; turn++) {
      const name = `later${turn}`;
      await direct('/v3/lease/grant', { ID: 9_000 + turn, TTL: 600 });
      const wanted = { lease: String(9_000 + turn), wait: 600 };
      const { body } = await askWhole(directPort, post(`/v1/locks/${name}`, { ttl: 600 }));
      const { lease: holder }: { lease: string } = JSON.parse(body);
      // By session, and directly.
      const port = turn % 2 === 0 ? front.port : directPort;
      const client = new RawClient(port);
      client.send(post(`/v1/locks/${name}`, wanted));
      if (turn % 3 === 1) await places(name);
      if (turn % 3 === 2) await queued(name, 2);
      client.socket.destroy();
      const later = ask(port, post(`/v1/locks/${name}`, wanted));
      await direct('/v3/lease/revoke', { ID: holder });
      expect(await later).toMatchObject({ status: 200 });
      expect(await places(name)).toEqual([`${name}/${(9_000 + turn).toString(16)}`]);
      await direct('/v3/lease/revoke', { ID: 9_000 + turn });
      expect(await places(name)).toEqual([]);
    }
  });
});

async function crashLeader(): Promise<void> {
  const { faultUrl, tenant } = server.ready;
  const status = await ask(directPort, post('/v3/maintenance/status', {}));
  expect(status.status).toBe(200);
  const { leader }: { leader: string } = JSON.parse(status.body);
  const members = await direct('/v3/cluster/member/list', {});
  const list: { members: { ID: string }[] } = JSON.parse(members.body);
  const replica = list.members.findIndex(({ ID }) => ID === leader) + 1;
  expect(replica).toBeGreaterThan(0);
  const body = JSON.stringify({ tenant: tenant.id, replica });
  expect((await fetch(`${faultUrl ?? ''}/abort`, { method: 'POST', body })).status).toBe(200);
}

describe('FRONT-WAIT-3: where a leader fails, each wait goes on at the next one, in its place', () => {
  it('over HTTP and gRPC, crash after crash', async () => {
    await warm();
    await direct('/v3/lock/lock', { name });
    const { went } = await passing(async () => {
      const turns: string[] = [];
      const wait = async (who: string, asked: Promise<string>): Promise<void> => {
        turns.push(`${who} ${await asked}`);
      };
      const waits = [wait('etcd', keyTo(post('/v3/lock/lock', { name })))];
      await queued('queue', 2);
      waits.push(wait('v1', keyTo(post('/v1/locks/queue', { ttl: 60, wait: 600 }))));
      await queued('queue', 3);
      const call = grpc().call('/v3electionpb.Election/Campaign', { name });
      waits.push(
        wait(
          'gRPC',
          call.then(({ messages }) => keyOf(JSON.stringify(messages[0]))),
        ),
      );
      const queue = await queued('queue', 4);
      for (let crash = 0; crash < 3; crash++) {
        await crashLeader();
        expect(await places('queue')).toEqual(queue);
      }
      const expected = ['etcd', 'v1', 'gRPC'].map((who, place) => `${who} ${queue[place + 1]}`);
      for (const [place, key] of queue.slice(0, 3).entries()) {
        expect(turns).toEqual(expected.slice(0, place));
        await unlock(key);
        await until(() => turns.length > place);
      }
      await Promise.all(waits);
      expect(turns).toEqual(expected);
      expect(await places('queue')).toEqual(queue.slice(3));
    });
    expect(went).toEqual([]);
    await clear('queue');
  }, 60_000);
});

async function keyTo(bytes: string): Promise<string> {
  return keyOf((await askWhole(front.port, bytes)).body);
}

function keyOf(body: string): string {
  const [, key = ''] = /"key":"([^"]*)"/.exec(body) ?? [];
  return key.includes('/') ? key : plain(key);
}

const otherLock = (more?: More): string => post('/v3/lock/lock', { name: base64('other') }, more);
/** How many requests the runtime gets for it. */
async function goes(port: number, bytes: string): Promise<number> {
  const { went, value } = await passing(() => ask(port, bytes));
  expect(value.status).toBe(200);
  await clear('other');
  return went.length;
}

describe('FRONT-WAIT-4: what a session does not hold is handed on', () => {
  it('a call that its client named', async () => {
    await warm();
    expect(await goes(front.port, otherLock())).toBe(0);
    expect(await goes(front.port, otherLock({ headers: ['Idempotency-Key: mine'] }))).toBe(1);
  });

  it('waits beyond frontTenantWaitsMax', async () => {
    const { port } = await open({ tenantWaitsMax: 1 });
    await warm(port);
    await direct('/v3/lock/lock', { name });
    const waiting = new RawClient(port);
    waiting.send(post('/v3/lock/lock', { name }));
    await queued('queue', 2);
    expect(await goes(port, otherLock())).toBe(1);
    waiting.leave();
    await queued('queue', 1);
    expect(await goes(port, otherLock())).toBe(0);
    await clear('queue');
  });

  it('a caller whose access key ends is told so, as directly, and others wait on', async () => {
    const { url, operatorToken, tenant } = server.ready;
    const operate = async (method: string, path: string, body?: object): Promise<Response> =>
      await fetch(`${url}/v1/tenants/${tenant.id}/keys${path}`, {
        method,
        headers: { Authorization: `Bearer ${operatorToken}` },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
    await direct('/v3/lock/lock', { name });
    const made = await operate('POST', '', { role: 'write' });
    const { id, key }: { id: string; key: string } = JSON.parse(await made.text());
    await warm(front.port, key);
    const bytes = [post('/v3/lock/lock', { name }, { key }), post('/v1/locks/queue', { ttl: 60, wait: 60 }, { key })];
    const expected = bytes.map((each) => askWhole(directPort, each));
    await queued('queue', 3);
    const waits = bytes.map((each) => askWhole(front.port, each));
    await queued('queue', 5);
    const other = ask(front.port, post('/v3/lock/lock', { name }));
    const queue = await queued('queue', 6);
    await operate('DELETE', `/${id}`);
    const told = await Promise.all(waits);
    expect(told.map(comparable)).toEqual((await Promise.all(expected)).map(comparable));
    expect(await queued('queue', 2)).toEqual([queue[0], queue[5]]);
    await unlock(queue[0]);
    expect((await other).status).toBe(200);
    await clear('queue');
  }, 30_000);
});
