// The store as the checkers see it: a plain model in memory that is handed the committed writes in the order of the log. It
// shares no code with the real one, and keeps every revision so that a read at any of them can be judged.

import { assert, unreachable } from '../../src/assert.ts';
import { isAdministration } from '../../src/mvcc/administration-codec.ts';
import type { Compare, DeleteRangeRequest, KeyRange, Operation, PutRequest, TxnOperation } from '../../src/model.ts';
import {
  type PlainEvent,
  type PlainOutcome,
  type PlainPair,
  type PlainPart,
  type PlainRange,
  textOfBytes,
} from './plain.ts';

type PlainWrite = Extract<PlainPart, { kind: 'put' | 'deleteRange' }>;
type Version = { readonly at: number; readonly pair: PlainPair | null };
/** One transaction under way: what it has changed is seen by its own later parts. */
type Change = { readonly events: PlainEvent[] };

export class ReferenceStore {
  revision = 1;
  compacted = 0;
  readonly #versions = new Map<string, Version[]>();
  readonly #events = new Map<number, readonly PlainEvent[]>();

  apply(operation: Operation): PlainOutcome {
    const change: Change = { events: [] };
    const outcome = this.#run(operation, change);
    if (change.events.length > 0) this.#events.set(++this.revision, change.events);
    return outcome;
  }

  /** What happened in that revision. */
  eventsOf(revision: number): readonly PlainEvent[] {
    return this.#events.get(revision) ?? [];
  }

  range(range: KeyRange, atRevision: number): PlainRange {
    const kvs: PlainPair[] = [];
    for (const key of [...this.#versions.keys()].sort()) {
      if (!holds(range, key)) continue;
      const pair = this.#pairAt(key, atRevision);
      if (pair !== null) kvs.push(pair);
    }
    return { kvs, count: kvs.length, more: false };
  }

  #run(operation: Operation, change: Change): PlainOutcome {
    if (isAdministration(operation)) return nobodyAsksFor(operation.kind);
    switch (operation.kind) {
      case 'put':
      case 'deleteRange':
        return this.#runWrite(operation, change);
      case 'txn': {
        const { compare, success, failure } = operation.request;
        const succeeded = compare.every((one) => this.#compares(one));
        const parts = (succeeded ? success : failure).map((one) => this.#runPart(one, change));
        return { kind: 'txn', revision: this.#revisionWithin(change), succeeded, parts };
      }
      case 'compact': {
        const { revision } = operation.request;
        if (revision > this.revision) return { kind: 'failed', revision: this.revision, failure: 'futureRevision' };
        if (revision <= this.compacted) return { kind: 'failed', revision: this.revision, failure: 'compacted' };
        this.compacted = revision;
        return { kind: 'compact', revision: this.revision };
      }
      case 'createAccessKey':
      case 'revokeAccessKey':
        return nobodyAsksFor(operation.kind);
      default:
        return unreachable(operation);
    }
  }

  #runPart(operation: TxnOperation, change: Change): PlainPart {
    switch (operation.kind) {
      case 'put':
      case 'deleteRange':
        return this.#runWrite(operation, change);
      case 'range': {
        const answer = this.range(operation.request, this.revision + 1);
        return { kind: 'range', revision: this.#revisionWithin(change), answer };
      }
      case 'txn':
      case 'empty':
        return nobodyAsksFor(operation.kind);
      default:
        return unreachable(operation);
    }
  }

  #runWrite(operation: Extract<TxnOperation, { kind: 'put' | 'deleteRange' }>, change: Change): PlainWrite {
    return operation.kind === 'put' ? this.#put(operation.request, change) : this.#delete(operation.request, change);
  }

  #put(request: PutRequest, change: Change): PlainWrite {
    const key = textOfBytes(request.key);
    const at = this.revision + 1;
    const old = this.#pairAt(key, at);
    const value = textOfBytes(request.value);
    const pair = { key, value, create: old?.create ?? at, mod: at, version: (old?.version ?? 0) + 1 };
    this.#set(key, pair, change, { type: 'put', pair, previous: old });
    return { kind: 'put', revision: at, previous: request.previous ? old : null };
  }

  #delete(request: DeleteRangeRequest, change: Change): PlainWrite {
    const at = this.revision + 1;
    const { kvs } = this.range(request, at);
    for (const old of kvs) {
      const pair = { key: old.key, value: '', create: 0, mod: at, version: 0 };
      this.#set(old.key, null, change, { type: 'delete', pair, previous: old });
    }
    const previous = request.previous ? kvs : [];
    return { kind: 'deleteRange', revision: this.#revisionWithin(change), deleted: kvs.length, previous };
  }

  #set(key: string, pair: PlainPair | null, change: Change, event: PlainEvent): void {
    const versions = this.#versions.get(key) ?? [];
    this.#versions.set(key, versions);
    versions.push({ at: this.revision + 1, pair });
    change.events.push(event);
  }

  /** While a transaction runs, the revision that it makes is one beyond the store's. */
  #pairAt(key: string, atRevision: number): PlainPair | null {
    return this.#versions.get(key)?.findLast((version) => version.at <= atRevision)?.pair ?? null;
  }

  #compares(compare: Compare): boolean {
    assert(
      compare.target === 'mod' && compare.rangeEnd.byteLength === 0,
      'clients compare the mod revision of one key',
    );
    return (this.#pairAt(textOfBytes(compare.key), this.revision)?.mod ?? 0) === compare.operand;
  }

  #revisionWithin(change: Change): number {
    return change.events.length > 0 ? this.revision + 1 : this.revision;
  }
}

function holds(range: KeyRange, key: string): boolean {
  const start = textOfBytes(range.key);
  const end = textOfBytes(range.rangeEnd);
  if (end === '') return key === start;
  return key >= start && (end === '\0' || key < end);
}

function nobodyAsksFor(what: string): never {
  throw new Error(`no client of the simulator asks for ${what}`);
}
