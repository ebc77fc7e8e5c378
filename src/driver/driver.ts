// The driver joins the consensus core, the log and the store of one replica, and runs what the core asks for in one
// order, which is written here once and run by the object and by the simulator alike. It does no I/O of its own: it
// writes through the SQL port, sends through `DriverPort`, and tells its listeners what it did (`DriverListener`).
//
// The order of a turn:
//   1. send    a leader's appends and heartbeats, which may leave before its own write (Ongaro's dissertation, §10.2.1)
//   2. write   all or nothing: hard state, log entries, and the committed commands applied to the store
//   3. send    all other messages; they promise what was written, and the host holds them until the write is durable
//   4. answer  writes that were applied and reads that may be served; the host holds answers back in the same way
// and again from 1 until the core asks for nothing more. Where very many entries wait to be applied, most of them wait
// for later turns.
//
// The rows of point operations are written by a flush, in a turn of its own after the answers: at a bound, soon after
// the last of them, and before the group rests. An instance that ends before that applies them from its log again.

import { assert } from '../base/assert.ts';
import { type LogIndex, logIndex, type ReplicaId, type Term } from '../model/brands.ts';
import {
  compactionStepRows,
  flushAfterQuietTicks,
  flushStaggerPart,
  logEntryBytesMax,
  proposalsInFlightMax,
  restAfterQuietTicks,
  unflushedBytesMax,
  writesUnsureBytesMax,
} from '../limits.ts';
import type { Command, Operation, RevisionEvents, StoreFailure } from '../model/store.ts';
import { commandBytes, encodeCommands, levelNeeded } from '../mvcc/codec/command-codec.ts';
import { mayDeleteMany } from '../mvcc/large-delete.ts';
import { type AnswerWithoutLog, type Applied, Store } from '../mvcc/store.ts';
import type { WorkLimits } from '../mvcc/work-budget.ts';
import type { Configuration } from '../raft/configuration.ts';
import { Raft } from '../raft/raft.ts';
import type { Effects } from '../raft/types.ts';
import type { SqlPort } from '../base/sql-port.ts';
import { groupLevel, groupLevelMax, groupLevelMin } from '../model/levels.ts';
import { type Answer, CommittedEntries } from './committed-entries.ts';
import type { DriverListener, DriverPort } from './driver-port.ts';
import { needsSecondLevel, type PeerMessage } from './envelope.ts';
import { LogTable } from './log-table.ts';
import { type LogBounds, usualBounds } from './log-truncation.ts';
import type { PeerReport } from './peer-report.ts';
import { PendingReads, type Read, type ReadResult } from './pending-reads.ts';
import {
  type CountedWrite,
  isAmong,
  type Proposal,
  Proposals,
  settleApplied,
  type Write,
  type WriteRequest,
  type WriteResult,
} from './proposals.ts';
import { isSnapshotMessage } from './snapshot-codec.ts';
import { type RevisionTime, revisionTimes } from './revision-times.ts';
import { type RestartReason, Upkeep } from './upkeep.ts';

/** The part of the core that other files may see. */
export type RaftView = Pick<
  Raft,
  | 'id'
  | 'role'
  | 'leader'
  | 'term'
  | 'commit'
  | 'silentTicksOf'
  | 'lastIndex'
  | 'resting'
  | 'matchOf'
  | 'configuration'
  | 'isConfigurationCommitted'
>;

export type DriverOptions = {
  readonly id: ReplicaId;
  /** The group as it was made, or as it was when this replica joined. A configuration in the log comes before it. */
  readonly founding: Configuration;
  /** The highest level that this replica takes part in. Absent: that of this code. Tests of mixed versions set it. */
  readonly supports?: number;
  /** Absent: the bounds of `limits.ts`. */
  readonly bounds?: LogBounds;
  /** The bounds of one command, the same on all replicas of a group. Absent: those of `limits.ts`. */
  readonly commandWork?: WorkLimits;
  /** How many writes are remembered, the same on all replicas of a group. Absent: as many as `limits.ts` says. */
  readonly rememberedWritesMax?: number;
  readonly sql: SqlPort;
  readonly port: DriverPort;
  readonly random: () => number;
  readonly electionTimeoutTicks: number;
  readonly heartbeatTicks: number;
};

type AppliedEntry = {
  readonly commands: readonly Command[];
  /** The writes that wait here for the entry; null: no writes wait. */
  readonly proposal: Proposal | null;
  readonly applied: Applied;
};

export class Driver {
  readonly store: Store;
  readonly #raft: Raft;
  readonly #log: LogTable;
  readonly #sql: SqlPort;
  readonly #port: DriverPort;
  readonly #listeners: DriverListener[] = [];
  readonly #proposals = new Proposals();
  readonly #reads = new PendingReads();
  readonly #bounds: LogBounds;
  readonly #committed: CommittedEntries;
  #quietTicks = 0;
  /** How long nothing was applied. */
  #idleTicks = 0;
  /** The part of the bounds at which this replica flushes. */
  readonly #flushPart: number;
  /** The bytes that the host was last told of. */
  #heldBytes = 0;
  #keptBytes = 0;
  /**
   * What the instance before this one showed may be as new as this entry, and this store may be older; null: it is not
   * older.
   */
  #shownThrough: LogIndex | null;
  #halted: string | null = null;
  #inTurn = false;
  /**
   * A compaction may have left rows to delete. True at the start, because one may have been under way at the last stop.
   */
  #sweeping = true;
  #leader: ReplicaId | null = null;
  readonly #upkeep: Upkeep;
  /** The messages of the upkeep in this turn. */
  #toSend: PeerMessage[] = [];
  #levelProposals = 0;
  #levelUnderWay = false;
  /** The bytes of the writes that wait to be answered without the log. */
  #unsureBytes = 0;
  /**
   * The end of the log when this replica first took a write as the leader of that term. No entry of an earlier leader
   * comes after it.
   */
  #leadsSince: { readonly term: Term; readonly index: LogIndex } | null = null;

  constructor(options: DriverOptions) {
    const bounds = options.bounds ?? usualBounds;
    this.#bounds = bounds;
    this.#flushPart = 1 - flushStaggerPart * (options.id % 4);
    this.#sql = options.sql;
    this.#port = options.port;
    this.#log = new LogTable(options.sql);
    this.store = new Store(options.sql, options.commandWork, undefined, options.rememberedWritesMax);
    // A snapshot may have brought another level.
    if (!this.#isLogSettled) options.sql.turn(() => this.#settleLog());
    this.#raft = new Raft({
      id: options.id,
      founding: options.founding,
      hardState: this.#log.hardState,
      log: this.#log,
      applied: this.store.appliedIndex,
      random: options.random,
      electionTimeoutTicks: options.electionTimeoutTicks,
      heartbeatTicks: options.heartbeatTicks,
      appendEntriesMax: bounds.appendEntriesMax,
    });
    this.#committed = new CommittedEntries({
      sql: options.sql,
      store: this.store,
      bounds,
      carefulThrough: logIndex(this.#log.lastIndex() + bounds.carefulEntries),
      takeProposal: (entry) => this.#proposals.take(entry),
      applied: ({ commands, proposal }, applied, answers) => this.#applied({ commands, proposal, applied }, answers),
      configured: (configuration, answers) => this.#configured(configuration, answers),
      undone: (command) => options.port.undone(command),
    });
    this.#upkeep = new Upkeep({
      raft: this.#raft,
      log: this.#log,
      store: this.store,
      sql: options.sql,
      supports: options.supports ?? groupLevelMax,
      bounds,
      send: (message) => void this.#toSend.push(message),
      flush: () => this.flush(),
      proposeLevel: (level) => this.#proposeLevel(level),
      restart: (reason, configuration) => this.#restart(reason, configuration),
    });
    this.#shownThrough = this.#shownBefore();
  }

  /** Adds a listener. Listeners are told in the order in which they were added. */
  listen(listener: DriverListener): void {
    this.#listeners.push(listener);
  }

  get raft(): RaftView {
    return this.#raft;
  }

  /** The index of the newest configuration in the log; 0: the group was made with that configuration. */
  get configurationIndex(): LogIndex {
    return this.#raft.configurationIndex;
  }

  /** The report that goes with every envelope of this replica. */
  get report(): PeerReport {
    const { report } = this.#upkeep;
    return this.#halted === null ? report : { ...report, state: 'halted' };
  }

  /** The last report of another member; null: it sent no report, or its code is of level 1. */
  reportOf(peer: ReplicaId): PeerReport | null {
    return this.#upkeep.reportOf(peer);
  }

  get logSize(): { readonly entries: number; readonly bytes: number } {
    return this.#log.size;
  }

  /** Leader only: that learner has all entries that are committed here, and may become a voter. */
  isReady(learner: ReplicaId): boolean {
    return this.#upkeep.isReady(learner);
  }

  /** The object of that replica does not exist. */
  absent(peer: ReplicaId): void {
    this.#raft.absent(peer);
    this.#upkeep.absent(peer);
    if (this.#halted === null && this.#raft.hasEffects) this.#turn();
  }

  /** The bytes of the store on disk with its history, which is everything but the log. */
  get storeBytes(): number {
    return this.#upkeep.storeBytes;
  }

  /**
   * The database holds another store, or parts of one, beside the store that serves. Its size then says little of that
   * store.
   */
  get holdsOtherStore(): boolean {
    return this.#upkeep.holdsOtherStore;
  }

  /** Rows that a compaction made superfluous are being deleted, so the store becomes smaller. */
  get isSweeping(): boolean {
    return this.#sweeping;
  }

  /** When revisions came, as far as the log still tells, the oldest first. */
  revisionTimes(max: number): readonly RevisionTime[] {
    return revisionTimes(this.#log, this.store, max);
  }

  /**
   * False: this instance has just begun, and the one before it may have shown a newer state. Until the log is applied
   * as far as it goes, or one read is confirmed, nothing may be shown that was not confirmed.
   */
  get isSure(): boolean {
    return this.#shownThrough === null;
  }

  /** Reads may be answered from the store. */
  get serves(): boolean {
    return this.#halted === null && !this.#upkeep.isRebuilding;
  }

  /**
   * Proposes a configuration, one step from `present`. False: it cannot be proposed now (`Raft.proposeConfiguration`),
   * or the level of the group does not allow it, or may not where its entry would be in the log.
   */
  proposeConfiguration(present: Configuration, next: Configuration): boolean {
    if (this.#halted !== null || this.store.level < groupLevel.second || this.#levelUnderWay) return false;
    const proposed = this.#raft.proposeConfiguration(present, next);
    if (proposed !== null) this.#quietTicks = 0;
    this.#turn();
    return proposed !== null;
  }

  get halted(): string | null {
    return this.#halted;
  }

  /**
   * Takes calls that came together in one turn. The writes share a log entry, and the reads share a confirmation round.
   */
  submit(writes: readonly Write[], reads: readonly Read[]): void {
    const before = this.#reads.size;
    for (const write of writes) this.#enqueueWrite(write);
    for (const read of reads) this.#enqueueRead(read);
    if (reads.length > 0 || this.#reads.size > before || this.#mayPropose()) this.#turn();
  }

  write(request: WriteRequest, settle: (result: WriteResult) => void): void {
    this.submit([{ request, settle }], []);
  }

  /** Settles once every write that was acknowledged before this call is applied here. */
  read(settle: (result: ReadResult) => void): void {
    this.submit([], [{ settle }]);
  }

  #enqueueWrite(write: Write): void {
    const { settle } = write;
    if (this.#halted !== null) return settle({ kind: 'halted', reason: this.#halted });
    if (this.#raft.role !== 'leader') return settle({ kind: 'notLeader', leader: this.#raft.leader });
    this.#lastOfEarlierLeaders();
    const { operation } = write.request;
    if (!this.knowsOperation(operation)) {
      return settle({ kind: 'refused', failure: { kind: 'operationNotServed', operation: operation.kind } });
    }
    const answer = this.#answerWithoutLog(write);
    if (answer === null && !this.#countsLater(write)) this.#enqueue(write);
    else if (answer?.kind === 'refused' && !isOfUnknownKey(answer.failure)) settle(answer);
    else this.#answerOnceSure(write);
  }

  #enqueue(write: Write): void {
    const untaken = this.#proposals.enqueue(this.#knownPart(write));
    if (untaken !== null) return write.settle(untaken);
    if (write.quiet !== true) this.#quietTicks = 0;
  }

  /**
   * True: the group is surely at this level when an entry that is proposed now is applied. That is known once all
   * entries of earlier leaders are applied, and while this leader proposes no other level.
   */
  #knows(level: number): boolean {
    const isKnown = this.store.appliedIndex >= this.#lastOfEarlierLeaders() && !this.#levelUnderWay;
    return isKnown && this.store.level >= level;
  }

  /** Or of this one, if it was not asked for before it proposed. */
  #lastOfEarlierLeaders(): LogIndex {
    const { term, lastIndex } = this.#raft;
    if (this.#leadsSince?.term !== term) this.#leadsSince = { term, index: lastIndex };
    return this.#leadsSince.index;
  }

  /** The write with what a group of the present level knows of its request. */
  #knownPart(write: Write): CountedWrite {
    const { digest, seen, ...others } = write.request;
    const digested = digest !== undefined && this.#knows(groupLevel.third) ? { ...others, digest } : others;
    if (typeof seen !== 'number' || !this.#knows(groupLevel.seventh)) return { ...write, request: digested };
    // Nobody has seen more than there were.
    return { ...write, request: { ...digested, seen: Math.min(seen, this.store.writesTotal) } };
  }

  /**
   * The count of the write decides whether it is done, and may not be in the log yet: a leader that has just been
   * elected does not know the level of the entries that it has not applied.
   */
  #countsLater({ request }: Write): boolean {
    if (request.seen === undefined || this.store.level < groupLevel.seventh) return false;
    return !this.#levelUnderWay && !this.#knows(groupLevel.seventh);
  }

  /** Whether the group is of the level that the operation needs. */
  knowsOperation(operation: Operation): boolean {
    const level = levelNeeded(operation);
    return level === groupLevelMin || this.#knows(level);
  }

  /** The answer to a write that need not be in the log; null: the log decides. */
  #answerWithoutLog({ request, mayBeAlone = false }: Write): AnswerWithoutLog | null {
    const answer = this.store.answerWithoutLog({ ...request, atMs: this.#port.nowMs() });
    return answer?.kind === 'refusedAlone' && !mayBeAlone ? null : answer;
  }

  /**
   * What a write is refused for, or was answered before, may be otherwise by now: another leader, or an entry that is
   * not applied yet, may have made its key, granted the right, ended the alarm, or taken any of it away. So this
   * replica first makes sure that it leads, and has applied all that was acknowledged before, and looks again. What it
   * says then holds at that moment, as a read does. (A key that is known never gets other rights, and a revoked one
   * none: of those there is nothing to make sure.)
   *
   * A write that says a count waits in the same way where its leader does not know yet whether the group counts.
   *
   * All that earlier leaders proposed is applied by then. What this one has proposed may not be, and may hold another
   * attempt of the write: behind that the log decides, as it does between the two.
   */
  #answerOnceSure(write: Write): void {
    const { settle, request, quiet = false } = write;
    const { term } = this.#raft;
    const bytes = commandBytes({ ...request, atMs: 0 });
    if (bytes > logEntryBytesMax) return settle({ kind: 'tooLarge', bytes });
    if (this.#unsureBytes + bytes > writesUnsureBytesMax) return settle({ kind: 'overloaded' });
    this.#unsureBytes += bytes;
    const sure = (result: ReadResult): void => {
      this.#unsureBytes -= bytes;
      if (result.kind === 'refused') return settle({ kind: 'notLeader', leader: result.leader });
      if (result.kind !== 'ready') return settle(result);
      const { role, leader } = this.#raft;
      // The proposals of an earlier term are not known any more, and may still be committed.
      if (role !== 'leader' || this.#raft.term !== term) return settle({ kind: 'notLeader', leader });
      const answer = this.#answerWithoutLog(write);
      const isBehind = answer?.kind === 'refusedAlone' && this.#isOnItsWay(request);
      if (answer !== null && !isBehind) return settle(this.#resultOf(answer));
      this.#enqueue(write);
      if (this.#mayPropose()) this.#turn();
    };
    this.#enqueueRead({ settle: sure }, quiet);
  }

  #resultOf(answer: AnswerWithoutLog): WriteResult {
    if (answer.kind !== 'remembered') return answer;
    return { kind: 'applied', outcome: answer.outcome, term: this.#raft.term };
  }

  /**
   * Ids that the service makes come once where a write may be refused alone: there are no others of theirs to look for.
   */
  #isOnItsWay(request: WriteRequest): boolean {
    if (request.digest === undefined) return false;
    return isAmong(this.#committed.writes, request) || this.#proposals.has(request);
  }

  #enqueueRead(read: Read, quiet = false): void {
    const { settle } = read;
    if (this.#halted !== null) return settle({ kind: 'halted', reason: this.#halted });
    if (!this.serves) return settle({ kind: 'refused', leader: this.#raft.leader });
    const context = this.#reads.add(read);
    if (context === null) return settle({ kind: 'overloaded' });
    if (!quiet) this.#quietTicks = 0;
    this.#raft.requestRead(context);
  }

  /** Takes messages of one sender, with its report. */
  receive(messages: readonly PeerMessage[], report: PeerReport | null): void {
    const sender = messages[0]?.from;
    if (this.#halted !== null || sender === undefined) return;
    for (const message of messages) {
      if (this.#halted !== null) return;
      if (isSnapshotMessage(message)) this.#upkeep.receive(message);
      else if (message.kind !== 'append' || message.entries.length === 0) this.#raft.receive(message);
      else if (!this.#upkeep.isLogFull) {
        this.#quietTicks = 0;
        this.#raft.receive(message);
      }
    }
    this.#upkeep.heard(sender, report);
    this.#turn();
  }

  tick(): void {
    if (this.#halted !== null) return;
    this.#raft.tick();
    this.#quietTicks++;
    if (++this.#idleTicks >= flushAfterQuietTicks) {
      this.flush();
      if (this.#keptBytes > 0) this.#keepNothing();
    }
    this.#upkeep.tick();
    const isBusy = this.#sweeping || this.#upkeep.isBusy || !this.#committed.isEmpty || this.store.hasUnflushed;
    if (this.#quietTicks >= restAfterQuietTicks && !isBusy && this.#raft.mayRest) {
      if (this.#listeners.every((listener) => listener.mayRest?.() ?? true)) this.#raft.rest();
    }
    this.#turn();
    this.sweep(compactionStepRows);
  }

  /** Writes the rows of all that was applied. Nothing is written once this instance has stopped. */
  flush(): void {
    if (this.#halted !== null || !this.store.hasUnflushed) return;
    this.#port.before?.('flush');
    this.#sql.turn(() => this.store.flush());
    this.#holdMemory();
  }

  /** Applies more of the entries that wait to be applied. */
  goOn(): void {
    if (this.#halted === null) this.#turn();
  }

  /** Stands for election now: a caller waits, and the leader, if one is known, does not answer. */
  campaign(): void {
    if (this.#halted !== null) return;
    this.#quietTicks = 0;
    this.#raft.campaign();
    this.#turn();
  }

  transferLeadership(to: ReplicaId): void {
    this.#raft.transferLeadership(to);
    this.#turn();
  }

  /** Deletes rows that compaction made superfluous, in one small step a tick. No answer depends on how far this is. */
  sweep(rowsMax: number): void {
    if (!this.#sweeping || this.#halted !== null) return;
    this.#sweeping = this.#sql.turn(() => this.store.compactStep(rowsMax)) || this.store.holdsHistory;
  }

  /** Stops for good: nothing is written, read or sent from here on, and all waiting callers are told `reason`. */
  stop(reason: string): void {
    this.#halted = reason;
    const { unknown, refused } = this.#proposals.giveUp();
    for (const { settle } of [...this.#committed.takeWrites(), ...unknown]) settle({ kind: 'unknown' });
    for (const { settle } of refused) settle({ kind: 'halted', reason });
    for (const { settle } of this.#reads.takeAll()) settle({ kind: 'halted', reason });
    this.#port.mayHold?.(0);
    this.#port.mayKeep?.(0);
  }

  // One turn

  #turn(): void {
    assert(!this.#inTurn, 'a turn began inside another one, or after one that threw');
    this.#inTurn = true;
    const answers: Answer[] = [];
    this.#committed.beginTurn();
    let isBehind = false;
    this.#propose(answers);
    this.#sendOthers();
    while (this.#halted === null && (isBehind ? this.#raft.hasOtherEffects : this.#hasEffects)) {
      const waits = isBehind || !this.#committed.isEmpty;
      const effects = this.#raft.takeEffects({ withCommitted: !waits });
      this.#runEffects(effects, answers, isBehind);
      this.#raft.persisted();
      this.#propose(answers);
      isBehind ||= effects.hasMoreCommitted || !this.#committed.isEmpty || this.#committed.turnIsFull;
    }
    this.#giveUpLostWrites(answers);
    // A turn that throws does not come to this line: its instance takes no other input.
    this.#inTurn = false;
    this.#port.before?.('answer');
    for (const answer of answers) answer();
    if (this.#leader !== this.#raft.leader) {
      this.#leader = this.#raft.leader;
      for (const listener of this.#listeners) listener.leaderChanged?.(this.#leader);
    }
    if (!this.#holdMemory()) this.flush();
    else if (this.#isFlushDue) this.#port.flushSoon();
    if (isBehind && this.#hasEffects && this.#halted === null) this.#port.applySoon();
    else if (this.#raft.resting) this.#rest();
  }

  get #isFlushDue(): boolean {
    const { versions, bytes } = this.store.unflushed;
    const { unflushedVersionsMax } = this.#bounds;
    return versions >= this.#flushPart * unflushedVersionsMax || bytes >= this.#flushPart * unflushedBytesMax;
  }

  /** False: there is no room for what is not flushed. */
  #holdMemory(): boolean {
    if (this.#halted !== null) return true;
    const { keptBytes } = this.store;
    if (keptBytes !== this.#keptBytes) {
      if (this.#port.mayKeep?.(keptBytes) === false) this.#keepNothing();
      else this.#keptBytes = keptBytes;
    }
    const { bytes } = this.store.unflushed;
    if (bytes === this.#heldBytes) return true;
    this.#heldBytes = bytes;
    return this.#port.mayHold?.(bytes) ?? true;
  }

  #keepNothing(): void {
    this.store.keepNothing();
    this.#keptBytes = 0;
    this.#port.mayKeep?.(0);
  }

  /**
   * All that was shown before is in the log, which may have entries without rows, unless a snapshot took the place of
   * both; null: the store shows all of it.
   */
  #shownBefore(): LogIndex | null {
    if (!this.store.mayWait) return null;
    if (this.#upkeep.isReplaced) return logIndex(Number.MAX_SAFE_INTEGER);
    return this.#log.hasCommandAfter(this.store.persistedIndex) ? this.#log.lastIndex() : null;
  }

  #rest(): void {
    this.flush();
    for (const listener of this.#listeners) listener.resting?.();
    this.#port.rest();
  }

  get #hasEffects(): boolean {
    return !this.#committed.isEmpty || this.#raft.hasEffects;
  }

  /** Sends the messages of the upkeep. Those that answer promise what was written before. */
  #sendOthers(): void {
    const messages = this.#toSend;
    if (messages.length === 0) return;
    this.#toSend = [];
    this.#send(messages);
  }

  /**
   * Leaves out messages that a replica of level 1 does not know. They are repeated, and the receiver may have told of a
   * higher level by then.
   */
  #send(messages: readonly PeerMessage[]): void {
    const known = messages.filter((each) => !needsSecondLevel(each) || this.#supportsOf(each.to) >= groupLevel.second);
    if (known.length > 0) this.#port.send(known);
  }

  #supportsOf(peer: ReplicaId): number {
    return this.#upkeep.reportOf(peer)?.supports ?? groupLevel.first;
  }

  #runEffects(effects: Effects, answers: Answer[], isBehind: boolean): void {
    if (effects.early.length > 0) {
      this.#port.before?.('sendEarly');
      this.#port.send(effects.early);
    }
    this.#port.before?.('write');
    const before = this.store.appliedIndex;
    const events = this.#write(effects, answers, isBehind);
    this.#port.before?.('written');
    if (effects.messages.length > 0) {
      this.#port.before?.('send');
      this.#send(effects.messages);
    }
    if (effects.snapshotFrom !== null) this.#upkeep.needSnapshot(effects.snapshotFrom);
    this.#sendOthers();
    const { removed } = effects;
    if (removed !== null) answers.push(() => this.#port.removed(removed));
    if (events === null || events.length > 0) {
      for (const listener of this.#listeners) listener.published?.(events, this.store.revision);
    }
    this.#answerReads(effects, answers, this.store.appliedIndex > before);
  }

  #write(effects: Effects, answers: Answer[], isBehind: boolean): readonly RevisionEvents[] | null {
    const { hardState, entries, committed, messages } = effects;
    this.#halted = this.#committed.add(committed) ?? this.#halted;
    const mayApply = !isBehind && !this.#committed.isEmpty;
    if (hardState === null && entries.length === 0 && !mayApply) {
      if (messages.length > 0) this.#log.touch();
      return [];
    }
    const persist = (): void => {
      if (hardState !== null) this.#log.writeHardState(hardState);
      this.#log.write(entries);
      // What is applied may stay in memory: a replaced instance ends here, before it answers from there.
      if (hardState === null && entries.length === 0) this.#log.touch();
    };
    if (!mayApply) {
      this.#sql.turn(persist);
      return [];
    }
    const turn = this.#committed.apply(persist);
    this.#idleTicks = 0;
    if (this.#shownThrough !== null && this.store.appliedIndex >= this.#shownThrough) this.#shownThrough = null;
    answers.push(...turn.answers);
    return turn.events;
  }

  #applied({ commands, proposal, applied }: AppliedEntry, answers: Answer[]): void {
    const { leases, outcomes, work } = applied;
    this.#settleLog();
    this.#upkeep.applied();
    this.#sweeping ||= commands.some((command) => command.operation.kind === 'compact');
    answers.push(() => {
      for (const listener of this.#listeners) listener.applied?.(commands);
    });
    if (leases.length > 0) {
      answers.push(() => {
        for (const listener of this.#listeners) listener.leasesChanged?.(leases);
      });
    }
    if (proposal === null) return;
    this.#proposals.worked(work.rows, this.#port.nowMs());
    answers.push(() => settleApplied(proposal, outcomes));
  }

  get #isLogSettled(): boolean {
    return this.#log.liesInPlaces === this.store.level >= groupLevel.sixth;
  }

  /** Within the turn that may have changed the level. */
  #settleLog(): void {
    this.#log.lieInPlaces(this.store.level >= groupLevel.sixth);
  }

  #configured(configuration: Configuration, answers: Answer[]): void {
    this.#port.configured(configuration);
    const members = configuration.members.map(({ id }) => id);
    // A learner's founding configuration names the learner. A log that is replayed may have older configurations, which
    // do not.
    const wasMember = this.#raft.id < configuration.nextId;
    if (wasMember && !members.includes(this.#raft.id)) answers.push(() => this.#port.removed(members));
  }

  #restart(reason: RestartReason, configuration: Configuration | null): void {
    if (configuration !== null) this.#port.configured(configuration);
    this.stop(reason);
    this.#port.restart(reason);
  }

  #proposeLevel(level: number): void {
    if (this.#levelUnderWay) return;
    this.#levelUnderWay = true;
    const writeId = `level:${this.#raft.id}.${this.#raft.term}.${this.#levelProposals++}`;
    const request = { writeId, caller: { kind: 'service' }, operation: { kind: 'groupLevel', level } } as const;
    this.#enqueueWrite({
      request,
      quiet: true,
      settle: () => {
        this.#levelUnderWay = false;
      },
    });
  }

  #answerReads(effects: Effects, answers: Answer[], hasApplied: boolean): void {
    for (const context of effects.refusedReads) {
      const read = this.#reads.take(context);
      if (read !== null) answers.push(() => read.settle({ kind: 'refused', leader: this.#raft.leader }));
    }
    for (const { context, index } of effects.reads) this.#reads.confirmed(context, index);
    if (effects.reads.length === 0 && !hasApplied) return;
    // A leader counts itself in a confirmation round, but only storage can say whether this instance still owns it. A
    // replaced instance of the object ends here, before it answers from a state that its successor has left behind.
    if (effects.reads.length > 0) this.#log.touch();
    // While an entry is under way, reads wait for its end: beside keys and their history not all is as it was before
    // it.
    if (this.store.isUnderWay) return;
    for (const { settle } of this.#reads.takeReady(this.store.appliedIndex)) {
      // A leader has confirmed all that any replica had applied, and it is applied here, too.
      this.#shownThrough = null;
      this.#upkeep.confirmed();
      answers.push(() => settle({ kind: 'ready' }));
    }
  }

  #mayPropose(): boolean {
    return this.#raft.role === 'leader' && this.#proposals.mayPropose(this.#port.nowMs());
  }

  #propose(answers: Answer[]): void {
    while (this.#mayPropose()) {
      const atMs = this.#port.nowMs();
      const taken = this.#proposals.takeForEntry(atMs, (operation) => this.#standsAlone(operation));
      const proposed = this.#raft.propose(encodeCommands(taken.commands));
      if (proposed !== null) this.#proposals.proposed(taken, proposed, atMs);
      // Leadership is being handed over: the callers find the new leader.
      else for (const { settle } of taken.writes) answers.push(() => settle({ kind: 'notLeader', leader: null }));
    }
  }

  /**
   * What deletes very many keys has an entry to itself, so that it can be applied in steps. How many they are is not
   * known while much is unapplied.
   */
  #standsAlone(operation: Operation): boolean {
    if (!mayDeleteMany(operation)) return false;
    const isBehind = this.store.appliedIndex + proposalsInFlightMax < this.#raft.commit;
    return isBehind || this.store.isUnderWay || this.store.takesSteps(operation, this.#bounds.deleteStepRows);
  }

  #giveUpLostWrites(answers: Answer[]): void {
    const committed = this.#halted === null ? [] : this.#committed.takeWrites();
    const isNothing = this.#proposals.isEmpty && committed.length === 0;
    if (isNothing || (this.#raft.role === 'leader' && this.#halted === null)) return;
    const { unknown, refused } = this.#proposals.giveUp();
    answers.push(() => {
      for (const { settle } of [...committed, ...unknown]) settle({ kind: 'unknown' });
      for (const { settle } of refused) settle({ kind: 'notLeader', leader: this.#raft.leader });
    });
  }
}

function isOfUnknownKey(failure: StoreFailure): boolean {
  return failure.kind === 'unauthenticated' && failure.reason === 'unknown';
}
