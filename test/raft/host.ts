// A host of the core for tests: a disk in memory, and the effects run in the order that `Effects` asks for. It can stop
// between any two steps, as a crash does.

import { assert } from '../../src/base/assert.ts';
import { logIndex, term, type LogIndex, type ReplicaId, type Term } from '../../src/model/brands.ts';
import { emptyBytes } from '../../src/base/bytes.ts';
import { appendEntriesMax } from '../../src/limits.ts';
import { Raft } from '../../src/raft/raft.ts';
import { foundingConfiguration, withLearner } from '../../src/raft/configuration.ts';
import type {
  Effects,
  Entry,
  HardState,
  LogReader,
  Message,
  RaftOptions,
  StoredConfiguration,
} from '../../src/raft/types.ts';

/** What survives a crash. */
export class Disk implements LogReader {
  hardState: HardState = { term: term(0), votedFor: null, commit: logIndex(0) };
  applied: LogIndex = logIndex(0);
  readonly log: Entry[] = [];
  /** How often the core looked at entries or terms on disk. */
  reads = 0;

  base(): { readonly index: LogIndex; readonly term: Term } {
    return { index: logIndex(0), term: term(0) };
  }

  lastIndex(): LogIndex {
    return logIndex(this.log.length);
  }

  configurations(): readonly StoredConfiguration[] {
    return this.log.filter(({ kind }) => kind === 'membership').map(({ index, data }) => ({ index, data }));
  }

  term(index: LogIndex): Term {
    this.reads += 1;
    return index === 0 ? term(0) : this.#at(index).term;
  }

  entries(first: LogIndex, last: LogIndex, bytesMax: number): Entry[] {
    this.reads += 1;
    const found: Entry[] = [];
    let bytes = 0;
    for (let index: number = first; index <= last; index++) {
      const entry = this.#at(index);
      bytes += entry.data.byteLength;
      if (bytes > bytesMax && found.length > 0) break;
      found.push(entry);
    }
    return found;
  }

  /** Everything is written in one transaction, as the effects ask. */
  write(effects: Pick<Effects, 'hardState' | 'entries' | 'committed'>): void {
    const { hardState, entries, committed } = effects;
    if (hardState !== null) this.hardState = hardState;
    const first = entries[0];
    if (first !== undefined) {
      assert(first.index <= this.log.length + 1, 'entries leave a hole on disk');
      assert(first.index > this.applied, 'an applied entry is replaced on disk');
      this.log.splice(first.index - 1, Infinity, ...entries);
    }
    for (const entry of committed) {
      assert(entry.index === this.applied + 1, 'entries are not applied in order');
      assert(this.#at(entry.index).term === entry.term, 'what is applied is not what is on disk');
      this.applied = entry.index;
    }
  }

  /** Makes a log from its terms alone, for tests that begin in the middle of a story. */
  preset(terms: readonly number[], state: { readonly term: number; readonly commit?: number }): void {
    for (const [place, entryTerm] of terms.entries()) {
      this.log.push({ index: logIndex(place + 1), term: term(entryTerm), kind: 'command', data: emptyBytes });
    }
    const commit = logIndex(state.commit ?? 0);
    this.hardState = { term: term(state.term), votedFor: null, commit };
    this.applied = commit;
  }

  #at(index: number): Entry {
    const entry = this.log[index - 1];
    assert(entry !== undefined, `nothing on disk at ${index}`);
    return entry;
  }
}

export type Step = 'early' | 'write' | 'send' | 'done';
export const steps: readonly Step[] = ['early', 'write', 'send', 'done'];

export type HostOptions = {
  readonly id: ReplicaId;
  readonly voters: readonly ReplicaId[];
  /** The group has one learner beside the voters, under the id that follows theirs. */
  readonly withLearner?: boolean;
  readonly random: () => number;
  readonly electionTimeoutTicks: number;
  readonly heartbeatTicks: number;
  readonly appendEntriesMax?: number;
  readonly send: (message: Message) => void;
  /** Called after each write, when what the effects hold is on disk. */
  readonly onEffects?: (host: Host, effects: Effects) => void;
};

export class Host {
  readonly id: ReplicaId;
  #disk: Disk;
  readonly #options: HostOptions;
  #raft: Raft;

  constructor(options: HostOptions, disk: Disk = new Disk()) {
    this.id = options.id;
    this.#disk = disk;
    this.#options = options;
    this.#raft = new Raft(this.#raftOptions());
  }

  get raft(): Raft {
    return this.#raft;
  }

  get disk(): Disk {
    return this.#disk;
  }

  /** Runs effects until none are left. False: a crash before `stopAt` ended it. */
  turn(stopAt?: Step): boolean {
    while (this.#raft.hasEffects) {
      const effects = this.#raft.takeEffects();
      if (stopAt === 'early') return false;
      for (const message of effects.early) this.#options.send(message);
      if (stopAt === 'write') return false;
      this.disk.write(effects);
      this.#options.onEffects?.(this, effects);
      if (stopAt === 'send') return false;
      for (const message of effects.messages) this.#options.send(message);
      if (stopAt === 'done') return false;
      this.#raft.persisted();
    }
    return true;
  }

  /** The replica crashes: its memory is lost, and its disk is not. */
  restart(): void {
    this.#raft = new Raft(this.#raftOptions());
  }

  /** Memory and disk are lost: the replica comes back as it was when it joined. */
  loseDisk(): void {
    this.#disk = new Disk();
    this.restart();
  }

  #raftOptions(): RaftOptions {
    const { id, voters, random, electionTimeoutTicks, heartbeatTicks } = this.#options;
    const entriesMax = this.#options.appendEntriesMax ?? appendEntriesMax;
    const { hardState, applied } = this.disk;
    const founders = foundingConfiguration(voters.map((voter) => ({ id: voter, location: '' })));
    const hasLearner = this.#options.withLearner === true;
    const founding = hasLearner ? withLearner(founders, { location: '', plan: null }) : founders;
    return {
      id,
      founding,
      hardState,
      log: this.disk,
      applied,
      random,
      electionTimeoutTicks,
      heartbeatTicks,
      appendEntriesMax: entriesMax,
    };
  }
}
