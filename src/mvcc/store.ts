// The replicated state machine: committed commands in, outcomes and events out. Its state is a function of the log alone, the
// same on every replica. It knows no clock, no network, no consensus; `apply` runs inside the caller's transaction, and if
// that is rolled back, or `apply` throws, the store must be opened anew.

import { assert, unreachable } from '../assert.ts';
import { type LogIndex, logIndex, type Revision, revision as asRevision } from '../brands.ts';
import type {
  AccessKey,
  Caller,
  Command,
  CompactRequest,
  DeleteRangeRequest,
  Operation,
  Outcome,
  PutRequest,
  RangeAnswer,
  RangeRequest,
  RevisionEvents,
  StoreFailure,
  TxnRequest,
} from '../model.ts';
import type { SqlPort } from '../sql-port.ts';
import { isAdministration } from './administration-codec.ts';
import { AccessKeys, type AccessNeed, accessOfOperation } from './access.ts';
import { BatchRecord, Batches } from './batches.ts';
import { Compaction } from './compaction.ts';
import { History, type HistoryPiece, type HistoryQuery } from './history.ts';
import { PageCounts } from './page-counts.ts';
import { isPlainPut, PutGroup, writePuts } from './put-group.ts';
import { AnswerBudget, readRange } from './range.ts';
import { countKeys } from './range-scan.ts';
import { deleteRangeShape, putShape } from './request-shape.ts';
import { RevisionWriter } from './revision-writer.ts';
import { openSchema } from './schema.ts';
import { runTxn } from './txn.ts';
import { txnShape } from './txn-shape.ts';
import { deleteRange, put, putFailure } from './write-operations.ts';
import { identityOf, RememberedWrites } from './write-ids.ts';

export type Applied = { readonly outcomes: readonly Outcome[]; readonly events: readonly RevisionEvents[] };

export type RangeOutcome =
  | { readonly kind: 'answer'; readonly revision: Revision; readonly answer: RangeAnswer }
  | { readonly kind: 'failed'; readonly failure: StoreFailure };

export type StoreSizes = { readonly databaseBytes: number; readonly keys: number };

/** An entry while it is applied. `group`: puts that are written with those that follow. */
type Batch = {
  readonly record: BatchRecord;
  readonly outcomes: Outcome[];
  readonly events: RevisionEvents[];
  readonly group: PutGroup;
};

/** What a command did. */
type Performed = { readonly outcome: Outcome; readonly writer: RevisionWriter | null };

const everyKey = { kind: 'open', from: Uint8Array.of(0) } as const;

export class Store {
  readonly #sql: SqlPort;
  readonly #batches: Batches;
  readonly #history: History;
  readonly #compaction: Compaction;
  readonly #accessKeys: AccessKeys;
  readonly #writes: RememberedWrites;
  readonly #pages = new PageCounts();
  #revision: Revision;
  #applied: LogIndex;
  #persisted: LogIndex;
  /** Counted when first asked for, and kept up from then on. */
  #keys: number | null = null;

  /** Creates the tables of a fresh store. Throws UnknownStoreFormat where a newer version wrote it. */
  constructor(sql: SqlPort) {
    openSchema(sql);
    this.#sql = sql;
    this.#batches = new Batches(sql);
    const newest = this.#batches.newest();
    this.#revision = newest?.lastRevision ?? asRevision(1);
    this.#applied = newest?.logIndex ?? logIndex(0);
    this.#persisted = this.#applied;
    this.#history = new History(sql, this.#batches);
    this.#compaction = new Compaction(sql);
    this.#accessKeys = new AccessKeys(sql);
    this.#writes = new RememberedWrites(this.#batches, newest?.writesTotal ?? 0);
  }

  get revision(): Revision {
    return this.#revision;
  }

  /** -1 before the first compaction. */
  get compactedRevision(): number {
    return this.#compaction.compactedRevision;
  }

  get appliedIndex(): LogIndex {
    return this.#applied;
  }

  /** What `appliedIndex` would be after a restart: entries without commands leave no row. The log must keep what follows. */
  get persistedIndex(): LogIndex {
    return this.#persisted;
  }

  /** Applies one log entry: its commands in order. A command that fails undoes only itself. */
  apply(index: LogIndex, commands: readonly Command[]): Applied {
    assert(index > this.#applied, 'log entries are applied in order, each once');
    const batch: Batch = { record: new BatchRecord(), outcomes: [], events: [], group: new PutGroup() };
    for (const [place, command] of commands.entries()) this.#applyCommand(command, place, batch);
    this.#applyGroup(batch);
    if (!batch.record.isEmpty) {
      const place = { lastRevision: this.#revision, logIndex: index };
      this.#batches.append(place, this.#writes.total, batch.record);
      this.#writes.settle(place);
      this.#persisted = index;
    }
    this.#applied = index;
    return { outcomes: batch.outcomes, events: batch.events };
  }

  /** An entry without commands. Leaves no row. */
  skip(index: LogIndex): void {
    assert(index > this.#applied, 'log entries are applied in order, each once');
    this.#applied = index;
  }

  range(request: RangeRequest): RangeOutcome {
    const current = this.#revision;
    const view = { current, compacted: this.compactedRevision, budget: new AnswerBudget(), pages: this.#pages };
    const result = readRange(this.#sql, request, view);
    return result.kind === 'failed' ? result : { kind: 'answer', revision: current, answer: result.answer };
  }

  /** What changed from a revision on. A start above the current revision answers nothing. */
  history(query: HistoryQuery): HistoryPiece {
    return this.#history.read(query, this.#revision, this.compactedRevision);
  }

  /** null: allowed. */
  authorize(caller: Caller, need: AccessNeed, nowMs: number): StoreFailure | null {
    return this.#accessKeys.authorize(caller, need, nowMs);
  }

  /** Those that are not revoked, the oldest first. */
  accessKeys(): readonly AccessKey[] {
    return this.#accessKeys.list();
  }

  sizes(): StoreSizes {
    this.#keys ??= countKeys(this.#sql, everyKey, 'head');
    return { databaseBytes: this.#sql.databaseBytes(), keys: this.#keys };
  }

  /**
   * Deletes some of the rows that compaction made superfluous: looks at about `rowsMax`. False: nothing is left to do until
   * the next compaction. No answer depends on it.
   */
  compactStep(rowsMax: number): boolean {
    return this.#compaction.step(rowsMax, this.#writes.total);
  }

  #applyCommand(command: Command, place: number, batch: Batch): void {
    const identity = identityOf(command);
    const { operation } = command;
    if (isPlainPut(operation)) {
      const { request } = operation;
      if (!batch.group.fits(request, identity)) this.#applyGroup(batch);
      if (this.#answerBefore(command, identity, batch.record) === null) {
        batch.group.add({ request, identity, place });
        return;
      }
    }
    this.#applyGroup(batch);
    const before = this.#answerBefore(command, identity, batch.record);
    batch.outcomes[place] = before ?? this.#applyAlone(command, identity, batch);
  }

  /** What is answered without the operation being done: it may not be, or was done before. */
  #answerBefore(command: Command, identity: string, record: BatchRecord): Outcome | null {
    // First of all, also for a retry: a key that was revoked meanwhile learns nothing more.
    const failure = this.authorize(command.caller, accessOfOperation(command.operation), command.atMs);
    if (failure !== null) return this.#failed(failure).outcome;
    return this.#writes.find(identity, record);
  }

  #applyAlone(command: Command, identity: string, batch: Batch): Outcome {
    const { outcome, writer } = this.#perform(command.operation, command.atMs);
    if (writer !== null && writer.events.length > 0) {
      this.#publish({ revision: writer.revision, events: writer.events }, batch);
    }
    this.#writes.remember(identity, outcome, batch.record);
    return outcome;
  }

  #applyGroup(batch: Batch): void {
    const puts = batch.group.take();
    if (puts.length === 0) return;
    const events = writePuts(this.#sql, puts, asRevision(this.#revision + 1));
    for (const [nth, { request, identity, place }] of puts.entries()) {
      const event = events[nth];
      assert(event !== undefined, 'each put has its event');
      const revision = asRevision(this.#revision + 1);
      this.#revision = revision;
      if (this.#keys !== null && event.previous === null) this.#keys++;
      this.#publish({ revision, events: [event] }, batch);
      const answer = { previous: request.previous ? event.previous : null };
      const outcome: Outcome = { kind: 'put', revision, answer };
      this.#writes.remember(identity, outcome, batch.record);
      batch.outcomes[place] = outcome;
    }
  }

  #publish(made: RevisionEvents, batch: Batch): void {
    batch.events.push(made);
    batch.record.addRevision(made);
  }

  #perform(operation: Operation, atMs: number): Performed {
    if (isAdministration(operation)) return this.#failed({ kind: 'operationNotServed', operation: operation.kind });
    switch (operation.kind) {
      case 'put':
        return this.#put(operation.request);
      case 'deleteRange':
        return this.#deleteRange(operation.request);
      case 'txn':
        return this.#txn(operation.request);
      case 'compact':
        return this.#compact(operation.request);
      case 'createAccessKey': {
        const failure = this.#accessKeys.create(operation.accessKey, atMs);
        if (failure !== null) return this.#failed(failure);
        return { outcome: { kind: 'createAccessKey', revision: this.#revision }, writer: null };
      }
      case 'revokeAccessKey': {
        const existed = this.#accessKeys.revoke(operation.id);
        const outcome: Outcome = { kind: 'revokeAccessKey', revision: this.#revision, existed };
        return { outcome, writer: null };
      }
      default:
        return unreachable(operation);
    }
  }

  #put(request: PutRequest): Performed {
    const failure = putShape(request) ?? putFailure(this.#sql, request);
    if (failure !== null) return this.#failed(failure);
    const writer = this.#writer();
    const done = put(this.#sql, writer, request, new AnswerBudget());
    assert(done.kind === 'answer', 'a put that was checked does not fail');
    return this.#made(writer, (revision) => ({ kind: 'put', revision, answer: done.answer }));
  }

  #deleteRange(request: DeleteRangeRequest): Performed {
    const failure = deleteRangeShape(request);
    if (failure !== null) return this.#failed(failure);
    const writer = this.#writer();
    const done = deleteRange(this.#sql, writer, request, new AnswerBudget());
    if (done.kind === 'failed') return this.#failed(done.failure);
    return this.#made(writer, (revision) => ({ kind: 'deleteRange', revision, answer: done.answer }));
  }

  #txn(request: TxnRequest): Performed {
    const failure = txnShape(request);
    if (failure !== null) return this.#failed(failure);
    const state = { current: this.#revision, compacted: this.compactedRevision, pages: this.#pages };
    const result = runTxn(this.#sql, request, state);
    if (result.kind === 'failed') return this.#failed(result.failure);
    return this.#made(result.writer, (revision) => ({ kind: 'txn', revision, answer: result.answer }));
  }

  #compact(request: CompactRequest): Performed {
    const failure = this.#compaction.compact(request.revision, this.#revision);
    if (failure !== null) return this.#failed(failure);
    return { outcome: { kind: 'compact', revision: this.#revision }, writer: null };
  }

  #writer(): RevisionWriter {
    return new RevisionWriter(this.#sql, asRevision(this.#revision + 1));
  }

  /** A revision is made by what changed something, and by nothing else. */
  #made(writer: RevisionWriter, outcome: (revision: Revision) => Outcome): Performed {
    if (writer.events.length > 0) {
      this.#revision = writer.revision;
      if (this.#keys !== null) this.#keys += writer.keysAdded;
    }
    return { outcome: outcome(this.#revision), writer };
  }

  #failed(failure: StoreFailure): Performed {
    return { outcome: { kind: 'failed', revision: this.#revision, failure }, writer: null };
  }
}
