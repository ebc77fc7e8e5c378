// What clients may see. The committed log gives the order of all writes; the reference store says what each must have
// answered. Strict serializability follows from: every answer is the reference's at its place in that order, and no
// operation comes before one that had ended when it began.

import { isDeepStrictEqual } from 'node:util';
import type { ReplicaId } from '../../src/brands.ts';
import { decodeCommands } from '../../src/mvcc/command-codec.ts';
import type { Outcome, Operation, RangeRequest, RevisionEvents } from '../../src/model.ts';
import type { RangeOutcome, Store } from '../../src/mvcc/store.ts';
import type { ClientAction, ClientOperation } from './client-operation.ts';
import type { LogRow } from './durable-log.ts';
import { plainEvents, type PlainOutcome, plainOutcome, plainRange } from './plain.ts';
import { ReferenceStore } from './reference-store.ts';
import { check } from './trace.ts';
import { rangeRequest, everyKey } from './workload.ts';

const everything = rangeRequest(everyKey, { serializable: true, revision: 0 });

/** Where a write stands in the order of all: the count of commands before it. */
type Applied = { readonly position: number; readonly before: number; readonly outcome: PlainOutcome };

export class HistoryChecker {
  readonly #reference = new ReferenceStore();
  readonly #operationOf = new Map<string, ClientOperation>();
  readonly #appliedId = new Map<string, Applied>();
  readonly #appliedOperation = new Map<ClientOperation, string>();
  #position = 0;
  #done = { revision: 1, position: 0 };
  /** Writes that were in the log twice and had to be applied once. */
  retriesInLog = 0;

  get revision(): number {
    return this.#reference.revision;
  }

  begin(name: string, action: ClientAction): ClientOperation {
    const operation: ClientOperation = { name, action, floor: this.#done, possible: 0 };
    return operation;
  }

  /** The operation may show up in the log under this write id. */
  asked(operation: ClientOperation, writeId: string): void {
    this.#operationOf.set(writeId, operation);
  }

  committed(row: LogRow): void {
    if (row.kind !== 'command') return;
    for (const command of decodeCommands(row.data)) {
      const position = ++this.#position;
      const operation = this.#operationOf.get(command.writeId);
      const asked = operation?.action.kind === 'write' ? operation.action.operation : null;
      check(
        operation !== undefined && asked !== null,
        'no write from nowhere',
        () => `${command.writeId} at ${row.index}`,
      );
      check(isDeepStrictEqual(command.operation, asked), 'the log holds what was asked', () => {
        return `${operation.name}: ${text(command.operation)} for ${text(asked)}`;
      });
      check(operation.possible > 0, 'a refused write never shows up', () => `${operation.name} at entry ${row.index}`);
      if (this.#appliedId.has(command.writeId)) this.retriesInLog++;
      else this.#apply(command.writeId, operation, position);
    }
  }

  writeAnswered(operation: ClientOperation, writeId: string, outcome: Outcome): void {
    const applied = this.#appliedId.get(writeId);
    const { name, floor } = operation;
    check(applied !== undefined, 'an acknowledged write is committed', () => `${name} was answered ${text(outcome)}`);
    const answered = text(plainOutcome(outcome));
    // Of a retry whose first answer was too large to be kept, only the revision is known.
    const isShort = outcome.kind === 'appliedBefore' && outcome.revision === applied.outcome.revision;
    check(isShort || answered === text(applied.outcome), 'an answer is right', () => {
      return `${name} was answered ${answered}; the reference says ${text(applied.outcome)}`;
    });
    check(applied.position > floor.position && applied.before >= floor.revision, 'real-time order', () => {
      return `${name} took place at revision ${applied.outcome.revision}; ${floor.revision} was over before it began`;
    });
    this.#finished({ revision: applied.outcome.revision, position: applied.position });
  }

  readAnswered(
    operation: ClientOperation,
    request: RangeRequest,
    answer: { revision: number; result: RangeOutcome },
  ): void {
    const { revision, result } = answer;
    const { name, floor } = operation;
    check(revision <= this.#reference.revision, 'a read shows what is committed', () => {
      return `${name} saw revision ${revision}; ${this.#reference.revision} is committed`;
    });
    check(request.serializable || revision >= floor.revision, 'real-time order', () => {
      return `${name} saw revision ${revision}; ${floor.revision} was over before it began`;
    });
    this.#finished({ revision, position: 0 });
    if (result.kind === 'answer') {
      check(result.revision === revision, 'an answer is right', () => `${name} at ${revision} says ${result.revision}`);
      const seen = text(plainRange(result.answer));
      const expected = text(this.#reference.range(request, request.revision > 0 ? request.revision : revision));
      check(
        seen === expected,
        'a read is of one revision',
        () => `${name} at ${revision} saw ${seen}, not ${expected}`,
      );
      return;
    }
    const { failure } = result;
    const isCompacted = failure.kind === 'compacted' && request.revision < this.#reference.compacted;
    const isFuture = failure.kind === 'futureRevision' && request.revision > revision;
    check(isCompacted || isFuture, 'an answer is right', () => `${name} failed with ${text(failure)} at ${revision}`);
  }

  /** What a replica tells its watchers, or reads from its history for them. */
  checkEvents(who: string, whole: RevisionEvents, options: { readonly previous: boolean }): void {
    check(
      whole.revision <= this.#reference.revision,
      'events are of committed writes',
      () => `${who}: ${whole.revision}`,
    );
    const expected = this.#reference
      .eventsOf(whole.revision)
      .map((event) => (options.previous ? event : { ...event, previous: null }));
    const seen = plainEvents(whole).map((event) => (options.previous ? event : { ...event, previous: null }));
    check(text(seen) === text(expected), 'events are right', () => {
      return `${who} at revision ${whole.revision}: ${text(seen)}, not ${text(expected)}`;
    });
  }

  /** At the end: the whole store of a replica that has applied all. */
  checkWhole(id: ReplicaId, store: Store): void {
    const { revision } = this.#reference;
    check(store.revision === revision, 'equal states', () => `replica ${id} is at ${store.revision}, not ${revision}`);
    const result = store.range(everything);
    const seen = result.kind === 'answer' ? text(plainRange(result.answer)) : text(result.failure);
    const expected = text(this.#reference.range(everything, revision));
    check(seen === expected, 'equal states', () => `replica ${id} holds ${seen}, not ${expected}`);
  }

  #apply(writeId: string, operation: ClientOperation, position: number): void {
    const earlier = this.#appliedOperation.get(operation);
    check(earlier === undefined, 'a write is applied once', () => `${operation.name}: as ${earlier} and as ${writeId}`);
    const { action } = operation;
    check(action.kind === 'write', 'no write from nowhere', () => operation.name);
    const before = this.#reference.revision;
    const outcome = this.#reference.apply(action.operation);
    this.#appliedId.set(writeId, { position, before, outcome });
    this.#appliedOperation.set(operation, writeId);
  }

  #finished(at: { readonly revision: number; readonly position: number }): void {
    this.#done = {
      revision: Math.max(this.#done.revision, at.revision),
      position: Math.max(this.#done.position, at.position),
    };
  }
}

function text(value: Operation | PlainOutcome | object): string {
  return JSON.stringify(value, (_, part: unknown) => {
    if (part instanceof Uint8Array) return Buffer.from(part).toString('latin1');
    return typeof part === 'bigint' ? String(part) : part;
  });
}
