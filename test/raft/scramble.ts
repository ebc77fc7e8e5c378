// One random run of a group at the level of messages: loss, repetition, reordering, partitions, and crashes between any
// two steps of a turn. Then everything heals, and the group must make progress. A seed decides everything.

import { assert } from '../../src/base/assert.ts';
import { replicaId } from '../../src/model/brands.ts';
import { utf8 } from '../../src/base/bytes.ts';
import { Random, seededRandom } from '../support/random.ts';
import type { Message, Role } from '../../src/raft/types.ts';
import { Checkers } from './checkers.ts';
import { Host, steps, type HostOptions } from './host.ts';

/**
 * The weights of what may happen next. Each seed turns some off, because a run in which everything fails hides what
 * shows when most things work.
 */
type Weights = Readonly<Record<Action, number>>;
const usualWeights = {
  deliver: 60,
  deliverLate: 10,
  drop: 3,
  repeat: 3,
  tick: 30,
  propose: 8,
  read: 6,
  campaign: 1,
  transfer: 1,
  tellCommit: 1,
  rest: 2,
  crash: 1,
  crashAtStep: 1,
  cut: 1,
  heal: 2,
};
type Action = keyof typeof usualWeights;
/** In these runs votes are split and voters crash more often than usual. */
const weightsForBugs = { campaign: 12, crash: 4, cut: 3, deliverLate: 30 };
const faults: readonly Action[] = [
  'deliverLate',
  'drop',
  'repeat',
  'campaign',
  'transfer',
  'rest',
  'crash',
  'crashAtStep',
  'cut',
];

const electionTimeoutTicks = 6;

/** A bug in the host, planted to show that the checkers find it. */
export type PlantedBug = 'forgetsVotes' | 'forgetsEntries';

export type ScrambleOptions = { readonly seed: number; readonly stepsMax: number; readonly bug?: PlantedBug };
export type Counts = { commits: number; leaders: number; reads: number; crashes: number };

export function scramble(options: ScrambleOptions): Counts {
  const run = new Scramble(options);
  for (let step = 0; step < options.stepsMax; step++) run.step();
  run.healAndSettle();
  return run.counts;
}

class Scramble {
  readonly counts: Counts = { commits: 0, leaders: 0, reads: 0, crashes: 0 };
  readonly #random: Random;
  readonly #checkers = new Checkers();
  readonly #hosts: Host[];
  readonly #weights: Weights;
  readonly #bug: PlantedBug | undefined;
  #network: Message[] = [];
  /** The side of the partition on which each replica is. */
  #sides: readonly number[] = [];
  #proposals = 0;
  #contexts = 0;

  constructor({ seed, bug }: ScrambleOptions) {
    this.#random = new Random(seed);
    this.#bug = bug;
    const size = this.#random.pick([1, 3, 3, 3, 5]);
    const voters = Array.from({ length: size }, (_, place) => replicaId(place + 1));
    const weights: Record<Action, number> = { ...usualWeights };
    for (const fault of faults) if (this.#random.next() < 0.3) weights[fault] = 0;
    if (bug !== undefined) Object.assign(weights, weightsForBugs);
    this.#weights = weights;
    this.#hosts = voters.map((id) => {
      const hostOptions: HostOptions = {
        id,
        voters,
        random: seededRandom(this.#random.next() * 2 ** 32),
        electionTimeoutTicks,
        heartbeatTicks: 2,
        appendEntriesMax: 3,
        send: (message) => void this.#network.push(message),
        onEffects: (host, effects) => {
          this.counts.commits += effects.committed.length;
          this.counts.reads += effects.reads.length;
          this.#checkers.wrote(host, effects);
        },
      };
      return new Host(hostOptions);
    });
  }

  step(): void {
    const host = this.#random.pick(this.#hosts);
    switch (this.#choose()) {
      case 'deliver':
        return this.#deliver(0);
      case 'deliverLate':
        return this.#deliver(this.#random.below(this.#network.length));
      case 'drop':
        this.#network.splice(this.#random.below(this.#network.length), 1);
        return;
      case 'repeat':
        if (this.#network.length > 0) this.#network.push(this.#random.pick(this.#network));
        return;
      case 'tick':
        return this.#input(host, () => host.raft.tick());
      case 'propose':
        return this.#input(host, () => this.#propose(host));
      case 'read':
        return this.#input(host, () => this.#read(host));
      case 'campaign':
        return this.#input(host, () => host.raft.campaign());
      case 'transfer':
        return this.#input(host, () => host.raft.transferLeadership(this.#random.pick(this.#hosts).id));
      case 'tellCommit':
        return this.#input(host, () => host.raft.tellCommit());
      case 'rest':
        return this.#input(host, () => host.raft.mayRest && host.raft.rest());
      case 'crash':
        return this.#crash(host);
      case 'crashAtStep':
        // True: what happens next stops half-way.
        host.raft.tick();
        this.#propose(host);
        host.turn(this.#random.pick(steps));
        return this.#crash(host);
      case 'cut':
        this.#sides = this.#hosts.map(() => this.#random.below(2));
        return;
      case 'heal':
        this.#sides = [];
        return;
    }
  }

  /**
   * Ends all faults. A leader must be elected, a proposal must be committed everywhere, no read may stay open, and all
   * replicas may rest.
   */
  healAndSettle(): void {
    this.#sides = [];
    const leaderOfAll = (): Host | undefined => {
      const leader = this.#hosts.find(({ raft }) => raft.role === 'leader');
      const isKnown = this.#hosts.every(({ raft }) => raft.leader === leader?.id && !raft.resting);
      return isKnown ? leader : undefined;
    };
    // A vote that was on its way when the faults ended may still change the leader. After that nothing changes it.
    for (let round = 0; round < 5 * electionTimeoutTicks; round++) this.#round();
    this.#runUntil('a leader is known to all', () => leaderOfAll() !== undefined);
    const leader = leaderOfAll();
    assert(leader !== undefined, 'nobody leads');
    const { term } = leader.raft;
    this.#input(leader, () => this.#propose(leader));
    for (const host of this.#hosts) this.#input(host, () => this.#read(host));
    const { lastIndex } = leader.raft;
    this.#runUntil('a proposal is applied everywhere', () =>
      this.#hosts.every(({ disk }) => disk.applied >= lastIndex),
    );
    this.#runUntil('no read stays open', () => this.#checkers.readsOpen === 0);
    this.#runUntil('the leader may rest', () => leader.raft.mayRest);
    this.#input(leader, () => leader.raft.rest());
    this.#deliverAll();
    const isResting = this.#hosts.every(({ raft }) => raft.resting && raft.term === term);
    assert(isResting, 'somebody does not rest, or the leader changed without a reason');
    this.#winAtOnce(leader);
  }

  /** The leader of a resting group is gone. The replica that is asked leads without a tick of the clock. */
  #winAtOnce(gone: Host): void {
    const next = this.#hosts.find((host) => host !== gone);
    if (next === undefined) return;
    this.#sides = this.#hosts.map((host) => (host === gone ? 0 : 1));
    this.#input(next, () => next.raft.campaign());
    this.#deliverAll();
    assert(next.raft.role === 'leader', 'an urgent campaign does not win at once');
  }

  #runUntil(what: string, holds: () => boolean): void {
    for (let round = 0; round < 200 && !holds(); round++) this.#round();
    assert(holds(), `after healing: ${what}`);
  }

  #round(): void {
    for (const host of this.#hosts)
      this.#input(host, () => (host.raft.resting ? host.raft.campaign() : host.raft.tick()));
    this.#deliverAll();
  }

  #deliverAll(): void {
    for (let count = 0; this.#network.length > 0; count++) {
      assert(count < 20_000, 'messages do not end');
      this.#deliver(0);
    }
  }

  #deliver(place: number): void {
    const message = this.#network[place];
    if (message === undefined) return;
    this.#network.splice(place, 1);
    if (this.#sides[message.from - 1] !== this.#sides[message.to - 1]) return;
    const host = this.#hosts[message.to - 1];
    assert(host !== undefined, 'a message to nobody');
    this.#input(host, () => host.raft.receive(message));
  }

  #input(host: Host, action: () => unknown): void {
    const before: Role = host.raft.role;
    action();
    host.turn();
    const after: Role = host.raft.role;
    if (before !== 'leader' && after === 'leader') this.counts.leaders += 1;
    this.#checkers.looked(host);
  }

  #propose(host: Host): void {
    for (let count = this.#random.next() * 3; count > 0; count--) host.raft.propose(utf8(`p${++this.#proposals}`));
  }

  #read(host: Host): void {
    const context = ++this.#contexts;
    this.#checkers.asked(host, context);
    host.raft.requestRead(context);
  }

  #crash(host: Host): void {
    this.counts.crashes += 1;
    this.#checkers.crashed(host);
    if (this.#bug === 'forgetsVotes') host.disk.hardState = { ...host.disk.hardState, votedFor: null };
    if (this.#bug === 'forgetsEntries') this.#forgetEntries(host);
    host.restart();
  }

  #forgetEntries({ disk }: Host): void {
    disk.log.splice(Math.max(disk.applied, disk.hardState.commit));
  }

  #choose(): Action {
    const weights = Object.entries(this.#weights) as [Action, number][];
    return this.#random.weighted(weights.map(([action, weight]) => [weight, action] as const));
  }
}
