// etcd's users, roles and permissions: their changes, and what can be read of them. Whether a caller may is not decided
// here. The order of the checks is etcd's.

import { unreachable } from '../../base/assert.ts';
import type { AuthOperation, Permission } from '../../model/auth.ts';
import { compareBytes, emptyBytes, equalBytes, utf8 } from '../../base/bytes.ts';
import { groupLevel } from '../../model/levels.ts';
import { authNameBytesMax, keyBytesMax, permissionsMax, rolesMax, rolesOfUserMax, usersMax } from '../../limits.ts';
import type { KeyRange, StoreFailure } from '../../model/store.ts';
import { permissionType } from '../../model/auth.ts';
import type { SqlPort } from '../../base/sql-port.ts';
import { spanOf } from '../../model/key-range.ts';
import { bytesOf, numberOf, textFrom } from '../rows.ts';
import { readMeta, writeMeta } from '../schema.ts';

/** The name of the user, and of the role, that may do everything. */
export const rootName = 'root';

/**
 * `passwordHash` null: the user has no password. `since`: the auth revision that a token of this user must have at
 * least.
 */
export type StoredUser = { readonly passwordHash: string | null; readonly since: number };

const selectUser = 'SELECT password, since FROM auth_users WHERE name = ?';
const selectUsers = 'SELECT name FROM auth_users ORDER BY name';
const countUsers = 'SELECT COUNT(*) FROM auth_users';
const insertUser = 'INSERT INTO auth_users (name, password, since) VALUES (?, ?, ?)';
const updateUser = 'UPDATE auth_users SET password = ?, since = ? WHERE name = ?';
const deleteUser = 'DELETE FROM auth_users WHERE name = ?';
const selectGrant = 'SELECT 1 FROM auth_grants WHERE user = ? AND role = ?';
const selectGrants = 'SELECT role FROM auth_grants WHERE user = ? ORDER BY role';
const countGrants = 'SELECT COUNT(*) FROM auth_grants WHERE user = ?';
const insertGrant = 'INSERT INTO auth_grants (user, role) VALUES (?, ?)';
const deleteGrant = 'DELETE FROM auth_grants WHERE user = ? AND role = ?';
const deleteGrantsOfUser = 'DELETE FROM auth_grants WHERE user = ?';
const deleteGrantsOfRole = 'DELETE FROM auth_grants WHERE role = ?';
const selectRole = 'SELECT 1 FROM auth_roles WHERE name = ?';
const selectRoles = 'SELECT name FROM auth_roles ORDER BY name';
const countRoles = 'SELECT COUNT(*) FROM auth_roles';
const insertRole = 'INSERT INTO auth_roles (name) VALUES (?)';
const deleteRole = 'DELETE FROM auth_roles WHERE name = ?';
const selectPermissions = 'SELECT key, range_end, type FROM auth_permissions WHERE role = ? ORDER BY key, place';
const selectPermission = 'SELECT 1 FROM auth_permissions WHERE role = ? AND key = ? AND range_end = ? LIMIT 1';
const selectFirstOfKey =
  'SELECT place, range_end FROM auth_permissions WHERE role = ? AND key = ? ORDER BY place LIMIT 1';
const selectNextPlace = 'SELECT COALESCE(MAX(place) + 1, 0) FROM auth_permissions WHERE role = ? AND key = ?';
const countPermissions = 'SELECT COUNT(*) FROM auth_permissions WHERE role = ?';
const insertPermission = 'INSERT INTO auth_permissions (role, key, place, range_end, type) VALUES (?, ?, ?, ?, ?)';
const updatePermission = 'UPDATE auth_permissions SET type = ? WHERE role = ? AND key = ? AND place = ?';
const deletePermission = 'DELETE FROM auth_permissions WHERE role = ? AND key = ? AND range_end = ?';
const deletePermissions = 'DELETE FROM auth_permissions WHERE role = ?';
const selectRangesOfUser = `SELECT key, range_end FROM auth_grants CROSS JOIN auth_permissions USING (role)
  WHERE user = ? AND type IN (?, ${permissionType.readWrite})`;
const selectRanges = {
  byKey: `${selectRangesOfUser} ORDER BY key`,
  byRole: `${selectRangesOfUser} ORDER BY role, key, place`,
} as const;

/** The permission with which the role `root` is shown, whatever it was granted. */
const rootPermission: Permission = {
  key: emptyBytes,
  rangeEnd: Uint8Array.of(0),
  type: permissionType.readWrite,
};

export class AuthTables {
  readonly #sql: SqlPort;
  #enabled: boolean;
  #revision: number;
  #since: number;

  constructor(sql: SqlPort) {
    this.#sql = sql;
    this.#enabled = readMeta(sql, 'authEnabled') === 1;
    this.#revision = numberOf(readMeta(sql, 'authRevision') ?? 1);
    this.#since = numberOf(readMeta(sql, 'authSince') ?? 0);
  }

  get enabled(): boolean {
    return this.#enabled;
  }

  /** The auth revision begins at 1. */
  get revision(): number {
    return this.#revision;
  }

  /** The auth revision that every token must have at least. Disabling auth ends all tokens. */
  get since(): number {
    return this.#since;
  }

  user(name: string): StoredUser | null {
    const row = this.#sql.all(selectUser, name)[0];
    if (row === undefined) return null;
    const password = row[0] ?? null;
    return { passwordHash: password === null ? null : textFrom(password), since: numberOf(row[1]) };
  }

  users(): string[] {
    return this.#sql.all(selectUsers).map((row) => textFrom(row[0]));
  }

  rolesOf(user: string): string[] {
    return this.#sql.all(selectGrants, user).map((row) => textFrom(row[0]));
  }

  hasRole(user: string, role: string): boolean {
    return this.#sql.all(selectGrant, user, role).length > 0;
  }

  roleExists(role: string): boolean {
    return this.#sql.all(selectRole, role).length > 0;
  }

  roles(): string[] {
    return this.#sql.all(selectRoles).map((row) => textFrom(row[0]));
  }

  permissionsOf(role: string): Permission[] {
    if (role === rootName) return [rootPermission];
    return this.#sql
      .all(selectPermissions, role)
      .map(([key, rangeEnd, type]) => ({ key: bytesOf(key), rangeEnd: bytesOf(rangeEnd), type: numberOf(type) }));
  }

  /**
   * The permissions of the roles of a user, read as they are asked for: in the order of their keys, or role by role.
   */
  *rangesOf(user: string, right: 'read' | 'write', order: keyof typeof selectRanges): Generator<KeyRange, void, void> {
    for (const [key, rangeEnd] of this.#sql.iterate(selectRanges[order], user, permissionType[right])) {
      yield { key: bytesOf(key), rangeEnd: bytesOf(rangeEnd) };
    }
  }

  /** `level`: the level of the group. Null: the change was made. */
  change(operation: AuthOperation, level: number): StoreFailure | null {
    switch (operation.kind) {
      case 'authEnable':
        return this.#enable();
      case 'authDisable':
        this.#disable();
        return null;
      case 'userAdd':
        return this.#addUser(operation.name, operation.passwordHash);
      case 'userDelete':
        return this.#deleteUser(operation.name);
      case 'userChangePassword':
        return this.#changePassword(operation.name, operation.passwordHash);
      case 'userGrantRole':
        return this.#grantRole(operation.name, operation.role, level);
      case 'userRevokeRole':
        return this.#revokeRole(operation.name, operation.role);
      case 'roleAdd':
        return this.#addRole(operation.name);
      case 'roleDelete':
        return this.#deleteRole(operation.name);
      case 'roleGrantPermission':
        return this.#grantPermission(operation.role, operation.permission);
      case 'roleRevokePermission':
        return this.#revokePermission(operation.role, operation.range);
      default:
        return unreachable(operation);
    }
  }

  #changed(): void {
    this.#revision++;
    writeMeta(this.#sql, 'authRevision', this.#revision);
  }

  #enable(): StoreFailure | null {
    if (this.#enabled) return null;
    if (this.user(rootName) === null) return { kind: 'rootUserMissing' };
    if (!this.hasRole(rootName, rootName)) return { kind: 'rootRoleMissing' };
    writeMeta(this.#sql, 'authEnabled', 1);
    this.#enabled = true;
    return null;
  }

  #disable(): void {
    if (!this.#enabled) return;
    writeMeta(this.#sql, 'authEnabled', 0);
    this.#enabled = false;
    this.#changed();
    this.#since = this.#revision;
    writeMeta(this.#sql, 'authSince', this.#since);
  }

  #addUser(name: string, passwordHash: string | null): StoreFailure | null {
    if (name === '') return { kind: 'userNameEmpty' };
    const long = nameFailure(name);
    if (long !== null) return long;
    if (this.user(name) !== null) return { kind: 'userExists' };
    if (this.#count(countUsers) >= usersMax) return { kind: 'tooMany', what: 'users', max: usersMax };
    this.#changed();
    this.#sql.run(insertUser, name, passwordHash, this.#revision);
    return null;
  }

  #deleteUser(name: string): StoreFailure | null {
    if (this.#enabled && name === rootName) return { kind: 'invalidAuthManagement' };
    if (this.user(name) === null) return { kind: 'userNotFound' };
    this.#sql.run(deleteUser, name);
    this.#sql.run(deleteGrantsOfUser, name);
    this.#changed();
    return null;
  }

  #changePassword(name: string, passwordHash: string): StoreFailure | null {
    const user = this.user(name);
    if (user === null) return { kind: 'userNotFound' };
    this.#changed();
    this.#sql.run(updateUser, user.passwordHash === null ? null : passwordHash, this.#revision, name);
    return null;
  }

  #grantRole(user: string, role: string, level: number): StoreFailure | null {
    if (this.user(user) === null) return { kind: 'userNotFound' };
    if (role !== rootName && !this.roleExists(role)) return { kind: 'roleNotFound' };
    if (this.hasRole(user, role)) return null;
    const isFull = level >= groupLevel.third && this.#count(countGrants, user) >= rolesOfUserMax;
    if (isFull) return { kind: 'tooMany', what: 'roles', max: rolesOfUserMax };
    this.#sql.run(insertGrant, user, role);
    this.#changed();
    return null;
  }

  #revokeRole(user: string, role: string): StoreFailure | null {
    if (this.#enabled && user === rootName && role === rootName) return { kind: 'invalidAuthManagement' };
    if (this.user(user) === null) return { kind: 'userNotFound' };
    if (!this.hasRole(user, role)) return { kind: 'roleNotGranted' };
    this.#sql.run(deleteGrant, user, role);
    this.#changed();
    return null;
  }

  #addRole(name: string): StoreFailure | null {
    if (name === '') return { kind: 'roleNameEmpty' };
    const long = nameFailure(name);
    if (long !== null) return long;
    if (this.roleExists(name)) return { kind: 'roleExists' };
    if (this.#count(countRoles) >= rolesMax) return { kind: 'tooMany', what: 'roles', max: rolesMax };
    this.#sql.run(insertRole, name);
    this.#changed();
    return null;
  }

  #deleteRole(name: string): StoreFailure | null {
    if (this.#enabled && name === rootName) return { kind: 'invalidAuthManagement' };
    if (!this.roleExists(name)) return { kind: 'roleNotFound' };
    this.#sql.run(deleteRole, name);
    this.#sql.run(deletePermissions, name);
    this.#sql.run(deleteGrantsOfRole, name);
    this.#changed();
    return null;
  }

  #grantPermission(role: string, permission: Permission | null): StoreFailure | null {
    if (permission === null) return { kind: 'permissionNotGiven' };
    const { key, rangeEnd, type } = permission;
    const shape = permissionFailure(permission);
    if (shape !== null) return shape;
    if (!this.roleExists(role)) return { kind: 'roleNotFound' };
    const [first] = this.#sql.all(selectFirstOfKey, role, key);
    // As in etcd, of several permissions for one key only the first is replaced, so the new one may stand twice.
    if (first !== undefined && equalBytes(bytesOf(first[1]), rangeEnd)) {
      this.#sql.run(updatePermission, type, role, key, numberOf(first[0]));
    } else {
      if (this.#count(countPermissions, role) >= permissionsMax) {
        return { kind: 'tooMany', what: 'permissions', max: permissionsMax };
      }
      const place = numberOf(this.#sql.all(selectNextPlace, role, key)[0]?.[0]);
      this.#sql.run(insertPermission, role, key, place, rangeEnd, type);
    }
    this.#changed();
    return null;
  }

  #revokePermission(role: string, { key, rangeEnd }: KeyRange): StoreFailure | null {
    if (!this.roleExists(role)) return { kind: 'roleNotFound' };
    if (this.#sql.all(selectPermission, role, key, rangeEnd).length === 0) return { kind: 'permissionNotGranted' };
    this.#sql.run(deletePermission, role, key, rangeEnd);
    this.#changed();
    return null;
  }

  #count(statement: string, ...bindings: readonly string[]): number {
    return numberOf(this.#sql.all(statement, ...bindings)[0]?.[0]);
  }
}

function nameFailure(name: string): StoreFailure | null {
  const { byteLength } = utf8(name);
  return byteLength > authNameBytesMax ? { kind: 'nameTooLong', bytes: byteLength } : null;
}

/** A permission for no key, or for a range that holds nothing, is refused. */
function permissionFailure(range: KeyRange): StoreFailure | null {
  if (range.key.byteLength === 0) return { kind: 'invalidAuthManagement' };
  const span = spanOf(range);
  if (span.kind === 'bounded' && compareBytes(span.from, span.to) >= 0) return { kind: 'invalidAuthManagement' };
  const bytes = Math.max(range.key.byteLength, range.rangeEnd.byteLength);
  return bytes > keyBytesMax ? { kind: 'keyTooLong', bytes } : null;
}
