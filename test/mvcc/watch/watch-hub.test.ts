import { describe, expect, it, test } from 'vitest';
import { revision } from '../../../src/model/brands.ts';
import { compareBytes, emptyBytes, utf8 } from '../../../src/base/bytes.ts';
import {
  watchBatchBytesMax,
  watchCatchUpWatchersMax,
  watchersMax,
  watchHistoryRangesMax,
  watchHistorySliceBytesMax,
} from '../../../src/limits.ts';
import type { KeyRange } from '../../../src/model/store.ts';
import { EncodedOnce } from '../../../src/base/encoded-once.ts';
import type { WatchBatch } from '../../../src/mvcc/watch/watch-batch.ts';
import {
  Watcher,
  type WatchHistoryPiece,
  type WatchHistoryQuery,
  WatchHub,
  type WatchRequest,
} from '../../../src/mvcc/watch/watch-hub.ts';
import { PlainHistory, put, RecordingSink, removal, shape } from './plain-history.ts';

function open(
  hub: WatchHub,
  request: WatchRequest,
  sink = new RecordingSink(),
): { watcher: Watcher; sink: RecordingSink } {
  const watcher = hub.create(request, sink);
  if (!(watcher instanceof Watcher)) throw new Error(`refused: ${watcher}`);
  return { watcher, sink };
}

function commit(hub: WatchHub, history: PlainHistory, ...events: Parameters<PlainHistory['commit']>[0]): void {
  hub.publish([history.commit(events)], history.revision);
}

function catchUp(hub: WatchHub): number {
  let slices = 0;
  while (hub.catchUp()) slices++;
  return slices;
}

test('WATCH-HUB-1: start 0 receives what comes after the current revision, and nothing before', () => {
  const history = new PlainHistory();
  history.commit([put('k', 2)]);
  const hub = new WatchHub(history);
  const { sink } = open(hub, { ...shape('k'), start: 0 });
  expect(catchUp(hub)).toBe(0);
  commit(hub, history, put('k', 3));
  commit(hub, history, put('other', 4));
  expect(sink.revisions).toEqual([3]);
});

test('WATCH-HUB-2: a start in the past is caught up from history, then live, each event once', () => {
  const history = new PlainHistory();
  for (let at = 2; at < 6; at++) history.commit([put('k', at)]);
  const hub = new WatchHub(history);
  const { sink, watcher } = open(hub, { ...shape('k'), start: 3 });
  // The events were published before the watcher had its turn, so they come from history, and only once.
  commit(hub, history, put('k', 6));
  expect(sink.revisions).toEqual([]);
  catchUp(hub);
  commit(hub, history, put('k', 7));
  expect(sink.revisions).toEqual([3, 4, 5, 6, 7]);
  expect(hub.nextRevision(watcher)).toBe(8);
});

test('WATCH-HUB-3: a start in the future sees no earlier event and no progress before it', () => {
  const history = new PlainHistory();
  const hub = new WatchHub(history);
  const { sink, watcher } = open(hub, { ...shape('k'), start: 4 });
  expect(hub.progress([watcher])).toBeNull();
  hub.publish([history.commit([put('k', 2)]), history.commit([put('k', 3)])], revision(3));
  expect(sink.revisions).toEqual([]);
  expect(hub.progress([watcher])).toBeNull();
  hub.publish([history.commit([put('k', 4)]), history.commit([put('k', 5)])], revision(5));
  expect(sink.revisions).toEqual([4, 5]);
  expect(hub.progress([watcher])).toBe(5);
});

test('WATCH-HUB-3: a batch that reaches over the start is cut there', () => {
  const history = new PlainHistory();
  const hub = new WatchHub(history);
  const { sink } = open(hub, { ...shape('k'), start: 3 });
  hub.publish([history.commit([put('k', 2)]), history.commit([put('k', 3)])], revision(3));
  expect(sink.revisions).toEqual([3]);
});

test('WATCH-HUB-4: a compacted start, and a compaction that overtakes, end a watcher with the compacted revision', () => {
  const history = new PlainHistory();
  for (let at = 2; at < 8; at++) history.commit([put('k', at)]);
  history.compactedRevision = 5;
  const hub = new WatchHub(history);
  const below = open(hub, { ...shape('k'), start: 4 });
  const exactly = open(hub, { ...shape('k'), start: 5 });
  const parked = open(hub, { ...shape('k'), start: 6 });
  parked.sink.has = 'full';
  catchUp(hub);
  expect(below.sink.end).toEqual({ kind: 'compacted', compactedRevision: 5 });
  expect(exactly.sink.revisions).toEqual([5, 6, 7]);
  hub.compacted(6);
  expect(parked.sink.end).toBeNull();
  history.compactedRevision = 7;
  hub.compacted(7);
  expect(parked.sink.end).toEqual({ kind: 'compacted', compactedRevision: 7 });
  expect(exactly.sink.end).toBeNull();
  expect(hub.watcherCount).toBe(1);
});

test('WATCH-HUB-5: filters and previous values are applied per watch', () => {
  const history = new PlainHistory();
  const hub = new WatchHub(history);
  const puts = open(hub, { ...shape('k', '', { noDelete: true }), start: 0 });
  const deletes = open(hub, { ...shape('k', '', { noPut: true, previous: true }), start: 0 });
  const nothing = open(hub, { ...shape('k', '', { noPut: true, noDelete: true }), start: 0 });
  commit(hub, history, put('k', 2));
  commit(hub, history, removal('k', 3));
  expect(puts.sink.revisions).toEqual([2]);
  expect(deletes.sink.revisions).toEqual([3]);
  expect(deletes.sink.batches[0]?.previous).toBe(true);
  expect(nothing.sink.batches).toEqual([]);
  const all = open(hub, { ...shape('k'), start: 0 });
  commit(hub, history, removal('k', 4));
  expect(all.sink.batches[0]?.previous).toBe(false);
});

test('WATCH-HUB-6: the events of a revision stay together and in their order', () => {
  const history = new PlainHistory();
  const hub = new WatchHub(history);
  const { sink } = open(hub, { ...shape('a', 'z'), start: 0 });
  commit(hub, history, put('c', 2), put('zz', 2), put('a', 2), put('b', 2));
  expect(sink.batches.length).toBe(1);
  expect(sink.keys).toEqual(['c', 'a', 'b']);
});

test('WATCH-HUB-7: watches of one shape share one batch, so that it is encoded once', () => {
  const history = new PlainHistory();
  const hub = new WatchHub(history);
  let encodings = 0;
  const format = new EncodedOnce((batch: WatchBatch) => {
    encodings++;
    return batch.revisions.length;
  });
  const sinks = Array.from({ length: 100 }, () => open(hub, { ...shape('k/', 'k0'), start: 0 }).sink);
  const late = [2, 2, 2].map((start) => open(hub, { ...shape('k/', 'k0'), start }).sink);
  commit(hub, history, put('k/1', 2));
  for (const sink of sinks)
    format.of(sink.batches[0] ?? { revisions: [], headerRevision: revision(0), previous: false });
  expect(encodings).toBe(1);
  expect(late[0]?.revisions).toEqual([2]);
});

test('WATCH-HUB-8: a sink that is over its bound is ended with the revision to resume from; others are not', () => {
  const history = new PlainHistory();
  const hub = new WatchHub(history);
  const slow = open(hub, { ...shape('k'), start: 0 });
  const quick = open(hub, { ...shape('k'), start: 0 });
  commit(hub, history, put('k', 2));
  slow.sink.has = 'over';
  commit(hub, history, put('other', 3));
  expect(slow.sink.end).toBeNull();
  commit(hub, history, put('k', 4));
  expect(slow.sink.end).toEqual({ kind: 'slow', resume: 4 });
  expect(quick.sink.revisions).toEqual([2, 4]);
  const again = open(hub, { ...shape('k'), start: 4 });
  catchUp(hub);
  expect([...slow.sink.revisions, ...again.sink.revisions]).toEqual([2, 4]);
});

test('WATCH-HUB-9: catch-up waits for a sink without room, costs no read meanwhile, and goes on where it was', () => {
  const history = new PlainHistory();
  const value = 'x'.repeat(watchHistorySliceBytesMax);
  for (let at = 2; at < 6; at++) history.commit([put('k', at, value)]);
  const hub = new WatchHub(history);
  const { sink, watcher } = open(hub, { ...shape('k'), start: 2 });
  expect(hub.catchUp()).toBe(true);
  sink.has = 'full';
  const { reads } = history;
  expect(hub.catchUp()).toBe(false);
  expect(history.reads).toBe(reads);
  expect(hub.progress([watcher])).toBeNull();
  expect(hub.nextRevision(watcher)).toBe(3);
  sink.has = 'free';
  catchUp(hub);
  expect(sink.revisions).toEqual([2, 3, 4, 5]);
  expect(hub.progress([watcher])).toBe(5);
});

test('WATCH-HUB-10: catch-up is fair, and watchers at the same revisions share one read', () => {
  const history = new PlainHistory();
  const value = 'x'.repeat(watchHistorySliceBytesMax);
  for (let at = 2; at < 22; at++) history.commit([put('k', at, value)]);
  const hub = new WatchHub(history);
  const together = Array.from({ length: 50 }, () => open(hub, { ...shape('k'), start: 2 }).sink);
  const apart = open(hub, { ...shape('k'), start: 20 }).sink;
  hub.catchUp();
  hub.catchUp();
  expect(together.map((sink) => sink.revisions)).toEqual(together.map(() => [2]));
  expect(apart.revisions).toEqual([20]);
  history.reads = 0;
  catchUp(hub);
  expect(together.at(-1)?.revisions.length).toBe(20);
  expect(history.reads).toBeLessThanOrEqual(20);
});

test('WATCH-HUB-11: progress needs every watcher live and past its start, and is never told for none', () => {
  const history = new PlainHistory();
  history.commit([put('k', 2)]);
  const hub = new WatchHub(history);
  const live = open(hub, { ...shape('k'), start: 0 });
  const behind = open(hub, { ...shape('k'), start: 1 });
  expect(hub.progress([])).toBeNull();
  expect(hub.progress([live.watcher])).toBe(2);
  expect(hub.progress([live.watcher, behind.watcher])).toBeNull();
  catchUp(hub);
  expect(hub.progress([live.watcher, behind.watcher])).toBe(2);
});

test('WATCH-HUB-12: a gap in what is published is filled from history', () => {
  const history = new PlainHistory();
  const hub = new WatchHub(history);
  const { sink, watcher } = open(hub, { ...shape('k'), start: 0 });
  const future = open(hub, { ...shape('k'), start: 4 });
  for (let at = 2; at < 6; at++) history.commit([put('k', at)]);
  hub.publish([], history.revision);
  expect(hub.progress([watcher])).toBeNull();
  catchUp(hub);
  expect(sink.revisions).toEqual([2, 3, 4, 5]);
  expect(future.sink.revisions).toEqual([4, 5]);
});

test('WATCH-HUB-13: history that is applied and not yet published is left to its publication', () => {
  const history = new PlainHistory();
  history.commit([put('k', 2)]);
  const hub = new WatchHub(history);
  const { sink } = open(hub, { ...shape('k'), start: 1 });
  const applied = history.commit([put('k', 3)]);
  catchUp(hub);
  expect(sink.revisions).toEqual([2]);
  hub.publish([applied], history.revision);
  expect(sink.revisions).toEqual([2, 3]);
});

test('WATCH-HUB-14: a negative start and a range without keys are refused', () => {
  const hub = new WatchHub(new PlainHistory());
  const sink = new RecordingSink();
  expect(hub.create({ ...shape('k'), start: -1 }, sink)).toBe('negativeStart');
  expect(hub.create({ ...shape('b', 'a'), start: -1 }, sink)).toBe('negativeStart');
  expect(hub.create({ ...shape('b', 'a'), start: 0 }, sink)).toBe('emptyRange');
  expect(hub.create({ ...shape('a', 'a'), start: 0 }, sink)).toBe('emptyRange');
  expect(hub.watcherCount).toBe(0);
});

test('WATCH-HUB-15: history is read for the ranges that wait, and for every key where they are many', () => {
  const history = new PlainHistory();
  history.commit(Array.from({ length: 40 }, (_, at) => put(`k${at}`, 2)));
  const hub = new WatchHub(history);
  const sinks = Array.from(
    { length: watchHistoryRangesMax },
    (_, at) => open(hub, { ...shape(`k${at}`), start: 1 }).sink,
  );
  const parked = open(hub, { ...shape('parked'), start: 1 }).sink;
  parked.has = 'full';
  expect(hub.catchUp()).toBe(true);
  expect(history.lastQuery?.ranges?.length).toBe(watchHistoryRangesMax);
  expect(sinks.map((sink) => sink.keys)).toEqual(sinks.map((_, at) => [`k${at}`]));
  const more = Array.from(
    { length: watchHistoryRangesMax + 1 },
    (_, at) => open(hub, { ...shape(`k${at}`), start: 1 }).sink,
  );
  hub.catchUp();
  expect(history.lastQuery?.ranges).toBeNull();
  expect(more.map((sink) => sink.keys)).toEqual(more.map((_, at) => [`k${at}`]));
});

test('WATCH-LIMIT-8: one read of history serves watchCatchUpWatchersMax watchers, the next ones wait for the next', () => {
  const history = new PlainHistory();
  history.commit([put('k', 2)]);
  const hub = new WatchHub(history);
  const sinks = Array.from({ length: watchCatchUpWatchersMax + 1 }, () => open(hub, { ...shape('k'), start: 1 }).sink);
  hub.catchUp();
  expect(sinks.filter((sink) => sink.batches.length === 1).length).toBe(watchCatchUpWatchersMax);
  hub.catchUp();
  expect(sinks.every((sink) => sink.batches.length === 1)).toBe(true);
});

test('WATCH-LIMIT-9: a slice of history ends once watchHistorySliceBytesMax is reached', () => {
  const overhead = 128 + 1;
  for (const [bytes, revisions] of [
    [watchHistorySliceBytesMax / 2, [2, 3]],
    [watchHistorySliceBytesMax / 2 - 1, [2, 3, 4]],
  ] as const) {
    const history = new PlainHistory();
    for (let at = 2; at < 9; at++) history.commit([put('k', at, 'x'.repeat(bytes - overhead))]);
    const hub = new WatchHub(history);
    const { sink } = open(hub, { ...shape('k'), start: 1 });
    hub.catchUp();
    expect(sink.revisions).toEqual(revisions);
  }
});

test('TENANT-52: a tenant has as many watches as its operator lets it have, and those that slept go on', () => {
  const [history, sink] = [new PlainHistory(), new RecordingSink()];
  let most: number | null = 2;
  const hub = new WatchHub(history, { watchesMax: () => most, moved: () => undefined });
  const request = { ...shape('k'), start: 0 };
  const { watcher: first } = open(hub, request, sink);
  open(hub, request, sink);
  expect([hub.create(request, sink), hub.fullAt]).toEqual(['tooManyOfTenant', 2]);
  expect(hub.create(request, sink, revision(1))).toBeInstanceOf(Watcher);
  hub.delete(first);
  expect(hub.create(request, sink)).toBe('tooManyOfTenant');
  most = null;
  open(hub, request, sink);
  expect(hub.fullAt).toBeNull();
});

test('TENANT-51: what each watcher is handed counts, live and from history', () => {
  const history = new PlainHistory();
  history.commit([put('k', 2)]);
  let moved = 0;
  const hub = new WatchHub(history, {
    watchesMax: () => null,
    moved: (bytes) => {
      moved += bytes();
    },
  });
  open(hub, { ...shape('k'), start: 1 });
  open(hub, { ...shape('k'), start: 0 });
  open(hub, { ...shape('other'), start: 0 });
  catchUp(hub);
  const one = moved;
  expect(one).toBeGreaterThan(0);
  commit(hub, history, put('k', 3));
  expect(moved).toBe(3 * one);
});

test('WATCH-LIMIT-1: watchersMax watchers are taken, one more is refused', () => {
  const hub = new WatchHub(new PlainHistory());
  const sink = new RecordingSink();
  for (let count = 0; count < watchersMax; count++) open(hub, { ...shape(`k${count % 100}`), start: 0 }, sink);
  expect(hub.create({ ...shape('k'), start: 0 }, sink)).toBe('tooManyWatchers');
});

test('WATCH-LIMIT-2: revisions share a batch up to watchBatchBytesMax; one past it is the next batch; a revision is whole', () => {
  const overhead = 128 + 1;
  const history = new PlainHistory();
  const hub = new WatchHub(history);
  const { sink } = open(hub, { ...shape('k'), start: 0 });
  const half = 'x'.repeat(watchBatchBytesMax / 2 - overhead);
  hub.publish([history.commit([put('k', 2, half)]), history.commit([put('k', 3, half)])], revision(3));
  expect(sink.batches.map((batch) => batch.revisions.length)).toEqual([2]);
  hub.publish([history.commit([put('k', 4, half)]), history.commit([put('k', 5, `${half}x`)])], revision(5));
  expect(sink.batches.map((batch) => batch.revisions.length)).toEqual([2, 1, 1]);
  const large = 'x'.repeat(watchBatchBytesMax);
  hub.publish([history.commit([put('k', 6, large), put('k', 6, large)])], revision(6));
  expect(sink.batches.at(-1)?.revisions[0]?.events.length).toBe(2);
});

/** Reading revision 3 takes several reads. `tooLarge`: true: it does not fit a message. */
class SlicedHistory extends PlainHistory {
  slices = 2;
  tooLarge = (_ranges: WatchHistoryQuery['ranges']): boolean => false;
  readonly asked: (readonly KeyRange[] | null)[] = [];

  override history(query: WatchHistoryQuery): WatchHistoryPiece {
    if (query.from !== 3) return super.history({ ...query, bytesMax: 1 });
    this.asked.push(query.ranges);
    if (this.slices-- > 0) return { kind: 'busy' };
    this.slices = 2;
    if (this.tooLarge(query.ranges)) return { kind: 'tooLarge', revision: revision(3) };
    return super.history({ ...query, bytesMax: 1 });
  }
}

function slicedHub(): { readonly history: SlicedHistory; readonly hub: WatchHub } {
  const history = new SlicedHistory();
  history.commit([put('k', 2)]);
  history.commit([removal('k', 3), removal('l', 3)]);
  history.commit([put('k', 4), put('l', 4)]);
  return { history, hub: new WatchHub(history) };
}

test('WATCH-HUB-16: a revision that is read in slices is told whole to those for whom it is read; others come after it', () => {
  const { history, hub } = slicedHub();
  const [first, other] = ['k', 'l'].map((key) => open(hub, { ...shape(key), start: 3 }).sink);
  expect(hub.catchUp()).toBe(true);
  const late = open(hub, { ...shape('k', 'm'), start: 3 }).sink;
  expect(hub.catchUp()).toBe(true);
  expect([first, other, late].map((sink) => sink?.revisions)).toEqual([[], [], []]);
  expect(hub.catchUp()).toBe(true);
  expect([first, other, late].map((sink) => sink?.revisions)).toEqual([[3], [3], []]);
  // Until then the query is the very same.
  expect(history.asked[0]?.length).toBe(2);
  expect(history.asked.slice(1)).toEqual([history.asked[0], history.asked[0]]);
  expect(history.asked[2]).toBe(history.asked[0]);
  catchUp(hub);
  expect([first, other, late].map((sink) => sink?.revisions)).toEqual([
    [3, 4],
    [3, 4],
    [3, 4],
  ]);
});

test('WATCH-HUB-17: where what a watch wants of a revision does not fit a message, it ends, and others go on', () => {
  const { history, hub } = slicedHub();
  // The events that both shapes want together are too large, and so are those that one of them wants.
  history.tooLarge = (ranges) => ranges?.length !== 1 || compareBytes(ranges[0]?.key ?? emptyBytes, utf8('k')) === 0;
  const [first, same, later, other] = [
    ['k', 3],
    ['k', 3],
    ['k', 4],
    ['l', 3],
  ].map(([key, start]) => open(hub, { ...shape(String(key)), start: Number(start) }).sink);
  catchUp(hub);
  const ended = { kind: 'tooLarge', revision: 3 };
  expect([first, same, later, other].map((sink) => sink?.end)).toEqual([ended, ended, null, null]);
  expect([first, same, later, other].map((sink) => sink?.revisions)).toEqual([[], [], [4], [3, 4]]);
  expect(hub.watcherCount).toBe(2);
});

describe('WATCH-HUB-18: a live watch whose sink has no room falls back to history, and goes on from there', () => {
  it('where it was', () => {
    const history = new PlainHistory();
    const hub = new WatchHub(history);
    const { sink, watcher } = open(hub, { ...shape('k'), start: 0 });
    const other = open(hub, { ...shape('k'), start: 0 }).sink;
    commit(hub, history, put('k', 2));
    sink.has = 'none';
    commit(hub, history, put('k', 3));
    commit(hub, history, put('k', 4));
    expect(other.revisions).toEqual([2, 3, 4]);
    expect(sink.revisions).toEqual([2]);
    expect(hub.nextRevision(watcher)).toBe(3);
    expect(hub.progress([watcher])).toBeNull();
    expect(hub.catchUp()).toBe(false);
    sink.has = 'free';
    catchUp(hub);
    commit(hub, history, put('k', 5));
    expect(sink.revisions).toEqual([2, 3, 4, 5]);
  });

  it('and ends where a compaction overtakes it', () => {
    const history = new PlainHistory();
    const hub = new WatchHub(history);
    const { sink } = open(hub, { ...shape('k'), start: 0 });
    sink.has = 'none';
    for (let at = 2; at < 5; at++) commit(hub, history, put('k', at));
    history.compactedRevision = 4;
    hub.compacted(4);
    expect(sink.end).toEqual({ kind: 'compacted', compactedRevision: 4 });
  });

  it('between two batches of one publication', () => {
    const history = new PlainHistory();
    const hub = new WatchHub(history);
    const sink = new RecordingSink();
    sink.receive = (watcher, batch) => {
      RecordingSink.prototype.receive.call(sink, watcher, batch);
      sink.has = 'none';
    };
    open(hub, { ...shape('k'), start: 0 }, sink);
    const value = 'x'.repeat(watchBatchBytesMax);
    hub.publish([history.commit([put('k', 2, value)]), history.commit([put('k', 3, value)])], revision(3));
    expect(sink.revisions).toEqual([2]);
    sink.has = 'free';
    catchUp(hub);
    expect(sink.revisions).toEqual([2, 3]);
  });

  it('and watches that share a room are served in turn', () => {
    const history = new PlainHistory();
    const hub = new WatchHub(history);
    let room = 0;
    const sinks = ['a', 'b', 'c'].map((key) => {
      const sink = new RecordingSink();
      sink.room = () => (room > 0 ? 'free' : 'none');
      sink.receive = (watcher, batch) => {
        room--;
        RecordingSink.prototype.receive.call(sink, watcher, batch);
      };
      open(hub, { ...shape(key), start: 0 }, sink);
      return sink;
    });
    const value = 'x'.repeat(watchHistorySliceBytesMax);
    for (let at = 2; at < 8; at++) commit(hub, history, put(['a', 'b', 'c'][at % 3] ?? '', at, value));
    expect(sinks.map(({ revisions }) => revisions)).toEqual([[], [], []]);
    for (let turn = 0; turn < 3; turn++) {
      room = 1;
      catchUp(hub);
    }
    expect(sinks.map(({ revisions }) => revisions.length)).toEqual([1, 1, 1]);
  });
});
