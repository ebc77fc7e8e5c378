// The replicated state machine: committed commands in, outcomes and events out. Its state is a function of the log
// alone, the same on every replica. It knows no clock, no network, no consensus; `apply` runs inside the caller's
// transaction, and if that is rolled back, or `apply` throws, the store must be opened anew (`reopen`).

import { assert, unreachable } from '../base/assert.ts';
import { type LeaseId, type LogIndex, logIndex, type Revision, revision as asRevision } from '../model/brands.ts';
import { readSlicePassedRows, readSliceRows, readSliceValueBytes } from '../limits.ts';
import type {
  AccessKey,
  Caller,
  Command,
  DeleteRangeRequest,
  KeyRange,
  KeyValue,
  Operation,
  Outcome,
  PutRequest,
  RangeAnswer,
  RangeRequest,
  RevisionEvents,
  StoreFailure,
  TxnRequest,
} from '../model/store.ts';
import { isAnswerTo, type Query, type QueryResult } from '../model/queries.ts';
import { groupLevel } from '../model/levels.ts';
import { rowsOfWrittenRow } from '../limits.ts';
import type { SqlPort } from '../base/sql-port.ts';
import { type AccessNeed, accessOfQuery } from './auth/access-need.ts';
import { Administration, isQuiet, type WriteRefusal } from './administration.ts';
import { BatchRecord, Batches, type Hashed } from './batches.ts';
import type { CarefulRun } from './careful-run.ts';
import { Compaction, type Needed } from './compaction.ts';
import { GroupLevel } from './group-level.ts';
import { History, type HistoryPiece, type HistoryQuery, type HistorySlice, type SlicedQuery } from './history.ts';
import { type KeySpan, spanOf } from './key-range.ts';
import { type DeletedKeys, holdsMoreKeys, LargeDelete, mayDeleteMany, measureDeletions } from './large-delete.ts';
import type { LeaseChange, StoredLease } from './leases.ts';
import { canAnswer } from './outcome-kind.ts';
import { PageCounts } from './page-counts.ts';
import { isPlainPut, PutGroup, writePuts } from './put-group.ts';
import { AnswerBudget, type Pace, readRangeInSteps, type ReadView } from './range.ts';
import { type AsOf, countCreatedBefore, firstCreated, scanPairs } from './range-scan.ts';
import { countInSlices, type SliceBounds } from './read-slices.ts';
import { readTxnInSteps } from './read-txn.ts';
import { ReplacedPairs, RevisionWriter } from './revision-writer.ts';
import { numberOf } from './rows.ts';
import { openSchema, readMeta, writeMeta } from './schema.ts';
import { runSteps } from './steps.ts';
import { runTxn } from './txn.ts';
import { isReadOnly } from '../model/read-only.ts';
import { operationShape } from './txn-shape.ts';
import { commandWork, unboundedWork, WorkBudget, type WorkLimits } from './work-budget.ts';
import type { Work } from './work-estimate.ts';
import { type Budgets, deleteRange, put, putFailure } from './put-and-delete.ts';
import { identityOf, RememberedWrites } from './write-ids.ts';

/**
 * `leases`: which were granted and which are gone, in the order in which that happened. `work`: what it took, about;
 * another replica may say another number. `events`: null for an entry that was applied in steps, which may have more of
 * them than memory holds: history tells them.
 */
export type Applied = {
  readonly work: Work;
  readonly outcomes: readonly Outcome[];
  readonly events: readonly RevisionEvents[] | null;
  readonly leases: readonly LeaseChange[];
};
export type AppliedAtOnce = Applied & { readonly events: readonly RevisionEvents[] };

export type RangeOutcome =
  | { readonly kind: 'answer'; readonly revision: Revision; readonly answer: RangeAnswer }
  | { readonly kind: 'failed'; readonly failure: StoreFailure };

export type StoreSizes = { readonly databaseBytes: number; readonly keys: number };

/** Why a write need not be in the log, and what it is answered. */
export type AnswerWithoutLog =
  /** No attempt of it is ever done. */
  | { readonly kind: 'refused'; readonly failure: StoreFailure }
  /** As things stand: another attempt may be done once they have changed. */
  | { readonly kind: 'refusedAlone'; readonly failure: StoreFailure }
  /** Its id is remembered: of an earlier attempt, or of another request. */
  | { readonly kind: 'remembered'; readonly outcome: Outcome };

/** An entry while it is applied. `group`: puts that are written with those that follow. */
type Batch = {
  readonly record: BatchRecord;
  readonly outcomes: Outcome[];
  readonly events: RevisionEvents[];
  readonly leases: LeaseChange[];
  readonly group: PutGroup;
  /** null: none of its commands is known to throw. */
  readonly careful: CarefulRun | null;
};

/** What a command did. `made`: its revisions, in their order. */
type Performed = { readonly outcome: Outcome; readonly made: readonly RevisionEvents[] };

const sliceBounds: SliceBounds = {
  rowsMax: readSliceRows,
  passedRowsMax: readSlicePassedRows,
  valueBytesMax: readSliceValueBytes,
};
const everyKey = { kind: 'open', from: Uint8Array.of(0) } as const;

export class Store {
  readonly #sql: SqlPort;
  readonly #commandWork: WorkLimits;
  readonly #pace: Pace;
  readonly #compaction: Compaction;
  // Of all these the rows know better. The constructor has `#open` set them, as `reopen` does.
  #batches!: Batches;
  #level!: GroupLevel;
  #history!: History;
  #administration!: Administration;
  #writes!: RememberedWrites;
  #pages!: PageCounts;
  #underWay!: LargeDelete | null;
  #revision!: Revision;
  #applied!: LogIndex;
  #persisted!: LogIndex;
  #commandsUndone!: number;
  /** Of the entry that is being applied. */
  #replaced = new ReplacedPairs();
  /** The entry by which the group last came to level 3; null: it is of a lower one. */
  #digestsFrom!: LogIndex | null;
  #drawn: Work = { rows: 0, valueBytes: 0 };
  /** Counted when first asked for. */
  #keysWhenOpened!: number | null;
  #keysAddedSince!: number;

  /**
   * Creates the tables of a fresh store. Throws UnknownStoreFormat where a newer version wrote it. `work`: of one
   * command; `slices`: of reads.
   */
  constructor(sql: SqlPort, work: WorkLimits = commandWork, slices: SliceBounds = sliceBounds) {
    this.#sql = sql;
    this.#commandWork = work;
    this.#pace = { bounds: slices };
    this.#open();
    this.#compaction = new Compaction(sql);
  }

  /**
   * After `apply` threw or its transaction was rolled back: what is in memory is what the rows say. Whoever holds
   * history still does.
   */
  reopen(): void {
    this.#open();
    this.#compaction.reopen();
  }

  #open(): void {
    const sql = this.#sql;
    const level = openSchema(sql);
    this.#batches = new Batches(sql);
    this.#underWay = LargeDelete.resume(sql, this.#batches);
    this.#level = new GroupLevel(sql, level, this.#batches);
    const newest = this.#batches.newest();
    this.#revision = newest?.lastRevision ?? asRevision(1);
    this.#persisted = newest?.logIndex ?? logIndex(0);
    // Entries before it that left no row were applied, too.
    this.#applied = this.#underWay === null ? this.#persisted : logIndex(this.#underWay.index - 1);
    this.#history = new History(sql, this.#batches);
    this.#administration = new Administration(sql);
    this.#writes = new RememberedWrites(this.#batches, newest?.writesTotal ?? 0);
    this.#pages = new PageCounts();
    this.#commandsUndone = numberOf(readMeta(sql, 'commandsUndone') ?? 0);
    this.#digestsFrom = level < groupLevel.third ? null : logIndex(numberOf(readMeta(sql, 'digestsFrom')));
    this.#keysWhenOpened = null;
    this.#keysAddedSince = 0;
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

  /**
   * The entry after `appliedIndex` is applied in steps, and is not yet. All that is read is as it was before it, but
   * for what `query` looks at: keys of leases, say. Nothing else may be applied, and no snapshot begun.
   */
  get isUnderWay(): boolean {
    return this.#underWay !== null;
  }

  /**
   * What `appliedIndex` would be after a restart: entries without commands leave no row. The log must keep what
   * follows.
   */
  get persistedIndex(): LogIndex {
    return this.#persisted;
  }

  /** The level of the group (`levels.ts`), as far as the log was applied. */
  get level(): number {
    return this.#level.value;
  }

  /**
   * Over all that was applied up to `persistedIndex`, which is its `index`: equal on all replicas. null: at level 1
   * there is none.
   */
  get runningHash(): { readonly index: LogIndex; readonly hash: number } | null {
    const { hash } = this.#level;
    return hash === null ? null : { index: this.#persisted, hash };
  }

  /** How many commands threw and were undone, since the store was made. */
  get commandsUndone(): number {
    return this.#commandsUndone;
  }

  /**
   * Applies one log entry: its commands in order. A command that fails undoes only itself. If one throws, the entry is
   * applied again, carefully (`careful-apply.ts`): that makes no difference but to commands that throw.
   */
  apply(index: LogIndex, commands: readonly Command[], careful: CarefulRun | null = null): AppliedAtOnce {
    this.#assertNext(index);
    this.#replaced = new ReplacedPairs();
    this.#drawn = { rows: 0, valueBytes: 0 };
    const group = new PutGroup();
    const batch: Batch = { record: new BatchRecord(), outcomes: [], events: [], leases: [], group, careful };
    for (const [place, command] of commands.entries()) this.#applyCommand(command, place, batch);
    this.#applyGroup(batch);
    if (careful !== null) this.#countUndone(careful);
    this.#countDigests(index);
    if (!batch.record.isEmpty) {
      const place = { lastRevision: this.#revision, logIndex: index };
      const body = batch.record.body();
      const writesTotal = this.#writes.total;
      const hashed = this.#level.hashed({ body, events: batch.events, revision: this.#revision, writesTotal });
      this.#batches.append(place, writesTotal, body, this.#withDigests(hashed, batch.record));
      this.#writes.settle(place);
      this.#persisted = index;
    }
    this.#applied = index;
    return { work: this.#workOf(batch), outcomes: batch.outcomes, events: batch.events, leases: batch.leases };
  }

  #workOf({ events, outcomes }: Batch): Work {
    let { rows, valueBytes } = this.#drawn;
    rows += outcomes.length;
    valueBytes += this.#replaced.bytes;
    for (const made of events) rows += made.events.length * rowsOfWrittenRow;
    return { rows, valueBytes };
  }

  /** An entry without commands. Leaves no row. */
  skip(index: LogIndex): void {
    this.#assertNext(index);
    this.#applied = index;
  }

  /**
   * Whether applying it takes more than a step of so many rows, as things stand: such an operation stands alone in its
   * entry, so that it can be applied in steps.
   */
  takesSteps(operation: Operation, rowsMax: number): boolean {
    const deleted = this.#deletedBy(operation);
    return deleted !== null && holdsMoreKeys(this.#sql, deleted, rowsMax);
  }

  /**
   * The same as `apply`, in steps that write no more than about `rowsMax` rows each; null: it takes no steps, and
   * `apply` does it at once. The caller makes each step a transaction, and between two of them applies nothing. After
   * the first step the store may be closed, and opened anew: the same entry then goes on. What it leaves is what
   * `apply` leaves.
   */
  applyInSteps(index: LogIndex, commands: readonly Command[], rowsMax: number): Generator<void, Applied, void> | null {
    const [command] = commands;
    if (this.#underWay !== null) {
      assert(command !== undefined && this.#underWay.index === index, 'an entry that is under way comes again');
      return this.#moveInSteps(this.#underWay, command, rowsMax);
    }
    if (commands.length !== 1 || command === undefined || !this.takesSteps(command.operation, rowsMax)) return null;
    // What fails, or was done before, is answered at once.
    const { operation } = command;
    if (this.#answerBefore(command, identityOf(command), null) !== null) return null;
    const shape = operationShape(operation, this.level);
    if (shape !== null || this.#administration.alarms.refusal(operation) !== null) return null;
    return this.#deleteInSteps(index, command, rowsMax);
  }

  *#deleteInSteps(index: LogIndex, command: Command, rowsMax: number): Generator<void, Applied, void> {
    const { operation } = command;
    const answersPairs = operation.kind === 'deleteRange' && operation.request.previous;
    const deleted = this.#deletedBy(operation) ?? [];
    const deletions = yield* measureDeletions(this.#sql, deleted, { rowsMax, answersPairs });
    // The pairs are too much for an answer: that is found out again before anything is written.
    if (deletions === null) return this.apply(index, [command]);
    const entry = { index, before: this.#revision, deletions, hash: this.#level.hash ?? 0 };
    this.#underWay = LargeDelete.begin(this.#sql, this.#batches, entry);
    return yield* this.#moveInSteps(this.#underWay, command, rowsMax);
  }

  *#moveInSteps(under: LargeDelete, command: Command, rowsMax: number): Generator<void, Applied, void> {
    const writesTotal = this.#writes.total + 1;
    for (; !under.hasMoved; yield) under.step(rowsMax, writesTotal);
    return this.#finishDelete(under, command);
  }

  #finishDelete(under: LargeDelete, command: Command): Applied {
    const outcome = this.#outcomeOf(under, command.operation);
    const leases: LeaseChange[] = [];
    for (const id of under.leases) {
      this.#administration.leases.remove(id);
      leases.push({ kind: 'ended', id });
    }
    const record = new BatchRecord();
    this.#remember(command, outcome, record);
    const place = under.finish(record.writes(), this.#writes.total, (written) =>
      this.#withDigests(this.#level.hashedAfter(written), record),
    );
    this.#writes.settle(place);
    this.#keysAddedSince -= under.keys;
    this.#underWay = null;
    this.#revision = place.lastRevision;
    this.#persisted = place.logIndex;
    this.#applied = place.logIndex;
    return { work: { rows: under.keys * rowsOfWrittenRow, valueBytes: 0 }, outcomes: [outcome], events: null, leases };
  }

  #outcomeOf(under: LargeDelete, operation: Operation): Outcome {
    const { lastRevision: revision, before, keys: deleted } = under;
    if (operation.kind !== 'deleteRange') return { kind: 'done', revision };
    const { request } = operation;
    const scan = { asOf: before, filter: null, descending: false, values: true, limit: null } as const;
    const previous = request.previous ? [...scanPairs(this.#sql, { ...scan, span: spanOf(request) })] : [];
    return { kind: 'deleteRange', revision, answer: { deleted, previous } };
  }

  /** What an operation deletes that may be very many keys; null: it is none of those, or fails. */
  #deletedBy(operation: Operation): readonly DeletedKeys[] | null {
    if (!mayDeleteMany(operation)) return null;
    if (operation.kind !== 'deleteRange') return this.#endedBy(operation).map((id) => ({ kind: 'lease', id }));
    const span = spanOf(operation.request);
    return span.kind === 'single' ? null : [{ kind: 'span', span }];
  }

  /** The leases that end. */
  #endedBy(operation: Extract<Operation, { readonly kind: 'leaseRevoke' | 'leaseExpire' }>): readonly LeaseId[] {
    const overdue = operation.kind === 'leaseExpire' ? operation.leases : [{ id: operation.id, storedMs: null }];
    const ended = new Set<LeaseId>();
    for (const { id, storedMs } of overdue) {
      const lease = this.#administration.leases.find(id);
      if (lease !== null && (storedMs === null || storedMs === lease.deadlineMs)) ended.add(id);
    }
    return [...ended];
  }

  #assertNext(index: LogIndex): void {
    assert(index > this.#applied, 'log entries are applied in order, each once');
    assert(this.#underWay === null, 'an entry that is under way comes to its end before the next one');
  }

  /** At once, however much that looks at. */
  range(request: RangeRequest): RangeOutcome {
    return runSteps(this.#range(request, this.#readView(null)));
  }

  /**
   * The same in steps, as of the first one. Between two of them anything may be applied; what compaction must leave
   * until the last one the caller holds (`holdHistory`).
   */
  rangeInSteps(request: RangeRequest): Generator<void, RangeOutcome, void> {
    return this.#range(request, this.#readView(this.#pace));
  }

  *#range(request: RangeRequest, view: ReadView): Generator<void, RangeOutcome, void> {
    const result = yield* readRangeInSteps(this.#sql, request, view);
    return result.kind === 'failed' ? result : { kind: 'answer', revision: view.current, answer: result.answer };
  }

  /** As of now. */
  #readView(pace: Pace | null): ReadView {
    return {
      current: this.#revision,
      asOf: (revision) => this.#asOf(revision),
      compacted: this.compactedRevision,
      budget: new AnswerBudget(),
      work: new WorkBudget(unboundedWork),
      pages: this.#pages,
      pace,
    };
  }

  /**
   * The pairs of a range as they stand now, in the order of their keys, with their leases and without their values: as
   * far as they are asked for, which must be at once.
   */
  heads(range: KeyRange): IterableIterator<KeyValue> {
    const span = spanOf(range);
    const scan = {
      asOf: this.#asOf(this.#revision),
      filter: null,
      descending: false,
      values: false,
      limit: null,
    } as const;
    return scanPairs(this.#sql, { ...scan, span });
  }

  /**
   * Of the keys of a range those that were created before a revision, counted up to `max`, as they stand now. Neither
   * this nor `firstCreated` hands the others over: a queue is looked at each time that somebody leaves it.
   */
  countCreatedBefore(range: KeyRange, createRevision: number, max: number): number {
    const asOf = this.#asOf(this.#revision);
    return countCreatedBefore(this.#sql, wideSpanOf(range), { asOf, createRevision, max });
  }

  /** The pair that was created first, as things stand now. null: the range holds no key. */
  firstCreated(range: KeyRange): KeyValue | null {
    return firstCreated(this.#sql, wideSpanOf(range), this.#asOf(this.#revision));
  }

  /**
   * A txn that only reads, in steps as `rangeInSteps`. It looks at what the caller may, in the order in which a write
   * is refused; nobody else need refuse the same, so as many operations as the newest level allows are its bound at
   * every level.
   */
  *readTxnInSteps(request: TxnRequest, caller: Caller, nowMs: number): Generator<void, Outcome, void> {
    assert(isReadOnly(request), 'a txn that writes is in the log');
    const operation = { kind: 'txn', request } as const;
    const failure =
      this.#administration.refusal({ writeId: '', caller, operation, atMs: nowMs }, groupLevel.third) ??
      operationShape(operation, groupLevel.third) ??
      this.#administration.alarms.refusal(operation);
    const view = this.#readView(this.#pace);
    const revision = view.current;
    if (failure !== null) return { kind: 'failed', revision, failure };
    const result = yield* readTxnInSteps(this.#sql, request, view);
    if (result.kind === 'failed') return { kind: 'failed', revision, failure: result.failure };
    return { kind: 'txn', revision, answer: result.answer };
  }

  /** What changed from a revision on. A start above the current revision answers nothing. */
  history(query: HistoryQuery): HistoryPiece;
  history(query: SlicedQuery): HistorySlice;
  history(query: HistoryQuery | SlicedQuery): HistorySlice {
    return this.#history.read(query, this.#revision, this.compactedRevision);
  }

  /** null: allowed. */
  authorize(caller: Caller, need: AccessNeed, nowMs: number): StoreFailure | null {
    return this.#administration.authority.refusal(caller, need, nowMs)?.failure ?? null;
  }

  /** Of a range request: what is wrong with its shape comes before what the caller's roles forbid. null: allowed. */
  authorizeRange(caller: Caller, request: RangeRequest, nowMs: number): StoreFailure | null {
    return this.#administration.rangeRefusal(caller, request, nowMs);
  }

  /** What the key of the tenant alone forbids: a watch goes on after its user's roles changed. null: allowed. */
  authorizeKey(caller: Caller, need: AccessNeed, nowMs: number): StoreFailure | null {
    return this.#administration.authority.keyFailure(caller, need, nowMs);
  }

  /** When the caller's key ends by itself; null: never. */
  keyExpiresAtMs(caller: Caller): number | null {
    return this.#administration.authority.keyExpiresAtMs(caller);
  }

  /**
   * What a write would be answered without being done, if it were applied now; null: it would be done, or fail at that.
   * Nothing is remembered of it.
   */
  answerWithoutLog(command: Command): AnswerWithoutLog | null {
    const { operation } = command;
    const refusal = this.#administration.refusalOfWrite(command, this.level);
    if (refusal !== null) return refusedAs(refusal);
    // A retry comes before the alarms: its first attempt was done before them.
    const before = this.#rememberedAnswer(command, identityOf(command), null);
    if (before !== null) return { kind: 'remembered', outcome: before };
    const failure = this.#administration.alarms.refusal(operation);
    return failure === null ? null : { kind: 'refusedAlone', failure };
  }

  /** What can be read beside keys. It looks at whether the caller may ask. */
  query<Kind extends Query['kind']>(
    query: Query & { readonly kind: Kind },
    caller: Caller,
    nowMs: number,
  ): QueryResult<Kind> {
    return runSteps(this.queryInSteps<Kind>(query, caller, nowMs));
  }

  /**
   * The same in steps, as of the first one: a hash reads the whole store. Between two steps anything may be applied;
   * what compaction must leave until the last one the caller holds (`holdHistory`).
   */
  *queryInSteps<Kind extends Query['kind']>(
    query: Query & { readonly kind: Kind },
    caller: Caller,
    nowMs: number,
  ): Generator<void, QueryResult<Kind>, void> {
    const failure = this.authorize(caller, accessOfQuery(query), nowMs);
    if (failure !== null) return { kind: 'failed', failure };
    const revision = this.#revision;
    const at = { current: revision, compacted: this.compactedRevision };
    const answered = yield* this.#administration.answer(query, at);
    if (answered.kind === 'failed') return answered;
    const { answer } = answered;
    assert(isAnswerTo(query.kind, answer), 'a query has the answer of its kind');
    return { kind: 'answer', revision, answer };
  }

  /**
   * The next leases after that one, at most `max` of them, with their stored deadlines, in an order of their own. Null:
   * from the first one on.
   */
  leasesAfter(id: LeaseId | null, max: number): readonly StoredLease[] {
    return this.#administration.leases.after(id, max);
  }

  /** No lease has a later deadline in its leader's memory than the stored one: see `leaseCheckpoint` in the model. */
  get leasesSettled(): boolean {
    return this.#administration.leases.settled;
  }

  get leaseCount(): number {
    return this.#administration.leases.count;
  }

  /** The deadline in the lease's row; null: it has none. */
  storedLeaseDeadlineMs(id: LeaseId): number | null {
    return this.#administration.leases.find(id)?.deadlineMs ?? null;
  }

  /** The first of the stored deadlines; null: there are no leases. */
  get earliestLeaseDeadlineMs(): number | null {
    return this.#administration.leases.earliestDeadlineMs();
  }

  /** An operator wants code of an earlier level to be able to take part. */
  get downgradeAnnounced(): boolean {
    return this.#administration.downgradeAnnounced;
  }

  /** Those that are not revoked, the oldest first. */
  accessKeys(): readonly AccessKey[] {
    return this.#administration.accessKeys.list();
  }

  sizes(): StoreSizes {
    return { databaseBytes: this.#sql.databaseBytes(), keys: runSteps(this.countKeysInSteps()) };
  }

  /** How many keys there are, by now. They are counted in steps, as `rangeInSteps` reads, when that is first asked. */
  *countKeysInSteps(): Generator<void, number, void> {
    while (this.#keysWhenOpened === null) {
      const [opened, added, revision] = [this.#batches, this.#keysAddedSince, this.#revision];
      const asOf = (): AsOf => this.#asOf(revision);
      const count = yield* countInSlices(this.#sql, { span: everyKey, asOf, bounds: this.#pace.bounds });
      if (opened === this.#batches) this.#keysWhenOpened = count - added;
    }
    return this.#keysWhenOpened + this.#keysAddedSince;
  }

  /**
   * `compactStep` leaves what a reader of this moment needs, or of another one (`neededBy`), until what is answered
   * here is called.
   */
  holdHistory(needed: Needed | null = null): () => void {
    const { revision, compactedRevision: compacted } = this;
    return this.#compaction.hold(needed ?? { revision, compacted, writesTotal: this.#writes.total });
  }

  get holdsHistory(): boolean {
    return this.#compaction.isHeld;
  }

  /**
   * Deletes some of the rows that compaction made superfluous: looks at about `rowsMax`. False: nothing is left to do
   * until the next compaction, or until less is held. No answer depends on it.
   */
  compactStep(rowsMax: number): boolean {
    return this.#compaction.step(rowsMax, this.#writes.total);
  }

  /**
   * How a revision is read by now: `head` is the newest one, but for the rows that a delete under way has taken from
   * it.
   */
  #asOf(revision: Revision): AsOf {
    return this.#underWay === null && this.#revision === revision ? 'head' : revision;
  }

  #applyCommand(command: Command, place: number, batch: Batch): void {
    const { careful } = batch;
    if (careful !== null) careful.place = place;
    if (careful?.undone.has(place) === true) return this.#answerUndone(command, place, batch);
    const identity = identityOf(command);
    const { operation } = command;
    if (!this.#administration.alarms.active && command.digest === undefined && isPlainPut(operation)) {
      const { request } = operation;
      if (!batch.group.fits(request, identity)) this.#applyGroup(batch);
      if (this.#answerBefore(command, identity, batch.record) === null) {
        batch.group.add({ request, identity, place });
        if (careful !== null) this.#applyGroup(batch);
        return;
      }
    }
    this.#applyGroup(batch);
    const before = this.#answerBefore(command, identity, batch.record);
    batch.outcomes[place] = before ?? this.#applyAlone(command, batch);
  }

  #answerUndone(command: Command, place: number, batch: Batch): void {
    const { outcome } = this.#failed({ kind: 'commandUndone', operation: command.operation.kind });
    const identity = identityOf(command);
    if (!this.#writes.knows(identity)) this.#remember(command, outcome, batch.record);
    batch.outcomes[place] = outcome;
  }

  #countUndone(careful: CarefulRun): void {
    careful.place = null;
    if (careful.undone.size === 0) return;
    this.#commandsUndone += careful.undone.size;
    writeMeta(this.#sql, 'commandsUndone', this.#commandsUndone);
  }

  /**
   * What is answered without the operation being done: it may not be, or was done before. `record`: null where it is
   * only asked.
   */
  #answerBefore(command: Command, identity: string, record: BatchRecord | null): Outcome | null {
    // First of all, also for a retry: who may not do this any more learns nothing more.
    const failure = this.#administration.refusal(command, this.level);
    if (failure === null) return this.#rememberedAnswer(command, identity, record);
    const { outcome } = this.#failed(failure);
    // Another attempt may come when the caller may do it: what was refused is never done. A key that is no good stays
    // so.
    const mayBePermitted = failure.kind !== 'unauthenticated' && this.#writes.find(identity, record) === null;
    if (mayBePermitted && record !== null) this.#remember(command, outcome, record);
    return outcome;
  }

  /** Of an attempt whose caller may do it. null: nothing is remembered under its id. */
  #rememberedAnswer(command: Command, identity: string, record: BatchRecord | null): Outcome | null {
    const before = this.#writes.find(identity, record);
    if (before === null) return null;
    if (canAnswer(command.operation, before) && !this.#isOfAnother(command, identity, record)) return before;
    return this.#failed({ kind: 'idempotencyKeyReused' }).outcome;
  }

  /** The id named a request before whose digest is known, and is another one. */
  #isOfAnother({ digest }: Command, identity: string, record: BatchRecord | null): boolean {
    if (digest === undefined || this.#digestsFrom === null) return false;
    const remembered = this.#writes.digestOf(identity, record, this.#digestsFrom);
    return remembered !== null && remembered !== digest;
  }

  #withDigests(hashed: Hashed | null, record: BatchRecord): Hashed | null {
    const digests = this.#digestsFrom === null ? null : record.digests();
    return hashed === null || digests === null ? hashed : { ...hashed, digests };
  }

  #remember(command: Command, outcome: Outcome, record: BatchRecord): void {
    const digest = this.#digestsFrom === null ? null : (command.digest ?? null);
    this.#writes.remember(identityOf(command), outcome, record, digest);
  }

  /** From the entry after this one on, if the group has just come to level 3. */
  #countDigests(index: LogIndex): void {
    if (this.level < groupLevel.third) this.#digestsFrom = null;
    else if (this.#digestsFrom === null) {
      this.#digestsFrom = index;
      writeMeta(this.#sql, 'digestsFrom', index);
    }
  }

  #applyAlone(command: Command, batch: Batch): Outcome {
    const { outcome, made } = this.#perform(command, batch.leases);
    for (const revision of made) this.#publish(revision, batch);
    this.#remember(command, outcome, batch.record);
    return outcome;
  }

  #applyGroup(batch: Batch): void {
    const puts = batch.group.take();
    if (puts.length === 0) return;
    const events = writePuts(this.#sql, puts, {
      first: asRevision(this.#revision + 1),
      replaced: this.#replaced,
    });
    for (const [nth, { request, identity, place }] of puts.entries()) {
      const event = events[nth];
      assert(event !== undefined, 'each put has its event');
      const revision = asRevision(this.#revision + 1);
      this.#revision = revision;
      if (event.kv.version === 1) this.#keysAddedSince++;
      this.#publish({ revision, events: [event] }, batch);
      const answer = { previous: request.previous ? event.previous : null };
      const outcome: Outcome = { kind: 'put', revision, answer };
      // Of a request with a digest the put does not come here.
      this.#writes.remember(identity, outcome, batch.record, null);
      batch.outcomes[place] = outcome;
    }
  }

  #publish(made: RevisionEvents, batch: Batch): void {
    batch.events.push(made);
    batch.record.addRevision(made);
  }

  #perform({ operation, atMs }: Command, leases: LeaseChange[]): Performed {
    const failure = operationShape(operation, this.level) ?? this.#administration.alarms.refusal(operation);
    if (failure !== null) return this.#failed(failure);
    if (isQuiet(operation)) {
      const moment = { atMs, leases, revision: this.#revision, level: this.level };
      return { outcome: this.#administration.perform(operation, moment), made: [] };
    }
    switch (operation.kind) {
      case 'put':
        return this.#put(operation.request);
      case 'deleteRange':
        return this.#deleteRange(operation.request);
      case 'txn':
        return this.#txn(operation.request);
      case 'compact':
        return this.#compact(operation.request.revision);
      case 'leaseRevoke':
        if (this.#administration.leases.find(operation.id) === null) return this.#failed({ kind: 'leaseNotFound' });
        return this.#endLeases(this.#endedBy(operation), leases);
      case 'leaseExpire':
        return this.#endLeases(this.#endedBy(operation), leases);
      case 'groupLevel':
        this.#level.change(operation.level);
        return { outcome: { kind: 'done', revision: this.#revision }, made: [] };
      default:
        return unreachable(operation);
    }
  }

  /** One revision for each lease that has keys. */
  #endLeases(ended: readonly LeaseId[], leases: LeaseChange[]): Performed {
    const made: RevisionEvents[] = [];
    for (const id of ended) {
      const writer = this.#writer();
      writer.deleteAttached(id);
      this.#administration.leases.remove(id);
      leases.push({ kind: 'ended', id });
      made.push(...this.#taken(writer));
    }
    return { outcome: { kind: 'done', revision: this.#revision }, made };
  }

  #compact(revision: number): Performed {
    const failure = this.#compaction.compact(revision, this.#revision);
    if (failure !== null) return this.#failed(failure);
    return { outcome: { kind: 'compact', revision: this.#revision }, made: [] };
  }

  #put(request: PutRequest): Performed {
    const failure = putFailure(this.#sql, this.#administration.leases, request);
    if (failure !== null) return this.#failed(failure);
    const writer = this.#writer();
    const done = put(this.#sql, writer, request, unboundedBudgets());
    assert(done.kind === 'answer', 'a put that was checked does not fail');
    return this.#made(writer, (revision) => ({ kind: 'put', revision, answer: done.answer }));
  }

  #deleteRange(request: DeleteRangeRequest): Performed {
    const writer = this.#writer();
    const done = deleteRange(this.#sql, writer, request, unboundedBudgets());
    if (done.kind === 'failed') return this.#failed(done.failure);
    return this.#made(writer, (revision) => ({ kind: 'deleteRange', revision, answer: done.answer }));
  }

  #txn(request: TxnRequest): Performed {
    const isBounded = this.level >= groupLevel.third;
    const state = {
      current: this.#revision,
      compacted: this.compactedRevision,
      // How much of the list a replica has counted before is its own affair.
      pages: isBounded ? null : this.#pages,
      leases: this.#administration.leases,
      work: new WorkBudget(isBounded ? this.#commandWork : unboundedWork),
      replaced: this.#replaced,
    };
    const result = runTxn(this.#sql, request, state);
    const { rows, valueBytes } = state.work;
    this.#drawn = { rows: this.#drawn.rows + rows, valueBytes: this.#drawn.valueBytes + valueBytes };
    if (result.kind === 'failed') return this.#failed(result.failure);
    return this.#made(result.writer, (revision) => ({ kind: 'txn', revision, answer: result.answer }));
  }

  #writer(): RevisionWriter {
    return new RevisionWriter(this.#sql, asRevision(this.#revision + 1), this.#replaced);
  }

  #made(writer: RevisionWriter, outcome: (revision: Revision) => Outcome): Performed {
    const made = this.#taken(writer);
    return { outcome: outcome(this.#revision), made };
  }

  /** A revision is made by what changed something, and by nothing else. */
  #taken(writer: RevisionWriter): readonly RevisionEvents[] {
    if (writer.events.length === 0) return [];
    this.#revision = writer.revision;
    this.#keysAddedSince += writer.keysAdded;
    return [{ revision: writer.revision, events: writer.events }];
  }

  #failed(failure: StoreFailure): Performed {
    return { outcome: { kind: 'failed', revision: this.#revision, failure }, made: [] };
  }
}

function refusedAs({ failure, isForGood }: WriteRefusal): AnswerWithoutLog {
  return { kind: isForGood ? 'refused' : 'refusedAlone', failure };
}

/** Of what is bounded by itself: one key. */
function unboundedBudgets(): Budgets {
  return { answer: new AnswerBudget(), work: new WorkBudget(unboundedWork) };
}

function wideSpanOf(range: KeyRange): Exclude<KeySpan, { readonly kind: 'single' }> {
  const span = spanOf(range);
  assert(span.kind !== 'single', 'a range, and not one key');
  return span;
}
