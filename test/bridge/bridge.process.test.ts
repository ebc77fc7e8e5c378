// A bridge in front of a service of its own process, as etcd's clients meet it.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { createServer as createSecureServer } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RunningBridge, startBridge } from '../../src/bridge/bridge.ts';
import { Authority } from '../support/certificates.ts';
import { GrpcClient } from '../support/grpc-client.ts';
import { type QuorateProcess, startQuorate } from '../support/quorate-process.ts';

const folder = mkdtempSync(join(tmpdir(), 'quorate-bridge-'));
const clients: GrpcClient[] = [];
const bridges: RunningBridge[] = [];
let server: QuorateProcess;

beforeAll(async () => {
  server = await startQuorate({ arguments: ['--direct'], dataFolder: join(folder, 'data') });
});

afterAll(async () => {
  for (const client of clients) client.close();
  for (const bridge of bridges) await bridge.close();
  await server.dispose();
  rmSync(folder, { recursive: true, force: true });
});

type Opened = { readonly bridge: RunningBridge; readonly client: GrpcClient; readonly said: readonly string[] };

async function bridgeTo(url: string, ca: string | null = null): Promise<Opened> {
  const said: string[] = [];
  const { key } = server.ready.tenant;
  const listen = { host: '127.0.0.1', port: 0 };
  const bridge = await startBridge({ to: new URL(url), key, listen, ca, tls: null }, (line) => said.push(line));
  bridges.push(bridge);
  const client = new GrpcClient(bridge.url);
  clients.push(client);
  return { bridge, client, said };
}

/** Goes to the server that is there now. While there is none, connections end at once. */
class Relay {
  target: number | null;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(server: Server, target: number) {
    this.#server = server;
    this.target = target;
    server.on('connection', (client: Socket) => {
      if (this.target === null) {
        client.destroy();
        return;
      }
      const behind = connect(this.target, '127.0.0.1');
      for (const [from, to] of [
        [client, behind],
        [behind, client],
      ] as const) {
        this.#sockets.add(from);
        from.on('error', () => undefined);
        from.on('close', () => {
          this.#sockets.delete(from);
          to.destroy();
        });
        from.pipe(to);
      }
    });
  }

  static async to(server: Server, target: number): Promise<Relay> {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new Relay(server, target);
  }

  get port(): number {
    // A server that listens on TCP has an address of this shape.
    return (this.#server.address() as AddressInfo).port;
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}

const portOf = (url: string): number => Number(new URL(url).port);
const base64 = (text: string): string => Buffer.from(text).toString('base64');
const put = (key: string, value: string): object => ({ key: base64(key), value: base64(value) });
const textOf = (value: string): string => Buffer.from(value, 'base64').toString();

async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await isSo())) await sleep(10);
}

describe('a bridge', () => {
  it('BRIDGE-3: serves the tenant of its key: KV, watches, leases, locks and elections', async () => {
    const { client } = await bridgeTo(server.ready.url);
    const watch = client.open('/etcdserverpb.Watch/Watch');
    watch.send({ createRequest: { key: base64('a') } });
    await watch.until(1);
    expect(await client.call('/etcdserverpb.KV/Put', put('a', 'b'))).toMatchObject({ code: 0 });
    expect(await watch.until(2)).toMatchObject([{ created: true }, { events: [{ kv: put('a', 'b') }] }]);
    const read = await client.call('/etcdserverpb.KV/Range', { key: base64('a') });
    expect(read).toMatchObject({ code: 0, messages: [{ kvs: [put('a', 'b')] }] });
    await client.call('/etcdserverpb.Lease/LeaseGrant', { TTL: '60', ID: '7' });
    const asked = { name: base64('n'), lease: '7' };
    expect(await client.call('/v3lockpb.Lock/Lock', asked)).toMatchObject({
      code: 0,
      messages: [{ key: base64('n/7') }],
    });
    const campaign = { ...asked, name: base64('e'), value: base64('me') };
    expect(await client.call('/v3electionpb.Election/Campaign', campaign)).toMatchObject({ code: 0 });
    watch.stream.close();
  });

  it('BRIDGE-4: members have the address of the bridge', async () => {
    const { client, bridge } = await bridgeTo(server.ready.url);
    const { messages } = await client.call('/etcdserverpb.Cluster/MemberList');
    expect(messages).toMatchObject([{ members: [1, 2, 3].map(() => ({ clientURLs: [bridge.url] })) }]);
  });

  it('BRIDGE-5: of a service that cannot be reached, calls are made elsewhere by their client', async () => {
    const { client, said } = await bridgeTo('http://127.0.0.1:9');
    const notDone = { code: 14, message: 'there is no connection available' };
    expect(await client.call('/etcdserverpb.KV/Put', put('a', 'b'))).toMatchObject(notDone);
    expect(await client.call('/etcdserverpb.KV/Range', { key: base64('a') })).toMatchObject(notDone);
    const watch = client.open('/etcdserverpb.Watch/Watch');
    watch.send({ createRequest: { key: base64('a') } });
    expect(await watch.ended).toEqual(notDone);
    await until(() => said.length > 0);
    expect(said).toEqual([expect.stringMatching(/^the service cannot be reached: .*ECONNREFUSED/)]);
    expect(await client.call('/grpc.health.v1.Health/Check')).toMatchObject({ messages: [{ status: 'NOT_SERVING' }] });
  });

  it('BRIDGE-6: goes on by itself after its service was killed: no event and no write is lost or twice', async () => {
    const relay = await Relay.to(createServer({ allowHalfOpen: true }), portOf(server.ready.url));
    const { client, said } = await bridgeTo(`http://127.0.0.1:${relay.port}`);
    const health = client.open('/grpc.health.v1.Health/Watch');
    health.send({});
    const seen: string[] = [];
    let next = '1';
    const over = new AbortController();
    // As etcd's clients do: a watch goes on behind the last event.
    const watching = (async () => {
      while (!over.signal.aborted) {
        const watch = client.open('/etcdserverpb.Watch/Watch');
        let read = 0;
        watch.onMessage = () => {
          type Event = { readonly kv: { readonly value: string; readonly modRevision: string } };
          const messages = watch.messages.slice(read) as { readonly events?: readonly Event[] }[];
          read += messages.length;
          for (const { kv } of messages.flatMap(({ events = [] }) => events)) {
            seen.push(textOf(kv.value));
            next = String(Number(kv.modRevision) + 1);
          }
        };
        watch.send({ createRequest: { key: base64('count'), startRevision: next } });
        await until(() => over.signal.aborted || watch.stream.closed);
        watch.stream.close();
      }
    })();
    let value = 0;
    const isDone: boolean[] = [];
    const write = async (): Promise<void> => {
      value++;
      const { code } = await client.call('/etcdserverpb.KV/Put', put('count', String(value)));
      isDone.push(code === 0);
    };
    for (let count = 0; count < 5; count++) await write();
    relay.target = null;
    await server.killEverything();
    const underWay = write();
    await underWay;
    expect(await client.call('/grpc.health.v1.Health/Check')).toMatchObject({ code: 0 });
    server = await startQuorate({ arguments: ['--direct'], dataFolder: server.dataFolder });
    relay.target = portOf(server.ready.url);
    await until(async () => (await client.call('/etcdserverpb.KV/Range', { key: base64('count') })).code === 0);
    for (let count = 0; count < 5; count++) await write();
    await until(() => seen.at(-1) === String(value));
    over.abort();
    await watching;
    // Who was told that a write is done sees it, once; who was not told may see it once.
    const values = seen.map(Number);
    expect(values).toEqual([...new Set(values)]);
    for (const [place, done] of isDone.entries()) if (done) expect(values).toContain(place + 1);
    await until(() => said.includes('the service is reached again'));
    await until(() => health.messages.length >= 3);
    expect(health.messages).toMatchObject([{ status: 'SERVING' }, { status: 'NOT_SERVING' }, { status: 'SERVING' }]);
    relay.close();
  });

  it('BRIDGE-7: reaches a service by TLS whose certificate is signed as it should be, and no other', async () => {
    const authority = new Authority();
    const { cert, key } = authority.sign('service');
    const secure = createSecureServer({ cert: readFileSync(cert), key: readFileSync(key) });
    secure.listen(0, '127.0.0.1');
    await once(secure, 'listening');
    const behind = portOf(server.ready.url);
    secure.on('secureConnection', (client) => {
      const socket = connect(behind, '127.0.0.1');
      client.on('error', () => socket.destroy());
      socket.on('error', () => client.destroy());
      client.pipe(socket).pipe(client);
    });
    // A server that listens on TCP has an address of this shape.
    const url = `https://127.0.0.1:${(secure.address() as AddressInfo).port}`;
    const known = await bridgeTo(url, readFileSync(authority.ca, 'utf8'));
    expect(await known.client.call('/etcdserverpb.KV/Put', put('tls', 'x'.repeat(100_000)))).toMatchObject({ code: 0 });
    expect(await known.client.call('/etcdserverpb.KV/Range', { key: base64('tls') })).toMatchObject({ code: 0 });
    const unknown = await bridgeTo(url);
    expect(await unknown.client.call('/etcdserverpb.KV/Range', { key: base64('tls') })).toMatchObject({ code: 14 });
    await until(() => unknown.said.length > 0);
    expect(unknown.said[0]).toMatch(/cannot be reached: unable to verify the first certificate/);
    secure.close();
    authority.dispose();
  });

  it('BRIDGE-8: says that its key is refused, and callers are', async () => {
    const said: string[] = [];
    const key = `${server.ready.tenant.key.slice(0, -1)}${server.ready.tenant.key.endsWith('a') ? 'q' : 'a'}`;
    const listen = { host: '127.0.0.1', port: 0 };
    const to = new URL(server.ready.url);
    const bridge = await startBridge({ to, key, listen, ca: null, tls: null }, (line) => said.push(line));
    bridges.push(bridge);
    await until(() => said.length > 0);
    expect(said).toEqual(['the service refuses the access key, with HTTP 401']);
    const client = new GrpcClient(bridge.url);
    clients.push(client);
    expect(await client.call('/etcdserverpb.KV/Range', { key: base64('a') })).toMatchObject({ code: 16 });
  });
});

async function start() {
  const keyFile = join(folder, 'key');
  writeFileSync(keyFile, server.ready.tenant.key);
  chmodSync(keyFile, 0o600);
  const words = ['--to', 'http://127.0.0.1:9', '--key-file', keyFile, '--listen', '127.0.0.1:0', '--json'];
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', 'src/bridge/main.ts', ...words]);
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  return { child, ready: JSON.parse(line) as { readonly url: string; readonly tenant: string } };
}

describe('npm run bridge', () => {
  it('BRIDGE-9: starts without its service, beside others, and ends at a signal with 0', async () => {
    const started = await Promise.all([start(), start()]);
    expect(new Set(started.map(({ ready }) => ready.url)).size).toBe(2);
    for (const { child, ready } of started) {
      expect(ready.tenant).toBe(server.ready.tenant.id);
      const client = new GrpcClient(ready.url);
      expect(await client.call('/etcdserverpb.KV/Range', { key: base64('a') })).toMatchObject({ code: 14 });
      const goaway = once(client.session, 'goaway');
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      await goaway;
      client.close();
      expect(await ended).toEqual([0, null]);
    }
  });
});
