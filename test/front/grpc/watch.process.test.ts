// Streams of etcd's Watch by gRPC that end at the front. What passes between the front and the runtime is counted, so
// that each test knows where a stream ended.

import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { frontBounds } from '../../../src/front/bounds.ts';
import { Front } from '../../../src/front/front.ts';
import { frontWatchesPerStreamMax, grpcStreamsOfConnectionMax } from '../../../src/limits.ts';
import { GrpcClient, type GrpcClientCall } from '../../support/grpc-client.ts';
import { startQuorate, type QuorateProcess } from '../../support/quorate-process.ts';
import { Tap } from '../tap.ts';

let server: QuorateProcess;
let tap: Tap;
let front: Front;
let client: GrpcClient;
const fronts: Front[] = [];
const clients: GrpcClient[] = [];

beforeAll(async () => {
  server = await startQuorate({ arguments: ['--fault-port', '0'] });
  tap = await Tap.before(Number(new URL(server.ready.url).port));
  front = await open();
  client = connected();
});

afterAll(async () => {
  for (const each of clients) each.close();
  for (const each of fronts) await each.close();
  tap.close();
  await server.dispose();
});

async function open(bounds: Partial<typeof frontBounds> = {}): Promise<Front> {
  const made = await Front.listen({ host: '127.0.0.1', port: 0 }, { ...frontBounds, lookMs: 50, ...bounds });
  made.open({ host: '127.0.0.1', port: tap.port });
  fronts.push(made);
  return made;
}

function connected(to: Front = front, key = server.ready.tenant.key): GrpcClient {
  const made = new GrpcClient(`http://127.0.0.1:${to.port}`, { authorization: `Bearer ${key}` });
  clients.push(made);
  return made;
}

const base64 = (text: string): string => Buffer.from(text).toString('base64');

async function put(key: string, value = 'v'): Promise<number> {
  const { messages } = await client.call('/etcdserverpb.KV/Put', { key: base64(key), value: base64(value) });
  const [{ header }] = messages as [{ header: { revision: string } }];
  return Number(header.revision);
}

function watch(of: GrpcClient, ...requests: readonly object[]): GrpcClientCall {
  const stream = of.open('/etcdserverpb.Watch/Watch');
  for (const request of requests) stream.send(request);
  return stream;
}

function passedOn(): number {
  return tap.heads.filter((head) => head.startsWith('POST /v3/watch')).length;
}

describe('GRPC-40: the watches of a caller whom the gateway takes end at the front', () => {
  it('also where it has never called before, and its events come by a watch that others share', async () => {
    const own = connected(await open());
    const streams = [1, 2, 3].map(() => watch(own, { createRequest: { key: base64('shared') } }));
    for (const stream of streams) expect(await stream.until(1)).toMatchObject([{ created: true }]);
    const at = await put('shared', 'one');
    for (const stream of streams) {
      expect(await stream.until(2)).toMatchObject([
        {},
        {
          header: { revision: String(at) },
          events: [{ kv: { key: base64('shared'), value: base64('one'), modRevision: String(at) } }],
        },
      ]);
    }
    expect(passedOn()).toBe(0);
  });

  it('what etcd would answer is answered: ids, refusals, progress, compaction, cancel', async () => {
    const at = await put('told', 'one');
    const stream = watch(
      client,
      { createRequest: { key: base64('told'), watchId: '7', startRevision: String(at) } },
      { createRequest: { key: base64('told'), watchId: '7' } },
      { createRequest: { key: base64('b'), rangeEnd: base64('a') } },
      { createRequest: { key: base64('told'), startRevision: '-1' } },
    );
    const said = await stream.until(5);
    const events = said.filter((each) => 'events' in (each as object));
    expect(events).toMatchObject([{ watchId: '7', events: [{ kv: { modRevision: String(at) } }] }]);
    const refused = { watchId: '-1', created: true, canceled: true };
    expect(said.filter((each) => !('events' in (each as object)))).toMatchObject([
      { watchId: '7', created: true, header: { revision: String(at) } },
      { ...refused, cancelReason: 'mvcc: duplicate watch ID provided on the WatchStream' },
      { ...refused, cancelReason: 'mvcc: watcher range is empty' },
      { ...refused, cancelReason: 'etcdserver: mvcc: required revision has been compacted' },
    ]);
    stream.send({ progressRequest: {} });
    await stream.until(6);
    stream.send({ cancelRequest: { watchId: '7' } });
    expect((await stream.until(7)).slice(5)).toMatchObject([{ watchId: '-1' }, { watchId: '7', canceled: true }]);
    await client.call('/etcdserverpb.KV/Compact', { revision: String(await put('told', 'two')) });
    stream.send({ createRequest: { key: base64('told'), startRevision: '2' } });
    expect((await stream.until(9)).slice(7)).toMatchObject([
      { created: true },
      { canceled: true, compactRevision: expect.any(String) },
    ]);
    expect(passedOn()).toBe(0);
    stream.stream.close();
  });

  it('a caller whom the gateway does not take is answered by it', async () => {
    const stranger = connected(front, `${server.ready.tenant.key.slice(0, -6)}AAAAAA`);
    const stream = watch(stranger, { createRequest: { key: base64('a') } });
    expect(await stream.ended).toMatchObject({ code: 16 });
    expect(passedOn()).toBe(1);
    tap.heads.length = 0;
  });

  it('what is no message ends the stream, and a revoked key each of its watches', async () => {
    const broken = watch(client);
    broken.sendBytes(Uint8Array.of(0x0a, 0x7f));
    expect(await broken.ended).toMatchObject({ code: 13 });
    const operator = { authorization: `Bearer ${server.ready.operatorToken}`, 'content-type': 'application/json' };
    const keys = `${server.ready.url}/v1/tenants/${server.ready.tenant.id}/keys`;
    const made = await fetch(keys, { method: 'POST', headers: operator, body: '{"role":"write"}' });
    const { id, key }: { readonly id: string; readonly key: string } = JSON.parse(await made.text());
    const stream = watch(
      connected(front, key),
      { createRequest: { key: base64('a') } },
      { createRequest: { key: base64('b') } },
    );
    await stream.until(2);
    await fetch(`${keys}/${id}`, { method: 'DELETE', headers: operator });
    expect((await stream.until(4)).slice(2)).toMatchObject([
      { canceled: true, cancelReason: expect.stringContaining('Unauthenticated') },
      { watchId: '1', canceled: true },
    ]);
    expect(await stream.ended).toMatchObject({ code: 16 });
  });
});

describe('GRPC-41: what clients hold of the front by such streams is bounded', () => {
  it('a stream holds frontWatchesPerStreamMax watches', async () => {
    const stream = watch(connected());
    for (let count = 0; count <= frontWatchesPerStreamMax; count++) {
      // Those of one range share a watch by session: what is counted here is the stream's.
      stream.send({ createRequest: { key: base64(`many-${count % 100}`) } });
    }
    await stream.until(frontWatchesPerStreamMax + 1);
    expect(stream.messages.at(-1)).toMatchObject({
      watchId: '-1',
      canceled: true,
      cancelReason: 'quorate: this stream holds as many watches as it can, open another stream',
    });
    stream.bytes.length = 0;
    await put('many-7');
    await stream.until(frontWatchesPerStreamMax / 100);
    expect(stream.messages.every((each) => 'events' in (each as object))).toBe(true);
    stream.stream.close();
  });

  it('a connection has many streams that watch, and the end of it ends them all', async () => {
    const own = connected();
    const streams = Array.from({ length: grpcStreamsOfConnectionMax / 2 }, () =>
      watch(own, { createRequest: { key: base64('streamed') } }),
    );
    await Promise.all(streams.map((stream) => stream.until(1)));
    await put('streamed');
    await Promise.all(streams.map((stream) => stream.until(2)));
    own.close();
    await put('streamed');
  });

  it('a client that does not read for a while is handed nothing more, and misses nothing', async () => {
    const own = connected(await open({ watchUnsentBytesMax: () => 100_000 }));
    const slow = watch(own, { createRequest: { key: base64('large') } });
    const quick = watch(client, { createRequest: { key: base64('large') } });
    await Promise.all([slow.until(1), quick.until(1)]);
    slow.stream.pause();
    const [rounds, bytes] = [20, 500_000];
    for (let round = 0; round < rounds; round++) await put('large', 'x'.repeat(bytes));
    await quick.until(1 + rounds);
    slow.stream.resume();
    while (bytesOf(slow) < rounds * bytes) await slow.until(slow.bytes.length + 1);
    expect(versionsOf(slow)).toEqual(Array.from({ length: rounds }, (_, place) => place + 1));
  });

  it('one that never reads loses its stream, and no other', async () => {
    const own = connected(await open({ answerReadMs: 300, watchUnsentBytesMax: () => 100_000 }));
    const [unread, other] = ['unread', 'other'].map((key) => watch(own, { createRequest: { key: base64(key) } }));
    await Promise.all([unread?.until(1), other?.until(1)]);
    unread?.stream.pause();
    const closed = unread === undefined ? null : once(unread.stream, 'close');
    for (let round = 0; round < 4; round++) await put('unread', 'x'.repeat(500_000));
    await closed;
    expect(unread?.stream.rstCode).toBe(8);
    await put('other');
    await other?.until(2);
  });

  it('the answers to very many requests of a client that reads nothing do not pile up', async () => {
    const stream = watch(connected(), { createRequest: { key: base64('asked'), watchId: '1' } });
    await stream.until(1);
    for (let count = 0; count < 5_000; count++) {
      stream.send({ createRequest: { key: base64('asked'), watchId: '1' } });
    }
    await stream.until(5_001);
    expect(new Set(stream.messages.slice(1).map((each) => JSON.stringify(each))).size).toBeLessThan(10);
  });
});

function versionsOf(stream: GrpcClientCall): number[] {
  type Told = { readonly events?: readonly { readonly kv: { readonly version: string } }[] };
  return (stream.messages as readonly Told[]).flatMap(({ events = [] }) => events.map(({ kv }) => Number(kv.version)));
}

function bytesOf({ bytes }: GrpcClientCall): number {
  return bytes.reduce((sum, { byteLength }) => sum + byteLength, 0);
}

it('GRPC-42: replicas crash while it is written, and no stream misses or repeats an event', async () => {
  const { faultUrl, tenant } = server.ready;
  const streams = [1, 2].map(() => watch(client, { createRequest: { key: base64('counted') } }));
  await Promise.all(streams.map((stream) => stream.until(1)));
  const rounds = 45;
  for (let round = 0; round < rounds; round++) {
    await put('counted', String(round));
    if (round % 15 !== 5) continue;
    const body = JSON.stringify({ tenant: tenant.id, replica: 1 + (((round - 5) / 15) % 3) });
    await fetch(`${faultUrl ?? ''}/abort`, { method: 'POST', body });
  }
  for (const stream of streams) {
    while (versionsOf(stream).length < rounds) await stream.until(stream.bytes.length + 1);
    expect(versionsOf(stream)).toEqual(Array.from({ length: rounds }, (_, place) => place + 1));
    stream.stream.close();
  }
});
