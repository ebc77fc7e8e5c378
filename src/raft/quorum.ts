// The meaning of "a majority" of the voters. Every question about a quorum is answered here.

import type { ReplicaId } from '../model/brands.ts';

export type Electorate = { readonly voters: readonly ReplicaId[] };

export function isVoter({ voters }: Electorate, id: ReplicaId): boolean {
  return voters.includes(id);
}

/**
 * The largest value that a majority has reached, where `valueOf` returns how far each voter is. Of match indexes, this
 * is what is committed (§3.5). It runs for every reply, so it allocates nothing: groups are small.
 */
export function quorumValue(electorate: Electorate, valueOf: (id: ReplicaId) => number): number {
  const { voters } = electorate;
  const needed = quorumSize(electorate);
  let best = -1;
  for (const voter of voters) {
    const value = valueOf(voter);
    if (value <= best) continue;
    let reached = 0;
    for (const other of voters) if (valueOf(other) >= value) reached += 1;
    if (reached >= needed) best = value;
  }
  return best;
}

export type Tally = 'won' | 'lost' | 'open';

/** The decision by the votes so far: true for granted, false for refused, absent for not heard. */
export function tally(electorate: Electorate, votes: ReadonlyMap<ReplicaId, boolean>): Tally {
  let granted = 0;
  let refused = 0;
  for (const voter of electorate.voters) {
    const vote = votes.get(voter);
    if (vote === true) granted += 1;
    else if (vote === false) refused += 1;
  }
  const needed = quorumSize(electorate);
  if (granted >= needed) return 'won';
  return electorate.voters.length - refused < needed ? 'lost' : 'open';
}

export function quorumSize(electorate: Electorate): number {
  return Math.floor(electorate.voters.length / 2) + 1;
}
