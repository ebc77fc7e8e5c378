// Runs a transaction that only reads, in slices: compares and ranges of any size, all at one revision. The same branch
// is chosen, and the same is refused, as in the log (`txn.ts`).

import { assert } from '../base/assert.ts';
import type { Compare, StoreFailure, TxnAnswer, TxnOperation, TxnPart, TxnRequest } from '../model/store.ts';
import type { SqlPort } from '../base/sql-port.ts';
import { pairHolds } from './compare.ts';
import { spanOf } from './key-range.ts';
import { type ReadView, readRangeInSteps } from './range.ts';
import { eachPair } from './read-slices.ts';
import { revisionFailure } from './txn.ts';

type ReadOperation =
  | Extract<TxnOperation, { readonly kind: 'range' }>
  | { readonly kind: 'txn'; readonly chosen: Chosen };
/** The transaction with its compares decided: only the branch that runs is left. */
type Chosen = { readonly succeeded: boolean; readonly operations: readonly ReadOperation[] };

export type ReadTxnResult =
  | { readonly kind: 'answer'; readonly answer: TxnAnswer }
  | { readonly kind: 'failed'; readonly failure: StoreFailure };

export function* readTxnInSteps(
  sql: SqlPort,
  request: TxnRequest,
  view: ReadView,
): Generator<void, ReadTxnResult, void> {
  const chosen = yield* choose(sql, request, view);
  const failure = failureBefore(chosen, view);
  return failure === null ? yield* run(sql, chosen, view) : { kind: 'failed', failure };
}

function* choose(sql: SqlPort, request: TxnRequest, view: ReadView): Generator<void, Chosen, void> {
  let succeeded = true;
  for (const compare of request.compare) {
    succeeded = yield* holds(sql, compare, view);
    if (!succeeded) break;
  }
  const operations: ReadOperation[] = [];
  for (const operation of succeeded ? request.success : request.failure) {
    if (operation.kind === 'range') operations.push(operation);
    else {
      assert(operation.kind === 'txn', 'a txn that only reads has ranges and others of its kind');
      operations.push({ kind: 'txn', chosen: yield* choose(sql, operation.request, view) });
    }
  }
  return { succeeded, operations };
}

/** Decides as `compareHolds` does. */
function* holds(sql: SqlPort, compare: Compare, { pace, asOf, current }: ReadView): Generator<void, boolean, void> {
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
  yield* eachPair(sql, scan, (pair) => {
    some = true;
    all = pairHolds(compare, pair);
    return all;
  });
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

function* run(sql: SqlPort, chosen: Chosen, view: ReadView): Generator<void, ReadTxnResult, void> {
  const parts: TxnPart[] = [];
  for (const operation of chosen.operations) {
    if (operation.kind === 'txn') {
      const nested = yield* run(sql, operation.chosen, view);
      if (nested.kind === 'failed') return nested;
      parts.push({ kind: 'txn', answer: nested.answer });
      continue;
    }
    const { request } = operation;
    const read = yield* readRangeInSteps(sql, request, view);
    if (read.kind === 'failed') return read;
    parts.push({ kind: 'range', revision: view.current, answer: read.answer, keysOnly: request.keysOnly });
  }
  return { kind: 'answer', answer: { succeeded: chosen.succeeded, parts } };
}
