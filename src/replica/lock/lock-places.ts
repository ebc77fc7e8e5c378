// The places of a queue, as one replica's store has them. The callers here have made sure that the store is far enough,
// and that they may read.

import { assert } from '../../base/assert.ts';
import { isPlace, oldestPlace, queueRange } from '../../api/queues.ts';
import { emptyBytes, equalBytes } from '../../base/bytes.ts';
import { lockWaitersMax } from '../../limits.ts';
import type { KeyValue, Outcome, RangeAnswer, RangeRequest, TxnPart } from '../../model/store.ts';
import type { Store } from '../../mvcc/store.ts';

type Readable = Pick<Store, 'range' | 'firstCreated' | 'countCreatedBefore'>;

/** The number of places taken before a revision, counted up to `limit`. */
export function countPlacesBefore(store: Readable, name: Uint8Array, createRevision: number, limit: number): number {
  return store.countCreatedBefore(queueRange(name), createRevision, limit);
}

export function placeAt(store: Pick<Store, 'range'>, key: Uint8Array): KeyValue | null {
  const { kvs } = read(store, { ...oldestPlace(key), key, rangeEnd: emptyBytes });
  return kvs.at(0) ?? null;
}

export type Queue = { readonly oldest: KeyValue | null; readonly count: number };

export function queueOf(store: Readable, name: Uint8Array): Queue {
  const { count } = read(store, { ...oldestPlace(name), countOnly: true });
  return { oldest: store.firstCreated(queueRange(name)), count };
}

/**
 * A key below `<name>/` that is no place and was there before a revision; null: there is none. It would count as a
 * place that nobody gives up. Before a place is taken, the first key that is none ends the look; behind one that has
 * stood for long there may be any number of younger keys, so that the look ends after as many keys as may be places.
 */
export function keyInTheWay(
  store: Pick<Store, 'heads'>,
  name: Uint8Array,
  createdBefore = Number.POSITIVE_INFINITY,
): Uint8Array | null {
  let looks = 0;
  for (const pair of store.heads(queueRange(name))) {
    if (pair.createRevision < createdBefore && !isPlace(pair)) return pair.key;
    looks++;
    if (looks === lockWaitersMax) return null;
  }
  return null;
}

function read(store: Pick<Store, 'range'>, request: RangeRequest): RangeAnswer {
  const result = store.range(request);
  assert(result.kind === 'answer', 'a read of the current revision that is bounded is answered');
  return result.answer;
}

/** What a transaction that takes a place did. */
export type Taken = {
  readonly createRevision: number;
  /** Null: the place was taken just now. */
  readonly before: KeyValue | null;
  /** Whether it was the oldest place then. Null: this was not asked. */
  readonly isOldest: boolean | null;
};

/**
 * The result of `lockTxn` and `campaignTxn`. Null: this is a retry whose answer is not remembered, and the store tells
 * the present state.
 */
export function takenBy(outcome: Outcome, key: Uint8Array): Taken | null {
  if (outcome.kind !== 'txn') return null;
  const [own, oldest] = outcome.answer.parts;
  const before = outcome.answer.succeeded ? null : (firstOf(own) ?? null);
  const createRevision = outcome.answer.succeeded ? revisionOf(own) : before?.createRevision;
  // Below level 3 of groups, the id may have named a transaction of the same form that took no place.
  if (createRevision === undefined) return null;
  const isOldest = oldest === undefined ? null : equalBytes(firstOf(oldest)?.key ?? emptyBytes, key);
  return { createRevision, before, isOldest };
}

/** The same for a place that is there. */
export function takenAlready(place: KeyValue | null): Taken | null {
  return place === null ? null : { createRevision: place.createRevision, before: place, isOldest: null };
}

function firstOf(part: TxnPart | undefined): KeyValue | undefined {
  return part?.kind === 'range' ? part.answer.kvs.at(0) : undefined;
}

function revisionOf(part: TxnPart | undefined): number | undefined {
  return part?.kind === 'put' ? part.revision : undefined;
}
