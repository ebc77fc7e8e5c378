// Deployments of a run: an operator updates the replicas of a group one by one, now and then goes back, announces a
// downgrade and takes it back. It is told what an operator can see, and does what an operator may:
//
// - back from an update: while a replica has not been updated yet. The level cannot have risen.
// - back from a level that the former code does not know: after a downgrade was announced, the level has fallen, and
//   every replica has applied what the leader's log held then. What follows is of level 1.
// - careless runs go back also where all were updated: the former code halts at entries, and refuses stores, that it
//   does not know, and nothing else is harmed.

import { unreachable } from '../../src/base/assert.ts';
import type { LogIndex, ReplicaId } from '../../src/model/brands.ts';
import { groupLevelMax, groupLevelMin } from '../../src/model/levels.ts';
import type { DowngradeOperation } from '../../src/model/store.ts';
import type { Code, FormerCode } from './platform/code.ts';
import type { FaultMix } from './faults.ts';
import type { SimulatedGroup } from './platform/group.ts';
import type { RaftChecker } from './checkers/raft-checker.ts';
import type { Random } from '../support/random.ts';
import type { SimulatedReplica } from './platform/replica.ts';
import type { Schedule } from './platform/schedule.ts';
import type { Trace } from './trace.ts';

export type DeploymentsOptions = {
  readonly group: SimulatedGroup;
  readonly random: Random;
  readonly schedule: Schedule;
  readonly raft: RaftChecker;
  readonly trace: Trace;
  readonly mix: FaultMix;
};

/** downgraded: the former code may run. */
type Phase = 'updating' | 'updated' | 'announcing' | 'downgraded' | 'withdrawing';

const askAgainMs = 200;

export class Deployments {
  readonly #options: DeploymentsOptions;
  readonly #formerCode: FormerCode;
  #phase: Phase = 'updating';
  /** The replicas that the present update has not reached yet. */
  #waiting: Set<ReplicaId>;
  #writes = 0;
  #isAnnounced = false;
  /** The last index of the leader's log at level 1. */
  #fallen: LogIndex | null = null;

  constructor(options: DeploymentsOptions) {
    this.#options = options;
    this.#formerCode = options.mix.formerCode;
    this.#waiting = new Set(options.group.all.filter(({ code }) => code !== 'present').map(({ id }) => id));
  }

  step(): void {
    switch (this.#phase) {
      case 'updating':
        return this.#update();
      case 'updated':
        return this.#leaveUpdated();
      case 'announcing':
        return this.#announce();
      case 'downgraded':
        return this.#leaveDowngraded();
      case 'withdrawing':
        return this.#withdraw();
      default:
        return unreachable(this.#phase);
    }
  }

  /** All faults are over: every replica gets the present code, and no downgrade stays announced. */
  finish(): void {
    for (const replica of this.#running('former')) this.#deploy(replica, 'present');
    this.#withdrawAtLast();
  }

  #update(): void {
    const { random, mix } = this.#options;
    this.#forgetGone();
    const updated = this.#running('present');
    if (this.#waiting.size > 0 && updated.length > 0 && random.chance(mix.rollBack)) {
      return this.#rollBack(random.pick(updated));
    }
    const former = this.#running('former');
    if (former.length > 0) this.#deploy(random.pick(former), 'present');
    if (former.length > 1) return;
    // The leader may hear that all know the next level while one of them does not any more.
    if (updated.length > 0 && random.chance(mix.carelessRollBack)) this.#rollBack(random.pick(updated));
    else this.#phase = 'updated';
  }

  #leaveUpdated(): void {
    const { group, random, mix } = this.#options;
    if (random.chance(mix.carelessRollBack)) {
      this.#rollBack(group.pick(random));
      this.#phase = 'updating';
    } else if (random.chance(mix.downgrade)) this.#phase = 'announcing';
  }

  #announce(): void {
    const { random, trace } = this.#options;
    if (!this.#isAnnounced) {
      if (this.#leader?.driver?.store.level !== groupLevelMax) return;
      return this.#ask({ kind: 'downgradeEnable', targetVersion: '3.6' }, () => {
        trace.add('downgrade announced');
        this.#isAnnounced = true;
      });
    }
    // Whatever the operator waits for, it may change its mind.
    if (random.chance(0.05)) this.#phase = 'withdrawing';
    else if (this.#mayRunFormer) {
      trace.add('downgraded');
      this.#phase = 'downgraded';
    }
  }

  #leaveDowngraded(): void {
    const { random } = this.#options;
    const [present, former] = [this.#running('present'), this.#running('former')];
    const choice = random.next();
    if (choice < 0.65 && present.length > 0) this.#deploy(random.pick(present), this.#formerCode);
    else if (choice < 0.8 && former.length > 0) this.#deploy(random.pick(former), 'present');
    else if (choice > 0.9) this.#phase = 'withdrawing';
  }

  #withdraw(): void {
    this.#ask({ kind: 'downgradeCancel' }, () => {
      if (this.#phase !== 'withdrawing') return;
      this.#withdrawn();
      this.#waiting = new Set(this.#running('former').map(({ id }) => id));
      this.#phase = 'updating';
    });
  }

  #withdrawAtLast(): void {
    if (!this.#isAnnounced && this.#phase !== 'announcing') return;
    this.#ask({ kind: 'downgradeCancel' }, () => {
      if (this.#isAnnounced) this.#withdrawn();
      this.#phase = 'updated';
    });
    this.#options.schedule.after(askAgainMs, () => this.#withdrawAtLast());
  }

  #withdrawn(): void {
    this.#options.trace.add('downgrade taken back');
    this.#isAnnounced = false;
    this.#fallen = null;
  }

  get #mayRunFormer(): boolean {
    const { group, raft } = this.#options;
    const leader = this.#leader;
    const driver = leader?.driver;
    if (driver == null || driver.store.level !== groupLevelMin || !driver.raft.isConfigurationCommitted) return false;
    this.#fallen ??= driver.raft.lastIndex;
    const fallen = this.#fallen;
    return driver.raft.configuration.members.every(({ id }) => group.find(id) !== null && raft.appliedOf(id) >= fallen);
  }

  #rollBack(replica: SimulatedReplica): void {
    this.#options.trace.add('rolled back', () => String(replica.id));
    this.#deploy(replica, this.#formerCode);
  }

  #deploy(replica: SimulatedReplica, code: Code): void {
    if (code === 'present') this.#waiting.delete(replica.id);
    replica.deploy(code, this.#options.random);
  }

  #running(which: 'present' | 'former'): readonly SimulatedReplica[] {
    return this.#options.group.all.filter(({ code }) => (code === 'present') === (which === 'present'));
  }

  #forgetGone(): void {
    for (const id of this.#waiting) if (this.#options.group.find(id) === null) this.#waiting.delete(id);
  }

  /** An answer may never come, so the operator asks again, under another id. */
  #ask(operation: DowngradeOperation, done: () => void): void {
    const request = { writeId: `operator-${this.#writes++}`, caller: { kind: 'service' }, operation } as const;
    this.#leader?.administer(request, (result) => {
      if (result.kind === 'applied') done();
    });
  }

  /** The leader, as far as an operator finds one. */
  get #leader(): SimulatedReplica | null {
    let found: SimulatedReplica | null = null;
    for (const replica of this.#options.group.all) {
      const raft = replica.driver?.raft;
      if (raft?.role === 'leader' && raft.term > (found?.driver?.raft.term ?? 0)) found = replica;
    }
    return found;
  }
}
