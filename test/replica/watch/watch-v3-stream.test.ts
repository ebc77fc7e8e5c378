import { expect, test } from 'vitest';
import type { Failure } from '../../../src/api/errors/errors.ts';
import { base64, utf8 } from '../../../src/base/bytes.ts';
import {
  keyBytesMax,
  rangeBoundBytesMax,
  watchesPerStreamMax,
  watchFragmentBytesMax,
  watchProgressNotifyMs,
} from '../../../src/limits.ts';
import type { Caller, KeyRange, StoreEvent } from '../../../src/model/store.ts';
import { WatchHub } from '../../../src/mvcc/watch/watch-hub.ts';
import type { WatchChannel } from '../../../src/replica/watch/watch-channel.ts';
import { V3WatchStream } from '../../../src/replica/watch/watch-v3-stream.ts';
import { header, MemoryChannel } from './memory-channel.ts';
import { PlainHistory, put, removal } from '../../mvcc/watch/plain-history.ts';

const caller: Caller = { kind: 'accessKey', id: 'key-1' };

class Bench {
  readonly history = new PlainHistory();
  readonly hub: WatchHub;
  readonly channel = new MemoryChannel();
  readonly stream: V3WatchStream;
  failure: ((range: KeyRange) => Failure | null) | null = null;

  constructor(revisions = 0) {
    for (let at = 2; at < 2 + revisions; at++) this.history.commit([put('k', at)]);
    this.hub = new WatchHub(this.history);
    this.stream = this.make(this.channel);
  }

  make(channel: WatchChannel): V3WatchStream {
    const authorize = (range: KeyRange): Failure | null => this.failure?.(range) ?? null;
    return new V3WatchStream({ hub: this.hub, caller, authorize, mayGoOn: authorize, header }, channel);
  }

  say(request: object): string | null {
    return this.stream.message(JSON.stringify(request));
  }

  create(request: object): void {
    this.say({ create_request: request });
  }

  commit(...events: readonly StoreEvent[]): void {
    this.hub.publish([this.history.commit(events)], this.history.revision);
  }

  catchUp(): void {
    while (this.hub.catchUp());
  }

  /** The messages since the last call, without the members that every header has. */
  heard(): unknown[] {
    const { messages } = this.channel;
    this.channel.messages = [];
    return messages.map((text) => {
      const message: unknown = JSON.parse(text);
      return JSON.parse(JSON.stringify(message).replace(/"cluster_id":"1","member_id":"2",|,?"raft_term":"3"/g, ''));
    });
  }
}

const key = (text: string): string => base64(utf8(text));
const created = (revision: number, id: string | null = null): object => ({
  result: { header: { revision: String(revision) }, ...(id === null ? {} : { watch_id: id }), created: true },
});
const refused = (revision: number, reason: string): object => ({
  result: {
    header: { revision: String(revision) },
    watch_id: '-1',
    created: true,
    canceled: true,
    cancel_reason: reason,
  },
});

test('WATCH-V3-1: created comes first, then events with their own revision in the header', () => {
  const bench = new Bench(1);
  bench.create({ key: key('k') });
  bench.commit(put('k', 3));
  expect(bench.heard()).toMatchObject([
    created(2),
    { result: { header: { revision: '3' }, events: [{ kv: { key: key('k'), mod_revision: '3' } }] } },
  ]);
});

test('WATCH-V3-2: caught up, the header has the current revision, and one message may hold many revisions', () => {
  const bench = new Bench(3);
  bench.create({ key: key('k'), start_revision: '2' });
  expect(bench.heard()).toEqual([created(4)]);
  bench.catchUp();
  const [message] = bench.heard();
  expect(message).toMatchObject({ result: { header: { revision: '4' }, events: [{}, {}, {}] } });
});

test('WATCH-V3-3: ids are counted, may be chosen, and may be used again after a cancel', () => {
  const bench = new Bench();
  bench.create({ key: key('a') });
  bench.create({ key: key('a'), watch_id: '2' });
  bench.create({ key: key('a') });
  bench.create({ key: key('a') });
  bench.create({ key: key('a'), watch_id: '2' });
  bench.create({ key: key('a'), watch_id: '9223372036854775807' });
  bench.say({ cancel_request: { watch_id: '2' } });
  bench.say({ cancel_request: { watch_id: '2' } });
  bench.create({ key: key('a'), watch_id: '2' });
  expect(bench.heard()).toEqual([
    created(1),
    created(1, '2'),
    created(1, '1'),
    created(1, '3'),
    refused(1, 'mvcc: duplicate watch ID provided on the WatchStream'),
    created(1, '9223372036854775807'),
    { result: { header: { revision: '1' }, watch_id: '2', canceled: true } },
    created(1, '2'),
  ]);
});

test('WATCH-V3-4: refusals have id -1 and the first reason in the order start, permission, range, id', () => {
  const bench = new Bench();
  bench.failure = ({ key: asked }) => (asked[0] === 0x7a ? { kind: 'forbidden', need: 'read', prefix: null } : null);
  bench.create({ key: key('a'), watch_id: '5' });
  bench.create({ key: key('z'), range_end: key('b'), start_revision: '-1', watch_id: '5' });
  bench.create({ key: key('z'), range_end: key('b'), watch_id: '5' });
  bench.create({ key: key('c'), range_end: key('b'), watch_id: '5' });
  bench.create({ key: key('a'), watch_id: '5' });
  expect(bench.heard()).toEqual([
    created(1, '5'),
    refused(1, 'etcdserver: mvcc: required revision has been compacted'),
    refused(1, 'rpc error: code = PermissionDenied desc = etcdserver: permission denied'),
    refused(1, 'mvcc: watcher range is empty'),
    refused(1, 'mvcc: duplicate watch ID provided on the WatchStream'),
  ]);
});

test('WATCH-V3-5: progress is answered once all watches are live and past their start, and never without a watch', () => {
  const bench = new Bench(1);
  bench.say({ progress_request: {} });
  expect(bench.heard()).toEqual([]);
  bench.create({ key: key('k'), start_revision: '3' });
  bench.create({ key: key('k'), start_revision: '1' });
  bench.heard();
  bench.say({ progress_request: {} });
  bench.catchUp();
  bench.heard();
  bench.say({ progress_request: {} });
  expect(bench.heard()).toEqual([]);
  bench.commit(put('other', 3));
  bench.say({ progress_request: {} });
  expect(bench.heard()).toEqual([{ result: { header: { revision: '3' }, watch_id: '-1' } }]);
});

test('WATCH-V3-6: a compacted start is created, then canceled without revision or reason', () => {
  const bench = new Bench(4);
  bench.history.compactedRevision = 4;
  bench.create({ key: key('k'), start_revision: '3' });
  bench.catchUp();
  expect(bench.heard()).toEqual([created(5), { result: { header: {}, canceled: true, compact_revision: '4' } }]);
});

test('WATCH-V3-7: only with fragment is a large revision cut, and all parts but the last say so', () => {
  const bench = new Bench();
  bench.create({ key: key('k'), range_end: key('l'), fragment: true });
  bench.create({ key: key('k'), range_end: key('l') });
  bench.heard();
  const value = 'x'.repeat(watchFragmentBytesMax / 2);
  bench.commit(put('k1', 2, value), put('k2', 2, value), put('k3', 2, 'small'));
  const messages = bench.channel.messages.map((text) => {
    const fragment = text.includes('"fragment":true');
    return { id: text.includes('"watch_id":"1"') ? 1 : 0, events: text.split('"kv"').length - 1, fragment };
  });
  expect(messages).toEqual([
    { id: 0, events: 1, fragment: true },
    { id: 0, events: 2, fragment: false },
    { id: 1, events: 3, fragment: false },
  ]);
});

test('WATCH-V3-8: a slow client is canceled with the revision to resume from', () => {
  const bench = new Bench();
  bench.create({ key: key('k') });
  bench.commit(put('k', 2));
  bench.channel.has = 'over';
  bench.commit(put('k', 3));
  expect(bench.heard().at(-1)).toEqual({
    result: {
      header: { revision: '2' },
      canceled: true,
      cancel_reason: 'quorate: the client does not keep up, watch again from revision 3',
    },
  });
});

test('WATCH-V3-9: a message that cannot be read ends the stream: each watch says why, and an error is the last message', () => {
  const bench = new Bench();
  bench.create({ key: key('k') });
  bench.heard();
  const detail = bench.stream.message('{"create_request":');
  expect(detail).not.toBeNull();
  bench.stream.end({ reason: 'badMessage', failure: { kind: 'badRequest', detail: detail ?? '' } });
  expect(bench.heard()).toMatchObject([
    { result: { canceled: true, cancel_reason: detail } },
    { error: { code: 3, message: detail } },
  ]);
  expect(bench.channel.closed).toBe('badRequest');
});

test('WATCH-V3-12: a key or an end that is longer than any key is watched, and costs no more than the longest', () => {
  const bench = new Bench();
  bench.create({ key: key('x'.repeat(60_000)) });
  bench.create({ key: key(`${'x'.repeat(3_000)}a`), range_end: key(`${'x'.repeat(3_000)}b`) });
  bench.create({ key: key('x'.repeat(keyBytesMax)), range_end: key(`y${'z'.repeat(60_000)}`) });
  bench.create({ key: key(`${'x'.repeat(3_000)}b`), range_end: key(`${'x'.repeat(3_000)}a`) });
  expect(bench.heard()).toMatchObject([
    created(1),
    created(1, '1'),
    created(1, '2'),
    refused(1, 'mvcc: watcher range is empty'),
  ]);
  bench.commit(put('x'.repeat(keyBytesMax), 2), put(`y${'z'.repeat(keyBytesMax - 1)}`, 2), put('z', 2));
  expect(bench.heard()).toMatchObject([{ result: { watch_id: '2', events: [{}, {}] } }]);
  for (const { shape: watched } of bench.stream.save().watches) {
    expect(watched.range.key.byteLength).toBeLessThanOrEqual(rangeBoundBytesMax);
    expect(watched.range.rangeEnd.byteLength).toBeLessThanOrEqual(rangeBoundBytesMax);
  }
});

test('WATCH-V3-10: progress_notify answers after ten quiet minutes, and not after an event', () => {
  const bench = new Bench(1);
  bench.create({ key: key('k'), progress_notify: true });
  bench.create({ key: key('k') });
  bench.stream.tick(0);
  bench.heard();
  bench.commit(put('k', 3));
  bench.heard();
  bench.stream.tick(watchProgressNotifyMs);
  bench.stream.tick(watchProgressNotifyMs * 2 - 1);
  expect(bench.heard()).toEqual([]);
  bench.stream.tick(watchProgressNotifyMs * 2);
  expect(bench.heard()).toEqual([{ result: { header: { revision: '3' } } }]);
});

test('WATCH-SLEEP-3: a restored stream goes on without a gap, and the client is told nothing of it', () => {
  const bench = new Bench(2);
  bench.create({ key: key('k'), prev_kv: true });
  bench.create({ key: key('k'), start_revision: '6', watch_id: '7' });
  bench.create({ key: key('k'), start_revision: '2', filters: ['NOPUT'] });
  bench.commit(put('k', 4));
  const saved = bench.stream.save();
  bench.stream.dispose();
  expect(bench.hub.watcherCount).toBe(0);
  bench.heard();
  bench.commit(removal('k', 5));
  const restored = bench.make(bench.channel);
  restored.restore(saved);
  bench.catchUp();
  const ids = bench.heard().map((message) => JSON.stringify(message).match(/"watch_id":"(\d+)"/)?.[1] ?? '0');
  expect(ids.sort()).toEqual(['0', '1']);
  restored.message('{"progress_request":{}}');
  expect(bench.heard()).toEqual([]);
  bench.commit(put('k', 6));
  restored.message('{"progress_request":{}}');
  expect(bench.heard()).toMatchObject([
    { result: { events: [{ kv: { mod_revision: '6' } }] } },
    { result: { watch_id: '7', events: [{ kv: { mod_revision: '6' } }] } },
    { result: { header: { revision: '6' }, watch_id: '-1' } },
  ]);
  restored.message(JSON.stringify({ create_request: { key: key('k') } }));
  expect(bench.heard()).toEqual([created(6, '2')]);
});

test('WATCH-SLEEP-4: every create, cancel and end is written down at once', () => {
  const bench = new Bench(1);
  bench.create({ key: key('k') });
  expect(bench.channel.changes).toBe(1);
  bench.say({ cancel_request: {} });
  expect(bench.channel.changes).toBe(2);
  bench.history.compactedRevision = 2;
  bench.create({ key: key('k'), start_revision: '1' });
  bench.catchUp();
  expect(bench.channel.changes).toBe(4);
});

test('WATCH-ACCESS-1: when access ends, every watch is canceled with the reason, and the connection closed', () => {
  const bench = new Bench();
  bench.create({ key: key('k') });
  bench.create({ key: key('l') });
  bench.heard();
  expect(bench.stream.lost()).toBeNull();
  bench.failure = () => ({ kind: 'unauthenticated', reason: 'revoked' });
  const failure = bench.stream.lost();
  expect(failure).not.toBeNull();
  if (failure !== null) bench.stream.end({ reason: 'accessEnded', failure });
  expect(bench.heard()).toMatchObject([
    {
      result: {
        canceled: true,
        cancel_reason: 'rpc error: code = Unauthenticated desc = quorate: The access key is revoked.',
      },
    },
    { result: { watch_id: '1', canceled: true } },
  ]);
  expect(bench.channel.closed).toBe('unauthenticated');
  expect(bench.hub.watcherCount).toBe(0);
});

test('WATCH-LIMIT-4: a stream takes watchesPerStreamMax watches, one more is refused by a reason', () => {
  const bench = new Bench();
  for (let count = 0; count < watchesPerStreamMax; count++) bench.create({ key: key('k') });
  bench.heard();
  bench.create({ key: key('k') });
  expect(bench.heard()).toEqual([
    refused(1, 'quorate: this stream holds as many watches as it can, open another stream'),
  ]);
});
