// Calls that the front sends by session, beside the same bytes at the runtime behind it: both must judge alike. What
// passes between the front and the runtime is counted, so that each test knows which way a call went.

import { forged } from '../support/forged.ts';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { frontBounds, type FrontBounds } from '../../src/front/bounds.ts';
import { Front } from '../../src/front/front.ts';
import { startQuorate, type QuorateProcess } from '../support/quorate-process.ts';
import { ask, type Answer, RawClient } from './raw-client.ts';
import { Tap } from './tap.ts';

let server: QuorateProcess;
let front: Front;
let tap: Tap;
let directPort: number;
const fronts: Front[] = [];

beforeAll(async () => {
  server = await startQuorate({ arguments: ['--direct', '--fault-port', '0'] });
  directPort = Number(new URL(server.ready.url).port);
  tap = await Tap.before(directPort);
  front = await open();
});

afterAll(async () => {
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

/** Both ways take the name that a client gives its request. */
const named = 'one/request:7';

const key = (): string => server.ready.tenant.key;

function request(first: string, headers: readonly string[] = [], body = ''): string {
  const length = body === '' ? [] : [`Content-Length: ${Buffer.byteLength(body)}`];
  const lines = [
    `${first} HTTP/1.1`,
    'Host: store',
    `Quorate-Key: ${key()}`,
    `X-Request-Id: ${named}`,
    ...headers,
    ...length,
  ];
  return `${lines.join('\r\n')}\r\n\r\n${body}`;
}

/** Whether a call went by session. */
async function goes(bytes: string, port = front.port): Promise<boolean> {
  const before = tap.heads.length;
  await ask(port, bytes);
  return tap.heads.length === before;
}

/** Until calls with this key go by session. */
async function warm(port = front.port, bytes = request('PUT /v1/kv/there', [], 'x')): Promise<void> {
  for (let tries = 0; !(await goes(bytes, port)); tries++) {
    expect(tries).toBeLessThan(200);
    await sleep(10);
  }
}

function numberless(text: string): string {
  return text.replaceAll(/\d+/g, '#');
}

/** A write moves the store's revision, which shows in many places. */
function withoutNumbers(answer: Answer): Answer {
  return { ...answer, headers: answer.headers.map(numberless), body: numberless(answer.body) };
}

const base64 = (text: string): string => Buffer.from(text).toString('base64');
const post = (path: string, body: object | string, ...headers: readonly string[]): string =>
  request(`POST ${path}`, headers, typeof body === 'string' ? body : JSON.stringify(body));
const there = base64('there');
const none = base64('none');
const put = { key: base64('p'), value: base64('v') };

/** Calls that go by session. */
const bySession: Readonly<Record<string, () => string>> = {
  'a value': () => request('GET /v1/kv/there'),
  'a value, HEAD': () => request('HEAD /v1/kv/there'),
  'no key': () => request('GET /v1/kv/none'),
  'no key, HEAD': () => request('HEAD /v1/kv/none'),
  'a value that the client has': () => request('GET /v1/kv/there', ['If-None-Match: *']),
  'a condition in two headers': () => request('GET /v1/kv/there', ['If-None-Match: "1"', 'If-None-Match: "2"']),
  'an old revision': () => request('GET /v1/kv/there?revision=1'),
  'a revision that is to come': () => request('GET /v1/kv/there?revision=999999'),
  'a serializable read': () => request('GET /v1/kv/there?consistency=serializable'),
  'a key in percent-encoding': () => request('GET /v1/kv/%74here'),
  'a key with dot segments': () => request('GET /v1/kv/x/../there'),
  'a host in numbers': () => request('GET /v1/kv/there').replace('store', '[::1]:8787'),
  'two types': () => request('PUT /v1/kv/a', ['Content-Type: text/plain', 'Content-Type: x/y'], 'x'),
  'cookies, and what else clients send': () =>
    request('GET /v1/kv/there', ['Cookie: a=b', 'Cookie: token=c', 'Accept: */*', 'Range: bytes=0-0', 'TE: trailers']),
  'a list': () => request('GET /v1/kv?prefix=th'),
  'a list of all': () => request('GET /v1/kv'),
  'a list in pages': () => request('GET /v1/kv?limit=1'),
  'a put': () => request('PUT /v1/kv/a', [], 'xy'),
  'a put of nothing': () => request('PUT /v1/kv/a'),
  'a put that may not be': () => request('PUT /v1/kv/there', ['If-Match: "9999"'], 'x'),
  'a put of what is new': () => request('PUT /v1/kv/there', ['If-None-Match: *'], 'x'),
  'a put with a lease that is not there': () => request('PUT /v1/kv/a?lease=77', [], 'x'),
  'a put of a form': () => request('PUT /v1/kv/a', ['Content-Type: application/x-www-form-urlencoded'], 'x'),
  'a delete': () => request('DELETE /v1/kv/a'),
  'a delete of no key': () => request('DELETE /v1/kv/none'),
  'a delete of a range': () => request('DELETE /v1/kv?prefix=zz'),
  'a txn': () => post('/v1/txn', '{"then":[{"get":{"key":"there"}},{"put":{"key":"b","value":"c"}}]}'),
  leases: () => request('GET /v1/leases'),
  'a lease': () => post('/v1/leases', { ttl: 60 }),
  'a lease that is not there': () => request('GET /v1/leases/77'),
  'a lease that is not there, ended': () => request('DELETE /v1/leases/77'),
  'a lease that is not there, kept alive': () => request('POST /v1/leases/77/keepalive'),
  'another form of credentials': () => request('GET /v1/kv/there', ['Authorization: Bearer x']),
  'etcd: a range': () => post('/v3/kv/range', { key: there }),
  'etcd: a range of no key': () => post('/v3/kv/range', { key: none }),
  'etcd: a range of the future': () => post('/v3/kv/range', { key: none, revision: '99999999' }),
  'etcd: no key': () => post('/v3/kv/range', {}),
  'a lock': () => request('GET /v1/locks/a'),
  'etcd: a serializable range': () => post('/v3/kv/range', { key: there, serializable: true }),
  'etcd: the older prefix': () => post('/v3beta/kv/range', { key: there }),
  'etcd: a put': () => post('/v3/kv/put', put),
  'etcd: a put with the pair before it': () => post('/v3/kv/put', { ...put, prev_kv: true }),
  'etcd: a put with a lease that is not there': () => post('/v3/kv/put', { ...put, lease: '77' }),
  'etcd: a delete': () => post('/v3/kv/deleterange', { key: none }),
  'etcd: a txn': () =>
    post('/v3/kv/txn', {
      compare: [{ key: there, target: 'VERSION', result: 'GREATER', version: '0' }],
      success: [{ request_range: { key: there } }, { request_put: put }],
    }),
  'etcd: a txn without a write': () => post('/v3/kv/txn', { success: [{ request_range: { key: there } }] }),
  'etcd: a txn with a key twice': () => post('/v3/kv/txn', { success: [{ request_put: put }, { request_put: put }] }),
  'etcd: a compaction of the future': () => post('/v3/kv/compaction', { revision: '99999999' }),
  'etcd: leases': () => post('/v3/lease/leases', {}),
  'etcd: a lease that is not there': () => post('/v3/lease/timetolive', { ID: '77' }),
  'etcd: a lease that is not there, ended': () => post('/v3/lease/revoke', { ID: '77' }),
  'etcd: a lease': () => post('/v3/lease/grant', { TTL: '60' }),
  'etcd: whether auth is on': () => post('/v3/auth/status', {}),
  'etcd: users': () => post('/v3/auth/user/list', {}),
  'etcd: a user who is not there': () => post('/v3/auth/user/get', { name: 'nobody' }),
};

/** Calls that the gateway judges, whoever makes them. */
const handedOn: Readonly<Record<string, () => string>> = {
  'a body that is no message': () => post('/v3/kv/put', '{{{'),
  'a parameter that is not known': () => request('GET /v1/kv/there?nonsense=1'),
  'percent-encoding that is none': () => request('GET /v1/kv/%zz'),
  'a revision that is none': () => request('GET /v1/kv/there?revision=x'),
  'a key that is too long': () => request(`GET /v1/kv/${'k'.repeat(3_000)}`),
  'a method that is not taken': () => request('DELETE /v3/kv/put'),
  'a path that is not there': () => request('GET /v1/nothing'),
  'dot segments': () => request('GET /v1/../v1/kv/there'),
  'a page of another origin': () => request('GET /v1/kv/there', ['Origin: https://page']),
  'a preflight': () => request('OPTIONS /v1/kv/there', ['Origin: https://page']),
  'a nearer replica': () => request('GET /v1/kv/there', ['Quorate-Read: nearest']),
  'a reader that is none': () => request('GET /v1/kv/there', ['Quorate-Read: x']),
  'a time-out': () => post('/v3/kv/range', { key: there }, 'Grpc-Timeout: 5S'),
  'a body in chunks': () => request('PUT /v1/kv/a', ['Transfer-Encoding: chunked']) + '2\r\nxy\r\n0\r\n\r\n',
  'a body that is awaited': () => request('PUT /v1/kv/a', ['Expect: 100-continue', 'Content-Length: 2']),
  'a condition that means nothing': () => request('GET /v1/kv/there', ['If-Match: "1"']),
  'a coding that is not taken': () => request('PUT /v1/kv/a', ['Content-Encoding: gzip'], 'xy'),
  'an Idempotency-Key that is none': () => post('/v3/kv/put', put, 'Idempotency-Key: a b'),
  'a host that is no address': () => request('GET /v1/kv/there').replace('store', '999.999.999.999'),
  'a port that is none': () => request('GET /v1/kv/there').replace('store', 'store:99999'),
  'a header beyond ASCII': () => request('GET /v1/kv/there', ['X: caf\u00e9']),
  'two keys': () => request('GET /v1/kv/there', ['Quorate-Key: none']),
  'another key': () => request('GET /v1/kv/there').replace(key(), 'none'),
  'another key and a body that is none': () => post('/v3/kv/put', '{{{').replace(key(), 'none'),
  'no key at all': () => request('GET /v1/kv/there').replace(/Quorate-Key: .*\r\n/, ''),
  'a status': () => request('GET /v1/status'),
  'whose key it is': () => request('GET /v1/whoami'),
  'a login': () => post('/v3/auth/authenticate', { name: 'root', password: 'x' }),
  'a new user': () => post('/v3/auth/user/add', { name: '', password: 'x' }),
};

async function answers(bytes: string): Promise<{ direct: Answer; passed: Answer; went: readonly string[] }> {
  const direct = withoutNumbers(await ask(directPort, bytes));
  const before = tap.heads.length;
  const passed = withoutNumbers(await ask(front.port, bytes));
  return { direct, passed, went: tap.heads.slice(before) };
}

describe('FRONT-20: a plain call of a caller whom the gateway took goes by session, and is answered alike', () => {
  beforeAll(() => warm());
  it.each(Object.entries(bySession))('%s', async (_, bytes) => {
    // A caller in another form is another caller.
    await ask(front.port, bytes());
    await sleep(20);
    const { direct, passed, went } = await answers(bytes());
    expect(direct.status).not.toBe(0);
    expect(passed).toEqual(direct);
    expect(went).toEqual([]);
  });
});

function idOf({ headers }: Answer): string | undefined {
  return headers.find((line) => line.startsWith('x-request-id: '))?.slice('x-request-id: '.length);
}

describe('FRONT-43: every answer of the front has the id of its request', () => {
  beforeAll(() => warm());
  it('by session, and handed on to the gateway under the same id', async () => {
    // The body of a problem has the id as the gateway, or the front in its place, knew it.
    for (const bytes of [request('GET /v1/kv/none'), request('GET /v1/nothing')]) {
      const answer = await ask(front.port, bytes);
      expect([answer.status, idOf(answer)]).toEqual([404, named]);
      expect(answer.body).toContain(`"request_id":"${named}"`);
    }
    expect(idOf(await ask(front.port, request('GET /v1/kv/there')))).toBe(named);
  });

  it('an id of its own, where the client has none that is well-formed or sends two', async () => {
    const ids = new Set<string | undefined>();
    const none = request('GET /v1/kv/none').replace(/X-Request-Id: .*\r\n/, '');
    const two = request('GET /v1/kv/none', ['X-Request-Id: b']);
    for (const bytes of [none, none, two, request('GET /v1/kv/none').replace(named, 'a b')]) {
      const answer = await ask(front.port, bytes);
      expect(answer.status).toBe(404);
      expect(answer.body).toContain(`"request_id":"${idOf(answer)}"`);
      ids.add(idOf(answer));
    }
    expect(ids.size).toBe(4);
  });

  it('a watch, what is refused unread, and what the runtime refuses before any Worker', async () => {
    const watch = new RawClient(front.port);
    watch.send(request('GET /v1/watch?key=there'));
    expect(await watch.until((text) => text.includes('\r\n\r\n'))).toMatch(/^x-request-id: one\/request:7\r$/im);
    watch.leave();
    const unread = await ask(front.port, 'GET /healthz\r\n\r\n');
    expect([unread.status, idOf(unread)]).toEqual([400, expect.stringMatching(/^[\w-]{10,}$/)]);
    const hostless = await ask(front.port, request('GET /v1/kv/there').replace('store', 'store:99999'));
    expect([hostless.status, idOf(hostless)]).toEqual([expect.any(Number), named]);
  });
});

describe('FRONT-21: any other request is handed on, and the gateway judges it', () => {
  beforeAll(() => warm());
  it.each(Object.entries(handedOn))('%s', async (_, bytes) => {
    const { direct, passed, went } = await answers(bytes());
    expect(direct.status).not.toBe(0);
    // The runtime ends its connection behind a fault of its own.
    // Where it answers before any Worker does, the front adds the id.
    const isWithoutId = !direct.headers.some((line) => line.startsWith('x-request-id'));
    const headers = passed.headers.filter((line) => !isWithoutId || !line.startsWith('x-request-id'));
    expect({ ...passed, headers, isKept: true }).toEqual({ ...direct, isKept: true });
    expect(went).toHaveLength(1);
  });
});

async function operate(method: string, path: string, body?: object): Promise<string> {
  const { url, operatorToken } = server.ready;
  const headers = { Authorization: `Bearer ${operatorToken}` };
  const sent = body === undefined ? {} : { body: JSON.stringify(body) };
  const response = await fetch(`${url}${path}`, { method, headers, ...sent });
  expect(response.status).toBeLessThan(300);
  return await response.text();
}

type AccessKey = { readonly id: string; readonly key: string };

async function newKey(): Promise<AccessKey> {
  const text = await operate('POST', `/v1/tenants/${server.ready.tenant.id}/keys`, { role: 'write' });
  const made: { readonly id: string; readonly key: string } = JSON.parse(text);
  return made;
}

function as({ key: text }: { readonly key: string }, bytes: string): string {
  return bytes.replace(key(), text);
}

describe('FRONT-22: the front answers nothing of its own to a caller whom the gateway has not taken', () => {
  it('the first call of a caller is handed on, and so is each that is refused', async () => {
    const made = await newKey();
    const get = as(made, request('GET /v1/kv/there'));
    expect(await goes(get)).toBe(false);
    await warm(front.port, get);
    const wrong = as({ key: forged(made.key) }, request('GET /v1/kv/there'));
    for (let round = 0; round < 3; round++) {
      expect(await goes(wrong)).toBe(false);
      expect((await ask(front.port, wrong)).status).toBe(401);
    }
  });

  it('a revoked key is refused from the next call on, by session and after that by the gateway', async () => {
    const made = await newKey();
    const get = as(made, request('GET /v1/kv/there'));
    await warm();
    await warm(front.port, get);
    await operate('DELETE', `/v1/tenants/${server.ready.tenant.id}/keys/${made.id}`);
    for (let round = 0; round < 3; round++) {
      const { direct, passed } = await answers(get);
      expect(direct.status).toBe(401);
      expect(passed).toEqual(direct);
      await sleep(20);
    }
    expect(await goes(get)).toBe(false);
    // Others go on.
    expect(await goes(request('GET /v1/kv/there'))).toBe(true);
  });
});

describe('FRONT-23: calls by session outlive the crash of a leader, and each write is done once', () => {
  it('the version of a key is the number of its puts', async () => {
    await warm();
    const clients = 8;
    const putsOfEach = 40;
    const { faultUrl, tenant } = server.ready;
    const done: number[] = [];
    const one = async (): Promise<void> => {
      for (let puts = 0; puts < putsOfEach; puts++) {
        const { status, body } = await ask(front.port, request('PUT /v1/kv/counted', [], 'x'));
        expect(status, body).toBe(200);
        done.push(status);
      }
    };
    const crashes = async (): Promise<void> => {
      for (const replica of [1, 2, 3]) {
        while (done.length < replica * clients * 8) await sleep(1);
        const body = JSON.stringify({ tenant: tenant.id, replica });
        await fetch(`${faultUrl ?? ''}/abort`, { method: 'POST', body });
      }
    };
    await Promise.all([crashes(), ...Array.from({ length: clients }, one)]);
    const { headers } = await ask(front.port, request('GET /v1/kv/counted'));
    expect(headers).toContain(`quorate-version: ${clients * putsOfEach}`);
    await warm();
  }, 60_000);
});

describe('FRONT-29: a header of credentials that is empty is not one that is missing', () => {
  it('an empty key goes before a good one in another header', async () => {
    const bearer = request('GET /v1/kv/there').replace('Quorate-Key: ', 'Authorization: Bearer ');
    await warm(front.port, bearer);
    const empty = bearer.replace('Host: store', 'Host: store\r\nQuorate-Key: ');
    const { direct, passed, went } = await answers(empty);
    expect(direct.status).toBe(401);
    expect(passed).toEqual(direct);
    expect(went).toHaveLength(1);
  });
});

const get = (): string => request('GET /v1/kv/there');

describe('FRONT-27: calls go by session again, with whoever leads, once the leader that the front knew is gone', () => {
  it('the replica that leads is removed', async () => {
    await warm();
    const { id } = server.ready.tenant;
    const { body } = await ask(front.port, request('GET /v1/status'));
    const leader = Number(/"leader":(\d+)/.exec(body)?.[1]);
    await operate('DELETE', `/v1/tenants/${id}/replicas/${leader}?force=true`);
    await warm();
    expect((await ask(front.port, request('GET /v1/kv/there'))).status).toBe(200);
  }, 60_000);
});

describe('FRONT-24: what the front keeps for calls by session is bounded, and what is beyond is handed on', () => {
  it('callers', async () => {
    const { port } = await open({ credentialsMax: 1 });
    await warm(port);
    const second = as(await newKey(), get());
    await ask(port, second);
    await sleep(50);
    expect([await goes(get(), port), await goes(second, port)]).toEqual([true, false]);
  });

  it('callers of one tenant', async () => {
    const { port } = await open({ tenantCredentialsMax: 1 });
    await warm(port);
    const second = as(await newKey(), get());
    await ask(port, second);
    await sleep(50);
    expect([await goes(get(), port), await goes(second, port)]).toEqual([true, false]);
  });

  it('bytes of the credentials of one caller', async () => {
    const line = `Quorate-Key: ${key()}\r\nGrpc-Metadata-Token: \r\n`;
    const credentialBytesMax = line.length + 10;
    const { port } = await open({ credentialBytesMax });
    await warm(port);
    for (const bytes of [10, 11]) {
      const besides = request('GET /v1/kv/there', [`Grpc-Metadata-Token: ${'x'.repeat(bytes)}`]);
      await ask(port, besides);
      await sleep(50);
      expect(await goes(besides, port)).toBe(bytes === 10);
    }
  });

  it('tenants', async () => {
    const { port } = await open({ tenantsMax: 1 });
    await warm(port);
    const second: { readonly id: string; readonly key: { readonly key: string } | string } = JSON.parse(
      await operate('POST', '/v1/tenants', { name: 'second' }),
    );
    const text = typeof second.key === 'string' ? second.key : second.key.key;
    const there = as({ key: text }, request('PUT /v1/kv/there', [], 'x'));
    await ask(port, there);
    await sleep(50);
    expect([await goes(get(), port), await goes(there, port)]).toEqual([true, false]);
  });

  it('calls of a tenant that are under way', async () => {
    const none = await open({ tenantCallsMax: 0 });
    await ask(none.port, get());
    await sleep(50);
    expect(await goes(get(), none.port)).toBe(false);
    const one = await open({ tenantCallsMax: 1 });
    await warm(one.port);
    expect(await goes(get(), one.port)).toBe(true);
  });

  it('bytes of bodies of a tenant, and of all', async () => {
    const bytesMax = 10_000;
    for (const bounds of [{ tenantBodyBytesMax: bytesMax }, { bodyBytesMax: bytesMax }]) {
      const { port } = await open(bounds);
      await warm(port);
      const put = (bytes: number): string => request('PUT /v1/kv/large', [], 'x'.repeat(bytes));
      expect([await goes(put(bytesMax), port), await goes(put(bytesMax + 1), port)]).toEqual([true, false]);
    }
  });

  it('bodies of clients that have left, while the runtime does not read', async () => {
    const mebibyte = 1_048_576;
    const { port } = await open({ tenantBodyBytesMax: 4 * mebibyte });
    await warm(port);
    tap.stall();
    for (let put = 0; put < 32; put++) {
      const client = new RawClient(port);
      client.send(request('PUT /v1/kv/left', [], 'x'.repeat(mebibyte)));
      await sleep(20);
      client.socket.resetAndDestroy();
    }
    tap.goOn();
    await sleep(500);
    // What the systems' buffers hold is not the front's.
    expect(tap.stalledBytes).toBeLessThan(16 * mebibyte);
  });

  it('answers that were not read', async () => {
    const bytesMax = 10_000;
    const { port } = await open({ answers: { bytesMax, tenantBytesMax: bytesMax, keyBytesMax: bytesMax } });
    await warm(port);
    const large = request('GET /v1/kv/large');
    for (const [bytes, status] of [
      [bytesMax, 200],
      [bytesMax + 1, 429],
    ] as const) {
      await ask(port, request('PUT /v1/kv/large', [], 'x'.repeat(bytes)));
      const before = tap.heads.length;
      expect((await ask(port, large)).status).toBe(status);
      expect(tap.heads).toHaveLength(before);
    }
    expect((await ask(port, get())).status).toBe(200);
  });

  it('sessions of a tenant that nobody calls', async () => {
    const { port } = await open({ tenantIdleMs: 200, lookMs: 20 });
    await warm(port);
    await sleep(100);
    expect(await goes(get(), port)).toBe(true);
    await sleep(400);
    expect(await goes(get(), port)).toBe(false);
  });
});
