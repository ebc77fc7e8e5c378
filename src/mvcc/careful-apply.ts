// What happens if a command of a log entry throws. A committed entry cannot be taken back, so the command is undone
// whole and answered as a failure, the same on every replica, and the group goes on: one bad entry must not be the end
// of a store. If storage or the platform throws, no command is undone: that replica starts again from its disk.
//
// An entry is applied as it comes, and only if that throws is it applied again, here. What it wrote must be undone for
// that, and a savepoint makes SQLite copy each page that is touched. Entries whose commands are point operations go
// without one. Where they stay in memory, memory is taken back. Below level 5, where they write rows, a throw ends the
// instance with its turn, and the next one applies the same entry within a savepoint.

import type { LogIndex } from '../model/brands.ts';
import { commandsUndoneMax } from '../limits.ts';
import type { Command, Operation } from '../model/store.ts';
import { type NotPromise, type SqlPort, StorageFault } from '../base/sql-port.ts';
import { CarefulRun } from './careful-run.ts';
import type { Applied, Store } from './store.ts';

/** A command that threw, or that came after too many that threw. `error` is what was thrown. */
export type UndoneCommand = {
  readonly index: LogIndex;
  readonly operation: Operation['kind'];
  readonly error: unknown;
};

/** The throw concerns this replica at this moment: another replica, or the same one later, may have no such trouble. */
function isOfThePlatform(error: unknown): boolean {
  // The depth of the stack and the free memory differ from replica to replica.
  return error instanceof StorageFault || (error instanceof RangeError && /call stack|allocation/i.test(error.message));
}

export type AppliedCarefully = { readonly applied: Applied; readonly undone: readonly UndoneCommand[] };

/**
 * `apply` applies the entry, or a step of it, and what it answers is the result. If it throws, what it wrote is undone,
 * and the entry is applied carefully. Call it within a turn.
 */
export function applyOrUndo<Result>(
  { sql, store }: { readonly sql: SqlPort; readonly store: Store },
  { index, commands }: { readonly index: LogIndex; readonly commands: readonly Command[] },
  apply: () => NotPromise<Result>,
): { readonly result: Result } | AppliedCarefully {
  try {
    return { result: sql.transaction(apply) };
  } catch (error) {
    if (isOfThePlatform(error)) throw error;
    store.reopen();
    return applyCarefully(sql, store, index, commands);
  }
}

/**
 * Like `applyOrUndo`, of point operations that stay in memory. They write nothing that a savepoint would have to undo,
 * so an entry that does not throw costs nothing more.
 */
export function applyToMemoryOrUndo(
  { sql, store }: { readonly sql: SqlPort; readonly store: Store },
  { index, commands }: { readonly index: LogIndex; readonly commands: readonly Command[] },
): { readonly result: Applied } | AppliedCarefully {
  try {
    return { result: store.applyToMemory(index, commands) };
  } catch (error) {
    if (isOfThePlatform(error)) throw error;
    store.takeBack(index);
    return applyCarefully(sql, store, index, commands);
  }
}

/** Call it within a turn. The store is as it was before the entry, in its rows and in memory. */
export function applyCarefully(
  sql: SqlPort,
  store: Store,
  index: LogIndex,
  commands: readonly Command[],
): AppliedCarefully {
  const run = new CarefulRun();
  for (;;) {
    try {
      const applied = sql.transaction(() => store.apply(index, commands, run));
      return { applied, undone: undoneOf(index, commands, run) };
    } catch (error) {
      if (isOfThePlatform(error) || run.undone.size === commands.length) throw error;
      store.reopen();
      undo(run, commands.length, error);
    }
  }
}

/** The command that threw is known, unless the row of the whole entry threw. */
function undo(run: CarefulRun, count: number, error: unknown): void {
  const first = run.place ?? 0;
  const isTooMuch = run.place === null || run.undone.size >= commandsUndoneMax;
  const last = isTooMuch ? count - 1 : first;
  for (let place = first; place <= last; place++) run.undone.set(place, error);
}

function undoneOf(index: LogIndex, commands: readonly Command[], { undone }: CarefulRun): UndoneCommand[] {
  return commands.flatMap(({ operation }, place) =>
    undone.has(place) ? [{ index, operation: operation.kind, error: undone.get(place) }] : [],
  );
}
