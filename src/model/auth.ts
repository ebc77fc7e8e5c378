// etcd's users, roles and permissions: what can be asked of them and how they are told, for the state machine (`mvcc/`)
// and the wire (`api/`) alike. Types and constants only. Names, numbers and meaning are etcd's (auth.proto, rpc.proto
// of v3.7).

import type { KeyRange } from './ranges.ts';

/** Other numbers are kept as they came and permit nothing, as in etcd. */
export const permissionType = { read: 0, write: 1, readWrite: 2 } as const;

/**
 * A role's permission for a range. Of the permissions for one key, the first one with the same range end is replaced.
 */
export type Permission = KeyRange & { readonly type: number };

/**
 * The operations that change users and roles. None makes a revision of the store. Each adds one to the auth revision,
 * except for enabling (`authDisable` adds one). Only the root may do them once auth is on. Passwords are hashed before
 * they come here: the store does not look into a hash, and "" is a hash that no password fits.
 */
export type AuthOperation =
  | { readonly kind: 'authEnable' }
  | { readonly kind: 'authDisable' }
  /** `passwordHash` null: the user has no password, and never gets one. */
  | { readonly kind: 'userAdd'; readonly name: string; readonly passwordHash: string | null }
  | { readonly kind: 'userDelete'; readonly name: string }
  /** A user without a password stays without one. */
  | { readonly kind: 'userChangePassword'; readonly name: string; readonly passwordHash: string }
  /** The role `root` may be granted before it exists. */
  | { readonly kind: 'userGrantRole'; readonly name: string; readonly role: string }
  | { readonly kind: 'userRevokeRole'; readonly name: string; readonly role: string }
  | { readonly kind: 'roleAdd'; readonly name: string }
  | { readonly kind: 'roleDelete'; readonly name: string }
  /** `permission` null: none was given, which is refused. */
  | { readonly kind: 'roleGrantPermission'; readonly role: string; readonly permission: Permission | null }
  | { readonly kind: 'roleRevokePermission'; readonly role: string; readonly range: KeyRange };

/**
 * The failures of users and roles. The position of a kind in this list is part of its number in remembered outcomes
 * (`mvcc/codec/outcome-codec.ts`), so this list is closed: a new kind goes to `StoreFailure` and to the end of the
 * codec's list.
 */
export const authFailureKinds = [
  'authNotEnabled',
  'rootUserMissing',
  'rootRoleMissing',
  /** The user to be added has no name; or auth is on and the caller names no user. */
  'userNameEmpty',
  'userExists',
  'userNotFound',
  'roleNameEmpty',
  'roleExists',
  'roleNotFound',
  'roleNotGranted',
  'permissionNotGiven',
  'permissionNotGranted',
  /**
   * The permission is for no key or for an empty range; or the root or its role were to be removed while auth is on.
   */
  'invalidAuthManagement',
  /** The user is unknown, or the password is wrong. The failure does not tell which. */
  'authenticationFailed',
  'userWithoutPassword',
  /** The text is no token, or its token has ended. */
  'invalidToken',
  /** The roles of the user do not permit this. If the access key lacks a right, the failure is `forbidden`. */
  'permissionDenied',
] as const;

export type AuthFailure = { readonly kind: (typeof authFailureKinds)[number] };
