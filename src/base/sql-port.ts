// The narrow port over SQLite on which the state machine and the log run. Two adapters: a Durable Object's storage
// (`replica/object-sql.ts`) and Node's SQLite (`test/support/node-sql.ts`, for tests and the simulator).
// Integers beyond 2^53 cannot pass (the platform hands integers out as JS numbers).

export type SqlValue = string | number | Uint8Array | null;
export type SqlRow = readonly SqlValue[];

/**
 * The database, or what it lies on, did not do what it was told. This concerns this replica alone, and does not mean
 * that a request was wrong. `cause` is what was thrown.
 */
export class StorageFault extends Error {
  override readonly name = 'StorageFault';

  constructor(cause: unknown) {
    super(cause instanceof Error ? cause.message : 'the storage failed', { cause });
  }
}

/**
 * Everything that the database of an adapter throws comes out as a StorageFault. What the body of a transaction throws
 * comes out unchanged.
 */
export interface SqlPort {
  /** Runs one statement for its effect. */
  run(statement: string, ...bindings: readonly SqlValue[]): void;
  /** The rows of one statement, each an array in the order of its columns. BLOBs come as Uint8Array. */
  all(statement: string, ...bindings: readonly SqlValue[]): SqlRow[];
  /** The rows one by one, so that a long result is never in memory as a whole. Stop by leaving the loop. */
  iterate(statement: string, ...bindings: readonly SqlValue[]): IterableIterator<SqlRow>;
  /** Bytes of the database. */
  databaseBytes(): number;
  /**
   * Runs `body`, whose writes are all there or none. If it throws, what it wrote may stay visible until the instance
   * ends, and is gone with it: the caller must end the instance before it gives way to anything else. It is cheaper
   * than `transaction`, because a savepoint makes SQLite copy each page that a statement touches.
   */
  turn<Result>(body: () => NotPromise<Result>): Result;
  /**
   * Runs `body`. If it throws, its writes are rolled back, and the throw goes on. Transactions nest. The body cannot be
   * async.
   */
  transaction<Result>(body: () => NotPromise<Result>): Result;
}

export function hasTable(sql: SqlPort, name: string): boolean {
  return sql.all("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", name).length > 0;
}

export type NotPromise<Value> = Value extends PromiseLike<unknown> ? never : Value;
