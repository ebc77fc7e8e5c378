// A leader's term, from election to step-down: replication to the followers and learners, the commit rule, confirmation
// rounds for reads, check-quorum, transfer, changes of the group and rest. It exists only while this replica leads;
// votes and terms are not its concern.

import { assert } from '../base/assert.ts';
import { logIndex, type LogIndex, type ReplicaId, type Term } from '../model/brands.ts';
import { emptyBytes } from '../base/bytes.ts';
import { appendBytesMax, logEntryBytesMax } from '../limits.ts';
import type { RaftLog } from './log.ts';
import type { Envelope, MessageOf } from './messages.ts';
import type { Outbox } from './outbox.ts';
import { Progress } from './progress.ts';
import { type Configuration, memberOf } from './configuration.ts';
import { type Electorate, quorumValue } from './quorum.ts';
import { ReadRounds, type Read } from './reads.ts';
import type { Entry, EntryKind } from './types.ts';

export type LeadershipOptions = {
  readonly id: ReplicaId;
  readonly term: Term;
  readonly log: RaftLog;
  readonly outbox: Outbox;
  readonly electionTimeoutTicks: number;
  readonly heartbeatTicks: number;
  readonly appendEntriesMax: number;
  /** The reads that a quorum has confirmed, with the index at which they may be served. */
  readonly onReadsConfirmed: (reads: readonly Read[], index: LogIndex) => void;
};

const noEntries: readonly Entry[] = [];

export class Leadership {
  readonly #options: LeadershipOptions;
  readonly #log: RaftLog;
  readonly #outbox: Outbox;
  /** The progress of every other member of the newest configuration. */
  #peers: Progress[] = [];
  /** Members that have left the newest configuration, until it is committed: then they are told. */
  #leaving: readonly ReplicaId[] = [];
  /** The index of the noop that opened the term. Every entry from here on is of this term. */
  readonly #firstOfTerm: LogIndex;
  readonly #reads = new ReadRounds();
  #tick = 0;
  #ticksSinceHeartbeat = 0;
  /** The number of the newest confirmation round. Appends and heartbeats carry it, and replies echo it. */
  #round = 0;
  #transfer: { readonly to: ReplicaId; readonly sinceTick: number } | null = null;
  /** True: something may be sent to followers; see `flush`. */
  #appendsDue = true;
  /** The entries of the last append. Followers that are as far get the same array, so the host can encode it once. */
  #shared: readonly Entry[] = noEntries;

  readonly #matchOf = (id: ReplicaId): number => this.#peer(id)?.match ?? this.#log.persisted;
  readonly #ackedRoundOf = (id: ReplicaId): number => this.#peer(id)?.ackedRound ?? this.#round;
  readonly #activeTickOf = (id: ReplicaId): number => this.#peer(id)?.activeTick ?? this.#tick;

  constructor(options: LeadershipOptions) {
    const { log, outbox } = options;
    this.#options = options;
    this.#log = log;
    this.#outbox = outbox;
    this.#firstOfTerm = logIndex(log.lastIndex + 1);
    this.#meetMembers(this.#firstOfTerm);
    this.#append('noop', emptyBytes);
  }

  /** A leader knows what is committed only once it committed an entry of its own term (§6.4). */
  get hasCommittedInTerm(): boolean {
    return this.#log.commit >= this.#firstOfTerm;
  }

  get isTransferring(): boolean {
    return this.#transfer !== null;
  }

  matchOf(id: ReplicaId): LogIndex | null {
    return id === this.#options.id ? this.#log.persisted : (this.#peer(id)?.match ?? null);
  }

  /** For how many ticks that peer has not been heard. */
  silentTicksOf(id: ReplicaId): number {
    return this.#tick - this.#activeTickOf(id);
  }

  /** Whether `flush` would do something. */
  get hasWork(): boolean {
    return this.#appendsDue || this.#mayStartReads;
  }

  /** Whether nothing is left to do: everything is committed, and every voter has it and knows that it is committed. */
  get isSettled(): boolean {
    const { lastIndex, commit } = this.#log;
    return (
      commit === lastIndex &&
      this.#log.persisted === lastIndex &&
      this.#transfer === null &&
      this.#reads.isEmpty &&
      this.#peers.every((peer) => peer.match === lastIndex && peer.commitTold === commit)
    );
  }

  /** False: no quorum answered within an election time-out (check-quorum, §6.2), so step down. */
  tick(): boolean {
    const { electionTimeoutTicks, heartbeatTicks } = this.#options;
    this.#tick += 1;
    if (quorumValue(this.#configuration, this.#activeTickOf) + electionTimeoutTicks <= this.#tick) return false;
    if (this.#transfer !== null && this.#transfer.sinceTick + electionTimeoutTicks <= this.#tick) this.#transfer = null;
    this.#ticksSinceHeartbeat += 1;
    if (this.#ticksSinceHeartbeat >= heartbeatTicks) this.#broadcastHeartbeat();
    else this.tellCommit();
    return true;
  }

  propose(data: Uint8Array): LogIndex | null {
    if (this.#transfer !== null) return null;
    assert(data.byteLength <= logEntryBytesMax, 'an entry is larger than a log row');
    return this.#append('command', data);
  }

  /** Whether a majority of these voters answered within the last election time-out. */
  hears(electorate: Electorate): boolean {
    const { electionTimeoutTicks } = this.#options;
    const activeTick = (id: ReplicaId): number =>
      id === this.#options.id ? this.#tick : (this.#peer(id)?.activeTick ?? -1);
    return quorumValue(electorate, activeTick) + electionTimeoutTicks > this.#tick;
  }

  /** A new configuration was appended. It counts from now on, and no other change is under way. */
  proposeConfiguration(data: Uint8Array): LogIndex | null {
    if (this.#transfer !== null) return null;
    const index = this.#append('membership', data);
    const before = this.#peers;
    this.#meetMembers(index);
    this.#leaving = before.map(({ id }) => id).filter((id) => this.#peer(id) === null);
    // The remaining voters may be a majority that has committed entries which the one that left held up.
    this.#advanceCommit();
    this.#confirmReads();
    return index;
  }

  /** The object of that replica does not exist, so nothing counts any more of what it said to have. */
  absent(id: ReplicaId): void {
    this.#peer(id)?.forget();
  }

  /** False: too many reads wait. */
  addRead(read: Read): boolean {
    return this.#reads.add(read);
  }

  /** The effects that the host took last are on disk, so the leader counts itself. */
  persisted(): void {
    this.#advanceCommit();
  }

  receiveAppendReply(message: MessageOf<'appendReply'>): void {
    const peer = this.#hearFrom(message);
    if (peer === null) return;
    if (message.accepted) {
      assert(message.matchIndex <= this.#log.lastIndex, 'a follower matches beyond the log of its leader');
      peer.answered(message.round);
      peer.accepted(message.matchIndex, this.#round);
      this.#advanceCommit();
      this.#continueTransfer(peer);
    } else {
      const fit = this.#log.fit(message.hintIndex, message.hintTerm);
      const { rejectedIndex, round } = message;
      if (peer.rejected({ rejectedIndex, fit: fit.index, round })) this.#sendAppend(peer, { empty: true });
    }
    this.#appendsDue ||= peer.next <= this.#log.lastIndex;
  }

  receiveHeartbeatReply(message: MessageOf<'heartbeatReply'>): void {
    const peer = this.#hearFrom(message);
    if (peer === null) return;
    peer.answered(message.round);
    peer.resumeProbe();
    // A lost append must not stall replication: an append that follows everything that was sent is rejected if anything
    // before it is missing.
    if (peer.match < this.#log.lastIndex) this.#sendAppend(peer, { empty: true });
  }

  /**
   * Shows a candidate that asks for pre-votes that this leader lives. It does not if a quorum has missed two
   * heartbeats: this leader may then be reachable without reaching anybody, and each question of a candidate would keep
   * it in its place.
   */
  showLife(to: ReplicaId): void {
    const peer = this.#peer(to);
    const missed = this.#tick - quorumValue(this.#configuration, this.#activeTickOf);
    if (peer === null || missed >= 2 * this.#options.heartbeatTicks) return;
    this.#round += 1;
    this.#sendHeartbeat(peer);
  }

  /** Tells followers of a commit index that no message to them carried yet, without waiting for the next append. */
  tellCommit(): void {
    let told = false;
    for (const peer of this.#peers) {
      if (peer.commitSent >= Math.min(peer.match, this.#log.commit)) continue;
      if (!told) this.#round += 1;
      told = true;
      this.#sendHeartbeat(peer);
    }
  }

  /** Hands leadership to `to` once its log is complete (§3.10). This is given up after an election time-out. */
  transfer(to: ReplicaId): boolean {
    const peer = this.#peer(to);
    if (peer === null || memberOf(this.#configuration, to)?.voter !== true) return false;
    this.#transfer = { to, sinceTick: this.#tick };
    if (!this.#continueTransfer(peer)) this.#sendAppend(peer, { empty: true });
    return true;
  }

  rest(): void {
    for (const peer of this.#peers) {
      this.#outbox.send({ ...this.#envelope(peer.id), kind: 'rest', commit: this.#log.commit });
    }
  }

  /** Nobody was heard during the rest, so followers get a full time-out to answer, and the next tick is a heartbeat. */
  wake(): void {
    for (const peer of this.#peers) peer.activeTick = this.#tick;
    this.#ticksSinceHeartbeat = this.#options.heartbeatTicks;
  }

  /**
   * Called before effects are taken: one append to each follower for everything that was proposed, and one round for
   * all reads.
   */
  flush(): void {
    const round = this.#round;
    if (this.#mayStartReads) {
      this.#round += 1;
      this.#reads.start(this.#round, this.#log.commit);
    }
    for (const peer of this.#peers) {
      let sent = false;
      if (this.#appendsDue) while (peer.maySend && this.#sendAppend(peer, { empty: false })) sent = true;
      if (!sent && this.#round > round) this.#sendHeartbeat(peer);
    }
    this.#appendsDue = false;
    this.#shared = noEntries;
    // A group of one needs no answer.
    if (this.#round > round) this.#confirmReads();
  }

  /** Called when the term is over. Returns the reads that nobody will answer. */
  stepDown(): readonly Read[] {
    return this.#reads.drain();
  }

  get #mayStartReads(): boolean {
    return this.#reads.wantsRound && this.hasCommittedInTerm;
  }

  get #configuration(): Configuration {
    return this.#log.configurations.newest;
  }

  /**
   * The progress of the members of the newest configuration. A new member is sent entries from `next` on, to begin
   * with.
   */
  #meetMembers(next: LogIndex): void {
    const known = new Map(this.#peers.map((peer) => [peer.id, peer]));
    this.#peers = this.#configuration.members
      .filter(({ id }) => id !== this.#options.id)
      .map(({ id }) => known.get(id) ?? new Progress(id, next, this.#tick));
    this.#appendsDue = true;
  }

  #append(kind: EntryKind, data: Uint8Array): LogIndex {
    const index = logIndex(this.#log.lastIndex + 1);
    this.#log.append({ index, term: this.#options.term, kind, data });
    this.#appendsDue = true;
    return index;
  }

  /** A replica that answers in this term follows this leader, which counts for check-quorum and for reads. */
  #hearFrom(message: MessageOf<'appendReply' | 'heartbeatReply'>): Progress | null {
    const peer = this.#peer(message.from);
    if (peer === null) return null;
    assert(message.round <= this.#round, 'an answer to a round that was not asked');
    peer.activeTick = this.#tick;
    if (message.round > peer.ackedRound) {
      peer.ackedRound = message.round;
      this.#confirmReads();
    }
    return peer;
  }

  /**
   * Only entries of the own term are committed by counting (§3.6.2, figure 8); earlier ones are committed with them.
   */
  #advanceCommit(): void {
    const index = quorumValue(this.#configuration, this.#matchOf);
    if (index >= this.#firstOfTerm) this.#log.commitTo(logIndex(index));
    if (this.#leaving.length > 0 && this.#log.configurations.newestIndex <= this.#log.commit) this.#tellLeaving();
  }

  /** If this message is lost, the removed replica hears of its removal from the next replica that it asks. */
  #tellLeaving(): void {
    const members = this.#configuration.members.map(({ id }) => id);
    for (const to of this.#leaving) this.#outbox.send({ ...this.#envelope(to), kind: 'removed', members });
    this.#leaving = [];
  }

  #confirmReads(): void {
    if (this.#reads.isEmpty) return;
    for (const round of this.#reads.confirm(quorumValue(this.#configuration, this.#ackedRoundOf))) {
      this.#options.onReadsConfirmed(round.reads, round.index);
    }
  }

  #continueTransfer(peer: Progress): boolean {
    if (this.#transfer?.to !== peer.id || peer.match !== this.#log.lastIndex) return false;
    this.#outbox.send({ ...this.#envelope(peer.id), kind: 'timeoutNow' });
    return true;
  }

  #broadcastHeartbeat(): void {
    this.#ticksSinceHeartbeat = 0;
    this.#round += 1;
    if (this.hasCommittedInTerm) this.#reads.start(this.#round, this.#log.commit);
    for (const peer of this.#peers) this.#sendHeartbeat(peer);
    this.#confirmReads();
  }

  #sendHeartbeat(peer: Progress): void {
    // Beyond `match` the log of the follower may differ.
    const commit = logIndex(Math.min(peer.match, this.#log.commit));
    this.#outbox.sendEarly({ ...this.#envelope(peer.id), kind: 'heartbeat', commit, round: this.#round });
    peer.heartbeatSent(commit, this.#round);
  }

  /** False: nothing was sent. With `empty`, an append leaves even if there is nothing to send, or no room. */
  #sendAppend(peer: Progress, options: { readonly empty: boolean }): boolean {
    const log = this.#log;
    const previousIndex = logIndex(peer.next - 1);
    if (previousIndex < log.baseIndex) {
      // This is told again with each answer to a heartbeat, until the follower has the snapshot: getting it takes long.
      if (options.empty) this.#outbox.send({ ...this.#envelope(peer.id), kind: 'snapshot', base: log.baseIndex });
      return false;
    }
    const entries = peer.maySend ? this.#entriesFrom(peer.next) : noEntries;
    if (entries.length === 0 && !options.empty) return false;
    const last = logIndex(previousIndex + entries.length);
    const commit = log.commit;
    const previousTerm = log.term(previousIndex);
    const round = this.#round;
    const envelope = this.#envelope(peer.id);
    this.#outbox.sendEarly({ ...envelope, kind: 'append', previousIndex, previousTerm, entries, commit, round });
    peer.commitSent = logIndex(Math.max(peer.commitSent, Math.min(commit, last)));
    peer.sent(last);
    return true;
  }

  #entriesFrom(first: LogIndex): readonly Entry[] {
    const shared = this.#shared;
    if (first > this.#log.lastIndex) return noEntries;
    if (shared[0]?.index === first && shared.at(-1)?.index === this.#log.lastIndex) return shared;
    this.#shared = this.#log.slice(first, { bytes: appendBytesMax, entries: this.#options.appendEntriesMax });
    return this.#shared;
  }

  #envelope(to: ReplicaId): Envelope {
    return { from: this.#options.id, to, term: this.#options.term };
  }

  /** Null: this is the replica itself, or one that is not in the group. */
  #peer(id: ReplicaId): Progress | null {
    for (const peer of this.#peers) if (peer.id === id) return peer;
    return null;
  }
}
