import { expect, test } from 'vitest';
import type { WatchParameters } from '../../../src/api/contract.ts';
import type { Failure } from '../../../src/api/errors/errors.ts';
import { watchEventsBytesMax, watchQuietMs } from '../../../src/limits.ts';
import type { StoreEvent } from '../../../src/model/store.ts';
import { WatchHub } from '../../../src/mvcc/watch/watch-hub.ts';
import type { V1Transport } from '../../../src/api/v1/watch.ts';
import { V1WatchStream } from '../../../src/replica/watch/watch-v1-stream.ts';
import { header, MemoryChannel } from './memory-channel.ts';
import { PlainHistory, put, removal, shape } from '../../mvcc/watch/plain-history.ts';

class Bench {
  readonly history = new PlainHistory();
  readonly hub: WatchHub;
  readonly channel = new MemoryChannel();
  stream: V1WatchStream;
  failure: Failure | null = null;

  constructor(revisions = 0, transport: V1Transport = 'websocket') {
    for (let at = 2; at < 2 + revisions; at++) this.history.commit([put('k', at)]);
    this.hub = new WatchHub(this.history);
    this.stream = this.make(transport);
  }

  make(transport: V1Transport = 'websocket'): V1WatchStream {
    const authorize = (): Failure | null => this.failure;
    const caller = { kind: 'service' } as const;
    const context = { hub: this.hub, caller, authorize, mayGoOn: authorize, header };
    return new V1WatchStream(context, this.channel, transport);
  }

  open(options: Partial<WatchParameters> = {}): void {
    this.stream.open({ range: shape('k').range, from: null, previous: false, ...options });
  }

  commit(...events: readonly StoreEvent[]): void {
    this.hub.publish([this.history.commit(events)], this.history.revision);
  }

  catchUp(): void {
    while (this.hub.catchUp());
  }

  heard(): unknown[] {
    return this.channel.taken().map((text): unknown => JSON.parse(text));
  }
}

test('WATCH-V1-1: created says from where, events carry the revision to go on after', () => {
  const bench = new Bench(2);
  bench.open({ from: 3, previous: true });
  bench.catchUp();
  bench.commit(removal('k', 4));
  expect(bench.heard()).toMatchObject([
    { type: 'created', revision: 3, from: 3 },
    { type: 'events', revision: 3, events: [{ type: 'put', kv: { key: 'k', value: 'v', mod_revision: 3 } }] },
    {
      type: 'events',
      revision: 4,
      events: [{ type: 'delete', kv: { key: 'k', mod_revision: 4 }, prev: { key: 'k' } }],
    },
  ]);
});

test('WATCH-V1-1: a watch from now on begins after the current revision', () => {
  const bench = new Bench(2);
  bench.open();
  bench.commit(put('other', 4));
  bench.commit(put('k', 5));
  expect(bench.heard()).toMatchObject([
    { type: 'created', revision: 3, from: 4 },
    { type: 'events', revision: 5, events: [{}] },
  ]);
});

test('WATCH-V1-1: SSE has the revision as its id, and lines end with a line break', () => {
  const sse = new Bench(0, 'sse');
  sse.open();
  sse.commit(put('k', 2));
  const [, event] = sse.channel.taken();
  expect(event).toMatch(/^id: 2\nevent: events\ndata: \{"type":"events","revision":2,.*\}\n\n$/);
  const lines = new Bench(0, 'ndjson');
  lines.open();
  expect(lines.channel.taken()).toEqual(['{"type":"created","revision":1,"from":2}\n']);
});

test('WATCH-V1-2: a compacted start is created, then canceled as its last frame', () => {
  const bench = new Bench(4);
  bench.history.compactedRevision = 4;
  bench.open({ from: 3 });
  bench.catchUp();
  bench.commit(put('k', 6));
  expect(bench.heard()).toMatchObject([
    { type: 'created' },
    { type: 'canceled', reason: 'failed', problem: { status: 410, compacted_revision: 4 } },
  ]);
  expect(bench.channel.closed).toBe('compacted');
});

test('WATCH-V1-1: a client that does not keep up is canceled with the revision to resume from', () => {
  const bench = new Bench();
  bench.open();
  bench.commit(put('k', 2));
  bench.channel.has = 'over';
  bench.commit(put('k', 3));
  expect(bench.heard().at(-1)).toMatchObject({ type: 'canceled', reason: 'slow', resume_from: 3 });
  expect(bench.channel.closed).toBe('slow');
  expect(bench.hub.watcherCount).toBe(0);
});

test('WATCH-V1-3: progress is told when asked for and up to date; any other frame is refused', () => {
  const bench = new Bench(1);
  bench.open({ from: 1 });
  bench.heard();
  expect(bench.stream.message('{"type":"progress"}')).toBeNull();
  expect(bench.heard()).toEqual([]);
  bench.catchUp();
  bench.heard();
  bench.stream.message('{"type":"progress"}');
  expect(bench.heard()).toEqual([{ type: 'progress', revision: 2 }]);
  expect(bench.stream.message('hello')).toMatchObject({ kind: 'badRequest' });
});

test('WATCH-V1-4: a quiet socket is told only what is new, a quiet body always', () => {
  const bench = new Bench(1);
  bench.open();
  bench.heard();
  bench.stream.tick(0);
  bench.commit(put('other', 3));
  bench.stream.tick(watchQuietMs - 1);
  expect(bench.heard()).toEqual([]);
  bench.stream.tick(watchQuietMs);
  expect(bench.heard()).toEqual([{ type: 'progress', revision: 3 }]);
  bench.stream.tick(watchQuietMs * 2);
  expect(bench.heard()).toEqual([]);
  bench.channel.needsSigns = true;
  bench.stream.tick(watchQuietMs * 3);
  expect(bench.heard()).toEqual([{ type: 'progress', revision: 3 }]);
});

test('WATCH-V1-4: events put the sign of life off', () => {
  const bench = new Bench();
  bench.channel.needsSigns = true;
  bench.open();
  bench.stream.tick(0);
  bench.commit(put('k', 2));
  bench.stream.tick(watchQuietMs);
  bench.heard();
  bench.stream.tick(watchQuietMs * 2 - 1);
  expect(bench.heard()).toEqual([]);
  bench.stream.tick(watchQuietMs * 2);
  expect(bench.heard()).toEqual([{ type: 'progress', revision: 2 }]);
});

test('WATCH-SLEEP-3: a restored v1 watch goes on where it was', () => {
  const bench = new Bench(1);
  bench.open();
  bench.commit(put('k', 3));
  const saved = bench.stream.save();
  bench.stream.dispose();
  bench.heard();
  bench.commit(put('k', 4));
  bench.stream = bench.make();
  bench.stream.restore(saved);
  bench.catchUp();
  bench.commit(put('k', 5));
  expect(bench.heard()).toMatchObject([{ revision: 4 }, { revision: 5 }]);
});

test('WATCH-LIMIT-6: events up to watchEventsBytesMax are told in one frame; with more the watch ends and says why', () => {
  const bench = new Bench();
  bench.open();
  bench.commit(put('k', 2, ''));
  const [, small] = bench.channel.taken();
  const frame = '{"type":"events","revision":2,"events":[]}'.length;
  const room = watchEventsBytesMax - ((small ?? '').length - frame);
  bench.commit(put('k', 3, 'x'.repeat(room)));
  const [full] = bench.channel.taken();
  expect((full ?? '').length - frame).toBe(watchEventsBytesMax);
  bench.commit(put('k', 4, 'x'.repeat(room + 1)));
  expect(bench.heard()).toMatchObject([{ type: 'canceled', reason: 'failed' }]);
  expect(bench.channel.closed).toBe('eventsTooLarge');
});
