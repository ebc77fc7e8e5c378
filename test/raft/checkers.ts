// The five safety properties of Raft (§3.2, figure 3.2), and the promise of reads, checked from outside while replicas
// run. The checkers know only the public interface of the core, and the disks.

import type { LogIndex, ReplicaId, Term } from '../../src/model/brands.ts';
import { textOf } from '../../src/base/bytes.ts';
import type { Effects, Entry } from '../../src/raft/types.ts';
import type { Host } from './host.ts';

class Violation extends Error {
  override readonly name = 'Violation';
}

function check(condition: boolean, property: string, detail: string): asserts condition {
  if (!condition) throw new Violation(`${property}: ${detail}`);
}

/**
 * A log up to an entry as one number. Two logs are the same up to that entry if and only if their numbers are equal.
 */
type History = number;

/** The log of a leader when it was last looked at. */
type Led = { readonly term: Term; readonly last: LogIndex; readonly history: History };
type Committed = { readonly history: History; readonly term: Term };

export class Checkers {
  readonly #histories = new Map<string, History>();
  /** Entries by index and term. */
  readonly #entries = new Map<string, History>();
  readonly #leaders = new Map<Term, ReplicaId>();
  readonly #led = new Map<ReplicaId, Led>();
  /** Committed entries by index, with the term in which a leader was first seen to have committed the entry. */
  readonly #committed = new Map<number, Committed>();
  readonly #applied = new Map<number, History>();
  readonly #logs = new Map<ReplicaId, History[]>();
  readonly #readsFrom = new Map<string, LogIndex>();
  #highestCommit = 0;

  /** Called after each write. */
  wrote(host: Host, effects: Effects): void {
    const log = this.#logOf(host);
    const first = effects.entries[0];
    if (first !== undefined) log.length = first.index;
    for (const entry of effects.entries) this.#logMatching(entry, log);
    for (const entry of effects.committed) this.#stateMachineSafety(host, entry, log);
    for (const { context, index } of effects.reads) this.#linearizable(host, context, index);
    for (const context of effects.refusedReads) this.#settle(host, context);
  }

  /** Called after each turn. */
  looked(host: Host): void {
    const { raft } = host;
    if (raft.role !== 'leader') {
      this.#led.delete(host.id);
      return;
    }
    const log = this.#logOf(host);
    const known = this.#leaders.get(raft.term) ?? host.id;
    check(known === host.id, 'election safety', `${known} and ${host.id} lead term ${raft.term}`);
    this.#leaders.set(raft.term, host.id);
    const led = this.#led.get(host.id);
    if (led?.term === raft.term) {
      const kept = raft.lastIndex >= led.last && log[led.last] === led.history;
      check(kept, 'leader append-only', `${host.id} in term ${raft.term} changed its log up to ${led.last}`);
    } else {
      this.#leaderCompleteness(host, log);
    }
    this.#led.set(host.id, { term: raft.term, last: raft.lastIndex, history: log[raft.lastIndex] ?? -1 });
    for (let index = raft.commit; index > 0 && !this.#committed.has(index); index--) {
      this.#committed.set(index, { history: log[index] ?? -1, term: raft.term });
    }
    this.#highestCommit = Math.max(this.#highestCommit, raft.commit);
  }

  asked(host: Host, context: number): void {
    this.#readsFrom.set(`${host.id}/${context}`, this.#highestCommit as LogIndex);
  }

  /** A question that a crashed instance asked is never answered. */
  crashed(host: Host): void {
    this.#led.delete(host.id);
    for (const key of this.#readsFrom.keys()) if (key.startsWith(`${host.id}/`)) this.#readsFrom.delete(key);
  }

  get readsOpen(): number {
    return this.#readsFrom.size;
  }

  #logMatching(entry: Entry, log: History[]): void {
    const before = log[entry.index - 1];
    check(before !== undefined, 'log matching', `a hole before ${entry.index}`);
    const content = `${before}/${entry.term}/${entry.kind}/${textOf(entry.data)}`;
    let history = this.#histories.get(content);
    if (history === undefined) this.#histories.set(content, (history = this.#histories.size + 1));
    const name = `${entry.index}@${entry.term}`;
    const known = this.#entries.get(name) ?? history;
    check(known === history, 'log matching', `two logs have ${name} and differ up to it`);
    this.#entries.set(name, history);
    log.push(history);
  }

  #stateMachineSafety(host: Host, entry: Entry, log: History[]): void {
    const history = log[entry.index] ?? -1;
    const known = this.#applied.get(entry.index) ?? history;
    check(known === history, 'state machine safety', `${host.id} applies another entry at ${entry.index}`);
    this.#applied.set(entry.index, history);
  }

  #leaderCompleteness(host: Host, log: History[]): void {
    for (const [index, committed] of this.#committed) {
      if (committed.term >= host.raft.term) continue;
      const complete = log[index] === committed.history;
      check(complete, 'leader completeness', `${host.id} leads term ${host.raft.term} without the committed ${index}`);
    }
  }

  #linearizable(host: Host, context: number, index: LogIndex): void {
    const from = this.#settle(host, context);
    check(index >= from, 'linearizable reads', `${host.id} reads at ${index} what was asked after ${from}`);
    check(index <= host.disk.applied, 'linearizable reads', `${host.id} reads at ${index} before it is applied`);
  }

  #settle(host: Host, context: number): LogIndex {
    const from = this.#readsFrom.get(`${host.id}/${context}`);
    check(from !== undefined, 'reads are settled once', `${host.id} settles read ${context} again`);
    this.#readsFrom.delete(`${host.id}/${context}`);
    return from;
  }

  #logOf(host: Host): History[] {
    let log = this.#logs.get(host.id);
    if (log === undefined) this.#logs.set(host.id, (log = [0]));
    return log;
  }
}
