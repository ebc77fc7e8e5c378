// Decides whether the answers to clients can have come from one store that does one thing after the other, each between
// its call and its answer. It looks at calls and answers alone, and not at the log, whose order the other checkers
// trust. The search is Wing and Gong's with Lowe's memory ("Testing for linearizability", 2017), as in porcupine.
//
// Things that no client was told may have happened at any time after they were asked for, or never: writes that were
// given up, and ends of leases. A step that changes nothing is not tried, because it helps no other.

import type { ClientAction } from '../workloads/client-operation.ts';
import type { PlainOutcome, PlainPair, PlainRange } from '../models/plain.ts';
import { emptyState, endLease, read, type SequentialState, step } from '../models/sequential-store.ts';

/** The answer that a client got, as text is compared. Null: there was no answer. */
export type Told =
  | { readonly kind: 'write'; readonly outcome: PlainOutcome | { readonly kind: string; readonly revision: number } }
  | { readonly kind: 'read'; readonly revision: number; readonly answer: PlainRange | string }
  | { readonly kind: 'keepAlive'; readonly ttlSeconds: number | null };

export type HistoryEntry = {
  readonly name: string;
  readonly action: ClientAction;
  readonly calledMs: number;
  /** Infinity: the call was never answered. */
  readonly answeredMs: number;
  readonly told: Told | null;
};

export type Verdict =
  | { readonly kind: 'linearizable' }
  /** `stuck`: the operations that could not come next in the longest order that was found. */
  | { readonly kind: 'not'; readonly ordered: number; readonly stuck: readonly HistoryEntry[] }
  /** The search was given up. */
  | { readonly kind: 'undecided' };

/** The number of steps that were tried. A right history takes little more than one for each operation. */
const usualTriesMax = 20_000;

export function linearize(history: readonly HistoryEntry[], triesMax = usualTriesMax): Verdict {
  return new Search(
    history.toSorted((left, right) => left.calledMs - right.calledMs),
    triesMax,
  ).run();
}

type Node = {
  readonly state: SequentialState;
  /** The operations that may come next and were not tried yet, the last one first. */
  readonly options: Option[];
  /** The operation that led here. Null: this is the start, or a lease ended. */
  readonly by: number | null;
};
type Option = { readonly state: SequentialState; readonly by: number | null };

class Search {
  readonly #history: readonly HistoryEntry[];
  readonly #isDone: boolean[];
  /** All operations before this one are done. */
  #first = 0;
  #open: number;
  #tries = 0;
  readonly #triesMax: number;
  readonly #seen = new Set<string>();
  /** By pair: how many answers of operations that are not done show it. Until there are none the pair must not end. */
  readonly #awaited = new Map<string, number>();
  /** By lease: how many such answers need it. A lease whose id may be granted again is not here. */
  readonly #needed = new Map<string, number>();
  readonly #shows: readonly (readonly string[])[];
  readonly #needs: readonly (string | null)[];
  #best: { readonly ordered: number; readonly stuck: readonly HistoryEntry[] } = { ordered: -1, stuck: [] };

  constructor(history: readonly HistoryEntry[], triesMax: number) {
    this.#history = history;
    this.#triesMax = triesMax;
    this.#isDone = history.map(() => false);
    this.#open = history.filter(({ told }) => told !== null).length;
    const granted = timesGranted(history);
    this.#shows = history.map(pairsShown);
    this.#needs = history.map((entry) => {
      const id = leaseNeeded(entry);
      return id !== null && granted.get(id) === 1 ? id : null;
    });
    for (const place of history.keys()) this.#awaitAnswer(place, 1);
  }

  run(): Verdict {
    const path: Node[] = [this.#node(emptyState, null)];
    for (;;) {
      if (this.#open === 0) return { kind: 'linearizable' };
      if (this.#tries > this.#triesMax) return { kind: 'undecided' };
      const node = path.at(-1);
      if (node === undefined) return { kind: 'not', ...this.#best };
      const option = node.options.pop();
      if (option === undefined) {
        path.pop();
        this.#undo(node.by);
        continue;
      }
      this.#do(option.by);
      const place = this.#placeOf(option.state);
      if (this.#seen.has(place)) {
        this.#undo(option.by);
        continue;
      }
      this.#seen.add(place);
      path.push(this.#node(option.state, option.by));
    }
  }

  /**
   * An operation that changes nothing and may come now comes before all others, which forbids nothing. Every answer
   * says at which revision it was given, so an operation whose answer tells that it makes the next revision cannot wait
   * for another that makes one.
   */
  #node(state: SequentialState, by: number | null): Node {
    const candidates = this.#candidates();
    const told: Option[] = [];
    const untold: Option[] = [];
    for (const place of candidates) {
      const entry = this.#history[place];
      if (entry === undefined) continue;
      this.#tries++;
      const after = stateAfter(state, entry);
      if (after === null) continue;
      if (entry.told === null) {
        if (after !== state && !this.#losesAwaited(state, after)) untold.push({ state: after, by: place });
      } else if (after === state) return { state, by, options: [{ state, by: place }] };
      else told.push({ state: after, by: place });
    }
    for (const id of state.leases) {
      if ((this.#needed.get(id) ?? 0) > 0) continue;
      const after = endLease(state, id);
      if (!this.#losesAwaited(state, after)) untold.push({ state: after, by: null });
    }
    if (told.length === 0) this.#noteStuck(candidates);
    const makesRevision = (option: Option): boolean => option.state.revision > state.revision;
    const [makers, others] = [told.filter(makesRevision), told.filter((option) => !makesRevision(option))];
    const unseen = makers.length === 0 ? untold : untold.filter((option) => !makesRevision(option));
    return { state, by, options: [...unseen, ...others, ...makers] };
  }

  #noteStuck(candidates: readonly number[]): void {
    const ordered = this.#isDone.filter(Boolean).length;
    if (ordered <= this.#best.ordered) return;
    const stuck = candidates.flatMap((place) => this.#history[place] ?? []).filter((entry) => entry.told !== null);
    this.#best = { ordered, stuck };
  }

  /** The operations that were called before any other open operation was answered. */
  #candidates(): number[] {
    const candidates: number[] = [];
    let answeredMs = Number.POSITIVE_INFINITY;
    for (let place = this.#first; place < this.#history.length; place++) {
      const entry = this.#history[place];
      if (entry === undefined || this.#isDone[place] === true) continue;
      if (entry.calledMs > answeredMs) break;
      answeredMs = Math.min(answeredMs, entry.answeredMs);
      candidates.push(place);
    }
    return candidates;
  }

  #do(place: number | null): void {
    if (place === null) return;
    this.#isDone[place] = true;
    this.#awaitAnswer(place, -1);
    if (this.#history[place]?.told !== null) this.#open--;
    while (this.#isDone[this.#first] === true) this.#first++;
  }

  #undo(place: number | null): void {
    if (place === null) return;
    this.#isDone[place] = false;
    this.#awaitAnswer(place, 1);
    if (this.#history[place]?.told !== null) this.#open++;
    this.#first = Math.min(this.#first, place);
  }

  #awaitAnswer(place: number, by: 1 | -1): void {
    for (const pair of this.#shows[place] ?? []) this.#awaited.set(pair, (this.#awaited.get(pair) ?? 0) + by);
    const lease = this.#needs[place] ?? null;
    if (lease !== null) this.#needed.set(lease, (this.#needed.get(lease) ?? 0) + by);
  }

  /** A pair ends that an answer still has to show. */
  #losesAwaited({ pairs: before }: SequentialState, { pairs: after }: SequentialState): boolean {
    if (before === after) return false;
    for (const [key, pair] of before) {
      if (after.get(key) !== pair && (this.#awaited.get(nameOf(pair)) ?? 0) > 0) return true;
    }
    return false;
  }

  /** The operations that are done, and what the store holds after them. */
  #placeOf(state: SequentialState): string {
    const done = this.#isDone.slice(this.#first).map(Number).join('');
    const { words, past } = contentsOf(state);
    return `${this.#first} ${done} ${state.compacted} ${[...state.leases].sort().join(' ')} ${past} ${words}`;
  }
}

/** The pairs as text, and those of all earlier revisions, which may be read, as a number. */
type Contents = { readonly words: string; readonly past: number };
const known = new WeakMap<SequentialState['pairs'], Contents>();

function contentsOf({ pairs, before }: SequentialState): Contents {
  const already = known.get(pairs);
  if (already !== undefined) return already;
  const words = [...pairs.values()].map((pair) => Object.values(pair).join(' ')).sort();
  const earlier = before === null ? null : contentsOf(before);
  const made = { words: words.join('|'), past: earlier === null ? 0 : mixed(earlier.past, earlier.words) };
  known.set(pairs, made);
  return made;
}

/** FNV-1a. */
function mixed(hash: number, text: string): number {
  let mix = hash ^ 0x811c9dc5;
  for (let place = 0; place < text.length; place++) mix = Math.imul(mix ^ text.charCodeAt(place), 0x01000193);
  return mix >>> 0;
}

/** Null: the client was told something else. */
function stateAfter(state: SequentialState, { action, told }: HistoryEntry): SequentialState | null {
  if (action.kind === 'write') {
    const after = step(state, action.operation);
    return told === null || isSameOutcome(after.outcome, told) ? after.state : null;
  }
  if (told === null) return state;
  if (action.kind === 'read') {
    const seen = read(state, action.request);
    const isSame = told.kind === 'read' && told.revision === seen.revision && text(told.answer) === text(seen.answer);
    return isSame ? state : null;
  }
  if (action.kind !== 'keepAlive' || told.kind !== 'keepAlive') return null;
  return state.leases.has(String(action.id)) === (told.ttlSeconds !== null) ? state : null;
}

function isSameOutcome(outcome: PlainOutcome, told: Told): boolean {
  if (told.kind !== 'write' || told.outcome.revision !== outcome.revision) return false;
  // Of a retry whose first answer was too large to be kept, only the revision is known.
  return told.outcome.kind === 'appliedBefore' || text(told.outcome) === text(outcome);
}

function text(value: unknown): string {
  return JSON.stringify(value);
}

export function entryInWords({ name, action, told }: HistoryEntry): string {
  return `${name} ${action.kind === 'write' ? action.operation.kind : action.kind} told ${text(told)}`;
}

/** The pairs that were current when the operation was done. The pairs that a transaction wrote itself are left out. */
function pairsShown({ action, told }: HistoryEntry): readonly string[] {
  if (told === null) return [];
  if (action.kind === 'read') {
    const isOfThePast = action.request.revision > 0 || told.kind !== 'read' || typeof told.answer === 'string';
    // Without values and leases a pair may still be told from others by its revision.
    return isOfThePast ? [] : told.answer.kvs.map(nameOf);
  }
  if (told.kind !== 'write' || !('previous' in told.outcome)) return [];
  const { previous } = told.outcome;
  return (Array.isArray(previous) ? previous : [previous]).flatMap((pair) => (isPair(pair) ? [nameOf(pair)] : []));
}

function isPair(value: unknown): value is PlainPair {
  return typeof value === 'object' && value !== null && 'mod' in value;
}

function nameOf({ key, mod }: PlainPair): string {
  return `${mod} ${key}`;
}

/** The lease that must have existed. */
function leaseNeeded({ action, told }: HistoryEntry): string | null {
  if (action.kind === 'keepAlive')
    return told?.kind === 'keepAlive' && told.ttlSeconds !== null ? String(action.id) : null;
  if (action.kind !== 'write' || told?.kind !== 'write') return null;
  const { operation } = action;
  if (operation.kind === 'put' && told.outcome.kind === 'put') return String(operation.request.lease);
  if (operation.kind === 'leaseRevoke' && told.outcome.kind === 'done') return String(operation.id);
  return null;
}

/** Leases by id. A grant without an answer may have had any id. */
function timesGranted(history: readonly HistoryEntry[]): ReadonlyMap<string, number> {
  const times = new Map<string, number>();
  const isUnknown = history.some(({ action, told }) => {
    return told === null && action.kind === 'write' && action.operation.kind === 'leaseGrant';
  });
  if (isUnknown) return times;
  for (const { told } of history) {
    if (told?.kind !== 'write' || !('id' in told.outcome)) continue;
    times.set(told.outcome.id, (times.get(told.outcome.id) ?? 0) + 1);
  }
  return times;
}
