// What goes into the consensus core and what comes out. Types only: the core is a function of these.
// Section numbers are of Ongaro's dissertation, "Consensus: Bridging Theory and Practice".

import type { LogIndex, ReplicaId, Term } from '../model/brands.ts';
import type { Configuration } from './configuration.ts';

/**
 * `noop` opens a leader's term (§6.4). `command` is opaque to the core. `membership` holds the configuration of the
 * group from here on.
 */
export type EntryKind = 'noop' | 'command' | 'membership';
export type Entry = {
  readonly index: LogIndex;
  readonly term: Term;
  readonly kind: EntryKind;
  readonly data: Uint8Array;
};

/** What must be on disk before a replica answers anything that depends on it (§3.8). */
export type HardState = { readonly term: Term; readonly votedFor: ReplicaId | null; readonly commit: LogIndex };

type Envelope = { readonly from: ReplicaId; readonly to: ReplicaId; readonly term: Term };

/** `term` is the sender's, except in `preVote`, which carries the term that the candidate would open. */
export type Message = Envelope &
  (
    | {
        readonly kind: 'preVote';
        readonly lastLogIndex: LogIndex;
        readonly lastLogTerm: Term;
        readonly urgent: boolean;
      }
    | { readonly kind: 'preVoteReply'; readonly granted: boolean }
    | { readonly kind: 'vote'; readonly lastLogIndex: LogIndex; readonly lastLogTerm: Term; readonly urgent: boolean }
    | { readonly kind: 'voteReply'; readonly granted: boolean }
    | {
        readonly kind: 'append';
        readonly previousIndex: LogIndex;
        readonly previousTerm: Term;
        readonly entries: readonly Entry[];
        readonly commit: LogIndex;
        /** The leader's newest confirmation round (§6.4), which the reply echoes. */
        readonly round: number;
      }
    | { readonly kind: 'appendReply'; readonly round: number; readonly accepted: true; readonly matchIndex: LogIndex }
    | {
        readonly kind: 'appendReply';
        readonly round: number;
        readonly accepted: false;
        /** The previousIndex of the append, which did not fit. */
        readonly rejectedIndex: LogIndex;
        /**
         * Where the follower's log could fit: the highest index whose term is at most the append's previousTerm, and
         * that term.
         */
        readonly hintIndex: LogIndex;
        readonly hintTerm: Term;
      }
    | { readonly kind: 'heartbeat'; readonly commit: LogIndex; readonly round: number }
    | { readonly kind: 'heartbeatReply'; readonly round: number }
    /** Leadership transfer: campaign now (§3.10). */
    | { readonly kind: 'timeoutNow' }
    /** A follower asks for the index at which a linearizable read may be served (§6.4). */
    | { readonly kind: 'readIndex'; readonly context: number }
    | { readonly kind: 'readIndexReply'; readonly context: number; readonly index: LogIndex | null }
    /** The leader has nothing to do: stop the clock until the next input. */
    | { readonly kind: 'rest'; readonly commit: LogIndex }
    /**
     * The entries that the follower needs next were truncated from the leader's log, which begins after `base`: the
     * follower must take a snapshot (§5).
     */
    | { readonly kind: 'snapshot'; readonly base: LogIndex }
    /**
     * Sent to a replica that is no member any more; `members` are the members. It is true for good, because ids are
     * never given twice.
     */
    | { readonly kind: 'removed'; readonly members: readonly ReplicaId[] }
  );

export type Role = 'follower' | 'preCandidate' | 'candidate' | 'leader';

/**
 * What the host must do, in this order:
 *
 * 1. send `early`: a leader's appends and heartbeats, which may leave before the leader's own write;
 * 2. in one transaction: persist `hardState`, then `entries` (the log from entries[0].index on is replaced), then apply
 *    `committed` in order;
 * 3. send `messages`, behind that write: they promise what was just persisted;
 * 4. answer `reads` whose index is applied, refuse `refusedReads`;
 * 5. get a snapshot from `snapshotFrom`, which takes time: once it is in place, with the log on disk beginning where it
 *    ends, the core is made anew; leave the group if `removed` says that this replica is no member of it;
 * 6. call `persisted()`, and take effects again until they are empty.
 */
export type Effects = {
  readonly early: readonly Message[];
  readonly hardState: HardState | null;
  readonly entries: readonly Entry[];
  readonly committed: readonly Entry[];
  /**
   * True: more entries were committed. The host may take all other effects first, and do other work, before it takes
   * these.
   */
  readonly hasMoreCommitted: boolean;
  readonly messages: readonly Message[];
  readonly reads: readonly { readonly context: number; readonly index: LogIndex }[];
  readonly refusedReads: readonly number[];
  /** A leader that has truncated what this replica lacks. */
  readonly snapshotFrom: ReplicaId | null;
  /** The members, if this replica was told that it is none of them. */
  readonly removed: readonly ReplicaId[] | null;
};

/** A configuration as a log keeps it: the data of the entry at `index`, or what a snapshot up to there brought. */
export type StoredConfiguration = { readonly index: LogIndex; readonly data: Uint8Array };

/** The log on disk, read synchronously. The core asks it only for what it no longer holds in memory. */
export interface LogReader {
  /** The entry before the first one that is kept: 0, or where the log was truncated. */
  base(): { readonly index: LogIndex; readonly term: Term };
  lastIndex(): LogIndex;
  /**
   * The configurations of entries that are kept, and the newest one before them, in order. Empty: the founding one
   * holds.
   */
  configurations(): readonly StoredConfiguration[];
  /** The term of an index from base to last. */
  term(index: LogIndex): Term;
  /**
   * Entries from `first` on, in order, at least one, no more than `bytesMax` of data unless the first alone is larger.
   */
  entries(first: LogIndex, last: LogIndex, bytesMax: number): Entry[];
}

export type RaftOptions = {
  readonly id: ReplicaId;
  /** The group as it was made, which holds until the log says otherwise. */
  readonly founding: Configuration;
  readonly hardState: HardState;
  readonly log: LogReader;
  /** The applied index of the state machine: entries up to here are not handed out as committed again. */
  readonly applied: LogIndex;
  /** A seeded generator, uniform in [0, 1): the core's only randomness. */
  readonly random: () => number;
  /** A follower campaigns after this many ticks without a leader, and up to twice as many (§3.4). */
  readonly electionTimeoutTicks: number;
  readonly heartbeatTicks: number;
  /** The most entries of one message, and of one `committed`. */
  readonly appendEntriesMax: number;
};
