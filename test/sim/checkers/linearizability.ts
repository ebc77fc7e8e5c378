// Decides whether the answers to clients can have come from one store that does one thing after the other, each between
// its call and its answer. It looks at calls and answers alone, and not at the log, whose order the other checkers
// trust. The search is Wing and Gong's with Lowe's memory ("Testing for linearizability", 2017), as in porcupine.
//
// Things that no client was told may have happened at any time after they were asked for, or never: writes that were
// given up, and ends of leases. A step that changes nothing is not tried, because it helps no other.

import { linearize as search, type Model } from './order-search.ts';
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
const usualStepsMax = 100_000;

/** An operation that a client asked for, or the end of a lease, for which nobody asks. */
type Change =
  | { readonly kind: 'asked'; readonly entry: HistoryEntry }
  | { readonly kind: 'ended'; readonly lease: string };

export function linearize(history: readonly HistoryEntry[], stepsMax = usualStepsMax): Verdict {
  const entries = history.map((entry) => ({ kind: 'asked', entry }) as const);
  const found = search({
    model: modelOf(history),
    certain: entries
      .filter(({ entry }) => entry.told !== null)
      .map((operation) => ({ operation, call: operation.entry.calledMs, return: operation.entry.answeredMs })),
    possible: entries
      .filter(({ entry }) => entry.told === null)
      .map((operation) => ({ members: [{ operation, call: operation.entry.calledMs }], concerns: () => true })),
    rowMin: Number.POSITIVE_INFINITY,
    stepsMax,
  });
  if (found.kind !== 'impossible') return { kind: found.kind };
  const stuck = found.pending.flatMap((change) => (change.kind === 'asked' ? change.entry : []));
  return { kind: 'not', ordered: found.order.length, stuck };
}

function modelOf(history: readonly HistoryEntry[]): Model<SequentialState, Change> {
  const granted = timesGranted(history);
  return {
    initial: emptyState,
    step: (state, change) =>
      change.kind === 'asked' ? stateAfter(state, change.entry) : endLease(state, change.lease),
    keyOf,
    rankOf: (change) => (change.kind === 'asked' ? revisionTold(change.entry) : null),
    canFollow: () => true,
    unasked: ({ leases }) => [...leases].map((lease) => ({ kind: 'ended', lease })),
    shows: (change) => {
      if (change.kind === 'ended') return [];
      const lease = leaseNeeded(change.entry);
      // A lease whose id is granted again may end and be there once more.
      const leases = lease !== null && granted.get(lease) === 1 ? [nameOfLease(lease)] : [];
      return [...placesShown(change.entry), ...pairsShown(change.entry), ...leases];
    },
    ended: endedBy,
  };
}

/** Every answer says at which revision it was given, but for that of a keepalive. */
function revisionTold({ told }: HistoryEntry): number | null {
  if (told === null || told.kind === 'keepAlive') return null;
  return told.kind === 'read' ? told.revision : told.outcome.revision;
}

/**
 * Where among the revisions the operation has its place, as far as its answer tells: at one, or as the one that makes
 * it.
 */
function placesShown({ told }: HistoryEntry): readonly string[] {
  if (told?.kind === 'read') return [`at ${told.revision}`];
  if (told?.kind !== 'write') return [];
  const { outcome } = told;
  const makes = makesRevision(outcome);
  return makes === null ? [] : [makes ? `makes ${outcome.revision}` : `at ${outcome.revision}`];
}

/** Null: the answer does not tell. */
function makesRevision(outcome: PlainOutcome | { readonly kind: string }): boolean | null {
  if (outcome.kind === 'put') return true;
  if ('deleted' in outcome) return outcome.deleted > 0;
  if ('parts' in outcome) return outcome.parts.some((part) => part.kind !== 'range' && makesRevision(part) === true);
  return outcome.kind === 'failed' || outcome.kind === 'compact' || outcome.kind === 'leaseGrant' ? false : null;
}

function* endedBy(before: SequentialState, after: SequentialState): Generator<string, void, void> {
  if (after.revision > before.revision) yield* [`at ${before.revision}`, `makes ${after.revision}`];
  if (before.pairs !== after.pairs) {
    for (const [key, pair] of before.pairs) if (after.pairs.get(key) !== pair) yield nameOf(pair);
  }
  if (before.leases === after.leases) return;
  for (const lease of before.leases) if (!after.leases.has(lease)) yield nameOfLease(lease);
}

/** The contents of the store as text. */
function keyOf(state: SequentialState): string {
  const { words, past } = contentsOf(state);
  return `${state.compacted} ${[...state.leases].sort().join(' ')} ${past} ${words}`;
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

function nameOfLease(id: string): string {
  return `lease ${id}`;
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
