// The store as one caller after the other would see it: a state that is never changed, and the state that each
// operation makes of it. The search for an order in which all answers are right uses it. It knows nothing of
// permissions.

import { assert, unreachable } from '../../../src/base/assert.ts';
import { leaseSecondsMin } from '../../../src/limits.ts';
import type {
  DeleteRangeRequest,
  KeyRange,
  Operation,
  PutRequest,
  RangeRequest,
  TxnOperation,
} from '../../../src/model/store.ts';
import { type PlainOutcome, type PlainPair, type PlainPart, type PlainRange, textOfBytes } from './plain.ts';
import { answerOf } from './reference-range.ts';
import { throws } from '../bugs/throwing.ts';

type Pairs = ReadonlyMap<string, PlainPair>;

export type SequentialState = {
  readonly revision: number;
  readonly compacted: number;
  readonly pairs: Pairs;
  readonly leases: ReadonlySet<string>;
  /** The state at the revision before, for reads of it. */
  readonly before: SequentialState | null;
};

export const emptyState: SequentialState = {
  revision: 1,
  compacted: 0,
  pairs: new Map(),
  leases: new Set(),
  before: null,
};

/** A transaction under way. */
type Draft = { readonly at: number; readonly pairs: Map<string, PlainPair>; changes: number };

export type Stepped = { readonly state: SequentialState; readonly outcome: PlainOutcome };

const kinds = ['put', 'deleteRange', 'txn', 'compact', 'leaseGrant', 'leaseRevoke'] as const;
type Known = Extract<Operation, { readonly kind: (typeof kinds)[number] }>;

export function step(state: SequentialState, operation: Operation): Stepped {
  assert(isKnown(operation), `no client of such a run asks for ${operation.kind}`);
  if (throws(operation)) return failed(state, 'commandUndone');
  switch (operation.kind) {
    case 'put':
    case 'deleteRange': {
      if (operation.kind === 'put' && lacksLease(state, operation.request)) return failed(state, 'leaseNotFound');
      const draft = draftOf(state);
      const outcome = write(draft, operation);
      return made(state, draft, outcome);
    }
    case 'txn': {
      const { compare, success, failure } = operation.request;
      const succeeded = compare.every((one) => {
        assert(one.target === 'mod' && one.rangeEnd.byteLength === 0, 'clients compare the mod revision of one key');
        return (state.pairs.get(textOfBytes(one.key))?.mod ?? 0) === one.operand;
      });
      const chosen = succeeded ? success : failure;
      if (chosen.some((one) => one.kind === 'put' && lacksLease(state, one.request)))
        return failed(state, 'leaseNotFound');
      const draft = draftOf(state);
      const parts = chosen.map((one) => runPart(draft, one));
      return made(state, draft, { kind: 'txn', revision: revisionOf(draft), succeeded, parts });
    }
    case 'compact': {
      const { revision } = operation.request;
      if (revision > state.revision) return failed(state, 'futureRevision');
      if (revision <= state.compacted) return failed(state, 'compacted');
      return { state: { ...state, compacted: revision }, outcome: { kind: 'compact', revision: state.revision } };
    }
    case 'leaseGrant': {
      let id = operation.id === 0n ? BigInt(operation.candidate) : BigInt(operation.id);
      if (operation.id !== 0n && state.leases.has(String(id))) return failed(state, 'leaseExists');
      while (state.leases.has(String(id))) id++;
      const ttlSeconds = Math.max(operation.ttlSeconds, leaseSecondsMin);
      const leases = new Set(state.leases).add(String(id));
      const outcome = { kind: 'leaseGrant', revision: state.revision, id: String(id), ttlSeconds } as const;
      return { state: { ...state, leases }, outcome };
    }
    case 'leaseRevoke': {
      if (!state.leases.has(String(operation.id))) return failed(state, 'leaseNotFound');
      const ended = endLease(state, String(operation.id));
      return { state: ended, outcome: { kind: 'done', revision: ended.revision } };
    }
    default:
      return unreachable(operation);
  }
}

function isKnown(operation: Operation): operation is Known {
  return kinds.some((kind) => kind === operation.kind);
}

/** All its keys go in one revision. */
export function endLease(state: SequentialState, id: string): SequentialState {
  const draft = draftOf(state);
  for (const [key, pair] of state.pairs) if (pair.lease === id) remove(draft, key);
  const leases = new Set(state.leases);
  leases.delete(id);
  return { ...next(state, draft), leases };
}

export type ReadOutcome = { readonly revision: number; readonly answer: PlainRange | string };

/** The pairs, or the kind of failure. */
export function read(state: SequentialState, request: RangeRequest): ReadOutcome {
  const { revision } = state;
  if (request.revision > revision) return { revision, answer: 'futureRevision' };
  if (request.revision > 0 && request.revision < state.compacted) return { revision, answer: 'compacted' };
  let at: SequentialState = state;
  while (request.revision > 0 && at.revision > request.revision) {
    assert(at.before !== null, 'every revision has one before it');
    at = at.before;
  }
  return { revision, answer: answerOf(request, pairsIn(at.pairs, request)) };
}

function runPart(draft: Draft, operation: TxnOperation): PlainPart {
  switch (operation.kind) {
    case 'put':
    case 'deleteRange':
      return write(draft, operation);
    case 'range':
      return {
        kind: 'range',
        revision: revisionOf(draft),
        answer: answerOf(operation.request, pairsIn(draft.pairs, operation.request)),
      };
    case 'txn':
    case 'empty':
      throw new Error(`no client of the simulator asks for ${operation.kind}`);
    default:
      return unreachable(operation);
  }
}

type PlainWrite = Extract<PlainPart, { kind: 'put' | 'deleteRange' }>;

function write(
  draft: Draft,
  operation:
    | { readonly kind: 'put'; readonly request: PutRequest }
    | { readonly kind: 'deleteRange'; readonly request: DeleteRangeRequest },
): PlainWrite {
  if (operation.kind === 'put') return put(draft, operation.request);
  const { request } = operation;
  const gone = pairsIn(draft.pairs, request);
  for (const { key } of gone) remove(draft, key);
  const previous = request.previous ? gone : [];
  return { kind: 'deleteRange', revision: revisionOf(draft), deleted: gone.length, previous };
}

function put(draft: Draft, request: PutRequest): PlainWrite {
  const key = textOfBytes(request.key);
  const old = draft.pairs.get(key) ?? null;
  draft.pairs.set(key, {
    key,
    value: textOfBytes(request.value),
    create: old?.create ?? draft.at,
    mod: draft.at,
    version: (old?.version ?? 0) + 1,
    lease: String(request.lease),
  });
  draft.changes++;
  return { kind: 'put', revision: draft.at, previous: request.previous ? old : null };
}

function remove(draft: Draft, key: string): void {
  draft.pairs.delete(key);
  draft.changes++;
}

function draftOf({ revision, pairs }: SequentialState): Draft {
  return { at: revision + 1, pairs: new Map(pairs), changes: 0 };
}

function revisionOf({ at, changes }: Draft): number {
  return changes > 0 ? at : at - 1;
}

function next(state: SequentialState, draft: Draft): SequentialState {
  return draft.changes === 0 ? state : { ...state, revision: draft.at, pairs: draft.pairs, before: state };
}

function made(state: SequentialState, draft: Draft, outcome: PlainOutcome): Stepped {
  const after = next(state, draft);
  return { state: after, outcome: { ...outcome, revision: after.revision } };
}

function failed(state: SequentialState, failure: string): Stepped {
  return { state, outcome: { kind: 'failed', revision: state.revision, failure } };
}

function lacksLease({ leases }: SequentialState, { lease }: PutRequest): boolean {
  return lease !== 0n && !leases.has(String(lease));
}

function pairsIn(pairs: Pairs, range: KeyRange): PlainPair[] {
  const [from, to] = [textOfBytes(range.key), textOfBytes(range.rangeEnd)];
  if (to === '') {
    const pair = pairs.get(from);
    return pair === undefined ? [] : [pair];
  }
  return [...pairs.values()]
    .filter(({ key }) => key >= from && (to === '\0' || key < to))
    .sort((left, right) => (left.key < right.key ? -1 : 1));
}
