// One round of pre-votes or votes, seen from the candidate.

import type { ReplicaId } from '../model/brands.ts';
import { tally, type Electorate, type Tally } from './quorum.ts';

export type BallotOptions = {
  /**
   * The campaign was asked for by a caller or by the leader itself: peers grant it although they do not miss the leader
   * yet.
   */
  readonly urgent: boolean;
  /** The leader of this term that the campaign is against. Null: none is known. */
  readonly doubted: ReplicaId | null;
};

export class Ballot {
  readonly urgent: boolean;
  readonly #doubted: ReplicaId | null;
  #doubtedIsHeard = false;
  readonly #electorate: Electorate;
  readonly #votes: Map<ReplicaId, boolean>;

  /** The candidate votes for itself. */
  constructor(electorate: Electorate, self: ReplicaId, { urgent, doubted }: BallotOptions) {
    this.urgent = urgent;
    this.#doubted = doubted;
    this.#electorate = electorate;
    this.#votes = new Map([[self, true]]);
  }

  get result(): Tally {
    return tally(this.#electorate, this.#votes);
  }

  get unheard(): ReplicaId[] {
    return this.#electorate.voters.filter((voter) => !this.#votes.has(voter));
  }

  /**
   * The leader of this term called. True: the campaign is over. A campaign against a known leader is not over before
   * that leader refuses it as well, because a leader that hangs goes on calling, and heartbeats may come more often
   * than an answer from far away.
   */
  isEndedBy(leader: ReplicaId): boolean {
    if (leader !== this.#doubted) return true;
    this.#doubtedIsHeard = true;
    return this.isRefuted;
  }

  /** The doubted leader can call and be called. */
  get isRefuted(): boolean {
    return this.#doubted !== null && this.#doubtedIsHeard && this.#votes.get(this.#doubted) === false;
  }

  record(from: ReplicaId, granted: boolean): void {
    this.#votes.set(from, granted);
  }
}
