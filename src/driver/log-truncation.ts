// Decides how much of the log goes. The log is bounded by entries and bytes. Entries that a follower still lacks stay
// for a while longer, and those that a follower lacks while it takes a snapshot stay longer still.

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
  unflushedVersionsMax,
} from '../limits.ts';
import type { LogTable } from './log-table.ts';

/**
 * The bounds of the log, and of what is done with it at once. The simulator has others than these, because its runs are
 * short.
 */
export type LogBounds = {
  readonly logEntriesMax: number;
  readonly logEntriesKept: number;
  readonly truncatedEntriesMax: number;
  /** The bound of a log that is held for a snapshot, by the bytes that the store had when the snapshot was opened. */
  readonly logHeldBytesMax: (storeBytes: number) => number;
  readonly appendEntriesMax: number;
  readonly carefulEntries: number;
  readonly turnRowsMax: number;
  /** The number of keys that one step of a large delete moves. */
  readonly deleteStepRows: number;
  readonly snapshotRowsBytes: number;
  readonly unflushedVersionsMax: number;
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
  unflushedVersionsMax,
};

export type TruncationBounds = {
  /** After a restart the store goes on from this entry, so those that follow must stay. */
  readonly persisted: LogIndex;
  /** The replica that takes a snapshot goes on from this entry (`firstHeld`). Null: none takes one. */
  readonly held: LogIndex | null;
  /** On a leader, the highest entry that the member which is furthest behind has. Null: it is not known. */
  readonly leastMatch: LogIndex | null;
};

/**
 * The entry after which the log is to begin by now. Null: it stays as it is. A log that is much too long gets there in
 * steps.
 */
export function truncationPoint(
  log: LogTable,
  { persisted, held, leastMatch }: TruncationBounds,
  bounds: LogBounds,
): LogIndex | null {
  const { entries, bytes } = log.size;
  if (entries <= bounds.logEntriesMax && bytes <= logBytesMax) return null;
  const base = log.base().index;
  const lacking = isPatient(log, bounds) ? (leastMatch ?? persisted) : persisted;
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

/**
 * A log up to this size is kept for members that lag, and so for a receiver of a snapshot, too. A snapshot that was
 * given up for a log that then stays would be taken up from where it was, and given up again.
 */
export function isPatient({ size: { entries, bytes } }: Pick<LogTable, 'size'>, bounds: LogBounds): boolean {
  return entries <= logPatience * bounds.logEntriesMax && bytes <= logPatience * logBytesMax;
}

/** Entries up to this one are held for nobody, because the log has more than `bytesMax`. Null: it has not. */
export function firstHeld(log: LogTable, bytesMax: number, bounds: LogBounds): LogIndex | null {
  const tooMany = log.size.bytes - bytesMax;
  return tooMany <= 0 ? null : log.indexAfter({ bytes: tooMany, entries: bounds.truncatedEntriesMax });
}
