// A put and a delete as requests: what must hold in the store before they are done, and their answers (`prev_kv`, too).
// A request that is a command by itself and one within a transaction are done by the same functions.

import { noLease } from '../model/brands.ts';
import { assert } from '../base/assert.ts';
import type {
  DeleteRangeAnswer,
  DeleteRangeRequest,
  KeyValue,
  PutAnswer,
  PutRequest,
  StoreFailure,
} from '../model/store.ts';
import { spanOf } from '../model/key-range.ts';
import type { Versions } from './overlay/versions.ts';
import type { Leases } from './leases.ts';
import type { AnswerBudget } from './range.ts';
import { drawWrittenRows } from './range-scan.ts';
import type { RevisionWriter } from './revision-writer.ts';
import type { WorkBudget } from './work-budget.ts';

/** The budgets of a request: what it may still answer, and look at and write. */
export type Budgets = { readonly answer: AnswerBudget; readonly work: WorkBudget };

export type Done<Answer> =
  | { readonly kind: 'answer'; readonly answer: Answer }
  | { readonly kind: 'failed'; readonly failure: StoreFailure };

const tooLarge = { kind: 'failed', failure: { kind: 'answerTooLarge' } } as const;

/** The failure that is known before anything is written. */
export function putFailure(versions: Versions, leases: Leases, request: PutRequest): StoreFailure | null {
  if (request.lease !== noLease && leases.find(request.lease) === null) return { kind: 'leaseNotFound' };
  if (!request.ignoreValue && !request.ignoreLease) return null;
  return versions.pair(request.key, 'head', false) === null ? { kind: 'keyNotFound' } : null;
}

/** Writes the pair unless that fails. `putFailure` was called before, and the work of writing one key was drawn. */
export function put(
  versions: Versions,
  writer: RevisionWriter,
  request: PutRequest,
  budgets: Budgets,
): Done<PutAnswer> {
  let { value, lease } = request;
  if (request.ignoreValue || request.ignoreLease) {
    const kept = versions.pair(request.key, 'head', request.ignoreValue);
    // Within a transaction, an earlier operation may have deleted the key.
    if (kept === null) return { kind: 'failed', failure: { kind: 'keyNotFound' } };
    if (request.ignoreValue) {
      if (!budgets.work.copy(kept.value.byteLength)) return { kind: 'failed', failure: budgets.work.failure };
      value = kept.value;
    }
    if (request.ignoreLease) lease = kept.lease;
  }
  const previous = writer.put({ key: request.key, value, lease }, request.previous);
  if (!request.previous || previous === null) return { kind: 'answer', answer: { previous: null } };
  return budgets.answer.take(previous) ? { kind: 'answer', answer: { previous } } : tooLarge;
}

/**
 * Too large a range is found before anything is deleted. Its rows are drawn from the budget (that one key is written
 * was drawn before), and the pairs that are asked for are read, which may be too large to be answered.
 */
export function deleteRange(
  versions: Versions,
  writer: RevisionWriter,
  request: DeleteRangeRequest,
  { answer, work }: Budgets,
): Done<DeleteRangeAnswer> {
  const tooMuchWork = (): Done<DeleteRangeAnswer> => ({ kind: 'failed', failure: work.failure });
  const span = spanOf(request);
  if (span.kind !== 'single' && !drawWrittenRows(versions.sql, span, work)) return tooMuchWork();
  const previous: KeyValue[] = [];
  if (request.previous) {
    const scan = { asOf: 'head', filter: null, descending: false, values: true, limit: null } as const;
    for (const pair of versions.pairs({ ...scan, span })) {
      if (!work.look(pair.value.byteLength)) return tooMuchWork();
      if (!answer.take(pair)) return tooLarge;
      previous.push(pair);
    }
  }
  const deleted = writer.deleteRange(request);
  assert(!request.previous || deleted === previous.length, 'what was read is what was deleted');
  return { kind: 'answer', answer: { deleted, previous } };
}
