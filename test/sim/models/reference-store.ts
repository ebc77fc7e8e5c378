// The store as the checkers see it: a plain model in memory that gets the committed writes in the order of the log. It
// shares no code with the real store, and keeps every revision, so that a read at any of them can be judged.

import { assert, unreachable } from '../../../src/base/assert.ts';
import type { AuthOperation } from '../../../src/model/auth.ts';
import { leaseId, type LeaseId } from '../../../src/model/brands.ts';
import { groupLevel, groupLevelMin } from '../../../src/model/levels.ts';
import { leaseSecondsMin } from '../../../src/limits.ts';
import type {
  Caller,
  Command,
  Compare,
  DeleteRangeRequest,
  KeyRange,
  LeaseOperation,
  Operation,
  PutRequest,
  RangeRequest,
  TxnOperation,
  TxnRequest,
} from '../../../src/model/store.ts';
import {
  type PlainEvent,
  type PlainOutcome,
  type PlainPair,
  type PlainPart,
  type PlainRange,
  textOfBytes,
} from './plain.ts';
import { answerOf } from './reference-range.ts';
import { ReferenceWork, TooMuchWork } from './reference-work.ts';
import { throws } from '../bugs/throwing.ts';
import {
  type AuthState,
  boundOf,
  changeAuth,
  changeTerms,
  createKey,
  hasAllKeys,
  needOf,
  nobody,
  type ReferenceNeed,
  refusalOf,
  revokeKey,
  rotateKey,
} from './reference-authority.ts';

const everything: KeyRange = { key: Uint8Array.of(0), rangeEnd: Uint8Array.of(0) };

type PlainWrite = Extract<PlainPart, { kind: 'put' | 'deleteRange' }>;
type Version = { readonly at: number; readonly pair: PlainPair | null };
/** One transaction under way, whose changes its own later parts see. */
type Change = { readonly events: PlainEvent[]; readonly work: ReferenceWork };

/** The entry of a command in the log, and its leader's clock. */
type Place = { readonly index: number; readonly atMs: number };

type Asked = Pick<Command, 'caller' | 'operation'>;

/** Called with what happens to leases, in the order of the log. */
export type LeaseListener = {
  readonly granted: (id: LeaseId, ttlSeconds: number, index: number) => void;
  readonly ended: (id: LeaseId, operation: LeaseOperation, index: number) => void;
};

export class ReferenceStore {
  revision = 1;
  compacted = 0;
  #isDowngradeAnnounced = false;
  readonly #listener: LeaseListener;
  readonly #versions = new Map<string, Version[]>();
  /** All keys that ever were, in order. Null: they are to be sorted anew. */
  #keys: readonly string[] | null = null;
  readonly #events = new Map<number, readonly PlainEvent[]>();
  /** Each lease with its deadline as the log tells it. */
  readonly #leases = new Map<LeaseId, number>();
  /** How many there are, from each entry on. */
  readonly #leaseCounts: { readonly index: number; readonly count: number }[] = [];
  readonly #commandRowsMax: number;
  #level: number = groupLevelMin;
  readonly #auth: { readonly index: number; readonly state: AuthState }[] = [];
  /** The alarm NOSPACE, raised or not, from each entry on. */
  readonly #noSpace: { readonly index: number; readonly raised: boolean }[] = [];

  constructor(listener: LeaseListener, commandRowsMax: number) {
    this.#listener = listener;
    this.#commandRowsMax = commandRowsMax;
  }

  /** The outcome of a write, or why it fails, at its position in the log. */
  apply({ operation, atMs }: Pick<Command, 'operation' | 'atMs'>, index: number): PlainOutcome {
    const alarm = this.#alarmRefusal(operation, index);
    if (alarm !== null) return this.#failed(alarm);
    if (throws(operation)) return this.#failed('commandUndone');
    const change: Change = { events: [], work: new ReferenceWork(Number.POSITIVE_INFINITY) };
    const outcome = this.#run(operation, change, { index, atMs });
    this.#close(change);
    return { ...outcome, revision: this.revision };
  }

  /** Null: the caller has the permission, as far as the log goes. */
  refusal({ caller, operation }: Asked): string | null {
    const refusal = refusalOf(this.#authState, caller, needOf(operation), (id) => this.#keysOf(id, this.revision));
    return this.#withAlarm(operation, refusal, Number.POSITIVE_INFINITY);
  }

  /** Why a replica that had applied the log up to `index` would not do it, an alarm among it; null: it would. */
  writeRefusalAt(
    { caller, operation }: Asked,
    at: { readonly index: number; readonly revision: number },
  ): string | null {
    const refusal = this.refusalAt(caller, needOf(operation), at);
    if (refusal === null) return this.#alarmRefusal(operation, at.index) ?? this.#boundRefusalAt(operation, at);
    return this.#withAlarm(operation, refusal, at.index);
  }

  /** What a leader that has applied so much refuses at a bound: never more than is refused when it is applied. */
  #boundRefusalAt(operation: Operation, at: { readonly index: number; readonly revision: number }): string | null {
    const state = this.authAt(at.index);
    if (operation.kind === 'createAccessKey') return hasAllKeys(state) ? 'tooManyAccessKeys' : null;
    if (operation.kind === 'leaseGrant') {
      const max = boundOf(state, 'leasesMax');
      const count = this.#leaseCounts.findLast((one) => one.index <= at.index)?.count ?? 0;
      return max !== null && count >= max ? 'tooMany' : null;
    }
    return operation.kind === 'put' && this.#lacksRoom(operation.request, state, at.revision) ? 'tooMany' : null;
  }

  #lacksRoom({ key }: PutRequest, state: AuthState, revision: number): boolean {
    const max = boundOf(state, 'keysMax');
    return max !== null && this.#pairAt(textOfBytes(key), revision) === null && this.#count(revision) >= max;
  }

  #count(revision: number): number {
    return this.pairs(everything, revision).length;
  }

  /** As etcd has it, an alarm comes before what a user's roles lack; of leases, not before that there is no user. */
  #withAlarm(operation: Operation, refusal: string | null, index: number): string | null {
    const isOfLease = operation.kind === 'leaseGrant' || operation.kind === 'leaseRevoke';
    const isOfRoles = refusal === 'permissionDenied' || (refusal === 'userNameEmpty' && !isOfLease);
    if (!isOfRoles || operation.kind === 'compact') return refusal;
    return this.#alarmRefusal(operation, index) ?? refusal;
  }

  #alarmRefusal(operation: Operation, index: number): string | null {
    const isRaised = this.#noSpace.findLast((one) => one.index <= index)?.raised === true;
    return isRaised && takesSpace(operation) ? 'noSpace' : null;
  }

  /** The same for a read, at a replica that had applied the log up to `index`. */
  refusalAt(
    caller: Caller,
    need: ReferenceNeed,
    at: { readonly index: number; readonly revision: number },
  ): string | null {
    return refusalOf(this.authAt(at.index), caller, need, (id) => this.#keysOf(id, at.revision));
  }

  authAt(index: number): AuthState {
    return this.#auth.findLast((one) => one.index <= index)?.state ?? nobody;
  }

  /** The events of that revision. */
  eventsOf(revision: number): readonly PlainEvent[] {
    return this.#events.get(revision) ?? [];
  }

  answer(request: RangeRequest, atRevision: number): PlainRange {
    return answerOf(request, this.pairs(request, atRevision));
  }

  /** All pairs of the range, in the order of their keys. */
  pairs(range: KeyRange, atRevision: number): PlainPair[] {
    const pairs: PlainPair[] = [];
    for (const key of this.#keysIn(range)) {
      const pair = this.#pairAt(key, atRevision);
      if (pair !== null) pairs.push(pair);
    }
    return pairs;
  }

  #keysIn(range: KeyRange): readonly string[] {
    const start = textOfBytes(range.key);
    const end = textOfBytes(range.rangeEnd);
    if (end === '') return [start];
    const keys = (this.#keys ??= [...this.#versions.keys()].sort());
    return keys.filter((key) => key >= start && (end === '\0' || key < end));
  }

  get #authState(): AuthState {
    return this.#auth.at(-1)?.state ?? nobody;
  }

  #close(change: Change): void {
    if (change.events.length > 0) this.#events.set(++this.revision, change.events);
  }

  #run(operation: Operation, change: Change, at: Place): PlainOutcome {
    switch (operation.kind) {
      case 'put':
        if (this.#lacksLease(operation.request)) return this.#failed('leaseNotFound');
        if (this.#lacksRoom(operation.request, this.#authState, this.revision)) return this.#failed('tooMany');
        return this.#put(operation.request, change);
      case 'deleteRange':
        return this.#delete(operation.request, change);
      case 'txn':
        return this.#runWithin(operation.request, change);
      case 'compact': {
        const { revision } = operation.request;
        if (revision > this.revision) return this.#failed('futureRevision');
        if (revision <= this.compacted) return this.#failed('compacted');
        this.compacted = revision;
        return { kind: 'compact', revision: this.revision };
      }
      case 'leaseGrant':
      case 'leaseRevoke':
      case 'leaseExpire':
      case 'leaseCheckpoint':
        return this.#runLease(operation, at);
      case 'downgradeEnable':
        if (this.#isDowngradeAnnounced) return this.#failed('downgradeInProgress');
        this.#isDowngradeAnnounced = true;
        return { kind: 'done', revision: this.revision };
      case 'downgradeCancel':
        this.#isDowngradeAnnounced = false;
        return { kind: 'done', revision: this.revision };
      case 'alarmActivate':
      case 'alarmDeactivate':
        this.#noSpace.push({ index: at.index, raised: operation.kind === 'alarmActivate' });
        return { kind: 'alarm', revision: this.revision };
      case 'learnerChange':
        return nobodyAsksFor(operation.kind);
      case 'suspension':
        this.#auth.push({ index: at.index, state: { ...this.#authState, isSuspended: operation.isSuspended } });
        return { kind: 'done', revision: this.revision };
      case 'terms':
        this.#auth.push({ index: at.index, state: changeTerms(this.#authState, operation.changes) });
        return { kind: 'done', revision: this.revision };
      case 'groupLevel':
        this.#level = operation.level;
        this.#auth.push({ index: at.index, state: { ...this.#authState, level: operation.level } });
        return { kind: 'done', revision: this.revision };
      case 'createAccessKey':
      case 'revokeAccessKey':
      case 'rotateAccessKey':
      case 'authEnable':
      case 'authDisable':
      case 'userAdd':
      case 'userDelete':
      case 'userChangePassword':
      case 'userGrantRole':
      case 'userRevokeRole':
      case 'roleAdd':
      case 'roleDelete':
      case 'roleGrantPermission':
      case 'roleRevokePermission':
        return this.#runAuth(operation, at.index);
      default:
        return unreachable(operation);
    }
  }

  /** Nothing is done of a transaction that takes too much work. */
  #runWithin(request: TxnRequest, change: Change): PlainOutcome {
    const isBounded = this.#level >= groupLevel.third;
    try {
      return this.#runTxn(request, isBounded ? { ...change, work: new ReferenceWork(this.#commandRowsMax) } : change);
    } catch (error) {
      if (!(error instanceof TooMuchWork)) throw error;
      this.#undo(change);
      return this.#failed('tooMuchWork');
    }
  }

  #undo(change: Change): void {
    for (const { pair } of change.events.splice(0)) this.#versions.get(pair.key)?.pop();
  }

  #runTxn({ compare, success, failure }: TxnRequest, change: Change): PlainOutcome {
    const succeeded = compare.every((one) => this.#compares(one, change));
    const chosen = succeeded ? success : failure;
    for (const one of chosen) change.work.chosen(one);
    // Nothing is done of a transaction of which a lease does not exist.
    if (chosen.some((one) => one.kind === 'put' && this.#lacksLease(one.request))) return this.#failed('leaseNotFound');
    const before = this.#count(this.revision);
    const parts = chosen.map((one) => this.#runPart(one, change));
    const max = boundOf(this.#authState, 'keysMax');
    const after = this.#count(this.revision + 1);
    if (max !== null && after > before && after > max) {
      this.#undo(change);
      return this.#failed('tooMany');
    }
    return { kind: 'txn', revision: this.#revisionWithin(change), succeeded, parts };
  }

  #runLease(operation: LeaseOperation, { index, atMs }: Place): PlainOutcome {
    switch (operation.kind) {
      case 'leaseGrant': {
        let id = operation.id === 0n ? operation.candidate : operation.id;
        if (operation.id !== 0n && this.#leases.has(id)) return this.#failed('leaseExists');
        while (this.#leases.has(id)) id = leaseId(id + 1n);
        const max = boundOf(this.#authState, 'leasesMax');
        if (max !== null && this.#leases.size >= max) return this.#failed('tooMany');
        const ttlSeconds = Math.max(operation.ttlSeconds, leaseSecondsMin);
        this.#leases.set(id, atMs + ttlSeconds * 1_000);
        this.#leaseCounts.push({ index, count: this.#leases.size });
        this.#listener.granted(id, ttlSeconds, index);
        return { kind: 'leaseGrant', revision: this.revision, id: String(id), ttlSeconds };
      }
      case 'leaseRevoke':
        if (!this.#leases.has(operation.id)) return this.#failed('leaseNotFound');
        this.#endLease(operation.id, operation, index);
        break;
      case 'leaseExpire':
        for (const { id, storedMs } of operation.leases) {
          const deadlineMs = this.#leases.get(id);
          const isMeant = deadlineMs !== undefined && (storedMs === null || storedMs === deadlineMs);
          if (isMeant) this.#endLease(id, operation, index);
        }
        break;
      case 'leaseCheckpoint':
        for (const { id, deadlineMs } of operation.deadlines) {
          if (this.#leases.has(id)) this.#leases.set(id, deadlineMs);
        }
        break;
      default:
        return unreachable(operation);
    }
    return { kind: 'done', revision: this.revision };
  }

  /** All keys of the lease are deleted in one revision. */
  #endLease(id: LeaseId, operation: LeaseOperation, index: number): void {
    const change: Change = { events: [], work: new ReferenceWork(Number.POSITIVE_INFINITY) };
    for (const key of this.#keysOf(id, this.revision)) this.#remove(key, change);
    this.#close(change);
    this.#leases.delete(id);
    this.#leaseCounts.push({ index, count: this.#leases.size });
    this.#listener.ended(id, operation, index);
  }

  #keysOf(id: bigint, atRevision: number): string[] {
    const lease = String(id);
    const keys = (this.#keys ??= [...this.#versions.keys()].sort());
    return keys.filter((key) => this.#pairAt(key, atRevision)?.lease === lease);
  }

  #lacksLease(request: PutRequest): boolean {
    return request.lease !== 0n && !this.#leases.has(request.lease);
  }

  #runAuth(
    operation: AuthOperation | Extract<Operation, { kind: 'createAccessKey' | 'revokeAccessKey' | 'rotateAccessKey' }>,
    index: number,
  ): PlainOutcome {
    const { revision } = this;
    const before = this.#authState;
    if (operation.kind === 'revokeAccessKey') {
      const existed = before.keys.get(operation.id)?.revoked === false;
      this.#auth.push({ index, state: revokeKey(before, operation.id) });
      return { kind: 'revokeAccessKey', revision, existed };
    }
    if (operation.kind === 'createAccessKey' && hasAllKeys(before)) return this.#failed('tooManyAccessKeys');
    if (operation.kind === 'rotateAccessKey') {
      const rotated = rotateKey(before, operation.id, operation.accessKey);
      if (rotated.failure !== null) return this.#failed(rotated.failure);
      this.#auth.push({ index, state: rotated.state });
      return { kind: 'done', revision };
    }
    const { state, failure } =
      operation.kind === 'createAccessKey' ? createKey(before, operation.accessKey) : changeAuth(before, operation);
    if (failure !== null) return this.#failed(failure);
    this.#auth.push({ index, state });
    return { kind: operation.kind === 'createAccessKey' ? 'createAccessKey' : 'done', revision };
  }

  #failed(failure: string): PlainOutcome {
    return { kind: 'failed', revision: this.revision, failure };
  }

  #runPart(operation: TxnOperation, change: Change): PlainPart {
    switch (operation.kind) {
      case 'put':
        return this.#put(operation.request, change);
      case 'deleteRange':
        return this.#delete(operation.request, change);
      case 'range': {
        const answer = this.answer(operation.request, this.revision + 1);
        change.work.ranged(answer.count);
        return { kind: 'range', revision: this.#revisionWithin(change), answer };
      }
      case 'txn':
      case 'empty':
        return nobodyAsksFor(operation.kind);
      default:
        return unreachable(operation);
    }
  }

  #put(request: PutRequest, change: Change): PlainWrite {
    const key = textOfBytes(request.key);
    const at = this.revision + 1;
    const old = this.#pairAt(key, at);
    const value = textOfBytes(request.value);
    const lease = String(request.lease);
    const pair = { key, value, create: old?.create ?? at, mod: at, version: (old?.version ?? 0) + 1, lease };
    this.#set(key, pair, change, { type: 'put', pair, previous: old });
    return { kind: 'put', revision: at, previous: request.previous ? old : null };
  }

  #delete(request: DeleteRangeRequest, change: Change): PlainWrite {
    const kvs = this.pairs(request, this.revision + 1);
    change.work.deleted(request, kvs.length);
    for (const { key } of kvs) this.#remove(key, change);
    const previous = request.previous ? kvs : [];
    return { kind: 'deleteRange', revision: this.#revisionWithin(change), deleted: kvs.length, previous };
  }

  #remove(key: string, change: Change): void {
    const at = this.revision + 1;
    const pair = { key, value: '', create: 0, mod: at, version: 0, lease: '0' };
    this.#set(key, null, change, { type: 'delete', pair, previous: this.#pairAt(key, at) });
  }

  #set(key: string, pair: PlainPair | null, change: Change, event: PlainEvent): void {
    let versions = this.#versions.get(key);
    if (versions === undefined) {
      this.#versions.set(key, (versions = []));
      this.#keys = null;
    }
    versions.push({ at: this.revision + 1, pair });
    change.events.push(event);
  }

  /** While a transaction runs, the revision that it makes is one beyond the store's. */
  #pairAt(key: string, atRevision: number): PlainPair | null {
    return this.#versions.get(key)?.findLast((version) => version.at <= atRevision)?.pair ?? null;
  }

  #compares(compare: Compare, { work }: Change): boolean {
    assert(
      compare.target === 'mod' && compare.rangeEnd.byteLength === 0,
      'clients compare the mod revision of one key',
    );
    const pair = this.#pairAt(textOfBytes(compare.key), this.revision);
    work.compared(pair !== null);
    return (pair?.mod ?? 0) === compare.operand;
  }

  #revisionWithin(change: Change): number {
    return change.events.length > 0 ? this.revision + 1 : this.revision;
  }
}

function takesSpace(operation: Operation): boolean {
  if (operation.kind !== 'txn') return operation.kind === 'put' || operation.kind === 'leaseGrant';
  const { success, failure } = operation.request;
  return [...success, ...failure].some((part) => part.kind === 'put');
}

function nobodyAsksFor(what: string): never {
  throw new Error(`no client of the simulator asks for ${what}`);
}
