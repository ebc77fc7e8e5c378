// The consensus core of one replica: terms, roles, votes, and what a follower does. It is a function of its inputs,
// with no clock, disk, network or randomness of its own. The sections named here are those of Ongaro's dissertation.
// The leader's half is in `leadership.ts`. The order in which a host must act on the effects is with `Effects` in
// `types.ts`.

import { assert, unreachable } from '../base/assert.ts';
import { logIndex, term as asTerm, type LogIndex, type ReplicaId, type Term } from '../model/brands.ts';
import { appendBytesMax } from '../limits.ts';
import { Ballot } from './ballot.ts';
import { type Configuration, encodeConfiguration, isOneStep, memberOf, wasRemoved } from './configuration.ts';
import { ElectionTimer } from './election-timer.ts';
import { Leadership } from './leadership.ts';
import { type Position, RaftLog } from './log.ts';
import { answerToStale, isReply, type Envelope, type MessageOf, type TermMessage } from './messages.ts';
import { Outbox } from './outbox.ts';
import { isVoter } from './quorum.ts';
import { LocalReads, type Read } from './reads.ts';
import { TermAndVote } from './term-and-vote.ts';
import type { Effects, Entry, HardState, Message, RaftOptions, Role } from './types.ts';

type LeaderMessage = MessageOf<'append' | 'heartbeat' | 'rest' | 'snapshot' | 'timeoutNow'>;
type State =
  | { readonly role: 'follower' }
  | { readonly role: 'preCandidate' | 'candidate'; readonly ballot: Ballot }
  | { readonly role: 'leader'; readonly leadership: Leadership };

const noEntries: readonly Entry[] = [];
const noMessages: readonly Message[] = [];
const follower: State = { role: 'follower' };

export class Raft {
  readonly id: ReplicaId;
  readonly #options: RaftOptions;
  readonly #log: RaftLog;
  readonly #outbox = new Outbox();
  readonly #reads: LocalReads;

  readonly #vote: TermAndVote;
  #state: State = follower;
  /** The replica that reads are asked of. Null: this replica knows no leader, or doubts that it lives. */
  #leader: ReplicaId | null = null;
  #resting = false;
  /** The state machine cannot take entries, so this replica must not lead. It votes and keeps the log. */
  #suspended = false;
  #snapshotFrom: ReplicaId | null = null;
  #removed: readonly ReplicaId[] | null = null;

  readonly #timer: ElectionTimer;
  #tick = 0;

  #awaitsPersisted = false;

  constructor(options: RaftOptions) {
    const { id, founding, hardState, log, applied, random } = options;
    const { voters } = founding;
    assert(voters.length > 0 && new Set(voters).size === voters.length, 'voters are at least one, each once');
    this.id = id;
    this.#options = options;
    this.#log = new RaftLog(log, founding, hardState, applied);
    // The reads of this instance have 2^20 numbers to themselves, which begin at random: see `LocalReads`.
    this.#reads = new LocalReads(Math.floor(random() * 2 ** 32) * 2 ** 20);
    this.#vote = new TermAndVote(hardState);
    assert(this.#log.lastTerm <= this.term, 'the log has an entry of a term that this replica never saw');
    this.#timer = new ElectionTimer(options);
  }

  get role(): Role {
    return this.#state.role;
  }

  get leader(): ReplicaId | null {
    return this.#leader;
  }

  get term(): Term {
    return this.#vote.term;
  }

  get commit(): LogIndex {
    return this.#log.commit;
  }

  get lastIndex(): LogIndex {
    return this.#log.lastIndex;
  }

  /** The newest configuration in the log, which counts before it is committed. */
  get configuration(): Configuration {
    return this.#log.configurations.newest;
  }

  /** The index of the newest configuration. 0: the group was made with it. */
  get configurationIndex(): LogIndex {
    return this.#log.configurations.newestIndex;
  }

  /** The configuration that held after the entry at `index`, which the log still has or begins after. */
  configurationAt(index: LogIndex): Configuration {
    return this.#log.configurations.at(index);
  }

  /** Whether the newest configuration is committed, so that no change is under way. */
  get isConfigurationCommitted(): boolean {
    return this.#log.configurations.newestIndex <= this.#log.commit;
  }

  /** `index` lies between the start of the log and its end. */
  termAt(index: LogIndex): Term {
    return this.#log.term(index);
  }

  /**
   * Leader only: the index of the highest entry that the replica `id` is known to have. Null: `id` is not in the group,
   * or this replica does not lead.
   */
  matchOf(id: ReplicaId): LogIndex | null {
    return this.#state.role === 'leader' ? this.#state.leadership.matchOf(id) : null;
  }

  /** For how many ticks the leader has not heard the replica `id`. Null: this replica does not lead. */
  silentTicksOf(id: ReplicaId): number | null {
    return this.#state.role === 'leader' ? this.#state.leadership.silentTicksOf(id) : null;
  }

  /** Leader only: the object of the replica `id` does not exist, so what that replica said it has counts no more. */
  absent(id: ReplicaId): void {
    if (this.#state.role !== 'leader') return;
    this.#state.leadership.absent(id);
    this.#takeBackPromotion(id, this.#state.leadership);
  }

  /** True from `rest` until the next input. Until then the host needs no clock. */
  get resting(): boolean {
    return this.#resting;
  }

  /** The clock moved. A resting replica does nothing then. */
  tick(): void {
    if (this.#resting) return;
    this.#tick += 1;
    this.#reads.expire(this.#tick - this.#options.electionTimeoutTicks);
    this.#askAgain();
    if (this.#state.role === 'leader') {
      if (!this.#state.leadership.tick()) this.#becomeFollower(this.term, null);
      return;
    }
    this.#timer.tick();
    if (this.#timer.hasExpired) this.#askForPreVotes({ urgent: false });
    else if (this.#timer.elapsedTicks % this.#options.heartbeatTicks === 0) this.#askForVotesAgain();
  }

  receive(message: Message): void {
    assert(message.to === this.id && message.from !== this.id, 'a message came to the wrong replica');
    // An answer to what was sent before the rest is no reason to wake.
    if (this.#resting && (message.term > this.term || !isReply(message))) this.#wake();
    if (message.kind === 'removed') return this.#noteRemoval(message.members);
    const isStranger = this.isConfigurationCommitted && wasRemoved(this.configuration, message.from);
    if (isStranger && !isReply(message)) return this.#tellRemoved(message.from);
    if (message.kind === 'preVote') return this.#answerPreVote(message);
    if (message.kind === 'preVoteReply') return this.#countPreVote(message);
    if (message.kind === 'vote' && message.term > this.term && !message.urgent && this.#leaderLives) return;
    if (message.term < this.term) {
      const answer = answerToStale(message, this.#envelope(message.from));
      if (answer !== null) this.#outbox.send(answer);
      return;
    }
    if (message.term > this.term) this.#becomeFollower(message.term, null);
    this.#step(message);
  }

  /** Appends one entry. Null: this replica is not the leader, or hands its leadership over. */
  propose(data: Uint8Array): { index: LogIndex; term: Term } | null {
    if (this.#state.role !== 'leader') return null;
    this.#wake();
    const index = this.#state.leadership.propose(data);
    return index === null ? null : { index, term: this.term };
  }

  /**
   * Appends the group's next configuration, one step from `present`. Null: `present` is not the present one any more;
   * or this replica is not the leader, hands its leadership over, would be no voter of the next one, or has not
   * committed an entry of its own term yet (without that, the changes of two leaders could miss each other); or another
   * change is not committed yet; or too few of those who would vote were heard lately to commit it, so that the group
   * would be stuck with it.
   */
  proposeConfiguration(present: Configuration, next: Configuration): { index: LogIndex; term: Term } | null {
    if (present !== this.configuration) return null;
    if (this.#state.role !== 'leader' || !isVoter(next, this.id)) return null;
    if (!this.isConfigurationCommitted || !this.#state.leadership.hasCommittedInTerm) return null;
    if (!this.#state.leadership.hears(next)) return null;
    assert(isOneStep(present, next), 'a configuration changes by one voter at a time');
    this.#wake();
    const index = this.#state.leadership.proposeConfiguration(encodeConfiguration(next));
    return index === null ? null : { index, term: this.term };
  }

  /**
   * The state machine holds what it must not. From here on nothing is handed out to be applied, and this replica does
   * not lead. Its log and its votes count as before.
   */
  suspend(): void {
    if (this.#suspended) return;
    this.#suspended = true;
    this.#log.holdCommitted();
    if (this.#state.role === 'leader') this.#becomeFollower(this.term, null);
    else if (this.#state.role !== 'follower') this.#state = follower;
  }

  /** Whether the log has the last entry that a snapshot covers. If so, the entries that follow it stay. */
  holds(position: Position): boolean {
    return this.#log.holds(position);
  }

  /** The log on disk begins later now, after an entry that is applied. */
  truncated(): void {
    assert(this.#log.baseIndex <= this.#log.applied, 'the log was truncated beyond what is applied');
    this.#log.discarded();
  }

  /**
   * A linearizable read. `context`, unique per replica, comes back once, in `reads` or in `refusedReads`. A follower
   * asks the leader, and refuses the read if it knows none.
   */
  requestRead(context: number): void {
    this.#wake();
    if (this.#state.role === 'leader') {
      if (!this.#state.leadership.addRead({ from: this.id, context })) this.#reads.refuse(context);
    } else if (this.#leader === null) {
      this.#reads.refuse(context);
    } else {
      this.#reads.ask(context);
    }
  }

  /**
   * A caller waits and the leader does not answer, so pre-votes are asked for at once. Peers grant an urgent pre-vote
   * although they heard from a leader lately. Three things keep a replica that only lost its own link to the leader
   * from disrupting the group:
   *
   * - the term does not rise, and nobody's state changes, unless a quorum grants;
   * - the leader refuses for as long as it leads, and by check-quorum it leads only while a quorum answers it; its
   *   refusal comes with a heartbeat, and both together end the campaign of whoever can hear it;
   * - followers grant only to a log as complete as theirs. Every term opens with an entry, so from its first commit on
   *   a quorum refuses every replica that the leader does not reach.
   *
   * One cut link changes the leader at most once.
   */
  campaign(): void {
    this.#wake();
    const state = this.#state;
    if (state.role === 'leader' || state.role === 'candidate') return;
    if (state.role === 'preCandidate' && state.ballot.urgent) return;
    this.#askForPreVotes({ urgent: true });
  }

  /**
   * Hands the leadership to `to`. False: this replica does not lead, or `to` is not another voter. While the handover
   * is under way, proposals are refused.
   */
  transferLeadership(to: ReplicaId): boolean {
    if (this.#state.role !== 'leader') return false;
    this.#wake();
    return this.#state.leadership.transfer(to);
  }

  /** Leader only: nothing is under way, and every voter has all entries and knows that they are committed. */
  get mayRest(): boolean {
    return this.#state.role === 'leader' && this.#state.leadership.isSettled && this.#reads.isEmpty;
  }

  /** Tells the followers to rest, and rests: no time-out runs until the next input. */
  rest(): void {
    assert(this.#state.role === 'leader' && this.mayRest, 'a group rests only when nothing is left to do');
    if (this.#resting) return;
    this.#state.leadership.rest();
    this.#resting = true;
  }

  /**
   * The leader tells its followers at once of a commit that no message told them yet. Without this they learn it within
   * a tick.
   */
  tellCommit(): void {
    if (this.#state.role === 'leader' && !this.#resting) this.#state.leadership.tellCommit();
  }

  get hasEffects(): boolean {
    return this.#log.hasUnapplied || this.hasOtherEffects;
  }

  /** Whether there are effects other than committed entries, which may wait for a later turn. */
  get hasOtherEffects(): boolean {
    const log = this.#log;
    return (
      !this.#outbox.isEmpty ||
      log.hasUntaken ||
      this.#reads.hasUnasked ||
      this.#reads.hasSettled(log.applied) ||
      this.#snapshotFrom !== null ||
      this.#removed !== null ||
      (this.#state.role === 'leader' && this.#state.leadership.hasWork) ||
      this.#vote.isUnsaved
    );
  }

  takeEffects({ withCommitted = true }: { readonly withCommitted?: boolean } = {}): Effects {
    assert(!this.#awaitsPersisted, 'effects are taken again only after persisted()');
    this.#flush();
    const hardState = this.#takeHardState();
    const entries = this.#log.takeUnpersisted();
    this.#awaitsPersisted = hardState !== null || entries.length > 0;
    const { appendEntriesMax } = this.#options;
    const committed = withCommitted
      ? this.#log.takeCommitted({ bytes: appendBytesMax, entries: appendEntriesMax })
      : noEntries;
    const [early, messages] = [this.#outbox.takeEarly(), this.#outbox.takeMessages()];
    // The only voter leads as soon as it votes. Nobody may hear of a term that it would forget in a crash: it could
    // lead the same term once more, with other entries.
    const isTermUnsaved = hardState !== null;
    const [snapshotFrom, removed] = [this.#snapshotFrom, this.#removed];
    this.#snapshotFrom = null;
    this.#removed = null;
    return {
      early: isTermUnsaved ? noMessages : early,
      hardState,
      entries,
      committed,
      hasMoreCommitted: this.#log.hasUnapplied,
      messages: isTermUnsaved ? [...early, ...messages] : messages,
      reads: this.#reads.takeServed(this.#log.applied),
      refusedReads: this.#reads.takeRefused(),
      snapshotFrom,
      removed,
    };
  }

  /** What the last `takeEffects` handed out is on disk, so a leader counts itself. */
  persisted(): void {
    this.#awaitsPersisted = false;
    this.#log.markPersisted();
    if (this.#state.role === 'leader') this.#state.leadership.persisted();
  }

  // Time and rest

  #wake(): void {
    if (!this.#resting) return;
    this.#resting = false;
    this.#timer.postpone();
    if (this.#state.role === 'leader') this.#state.leadership.wake();
  }

  /**
   * Stickiness (§4.2.3): a replica that leads, or heard from a leader within the shortest time-out, helps nobody depose
   * it.
   */
  get #leaderLives(): boolean {
    if (this.#state.role === 'leader') return true;
    return this.#leader !== null && this.#timer.leaderLives;
  }

  // Roles

  #becomeFollower(term: Term, leader: ReplicaId | null): void {
    if (term !== this.term) this.#vote.enter(term, null);
    const lost = this.#state.role === 'leader' ? this.#state.leadership.stepDown() : null;
    this.#state = follower;
    this.#resting = false;
    this.#timer.leaderForgotten();
    this.#setLeader(leader);
    this.#timer.restart();
    if (lost !== null) for (const read of lost) this.#refuseRead(read);
  }

  #setLeader(leader: ReplicaId | null): void {
    if (leader !== this.#leader) this.#reads.leaderLost();
    this.#leader = leader;
  }

  #askForPreVotes(how: { readonly urgent: boolean }): void {
    this.#timer.restart();
    if (!isVoter(this.configuration, this.id)) return this.#askWhetherMember();
    if (this.#suspended) return;
    // Only an urgent campaign is against the leader. One that was silent for a time-out may end the campaign: its next
    // heartbeat shows that it is back.
    const doubted = how.urgent ? this.#leader : null;
    const ballot = new Ballot(this.configuration, this.id, { ...how, doubted });
    this.#state = { role: 'preCandidate', ballot };
    this.#timer.leaderForgotten();
    this.#setLeader(null);
    if (ballot.result === 'won') this.#becomeCandidate(how);
    else this.#askForVotesAgain();
  }

  /**
   * A replica that does not vote and hears no leader may have been removed, and the message that said so was lost. It
   * asks for a vote that nobody can give, for a log that holds nothing. Whoever knows that it was removed tells it, and
   * all others refuse.
   */
  #askWhetherMember(): void {
    const asked = { kind: 'preVote', from: this.id, term: asTerm(this.term + 1), urgent: false } as const;
    for (const to of this.configuration.voters) {
      this.#outbox.send({ ...asked, to, lastLogIndex: logIndex(0), lastLogTerm: asTerm(0) });
    }
  }

  #becomeCandidate(how: { readonly urgent: boolean }): void {
    this.#vote.enter(asTerm(this.term + 1), this.id);
    const ballot = new Ballot(this.configuration, this.id, { ...how, doubted: null });
    this.#state = { role: 'candidate', ballot };
    this.#timer.leaderForgotten();
    this.#setLeader(null);
    this.#timer.restart();
    if (ballot.result === 'won') this.#becomeLeader();
    else this.#askForVotesAgain();
  }

  #becomeLeader(): void {
    const { electionTimeoutTicks, heartbeatTicks, appendEntriesMax } = this.#options;
    this.#vote.seeLeader(this.id);
    this.#setLeader(this.id);
    const leadership = new Leadership({
      id: this.id,
      term: this.term,
      log: this.#log,
      outbox: this.#outbox,
      electionTimeoutTicks,
      heartbeatTicks,
      appendEntriesMax,
      onReadsConfirmed: (reads, index) => this.#confirmReads(reads, index),
    });
    this.#state = { role: 'leader', leadership };
  }

  // Votes

  /** Asks all who have not answered, because a candidate's messages may be lost (§3.3). */
  #askForVotesAgain(): void {
    const state = this.#state;
    if (state.role !== 'preCandidate' && state.role !== 'candidate') return;
    const { lastIndex: lastLogIndex, lastTerm: lastLogTerm } = this.#log;
    const { unheard, urgent } = state.ballot;
    for (const to of unheard) {
      const asked = { from: this.id, to, lastLogIndex, lastLogTerm, urgent };
      if (state.role === 'candidate') this.#outbox.send({ ...asked, kind: 'vote', term: this.term });
      else this.#outbox.send({ ...asked, kind: 'preVote', term: asTerm(this.term + 1) });
    }
  }

  #answerPreVote(message: MessageOf<'preVote'>): void {
    const complete = this.#log.isUpToDate(message.lastLogIndex, message.lastLogTerm);
    const leads = this.#state.role === 'leader';
    const granted = complete && message.term > this.term && !leads && (message.urgent || !this.#leaderLives);
    this.#outbox.send({ ...this.#envelope(message.from), kind: 'preVoteReply', granted });
    if (this.#state.role === 'leader') this.#state.leadership.showLife(message.from);
    else if (granted && this.#state.role === 'preCandidate') this.#yieldTo(message);
  }

  /**
   * Two replicas that the same caller woke campaign at the same moment, and in a group that misses a third they would
   * split the vote. So one gives way: to the better log, and among equals to the lower id. Its timer runs on, so that a
   * rival that cannot win does not hold it up.
   */
  #yieldTo(rival: MessageOf<'preVote'>): void {
    const equal = rival.lastLogIndex === this.#log.lastIndex && rival.lastLogTerm === this.#log.lastTerm;
    if (!equal || rival.from < this.id) this.#state = follower;
  }

  #countPreVote(message: MessageOf<'preVoteReply'>): void {
    const state = this.#state;
    const urgent = state.role === 'preCandidate' && state.ballot.urgent;
    if (message.term > this.term) {
      this.#becomeFollower(message.term, null);
      // The refusal may be for the old term alone, and the caller still waits. Terms only rise, so this ends.
      if (urgent) this.#askForPreVotes({ urgent });
      return;
    }
    if (state.role !== 'preCandidate') return;
    state.ballot.record(message.from, message.granted);
    const { result } = state.ballot;
    if (result === 'won') this.#becomeCandidate({ urgent });
    else if (result === 'lost') this.#state = follower;
    else if (state.ballot.isRefuted) this.#obey(message.from);
  }

  #answerVote(message: MessageOf<'vote'>): void {
    const granted =
      this.#vote.mayVoteFor(message.from) && this.#log.isUpToDate(message.lastLogIndex, message.lastLogTerm);
    if (granted) {
      this.#vote.voteFor(message.from);
      this.#timer.postpone();
    }
    this.#outbox.send({ ...this.#envelope(message.from), kind: 'voteReply', granted });
  }

  #countVote(message: MessageOf<'voteReply'>): void {
    const state = this.#state;
    if (state.role !== 'candidate') return;
    state.ballot.record(message.from, message.granted);
    const { result } = state.ballot;
    if (result === 'won') this.#becomeLeader();
    else if (result === 'lost') this.#becomeFollower(this.term, null);
  }

  // Messages of this term

  #step(message: TermMessage): void {
    const state = this.#state;
    switch (message.kind) {
      case 'vote':
        return this.#answerVote(message);
      case 'voteReply':
        return this.#countVote(message);
      case 'append':
        return this.#acceptAppend(message);
      case 'heartbeat':
        this.#follow(message);
        if (this.#lacks(message.commit)) return this.#tellLoss(message);
        this.#log.commitTo(message.commit);
        this.#outbox.send({ ...this.#envelope(message.from), kind: 'heartbeatReply', round: message.round });
        return;
      case 'rest':
        this.#follow(message);
        // The clock of this replica runs on: in time it asks about itself, and the leader hears what is wrong.
        if (this.#lacks(message.commit)) return;
        this.#log.commitTo(message.commit);
        // No time-out runs now, so silence means nothing. Whoever campaigns next is to win at once.
        this.#timer.leaderForgotten();
        // A read under way needs the clock, because its answer may be lost. So does a campaign.
        this.#resting = this.#state.role === 'follower' && this.#reads.isEmpty;
        return;
      case 'snapshot':
        this.#follow(message);
        this.#needSnapshot(message);
        return;
      case 'timeoutNow':
        this.#follow(message);
        // The leader asked for it, so neither a pre-vote nor stickiness stands in the way (§3.10).
        if (!this.#suspended && isVoter(this.configuration, this.id)) this.#becomeCandidate({ urgent: true });
        return;
      case 'appendReply':
        if (state.role === 'leader') state.leadership.receiveAppendReply(message);
        return;
      case 'heartbeatReply':
        if (state.role === 'leader') state.leadership.receiveHeartbeatReply(message);
        return;
      case 'readIndex': {
        const read = { from: message.from, context: message.context };
        if (state.role !== 'leader' || !state.leadership.addRead(read)) this.#refuseRead(read);
        return;
      }
      case 'readIndexReply':
        this.#reads.answer(message.context, message.index, this.#tick);
        return;
      default:
        unreachable(message);
    }
  }

  #follow(message: LeaderMessage): void {
    assert(this.#state.role !== 'leader', 'a term has one leader');
    this.#vote.seeLeader(message.from);
    if (this.#state.role === 'preCandidate' && !this.#state.ballot.isEndedBy(message.from)) return;
    this.#obey(message.from);
  }

  #obey(leader: ReplicaId): void {
    this.#state = follower;
    this.#setLeader(leader);
    this.#timer.leaderHeard();
  }

  #acceptAppend(message: MessageOf<'append'>): void {
    this.#follow(message);
    const log = this.#log;
    const { previousIndex, previousTerm, entries, round } = message;
    const reply = { ...this.#envelope(message.from), kind: 'appendReply', round } as const;
    // An entry that is committed here is in every leader's log, so it fits and need not be looked up.
    if (previousIndex >= log.commit && !log.matches(previousIndex, previousTerm)) {
      const { index: hintIndex, term: hintTerm } = log.fit(previousIndex, previousTerm);
      this.#outbox.send({ ...reply, accepted: false, rejectedIndex: previousIndex, hintIndex, hintTerm });
      return;
    }
    log.accept(entries);
    const matchIndex = logIndex(Math.max(previousIndex + entries.length, log.commit));
    log.commitTo(logIndex(Math.min(message.commit, matchIndex)));
    this.#outbox.send({ ...reply, accepted: true, matchIndex });
  }

  /**
   * A leader names no commit index beyond what a follower has told it to have, so this replica has lost its disk since.
   */
  #lacks(commit: LogIndex): boolean {
    return commit > this.#log.lastIndex;
  }

  #tellLoss({ from, commit, round }: MessageOf<'heartbeat'>): void {
    const { index: hintIndex, term: hintTerm } = this.#log.fit(commit, this.#log.lastTerm);
    const rejection = { accepted: false, rejectedIndex: commit, hintIndex, hintTerm, round } as const;
    this.#outbox.send({ ...this.#envelope(from), kind: 'appendReply', ...rejection });
  }

  // Members that come and go

  /**
   * A learner that lost its disk just before its promotion may be one without which there is no majority: a single
   * voter that is given a second one would be stuck for good. So the committed configuration comes again, as a further
   * entry. That is safe although two changes are under way then: the last one has the voters of the first, so every
   * majority of each of the three configurations meets every majority of the others (§4.1).
   */
  #takeBackPromotion(id: ReplicaId, leadership: Leadership): void {
    const { configurations, commit } = this.#log;
    if (this.isConfigurationCommitted || !leadership.hasCommittedInTerm) return;
    const before = configurations.at(commit);
    const isPromotion = memberOf(before, id)?.voter === false && memberOf(this.configuration, id)?.voter === true;
    if (!isPromotion) return;
    this.#wake();
    leadership.proposeConfiguration(encodeConfiguration(before));
  }

  /** A replica that has the entry after which the leader's log begins, or more, needs entries and no snapshot. */
  #needSnapshot(message: MessageOf<'snapshot'>): void {
    if (this.#log.commit < message.base) {
      this.#snapshotFrom = message.from;
      return;
    }
    const reply = { ...this.#envelope(message.from), kind: 'appendReply', round: 0 } as const;
    this.#outbox.send({ ...reply, accepted: true, matchIndex: this.#log.commit });
  }

  #tellRemoved(to: ReplicaId): void {
    const members = this.configuration.members.map(({ id }) => id);
    this.#outbox.send({ ...this.#envelope(to), kind: 'removed', members });
  }

  #noteRemoval(members: readonly ReplicaId[]): void {
    this.#removed = members;
    if (this.#state.role !== 'follower') this.#becomeFollower(this.term, null);
  }

  // Reads and effects

  #confirmReads(reads: readonly Read[], index: LogIndex): void {
    for (const { from, context } of reads) {
      if (from === this.id) this.#reads.confirm(context, index, this.#tick);
      else this.#outbox.send({ ...this.#envelope(from), kind: 'readIndexReply', context, index });
    }
  }

  #refuseRead(read: Read): void {
    if (read.from === this.id) this.#reads.refuse(read.context);
    else {
      const envelope = this.#envelope(read.from);
      this.#outbox.send({ ...envelope, kind: 'readIndexReply', context: read.context, index: null });
    }
  }

  #flush(): void {
    if (this.#state.role === 'leader') this.#state.leadership.flush();
    else if (this.#reads.hasUnasked && this.#leader !== null) {
      const context = this.#reads.takeQuestion(this.#tick);
      this.#outbox.send({ ...this.#envelope(this.#leader), kind: 'readIndex', context });
    }
  }

  #askAgain(): void {
    if (this.#leader === null || this.#state.role === 'leader') return;
    const context = this.#reads.askAgain(this.#tick - 2 * this.#options.heartbeatTicks, this.#tick);
    if (context !== null) this.#outbox.send({ ...this.#envelope(this.#leader), kind: 'readIndex', context });
  }

  /** Only a new term or vote must be on disk; the commit index goes along, since a leader tells it again. */
  #takeHardState(): HardState | null {
    const unsaved = this.#vote.takeUnsaved();
    return unsaved === null ? null : { ...unsaved, commit: this.#log.commit };
  }

  #envelope(to: ReplicaId): Envelope {
    return { from: this.#options.id, to, term: this.term };
  }
}
