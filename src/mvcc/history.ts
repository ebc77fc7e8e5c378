// What changed from a revision on, for watches that catch up: the changed keys come from the batches, and the pairs
// from the versions. Revisions are whole.

import { type Revision, revision as asRevision } from '../model/brands.ts';
import { historyScanBytesMax, historySliceKeysMax, previousKeptBytesMax, watchEventsBytesMax } from '../limits.ts';
import type { KeyRange, KeyValue, RevisionEvents, StoreEvent } from '../model/store.ts';
import { assert } from '../base/assert.ts';
import type { Batches, ChangedKey, ChangedKeys } from './batches.ts';
import { type KeySpan, spanHolds, spanOf } from '../model/key-range.ts';
import type { Versions } from './overlay/versions.ts';
import { deletedPair, isLate, LateDeleteEvent, LatePutEvent } from './revision-writer.ts';

/** `through`: the last revision that was looked at. Later ones are left for the next piece. */
export type HistoryPiece =
  | { readonly kind: 'events'; readonly revisions: readonly RevisionEvents[]; readonly through: Revision }
  | { readonly kind: 'compacted'; readonly compactedRevision: number };

export type HistorySlice =
  | HistoryPiece
  /** The first revision has very many keys, and the next call with this query goes on with it. */
  | { readonly kind: 'busy' }
  /** The events of the first revision are more than one message holds. */
  | { readonly kind: 'tooLarge'; readonly revision: Revision };

export type HistoryQuery = {
  readonly from: Revision;
  /** Revisions are added until this is reached; the last may pass it. */
  readonly bytesMax: number;
  /** Null: every key. */
  readonly ranges: readonly KeyRange[] | null;
};

/** A revision of very many keys is not read at once. One such query is under way at a time, and another one ends it. */
export type SlicedQuery = HistoryQuery & { readonly inSlices: true };

/**
 * A revision that is read in slices. `late`: true: so many bytes of earlier pairs are held that no more are, see
 * `previousKeptBytesMax`.
 */
type Reading = {
  readonly revision: Revision;
  readonly ranges: readonly KeyRange[] | null;
  readonly keys: Iterator<ChangedKey, unknown, unknown>;
  readonly events: StoreEvent[];
  held: number;
  bytes: number;
};

/** The bytes that a pair takes beside key and value. */
const pairOverheadBytes = 64;

export class History {
  readonly #versions: Versions;
  readonly #batches: Batches;
  #reading: Reading | null = null;

  constructor(versions: Versions, batches: Batches) {
    this.#versions = versions;
    this.#batches = batches;
  }

  read(query: HistoryQuery, current: Revision, compacted: number): HistoryPiece;
  read(query: HistoryQuery | SlicedQuery, current: Revision, compacted: number): HistorySlice;
  read(query: HistoryQuery | SlicedQuery, current: Revision, compacted: number): HistorySlice {
    if (query.from < compacted) return { kind: 'compacted', compactedRevision: compacted };
    const reading = this.#reading;
    if (reading?.revision !== query.from || reading.ranges !== query.ranges) this.#reading = null;
    const spans = query.ranges?.map(spanOf) ?? null;
    const revisions: RevisionEvents[] = [];
    let bytes = 0;
    let lookedThrough = 0;
    for (const changed of this.#batches.changesFrom(query.from)) {
      if (changed.revision < query.from) continue;
      if (bytes >= query.bytesMax || lookedThrough >= historyScanBytesMax) {
        return { kind: 'events', revisions, through: asRevision(changed.revision - 1) };
      }
      if ('inSlices' in query && changed.count > historySliceKeysMax) {
        if (lookedThrough > 0) return { kind: 'events', revisions, through: asRevision(changed.revision - 1) };
        return this.#slice(changed, { ranges: query.ranges, spans, compacted });
      }
      const events = this.#events(changed, spans, compacted);
      for (const { key } of changed.keys) lookedThrough += key.byteLength + 2;
      if (events.length === 0) continue;
      for (const event of events) bytes += eventBytes(event);
      revisions.push({ revision: changed.revision, events });
    }
    return { kind: 'events', revisions, through: current };
  }

  /**
   * Reads the next keys of a revision. Nothing but its events is held, and a watch is told no more of them than one
   * message holds.
   */
  #slice(
    changed: ChangedKeys,
    of: {
      readonly ranges: readonly KeyRange[] | null;
      readonly spans: readonly KeySpan[] | null;
      readonly compacted: number;
    },
  ): HistorySlice {
    const { revision } = changed;
    const { ranges, spans, compacted } = of;
    const keys = changed.keys[Symbol.iterator]();
    const reading: Reading = (this.#reading ??= { revision, ranges, keys, events: [], held: 0, bytes: 0 });
    const hasPrevious = revision - 1 >= compacted;
    for (let passed = 0; passed < historySliceKeysMax; passed++) {
      const { value: change, done } = reading.keys.next();
      if (done === true) {
        const { events } = reading;
        this.#reading = null;
        return { kind: 'events', revisions: events.length === 0 ? [] : [{ revision, events }], through: revision };
      }
      if (spans !== null && !spans.some((span) => spanHolds(span, change.key))) continue;
      const late = reading.held > previousKeptBytesMax;
      const event = this.#event(change, revision, { hasPrevious, late });
      if (!late) reading.held += eventBytes(event);
      reading.events.push(event);
      reading.bytes += change.key.byteLength + pairOverheadBytes;
      if (reading.bytes <= watchEventsBytesMax) continue;
      this.#reading = null;
      return { kind: 'tooLarge', revision };
    }
    return { kind: 'busy' };
  }

  #events(changed: ChangedKeys, spans: readonly KeySpan[] | null, compacted: number): StoreEvent[] {
    // As in etcd, the previous pair is read at the revision before, so at the compacted revision there is none.
    const hasPrevious = changed.revision - 1 >= compacted;
    const events: StoreEvent[] = [];
    let kept = 0;
    for (const change of changed.keys) {
      if (spans !== null && !spans.some((span) => spanHolds(span, change.key))) continue;
      const late = kept > previousKeptBytesMax;
      const event = this.#event(change, changed.revision, { hasPrevious, late });
      if (!late) kept += eventBytes(event);
      events.push(event);
    }
    return events;
  }

  #event(
    change: ChangedKey,
    at: Revision,
    options: { readonly hasPrevious: boolean; readonly late: boolean },
  ): StoreEvent {
    const { key } = change;
    if (change.type === 'delete') {
      if (!options.hasPrevious) return { type: 'delete', kv: deletedPair(key, at), previous: null };
      if (options.late) return new LateDeleteEvent(this.#versions, key, at);
      return { type: 'delete', kv: deletedPair(key, at), previous: this.#versions.previousPair(key, at) };
    }
    const kv = this.#pairAt(key, at);
    // A pair that the revision created has no previous pair, even if the same revision first deleted one of its key.
    const isThere = options.hasPrevious && kv.version > 1;
    if (isThere && options.late) return new LatePutEvent(this.#versions, kv);
    return { type: 'put', kv, previous: isThere ? this.#versions.previousPair(key, at) : null };
  }

  #pairAt(key: Uint8Array, at: Revision): KeyValue {
    const pair = this.#versions.pairAt(key, at);
    assert(pair !== null, 'a version that is not compacted is there');
    return pair;
  }
}

function eventBytes(event: StoreEvent): number {
  return pairBytes(event.kv) + (isLate(event) || event.previous === null ? 0 : pairBytes(event.previous));
}

function pairBytes(pair: KeyValue): number {
  return pair.key.byteLength + pair.value.byteLength + pairOverheadBytes;
}
