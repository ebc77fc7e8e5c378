// One round of pre-votes or votes, seen from the candidate.

import type { ReplicaId } from '../brands.ts';
import { tally, type Electorate, type Tally } from './quorum.ts';

export class Ballot {
  /** Asked for on demand or by the leader itself: peers do not wait until they miss the leader. */
  readonly urgent: boolean;
  readonly #electorate: Electorate;
  readonly #votes: Map<ReplicaId, boolean>;

  /** The candidate votes for itself. */
  constructor(electorate: Electorate, self: ReplicaId, how: { readonly urgent: boolean }) {
    this.urgent = how.urgent;
    this.#electorate = electorate;
    this.#votes = new Map([[self, true]]);
  }

  get result(): Tally {
    return tally(this.#electorate, this.#votes);
  }

  get unheard(): ReplicaId[] {
    return this.#electorate.voters.filter((voter) => !this.#votes.has(voter));
  }

  record(from: ReplicaId, granted: boolean): void {
    this.#votes.set(from, granted);
  }
}
