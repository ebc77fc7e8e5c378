// Whether a compare of a transaction holds. Its numbers and rules are etcd's.

import { unreachable } from '../base/assert.ts';
import { compareBytes } from '../base/bytes.ts';
import { noLease } from '../model/brands.ts';
import { type Compare, compareResult, type KeyValue } from '../model/store.ts';
import { spanOf } from '../model/key-range.ts';
import type { Versions } from './overlay/versions.ts';
import type { WorkBudget } from './work-budget.ts';

/**
 * A compare over a range must hold for every key. Over no key, a compare of VALUE is false, and the others compare with
 * zero. Null: the compare takes more work than is left.
 */
export function compareHolds(versions: Versions, compare: Compare, work: WorkBudget): boolean | null {
  const scan = { span: spanOf(compare), asOf: 'head', filter: null, descending: false, limit: null } as const;
  let some = false;
  if (!work.look()) return null;
  for (const pair of versions.pairs({ ...scan, values: compare.target === 'value' })) {
    if (!work.look(pair.value.byteLength)) return null;
    some = true;
    if (!pairHolds(compare, pair)) return false;
  }
  return some || (compare.target !== 'value' && pairHolds(compare, null));
}

/** Null: there is no pair. */
export function pairHolds(compare: Compare, pair: KeyValue | null): boolean {
  const order = orderOf(compare, pair);
  switch (compare.result) {
    case compareResult.equal:
      return order === 0;
    case compareResult.notEqual:
      return order !== 0;
    case compareResult.greater:
      return order > 0;
    case compareResult.less:
      return order < 0;
    default:
      return true;
  }
}

/** Below 0: the value of the pair is the smaller one. */
function orderOf(compare: Compare, pair: KeyValue | null): number {
  switch (compare.target) {
    case 'version':
      return (pair?.version ?? 0) - compare.operand;
    case 'create':
      return (pair?.createRevision ?? 0) - compare.operand;
    case 'mod':
      return (pair?.modRevision ?? 0) - compare.operand;
    case 'lease': {
      const lease = pair?.lease ?? noLease;
      return lease === compare.operand ? 0 : lease > compare.operand ? 1 : -1;
    }
    case 'value':
      return pair === null ? -1 : compareBytes(pair.value, compare.operand);
    case 'unknown':
      return 0;
    default:
      return unreachable(compare);
  }
}
