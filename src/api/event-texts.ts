// The texts of the events of one message, whichever API's they are.

import { watchEventsBytesMax } from '../limits.ts';
import type { RevisionEvents, StoreEvent } from '../model/store.ts';

/** Whole revisions, and whether their events are told with the pairs before them. */
export type ToldRevisions = { readonly revisions: readonly RevisionEvents[]; readonly previous: boolean };

/** Null: they are more than one message may hold. */
export function eventTexts(
  { revisions, previous }: ToldRevisions,
  encode: (event: StoreEvent, withPrevious: boolean) => string,
): readonly string[] | null {
  const texts: string[] = [];
  let bytes = 0;
  for (const { events } of revisions) {
    for (const event of events) {
      const text = encode(event, previous);
      bytes += text.length;
      if (bytes > watchEventsBytesMax) return null;
      texts.push(text);
    }
  }
  return texts;
}
