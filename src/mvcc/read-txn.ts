// Runs a transaction that only reads, in slices: compares and ranges of any size, all at one revision. Many small parts
// share a slice. The same branch is chosen, and the same is refused, as in the log (`txn.ts`).

import { assert } from '../base/assert.ts';
import { comparedRowsMax, comparedValueBytesMax } from '../limits.ts';
import type { Compare, KeyValue, StoreFailure, TxnAnswer, TxnOperation, TxnPart, TxnRequest } from '../model/store.ts';
import { pairHolds } from './compare.ts';
import { spanOf } from '../model/key-range.ts';
import type { Versions } from './overlay/versions.ts';
import { type ReadView, readRangeInSteps } from './range.ts';
import { eachPair, type SliceBounds } from './read-slices.ts';
import { revisionFailure } from './txn.ts';
import { WorkBudget, type WorkLimits } from './work-budget.ts';

const comparedWork: WorkLimits = { rowsMax: comparedRowsMax, valueBytesMax: comparedValueBytesMax };

type ReadOperation =
  | Extract<TxnOperation, { readonly kind: 'range' }>
  | { readonly kind: 'txn'; readonly chosen: Chosen };
/** The transaction with its compares decided: only the branch that runs is left. */
type Chosen = { readonly succeeded: boolean; readonly operations: readonly ReadOperation[] };

export type ReadTxnResult =
  | { readonly kind: 'answer'; readonly answer: TxnAnswer }
  | { readonly kind: 'failed'; readonly failure: StoreFailure };

export function* readTxnInSteps(
  versions: Versions,
  request: TxnRequest,
  view: ReadView,
): Generator<void, ReadTxnResult, void> {
  const compared = new WorkBudget(comparedWork);
  const running = { view, slice: new Slice(view.pace) };
  const chosen = yield* choose(versions, request, { ...running, compared });
  if (chosen === null) return { kind: 'failed', failure: compared.failure };
  const failure = failureBefore(chosen, view);
  return failure === null ? yield* run(versions, chosen, running) : { kind: 'failed', failure };
}

/** `slice`: what was read since the last pause, by whichever part. */
type Running = { readonly view: ReadView; readonly slice: Slice };
/** `compared`: what all compares of the transaction may look at. */
type Comparing = Running & { readonly compared: WorkBudget };

/** Null: the compares look at too much. */
function* choose(versions: Versions, request: TxnRequest, comparing: Comparing): Generator<void, Chosen | null, void> {
  let succeeded = true;
  for (const compare of request.compare) {
    if (comparing.slice.isFull) yield* comparing.slice.next();
    const held = yield* holds(versions, compare, comparing);
    if (held === null) return null;
    succeeded = held;
    if (!succeeded) break;
  }
  const operations: ReadOperation[] = [];
  for (const operation of succeeded ? request.success : request.failure) {
    if (operation.kind === 'range') operations.push(operation);
    else {
      assert(operation.kind === 'txn', 'a txn that only reads has ranges and others of its kind');
      const chosen = yield* choose(versions, operation.request, comparing);
      if (chosen === null) return null;
      operations.push({ kind: 'txn', chosen });
    }
  }
  return { succeeded, operations };
}

/** Decides as `compareHolds` does. Null: that looks at too much. */
function* holds(
  versions: Versions,
  compare: Compare,
  { view: { pace, asOf, current }, slice, compared }: Comparing,
): Generator<void, boolean | null, void> {
  let isTooMuch = false;
  let some = false;
  let all = true;
  const scan = {
    span: spanOf(compare),
    asOf: () => asOf(current),
    filter: null,
    descending: false,
    values: compare.target === 'value',
    limit: null,
    bounds: pace?.bounds ?? null,
  } as const;
  yield* eachPair(versions, scan, (pair) => {
    some = true;
    all = pairHolds(compare, pair);
    isTooMuch = !compared.look(pair.value.byteLength);
    slice.took(pair);
    return all && !isTooMuch;
  });
  if (isTooMuch) return null;
  return some ? all : compare.target !== 'value' && pairHolds(compare, null);
}

function failureBefore(chosen: Chosen, view: ReadView): StoreFailure | null {
  for (const operation of chosen.operations) {
    const failure =
      operation.kind === 'txn' ? failureBefore(operation.chosen, view) : revisionFailure(operation.request, view);
    if (failure !== null) return failure;
  }
  return null;
}

function* run(versions: Versions, chosen: Chosen, running: Running): Generator<void, ReadTxnResult, void> {
  const { view, slice } = running;
  const parts: TxnPart[] = [];
  for (const operation of chosen.operations) {
    if (operation.kind === 'txn') {
      const nested = yield* run(versions, operation.chosen, running);
      if (nested.kind === 'failed') return nested;
      parts.push({ kind: 'txn', answer: nested.answer });
      continue;
    }
    const { request } = operation;
    if (slice.isFull) yield* slice.next();
    const read = yield* readRangeInSteps(versions, request, view);
    if (read.kind === 'failed') return read;
    slice.counted(read.answer.count);
    for (const pair of read.answer.kvs) slice.took(pair);
    parts.push({ kind: 'range', revision: view.current, answer: read.answer, keysOnly: request.keysOnly });
  }
  return { kind: 'answer', answer: { succeeded: chosen.succeeded, parts } };
}

/** What the parts that were read since the last pause have taken together. A part may pause by itself, too. */
class Slice {
  readonly #bounds: SliceBounds | null;
  #rows = 0;
  #countedRows = 0;
  #valueBytes = 0;

  constructor(pace: ReadView['pace']) {
    this.#bounds = pace?.bounds ?? null;
  }

  get isFull(): boolean {
    if (this.#bounds === null) return false;
    const { rowsMax, passedRowsMax, valueBytesMax } = this.#bounds;
    return this.#rows >= rowsMax || this.#countedRows >= passedRowsMax || this.#valueBytes >= valueBytesMax;
  }

  *next(): Generator<void, void, void> {
    yield;
    this.#rows = 0;
    this.#countedRows = 0;
    this.#valueBytes = 0;
  }

  took({ value }: KeyValue): void {
    this.#rows++;
    this.#valueBytes += value.byteLength;
  }

  counted(rows: number): void {
    this.#countedRows += rows;
  }
}
