// How much of the log goes. It is bounded by entries and bytes; what a follower still lacks stays for a while longer,
// and what one lacks that takes a snapshot for longer still.

import { type LogIndex, logIndex } from '../model/brands.ts';
import {
  appendEntriesMax,
  carefulEntries,
  deleteStepRows,
  logBytesKept,
  logBytesMax,
  logEntriesKept,
  logEntriesMax,
  logHeldBytesMin,
  logPatience,
  quotaBytesDefault,
  snapshotRowsBytes,
  truncatedBytesMax,
  truncatedEntriesMax,
  turnRowsMax,
} from '../limits.ts';
import type { LogTable } from './log-table.ts';

/** Of the log, and of what is done with it at once. Others than these are for the simulator, whose runs are short. */
export type LogBounds = {
  readonly logEntriesMax: number;
  readonly logEntriesKept: number;
  readonly truncatedEntriesMax: number;
  /** Of a log that is held for a snapshot, by the bytes of the store when that was opened. */
  readonly logHeldBytesMax: (storeBytes: number) => number;
  readonly appendEntriesMax: number;
  readonly carefulEntries: number;
  readonly turnRowsMax: number;
  /** Keys that one step of a large delete moves. */
  readonly deleteStepRows: number;
  readonly snapshotRowsBytes: number;
};
export const usualBounds: LogBounds = {
  logEntriesMax,
  logEntriesKept,
  truncatedEntriesMax,
  logHeldBytesMax: (storeBytes) => Math.max(logHeldBytesMin, Math.min(storeBytes, quotaBytesDefault - storeBytes)),
  appendEntriesMax,
  carefulEntries,
  turnRowsMax,
  deleteStepRows,
  snapshotRowsBytes,
};

export type TruncationBounds = {
  /** The store would start again from here: what follows must stay. */
  readonly persisted: LogIndex;
  /** Who takes a snapshot goes on from here (`firstHeld`); null: nobody does. */
  readonly held: LogIndex | null;
  /** On a leader, how far the member is that is least far; null: not known. */
  readonly leastMatch: LogIndex | null;
};

/** Where the log shall begin by now; null: it stays as it is. A log that is much too long gets there in steps. */
export function truncationPoint(
  log: LogTable,
  { persisted, held, leastMatch }: TruncationBounds,
  bounds: LogBounds,
): LogIndex | null {
  const { entries, bytes } = log.size;
  if (entries <= bounds.logEntriesMax && bytes <= logBytesMax) return null;
  const base = log.base().index;
  const isPatient = entries <= logPatience * bounds.logEntriesMax && bytes <= logPatience * logBytesMax;
  const lacking = isPatient ? (leastMatch ?? persisted) : persisted;
  const needed = Math.min(persisted, held ?? persisted, lacking);
  if (needed <= base) return null;
  const step = { bytes: truncatedBytesMax, entries: bounds.truncatedEntriesMax };
  const wanted = Math.max(
    base + entries - bounds.logEntriesKept,
    log.indexAfter({ ...step, bytes: bytes - logBytesKept }),
  );
  const point = Math.min(wanted, needed, log.indexAfter(step));
  return point > base ? logIndex(point) : null;
}

/** What comes before is not held for anybody: the log has more bytes than it may have. null: it has not. */
export function firstHeld(log: LogTable, bytesMax: number, bounds: LogBounds): LogIndex | null {
  const tooMany = log.size.bytes - bytesMax;
  return tooMany <= 0 ? null : log.indexAfter({ bytes: tooMany, entries: bounds.truncatedEntriesMax });
}
