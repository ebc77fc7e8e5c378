// The store as plain as can be: a copy of all pairs for each revision, and everything computed anew for each answer.
// The real store is compared with it. It is slow and meant to be obviously right, and shares no code with the real
// store but the model.

import { Buffer } from 'node:buffer';
import { type LeaseId, leaseId, revision } from '../../src/model/brands.ts';
import type {
  Compare,
  DeleteRangeRequest,
  KeyRange,
  KeyValue,
  Operation,
  PutRequest,
  RangeAnswer,
  RangeRequest,
  StoreEvent,
  StoreFailure,
  TxnAnswer,
  TxnOperation,
  TxnPart,
  TxnRequest,
} from '../../src/model/store.ts';

/** The pairs by their keys as hex, which sorts as the bytes do. */
type Pairs = Map<string, KeyValue>;

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

export class NaiveFailure extends Error {
  readonly failure: StoreFailure['kind'];

  constructor(failure: StoreFailure['kind']) {
    super(failure);
    this.failure = failure;
  }
}

export class NaiveStore {
  revision = 1;
  compacted = -1;
  /** The pairs at each revision. */
  readonly #states: Pairs[] = [new Map(), new Map()];
  readonly events = new Map<number, StoreEvent[]>();
  /** The time to live of each lease. The pairs say which keys are attached. */
  readonly leases = new Map<LeaseId, number>();
  /** Each alarm as member/kind. */
  readonly alarms = new Set<string>();

  /** @throws NaiveFailure, and then nothing was done. */
  do(operation: Operation): unknown {
    this.#check(operation);
    if (operation.kind === 'put') return this.#changing((making) => making.put(operation.request));
    if (operation.kind === 'deleteRange') return this.#changing((making) => making.deleteRange(operation.request));
    if (operation.kind === 'txn') {
      return this.#changing((making) => making.txn(operation.request, making.choices(operation.request)));
    }
    if (operation.kind === 'leaseGrant') return this.#grant(operation);
    if (operation.kind === 'leaseRevoke') {
      if (!this.leases.has(operation.id)) throw new NaiveFailure('leaseNotFound');
      return this.#endLease(operation.id);
    }
    if (operation.kind === 'leaseExpire') {
      for (const { id } of operation.leases) if (this.leases.has(id)) this.#endLease(id);
      return null;
    }
    if (operation.kind === 'alarmActivate' || operation.kind === 'alarmDeactivate') return this.#alarm(operation);
    if (operation.kind !== 'compact') throw new Error(`${operation.kind} is not modelled`);
    if (operation.request.revision <= this.compacted) throw new NaiveFailure('compacted');
    if (operation.request.revision > this.revision) throw new NaiveFailure('futureRevision');
    this.compacted = operation.request.revision;
    return null;
  }

  #check(operation: Operation): void {
    if (operation.kind === 'put') checkPut(operation.request);
    if (operation.kind === 'deleteRange') checkKey(operation.request.key);
    if (operation.kind === 'txn') {
      checkTxn(operation.request, 128);
      checkDuplicates(operation.request.success);
      checkDuplicates(operation.request.failure);
    }
    const kinds = [...this.alarms].map((alarm) => alarm.split('/')[1]);
    if (kinds.includes('2') && isForbiddenWhenCorrupt(operation)) throw new NaiveFailure('corruptAlarm');
    if (kinds.includes('1') && needsSpace(operation)) throw new NaiveFailure('noSpace');
  }

  #grant(operation: Extract<Operation, { readonly kind: 'leaseGrant' }>): unknown {
    if (operation.ttlSeconds > 9_000_000_000) throw new NaiveFailure('leaseTtlTooLarge');
    let { id } = operation;
    if (id === 0n) for (id = operation.candidate; this.leases.has(id);) id = leaseId(id + 1n);
    if (this.leases.has(id)) throw new NaiveFailure('leaseExists');
    const ttlSeconds = operation.ttlSeconds < 2 ? 2 : operation.ttlSeconds;
    this.leases.set(id, ttlSeconds);
    return { id, ttlSeconds };
  }

  #endLease(id: LeaseId): null {
    this.#changing((making) => {
      making.deleteWhere((pair) => pair.lease === id);
    });
    this.leases.delete(id);
    return null;
  }

  #alarm({ kind, alarm }: Extract<Operation, { readonly kind: 'alarmActivate' | 'alarmDeactivate' }>): unknown {
    const text = `${alarm.memberId}/${alarm.alarm}`;
    if (kind === 'alarmActivate' && alarm.alarm !== 0) this.alarms.add(text);
    const there = this.alarms.has(text);
    if (kind === 'alarmDeactivate') this.alarms.delete(text);
    return there ? [alarm] : [];
  }

  range(request: RangeRequest): RangeAnswer {
    checkRange(request);
    return this.rangeAt(request, this.state(this.revision), this.revision);
  }

  rangeAt(request: RangeRequest, now: Pairs, current: number): RangeAnswer {
    if (request.revision > current) throw new NaiveFailure('futureRevision');
    if (request.revision > 0 && request.revision < this.compacted) throw new NaiveFailure('compacted');
    return answer(request, request.revision > 0 && request.revision < current ? this.state(request.revision) : now);
  }

  state(at: number): Pairs {
    const state = this.#states[at];
    if (state === undefined) throw new Error(`no revision ${at}`);
    return state;
  }

  /** The event with the pair before it, as a watch from an earlier revision sees it. */
  eventsFrom(from: number): { readonly revision: number; readonly events: StoreEvent[] }[] {
    const all: { readonly revision: number; readonly events: StoreEvent[] }[] = [];
    for (const [at, events] of this.events) {
      if (at < from) continue;
      const known = at - 1 >= this.compacted;
      all.push({ revision: at, events: events.map((event) => (known ? event : { ...event, previous: null })) });
    }
    return all;
  }

  #changing(change: (making: Making) => unknown): unknown {
    const making = new Making(this, new Map(this.state(this.revision)));
    const result = change(making);
    if (making.events.length > 0) {
      this.revision++;
      this.#states.push(making.pairs);
      this.events.set(this.revision, making.events);
    }
    return result;
  }
}

/** One revision that is being made. */
class Making {
  readonly pairs: Pairs;
  readonly events: StoreEvent[] = [];
  readonly #store: NaiveStore;
  readonly #before: Pairs;

  constructor(store: NaiveStore, pairs: Pairs) {
    this.#store = store;
    this.pairs = pairs;
    this.#before = new Map(pairs);
  }

  get #current(): number {
    return this.#store.revision + (this.events.length > 0 ? 1 : 0);
  }

  put(request: PutRequest): { previous: KeyValue | null } {
    const key = hex(request.key);
    const previous = this.pairs.get(key) ?? null;
    this.checkStored(request, this.pairs);
    const made = revision(this.#store.revision + 1);
    const kv: KeyValue = {
      key: request.key,
      value: request.ignoreValue && previous !== null ? previous.value : request.value,
      createRevision: previous?.createRevision ?? made,
      modRevision: made,
      version: (previous?.version ?? 0) + 1,
      lease: request.ignoreLease && previous !== null ? previous.lease : request.lease,
    };
    this.pairs.set(key, kv);
    // etcd shows no previous pair where the revision itself created the pair.
    const before = kv.version === 1 ? null : (this.#before.get(key) ?? null);
    this.events.push({ type: 'put', kv, previous: before });
    return { previous: request.previous ? previous : null };
  }

  checkStored(request: PutRequest, pairs: Pairs): void {
    if (request.lease !== 0n && !this.#store.leases.has(request.lease)) throw new NaiveFailure('leaseNotFound');
    if ((request.ignoreValue || request.ignoreLease) && !pairs.has(hex(request.key)))
      throw new NaiveFailure('keyNotFound');
  }

  deleteRange(request: DeleteRangeRequest): { deleted: number; previous: KeyValue[] } {
    const pairs = within(request, this.pairs);
    this.#delete(pairs);
    return { deleted: pairs.length, previous: request.previous ? pairs : [] };
  }

  deleteWhere(wanted: (pair: KeyValue) => boolean): void {
    this.#delete(within({ key: Uint8Array.of(0), rangeEnd: Uint8Array.of(0) }, this.pairs).filter(wanted));
  }

  #delete(pairs: readonly KeyValue[]): void {
    for (const pair of pairs) {
      this.pairs.delete(hex(pair.key));
      const nothing = { value: new Uint8Array(0), createRevision: revision(0), version: 0, lease: leaseId(0n) };
      const kv = { ...nothing, key: pair.key, modRevision: revision(this.#store.revision + 1) };
      this.events.push({ type: 'delete', kv, previous: this.#before.get(hex(pair.key)) ?? null });
    }
  }

  /** Decides which branches run, and checks them, before anything is done. */
  choices(request: TxnRequest): Map<TxnRequest, boolean> {
    const chosen = new Map<TxnRequest, boolean>();
    const choose = (txn: TxnRequest): void => {
      const succeeded = txn.compare.every((compare) => compareHolds(compare, this.#before));
      chosen.set(txn, succeeded);
      for (const operation of succeeded ? txn.success : txn.failure)
        if (operation.kind === 'txn') choose(operation.request);
    };
    choose(request);
    const check = (txn: TxnRequest): void => {
      for (const operation of chosen.get(txn) === true ? txn.success : txn.failure) {
        if (operation.kind === 'txn') check(operation.request);
        else if (operation.kind === 'put') this.checkStored(operation.request, this.#before);
        else if (operation.kind === 'range') this.#checkRevision(operation.request.revision);
      }
    };
    check(request);
    return chosen;
  }

  #checkRevision(wanted: number): void {
    if (wanted === 0) return;
    if (wanted > this.#store.revision) throw new NaiveFailure('futureRevision');
    if (wanted < this.#store.compacted) throw new NaiveFailure('compacted');
  }

  txn(request: TxnRequest, chosen: ReadonlyMap<TxnRequest, boolean>): TxnAnswer {
    const succeeded = chosen.get(request) === true;
    const parts: TxnPart[] = [];
    for (const operation of succeeded ? request.success : request.failure) parts.push(this.#part(operation, chosen));
    return { succeeded, parts };
  }

  #part(operation: TxnOperation, chosen: ReadonlyMap<TxnRequest, boolean>): TxnPart {
    switch (operation.kind) {
      case 'put': {
        const made = this.put(operation.request);
        return { kind: 'put', revision: revision(this.#current), answer: made };
      }
      case 'deleteRange': {
        const made = this.deleteRange(operation.request);
        return { kind: 'deleteRange', revision: revision(this.#current), answer: made };
      }
      case 'range': {
        const found = this.#store.rangeAt(operation.request, this.pairs, this.#current);
        return {
          kind: 'range',
          revision: revision(this.#current),
          answer: found,
          keysOnly: operation.request.keysOnly,
        };
      }
      case 'txn':
        return { kind: 'txn', answer: this.txn(operation.request, chosen) };
      case 'empty':
        throw new Error('refused before');
      default:
        throw new Error('no such operation');
    }
  }
}

function holds(range: KeyRange, key: string): boolean {
  const start = hex(range.key);
  const end = hex(range.rangeEnd);
  if (end === '') return key === start;
  return key >= start && (end === '00' || key < end);
}

function within(range: KeyRange, pairs: Pairs): KeyValue[] {
  const keys = [...pairs.keys()].filter((key) => holds(range, key)).toSorted();
  return keys.flatMap((key) => pairs.get(key) ?? []);
}

function answer(request: RangeRequest, pairs: Pairs): RangeAnswer {
  const all = within(request, pairs);
  const count = all.length;
  if (request.countOnly) return { kvs: [], more: false, count };
  const { minModRevision, maxModRevision, minCreateRevision, maxCreateRevision } = request;
  const filters = minModRevision !== 0 || maxModRevision !== 0 || minCreateRevision !== 0 || maxCreateRevision !== 0;
  let kvs = all.filter(
    (kv) =>
      (minModRevision === 0 || kv.modRevision >= minModRevision) &&
      (maxModRevision === 0 || kv.modRevision <= maxModRevision) &&
      (minCreateRevision === 0 || kv.createRevision >= minCreateRevision) &&
      (maxCreateRevision === 0 || kv.createRevision <= maxCreateRevision),
  );
  if (request.sortOrder === 0 && !filters && request.limit > 0) kvs = kvs.slice(0, request.limit + 1);
  const direction = request.sortOrder === 2 ? -1 : 1;
  const by = [
    (kv: KeyValue) => hex(kv.key),
    (kv: KeyValue) => kv.version,
    (kv: KeyValue) => kv.createRevision,
    (kv: KeyValue) => kv.modRevision,
    (kv: KeyValue) => hex(kv.value),
  ][request.sortTarget];
  if (by === undefined) throw new Error('refused before');
  kvs.sort((left, right) => {
    const one = by(left);
    const other = by(right);
    return one < other ? -direction : one > other ? direction : 0;
  });
  const more = request.limit > 0 && kvs.length > request.limit;
  if (more) kvs = kvs.slice(0, request.limit);
  if (request.keysOnly) {
    // The lease is left out with the value, unless values had to be read.
    const byValue = request.sortTarget === 4;
    kvs = kvs.map((kv) => ({ ...kv, value: new Uint8Array(0), lease: byValue ? kv.lease : leaseId(0n) }));
  }
  return { kvs, more, count };
}

function compareHolds(compare: Compare, pairs: Pairs): boolean {
  const found = within(compare, pairs);
  if (found.length === 0) return compare.target !== 'value' && sideHolds(compare, null);
  return found.every((pair) => sideHolds(compare, pair));
}

function sideHolds(compare: Compare, pair: KeyValue | null): boolean {
  const [left, right] = sides(compare, pair);
  switch (compare.result) {
    case 0:
      return left === right;
    case 1:
      return left > right;
    case 2:
      return left < right;
    case 3:
      return left !== right;
    default:
      return true;
  }
}

function sides(compare: Compare, pair: KeyValue | null): [number | string | bigint, number | string | bigint] {
  switch (compare.target) {
    case 'version':
      return [pair?.version ?? 0, compare.operand];
    case 'create':
      return [pair?.createRevision ?? 0, compare.operand];
    case 'mod':
      return [pair?.modRevision ?? 0, compare.operand];
    case 'lease':
      return [pair?.lease ?? 0n, compare.operand];
    case 'value':
      return [pair === null ? '' : hex(pair.value), hex(compare.operand)];
    case 'unknown':
    default:
      return [0, 0];
  }
}

function checkKey(key: Uint8Array): void {
  if (key.byteLength === 0) throw new NaiveFailure('keyNotProvided');
}

function checkPut(request: PutRequest): void {
  checkKey(request.key);
  if (request.ignoreValue && request.value.byteLength > 0) throw new NaiveFailure('valueProvided');
  if (request.ignoreLease && request.lease !== 0n) throw new NaiveFailure('leaseProvided');
}

function checkRange(request: RangeRequest): void {
  checkKey(request.key);
  if (![0, 1, 2].includes(request.sortOrder)) throw new NaiveFailure('invalidSortOption');
  if (![0, 1, 2, 3, 4].includes(request.sortTarget)) throw new NaiveFailure('invalidSortOption');
}

function checkTxn(request: TxnRequest, most: number): void {
  const longest = Math.max(request.compare.length, request.success.length, request.failure.length);
  if (longest > most) throw new NaiveFailure('tooManyOperations');
  for (const compare of request.compare) checkKey(compare.key);
  for (const operation of [...request.success, ...request.failure]) {
    if (operation.kind === 'txn') checkTxn(operation.request, most - longest);
    else if (operation.kind === 'put') checkPut(operation.request);
    else if (operation.kind === 'range') checkRange(operation.request);
    else if (operation.kind === 'deleteRange') checkKey(operation.request.key);
    else throw new NaiveFailure('keyNotFound');
  }
}

/**
 * The rule of etcd's checkIntervals, with its gaps: the deletes of this level, then the nested transactions in turn,
 * then the puts of this level.
 */
function checkDuplicates(operations: readonly TxnOperation[]): { puts: Set<string>; deletes: KeyRange[] } {
  const deletes = operations.flatMap((each) => (each.kind === 'deleteRange' ? [each.request] : []));
  const puts = new Set<string>();
  const claim = (key: string): void => {
    const deleted = deletes.some((range) => hex(range.rangeEnd) !== '00' && holds(range, key));
    if (puts.has(key) || deleted) throw new NaiveFailure('duplicateKey');
  };
  for (const operation of operations) {
    if (operation.kind !== 'txn') continue;
    const branches = [checkDuplicates(operation.request.success), checkDuplicates(operation.request.failure)];
    for (const branch of branches) for (const key of branch.puts) claim(key);
    for (const branch of branches) {
      for (const key of branch.puts) puts.add(key);
      for (const range of branch.deletes) deletes.push({ ...range, previous: false });
    }
  }
  for (const operation of operations) {
    if (operation.kind !== 'put') continue;
    claim(hex(operation.request.key));
    puts.add(hex(operation.request.key));
  }
  return { puts, deletes };
}

function isForbiddenWhenCorrupt(operation: Operation): boolean {
  if (operation.kind === 'txn') {
    return [...operation.request.success, ...operation.request.failure].some((part) => part.kind !== 'range');
  }
  return ['put', 'deleteRange', 'compact', 'leaseGrant', 'leaseRevoke', 'leaseExpire'].includes(operation.kind);
}

function needsSpace(operation: Operation | TxnOperation): boolean {
  if (operation.kind === 'put' || operation.kind === 'leaseGrant') return true;
  return operation.kind === 'txn' && [...operation.request.success, ...operation.request.failure].some(needsSpace);
}
