// Permissions as the checkers see them: access keys, users and roles as plain values, with one state for each index of
// the log. It shares no code with the real one.

import { unreachable } from '../../../src/base/assert.ts';
import { type AuthOperation, permissionType } from '../../../src/model/auth.ts';
import type { AccessKey, Caller, KeyRange, Operation, TxnOperation } from '../../../src/model/store.ts';
import { groupLevel, groupLevelMin } from '../../../src/model/levels.ts';
import { type TermChange, termCode } from '../../../src/model/terms.ts';
import { textOfBytes } from './plain.ts';

type User = { readonly since: number; readonly roles: ReadonlySet<string> };
type Permission = { readonly key: string; readonly end: string; readonly type: number };

/** A state is never changed: each change makes a new one. */
export type AuthState = {
  readonly enabled: boolean;
  readonly revision: number;
  readonly since: number;
  readonly users: ReadonlyMap<string, User>;
  readonly roles: ReadonlyMap<string, readonly Permission[]>;
  readonly keys: ReadonlyMap<string, HeldKey>;
  /** The level of the group, whether the operator has suspended the tenant, and the terms that it has set. */
  readonly level: number;
  readonly isSuspended: boolean;
  readonly terms: ReadonlyMap<number, number>;
};
type HeldKey = { readonly accessKey: AccessKey; readonly revoked: boolean; readonly rotated?: true };
export const nobody: AuthState = {
  enabled: false,
  revision: 1,
  since: 0,
  users: new Map(),
  roles: new Map(),
  keys: new Map(),
  level: groupLevelMin,
  isSuspended: false,
  terms: new Map(),
};

type Change = { readonly state: AuthState; readonly failure: string | null };

/** The permissions that a request needs. `attached`: the keys of the leases that it writes to. */
export type ReferenceNeed =
  | { readonly kind: 'admin' }
  | { readonly kind: 'anyUser' }
  | {
      readonly kind: 'keys';
      readonly reads: readonly KeyRange[];
      readonly writes: readonly KeyRange[];
      readonly leases: readonly bigint[];
    };

export function needOf(operation: Operation): ReferenceNeed {
  switch (operation.kind) {
    case 'put':
    case 'deleteRange':
      return needOfParts([operation], []);
    case 'txn': {
      const { compare, success, failure } = operation.request;
      return needOfParts([...success, ...failure], compare);
    }
    case 'leaseGrant':
      return { kind: 'anyUser' };
    case 'leaseRevoke':
      return { kind: 'keys', reads: [], writes: [], leases: [operation.id] };
    case 'compact':
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
      return { kind: 'admin' };
    case 'leaseExpire':
    case 'leaseCheckpoint':
    case 'suspension':
    case 'terms':
    case 'alarmActivate':
    case 'alarmDeactivate':
    case 'downgradeEnable':
    case 'downgradeCancel':
    case 'learnerChange':
    case 'groupLevel':
      // The request is the service's own, which may do everything, or nobody makes it here.
      return { kind: 'admin' };
    default:
      return unreachable(operation);
  }
}

function needOfParts(parts: readonly TxnOperation[], compares: readonly KeyRange[]): ReferenceNeed {
  const reads: KeyRange[] = [...compares];
  const writes: KeyRange[] = [];
  const leases: bigint[] = [];
  for (const part of parts) {
    if (part.kind === 'range') reads.push(part.request);
    if (part.kind !== 'put' && part.kind !== 'deleteRange') continue;
    const range = part.kind === 'put' ? { key: part.request.key, rangeEnd: new Uint8Array(0) } : part.request;
    writes.push(range);
    if (part.request.previous) reads.push(range);
    if (part.kind === 'put' && part.request.lease !== 0n) leases.push(part.request.lease);
  }
  return { kind: 'keys', reads, writes, leases };
}

/** Null: the caller has the permission. Otherwise the kind of failure. */
export function refusalOf(
  state: AuthState,
  caller: Caller,
  need: ReferenceNeed,
  keysOf: (lease: bigint) => readonly string[],
): string | null {
  if (caller.kind === 'service') return null;
  const held = state.keys.get(caller.id);
  if (held === undefined || held.revoked) return 'unauthenticated';
  if (state.isSuspended && state.level >= groupLevel.fourth) return 'tenantSuspended';
  if (!keyMay(held.accessKey, need, keysOf)) return 'forbidden';
  if (caller.kind === 'accessKey' || !state.enabled) return null;
  if (caller.kind === 'anonymous') return caller.token === 'invalid' ? 'invalidToken' : 'userNameEmpty';
  const user = state.users.get(caller.name);
  if (user === undefined || caller.authRevision < Math.max(state.since, user.since)) return 'invalidToken';
  return userMay(state, user, need, keysOf) ? null : 'permissionDenied';
}

function keyMay(key: AccessKey, need: ReferenceNeed, keysOf: (lease: bigint) => readonly string[]): boolean {
  if (key.role === 'admin') return true;
  const mayWrite = key.role === 'write';
  if (need.kind === 'admin') return false;
  if (need.kind === 'anyUser') return mayWrite;
  if (!mayWrite && (need.writes.length > 0 || need.leases.length > 0)) return false;
  const prefix = textOfBytes(key.prefix);
  const lastByte = prefix.charCodeAt(prefix.length - 1);
  const all =
    prefix === ''
      ? { from: '', to: null }
      : { from: prefix, to: prefix.slice(0, -1) + String.fromCharCode(lastByte + 1) };
  return (
    [...need.reads, ...need.writes].every((range) => isWithin(spanOf(range), [all])) &&
    need.leases.every((id) => keysOf(id).every((one) => one.startsWith(prefix)))
  );
}

function userMay(
  state: AuthState,
  user: User,
  need: ReferenceNeed,
  keysOf: (lease: bigint) => readonly string[],
): boolean {
  if (user.roles.has('root') || need.kind === 'anyUser') return true;
  if (need.kind === 'admin') return false;
  const opens = (right: number): Span[] =>
    [...user.roles].flatMap((role) =>
      (state.roles.get(role) ?? [])
        .filter(({ type }) => type === right || type === permissionType.readWrite)
        .map(({ key, end }) => spanFrom(key, end)),
    );
  const [readable, writable] = [opens(permissionType.read), opens(permissionType.write)];
  return (
    need.reads.every((range) => isWithin(spanOf(range), readable)) &&
    need.writes.every((range) => isWithin(spanOf(range), writable)) &&
    need.leases.every((id) => keysOf(id).every((key) => isWithin(spanFrom(key, ''), writable)))
  );
}

/** Null: the range has no end. Clients of the simulator that are bounded ask for no empty range. */
type Span = { readonly from: string; readonly to: string | null };

function spanOf(range: KeyRange): Span {
  return spanFrom(textOfBytes(range.key), textOfBytes(range.rangeEnd));
}

function spanFrom(key: string, end: string): Span {
  if (end === '') return { from: key, to: `${key}\0` };
  return { from: key, to: end === '\0' ? null : end };
}

/** True: every key of the span is in one of the others. */
function isWithin(span: Span, others: readonly Span[]): boolean {
  let { from } = span;
  for (;;) {
    const next = others.filter((one) => one.from <= from && (one.to === null || one.to > from));
    if (next.length === 0) return false;
    if (next.some((one) => one.to === null)) return true;
    from = next.map((one) => one.to ?? '').reduce((left, right) => (left > right ? left : right));
    if (span.to !== null && from >= span.to) return true;
  }
}

/** What the operator has bounded. Null: nothing. */
export function boundOf(state: AuthState, name: 'keysMax' | 'leasesMax' | 'accessKeysMax'): number | null {
  return state.level < groupLevel.sixth ? null : (state.terms.get(termCode[name]) ?? null);
}

/** True: no further access key may be made. Those of the simulator do not expire. */
export function hasAllKeys(state: AuthState): boolean {
  const max = boundOf(state, 'accessKeysMax');
  const inUse = [...state.keys.values()].filter(({ revoked, rotated }) => !revoked && rotated !== true);
  return max !== null && inUse.length >= max;
}

/** From level 6 on terms that are older than those there are passed over. */
export function changeTerms(state: AuthState, changes: readonly TermChange[]): AuthState {
  const version = changes.find(({ code }) => code === termCode.version)?.value ?? null;
  const known = state.terms.get(termCode.version) ?? null;
  if (state.level >= groupLevel.sixth && version !== null && known !== null && version < known) return state;
  const terms = new Map(state.terms);
  for (const { code, value } of changes) {
    if (value === null) terms.delete(code);
    else terms.set(code, value);
  }
  return { ...state, terms };
}

export function rotateKey(state: AuthState, id: string, accessKey: AccessKey): Change {
  const held = state.keys.get(id);
  if (held === undefined || held.revoked || held.rotated === true) return { state, failure: 'accessKeyEnding' };
  const { state: made, failure } = createKey(state, accessKey);
  if (failure !== null) return { state, failure };
  return done({ ...made, keys: new Map(made.keys).set(id, { ...held, rotated: true }) });
}

export function createKey(state: AuthState, accessKey: AccessKey): Change {
  if (state.keys.has(accessKey.id)) return { state, failure: 'accessKeyExists' };
  return done({ ...state, keys: new Map(state.keys).set(accessKey.id, { accessKey, revoked: false }) });
}

/** Revoking an access key that is unknown, or revoked already, is no failure. */
export function revokeKey(state: AuthState, id: string): AuthState {
  const held = state.keys.get(id);
  return held === undefined ? state : { ...state, keys: new Map(state.keys).set(id, { ...held, revoked: true }) };
}

export function changeAuth(state: AuthState, operation: AuthOperation): Change {
  const next = { ...state, revision: state.revision + 1 };
  switch (operation.kind) {
    case 'authEnable':
      if (state.enabled) return done(state);
      if (!state.users.has('root')) return { state, failure: 'rootUserMissing' };
      if (state.users.get('root')?.roles.has('root') !== true) return { state, failure: 'rootRoleMissing' };
      return done({ ...state, enabled: true });
    case 'authDisable':
      return done(state.enabled ? { ...next, enabled: false, since: next.revision } : state);
    case 'userAdd': {
      if (state.users.has(operation.name)) return { state, failure: 'userExists' };
      return done(withUser(next, operation.name, { since: next.revision, roles: new Set() }));
    }
    case 'userChangePassword': {
      const user = state.users.get(operation.name);
      if (user === undefined) return { state, failure: 'userNotFound' };
      return done(withUser(next, operation.name, { ...user, since: next.revision }));
    }
    case 'userGrantRole': {
      const user = state.users.get(operation.name);
      if (user === undefined) return { state, failure: 'userNotFound' };
      if (operation.role !== 'root' && !state.roles.has(operation.role)) return { state, failure: 'roleNotFound' };
      if (user.roles.has(operation.role)) return done(state);
      return done(withUser(next, operation.name, { ...user, roles: new Set(user.roles).add(operation.role) }));
    }
    case 'userRevokeRole': {
      const user = state.users.get(operation.name);
      if (user === undefined) return { state, failure: 'userNotFound' };
      if (!user.roles.has(operation.role)) return { state, failure: 'roleNotGranted' };
      const roles = new Set([...user.roles].filter((role) => role !== operation.role));
      return done(withUser(next, operation.name, { ...user, roles }));
    }
    case 'roleAdd':
      if (state.roles.has(operation.name)) return { state, failure: 'roleExists' };
      return done(withRole(next, operation.name, []));
    case 'roleGrantPermission':
      return grantPermission(state, next, operation);
    case 'roleRevokePermission': {
      const permissions = state.roles.get(operation.role);
      if (permissions === undefined) return { state, failure: 'roleNotFound' };
      const [key, end] = [textOfBytes(operation.range.key), textOfBytes(operation.range.rangeEnd)];
      const rest = permissions.filter((one) => one.key !== key || one.end !== end);
      if (rest.length === permissions.length) return { state, failure: 'permissionNotGranted' };
      return done(withRole(next, operation.role, rest));
    }
    case 'userDelete':
    case 'roleDelete':
      throw new Error(`no client of the simulator asks for ${operation.kind}`);
    default:
      return unreachable(operation);
  }
}

/** As in etcd, of several permissions for one key only the first is replaced. */
function grantPermission(
  state: AuthState,
  next: AuthState,
  { role, permission }: Extract<AuthOperation, { kind: 'roleGrantPermission' }>,
): Change {
  const permissions = state.roles.get(role);
  if (permission === null) return { state, failure: 'permissionNotGiven' };
  if (permissions === undefined) return { state, failure: 'roleNotFound' };
  const given = { key: textOfBytes(permission.key), end: textOfBytes(permission.rangeEnd), type: permission.type };
  const first = permissions.find((one) => one.key === given.key);
  if (first?.end !== given.end) return done(withRole(next, role, [...permissions, given]));
  return done(
    withRole(
      next,
      role,
      permissions.map((one) => (one === first ? given : one)),
    ),
  );
}

function withUser(state: AuthState, name: string, user: User): AuthState {
  return { ...state, users: new Map(state.users).set(name, user) };
}

function withRole(state: AuthState, role: string, permissions: readonly Permission[]): AuthState {
  return { ...state, roles: new Map(state.roles).set(role, permissions) };
}

function done(state: AuthState): Change {
  return { state, failure: null };
}
