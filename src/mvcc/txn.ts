// Runs a transaction whose shape is right. First all compares, nested ones too, choose the branches that run. Then
// everything that can fail is checked against the state before. Then the chosen operations run in order and make one
// revision, or none if one of them fails.

import { type Revision, revision as asRevision } from '../model/brands.ts';
import type {
  KeyValue,
  RangeRequest,
  StoreEvent,
  StoreFailure,
  TxnAnswer,
  TxnPart,
  TxnRequest,
} from '../model/store.ts';
import type { TxnOperation } from '../model/store.ts';
import { unreachable } from '../base/assert.ts';
import { keyText } from '../base/bytes.ts';
import { compareHolds } from './compare.ts';
import { spanOf } from '../model/key-range.ts';
import type { Versions } from './overlay/versions.ts';
import type { Leases } from './leases.ts';
import type { PageCounts } from './page-counts.ts';
import { AnswerBudget, readRange } from './range.ts';
import { type ReplacedPairs, RevisionWriter } from './revision-writer.ts';
import type { WorkBudget } from './work-budget.ts';
import { type Budgets, type Done, deleteRange, put, putFailure } from './put-and-delete.ts';

export type TxnState = {
  readonly current: Revision;
  readonly compacted: number;
  /** Null: the work that is drawn must not depend on it. */
  readonly pages: PageCounts | null;
  readonly leases: Leases;
  readonly work: WorkBudget;
  readonly replaced: ReplacedPairs;
  /** How many keys the transaction may add. Null: there is no such bound. */
  readonly keys: KeysLeft | null;
};

/** `left`: how many more keys the store may hold; below 0, it holds more than that. */
export type KeysLeft = { readonly left: number; readonly max: number };

export type TxnResult =
  | { readonly kind: 'answer'; readonly answer: TxnAnswer; readonly writer: RevisionWriter }
  | { readonly kind: 'failed'; readonly failure: StoreFailure };

/** A transaction with its compares decided: only the branch that runs is left. */
type Chosen = { readonly succeeded: boolean; readonly operations: readonly ChosenOperation[] };
type ChosenOperation =
  | Exclude<TxnOperation, { readonly kind: 'txn' | 'empty' }>
  | { readonly kind: 'txn'; readonly chosen: Chosen };

/**
 * Thrown by an operation that fails. If something was written before it, that is undone. The throw never leaves this
 * file.
 */
class Undo extends Error {
  readonly failure: StoreFailure;

  constructor(failure: StoreFailure) {
    super(failure.kind);
    this.failure = failure;
  }
}

export function runTxn(versions: Versions, request: TxnRequest, state: TxnState): TxnResult {
  try {
    const chosen = choose(versions, request, state.work);
    const failure = failureBefore(versions, chosen, state);
    if (failure !== null) return { kind: 'failed', failure };
    const run = (): TxnResult => {
      const running = new RunningTxn(versions, state);
      const answer = running.run(chosen);
      const { keysAdded } = running.writer;
      if (state.keys !== null && keysAdded > Math.max(0, state.keys.left)) throw new Undo(tooManyKeys(state.keys));
      seeTheStateBefore(running.writer.events);
      return { kind: 'answer', answer, writer: running.writer };
    };
    const operations = flat(chosen);
    return canFailHalfway(operations) || mayAddTooManyKeys(operations, state.keys) ? versions.undoable(run) : run();
  } catch (error) {
    if (error instanceof Undo) return { kind: 'failed', failure: error.failure };
    throw error;
  }
}

function choose(versions: Versions, request: TxnRequest, work: WorkBudget): Chosen {
  const succeeded = request.compare.every((compare) => {
    const holds = compareHolds(versions, compare, work);
    if (holds === null) throw new Undo(work.failure);
    return holds;
  });
  const operations: ChosenOperation[] = [];
  for (const operation of succeeded ? request.success : request.failure) {
    if (operation.kind === 'empty') continue;
    if (operation.kind === 'txn') operations.push({ kind: 'txn', chosen: choose(versions, operation.request, work) });
    else if (drawOperation(operation, work)) operations.push(operation);
    else throw new Undo(work.failure);
  }
  return { succeeded, operations };
}

/**
 * The least work of an operation. An operation that writes a single key takes no more, and so cannot fail by it after
 * another one has written.
 */
function drawOperation(operation: FlatOperation, work: WorkBudget): boolean {
  return operation.kind === 'range' || isOfRange(operation) ? work.look() : work.write(1);
}

/** The operation deletes a range. */
function isOfRange(operation: FlatOperation): boolean {
  return operation.kind === 'deleteRange' && spanOf(operation.request).kind !== 'single';
}

function failureBefore(versions: Versions, chosen: Chosen, state: TxnState): StoreFailure | null {
  for (const operation of chosen.operations) {
    const failure = operationFailure(versions, operation, state);
    if (failure !== null) return failure;
  }
  return null;
}

function operationFailure(versions: Versions, operation: ChosenOperation, state: TxnState): StoreFailure | null {
  switch (operation.kind) {
    case 'range':
      return revisionFailure(operation.request, state);
    case 'put':
      return putFailure(versions, state.leases, operation.request);
    case 'deleteRange':
      return null;
    case 'txn':
      return failureBefore(versions, operation.chosen, state);
    default:
      return unreachable(operation);
  }
}

/**
 * Unlike in a range by itself, a negative revision is compared like any other: below the compacted one (-1 at first) it
 * fails.
 */
export function revisionFailure(
  request: RangeRequest,
  state: Pick<TxnState, 'current' | 'compacted'>,
): StoreFailure | null {
  if (request.revision === 0) return null;
  if (request.revision > state.current) return { kind: 'futureRevision', revision: state.current };
  if (request.revision < state.compacted) return { kind: 'compacted', compactedRevision: state.compacted };
  return null;
}

type FlatOperation = Exclude<ChosenOperation, { readonly kind: 'txn' }>;

/** The operations in the order in which they run. */
function flat(chosen: Chosen): FlatOperation[] {
  return chosen.operations.flatMap((operation) => (operation.kind === 'txn' ? flat(operation.chosen) : [operation]));
}

/**
 * Whether an operation that can still fail comes after a write, or is one: by too large an answer, by too much work, or
 * because its key was deleted before. A delete of a range fails before it writes.
 */
function canFailHalfway(operations: readonly FlatOperation[]): boolean {
  const firstWrite = operations.findIndex((operation) => operation.kind !== 'range');
  if (firstWrite < 0) return false;
  return operations.slice(firstWrite).some((operation, place) => {
    if (operation.kind === 'range') return true;
    if (operation.request.previous || (place > 0 && isOfRange(operation))) return true;
    return operation.kind === 'put' && (operation.request.ignoreValue || operation.request.ignoreLease);
  });
}

/** This goes by the number of puts, so that a transaction far from the bound costs nothing more. */
function mayAddTooManyKeys(operations: readonly FlatOperation[], keys: KeysLeft | null): boolean {
  return keys !== null && operations.filter(({ kind }) => kind === 'put').length > Math.max(0, keys.left);
}

export function tooManyKeys({ max }: KeysLeft): StoreFailure {
  return { kind: 'tooMany', what: 'keys', max };
}

class RunningTxn {
  readonly writer: RevisionWriter;
  readonly #versions: Versions;
  readonly #state: TxnState;
  readonly #budgets: Budgets;

  constructor(versions: Versions, state: TxnState) {
    this.#versions = versions;
    this.#state = state;
    this.#budgets = { answer: new AnswerBudget(), work: state.work };
    this.writer = new RevisionWriter(versions, asRevision(state.current + 1), state.replaced);
  }

  run(chosen: Chosen): TxnAnswer {
    return { succeeded: chosen.succeeded, parts: chosen.operations.map((operation) => this.#part(operation)) };
  }

  #part(operation: ChosenOperation): TxnPart {
    switch (operation.kind) {
      case 'range': {
        const { request } = operation;
        const answer = answered(readRange(this.#versions, request, this.#view()));
        return { kind: 'range', revision: this.#revision(), answer, keysOnly: request.keysOnly };
      }
      case 'put': {
        const answer = answered(put(this.#versions, this.writer, operation.request, this.#budgets));
        return { kind: 'put', revision: this.#revision(), answer };
      }
      case 'deleteRange': {
        const answer = answered(deleteRange(this.#versions, this.writer, operation.request, this.#budgets));
        return { kind: 'deleteRange', revision: this.#revision(), answer };
      }
      case 'txn':
        return { kind: 'txn', answer: this.run(operation.chosen) };
      default:
        return unreachable(operation);
    }
  }

  /** The state of the store, as far as the transaction has come. */
  #revision(): Revision {
    return this.writer.events.length > 0 ? this.writer.revision : this.#state.current;
  }

  #view(): Parameters<typeof readRange>[2] {
    const pages = this.writer.events.length > 0 ? null : this.#state.pages;
    const { answer: budget, work } = this.#budgets;
    const { compacted } = this.#state;
    return { current: this.#revision(), asOf: () => 'head', compacted, budget, work, pages, pace: null };
  }
}

function answered<Answer>(done: Done<Answer>): Answer {
  if (done.kind === 'failed') throw new Undo(done.failure);
  return done.answer;
}

/**
 * If a transaction puts a key and deletes it, each delete shows the pair before the transaction, as etcd reads it for
 * its watches. A put after a delete creates the key, and shows no previous pair. Only keys that were put and deleted
 * are looked at, so that a delete of very many keys stays cheap.
 */
function seeTheStateBefore(events: StoreEvent[]): void {
  const put = new Set<string>();
  let deletes = false;
  for (const event of events) {
    if (event.type === 'put') put.add(keyText(event.kv.key));
    else deletes = true;
  }
  if (!deletes || put.size === 0) return;
  const both = new Set<string>();
  for (const { type, kv } of events) if (type === 'delete' && put.has(keyText(kv.key))) both.add(keyText(kv.key));
  if (both.size === 0) return;
  const before = new Map<string, KeyValue | null>();
  for (const [place, event] of events.entries()) {
    const text = keyText(event.kv.key);
    if (!both.has(text)) continue;
    const first = before.get(text);
    if (first === undefined) before.set(text, event.previous);
    else if (event.type === 'delete') events[place] = { type: event.type, kv: event.kv, previous: first };
  }
}
