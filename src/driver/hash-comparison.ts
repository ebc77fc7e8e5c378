// Finds replicas that have diverged. Each tells the running hash over what it applied, and the leader compares it with
// its own after the same entry. What a majority of the voters holds is right. As long as no majority is known to agree,
// nobody is judged.

import type { LogIndex, ReplicaId } from '../model/brands.ts';
import { hashesRemembered } from '../limits.ts';
import { quorumSize } from '../raft/quorum.ts';
import type { AppliedHash } from './peer-report.ts';

export type Verdict =
  | { readonly kind: 'peerDiverged'; readonly peer: ReplicaId; readonly at: AppliedHash }
  | { readonly kind: 'selfDiverged' };

export class HashComparison {
  /** This replica's own hashes by index, the oldest first. A hash covers all entries before its own, too. */
  readonly #own = new Map<LogIndex, number>();
  readonly #agrees = new Map<ReplicaId, LogIndex>();
  readonly #differs = new Map<ReplicaId, AppliedHash>();

  /** This replica applied an entry. */
  applied({ index, hash }: AppliedHash): void {
    if (this.#own.has(index)) return;
    this.#own.set(index, hash);
    if (this.#own.size <= hashesRemembered) return;
    for (const oldest of this.#own.keys()) {
      this.#own.delete(oldest);
      return;
    }
  }

  /**
   * Whether this replica held that hash after that entry. If not, it was a former instance of it that told the hash.
   */
  held({ index, hash }: AppliedHash): boolean {
    return this.#own.get(index) === hash;
  }

  /** Another replica told its hash. */
  heard(peer: ReplicaId, told: AppliedHash): void {
    const own = this.#own.get(told.index);
    if (own === undefined) return;
    if (own === told.hash) {
      this.#agrees.set(peer, told.index);
      this.#differs.delete(peer);
    } else {
      this.#differs.set(peer, told);
    }
  }

  /** The peer holds another store now. */
  forget(peer: ReplicaId): void {
    this.#agrees.delete(peer);
    this.#differs.delete(peer);
  }

  verdicts(self: ReplicaId, voters: readonly ReplicaId[]): readonly Verdict[] {
    if (this.#differs.size === 0) return [];
    const needed = quorumSize({ voters });
    const verdicts: Verdict[] = [];
    for (const [peer, at] of this.#differs) {
      const agreeing = voters.filter((voter) => voter === self || (this.#agrees.get(voter) ?? -1) >= at.index);
      if (agreeing.length >= needed) verdicts.push({ kind: 'peerDiverged', peer, at });
      const sharing = voters.filter((voter) => isSame(this.#differs.get(voter), at));
      if (sharing.length >= needed) return [{ kind: 'selfDiverged' }];
    }
    return verdicts;
  }
}

function isSame(left: AppliedHash | undefined, right: AppliedHash): boolean {
  return left?.index === right.index && left.hash === right.hash;
}
