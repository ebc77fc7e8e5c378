// The log with which a group begins, where all its replicas are made by code that knows its level. What every fresh
// tenant has (its level, its first access key) is then in every replica's log before the group has a leader: a group
// that is made holds no election, and sleeps until somebody calls.

import { assert } from '../base/assert.ts';
import type { SqlPort } from '../base/sql-port.ts';
import { isKnownLevel } from '../model/levels.ts';
import type { Command } from '../model/store.ts';
import { encodeCommands, levelNeeded } from '../mvcc/codec/command-codec.ts';
import { LogTable } from './log-table.ts';

export type Founding = { readonly level: number; readonly commands: readonly Command[] };

/** False: this code does not know what the founding needs. */
export function knowsFounding({ level, commands }: Founding): boolean {
  return isKnownLevel(level) && commands.every(({ operation }) => levelNeeded(operation) <= level);
}

/**
 * Writes the log into a fresh database. Safe only where each voter of the group gets the same founding before any of
 * them runs: the entries count as committed, and no vote was ever given in their term.
 */
export function foundLog(sql: SqlPort, { level, commands }: Founding): void {
  const [first] = commands;
  assert(first !== undefined, 'a group is founded with commands');
  const operation = { kind: 'groupLevel', level } as const;
  const rise: Command = { writeId: 'level:0', caller: { kind: 'service' }, operation, atMs: first.atMs };
  // The level has an entry to itself, as it always has: what an entry means is decided by the level before it.
  new LogTable(sql).begin([encodeCommands([rise]), encodeCommands(commands)]);
}
