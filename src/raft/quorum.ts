// Who is in the group, and what "a majority" of it means. Every question about a quorum is answered here from one
// Configuration value, so that joint and learner configurations change this file and not its callers.

import type { ReplicaId } from '../brands.ts';

export type Configuration = { readonly voters: readonly ReplicaId[] };

export function isVoter(configuration: Configuration, id: ReplicaId): boolean {
  return configuration.voters.includes(id);
}

/**
 * The largest value that a majority has reached, where `valueOf` says how far each voter is: of match indexes, what is
 * committed (§3.5). Runs for every reply, so it allocates nothing: groups are small.
 */
export function quorumValue(configuration: Configuration, valueOf: (id: ReplicaId) => number): number {
  const { voters } = configuration;
  const needed = quorumSize(configuration);
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

/** What the votes so far decide: true for granted, false for refused, absent for not heard. */
export function tally(configuration: Configuration, votes: ReadonlyMap<ReplicaId, boolean>): Tally {
  let granted = 0;
  let refused = 0;
  for (const voter of configuration.voters) {
    const vote = votes.get(voter);
    if (vote === true) granted += 1;
    else if (vote === false) refused += 1;
  }
  const needed = quorumSize(configuration);
  if (granted >= needed) return 'won';
  return configuration.voters.length - refused < needed ? 'lost' : 'open';
}

function quorumSize(configuration: Configuration): number {
  return Math.floor(configuration.voters.length / 2) + 1;
}
