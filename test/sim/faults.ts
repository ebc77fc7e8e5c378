// The faults of one run. Each seed turns some kinds of fault off (swarm testing), because a run in which everything
// fails at once hides what only shows when most things work.

import { commandRowsMax, rememberedWritesMax } from '../../src/limits.ts';
import type { Random } from '../support/random.ts';
import { type FormerCode, formerCodes } from './platform/code.ts';

/** The workload of the clients. */
const workloads = ['mixed', 'kubernetes', 'batch'] as const;
export type WorkloadName = (typeof workloads)[number];

/** Probabilities are for each occasion, times are in milliseconds. 0: this fault is off. */
export type FaultMix = {
  readonly workload: WorkloadName;
  readonly replicas: 1 | 3 | 5;
  readonly faultyMs: number;
  readonly clients: number;
  // Network between replicas
  readonly delayMs: number;
  readonly jitterMs: number;
  readonly drop: number;
  readonly duplicate: number;
  readonly late: number;
  readonly partitionEveryMs: number;
  readonly oneWay: number;
  readonly slowLinkEveryMs: number;
  // Storage
  readonly syncMs: number;
  readonly slowSync: number;
  // Replicas
  readonly crashEveryMs: number;
  readonly crashAtStep: number;
  /** A crash just after writes became durable and what waited for them has left. */
  readonly crashAfterSync: number;
  readonly crashAllEveryMs: number;
  /** The leader crashes and callers wake several others at once: terms with more than one candidate. */
  readonly rivalsEveryMs: number;
  readonly pauseEveryMs: number;
  readonly evict: number;
  readonly clockSkew: number;
  readonly clockJumpEveryMs: number;
  /** The clocks of replicas differ from the start, by up to twice this. */
  readonly clockDifferenceMs: number;
  readonly transferEveryMs: number;
  readonly memberChangeEveryMs: number;
  /** The disk of a replica is lost for good. */
  readonly loseStorageEveryMs: number;
  /** The disk of a learner is lost, and its object is made again. */
  readonly loseLearnerEveryMs: number;
  /** The store of a replica is altered on disk while the replica is down. */
  readonly alterEveryMs: number;
  // Deployments
  readonly deployEveryMs: number;
  readonly formerCode: FormerCode;
  /** 1: the founders begin with the former code. */
  readonly startsFormer: number;
  /** 1: each founder's log has the group's level and a first key before anybody leads. */
  readonly isFounded: number;
  /** A step of an update goes back. */
  readonly rollBack: number;
  /** A replica goes back after all were updated. */
  readonly carelessRollBack: number;
  /** A downgrade is announced once all are updated. */
  readonly downgrade: number;
  /** The chance of a write at which the code throws. */
  readonly throwing: number;
  /** The chance that a turn finds no room in memory for what is not flushed, and a replica flushes at once. */
  readonly flush: number;
  /** How much a transaction may look at and write. */
  readonly commandRowsMax: number;
  /** How many writes a store remembers. */
  readonly rememberedWrites: number;
  // Clients
  /** 1: callers are access keys, users and nobody, and an administrator changes their permissions. */
  readonly auth: number;
  /** How often an administrator raises the alarm NOSPACE. */
  readonly alarms: number;
  /** How often the operator bounds keys, leases and access keys, or an access key is rotated. */
  readonly bounds: number;
  /** How often the operator suspends the tenant. */
  readonly suspensions: number;
  /** 1: leases survive rests, and leaders fail after rests. */
  readonly longLeases: number;
  readonly thinkMs: number;
  /** 1: clients ask over sessions. */
  readonly sessions: number;
  /** The bytes that a client lets a replica send on a session. 0: the window is that of the production client. */
  readonly sessionWindowBytes: number;
  readonly quietEveryMs: number;
  readonly requestLost: number;
  readonly requestDuplicated: number;
  /** Clients that lose patience too soon make other replicas stand for election while the leader is about to answer. */
  readonly impatient: number;
  // Watches
  readonly watchers: number;
  /** A connection of a watcher breaks. */
  readonly cutEveryMs: number;
  /** Some connections are read slowly. */
  readonly slowReader: number;
};

const noDeployments = { deployEveryMs: 0, startsFormer: 0, rollBack: 0, carelessRollBack: 0, downgrade: 0 } as const;

/**
 * This is drawn apart from everything else, so runs without deployments are what they were before there were
 * deployments.
 */
export function deploymentsOf(random: Random): Pick<FaultMix, keyof typeof noDeployments | 'formerCode'> {
  const formerCode = random.pick(formerCodes);
  if (!random.chance(0.35)) return { ...noDeployments, formerCode };
  const on = (probability: number, value: () => number): number => (random.chance(probability) ? value() : 0);
  return {
    formerCode,
    deployEveryMs: random.pick([300, 800, 2_000]),
    startsFormer: on(0.7, () => 1),
    rollBack: on(0.5, () => random.pick([0.2, 0.4])),
    carelessRollBack: on(0.25, () => random.pick([0.1, 0.4])),
    downgrade: on(0.6, () => random.pick([0.2, 0.6])),
  };
}

/**
 * This is drawn apart as well. A wrong store is found by a majority that is right, so no other replica is lost or
 * replaced meanwhile, and the group has hashes all the time.
 */
export function alterationsOf(random: Random, mix: FaultMix): Pick<FaultMix, 'alterEveryMs'> {
  const mayAlter = mix.replicas > 1 && mix.memberChangeEveryMs + mix.loseStorageEveryMs + mix.deployEveryMs === 0;
  return { alterEveryMs: mayAlter && random.chance(0.5) ? random.between(1_000, 5_000) : 0 };
}

/** This is drawn apart, too. Members come often enough that there is a learner. */
export function learnerLossOf(random: Random, mix: FaultMix): Pick<FaultMix, 'loseLearnerEveryMs'> {
  const hasLearners = mix.memberChangeEveryMs > 0 || mix.loseStorageEveryMs > 0;
  return { loseLearnerEveryMs: hasLearners && random.chance(0.4) ? random.between(300, 2_000) : 0 };
}

/** This is drawn apart as well. The former code cannot undo such a command. */
export function throwingOf(random: Random, mix: FaultMix): Pick<FaultMix, 'throwing'> {
  const hasNet = mix.deployEveryMs === 0 && mix.startsFormer === 0;
  return { throwing: hasNet && random.chance(0.3) ? random.pick([0.02, 0.2]) : 0 };
}

/** Drawn apart as well. It is an administrator's, and of runs with access control. */
export function alarmsOf(random: Random, mix: FaultMix): Pick<FaultMix, 'alarms'> {
  return { alarms: mix.auth > 0 && random.chance(0.5) ? random.pick([0.02, 0.1]) : 0 };
}

/** Drawn apart as well. What is open ends at a suspension, so there are no watches and sessions then. */
export function tenancyOf(random: Random, mix: FaultMix): Pick<FaultMix, 'bounds' | 'suspensions'> {
  const bounds = mix.auth > 0 && random.chance(0.6) ? random.pick([0.05, 0.2]) : 0;
  const maySuspend = mix.auth > 0 && mix.watchers === 0 && mix.sessions === 0;
  return { bounds, suspensions: maySuspend && random.chance(0.7) ? random.pick([0.02, 0.1]) : 0 };
}

/** Drawn apart as well. Replicas also flush at their bounds, soon after the last write, and at barriers. */
export function flushesOf(random: Random): Pick<FaultMix, 'flush'> {
  return { flush: random.pick([0, 0.02, 0.2, 0.6]) };
}

/** Drawn apart as well. Former code knows no such beginning. A bug is looked for in a group that begins empty. */
export function foundingOf(
  random: Random,
  { startsFormer }: Pick<FaultMix, 'startsFormer'>,
  bug: string | null,
): Pick<FaultMix, 'isFounded'> {
  return { isFounded: bug === null && startsFormer === 0 && random.chance(0.5) ? 1 : 0 };
}

/** Drawn apart from everything else. A bug that is not of sessions is looked for without them. */
export function sessionsOf(random: Random, bug: string | null): Pick<FaultMix, 'sessions' | 'sessionWindowBytes'> {
  if (bug !== null || !random.chance(0.35)) return { sessions: 0, sessionWindowBytes: 0 };
  return { sessions: 1, sessionWindowBytes: random.pick([0, 600, 3_000]) };
}

/** This is drawn apart as well. The model cannot say whether a transaction with a command that throws comes so far. */
export function workOf(random: Random, { throwing = 0 }: Partial<FaultMix>): Pick<FaultMix, 'commandRowsMax'> {
  const isSmall = throwing === 0 && random.chance(0.6);
  return { commandRowsMax: isSmall ? random.pick([12, 30, 70]) : commandRowsMax };
}

/**
 * Drawn apart as well. Former code remembers more writes, and below the level at which groups count a write that is
 * forgotten may be done twice.
 */
export function rememberedOf(random: Random, mix: FaultMix): Pick<FaultMix, 'rememberedWrites'> {
  const isOff = mix.deployEveryMs + mix.startsFormer + mix.longLeases > 0 || !random.chance(0.3);
  return { rememberedWrites: isOff ? rememberedWritesMax : random.pick([20, 60, 200]) };
}

export function faultMixOf(random: Random): FaultMix {
  const on = (probability: number, value: () => number): number => (random.chance(probability) ? value() : 0);
  const sizes = [1, 3, 3, 3, 3, 3, 3, 5, 5, 5] as const;
  const workload = random.pick(['mixed', 'mixed', 'mixed', 'kubernetes', 'kubernetes', 'batch'] as const);
  const mix: FaultMix = {
    workload,
    isFounded: 0,
    replicas: random.pick(sizes),
    faultyMs: random.between(5_000, 16_000),
    clients: random.integer(2, 6),
    delayMs: random.pick([0.2, 1, 10, 60]),
    jitterMs: on(0.8, () => random.pick([0.5, 5, 40])),
    drop: on(0.5, () => random.pick([0.01, 0.05, 0.2])),
    duplicate: on(0.5, () => random.pick([0.01, 0.1])),
    late: on(0.4, () => random.pick([0.005, 0.03])),
    partitionEveryMs: on(0.6, () => random.between(1_500, 8_000)),
    oneWay: random.pick([0, 0.3, 1]),
    slowLinkEveryMs: on(0.3, () => random.between(2_000, 8_000)),
    syncMs: random.pick([0.1, 2, 20]),
    slowSync: on(0.4, () => random.pick([0.01, 0.05])),
    crashEveryMs: on(0.6, () => random.between(1_000, 8_000)),
    crashAtStep: on(0.5, () => random.pick([0.0005, 0.003, 0.01])),
    crashAfterSync: on(0.4, () => random.pick([0.002, 0.01, 0.05])),
    rivalsEveryMs: on(0.4, () => random.between(1_000, 5_000)),
    crashAllEveryMs: on(0.2, () => random.between(5_000, 15_000)),
    pauseEveryMs: on(0.4, () => random.between(1_500, 6_000)),
    evict: on(0.7, () => random.pick([0.3, 1])),
    clockSkew: on(0.5, () => random.pick([0.05, 0.4])),
    clockJumpEveryMs: on(0.2, () => random.between(2_000, 6_000)),
    clockDifferenceMs: on(0.3, () => random.pick([20, 300, 1_000])),
    memberChangeEveryMs: on(0.5, () => random.between(1_000, 5_000)),
    ...noDeployments,
    formerCode: 'level 1',
    loseStorageEveryMs: on(0.2, () => random.between(4_000, 12_000)),
    loseLearnerEveryMs: 0,
    alterEveryMs: 0,
    throwing: 0,
    alarms: 0,
    bounds: 0,
    suspensions: 0,
    flush: 0,
    sessions: 0,
    sessionWindowBytes: 0,
    commandRowsMax,
    rememberedWrites: rememberedWritesMax,
    transferEveryMs: on(0.3, () => random.between(1_500, 5_000)),
    auth: workload === 'mixed' ? on(0.5, () => 1) : 0,
    longLeases: 0,
    thinkMs: random.pick([5, 30, 120]),
    quietEveryMs: on(0.5, () => random.between(3_000, 8_000)),
    requestLost: on(0.6, () => random.pick([0.01, 0.1])),
    requestDuplicated: on(0.5, () => random.pick([0.02, 0.1])),
    impatient: on(0.5, () => random.pick([0.1, 0.5])),
    watchers: on(0.8, () => random.integer(1, 4)),
    cutEveryMs: on(0.6, () => random.between(1_000, 6_000)),
    slowReader: on(0.3, () => random.pick([0.3, 1])),
  };
  if (!random.chance(0.2)) return mix;
  return {
    ...mix,
    longLeases: 1,
    replicas: 3,
    faultyMs: random.between(20_000, 40_000),
    quietEveryMs: random.between(2_000, 5_000),
    thinkMs: random.pick([30, 120]),
    // Crashes between two steps would keep the group from resting.
    crashAtStep: 0,
  };
}

/** After this time there are no faults: messages arrive, disks write, and clocks run alike. */
export function healed(mix: FaultMix): FaultMix {
  return {
    ...mix,
    drop: 0,
    duplicate: 0,
    late: 0,
    partitionEveryMs: 0,
    slowLinkEveryMs: 0,
    slowSync: 0,
    crashEveryMs: 0,
    crashAtStep: 0,
    crashAfterSync: 0,
    crashAllEveryMs: 0,
    rivalsEveryMs: 0,
    pauseEveryMs: 0,
    clockSkew: 0,
    clockJumpEveryMs: 0,
    memberChangeEveryMs: 0,
    loseStorageEveryMs: 0,
    loseLearnerEveryMs: 0,
    alterEveryMs: 0,
    throwing: 0,
    alarms: 0,
    bounds: 0,
    suspensions: 0,
    ...noDeployments,
    transferEveryMs: 0,
    quietEveryMs: 0,
    requestLost: 0,
    requestDuplicated: 0,
    impatient: 0,
    cutEveryMs: 0,
    slowReader: 0,
  };
}

/** Whether replicas restart that were not at rest. */
export function restartsIn(mix: FaultMix): boolean {
  const crashes = mix.crashEveryMs + mix.crashAllEveryMs + mix.crashAtStep + mix.crashAfterSync + mix.rivalsEveryMs;
  return crashes + mix.deployEveryMs + mix.throwing + mix.longLeases > 0;
}

export function mixInWords(mix: FaultMix): string {
  return Object.entries(mix)
    .filter(([, value]) => value !== 0)
    .map(([name, value]) => `${name}=${typeof value === 'number' ? Number(value.toPrecision(4)) : value}`)
    .join(' ');
}
