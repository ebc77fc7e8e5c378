// Requests, commands, and a store that is fed them, in short form for tests.

import { leaseId, type LogIndex, logIndex, revision } from '../../src/model/brands.ts';
import { emptyBytes, prefixEnd, textOf, utf8 } from '../../src/base/bytes.ts';
import type {
  Caller,
  Command,
  Compare,
  DeleteRangeRequest,
  KeyRange,
  Operation,
  Outcome,
  Pairs,
  PutRequest,
  RangeAnswer,
  RangeRequest,
  RevisionEvents,
  StoreFailure,
  TxnOperation,
  TxnRequest,
} from '../../src/model/store.ts';
import type { AnswerTo, Query } from '../../src/model/queries.ts';
import { isPointOperation } from '../../src/mvcc/point-operations.ts';
import { type Applied, Store } from '../../src/mvcc/store.ts';
import type { HistoryPiece } from '../../src/mvcc/history.ts';
import type { LeaseChange } from '../../src/mvcc/leases.ts';
import type { SqlPort } from '../../src/base/sql-port.ts';

export type Bytes = string | Uint8Array;
export const bytes = (value: Bytes): Uint8Array => (typeof value === 'string' ? utf8(value) : value);
export const fromKeyOn = '\0';
export const service: Caller = { kind: 'service' };

export function keyRange(key: Bytes, rangeEnd: Bytes = emptyBytes): KeyRange {
  return { key: bytes(key), rangeEnd: bytes(rangeEnd) };
}

export function prefix(text: string): KeyRange {
  return { key: utf8(text), rangeEnd: prefixEnd(utf8(text)) ?? utf8(fromKeyOn) };
}

export const everything = keyRange(fromKeyOn, fromKeyOn);

export function range(of: KeyRange | string, options: Partial<RangeRequest> = {}): RangeRequest {
  return {
    ...(typeof of === 'string' ? keyRange(of) : of),
    limit: 0,
    revision: 0,
    sortOrder: 0,
    sortTarget: 0,
    serializable: false,
    keysOnly: false,
    countOnly: false,
    minModRevision: 0,
    maxModRevision: 0,
    minCreateRevision: 0,
    maxCreateRevision: 0,
    ...options,
  };
}

export function putRequest(key: Bytes, value: Bytes = 'v', options: Partial<PutRequest> = {}): PutRequest {
  return {
    key: bytes(key),
    value: bytes(value),
    lease: leaseId(0n),
    previous: false,
    ignoreValue: false,
    ignoreLease: false,
    ...options,
  };
}

function deleteRequest(of: KeyRange | string, previous = false): DeleteRangeRequest {
  return { ...(typeof of === 'string' ? keyRange(of) : of), previous };
}

export const put = (key: Bytes, value?: Bytes, options?: Partial<PutRequest>): TxnOperation & Operation => ({
  kind: 'put',
  request: putRequest(key, value, options),
});
export const remove = (of: KeyRange | string, previous = false): TxnOperation & Operation => ({
  kind: 'deleteRange',
  request: deleteRequest(of, previous),
});
export const read = (of: KeyRange | string, options?: Partial<RangeRequest>): TxnOperation => ({
  kind: 'range',
  request: range(of, options),
});
export const toLevel = (level: number): Operation => ({ kind: 'groupLevel', level });
export const compact = (at: number): Operation => ({ kind: 'compact', request: { revision: at } });

export function grant(id: number | bigint, ttlSeconds = 600, candidate = 1): Operation {
  return { kind: 'leaseGrant', id: leaseId(BigInt(id)), candidate: leaseId(BigInt(candidate)), ttlSeconds };
}
export const revokeLease = (id: number | bigint): Operation => ({ kind: 'leaseRevoke', id: leaseId(BigInt(id)) });
export const expire = (...ids: readonly number[]): Operation => ({
  kind: 'leaseExpire',
  leases: ids.map((id) => ({ id: leaseId(BigInt(id)), storedMs: null })),
});
/** A put with a lease. */
export const putLeased = (key: Bytes, lease: number, options: Partial<PutRequest> = {}): TxnOperation & Operation =>
  put(key, 'v', { lease: leaseId(BigInt(lease)), ...options });

export function txnRequest(parts: Partial<TxnRequest>): TxnRequest {
  return { compare: [], success: [], failure: [], ...parts };
}
export const txn = (parts: Partial<TxnRequest>): TxnOperation & Operation => ({
  kind: 'txn',
  request: txnRequest(parts),
});

/** A compare: key, target, result, operand. The result is `equal` if none is given. */
export function versionIs(of: KeyRange | string, operand: number, result = 0): Compare {
  return { ...(typeof of === 'string' ? keyRange(of) : of), target: 'version', operand, result };
}

/** A store, and a log that feeds it. */
export class Fed {
  static #keepsInMemory = false;
  readonly #sql: SqlPort;
  /** True: point operations stay in memory until a flush, which comes now and then. */
  readonly #waits = Fed.#keepsInMemory;
  /** The entries since the last flush. */
  #unflushed: { readonly index: LogIndex; readonly commands: readonly Command[] }[] = [];
  store: Store;
  index = 0;
  /** All events since the store was first opened. */
  readonly events: RevisionEvents[] = [];
  readonly leaseChanges: LeaseChange[] = [];
  #written: number;
  /** The keys that a step of a large delete moves. Null: everything is applied at once. */
  readonly stepRows: number | null;

  /** `written`: the number in the id of the next write. */
  constructor(sql: SqlPort, written = 0, stepRows: number | null = null) {
    this.#sql = sql;
    this.store = new Store(sql);
    this.#written = written;
    this.stepRows = stepRows;
  }

  /** The stores that `body` makes keep point operations in memory, between flushes. */
  static inMemory<Result>(body: () => Result): Result {
    Fed.#keepsInMemory = true;
    try {
      return body();
    } finally {
      Fed.#keepsInMemory = false;
    }
  }

  /** The database, with the rows of all that was applied. */
  get sql(): SqlPort {
    this.flush();
    return this.#sql;
  }

  flush(): void {
    this.#unflushed = [];
    if (this.store.hasUnflushed) this.#sql.transaction(() => this.store.flush());
  }

  /** Opens the store anew as after a crash or an eviction: nothing but the database and the log is left. */
  reopen(): void {
    this.store = new Store(this.#sql);
    const again = this.#unflushed;
    this.#unflushed = [];
    for (const { index, commands } of again) if (index > this.store.appliedIndex) this.apply(index, commands);
    this.index = Math.max(this.index, this.store.appliedIndex);
  }

  /** Applies one entry with these operations. */
  batch(operations: readonly Operation[], caller: Caller = service, atMs = 1): readonly Outcome[] {
    const commands = operations.map((operation) => ({ writeId: `w${this.#written++}`, caller, atMs, operation }));
    return this.commands(commands);
  }

  commands(commands: Parameters<Store['apply']>[1]): readonly Outcome[] {
    const index = logIndex(++this.index);
    const { revision: before } = this.store;
    const { outcomes, events, leases } = this.apply(index, commands);
    this.leaseChanges.push(...leases);
    const told = events ?? eventsOf(this.history(before + 1));
    for (const made of told) this.events.push(made);
    return outcomes;
  }

  apply(index: LogIndex, commands: readonly Command[]): Applied {
    if (this.#waits && commands.every(({ operation }) => isPointOperation(operation))) {
      if (index % 7 === 0) this.flush();
      this.#unflushed.push({ index, commands });
      return this.store.applyToMemory(index, commands);
    }
    this.flush();
    const { stepRows } = this;
    const steps = stepRows === null ? null : this.store.applyInSteps(index, commands, stepRows);
    if (steps === null) return this.#sql.transaction(() => this.store.apply(index, commands));
    for (;;) {
      const step = this.#sql.transaction(() => steps.next());
      if (step.done === true) return step.value;
    }
  }

  do(operation: Operation, caller: Caller = service, atMs = 1): Outcome {
    const [outcome] = this.batch([operation], caller, atMs);
    if (outcome === undefined) throw new Error('a command has an outcome');
    return outcome;
  }

  /** The failure of this operation. Null: it did not fail. */
  fails(operation: Operation, caller: Caller = service, atMs = 1): StoreFailure | null {
    const outcome = this.do(operation, caller, atMs);
    return outcome.kind === 'failed' ? outcome.failure : null;
  }

  ask<Kind extends Query['kind']>(query: Query & { readonly kind: Kind }, caller: Caller = service): AnswerTo<Kind> {
    const result = this.store.query<Kind>(query, caller, 1);
    if (result.kind === 'failed') throw new Error(`the query failed: ${result.failure.kind}`);
    return result.answer;
  }

  askFails(query: Query, caller: Caller = service): StoreFailure | null {
    const result = this.store.query(query, caller, 1);
    return result.kind === 'failed' ? result.failure : null;
  }

  put(key: Bytes, value?: Bytes, options?: Partial<PutRequest>): Outcome {
    return this.do(put(key, value, options));
  }

  remove(of: KeyRange | string, previous = false): Outcome {
    return this.do(remove(of, previous));
  }

  range(of: KeyRange | string, options: Partial<RangeRequest> = {}): RangeAnswer {
    const result = this.store.range(range(of, options));
    if (result.kind === 'failed') throw new Error(`the range failed: ${result.failure.kind}`);
    return result.answer;
  }

  rangeFails(of: KeyRange | string, options: Partial<RangeRequest> = {}): StoreFailure | null {
    const result = this.store.range(range(of, options));
    return result.kind === 'failed' ? result.failure : null;
  }

  history(
    from: number,
    options: { readonly bytesMax?: number; readonly ranges?: readonly KeyRange[] } = {},
  ): HistoryPiece {
    const { bytesMax = 1e9, ranges = null } = options;
    return this.store.history({ from: revision(from), bytesMax, ranges });
  }

  /** Sweeps all superseded rows that a compaction has left. */
  sweep(rowsMax = 1_000): void {
    while (this.store.compactStep(rowsMax));
  }
}

function eventsOf(piece: HistoryPiece): readonly RevisionEvents[] {
  if (piece.kind !== 'events') throw new Error('what was just applied is not compacted');
  return piece.revisions;
}

/** Each pair as `key=value@mod`, so that a test reads like a list. */
export function shown(pairs: Pairs): string[] {
  return pairs.map((pair) => `${textOf(pair.key)}=${textOf(pair.value)}@${pair.modRevision}`);
}

export function keysOf(pairs: Pairs): string[] {
  return pairs.map((pair) => textOf(pair.key) ?? 'not text');
}

/** Each event of one revision as `put k=v@mod was k=v@mod`. */
export function shownEvents(revisions: readonly RevisionEvents[]): string[] {
  return revisions.map(({ revision: at, events }) => {
    const each = events.map((event) => {
      const was = event.previous === null ? '' : ` was ${shown([event.previous])[0]}`;
      return event.type === 'put' ? `put ${shown([event.kv])[0]}${was}` : `delete ${textOf(event.kv.key)}${was}`;
    });
    return `${at}: ${each.join(', ')}`;
  });
}
