// etcd's users, roles and permissions: what can be asked of them and how they are told. Both the state machine
// (`mvcc/`) and the wire (`api/`) speak it. Types and constants only. Names, numbers and meaning are etcd's
// (auth.proto, rpc.proto of v3.7).

import type { KeyRange } from './ranges.ts';

/** Other numbers are kept as they came and permit nothing: so does etcd. */
export const permissionType = { read: 0, write: 1, readWrite: 2 } as const;

/** A role's permission for a range. Of those of one key, the first is replaced by one of the same range end. */
export type Permission = KeyRange & { readonly type: number };

/**
 * What changes users and roles. None of it makes a revision of the store; each change adds one to the auth revision,
 * enabling aside (`authDisable` adds one). Only the root may, once auth is on. Passwords are hashed before they come
 * here: a hash is opaque to the store, "" is a hash that no password fits.
 */
export type AuthOperation =
  | { readonly kind: 'authEnable' }
  | { readonly kind: 'authDisable' }
  /** `passwordHash` null: a user without a password, for good. */
  | { readonly kind: 'userAdd'; readonly name: string; readonly passwordHash: string | null }
  | { readonly kind: 'userDelete'; readonly name: string }
  /** A user without a password stays one. */
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
 * What can go wrong with users and roles. The place of a kind in this list is part of its number in remembered outcomes
 * (`mvcc/codec/outcome-codec.ts`), so this list is closed: a new kind goes to `StoreFailure` and to the end of the
 * codec's list.
 */
export const authFailureKinds = [
  'authNotEnabled',
  'rootUserMissing',
  'rootRoleMissing',
  /** A user to be added has no name; or auth is on and the caller names no user. */
  'userNameEmpty',
  'userExists',
  'userNotFound',
  'roleNameEmpty',
  'roleExists',
  'roleNotFound',
  'roleNotGranted',
  'permissionNotGiven',
  'permissionNotGranted',
  /** A permission of no key or of an empty range; the root or its role were to be removed while auth is on. */
  'invalidAuthManagement',
  /** Unknown user or wrong password: which of them is not told. */
  'authenticationFailed',
  'userWithoutPassword',
  /** Not a token, or one that has ended. */
  'invalidToken',
  /** The user's roles do not permit this. What the key that named the tenant lacks is `forbidden`. */
  'permissionDenied',
] as const;

export type AuthFailure = { readonly kind: (typeof authFailureKinds)[number] };
