// What a watcher of the simulator asks for, and which events that is.

import type { KeyRange } from '../../../src/model/store.ts';
import { textOfBytes } from '../models/plain.ts';

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
