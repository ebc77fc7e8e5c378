// What a leader knows about one follower, and how much it may send to it. Probing: the leader does not know where the
// logs part, and sends one append at a time. Replicating: it knows, and appends follow each other without waiting for
// answers, up to a window. Invariant: 0 <= match < next.

import { logIndex, type LogIndex, type ReplicaId } from '../model/brands.ts';
import { appendsInFlightMax } from '../limits.ts';

export type Rejection = { readonly rejectedIndex: LogIndex; readonly fit: LogIndex; readonly round: number };

export class Progress {
  readonly id: ReplicaId;
  /** The highest entry that is known to be the same on both sides. */
  match: LogIndex = logIndex(0);
  /** The next entry to send. While replicating it runs ahead of the answers. */
  next: LogIndex;
  /** The leader's tick at which this follower last answered. */
  activeTick: number;
  /** The newest confirmation round that the follower answered. */
  ackedRound = 0;
  /** The highest commit index that any message to the follower carried. */
  commitSent: LogIndex = logIndex(0);
  /** The highest commit index that the follower is known to have. */
  commitTold: LogIndex = logIndex(0);

  #replicating = false;
  /** True while probing: an append is under way. */
  #probeSent = false;
  /** The leader's round when `match` last rose. Every message of a later round left after that was known. */
  #matchRound = 0;
  /** The last indexes of the appends under way, the oldest first. */
  readonly #inFlight: LogIndex[] = [];
  /** The first heartbeat that carried the newest commit index sent by heartbeat. */
  #heartbeatCommit: LogIndex = logIndex(0);
  #heartbeatRound = 0;

  constructor(id: ReplicaId, next: LogIndex, tick: number) {
    this.id = id;
    this.next = next;
    this.activeTick = tick;
  }

  get replicating(): boolean {
    return this.#replicating;
  }

  /** Whether an append with entries may leave now. */
  get maySend(): boolean {
    return this.#replicating ? this.#inFlight.length < appendsInFlightMax : !this.#probeSent;
  }

  /** An append up to `last` left; `last` is next - 1 if it carried no entries. */
  sent(last: LogIndex): void {
    if (!this.#replicating) {
      this.#probeSent = true;
    } else if (last >= this.next) {
      this.#inFlight.push(last);
      this.next = logIndex(last + 1);
    }
  }

  /**
   * The follower has the leader's log up to `match`, whatever question it answered, and may be sent the entries after
   * it. `round` is the leader's newest round when the answer comes.
   */
  accepted(match: LogIndex, round: number): void {
    if (match > this.match) {
      this.match = match;
      this.#matchRound = round;
    }
    if (!this.#replicating) {
      this.#replicating = true;
      this.#probeSent = false;
      this.next = logIndex(this.match + 1);
      return;
    }
    if (this.next <= this.match) this.next = logIndex(this.match + 1);
    let answered = 0;
    for (const last of this.#inFlight) {
      if (last > this.match) break;
      answered += 1;
    }
    if (answered > 0) this.#inFlight.splice(0, answered);
  }

  /**
   * A message of `round`, which assumed that the follower has the entry at `rejectedIndex`, did not fit. `fit` is where
   * the leader's log could agree. False: the answer is old news: a late one, or one of several appends that were under
   * way when the first was rejected.
   */
  rejected({ rejectedIndex, fit, round }: Rejection): boolean {
    if (rejectedIndex <= this.match) {
      if (round <= this.#matchRound) return false;
      this.forget();
      this.next = logIndex(fit + 1);
      return true;
    }
    if (this.#replicating) {
      this.#replicating = false;
      this.#inFlight.length = 0;
      this.next = logIndex(this.match + 1);
    } else {
      if (rejectedIndex !== this.next - 1) return false;
      this.next = logIndex(Math.max(this.match + 1, Math.min(rejectedIndex, fit + 1)));
    }
    this.#probeSent = false;
    return true;
  }

  /**
   * The follower lost its disk: a message that left when `match` was known found the entry missing, or there was no
   * object. Nothing that it answered before counts any more.
   */
  forget(): void {
    this.match = logIndex(0);
    this.commitSent = logIndex(0);
    this.commitTold = logIndex(0);
    this.#replicating = false;
    this.#probeSent = false;
    this.#inFlight.length = 0;
    this.#heartbeatCommit = logIndex(0);
    this.#heartbeatRound = 0;
  }

  /** The follower answers heartbeats, so a probe that it did not answer was lost. */
  resumeProbe(): void {
    this.#probeSent = false;
  }

  /** `round` is newer than that of any message before it. */
  heartbeatSent(commit: LogIndex, round: number): void {
    if (commit > this.commitSent) this.commitSent = commit;
    if (commit > this.#heartbeatCommit) {
      this.#heartbeatCommit = commit;
      this.#heartbeatRound = round;
    }
  }

  /**
   * An answer of `round` that is no rejection. It answers that heartbeat, or a later message, and every later message
   * carries at least that commit index.
   */
  answered(round: number): void {
    if (round >= this.#heartbeatRound && this.#heartbeatCommit > this.commitTold)
      this.commitTold = this.#heartbeatCommit;
  }
}
