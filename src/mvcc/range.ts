// Answers a range request, exactly as etcd does: order, limit, filters, count. It never holds more than the answer, and
// no answer is larger than `rangeAnswerBytesMax`.

import { noLease, type Revision } from '../model/brands.ts';
import { emptyBytes } from '../base/bytes.ts';
import { rangeAnswerBytesMax } from '../limits.ts';
import { PackedPairs, PairGatherer } from '../model/codec/packed-pairs.ts';
import {
  type KeyValue,
  type Pairs,
  type RangeAnswer,
  type RangeRequest,
  type StoreFailure,
  sortOrder,
  sortTarget,
} from '../model/store.ts';
import { type KeySpan, spanOf } from '../model/key-range.ts';
import type { Versions } from './overlay/versions.ts';
import type { PageCounts } from './page-counts.ts';
import { type AsOf, drawRows, filterOf, type RevisionFilter } from './range-scan.ts';
import { countInSlices, eachPair, type SliceBounds } from './read-slices.ts';
import { runSteps } from './steps.ts';
import { rangeShape } from './request-shape.ts';
import { FirstPairs, pairOrderOf } from './sorted-pairs.ts';
import type { WorkBudget } from './work-budget.ts';

/** The bytes that a pair takes in an answer beside key and value. */
export const pairOverheadBytes = 64;

/** What a pair takes as an object with its views, beside its bytes. */
const loosePairBytes = 640;

/** Counts down what an answer may still hold. A transaction has one budget for all its parts. */
export class AnswerBudget {
  #left = rangeAnswerBytesMax;
  /** Pairs that are not packed. */
  loosePairs = 0;
  readonly #gatherers: PairGatherer[] = [];

  /** The memory that is taken. */
  get heldBytes(): number {
    return rangeAnswerBytesMax - this.#left + this.loosePairs * loosePairBytes;
  }

  /** A read in slices packs its pairs, so that they can be dropped together. */
  gatherer({ packs }: { readonly packs: boolean }): PairGatherer {
    const gatherer = new PairGatherer({ packs });
    if (packs) this.#gatherers.push(gatherer);
    return gatherer;
  }

  /** The read is forgotten. Nobody has its answer, and it does not go on. */
  drop(): void {
    for (const gatherer of this.#gatherers) gatherer.drop();
  }

  /** False: the pair is too much. */
  take(pair: KeyValue): boolean {
    this.#left -= pairBytes(pair);
    return this.#left >= 0;
  }

  /** Called for a pair that the answer holds in place of another one. */
  exchange(taken: KeyValue, dropped: KeyValue): boolean {
    this.#left += pairBytes(dropped) - pairBytes(taken);
    return this.#left >= 0;
  }
}

function pairBytes(pair: KeyValue): number {
  return pair.key.byteLength + pair.value.byteLength + pairOverheadBytes;
}

/** What a read sees: the present revision, and the compacted one. */
export type ReadView = {
  /** In a transaction that has changed something, the revision that it makes. */
  readonly current: Revision;
  /** How `current` is read at this moment. */
  readonly asOf: (current: Revision) => AsOf;
  readonly compacted: number;
  readonly budget: AnswerBudget;
  readonly work: WorkBudget;
  /** Null in a transaction that has changed something, because nobody else has its state yet. */
  readonly pages: PageCounts | null;
  /** Null: the read is made at once, as in a command. */
  readonly pace: Pace | null;
};

/** The pace of a read in slices, between which others may write. */
export type Pace = { readonly bounds: SliceBounds };

export type RangeResult =
  | { readonly kind: 'answer'; readonly answer: RangeAnswer }
  | { readonly kind: 'failed'; readonly failure: StoreFailure };

const tooLarge: RangeResult = { kind: 'failed', failure: { kind: 'answerTooLarge' } };

/** Reads at once. `view.pace` is null. */
export function readRange(versions: Versions, request: RangeRequest, view: ReadView): RangeResult {
  return runSteps(readRangeInSteps(versions, request, view));
}

export function* readRangeInSteps(
  versions: Versions,
  request: RangeRequest,
  view: ReadView,
): Generator<void, RangeResult, void> {
  const failure = rangeShape(request) ?? revisionFailure(request, view);
  if (failure !== null) return { kind: 'failed', failure };
  const asOf = request.revision <= 0 || request.revision === view.current ? 'head' : request.revision;
  const read = new Read(versions, request, view, asOf);
  if (!read.passesBy()) return read.tooMuchWork();
  if (request.countOnly) {
    const count = yield* read.count();
    return count === null ? read.tooMuchWork() : { kind: 'answer', answer: { kvs: [], more: false, count } };
  }
  const byKey = request.sortTarget === sortTarget.key;
  if (byKey) return yield* read.byKey();
  const isLimited = request.limit > 0;
  const takesLowestKeys = isLimited && request.sortOrder === sortOrder.none && read.filter === null;
  return yield* takesLowestKeys ? read.lowestKeysSorted() : read.sorted();
}

function revisionFailure(request: RangeRequest, view: ReadView): StoreFailure | null {
  if (request.revision > view.current) return { kind: 'futureRevision', revision: view.current };
  if (request.revision > 0 && request.revision < view.compacted) {
    return { kind: 'compacted', compactedRevision: view.compacted };
  }
  return null;
}

class Read {
  readonly filter: RevisionFilter | null;
  readonly #versions: Versions;
  readonly #request: RangeRequest;
  readonly #view: ReadView;
  readonly #asOf: AsOf;
  readonly #span: KeySpan;
  readonly #limit: number | null;
  readonly #values: boolean;

  constructor(versions: Versions, request: RangeRequest, view: ReadView, asOf: AsOf) {
    this.filter = filterOf(request);
    this.#versions = versions;
    this.#request = request;
    this.#view = view;
    this.#asOf = asOf;
    this.#span = spanOf(request);
    this.#limit = request.limit > 0 ? Math.min(request.limit, Number.MAX_SAFE_INTEGER - 1) : null;
    this.#values = !request.keysOnly || request.sortTarget === sortTarget.value;
  }

  /** Draws the rows that the database passes by. False: they are too many. */
  passesBy(): boolean {
    const isWhole = this.filter === null && this.#asOf === 'head';
    return isWhole || this.#drawRows();
  }

  /** Null: it is too much work. */
  *count(): Generator<void, number | null, void> {
    const revision = this.#asOf === 'head' ? this.#view.current : this.#asOf;
    const known = this.#view.pages?.find(this.#span, revision) ?? null;
    if (known !== null) return known;
    if (!this.#drawRows()) return null;
    return yield* countInSlices(this.#versions, { span: this.#span, asOf: this.#asOfNow, bounds: this.#bounds });
  }

  tooMuchWork(): RangeResult {
    return { kind: 'failed', failure: this.#view.work.failure };
  }

  /** Draws the rows of the range, which the database goes through once more. False: they are too many. */
  #drawRows(): boolean {
    const { work, compacted } = this.#view;
    return drawRows(this.#versions.sql, this.#span, { asOf: this.#asOf, compacted, work });
  }

  *byKey(): Generator<void, RangeResult, void> {
    const { work, budget, pace } = this.#view;
    // What a command answers is not kept long, and a read in slices holds its pairs over many turns.
    const kvs = budget.gatherer({ packs: pace !== null });
    let more = false;
    let failure: RangeResult | null = null;
    yield* this.#each({ limited: true, descending: this.#request.sortOrder === sortOrder.descend }, (pair) => {
      if (this.#limit !== null && kvs.length === this.#limit) more = true;
      else if (!work.look(pair.value.byteLength)) failure = this.tooMuchWork();
      else if (!budget.take(pair)) failure = tooLarge;
      else {
        kvs.add(this.#request.keysOnly ? this.#keyOnly(pair) : pair);
        return true;
      }
      return false;
    });
    if (failure !== null) return failure;
    const pairs = kvs.pairs();
    if (!(pairs instanceof PackedPairs)) budget.loosePairs += pairs.length;
    return yield* this.#answer(pairs, more);
  }

  /** With a limit and no order, etcd sorts the lowest n + 1 keys, and answers the first n of them. */
  *lowestKeysSorted(): Generator<void, RangeResult, void> {
    const lowest: KeyValue[] = [];
    const { work, budget } = this.#view;
    let failure: RangeResult | null = null;
    yield* this.#each({ limited: true, descending: false }, (pair) => {
      if (!work.look(pair.value.byteLength)) failure = this.tooMuchWork();
      else if (!budget.take(pair)) failure = tooLarge;
      else {
        budget.loosePairs++;
        return lowest.push(pair) > 0;
      }
      return false;
    });
    if (failure !== null) return failure;
    lowest.sort(pairOrderOf(this.#request));
    const more = this.#limit !== null && lowest.length > this.#limit;
    return yield* this.#answer(this.#shown(more ? lowest.slice(0, -1) : lowest), more);
  }

  /** All pairs pass by; as many as the limit are kept. */
  *sorted(): Generator<void, RangeResult, void> {
    const first = new FirstPairs(pairOrderOf(this.#request), this.#limit ?? Number.MAX_SAFE_INTEGER);
    const { budget, work } = this.#view;
    let failure: RangeResult | null = null;
    yield* this.#each({ limited: false, descending: false }, (pair) => {
      if (work.look(pair.value.byteLength)) {
        const dropped = first.offer(pair);
        if (dropped === null) budget.loosePairs++;
        if (dropped === null ? budget.take(pair) : budget.exchange(pair, dropped)) return true;
        failure = tooLarge;
      } else failure = this.tooMuchWork();
      return false;
    });
    if (failure !== null) return failure;
    const kvs = first.inOrder();
    return yield* this.#answer(this.#shown(kvs), first.offered > kvs.length);
  }

  #each(
    options: { readonly limited: boolean; readonly descending: boolean },
    take: (pair: KeyValue) => boolean,
  ): Generator<void, void, void> {
    const scan = {
      span: this.#span,
      asOf: this.#asOfNow,
      filter: this.filter,
      descending: options.descending,
      values: this.#values,
      limit: options.limited && this.#limit !== null ? this.#limit + 1 : null,
      bounds: this.#bounds,
    };
    return eachPair(this.#versions, scan, take);
  }

  get #bounds(): SliceBounds | null {
    return this.#view.pace?.bounds ?? null;
  }

  /** The head at the beginning of the read is an earlier revision once others have written. */
  readonly #asOfNow = (): AsOf => {
    const { asOf, current } = this.#view;
    return this.#asOf === 'head' ? asOf(current) : this.#asOf;
  };

  *#answer(kvs: Pairs, more: boolean): Generator<void, RangeResult, void> {
    const isAll = !more && this.filter === null;
    const count = isAll ? kvs.length : yield* this.count();
    if (count === null) return this.tooMuchWork();
    this.#rememberPage(kvs, more, count);
    return { kind: 'answer', answer: { kvs, more, count } };
  }

  #shown(pairs: readonly KeyValue[]): readonly KeyValue[] {
    return this.#request.keysOnly ? pairs.map((pair) => this.#keyOnly(pair)) : pairs;
  }

  #rememberPage(kvs: Pairs, more: boolean, count: number): void {
    const { sortTarget: target, sortOrder: order } = this.#request;
    const inKeyOrder = target === sortTarget.key && order !== sortOrder.descend && this.filter === null;
    const last = kvs.at(-1);
    if (!more || !inKeyOrder || last === undefined) return;
    const revision = this.#asOf === 'head' ? this.#view.current : this.#asOf;
    this.#view.pages?.remember({ span: this.#span, revision, lastKey: last.key, left: count - kvs.length });
  }

  /** From etcd 3.7 on, the lease is left out, too, unless values had to be read. */
  #keyOnly(pair: KeyValue): KeyValue {
    const byValue = this.#request.sortTarget === sortTarget.value;
    return { ...pair, value: emptyBytes, lease: byValue ? pair.lease : noLease };
  }
}
