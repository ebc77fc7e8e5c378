// The history of a store, kept in memory as plainly as possible, and what the watch tests share.

import { noLease, type Revision, revision } from '../../../src/model/brands.ts';
import { compareBytes, emptyBytes, utf8 } from '../../../src/base/bytes.ts';
import type { KeyRange, KeyValue, RevisionEvents, StoreEvent } from '../../../src/model/store.ts';
import type { WatchBatch, WatchShape } from '../../../src/mvcc/watch/watch-batch.ts';
import { eventBytes } from '../../../src/mvcc/watch/watch-batch.ts';
import type { Random } from '../../support/random.ts';
import type {
  Room,
  Watcher,
  WatchEnd,
  WatchHistory,
  WatchHistoryPiece,
  WatchHistoryQuery,
  WatchSink,
} from '../../../src/mvcc/watch/watch-hub.ts';

function pair(key: string | Uint8Array, at: number, value = 'v'): KeyValue {
  return {
    key: typeof key === 'string' ? utf8(key) : key,
    value: utf8(value),
    createRevision: revision(at),
    modRevision: revision(at),
    version: 1,
    lease: noLease,
  };
}

export function put(key: string | Uint8Array, at: number, value = 'v'): StoreEvent {
  return { type: 'put', kv: pair(key, at, value), previous: null };
}

export function removal(key: string | Uint8Array, at: number): StoreEvent {
  const kv = { ...pair(key, at, ''), createRevision: revision(0), version: 0 };
  return { type: 'delete', kv, previous: pair(key, at - 1) };
}

/** Of some of the keys: mostly small puts, now and then a large one, or a removal. */
export function randomRevision(random: Random, keys: readonly string[], at: number): StoreEvent[] {
  const value = 'x'.repeat(random.below(4) === 0 ? 400_000 : 10);
  return keys
    .filter(() => random.below(2) === 0)
    .map((key) => (random.below(4) === 0 ? removal(key, at) : put(key, at, value)));
}

export class PlainHistory implements WatchHistory {
  revisions: RevisionEvents[] = [];
  compactedRevision = -1;
  reads = 0;
  lastQuery: WatchHistoryQuery | null = null;

  get revision(): Revision {
    return this.revisions.at(-1)?.revision ?? revision(1);
  }

  get next(): number {
    return this.revision + 1;
  }

  /** Adds one revision with these events. */
  commit(events: readonly StoreEvent[]): RevisionEvents {
    const whole = { revision: revision(this.next), events };
    this.revisions.push(whole);
    return whole;
  }

  history(query: WatchHistoryQuery): WatchHistoryPiece {
    const { from, bytesMax, ranges } = query;
    this.reads++;
    this.lastQuery = query;
    if (from < this.compactedRevision) return { kind: 'compacted', compactedRevision: this.compactedRevision };
    const revisions: RevisionEvents[] = [];
    let bytes = 0;
    for (const whole of this.revisions) {
      if (whole.revision < from) continue;
      if (bytes >= bytesMax) return { kind: 'events', revisions, through: revision(whole.revision - 1) };
      const events = whole.events.filter(({ kv }) => ranges === null || ranges.some((range) => holds(range, kv.key)));
      if (events.length === 0) continue;
      bytes += events.reduce((sum, event) => sum + eventBytes(event, true), 0);
      revisions.push({ revision: whole.revision, events });
    }
    return { kind: 'events', revisions, through: this.revision };
  }
}

export function holds(range: KeyRange, key: Uint8Array): boolean {
  const { rangeEnd } = range;
  if (rangeEnd.byteLength === 0) return compareBytes(range.key, key) === 0;
  if (compareBytes(key, range.key) < 0) return false;
  return (rangeEnd.byteLength === 1 && rangeEnd[0] === 0) || compareBytes(key, rangeEnd) < 0;
}

export function shape(key: string, rangeEnd = '', options: Partial<WatchShape> = {}): WatchShape {
  return {
    range: { key: utf8(key), rangeEnd: rangeEnd === '' ? emptyBytes : utf8(rangeEnd) },
    noPut: false,
    noDelete: false,
    previous: false,
    ...options,
  };
}

export class RecordingSink implements WatchSink {
  readonly batches: WatchBatch[] = [];
  end: WatchEnd | null = null;
  has: Room = 'free';

  receive(_watcher: Watcher, batch: WatchBatch): void {
    this.batches.push(batch);
  }
  ended(_watcher: Watcher, end: WatchEnd): void {
    this.end = end;
  }
  room(): Room {
    return this.has;
  }

  get revisions(): number[] {
    return this.batches.flatMap((batch) => batch.revisions.map((whole) => Number(whole.revision)));
  }
  get keys(): string[] {
    const decoder = new TextDecoder();
    return this.batches.flatMap((batch) =>
      batch.revisions.flatMap((whole) => whole.events.map((event) => decoder.decode(event.kv.key))),
    );
  }
}
