// Streams that watch more than the attachments of their sockets hold, on real SQL. They sleep all the same.

import { expect, test } from 'vitest';
import type { WatchCall } from '../../../src/api/contract.ts';
import { base64, utf8 } from '../../../src/base/bytes.ts';
import { watchAttachmentBytesMax, watchesPerStreamMax, watchRowsBytesMax } from '../../../src/limits.ts';
import type { Caller, StoreEvent } from '../../../src/model/store.ts';
import { MemoryBudget } from '../../../src/base/memory-budget.ts';
import { streamBytes, watchBytes } from '../../../src/replica/watch/watch-attachment.ts';
import { WatchRows } from '../../../src/replica/watch/watch-rows.ts';
import { WatchService } from '../../../src/replica/watch/watch-service.ts';
import { PlainKeys } from '../plain-keys.ts';
import { NodeSql } from '../../support/node-sql.ts';
import { header } from './memory-channel.ts';
import { PlainHistory, put, shape } from '../../mvcc/watch/plain-history.ts';

const caller: Caller = { kind: 'accessKey', id: 'key-1' };

class FakeSocket {
  attachment: unknown = null;
  sent: string[] = [];
  closed: number | null = null;

  send(message: string): void {
    this.sent.push(message);
  }
  close(code: number): void {
    this.closed = code;
  }
  serializeAttachment(attachment: Uint8Array): void {
    expect(attachment.byteLength).toBeLessThanOrEqual(watchAttachmentBytesMax);
    this.attachment = attachment.slice();
  }
  deserializeAttachment(): unknown {
    return this.attachment;
  }
  heard(): string[] {
    return this.sent.splice(0);
  }
}

/** One object: its storage stays, and its instances come and go. */
class Object1 {
  readonly history = new PlainHistory();
  readonly sql = new NodeSql();
  readonly memory = new MemoryBudget({ bytesMax: 1e9, tenantBytesMax: 1e9, keyBytesMax: 1e9 });
  sockets: FakeSocket[] = [];
  service: WatchService;
  tasks: (() => void)[] = [];

  constructor() {
    this.service = this.#start();
  }

  #start(): WatchService {
    this.tasks = [];
    const later = (task: () => void, delayMs: number): (() => void) => {
      if (delayMs === 0) this.tasks.push(task);
      return () => undefined;
    };
    return new WatchService({
      durable: null,
      limits: { watchesMax: () => null, moved: () => undefined },
      sockets: { accept: () => this.#accept(), open: () => this.sockets, heardMs: () => null },
      history: this.history,
      sql: this.sql,
      memory: () => this.memory.reserve({ tenant: 't', key: 'k' }),
      open: new PlainKeys(() => 0, later).open,
      header,
      authorize: () => null,
      mayGoOn: () => null,
      nowMs: () => 0,
      later,
    });
  }

  #accept(): { socket: FakeSocket; answer: Response } {
    const socket = new FakeSocket();
    this.sockets.push(socket);
    return { socket, answer: new Response('switched') };
  }

  open(): FakeSocket {
    const call: WatchCall = { kind: 'watch', protocol: 'v3', transport: 'websocket', accepted: null, timeoutMs: null };
    void this.service.open(call, new Request('http://replica/v3/watch'), caller);
    const socket = this.sockets.at(-1);
    if (socket === undefined) throw new Error('no socket');
    return socket;
  }

  say(socket: FakeSocket, message: object): void {
    this.service.webSocketMessage(socket, JSON.stringify(message));
  }

  create(socket: FakeSocket, name: string, options: object = {}): void {
    this.say(socket, { create_request: { key: base64(utf8(name)), ...options } });
  }

  run(): void {
    for (let task = this.tasks.shift(); task !== undefined; task = this.tasks.shift()) task();
  }

  commit(...events: readonly StoreEvent[]): void {
    this.service.published([this.history.commit(events)], this.history.revision);
  }

  /** Puts the object to sleep and wakes it. */
  sleep(): void {
    this.service.flush();
    this.service = this.#start();
  }

  /** The instance crashes, and all sockets end with it. */
  crash(): void {
    this.sockets = [];
    this.service = this.#start();
  }

  /** How many rows are kept, and how many were written since the last call of this. */
  rows(): { readonly kept: number; readonly written: number } {
    const hasTable = this.sql.all("SELECT 1 FROM sqlite_master WHERE name = 'watches_of_streams'").length > 0;
    const kept = hasTable ? Number(this.sql.all('SELECT COUNT(*) FROM watches_of_streams')[0]?.[0]) : 0;
    const changes = Number(this.sql.all('SELECT total_changes()')[0]?.[0]);
    const written = changes - this.#changes;
    this.#changes = changes;
    return { kept, written };
  }
  #changes = 0;
}

const nameOf = (place: number): string => `${String(place).padStart(4, '0')}${'k'.repeat(56)}`;

function idsIn(messages: readonly string[]): string[] {
  return messages.map((text) => /"watch_id":"(\d+)"/.exec(text)?.[1] ?? '0');
}

test('WATCH-ROWS-1: a stream of watchesPerStreamMax watches sleeps, and wakes without a gap or a repetition', () => {
  const object = new Object1();
  const socket = object.open();
  for (let place = 0; place < watchesPerStreamMax; place++) object.create(socket, nameOf(place));
  expect(socket.heard().filter((text) => text.includes('"created":true') && !text.includes('canceled'))).toHaveLength(
    watchesPerStreamMax,
  );
  expect(object.rows().kept).toBe(watchesPerStreamMax);
  for (let round = 0; round < 3; round++) {
    const next = object.history.next;
    object.commit(put(nameOf(7), next), put(nameOf(999), next));
    object.commit(put('other', next + 1));
    object.sleep();
    object.run();
    expect(idsIn(socket.heard())).toEqual(['7', '999']);
  }
  object.say(socket, { cancel_request: { watch_id: '7' } });
  object.sleep();
  object.create(socket, 'new');
  expect(idsIn(socket.heard())).toEqual(['7', '1000']);
  object.commit(put(nameOf(7), 8), put('new', 8));
  expect(idsIn(socket.heard())).toEqual(['1000']);
  expect(socket.closed).toBeNull();
});

test('WATCH-ROWS-1: those that are behind, or whose start is ahead, come back where they were', () => {
  const object = new Object1();
  const socket = object.open();
  for (let place = 0; place < 300; place++) object.create(socket, nameOf(place));
  for (let at = 2; at < 6; at++) object.commit(put('past', at));
  object.create(socket, 'past', { start_revision: '3' });
  object.create(socket, 'past', { start_revision: '9' });
  object.create(socket, nameOf(5), { progress_notify: true, filters: ['NODELETE'], prev_kv: true });
  socket.heard();
  // Nothing was caught up before the sleep.
  object.sleep();
  object.run();
  const caughtUp = socket.heard().join('\n');
  expect(caughtUp).not.toContain('"mod_revision":"2"');
  for (const revision of ['3', '4', '5']) expect(caughtUp).toContain(`"mod_revision":"${revision}"`);
  for (let at = 6; at < 10; at++) object.commit(put('past', at), put(nameOf(5), at));
  const live = socket.heard();
  expect(idsIn(live).filter((id) => id === '301')).toHaveLength(1);
  expect(idsIn(live).filter((id) => id === '5')).toHaveLength(4);
  expect(idsIn(live).filter((id) => id === '302')).toHaveLength(4);
  object.sleep();
  object.run();
  expect(socket.heard()).toEqual([]);
});

test('WATCH-ROWS-2: a watch that comes or goes is one row, and rest writes none where all are up to date', () => {
  const object = new Object1();
  const socket = object.open();
  for (let place = 0; place < 400; place++) object.create(socket, nameOf(place));
  object.rows();
  object.create(socket, 'one more');
  expect(object.rows().written).toBe(1);
  object.say(socket, { cancel_request: { watch_id: '3' } });
  expect(object.rows().written).toBe(1);
  for (let at = 2; at < 10; at++) {
    object.commit(put(nameOf(at), at));
    object.sleep();
  }
  expect(object.rows()).toEqual({ kept: 400, written: 0 });
});

test('WATCH-ROWS-2: a stream that fits its attachment has no rows', () => {
  const object = new Object1();
  const socket = object.open();
  for (let place = 0; place < 180; place++) object.create(socket, nameOf(place));
  object.sleep();
  expect(object.rows()).toEqual({ kept: 0, written: 0 });
});

test('WATCH-ROWS-3: rows go when their socket closes, when their stream ends, and those of a crash at the next start', () => {
  const object = new Object1();
  const [left, ended, kept] = [object.open(), object.open(), object.open()];
  for (const socket of [left, ended, kept]) {
    for (let place = 0; place < 250; place++) object.create(socket, nameOf(place));
  }
  expect(object.rows().kept).toBe(750);
  object.sockets = [ended, kept];
  object.service.webSocketClose(left);
  expect(object.rows().kept).toBe(500);
  object.service.webSocketMessage(ended, 'nonsense');
  expect([ended.closed, object.rows().kept]).toEqual([4400, 250]);
  object.sockets = [kept];
  object.sleep();
  expect(object.rows().kept).toBe(250);
  object.crash();
  expect(object.rows().kept).toBe(0);
});

test('WATCH-ROWS-3: a stream of which a row is missing ends, and the others go on', () => {
  const object = new Object1();
  const [broken, whole] = [object.open(), object.open()];
  for (const socket of [broken, whole]) for (let place = 0; place < 250; place++) object.create(socket, nameOf(place));
  object.sql.run('DELETE FROM watches_of_streams WHERE stream = 1 AND place = 9');
  object.sleep();
  expect([broken.closed, whole.closed]).toEqual([1012, null]);
  expect(object.rows().kept).toBe(250);
});

test('WATCH-LIMIT-5: what does not fit the attachment goes to rows, to the byte', () => {
  const object = new Object1();
  const socket = object.open();
  const long = { shape: shape('x'.repeat(2_000)) };
  const full = Array.from({ length: 7 }, () => long);
  for (const [place] of full.entries()) object.create(socket, 'x'.repeat(2_000), { watch_id: String(place + 100) });
  const room = watchAttachmentBytesMax - streamBytes(caller, [...full, { shape: shape('') }]);
  object.create(socket, 'x'.repeat(room), { watch_id: '1' });
  expect(object.rows().kept).toBe(0);
  object.say(socket, { cancel_request: { watch_id: '1' } });
  object.create(socket, 'x'.repeat(room + 1), { watch_id: '1' });
  expect(object.rows().kept).toBe(8);
});

test('WATCH-LIMIT-11: a replica keeps watchRowsBytesMax of watches in rows; one more is refused by a reason', () => {
  const object = new Object1();
  const bytes = watchBytes({ shape: shape('x'.repeat(2_000)) });
  const fitting = Math.floor(watchRowsBytesMax / bytes);
  let taken = 0;
  for (let socket = object.open(); taken < fitting; socket = object.open()) {
    for (let place = 0; place < 900 && taken < fitting; place++, taken++) object.create(socket, 'x'.repeat(2_000));
    expect(socket.heard().join('')).not.toContain('canceled');
    if (taken === fitting) {
      object.create(socket, 'x'.repeat(2_000));
      expect(socket.heard()[0]).toContain('this stream holds as many watches as it can');
    }
  }
  expect(new WatchRows(object.sql).hasRoom(bytes)).toBe(false);
  expect(new WatchRows(object.sql).hasRoom(watchRowsBytesMax - fitting * bytes)).toBe(true);
  expect(new WatchRows(object.sql).hasRoom(watchRowsBytesMax - fitting * bytes + 1)).toBe(false);
});
