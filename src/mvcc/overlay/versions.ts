// The versions of keys, wherever they are: in the tables, or in memory since the last flush. Every reader of keys and
// their history reads here, so none sees the tables alone. Only `hash/`, `snapshot/`, `compaction.ts` and
// `large-delete.ts` read the tables, when everything is flushed, or what concerns earlier revisions.

import { compareBytes, emptyBytes, keyText } from '../../base/bytes.ts';
import type { NotPromise, SqlPort } from '../../base/sql-port.ts';
import { keptHeadsBytesMax } from '../../limits.ts';
import type { Revision } from '../../model/brands.ts';
import type { KeyValue } from '../../model/store.ts';
import type { KeySpan } from '../../model/key-range.ts';
import {
  type AsOf,
  countCreatedBefore,
  countHead,
  countKeys,
  filterHolds,
  firstCreated,
  headsAtOnceMax,
  headsOf,
  pairAt,
  pairOf,
  previousPair,
  type Scan,
  scanPairs,
  type WideSpan,
} from '../range-scan.ts';
import { Heads } from './heads.ts';
import { Overlay, pairNow, versionAsOf } from './overlay.ts';

export class Versions {
  readonly sql: SqlPort;
  readonly overlay = new Overlay();
  readonly heads = new Heads();
  /** Where the entry under way writes its versions. */
  #writes: 'tables' | 'memory' = 'tables';

  constructor(sql: SqlPort) {
    this.sql = sql;
  }

  get writesToMemory(): boolean {
    return this.#writes === 'memory';
  }

  writeTo(where: 'tables' | 'memory'): void {
    this.#writes = where;
  }

  /** Runs `body`. If it throws, what it wrote is undone. */
  undoable<Result>(body: () => NotPromise<Result>): Result {
    return this.writesToMemory ? this.overlay.undoable(body) : this.sql.transaction(body);
  }

  /** Whether the tables alone tell the state at that revision. */
  isInTables(asOf: AsOf): boolean {
    return asOf === 'head' ? this.overlay.isEmpty : this.overlay.isAfter(asOf);
  }

  pair(key: Uint8Array, asOf: AsOf, values: boolean): KeyValue | null {
    if (asOf !== 'head' && this.isInTables(asOf)) return pairOf(this.sql, key, asOf, values);
    const text = keyText(key);
    const overlaid = this.overlay.findText(text);
    const version = overlaid === null ? null : versionAsOf(overlaid, revisionOf(asOf));
    if (version !== null) return version.kv;
    if (overlaid !== null && overlaid.inTables === null) return null;
    const kept = this.heads.find(text);
    return kept === undefined ? pairOf(this.sql, key, 'head', values) : kept;
  }

  /**
   * Reads what the tables have of these keys, as far as memory does not know it, so that `pair` finds it there. Where
   * that is much, the rest is left to `pair`.
   */
  readAhead(keys: Iterable<Uint8Array>): void {
    const unknown = new Map<string, Uint8Array>();
    for (const key of keys) {
      const text = keyText(key);
      if (this.overlay.findText(text) === null && !this.heads.has(text)) unknown.set(text, key);
    }
    const asked = [...unknown];
    let bytes = 0;
    for (let first = 0; first < asked.length && bytes < keptHeadsBytesMax / 2; first += headsAtOnceMax) {
      const part = asked.slice(first, first + headsAtOnceMax);
      const absent = new Set(part.map(([text]) => text));
      const found = headsOf(
        this.sql,
        part.map(([, key]) => key),
      );
      for (const { key, pair } of found) {
        const text = keyText(key);
        absent.delete(text);
        if (pair !== null) bytes += this.heads.learn(text, pair);
      }
      for (const text of absent) bytes += this.heads.learn(text, null);
    }
  }

  /** What the overlay has is in the tables now. */
  flushed(): void {
    for (const overlaid of this.overlay.all()) this.heads.learn(overlaid.text, pairNow(overlaid));
    this.overlay.clear();
  }

  /** The pairs one by one, in the order of their keys. Nothing may be written until the last one that is asked for. */
  pairs(scan: Scan): Generator<KeyValue, void, void> {
    const isMerged = scan.span.kind !== 'single' && !this.isInTables(scan.asOf);
    if (scan.span.kind === 'single') return this.#onePair(scan, scan.span.key);
    return isMerged && this.overlay.countWithin(scan.span) > 0
      ? this.#merged(scan)
      : scanPairs(this.sql, this.#atHead(scan));
  }

  /** How many keys the range holds. */
  count(span: KeySpan, asOf: AsOf): number {
    if (this.isInTables(asOf)) return countKeys(this.sql, span, asOf);
    if (span.kind === 'single') return this.pair(span.key, asOf, false) === null ? 0 : 1;
    return countKeys(this.sql, span, 'head') + this.#changeOfCount(span, asOf, () => true);
  }

  /** How many keys the range holds now; if they are more than `max`, some number above it. */
  countUpTo(span: WideSpan, max: number): number {
    const overlaid = this.overlay.countWithin(span);
    const inTables = countHead(this.sql, span, max + overlaid + 1);
    return inTables + this.#changeOfCount(span, 'head', () => true);
  }

  /** How many keys of the range were created before a revision, counted up to `max`. */
  countCreatedBefore(
    span: WideSpan,
    { asOf, createRevision, max }: { readonly asOf: AsOf; readonly createRevision: number; readonly max: number },
  ): number {
    if (this.isInTables(asOf)) return countCreatedBefore(this.sql, span, { asOf, createRevision, max });
    const inTables = countCreatedBefore(this.sql, span, {
      asOf: 'head',
      createRevision,
      max: max + this.overlay.countWithin(span),
    });
    const change = this.#changeOfCount(span, asOf, (pair) => pair.createRevision < createRevision);
    return Math.min(max, inTables + change);
  }

  /** The pair of the range that was created first; of several, the one with the lowest key. Null: there is none. */
  firstCreated(span: WideSpan, asOf: AsOf): KeyValue | null {
    if (this.isInTables(asOf)) {
      const [key] = firstCreated(this.sql, span, asOf, 1);
      return key === undefined ? null : pairOf(this.sql, key, asOf, true);
    }
    const overlaid = this.overlay.countWithin(span);
    let first: KeyValue | null = null;
    const offer = (pair: KeyValue | null): void => {
      if (pair === null) return;
      const isEarlier =
        first === null ||
        pair.createRevision < first.createRevision ||
        (pair.createRevision === first.createRevision && compareBytes(pair.key, first.key) < 0);
      if (isEarlier) first = pair;
    };
    // Of what the tables alone have, the first one is enough.
    const key = firstCreated(this.sql, span, 'head', overlaid + 1).find((each) => this.overlay.find(each) === null);
    if (key !== undefined) offer(pairOf(this.sql, key, 'head', true));
    for (const { key } of this.overlay.within(span)) offer(this.pair(key, asOf, true));
    return first;
  }

  /** The version that began at that revision; null: it is compacted. */
  pairAt(key: Uint8Array, revision: Revision): KeyValue | null {
    const overlaid = this.overlay.isAfter(revision) ? null : this.overlay.find(key);
    const version = overlaid?.versions.find(({ mod, kv }) => mod === revision && kv !== null) ?? null;
    return version === null ? pairAt(this.sql, key, revision) : version.kv;
  }

  /** The pair before `revision`, which put or deleted the key. Null: it did not exist, or is compacted. */
  previousPair(key: Uint8Array, revision: Revision): KeyValue | null {
    if (this.overlay.isAfter(revision)) return previousPair(this.sql, key, revision);
    return this.pair(key, revision - 1, true);
  }

  *#onePair({ asOf, values, filter }: Scan, key: Uint8Array): Generator<KeyValue, void, void> {
    const pair = this.pair(key, asOf, values);
    if (pair !== null && (filter === null || filterHolds(filter, pair))) yield values ? pair : withoutValue(pair);
  }

  /** What memory does not have is in the tables as it is now. */
  #atHead(scan: Scan): Scan {
    return this.isInTables(scan.asOf) ? scan : { ...scan, asOf: 'head' };
  }

  *#merged(scan: Scan): Generator<KeyValue, void, void> {
    const { span, filter, descending, limit, values } = scan;
    const asOf = revisionOf(scan.asOf);
    const shadowed = this.overlay.countWithin(span);
    // A pair of the tables that the filter passes over there is one that it passes over here.
    const rows = scanPairs(this.sql, { ...scan, asOf: 'head', limit: limit === null ? null : limit + shadowed });
    const later = this.overlay.within(span, { descending });
    const order = descending ? -1 : 1;
    let left = limit ?? Infinity;
    let row = rows.next();
    let next = later.next();
    try {
      while (left > 0 && (row.done !== true || next.done !== true)) {
        const inTables = row.done === true ? null : row.value;
        const overlaid = next.done === true ? null : next.value;
        const compared =
          inTables === null ? 1 : overlaid === null ? -1 : order * compareBytes(inTables.key, overlaid.key);
        let pair = compared <= 0 ? inTables : null;
        if (overlaid !== null && compared >= 0) {
          const version = versionAsOf(overlaid, asOf);
          if (version !== null) pair = version.kv;
          next = later.next();
          if (pair !== null && filter !== null && !filterHolds(filter, pair)) pair = null;
        }
        if (compared <= 0) row = rows.next();
        if (pair === null) continue;
        yield values ? pair : withoutValue(pair);
        left--;
      }
    } finally {
      rows.return();
    }
  }

  /** How many more pairs hold at that revision than in the tables, which are counted as they are now. */
  #changeOfCount(span: KeySpan, asOf: AsOf, holds: (pair: KeyValue) => boolean): number {
    let change = 0;
    for (const overlaid of this.overlay.within(span)) {
      const { inTables } = overlaid;
      const version = versionAsOf(overlaid, revisionOf(asOf));
      if (version === null) continue;
      change += Number(version.kv !== null && holds(version.kv)) - Number(inTables !== null && holds(inTables));
    }
    return change;
  }
}

function revisionOf(asOf: AsOf): number {
  return asOf === 'head' ? Infinity : asOf;
}

function withoutValue(pair: KeyValue): KeyValue {
  return pair.value.byteLength === 0 ? pair : { ...pair, value: emptyBytes };
}
