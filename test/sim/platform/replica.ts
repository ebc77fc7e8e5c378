// One replica in the simulator: the production driver on a database of its own, with what the platform adds around it.
// The output gate, syncs, the clock, crashes between any two steps, pauses, rest, eviction from memory and waking up
// are here.

import { assert } from '../../../src/base/assert.ts';
import { type ReplicaId, type Revision } from '../../../src/model/brands.ts';
import { groupLevelMin } from '../../../src/model/levels.ts';
import {
  appendsInFlightMax,
  commandValueBytesMax,
  electionTimeoutTicks,
  heartbeatTicks,
  logPatience,
  tickMs,
} from '../../../src/limits.ts';
import type { Command, RevisionEvents } from '../../../src/model/store.ts';
import type { UndoneCommand } from '../../../src/mvcc/careful-apply.ts';
import type { LeaseChange } from '../../../src/mvcc/leases.ts';
import { openSchema } from '../../../src/mvcc/schema.ts';
import type { WorkLimits } from '../../../src/mvcc/work-budget.ts';
import type { Configuration } from '../../../src/raft/configuration.ts';
import { AbsentPeers, type Joining } from '../../../src/replica/absent-peers.ts';
import type { DriverPort, TurnStep } from '../../../src/driver/driver-port.ts';
import { type Founding, foundLog } from '../../../src/driver/founding-log.ts';
import type { WriteRequest, WriteResult } from '../../../src/driver/proposals.ts';
import type { PeerMessage } from '../../../src/driver/envelope.ts';
import type { LogBounds } from '../../../src/driver/log-truncation.ts';
import { isSnapshotMessage } from '../../../src/driver/snapshot-codec.ts';
import type { RestartReason } from '../../../src/driver/upkeep.ts';
import { SimulatedSql } from './simulated-sql.ts';
import { isPlanted, ThrowingSql } from '../../support/throwing-sql.ts';
import { envelopeWithBug, messagesWithBug, type Speaker } from '../bugs/buggy-messages.ts';
import { plantInMemory } from '../bugs/buggy-memory.ts';
import { sqlWithBug } from '../bugs/buggy-sql.ts';
import { levelWith, type PlantedBug } from '../bugs/bugs.ts';
import type { ClientAnswer, ClientRequest } from '../workloads/client-operation.ts';
import { type Code, isUnknownStore, type RunningDriver, startDriver, unpack } from './code.ts';
import type { FaultMix } from '../faults.ts';
import type { HistoryChecker } from '../checkers/history-checker.ts';
import type { Instance } from './instance.ts';
import type { LeaseChecker } from '../checkers/lease-checker.ts';
import { LeaseHost } from './lease-host.ts';
import type { LevelChecker } from '../checkers/level-checker.ts';
import type { Delivery, Network } from './network.ts';
import type { Observed, RaftChecker } from '../checkers/raft-checker.ts';
import type { Random } from '../../support/random.ts';
import { ReplicaAlarm } from './replica-alarm.ts';
import { ReplicaCalls, type WatchOpening } from './replica-calls.ts';
import { ReplicaIdentity } from './replica-identity.ts';
import type { Schedule } from './schedule.ts';
import type { ServerEnd, SimulatedSocket } from './simulated-socket.ts';
import type { StateChecker } from '../checkers/state-checker.ts';
import { check, type Trace } from '../trace.ts';
import { SessionHost } from './session-host.ts';
import type { SessionLedger } from '../checkers/session-ledger.ts';
import type { SimulatedSession } from './simulated-session.ts';
import { type HeldSockets, WatchHost } from './watch-host.ts';

/** Thrown between two steps of the driver, to end the instance there. */
class Crash extends Error {
  override readonly name = 'Crash';
}

export type ReplicaOptions = {
  readonly id: ReplicaId;
  readonly founders: readonly ReplicaId[];
  /** The group as this replica found it at its beginning. */
  readonly founding: Configuration;
  readonly code: Code;
  /** The leader makes the object of a learner. */
  readonly provision: (joining: Joining) => void;
  /** Called when the replica was told that it is no member any more. */
  readonly left: (id: ReplicaId) => void;
  readonly random: Random;
  readonly schedule: Schedule;
  readonly trace: Trace;
  readonly network: Network;
  readonly faults: () => FaultMix;
  readonly bug: PlantedBug | null;
  /** The log may hold commands that throw, also after the faults are healed. */
  readonly throws: boolean;
  /** Called when a promise of an instance was rejected by what cannot happen. */
  readonly failed: (error: unknown) => void;
  readonly checkers: {
    readonly raft: RaftChecker;
    readonly history: HistoryChecker;
    readonly state: StateChecker;
    readonly leases: LeaseChecker;
    readonly levels: LevelChecker;
    readonly ledger: SessionLedger;
  };
};

/** Runs are short, so each bound is a thousandth of the real one. */
export const simulatedBounds: LogBounds = {
  logEntriesMax: 24,
  logEntriesKept: 8,
  truncatedEntriesMax: 60,
  logHeldBytesMax: () => 10_000,
  appendEntriesMax: 4,
  carefulEntries: 4 * appendsInFlightMax,
  turnRowsMax: 6,
  deleteStepRows: 1,
  snapshotRowsBytes: 2_000,
  unflushedVersionsMax: 12,
};

/** Where nothing throws, nobody has to be careful, and more stays in memory. */
function boundsOf(throws: boolean, bug: PlantedBug | null): LogBounds {
  if (bug === 'logHeldForever') return { ...simulatedBounds, logHeldBytesMax: () => Infinity };
  const isCareless = bug === 'carefulTooShort' || !throws;
  return isCareless ? { ...simulatedBounds, carefulEntries: 0 } : simulatedBounds;
}

/** The log stays no longer for a member that is behind, or that takes a snapshot. */
function isTooLong({ entries, bytes }: { readonly entries: number; readonly bytes: number }): boolean {
  return entries > logPatience * simulatedBounds.logEntriesMax && bytes > simulatedBounds.logHeldBytesMax(0);
}

/** The part of a replica that is in memory. */
type Living = {
  readonly driver: RunningDriver;
  readonly absentPeers: AbsentPeers;
  readonly leases: LeaseHost;
  readonly watches: WatchHost;
  readonly calls: ReplicaCalls;
  readonly sessions: SessionHost;
};

export class SimulatedReplica implements DriverPort {
  readonly id: ReplicaId;
  readonly sql = new SimulatedSql();
  readonly #options: ReplicaOptions;
  readonly #alarm: ReplicaAlarm;
  readonly #identity: ReplicaIdentity;
  #code: Code;
  /** Null: the replica is down, or not in memory. */
  #living: Living | null = null;
  /** The sockets stay open while the replica sleeps. */
  readonly #sockets: HeldSockets = new Set();
  readonly #sessions = new Set<SimulatedSession>();
  /** True: the handler of an alarm runs. The platform calls it again if the instance ends meanwhile. */
  #isAlarmed = false;
  #isDown = false;
  /** True: the trace has recorded that this instance has halted. */
  #isHalted = false;
  /** Tells the events of this instance from those of the one before it. */
  #incarnation = 0;
  #isTicking = false;
  /** If a clock was stopped and started again, only the last start ticks. */
  #clock = 0;
  #wasResting = false;
  #syncIsPlanned = false;
  #evictionIsPlanned = false;
  #isPaused = false;
  #backlog: (() => void)[] = [];
  /** What the output gate holds back until the next sync. */
  #held: (() => void)[] = [];
  /** The number of things that keep the instance in memory: calls that wait for their answer, timers. */
  #reasonsToStay = 0;
  #clockOffsetMs = 0;
  /** What happens to the instance after the event that it is in. */
  #ending: 'left' | 'restart' | null = null;
  /** The checkers have heard that this instance has applied its log up to there. */
  #notedApplied = 0;
  /** The bound of the log at the next tick. Null: there is none. */
  #entriesMax: number | null = null;

  constructor(options: ReplicaOptions) {
    this.id = options.id;
    this.#options = options;
    this.#alarm = new ReplicaAlarm(this.sql);
    this.#identity = new ReplicaIdentity(this.sql, options.founding.voters);
    this.#code = options.code;
    options.checkers.levels.deployed(options.id, options.code);
    const { clockDifferenceMs } = options.faults();
    if (clockDifferenceMs > 0)
      this.#setClock(options.random.between(-clockDifferenceMs, clockDifferenceMs), { jumped: false });
  }

  get driver(): RunningDriver | null {
    return this.#living?.driver ?? null;
  }

  get code(): Code {
    return this.#code;
  }

  /** The hash of its store. */
  get level(): number {
    return this.driver?.store.level ?? openSchema(this.sql.reader);
  }

  get isIdle(): boolean {
    return !this.#isPaused && this.#held.length === 0 && this.sql.unsynced === 0;
  }

  /** The log with which its group begins. Called before anything else. */
  found(founding: Founding): void {
    this.sql.transaction(() => foundLog(this.sql, founding));
    this.sql.sync();
    this.#options.checkers.raft.founded(this.id, this.sql.reader);
  }

  // What happens to it

  receive({ bytes, envelope }: Delivery): void {
    // How the former code reads the bytes is its own affair.
    const read = this.#code === 'present' ? envelope : unpack(this.#code, bytes);
    if (read === null) return this.#options.trace.count('envelopes that the former code refused');
    const { messages, report } = envelopeWithBug(this.#options.bug, read, this.#code);
    this.#input(({ driver }) => driver.receive(messages, report));
  }

  /** A write of the operator. `settle` may never be called. */
  administer(request: WriteRequest, settle: (result: WriteResult) => void): void {
    this.#input(({ driver }) => {
      this.#options.checkers.history.proposed(request);
      // Its caller hears of it as every caller does: once it is durable.
      driver.write(request, (result) => this.#gate(() => settle(result)));
    });
  }

  /** False: the replica is down. */
  handle(request: ClientRequest, reply: (answer: ClientAnswer) => void): boolean {
    return this.#input(({ calls }) => calls.handle(request, reply));
  }

  /** False: the replica is down. */
  openWatch(opening: WatchOpening): boolean {
    return this.#input(({ calls }) => calls.openWatch(opening));
  }

  /**
   * False: the replica is down. The connection to a replica that is paused hangs, for good if its instance ends
   * meanwhile.
   */
  openSession(socket: SimulatedSession): boolean {
    return this.#input(({ sessions }) => {
      this.#sessions.add(socket);
      sessions.begin(socket);
      socket.accepted({
        gate: (action) => this.#gate(action),
        message: (bytes) => void this.#input((living) => living.sessions.message(socket, bytes)),
        closed: () => {
          if (this.#sessions.delete(socket)) this.#run((living) => living.sessions.closed(socket));
        },
      });
    });
  }

  transferLeadership(to: ReplicaId): void {
    if (this.driver?.raft.role !== 'leader' || to === this.id) return;
    this.#options.trace.add('transfer', () => `${this.id} to ${to}`);
    this.#input(({ driver }) => driver.transferLeadership(to));
  }

  /** A caller that found no leader came here. */
  campaign(): void {
    this.#input(({ driver }) => driver.campaign());
  }

  pause(forMs: number): void {
    if (this.#living === null || this.#isPaused) return;
    this.#isPaused = true;
    this.#options.trace.add('pause', () => `${this.id} for ${Math.round(forMs)} ms`);
    this.#options.schedule.after(
      forMs,
      this.#whileHere(() => this.resume()),
    );
  }

  resume(): void {
    this.#isPaused = false;
    const backlog = this.#backlog;
    this.#backlog = [];
    for (const input of backlog) input();
  }

  jumpClock(): void {
    const { random, trace } = this.#options;
    const offsetMs = Math.round(random.between(-20_000, 20_000));
    trace.add('clock jump', () => `${this.id} to ${offsetMs} ms`);
    this.#setClock(offsetMs, { jumped: true });
    this.#planAlarm();
  }

  #setClock(offsetMs: number, how: { readonly jumped: boolean }): void {
    this.#clockOffsetMs = offsetMs;
    this.#options.checkers.leases.clockSet(offsetMs, how);
  }

  /**
   * The instance ends. What it had not synced is lost, all of it or from some transaction on, with everything that the
   * output gate held.
   */
  crash(): void {
    if (this.#isDown) return;
    const { random, schedule, trace } = this.#options;
    const kept = random.chance(0.3) ? random.integer(0, this.sql.unsynced) : 0;
    const { unsynced } = this.sql;
    trace.add('crash', () => `${this.id}, ${kept} of ${unsynced} transactions survive`);
    if (unsynced > kept) trace.count('crashes that lost writes');
    this.#lose(kept);
    this.#isDown = true;
    schedule.after(
      random.exponential(random.pick([20, 500, 3_000])),
      this.#whileHere(() => this.comeBack()),
    );
  }

  /** A turn threw: the object is aborted, and what that turn wrote goes with it. The next event starts it anew. */
  #abort(): void {
    const { random, schedule, trace } = this.#options;
    const { unsynced } = this.sql;
    const kept = random.chance(0.5) ? unsynced : random.integer(0, unsynced);
    trace.add('a turn threw', () => `${this.id}, ${kept} of ${unsynced} transactions before it survive`);
    this.#lose(kept);
    schedule.after(
      1,
      this.#whileHere(() => void this.#input(() => {})),
    );
  }

  /** Called while the replica is down: alters what it believes to be the hash of its store. False: it has no hash. */
  alter(): boolean {
    if (!this.#isDown || this.level === groupLevelMin) return false;
    const altered = this.sql.reader.all(`UPDATE batches SET hash = (hash + 1) % 4294967296
      WHERE hash IS NOT NULL AND (last_revision, log_index, part) = (SELECT last_revision, log_index, part FROM batches
        ORDER BY last_revision DESC, log_index DESC, part DESC LIMIT 1) RETURNING 1`);
    if (altered.length === 0) return false;
    this.#options.trace.add('store altered', () => `${this.id}`);
    return true;
  }

  /**
   * Updates the code as the platform does: the instance ends, with all its connections, and the next input starts the
   * other code.
   */
  deploy(code: Code, random: Random): void {
    const { checkers, schedule, trace } = this.#options;
    trace.add('deployment', () => `of code: ${code}, on ${this.id}`);
    trace.count(`deployments of code: ${code}`);
    checkers.levels.deployed(this.id, code);
    this.#code = code;
    this.#lose(random.integer(0, this.sql.unsynced));
    this.#isDown = true;
    schedule.after(
      random.exponential(random.pick([5, 200])),
      this.#whileHere(() => this.comeBack()),
    );
  }

  /** The first transactions since the last sync are kept. */
  #lose(kept: number): void {
    this.sql.crash(kept);
    if (this.#isAlarmed) this.#alarm.retry(this.nowMs());
    this.#forget();
    this.#dropSockets();
  }

  #dropSockets(): void {
    for (const socket of [...this.#sockets, ...this.#sessions]) socket.dropped();
    this.#sockets.clear();
    this.#sessions.clear();
  }

  /**
   * From now on the next input finds the replica. The platform starts an object for an event only, which may be a timer
   * of its own.
   */
  comeBack(): void {
    if (!this.#isDown) return;
    this.#isDown = false;
    if (this.#options.bug === 'voteForgotten') this.#forgetVote();
    this.#planAlarm();
    if (this.#options.random.chance(0.7)) this.#input(() => {});
  }

  /** False: this cannot be done now, or not here. */
  proposeConfiguration(present: Configuration, next: Configuration): boolean {
    let isProposed = false;
    this.#input(({ driver }) => {
      isProposed = driver.proposeConfiguration(present, next);
    });
    return isProposed;
  }

  /** A call to a peer found no object. */
  absent(peer: ReplicaId): void {
    this.#run(({ absentPeers, driver }) => {
      // The promotion of a learner that is gone stays in the log.
      if (this.#options.bug === 'promotionKept' && !driver.raft.isConfigurationCommitted) return;
      absentPeers.absent(peer);
    });
  }

  /** A call to a peer was answered. */
  present(peer: ReplicaId): void {
    this.#living?.absentPeers.present(peer);
  }

  /** The replica leaves for good, with its disk. */
  end(): void {
    this.#forget();
    this.#dropSockets();
    this.#isDown = true;
    this.#incarnation++;
  }

  /**
   * A replica that was removed is gone. A replica whose store was replaced starts again from its disk, which is synced
   * first.
   */
  #endInstance(how: 'left' | 'restart'): boolean {
    this.#ending = null;
    if (how === 'left') {
      this.end();
      this.#options.left(this.id);
      return true;
    }
    this.sql.sync();
    this.#forget();
    this.#dropSockets();
    this.#options.schedule.after(
      1,
      this.#whileHere(() => void this.#input(() => {})),
    );
    return true;
  }

  // What the driver needs

  send(messages: readonly PeerMessage[]): void {
    const { network, checkers, trace, bug } = this.#options;
    const report = this.driver?.report ?? null;
    if (this.driver !== null) checkers.raft.speaks(this.driver.raft);
    for (const { kind } of messages) {
      if (kind === 'snapshotGone') trace.count('snapshots given up');
      if (kind === 'snapshotPart' && checkers.state.copied(this.id)) trace.count('altered stores copied');
    }
    const leave = (): void => {
      const said = messagesWithBug(bug, messages, () => this.#speaker);
      checkers.raft.released(said.filter((message) => !isSnapshotMessage(message)));
      network.send(this.#code, said, report);
    };
    if (bug === 'replyBeforePersist') leave();
    else this.#gate(leave);
  }

  published(events: readonly RevisionEvents[] | null, revision: Revision): void {
    const { state } = this.#options.checkers;
    const { bug, random } = this.#options;
    if (events === null) {
      this.#options.trace.count('large deletes');
      const { store } = this.#observed.driver;
      this.#gate(() => state.told(this.id, store, revision));
      this.#living?.watches.published([], revision);
      return;
    }
    const told = bug === 'eventsSkipped' && random.chance(0.01) ? events.slice(1) : events;
    this.#gate(() => state.published(this.id, told));
    this.#living?.watches.published(events, revision);
  }

  applied(commands: readonly Command[]): void {
    this.#options.trace.count('commands applied', commands.length);
    this.#living?.watches.applied(commands);
  }

  leasesChanged(changes: readonly LeaseChange[]): void {
    this.#living?.leases.applied(changes);
  }

  mayRest(): boolean {
    return this.#living?.leases.mayRest() ?? true;
  }

  undone({ error }: UndoneCommand): void {
    if (!isPlanted(error)) throw error;
    this.#options.trace.count('commands undone');
  }

  leaderChanged(leader: ReplicaId | null): void {
    const term = this.driver?.raft.term;
    this.#options.trace.add('leader seen', () => `by ${this.id}: ${leader} in term ${term}`);
    this.#living?.calls.leaderChanged();
    this.#living?.leases.leaderChanged();
  }

  applySoon(): void {
    this.#options.trace.count('turns that left entries to apply');
    this.#after(this.#options.random.exponential(1), () => void this.#input(({ driver }) => driver.goOn()));
  }

  flushSoon(): void {
    this.#options.trace.count('flushes at the bound');
    this.#after(this.#options.random.exponential(2), () => void this.#run(({ driver }) => driver.flush?.()));
  }

  /** Now and then the isolate has no room for what is not flushed, at any moment. */
  mayHold(bytes: number): boolean {
    const isFull = bytes > 0 && this.#options.random.chance(this.#options.faults().flush);
    if (isFull) this.#options.trace.count('flushes at random');
    return !isFull;
  }

  rest(): void {
    if (!this.#wasResting) this.#options.trace.add('rest', () => `${this.id}`);
    this.#wasResting = true;
    this.#living?.watches.resting();
    this.#living?.sessions.resting();
    this.#living?.leases.resting();
    this.#isTicking = false;
  }

  nowMs(): number {
    return Math.floor(1_000_000 + this.#options.schedule.nowMs + this.#clockOffsetMs);
  }

  configured(configuration: Configuration): void {
    this.#options.trace.count('configurations applied');
    assert(configuration.voters.length > 0, 'somebody votes');
    this.#identity.save(configuration.voters);
  }

  removed(): void {
    this.#ending = 'left';
  }

  restart(reason: RestartReason): void {
    const { trace, checkers } = this.#options;
    trace.add(reason, () => `${this.id}`);
    if (reason === 'a snapshot has taken the place of the store') checkers.state.replaced(this.id);
    this.#ending = 'restart';
  }

  before(step: TurnStep): void {
    const { random, trace } = this.#options;
    // The chance of a crash is higher between two steps of a large delete, and before a flush, which are few.
    const factor = this.driver?.store.isUnderWay === true || step === 'flush' ? 40 : 1;
    if (!random.chance(factor * this.#options.faults().crashAtStep)) return;
    trace.count(`crashes before ${step}`);
    throw new Crash(step);
  }

  // The instance

  get #observed(): Observed {
    const { driver } = this;
    assert(driver !== null, 'a replica is looked at while it is in memory');
    return { id: this.id, driver, database: this.sql.reader };
  }

  /** Something comes on which the replica acts, and its clock ticks from now on. */
  #input(body: (living: Living) => void): boolean {
    return this.#run((living) => {
      this.#startClock();
      body(living);
    });
  }

  /** An event of the object. False: the replica is down. */
  #run(body: (living: Living) => void): boolean {
    if (this.#isDown) return false;
    if (this.#isPaused) {
      this.#backlog.push(this.#whileHere(() => void this.#run(body)));
      return true;
    }
    try {
      this.#living ??= this.#start();
      body(this.#living);
      this.#noteHalt(this.#living.driver);
      if (this.#ending !== null) return this.#endInstance(this.#ending);
      this.#options.checkers.raft.observe(this.#observed);
    } catch (error) {
      if (isUnknownStore(error)) return this.#refuseStore();
      if (isPlanted(error)) this.#abort();
      else if (error instanceof Crash) this.crash();
      else throw error;
      return true;
    }
    this.#planSync();
    this.#planEviction();
    return true;
  }

  #start(): Living {
    const { founding, provision, random, trace, checkers, bug } = this.#options;
    trace.add('start', () => `${this.id}`);
    const driver = startDriver(this.#code, {
      id: this.id,
      founding,
      voters: this.#identity.voters,
      commandWork: this.#commandWork,
      rememberedWritesMax: this.#options.faults().rememberedWrites,
      bounds: boundsOf(this.#options.throws, bug),
      // Former code says for itself what it supports.
      ...(this.#code === 'present' ? { supports: levelWith(bug) } : {}),
      sql: new ThrowingSql(sqlWithBug(this.sql, bug)),
      port: this,
      random: () => random.next(),
      electionTimeoutTicks,
      heartbeatTicks,
    });
    if (driver.store.isUnderWay === true) trace.count('starts between two steps');
    plantInMemory(bug, driver, this.sql);
    // Some of what the last instance wrote may be durable although it did not learn so. Beside it there are only fresh
    // tables.
    this.#noteDurable({ id: this.id, driver, database: this.sql.reader });
    checkers.state.started(this.id, driver.store);
    const instance = this.#instance(driver);
    const leases = this.#leaseHost(instance);
    const watches = new WatchHost({
      instance,
      sockets: this.#sockets,
      accepted: (socket) => this.#accept(socket),
      bug,
    });
    const { history, state } = checkers;
    const calls = new ReplicaCalls({ instance, leases, watches, history, state, trace, bug });
    const absentPeers = new AbsentPeers({
      driver,
      provision: (joining) => Promise.resolve(provision(joining)),
      nowMs: () => this.nowMs(),
    });
    const { ledger } = checkers;
    const sessions = new SessionHost({ instance, sockets: this.#sessions, calls, watches, ledger, bug });
    return { driver, absentPeers, leases, watches, calls, sessions };
  }

  get #commandWork(): WorkLimits {
    const { faults, bug } = this.#options;
    const { commandRowsMax } = faults();
    const isOff = bug === 'workCountedOtherwise' && this.id % 2 === 0;
    return { rowsMax: isOff ? commandRowsMax + 1 : commandRowsMax, valueBytesMax: commandValueBytesMax };
  }

  /** The code does not know the store as it has become, so the replica is down until another code is deployed. */
  #refuseStore(): boolean {
    this.#options.trace.add('store refused', () => `by ${this.id}`);
    this.#forget();
    this.#isDown = true;
    return false;
  }

  #noteHalt({ halted }: RunningDriver): void {
    if (halted === null || this.#isHalted || this.#code === 'present') return;
    this.#isHalted = true;
    this.#options.trace.add('halted at an entry that its code does not know', () => `${this.id}: ${halted}`);
  }

  #instance(driver: RunningDriver): Instance {
    const { schedule, failed } = this.#options;
    const whileHere = this.#whileHere((body: () => void) => body());
    return {
      id: this.id,
      driver,
      sql: this.sql,
      schedule,
      nowMs: () => this.nowMs(),
      input: (body) => whileHere(() => void this.#input(body)),
      run: (body) => whileHere(() => void this.#run(body)),
      after: (delayMs, body) => whileHere(() => this.#after(delayMs, body)),
      gate: (action) => whileHere(() => this.#gate(action)),
      stayAwake: () => {
        this.#reasonsToStay++;
        return () =>
          whileHere(() => {
            this.#reasonsToStay--;
          });
      },
      failed,
    };
  }

  #leaseHost(instance: Instance): LeaseHost {
    const { founders, bug, checkers } = this.#options;
    const setAlarm = this.#whileHere((atMs: number | null) => this.#setAlarm(atMs));
    return new LeaseHost({
      instance,
      rank: Math.max(0, founders.indexOf(this.id)),
      writeIdPrefix: `l:${this.id}/${this.#incarnation}`,
      history: checkers.history,
      leases: checkers.leases,
      bug,
      leader: (seeming, found) =>
        instance.after(0, () => instance.input(() => this.#living?.calls.findLeader(seeming, found))),
      alarm: { get: () => this.#alarm.atMs, set: setAlarm },
    });
  }

  #setAlarm(atMs: number | null): void {
    this.#alarm.set(atMs);
    this.#planSync();
    this.#planAlarm();
  }

  /** The platform drops an object that has nothing to do, and decides itself how soon. */
  #planEviction(): void {
    const { schedule, random } = this.#options;
    if (this.#isTicking || this.#evictionIsPlanned || !random.chance(this.#options.faults().evict)) return;
    this.#evictionIsPlanned = true;
    schedule.after(
      random.between(10, 3_000),
      this.#whileHere(() => {
        this.#evictionIsPlanned = false;
        if (this.#isTicking || this.#reasonsToStay > 0 || !this.isIdle) return;
        this.#options.trace.add('evicted', () => `${this.id}`);
        if (this.#sockets.size > 0) this.#options.trace.count('evicted with watches', this.#sockets.size);
        if (this.#sessions.size > 0) this.#options.trace.count('evicted with sessions', this.#sessions.size);
        this.#forget();
      }),
    );
  }

  #forget(): void {
    this.#incarnation++;
    this.#living = null;
    this.#isHalted = false;
    this.#isAlarmed = false;
    this.#isTicking = false;
    this.#syncIsPlanned = false;
    this.#evictionIsPlanned = false;
    this.#isPaused = false;
    this.#backlog = [];
    this.#held = [];
    this.#reasonsToStay = 0;
    this.#ending = null;
    this.#entriesMax = null;
    this.#notedApplied = 0;
    this.#options.checkers.raft.stopped(this.id);
  }

  /** Does nothing once the present instance, or the present state without one, has ended. */
  #whileHere<Given extends readonly unknown[]>(body: (...given: Given) => void): (...given: Given) => void {
    const incarnation = this.#incarnation;
    return (...given) => {
      if (this.#incarnation === incarnation) body(...given);
    };
  }

  #startClock(): void {
    if (this.#isTicking) return;
    this.#isTicking = true;
    this.#planTick(++this.#clock);
  }

  #planTick(clock: number): void {
    const { schedule, random } = this.#options;
    const { clockSkew } = this.#options.faults();
    const skew = clockSkew === 0 ? 0 : random.between(-clockSkew, clockSkew);
    const isStopped = (): boolean => this.#clock !== clock || !this.#isTicking;
    const tick = (): void => {
      if (isStopped()) return;
      this.#wasResting = false;
      this.#options.trace.count('ticks');
      // A clock that could not tick during a pause does not catch up on it.
      if (!this.#isPaused) this.#input((living) => this.#tick(living));
      if (!isStopped()) this.#planTick(clock);
    };
    // Not all replicas tick at the same moment.
    schedule.after(tickMs * (1 + skew) + random.next(), this.#whileHere(tick));
  }

  #tick({ driver, leases, watches, sessions }: Living): void {
    const { random } = this.#options;
    this.#tickDriver(driver);
    watches.tick();
    leases.tick();
    sessions.tick();
    // No answer may depend on how far a sweep has come.
    if (random.chance(0.1)) driver.sweep(random.integer(1, 20));
  }

  /** A log that is too long is cut. The log of a store that is being rebuilt cannot be cut, and does not grow. */
  #tickDriver(driver: RunningDriver): void {
    const { entries: before } = driver.logSize;
    const mustCut = driver.store.level > groupLevelMin && isTooLong(driver.logSize);
    const most = this.#entriesMax ?? before;
    driver.tick();
    const { entries: after } = driver.logSize;
    const isRebuilding = driver.report?.state === 'rebuilding';
    this.#entriesMax = isRebuilding && isTooLong(driver.logSize) ? Math.max(after, before) : null;
    const isBounded = isRebuilding ? after <= most : !mustCut || after < before || driver.halted !== null;
    check(isBounded, 'log bound', () => `replica ${this.id} leaves ${after} entries in its log`);
  }

  // Storage

  #gate(action: () => void): void {
    if (this.sql.unsynced > 0) return void this.#held.push(action);
    // What was applied to memory alone is in the log, which is durable.
    if (this.#living !== null) this.#noteApplied(this.#living.driver);
    action();
  }

  #noteApplied({ store }: RunningDriver): void {
    const applied: number = store.appliedIndex;
    if (applied <= this.#notedApplied) return;
    this.#notedApplied = applied;
    this.#noteDurable(this.#observed);
  }

  #planSync(): void {
    if (this.#syncIsPlanned || this.sql.unsynced === 0) return;
    this.#syncIsPlanned = true;
    const { schedule, random } = this.#options;
    const { syncMs, slowSync } = this.#options.faults();
    const slowMs = random.chance(slowSync) ? random.between(50, 1_500) : 0;
    schedule.after(
      random.exponential(syncMs) + slowMs,
      this.#whileHere(() => this.#sync()),
    );
  }

  #sync(): void {
    const { trace } = this.#options;
    const { unsynced } = this.sql;
    trace.add('sync', () => `${this.id}, ${unsynced} transactions`);
    this.#syncIsPlanned = false;
    this.sql.sync();
    this.#noteDurable(this.#observed);
    const held = this.#held;
    this.#held = [];
    for (const action of held) action();
    const { random } = this.#options;
    if (!random.chance(this.#options.faults().crashAfterSync)) return this.#planEviction();
    trace.count('crashes after a sync');
    this.crash();
  }

  #noteDurable(observed: Observed): void {
    const { raft, history, levels, state } = this.#options.checkers;
    for (const row of raft.durable(observed)) {
      history.committed(row);
      if (row.kind === 'membership') levels.membersChanged(row.index);
    }
    state.durable(observed);
  }

  get #speaker(): Speaker {
    const { raft } = this.#options.checkers;
    const voters = this.driver?.raft.configuration.voters ?? [];
    return { id: this.id, voters, heldByQuorum: () => raft.heldByQuorum(this.id) };
  }

  #forgetVote(): void {
    const exists = this.sql.reader.all("SELECT 1 FROM sqlite_master WHERE name = 'hard_state'").length > 0;
    if (exists) this.sql.reader.run('UPDATE hard_state SET voted_for = NULL');
  }

  // Sockets and alarms, which the platform keeps while no instance is in memory

  #accept(socket: SimulatedSocket): void {
    this.#sockets.add(socket);
    const end: ServerEnd = {
      gate: (action) => this.#gate(action),
      message: (text) => {
        this.#options.trace.count('watch requests');
        this.#input(({ calls }) => calls.socketMessage(socket, text));
      },
      closed: () => {
        if (this.#sockets.delete(socket)) this.#run(({ watches }) => watches.closed(socket));
      },
      ended: () => this.#sockets.delete(socket),
    };
    socket.accepted(end);
  }

  /** The platform rings by its own clock, whether or not the instance is in memory. */
  #planAlarm(): void {
    const { atMs } = this.#alarm;
    if (atMs === null) return;
    const { schedule, random } = this.#options;
    schedule.after(Math.max(0, atMs - this.nowMs()) + random.exponential(5), () => {
      if (this.#isDown || this.#isAlarmed || this.#alarm.atMs !== atMs) return;
      if (this.nowMs() < atMs) this.#planAlarm();
      else this.#input((living) => this.#ring(living));
    });
  }

  #ring({ leases }: Living): void {
    const { atMs } = this.#alarm;
    if (this.#isAlarmed || atMs === null || atMs > this.nowMs()) return;
    this.#options.trace.add('alarm', () => `${this.id}`);
    this.#alarm.set(null);
    this.#isAlarmed = true;
    this.#reasonsToStay++;
    const ended = this.#whileHere(() => {
      this.#isAlarmed = false;
      this.#reasonsToStay--;
      // An alarm that was set meanwhile may be due by now.
      this.#planAlarm();
    });
    leases.alarm().then(ended).catch(this.#options.failed);
  }

  /** A timer of this instance, which does not fire while the replica is paused. */
  #after(delayMs: number, body: () => void): void {
    const run = this.#whileHere(() => {
      if (this.#isPaused) this.#backlog.push(run);
      else body();
    });
    this.#options.schedule.after(delayMs, run);
  }

  /** A description for the trace of a failed run. */
  inWords(): string {
    const { driver } = this;
    if (driver === null) return `${this.id}: ${this.#isDown ? 'down' : 'not in memory'}`;
    const { role, term, leader, commit, lastIndex } = driver.raft;
    const state = `${role} in term ${term}, leader ${leader}, commit ${commit}, applied ${driver.store.appliedIndex}, last ${lastIndex}`;
    const watched = `${this.#sockets.size} watches`;
    const code = this.#code === 'present' ? '' : `, code of ${this.#code}${driver.halted === null ? '' : ', halted'}`;
    return `${this.id}: ${state}, ${watched}${code}${this.#isPaused ? ', paused' : ''}${this.#isTicking ? '' : ', resting'}`;
  }
}
