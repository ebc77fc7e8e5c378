// What a single replica does with single messages, where a conversation would hide it.

import { describe, expect, it } from 'vitest';
import { AssertionError } from '../../src/base/assert.ts';
import { logIndex, replicaId, term, type LogIndex, type ReplicaId, type Term } from '../../src/model/brands.ts';
import { emptyBytes, utf8 } from '../../src/base/bytes.ts';
import {
  appendBytesMax,
  appendEntriesMax,
  appendsInFlightMax,
  logEntryBytesMax,
  readsPendingMax,
} from '../../src/limits.ts';
import { encodeConfiguration, withLearner, withVoter } from '../../src/raft/configuration.ts';
import type { MessageOf } from '../../src/raft/messages.ts';
import type { Effects, Entry, Message } from '../../src/raft/types.ts';
import { Disk, Host } from './host.ts';

const one = replicaId(1);
const two = replicaId(2);
const three = replicaId(3);

type Replica = { readonly host: Host; readonly sent: Message[]; readonly effects: Effects[] };

/** A disk whose log begins after an entry: the entries before it were cut. */
class TruncatedDisk extends Disk {
  readonly #start: LogIndex;

  constructor(start: number) {
    super();
    this.#start = logIndex(start);
  }

  override base(): { readonly index: LogIndex; readonly term: Term } {
    return { index: this.#start, term: super.term(this.#start) };
  }

  override term(index: LogIndex): Term {
    if (index < this.#start) throw new Error('this entry was truncated');
    return super.term(index);
  }
}

/** Replica 1 of a group, with what it sends and does. */
function replicaOf(
  voters: readonly ReplicaId[] = [one, two, three],
  disk = new Disk(),
  beside: { readonly withLearner?: boolean } = {},
): Replica {
  const sent: Message[] = [];
  const effects: Effects[] = [];
  const host = new Host(
    {
      id: one,
      voters,
      ...beside,
      random: () => 0.5,
      electionTimeoutTicks: 10,
      heartbeatTicks: 3,
      send: (message) => void sent.push(message),
      onEffects: (_, done) => void effects.push(done),
    },
    disk,
  );
  return { host, sent, effects };
}

/** The replica receives this as if another replica of the same term had sent it, unless the message says otherwise. */
function receive({ host }: Replica, ...messages: readonly Message[]): void {
  for (const message of messages) host.raft.receive(message);
  host.turn();
}

function lead(replica: Replica): void {
  const { host } = replica;
  host.raft.campaign();
  host.turn();
  receive(replica, { from: two, to: one, term: host.raft.term, kind: 'preVoteReply', granted: true });
  receive(replica, { from: two, to: one, term: host.raft.term, kind: 'voteReply', granted: true });
  expect(host.raft.role).toBe('leader');
}

function accepted(replica: Replica, from: ReplicaId, matchIndex: number, round = 0): Message {
  const { term } = replica.host.raft;
  return { from, to: one, term, kind: 'appendReply', accepted: true, matchIndex: logIndex(matchIndex), round };
}

function command(index: number, entryTerm: number): Entry {
  return { index: logIndex(index), term: term(entryTerm), kind: 'command', data: emptyBytes };
}

function append(entries: readonly Entry[], commit: number, from = two): MessageOf<'append'> {
  const previousIndex = logIndex((entries[0]?.index ?? 1) - 1);
  const appendTerm = entries.at(-1)?.term ?? term(1);
  const previousTerm = previousIndex === 0 ? term(0) : appendTerm;
  const place = { previousIndex, previousTerm, entries, commit: logIndex(commit), round: 1 };
  return { from, to: one, term: appendTerm, kind: 'append', ...place };
}

describe('a leader', () => {
  it('RAFT-7: does not commit an entry of an earlier term by counting, though a majority has it', () => {
    const disk = new Disk();
    disk.preset([1, 2], { term: 3, commit: 1 });
    const replica = replicaOf([one, two, three], disk);
    lead(replica);
    receive(replica, accepted(replica, two, 2), accepted(replica, three, 2));
    expect(replica.host.raft.commit).toBe(1);
    receive(replica, accepted(replica, two, 3));
    expect(replica.host.raft.commit).toBe(3);
  });

  it('RAFT-41: sends before it has written, and counts itself only after', () => {
    const { raft } = replicaOf([one]).host;
    raft.campaign();
    const effects = raft.takeEffects();
    expect(effects.entries).toHaveLength(1);
    expect([raft.commit, raft.hasEffects]).toEqual([0, false]);
    raft.persisted();
    expect(raft.commit).toBe(1);
    expect(raft.takeEffects().committed).toHaveLength(1);
  });

  it('RAFT-64: sends nothing of a term that is not on its disk, also where it is the only voter', () => {
    const options = {
      id: one,
      voters: [one],
      withLearner: true,
      random: () => 0.5,
      electionTimeoutTicks: 10,
      heartbeatTicks: 3,
    };
    const { raft } = new Host({ ...options, send: () => undefined });
    raft.campaign();
    const { hardState, early, messages } = raft.takeEffects();
    expect(hardState).toMatchObject({ term: 1, votedFor: one });
    expect([early, messages.map(({ kind, to }) => [kind, to])]).toEqual([[], [['append', two]]]);
  });

  it('RAFT-65: takes the promotion of a learner back whose object does not exist, and goes on', () => {
    const replica = replicaOf([one], new Disk(), { withLearner: true });
    lead(replica);
    const { raft } = replica.host;
    const { configuration } = raft;
    receive(replica, accepted(replica, two, 1));
    raft.proposeConfiguration(configuration, withVoter(configuration, two));
    replica.host.turn();
    expect([raft.configuration.voters, raft.commit]).toEqual([[one, two], 1]);
    const promoted = raft.configuration;
    expect(raft.proposeConfiguration(promoted, configuration)).toBeNull();
    raft.absent(two);
    replica.host.turn();
    expect([raft.configuration, raft.isConfigurationCommitted, raft.commit]).toEqual([configuration, true, 3]);
    // A second answer of the platform changes nothing, and the same learner may be promoted again.
    raft.absent(two);
    expect(raft.hasEffects).toBe(false);
    raft.proposeConfiguration(raft.configuration, promoted);
    replica.host.turn();
    receive(replica, accepted(replica, two, 4));
    expect([raft.configuration.voters, raft.commit]).toEqual([[one, two], 4]);
    // What is committed is not taken back.
    raft.absent(two);
    expect([raft.hasEffects, raft.configuration.voters]).toEqual([false, [one, two]]);
  });

  it('RAFT-41: its appends and heartbeats are early, and what promises something is not', () => {
    const replica = replicaOf();
    lead(replica);
    receive(replica, accepted(replica, two, 1), accepted(replica, three, 1));
    replica.host.raft.propose(utf8('x'));
    for (let count = 0; count < 3; count++) replica.host.raft.tick();
    replica.host.turn();
    replica.host.raft.transferLeadership(two);
    receive(replica, accepted(replica, two, 2));
    const kindsOf = (of: (effects: Effects) => readonly Message[]): string[] => [
      ...new Set(replica.effects.flatMap((effects) => of(effects).map(({ kind }) => kind))),
    ];
    expect(kindsOf(({ early }) => early).sort()).toEqual(['append', 'heartbeat']);
    expect(kindsOf(({ messages }) => messages).sort()).toEqual(['preVote', 'timeoutNow', 'vote']);
  });

  it('RAFT-42: the hot path reads nothing from disk', () => {
    const disk = new Disk();
    disk.preset([1, 1, 1, 1, 1, 1, 1, 1], { term: 1, commit: 8 });
    const replica = replicaOf([one, two, three], disk);
    disk.reads = 0;
    lead(replica);
    receive(replica, accepted(replica, two, 9), accepted(replica, three, 9));
    for (let index = 10; index < 100; index++) {
      replica.host.raft.propose(utf8('x'));
      replica.host.turn();
      receive(replica, accepted(replica, two, index), accepted(replica, three, index));
    }
    expect([replica.host.raft.commit, disk.applied, disk.reads]).toEqual([99, 99, 0]);
  });

  it('RAFT-43: an append carries at most appendBytesMax, and appendsInFlightMax follow each other unanswered', () => {
    const replica = replicaOf();
    lead(replica);
    receive(replica, accepted(replica, two, 1));
    replica.sent.length = 0;
    const data = new Uint8Array(appendBytesMax / 4);
    for (let count = 0; count < 4 * appendsInFlightMax + 1; count++) replica.host.raft.propose(data);
    replica.host.turn();
    const sizes = (): number[] =>
      replica.sent.flatMap((message) =>
        message.kind === 'append' && message.to === two ? [message.entries.length] : [],
      );
    expect(sizes()).toEqual(Array.from({ length: appendsInFlightMax }, () => 4));
    receive(replica, accepted(replica, two, 5));
    expect(sizes().at(-1)).toBe(1);
  });

  it('RAFT-43: an append carries at most appendEntriesMax, and no more are handed out at once to be applied', () => {
    const replica = replicaOf();
    lead(replica);
    receive(replica, accepted(replica, two, 1));
    replica.sent.length = 0;
    const { raft } = replica.host;
    for (let count = 0; count < appendEntriesMax + 1; count++) raft.propose(new Uint8Array());
    replica.host.turn();
    const appends = replica.sent.filter((message) => message.kind === 'append' && message.to === two);
    expect(appends.map((message) => (message.kind === 'append' ? message.entries.length : 0))).toEqual([
      appendEntriesMax,
      1,
    ]);
    raft.receive(accepted(replica, two, appendEntriesMax + 2));
    const first = raft.takeEffects();
    raft.persisted();
    const second = raft.takeEffects();
    expect([first, second].map(({ committed, hasMoreCommitted }) => [committed.length, hasMoreCommitted])).toEqual([
      [appendEntriesMax, true],
      [1, false],
    ]);
  });

  it('RAFT-44: an entry of logEntryBytesMax is taken, a larger one is a bug of the host', () => {
    const { raft } = replicaOf([one]).host;
    raft.campaign();
    expect(raft.propose(new Uint8Array(logEntryBytesMax))).toEqual({ index: 2, term: 1 });
    expect(() => raft.propose(new Uint8Array(logEntryBytesMax + 1))).toThrow(AssertionError);
  });

  it('RAFT-36: refuses a read beyond readsPendingMax, its own and a follower’s', () => {
    const replica = replicaOf();
    lead(replica);
    const { raft } = replica.host;
    for (let context = 1; context <= readsPendingMax; context++) raft.requestRead(context);
    expect(raft.takeEffects().refusedReads).toEqual([]);
    raft.requestRead(0);
    raft.receive({ from: two, to: one, term: raft.term, kind: 'readIndex', context: 5 });
    const { refusedReads, messages } = raft.takeEffects();
    expect(refusedReads).toEqual([0]);
    expect(messages).toEqual([{ from: one, to: two, term: 1, kind: 'readIndexReply', context: 5, index: null }]);
  });

  it('RAFT-45: knows how far each replica is', () => {
    const replica = replicaOf();
    expect(replica.host.raft.matchOf(one)).toBeNull();
    lead(replica);
    receive(replica, accepted(replica, two, 1));
    const { raft } = replica.host;
    expect([one, two, three, replicaId(9)].map((id) => raft.matchOf(id))).toEqual([1, 1, 0, null]);
  });

  it('RAFT-11: who rests and wakes gives its followers a whole time-out to answer', () => {
    const replica = replicaOf();
    lead(replica);
    for (const from of [two, three]) receive(replica, accepted(replica, from, 1));
    const { raft } = replica.host;
    raft.tick();
    for (const from of [two, three])
      receive(replica, { from, to: one, term: term(1), kind: 'heartbeatReply', round: 1 });
    for (let count = 0; count < 8; count++) raft.tick();
    raft.rest();
    raft.requestRead(1);
    for (let count = 0; count < 9; count++) raft.tick();
    expect(raft.role).toBe('leader');
    raft.tick();
    expect(raft.role).toBe('follower');
  });

  it('RAFT-4: followers that are as far get one and the same array of entries', () => {
    const replica = replicaOf();
    lead(replica);
    receive(replica, accepted(replica, two, 1), accepted(replica, three, 1));
    replica.sent.length = 0;
    replica.host.raft.propose(utf8('x'));
    replica.host.turn();
    const [first, second] = replica.sent.flatMap((message) => (message.kind === 'append' ? [message.entries] : []));
    expect(first).toHaveLength(1);
    expect(second).toBe(first);
  });

  it('RAFT-56: a follower whose next entries were truncated gets heartbeats and no entries', () => {
    const disk = new TruncatedDisk(4);
    disk.preset([1, 1, 1, 1, 1, 1], { term: 1, commit: 5 });
    const replica = replicaOf([one, two, three], disk);
    lead(replica);
    const rejection = { accepted: false, hintIndex: logIndex(1), hintTerm: term(1), round: 0 } as const;
    for (const rejectedIndex of [6, 4]) {
      const { term } = replica.host.raft;
      const at = { rejectedIndex: logIndex(rejectedIndex) };
      receive(replica, { from: two, to: one, term, kind: 'appendReply', ...rejection, ...at });
    }
    replica.sent.length = 0;
    for (let count = 0; count < 3; count++) replica.host.raft.tick();
    replica.host.turn();
    const toTwo = replica.sent.filter(({ to }) => to === two);
    const heartbeat = toTwo[0];
    expect(toTwo.map(({ kind }) => kind)).toEqual(['heartbeat']);
    const round = heartbeat?.kind === 'heartbeat' ? heartbeat.round : -1;
    receive(replica, { from: two, to: one, term: replica.host.raft.term, kind: 'heartbeatReply', round });
    expect(replica.sent.filter(({ to, kind }) => to === two && kind === 'append')).toEqual([]);
  });

  it('RAFT-46: an answer to a message of an earlier term confirms no round of this one', () => {
    const replica = replicaOf();
    receive(replica, { from: two, to: one, term: term(5), kind: 'heartbeat', commit: logIndex(0), round: 1 });
    replica.sent.length = 0;
    for (const kind of ['heartbeat', 'rest'] as const) {
      const late = { from: three, to: one, term: term(4), commit: logIndex(0) };
      receive(replica, kind === 'rest' ? { ...late, kind } : { ...late, kind, round: 77 });
    }
    receive(replica, { ...append([command(1, 4)], 0, three), round: 77 });
    expect(replica.sent).toEqual(
      Array.from({ length: 3 }, () => ({ from: one, to: three, term: 5, kind: 'heartbeatReply', round: 0 })),
    );
  });
});

describe('a replica', () => {
  const asksFor = { lastLogIndex: logIndex(9), lastLogTerm: term(1), urgent: false };

  it('RAFT-3: a vote that is not urgent is ignored by who hears a leader, and by the leader', () => {
    const replica = replicaOf();
    receive(replica, append([command(1, 1)], 0));
    replica.sent.length = 0;
    receive(replica, { from: three, to: one, term: term(2), kind: 'vote', ...asksFor });
    expect([replica.host.raft.term, replica.sent]).toEqual([1, []]);
    const leader = replicaOf();
    lead(leader);
    leader.sent.length = 0;
    receive(leader, { from: three, to: one, term: term(2), kind: 'vote', ...asksFor });
    expect([leader.host.raft.role, leader.sent]).toEqual(['leader', []]);
  });

  it('RAFT-12: a resting follower grants an ordinary pre-vote, though it heard from the leader just before', () => {
    const replica = replicaOf();
    receive(replica, append([command(1, 1)], 1));
    receive(replica, { from: two, to: one, term: term(1), kind: 'rest', commit: logIndex(1) });
    receive(replica, { from: three, to: one, term: term(2), kind: 'preVote', ...asksFor });
    expect(replica.sent.at(-1)).toMatchObject({ kind: 'preVoteReply', granted: true });
  });

  it('RAFT-1: who grants a vote gives the candidate a whole time-out', () => {
    const replica = replicaOf();
    const { raft } = replica.host;
    // The replica times out after 15 ticks. The vote is for the term that a heartbeat brought.
    receive(replica, { from: three, to: one, term: term(1), kind: 'voteReply', granted: false });
    for (let count = 0; count < 14; count++) raft.tick();
    receive(replica, { from: three, to: one, term: term(1), kind: 'vote', ...asksFor });
    expect(replica.sent.at(-1)).toMatchObject({ kind: 'voteReply', granted: true });
    for (let count = 0; count < 14; count++) raft.tick();
    expect(raft.role).toBe('follower');
    raft.tick();
    expect(raft.role).toBe('preCandidate');
  });

  it('RAFT-50: an append from before the start of the log is accepted: what was truncated is committed', () => {
    const disk = new TruncatedDisk(4);
    disk.preset([1, 1, 1, 1, 1, 1], { term: 1, commit: 5 });
    const replica = replicaOf([one, two, three], disk);
    receive(
      replica,
      append(
        [2, 3, 4, 5, 6, 7].map((index) => command(index, 1)),
        6,
      ),
    );
    expect(replica.sent.at(-1)).toMatchObject({ accepted: true, matchIndex: 7 });
    expect(replica.effects.flatMap(({ entries }) => entries.map(({ index }) => index))).toEqual([7]);
  });

  it('RAFT-47: writes its hard state for a new term or vote, and not because more is committed', () => {
    const replica = replicaOf();
    receive(replica, append([command(1, 1), command(2, 1)], 0));
    expect(replica.effects.flatMap(({ hardState }) => hardState ?? [])).toEqual([
      { term: 1, votedFor: null, commit: 0 },
    ]);
    receive(replica, { from: two, to: one, term: term(1), kind: 'heartbeat', commit: logIndex(2), round: 1 });
    expect(replica.effects.at(-1)?.committed).toHaveLength(2);
    expect(replica.effects.at(-1)?.hardState).toBeNull();
    const asked = { lastLogIndex: logIndex(2), lastLogTerm: term(1), urgent: true };
    receive(replica, { from: three, to: one, term: term(2), kind: 'vote', ...asked });
    expect(replica.effects.at(-1)?.hardState).toEqual({ term: 2, votedFor: 3, commit: 2 });
    expect(replica.sent.at(-1)).toMatchObject({ kind: 'voteReply', granted: true });
  });

  it('RAFT-48: sees no two leaders in a term', () => {
    const replica = replicaOf();
    receive(replica, append([command(1, 1)], 0, two));
    expect(() => replica.host.raft.receive(append([command(2, 1)], 0, three))).toThrow(AssertionError);
    const leader = replicaOf();
    lead(leader);
    expect(() => leader.host.raft.receive(append([command(1, 1)], 0, two))).toThrow(AssertionError);
  });

  it('RAFT-49: effects are taken again only after the former ones are on disk', () => {
    const { raft } = replicaOf([one]).host;
    raft.campaign();
    raft.takeEffects();
    expect(() => raft.takeEffects()).toThrow(AssertionError);
    raft.persisted();
    expect(() => raft.takeEffects()).not.toThrow();
  });

  it('RAFT-50: a repeated or overtaken append changes nothing, and is answered with all that matches', () => {
    const replica = replicaOf();
    const first = append([command(1, 1), command(2, 1), command(3, 1)], 3);
    receive(replica, first, append([command(4, 1)], 3));
    replica.effects.length = 0;
    receive(replica, first, append([command(2, 1)], 1));
    expect(replica.effects.flatMap(({ entries }) => entries)).toEqual([]);
    const matches = replica.sent.map((message) =>
      message.kind === 'appendReply' && message.accepted ? message.matchIndex : null,
    );
    expect(matches).toEqual([3, 4, 3, 3]);
    expect(replica.host.raft.lastIndex).toBe(4);
  });

  it('RAFT-50: an append that overlaps what is committed adds what is new', () => {
    const replica = replicaOf();
    receive(replica, append([command(1, 1), command(2, 1)], 2));
    receive(replica, append([command(2, 1), command(3, 1)], 3));
    expect([replica.host.raft.lastIndex, replica.host.disk.applied]).toEqual([3, 3]);
    expect(replica.sent.at(-1)).toMatchObject({ accepted: true, matchIndex: 3 });
  });

  it('RAFT-51: commits no further than the entries that it knows to match', () => {
    const disk = new Disk();
    disk.preset([1, 1, 1], { term: 1 });
    const replica = replicaOf([one, two, three], disk);
    receive(replica, { ...append([command(1, 1)], 3), term: term(2) });
    expect(replica.host.raft.commit).toBe(1);
  });

  it('RAFT-52: takes no answer to a question of its former self', () => {
    const questions = [0.25, 0.75].map((drawn) => {
      let isFirst = true;
      const random = (): number => {
        const result = isFirst ? drawn : 0.5;
        isFirst = false;
        return result;
      };
      const sent: Message[] = [];
      const options = { id: one, voters: [one, two, three], random, electionTimeoutTicks: 10, heartbeatTicks: 3 };
      const host = new Host({ ...options, send: (message) => void sent.push(message) });
      host.raft.receive(append([command(1, 1)], 1));
      host.raft.requestRead(1);
      host.turn();
      const asked = sent.flatMap((message) => (message.kind === 'readIndex' ? [message.context] : []));
      return { host, asked };
    });
    const [former, present] = questions;
    expect(former?.asked).toHaveLength(1);
    expect(present?.asked).not.toEqual(former?.asked);
    const context = former?.asked[0] ?? 0;
    present?.host.raft.receive({
      from: two,
      to: one,
      term: term(1),
      kind: 'readIndexReply',
      context,
      index: logIndex(1),
    });
    expect(present?.host.raft.takeEffects().reads).toEqual([]);
  });

  it('RAFT-53: hands out membership entries like any other', () => {
    const replica = replicaOf();
    const data = encodeConfiguration(withLearner(replica.host.raft.configuration, { location: 'weur', plan: null }));
    receive(replica, append([{ ...command(1, 1), kind: 'membership', data }], 1));
    expect(replica.effects.flatMap(({ committed }) => committed.map(({ kind }) => kind))).toEqual(['membership']);
  });

  it('RAFT-54: late answers do not wake a resting replica, a question does', () => {
    const replica = replicaOf();
    lead(replica);
    for (const from of [two, three]) receive(replica, accepted(replica, from, 1));
    replica.host.raft.tick();
    replica.host.turn();
    const reply = (from: ReplicaId, round: number): Message => ({
      from,
      to: one,
      term: term(1),
      kind: 'heartbeatReply',
      round,
    });
    receive(replica, reply(two, 1), reply(three, 1));
    replica.host.raft.rest();
    receive(replica, reply(two, 1), accepted(replica, three, 1));
    expect(replica.host.raft.resting).toBe(true);
    receive(replica, { from: two, to: one, term: term(1), kind: 'readIndex', context: 1 });
    expect(replica.host.raft.resting).toBe(false);
    expect(() => replica.host.raft.rest()).toThrow(AssertionError);
  });

  it('RAFT-55: who is not in the group never campaigns', () => {
    const replica = replicaOf([two, three]);
    for (let count = 0; count < 100; count++) replica.host.raft.tick();
    replica.host.raft.campaign();
    receive(replica, { from: two, to: one, term: term(0), kind: 'timeoutNow' });
    expect([replica.host.raft.role, replica.host.raft.term]).toEqual(['follower', 0]);
    // The replica asks whether it is a member at all, and sends a log that is behind every other.
    expect(replica.sent.length).toBeGreaterThan(0);
    for (const message of replica.sent)
      expect(message).toMatchObject({ kind: 'preVote', lastLogIndex: 0, lastLogTerm: 0 });
  });
});
