// One replica in the simulator: the production driver on a database of its own, with what the platform adds around it. The
// output gate, syncs, the clock, crashes between any two steps, pauses, rest, eviction from memory and waking up are here.

import { assert } from '../../src/assert.ts';
import { logIndex, type ReplicaId, type Revision } from '../../src/brands.ts';
import { electionTimeoutTicks, heartbeatTicks, leaderWaitMs, tickMs } from '../../src/limits.ts';
import type { Caller, Command, RevisionEvents, StoreFailure } from '../../src/model.ts';
import type { LeaseChange } from '../../src/mvcc/leases.ts';
import type { RangeOutcome } from '../../src/mvcc/store.ts';
import type { Message } from '../../src/raft/types.ts';
import { Driver, type DriverPort, type ReadResult, type Step, type WriteResult } from '../../src/replica/driver.ts';
import { SimulatedSql } from '../support/simulated-sql.ts';
import { ForgetfulSql } from './forgetful-sql.ts';
import type { ClientAnswer, ClientRequest, Place } from './client-operation.ts';
import type { FaultMix, PlantedBug } from './faults.ts';
import type { HistoryChecker } from './history-checker.ts';
import type { LeaseChecker } from './lease-checker.ts';
import { LeaseHost } from './lease-host.ts';
import type { Network } from './network.ts';
import type { Observed, RaftChecker } from './raft-checker.ts';
import type { Random } from './random.ts';
import type { Schedule } from './schedule.ts';
import type { StateChecker } from './state-checker.ts';
import type { Trace } from './trace.ts';

/** The platform calls an alarm's handler again after it failed. */
const alarmRetryMs = 2_000;

/** Thrown between two steps of the driver: the instance ends here. */
class Crash extends Error {
  override readonly name = 'Crash';
}

export type ReplicaOptions = {
  readonly id: ReplicaId;
  readonly ids: readonly ReplicaId[];
  readonly random: Random;
  readonly schedule: Schedule;
  readonly trace: Trace;
  readonly network: Network;
  readonly faults: () => FaultMix;
  readonly bug: PlantedBug | null;
  /** A promise of an instance came to what cannot happen. */
  readonly failed: (error: unknown) => void;
  readonly checkers: {
    readonly raft: RaftChecker;
    readonly history: HistoryChecker;
    readonly state: StateChecker;
    readonly leases: LeaseChecker;
  };
};

export class SimulatedReplica implements DriverPort {
  readonly id: ReplicaId;
  readonly sql = new SimulatedSql();
  readonly #options: ReplicaOptions;
  /** null: down, or not in memory. */
  #driver: Driver | null = null;
  #leases: LeaseHost | null = null;
  /** The handler of an alarm runs: the platform calls it again if the instance ends meanwhile. */
  #isAlarmed = false;
  #isDown = false;
  /** Tells the events of an instance from those of the one before it. */
  #incarnation = 0;
  #isTicking = false;
  /** Of a clock that was stopped and started again only the last one ticks. */
  #clock = 0;
  #wasResting = false;
  #syncIsPlanned = false;
  #isPaused = false;
  #backlog: (() => void)[] = [];
  /** What the output gate holds back until the next sync. */
  #held: (() => void)[] = [];
  #waitingForLeader: (() => void)[] = [];
  /** Requests that wait for their answer keep an instance in memory. */
  #requests = 0;
  #clockOffsetMs = 0;

  constructor(options: ReplicaOptions) {
    this.id = options.id;
    this.#options = options;
    this.sql.run('CREATE TABLE simulated_alarm (at_ms REAL NOT NULL)');
    this.sql.sync();
    const { clockDifferenceMs } = options.faults();
    if (clockDifferenceMs > 0) this.#setClock(options.random.between(-clockDifferenceMs, clockDifferenceMs));
  }

  get driver(): Driver | null {
    return this.#driver;
  }

  get isDown(): boolean {
    return this.#isDown;
  }

  get isIdle(): boolean {
    return !this.#isPaused && this.#held.length === 0 && this.sql.unsynced === 0;
  }

  // What happens to it

  receive(messages: readonly Message[]): void {
    this.#input(() => this.#instance.receive(messages));
  }

  /** False: nobody is there. */
  handle(request: ClientRequest, reply: (answer: ClientAnswer) => void): boolean {
    return this.#input(() => {
      const { trace } = this.#options;
      switch (request.kind) {
        case 'write':
          return this.#handleWrite(request, reply);
        case 'read':
          return this.#handleRead(request, reply);
        case 'keepAlive':
          return this.#handleKeepAlive(request, reply);
        case 'login':
          return this.#handleLogin(request.name, reply);
        case 'leader':
          trace.add('asked for the leader', () => `${this.id}, without ${request.failed}`);
          return this.#handleLeader(request.failed, reply);
      }
    });
  }

  transferLeadership(to: ReplicaId): void {
    if (this.#driver?.raft.role !== 'leader' || to === this.id) return;
    this.#options.trace.add('transfer', () => `${this.id} to ${to}`);
    this.#input(() => this.#instance.transferLeadership(to));
  }

  /** A caller found no leader and came here. */
  campaign(): void {
    this.#input(() => this.#instance.campaign());
  }

  pause(forMs: number): void {
    if (this.#driver === null || this.#isPaused) return;
    this.#isPaused = true;
    this.#options.trace.add('pause', () => `${this.id} for ${Math.round(forMs)} ms`);
    const incarnation = this.#incarnation;
    this.#options.schedule.after(forMs, () => {
      if (this.#incarnation === incarnation) this.resume();
    });
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
    this.#setClock(offsetMs);
    this.#planAlarm();
  }

  #setClock(offsetMs: number): void {
    this.#clockOffsetMs = offsetMs;
    this.#options.checkers.leases.clockSet(offsetMs);
  }

  /** The instance ends; what it had not synced is lost, all or from some transaction on, with all that the gate held. */
  crash(): void {
    if (this.#isDown) return;
    const { random, schedule, trace } = this.#options;
    const kept = random.chance(0.3) ? random.integer(0, this.sql.unsynced) : 0;
    const { unsynced } = this.sql;
    trace.add('crash', () => `${this.id}, ${kept} of ${unsynced} transactions survive`);
    if (unsynced > kept) trace.count('crashes that lost writes');
    this.sql.crash(kept);
    if (this.#isAlarmed) {
      this.#writeAlarm(this.nowMs() + alarmRetryMs);
      this.sql.sync();
    }
    this.#forget();
    this.#isDown = true;
    const incarnation = this.#incarnation;
    schedule.after(random.exponential(random.pick([20, 500, 3_000])), () => {
      if (this.#incarnation === incarnation) this.comeBack();
    });
  }

  /** From now on the next input finds it. The platform starts an object for an event only; a timer of its own may be one. */
  comeBack(): void {
    if (!this.#isDown) return;
    this.#isDown = false;
    if (this.#options.bug === 'voteForgotten') this.#forgetVote();
    this.#planAlarm();
    if (this.#options.random.chance(0.7)) this.#input(() => {});
  }

  // What the driver needs

  send(messages: readonly Message[]): void {
    const { network, checkers, bug } = this.#options;
    const leave = (): void => {
      const said = bug === 'olderTermCommitted' ? messages.map((message) => this.#withOlderCommit(message)) : messages;
      for (const message of said) checkers.raft.released(message);
      network.send(said);
    };
    if (bug === 'replyBeforePersist') leave();
    else this.#gate(leave);
  }

  published(events: readonly RevisionEvents[], _revision: Revision): void {
    const { state } = this.#options.checkers;
    const { bug, random } = this.#options;
    const told = bug === 'eventsSkipped' && random.chance(0.01) ? events.slice(1) : events;
    this.#gate(() => state.published(this.id, told));
  }

  applied(commands: readonly Command[]): void {
    this.#options.trace.count('commands applied', commands.length);
  }

  leasesChanged(changes: readonly LeaseChange[]): void {
    this.#leases?.applied(changes);
  }

  mayRest(): boolean {
    return this.#leases?.mayRest() ?? true;
  }

  leaderChanged(leader: ReplicaId | null): void {
    const term = this.#driver?.raft.term;
    this.#options.trace.add('leader seen', () => `by ${this.id}: ${leader} in term ${term}`);
    const waiting = this.#waitingForLeader;
    this.#waitingForLeader = [];
    for (const proceed of waiting) proceed();
    this.#leases?.leaderChanged();
  }

  rest(): void {
    const { schedule, random, trace } = this.#options;
    if (!this.#wasResting) trace.add('rest', () => `${this.id}`);
    this.#wasResting = true;
    this.#leases?.resting();
    this.#isTicking = false;
    if (!random.chance(this.#options.faults().evict)) return;
    const incarnation = this.#incarnation;
    schedule.after(random.between(10, 3_000), () => {
      if (this.#incarnation === incarnation) this.#evict();
    });
  }

  nowMs(): number {
    return Math.floor(1_000_000 + this.#options.schedule.nowMs + this.#clockOffsetMs);
  }

  before(step: Step): void {
    const { random, trace } = this.#options;
    if (!random.chance(this.#options.faults().crashAtStep)) return;
    trace.count(`crashes before ${step}`);
    throw new Crash(step);
  }

  // The instance

  get #instance(): Driver {
    assert(this.#driver !== null, 'an input came to a replica that is down');
    return this.#driver;
  }

  get #observed(): Observed {
    return { id: this.id, driver: this.#instance, database: this.sql.reader };
  }

  #input(body: () => void): boolean {
    if (this.#isDown) return false;
    if (this.#isPaused) {
      const incarnation = this.#incarnation;
      this.#backlog.push(() => {
        if (this.#incarnation === incarnation) this.#input(body);
      });
      return true;
    }
    try {
      this.#driver ??= this.#start();
      this.#startClock();
      body();
      this.#options.checkers.raft.observe(this.#observed);
    } catch (error) {
      if (!(error instanceof Crash)) throw error;
      this.crash();
      return true;
    }
    this.#planSync();
    return true;
  }

  #start(): Driver {
    const { ids, random, trace, checkers, bug } = this.#options;
    trace.add('start', () => `${this.id}`);
    const driver = new Driver({
      id: this.id,
      voters: ids,
      sql: bug === 'attachedKeyKept' ? new ForgetfulSql(this.sql) : this.sql,
      port: this,
      random: () => random.next(),
      electionTimeoutTicks,
      heartbeatTicks,
    });
    // Of what the last instance wrote and did not learn to be durable, some may be. Beside it there are only fresh tables.
    this.#noteDurable({ id: this.id, driver, database: this.sql.reader });
    checkers.state.started(this.id, driver.store);
    this.#leases = this.#leaseHost(driver);
    return driver;
  }

  #evict(): void {
    if (this.#isTicking || this.#driver === null || this.#requests > 0 || !this.isIdle) return;
    this.#options.trace.add('evicted', () => `${this.id}`);
    this.#forget();
  }

  #forget(): void {
    this.#incarnation++;
    this.#driver = null;
    this.#leases = null;
    this.#isAlarmed = false;
    this.#isTicking = false;
    this.#syncIsPlanned = false;
    this.#isPaused = false;
    this.#backlog = [];
    this.#held = [];
    this.#waitingForLeader = [];
    this.#requests = 0;
    this.#options.checkers.raft.stopped(this.id);
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
    const incarnation = this.#incarnation;
    // Not all replicas tick at the same moment.
    schedule.after(tickMs * (1 + skew) + random.next(), () => {
      const isStopped = (): boolean => this.#incarnation !== incarnation || this.#clock !== clock || !this.#isTicking;
      if (isStopped()) return;
      this.#wasResting = false;
      this.#options.trace.count('ticks');
      // A clock that could not tick during a pause does not catch up on it.
      if (!this.#isPaused) {
        this.#input(() => {
          this.#instance.tick();
          this.#leases?.tick();
          // No answer may depend on how far a sweep went.
          if (random.chance(0.1)) this.#instance.store.compactStep(random.integer(1, 20));
        });
      }
      if (!isStopped()) this.#planTick(clock);
    });
  }

  // Storage

  #gate(action: () => void): void {
    if (this.sql.unsynced === 0) action();
    else this.#held.push(action);
  }

  #planSync(): void {
    if (this.#syncIsPlanned || this.sql.unsynced === 0) return;
    this.#syncIsPlanned = true;
    const { schedule, random } = this.#options;
    const { syncMs, slowSync } = this.#options.faults();
    const incarnation = this.#incarnation;
    schedule.after(random.exponential(syncMs) + (random.chance(slowSync) ? random.between(50, 1_500) : 0), () => {
      if (this.#incarnation === incarnation) this.#sync();
    });
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
    if (!random.chance(this.#options.faults().crashAfterSync)) return;
    trace.count('crashes after a sync');
    this.crash();
  }

  #noteDurable(observed: Observed): void {
    const { raft, history, state } = this.#options.checkers;
    for (const row of raft.durable(observed)) history.committed(row);
    state.durable(observed);
  }

  #withOlderCommit(message: Message): Message {
    if (message.kind !== 'append') return message;
    const held = this.#options.checkers.raft.heldByQuorum(this.id);
    return { ...message, commit: logIndex(Math.max(message.commit, held)) };
  }

  #forgetVote(): void {
    const exists = this.sql.reader.all("SELECT 1 FROM sqlite_master WHERE name = 'hard_state'").length > 0;
    if (exists) this.sql.reader.run('UPDATE hard_state SET voted_for = NULL');
  }

  // Requests

  #handleWrite(request: Extract<ClientRequest, { kind: 'write' }>, reply: (answer: ClientAnswer) => void): void {
    const answer = this.#answering(reply);
    this.#instance.write(request.request, (result: WriteResult) => {
      const isRefused = result.kind === 'notLeader' || result.kind === 'overloaded' || result.kind === 'halted';
      if (isRefused) request.operation.possible--;
      answer({ kind: 'write', result });
    });
  }

  #handleRead(request: Extract<ClientRequest, { kind: 'read' }>, reply: (answer: ClientAnswer) => void): void {
    const answer = this.#answering(reply);
    const driver = this.#instance;
    const refusal = (): StoreFailure | null =>
      driver.store.authorizeRange(request.caller, request.request, this.nowMs());
    const early = this.#options.bug === 'permissionCheckedEarly' ? { failure: refusal() } : null;
    const serve = (): void => {
      const failure = early === null ? refusal() : early.failure;
      const result: RangeOutcome = failure === null ? driver.store.range(request.request) : { kind: 'failed', failure };
      answer({ kind: 'read', result, ...placeOf(driver) });
    };
    const isUnconfirmed = this.#options.bug === 'readUnconfirmed' && driver.raft.role === 'leader';
    if (request.request.serializable || isUnconfirmed) return serve();
    driver.read((result: ReadResult) => {
      if (result.kind === 'ready') serve();
      else answer({ kind: 'refused', leader: result.kind === 'refused' ? result.leader : null });
    });
  }

  #handleKeepAlive(
    { id, caller }: Extract<ClientRequest, { kind: 'keepAlive' }>,
    reply: (answer: ClientAnswer) => void,
  ): void {
    const { schedule, failed } = this.#options;
    const answer = this.#answering(reply);
    const driver = this.#instance;
    if (driver.raft.role !== 'leader') return answer({ kind: 'refused', leader: driver.raft.leader });
    const cameMs = schedule.nowMs;
    const incarnation = this.#incarnation;
    const kept = this.#leases?.keepAlive(caller, id) ?? Promise.resolve(null);
    kept
      .then((result) => {
        if (this.#incarnation !== incarnation) return;
        if (result === null) answer({ kind: 'refused', leader: null });
        else answer({ kind: 'keepAlive', cameMs, result, ...placeOf(driver) });
      })
      .catch(failed);
  }

  /** As the service looks up a password's hash for whoever logs in. */
  #handleLogin(name: string, reply: (answer: ClientAnswer) => void): void {
    const answer = this.#answering(reply);
    const driver = this.#instance;
    const service: Caller = { kind: 'service' };
    driver.read((result: ReadResult) => {
      if (result.kind !== 'ready') return answer({ kind: 'refused', leader: null });
      const found = driver.store.query<'credential'>({ kind: 'credential', name }, service, this.nowMs());
      answer({ kind: 'login', result: found, ...placeOf(driver) });
    });
  }

  /** As the replica's front does it: who is known to lead, else stand for election and wait a while. */
  #handleLeader(failed: ReplicaId | null, reply: (answer: ClientAnswer) => void): void {
    const answer = this.#answering(reply);
    this.#findLeader(failed, (leader) => answer({ kind: 'leader', leader }));
  }

  #findLeader(failed: ReplicaId | null, found: (leader: ReplicaId | null) => void): void {
    const driver = this.#instance;
    const known = (): ReplicaId | null => (driver.raft.leader === failed ? null : driver.raft.leader);
    if (known() !== null) return found(known());
    let isFound = false;
    const finish = (isLate: boolean): void => {
      if (isFound) return;
      if (known() === null && !isLate) return void this.#waitingForLeader.push(() => finish(false));
      isFound = true;
      found(known());
    };
    this.#after(leaderWaitMs, () => finish(true));
    driver.campaign();
    finish(false);
  }

  // Leases

  #leaseHost(driver: Driver): LeaseHost {
    const { ids, bug, checkers, failed } = this.#options;
    const incarnation = this.#incarnation;
    const whileHere = (body: () => void): void => {
      if (this.#incarnation === incarnation) body();
    };
    return new LeaseHost({
      place: ids.indexOf(this.id),
      writeIdPrefix: `l:${this.id}/${incarnation}`,
      history: checkers.history,
      leases: checkers.leases,
      bug,
      port: {
        driver,
        nowMs: () => this.nowMs(),
        input: (body) => whileHere(() => void this.#input(body)),
        after: (delayMs, body) => whileHere(() => this.#after(delayMs, body)),
        leader: (seeming, found) =>
          whileHere(() => this.#after(0, () => void this.#input(() => this.#findLeader(seeming, found)))),
        getAlarm: () => this.#alarmAt,
        setAlarm: (atMs) =>
          whileHere(() => {
            this.#writeAlarm(atMs);
            this.#planSync();
            this.#planAlarm();
          }),
        failed,
      },
    });
  }

  get #alarmAt(): number | null {
    const at = this.sql.reader.all('SELECT at_ms FROM simulated_alarm')[0]?.[0];
    return at === undefined ? null : Number(at);
  }

  #writeAlarm(atMs: number | null): void {
    this.sql.transaction(() => {
      this.sql.run('DELETE FROM simulated_alarm');
      if (atMs !== null) this.sql.run('INSERT INTO simulated_alarm VALUES (?)', atMs);
    });
  }

  /** The platform rings when its clock says so, whether or not the instance is in memory. */
  #planAlarm(): void {
    const atMs = this.#alarmAt;
    if (atMs === null) return;
    const { schedule, random } = this.#options;
    schedule.after(Math.max(0, atMs - this.nowMs()) + random.exponential(5), () => {
      if (this.#isDown || this.#isAlarmed || this.#alarmAt !== atMs) return;
      if (this.nowMs() < atMs) this.#planAlarm();
      else this.#input(() => this.#ring());
    });
  }

  #ring(): void {
    if (this.#isAlarmed || this.#alarmAt === null || this.#alarmAt > this.nowMs()) return;
    this.#options.trace.add('alarm', () => `${this.id}`);
    this.#writeAlarm(null);
    this.#isAlarmed = true;
    this.#requests++;
    const incarnation = this.#incarnation;
    const rung = this.#leases?.alarm() ?? Promise.resolve();
    rung
      .then(() => {
        if (this.#incarnation !== incarnation) return;
        this.#isAlarmed = false;
        this.#requests--;
        // One that was set meanwhile may be due by now.
        this.#planAlarm();
      })
      .catch(this.#options.failed);
  }

  /** Of this instance; not while it is paused. */
  #after(delayMs: number, body: () => void): void {
    const incarnation = this.#incarnation;
    const run = (): void => {
      if (this.#incarnation !== incarnation) return;
      if (this.#isPaused) this.#backlog.push(run);
      else body();
    };
    this.#options.schedule.after(delayMs, run);
  }

  #answering(reply: (answer: ClientAnswer) => void): (answer: ClientAnswer) => void {
    this.#requests++;
    return (answer) => {
      this.#requests--;
      if (this.#options.bug === 'answerBeforeDurable') reply(answer);
      else this.#gate(() => reply(answer));
    };
  }

  /** For the trace of a failed run. */
  inWords(): string {
    const driver = this.#driver;
    if (driver === null) return `${this.id}: ${this.#isDown ? 'down' : 'not in memory'}`;
    const { role, term, leader, commit, lastIndex } = driver.raft;
    const state = `${role} in term ${term}, leader ${leader}, commit ${commit}, applied ${driver.store.appliedIndex}, last ${lastIndex}`;
    return `${this.id}: ${state}${this.#isPaused ? ', paused' : ''}${this.#isTicking ? '' : ', resting'}`;
  }
}

function placeOf(driver: Driver): Place {
  return { revision: driver.store.revision, index: driver.store.appliedIndex };
}
