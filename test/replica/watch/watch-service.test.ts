// The service on Node: its sockets are plain objects with an attachment, its bodies real streams, its clock a number.

import { expect, test } from 'vitest';
import type { WatchCall } from '../../../src/api/contract.ts';
import type { Failure } from '../../../src/api/errors/errors.ts';
import { utf8 } from '../../../src/base/bytes.ts';
import {
  openProbeMs,
  openProbeSpacingMs,
  postedMessageWaitMs,
  streamProbeMs,
  watchAuthorizeMs,
  watchBodiesBacklogBytesMax,
  watchBodiesMax,
  watchBodyBacklogBytesMax,
  watchBodyBacklogBytesMin,
  watchBodyDrainMs,
  watchRoomMs,
  watchSocketBacklogBytesMax,
  watchSocketReadBytesPerSecond,
  watchSocketUnreadBytesMax,
  watchSocketsMax,
} from '../../../src/limits.ts';
import type { Caller, StoreEvent } from '../../../src/model/store.ts';
import { openOfKeyMax } from '../../../src/replica/open-calls.ts';
import { MemoryBudget } from '../../../src/base/memory-budget.ts';
import { decodeAttachment, encodeStream } from '../../../src/replica/watch/watch-attachment.ts';
import { BodyChannel, bodyBacklogBytesMax } from '../../../src/replica/watch/watch-body.ts';
import type { SavedStream } from '../../../src/replica/watch/watch-channel.ts';
import { WatchRows } from '../../../src/replica/watch/watch-rows.ts';
import { WatchService } from '../../../src/replica/watch/watch-service.ts';
import { SocketChannel } from '../../../src/replica/watch/watch-socket.ts';
import { keyOf, PlainKeys } from '../plain-keys.ts';
import { NodeSql } from '../../support/node-sql.ts';
import { header } from './memory-channel.ts';
import { PlainHistory, put, shape } from '../../mvcc/watch/plain-history.ts';

const caller: Caller = { kind: 'accessKey', id: 'key-1' };

class FakeSocket {
  attachment: unknown;
  sent: string[] = [];
  closed: number | null = null;
  bufferedAmount: number | undefined = 0;

  constructor(attachment: unknown) {
    this.attachment = attachment;
  }
  send(message: string): void {
    this.sent.push(message);
  }
  close(code: number): void {
    this.closed = code;
  }
  serializeAttachment(attachment: unknown): void {
    this.attachment = attachment;
  }
  deserializeAttachment(): unknown {
    return this.attachment;
  }
  get saved(): SavedStream | 'stale' {
    const attachment = decodeAttachment(this.attachment);
    return attachment?.kind === 'saved' ? attachment.stream : 'stale';
  }
}

function savedStream(next: number, protocol: 'v1' | 'v3' = 'v1'): SavedStream {
  const watch = { id: 0n, shape: shape('k'), start: 0, next, progressNotify: false, fragment: false };
  return { protocol, caller, nextId: 1n, watches: [watch] };
}

const memoryBounds = { bytesMax: 100_000_000, tenantBytesMax: 100_000_000, keyBytesMax: 100_000_000 };
const littleMemory = { bytesMax: 6_000_000, tenantBytesMax: 6_000_000, keyBytesMax: 6_000_000 };
const noHolder = { tenant: 't', key: 'k' };

type BenchOptions = {
  sockets?: FakeSocket[];
  history?: PlainHistory;
  failure?: Failure;
  keys?: PlainKeys;
  memory?: typeof memoryBounds;
  sql?: NodeSql;
};

class Bench {
  readonly history: PlainHistory;
  readonly sockets: FakeSocket[];
  readonly service: WatchService;
  readonly keys: PlainKeys;
  readonly memory: MemoryBudget;
  failure: Failure | null = null;
  nowMs = 1_000_000;
  heardMs: number | null = null;
  tasks: { readonly atMs: number; readonly task: () => void }[] = [];

  readonly sql: NodeSql;

  constructor(options: BenchOptions = {}) {
    this.sql = options.sql ?? new NodeSql();
    this.memory = new MemoryBudget(options.memory ?? memoryBounds);
    this.keys =
      options.keys ??
      new PlainKeys(
        () => this.nowMs,
        (task, delayMs) => this.#later(task, delayMs),
      );
    this.history = options.history ?? new PlainHistory();
    this.sockets = options.sockets ?? [];
    this.failure = options.failure ?? null;
    this.service = new WatchService({
      durable: null,
      limits: { watchesMax: () => null, moved: () => undefined },
      sockets: { accept: () => this.#accept(), open: () => this.sockets, heardMs: () => this.heardMs },
      history: this.history,
      sql: this.sql,
      open: this.keys.open,
      memory: () => this.memory.reserve(noHolder),
      header,
      authorize: () => this.failure,
      mayGoOn: () => this.failure,
      nowMs: () => this.nowMs,
      later: (task, delayMs) => this.#later(task, delayMs),
    });
  }

  #later(task: () => void, delayMs: number): () => void {
    const due = { atMs: this.nowMs + delayMs, task };
    this.tasks.push(due);
    return () => {
      this.tasks = this.tasks.filter((each) => each !== due);
    };
  }

  #accept(): { socket: FakeSocket; answer: Response } {
    const socket = new FakeSocket(null);
    this.sockets.push(socket);
    return { socket, answer: new Response('switched') };
  }

  /** Runs the tasks that are due, and the tasks that they make due at once. */
  run(afterMs = 0): void {
    this.nowMs += afterMs;
    for (;;) {
      const due = this.tasks.find(({ atMs }) => atMs <= this.nowMs);
      if (due === undefined) return;
      this.tasks = this.tasks.filter((each) => each !== due);
      due.task();
    }
  }

  commit(...events: readonly StoreEvent[]): void {
    this.service.published([this.history.commit(events)], this.history.revision);
  }

  async lines(from: number | null = null, by: Caller = caller): Promise<Response> {
    const parameters = { range: shape('k').range, from, previous: false };
    const call: WatchCall = { kind: 'watch', protocol: 'v1', transport: 'ndjson', accepted: null, parameters };
    return this.service.open(call, new Request('http://replica/v1/watch'), by);
  }

  /** Where no slot is left, the streams that hold one are asked first. */
  async linesAfterProbe(by: Caller = caller): Promise<Response> {
    const answer = this.lines(null, by);
    this.run(openProbeMs);
    const response = await answer;
    this.run(openProbeSpacingMs);
    return response;
  }
}

async function read(response: Response, count: number): Promise<string> {
  if (response.body === null) throw new Error('no body');
  const reader = response.body.getReader();
  let text = '';
  while (text.split('\n').length <= count) {
    const { done, value } = await reader.read();
    if (done) break;
    text += new TextDecoder().decode(value);
  }
  reader.releaseLock();
  return text;
}

function revisionsIn(messages: readonly string[]): number[] {
  return messages
    .filter((text) => text.includes('"events"'))
    .map((text) => Number(/"revision":"?(\d+)/.exec(text)?.[1]));
}

test('WATCH-SLEEP-5: awake and sending, an attachment says nothing; before sleep it says what is next', () => {
  const socket = new FakeSocket(encodeStream(savedStream(2)));
  const bench = new Bench({ sockets: [socket] });
  bench.commit(put('k', 2));
  expect(socket.saved).toBe('stale');
  bench.commit(put('other', 3));
  bench.service.flush();
  expect(socket.saved).toMatchObject({ watches: [{ next: 4 }] });
  const woken = new Bench({ sockets: [socket], history: bench.history });
  woken.commit(put('k', 4));
  expect(revisionsIn(socket.sent)).toEqual([2, 4]);
});

test('WATCH-SLEEP-5: a wake that was not put to rest ends the socket rather than telling an event twice', () => {
  const socket = new FakeSocket(encodeStream(savedStream(2)));
  const bench = new Bench({ sockets: [socket] });
  bench.commit(put('k', 2));
  const woken = new Bench({ sockets: [socket], history: bench.history });
  woken.commit(put('k', 3));
  expect(revisionsIn(socket.sent)).toEqual([2]);
  expect(socket.closed).toBe(1012);
  expect(woken.service.watcherCount).toBe(0);
});

test('WATCH-SLEEP-5: what is caught up on a wake is saved again although the clock of the replica stands still', () => {
  const history = new PlainHistory();
  for (let at = 2; at < 6; at++) history.commit([put('k', at)]);
  const socket = new FakeSocket(encodeStream(savedStream(3)));
  const bench = new Bench({ sockets: [socket], history });
  bench.run();
  expect(socket.saved).toMatchObject({ watches: [{ next: 6 }] });
  expect(socket.sent.join('')).toContain('"mod_revision":3');
  expect(socket.sent.join('')).not.toContain('"mod_revision":2');
});

test('WATCH-SLEEP-5: an answer to a message of the client is saved too while the replica rests', () => {
  const socket = new FakeSocket(encodeStream(savedStream(2, 'v3')));
  const bench = new Bench({ sockets: [socket] });
  bench.service.webSocketMessage(socket, '{"progress_request":{}}');
  bench.run();
  expect(socket.sent.length).toBe(1);
  expect(socket.saved).toMatchObject({ watches: [{ next: 2 }] });
});

test('WATCH-SLEEP-5: a watch without events of its own is saved too where the store went on', () => {
  const socket = new FakeSocket(encodeStream(savedStream(2)));
  const bench = new Bench({ sockets: [socket] });
  bench.commit(put('other', 2));
  bench.service.flush();
  expect(socket.saved).toMatchObject({ watches: [{ next: 3 }] });
  bench.history.compactedRevision = 2;
  const woken = new Bench({ sockets: [socket], history: bench.history });
  woken.run();
  expect(socket.closed).toBeNull();
});

test('WATCH-SLEEP-5: rest without news writes no attachment', () => {
  const socket = new FakeSocket(encodeStream(savedStream(2)));
  const bench = new Bench({ sockets: [socket] });
  bench.commit(put('k', 2));
  bench.service.flush();
  const { attachment } = socket;
  bench.service.flush();
  expect(socket.attachment).toBe(attachment);
});

test('WATCH-SLEEP-2: a socket with an attachment of another layout is closed, the client resumes by itself', () => {
  const socket = new FakeSocket(Uint8Array.of(99, 1));
  const bench = new Bench({ sockets: [socket] });
  expect(socket.closed).toBe(1012);
  expect(bench.service.watcherCount).toBe(0);
});

test('WATCH-ACCESS-1: a stream that wakes after its key has ended is told so and closed', () => {
  const socket = new FakeSocket(encodeStream(savedStream(2)));
  const bench = new Bench({ sockets: [socket], failure: { kind: 'unauthenticated', reason: 'expired' } });
  expect(socket.closed).toBe(4401);
  expect(socket.sent).toHaveLength(1);
  bench.commit(put('k', 2));
  expect(socket.sent).toHaveLength(1);
});

test('WATCH-ACCESS-1: a key that expires ends its watches within watchAuthorizeMs of the clock', () => {
  const socket = new FakeSocket(encodeStream(savedStream(2)));
  const bench = new Bench({ sockets: [socket] });
  bench.service.tick(bench.nowMs);
  bench.failure = { kind: 'unauthenticated', reason: 'expired' };
  bench.service.tick(bench.nowMs + watchAuthorizeMs - 1);
  expect(socket.closed).toBeNull();
  bench.service.tick(bench.nowMs + watchAuthorizeMs + 1_000);
  expect(socket.closed).toBe(4401);
});

test('WATCH-ACCESS-1: only the revoked key loses its watches', () => {
  const revoked = new FakeSocket(encodeStream(savedStream(2)));
  const other = new FakeSocket(encodeStream({ ...savedStream(2), caller: { kind: 'accessKey', id: 'key-2' } }));
  const bench = new Bench({ sockets: [revoked, other] });
  bench.keys.revoke('key-1');
  expect([revoked.closed, other.closed]).toEqual([4401, null]);
  expect(bench.service.watcherCount).toBe(1);
});

test('WATCH-SOCKET-1: a runtime that tells what a socket has not sent is listened to', () => {
  const socket = new FakeSocket(encodeStream(savedStream(2)));
  const channel = new SocketChannel(socket, {
    caller,
    rows: new WatchRows(new NodeSql()),
    ownRows: null,
    saved: () => savedStream(2),
    memory: new MemoryBudget(memoryBounds).reserve(noHolder),
    nowMs: () => 0,
    heardMs: () => null,
    closed: () => undefined,
  });
  for (const [buffered, room] of [
    [watchSocketBacklogBytesMax / 4, 'free'],
    [watchSocketBacklogBytesMax, 'full'],
    [watchSocketBacklogBytesMax + 1, 'over'],
  ] as const) {
    socket.bufferedAmount = buffered;
    expect(channel.room()).toBe(room);
  }
  const bench = new Bench({ sockets: [socket] });
  bench.commit(put('k', 2));
  expect(socket.sent.at(-1)).toContain('"resume_from":2');
  expect(socket.closed).toBe(4408);
});

function silentSocket(): { socket: FakeSocket; bench: Bench } {
  const socket = new FakeSocket(encodeStream(savedStream(2)));
  // The socket behaves as the platform's.
  socket.bufferedAmount = undefined;
  return { socket, bench: new Bench({ sockets: [socket] }) };
}

test('WATCH-SOCKET-3: a socket whose client says nothing is sent so much ahead of what it can have read, and ends with where to resume', () => {
  const { socket, bench } = silentSocket();
  const value = 'x'.repeat(1_000_000);
  for (let at = 2; at < 60 && socket.closed === null; at++) bench.commit(put('k', at, value));
  expect(socket.closed).toBe(4408);
  const sentBytes = socket.sent.join('').length;
  expect(sentBytes).toBeGreaterThan(watchSocketUnreadBytesMax);
  expect(sentBytes).toBeLessThan(watchSocketUnreadBytesMax + 1_500_000);
  const told = revisionsIn(socket.sent);
  expect(socket.sent.at(-1)).toContain(`"resume_from":${(told.at(-1) ?? 0) + 1}`);
  expect(bench.memory.bytes).toBe(0);
});

test('WATCH-SOCKET-3: what was sent counts as read at a certain speed, and all of it once the client says something', () => {
  for (const read of ['time', 'message', 'heartbeat'] as const) {
    const { socket, bench } = silentSocket();
    for (let at = 2; at < 60; at++) {
      bench.commit(put('k', at, 'x'.repeat(1_000_000)));
      if (at % 8 !== 0) continue;
      if (read === 'time') bench.nowMs += (9_000_000 / watchSocketReadBytesPerSecond) * 1_000;
      if (read === 'message') bench.service.webSocketMessage(socket, '{"type":"progress"}');
      if (read === 'heartbeat') bench.heardMs = at;
    }
    expect([read, socket.closed]).toEqual([read, null]);
    expect(revisionsIn(socket.sent)).toHaveLength(58);
  }
});

test('WATCH-SOCKET-4: sockets that are not read end where the memory of their key is used up; a rest gives it back', () => {
  const sockets = [1, 2, 3].map(() => new FakeSocket(encodeStream(savedStream(2))));
  for (const socket of sockets) socket.bufferedAmount = undefined;
  const bench = new Bench({ sockets, memory: littleMemory });
  bench.commit(put('k', 2, 'x'.repeat(1_000_000)));
  bench.commit(put('k', 3));
  expect(bench.memory.bytes).toBeGreaterThan(3_000_000);
  bench.service.flush();
  expect(bench.memory.bytes).toBe(0);
  for (let at = 4; at < 10; at++) bench.commit(put('k', at, 'x'.repeat(1_000_000)));
  expect(sockets.map(({ closed }) => closed)).toEqual([4408, 4408, 4408]);
});

test('WATCH-SOCKET-5: catching up on a socket goes on as its client can have read, also while the replica rests', () => {
  const history = new PlainHistory();
  for (let at = 2; at < 40; at++) history.commit([put('k', at, 'x'.repeat(1_000_000))]);
  const socket = new FakeSocket(encodeStream(savedStream(2)));
  socket.bufferedAmount = undefined;
  const bench = new Bench({ sockets: [socket], history });
  bench.run();
  const first = revisionsIn(socket.sent).length;
  expect(first).toBeLessThan(20);
  for (let step = 0; step < 600; step++) bench.run(watchRoomMs);
  expect(socket.sent.join('').match(/"mod_revision"/g)).toHaveLength(38);
  expect(socket.closed).toBeNull();
});

test('WATCH-BODY-8: streams that are not read end where the memory of their key is used up', async () => {
  const bench = new Bench({ memory: littleMemory });
  const all = [await bench.lines(), await bench.lines(), await bench.lines()];
  const value = 'x'.repeat(1_000_000);
  for (let at = 2; at < 12; at++) bench.commit(put('k', at, value));
  expect(bench.service.watcherCount).toBe(0);
  expect(bench.memory.bytes).toBeLessThanOrEqual(littleMemory.keyBytesMax);
  for (const response of all) await response.body?.cancel();
  expect(bench.memory.bytes).toBe(0);
});

test('WATCH-SOCKET-2: a socket that the client has left is no reason to fail', () => {
  const socket = new FakeSocket(encodeStream(savedStream(2)));
  const bench = new Bench({ sockets: [socket] });
  socket.send = () => {
    throw new TypeError('the socket is closed');
  };
  bench.commit(put('k', 2));
  bench.service.flush();
  bench.service.webSocketClose(socket);
  expect(bench.service.watcherCount).toBe(0);
});

test('WATCH-BODY-2: a body that is not read is canceled over its bound, and what is left of it dropped', async () => {
  const bench = new Bench();
  const response = await bench.lines();
  const value = 'x'.repeat(1_048_576);
  for (let at = 2; at < 10; at++) bench.commit(put('k', at, value));
  expect(bench.service.watcherCount).toBe(0);
  bench.run(watchBodyDrainMs - 1);
  bench.run(watchBodyDrainMs);
  await expect(read(response, 100)).rejects.toThrow('did not read');
});

test('WATCH-BODY-2: a body that is read after all has its events and the revision to resume from', async () => {
  const bench = new Bench();
  const response = await bench.lines();
  const value = 'x'.repeat(1_048_576);
  for (let at = 2; at < 10; at++) bench.commit(put('k', at, value));
  const text = await read(response, 100);
  const seen = revisionsIn(text.trim().split('\n'));
  expect(seen.length).toBeGreaterThan(2);
  expect(seen).toEqual([2, 3, 4, 5, 6, 7, 8].slice(0, seen.length));
  expect(text).toContain(`"reason":"slow","resume_from":${(seen.at(-1) ?? 0) + 1}`);
});

test('WATCH-BODY-2: catch-up waits for the reader', async () => {
  const history = new PlainHistory();
  for (let at = 2; at < 40; at++) history.commit([put('k', at, 'x'.repeat(262_144))]);
  const bench = new Bench({ history });
  const response = await bench.lines(2);
  bench.run();
  const { reads } = history;
  expect(reads).toBeLessThan(10);
  const all = read(response, 39);
  for (let turn = 0; turn < 100; turn++) {
    await Promise.resolve();
    await new Promise((resolve) => setImmediate(resolve));
    bench.run();
  }
  expect(revisionsIn((await all).trim().split('\n'))).toEqual(Array.from({ length: 38 }, (_, place) => place + 2));
});

const ignore = (): void => undefined;

function turn(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}

function roomOf(openBodies: number, bytes: number): string {
  const backlogBytesMax = (): number => bodyBacklogBytesMax(openBodies);
  const channel = new BodyChannel({
    terminator: '',
    blank: '',
    durable: null,
    memory: new MemoryBudget(memoryBounds).reserve(noHolder),
    backlogBytesMax,
    drained: ignore,
    gone: ignore,
    closed: ignore,
  });
  channel.send('x'.repeat(bytes));
  return channel.room();
}

test('WATCH-BODY-9: what is said on an answer that has begun leaves once all that was written before it is durable, in its order', async () => {
  const syncs: (() => void)[] = [];
  const sync = (): Promise<void> => new Promise((resolve) => void syncs.push(resolve));
  const channel = new BodyChannel({
    terminator: '',
    blank: '',
    durable: sync,
    memory: new MemoryBudget(memoryBounds).reserve(noHolder),
    backlogBytesMax: () => 1_000,
    drained: ignore,
    gone: ignore,
    closed: ignore,
  });
  let read = '';
  const reading = (async () => {
    for await (const part of channel.stream) read += Buffer.from(part).toString();
  })();
  channel.send('a');
  channel.send('b');
  await turn();
  expect([read, channel.backlogBytes, syncs.length]).toEqual(['', 2, 1]);
  syncs.shift()?.();
  // This was said while the first sync was under way, and may have been written after that sync began.
  channel.send('c');
  channel.finish();
  await turn();
  expect(read).toBe('ab');
  syncs.shift()?.();
  await reading;
  expect([read, syncs.length]).toEqual(['abc', 0]);
});

test('WATCH-BODY-2: bodies share what may be behind; the share has a ceiling and a floor', () => {
  const share = watchBodiesBacklogBytesMax / 64;
  for (const [open, bytes] of [
    [1, watchBodyBacklogBytesMax],
    [64, share],
    [watchBodiesMax * 2, watchBodyBacklogBytesMin],
  ] as const) {
    expect(roomOf(open, bytes)).toBe('full');
    expect(roomOf(open, bytes + 1)).toBe('over');
    expect(roomOf(open, bytes / 4)).toBe('free');
  }
});

test('WATCH-BODY-3: a client that goes away takes its watch along', async () => {
  const bench = new Bench();
  const response = await bench.lines();
  expect(bench.service.watcherCount).toBe(1);
  await response.body?.cancel();
  expect(bench.service.watcherCount).toBe(0);
});

test('WATCH-BODY-3: while answers stream, the service keeps its own clock, and stops it with the last one', async () => {
  const bench = new Bench();
  const response = await bench.lines();
  for (let turn = 0; turn < 10; turn++) bench.run(5_000);
  expect(await read(response, 2)).toContain('"type":"progress"');
  await response.body?.cancel();
  bench.run(5_000);
  expect(bench.tasks).toEqual([]);
});

test('WATCH-LIMIT-7: watchBodiesMax streaming answers are open at a time, half of them of one key', async () => {
  const bench = new Bench();
  const open: Response[] = [];
  const ofKey = openOfKeyMax('watchStream');
  for (let count = 0; count < ofKey; count++) open.push(await bench.lines());
  const refused = await bench.linesAfterProbe();
  expect(refused.status).toBe(429);
  expect(await refused.text()).toContain(
    `This access key has ${ofKey} streaming watches, as many as one key may have.`,
  );
  for (let count = ofKey; count < watchBodiesMax; count++) open.push(await bench.lines(null, keyOf('key-2')));
  expect(new Set(open.map(({ status }) => status))).toEqual(new Set([200]));
  const full = await bench.linesAfterProbe(keyOf('key-3'));
  expect(full.status).toBe(429);
  expect(await full.text()).toContain(`This replica has ${watchBodiesMax} streaming watches`);
  await open[0]?.body?.cancel();
  expect((await bench.linesAfterProbe(keyOf('key-3'))).status).toBe(200);
});

test('WATCH-BODY-4: where no place is left, streams are asked for a sign of life, and who has left makes room', async () => {
  const bench = new Bench();
  const open: Response[] = [];
  for (let count = 0; count < openOfKeyMax('watchStream'); count++) open.push(await bench.lines());
  const readers = open.map(({ body }) => body?.getReader());
  for (const reader of readers) await reader?.read();
  // The platform cancels the stream of a client that has left when it writes to it.
  const [left] = readers;
  void left?.read().then(() => left.cancel());
  const answer = bench.lines();
  await new Promise((resolve) => setImmediate(resolve));
  bench.run(openProbeMs);
  expect((await answer).status).toBe(200);
});

test('WATCH-BODY-5: a quiet stream gets a byte that means nothing now and then', async () => {
  const bench = new Bench();
  const response = await bench.lines();
  const reader = response.body?.getReader();
  await reader?.read();
  bench.run(streamProbeMs);
  bench.run(streamProbeMs);
  expect(new TextDecoder().decode((await reader?.read())?.value)).toBe(' ');
  bench.commit(put('k', 2));
  const event = new TextDecoder().decode((await reader?.read())?.value);
  expect(JSON.parse(` ${event}`)).toMatchObject({ type: 'events' });
});

test('WATCH-BODY-6: a POST that sends no message is answered and gone after postedMessageWaitMs, or with its key', async () => {
  const bench = new Bench();
  const call: WatchCall = { kind: 'watch', protocol: 'v3', transport: 'post', accepted: null, timeoutMs: null };
  const silent = (): Response | Promise<Response> => {
    const body = new ReadableStream<Uint8Array>();
    const request = new Request('http://replica/v3/watch', { method: 'POST', body, duplex: 'half' } as RequestInit);
    return bench.service.open(call, request, caller);
  };
  const timed = silent();
  expect(bench.keys.open.count('watchStream')).toBe(1);
  bench.run(postedMessageWaitMs);
  expect((await timed).status).toBe(504);
  expect(bench.keys.open.count('watchStream')).toBe(0);
  const revoked = silent();
  bench.keys.revoke('key-1');
  expect((await revoked).status).toBe(401);
});

test('WATCH-ACCESS-3: no event leaves after its key has expired, also before the clock has ticked', () => {
  const socket = new FakeSocket(encodeStream(savedStream(2)));
  const bench = new Bench();
  bench.keys.expiresAtMs.set('key-1', bench.nowMs + 10);
  const woken = new Bench({ sockets: [socket], history: bench.history, keys: bench.keys });
  woken.nowMs = bench.nowMs = bench.nowMs + 10;
  woken.commit(put('k', 2));
  expect(socket.sent.join('')).not.toContain('"events"');
  expect(socket.closed).toBe(4401);
});

test('WATCH-LIMIT-10: with watchSocketsMax sockets one more is asked to come later', async () => {
  const sockets = Array.from(
    { length: watchSocketsMax },
    (_, place) => new FakeSocket(encodeStream({ ...savedStream(2), caller: keyOf(`key-${place % 2}`) })),
  );
  const bench = new Bench({ sockets });
  const parameters = { range: shape('k').range, from: null, previous: false };
  const call: WatchCall = { kind: 'watch', protocol: 'v1', transport: 'websocket', accepted: null, parameters };
  const open = async (): Promise<Response> => {
    const answer = bench.service.open(call, new Request('http://replica/v1/watch'), keyOf('key-0'));
    bench.run(openProbeMs);
    return answer;
  };
  expect((await open()).status).toBe(429);
  const [first] = sockets;
  if (first !== undefined) bench.service.webSocketClose(first);
  expect(await (await open()).text()).toBe('switched');
});

test('WATCH-ACCESS-2: what may not be read is refused before anything is opened', async () => {
  const bench = new Bench({ failure: { kind: 'forbidden', need: 'read', prefix: null } });
  expect((await bench.lines()).status).toBe(403);
  expect(bench.service.watcherCount).toBe(0);
});

test('WATCH-V3-11: a POST ends when its Grpc-Timeout has passed', async () => {
  const bench = new Bench();
  const call: WatchCall = { kind: 'watch', protocol: 'v3', transport: 'post', accepted: null, timeoutMs: 700 };
  const body = utf8('{"create_request":{"key":"aw=="}}');
  const request = new Request('http://replica/v3/watch', { method: 'POST', body });
  const response = await bench.service.open(call, request, caller);
  bench.run(699);
  expect(bench.service.watcherCount).toBe(1);
  bench.run(1);
  const text = await read(response, 100);
  expect(text.trim().split('\n').at(-1)).toContain('"code":4');
  expect(bench.service.watcherCount).toBe(0);
});

test('WATCH-V3-9: a POST whose later message cannot be read ends with an error, as its last line', async () => {
  const bench = new Bench();
  const call: WatchCall = { kind: 'watch', protocol: 'v3', transport: 'post', accepted: null, timeoutMs: null };
  for (const rest of ['{"create_request":7}', 'nonsense', '{"x":']) {
    const body = utf8(`{"create_request":{"key":"aw=="}}${rest}`);
    const request = new Request('http://replica/v3/watch', { method: 'POST', body });
    const lines = (await read(await bench.service.open(call, request, caller), 100)).trim().split('\n');
    expect(lines[0], rest).toContain('"created":true');
    expect(lines.at(-1), rest).toContain('"code":3');
    expect(bench.service.watcherCount, rest).toBe(0);
  }
});

test('WATCH-SLEEP-7: a stream that has ended does not come back where its client never answered the close', async () => {
  const bench = new Bench();
  const call: WatchCall = { kind: 'watch', protocol: 'v3', transport: 'websocket', accepted: null, timeoutMs: null };
  await bench.service.open(call, new Request('http://replica/v3/watch'), caller);
  const [socket] = bench.sockets;
  bench.keys.revoke('key-1');
  expect([socket?.closed, socket?.saved]).toEqual([4401, 'stale']);
  const woken = new Bench({ sockets: bench.sockets, history: bench.history });
  if (socket !== undefined) woken.service.webSocketMessage(socket, '{"create_request":{"key":"aw=="}}');
  expect(woken.service.watcherCount).toBe(0);
});
