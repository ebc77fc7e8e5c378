// The watches of one replica. The hub is told what was applied and hands each watcher its events: ordered, each once,
// none left out, a revision never in parts. A watcher is live (it has everything) or behind (it catches up from
// history, a slice at a time). No I/O and no clock: the host calls, and sinks receive in the same turn.

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
import { isEmptyRange } from '../../model/key-range.ts';
import { batchesOf, bytesOfBatch, EventCollector, lets, type WatchBatch, type WatchShape } from './watch-batch.ts';
import { WatchRanges } from './watch-ranges.ts';

/** The revisions that a store still keeps. */
export interface WatchHistory {
  readonly revision: Revision;
  /** History before this revision is compacted. -1: all of it is there. */
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
  /** The first revision that is wanted. 0: what comes after the present one. */
  readonly start: number;
};

/** Why the hub ended a watcher. `resume` is the first revision that its sink was not handed. */
export type WatchEnd =
  | { readonly kind: 'compacted'; readonly compactedRevision: number }
  | { readonly kind: 'slow'; readonly resume: Revision }
  /** The events of the revision that the watcher needs next do not fit a message. */
  | { readonly kind: 'tooLarge'; readonly revision: Revision };

/**
 * `free`: hand over anything. `full`: do not catch up now, but hand over live events. `none`: hand over nothing now, so
 * that a live watcher falls back to history. `over`: the client does not keep up.
 */
export type Room = 'free' | 'full' | 'none' | 'over';

/** The sink of a watcher's events. While it is called it may delete watchers, and must not create any. */
export interface WatchSink {
  receive(watcher: Watcher, batch: WatchBatch): void;
  /** The watcher has ended already. */
  ended(watcher: Watcher, end: WatchEnd): void;
  room(): Room;
}

/** The watch is refused before there is a watcher. */
export type WatchRefusal = 'negativeStart' | 'emptyRange' | 'tooManyWatchers' | 'tooManyOfTenant';

/** A handle, whose content is the hub's. */
export class Watcher {
  readonly shape: WatchShape;
  readonly sink: WatchSink;
  /** The start that the client named. Progress is not told before it is reached. */
  readonly start: number;
  /**
   * If the watcher is behind: the first revision that it was not handed. If it is live: it gets no event before this
   * revision.
   */
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
 * The watchers for whom history is read. A revision of very many keys takes several reads, and the query stays the very
 * same for as long. Null `ranges` or `groups`: all.
 */
type Reading = {
  readonly first: Watcher;
  readonly ranges: readonly KeyRange[] | null;
  readonly groups: ReadonlySet<Group> | null;
};

/** What the operator bounds for the tenant. */
export type WatchLimits = {
  /** How many watches there may be here. Null: there is no such bound. */
  readonly watchesMax: () => number | null;
  /** Called with what each watcher is handed. */
  readonly moved: (bytes: () => number) => void;
};
const unlimited: WatchLimits = { watchesMax: () => null, moved: () => undefined };

export class WatchHub {
  readonly #history: WatchHistory;
  readonly #watchesMax: WatchLimits['watchesMax'];
  readonly #moved: WatchLimits['moved'];
  readonly #ranges = new WatchRanges<Group>();
  readonly #groups = new Map<string, Group>();
  readonly #groupOf = new Map<Watcher, Group>();
  /** The watchers that are behind, in the order of their turns: one that was served goes to the end. */
  readonly #behind = new Set<Watcher>();
  /** All live watchers have everything up to this revision. */
  #revision: Revision;
  #delivering = false;
  /** The query that goes on, because a revision of very many keys is not read yet. */
  #reading: Reading | null = null;

  constructor(history: WatchHistory, { watchesMax, moved }: WatchLimits = unlimited) {
    this.#history = history;
    this.#watchesMax = watchesMax;
    this.#moved = moved;
    this.#revision = history.revision;
  }

  get watcherCount(): number {
    return this.#groupOf.size;
  }

  /** The bound of the tenant, where it has as many watches. Null: it may have more. */
  get fullAt(): number | null {
    const max = this.#watchesMax();
    return max === null || this.#groupOf.size < max ? null : max;
  }

  /** Whether a watcher waits for history. */
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
    // A watch that slept goes on, also where the bound has become lower.
    if (resumeAt === null && this.fullAt !== null) return 'tooManyOfTenant';
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

  /** The first revision that the watcher still needs, where another watcher would go on without a gap. */
  nextRevision(watcher: Watcher): Revision {
    if (this.#behind.has(watcher)) return watcher.next;
    return asRevision(Math.max(watcher.next, this.#revision + 1));
  }

  /**
   * The revision up to which every one of these watchers has all its events. Null: one of them is behind or before its
   * start, or there is none. So an answer on progress never runs ahead of events.
   */
  progress(watchers: Iterable<Watcher>): Revision | null {
    let any = false;
    for (const watcher of watchers) {
      if (this.#behind.has(watcher) || watcher.start > this.#revision) return null;
      // A watcher that slept may have been told of more than a store that has just started knows again.
      if (watcher.next - 1 > this.#revision) return null;
      any = true;
    }
    return any ? this.#revision : null;
  }

  /** Called with what was just applied, in order. `storeRevision` is the store's revision after it. */
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

  /** History before `compactedRevision` is compacted. Watchers that still need it are told. */
  compacted(compactedRevision: number): void {
    for (const watcher of this.#behind) {
      if (watcher.next < compactedRevision) this.#end(watcher, { kind: 'compacted', compactedRevision });
    }
  }

  /**
   * Hands one slice of history to the watcher whose turn it is and to all that need the same revisions. False: no
   * watcher that is behind can take more now.
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
    // Events that are applied and not yet published come when they are published.
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
      // A sink that was called before may have ended this watcher.
      if (group === undefined) continue;
      const collector = collected.get(group);
      const batches = collector === undefined ? [] : this.#slices(shared, collector, watcher);
      // What watchers before it were handed took the room of their common sink.
      if (batches.length > 0 && watcher.sink.room() === 'none') continue;
      this.#advance(watcher, group, through);
      for (const batch of batches) {
        if (this.#groupOf.has(watcher)) this.#hand(watcher, batch);
      }
    }
    return true;
  }

  #deliverLive(watcher: Watcher, batches: readonly WatchBatch[]): void {
    const last = batches.at(-1);
    if (last === undefined || watcher.next > last.headerRevision) return;
    let room = watcher.sink.room();
    if (room === 'over') {
      this.#end(watcher, { kind: 'slow', resume: this.nextRevision(watcher) });
      return;
    }
    for (const batch of batches) {
      const cut = startingAt(batch, watcher.next);
      const group = this.#groupOf.get(watcher);
      if (cut === null || group === undefined) continue;
      if (room === 'none') return this.#leaveLive(watcher, group, cut);
      this.#hand(watcher, cut);
      // To ask is not for nothing, and there is hardly ever another batch.
      if (batch !== last) room = watcher.sink.room();
    }
  }

  #hand(watcher: Watcher, batch: WatchBatch): void {
    this.#moved(() => bytesOfBatch(batch));
    watcher.sink.receive(watcher, batch);
  }

  /** The batch, and what comes after it, is read from history when there is room again. */
  #leaveLive(watcher: Watcher, group: Group, { revisions: [first] }: WatchBatch): void {
    assert(first !== undefined, 'a batch holds a revision');
    watcher.next = first.revision;
    group.live.delete(watcher);
    this.#fallBehind(watcher, group);
  }

  /** The events between are not in memory (a snapshot was installed), so all watchers read them from history. */
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
    this.#behind.delete(watcher);
    if (through < this.#revision) {
      this.#behind.add(watcher);
      return;
    }
    group.behindCount--;
    group.live.add(watcher);
  }

  /** Null: no watcher that is behind can take more. */
  #readingNow(): Reading | null {
    const reading = this.#reading;
    const goesOn = reading !== null && this.#behind.has(reading.first) && reading.first.sink.room() === 'free';
    if (goesOn) return reading;
    const first = this.#firstWithRoom();
    return first === null ? null : { first, ...this.#wanted() };
  }

  /**
   * The events of the revision that all these watchers want together may be too large although those that each wants
   * are not.
   */
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

  /** All watchers that one read could serve, and their ranges. Null: they are too many to look at each. */
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
   * The watchers, of these groups (null: of all), that a piece from `first.next` through `through` serves. They go to
   * the end of the queue.
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
    // Watchers that start before the first event of the slice get the same batches.
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

/** The part of a batch from `from` on, which is the batch itself if it has nothing earlier. */
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
