// The entries that are committed and not applied yet. Each turn applies as many of them as it may. Point operations
// stay in memory until they are flushed. Every other entry is a barrier: what is before it is flushed, and it is
// written through. An entry that deletes very many keys is applied in steps, of which each has a turn to itself, and an
// entry with a command that throws is applied without that command (`careful-apply.ts`). The driver decides what an
// entry means to its waiting callers.

import { unreachable } from '../base/assert.ts';
import { MalformedBytesError } from '../base/binary.ts';
import type { NotPromise, SqlPort } from '../base/sql-port.ts';
import { turnValueBytesMax, unflushedBytesMax } from '../limits.ts';
import type { LogIndex } from '../model/brands.ts';
import type { Command, RevisionEvents } from '../model/store.ts';
import { type AppliedCarefully, applyOrUndo, applyToMemoryOrUndo, type UndoneCommand } from '../mvcc/careful-apply.ts';
import { isPointOperation } from '../mvcc/point-operations.ts';
import { decodeCommands, UnknownCommandVersion } from '../mvcc/codec/command-codec.ts';
import type { Applied, Store } from '../mvcc/store.ts';
import type { Work } from '../mvcc/work-estimate.ts';
import { type Configuration, decodeConfiguration } from '../raft/configuration.ts';
import type { Entry } from '../raft/types.ts';
import type { LogBounds } from './log-truncation.ts';
import type { Proposal, Write } from './proposals.ts';

/** Something that the end of a turn does: it answers a caller, or tells a listener. */
export type Answer = () => void;

/** `proposal`: the writes that wait here for the entry; null: no writes wait. */
type CommandEntry = {
  readonly kind: 'command';
  readonly entry: Entry;
  readonly commands: readonly Command[];
  readonly proposal: Proposal | null;
  /** All commands are point operations. */
  readonly isPlain: boolean;
};
type CommittedEntry = CommandEntry | { readonly kind: 'noop' | 'membership'; readonly entry: Entry };

/** The commands of an entry, applied in steps. */
type Steps = Generator<void, Applied, void>;
type StepTaken = IteratorResult<void, Applied>;

/** `events`: of all entries that were applied; null: there are more than memory may hold, and history tells them. */
export type TurnOfEntries = { readonly events: readonly RevisionEvents[] | null; readonly answers: readonly Answer[] };

type Written = {
  events: RevisionEvents[] | null;
  readonly answers: Answer[];
  /** How many of the entries were applied. */
  applied: number;
  /** The work of this turn so far. */
  work: Work;
  /** The steps of the first entry that is left; null: none of its steps was taken. */
  steps: Steps | null;
};

function lastStep(value: Applied): StepTaken {
  return { done: true, value };
}

export type CommittedEntriesOptions = {
  readonly sql: SqlPort;
  readonly store: Store;
  readonly bounds: Pick<LogBounds, 'turnRowsMax' | 'deleteStepRows' | 'unflushedVersionsMax'>;
  /**
   * Below level 5 an entry up to this index may be the one that ended the instance before this one: a throw is looked
   * out for.
   */
  readonly carefulThrough: LogIndex;
  /** Takes the writes that wait here for the entry from among the proposals; null: no writes wait for it. */
  readonly takeProposal: (entry: Entry) => Proposal | null;
  /** Called inside the turn that applies the entry. What it adds to `answers` is done when the turn ends. */
  readonly applied: (entry: CommandEntry, applied: Applied, answers: Answer[]) => void;
  readonly configured: (configuration: Configuration, answers: Answer[]) => void;
  readonly undone: (command: UndoneCommand) => void;
};

function arePlain(commands: readonly Command[]): boolean {
  return commands.every(({ operation }) => isPointOperation(operation));
}

/** What is before the entry has its rows when the entry is applied, which is written through. */
function isBarrier(committed: CommittedEntry): boolean {
  // A membership, too: so no replay puts an older configuration in the place of a newer one on disk.
  return committed.kind === 'command' ? !committed.isPlain : committed.kind === 'membership';
}

function unchanged(applied: Applied): Applied {
  return applied;
}

const noWork: Work = { rows: 0, valueBytes: 0 };

export class CommittedEntries {
  readonly #options: CommittedEntriesOptions;
  #entries: readonly CommittedEntry[] = [];
  /** The steps of the first entry; null: none of its steps was taken. */
  #steps: Steps | null = null;
  #turnWork = noWork;

  constructor(options: CommittedEntriesOptions) {
    this.#options = options;
  }

  get isEmpty(): boolean {
    return this.#entries.length === 0;
  }

  /** The writes that wait for these entries. */
  get writes(): readonly Write[] {
    return this.#entries.flatMap((each) => (each.kind === 'command' ? (each.proposal?.writes ?? []) : []));
  }

  beginTurn(): void {
    this.#turnWork = noWork;
  }

  /** This turn has applied as much as one turn may: other work comes before the next entry. */
  get turnIsFull(): boolean {
    return this.#isFull(this.#turnWork);
  }

  /** Null: all of these entries can be applied. Otherwise the replica must halt at one, and the answer says why. */
  add(committed: readonly Entry[]): string | null {
    if (committed.length === 0) return null;
    const entries = [...this.#entries];
    let fault: string | null = null;
    for (const entry of committed) {
      const decoded = this.#decode(entry);
      if (typeof decoded === 'string') {
        fault = decoded;
        break;
      }
      entries.push(decoded);
    }
    this.#entries = entries;
    return fault;
  }

  /** Runs `persist`, and applies as many entries as this turn may. A throw ends the instance: see `SqlPort.turn`. */
  apply(persist: () => void): TurnOfEntries {
    const written = this.#options.sql.turn(() => {
      persist();
      return this.#applyAll();
    });
    this.#entries = this.#entries.slice(written.applied);
    this.#steps = written.steps;
    this.#turnWork = written.work;
    return written;
  }

  /** This instance applies no more entries. The answer is the writes that wait for them. */
  takeWrites(): readonly Write[] {
    const { writes } = this;
    this.#entries = [];
    return writes;
  }

  /** A text: the entry cannot be applied, and this is why. */
  #decode(entry: Entry): CommittedEntry | string {
    const { kind } = entry;
    if (kind !== 'command') return { kind, entry };
    const proposal = this.#options.takeProposal(entry);
    try {
      const commands = proposal?.commands ?? decodeCommands(entry.data);
      return { kind, entry, commands, proposal, isPlain: arePlain(commands) };
    } catch (error) {
      // Of what is malformed nobody knows what it was to do: to pass over it would leave the group's state.
      if (!(error instanceof UnknownCommandVersion || error instanceof MalformedBytesError)) throw error;
      const cannot = error instanceof MalformedBytesError ? 'is malformed' : 'cannot be applied by this version';
      return `log entry ${entry.index} ${cannot}: ${error.message}`;
    }
  }

  #isFull({ rows, valueBytes }: Work): boolean {
    return rows > this.#options.bounds.turnRowsMax || valueBytes > turnValueBytesMax;
  }

  #applyAll(): Written {
    const written: Written = { events: [], answers: [], applied: 0, work: this.#turnWork, steps: null };
    for (const each of this.#entries) {
      if (this.#isFull(written.work)) break;
      if (isBarrier(each)) this.#options.store.flush();
      const isFirst = written.applied === 0;
      const steps = this.#stepsOf(each, isFirst);
      if (steps !== null) {
        if (isFirst && each.kind === 'command') this.#step(each, steps, written);
        break;
      }
      const more = this.#applyEntry(each, written);
      const { rows, valueBytes } = written.work;
      written.work = { rows: rows + more.rows, valueBytes: valueBytes + more.valueBytes };
      written.applied++;
    }
    return written;
  }

  /** null: the entry is applied at once. */
  #stepsOf(committed: CommittedEntry, isFirst: boolean): Steps | null {
    if (committed.kind !== 'command') return null;
    if (isFirst && this.#steps !== null) return this.#steps;
    const { entry, commands } = committed;
    return this.#options.store.applyInSteps(entry.index, commands, this.#options.bounds.deleteStepRows);
  }

  /**
   * Takes one step, which has the turn to itself. Steps that earlier turns have written cannot be undone. If the first
   * step throws, nothing was written, and the entry is applied at once.
   */
  #step(committed: CommandEntry, steps: Steps, written: Written): void {
    written.work = { rows: Infinity, valueBytes: Infinity };
    const go = (): StepTaken => steps.next();
    const { isUnderWay } = this.#options.store;
    const step = isUnderWay ? go() : this.#orUndone(committed, written.answers, go, lastStep);
    if (step.done === true) {
      this.#applied(committed, step.value, written);
      written.applied++;
    } else written.steps = steps;
  }

  #applyEntry(committed: CommittedEntry, written: Written): Work {
    const { entry } = committed;
    const { store, configured } = this.#options;
    switch (committed.kind) {
      case 'noop':
        store.skip(entry.index);
        return noWork;
      case 'membership':
        store.skip(entry.index);
        configured(decodeConfiguration(entry.data), written.answers);
        return noWork;
      case 'command': {
        const applied = this.#applyCommands(committed, written.answers);
        this.#applied(committed, applied, written);
        return applied.work;
      }
      default:
        return unreachable(committed);
    }
  }

  #applyCommands(committed: CommandEntry, answers: Answer[]): Applied {
    const { entry, commands, isPlain } = committed;
    const { store, carefulThrough } = this.#options;
    if (isPlain && store.mayWait) {
      if (this.#isMuchUnflushed) store.flush();
      return this.#settle(applyToMemoryOrUndo(this.#options, { index: entry.index, commands }), answers, unchanged);
    }
    const apply = (): Applied => store.apply(entry.index, commands);
    const isUsual = isPlain && entry.index > carefulThrough;
    return isUsual ? apply() : this.#orUndone(committed, answers, apply, unchanged);
  }

  /** Nobody has flushed at the bound. */
  get #isMuchUnflushed(): boolean {
    const { store, bounds } = this.#options;
    const { versions, bytes } = store.unflushed;
    return versions > 2 * bounds.unflushedVersionsMax || bytes > 2 * unflushedBytesMax;
  }

  #orUndone<Result>(
    { entry, commands }: CommandEntry,
    answers: Answer[],
    apply: () => NotPromise<Result>,
    resultOf: (applied: Applied) => Result,
  ): Result {
    return this.#settle(applyOrUndo(this.#options, { index: entry.index, commands }, apply), answers, resultOf);
  }

  #settle<Result>(
    done: { readonly result: Result } | AppliedCarefully,
    answers: Answer[],
    resultOf: (applied: Applied) => Result,
  ): Result {
    if ('result' in done) return done.result;
    for (const command of done.undone) answers.push(() => this.#options.undone(command));
    return resultOf(done.applied);
  }

  #applied(committed: CommandEntry, applied: Applied, written: Written): void {
    if (applied.events === null) written.events = null;
    else for (const revision of applied.events) written.events?.push(revision);
    this.#options.applied(committed, applied, written.answers);
  }
}
