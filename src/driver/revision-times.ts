// When revisions came, as far as the log still tells: its commands have the time of their leader, and the batches of
// the store say which entry made which revision.

import { type LogIndex, logIndex } from '../model/brands.ts';
import { decodeCommands } from '../mvcc/codec/command-codec.ts';
import type { Store } from '../mvcc/store.ts';
import type { LogTable } from './log-table.ts';

/** The store was at that revision at that time, in milliseconds since 1970. */
export type RevisionTime = { readonly revision: number; readonly atMs: number };

/** At most about `max` of them, spread over the log, the oldest first. */
export function revisionTimes(log: LogTable, store: Pick<Store, 'revisionsAfter'>, max: number): RevisionTime[] {
  const known = [...store.revisionsAfter(log.base().index)].toReversed();
  const step = Math.max(1, Math.ceil(known.length / max));
  const times: RevisionTime[] = [];
  for (let at = 0; at < known.length; at += step) {
    const entry = known[at];
    const atMs = entry === undefined ? null : timeOf(log, logIndex(entry.logIndex));
    if (entry !== undefined && atMs !== null) times.push({ revision: entry.lastRevision, atMs });
  }
  return times;
}

/** Null: the entry has no command. */
function timeOf(log: LogTable, index: LogIndex): number | null {
  const [entry] = log.entries(index, index, 0);
  return entry?.kind === 'command' ? (decodeCommands(entry.data)[0]?.atMs ?? null) : null;
}
