// Who watches what on one replica. The hub is told what was applied and hands each watcher its events: ordered, each
// once, none left out, a revision never in parts. A watcher is live (it has all there is) or behind (it catches up from
// history, a slice at a time). No I/O and no clock: the host calls, sinks receive, all in the same turn.

import { assert } from '../../base/assert.ts';
import { revision as asRevision, type Revision } from '../../model/brands.ts';
import { keyText } from '../../base/bytes.ts';
import {
  watchBatchBytesMax,
  watchCatchUpWatchersMax,
  watchersMax,
  watchHistoryRangesMax,
  watchHistorySliceBytesMax,
} from '../../limits.ts';
import type { KeyRange, RevisionEvents } from '../../model/store.ts';
import { isEmptyRange } from '../key-range.ts';
import { batchesOf, EventCollector, lets, type WatchBatch, type WatchShape } from './watch-batch.ts';
import { WatchRanges } from './watch-ranges.ts';

/** The revisions that a store still keeps. */
export interface WatchHistory {
  readonly revision: Revision;
  /** History before it is gone; -1: all is there. */
  readonly compactedRevision: number;
  /**
   * Whole revisions from `from` on, in order, with the events of these ranges (null: all), until `bytesMax` is reached.
   * `through` is the last revision that was looked at.
   */
  history(query: WatchHistoryQuery): WatchHistoryPiece;
}

export type WatchHistoryQuery = {
  readonly from: Revision;
  readonly bytesMax: number;
  readonly ranges: readonly KeyRange[] | null;
  /** A revision of very many keys comes after some calls that answer `busy`. */
  readonly inSlices: true;
};

export type WatchHistoryPiece =
  | { readonly kind: 'events'; readonly revisions: readonly RevisionEvents[]; readonly through: Revision }
  | { readonly kind: 'compacted'; readonly compactedRevision: number }
  | { readonly kind: 'busy' }
  | { readonly kind: 'tooLarge'; readonly revision: Revision };

export type WatchRequest = WatchShape & {
  /** The first revision wanted; 0: what comes after the current one. */
  readonly start: number;
};

/** Why the hub ended a watcher. `resume` is the first revision that its sink was not handed. */
export type WatchEnd =
  | { readonly kind: 'compacted'; readonly compactedRevision: number }
  | { readonly kind: 'slow'; readonly resume: Revision }
  /** The events of that revision, which it needs next, do not fit a message. */
  | { readonly kind: 'tooLarge'; readonly revision: Revision };

/** `free`: hand over anything. `full`: no catch-up now, live events still. `over`: the client does not keep up. */
export type Room = 'free' | 'full' | 'over';

/** Where a watcher's events go. While it is called it may delete watchers, and not create any. */
export interface WatchSink {
  receive(watcher: Watcher, batch: WatchBatch): void;
  /** The watcher is gone already. */
  ended(watcher: Watcher, end: WatchEnd): void;
  room(): Room;
}

/** Refused before there is a watcher. */
export type WatchRefusal = 'negativeStart' | 'emptyRange' | 'tooManyWatchers';

/** A handle. What it holds is the hub's. */
export class Watcher {
  readonly shape: WatchShape;
  readonly sink: WatchSink;
  /** A start that the client named. Progress is not told before it is reached. */
  readonly start: number;
  /** Of one that is behind: the first revision that it was not handed. Of a live one: no event before this. */
  next: Revision;

  constructor(request: WatchRequest, sink: WatchSink, next: Revision) {
    this.shape = request;
    this.sink = sink;
    this.start = request.start;
    this.next = next;
  }
}

/** All watchers of one shape. */
type Group = { readonly key: string; readonly shape: WatchShape; readonly live: Set<Watcher>; behindCount: number };

/**
 * For whom history is read. A revision of very many keys takes several reads: the query stays the very same for as
 * long. Of `ranges` and `groups` null is all.
 */
type Reading = {
  readonly first: Watcher;
  readonly ranges: readonly KeyRange[] | null;
  readonly groups: ReadonlySet<Group> | null;
};

export class WatchHub {
  readonly #history: WatchHistory;
  readonly #ranges = new WatchRanges<Group>();
  readonly #groups = new Map<string, Group>();
  readonly #groupOf = new Map<Watcher, Group>();
  /** In the order of their turns: who was served goes to the end. */
  readonly #behind = new Set<Watcher>();
  /** All live watchers have what happened up to here. */
  #revision: Revision;
  #delivering = false;
  /** One that goes on: a revision of very many keys is not yet read. */
  #reading: Reading | null = null;

  constructor(history: WatchHistory) {
    this.#history = history;
    this.#revision = history.revision;
  }

  get watcherCount(): number {
    return this.#groupOf.size;
  }

  /** Whether anyone waits for history. */
  get catchingUp(): boolean {
    return this.#behind.size > 0;
  }

  /** The revision up to which live watchers have all their events. */
  get revision(): Revision {
    return this.#revision;
  }

  /** `resumeAt`: the first revision that an earlier watcher with this request was not handed (`nextRevision`). */
  create(request: WatchRequest, sink: WatchSink, resumeAt: Revision | null = null): Watcher | WatchRefusal {
    assert(!this.#delivering, 'a watcher was created by a sink that was just called');
    if (request.start < 0) return 'negativeStart';
    if (isEmptyRange(request.range)) return 'emptyRange';
    if (this.#groupOf.size >= watchersMax) return 'tooManyWatchers';
    const next = resumeAt ?? asRevision(request.start === 0 ? this.#revision + 1 : request.start);
    const watcher = new Watcher(request, sink, next);
    const group = this.#group(request);
    this.#groupOf.set(watcher, group);
    if (next > this.#revision) group.live.add(watcher);
    else this.#fallBehind(watcher, group);
    return watcher;
  }

  delete(watcher: Watcher): void {
    const group = this.#groupOf.get(watcher);
    if (group === undefined) return;
    this.#groupOf.delete(watcher);
    if (this.#behind.delete(watcher)) group.behindCount--;
    group.live.delete(watcher);
    if (group.live.size > 0 || group.behindCount > 0) return;
    this.#groups.delete(group.key);
    this.#ranges.delete(group.shape.range, group);
  }

  /** The first revision that the watcher still needs: where another watcher would go on without a gap. */
  nextRevision(watcher: Watcher): Revision {
    if (this.#behind.has(watcher)) return watcher.next;
    return asRevision(Math.max(watcher.next, this.#revision + 1));
  }

  /**
   * The revision up to which every one of these has all its events; null where one is still behind or before its start,
   * and for none at all. So a progress answer never runs ahead of events.
   */
  progress(watchers: Iterable<Watcher>): Revision | null {
    let any = false;
    for (const watcher of watchers) {
      if (this.#behind.has(watcher) || watcher.start > this.#revision) return null;
      any = true;
    }
    return any ? this.#revision : null;
  }

  /** What was just applied, in order. `storeRevision` is the store's after it. */
  publish(applied: readonly RevisionEvents[], storeRevision: Revision): void {
    const fresh = applied.filter((each) => each.revision > this.#revision);
    if (storeRevision - this.#revision > fresh.length) return this.#jump(storeRevision);
    assert(
      fresh.at(-1)?.revision === storeRevision || fresh.length === 0,
      'published events do not end at the revision',
    );
    const collected = this.#collect(fresh, (group) => group.live.size > 0);
    this.#delivering = true;
    for (const [group, collector] of collected) {
      const batches = batchesOf(collector.revisions, {
        bytesMax: watchBatchBytesMax,
        headerRevision: 'own',
        previous: group.shape.previous,
      });
      for (const watcher of group.live) this.#deliverLive(watcher, batches);
    }
    this.#delivering = false;
    this.#revision = asRevision(Math.max(this.#revision, storeRevision));
  }

  /** History before `compactedRevision` is gone: who still needed it is told. */
  compacted(compactedRevision: number): void {
    for (const watcher of this.#behind) {
      if (watcher.next < compactedRevision) this.#end(watcher, { kind: 'compacted', compactedRevision });
    }
  }

  /**
   * Hands one slice of history to the watcher whose turn it is and to all who need the same revisions. False: nobody
   * who is behind can take more now.
   */
  catchUp(): boolean {
    const reading = this.#readingNow();
    if (reading === null) return false;
    const { first, ranges, groups } = reading;
    const bytesMax = watchHistorySliceBytesMax;
    const piece = this.#history.history({ from: first.next, bytesMax, ranges, inSlices: true });
    this.#reading = piece.kind === 'busy' ? reading : null;
    if (piece.kind === 'busy') return true;
    if (piece.kind === 'tooLarge') {
      this.#tooLarge(reading, piece);
      return true;
    }
    if (piece.kind === 'compacted') {
      this.compacted(piece.compactedRevision);
      assert(!this.#groupOf.has(first), 'history before its compaction was refused');
      return true;
    }
    // What is applied and not yet published comes with its publication.
    const through = asRevision(Math.min(piece.through, this.#revision));
    assert(through >= first.next, 'a piece of history begins where it was asked to');
    const members = this.#takeTurns(first, through, groups);
    const collected = this.#collect(
      piece.revisions.filter((each) => each.revision <= through),
      (group) => group.behindCount > 0,
    );
    const shared = new Map<EventCollector, Map<Revision, readonly WatchBatch[]>>();
    for (const watcher of members) {
      const group = this.#groupOf.get(watcher);
      // A sink that was called before may have ended this one.
      if (group === undefined) continue;
      const collector = collected.get(group);
      const batches = collector === undefined ? [] : this.#slices(shared, collector, watcher);
      this.#advance(watcher, group, through);
      for (const batch of batches) {
        if (this.#groupOf.has(watcher)) watcher.sink.receive(watcher, batch);
      }
    }
    return true;
  }

  #deliverLive(watcher: Watcher, batches: readonly WatchBatch[]): void {
    const last = batches.at(-1);
    if (last === undefined || watcher.next > last.headerRevision) return;
    if (watcher.sink.room() === 'over') {
      this.#end(watcher, { kind: 'slow', resume: this.nextRevision(watcher) });
      return;
    }
    for (const batch of batches) {
      const cut = startingAt(batch, watcher.next);
      if (cut !== null && this.#groupOf.has(watcher)) watcher.sink.receive(watcher, cut);
    }
  }

  /** The events between are not at hand (a snapshot was installed): everyone reads them from history. */
  #jump(storeRevision: Revision): void {
    const from = asRevision(this.#revision + 1);
    this.#revision = storeRevision;
    for (const [watcher, group] of this.#groupOf) {
      if (!group.live.has(watcher) || watcher.next > storeRevision) continue;
      watcher.next = asRevision(Math.max(watcher.next, from));
      group.live.delete(watcher);
      this.#fallBehind(watcher, group);
    }
  }

  #fallBehind(watcher: Watcher, group: Group): void {
    this.#behind.add(watcher);
    group.behindCount++;
  }

  #advance(watcher: Watcher, group: Group, through: Revision): void {
    watcher.next = asRevision(through + 1);
    if (through < this.#revision) return;
    this.#behind.delete(watcher);
    group.behindCount--;
    group.live.add(watcher);
  }

  /** null: nobody who is behind can take more. */
  #readingNow(): Reading | null {
    const reading = this.#reading;
    const goesOn = reading !== null && this.#behind.has(reading.first) && reading.first.sink.room() === 'free';
    if (goesOn) return reading;
    const first = this.#firstWithRoom();
    return first === null ? null : { first, ...this.#wanted() };
  }

  /** All that those who need the revision want of it may be too large where what each of them wants is not. */
  #tooLarge({ first, groups }: Reading, end: WatchEnd & { readonly kind: 'tooLarge' }): void {
    const group = this.#groupOf.get(first);
    assert(group !== undefined, 'who is behind has a group');
    const alone = new Set([group]);
    if (groups?.size !== 1) {
      this.#reading = { first, ranges: [group.shape.range], groups: alone };
      return;
    }
    for (const watcher of this.#takeTurns(first, end.revision, alone)) this.#end(watcher, end);
  }

  #firstWithRoom(): Watcher | null {
    for (const watcher of this.#behind) if (watcher.sink.room() === 'free') return watcher;
    return null;
  }

  /** All who could be served by one read, and their ranges; null where there are too many to look at each. */
  #wanted(): Pick<Reading, 'ranges' | 'groups'> {
    const groups = new Set<Group>();
    for (const watcher of this.#behind) {
      const group = this.#groupOf.get(watcher);
      if (group === undefined || groups.has(group) || watcher.sink.room() !== 'free') continue;
      groups.add(group);
      if (groups.size > watchHistoryRangesMax) return { ranges: null, groups: null };
    }
    return { ranges: [...groups].map((group) => group.shape.range), groups };
  }

  /**
   * Who is served by a piece from `first.next` through `through`, of these groups (null: of all). They go to the end of
   * the queue.
   */
  #takeTurns(first: Watcher, through: Revision, groups: ReadonlySet<Group> | null): readonly Watcher[] {
    const members = [first];
    for (const watcher of this.#behind) {
      if (members.length >= watchCatchUpWatchersMax) break;
      if (watcher === first || watcher.next < first.next || watcher.next > through) continue;
      const group = this.#groupOf.get(watcher);
      if (group === undefined || groups?.has(group) === false) continue;
      if (watcher.sink.room() === 'free') members.push(watcher);
    }
    for (const watcher of members) {
      this.#behind.delete(watcher);
      this.#behind.add(watcher);
    }
    return members;
  }

  #slices(
    shared: Map<EventCollector, Map<Revision, readonly WatchBatch[]>>,
    collector: EventCollector,
    { next: from, shape: { previous } }: Watcher,
  ): readonly WatchBatch[] {
    let byStart = shared.get(collector);
    if (byStart === undefined) shared.set(collector, (byStart = new Map()));
    // Whoever starts before the first event of the slice gets the same batches.
    const wanted = collector.revisions.filter((each) => each.revision >= from);
    const begin = wanted[0]?.revision ?? from;
    const known = byStart.get(begin);
    if (known !== undefined) return known;
    const batches = batchesOf(wanted, { bytesMax: watchBatchBytesMax, headerRevision: this.#revision, previous });
    byStart.set(begin, batches);
    return batches;
  }

  #collect(
    revisions: readonly RevisionEvents[],
    wanted: (group: Group) => boolean,
  ): ReadonlyMap<Group, EventCollector> {
    const collected = new Map<Group, EventCollector>();
    if (this.#groups.size === 0) return collected;
    for (const { revision, events } of revisions) {
      for (const event of events) {
        this.#ranges.visit(keyText(event.kv.key), (group) => {
          if (!lets(group.shape, event) || !wanted(group)) return;
          let collector = collected.get(group);
          if (collector === undefined) collected.set(group, (collector = new EventCollector()));
          collector.add(revision, event);
        });
      }
    }
    return collected;
  }

  #end(watcher: Watcher, end: WatchEnd): void {
    this.delete(watcher);
    watcher.sink.ended(watcher, end);
  }

  #group(shape: WatchShape): Group {
    const key = shapeKey(shape);
    let group = this.#groups.get(key);
    if (group === undefined) {
      group = { key, shape, live: new Set(), behindCount: 0 };
      this.#groups.set(key, group);
      this.#ranges.add(shape.range, group);
    }
    return group;
  }
}

/** The part of a batch from `from` on; the batch itself where that is all of it. */
function startingAt(batch: WatchBatch, from: Revision): WatchBatch | null {
  const first = batch.revisions[0];
  if (first === undefined || first.revision >= from) return batch;
  const revisions = batch.revisions.filter((each) => each.revision >= from);
  return revisions.length === 0 ? null : { ...batch, revisions };
}

function shapeKey(shape: WatchShape): string {
  const { key, rangeEnd } = shape.range;
  const flags = (shape.noPut ? 1 : 0) + (shape.noDelete ? 2 : 0) + (shape.previous ? 4 : 0);
  // The length comes first, so that no two pairs of key and end make the same text.
  return `${flags} ${key.byteLength} ${keyText(key)}${keyText(rangeEnd)}`;
}
