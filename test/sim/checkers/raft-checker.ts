// The five safety properties of Raft (Ongaro's dissertation, figure 3.2), and two rules that imply much of them,
// observed from outside: roles and terms after every input, the log of each replica as it is durable, and what leaves a
// replica.
//
// What a replica believes before its disk has it is no fact yet: the output gate keeps it from everybody. So logs,
// votes and commits are judged when they are durable or when a message that tells of them leaves.

import type { ReplicaId } from '../../../src/model/brands.ts';
import type { Message, Role } from '../../../src/raft/types.ts';
import type { SqlPort } from '../../../src/base/sql-port.ts';
import { type Configuration, decodeConfiguration } from '../../../src/raft/configuration.ts';
import type { RunningDriver } from '../platform/code.ts';
import { logBase, type LogRow, logRows, sameRow, termOnDisk } from '../platform/durable-log.ts';
import { check } from '../trace.ts';

/** What the checkers see of a running replica. */
export type Observed = { readonly id: ReplicaId; readonly driver: RunningDriver; readonly database: SqlPort };

type View = {
  readonly role: Role;
  readonly term: number;
  readonly commit: number;
  readonly last: number;
  readonly lastTerm: number;
};
type Disk = {
  /** The term at each index; index 0 is before the log. */
  readonly terms: number[];
  applied: number;
  term: number;
};
type Electorate = { readonly index: number; readonly term: number; readonly voters: readonly ReplicaId[] };
type Leader = { readonly replica: ReplicaId; readonly terms: readonly number[] };

export class RaftChecker {
  /** The voters, from an index on, of each configuration that was ever appended. */
  readonly #electorates: Electorate[];
  /** The rows that a replica has written since they were last judged. A truncation may delete them before that. */
  readonly #written = new Map<ReplicaId, Map<number, LogRow>>();
  readonly #views = new Map<ReplicaId, View>();
  readonly #disks = new Map<ReplicaId, Disk>();
  readonly #leaders = new Map<number, Leader>();
  readonly #votes = new Map<string, ReplicaId>();
  /** Each entry that was ever durable, and the term of the entry before it. */
  readonly #entries = new Map<string, { readonly row: LogRow; readonly previousTerm: number }>();
  /** The log that the group has agreed on; position 0 is index 1. */
  readonly committed: LogRow[] = [];
  /** The commit indexes that leaders reached in the term of the entry there. */
  readonly #committedByLeaders = new Set<string>();
  /** By index: a term in which, or before which, the entry was committed. */
  readonly #committedIn: number[] = [];
  #spokeBy: Configuration | null = null;
  /** The newest committed configuration. Null: that of the founders. */
  configuration: Configuration | null = null;

  constructor(founders: readonly ReplicaId[]) {
    this.#electorates = [{ index: 0, term: 0, voters: founders }];
    for (const id of founders) this.joined(id);
  }

  /** Adds a replica with an empty disk. */
  joined(id: ReplicaId): void {
    this.#disks.set(id, { terms: [0], applied: 0, term: 0 });
  }

  /** The disk of a founder holds the log with which its group begins. */
  founded(id: ReplicaId, database: SqlPort): void {
    const disk = this.#diskOf(id);
    for (const row of logRows(database, 0)) this.#matches(id, disk, row);
  }

  /** Called after every input. */
  observe({ id, driver, database }: Observed): void {
    const { role, term, commit, lastIndex: last } = driver.raft;
    const before = this.#views.get(id);
    if (before === undefined || before.last !== last || before.term !== term) this.#noteWritten(id, database);
    if (
      before !== undefined &&
      before.term === term &&
      before.last === last &&
      before.role === role &&
      before.commit === commit
    )
      return;
    const lastTerm = termAt(database, last);
    this.#views.set(id, { role, term, commit, last, lastTerm });
    // A leader may tell in a later term what it committed in its own, before it is applied anywhere.
    if (role === 'leader' && commit > this.committed.length && termAt(database, commit) === term) {
      this.#committedByLeaders.add(`${commit}/${term}`);
    }
    if (before !== undefined) {
      check(term >= before.term, 'terms never fall', () => `replica ${id} went from term ${before.term} to ${term}`);
      check(commit >= before.commit, 'commits never fall', () => `replica ${id}: from ${before.commit} to ${commit}`);
    }
    if (role !== 'leader') return;
    if (before === undefined || before.role !== 'leader' || before.term !== term) this.#elected(id, term, database);
    else this.#stillLeads(id, before, { last, term, commit }, database);
  }

  /** The instance of the replica has ended; the next one starts from the disk. */
  stopped(id: ReplicaId): void {
    this.#views.delete(id);
    this.#written.delete(id);
  }

  /**
   * Everything in the replica's database is durable. Returns the entries that were not known to be committed before.
   */
  durable({ id, driver, database }: Observed): LogRow[] {
    const disk = this.#diskOf(id);
    const { term } = driver.raft;
    check(term >= disk.term, 'terms never fall', () => `replica ${id} stored term ${term} after ${disk.term}`);
    disk.term = term;
    const rows = this.#rowsSince(id, disk, database);
    disk.terms.length = disk.applied + 1;
    for (const row of rows) this.#matches(id, disk, row);
    this.#written.delete(id);
    const applied: number = driver.store.appliedIndex;
    const fresh: LogRow[] = [];
    for (const row of rows) {
      if (row.index > applied) break;
      const known = this.committed[row.index - 1];
      if (known === undefined) fresh.push(row);
      else
        check(sameRow(known, row), 'state machine safety', () => `replica ${id} applied another entry at ${row.index}`);
    }
    disk.applied = Math.max(disk.applied, applied);
    check(
      disk.applied < disk.terms.length,
      'log',
      () => `replica ${id} applied ${applied}, which its log does not hold`,
    );
    const last = fresh.at(-1);
    if (last !== undefined) this.#committed(fresh, last, term);
    return fresh;
  }

  /** A leader speaks. No disk shows yet by which configuration it counts. */
  speaks({ role, configuration, lastIndex, term }: RunningDriver['raft']): void {
    if (role === 'leader' && configuration !== this.#spokeBy) {
      this.#spokeBy = configuration;
      this.#noteElectorate({ index: lastIndex, term, voters: configuration.voters });
    }
  }

  /** Messages leave a replica. What they say must be true from now on. */
  released(messages: readonly Message[]): void {
    for (const message of messages) this.#released(message);
  }

  #released(message: Message): void {
    if (message.kind === 'voteReply' && message.granted) this.#voted(message.from, message.term, message.to);
    if (message.kind === 'vote') this.#voted(message.from, message.term, message.from);
    if (message.kind === 'append' || message.kind === 'heartbeat') this.#tellsCommit(message);
  }

  /** The commit index as the disk says it, also while the replica is not in memory. */
  appliedOf(id: ReplicaId): number {
    return this.#diskOf(id).applied;
  }

  /** The last entry of the replica's log that a quorum of disks holds, of whatever term. */
  heldByQuorum(id: ReplicaId): number {
    const { terms } = this.#diskOf(id);
    for (let index = terms.length - 1; index > 0; index--) {
      const term = terms[index];
      if (term !== undefined && this.#isHeld(index, term)) return index;
    }
    return 0;
  }

  /** Checks, at the end, the whole logs and not only their new parts. */
  compareLogs(id: ReplicaId, database: SqlPort, applied: number): void {
    const rows = logRows(database, 0);
    for (const row of rows.filter(({ index }) => index <= applied)) {
      const known = this.committed[row.index - 1];
      check(
        known !== undefined && sameRow(known, row),
        'state machine safety',
        () => `replica ${id} has another entry ${row.index}`,
      );
    }
  }

  #elected(id: ReplicaId, term: number, database: SqlPort): void {
    const other = this.#leaders.get(term);
    // A group of one may lead the same term again: everything that it did before its disk wrote never happened.
    const isAlone = this.#settledAt(this.committed.length).voters.length === 1;
    check(other === undefined || (isAlone && other.replica === id), 'election safety', () => {
      return `replicas ${other?.replica} and ${id} both lead term ${term}`;
    });
    const base = logBase(database);
    const before = this.committed.slice(0, base.index).map((row) => row.term);
    const terms = [0, ...before, ...logRows(database, base.index).map((row) => row.term)];
    this.#leaders.set(term, { replica: id, terms });
    for (const row of this.committed) {
      if ((this.#committedIn[row.index] ?? 0) >= term) continue;
      check(terms[row.index] === row.term, 'leader completeness', () => {
        return `replica ${id} leads term ${term} without the committed entry ${row.index} of term ${row.term}`;
      });
    }
  }

  #stillLeads(
    id: ReplicaId,
    before: View,
    now: { last: number; term: number; commit: number },
    database: SqlPort,
  ): void {
    check(now.last >= before.last && termAt(database, before.last) === before.lastTerm, 'leader append-only', () => {
      return `replica ${id} leads term ${now.term} and its log went from ${before.last} to ${now.last}`;
    });
    check(now.commit === before.commit || termAt(database, now.commit) === now.term, 'commit of the own term', () => {
      return `replica ${id} leads term ${now.term} and commits ${now.commit}, an entry of term ${termAt(database, now.commit)}`;
    });
  }

  /**
   * Log matching: by induction it is enough that equal index and term mean an equal entry and an equal term before it.
   */
  #matches(id: ReplicaId, disk: Disk, row: LogRow): void {
    check(row.index === disk.terms.length, 'log', () => `replica ${id} has a gap before entry ${row.index}`);
    const previousTerm = disk.terms[row.index - 1] ?? 0;
    disk.terms.push(row.term);
    const name = `${row.index}/${row.term}`;
    const known = this.#entries.get(name);
    if (known === undefined) this.#entries.set(name, { row, previousTerm });
    else {
      check(known.previousTerm === previousTerm && sameRow(known.row, row), 'log matching', () => {
        return `replica ${id} holds another entry ${name} than was seen before`;
      });
    }
  }

  #committed(fresh: readonly LogRow[], last: LogRow, term: number): void {
    check(fresh[0]?.index === this.committed.length + 1, 'log', () => `entries up to ${last.index} leave a gap`);
    this.committed.push(...fresh);
    for (const row of fresh) {
      this.#committedIn[row.index] = term;
      if (row.kind === 'membership') this.configuration = decodeConfiguration(row.data);
    }
    check(this.#isHeld(last.index, last.term), 'commit by a durable quorum', () => {
      const holders = this.#holders(last.index, last.term);
      return `entry ${last.index} of term ${last.term} is committed and durable on ${holders.join(' ') || 'no replica'}`;
    });
    for (const [leaderTerm, leader] of this.#leaders) {
      if (leaderTerm <= term) continue;
      check(leader.terms[last.index] === last.term, 'leader completeness', () => {
        return `entry ${last.index} is committed in term ${term}; replica ${leader.replica} leads ${leaderTerm} without it`;
      });
    }
  }

  #voted(voter: ReplicaId, term: number, candidate: ReplicaId): void {
    const name = `${voter} in ${term}`;
    const before = this.#votes.get(name);
    check(
      before === undefined || before === candidate,
      'one vote a term',
      () => `replica ${name}: ${before}, then ${candidate}`,
    );
    this.#votes.set(name, candidate);
  }

  /** A leader may tell of a commit before its own disk knows of it, but not before a quorum of disks has the entry. */
  #tellsCommit(message: Extract<Message, { kind: 'append' | 'heartbeat' }>): void {
    const { from, commit } = message;
    if (commit <= this.committed.length) return;
    const term = this.#diskOf(from).terms[commit];
    check(term !== undefined && this.#isHeld(commit, term), 'commit by a durable quorum', () => {
      return `replica ${from} tells that ${commit} is committed; its term there is ${term}; it is held by ${this.#holders(commit, term ?? 0).join(' ')}`;
    });
    // A heartbeat's commit stops at what the follower has, which may be of an earlier term.
    if (message.kind === 'heartbeat' || this.#views.get(from)?.term !== message.term) return;
    if (this.#committedByLeaders.has(`${commit}/${term}`)) return;
    check(term === message.term, 'commit of the own term', () => {
      return `replica ${from} tells in term ${message.term} that ${commit} of term ${term} is committed`;
    });
  }

  /** A majority of the voters at the index, or by a configuration that came after it, has the entry on disk. */
  #isHeld(index: number, term: number): boolean {
    const isHeldBy = (voters: readonly ReplicaId[]): boolean => {
      const holders = voters.filter((id) => this.#disks.get(id)?.terms[index] === term);
      return holders.length > voters.length / 2;
    };
    const settled = this.#settledAt(index);
    if (isHeldBy(settled.voters)) return true;
    return this.#electorates.some((one) => one.index > settled.index && isHeldBy(one.voters));
  }

  #noteWritten(id: ReplicaId, database: SqlPort): void {
    const written = this.#written.get(id) ?? new Map<number, LogRow>();
    this.#written.set(id, written);
    for (const row of logRows(database, this.#diskOf(id).applied)) {
      if (row.kind === 'membership' && written.get(row.index)?.term !== row.term) {
        const { voters } = decodeConfiguration(row.data);
        this.#noteElectorate({ index: row.index, term: row.term, voters });
      }
      written.set(row.index, row);
    }
  }

  /**
   * A leader counts by the newest configuration that it has appended, durable or not: majorities of neighbouring
   * configurations always meet.
   */
  #noteElectorate(seen: Electorate): void {
    const isKnown = this.#electorates.some(
      ({ index, term, voters }) => index === seen.index && term === seen.term && voters.join() === seen.voters.join(),
    );
    if (isKnown) return;
    this.#electorates.push(seen);
    this.#electorates.sort((left, right) => left.index - right.index);
  }

  /**
   * Begins at the first entry that this replica's disk had not applied. What a snapshot brought was committed
   * elsewhere.
   */
  #rowsSince(id: ReplicaId, disk: Disk, database: SqlPort): readonly LogRow[] {
    const base = logBase(database);
    const written = this.#written.get(id);
    const truncated: LogRow[] = [];
    for (let index = disk.applied + 1; index <= base.index; index++) {
      // An entry that was durable before, and was applied and cut since.
      const earlier = this.#entries.get(`${index}/${disk.terms[index]}`)?.row;
      const row = this.committed[index - 1] ?? written?.get(index) ?? earlier;
      check(row !== undefined, 'log', () => `replica ${id} begins its log after ${base.index}; ${index} is nowhere`);
      truncated.push(row);
    }
    const last = truncated.at(-1);
    check(last === undefined || last.term === base.term, 'log matching', () => {
      return `replica ${id} says that entry ${base.index} is of term ${base.term}, not ${last?.term}`;
    });
    return [...truncated, ...logRows(database, Math.max(disk.applied, base.index))];
  }

  #holders(index: number, term: number): ReplicaId[] {
    return [...this.#disks].filter(([, disk]) => disk.terms[index] === term).map(([id]) => id);
  }

  /** The newest configuration up to there that is committed; others may be taken back. */
  #settledAt(index: number): Electorate {
    const isCommitted = (one: Electorate): boolean =>
      one.index === 0 || this.committed[one.index - 1]?.term === one.term;
    const settled = this.#electorates.findLast((one) => one.index <= index && isCommitted(one));
    check(settled !== undefined, 'log', () => 'nobody founded the group');
    return settled;
  }

  #diskOf(id: ReplicaId): Disk {
    const disk = this.#disks.get(id);
    check(disk !== undefined, 'network', () => `replica ${id} is not of the group`);
    return disk;
  }
}

function termAt(database: SqlPort, index: number): number {
  const base = logBase(database);
  if (index === base.index) return base.term;
  return termOnDisk(database, index) ?? 0;
}
