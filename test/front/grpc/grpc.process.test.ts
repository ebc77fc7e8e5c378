// gRPC on the front's ports, as etcd's clients speak it.

import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import type { ClientHttp2Stream } from 'node:http2';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { frontBounds } from '../../../src/front/bounds.ts';
import { Front } from '../../../src/front/front.ts';
import { grpcMessagesWaitingMax, grpcStreamsOfConnectionMax } from '../../../src/limits.ts';
import { GrpcClient } from '../../support/grpc-client.ts';
import { startQuorate, type QuorateProcess } from '../../support/quorate-process.ts';
import { ask, RawClient } from '../raw-client.ts';

let server: QuorateProcess;
let etcd: GrpcClient;
let front: GrpcClient;
const clients: GrpcClient[] = [];

beforeAll(async () => {
  server = await startQuorate({ arguments: ['--etcd', '0'] });
  etcd = open(etcdUrl());
  front = open(server.ready.url);
});

afterAll(async () => {
  for (const client of clients) client.close();
  await server.dispose();
});

function etcdUrl(): string {
  return server.ready.etcd[0]?.url ?? '';
}

function open(url: string, metadata: Readonly<Record<string, string>> = {}): GrpcClient {
  const client = new GrpcClient(url, metadata);
  clients.push(client);
  return client;
}

const base64 = (text: string): string => Buffer.from(text).toString('base64');
const put = (key: string, value: string): object => ({ key: base64(key), value: base64(value) });

describe('a port for etcd', () => {
  it('GRPC-20: what is put is read, with no key', async () => {
    expect(await etcd.call('/etcdserverpb.KV/Put', put('a', 'b'))).toMatchObject({ code: 0, message: '' });
    const read = await etcd.call('/etcdserverpb.KV/Range', { key: base64('a') });
    expect(read).toMatchObject({ code: 0, messages: [{ kvs: [put('a', 'b')], count: '1' }] });
  });

  it('GRPC-20: it is a port of HTTP/1.1 as the first one is, where each caller brings its own key', async () => {
    const port = Number(new URL(etcdUrl()).port);
    const version = await ask(port, 'GET /version HTTP/1.1\r\nHost: a\r\n\r\n');
    expect(version.body).toContain('"etcdserver":"3.7.1"');
    const refused = await ask(port, 'GET /v1/kv/a HTTP/1.1\r\nHost: a\r\n\r\n');
    expect(refused.status).toBe(401);
  });

  it('GRPC-21: members have the address of the port', async () => {
    const { messages } = await etcd.call('/etcdserverpb.Cluster/MemberList');
    expect(messages).toMatchObject([{ members: [1, 2, 3].map(() => ({ clientURLs: [etcdUrl()] })) }]);
  });
});

describe('a stream of a range', () => {
  it('GRPC-13: is answered as the range is, or refused', async () => {
    const range = { key: base64('a') };
    const streamed = await etcd.call('/etcdserverpb.KV/RangeStream', range);
    expect(streamed).toMatchObject({ code: 0, messages: [{ rangeResponse: { kvs: [put('a', 'b')], count: '1' } }] });
    expect(await etcd.call('/etcdserverpb.KV/RangeStream', {})).toMatchObject({
      code: 3,
      message: 'etcdserver: key is not provided',
    });
    expect(await etcd.call('/etcdserverpb.KV/RangeStream', { ...range, sortOrder: 'DESCEND' })).toMatchObject({
      code: 12,
    });
  });
});

describe('the first port', () => {
  it('GRPC-22: whoever brings no key is refused, and whoever brings one is served', async () => {
    const range = { key: base64('a') };
    expect(await front.call('/etcdserverpb.KV/Range', range)).toMatchObject({ code: 16, messages: [] });
    const metadata = { authorization: `Bearer ${server.ready.tenant.key}` };
    expect(await front.call('/etcdserverpb.KV/Range', range, metadata)).toMatchObject({ code: 0 });
    expect(await front.call('/etcdserverpb.KV/Range', range, { token: server.ready.tenant.key })).toMatchObject({
      code: 0,
    });
  });

  it('GRPC-22: a login with the key as its password has a token', async () => {
    const { key } = server.ready.tenant;
    const metadata = { authorization: `Bearer ${key}` };
    const call = (path: string, message: object): Promise<object> => front.call(path, message, metadata);
    await call('/etcdserverpb.Auth/UserAdd', { name: 'root', password: 'secret' });
    await call('/etcdserverpb.Auth/RoleAdd', { name: 'root' });
    await call('/etcdserverpb.Auth/UserGrantRole', { user: 'root', role: 'root' });
    expect(await call('/etcdserverpb.Auth/AuthEnable', {})).toMatchObject({ code: 0 });
    try {
      const login = await etcd.call('/etcdserverpb.Auth/Authenticate', { name: 'root', password: 'secret' });
      expect(login).toMatchObject({ code: 0, messages: [{ token: expect.any(String) }] });
      const [{ token }] = login.messages as [{ token: string }];
      expect(await etcd.call('/etcdserverpb.KV/Range', { key: base64('a') })).toMatchObject({
        code: 3,
        message: 'etcdserver: user name is empty',
      });
      expect(await etcd.call('/etcdserverpb.KV/Range', { key: base64('a') }, { token })).toMatchObject({ code: 0 });
    } finally {
      expect(await call('/etcdserverpb.Auth/AuthDisable', {})).toMatchObject({ code: 0 });
    }
  });
});

describe('a call', () => {
  it('GRPC-23: is refused by the code and in the words of etcd', async () => {
    expect(await etcd.call('/etcdserverpb.KV/Put', {})).toMatchObject({
      code: 3,
      message: 'etcdserver: key is not provided',
      messages: [],
    });
    expect(await etcd.call('/etcdserverpb.Lease/LeaseRevoke', { ID: '77' })).toMatchObject({
      code: 5,
      message: 'etcdserver: requested lease not found',
    });
    expect(await etcd.call('/v3lockpb.Lock/Lock', { name: base64('l'), lease: '77' })).toMatchObject({
      code: 2,
      message: 'etcdserver: requested lease not found',
    });
  });

  it('GRPC-23: of a method that is not served, or with a compressed message, is refused', async () => {
    expect(await etcd.call('/etcdserverpb.KV/None')).toMatchObject({ code: 12 });
    const compressed = { 'grpc-encoding': 'gzip' };
    expect(await etcd.call('/etcdserverpb.KV/Range', {}, compressed)).toMatchObject({
      code: 12,
      message: 'grpc: Decompressor is not installed for grpc-encoding "gzip"',
    });
  });

  it('GRPC-23: that is none of gRPC has an answer of HTTP', async () => {
    const stream = etcd.session.request({ ':method': 'GET', ':path': '/version' });
    expect(await statusOf(stream)).toBe(405);
    const posted = etcd.session.request({ ':method': 'POST', ':path': '/version', 'content-type': 'application/json' });
    posted.end('{}');
    expect(await statusOf(posted)).toBe(415);
  });

  it('GRPC-24: ends at its deadline, and by its client', async () => {
    const lease = { TTL: '60', ID: '4242' };
    await etcd.call('/etcdserverpb.Lease/LeaseGrant', lease);
    const lock = { name: base64('held'), lease: '4242' };
    expect(await etcd.call('/v3lockpb.Lock/Lock', lock)).toMatchObject({ code: 0 });
    await etcd.call('/etcdserverpb.Lease/LeaseGrant', { TTL: '60', ID: '4243' });
    const second = { name: base64('held'), lease: '4243' };
    expect(await etcd.call('/v3lockpb.Lock/Lock', second, { 'grpc-timeout': '200m' })).toMatchObject({
      code: 4,
      message: 'context deadline exceeded',
    });
    expect(await etcd.call('/v3lockpb.Lock/Lock', second, { 'grpc-timeout': 'x' })).toMatchObject({ code: 13 });
    const waiting = etcd.open('/v3lockpb.Lock/Lock');
    waiting.send(second);
    waiting.stream.close(8);
    await expect(waiting.ended).rejects.toThrow();
    // Whoever waited left no place behind.
    await etcd.call('/etcdserverpb.Lease/LeaseRevoke', { ID: '4242' });
    expect(await etcd.call('/v3lockpb.Lock/Lock', second)).toMatchObject({ code: 0 });
  });

  it.each([
    { path: '/v3lockpb.Lock/Lock', wanted: (name: string, lease: string) => ({ name, lease }) },
    {
      path: '/v3electionpb.Election/Campaign',
      wanted: (name: string, lease: string) => ({ name, lease, value: base64('v') }),
    },
  ])('LOCK-54: $path that its client gives up takes its place from no later one with the same lease', async (each) => {
    for (let turn = 0; turn < 18; turn++) {
      const [holder, other] = [String(500_000 + turn), String(600_000 + turn)];
      for (const ID of [holder, other]) await etcd.call('/etcdserverpb.Lease/LeaseGrant', { TTL: '600', ID });
      const prefix = `later${turn}${each.path}`;
      const keys = { key: base64(`${prefix}/`), rangeEnd: base64(`${prefix}0`) };
      const places = async (): Promise<readonly object[]> => {
        const { messages } = await etcd.call('/etcdserverpb.KV/Range', keys);
        return (messages[0] as { readonly kvs?: readonly object[] }).kvs ?? [];
      };
      expect(await etcd.call(each.path, each.wanted(base64(prefix), holder))).toMatchObject({ code: 0 });
      const wanted = each.wanted(base64(prefix), other);
      const waiting = etcd.open(each.path);
      waiting.send(wanted);
      // It has hardly been sent, is on its way, or waits.
      const isThere = async (): Promise<boolean> => (await places()).length === 2;
      if (turn % 3 === 1) await isThere();
      if (turn % 3 === 2) while (!(await isThere())) await sleep(1);
      waiting.stream.close(8);
      await expect(waiting.ended).rejects.toThrow();
      const later = etcd.call(each.path, wanted);
      await etcd.call('/etcdserverpb.Lease/LeaseRevoke', { ID: holder });
      expect(await later).toMatchObject({ code: 0, message: '' });
      expect(await places()).toEqual([expect.objectContaining({ lease: other })]);
      await etcd.call('/etcdserverpb.Lease/LeaseRevoke', { ID: other });
      expect(await places()).toEqual([]);
    }
  });

  it('GRPC-25: of a large message, and one of a larger one than etcd takes', async () => {
    const large = put('large', 'x'.repeat(1_400_000));
    expect(await etcd.call('/etcdserverpb.KV/Put', large)).toMatchObject({ code: 0 });
    const read = await etcd.call('/etcdserverpb.KV/Range', { key: base64('large') });
    expect(read).toMatchObject({ code: 0, messages: [{ kvs: [large] }] });
    expect(await etcd.call('/etcdserverpb.KV/Put', put('large', 'x'.repeat(1_600_000)))).toMatchObject({
      code: 3,
      message: 'etcdserver: request is too large',
    });
    expect(await etcd.call('/etcdserverpb.KV/Put', put('large', 'x'.repeat(2_200_000)))).toMatchObject({ code: 8 });
  });

  it('GRPC-26: goes beside as many as a connection may have', async () => {
    const calls = Array.from({ length: grpcStreamsOfConnectionMax + 1 }, () =>
      etcd.call('/etcdserverpb.KV/Range', { key: base64('a'), countOnly: true }),
    );
    for (const { code } of await Promise.all(calls)) expect(code).toBe(0);
  });
});

describe('streams', () => {
  it('GRPC-27: a watch is created, told events and progress, and canceled', async () => {
    const watch = etcd.open('/etcdserverpb.Watch/Watch');
    watch.send({ createRequest: { key: base64('w'), watchId: '7' } });
    await watch.until(1);
    await etcd.call('/etcdserverpb.KV/Put', put('w', '1'));
    await watch.until(2);
    watch.send({ progressRequest: {} });
    await watch.until(3);
    watch.send({ cancelRequest: { watchId: '7' } });
    expect(await watch.until(4)).toMatchObject([
      { watchId: '7', created: true },
      { watchId: '7', events: [{ kv: put('w', '1') }] },
      { watchId: '-1' },
      { watchId: '7', canceled: true },
    ]);
    // As at etcd, the end of the client's messages ends no watch.
    watch.end();
    watch.stream.close();
  });

  it('GRPC-27: a lease is kept alive by each message', async () => {
    await etcd.call('/etcdserverpb.Lease/LeaseGrant', { TTL: '60', ID: '99' });
    const alive = etcd.open('/etcdserverpb.Lease/LeaseKeepAlive');
    alive.send({ ID: '99' });
    await alive.until(1);
    alive.send({ ID: '98' });
    expect(await alive.until(2)).toMatchObject([{ ID: '99', TTL: '60' }, { ID: '98' }]);
    alive.end();
    expect(await alive.ended).toEqual({ code: 0, message: '' });
  });

  it('GRPC-33: very many keepalives at once are all answered, in their order', async () => {
    const ids = Array.from({ length: 3 * grpcMessagesWaitingMax }, (_, index) => String(1_000 + index));
    await etcd.call('/etcdserverpb.Lease/LeaseGrant', { TTL: '60', ID: '1001' });
    const alive = etcd.open('/etcdserverpb.Lease/LeaseKeepAlive');
    for (const ID of ids) alive.send({ ID });
    alive.end();
    expect(await alive.ended).toEqual({ code: 0, message: '' });
    expect(alive.messages).toMatchObject(ids.map((ID) => (ID === '1001' ? { ID, TTL: '60' } : { ID })));
  });

  it('GRPC-28: health and reflection are answered', async () => {
    expect(await front.call('/grpc.health.v1.Health/Check')).toMatchObject({
      code: 0,
      messages: [{ status: 'SERVING' }],
    });
    expect(await front.call('/grpc.health.v1.Health/Check', { service: 'none' })).toMatchObject({ code: 5 });
    const { messages } = await front.call('/grpc.health.v1.Health/List');
    const [listedHealth] = messages as { readonly statuses: readonly object[] }[];
    expect(listedHealth?.statuses).toContainEqual({ value: { status: 'SERVING' } });
    expect(listedHealth?.statuses).toContainEqual({ key: 'etcdserverpb.KV', value: { status: 'SERVING' } });
    const listed = await front.call('/grpc.reflection.v1.ServerReflection/ServerReflectionInfo', { listServices: '*' });
    expect(JSON.stringify(listed)).toContain('etcdserverpb.KV');
  });
});

/** The id that the answer has. */
async function idOf(metadata: Readonly<Record<string, string>>, path: string): Promise<unknown> {
  const call = etcd.open(path, metadata);
  const answered = once(call.stream, 'response');
  call.send({});
  call.end();
  const [headers]: { readonly 'x-request-id'?: string }[] = await answered;
  await call.ended;
  return headers?.['x-request-id'];
}

describe('GRPC-35: a call has the id of its request', () => {
  it.each([
    '/etcdserverpb.KV/Range',
    '/etcdserverpb.Maintenance/Status',
    '/grpc.health.v1.Health/Check',
    '/no.Such/Call',
  ])("%s: its client's, or a new one", async (path) => {
    expect(await idOf({ 'x-request-id': 'my-call' }, path)).toBe('my-call');
    const made = [await idOf({}, path), await idOf({ 'x-request-id': 'a b' }, path)];
    expect(made).toEqual([expect.stringMatching(/^[\w-]{10,}$/), expect.stringMatching(/^[\w-]{10,}$/)]);
    expect(made[0]).not.toBe(made[1]);
  });
});

async function statusOf(stream: ClientHttp2Stream): Promise<number> {
  return new Promise((resolve) => {
    stream.on('response', (headers) => resolve(Number(headers[':status'])));
  });
}

/** An empty frame of SETTINGS. */
const settings = '\0\0\0\u0004\0\0\0\0\0';

async function saidBytewise(text: string): Promise<string> {
  const client = new RawClient(Number(new URL(server.ready.url).port));
  for (const byte of text) {
    client.send(byte);
    await sleep(2);
  }
  const said = await client.until((came) => came.length > 8);
  client.leave();
  return said;
}

describe('a connection', () => {
  it('GRPC-30: is of the protocol that its first bytes say, however they come', async () => {
    expect(await saidBytewise(`PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${settings}`)).not.toContain('HTTP');
    expect(await saidBytewise('PUT /healthz HTTP/1.1\r\nHost: a\r\n\r\n')).toMatch(/^HTTP\/1\.1 404/);
    expect(await saidBytewise('PRI * HTTP/2.1\r\n\r\n')).toMatch(/^HTTP\/1\.1 400/);
  });

  it('GRPC-32: ends where its client sends pings all the time', async () => {
    const client = open(etcdUrl());
    const goaway = once(client.session, 'goaway');
    const pings = setInterval(() => {
      if (!client.session.destroyed) client.session.ping(() => undefined);
    }, 5);
    const [code, , words] = await goaway;
    clearInterval(pings);
    expect([code, String(words)]).toEqual([11, 'too_many_pings']);
  });

  it('GRPC-34: loses a stream that it does not read, and no other', async () => {
    const behind = new URL(server.ready.url);
    const own = await Front.listen({ host: '127.0.0.1', port: 0 }, { ...frontBounds, lookMs: 20, answerReadMs: 200 });
    own.open({ host: behind.hostname, port: Number(behind.port) });
    const client = open(`http://127.0.0.1:${own.port}`, { authorization: `Bearer ${server.ready.tenant.key}` });
    try {
      await client.call('/etcdserverpb.KV/Put', put('unread', 'x'.repeat(1_000_000)));
      const unread = client.open('/etcdserverpb.KV/Range');
      unread.stream.pause();
      unread.send({ key: base64('unread') });
      unread.end();
      await once(unread.stream, 'close');
      expect(unread.stream.rstCode).toBe(8);
      expect(await client.call('/etcdserverpb.KV/Range', { key: base64('a') })).toMatchObject({ code: 0 });
    } finally {
      await own.close();
    }
  });

  it('GRPC-31: that breaks the protocol ends, and others go on', async () => {
    const client = new RawClient(Number(new URL(etcdUrl()).port));
    client.send(`PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${'x'.repeat(1_000)}`);
    await client.ended;
    expect(await etcd.call('/etcdserverpb.KV/Range', { key: base64('a') })).toMatchObject({ code: 0 });
  });

  it('GRPC-31: says GOAWAY when the server ends, and its streams have a status', async () => {
    const other = await startQuorate({ arguments: ['--etcd', '0'] });
    const client = open(other.ready.etcd[0]?.url ?? '');
    const watch = client.open('/etcdserverpb.Watch/Watch');
    watch.send({ createRequest: { key: base64('w') } });
    await watch.until(1);
    const goaway = once(client.session, 'goaway');
    await other.dispose();
    expect((await goaway)[0]).toBe(0);
    expect(await watch.ended).toEqual({ code: 14, message: 'etcdserver: server stopped' });
  });
});

const etcdctl = '/opt/etcd/etcdctl';

function run(words: readonly string[], input = ''): string {
  const { stdout, stderr } = spawnSync(etcdctl, ['--endpoints', new URL(etcdUrl()).host, ...words], {
    input,
    encoding: 'utf8',
    timeout: 20_000,
  });
  return stdout + stderr;
}

describe.skipIf(!existsSync(etcdctl))('etcdctl', () => {
  it.each([
    [['put', 'e', 'f'], 'OK\n'],
    [['get', 'e'], 'e\nf\n'],
    [['get', '', '--prefix', '--keys-only', '--limit', '1'], 'a\n\n'],
    [['del', 'e'], '1\n'],
    [['alarm', 'list'], ''],
    [['lock', 'l', 'echo', 'held'], 'held\n'],
    [['user', 'list'], 'root\n'],
    [['role', 'list'], 'root\n'],
    [['endpoint', 'health'], 'is healthy'],
    [['endpoint', 'status'], '3.7.1'],
    [['member', 'list'], 'started, replica-1'],
    [['lease', 'grant', '60'], 'granted with TTL(60s)'],
    [['compaction', '2'], 'compacted revision 2\n'],
    [['defrag'], 'Finished defragmenting'],
    [['move-leader', '1'], 'bad leader transferee'],
    [['snapshot', 'save', '/dev/null/none'], 'Error'],
  ])('GRPC-29: %j says %j', (words, said) => {
    expect(run(words)).toContain(said);
  });

  it('GRPC-29: a transaction', () => {
    expect(run(['txn'], 'value("a") = "b"\n\nput t 1\n\nput t 2\n\n')).toBe('SUCCESS\n\nOK\n');
  });
});
