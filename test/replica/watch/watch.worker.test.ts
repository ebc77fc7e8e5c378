// Watches on real objects: whatever the platform does to sockets and streams, no event is lost or told twice.

import { evictDurableObject, runInDurableObject } from 'cloudflare:test';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  asOperator,
  leaderOf,
  newTenant,
  prepareDirectory,
  put,
  replicaStub,
  WatchSocket,
  withKey,
} from '../../support/service.ts';

beforeAll(prepareDirectory);

type Frame = { readonly type: string; readonly revision: number; readonly reason?: string };

async function frames(socket: WatchSocket, count: number): Promise<Frame[]> {
  const taken: Frame[] = [];
  while (taken.length < count) {
    const frame = (await socket.next()) as Frame;
    if (frame.type !== 'progress') taken.push(frame);
  }
  return taken;
}

/** Puts every replica of a group to sleep. Its sockets stay open. */
async function sleep(tenant: string, replicas: number): Promise<void> {
  for (let replica = 1; replica <= replicas; replica++) {
    await evictDurableObject(replicaStub(tenant, replica), { webSockets: 'hibernate' });
  }
}

/** Lines of a streaming answer, one by one. */
class Lines {
  readonly #reader: ReadableStreamDefaultReader<string>;
  #text = '';

  constructor(response: Response) {
    if (response.body === null) throw new Error('no body');
    this.#reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  }

  /** Null: the answer has ended. */
  async next(separator = '\n'): Promise<string | null> {
    for (;;) {
      const end = this.#text.indexOf(separator);
      if (end >= 0) {
        const line = this.#text.slice(0, end);
        this.#text = this.#text.slice(end + separator.length);
        return line;
      }
      const { done, value } = await this.#reader.read();
      if (done) return null;
      this.#text += value;
    }
  }

  async json(): Promise<unknown> {
    return JSON.parse((await this.next()) ?? 'null');
  }

  cancel(): Promise<void> {
    return this.#reader.cancel();
  }
}

describe('WebSockets', () => {
  it('WATCH-SLEEP-5: a watch of a store that slept goes on without a gap and without a repetition', async () => {
    const tenant = await newTenant({ name: 'sleeper', replicas: 1 });
    const socket = await WatchSocket.open(tenant.key, 'prefix=k/');
    expect(await frames(socket, 1)).toMatchObject([{ type: 'created', revision: 1, from: 2 }]);
    const seen: number[] = [];
    for (let round = 0; round < 3; round++) {
      await put(tenant.key, 'k/a', String(round));
      await put(tenant.key, 'other', String(round));
      await put(tenant.key, 'k/b', String(round));
      for (const { revision } of await frames(socket, 2)) seen.push(revision);
      await sleep(tenant.id, 1);
    }
    expect(seen).toEqual([2, 4, 5, 7, 8, 10]);
    expect(socket.socket.readyState).toBe(WebSocket.OPEN);
  });

  it('WATCH-SLEEP-5: a v3 stream that slept keeps its watches and their ids', async () => {
    const tenant = await newTenant({ name: 'sleeper-v3', replicas: 1 });
    const response = await withKey(tenant.key, '/v3/watch', { headers: { Upgrade: 'websocket' } });
    if (response.webSocket === null) throw new Error(`no upgrade: ${response.status}`);
    const socket = new WatchSocket(response.webSocket);
    const say = (message: object): void => socket.socket.send(JSON.stringify(message));
    say({ create_request: { key: btoa('a') } });
    say({ create_request: { key: btoa('b'), watch_id: 9 } });
    expect(await socket.next()).toMatchObject({ result: { created: true } });
    expect(await socket.next()).toMatchObject({ result: { created: true, watch_id: '9' } });
    await put(tenant.key, 'a', '1');
    expect(await socket.next()).toMatchObject({ result: { events: [{ kv: { mod_revision: '2' } }] } });
    await sleep(tenant.id, 1);
    await put(tenant.key, 'b', '1');
    expect(await socket.next()).toMatchObject({ result: { watch_id: '9', events: [{ kv: { mod_revision: '3' } }] } });
    await sleep(tenant.id, 1);
    say({ progress_request: {} });
    expect(await socket.next()).toMatchObject({ result: { watch_id: '-1', header: { revision: '3' } } });
    say({ create_request: { key: btoa('c') } });
    expect(await socket.next()).toMatchObject({ result: { created: true, watch_id: '1' } });
  });

  it('WATCH-ROWS-1: 300 watches with keys of 60 bytes sleep with their object, and their rows go with the socket', async () => {
    const tenant = await newTenant({ name: 'many', replicas: 1 });
    const response = await withKey(tenant.key, '/v3/watch', { headers: { Upgrade: 'websocket' } });
    if (response.webSocket === null) throw new Error(`no upgrade: ${response.status}`);
    const socket = new WatchSocket(response.webSocket);
    const keys = Array.from({ length: 300 }, (_, place) => `${place}`.padStart(60, 'k'));
    socket.socket.send(keys.map((key) => JSON.stringify({ create_request: { key: btoa(key) } })).join('\n'));
    for (const [place] of keys.entries()) {
      const answer = (await socket.next()) as { result: { watch_id?: string } };
      expect(answer).toMatchObject({ result: { created: true } });
      expect(answer.result.watch_id ?? '0').toBe(String(place));
    }
    await sleep(tenant.id, 1);
    await put(tenant.key, keys[299] ?? '', '1');
    expect(await socket.next()).toMatchObject({ result: { watch_id: '299', events: [{ kv: { version: '1' } }] } });
    const rows = (): Promise<unknown> =>
      runInDurableObject(replicaStub(tenant.id, 1), (_, { storage: { sql } }) =>
        sql.exec('SELECT COUNT(*) AS kept FROM watches_of_streams').one(),
      );
    expect(await rows()).toEqual({ kept: 300 });
    socket.socket.close();
    await socket.closed;
    expect(await rows()).toEqual({ kept: 0 });
  });

  it('WATCH-SLEEP-6: a crash ends the socket; resumed from what was seen, nothing is missing and nothing comes twice', async () => {
    const tenant = await newTenant({ name: 'crasher', replicas: 1 });
    const socket = await WatchSocket.open(tenant.key, 'prefix=');
    await put(tenant.key, 'a', '1');
    const [, event] = await frames(socket, 2);
    expect(event).toMatchObject({ type: 'events', revision: 2 });
    await runInDurableObject(replicaStub(tenant.id, 1), (_instance, state) => state.abort('crash')).catch(
      () => undefined,
    );
    await socket.closed;
    await put(tenant.key, 'a', '2');
    const resumed = await WatchSocket.open(tenant.key, 'prefix=&from=3');
    expect(await frames(resumed, 2)).toMatchObject([{ type: 'created' }, { type: 'events', revision: 3 }]);
  });

  it('WATCH-ACCESS-1: revoking a key ends its open watches on every replica, and those of other keys go on', async () => {
    const tenant = await newTenant({ name: 'revoker', replicas: 1 });
    const made = await asOperator(`/v1/tenants/${tenant.id}/keys`, { method: 'POST', body: '{"role":"read"}' });
    const reader: { id: string; key: string } = await made.json();
    const ended = await WatchSocket.open(reader.key, 'prefix=');
    const kept = await WatchSocket.open(tenant.key, 'prefix=');
    const stream = new Lines(await withKey(reader.key, '/v1/watch?prefix='));
    await frames(ended, 1);
    await stream.json();
    const answer = await asOperator(`/v1/tenants/${tenant.id}/keys/${reader.id}`, { method: 'DELETE' });
    expect(answer.ok).toBe(true);
    expect(await frames(ended, 1)).toMatchObject([{ type: 'canceled', problem: { status: 401 } }]);
    expect(await ended.closed).toMatchObject({ code: 4401 });
    expect(await stream.json()).toMatchObject({ type: 'canceled', problem: { status: 401 } });
    expect(await stream.next()).toBeNull();
    await put(tenant.key, 'a', '1');
    expect(await frames(kept, 2)).toMatchObject([{ type: 'created' }, { type: 'events', revision: 2 }]);
  });

  it('WATCH-ACCESS-1: a key of a prefix watches within it only', async () => {
    const tenant = await newTenant({ name: 'prefixed', replicas: 1 });
    const made = await asOperator(`/v1/tenants/${tenant.id}/keys`, {
      method: 'POST',
      body: '{"role":"read","prefix":"mine/"}',
    });
    const reader: { key: string } = await made.json();
    expect((await withKey(reader.key, '/v1/watch?prefix=')).status).toBe(403);
    expect((await withKey(reader.key, '/v1/watch?prefix=yours/')).status).toBe(403);
    const socket = await WatchSocket.open(reader.key, 'prefix=mine/');
    expect(await frames(socket, 1)).toMatchObject([{ type: 'created' }]);
  });

  it('WATCH-V1-3: a frame that is no request for progress ends the stream with the reason', async () => {
    const tenant = await newTenant({ name: 'talker', replicas: 1 });
    const socket = await WatchSocket.open(tenant.key, 'prefix=');
    socket.socket.send('hello');
    expect(await frames(socket, 2)).toMatchObject([
      { type: 'created' },
      { type: 'canceled', problem: { status: 400 } },
    ]);
    expect(await socket.closed).toMatchObject({ code: 4400 });
  });

  it('WATCH-V1-1: every replica serves a watch, the leader or not', async () => {
    const tenant = await newTenant({ name: 'spread' });
    const leader = await leaderOf(tenant.key);
    expect(leader).toBeGreaterThan(0);
    const sockets = await Promise.all([1, 2, 3].map(() => WatchSocket.open(tenant.key, 'prefix=')));
    for (let count = 0; count < 10; count++) await put(tenant.key, `k${count}`, '1');
    for (const socket of sockets) {
      const seen: number[] = [];
      for (const frame of (await frames(socket, 1)).slice(1)) seen.push(frame.revision);
      while (seen.at(-1) !== 11) seen.push(...(await frames(socket, 1)).map((frame) => frame.revision));
      expect(seen).toEqual(seen.toSorted((left, right) => left - right));
    }
  });
});

describe('streaming answers', () => {
  it('WATCH-V1-1: server-sent events resume by Last-Event-ID', async () => {
    const tenant = await newTenant({ name: 'sse', replicas: 1 });
    await put(tenant.key, 'a', '1');
    await put(tenant.key, 'a', '2');
    const accept = 'text/event-stream';
    const first = await withKey(tenant.key, '/v1/watch?key=a&from=2', { headers: { accept } });
    expect(first.headers.get('content-type')).toBe('text/event-stream');
    const lines = new Lines(first);
    expect(await lines.next('\n\n')).toMatch(/^id: 1\nevent: created\n/);
    expect(await lines.next('\n\n')).toMatch(/^id: 3\nevent: events\ndata: .*"mod_revision":2.*"mod_revision":3/);
    await lines.cancel();
    await put(tenant.key, 'a', '3');
    const headers = { accept, 'last-event-id': '3' };
    const second = new Lines(await withKey(tenant.key, '/v1/watch?key=a&from=2', { headers }));
    expect(await second.next('\n\n')).toMatch(/^id: 3\nevent: created/);
    expect(await second.next('\n\n')).toMatch(/^id: 4\nevent: events/);
    await second.cancel();
  });

  it('WATCH-V1-2: a compacted start is 410 over plain HTTP', async () => {
    const tenant = await newTenant({ name: 'compacted', replicas: 1 });
    for (const value of ['1', '2', '3']) await put(tenant.key, 'a', value);
    await withKey(tenant.key, '/v3/kv/compaction', { method: 'POST', body: '{"revision":4}' });
    expect((await withKey(tenant.key, '/v1/watch?key=a&from=3')).status).toBe(410);
    const socket = await WatchSocket.open(tenant.key, 'key=a&from=3');
    expect(await frames(socket, 2)).toMatchObject([
      { type: 'created' },
      { type: 'canceled', problem: { status: 410 } },
    ]);
    expect(await socket.closed).toMatchObject({ code: 4410 });
  });

  it('WATCH-BODY-1: the messages of a POST are taken as they come, and the answer outlives the request', async () => {
    const tenant = await newTenant({ name: 'poster', replicas: 1 });
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    const writer = writable.getWriter();
    const say = (text: string): Promise<void> => writer.write(new TextEncoder().encode(text));
    const answered = withKey(tenant.key, '/v3/watch', { method: 'POST', body: readable });
    await say(`{"create_request":{"key":"${btoa('a')}"}}{"create_req`);
    const lines = new Lines(await answered);
    expect(await lines.json()).toMatchObject({ result: { created: true } });
    await say(`uest":{"key":"${btoa('b')}"}}`);
    expect(await lines.json()).toMatchObject({ result: { created: true, watch_id: '1' } });
    await writer.close();
    await put(tenant.key, 'b', '1');
    expect(await lines.json()).toMatchObject({ result: { watch_id: '1', events: [{}] } });
    await lines.cancel();
  });

  it('WATCH-BODY-1: a POST whose first message cannot be read is 400', async () => {
    const tenant = await newTenant({ name: 'mumbler', replicas: 1 });
    for (const body of ['nonsense', '{"create_request":7}', '{"create_request":{"key":"a"']) {
      const response = await withKey(tenant.key, '/v3/watch', { method: 'POST', body });
      expect([response.status, await response.json()]).toMatchObject([400, { code: 3 }]);
    }
  });
});
