// The model of a store whose keys have revisions, for the search for an order: what a transaction does, and whether it
// can have given its answer. A write whose answer was lost and whose value nobody read has no known revision: a name
// stands for it, and the first answer that shows it tells the revision.

import type { Answer, Input, SeenPair } from '../checkers/history.ts';
import type { Model } from '../checkers/order-search.ts';

/** The write took place without an answer, unseen. `name` is its own. */
export type Step = { readonly input: Input; readonly answer: Answer | null; readonly name: number };

/** `mod` and `create` below 0 are names of revisions that nobody has seen. */
type Version = { readonly value: string; readonly mod: number; readonly create: number; readonly version: number };

export type StoreState = {
  readonly pairs: ReadonlyMap<string, Version>;
  /** The highest revision that an answer has shown. */
  readonly revision: number;
  /** The revision that the named revision is above. */
  readonly names: ReadonlyMap<number, number>;
};

/** `taken`: revisions of which the history shows which operation made them. No other write can have made them. */
export function versionedStore(taken: ReadonlySet<number>): Model<StoreState, Step> {
  const store = new VersionedStore(taken);
  return {
    initial: { pairs: new Map(), revision: 0, names: new Map() },
    step: (state, { input, answer, name }) =>
      answer === null ? store.stepUnseen(state, input, name) : store.stepAnswered(state, input, answer),
    keyOf,
    // A write comes before all operations that saw its revision and did not make it.
    rankOf: ({ input, answer }) => (answer === null ? 0 : 2 * answer.revision + (surelyChanges(input, answer) ? 0 : 1)),
    canFollow: (state, { input }) => store.canFollow(state, input),
    unasked: () => [],
    shows: () => [],
    ended: () => [],
  };
}

function keyOf({ pairs, revision, names }: StoreState): string {
  const keys = [...pairs].map(([key, { value, mod, create, version }]) =>
    [key, value, mod, create, version].join('\0'),
  );
  const bounds = [...names].map(([name, above]) => `${name}>${above}`);
  return [revision, ...keys.sort(), ...bounds.sort()].join('\u0001');
}

export function surelyChanges({ writes }: Input, { held, deleted }: Answer): boolean {
  return held && (writes.some(({ kind }) => kind === 'put') || (deleted ?? 0) > 0);
}

class VersionedStore {
  readonly #taken: ReadonlySet<number>;

  constructor(taken: ReadonlySet<number>) {
    this.#taken = taken;
  }

  stepAnswered(before: StoreState, input: Input, answer: Answer): StoreState | null {
    const conditioned = answer.held ? this.#withConditions(before, input.when) : maybeWithout(before, input.when);
    if (conditioned === null || answer.revision < conditioned.revision) return null;
    const writes = answer.held ? input.writes : [];
    const changes = changesOf(conditioned, writes);
    if (changes.changed && answer.revision === conditioned.revision) return null;
    if (answer.held && answer.deleted !== null && answer.deleted !== changes.deleted) return null;
    const written = writeAt({ ...conditioned, revision: answer.revision }, writes, answer.revision);
    return this.#withAnswers(written, input.reads, answer.pairs);
  }

  /**
   * The write took place and changed something; otherwise it might as well not have taken place. Nothing is required of
   * its revision but to be above those of its keys, so it can be placed where it first matters, whatever happened to
   * other keys meanwhile.
   */
  stepUnseen(before: StoreState, input: Input, name: number): StoreState | null {
    const state = this.#withConditions(before, input.when);
    if (state === null || !changesOf(state, input.writes).changed) return null;
    const above = input.writes.map(({ key }) => {
      const mod = state.pairs.get(key)?.mod ?? 0;
      return state.names.get(mod) ?? mod;
    });
    const names = new Map(state.names).set(name, Math.max(...above));
    return writeAt({ ...state, names }, input.writes, name);
  }

  /** Whether the conditions of the operation may hold in a state that follows. */
  canFollow(state: StoreState, { when }: Input): boolean {
    return when.every(({ key, mod }) => {
      const isPast = mod !== 0 && mod <= state.revision && this.#taken.has(mod);
      return !isPast || state.pairs.get(key)?.mod === mod;
    });
  }

  /** The state in which all conditions hold. Null: they cannot hold. */
  #withConditions(before: StoreState, when: Input['when']): StoreState | null {
    let state: StoreState | null = before;
    for (const { key, mod } of when) {
      const current: number = state.pairs.get(key)?.mod ?? 0;
      state = current === mod ? state : mod === 0 ? null : this.#withName(state, current, mod);
      if (state === null) return null;
    }
    return state;
  }

  #withAnswers(before: StoreState, reads: Input['reads'], seen: Answer['pairs']): StoreState | null {
    let state: StoreState | null = before;
    for (const [place, pair] of seen.entries()) {
      state = this.#withAnswer(state, reads[place] ?? '', pair);
      if (state === null) return null;
    }
    return state;
  }

  #withAnswer(state: StoreState, key: string, seen: SeenPair | null): StoreState | null {
    const current = state.pairs.get(key);
    if (current === undefined || seen === null) return current === undefined && seen === null ? state : null;
    if (seen.value !== null && seen.value !== current.value) return null;
    if (seen.version !== null && seen.version !== current.version) return null;
    const known = current.mod === seen.mod ? state : this.#withName(state, current.mod, seen.mod);
    if (known === null || seen.create === null) return known;
    const create = known.pairs.get(key)?.create ?? 0;
    return create === seen.create ? known : this.#withName(known, create, seen.create);
  }

  /**
   * The name `held` is now known to stand for `revision`, which is not above that of the answer. Null: `held` is no
   * name, or cannot stand for it.
   */
  #withName(state: StoreState, held: number, revision: number): StoreState | null {
    const above = state.names.get(held);
    if (above === undefined || revision <= above || this.#taken.has(revision)) return null;
    const names = new Map(state.names);
    names.delete(held);
    const known = (value: number): number => (value === held ? revision : value);
    const pairs = new Map(
      [...state.pairs].map(([key, pair]) => [key, { ...pair, mod: known(pair.mod), create: known(pair.create) }]),
    );
    return { ...state, pairs, names };
  }
}

function changesOf(
  { pairs }: StoreState,
  writes: Input['writes'],
): { readonly changed: boolean; readonly deleted: number } {
  const deleted = writes.filter(({ kind, key }) => kind === 'delete' && pairs.has(key)).length;
  return { changed: deleted > 0 || writes.some(({ kind }) => kind === 'put'), deleted };
}

function writeAt(state: StoreState, writes: Input['writes'], mod: number): StoreState {
  if (writes.length === 0) return state;
  const pairs = new Map(state.pairs);
  for (const write of writes) {
    const { key } = write;
    const before = pairs.get(key);
    if (write.kind === 'delete') pairs.delete(key);
    else
      pairs.set(key, { value: write.value, mod, create: before?.create ?? mod, version: (before?.version ?? 0) + 1 });
  }
  return { ...state, pairs, names: stillUsed(state.names, pairs) };
}

function stillUsed(names: StoreState['names'], pairs: StoreState['pairs']): StoreState['names'] {
  if (names.size === 0) return names;
  const used = new Set([...pairs.values()].flatMap(({ mod, create }) => [mod, create]));
  return new Map([...names].filter(([name]) => used.has(name)));
}

/**
 * The state in which not all conditions hold. Null: they all hold. A revision that nobody has seen may be another one.
 */
function maybeWithout(state: StoreState, when: Input['when']): StoreState | null {
  return when.every(({ key, mod }) => (state.pairs.get(key)?.mod ?? 0) === mod) ? null : state;
}
