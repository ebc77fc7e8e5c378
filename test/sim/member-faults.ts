// Members that join, leave, move and lose their storage during a run. The leader is told what an operator would tell
// it, and the group does the rest by itself.

import { decodeConfiguration, withLearner, without } from '../../src/raft/configuration.ts';
import type { Configuration } from '../../src/raft/configuration.ts';
import type { ReplicaId } from '../../src/model/brands.ts';
import type { Joining } from '../../src/replica/absent-peers.ts';
import { votersOnDisk } from './platform/durable-log.ts';
import type { SimulatedGroup } from './platform/group.ts';
import type { Network } from './platform/network.ts';
import type { RaftChecker } from './checkers/raft-checker.ts';
import type { Random } from '../support/random.ts';
import type { SimulatedReplica } from './platform/replica.ts';
import type { StateChecker } from './checkers/state-checker.ts';
import type { Trace } from './trace.ts';

export type MemberFaultsOptions = {
  readonly group: SimulatedGroup;
  readonly random: Random;
  readonly raft: RaftChecker;
  readonly trace: Trace;
  readonly network: Network;
  readonly state: StateChecker;
  /** Replicas restart in this run, for whatever reason. */
  readonly restarts: boolean;
  /** Makes a replica with an empty disk, which knows of the group what it is given. */
  readonly make: (id: ReplicaId, founding: Configuration) => SimulatedReplica;
};

const membersMax = 6;

export class MemberFaults {
  readonly #options: MemberFaultsOptions;
  /** Every id that was ever given. No id is given twice, except to a learner whose object was lost. */
  readonly #made: Set<ReplicaId>;
  readonly #founders: readonly ReplicaId[];

  constructor(options: MemberFaultsOptions) {
    this.#options = options;
    this.#founders = options.group.ids;
    this.#made = new Set(this.#founders);
  }

  /** The leader's call to the object of a learner. */
  provision({ number, configuration }: Joining): void {
    const { group, raft, trace, make } = this.#options;
    if (this.#made.has(number)) return;
    this.#made.add(number);
    trace.add('replica made', () => String(number));
    raft.joined(number);
    group.join(make(number, decodeConfiguration(configuration)));
  }

  left(id: ReplicaId): void {
    this.#options.trace.add('replica left', () => String(id));
    this.#options.group.leave(id);
  }

  change(): void {
    const { random, trace } = this.#options;
    const leader = this.#leader();
    if (leader === null) return;
    const configuration = leader.driver?.raft.configuration;
    if (configuration === undefined) return;
    const next = this.#next(configuration, leader.id);
    if (next === null) {
      for (const { id } of configuration.members) if (random.chance(0.5)) leader.transferLeadership(id);
      return;
    }
    if (leader.proposeConfiguration(configuration, next.configuration)) trace.add(next.what);
  }

  /** At most one replica is lost at a time, and only of a group that can bear it. */
  loseStorage(): void {
    const { group, random, raft, trace } = this.#options;
    if (this.#isMissing) return;
    const voters = raft.configuration?.voters ?? this.#founders;
    if (voters.length < 3 || !voters.every((id) => group.find(id) !== null)) return;
    // With a change under way, or about to be made by the leader, there might be no majority without this replica.
    if (raft.configuration?.members.some(({ plan }) => plan !== null) === true) return;
    if (!this.#agreeOn(voters)) return;
    const replica = group.find(random.pick(voters));
    if (replica === null) return;
    trace.add('storage lost', () => String(replica.id));
    replica.end();
    group.leave(replica.id);
  }

  /**
   * The object of a learner is lost with its disk. The leader notices that, makes the object again, and sends it
   * everything once more.
   */
  loseLearner(random: Random): void {
    const { group, raft, trace, network, state } = this.#options;
    const { members = [], voters = this.#founders } = raft.configuration ?? {};
    const learners = members.filter(({ id, voter }) => !voter && group.find(id) !== null);
    // The learner is no voter yet in anybody's log. Where a voter is missing, the learner may be the replica that the
    // group needs next.
    if (learners.length === 0 || this.#isMissing || !this.#agreeOn(voters)) return;
    const { id } = random.pick(learners);
    if (this.#mayBeNeeded(id, voters)) return;
    trace.add('learner lost', () => String(id));
    group.find(id)?.end();
    group.leave(id);
    network.lost(id);
    state.lost(id);
    this.#made.delete(id);
  }

  /**
   * A group of one voter survives the loss of a learner, also of one that its leader is about to promote: the leader
   * finds no object, and takes the promotion back. It does not survive that its only voter restarts meanwhile: it needs
   * two votes then, and the second voter is lost.
   */
  #mayBeNeeded(learner: ReplicaId, voters: readonly ReplicaId[]): boolean {
    if (voters.length > 1 || !this.#options.restarts) return false;
    const raft = this.#leader()?.driver?.raft;
    return raft !== undefined && (raft.matchOf(learner) ?? -1) >= raft.commit;
  }

  #agreeOn(voters: readonly ReplicaId[]): boolean {
    return this.#options.group.all.every(({ driver, sql }) => {
      const own = driver?.raft.configuration.voters ?? votersOnDisk(sql.reader);
      return own === null || own.join() === voters.join();
    });
  }

  /** The object of a voter is lost, and the group has not replaced it yet: one more loss could be one too many. */
  get #isMissing(): boolean {
    const { group, raft } = this.#options;
    return (raft.configuration?.voters ?? this.#founders).some((id) => group.find(id) === null);
  }

  #next(
    configuration: Configuration,
    leader: ReplicaId,
  ): { readonly what: string; readonly configuration: Configuration } | null {
    const { random } = this.#options;
    const { members, voters } = configuration;
    if (members.length < membersMax && random.chance(voters.length < 3 ? 0.9 : 0.5)) {
      const replaces = random.chance(0.5) ? random.pick(voters) : null;
      const plan = { replaces: members.some((other) => other.plan?.replaces === replaces) ? null : replaces };
      const what = plan.replaces === null ? 'replica added' : 'replica moved';
      return { what, configuration: withLearner(configuration, { location: 'weur', plan }) };
    }
    const removed = random.pick(members);
    // A majority that needs the lost replica would be stuck for good.
    if (removed.id === leader || (removed.voter && (voters.length < 3 || this.#isMissing))) return null;
    return { what: 'replica removed', configuration: without(configuration, removed.id) };
  }

  #leader(): SimulatedReplica | null {
    return this.#options.group.all.find(({ driver }) => driver?.raft.role === 'leader') ?? null;
  }
}
