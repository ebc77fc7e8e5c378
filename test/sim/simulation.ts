// One run: a group of replicas, its clients and the faults of one seed. First everything may go wrong, and no promise
// may break. Then all faults are healed, and the group must recover within a bound.

import { replicaId, type ReplicaId } from '../../src/model/brands.ts';
import type { Command } from '../../src/model/store.ts';
import { type Configuration, foundingConfiguration } from '../../src/raft/configuration.ts';
import { levelWith, type PlantedBug } from './bugs/bugs.ts';
import { ClientHistory } from './checkers/client-history.ts';
import { type HowEnded, SimulatedClient } from './workloads/client.ts';
import type { Code } from './platform/code.ts';
import { Deployments } from './deployments.ts';
import {
  alarmsOf,
  tenancyOf,
  alterationsOf,
  deploymentsOf,
  type FaultMix,
  faultMixOf,
  healed,
  flushesOf,
  foundingOf,
  rememberedOf,
  learnerLossOf,
  mixInWords,
  restartsIn,
  throwingOf,
  sessionsOf,
  workOf,
} from './faults.ts';
import { SimulatedGroup } from './platform/group.ts';
import { HistoryChecker } from './checkers/history-checker.ts';
import { LeaseChecker } from './checkers/lease-checker.ts';
import { LevelChecker } from './checkers/level-checker.ts';
import { entryInWords, linearize } from './checkers/linearizability.ts';
import { MemberFaults } from './member-faults.ts';
import { type Delivery, Network } from './platform/network.ts';
import { RaftChecker } from './checkers/raft-checker.ts';
import { Random } from '../support/random.ts';
import { simulatedBounds, SimulatedReplica } from './platform/replica.ts';
import { Schedule } from './platform/schedule.ts';
import { SessionLedger } from './checkers/session-ledger.ts';
import { StateChecker } from './checkers/state-checker.ts';
import { check, Trace, Violation } from './trace.ts';
import { SessionWatcher } from './workloads/session-watcher.ts';
import { SimulatedWatcher } from './workloads/watcher.ts';

/** After the last fault, the next write of every client is done within this time. */
const recoveryMs = 20_000;
/** After that, all replicas hold the same within this time. */
const convergenceMs = 40_000;
const writesAfterHealing = 3;
/** Watchers over sessions, where clients ask over sessions. */
const sessionWatchers = 2;
/** A replica that was sending a snapshot holds its log for another 30 s of its clock. */
const logsCutMs = 60_000;
/** The pause between two ticks at the end of a run. */
const writesSinceTickMax = 16;
/** Deployments draw from a generator of their own. */
const deploymentsSeed = 0x3c6ef372;
const alterationsSeed = 0x1f83d9ab;
const learnersSeed = 0x5be0cd19;
const throwingSeed = 0x9b05688c;
const sessionsSeed = 0x428a2f98;
const sessionWatchersSeed = 0x6a09e667;
const workSeed = 0x510e527f;
const flushSeed = 0xa54ff53a;
const rememberedSeed = 0x6a09e667;
const alarmsSeed = 0x3c6ef372;
const tenancySeed = 0x2545f491;
const foundingSeed = 0x7f4a7c15;
/** The search for an order takes a quarter of a run's time. */
const linearizedEverySeeds = 4;

export type SimulationOptions = {
  readonly seed: number;
  readonly bug: PlantedBug | null;
  /**
   * Answers to clients are judged without the log, and by nothing else: this shows that this checker finds bugs by
   * itself.
   */
  readonly blind?: boolean;
  /** The mix of faults instead of the one that the seed would choose. */
  readonly mix?: Partial<FaultMix>;
};

export type Report = {
  readonly seed: number;
  readonly mix: FaultMix;
  readonly counts: ReadonlyMap<string, number>;
  readonly fingerprint: number;
  readonly failure: Failure | null;
};
export type Failure = { readonly rule: string; readonly message: string; readonly trace: readonly string[] };

export async function simulate(options: SimulationOptions): Promise<Report> {
  const simulation = new Simulation(options);
  let failure: Failure | null = null;
  try {
    await simulation.run();
  } catch (error) {
    failure = simulation.failureOf(error);
  } finally {
    simulation.close();
  }
  const { mix, trace } = simulation;
  return { seed: options.seed, mix, counts: trace.counts, fingerprint: trace.fingerprint, failure };
}

/** What a reader needs to look into a failure. */
export function failureInWords(report: Report, failure: Failure, bug: PlantedBug | null): string {
  const again = `npm run sim -- --seeds 1 --first ${report.seed}${bug === null ? '' : ` --bug ${bug}`}`;
  return [
    ...failure.trace,
    '',
    // Long values are padded with dots.
    `seed ${report.seed}: ${failure.message.replaceAll(/\.{9,}/g, '...')}`,
    `faults: ${mixInWords(report.mix)}`,
    `run it again: ${again}`,
  ].join('\n');
}

/** The seed and the rule, in one line. */
export function inShort({ seed, failure }: Report): string {
  // Long values are padded with dots.
  const message = (failure?.message ?? 'no failure').replaceAll(/\.{9,}/g, '...').replaceAll('\n', ' ');
  return `seed ${seed}: ${message.slice(0, 160)}`;
}

/** What a group that is founded has in its log. Nobody uses the key. */
const firstKey: Command = {
  writeId: 'founding',
  caller: { kind: 'service' },
  operation: {
    kind: 'createAccessKey',
    accessKey: {
      id: 'founding',
      name: '',
      role: 'admin',
      prefix: new Uint8Array(0),
      expiresAtMs: null,
      createdAtMs: 0,
    },
  },
  atMs: 0,
};

class Simulation {
  readonly mix: FaultMix;
  readonly trace: Trace;
  readonly #schedule = new Schedule();
  readonly #random: Random;
  readonly #network: Network;
  readonly #group = new SimulatedGroup();
  readonly #founders: readonly ReplicaId[];
  readonly #clients: readonly SimulatedClient[];
  readonly #watchers: readonly SimulatedWatcher[];
  readonly #sessionWatchers: readonly SessionWatcher[];
  readonly #members: MemberFaults;
  readonly #deployments: Deployments;
  readonly #raft: RaftChecker;
  readonly #leases: LeaseChecker;
  readonly #history: HistoryChecker;
  readonly #state: StateChecker;
  readonly #told: ClientHistory;
  readonly #isSampled: boolean;
  #faults: FaultMix;
  readonly #level: number;
  readonly #forLearners: Random;
  /** No fault is done to replicas before that. */
  #quietUntilMs = 0;
  /** Reports what went wrong in a promise, before the next step. */
  #failed: { readonly error: unknown } | null = null;

  constructor({ seed, bug, mix, blind = false }: SimulationOptions) {
    this.#level = levelWith(bug);
    const random = new Random(seed);
    this.#isSampled = blind || seed % linearizedEverySeeds === 0;
    const forDeployments = new Random(seed ^ deploymentsSeed);
    const withoutAlterations = { ...faultMixOf(random.fork()), ...deploymentsOf(forDeployments), ...mix };
    const forAlterations = new Random(seed ^ alterationsSeed);
    const forLearners = new Random(seed ^ learnersSeed);
    const throwing = throwingOf(new Random(seed ^ throwingSeed), withoutAlterations);
    const sessions = sessionsOf(new Random(seed ^ sessionsSeed), bug);
    const tenancy = tenancyOf(new Random(seed ^ tenancySeed), { ...withoutAlterations, ...sessions, ...mix });
    this.mix = {
      ...withoutAlterations,
      ...alterationsOf(forAlterations, withoutAlterations),
      ...learnerLossOf(forLearners, withoutAlterations),
      ...throwing,
      ...alarmsOf(new Random(seed ^ alarmsSeed), withoutAlterations),
      ...sessions,
      ...(bug === null ? tenancy : { bounds: 0, suspensions: 0 }),
      ...workOf(new Random(seed ^ workSeed), { ...throwing, ...mix }),
      ...flushesOf(new Random(seed ^ flushSeed)),
      ...foundingOf(new Random(seed ^ foundingSeed), withoutAlterations, bug),
      ...(bug === null ? rememberedOf(new Random(seed ^ rememberedSeed), withoutAlterations) : {}),
      ...mix,
    };
    this.#forLearners = forLearners;
    this.#faults = this.mix;
    this.#random = random.fork();
    this.trace = new Trace(() => this.#schedule.nowMs);
    const founders: ReplicaId[] = Array.from({ length: this.mix.replicas }, (_, place) => replicaId(place + 1));
    this.#founders = founders;
    const nowMs = (): number => this.#schedule.nowMs;
    this.#raft = new RaftChecker(founders);
    this.#leases = new LeaseChecker(nowMs, this.trace);
    const levels = new LevelChecker({
      trace: this.trace,
      members: () => this.#memberIds.filter((id) => this.#group.find(id) !== null),
    });
    this.#history = new HistoryChecker(nowMs, {
      leases: this.#leases,
      levels,
      commandRowsMax: this.mix.commandRowsMax,
      rememberedWrites: this.mix.rememberedWrites,
      isPresent: this.mix.deployEveryMs === 0 && this.mix.startsFormer === 0,
      maySuspend: this.mix.suspensions > 0,
    });
    this.#told = new ClientHistory(nowMs);
    this.#state = new StateChecker(this.#history, levels);
    const failed = (error: unknown): void => {
      this.#failed ??= { error };
    };
    const shared = { schedule: this.#schedule, trace: this.trace, faults: () => this.#faults, bug, failed };
    this.#network = new Network({
      ...shared,
      ids: () => this.#group.ids,
      random: random.fork(),
      deliver: (to, delivery) => this.#deliver(to, delivery),
    });
    const ledger = new SessionLedger();
    const checkers = {
      raft: this.#raft,
      history: this.#history,
      state: this.#state,
      leases: this.#leases,
      levels,
      ledger,
    };
    const network = this.#network;
    const make = (id: ReplicaId, founding: Configuration, code: Code = 'present'): SimulatedReplica =>
      new SimulatedReplica({
        ...shared,
        id,
        founders,
        founding,
        code,
        random: random.fork(),
        network,
        checkers,
        throws: this.mix.throwing > 0,
        provision: (joining) => this.#members.provision(joining),
        left: (left) => this.#members.left(left),
      });
    const founding = foundingConfiguration(founders.map((id) => ({ id, location: 'weur' })));
    const code = this.mix.startsFormer > 0 ? this.mix.formerCode : 'present';
    for (const id of founders) {
      const replica = make(id, founding, code);
      this.#group.join(replica);
      // With the planted bug, the group is made although a majority did not take its log.
      const takesLog = bug !== 'foundedApart' || id === 1;
      if (this.mix.isFounded > 0 && takesLog) replica.found({ level: this.#level, commands: [firstKey] });
    }
    if (this.mix.isFounded > 0) this.#history.proposed(firstKey);
    const forGroup = { group: this.#group, raft: this.#raft, trace: this.trace };
    const forMembers = { ...forGroup, network, state: this.#state, make, restarts: restartsIn(this.mix) };
    this.#members = new MemberFaults({ ...forMembers, random: random.fork() });
    this.#deployments = new Deployments({
      ...forGroup,
      schedule: this.#schedule,
      random: forDeployments,
      mix: this.mix,
    });
    const people = { areReady: this.mix.auth === 0 };
    const outside = { ...shared, group: this.#group, history: this.#history, told: this.#told, blind };
    this.#clients = each(this.mix.clients, (number) => {
      return new SimulatedClient({ ...outside, ledger, number, people, random: random.fork() });
    });
    this.#watchers = each(this.mix.watchers, (number) => {
      return new SimulatedWatcher({ ...outside, number, people, random: random.fork() });
    });
    const forSessions = new Random(seed ^ sessionWatchersSeed);
    this.#sessionWatchers = each(this.mix.sessions > 0 ? sessionWatchers : 0, (number) => {
      return new SessionWatcher({ ...outside, ledger, number: 100 + number, people, random: forSessions.fork() });
    });
  }

  async run(): Promise<void> {
    this.#planFaults();
    await this.#runUntil(this.mix.faultyMs);
    this.#heal();
    await this.#recover();
    await this.#converge();
    await this.#endLeases();
    await this.#cutLogs();
    this.#linearize();
    this.trace.count('retries in the log', this.#history.retriesInLog);
    this.trace.count('writes denied', this.#history.deniedInLog);
    this.trace.count('forgotten writes in the log', this.#history.forgottenInLog);
    this.trace.count('revisions', this.#history.revision);
    this.trace.count('steps', this.#schedule.steps);
  }

  failureOf(error: unknown): Failure {
    const name = error instanceof Error ? error.name : 'unknown';
    const message = error instanceof Error ? error.message : String(error);
    const isViolation = error instanceof Violation;
    const rule = isViolation ? error.rule : name;
    const where = !isViolation && error instanceof Error ? [`${error.stack}`] : [];
    const parts = [...this.#group.all, ...this.#watchers, ...this.#sessionWatchers].map((part) => part.inWords());
    const trace = [...this.trace.lastLines(), '', ...parts, ...where];
    return { rule, message, trace };
  }

  close(): void {
    for (const replica of this.#group.all) replica.sql.close();
  }

  #planFaults(): void {
    const { mix } = this;
    const random = this.#random;
    this.#every(mix.crashEveryMs, () => this.#group.pick(random).crash());
    this.#every(mix.crashAllEveryMs, () => {
      for (const replica of this.#group.all) replica.crash();
    });
    this.#every(mix.rivalsEveryMs, () => this.#startRivalry());
    this.#every(mix.pauseEveryMs, () => this.#group.pick(random).pause(random.exponential(random.pick([100, 1_500]))));
    this.#every(mix.clockJumpEveryMs, () => this.#group.pick(random).jumpClock());
    this.#every(mix.slowLinkEveryMs, () => this.#network.slowLink());
    this.#every(mix.transferEveryMs, () => {
      const to = this.#group.pick(random).id;
      for (const replica of this.#group.all) replica.transferLeadership(to);
    });
    this.#every(mix.partitionEveryMs, () => {
      this.#network.partition();
      this.#schedule.after(random.exponential(random.pick([300, 3_000])), () => this.#network.join());
    });
    this.#every(mix.memberChangeEveryMs, () => this.#members.change());
    this.#every(mix.loseStorageEveryMs, () => this.#members.loseStorage());
    this.#every(mix.loseLearnerEveryMs, () => this.#members.loseLearner(this.#forLearners));
    this.#every(mix.alterEveryMs, () => this.#alter());
    this.#every(mix.deployEveryMs, () => this.#deployments.step());
    this.#every(mix.quietEveryMs, () => this.#quiet(random.between(6_000, 12_000)));
  }

  #deliver(to: ReplicaId, delivery: Delivery): void {
    const receiver = this.#group.find(to);
    const from = delivery.envelope.messages[0]?.from;
    const sender = from === undefined ? null : this.#group.find(from);
    if (receiver === null) return sender?.absent(to);
    // The replica answers a call, whatever the answer says.
    sender?.present(to);
    receiver.receive(delivery);
  }

  /** One store is altered at a time, because the others tell what is right. */
  #alter(): void {
    if (!this.#state.mayAlter) return;
    const replica = this.#group.pick(this.#random);
    replica.crash();
    if (replica.alter()) this.#state.altered(replica.id);
  }

  #quiet(forMs: number): void {
    this.trace.add('quiet', () => `for ${Math.round(forMs)} ms`);
    for (const client of this.#clients) client.quiet(forMs);
    if (this.mix.longLeases === 0) return;
    // The group comes to rest and is woken, and soon after that its leader fails.
    this.#quietUntilMs = this.#schedule.nowMs + forMs;
    this.#schedule.after(forMs + this.#random.exponential(1_000), () => {
      if (this.#faults !== this.mix) return;
      for (const replica of this.#group.all) if (replica.driver?.raft.role === 'leader') replica.crash();
    });
  }

  #startRivalry(): void {
    this.trace.add('rivals');
    for (const replica of this.#group.all) {
      if (replica.driver?.raft.role === 'leader') replica.crash();
      else if (this.#random.chance(0.6)) this.#schedule.after(this.#random.exponential(20), () => replica.campaign());
    }
  }

  #every(meanMs: number, action: () => void): void {
    if (meanMs === 0) return;
    const again = (): void => {
      this.#schedule.after(this.#random.exponential(meanMs), () => {
        if (this.#faults !== this.mix) return;
        if (this.#schedule.nowMs >= this.#quietUntilMs) action();
        again();
      });
    };
    again();
  }

  #heal(): void {
    this.trace.add('healed');
    this.#faults = healed(this.mix);
    this.#network.heal();
    for (const client of this.#clients) client.stop();
    for (const watcher of [...this.#watchers, ...this.#sessionWatchers]) watcher.settle();
    for (const replica of this.#group.all) {
      replica.comeBack();
      replica.resume();
    }
    this.#deployments.finish();
  }

  /**
   * The writes of every client succeed again. An operation may end without an answer, and then the next one must
   * succeed.
   */
  async #recover(): Promise<void> {
    await this.#eachClient(writesAfterHealing, (client, ended) => client.writeOnce(ended));
  }

  /** All clients do this so many times, at once. */
  async #eachClient(times: number, act: (client: SimulatedClient, ended: HowEnded) => void): Promise<void> {
    const open = new Set(this.#clients.map((client) => ({ client, left: times })));
    const proceed = (): void => {
      for (const one of open) {
        if (one.left === 0) open.delete(one);
        else if (!one.client.isBusy) {
          act(one.client, (isAnswered) => {
            if (isAnswered) one.left--;
          });
        }
      }
      if (open.size > 0) this.#schedule.after(10, proceed);
    };
    proceed();
    const endMs = this.#schedule.nowMs + recoveryMs;
    await this.#runUntil(endMs, () => open.size === 0);
    check(open.size === 0, 'liveness', () => `${open.size} clients cannot write ${recoveryMs} ms after all faults`);
  }

  /** All replicas hold the same, every watcher has all events, and the copy of every informer equals the store. */
  async #converge(): Promise<void> {
    const endMs = this.#schedule.nowMs + convergenceMs;
    const watchers = [...this.#watchers, ...this.#sessionWatchers];
    const areCaughtUp = (): boolean => watchers.every((watcher) => watcher.isCaughtUp);
    await this.#runUntil(endMs, () => this.#hasConverged && areCaughtUp());
    check(this.#hasConverged, 'liveness', () => `replicas differ ${convergenceMs} ms after the last write`);
    check(areCaughtUp(), 'liveness', () => `watchers lack events ${convergenceMs} ms after the last write`);
    for (const { id, driver, sql } of this.#group.all) {
      if (driver === null || !this.#memberIds.includes(id)) continue;
      this.#raft.compareLogs(id, sql.reader, driver.store.appliedIndex);
      this.#state.compare({ id, driver, database: sql.reader });
      this.#history.checkWhole(id, driver.store);
    }
    for (const watcher of this.#watchers) watcher.checkCopy();
  }

  /**
   * Leases are granted, and then nobody asks for anything any more, or only for a write now and then. All leases end,
   * in a group that sleeps and in one that is awake.
   */
  async #endLeases(): Promise<void> {
    await this.#eachClient(1, (client, ended) => client.leaseOnce('grant', ended));
    await this.#eachClient(1, (client, ended) => client.leaseOnce('attach', ended));
    const asleep = this.#random.chance(0.6);
    this.trace.add(asleep ? 'leases end asleep' : 'leases end awake');
    this.#leases.expectEnds({ asleep });
    const isDone = (): boolean => this.#leases.aliveCount === 0;
    while (!isDone() && this.#schedule.nowMs < this.#leases.lastEndMs) {
      if (!asleep) await this.#eachClient(1, (client, ended) => client.writeOnce(ended));
      await this.#runUntil(asleep ? this.#leases.lastEndMs : this.#schedule.nowMs + 1_000, isDone);
    }
    await this.#runUntil(this.#schedule.nowMs + 1);
    this.#leases.checkAllEnded();
    // Replicas that sleep are woken.
    await this.#eachClient(1, (client, ended) => client.writeOnce(ended));
    await this.#converge();
  }

  /** No replica is behind any more, and clients write only now and then, so logs are cut to their bound. */
  async #cutLogs(): Promise<void> {
    const tooLong = (): readonly string[] =>
      this.#group.all
        .filter(({ driver }) => (driver?.logSize.entries ?? 0) > simulatedBounds.logEntriesMax + writesSinceTickMax)
        .map((replica) => replica.inWords());
    const endMs = this.#schedule.nowMs + logsCutMs;
    while (tooLong().length > 0 && this.#schedule.nowMs < endMs) {
      await this.#eachClient(1, (client, ended) => client.writeOnce(ended));
      await this.#runUntil(this.#schedule.nowMs + 1_000);
    }
    check(tooLong().length === 0, 'log bound', () => `the log is too long of ${tooLong().join(' and of ')}`);
  }

  /** The history is judged once more, without the log. Permissions, and when they changed, are not known there. */
  #linearize(): void {
    if (this.mix.auth > 0 || !this.#isSampled) return;
    const verdict = linearize(this.#told.entries());
    this.trace.count(`histories ${verdict.kind === 'not' ? 'not linearizable' : verdict.kind}`);
    check(verdict.kind !== 'not', 'linearizability', () => {
      const stuck = verdict.kind === 'not' ? verdict.stuck : [];
      const after = verdict.kind === 'not' ? verdict.ordered : 0;
      return `after ${after} operations none of these can come next: ${stuck.map(entryInWords).join(', ')}`;
    });
  }

  async #runUntil(endMs: number, done: () => boolean = () => false): Promise<void> {
    await this.#schedule.runUntil(endMs, () => this.#failed !== null || done());
    if (this.#failed !== null) throw this.#failed.error;
  }

  get #hasConverged(): boolean {
    const { length } = this.#raft.committed;
    const { configuration } = this.#raft;
    if (configuration?.members.some(({ plan, voter }) => plan !== null || !voter) === true) return false;
    if (this.#state.holdsAltered) return false;
    return this.#memberIds.every((id) => {
      const replica = this.#group.find(id);
      if (replica?.isIdle !== true || this.#raft.appliedOf(id) !== length) return false;
      if (replica.driver?.store.hasUnflushed === true) return false;
      // A call that was sent again may come late: its entry counts as committed once it is applied.
      if (replica.driver?.store.isUnderWay === true) return false;
      return replica.level === this.#level;
    });
  }

  get #memberIds(): readonly ReplicaId[] {
    return this.#raft.configuration?.members.map(({ id }) => id) ?? this.#founders;
  }
}

function each<Made>(count: number, make: (number: number) => Made): Made[] {
  return Array.from({ length: count }, (_, place) => make(place + 1));
}
