// Watches of v1 that end at the front, beside the same bytes at the runtime behind it. What passes between
// the front and the runtime is counted, so that each test knows where a watch ended.

import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { frontBounds, type FrontBounds } from '../../../src/front/bounds.ts';
import { Front } from '../../../src/front/front.ts';
import { type QuorateProcess, startQuorate } from '../../support/quorate-process.ts';
import { RawClient } from '../raw-client.ts';
import { Tap } from '../tap.ts';

let server: QuorateProcess;
let front: Front;
let tap: Tap;
let directPort: number;
const fronts: Front[] = [];
const clients: RawClient[] = [];

beforeAll(async () => {
  server = await startQuorate({ arguments: ['--direct', '--fault-port', '0'] });
  directPort = Number(new URL(server.ready.url).port);
  tap = await Tap.before(directPort);
  front = await open();
  // Revisions and versions of three digits: a message has the same length before a write and after it.
  for (let revision = 1; revision < 100; revision++) await put('a');
});

afterAll(async () => {
  for (const client of clients) client.leave();
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

const key = (): string => server.ready.tenant.key;
const closing = 0x88;

/** A masked frame, as a client sends it. `first`: the first byte. */
function frame(first: number, payload: string | readonly number[], isMasked = true): string {
  const bytes = typeof payload === 'string' ? Buffer.from(payload) : Buffer.from(payload);
  const { byteLength } = bytes;
  const bit = isMasked ? 0x80 : 0;
  const length =
    byteLength < 126
      ? [bit | byteLength]
      : byteLength < 65_536
        ? [bit | 126, byteLength >> 8, byteLength & 255]
        : [
            bit | 127,
            0,
            0,
            0,
            0,
            byteLength >>> 24,
            (byteLength >> 16) & 255,
            (byteLength >> 8) & 255,
            byteLength & 255,
          ];
  if (!isMasked) return Buffer.concat([Buffer.from([first, ...length]), bytes]).toString('latin1');
  for (let at = 0; at < byteLength; at++) bytes[at] = (bytes[at] ?? 0) ^ ((at % 4) + 1);
  return Buffer.concat([Buffer.from([first, ...length, 1, 2, 3, 4]), bytes]).toString('latin1');
}

type Handshake = { readonly path?: string; readonly headers?: readonly string[]; readonly as?: string };

class Watcher extends RawClient {
  constructor(port: number, { path = '/v1/watch?key=a', headers = [], as = key() }: Handshake = {}) {
    super(port);
    clients.push(this);
    this.send(
      [
        `GET ${path} HTTP/1.1`,
        'Host: store',
        `Quorate-Key: ${as}`,
        'X-Request-Id: of-both',
        'Connection: Upgrade',
        'Upgrade: websocket',
        'Sec-WebSocket-Version: 13',
        'Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==',
        ...headers,
        '\r\n',
      ].join('\r\n'),
    );
  }

  /** Until the text has come so often. */
  came(text: string, count = 1): Promise<string> {
    return this.until((all) => all.split(text).length > count);
  }
}

/** Opens a watch, and says whether it ended at the front. */
async function opens(port: number, handshake: Handshake = {}): Promise<{ watcher: Watcher; endsHere: boolean }> {
  const before = tap.heads.length;
  const watcher = new Watcher(port, handshake);
  await watcher.until((text) => text.includes('"created"') || /^HTTP\/1.1 [^1]/.test(text));
  return { watcher, endsHere: !tap.heads.slice(before).some((head) => head.startsWith('GET /v1/watch')) };
}

/** Until watches with this key end at the front. */
async function warm(port = front.port, as = key()): Promise<void> {
  for (let tries = 0; ; tries++) {
    const { watcher, endsHere } = await opens(port, { as });
    watcher.leave();
    if (endsHere) return;
    expect(tries).toBeLessThan(200);
    await sleep(10);
  }
}

/** Returns the revision. */
async function put(name: string, value = 'x'): Promise<number> {
  const url = `http://127.0.0.1:${directPort}/v1/kv/${name}`;
  const answer = await fetch(url, { method: 'PUT', headers: { 'Quorate-Key': key() }, body: value });
  expect(answer.status).toBe(200);
  return Number(answer.headers.get('quorate-revision'));
}

async function operate(method: string, path: string, body?: object): Promise<string> {
  const headers = { Authorization: `Bearer ${server.ready.operatorToken}` };
  const sent = body === undefined ? {} : { body: JSON.stringify(body) };
  const response = await fetch(`${server.ready.url}${path}`, { method, headers, ...sent });
  expect(response.status).toBeLessThan(300);
  return await response.text();
}

type AccessKey = { readonly id: string; readonly key: string };

async function newKey(rights: object = { role: 'write' }): Promise<AccessKey> {
  const made: AccessKey = JSON.parse(await operate('POST', `/v1/tenants/${server.ready.tenant.id}/keys`, rights));
  return made;
}

const progress = '{"type":"progress"}';

type Conversation = { readonly handshake?: Handshake; readonly frames: readonly string[]; readonly writes?: boolean };

/** What a client sends once its watch was created, each part after what the one before brought. */
const conversations: Readonly<Record<string, Conversation>> = {
  nothing: { frames: [] },
  'events, and progress behind them': { frames: [frame(0x81, progress)], writes: true },
  'previous pairs': { handshake: { path: '/v1/watch?key=a&prev=true' }, frames: [], writes: true },
  'a prefix': { handshake: { path: '/v1/watch?prefix=' }, frames: [], writes: true },
  'a revision of the future': { handshake: { path: '/v1/watch?key=a&from=99999' }, frames: [frame(0x81, progress)] },
  'a heartbeat': { frames: [frame(0x81, 'ping')] },
  'a heartbeat in parts': { frames: [frame(0x01, 'pi') + frame(0x80, 'ng')] },
  'a heartbeat in bytes': { frames: [frame(0x82, 'ping')] },
  'a ping': { frames: [frame(0x89, 'hello')] },
  'a ping that is too long': { frames: [frame(0x89, 'x'.repeat(200))] },
  'a pong': { frames: [frame(0x8a, 'hello')] },
  'progress in bytes': { frames: [frame(0x82, progress)] },
  'progress in parts, with a ping between': {
    frames: [frame(0x01, progress.slice(0, 8)) + frame(0x89, 'x') + frame(0x80, progress.slice(8))],
  },
  'an empty message': { frames: [frame(0x81, '')] },
  'another message': { frames: [frame(0x81, 'hello')] },
  'a message that is no text': { frames: [frame(0x81, [0xff, 0xfe])] },
  'a large message': { frames: [frame(0x81, ' '.repeat(100_000))] },
  'a message without a mask': { frames: [frame(0x81, 'ping', false)] },
  'a message that the platform does not take': { frames: ['\x81\xff\0\0\x01\0\0\0\0\0\x01\x02\x03\x04'] },
  'a close': { frames: [frame(closing, '')] },
  'a close with a reason': { frames: [frame(closing, [3, 232, 98, 121])] },
  'a close with a code of its own': { frames: [frame(closing, [0x0f, 0xa1, 98])] },
  'a close with a code that is none': { frames: [frame(closing, [3, 0xe7])] },
  'a close with a code that is not sent': { frames: [frame(closing, [3, 0xed])] },
  'a close of one byte': { frames: [frame(closing, [3])] },
  'a close whose reason is no text': { frames: [frame(closing, [3, 232, 0xff])] },
  'an unknown opcode': { frames: [frame(0x83, 'x')] },
  'an unknown control frame': { frames: [frame(0x8b, 'x')] },
  'a continuation of nothing': { frames: [frame(0x80, 'x')] },
  'a message within a message': { frames: [frame(0x01, 'x') + frame(0x81, 'y')] },
  'a ping in parts': { frames: [frame(0x09, 'x')] },
};

/** Numbers apart, since a write moves the revision. */
async function talk(port: number, { handshake, frames, writes }: Conversation): Promise<readonly string[]> {
  const { watcher } = await opens(port, handshake);
  if (writes === true) {
    await put('a', 'one');
    await watcher.came('"mod_revision"');
    await put('a', 'two');
    await watcher.came('"events"', 2);
  }
  for (const each of frames) {
    watcher.send(each);
    await sleep(100);
  }
  const ended = await Promise.race([watcher.ended, sleep(100).then(() => null)]);
  watcher.leave();
  const [head = '', ...behind] = watcher.text.split('\r\n\r\n');
  const lines = head.split('\r\n').map((line) => line.replace(/^[^:]*/, (name) => name.toLowerCase()));
  return [...lines.toSorted(), behind.join('\r\n\r\n').replaceAll(/\d+/g, '#'), String(ended)];
}

describe('FRONT-39: a WebSocket to /v1/watch ends at the front, and hears what it would hear of the runtime', () => {
  beforeAll(() => warm());
  it.each(Object.entries(conversations))('%s', async (_, conversation) => {
    const direct = await talk(directPort, conversation);
    const before = tap.heads.length;
    const here = await talk(front.port, conversation);
    expect(here).toEqual(direct);
    expect(tap.heads.slice(before)).toEqual([]);
  });

  it('a revision of the past, and one that is compacted', async () => {
    for (let round = 0; round < 3; round++) await put('past');
    const path = '/v1/watch?key=past&from=1';
    const texts = [];
    for (const port of [directPort, front.port]) {
      const watcher = new Watcher(port, { path });
      texts.push((await watcher.came('"mod_revision"', 3)).split('\r\n\r\n')[1]);
    }
    expect(texts[1]).toBe(texts[0]);
    const { revision }: { revision: string } = (
      JSON.parse(
        await (
          await fetch(`http://127.0.0.1:${directPort}/v3/kv/range`, {
            method: 'POST',
            headers: { 'Quorate-Key': key() },
            body: '{"key":"YQ=="}',
          })
        ).text(),
      ) as { header: { revision: string } }
    ).header;
    await fetch(`http://127.0.0.1:${directPort}/v3/kv/compaction`, {
      method: 'POST',
      headers: { 'Quorate-Key': key() },
      body: JSON.stringify({ revision }),
    });
    const ends = [];
    for (const port of [directPort, front.port]) {
      const watcher = new Watcher(port, { path });
      await watcher.came('"canceled"');
      await sleep(50);
      ends.push(watcher.text.split('\r\n\r\n')[1]);
    }
    expect(ends[0]).toContain('compacted');
    expect(ends[1]).toBe(ends[0]);
  });
});

describe('FRONT-40: what a client may not watch, or asks for in another form, is handed on', () => {
  const forms: Readonly<Record<string, Handshake>> = {
    'an empty range': { path: '/v1/watch?start=b&end=a' },
    'no range': { path: '/v1/watch' },
    'an unknown parameter': { path: '/v1/watch?key=a&x=1' },
    'a page': { headers: ['Origin: https://page'] },
    'a subprotocol': { headers: ['Sec-WebSocket-Protocol: x'] },
    'a cookie': { headers: ['Cookie: token=x'] },
    'a nearer replica': { headers: ['Quorate-Read: nearest'] },
    'a key of another form': { as: 'none' },
  };
  beforeAll(() => warm());
  it.each(Object.entries(forms))('%s', async (_, handshake) => {
    const direct = await opens(directPort, handshake);
    const here = await opens(front.port, handshake);
    expect(here.endsHere).toBe(false);
    expect(here.watcher.text.split('\r\n')[0]).toEqual(direct.watcher.text.split('\r\n')[0]);
  });

  it('what a caller may not read, by whichever way it came before', async () => {
    const reader = await newKey({ role: 'read', prefix: 'mine/' });
    for (let tries = 0; ; tries++) {
      const mine = await opens(front.port, { as: reader.key, path: '/v1/watch?prefix=mine/' });
      mine.watcher.leave();
      if (mine.endsHere) break;
      expect(tries).toBeLessThan(200);
      await sleep(10);
    }
    const { watcher, endsHere } = await opens(front.port, { as: reader.key, path: '/v1/watch?prefix=yours/' });
    expect(endsHere).toBe(false);
    expect(watcher.text).toMatch(/^HTTP\/1.1 403 /);
  });
});

describe('FRONT-38: the watches of a caller whose key is revoked end, and those of others go on', () => {
  it('at once, with the words and the code that the runtime has', async () => {
    const made = await newKey();
    await warm();
    await warm(front.port, made.key);
    const direct = new Watcher(directPort, { as: made.key });
    const here = await opens(front.port, { as: made.key });
    const other = await opens(front.port);
    expect([here.endsHere, other.endsHere]).toEqual([true, true]);
    await direct.came('"created"');
    await operate('DELETE', `/v1/tenants/${server.ready.tenant.id}/keys/${made.id}`);
    const [said, alike] = [await here.watcher.came('\x88'), await direct.came('\x88')].map((text) =>
      text.split('\r\n\r\n')[1]?.replaceAll(/\d+/g, '#'),
    );
    expect(said).toContain('canceled');
    expect(said).toBe(alike);
    await put('a');
    await other.watcher.came('"mod_revision"');
    expect(other.watcher.text).not.toContain('canceled');
  });

  it('and those of a tenant that is deleted', async () => {
    const made: { readonly id: string; readonly key: string } = JSON.parse(
      await operate('POST', '/v1/tenants', { name: 'short-lived' }),
    );
    await warm(front.port, made.key);
    const { watcher, endsHere } = await opens(front.port, { as: made.key });
    expect(endsHere).toBe(true);
    await operate('DELETE', `/v1/tenants/${made.id}?force=true`);
    const text = await watcher.came('\x88');
    expect(text).toContain('canceled');
    const [, close = ''] = text.split('\x88');
    expect(Buffer.from(close, 'latin1').readUInt16BE(1)).toBe(4404);
  });
});

describe('FRONT-37: no break, join or slow client leaves a gap or repeats an event', () => {
  it('replicas crash while it is written', async () => {
    await warm();
    const { faultUrl, tenant } = server.ready;
    const watchers = await Promise.all([1, 2, 3, 4].map(() => opens(front.port, { path: '/v1/watch?key=counted' })));
    expect(watchers.map(({ endsHere }) => endsHere)).toEqual([true, true, true, true]);
    for (let round = 0; round < 60; round++) {
      await put('counted', String(round));
      if (round % 15 !== 5) continue;
      const body = JSON.stringify({ tenant: tenant.id, replica: 1 + (((round - 5) / 15) % 3) });
      await fetch(`${faultUrl ?? ''}/abort`, { method: 'POST', body });
    }
    for (const { watcher } of watchers) {
      const text = await watcher.came('"version"', 60);
      const versions = [...text.matchAll(/"version":(\d+)/g)].map(([, version]) => Number(version));
      expect(versions).toEqual(Array.from({ length: 60 }, (__, place) => place + 1));
      expect(text).not.toContain('canceled');
    }
  }, 60_000);

  it('a client that does not read for a while', async () => {
    const { port } = await open({ watchUnsentBytesMax: () => 100_000 });
    await warm(port);
    const [slow, quick] = await Promise.all([1, 2].map(() => opens(port, { path: '/v1/watch?key=large' })));
    if (slow === undefined || quick === undefined) throw new Error('two were opened');
    slow.watcher.socket.pause();
    const [rounds, bytes] = [12, 1_000_000];
    for (let round = 0; round < rounds; round++) await put('large', 'x'.repeat(bytes));
    await quick.watcher.until((text) => text.length > rounds * bytes);
    slow.watcher.socket.resume();
    const text = await slow.watcher.until((came) => came.length > rounds * bytes);
    const versions = [...text.matchAll(/"version":(\d+)/g)].map(([, version]) => Number(version));
    expect(versions).toEqual(Array.from({ length: rounds }, (__, place) => place + 1));
  }, 60_000);
});

type Stream = { readonly path: string; readonly accept: string; readonly headers?: readonly string[] };

/** A watch over plain HTTP, and whether it ended at the front. */
async function streams(
  port: number,
  { path, accept, headers = [] }: Stream,
): Promise<{ client: RawClient; endsHere: boolean }> {
  const before = tap.heads.length;
  const client = new RawClient(port);
  clients.push(client);
  client.send(
    [
      `GET ${path} HTTP/1.1`,
      'Host: store',
      `Quorate-Key: ${key()}`,
      'X-Request-Id: of-both',
      `Accept: ${accept}`,
      ...headers,
      '\r\n',
    ].join('\r\n'),
  );
  await client.until((text) => text.includes('\r\n\r\n') && text.split('\r\n\r\n')[1] !== '');
  return { client, endsHere: !tap.heads.slice(before).some((head) => head.startsWith('GET /v1/watch')) };
}

/** The head in the order of its lines, and the body without its chunks. */
function read(text: string): readonly string[] {
  const [head = '', ...rest] = text.split('\r\n\r\n');
  const lines = head.split('\r\n').map((line) => line.replace(/^[^:]*/, (name) => name.toLowerCase()));
  const body = rest.join('\r\n\r\n').replaceAll(/(?:^|\r\n)[0-9a-f]+\r\n/gi, '');
  return [...lines.filter((line) => !/^(date|connection|keep-alive):/.test(line)).toSorted(), body.trimEnd()];
}

let lasts = 0;
const streamTypes = ['text/event-stream', 'application/x-ndjson'];

describe('FRONT-42: a plain watch over HTTP ends at the front, and hears what it would hear of the runtime', () => {
  beforeAll(() => warm());
  const paths: Readonly<Record<string, Omit<Stream, 'accept'>>> = {
    'what is new': { path: '/v1/watch?key=streamed' },
    'previous pairs': { path: '/v1/watch?key=streamed&prev=true' },
    'a revision of the past': { path: '/v1/watch?key=streamed&from=FROM' },
    'a revision of the past, of a key that is not there': { path: '/v1/watch?prefix=stream&from=FROM' },
    'the last event that was seen': { path: '/v1/watch?key=streamed', headers: ['Last-Event-ID: FROM'] },
  };
  it.each(Object.entries(paths))('%s', async (_, form) => {
    const from = String(await put('streamed'));
    const path = form.path.replace('FROM', from);
    const headers = (form.headers ?? []).map((line) => line.replace('FROM', from));
    for (const accept of streamTypes) {
      const both = [];
      for (const port of [directPort, front.port]) both.push(await streams(port, { path, accept, headers }));
      expect(both.map(({ endsHere }) => endsHere)).toEqual([true, true]);
      await put('streamed', 'one');
      const last = `last ${++lasts}`;
      await put('streamed', last);
      const texts = [];
      for (const { client } of both) {
        const text = await client.until((came) => came.includes(`"value":"${last}"`));
        await sleep(20);
        texts.push(read(text));
        client.leave();
      }
      expect(texts[1]).toEqual(texts[0]);
    }
  });

  it('a revision that is compacted is answered by its status, as the runtime answers it', async () => {
    await put('streamed');
    const answer = await fetch(`http://127.0.0.1:${directPort}/v3/kv/put`, {
      method: 'POST',
      headers: { 'Quorate-Key': key() },
      body: '{"key":"eA=="}',
    });
    const { header }: { readonly header: { readonly revision: string } } = JSON.parse(await answer.text());
    await fetch(`http://127.0.0.1:${directPort}/v3/kv/compaction`, {
      method: 'POST',
      headers: { 'Quorate-Key': key() },
      body: JSON.stringify({ revision: header.revision }),
    });
    for (const accept of streamTypes) {
      const path = '/v1/watch?key=streamed&from=2';
      const direct = await streams(directPort, { path, accept });
      const here = await streams(front.port, { path, accept });
      expect(here.client.text).toMatch(/^HTTP\/1.1 410 /);
      expect(read(here.client.text)).toEqual(read(direct.client.text));
    }
  });

  it('a quiet stream gets a byte without meaning, and the next request of its connection waits', async () => {
    for (const [place, accept] of streamTypes.entries()) {
      const { client } = await streams(front.port, { path: '/v1/watch?key=quiet', accept });
      const blank = ['2\r\n:\n\r\n', '1\r\n \r\n'][place] ?? '';
      await client.until((text) => text.endsWith(blank));
      expect(client.text.endsWith(blank)).toBe(true);
    }
  }, 30_000);

  it('a client that closes its half has gone, and so has one whose key is revoked', async () => {
    const made = await newKey();
    await warm(front.port, made.key);
    const [first, second] = await Promise.all(
      [1, 2].map(() =>
        streams(front.port, { path: '/v1/watch?key=a', accept: 'x', headers: [`Quorate-Key: ${made.key}`].slice(1) }),
      ),
    );
    first?.client.socket.end();
    expect(await first?.client.ended).toBe('end');
    second?.client.leave();
    const stream = new RawClient(front.port);
    clients.push(stream);
    stream.send(`GET /v1/watch?key=a HTTP/1.1\r\nHost: store\r\nQuorate-Key: ${made.key}\r\n\r\n`);
    await stream.until((text) => text.includes('"created"'));
    await operate('DELETE', `/v1/tenants/${server.ready.tenant.id}/keys/${made.id}`);
    expect(await stream.until((text) => text.endsWith('0\r\n\r\n'))).toContain('canceled');
  });
});

describe('FRONT-41: what a client may hold of the front by a watch is bounded', () => {
  it('a client that says nothing is asked, and then left', async () => {
    const { port } = await open({ socketPingMs: 100, socketSilentMs: 400 });
    await warm(port);
    const { watcher } = await opens(port);
    await watcher.came('\x89\0');
    expect(await watcher.ended).toBe('end');
  });

  it('a client that answers no close is left', async () => {
    const { port } = await open({ socketClosingMs: 200 });
    await warm(port);
    const { watcher } = await opens(port);
    watcher.send(frame(0x81, 'hello'));
    await watcher.came('\x88');
    expect(await watcher.ended).toBe('end');
  });

  it('a client that closes its half without a word has gone', async () => {
    const { watcher } = await opens(front.port);
    watcher.socket.end();
    expect(await watcher.ended).toBe('end');
  });

  it('what many clients have not read of one message counts once, and what each has of its own counts for each', async () => {
    const { port } = await open({ unsentBytesMax: 8_000_000 });
    await warm(port);
    for (const shares of [true, false]) {
      const names = Array.from({ length: 16 }, (_, place) => `unread-${shares ? 0 : place}`);
      const all = await Promise.all(names.map((name) => opens(port, { path: `/v1/watch?key=${name}` })));
      for (const { watcher } of all) watcher.socket.pause();
      // Beyond what the systems' buffers take.
      const [rounds, bytes] = [4, 1_500_000];
      for (let round = 0; round < rounds; round++) {
        for (const name of new Set(names)) await put(name, 'x'.repeat(bytes));
      }
      await sleep(300);
      for (const { watcher } of all) watcher.socket.resume();
      const texts = await Promise.all(all.map(({ watcher }) => watcher.until((text) => text.length > rounds * bytes)));
      const whole = texts.filter((text) => text.length > rounds * bytes);
      if (shares) expect(whole).toHaveLength(16);
      else expect(whole.length).toBeLessThan(16);
    }
  }, 60_000);

  it('the end of the server is told to each', async () => {
    const ending = await open();
    await warm(ending.port);
    const { watcher } = await opens(ending.port);
    await Promise.all([ending.close(), watcher.came('\x88\x11\x03\xe9the server ends')]);
  });
});
