// Everything that ever happened to a store, revision by revision, as it was read from the store at the end. Tells the
// state at any revision, and whether this is a history at all.

import { type Pair, short, type Violation } from '../checkers/history.ts';

export type TruthEvent = {
  readonly type: 'put' | 'delete';
  /** The pair of a delete has the key, and the revision as `mod`; the rest is empty or 0. */
  readonly pair: Pair;
  /** The pair before the event. Null: there was none. */
  readonly previous: Pair | null;
};

export type TruthRevision = { readonly revision: number; readonly events: readonly TruthEvent[] };

export class Truth {
  readonly #events: ReadonlyMap<number, readonly TruthEvent[]>;
  /** The versions of each key, in the order of revisions. Null: from there on there is none. */
  readonly #versions = new Map<string, { readonly mod: number; readonly pair: Pair | null }[]>();
  /** The store's revision before the first of these revisions, and after the last. */
  readonly first: number;
  readonly last: number;

  /** `first`: the revision of a store to which nothing happened. */
  constructor(revisions: readonly TruthRevision[], first = 1) {
    this.first = first;
    this.last = revisions.at(-1)?.revision ?? first;
    this.#events = new Map(revisions.map(({ revision, events }) => [revision, events]));
    for (const { events } of revisions) {
      for (const { type, pair } of events) {
        const versions = this.#versions.get(pair.key) ?? [];
        versions.push({ mod: pair.mod, pair: type === 'put' ? pair : null });
        this.#versions.set(pair.key, versions);
      }
    }
  }

  /** The events in their order. None: the revision is not one of these. */
  eventsOf(revision: number): readonly TruthEvent[] {
    return this.#events.get(revision) ?? [];
  }

  pairAt(key: string, revision: number): Pair | null {
    const versions = this.#versions.get(key) ?? [];
    let [low, high] = [0, versions.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((versions[middle]?.mod ?? 0) <= revision) low = middle + 1;
      else high = middle;
    }
    return versions[low - 1]?.pair ?? null;
  }

  /** All pairs at a revision, by key. */
  pairsAt(revision: number): Pair[] {
    const pairs = [...this.#versions.keys()].sort().map((key) => this.pairAt(key, revision));
    return pairs.filter((pair) => pair !== null);
  }
}

/** Checks that each revision stands once and in order, and that each event follows from those before. */
export function checkTruth(revisions: readonly TruthRevision[], first = 1): Violation[] {
  const violations: string[] = [];
  const pairs = new Map<string, Pair>();
  let last = first;
  for (const { revision, events } of revisions) {
    if (revision !== last + 1) violations.push(`revision ${revision} comes after ${last}`);
    if (events.length === 0) violations.push(`revision ${revision} has no events`);
    last = revision;
    const touched = new Set<string>();
    for (const event of events) {
      const { key } = event.pair;
      if (touched.has(key)) violations.push(`revision ${revision} changes ${key} twice`);
      touched.add(key);
      const fault = faultOf(event, revision, pairs.get(key) ?? null);
      if (fault !== null) violations.push(`revision ${revision}: ${fault}`);
      if (event.type === 'put') pairs.set(key, event.pair);
      else pairs.delete(key);
    }
  }
  return violations.map((what) => ({ rule: 'truth', what, operations: [] }));
}

function faultOf({ type, pair, previous }: TruthEvent, revision: number, before: Pair | null): string | null {
  const { key, mod, create, version } = pair;
  if (mod !== revision) return `${key} has mod revision ${mod}`;
  if (!isSamePair(previous, before))
    return `${key} was ${pairInWords(before)}, and is said to have been ${pairInWords(previous)}`;
  if (type === 'delete') return before === null ? `${key} is deleted and was not there` : null;
  const [expectedCreate, expectedVersion] = [before?.create ?? revision, (before?.version ?? 0) + 1];
  if (create === expectedCreate && version === expectedVersion) return null;
  return `${key} is ${pairInWords(pair)}, after ${pairInWords(before)}`;
}

export function isSamePair(left: Pair | null, right: Pair | null): boolean {
  if (left === null || right === null) return left === right;
  return (
    left.key === right.key &&
    left.value === right.value &&
    left.create === right.create &&
    left.mod === right.mod &&
    left.version === right.version &&
    left.lease === right.lease
  );
}

export function pairInWords(pair: Pair | null): string {
  if (pair === null) return 'absent';
  const { value, create, mod, version } = pair;
  return `${short(value)} at ${mod}, version ${version}, created at ${create}`;
}
