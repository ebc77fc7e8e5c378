// Decides whether a caller may do something. Two things bound a call. The access key that names the tenant bounds it
// always. While auth is on and the key does not speak for itself, the permissions of the user's roles bound it as well.
// A user's permissions are rows, which are kept in memory once they were needed.

import { assert, unreachable } from '../../base/assert.ts';
import type { AuthOperation } from '../../model/auth.ts';
import { compareBytes, prefixEnd } from '../../base/bytes.ts';
import type { LeaseId } from '../../model/brands.ts';
import { permissionsCachedBytesMax } from '../../limits.ts';
import type { AccessKey, Caller, KeyRange, StoreFailure } from '../../model/store.ts';
import type { AccessKeys } from './access.ts';
import type { AccessNeed } from './access-need.ts';
import { type AuthTables, rootName } from './auth-tables.ts';
import { isEmptyRange, prefixHolds } from '../../model/key-range.ts';
import type { Leases } from '../leases.ts';
import type { Suspension } from '../suspension.ts';
import {
  type Interval,
  intervalBytes,
  intervalOf,
  intervalsHold,
  intervalsHoldKeys,
  intervalsHoldOnce,
  joined,
} from './permission-ranges.ts';
import { PermissionTree } from './permission-tree.ts';

type Right = 'read' | 'write';
/** Intervals null: they are too many to be kept. */
type KnownUser = {
  readonly since: number;
  readonly isRoot: boolean;
  readonly intervals: Readonly<Record<Right, readonly Interval[] | null>>;
  /** They are made when they are needed. */
  readonly trees: Partial<Record<Right, PermissionTree | null>>;
};

const denied: StoreFailure = { kind: 'permissionDenied' };

/**
 * A refusal by the user's token or roles is told only if nothing else is wrong with the request. A refusal by the
 * access key comes first.
 */
export type Refusal = { readonly by: 'key' | 'token' | 'roles'; readonly failure: StoreFailure };

export class Authority {
  readonly #accessKeys: AccessKeys;
  readonly #auth: AuthTables;
  readonly #leases: Leases;
  readonly #suspension: Pick<Suspension, 'failure'>;
  #users = new Map<string, KnownUser>();
  #cachedBytes = 0;

  constructor(accessKeys: AccessKeys, auth: AuthTables, leases: Leases, suspension: Pick<Suspension, 'failure'>) {
    this.#accessKeys = accessKeys;
    this.#auth = auth;
    this.#leases = leases;
    this.#suspension = suspension;
  }

  /** Null: the caller may. */
  refusal(caller: Caller, need: AccessNeed, nowMs: number): Refusal | null {
    if (caller.kind === 'service') return null;
    const failure = this.keyFailure(caller, need, nowMs);
    if (failure !== null) return { by: 'key', failure };
    if (caller.kind === 'accessKey' || !this.#auth.enabled || need.kind === 'anyone') return null;
    if (caller.kind === 'anonymous' && caller.token === 'invalid') return invalidToken;
    if (caller.kind === 'user' && !this.#isCurrent(caller)) return invalidToken;
    const lacking = this.#userFailure(caller.kind === 'user' ? caller.name : null, need);
    return lacking === null ? null : { by: 'roles', failure: lacking };
  }

  /** What the access key alone forbids. Null: nothing. */
  keyFailure(caller: Caller, need: AccessNeed, nowMs: number): StoreFailure | null {
    if (caller.kind === 'service') return null;
    // The user logged in as user@tenant, so there is no access key that could speak for it once auth is off.
    if (caller.kind === 'user' && caller.id === '') {
      return this.#auth.enabled ? this.#suspension.failure : { kind: 'invalidToken' };
    }
    const found = this.#accessKeys.find(caller.id, nowMs);
    if (found.kind === 'refused') return found.failure;
    // Whose key is no good does not learn what the operator has done.
    const suspended = this.#suspension.failure;
    if (suspended !== null) return suspended;
    const speaksForItself = caller.kind === 'accessKey' || !this.#auth.enabled;
    const { accessKey } = found;
    const missing = this.#missingRight(accessKey, need, speaksForItself);
    if (missing === null) return null;
    if (!missing.endsWith(outside)) return { kind: 'forbidden', need: missing, prefix: null };
    if (accessKey.morePrefixes === undefined) return { kind: 'forbidden', need: missing, prefix: accessKey.prefix };
    return { kind: 'forbidden', need: `${missing}es (GET /v1/whoami shows them)`, prefix: null };
  }

  /** The time at which the caller's access key ends by itself. Null: never. */
  keyExpiresAtMs(caller: Caller): number | null {
    return caller.kind === 'service' ? null : this.#accessKeys.expiresAtMs(caller.id);
  }

  /**
   * What the access key alone forbids, and whether it forbids that for good: the tenant, the role and the prefix of a
   * key were fixed when it was made, and a revoked key stays revoked. Null: nothing.
   */
  keyRefusal(
    caller: Caller,
    need: AccessNeed,
    nowMs: number,
  ): { readonly failure: StoreFailure; readonly isForGood: boolean } | null {
    const failure = this.keyFailure(caller, need, nowMs);
    if (failure === null || caller.kind === 'service') return null;
    if (failure.kind === 'unauthenticated') return { failure, isForGood: true };
    if (failure.kind === 'tenantSuspended' || failure.kind === 'tenantUnderDeletion')
      return { failure, isForGood: false };
    const found = this.#accessKeys.find(caller.id, nowMs);
    return { failure, isForGood: found.kind === 'good' && lacksForGood(found.accessKey, need) };
  }

  /** Called after users or roles changed. Null: the change was made. */
  change(operation: AuthOperation, level: number): StoreFailure | null {
    const failure = this.#auth.change(operation, level);
    if (failure === null) this.#forget();
    return failure;
  }

  /** The first right that the access key lacks, in words. Null: it lacks none. */
  #missingRight(accessKey: AccessKey, need: AccessNeed, speaksForItself: boolean): string | null {
    const { role, prefix } = accessKey;
    const prefixes = prefixesOf(accessKey);
    if (need.kind === 'service') return 'the service';
    if (role === 'admin') return null;
    switch (need.kind) {
      case 'anyone':
        return null;
      case 'anyUser':
        return need.role === 'write' && role === 'read' ? 'write' : null;
      case 'keys':
        if (role === 'read' && need.writes.length > 0) return 'write';
        if (!need.reads.every((range) => someHolds(prefixes, range))) return `read${outside}`;
        return need.writes.every((range) => someHolds(prefixes, range)) ? null : `write${outside}`;
      case 'leases':
        if (role === 'read' && need.right === 'write') return 'write';
        if (prefix.byteLength === 0) return null;
        return this.#holdsKeysOf(need.ids, () => intervalsOfPrefixes(prefixes)) ? null : `${need.right}${outside}`;
      case 'ownUser':
      case 'ownRole':
        return speaksForItself ? 'admin' : null;
      case 'admin':
        return 'admin';
      case 'every':
        return firstOf(need.needs, (each) => this.#missingRight(accessKey, each, speaksForItself));
      default:
        return unreachable(need);
    }
  }

  /** `name` null: there is no user. */
  #userFailure(name: string | null, need: AccessNeed): StoreFailure | null {
    if (need.kind === 'anyone') return null;
    if (need.kind === 'every') return firstOf(need.needs, (each) => this.#userFailure(name, each));
    if (need.kind === 'keys' && need.reads.length === 0 && need.writes.length === 0) return null;
    if (name === null) return { kind: 'userNameEmpty' };
    const user = this.#user(name);
    if (user.isRoot) return null;
    switch (need.kind) {
      case 'anyUser':
        return null;
      case 'keys': {
        const reads = need.reads.every((range) => this.#holds(name, user, 'read', range));
        return reads && need.writes.every((range) => this.#holds(name, user, 'write', range)) ? null : denied;
      }
      case 'leases':
        return this.#holdsKeysOf(need.ids, () => user.intervals[need.right] ?? this.#intervalsOf(name, need.right))
          ? null
          : denied;
      case 'ownUser':
        return need.name === name ? null : denied;
      case 'ownRole':
        return this.#auth.hasRole(name, need.role) ? null : denied;
      case 'admin':
      case 'service':
        return denied;
      default:
        return unreachable(need);
    }
  }

  /**
   * A lease may have very many keys, so they are not gone through one by one. `intervals`: what the caller may use, in
   * order.
   */
  #holdsKeysOf(ids: readonly LeaseId[] | 'all', intervals: () => Iterable<Interval>): boolean {
    for (const id of ids === 'all' ? this.#leases.idsWithKeys() : ids) {
      if (!intervalsHoldKeys(intervals(), (from) => this.#leases.firstKeyFrom(id, from))) return false;
    }
    return true;
  }

  /** A token ends when auth is disabled, when its user goes, and when the user is given another password. */
  #isCurrent(caller: Extract<Caller, { readonly kind: 'user' }>): boolean {
    if (caller.authRevision < this.#auth.since) return false;
    const known = this.#users.get(caller.name);
    const since = known?.since ?? this.#auth.user(caller.name)?.since ?? null;
    return since !== null && caller.authRevision >= since;
  }

  #holds(name: string, user: KnownUser, right: Right, range: KeyRange): boolean {
    if (isEmptyRange(range)) return this.#holdsEmpty(name, user, right, range);
    const intervals = user.intervals[right];
    if (intervals !== null) return intervalsHold(intervals, range);
    return intervalsHoldOnce(this.#intervalsOf(name, right), range);
  }

  /**
   * The tree is rarely needed, and made when it is. If there are too many permissions there is no tree, and an empty
   * range is refused.
   */
  #holdsEmpty(name: string, user: KnownUser, right: Right, range: KeyRange): boolean {
    let tree = user.trees[right];
    if (tree === undefined) {
      const intervals = this.#within(intervalsFrom(this.#auth.rangesOf(name, right, 'byRole')));
      tree = intervals === null ? null : new PermissionTree(intervals);
      user.trees[right] = tree;
    }
    return tree !== null && tree.holdsEmpty(range.key, range.rangeEnd);
  }

  #user(name: string): KnownUser {
    const known = this.#users.get(name);
    if (known !== undefined) return known;
    const stored = this.#auth.user(name);
    assert(stored !== null, 'a user whose token is good exists');
    if (this.#cachedBytes > permissionsCachedBytesMax) this.#forget();
    const isRoot = this.#auth.hasRole(name, rootName);
    const read = isRoot ? [] : this.#within(this.#intervalsOf(name, 'read'));
    const write = isRoot ? [] : this.#within(this.#intervalsOf(name, 'write'));
    const user: KnownUser = {
      since: stored.since,
      isRoot,
      intervals: { read, write },
      trees: {},
    };
    this.#users.set(name, user);
    this.#cachedBytes += knownUserBytes;
    return user;
  }

  /** The intervals if they may be kept in memory. Null: they are too many. */
  #within(intervals: Iterable<Interval>): readonly Interval[] | null {
    const kept: Interval[] = [];
    let bytes = 0;
    for (const interval of intervals) {
      bytes += intervalBytes(interval);
      if (bytes > permissionsCachedBytesMax / 2) return null;
      kept.push(interval);
    }
    this.#cachedBytes += bytes;
    return kept;
  }

  *#intervalsOf(name: string, right: Right): Generator<Interval, void, void> {
    yield* joined(intervalsFrom(this.#auth.rangesOf(name, right, 'byKey')));
  }

  #forget(): void {
    this.#users.clear();
    this.#cachedBytes = 0;
  }
}

const outside = ' outside of its prefix';
const knownUserBytes = 1_024;
const invalidToken: Refusal = { by: 'token', failure: { kind: 'invalidToken' } };

function* intervalsFrom(ranges: Iterable<KeyRange>): Generator<Interval, void, void> {
  for (const range of ranges) yield intervalOf(range);
}

function firstOf<Value>(needs: readonly AccessNeed[], find: (need: AccessNeed) => Value | null): Value | null {
  for (const need of needs) {
    const found = find(need);
    if (found !== null) return found;
  }
  return null;
}

function prefixesOf({ prefix, morePrefixes }: AccessKey): readonly Uint8Array[] {
  return morePrefixes === undefined ? [prefix] : [prefix, ...morePrefixes];
}

function someHolds(prefixes: readonly Uint8Array[], range: KeyRange): boolean {
  return prefixes.some((prefix) => prefixHolds(prefix, range));
}

function intervalsOfPrefixes(prefixes: readonly Uint8Array[]): Iterable<Interval> {
  return joined(prefixes.toSorted(compareBytes).map((prefix) => ({ from: prefix, to: prefixEnd(prefix) })));
}

/** The keys that are attached to a lease may change, and so may whether an access key speaks for itself. */
function lacksForGood(accessKey: AccessKey, need: AccessNeed): boolean {
  const { role } = accessKey;
  if (need.kind === 'service') return true;
  if (role === 'admin') return false;
  switch (need.kind) {
    case 'anyUser':
      return need.role === 'write' && role === 'read';
    case 'keys':
      if (role === 'read' && need.writes.length > 0) return true;
      return ![...need.reads, ...need.writes].every((range) => someHolds(prefixesOf(accessKey), range));
    case 'leases':
      return role === 'read' && need.right === 'write';
    case 'admin':
      return true;
    case 'anyone':
    case 'ownUser':
    case 'ownRole':
      return false;
    case 'every':
      return need.needs.some((each) => lacksForGood(accessKey, each));
    default:
      return unreachable(need);
  }
}
