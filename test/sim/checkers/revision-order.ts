// Compares a history of clients with everything that happened to the store, by the revisions that answers carry. This
// is stronger than the search for an order, which may choose one. Every acknowledged write is there under its own
// revision, nothing is there that nobody may have done, reads show exactly the state at their revision, and revisions
// go forward with time.

import {
  type Answered,
  type Input,
  inWords,
  isAnswered,
  type Operation,
  type SeenPair,
  short,
  type Violation,
} from './history.ts';
import { pairInWords, type Truth, type TruthEvent } from '../models/truth.ts';

export function checkRevisions(history: readonly Operation[], truth: Truth): Violation[] {
  return new RevisionOrder(history, truth).check();
}

/**
 * The history with the outcomes of its lost writes: those that took place have their revision, and may have been
 * answered at the end; those that did not are left out. What is read of `truth` is all that there will ever be.
 */
export function resolveLost(history: readonly Operation[], truth: Truth): Operation[] {
  const revisions = new RevisionOrder(history, truth).revisionsOfLost();
  const times = history.flatMap(({ call, outcome }) => (outcome.kind === 'lost' ? [call] : [outcome.return]));
  const end = times.reduce((latest, time) => Math.max(latest, time), 0);
  return history.flatMap((operation): Operation[] => {
    if (operation.outcome.kind !== 'lost') return [operation];
    const revision = revisions.get(operation);
    if (revision === undefined) return [];
    const answer = { held: true, revision, deleted: null, pairs: [] };
    return [{ ...operation, outcome: { kind: 'answered', return: end, answer } }];
  });
}

class RevisionOrder {
  readonly #history: readonly Operation[];
  readonly #truth: Truth;
  readonly #violations: Violation[] = [];
  /** The operation that made each revision. */
  readonly #owners = new Map<number, Operation>();
  readonly #lost = new Matching<number, Operation>();
  readonly #floors: Floors;

  constructor(history: readonly Operation[], truth: Truth) {
    this.#history = history;
    this.#truth = truth;
    this.#floors = new Floors(history.filter(isAnswered));
  }

  check(): Violation[] {
    for (const operation of this.#history) {
      if (isAnswered(operation)) this.#checkAnswer(operation);
    }
    this.#checkOwners();
    return this.#violations;
  }

  revisionsOfLost(): ReadonlyMap<Operation, number> {
    this.check();
    return this.#lost.leftOf;
  }

  #checkAnswer(operation: Answered): void {
    const { input } = operation;
    const { answer } = operation.outcome;
    const { revision } = answer;
    if (revision > this.#truth.last)
      return this.#fail('acknowledged', `the store ends at ${this.#truth.last}`, operation);
    const changes = answer.held ? this.#changesOf(operation) : [];
    const before = changes.length > 0 ? revision - 1 : revision;
    this.#checkTime(operation, changes.length > 0);
    this.#checkConditions(operation, before);
    if (changes.length > 0) this.#own(operation, changes);
    if (answer.held) this.#checkDeleted(operation, changes, before);
    for (const [place, seen] of answer.pairs.entries()) this.#checkPair(operation, input.reads[place] ?? '', seen);
  }

  /**
   * The answer that nothing was deleted is of an operation that made no revision: the revision that it names is another
   * operation's.
   */
  #changesOf({ input, outcome: { answer } }: Answered): Change[] {
    const isBare = answer.deleted === 0 && input.writes.every(({ kind }) => kind === 'delete');
    return isBare ? [] : changesOf(input, this.#truth, answer.revision);
  }

  #checkDeleted(operation: Answered, changes: readonly Change[], before: number): void {
    const { deleted } = operation.outcome.answer;
    const keys = operation.input.writes.flatMap(({ kind, key }) => (kind === 'delete' ? [key] : []));
    const there = keys.filter((key) => this.#truth.pairAt(key, before) !== null).length;
    if (deleted === null || (deleted === there && (there === 0 || changes.length > 0))) return;
    this.#fail('answer', `at revision ${before} ${there} of these keys were there to be deleted`, operation);
  }

  /** An operation that was over before the call began comes before it. */
  #checkTime(operation: Answered, changes: boolean): void {
    const { revision } = operation.outcome.answer;
    const floor = this.#floors.at(operation.call);
    if (operation.input.serializable || floor === null) return;
    if (revision > floor.revision || (!changes && revision === floor.revision)) return;
    const what = `revision ${floor.revision} was told before it began`;
    this.#fail('real-time order', what, operation, floor.operation);
  }

  #checkConditions(operation: Answered, before: number): void {
    const { when } = operation.input;
    const mods = when.map(({ key }) => this.#truth.pairAt(key, before)?.mod ?? 0);
    const held = when.every(({ mod }, place) => mod === mods[place]);
    if (held === operation.outcome.answer.held) return;
    this.#fail('conditions', `at revision ${before} the keys are at ${mods.join(', ')}`, operation);
  }

  /** The revision is exactly what the operation wrote, and no other operation's. */
  #own(operation: Answered, changes: readonly Change[]): void {
    const { revision } = operation.outcome.answer;
    const events = this.#truth.eventsOf(revision);
    if (!isSameChange(changes, events)) {
      return this.#fail('acknowledged', `revision ${revision} is ${eventsInWords(events)}`, operation);
    }
    const other = this.#owners.get(revision);
    if (other !== undefined) this.#fail('own revision', `revision ${revision} was told to two`, operation, other);
    this.#owners.set(revision, operation);
  }

  #checkPair(operation: Answered, key: string, seen: SeenPair | null): void {
    const { revision } = operation.outcome.answer;
    const pair = this.#truth.pairAt(key, revision);
    const isRight =
      pair === null || seen === null
        ? pair === seen
        : pair.mod === seen.mod &&
          (seen.value ?? pair.value) === pair.value &&
          (seen.create ?? pair.create) === pair.create &&
          (seen.version ?? pair.version) === pair.version;
    if (!isRight) this.#fail('read of one revision', `at ${revision} ${key} is ${pairInWords(pair)}`, operation);
  }

  /**
   * A revision that nobody was told must be a lost write's. Each lost write is applied at most once, after it was asked
   * for.
   */
  #checkOwners(): void {
    const lost = this.#history.filter(({ input, outcome }) => outcome.kind === 'lost' && input.writes.length > 0);
    for (let revision = this.#truth.first + 1; revision <= this.#truth.last; revision++) {
      if (this.#owners.has(revision)) continue;
      const makers = lost.filter((operation) => this.#mayHaveMade(operation, revision));
      if (!this.#lost.add(revision, makers)) this.#checkOwnerless(revision);
    }
  }

  /** A revision that was told before an operation was asked for is not that operation's. */
  #mayHaveMade({ call, input }: Operation, revision: number): boolean {
    return revision > (this.#floors.at(call)?.revision ?? 0) && canMake(input, this.#truth, revision);
  }

  #checkOwnerless(revision: number): void {
    const events = this.#truth.eventsOf(revision);
    const same = this.#history.filter(({ input }) => canMake(input, this.#truth, revision));
    const refused = same.some(({ outcome }) => outcome.kind === 'refused') && !same.some(isAnswered);
    const [rule, why] = refused
      ? ['refused never appears', 'it was refused']
      : same.length > 0
        ? ['applied once', 'whoever wrote this wrote it elsewhere, or had not asked for it yet']
        : ['no write from nowhere', 'nobody wrote this'];
    const what = `revision ${revision} is ${eventsInWords(events)}: ${why}`;
    this.#violations.push({ rule, what: [what, ...same.map(inWords)].join('\n  '), operations: same });
  }

  #fail(rule: string, what: string, ...operations: readonly Operation[]): void {
    this.#violations.push({ rule, what: [what, ...operations.map(inWords)].join('\n  '), operations });
  }
}

/** The highest revision that anybody was told, over time. */
class Floors {
  readonly #floors: { readonly at: number; readonly revision: number; readonly operation: Answered }[] = [];

  constructor(answered: readonly Answered[]) {
    const inOrder = answered.toSorted((left, right) => left.outcome.return - right.outcome.return);
    for (const operation of inOrder) {
      const { revision } = operation.outcome.answer;
      if (revision <= (this.#floors.at(-1)?.revision ?? -1)) continue;
      this.#floors.push({ at: operation.outcome.return, revision, operation });
    }
  }

  /** The revision that was told before that time. Null: none was. */
  at(time: number): { readonly revision: number; readonly operation: Answered } | null {
    let [low, high] = [0, this.#floors.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#floors[middle]?.at ?? 0) < time) low = middle + 1;
      else high = middle;
    }
    return this.#floors[low - 1] ?? null;
  }
}

/** Matches each left element with a right one of its own, as far as possible (augmenting paths). */
class Matching<Left, Right> {
  readonly #rightsOf = new Map<Left, readonly Right[]>();
  readonly leftOf = new Map<Right, Left>();

  /** False: there is no right element for it, whatever the others take. */
  add(left: Left, rights: readonly Right[]): boolean {
    this.#rightsOf.set(left, rights);
    return this.#match(left, new Set());
  }

  #match(left: Left, tried: Set<Right>): boolean {
    for (const right of this.#rightsOf.get(left) ?? []) {
      if (tried.has(right)) continue;
      tried.add(right);
      const other = this.leftOf.get(right);
      if (other !== undefined && !this.#match(other, tried)) continue;
      this.leftOf.set(right, left);
      return true;
    }
    return false;
  }
}

type Change = { readonly type: 'put' | 'delete'; readonly key: string; readonly value: string };

/**
 * What these writes change in the state before `revision`. A revision that is the transaction's own has nothing else.
 */
function changesOf({ writes }: Input, truth: Truth, revision: number): Change[] {
  const wrote = writes.some(({ kind }) => kind === 'put');
  // Deletes alone make a revision only if there is something to delete: the key existed, and exists no more.
  const before = (key: string) => truth.pairAt(key, revision - 1) !== null && truth.pairAt(key, revision) === null;
  return writes.flatMap((write): Change[] => {
    if (write.kind === 'put') return [{ type: 'put', key: write.key, value: write.value }];
    const existed = wrote ? truth.pairAt(write.key, revision - 1) !== null : before(write.key);
    return existed ? [{ type: 'delete', key: write.key, value: '' }] : [];
  });
}

function canMake(input: Input, truth: Truth, revision: number): boolean {
  if (!isSameChange(changesOf(input, truth, revision), truth.eventsOf(revision))) return false;
  return input.when.every(({ key, mod }) => (truth.pairAt(key, revision - 1)?.mod ?? 0) === mod);
}

function isSameChange(changes: readonly Change[], events: readonly TruthEvent[]): boolean {
  return (
    changes.length > 0 &&
    changes.length === events.length &&
    changes.every(({ type, key, value }, place) => {
      const event = events[place];
      return event?.type === type && event.pair.key === key && event.pair.value === value;
    })
  );
}

function eventsInWords(events: readonly TruthEvent[]): string {
  const words = events.map(({ type, pair }) =>
    type === 'put' ? `put ${pair.key}=${short(pair.value)}` : `delete ${pair.key}`,
  );
  return words.join(', ') || 'not there';
}
