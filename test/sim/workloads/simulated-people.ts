// The callers in runs with access control: access keys, users, and nobody; and the administrator, who sets them up and
// changes their permissions while they work.

import { permissionType } from '../../../src/model/auth.ts';
import { emptyBytes, utf8 } from '../../../src/base/bytes.ts';
import type { AccessKey, AccessRole, Caller, KeyRange, Operation } from '../../../src/model/store.ts';
import { termChanges } from '../../../src/model/terms.ts';
import type { Random } from '../../support/random.ts';

const users = ['alice', 'bob'] as const;
const roles = ['letters', 'slashes'] as const;
const ranges: readonly KeyRange[] = [
  { key: utf8('a'), rangeEnd: emptyBytes },
  { key: utf8('a'), rangeEnd: utf8('b') },
  { key: utf8('a/'), rangeEnd: utf8('a0') },
  { key: utf8('b'), rangeEnd: Uint8Array.of(0) },
  { key: Uint8Array.of(0), rangeEnd: Uint8Array.of(0) },
];

export const service: Caller = { kind: 'service' };
export const administrator: Caller = { kind: 'accessKey', id: 'admin' };
/** The access key of this caller may never write anything. */
export const reader: Caller = { kind: 'accessKey', id: 'reader' };

/** The caller of the client with this number. The first client administers. */
export function callerOf(number: number, random: Random): Caller {
  if (number === 1) return administrator;
  const name = random.pick(users);
  return random.pick<Caller>([
    { kind: 'accessKey', id: 'prefix' },
    { kind: 'accessKey', id: random.pick(['reader', 'writer']) },
    { kind: 'user', id: 'admin', name, authRevision: 0 },
    { kind: 'user', id: 'admin', name, authRevision: 0 },
    { kind: 'user', id: 'prefix', name, authRevision: 0 },
    { kind: 'anonymous', id: 'writer', token: 'none' },
  ]);
}

/** The first operations, of provisioning and of the administrator, in this order. */
export const preparation: readonly { readonly caller: Caller; readonly operation: Operation }[] = [
  { caller: service, operation: { kind: 'createAccessKey', accessKey: key('admin', 'admin', '') } },
  { caller: administrator, operation: { kind: 'createAccessKey', accessKey: key('writer', 'write', '') } },
  { caller: administrator, operation: { kind: 'createAccessKey', accessKey: key('reader', 'read', '') } },
  { caller: administrator, operation: { kind: 'createAccessKey', accessKey: key('prefix', 'write', 'a') } },
  ...['root', ...users].map((name) => asAdministrator({ kind: 'userAdd', name, passwordHash: 'hashed' })),
  ...roles.map((name) => asAdministrator({ kind: 'roleAdd', name })),
  asAdministrator({ kind: 'userGrantRole', name: 'root', role: 'root' }),
  asAdministrator({ kind: 'userGrantRole', name: 'alice', role: 'letters' }),
  asAdministrator({
    kind: 'roleGrantPermission',
    role: 'letters',
    permission: { key: utf8('a'), rangeEnd: utf8('c'), type: permissionType.readWrite },
  }),
  asAdministrator({ kind: 'authEnable' }),
];

export function administration(random: Random): Operation {
  const name = random.pick(users);
  const role = random.pick(roles);
  const range = random.pick(ranges);
  const type = random.pick(Object.values(permissionType));
  return random.pick<Operation>([
    { kind: 'userGrantRole', name, role },
    { kind: 'userGrantRole', name, role },
    { kind: 'userRevokeRole', name, role },
    { kind: 'roleGrantPermission', role, permission: { ...range, type } },
    { kind: 'roleGrantPermission', role, permission: { ...range, type } },
    { kind: 'roleRevokePermission', role, range },
    { kind: 'userChangePassword', name, passwordHash: 'hashed anew' },
    { kind: random.chance(0.25) ? 'authDisable' : 'authEnable' },
    random.chance(0.2) ? { kind: 'revokeAccessKey', id: 'prefix' } : { kind: 'authEnable' },
  ]);
}

/** What the operator sets, or what is done to an access key. `version`: it counts the changes of terms. */
export function tenancy(random: Random, version: number): { readonly caller: Caller; readonly operation: Operation } {
  const id = random.pick(['writer', 'reader', 'prefix', 'rotated 1', 'rotated 2']);
  const made = key(`rotated ${random.integer(1, 6)}`, random.pick(['write', 'read']), random.pick(['', 'a']));
  const bound = (least: number, most: number) => (random.chance(0.3) ? null : random.integer(least, most));
  const terms = { keysMax: bound(1, 6), leasesMax: bound(1, 5), accessKeysMax: bound(3, 8), version };
  return random.pick([
    { caller: service, operation: { kind: 'terms', changes: termChanges(terms) } },
    { caller: service, operation: { kind: 'terms', changes: termChanges(terms) } },
    // It ends after the run.
    asAdministrator({ kind: 'rotateAccessKey', id, endsAtMs: 1e15, accessKey: made }),
    asAdministrator({ kind: 'createAccessKey', accessKey: made }),
  ] as const);
}

/** Takes all bounds back. */
export function unbounded(version: number): { readonly caller: Caller; readonly operation: Operation } {
  const changes = termChanges({ keysMax: null, leasesMax: null, accessKeysMax: null, version });
  return { caller: service, operation: { kind: 'terms', changes } };
}

function asAdministrator(operation: Operation): { readonly caller: Caller; readonly operation: Operation } {
  return { caller: administrator, operation };
}

function key(id: string, role: AccessRole, prefix: string): AccessKey {
  return { id, role, prefix: utf8(prefix), expiresAtMs: null, createdAtMs: 0, name: '' };
}
