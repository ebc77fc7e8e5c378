// The term of a replica, its vote in that term, and the leader that it has seen in it. The host must have the term and
// the vote on disk before any message says them.
//
// Invariants: the term never falls; a replica votes for one candidate in a term; a term has one leader.

import { assert } from '../base/assert.ts';
import type { ReplicaId, Term } from '../model/brands.ts';
import type { HardState } from './types.ts';

type Vote = Pick<HardState, 'term' | 'votedFor'>;

export class TermAndVote {
  #term: Term;
  #votedFor: ReplicaId | null;
  /** Null: no leader of this term was seen. It may be another replica than the one that is followed now. */
  #leader: ReplicaId | null = null;
  /** The term and vote that the host was last told to persist. */
  #saved: Vote;

  constructor({ term, votedFor }: Vote) {
    this.#term = term;
    this.#votedFor = votedFor;
    this.#saved = { term, votedFor };
  }

  get term(): Term {
    return this.#term;
  }

  enter(term: Term, votedFor: ReplicaId | null): void {
    assert(term > this.#term, 'terms never fall');
    this.#term = term;
    this.#votedFor = votedFor;
    this.#leader = null;
  }

  /** A replica that has seen the leader of a term votes for no other candidate of that term. */
  mayVoteFor(candidate: ReplicaId): boolean {
    return this.#votedFor === candidate || (this.#votedFor === null && this.#leader === null);
  }

  voteFor(candidate: ReplicaId): void {
    assert(this.mayVoteFor(candidate), 'a replica votes once in a term');
    this.#votedFor = candidate;
  }

  /** That replica leads this term. */
  seeLeader(leader: ReplicaId): void {
    assert(this.#leader === null || this.#leader === leader, 'a term has one leader');
    this.#leader = leader;
  }

  get isUnsaved(): boolean {
    return this.#saved.term !== this.#term || this.#saved.votedFor !== this.#votedFor;
  }

  /** The term and the vote, once, if the host does not have them yet; else null. */
  takeUnsaved(): Vote | null {
    if (!this.isUnsaved) return null;
    this.#saved = { term: this.#term, votedFor: this.#votedFor };
    return this.#saved;
  }
}
