// The driver: it joins the consensus core, the log and the store of one replica, and runs what the core asks for in one
// order, written here once and run by the object and by the simulator alike. It does no I/O of its own: SQL goes
// through the port, messages and answers through `DriverPort`.
//
// The order of a turn:
//   1. send    a leader's appends and heartbeats, which may leave before its own write (Ongaro's dissertation, §10.2.1)
//   2. write   all or nothing: hard state, log entries, and the committed commands applied to the store
//   3. send    all other messages; they promise what was written, and the host holds them until the write is durable
//   4. answer  writes that were applied and reads that may be served; the host holds answers back in the same way
// and again from 1 until the core asks for nothing more. Where very many entries wait to be applied, most of them wait
// for later turns.

import { assert, unreachable } from '../base/assert.ts';
import { MalformedBytesError } from '../base/binary.ts';
import { type LogIndex, logIndex, type ReplicaId, type Revision, type Term } from '../model/brands.ts';
import {
  compactionStepRows,
  logEntryBytesMax,
  proposalsInFlightMax,
  restAfterQuietTicks,
  turnValueBytesMax,
  writesUnsureBytesMax,
} from '../limits.ts';
import type { Command, Operation, RevisionEvents, StoreFailure } from '../model/store.ts';
import { applyOrUndo, isPointOperation, type UndoneCommand } from '../mvcc/careful-apply.ts';
import { commandBytes, decodeCommands, encodeCommands, UnknownCommandVersion } from '../mvcc/codec/command-codec.ts';
import { mayDeleteMany } from '../mvcc/large-delete.ts';
import type { LeaseChange } from '../mvcc/leases.ts';
import { type AnswerWithoutLog, type Applied, Store } from '../mvcc/store.ts';
import type { WorkLimits } from '../mvcc/work-budget.ts';
import type { Work } from '../mvcc/work-estimate.ts';
import { type Configuration, decodeConfiguration } from '../raft/configuration.ts';
import { Raft } from '../raft/raft.ts';
import type { Effects, Entry } from '../raft/types.ts';
import type { NotPromise, SqlPort } from '../base/sql-port.ts';
import { groupLevel, groupLevelMax } from '../model/levels.ts';
import { needsSecondLevel, type PeerMessage } from './envelope.ts';
import { LogTable } from './log-table.ts';
import { type LogBounds, usualBounds } from './log-truncation.ts';
import type { PeerReport } from './peer-report.ts';
import { PendingReads, type Read, type ReadResult } from './pending-reads.ts';
import {
  isAmong,
  type Proposal,
  Proposals,
  settleApplied,
  type Write,
  type WriteRequest,
  type WriteResult,
} from './proposals.ts';
import { isSnapshotMessage } from './snapshot-codec.ts';
import { type RestartReason, Upkeep } from './upkeep.ts';

/** What others may see of the core. */
export type RaftView = Pick<
  Raft,
  | 'id'
  | 'role'
  | 'leader'
  | 'term'
  | 'commit'
  | 'lastIndex'
  | 'resting'
  | 'matchOf'
  | 'configuration'
  | 'isConfigurationCommitted'
>;

export type Step = 'sendEarly' | 'write' | 'written' | 'send' | 'answer';

/** What a driver needs of its host. */
export interface DriverPort {
  /** Hands messages to the network. What was written before the call must be durable before they leave. */
  send(messages: readonly PeerMessage[]): void;
  /** This command threw and was undone, as on every replica. That is a fault of this code: tell whoever can mend it. */
  undone(command: UndoneCommand): void;
  /**
   * This configuration is committed. Inside the turn that applies it: what the host keeps of it is written with
   * it.
   */
  configured(configuration: Configuration): void;
  /** This replica is not a member any more; `members` are. Comes again until the host has stopped it. */
  removed(members: readonly ReplicaId[]): void;
  /**
   * The store on disk is another one, or known to be wrong. The driver is halted; the host makes a new one of what is
   * on disk.
   */
  restart(reason: RestartReason): void;
  /** More is committed than one turn applies: call `goOn` soon, after others. May come again before that. */
  applySoon(): void;
  /**
   * The group has nothing to do: stop the clock until the next input. May come again after an input that changes
   * nothing.
   */
  rest(): void;
  nowMs(): number;
  /** Comes before each step of a turn. A simulator may crash the replica here. */
  before?(step: Step): void;
}

/** Whoever hears what a driver did, as far as it has a method for it. */
export interface DriverListener {
  /**
   * Revisions that were just applied, for the watchers here. `events`: null where very many keys were deleted, more
   * than memory may hold: history tells what came up to `revision`.
   */
  published?(events: readonly RevisionEvents[] | null, revision: Revision): void;
  /** Commands that were just applied, whatever became of them: some end watches. */
  applied?(commands: readonly Command[]): void;
  /** What was just applied granted or ended leases, in this order. */
  leasesChanged?(changes: readonly LeaseChange[]): void;
  /** Another replica leads now, or nobody is known to. */
  leaderChanged?(leader: ReplicaId | null): void;
  /** A leader whose group has nothing else to do asks: it rests if every listener that answers says true. */
  mayRest?(): boolean;
  /** The group is about to rest (`DriverPort.rest`, which comes next). */
  resting?(): void;
}

export type DriverOptions = {
  readonly id: ReplicaId;
  /** The group as it was made, or as it was when this replica joined: the log knows better once it says something. */
  readonly founding: Configuration;
  /**
   * The highest level that this replica takes part in, where it is not the code's own: for groups of mixed versions in
   * tests.
   */
  readonly supports?: number;
  /** Absent: those of `limits.ts`. */
  readonly bounds?: LogBounds;
  /** Of one command. Absent: that of `limits.ts`. All replicas of a group must have the same. */
  readonly commandWork?: WorkLimits;
  readonly sql: SqlPort;
  readonly port: DriverPort;
  readonly random: () => number;
  readonly electionTimeoutTicks: number;
  readonly heartbeatTicks: number;
};

type Answer = () => void;

/** A committed entry with its commands. `proposal`: what waits here for it; null: nothing does. */
type ApplicableCommands = {
  readonly kind: 'command';
  readonly entry: Entry;
  readonly commands: readonly Command[];
  readonly proposal: Proposal | null;
};
type Applicable = ApplicableCommands | { readonly kind: 'noop' | 'membership'; readonly entry: Entry };

/** What is applied in steps, of which each has a turn to itself. */
type Steps = Generator<void, Applied, void>;
type StepTaken = IteratorResult<void, Applied>;

/** What a turn wrote, beside rows. */
type Written = {
  /** null: those of an entry that was applied in steps. */
  events: RevisionEvents[] | null;
  readonly answers: Answer[];
  /** How many of the entries. */
  applied: number;
  /** Of the turn so far. */
  work: Work;
  /** The first of the entries that are left is under way. */
  steps: Steps | null;
};

function lastStep(value: Applied): StepTaken {
  return { done: true, value };
}

const noWork: Work = { rows: 0, valueBytes: 0 };

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
  /** Up to here an entry may be the one that ended the instance before this one. */
  readonly #carefulThrough: LogIndex;
  /** What the last turn left to be applied. */
  #committed: readonly Applicable[] = [];
  #steps: Steps | null = null;
  #turnWork = noWork;
  #quietTicks = 0;
  #halted: string | null = null;
  #inTurn = false;
  /** A compaction may have left rows to delete. True at first: one may have been under way when the replica stopped. */
  #sweeping = true;
  #leader: ReplicaId | null = null;
  readonly #upkeep: Upkeep;
  /** Said by the upkeep in this turn. */
  #toSend: PeerMessage[] = [];
  #levelProposals = 0;
  #levelUnderWay = false;
  /** Of writes that wait to be answered without the log. */
  #unsureBytes = 0;
  /**
   * The end of the log when this replica first took a write as the leader of that term: no earlier leader's entry comes
   * after it.
   */
  #leadsSince: { readonly term: Term; readonly index: LogIndex } | null = null;

  constructor(options: DriverOptions) {
    const bounds = options.bounds ?? usualBounds;
    this.#bounds = bounds;
    this.#sql = options.sql;
    this.#port = options.port;
    this.#log = new LogTable(options.sql);
    this.#carefulThrough = logIndex(this.#log.lastIndex() + bounds.carefulEntries);
    this.store = new Store(options.sql, options.commandWork);
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
    this.#upkeep = new Upkeep({
      raft: this.#raft,
      log: this.#log,
      store: this.store,
      sql: options.sql,
      supports: options.supports ?? groupLevelMax,
      bounds,
      send: (message) => void this.#toSend.push(message),
      proposeLevel: (level) => this.#proposeLevel(level),
      restart: (reason, configuration) => this.#restart(reason, configuration),
    });
  }

  /** From here on it hears what this driver does, after those that came before it. */
  listen(listener: DriverListener): void {
    this.#listeners.push(listener);
  }

  get raft(): RaftView {
    return this.#raft;
  }

  /** Where the newest configuration is in the log; 0: the group was made with it. */
  get configurationIndex(): LogIndex {
    return this.#raft.configurationIndex;
  }

  /** What goes with every envelope that this replica sends. */
  get report(): PeerReport {
    const { report } = this.#upkeep;
    return this.#halted === null ? report : { ...report, state: 'halted' };
  }

  /** What another member last said of itself; null: nothing, or its code is of level 1. */
  reportOf(peer: ReplicaId): PeerReport | null {
    return this.#upkeep.reportOf(peer);
  }

  get logSize(): { readonly entries: number; readonly bytes: number } {
    return this.#log.size;
  }

  /** Leader only: that learner has what is committed here, and may vote. */
  isReady(learner: ReplicaId): boolean {
    return this.#upkeep.isReady(learner);
  }

  /** There is no object where that replica should be. */
  absent(peer: ReplicaId): void {
    this.#raft.absent(peer);
    this.#upkeep.absent(peer);
  }

  /** What the store takes on disk, its history included: all but the log. */
  get storeBytes(): number {
    return this.#upkeep.storeBytes;
  }

  /** The database holds another store beside the one that serves, or parts of one: its size is not that store's. */
  get holdsOtherStore(): boolean {
    return this.#upkeep.holdsOtherStore;
  }

  /** The store may be shown. */
  get serves(): boolean {
    return this.#halted === null && !this.#upkeep.isRebuilding;
  }

  /**
   * False: not now (`Raft.proposeConfiguration`), or the group's level does not know it, or will not where this is in
   * the log. One step from `present`.
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
   * Calls that came together: one turn for all of them. Writes under way share a log entry, reads a confirmation round.
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

  /** Settles once all that was acknowledged before this call is applied here. */
  read(settle: (result: ReadResult) => void): void {
    this.submit([], [{ settle }]);
  }

  #enqueueWrite(write: Write): void {
    const { settle } = write;
    if (this.#halted !== null) return settle({ kind: 'halted', reason: this.#halted });
    if (this.#raft.role !== 'leader') return settle({ kind: 'notLeader', leader: this.#raft.leader });
    const answer = this.#answerWithoutLog(write);
    if (answer === null) this.#enqueue(write);
    else if (answer.kind === 'refused' && !isOfUnknownKey(answer.failure)) settle(answer);
    else this.#answerOnceSure(write);
  }

  #enqueue(write: Write): void {
    const untaken = this.#proposals.enqueue(this.#knowsDigests ? write : withoutDigest(write));
    if (untaken !== null) return write.settle(untaken);
    if (write.quiet !== true) this.#quietTicks = 0;
  }

  /**
   * What the log says of the group's level when an entry that is proposed now is applied: the present level, once all
   * that earlier leaders proposed is applied, and while this one proposes no other.
   */
  get #knowsDigests(): boolean {
    const { term, lastIndex } = this.#raft;
    if (this.#leadsSince?.term !== term) this.#leadsSince = { term, index: lastIndex };
    const isKnown = this.store.appliedIndex >= this.#leadsSince.index && !this.#levelUnderWay;
    return isKnown && this.store.level >= groupLevel.third;
  }

  /** What need not be in the log; null: the log decides. */
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
      // What it proposed in an earlier term is not known any more, and may still be committed.
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
    const isCommitted = this.#committed.some(
      (each) => each.kind === 'command' && isAmong(each.proposal?.writes ?? [], request),
    );
    return isCommitted || this.#proposals.has(request);
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

  /** All of one sender, with what it says of itself. */
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
    this.#upkeep.tick();
    const isBusy = this.#sweeping || this.#upkeep.isBusy || this.#committed.length > 0;
    if (this.#quietTicks >= restAfterQuietTicks && !isBusy && this.#raft.mayRest) {
      if (this.#listeners.every((listener) => listener.mayRest?.() ?? true)) this.#raft.rest();
    }
    this.#turn();
    this.sweep(compactionStepRows);
  }

  /** What waits to be applied goes on. */
  goOn(): void {
    if (this.#halted === null) this.#turn();
  }

  /** A caller waits and the leader, if one is known, does not answer: stand for election now. */
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

  /** What compaction made superfluous goes in small steps, a tick each. No answer depends on how far they are. */
  sweep(rowsMax: number): void {
    if (!this.#sweeping || this.#halted !== null) return;
    this.#sweeping = this.#sql.turn(() => this.store.compactStep(rowsMax)) || this.store.holdsHistory;
  }

  /** For good: nothing is written, read or sent from here on, and whoever waits is told. The tenant was deleted. */
  stop(reason: string): void {
    this.#halted = reason;
    const { unknown, refused } = this.#proposals.giveUp();
    for (const { settle } of [...this.#takeCommitted(), ...unknown]) settle({ kind: 'unknown' });
    for (const { settle } of refused) settle({ kind: 'halted', reason });
    for (const { settle } of this.#reads.takeAll()) settle({ kind: 'halted', reason });
  }

  // One turn

  #turn(): void {
    assert(!this.#inTurn, 'a turn began inside another one, or after one that threw');
    this.#inTurn = true;
    const answers: Answer[] = [];
    this.#turnWork = noWork;
    let isBehind = false;
    this.#propose(answers);
    this.#sendOthers();
    while (this.#halted === null && (isBehind ? this.#raft.hasOtherEffects : this.#hasEffects)) {
      const waits = isBehind || this.#committed.length > 0;
      const effects = this.#raft.takeEffects({ withCommitted: !waits });
      this.#runEffects(effects, answers, isBehind);
      this.#raft.persisted();
      this.#propose(answers);
      isBehind ||= effects.hasMoreCommitted || this.#committed.length > 0 || this.#isEnough(this.#turnWork);
    }
    this.#giveUpLostWrites(answers);
    // A turn that threw has no end: this instance takes no other input.
    this.#inTurn = false;
    this.#port.before?.('answer');
    for (const answer of answers) answer();
    if (this.#leader !== this.#raft.leader) {
      this.#leader = this.#raft.leader;
      for (const listener of this.#listeners) listener.leaderChanged?.(this.#leader);
    }
    if (isBehind && this.#hasEffects && this.#halted === null) this.#port.applySoon();
    else if (this.#raft.resting) this.#rest();
  }

  #rest(): void {
    for (const listener of this.#listeners) listener.resting?.();
    this.#port.rest();
  }

  /** Of what one turn applies: others wait for theirs. */
  #isEnough({ rows, valueBytes }: Work): boolean {
    return rows > this.#bounds.turnRowsMax || valueBytes > turnValueBytesMax;
  }

  get #hasEffects(): boolean {
    return this.#committed.length > 0 || this.#raft.hasEffects;
  }

  /** To whom has said that it knows such messages. Answers promise what was written before. */
  #sendOthers(): void {
    const messages = this.#toSend;
    if (messages.length === 0) return;
    this.#toSend = [];
    this.#send(messages);
  }

  /**
   * What a replica of level 1 does not know is not sent to it; it is repeated, and the receiver may have said more by
   * then.
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
    const applicable = isBehind ? [] : [...this.#committed, ...this.#applicable(committed)];
    if (hardState === null && entries.length === 0 && applicable.length === 0) {
      if (messages.length > 0) this.#log.touch();
      return [];
    }
    const { events, answers: added, applied, work, steps } = this.#writeAll(effects, applicable);
    if (!isBehind) {
      this.#committed = applicable.slice(applied);
      this.#steps = steps;
    }
    this.#turnWork = work;
    answers.push(...added);
    return events;
  }

  /** What cannot be decoded halts the replica before it. */
  #applicable(committed: readonly Entry[]): readonly Applicable[] {
    const applicable: Applicable[] = [];
    for (const entry of committed) {
      const { kind } = entry;
      if (kind !== 'command') {
        applicable.push({ kind, entry });
        continue;
      }
      const proposal = this.#proposals.take(entry);
      const commands = proposal?.commands ?? this.#decode(entry);
      if (commands === null) break;
      applicable.push({ kind, entry, commands, proposal });
    }
    return applicable;
  }

  /** What throws here ends the instance: see `SqlPort.turn`. */
  #writeAll({ hardState, entries }: Effects, applicable: readonly Applicable[]): Written {
    return this.#sql.turn(() => {
      if (hardState !== null) this.#log.writeHardState(hardState);
      this.#log.write(entries);
      const written: Written = { events: [], answers: [], applied: 0, work: this.#turnWork, steps: null };
      for (const each of applicable) {
        if (this.#isEnough(written.work)) break;
        const isFirst = written.applied === 0;
        const steps = this.#stepsOf(each, isFirst);
        if (steps !== null) {
          if (isFirst) this.#step(each, steps, written);
          break;
        }
        const more = this.#apply(each, written);
        const { rows, valueBytes } = written.work;
        written.work = { rows: rows + more.rows, valueBytes: valueBytes + more.valueBytes };
        written.applied++;
      }
      return written;
    });
  }

  /** null: it is applied at once. */
  #stepsOf(applicable: Applicable, isFirst: boolean): Steps | null {
    if (applicable.kind !== 'command') return null;
    if (isFirst && this.#steps !== null) return this.#steps;
    const { entry, commands } = applicable;
    return this.store.applyInSteps(entry.index, commands, this.#bounds.deleteStepRows);
  }

  /**
   * Steps that earlier turns have written cannot be undone. What was to be applied in steps, and has written nothing
   * yet, is applied at once where it throws.
   */
  #step(applicable: Applicable, steps: Steps, written: Written): void {
    assert(applicable.kind === 'command', 'commands are applied in steps');
    written.work = { rows: Infinity, valueBytes: Infinity };
    const go = (): StepTaken => steps.next();
    const step = this.store.isUnderWay ? go() : this.#orUndone(applicable, written.answers, go, lastStep);
    if (step.done === true) {
      this.#applied(applicable, step.value, written);
      written.applied++;
    } else written.steps = steps;
  }

  #apply(applicable: Applicable, written: Written): Work {
    const { entry } = applicable;
    switch (applicable.kind) {
      case 'noop':
        this.store.skip(entry.index);
        return noWork;
      case 'membership':
        this.store.skip(entry.index);
        this.#configured(decodeConfiguration(entry.data), written.answers);
        return noWork;
      case 'command': {
        const applied = this.#applyCommands(applicable, written.answers);
        this.#applied(applicable, applied, written);
        return applied.work;
      }
      default:
        return unreachable(applicable);
    }
  }

  #applyCommands(applicable: ApplicableCommands, answers: Answer[]): Applied {
    const { entry, commands } = applicable;
    const apply = (): Applied => this.store.apply(entry.index, commands);
    const isPlain = commands.every(({ operation }) => isPointOperation(operation));
    if (isPlain && entry.index > this.#carefulThrough) return apply();
    return this.#orUndone(applicable, answers, apply, (applied) => applied);
  }

  #orUndone<Result>(
    { entry, commands }: ApplicableCommands,
    answers: Answer[],
    apply: () => NotPromise<Result>,
    resultOf: (applied: Applied) => Result,
  ): Result {
    const done = applyOrUndo({ sql: this.#sql, store: this.store }, { index: entry.index, commands }, apply);
    if ('result' in done) return done.result;
    for (const command of done.undone) answers.push(() => this.#port.undone(command));
    return resultOf(done.applied);
  }

  #applied(applicable: Applicable, { events, leases, outcomes, work }: Applied, written: Written): void {
    assert(applicable.kind === 'command', 'an entry with commands was applied');
    const { commands, proposal } = applicable;
    const { answers } = written;
    if (events === null) written.events = null;
    else for (const revision of events) written.events?.push(revision);
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

  #configured(configuration: Configuration, answers: Answer[]): void {
    this.#port.configured(configuration);
    const members = configuration.members.map(({ id }) => id);
    // Learners' founding configurations name them; a log that is replayed may be older than that.
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

  #decode(entry: Entry): readonly Command[] | null {
    try {
      return decodeCommands(entry.data);
    } catch (error) {
      // Of what is malformed nobody knows what it was to do: to pass over it would leave the group's state.
      if (!(error instanceof UnknownCommandVersion || error instanceof MalformedBytesError)) throw error;
      const cannot = error instanceof MalformedBytesError ? 'is malformed' : 'cannot be applied by this version';
      this.#halted = `log entry ${entry.index} ${cannot}: ${error.message}`;
      return null;
    }
  }

  #answerReads(effects: Effects, answers: Answer[], hasApplied: boolean): void {
    for (const context of effects.refusedReads) {
      const read = this.#reads.take(context);
      if (read !== null) answers.push(() => read.settle({ kind: 'refused', leader: this.#raft.leader }));
    }
    for (const { context, index } of effects.reads) this.#reads.confirmed(context, index);
    if (effects.reads.length === 0 && !hasApplied) return;
    // A leader counts itself in a confirmation round. Whether it still is the one that owns its storage only storage
    // can say: a replaced instance of the object ends here, before it answers by a state that its successor has left
    // behind.
    if (effects.reads.length > 0) this.#log.touch();
    // While an entry is under way, reads wait for its end: beside keys and their history not all is as it was before
    // it.
    if (this.store.isUnderWay) return;
    for (const { settle } of this.#reads.takeReady(this.store.appliedIndex)) {
      answers.push(() => settle({ kind: 'ready' }));
    }
  }

  #mayPropose(): boolean {
    return this.#raft.role === 'leader' && this.#proposals.mayPropose(this.#port.nowMs());
  }

  #propose(answers: Answer[]): void {
    while (this.#mayPropose()) {
      const atMs = this.#port.nowMs();
      const batch = this.#proposals.takeBatch(atMs, (operation) => this.#standsAlone(operation));
      const proposed = this.#raft.propose(encodeCommands(batch.commands));
      if (proposed !== null) this.#proposals.proposed(batch, proposed, atMs);
      // Leadership is being handed over: the callers find the new leader.
      else for (const { settle } of batch.writes) answers.push(() => settle({ kind: 'notLeader', leader: null }));
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
    const committed = this.#halted === null ? [] : this.#takeCommitted();
    const isNothing = this.#proposals.isEmpty && committed.length === 0;
    if (isNothing || (this.#raft.role === 'leader' && this.#halted === null)) return;
    const { unknown, refused } = this.#proposals.giveUp();
    answers.push(() => {
      for (const { settle } of [...committed, ...unknown]) settle({ kind: 'unknown' });
      for (const { settle } of refused) settle({ kind: 'notLeader', leader: this.#raft.leader });
    });
  }

  /** The writes in entries that are committed and will not be applied by this instance. */
  #takeCommitted(): readonly Write[] {
    const writes = this.#committed.flatMap((each) => (each.kind === 'command' ? (each.proposal?.writes ?? []) : []));
    this.#committed = [];
    return writes;
  }
}

function withoutDigest({ request, ...write }: Write): Write {
  const { digest: _, ...others } = request;
  return { ...write, request: others };
}

function isOfUnknownKey(failure: StoreFailure): boolean {
  return failure.kind === 'unauthenticated' && failure.reason === 'unknown';
}
