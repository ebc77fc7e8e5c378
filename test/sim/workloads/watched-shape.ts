// What a watcher of the simulator asks for, and which events that is.

import { unreachable } from '../../../src/base/assert.ts';
import type { KeyRange } from '../../../src/model/store.ts';
import type { Random } from '../../support/random.ts';
import type { WorkloadName } from '../faults.ts';
import { textOfBytes } from '../models/plain.ts';
import { everyKey, single, withPrefix } from './requests.ts';
import { kubernetesPrefixes } from './workload-kubernetes.ts';

export type WatchedShape = {
  readonly range: KeyRange;
  readonly noPut: boolean;
  readonly noDelete: boolean;
  readonly previous: boolean;
};

type Told = { readonly type: 'put' | 'delete'; readonly pair: { readonly key: string } };

export function matcherOf({ range, noPut, noDelete }: WatchedShape): (event: Told) => boolean {
  const [from, to] = [textOfBytes(range.key), textOfBytes(range.rangeEnd)];
  return ({ type, pair: { key } }) => {
    if (type === 'put' ? noPut : noDelete) return false;
    if (to === '') return key === from;
    return key >= from && (to === '\0' || key < to);
  };
}

/** One of the ranges that the clients of a workload write to. */
export function someRange(random: Random, workload: WorkloadName): KeyRange {
  switch (workload) {
    case 'mixed':
      return random.pick([everyKey, everyKey, withPrefix('a'), single('a'), withPrefix('b'), single('c')]);
    case 'kubernetes':
      return withPrefix(random.pick(kubernetesPrefixes));
    case 'batch':
      return withPrefix(random.pick(['job/', 'job/1/', 'job/2/']));
    default:
      return unreachable(workload);
  }
}
