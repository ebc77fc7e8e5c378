// Whether a leader that a caller suspects is gone. A follower is asked this about a leader that left a call without an
// answer, and stands for election by the verdict, so a leader that is merely busy or far away must not be taken for
// gone.

import type { LogIndex, ReplicaId } from '../model/brands.ts';
import {
  electionTimeoutTicks,
  leaderDoubtfulMs,
  leaderDoubtPauseMs,
  leaderDoubtTurnMs,
  leaderProbeFactor,
  leaderProbeMs,
  leaderSilentMs,
  tickMs,
} from '../limits.ts';
import type { ReadResult } from '../driver/pending-reads.ts';
import { wait, within } from '../base/timers.ts';

export type LeaderDoubtOptions = {
  readonly raft: () => { readonly leader: ReplicaId | null; readonly commit: LogIndex; readonly resting: boolean };
  readonly read: () => Promise<ReadResult>;
  readonly nowMs: () => number;
};

export class LeaderDoubt {
  readonly #options: LeaderDoubtOptions;
  /** All calls that suspect the same leader at one time share one look at it. */
  #look: { readonly leader: ReplicaId; readonly isGone: Promise<boolean> } | null = null;
  #heardMs = 0;
  /**
   * A new leader is given a while, and so is one that kept its place: a busy group must not go from one leader to the
   * next.
   */
  #trusted: { readonly leader: ReplicaId; readonly untilMs: number } | null = null;
  /** The time that the last confirmation took: how far the leader and its quorum are. */
  #confirmedInMs = 0;

  constructor(options: LeaderDoubtOptions) {
    this.#options = options;
  }

  /**
   * Called when the leader calls. Its answers to this replica's own calls do not count, because they would hide that it
   * can call nobody.
   */
  heard(leader: ReplicaId): void {
    this.#heardMs = this.#options.nowMs();
    if (this.#trusted?.leader !== leader) this.#trust(leader);
  }

  #trust(leader: ReplicaId): void {
    this.#trusted = { leader, untilMs: this.#options.nowMs() + leaderDoubtPauseMs };
  }

  /** True: nothing speaks for the leader, so stand for election. `leader` is known to lead here. */
  async isGone(leader: ReplicaId): Promise<boolean> {
    if (this.#look?.leader !== leader) {
      const look = { leader, isGone: this.#lookAt(leader) };
      this.#look = look;
      const forget = (): void => {
        if (this.#look === look) this.#look = null;
      };
      look.isGone.then(forget, forget);
    }
    return await this.#look.isGone;
  }

  async #lookAt(leader: ReplicaId): Promise<boolean> {
    const { raft } = this.#options;
    // In a group that rests silence means nothing.
    if (!raft().resting && this.#silentMs >= leaderDoubtfulMs) {
      await wait(Math.max(leaderSilentMs - this.#silentMs, leaderDoubtTurnMs));
      if (raft().leader !== leader) return false;
      if (this.#silentMs >= leaderSilentMs) return true;
    }
    const { nowMs } = this.#options;
    if (this.#trusted?.leader === leader && nowMs() < this.#trusted.untilMs) return false;
    const isGone = await this.#confirmsNothing(leader);
    // If the old leader answers, it was re-elected or never lost the election, so it still leads.
    if (isGone) this.#trust(leader);
    return isGone;
  }

  /** The leader is heard, or its group rests, so it is asked. */
  async #confirmsNothing(leader: ReplicaId): Promise<boolean> {
    const { raft, read, nowMs } = this.#options;
    const askedMs = nowMs();
    const { commit } = raft();
    const answer = read().then(({ kind }) => {
      if (kind === 'ready') this.#confirmedInMs = nowMs() - askedMs;
      return kind;
    });
    const answered = await within(answer, this.#patienceMs);
    if (raft().leader !== leader) return false;
    // If the leader refuses, it does not lead. If it does not answer but goes on committing, it is busy, and not gone.
    return answered === null ? raft().commit === commit : answered === 'refused';
  }

  get #silentMs(): number {
    return this.#options.nowMs() - this.#heardMs;
  }

  get #patienceMs(): number {
    return Math.min(Math.max(leaderProbeMs, leaderProbeFactor * this.#confirmedInMs), electionTimeoutTicks * tickMs);
  }
}
