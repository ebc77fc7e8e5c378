// How much of the log goes. It is bounded by entries and bytes; what a follower still lacks stays for a while longer.

import { type LogIndex, logIndex } from '../brands.ts';
import { logBytesKept, logBytesMax, logEntriesKept, logEntriesMax, logPatience, snapshotRowsBytes } from '../limits.ts';
import type { LogTable } from './log-table.ts';

/** How long a log may be, and how large a part of a snapshot. Others than these are for the simulator, whose runs are short. */
export type UpkeepBounds = {
  readonly logEntriesMax: number;
  readonly logEntriesKept: number;
  readonly snapshotRowsBytes: number;
};
export const usualBounds: UpkeepBounds = { logEntriesMax, logEntriesKept, snapshotRowsBytes };

export type TruncationBounds = {
  /** The store would start again from here: what follows must stay. */
  readonly persisted: LogIndex;
  /** A snapshot that is under way ends here, and its receiver goes on from there; null: none. */
  readonly held: LogIndex | null;
  /** On a leader, how far the member is that is least far; null: not known. */
  readonly leastMatch: LogIndex | null;
};

/** Where the log shall begin; null: it stays as it is. */
export function truncationPoint(
  log: LogTable,
  { persisted, held, leastMatch }: TruncationBounds,
  bounds: UpkeepBounds,
): LogIndex | null {
  const { entries, bytes } = log.size;
  if (entries <= bounds.logEntriesMax && bytes <= logBytesMax) return null;
  const base = log.base().index;
  const wanted = Math.max(base + entries - bounds.logEntriesKept, log.indexAfter(bytes - logBytesKept));
  const isPatient = entries <= logPatience * bounds.logEntriesMax && bytes <= logPatience * logBytesMax;
  const lacking = isPatient ? (leastMatch ?? persisted) : persisted;
  const point = Math.min(wanted, persisted, held ?? persisted, lacking);
  return point > base ? logIndex(point) : null;
}
