// The replicas of a run, by their ids. Their number is not constant: replicas may join, and leave for good.

import type { ReplicaId } from '../../../src/model/brands.ts';
import type { Random } from '../../support/random.ts';
import type { SimulatedReplica } from './replica.ts';

export class SimulatedGroup {
  readonly #replicas = new Map<ReplicaId, SimulatedReplica>();
  #all: readonly SimulatedReplica[] = [];

  /** The replicas in the order of their ids. */
  get all(): readonly SimulatedReplica[] {
    return this.#all;
  }

  get ids(): readonly ReplicaId[] {
    return this.#all.map(({ id }) => id);
  }

  find(id: ReplicaId): SimulatedReplica | null {
    return this.#replicas.get(id) ?? null;
  }

  join(replica: SimulatedReplica): void {
    this.#replicas.set(replica.id, replica);
    this.#all = [...this.#replicas.values()].sort((left, right) => left.id - right.id);
  }

  /** The replica leaves for good: it was removed, or its storage is lost. */
  leave(id: ReplicaId): void {
    this.#replicas.delete(id);
    this.#all = this.#all.filter((replica) => replica.id !== id);
  }

  pick(random: Random): SimulatedReplica {
    return random.pick(this.#all);
  }

  /** A replica other than this one, if there is one. */
  pickOther(random: Random, id: ReplicaId | null): SimulatedReplica {
    const others = this.#all.filter((replica) => replica.id !== id);
    return random.pick(others.length > 0 ? others : this.#all);
  }
}
