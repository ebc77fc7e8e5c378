// How much of the log goes. It is bounded by entries and bytes; what a follower still lacks stays for a while longer.

import { type LogIndex, logIndex } from '../brands.ts';
import { logBytesKept, logBytesMax, logEntriesKept, logEntriesMax, logPatience } from '../limits.ts';
import type { LogTable } from './log-table.ts';

export type TruncationBounds = {
  /** The store would start again from here: what follows must stay. */
  readonly persisted: LogIndex;
  /** A snapshot that is under way ends here, and its receiver goes on from there; null: none. */
  readonly held: LogIndex | null;
  /** On a leader, how far the member is that is least far; null: not known. */
  readonly leastMatch: LogIndex | null;
};

/** Where the log shall begin; null: it stays as it is. */
export function truncationPoint(log: LogTable, { persisted, held, leastMatch }: TruncationBounds): LogIndex | null {
  const { entries, bytes } = log.size;
  if (entries <= logEntriesMax && bytes <= logBytesMax) return null;
  const base = log.base().index;
  const wanted = Math.max(base + entries - logEntriesKept, log.indexAfter(bytes - logBytesKept));
  const isPatient = entries <= logPatience * logEntriesMax && bytes <= logPatience * logBytesMax;
  const lacking = isPatient ? (leastMatch ?? persisted) : persisted;
  const point = Math.min(wanted, persisted, held ?? persisted, lacking);
  return point > base ? logIndex(point) : null;
}
