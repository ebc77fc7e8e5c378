// The events of a message as v3's JSON has them: the text is made once for all watches that are told the same.

import { EncodedOnce } from '../../base/encoded-once.ts';
import { watchFragmentBytesMax } from '../../limits.ts';
import type { RevisionEvents } from '../../model/store.ts';
import { eventTexts } from '../event-texts.ts';
import { encodeEvent } from './watch.ts';

type Revisions = readonly RevisionEvents[];

/** Null: they are more than one message may hold. */
function wholeOnce(previous: boolean): EncodedOnce<Revisions, string | null> {
  return new EncodedOnce((revisions) => eventTexts({ revisions, previous }, encodeEvent)?.join(',') ?? null);
}

function fragmentsOnce(previous: boolean): EncodedOnce<Revisions, readonly string[] | null> {
  return new EncodedOnce((revisions) => {
    const texts = eventTexts({ revisions, previous }, encodeEvent);
    return texts === null ? null : cutFragments(texts, ({ length }) => length).map((part) => part.join(','));
  });
}

const plain = { whole: wholeOnce(false), fragments: fragmentsOnce(false) };
const withPrevious = { whole: wholeOnce(true), fragments: fragmentsOnce(true) };

export const jsonEvents = {
  whole: (revisions: Revisions, previous: boolean): string | null =>
    (previous ? withPrevious : plain).whole.of(revisions),
  fragments: (revisions: Revisions, previous: boolean): readonly string[] | null =>
    (previous ? withPrevious : plain).fragments.of(revisions),
};

/** The events in parts of at most `watchFragmentBytesMax`; a larger event is a part of its own. */
export function cutFragments<Event>(events: readonly Event[], bytesOf: (event: Event) => number): readonly Event[][] {
  const parts: Event[][] = [];
  let part: Event[] = [];
  let bytes = 0;
  for (const event of events) {
    if (part.length > 0 && bytes + bytesOf(event) > watchFragmentBytesMax) {
      parts.push(part);
      part = [];
      bytes = 0;
    }
    part.push(event);
    bytes += bytesOf(event) + 1;
  }
  return [...parts, part];
}
