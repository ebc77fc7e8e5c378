// Rules of the store: users, roles, permissions, and what each caller may do while auth is on.

import { expect } from 'vitest';
import type { AuthOperation } from '../../../src/model/auth.ts';
import { emptyBytes, utf8 } from '../../../src/base/bytes.ts';
import { leaseId } from '../../../src/model/brands.ts';
import {
  authNameBytesMax,
  keyBytesMax,
  permissionsCachedBytesMax,
  permissionsMax,
  rolesMax,
  rolesOfUserMax,
  usersMax,
} from '../../../src/limits.ts';
import type { AccessRole, Caller, KeyRange, Operation, StoreFailure } from '../../../src/model/store.ts';
import { accessOfOperation, accessOfRange } from '../../../src/mvcc/auth/access-need.ts';
import { rule, type StoreRule } from './contract.ts';
import {
  compact,
  everything,
  type Fed,
  fromKeyOn,
  grant,
  keyRange,
  prefix,
  put,
  putLeased,
  range,
  read,
  remove,
  revokeLease,
  toLevel,
  txn,
  versionIs,
} from '../requests.ts';

const keyId = 'key';
const types = { read: 0, write: 1, readWrite: 2 } as const;

const addUser = (name: string, passwordHash: string | null = 'hash'): Operation => ({
  kind: 'userAdd',
  name,
  passwordHash,
});
const addRole = (name: string): Operation => ({ kind: 'roleAdd', name });
const grantRole = (name: string, role: string): Operation => ({ kind: 'userGrantRole', name, role });
const permit = (role: string, type: keyof typeof types, of: KeyRange): AuthOperation => ({
  kind: 'roleGrantPermission',
  role,
  permission: { ...of, type: types[type] },
});

function accessKey(id: string, role: AccessRole, held = ''): Operation {
  return {
    kind: 'createAccessKey',
    accessKey: { id, role, prefix: utf8(held), expiresAtMs: null, createdAtMs: 1, name: '' },
  };
}

const anonymous: Caller = { kind: 'anonymous', id: keyId, token: 'none' };
const badToken: Caller = { kind: 'anonymous', id: keyId, token: 'invalid' };
const bearer: Caller = { kind: 'accessKey', id: keyId };

function user(fed: Fed, name: string, id = keyId): Caller {
  return { kind: 'user', id, name, authRevision: fed.ask<'authStatus'>({ kind: 'authStatus' }).authRevision };
}

/** The users are root, and u and v with a role each, named after them. Auth is on. */
function withAuth(fed: Fed): void {
  fed.batch([accessKey(keyId, 'admin'), addUser('root'), addRole('root'), grantRole('root', 'root')]);
  for (const name of ['u', 'v']) fed.batch([addUser(name), addRole(name), grantRole(name, name)]);
  expect(fed.fails({ kind: 'authEnable' })).toBeNull();
}

const denied: StoreFailure = { kind: 'permissionDenied' };

function may(fed: Fed, name: string, operation: Operation): boolean {
  const failure = fed.store.authorize(user(fed, name), accessOfOperation(operation), 1);
  expect(failure === null || failure.kind === 'permissionDenied').toBe(true);
  return failure === null;
}

function mayRead(fed: Fed, name: string, of: KeyRange): boolean {
  return fed.store.authorize(user(fed, name), accessOfRange(of), 1) === null;
}

const credential = (name: string) => ({ kind: 'credential', name }) as const;

/** A key of the greatest length. */
const long = (n: number, last: string): Uint8Array =>
  utf8(`${String(n).padStart(6, '0')}${'x'.repeat(keyBytesMax - 7)}${last}`);

export const authRules: readonly StoreRule[] = [
  rule('MVCC-AUTH-1: each change of users and roles counts, outlives a restart, and makes no revision', (fed) => {
    const revision = (): number => fed.ask<'authStatus'>({ kind: 'authStatus' }).authRevision;
    expect(revision()).toBe(1);
    fed.batch([
      addUser('b'),
      addUser('a', null),
      addRole('r'),
      grantRole('a', 'r'),
      grantRole('a', 'r'),
      grantRole('b', 'root'),
    ]);
    expect(revision()).toBe(6);
    fed.batch([
      permit('r', 'read', keyRange('k')),
      permit('r', 'write', keyRange('k')),
      permit('r', 'read', keyRange('k', 'l')),
    ]);
    fed.reopen();
    expect(fed.ask<'userList'>({ kind: 'userList' }).users).toEqual(['a', 'b']);
    expect(fed.ask<'userGet'>({ kind: 'userGet', name: 'a' }).roles).toEqual(['r']);
    expect(fed.ask<'roleList'>({ kind: 'roleList' }).roles).toEqual(['r']);
    expect(fed.ask<'roleGet'>({ kind: 'roleGet', role: 'r' }).permissions).toEqual([
      { ...keyRange('k'), type: types.write },
      { ...keyRange('k', 'l'), type: types.read },
    ]);
    fed.batch([
      { kind: 'roleRevokePermission', role: 'r', range: keyRange('k') },
      { kind: 'roleDelete', name: 'r' },
    ]);
    expect(fed.ask<'userGet'>({ kind: 'userGet', name: 'a' }).roles).toEqual([]);
    fed.batch([addRole('r'), grantRole('a', 'r'), { kind: 'userDelete', name: 'a' }, addUser('a')]);
    expect(fed.ask<'userGet'>({ kind: 'userGet', name: 'a' }).roles).toEqual([]);
    expect(fed.ask<'roleGet'>({ kind: 'roleGet', role: 'r' }).permissions).toEqual([]);
    expect([revision(), fed.store.revision]).toEqual([15, 1]);
  }),
  rule('MVCC-AUTH-2: what is missing, there already or not allowed is refused, as etcd names it', (fed) => {
    fed.batch([addUser('u'), addRole('r'), permit('r', 'read', keyRange('k'))]);
    const range0 = keyRange('k');
    const cases: readonly (readonly [Operation, StoreFailure['kind']])[] = [
      [addUser(''), 'userNameEmpty'],
      [addUser('u'), 'userExists'],
      [{ kind: 'userDelete', name: 'x' }, 'userNotFound'],
      [{ kind: 'userChangePassword', name: 'x', passwordHash: '' }, 'userNotFound'],
      [grantRole('x', 'y'), 'userNotFound'],
      [grantRole('u', 'y'), 'roleNotFound'],
      [{ kind: 'userRevokeRole', name: 'u', role: 'y' }, 'roleNotGranted'],
      [addRole(''), 'roleNameEmpty'],
      [addRole('r'), 'roleExists'],
      [{ kind: 'roleDelete', name: 'x' }, 'roleNotFound'],
      [{ kind: 'roleGrantPermission', role: 'x', permission: null }, 'permissionNotGiven'],
      [permit('x', 'read', keyRange('b', 'a')), 'invalidAuthManagement'],
      [permit('r', 'read', keyRange('b', 'b')), 'invalidAuthManagement'],
      [permit('r', 'read', keyRange('', fromKeyOn)), 'invalidAuthManagement'],
      [permit('x', 'read', range0), 'roleNotFound'],
      [{ kind: 'roleRevokePermission', role: 'x', range: range0 }, 'roleNotFound'],
      [{ kind: 'roleRevokePermission', role: 'r', range: keyRange('k', 'l') }, 'permissionNotGranted'],
      [{ kind: 'authEnable' }, 'rootUserMissing'],
    ];
    for (const [operation, kind] of cases) expect(fed.fails(operation)).toEqual({ kind });
    expect(fed.askFails({ kind: 'userGet', name: 'x' })).toEqual({ kind: 'userNotFound' });
    expect(fed.askFails({ kind: 'roleGet', role: 'x' })).toEqual({ kind: 'roleNotFound' });
    fed.do(addUser('root'));
    expect(fed.fails({ kind: 'authEnable' })).toEqual({ kind: 'rootRoleMissing' });
    fed.do(grantRole('root', 'root'));
    expect(fed.fails({ kind: 'authEnable' })).toBeNull();
    for (const operation of [
      { kind: 'userDelete', name: 'root' },
      { kind: 'roleDelete', name: 'root' },
      { kind: 'userRevokeRole', name: 'root', role: 'root' },
    ] as const) {
      expect(fed.fails(operation)).toEqual({ kind: 'invalidAuthManagement' });
    }
  }),
  rule('MVCC-AUTH-3: a token ends with disabling, another password and its user, and with nothing else', (fed) => {
    withAuth(fed);
    fed.do(permit('u', 'readWrite', keyRange('k')));
    const token = user(fed, 'u');
    const ended = { kind: 'invalidToken' };
    expect(fed.fails(put('k'), token)).toBeNull();
    fed.batch([addRole('more'), grantRole('u', 'more'), permit('more', 'read', keyRange('x'))]);
    fed.reopen();
    expect(fed.fails(put('k'), token)).toBeNull();
    fed.do({ kind: 'userChangePassword', name: 'u', passwordHash: 'other' });
    expect(fed.fails(put('k'), token)).toEqual(ended);
    const second = user(fed, 'u');
    expect(fed.fails(put('k'), second)).toBeNull();
    fed.do({ kind: 'userDelete', name: 'u' });
    expect(fed.fails(put('k'), second)).toEqual(ended);
    fed.batch([addUser('u'), grantRole('u', 'u')]);
    expect(fed.fails(put('k'), second)).toEqual(ended);
    const third = user(fed, 'u');
    expect(fed.fails(put('k'), third)).toBeNull();
    fed.do({ kind: 'authDisable' });
    // While auth is off, no token is looked at.
    for (const caller of [third, anonymous, badToken]) expect(fed.fails(put('anything'), caller)).toBeNull();
    fed.do({ kind: 'authEnable' });
    fed.reopen();
    expect(fed.fails(put('k'), third)).toEqual(ended);
    expect(fed.fails(put('k'), user(fed, 'u'))).toBeNull();
    expect(fed.askFails({ kind: 'authStatus' }, badToken)).toEqual(ended);
    expect(fed.askFails({ kind: 'authStatus' }, anonymous)).toBeNull();
  }),
  rule('MVCC-AUTH-4: what the roles of a user open together must hold the whole request', (fed) => {
    withAuth(fed);
    fed.batch([addRole('w'), grantRole('u', 'w')]);
    fed.batch([
      permit('u', 'read', keyRange('a', 'c')),
      permit('w', 'readWrite', keyRange('c')),
      permit('w', 'read', keyRange('c\0', 'e')),
    ]);
    const inside = [keyRange('a'), keyRange('a', 'c'), keyRange('b', 'd'), keyRange('a', 'e'), keyRange('c', 'c\0')];
    const outside = [
      keyRange('A'),
      keyRange('a', 'e\0'),
      keyRange('e'),
      keyRange('b', fromKeyOn),
      everything,
      keyRange('A', 'b'),
    ];
    for (const of of inside) expect(mayRead(fed, 'u', of)).toBe(true);
    for (const of of outside) expect(mayRead(fed, 'u', of)).toBe(false);
    expect([may(fed, 'u', put('c')), may(fed, 'u', put('d')), may(fed, 'u', remove(keyRange('c', 'd')))]).toEqual([
      true,
      false,
      false,
    ]);
    expect(mayRead(fed, 'v', keyRange('c'))).toBe(false);
    fed.do(permit('u', 'read', keyRange('b', fromKeyOn)));
    expect([mayRead(fed, 'u', keyRange('z', fromKeyOn)), mayRead(fed, 'u', everything)]).toEqual([true, false]);
    fed.do(permit('v', 'read', everything));
    expect(mayRead(fed, 'v', everything)).toBe(true);
    fed.do({ kind: 'roleRevokePermission', role: 'v', range: everything });
    expect(mayRead(fed, 'v', everything)).toBe(false);
    expect(mayRead(fed, 'root', everything)).toBe(true);
  }),
  rule('MVCC-AUTH-5: a permission for one key opens no key after it', (fed) => {
    withAuth(fed);
    fed.do(permit('u', 'readWrite', keyRange('k')));
    for (const of of [
      keyRange('k', fromKeyOn),
      keyRange('k', 'k\0\0'),
      keyRange('k', 'l'),
      keyRange('k\0'),
      keyRange('k/1'),
      prefix('k'),
    ]) {
      expect(mayRead(fed, 'u', of)).toBe(false);
      expect(may(fed, 'u', remove(of))).toBe(false);
    }
    expect([mayRead(fed, 'u', keyRange('k')), mayRead(fed, 'u', keyRange('k', 'k\0'))]).toEqual([true, true]);
  }),
  rule('MVCC-AUTH-6: previous pairs and compares need to be readable, in every branch and nested', (fed) => {
    withAuth(fed);
    fed.batch([
      permit('u', 'write', keyRange('w')),
      permit('u', 'read', keyRange('r')),
      permit('u', 'readWrite', keyRange('b')),
    ]);
    expect([
      may(fed, 'u', put('w')),
      may(fed, 'u', put('w', 'v', { previous: true })),
      may(fed, 'u', put('b', 'v', { previous: true })),
    ]).toEqual([true, false, true]);
    expect([may(fed, 'u', remove('w')), may(fed, 'u', remove('w', true)), may(fed, 'u', remove('r'))]).toEqual([
      true,
      false,
      false,
    ]);
    expect(may(fed, 'u', txn({ compare: [versionIs('r', 0)], success: [put('w')], failure: [read('b')] }))).toBe(true);
    for (const parts of [
      { compare: [versionIs('w', 0)] },
      { success: [read('w')] },
      { failure: [put('r')] },
      { success: [txn({ failure: [txn({ compare: [versionIs('x', 0)] })] })] },
      { success: [put('w', 'v', { previous: true })] },
    ]) {
      expect(may(fed, 'u', txn(parts))).toBe(false);
    }
    expect(fed.fails(txn({}), anonymous)).toBeNull();
    expect(fed.fails(txn({}), badToken)).toEqual({ kind: 'invalidToken' });
  }),
  rule('MVCC-AUTH-7: whose keys are attached decides who may attach, revoke, extend and look', (fed) => {
    withAuth(fed);
    fed.batch([
      permit('u', 'readWrite', prefix('u/')),
      permit('v', 'readWrite', prefix('v/')),
      permit('v', 'write', keyRange('u/blind')),
    ]);
    const [u, v] = [user(fed, 'u'), user(fed, 'v')];
    expect(fed.fails(grant(1), anonymous)).toEqual({ kind: 'userNameEmpty' });
    expect([fed.fails(grant(1), u), fed.fails(grant(2), v)]).toEqual([null, null]);
    expect(fed.fails(putLeased('u/1', 1), u)).toBeNull();
    expect(fed.fails(putLeased('v/1', 1), v)).toEqual(denied);
    expect(fed.fails(txn({ failure: [txn({ success: [putLeased('v/1', 1)] })] }), v)).toEqual(denied);
    expect(fed.fails(putLeased('v/1', 2), v)).toBeNull();
    const one = leaseId(1n);
    expect(fed.askFails({ kind: 'timeToLive', id: one, keys: true }, v)).toEqual(denied);
    expect(fed.askFails({ kind: 'timeToLive', id: one, keys: false }, v)).toBeNull();
    expect(fed.askFails({ kind: 'timeToLive', id: one, keys: true }, u)).toBeNull();
    expect([fed.askFails({ kind: 'leases' }, u), fed.askFails({ kind: 'leases' }, user(fed, 'root'))]).toEqual([
      denied,
      null,
    ]);
    expect([fed.askFails({ kind: 'keepAlive', id: one }, u), fed.askFails({ kind: 'keepAlive', id: one }, v)]).toEqual([
      null,
      denied,
    ]);
    expect(fed.askFails({ kind: 'keepAlive', id: one }, anonymous)).toEqual({ kind: 'userNameEmpty' });
    expect([fed.fails(revokeLease(1), v), fed.fails(revokeLease(9), v)]).toEqual([denied, { kind: 'leaseNotFound' }]);
    fed.do(remove('u/1'), u);
    fed.do(putLeased('u/blind', 1), u);
    expect(fed.askFails({ kind: 'timeToLive', id: one, keys: true }, v)).toEqual(denied);
    expect(fed.fails(revokeLease(1), v)).toBeNull();
  }),
  rule('MVCC-AUTH-15: a user is granted rolesOfUserMax roles, one more is refused, from level 3 on', (fed) => {
    const roles = Array.from({ length: rolesOfUserMax + 2 }, (_, n) => `r${n}`);
    fed.do(addUser('u'));
    fed.batch(roles.map(addRole));
    const grantNth = (n: number): Operation => grantRole('u', roles[n] ?? '');
    fed.do(toLevel(3));
    for (let n = 0; n < rolesOfUserMax; n++) expect(fed.fails(grantNth(n))).toBeNull();
    expect(fed.fails(grantNth(0))).toBeNull();
    expect(fed.fails(grantNth(rolesOfUserMax))).toEqual({ kind: 'tooMany', what: 'roles', max: rolesOfUserMax });
    fed.do(toLevel(2));
    expect(fed.fails(grantNth(rolesOfUserMax))).toBeNull();
    fed.do(toLevel(3));
    expect(fed.fails(grantNth(rolesOfUserMax + 1))?.kind).toBe('tooMany');
  }),
  rule('MVCC-AUTH-8: only the root manages; any user may look at what is its own', (fed) => {
    withAuth(fed);
    const [u, root] = [user(fed, 'u'), user(fed, 'root')];
    const managing = [
      compact(1),
      addUser('x'),
      { kind: 'alarmActivate', alarm: { memberId: 1n, alarm: 1 } },
      accessKey('x', 'read'),
      { kind: 'authDisable' },
      { kind: 'downgradeCancel' },
    ] as const;
    for (const operation of managing) {
      expect(fed.fails(operation, u)).toEqual(denied);
      expect(fed.fails(operation, anonymous)).toEqual({ kind: 'userNameEmpty' });
      expect(fed.fails(operation, badToken)).toEqual({ kind: 'invalidToken' });
    }
    for (const query of [
      { kind: 'userList' },
      { kind: 'roleList' },
      { kind: 'hash' },
      { kind: 'hashKv', revision: 0 },
      { kind: 'userGet', name: 'none' },
      { kind: 'roleGet', role: 'v' },
    ] as const) {
      expect(fed.askFails(query, u)).toEqual(denied);
      expect(fed.askFails(query, root)?.kind ?? null).toBe(query.kind === 'userGet' ? 'userNotFound' : null);
    }
    for (const query of [
      { kind: 'userGet', name: 'u' },
      { kind: 'roleGet', role: 'u' },
      { kind: 'alarms', alarm: 0 },
      { kind: 'storeStatus' },
    ] as const) {
      expect(fed.askFails(query, u)).toBeNull();
      expect(fed.askFails(query, anonymous)).toEqual({ kind: 'userNameEmpty' });
    }
    expect(fed.store.authorize(badToken, { kind: 'anyone' }, 1)).toBeNull();
  }),
  rule(
    'MVCC-AUTH-9: the key bounds its users too; one that speaks for itself keeps its own rights, an admin one is root',
    (fed) => {
      withAuth(fed);
      fed.batch([accessKey('small', 'read', 'a/'), accessKey('writer', 'write'), permit('u', 'readWrite', everything)]);
      expect(mayRead(fed, 'u', everything)).toBe(true);
      const small = user(fed, 'u', 'small');
      expect(fed.store.authorize(small, accessOfRange(prefix('a/')), 1)).toBeNull();
      expect(fed.store.authorize(small, accessOfRange(prefix('b/')), 1)).toMatchObject({ kind: 'forbidden' });
      expect(fed.fails(put('a/1'), small)).toEqual({ kind: 'forbidden', need: 'write', prefix: null });
      expect(fed.fails(addUser('x'), user(fed, 'root', 'writer'))).toEqual({
        kind: 'forbidden',
        need: 'admin',
        prefix: null,
      });
      expect(fed.askFails({ kind: 'userGet', name: 'u' }, small)).toBeNull();
      const alone: Caller = { kind: 'accessKey', id: 'small' };
      expect(fed.store.authorize(alone, accessOfRange(prefix('a/')), 1)).toBeNull();
      expect(fed.askFails({ kind: 'userGet', name: 'u' }, alone)).toEqual({
        kind: 'forbidden',
        need: 'admin',
        prefix: null,
      });
      expect(fed.fails(addUser('x'), bearer)).toBeNull();
      expect(fed.fails({ kind: 'authDisable' }, bearer)).toBeNull();
      fed.do({ kind: 'authEnable' });
      fed.do({ kind: 'revokeAccessKey', id: keyId });
      expect(fed.fails(put('k'), user(fed, 'u'))).toEqual({ kind: 'unauthenticated', reason: 'revoked' });
      // An access key neither attaches keys beyond its prefix to a lease, nor ends a lease that has such keys.
      fed.batch([accessKey('app', 'write', 'app/'), grant(1), putLeased('other', 1), grant(2)]);
      const app: Caller = { kind: 'accessKey', id: 'app' };
      for (const operation of [putLeased('app/1', 1), revokeLease(1)]) {
        expect(fed.fails(operation, app)).toEqual({
          kind: 'forbidden',
          need: 'write outside of its prefix',
          prefix: utf8('app/'),
        });
      }
      expect(fed.fails(putLeased('app/1', 2), app)).toBeNull();
      expect(fed.askFails({ kind: 'keepAlive', id: leaseId(2n) }, alone)).toEqual({
        kind: 'forbidden',
        need: 'write',
        prefix: null,
      });
    },
  ),
  rule('MVCC-AUTH-10: shape, token, alarm, permission, revision and lease, in this order', (fed) => {
    withAuth(fed);
    fed.do(permit('u', 'readWrite', keyRange('k')));
    const u = user(fed, 'u');
    expect(fed.fails(put(''), badToken)).toEqual({ kind: 'keyNotProvided' });
    expect(fed.fails(txn({ success: [put('x'), put('x')] }), u)).toEqual({ kind: 'duplicateKey' });
    expect(fed.store.authorizeRange(u, range(keyRange('')), 1)).toEqual({ kind: 'keyNotProvided' });
    expect(fed.store.authorizeRange(u, range('x', { revision: 99 }), 1)).toEqual(denied);
    expect(fed.store.authorizeRange(u, range('k', { revision: 99 }), 1)).toBeNull();
    expect(fed.fails(put('k', 'v', { lease: leaseId(9n) }), u)).toEqual({ kind: 'leaseNotFound' });
    expect(fed.fails(put('x', 'v', { lease: leaseId(9n) }), u)).toEqual(denied);
    fed.do({ kind: 'alarmActivate', alarm: { memberId: 1n, alarm: 1 } });
    expect(fed.fails(put(''), u)).toEqual({ kind: 'keyNotProvided' });
    for (const caller of [u, anonymous]) expect(fed.fails(put('x'), caller)).toEqual({ kind: 'noSpace' });
    expect(fed.fails(put('x'), badToken)).toEqual({ kind: 'invalidToken' });
    expect(fed.fails(grant(1), anonymous)).toEqual({ kind: 'userNameEmpty' });
    expect(fed.fails(remove('x'), u)).toEqual(denied);
    fed.do({ kind: 'alarmActivate', alarm: { memberId: 1n, alarm: 2 } });
    expect(fed.fails(remove('x'), u)).toEqual({ kind: 'corruptAlarm' });
    expect(fed.fails(compact(1), u)).toEqual(denied);
    expect(fed.fails(compact(1), anonymous)).toEqual({ kind: 'userNameEmpty' });
  }),
  rule('MVCC-AUTH-11: what a user may no longer do is not answered to a retry either', (fed) => {
    withAuth(fed);
    fed.do(permit('u', 'readWrite', keyRange('k')));
    const command = { writeId: 'w', caller: user(fed, 'u'), atMs: 1, operation: put('k', 'v', { previous: true }) };
    const first = fed.commands([command]);
    expect(fed.commands([command])).toEqual(first);
    fed.do({ kind: 'userRevokeRole', name: 'u', role: 'u' });
    expect(fed.commands([command])).toMatchObject([{ kind: 'failed', failure: denied }]);
  }),
  rule('MVCC-AUTH-12: a credential is told to the service alone, and only while auth is on', (fed) => {
    expect(fed.askFails(credential('root'))).toEqual({ kind: 'authNotEnabled' });
    withAuth(fed);
    fed.do(addUser('bare', null));
    const { authRevision } = fed.ask<'authStatus'>({ kind: 'authStatus' });
    expect(fed.ask<'credential'>(credential('u'))).toEqual({ kind: 'credential', passwordHash: 'hash', authRevision });
    expect(fed.askFails(credential('none'))).toEqual({ kind: 'authenticationFailed' });
    expect(fed.askFails(credential('bare'))).toEqual({ kind: 'userWithoutPassword' });
    fed.do({ kind: 'userChangePassword', name: 'bare', passwordHash: 'x' });
    expect(fed.askFails(credential('bare'))).toEqual({ kind: 'userWithoutPassword' });
    expect(fed.askFails(credential('u'), bearer)).toEqual({ kind: 'forbidden', need: 'the service', prefix: null });
    expect(fed.askFails(credential('u'), user(fed, 'root'))).toEqual({
      kind: 'forbidden',
      need: 'the service',
      prefix: null,
    });
  }),
  rule('MVCC-LIMIT-9: users, roles, permissions and names up to their bounds, and not beyond', (fed) => {
    const fill = (table: string, count: number, columns: string): void => {
      const numbers = `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${count})`;
      fed.sql.run(`${numbers} INSERT INTO ${table} SELECT ${columns} FROM n`);
    };
    fill('auth_users', usersMax - 1, "'u' || i, '', 1");
    fill('auth_roles', rolesMax - 1, "'r' || i");
    expect([fed.fails(addUser('a')), fed.fails(addRole('a'))]).toEqual([null, null]);
    expect(fed.fails(addUser('b'))).toEqual({ kind: 'tooMany', what: 'users', max: usersMax });
    expect(fed.fails(addRole('b'))).toEqual({ kind: 'tooMany', what: 'roles', max: rolesMax });
    fed.batch([
      { kind: 'userDelete', name: 'a' },
      { kind: 'roleDelete', name: 'a' },
    ]);
    const name = `${'é'.repeat(authNameBytesMax / 2 - 1)}xy`;
    expect([fed.fails(addUser(name)), fed.fails(addRole(name))]).toEqual([null, null]);
    const long = { kind: 'nameTooLong', bytes: authNameBytesMax + 1 };
    expect([fed.fails(addUser(`${name}z`)), fed.fails(addRole(`${name}z`))]).toEqual([long, long]);
    fed.batch(Array.from({ length: permissionsMax }, (_, n) => permit(name, 'read', keyRange(`k${n}`))));
    expect(fed.fails(permit(name, 'read', keyRange('k')))).toEqual({
      kind: 'tooMany',
      what: 'permissions',
      max: permissionsMax,
    });
    expect(fed.fails(permit(name, 'write', keyRange('k0')))).toBeNull();
    const longest = new Uint8Array(keyBytesMax).fill(0x6b);
    expect(fed.fails(permit('r1', 'read', { key: longest, rangeEnd: emptyBytes }))).toBeNull();
    const longer = new Uint8Array(keyBytesMax + 1).fill(0x6b);
    expect(fed.fails(permit('r1', 'read', { key: longer, rangeEnd: emptyBytes }))).toEqual({
      kind: 'keyTooLong',
      bytes: keyBytesMax + 1,
    });
  }),
  rule('MVCC-LIMIT-10: permissions beyond permissionsCachedBytesMax count as those in memory do', (fed) => {
    withAuth(fed);
    const count = Math.ceil((0.6 * permissionsCachedBytesMax) / (2 * keyBytesMax));
    for (let role = 0; role * permissionsMax < count; role++) {
      fed.batch([addRole(`r${role}`), grantRole('u', `r${role}`)]);
      const numbers = Array.from(
        { length: Math.min(permissionsMax, count - role * permissionsMax) },
        (_, n) => role * permissionsMax + n,
      );
      fed.batch(numbers.map((n) => permit(`r${role}`, 'read', { key: long(n, 'a'), rangeEnd: long(n, 'm') })));
    }
    fed.do(permit('v', 'read', keyRange('k')));
    for (const n of [0, count - 1]) {
      expect(mayRead(fed, 'u', keyRange(long(n, 'c')))).toBe(true);
      expect(mayRead(fed, 'u', keyRange(long(n, 'a'), long(n, 'm')))).toBe(true);
      expect(mayRead(fed, 'u', keyRange(long(n, 'm')))).toBe(false);
      expect(mayRead(fed, 'v', keyRange('k'))).toBe(true);
    }
    expect(mayRead(fed, 'u', keyRange(long(0, 'c'), long(0, 'b')))).toBe(false);
  }),
];
