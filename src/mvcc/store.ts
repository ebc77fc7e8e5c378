// The replicated state machine: it takes committed commands, and gives outcomes and events. Its state is a function of
// the log alone, and so the same on every replica. It knows no clock, no network and no consensus. `apply` runs inside
// a turn or transaction of the caller. If that is rolled back, or if `apply` throws, the store must be opened anew
// (`reopen`). What `applyToMemory` applies has no rows before it is flushed. The rows are at any moment those after a
// prefix of the log, so a store that is opened anew applies the rest of the log again.

import { assert, unreachable } from '../base/assert.ts';
import { type LeaseId, type LogIndex, logIndex, type Revision, revision as asRevision } from '../model/brands.ts';
import { readSlicePassedRows, readSliceRows, readSliceValueBytes, rememberedWritesMax } from '../limits.ts';
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
  SentCommand,
  StoreFailure,
  SuspensionFailure,
  TxnOperation,
  TxnRequest,
} from '../model/store.ts';
import { isAnswerTo, type Query, type QueryResult } from '../model/queries.ts';
import { groupLevel } from '../model/levels.ts';
import { rowsOfWrittenRow } from '../limits.ts';
import type { SqlPort } from '../base/sql-port.ts';
import type { FoundKey } from './auth/access.ts';
import { answerBytesOf } from './answer-estimate.ts';
import { type AccessNeed, accessOfQuery } from './auth/access-need.ts';
import { Administration, isQuiet, type WriteRefusal } from './administration.ts';
import { type BatchId, BatchRecord, Batches, type Hashed } from './batches.ts';
import type { CarefulRun } from './careful-run.ts';
import type { TermName } from '../model/terms.ts';
import { Compaction, type Needed } from './compaction.ts';
import { GroupLevel } from './group-level.ts';
import { History, type HistoryPiece, type HistoryQuery, type HistorySlice, type SlicedQuery } from './history.ts';
import { type KeySpan, spanOf } from '../model/key-range.ts';
import { type DeletedKeys, holdsMoreKeys, LargeDelete, mayDeleteMany, measureDeletions } from './large-delete.ts';
import type { LeaseChange, StoredLease } from './leases.ts';
import { canAnswer } from './outcome-kind.ts';
import { PageCounts } from './page-counts.ts';
import { isPointOperation, keysOf } from './point-operations.ts';
import { isPlainPut, PutGroup, writePuts } from './put-group.ts';
import { AnswerBudget, type Pace, readRangeInSteps, type ReadView } from './range.ts';
import { Versions } from './overlay/versions.ts';
import type { AsOf } from './range-scan.ts';
import { countInSlices, type SliceBounds } from './read-slices.ts';
import { readTxnInSteps } from './read-txn.ts';
import { ReplacedPairs, RevisionWriter } from './revision-writer.ts';
import { numberOf } from './rows.ts';
import { flushOverlay } from './overlay/flush.ts';
import { openSchema, readMeta, writeMeta } from './schema.ts';
import { runSteps } from './steps.ts';
import { type KeysLeft, runTxn, tooManyKeys } from './txn.ts';
import { isReadOnly } from '../model/read-only.ts';
import { operationShape } from './txn-shape.ts';
import { commandWork, unboundedWork, WorkBudget, type WorkLimits } from './work-budget.ts';
import type { Work } from './work-estimate.ts';
import { type Budgets, deleteRange, put, putFailure } from './put-and-delete.ts';
import { identityOf, RememberedWrites } from './write-ids.ts';

/**
 * `leases`: the leases that were granted and that ended, in that order. `work`: an estimate, which may differ from
 * replica to replica. `events`: null for an entry that was applied in steps. It may have more events than memory holds,
 * and history tells them.
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

/** Why a write need not be in the log, and its answer. */
export type AnswerWithoutLog =
  /** No attempt of the write is ever done. */
  | { readonly kind: 'refused'; readonly failure: StoreFailure }
  /** The present state refuses the write: another attempt may be done once the state has changed. */
  | { readonly kind: 'refusedAlone'; readonly failure: StoreFailure }
  /** The id of the write is remembered, of an earlier attempt or of another request, or may have been forgotten. */
  | { readonly kind: 'remembered'; readonly outcome: Outcome };

/**
 * An entry while it is applied. `group`: puts that are not written yet, so that they can be written with the next ones.
 */
type Applying = {
  readonly record: BatchRecord;
  readonly outcomes: Outcome[];
  readonly events: RevisionEvents[];
  readonly leases: LeaseChange[];
  readonly group: PutGroup;
  /** null: no command of the entry is known to throw. */
  readonly careful: CarefulRun | null;
};

/** The result of a command. `made`: the revisions that it made, in their order. */
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
  readonly #writesMax: number;
  readonly #pace: Pace;
  readonly #compaction: Compaction;
  #versions!: Versions;
  // These fields are read from the rows: `#open` sets them, for the constructor and for `reopen`.
  #batches!: Batches;
  #level!: GroupLevel;
  #history!: History;
  #administration!: Administration;
  #writes!: RememberedWrites;
  #pages!: PageCounts;
  #underWay!: LargeDelete | null;
  #revision!: Revision;
  /** The revision before the entry that was applied to memory last. */
  #revisionBefore = asRevision(1);
  #applied!: LogIndex;
  /** The newest entry that left a batch. */
  #newest!: LogIndex;
  #persisted!: LogIndex;
  /** How many writes the rows remember, of all that there ever were. */
  #writesPersisted!: number;
  #commandsUndone!: number;
  /** The pairs that the entry under way has replaced. */
  #replaced = new ReplacedPairs();
  /** The entry by which the group last came to level 3; null: the group has a lower level. */
  #digestsFrom!: LogIndex | null;
  #drawn: Work = { rows: 0, valueBytes: 0 };
  /** null: the keys were not counted yet, because nothing has asked for their number. */
  #keysWhenOpened!: number | null;
  #keysAddedSince!: number;

  /**
   * Creates the tables of a fresh store. Throws UnknownStoreFormat if a newer version of this code wrote the store.
   * `work` bounds one command, `slices` bound a step of a read, and `writesMax` writes are remembered, at most
   * `rememberedWritesMax`.
   */
  constructor(
    sql: SqlPort,
    work: WorkLimits = commandWork,
    slices: SliceBounds = sliceBounds,
    writesMax = rememberedWritesMax,
  ) {
    assert(writesMax <= rememberedWritesMax, 'the rows of so many writes are kept');
    this.#sql = sql;
    this.#commandWork = work;
    this.#writesMax = writesMax;
    this.#pace = { bounds: slices };
    this.#open();
    this.#compaction = new Compaction(sql);
  }

  /**
   * Reads the memory of the store anew from its rows, after `apply` threw or its writes were rolled back. Holds on
   * history stay.
   */
  reopen(): void {
    assert(!this.hasUnflushed, 'only what has rows can be read from them');
    this.#open();
    this.#compaction.reopen();
  }

  #open(): void {
    const sql = this.#sql;
    const level = openSchema(sql);
    this.#batches = new Batches(sql);
    this.#underWay = LargeDelete.resume(sql, this.#batches);
    this.#versions = new Versions(sql);
    this.#level = new GroupLevel(this.#versions, level, this.#batches);
    const newest = this.#batches.newest();
    this.#revision = newest?.lastRevision ?? asRevision(1);
    this.#newest = newest?.logIndex ?? logIndex(0);
    this.#persisted = this.#newest;
    this.#writesPersisted = newest?.writesTotal ?? 0;
    // Earlier entries that left no row were applied, too.
    this.#applied = this.#underWay === null ? this.#persisted : logIndex(this.#underWay.index - 1);
    this.#history = new History(this.#versions, this.#batches);
    this.#administration = new Administration(this.#versions, level);
    this.#writes = new RememberedWrites(this.#batches, {
      total: newest?.writesTotal ?? 0,
      windowMax: this.#writesMax,
    });
    this.#pages = new PageCounts();
    this.#commandsUndone = numberOf(readMeta(sql, 'commandsUndone') ?? 0);
    this.#digestsFrom = level < groupLevel.third ? null : logIndex(numberOf(readMeta(sql, 'digestsFrom')));
    this.#keysWhenOpened = null;
    this.#keysAddedSince = 0;
  }

  get revision(): Revision {
    return this.#revision;
  }

  /** What the log entries after `index` left the store at, the newest first. */
  revisionsAfter(index: LogIndex): Iterable<BatchId> {
    return this.#batches.after(index);
  }

  /** How many writes were ever remembered: it is the same on every replica that has applied as much. */
  get writesTotal(): number {
    return this.#writes.total;
  }

  /** What the operator has set for the tenant; null: it is not set. */
  term(name: TermName): number | null {
    return this.#administration.terms.value(name);
  }

  /** -1 before the first compaction. */
  get compactedRevision(): number {
    return this.#compaction.compactedRevision;
  }

  get appliedIndex(): LogIndex {
    return this.#applied;
  }

  /**
   * The entry after `appliedIndex` is being applied in steps. Reads of keys and history show the store as it was before
   * that entry; `query` may show parts of it, for example in the keys of a lease. Until the entry is applied no other
   * one may be, and no snapshot may begin.
   */
  get isUnderWay(): boolean {
    return this.#underWay !== null;
  }

  /**
   * The `appliedIndex` that a restart would find, since entries without commands leave no row, and those in memory have
   * none yet. The log must keep all entries after it.
   */
  get persistedIndex(): LogIndex {
    return this.#persisted;
  }

  /** The level of the group (`levels.ts`) after the entries that were applied. */
  get level(): number {
    return this.#level.value;
  }

  /**
   * The hash over all entries up to the newest one that left a batch, which is its `index`. It is equal on all
   * replicas, however far each of them has flushed. null: a group of level 1 has no hash.
   */
  get runningHash(): { readonly index: LogIndex; readonly hash: number } | null {
    const { hash } = this.#level;
    return hash === null ? null : { index: this.#newest, hash };
  }

  /** The number of commands that threw and were undone since the store was made. */
  get commandsUndone(): number {
    return this.#commandsUndone;
  }

  /**
   * Applies the commands of one log entry in order. A command that fails undoes only itself. If a command throws, the
   * caller applies the entry again with `careful` (`careful-apply.ts`), which changes the result only for commands that
   * throw.
   */
  apply(index: LogIndex, commands: readonly Command[], careful: CarefulRun | null = null): AppliedAtOnce {
    assert(!this.hasUnflushed, 'what is written through comes after what was flushed');
    this.#versions.heads.forgetAll();
    return this.#apply(index, commands, careful);
  }

  /** Whether the level of the group lets entries wait for a flush. */
  get mayWait(): boolean {
    return this.level >= groupLevel.fifth;
  }

  /**
   * Like `apply`, of point operations alone (`isPointOperation`). It writes no rows: those come with `flush`. If it
   * throws, the caller calls `takeBack` before anything else.
   */
  applyToMemory(index: LogIndex, commands: readonly Command[]): AppliedAtOnce {
    this.#revisionBefore = this.#revision;
    this.#versions.writeTo('memory');
    try {
      this.#versions.readAhead(commands.flatMap(({ operation }) => keysOf(operation)));
      return this.#apply(index, commands, null);
    } finally {
      this.#versions.writeTo('tables');
    }
  }

  /** Undoes what that entry left in memory when it threw, and writes the rows of all before it. */
  takeBack(index: LogIndex): void {
    this.#versions.overlay.takeBackAfter(this.#revisionBefore);
    this.#batches.takeBack(index);
    this.flush();
    this.reopen();
  }

  /** True: what was applied last has no rows yet. */
  get hasUnflushed(): boolean {
    return this.#batches.someWait;
  }

  /** How much was applied that has no rows yet: versions of keys, and bytes of memory. */
  get unflushed(): { readonly versions: number; readonly bytes: number } {
    const { overlay } = this.#versions;
    return { versions: overlay.versions, bytes: overlay.bytes + this.#batches.waitingBytes };
  }

  /** What is kept of the tables to be faster, in bytes of memory. */
  get keptBytes(): number {
    return this.#versions.heads.bytes;
  }

  /** Keeps nothing of the tables. */
  keepNothing(): void {
    this.#versions.heads.forgetAll();
  }

  /** Writes the rows of all that was applied: within a turn, and not in a transaction that may be undone. */
  flush(): void {
    if (!this.hasUnflushed) return;
    flushOverlay(this.#sql, this.#versions.overlay);
    this.#batches.flush();
    this.#versions.flushed();
    this.#notePersisted();
  }

  #apply(index: LogIndex, commands: readonly Command[], careful: CarefulRun | null): AppliedAtOnce {
    this.#assertNext(index);
    this.#replaced = new ReplacedPairs();
    this.#drawn = { rows: 0, valueBytes: 0 };
    const group = new PutGroup();
    const applying: Applying = { record: new BatchRecord(), outcomes: [], events: [], leases: [], group, careful };
    for (const [place, command] of commands.entries()) this.#applyCommand(command, place, applying);
    this.#applyGroup(applying);
    if (careful !== null) this.#countUndone(careful);
    this.#countDigests(index);
    if (!applying.record.isEmpty) {
      const batch = { lastRevision: this.#revision, logIndex: index };
      const body = applying.record.body();
      const writesTotal = this.#writes.total;
      const hashed = this.#level.hashed({ body, events: applying.events, revision: this.#revision, writesTotal });
      const digested = this.#withDigests(hashed, applying.record);
      this.#newest = index;
      const isPacked = this.level >= groupLevel.sixth && commands.every(({ operation }) => isPointOperation(operation));
      const written = { batch, writesTotal, body, hashed: digested, isPacked };
      if (this.#versions.writesToMemory) this.#batches.appendLater(written);
      else {
        this.#batches.append(written);
        this.#notePersisted();
      }
      this.#writes.settle(batch);
    }
    this.#applied = index;
    return {
      work: this.#workOf(applying),
      outcomes: applying.outcomes,
      events: applying.events,
      leases: applying.leases,
    };
  }

  /** All that was applied has its rows. */
  #notePersisted(): void {
    this.#persisted = this.#newest;
    this.#writesPersisted = this.#writes.total;
  }

  #workOf({ events, outcomes }: Applying): Work {
    let { rows, valueBytes } = this.#drawn;
    rows += outcomes.length;
    valueBytes += this.#replaced.bytes;
    for (const made of events) rows += made.events.length * rowsOfWrittenRow;
    return { rows, valueBytes };
  }

  /** Applies an entry without commands. It leaves no row. */
  skip(index: LogIndex): void {
    this.#assertNext(index);
    this.#applied = index;
  }

  /**
   * True if the operation would now take more than one step of `rowsMax` rows. Such an operation has an entry to
   * itself, so that it can be applied in steps.
   */
  takesSteps(operation: Operation, rowsMax: number): boolean {
    const deleted = this.#deletedBy(operation);
    return deleted !== null && holdsMoreKeys(this.#sql, deleted, rowsMax);
  }

  /**
   * Like `apply`, in steps that write about `rowsMax` rows each. null: the entry needs no steps, and `apply` applies it
   * at once. The caller writes each step all or nothing, and applies nothing between two steps. After the first step
   * the store may be closed and opened anew: the same entry then goes on. The rows are in the end those that `apply`
   * would leave.
   */
  applyInSteps(index: LogIndex, commands: readonly Command[], rowsMax: number): Generator<void, Applied, void> | null {
    const [command] = commands;
    if (this.#underWay !== null) {
      assert(command !== undefined && this.#underWay.index === index, 'an entry that is under way comes again');
      return this.#moveInSteps(this.#underWay, command, rowsMax);
    }
    if (commands.length !== 1 || command === undefined || !this.takesSteps(command.operation, rowsMax)) return null;
    // A command that fails, or was done before, is answered at once.
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
    // The pairs are too large for an answer. `apply` finds that out again before it writes anything.
    if (deletions === null) return this.apply(index, [command]);
    const entry = { index, before: this.#revision, deletions, hash: this.#level.hash ?? 0 };
    this.#versions.heads.forgetAll();
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
    const batch = under.finish(record.writes(), this.#writes.total, (written) =>
      this.#withDigests(this.#level.hashedAfter(written), record),
    );
    this.#writes.settle(batch);
    this.#keysAddedSince -= under.keys;
    this.#underWay = null;
    this.#revision = batch.lastRevision;
    this.#newest = batch.logIndex;
    this.#notePersisted();
    this.#applied = batch.logIndex;
    return { work: { rows: under.keys * rowsOfWrittenRow, valueBytes: 0 }, outcomes: [outcome], events: null, leases };
  }

  #outcomeOf(under: LargeDelete, operation: Operation): Outcome {
    const { lastRevision: revision, before, keys: deleted } = under;
    if (operation.kind !== 'deleteRange') return { kind: 'done', revision };
    const { request } = operation;
    const scan = { asOf: before, filter: null, descending: false, values: true, limit: null } as const;
    const previous = request.previous ? [...this.#versions.pairs({ ...scan, span: spanOf(request) })] : [];
    return { kind: 'deleteRange', revision, answer: { deleted, previous } };
  }

  /** The keys that an operation deletes, if they may be very many; null: they cannot be, or the operation fails. */
  #deletedBy(operation: Operation): readonly DeletedKeys[] | null {
    if (!mayDeleteMany(operation)) return null;
    if (operation.kind !== 'deleteRange') return this.#endedBy(operation).map((id) => ({ kind: 'lease', id }));
    const span = spanOf(operation.request);
    return span.kind === 'single' ? null : [{ kind: 'span', span }];
  }

  /** The leases that the operation ends. */
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

  /** Reads the range at once, however many rows that looks at. */
  range(request: RangeRequest): RangeOutcome {
    return runSteps(this.#range(request, this.#readView(null)));
  }

  /**
   * Like `range`, in steps, at the revision of the first step. Entries may be applied between two steps. The caller
   * keeps compaction from the history that it still needs (`holdHistory`). `budget` tells what it has read so far.
   */
  rangeInSteps(request: RangeRequest, budget = new AnswerBudget()): Generator<void, RangeOutcome, void> {
    return this.#range(request, { ...this.#readView(this.#pace), budget });
  }

  *#range(request: RangeRequest, view: ReadView): Generator<void, RangeOutcome, void> {
    const result = yield* readRangeInSteps(this.#versions, request, view);
    return result.kind === 'failed' ? result : { kind: 'answer', revision: view.current, answer: result.answer };
  }

  /** A view of the present revision. */
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
   * The present pairs of a range, in the order of their keys, with their leases and without their values. They are read
   * as they are asked for, and must all be asked for in one go.
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
    return this.#versions.pairs({ ...scan, span });
  }

  /**
   * The number of present keys of a range that were created before a revision, counted up to `max`. This and
   * `firstCreated` are cheap, because the database hands over no other keys: a queue is looked at each time that a
   * caller leaves it.
   */
  countCreatedBefore(range: KeyRange, createRevision: number, max: number): number {
    const asOf = this.#asOf(this.#revision);
    return this.#versions.countCreatedBefore(wideSpanOf(range), { asOf, createRevision, max });
  }

  /** The present pair that was created first; null: the range holds no key. */
  firstCreated(range: KeyRange): KeyValue | null {
    return this.#versions.firstCreated(wideSpanOf(range), this.#asOf(this.#revision));
  }

  /**
   * A transaction that only reads, in steps like `rangeInSteps`. It checks the access of the caller in the order in
   * which a write is refused. Other replicas need not refuse the same, so the bounds of the newest level count at every
   * level.
   */
  *readTxnInSteps(
    request: TxnRequest,
    caller: Caller,
    nowMs: number,
    budget = new AnswerBudget(),
  ): Generator<void, Outcome, void> {
    assert(isReadOnly(request), 'a txn that writes is in the log');
    const operation = { kind: 'txn', request } as const;
    const failure =
      this.#administration.refusal({ writeId: '', caller, operation, atMs: nowMs }, groupLevel.third) ??
      operationShape(operation, groupLevel.third) ??
      this.#administration.alarms.refusal(operation);
    const view = { ...this.#readView(this.#pace), budget };
    const revision = view.current;
    if (failure !== null) return { kind: 'failed', revision, failure };
    const result = yield* readTxnInSteps(this.#versions, request, view);
    if (result.kind === 'failed') return { kind: 'failed', revision, failure: result.failure };
    return { kind: 'txn', revision, answer: result.answer };
  }

  /** The changes from a revision on. There are none from a revision above the current one on. */
  history(query: HistoryQuery): HistoryPiece;
  history(query: SlicedQuery): HistorySlice;
  history(query: HistoryQuery | SlicedQuery): HistorySlice {
    return this.#history.read(query, this.#revision, this.compactedRevision);
  }

  /** Why the caller is refused; null: it has the access. */
  authorize(caller: Caller, need: AccessNeed, nowMs: number): StoreFailure | null {
    return this.#administration.authority.refusal(caller, need, nowMs)?.failure ?? null;
  }

  /** Why a range request is refused; null: it is not. A fault in its shape comes before the roles of the caller. */
  authorizeRange(caller: Caller, request: RangeRequest, nowMs: number): StoreFailure | null {
    return this.#administration.rangeRefusal(caller, request, nowMs);
  }

  /**
   * Why the key of the tenant alone refuses the access; null: it does not. A watch goes on after the roles of its user
   * changed.
   */
  authorizeKey(caller: Caller, need: AccessNeed, nowMs: number): StoreFailure | null {
    return this.#administration.authority.keyFailure(caller, need, nowMs);
  }

  /** The time at which the caller's key ends by itself; null: it never does. */
  keyExpiresAtMs(caller: Caller): number | null {
    return this.#administration.authority.keyExpiresAtMs(caller);
  }

  /**
   * The answer to a write that would not be done if it were applied now; null: it would be done, or would fail while it
   * is done. Nothing of the write is remembered.
   */
  answerWithoutLog(command: SentCommand): AnswerWithoutLog | null {
    const { operation } = command;
    const refusal = this.#administration.refusalOfWrite(command, this.level);
    if (refusal !== null) return refusedAs(refusal);
    // A remembered answer comes before the alarms, because the first attempt may have been done before they were
    // raised.
    const before = this.#rememberedAnswer(command, identityOf(command), null);
    if (before !== null) return { kind: 'remembered', outcome: before };
    const failure = this.#administration.alarms.refusal(operation) ?? this.#boundRefusal(command);
    return failure === null ? null : { kind: 'refusedAlone', failure };
  }

  /**
   * Why the command is refused at a bound that the operator has set. A transaction is refused when it is applied, and
   * so is a put while the keys were not counted.
   */
  #boundRefusal(command: SentCommand): StoreFailure | null {
    const { operation } = command;
    if (operation.kind !== 'put') return this.#administration.boundRefusal(command);
    return this.#keysWhenOpened === null ? null : this.#keysFailure(operation.request);
  }

  /** Answers a query about anything but keys, after a check of the caller's access. */
  query<Kind extends Query['kind']>(
    query: Query & { readonly kind: Kind },
    caller: Caller,
    nowMs: number,
  ): QueryResult<Kind> {
    return runSteps(this.queryInSteps<Kind>(query, caller, nowMs));
  }

  /**
   * Like `query`, in steps, at the revision of the first step: a hash reads the whole store. Entries may be applied
   * between two steps. The caller keeps compaction from the history that it still needs (`holdHistory`).
   */
  *queryInSteps<Kind extends Query['kind']>(
    query: Query & { readonly kind: Kind },
    caller: Caller,
    nowMs: number,
  ): Generator<void, QueryResult<Kind>, void> {
    const failure = this.authorize(caller, accessOfQuery(query), nowMs);
    if (failure !== null) return { kind: 'failed', failure };
    // Hashes are made of the rows. A throw is answered, and does not end the instance: what was written is undone.
    if (query.kind === 'hash' || query.kind === 'hashKv') this.#sql.transaction(() => this.flush());
    const revision = this.#revision;
    const at = { current: revision, compacted: this.compactedRevision };
    const answered = yield* this.#administration.answer(query, at);
    if (answered.kind === 'failed') return answered;
    const { answer } = answered;
    assert(isAnswerTo(query.kind, answer), 'a query has the answer of its kind');
    return { kind: 'answer', revision, answer };
  }

  /**
   * The next leases after that one, at most `max`, with their stored deadlines, in the order in which they are stored.
   * Null: from the first lease on.
   */
  leasesAfter(id: LeaseId | null, max: number): readonly StoredLease[] {
    return this.#administration.leases.after(id, max);
  }

  /**
   * True: no lease has a later deadline in the memory of the leader than in its row (see `leaseCheckpoint` in the
   * model).
   */
  get leasesSettled(): boolean {
    return this.#administration.leases.settled;
  }

  get leaseCount(): number {
    return this.#administration.leases.count;
  }

  /** The deadline in the row of the lease; null: the lease has no row. */
  storedLeaseDeadlineMs(id: LeaseId): number | null {
    return this.#administration.leases.find(id)?.deadlineMs ?? null;
  }

  /** The earliest stored deadline; null: there are no leases. */
  get earliestLeaseDeadlineMs(): number | null {
    return this.#administration.leases.earliestDeadlineMs();
  }

  /** True: an operator has announced a downgrade, so that code of an earlier level can take part. */
  get downgradeAnnounced(): boolean {
    return this.#administration.downgradeAnnounced;
  }

  findAccessKey(id: string, nowMs: number): FoundKey {
    return this.#administration.accessKeys.find(id, nowMs);
  }

  /** Why the service alone may do anything; null: others may, too. */
  get suspension(): SuspensionFailure | null {
    return this.#administration.suspension.failure;
  }

  /** The keys that are not revoked, the oldest first. */
  accessKeys(): readonly AccessKey[] {
    return this.#administration.accessKeys.list();
  }

  /** The bytes that the answer will take, as far as the present store tells (`answer-estimate.ts`). */
  answerBytesOf(operation: Operation | TxnOperation): number {
    return answerBytesOf(this.#versions, operation);
  }

  sizes(): StoreSizes {
    return { databaseBytes: this.#sql.databaseBytes(), keys: runSteps(this.countKeysInSteps()) };
  }

  /** The present number of keys. The first call counts them, in steps like `rangeInSteps`. */
  *countKeysInSteps(): Generator<void, number, void> {
    while (this.#keysWhenOpened === null) {
      const [opened, added, revision] = [this.#batches, this.#keysAddedSince, this.#revision];
      const asOf = (): AsOf => this.#asOf(revision);
      const count = yield* countInSlices(this.#versions, { span: everyKey, asOf, bounds: this.#pace.bounds });
      if (opened === this.#batches) this.#keysWhenOpened = count - added;
    }
    return this.#keysWhenOpened + this.#keysAddedSince;
  }

  /**
   * Holds the history that a reader of this moment needs, or that `needed` names: `compactStep` leaves it until the
   * function that is returned here is called.
   */
  holdHistory(needed: Needed | null = null): () => void {
    const { revision, compactedRevision: compacted } = this;
    return this.#compaction.hold(needed ?? { revision, compacted, writesTotal: this.#writes.total });
  }

  get holdsHistory(): boolean {
    return this.#compaction.isHeld;
  }

  /**
   * Looks at about `rowsMax` rows, and deletes those that compaction made superfluous. A write that the rows still
   * remember is kept, because a store that is opened anew goes on from there. False: nothing is left to delete
   * until the next compaction, or until less history is held. No answer of the store depends on this.
   */
  compactStep(rowsMax: number): boolean {
    return this.#compaction.step(rowsMax, this.#writesPersisted);
  }

  /**
   * How a revision is read: the newest one is read from the head, unless a delete under way has already taken rows from
   * it.
   */
  #asOf(revision: Revision): AsOf {
    return this.#underWay === null && this.#revision === revision ? 'head' : revision;
  }

  #applyCommand(command: Command, place: number, applying: Applying): void {
    const { careful } = applying;
    if (careful !== null) careful.place = place;
    if (careful?.undone.has(place) === true) return this.#answerUndone(command, place, applying);
    const identity = identityOf(command);
    const { operation } = command;
    if (!this.#administration.alarms.active && command.digest === undefined && isPlainPut(operation)) {
      const { request } = operation;
      if (!applying.group.fits(request, identity)) this.#applyGroup(applying);
      if (this.#mayCreateKeys(applying.group.size + 1) && this.#answerBefore(command, identity, applying) === null) {
        applying.group.add({ request, identity, place });
        if (careful !== null) this.#applyGroup(applying);
        return;
      }
    }
    this.#applyGroup(applying);
    const before = this.#answerBefore(command, identity, applying);
    applying.outcomes[place] = before ?? this.#applyAlone(command, applying);
  }

  /** How many more keys the store may hold. Null: the operator has set no bound. */
  #keysLeft(): KeysLeft | null {
    const max = this.#administration.bounds.max('keysMax');
    return max === null ? null : { left: max - runSteps(this.countKeysInSteps()), max };
  }

  #mayCreateKeys(count: number): boolean {
    const keys = this.#keysLeft();
    return keys === null || keys.left >= count;
  }

  /** Why the put is refused at the bound on keys. */
  #keysFailure({ key }: PutRequest): StoreFailure | null {
    const keys = this.#keysLeft();
    if (keys === null || keys.left > 0 || this.#versions.pair(key, 'head', false) !== null) return null;
    return tooManyKeys(keys);
  }

  #answerUndone(command: Command, place: number, applying: Applying): void {
    const { outcome } = this.#failed({ kind: 'commandUndone', operation: command.operation.kind });
    const identity = identityOf(command);
    if (!this.#writes.knows(identity)) this.#remember(command, outcome, applying.record);
    applying.outcomes[place] = outcome;
  }

  #countUndone(careful: CarefulRun): void {
    careful.place = null;
    if (careful.undone.size === 0) return;
    this.#commandsUndone += careful.undone.size;
    writeMeta(this.#sql, 'commandsUndone', this.#commandsUndone);
  }

  /**
   * The answer to a command that is not done, because it may not be done or was done before; null: it is done.
   * `applying` null: nothing is recorded of the answer.
   */
  #answerBefore(command: Command, identity: string, applying: Applying | null): Outcome | null {
    const record = applying?.record ?? null;
    // Access is checked first, also for a retry: a caller that has lost its access learns nothing of the earlier
    // answer.
    const failure = this.#administration.refusal(command, this.level);
    if (failure === null) return this.#rememberedAnswer(command, identity, applying);
    // Below level 5 a refusal is remembered before the puts that wait, and has the revision before theirs.
    if (applying !== null && this.level >= groupLevel.fifth) this.#applyGroup(applying);
    const { outcome } = this.#failed(failure);
    // The refusal is remembered, because another attempt may come when the caller has access, and what was refused is
    // never done. A key that is not valid never becomes valid again, and needs no such memory.
    const mayBePermitted = failure.kind !== 'unauthenticated' && this.#writes.find(identity, record) === null;
    if (mayBePermitted && record !== null) this.#remember(command, outcome, record);
    return outcome;
  }

  /**
   * The answer to a command whose caller has access, by what is remembered; null: it was not done. `applying` null:
   * nothing is applied.
   */
  #rememberedAnswer(command: SentCommand, identity: string, applying: Applying | null): Outcome | null {
    const record = applying?.record ?? null;
    const before = this.#writes.find(identity, record);
    if (before === null) return this.#unknownOutcome(command, applying?.group.size ?? 0);
    if (canAnswer(command.operation, before) && !this.#isOfAnother(command, identity, record)) return before;
    return this.#failed({ kind: 'idempotencyKeyReused' }).outcome;
  }

  /**
   * The answer to a command that may have been done and forgotten; null: it was not done, or nobody can tell.
   * `waiting`: puts before it that are not remembered yet.
   */
  #unknownOutcome({ seen }: SentCommand, waiting: number): Outcome | null {
    if (seen === undefined || this.level < groupLevel.seventh) return null;
    if (seen !== null && !this.#writes.mayHaveForgotten(seen, waiting)) return null;
    return this.#failed({ kind: 'outcomeUnknown', writes: this.#writes.total }).outcome;
  }

  /** True: the digest of the request that first had this id is known, and is another one. */
  #isOfAnother({ digest }: SentCommand, identity: string, record: BatchRecord | null): boolean {
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

  /** Digests count from the entry after this one on, if the group has just come to level 3. */
  #countDigests(index: LogIndex): void {
    if (this.level < groupLevel.third) this.#digestsFrom = null;
    else if (this.#digestsFrom === null) {
      this.#digestsFrom = index;
      writeMeta(this.#sql, 'digestsFrom', index);
    }
  }

  #applyAlone(command: Command, applying: Applying): Outcome {
    const { outcome, made } = this.#perform(command, applying.leases);
    for (const revision of made) this.#publish(revision, applying);
    this.#remember(command, outcome, applying.record);
    return outcome;
  }

  #applyGroup(applying: Applying): void {
    const puts = applying.group.take();
    if (puts.length === 0) return;
    const events = writePuts(this.#versions, puts, {
      first: asRevision(this.#revision + 1),
      replaced: this.#replaced,
    });
    for (const [nth, { request, identity, place }] of puts.entries()) {
      const event = events[nth];
      assert(event !== undefined, 'each put has its event');
      const revision = asRevision(this.#revision + 1);
      this.#revision = revision;
      if (event.kv.version === 1) this.#keysAddedSince++;
      this.#publish({ revision, events: [event] }, applying);
      const answer = { previous: request.previous ? event.previous : null };
      const outcome: Outcome = { kind: 'put', revision, answer };
      // A put with a digest is never in a group.
      this.#writes.remember(identity, outcome, applying.record, null);
      applying.outcomes[place] = outcome;
    }
  }

  #publish(made: RevisionEvents, applying: Applying): void {
    applying.events.push(made);
    applying.record.addRevision(made);
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
        this.#administration.levelChanged(operation.level);
        return { outcome: { kind: 'done', revision: this.#revision }, made: [] };
      default:
        return unreachable(operation);
    }
  }

  /** Ends leases. Each lease that has keys makes one revision. */
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
    const failure = putFailure(this.#versions, this.#administration.leases, request) ?? this.#keysFailure(request);
    if (failure !== null) return this.#failed(failure);
    const writer = this.#writer();
    const done = put(this.#versions, writer, request, unboundedBudgets());
    assert(done.kind === 'answer', 'a put that was checked does not fail');
    return this.#made(writer, (revision) => ({ kind: 'put', revision, answer: done.answer }));
  }

  #deleteRange(request: DeleteRangeRequest): Performed {
    const writer = this.#writer();
    const done = deleteRange(this.#versions, writer, request, unboundedBudgets());
    if (done.kind === 'failed') return this.#failed(done.failure);
    return this.#made(writer, (revision) => ({ kind: 'deleteRange', revision, answer: done.answer }));
  }

  #txn(request: TxnRequest): Performed {
    const isBounded = this.level >= groupLevel.third;
    const state = {
      current: this.#revision,
      compacted: this.compactedRevision,
      // The counts of pages differ from replica to replica, and must not decide what is refused.
      pages: isBounded ? null : this.#pages,
      leases: this.#administration.leases,
      work: new WorkBudget(isBounded ? this.#commandWork : unboundedWork),
      replaced: this.#replaced,
      keys: this.#keysLeft(),
    };
    const result = runTxn(this.#versions, request, state);
    const { rows, valueBytes } = state.work;
    this.#drawn = { rows: this.#drawn.rows + rows, valueBytes: this.#drawn.valueBytes + valueBytes };
    if (result.kind === 'failed') return this.#failed(result.failure);
    return this.#made(result.writer, (revision) => ({ kind: 'txn', revision, answer: result.answer }));
  }

  #writer(): RevisionWriter {
    return new RevisionWriter(this.#versions, asRevision(this.#revision + 1), this.#replaced);
  }

  #made(writer: RevisionWriter, outcome: (revision: Revision) => Outcome): Performed {
    const made = this.#taken(writer);
    return { outcome: outcome(this.#revision), made };
  }

  /** A command that changed nothing makes no revision. */
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

/** Budgets for an operation that one key bounds by itself. */
function unboundedBudgets(): Budgets {
  return { answer: new AnswerBudget(), work: new WorkBudget(unboundedWork) };
}

function wideSpanOf(range: KeyRange): Exclude<KeySpan, { readonly kind: 'single' }> {
  const span = spanOf(range);
  assert(span.kind !== 'single', 'a range, and not one key');
  return span;
}
