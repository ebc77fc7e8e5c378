// How etcd answers a range: a filter, an order and a limit over the pairs of one revision. This belongs to the model,
// and has nothing of the real store.

import { type RangeRequest, sortOrder, sortTarget } from '../../../src/model/store.ts';
import type { PlainPair, PlainRange } from './plain.ts';

/** `pairs`: all pairs of the range, in the order of their keys. */
export function answerOf(request: RangeRequest, pairs: readonly PlainPair[]): PlainRange {
  const count = pairs.length;
  if (request.countOnly) return { kvs: [], count, more: false };
  const { limit, sortTarget: target } = request;
  const isFiltered =
    request.minModRevision > 0 ||
    request.maxModRevision > 0 ||
    request.minCreateRevision > 0 ||
    request.maxCreateRevision > 0;
  // With a limit and no order, etcd reads the lowest keys and one more, and orders those.
  const readsAll = limit === 0 || isFiltered || request.sortOrder !== sortOrder.none;
  const taken = readsAll ? pairs : pairs.slice(0, limit + 1);
  const ordered = inOrder(
    taken.filter((pair) => passes(request, pair)),
    { target, descends: request.sortOrder === sortOrder.descend },
  );
  const more = limit > 0 && ordered.length > limit;
  const kvs = more ? ordered.slice(0, limit) : ordered;
  return { kvs: request.keysOnly ? kvs.map((pair) => ({ ...pair, value: '', lease: '0' })) : kvs, count, more };
}

function passes(request: RangeRequest, { mod, create }: PlainPair): boolean {
  return (
    mod >= request.minModRevision &&
    (request.maxModRevision <= 0 || mod <= request.maxModRevision) &&
    create >= request.minCreateRevision &&
    (request.maxCreateRevision <= 0 || create <= request.maxCreateRevision)
  );
}

function inOrder(
  pairs: readonly PlainPair[],
  { target, descends }: { readonly target: number; readonly descends: boolean },
): readonly PlainPair[] {
  if (target === sortTarget.key) return descends ? pairs.toReversed() : pairs;
  const sign = descends ? -1 : 1;
  return pairs.toSorted((left, right) => sign * (rank(left, target) - rank(right, target)));
}

function rank(pair: PlainPair, target: number): number {
  switch (target) {
    case sortTarget.version:
      return pair.version;
    case sortTarget.create:
      return pair.create;
    case sortTarget.mod:
      return pair.mod;
    default:
      throw new Error(`no client of the simulator orders by ${target}`);
  }
}
