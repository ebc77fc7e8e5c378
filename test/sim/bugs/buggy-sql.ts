// Planted bugs of the store: a database that does something else than it is told, on any replica.

import { PassingSql } from '../../support/passing-sql.ts';
import { plantedThrow } from '../../support/throwing-sql.ts';
import { keyAfter } from '../../../src/mvcc/revision-writer.ts';
import type { NotPromise, SqlPort, SqlValue } from '../../../src/base/sql-port.ts';
import type { PlantedBug } from './bugs.ts';

/** Null: the statement runs as it was given. */
type Told = { readonly bindings: readonly SqlValue[] } | null;
type Twist = (statement: string, bindings: readonly SqlValue[]) => Told | 'nothing';

const twists: { readonly [Bug in PlantedBug]?: Twist } = {
  /** One key is never attached to a lease, and so survives it. */
  attachedKeyKept: (statement, bindings) => {
    const attaches = /^\s*insert\b.*\blease_keys\b/is.test(statement);
    return attaches && bindings.some((value) => value instanceof Uint8Array && textOf(value) === 'c')
      ? 'nothing'
      : null;
  },
  /** One version in a snapshot is not taken over. */
  snapshotRowLost: (statement, bindings) => {
    const stages = /^\s*insert into incoming_head\b/i.test(statement);
    return stages && Number(bindings[1]) % 5 === 0 ? 'nothing' : null;
  },
  /** The last binding of a sweep is the compacted revision. */
  compactedTooFar: (statement, bindings) => {
    if (!/^\s*delete from superseded\b/i.test(statement)) return null;
    const [compacted, rest] = [bindings.at(-1), bindings.slice(0, -1)];
    return { bindings: [...rest, Number(compacted) + 1] };
  },
  /** The first binding of a step that moves rows is the revision at which they end. */
  deletedTooEarly: (statement, [until, ...keys]) => {
    const isStep = /^insert into superseded\b.*\bkey <= \?3/is.test(statement);
    return isStep ? { bindings: [Number(until) - 1, ...keys] } : null;
  },
  /** The log begins after an entry whose term nobody knows any more. */
  snapshotWithoutTerm: (statement, [index]) => {
    if (!statement.startsWith('UPDATE hard_state SET base_index') || index === undefined) return null;
    return { bindings: [index, 0] };
  },
  /** The first entry that should be kept is cut with the others. */
  truncatedTooFar: (statement, [base]) => {
    return statement === 'DELETE FROM log WHERE log_index <= ?' ? { bindings: [Number(base) + 1] } : null;
  },
  /** The place after the one that is free: mostly that of an entry which the log begins with. */
  placeUsedWhileHeld: (statement, bindings) => {
    const [place, columns] = [bindings.at(-1), bindings.slice(0, -1)];
    return statement.startsWith('UPDATE log_places') ? { bindings: [...columns, Number(place) + 1] } : null;
  },
  suffixLeft: (statement) => (statement.startsWith('DELETE FROM log_places') ? 'nothing' : null),
  revocationInMemory: (statement) => (statement.startsWith('UPDATE access_keys SET state = 1') ? 'nothing' : null),
  sharedRowNotWritten: (statement) => (statement.startsWith('UPDATE batches') ? 'nothing' : null),
  /** Single rows of versions that ended while they were in memory. */
  versionForgotten: (statement) =>
    statement.startsWith('INSERT INTO superseded (key, mod, until, created, version, lease, value, large) VALUES')
      ? 'nothing'
      : null,
  /** After a restart a replica counts by an older configuration. */
  configurationForgotten: (statement) => (statement.startsWith('INSERT INTO configurations') ? 'nothing' : null),
};

export function sqlWithBug(sql: SqlPort, bug: PlantedBug | null): SqlPort {
  if (bug === 'undoneInPart') return new SqlWithoutInnerTransactions(sql, () => null);
  if (bug === 'halfTurnKept') return new SqlThatKeepsHalfTurns(sql, () => null);
  if (bug === 'flushedApart') return new SqlThatMovesTheIndexLater(sql, () => null);
  if (bug === 'flushedInTransaction') return new SqlThatUndoesFlushes(sql, () => null);
  if (bug === 'deleteResumedLate') return new SqlThatResumesLate(sql, () => null);
  const twist = bug === null ? undefined : twists[bug];
  return twist === undefined ? sql : new BuggySql(sql, twist);
}

/** A row of its own, or the row of those before it. */
function writesBatch(statement: string): boolean {
  return /^(INSERT INTO|UPDATE) batches\b/.test(statement);
}

function writesRows(statement: string): boolean {
  return (
    /^(INSERT INTO superseded|INSERT OR REPLACE INTO head|DELETE FROM head)\b/.test(statement) || writesBatch(statement)
  );
}

class BuggySql extends PassingSql {
  readonly #twist: Twist;

  constructor(sql: SqlPort, twist: Twist) {
    super(sql);
    this.#twist = twist;
  }

  override run(statement: string, ...bindings: readonly SqlValue[]): void {
    const told = this.#twist(statement, bindings);
    if (told !== 'nothing') super.run(statement, ...(told?.bindings ?? bindings));
  }
}

/** A transaction within a turn that throws leaves what it has written. */
class SqlWithoutInnerTransactions extends BuggySql {
  #inTurn = false;

  override turn<Result>(body: () => NotPromise<Result>): Result {
    this.#inTurn = true;
    try {
      return super.turn(body);
    } finally {
      this.#inTurn = false;
    }
  }

  override transaction<Result>(body: () => NotPromise<Result>): Result {
    return this.#inTurn ? body() : super.transaction(body);
  }
}

/** The rows of batches, which say how far the tables are, come in a transaction of their own after the others. */
class SqlThatMovesTheIndexLater extends BuggySql {
  #later: (() => void)[] | null = null;

  override run(statement: string, ...bindings: readonly SqlValue[]): void {
    if (this.#later === null || !writesBatch(statement)) return super.run(statement, ...bindings);
    this.#later.push(() => super.run(statement, ...bindings));
  }

  override turn<Result>(body: () => NotPromise<Result>): Result {
    const later: (() => void)[] = (this.#later = []);
    const result = super.turn(body);
    this.#later = null;
    if (later.length > 0) super.turn(() => later.forEach((write) => write()));
    return result;
  }
}

/** What a turn has flushed is undone with the first transaction within it that throws. */
class SqlThatUndoesFlushes extends BuggySql {
  #state: 'outside' | 'turn' | 'flushed' = 'outside';
  #depth = 0;

  override run(statement: string, ...bindings: readonly SqlValue[]): void {
    if (this.#state === 'turn' && this.#depth === 0 && writesRows(statement)) {
      super.run('SAVEPOINT flush');
      this.#state = 'flushed';
    }
    super.run(statement, ...bindings);
  }

  override turn<Result>(body: () => NotPromise<Result>): Result {
    return super.turn(() => {
      this.#state = 'turn';
      try {
        const result = body();
        if (this.#isFlushed) super.run('RELEASE flush');
        return result;
      } finally {
        this.#state = 'outside';
      }
    });
  }

  override transaction<Result>(body: () => NotPromise<Result>): Result {
    this.#depth++;
    try {
      return super.transaction(body);
    } catch (error) {
      if (this.#depth === 1 && this.#isFlushed) super.run('ROLLBACK TO flush');
      throw error;
    } finally {
      this.#depth--;
    }
  }

  get #isFlushed(): boolean {
    return this.#state === 'flushed';
  }
}

/**
 * As where an object's turn throws and the object is not aborted before it gives way. Now and then a flush throws, too,
 * when it has written some of its rows.
 */
class SqlThatKeepsHalfTurns extends BuggySql {
  #batches = 0;

  override run(statement: string, ...bindings: readonly SqlValue[]): void {
    super.run(statement, ...bindings);
    if (writesBatch(statement) && ++this.#batches % 40 === 0) throw plantedThrow();
  }

  override turn<Result>(body: () => NotPromise<Result>): Result {
    const written = super.turn<{ readonly result: Result } | { readonly error: unknown }>(() => {
      try {
        return { result: body() };
      } catch (error) {
        return { error };
      }
    });
    if ('error' in written) throw written.error;
    return written.result;
  }
}

/** The first step of an instance that goes on with a large delete leaves out the first of its keys. */
class SqlThatResumesLate extends BuggySql {
  #hasBegun = false;

  override run(statement: string, ...bindings: readonly SqlValue[]): void {
    const [first, second, ...others] = bindings;
    if (first === 'format') this.#hasBegun = true;
    const isMove = /^insert into superseded\b.*\bkey <= \?3/is.test(statement);
    const isRemoval = /^delete from head where key >= \? and key <= \?$/i.test(statement);
    if (this.#hasBegun || !(isMove || isRemoval)) return super.run(statement, ...bindings);
    if (isRemoval) this.#hasBegun = true;
    if (isMove && second instanceof Uint8Array) super.run(statement, first ?? null, keyAfter(second), ...others);
    if (isRemoval && first instanceof Uint8Array) super.run(statement, keyAfter(first), second ?? null);
  }
}

function textOf(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}
