// The failures of users and roles, in etcd's words and codes.

import type { AuthFailure } from '../../model/auth.ts';
import { authNameBytesMax } from '../../limits.ts';
import { challenge, challenged, grpc, invalid, refusedFor, type WireErrors } from './wire-error.ts';

export const authErrors: WireErrors<AuthFailure> = {
  authNotEnabled: () =>
    refusedFor(
      'auth-not-enabled',
      'Authentication is not enabled: POST /v3/auth/enable turns it on.',
      'Authentication is not enabled',
      'authentication is not enabled',
    ),
  rootUserMissing: () =>
    refusedFor(
      'root-user-missing',
      'Authentication needs a user named root: POST /v3/auth/user/add makes one.',
      'Root user does not exist',
      'root user does not exist',
    ),
  rootRoleMissing: () =>
    refusedFor(
      'root-role-missing',
      'The user root needs the role root: POST /v3/auth/user/grant gives it.',
      'Root user has no root role',
      'root user does not have root role',
    ),
  userNameEmpty: () => ({
    ...invalid(
      'user-name-empty',
      'User name is empty',
      'The store has users: send a token of one, or an admin key, as Authorization.',
      'user name is empty',
    ),
    status: 401,
    headers: challenge,
  }),
  userExists: () =>
    refusedFor('user-exists', 'There is a user of this name already.', 'User exists', 'user name already exists'),
  userNotFound: () =>
    refusedFor(
      'user-not-found',
      'There is no user of this name. POST /v3/auth/user/list lists them.',
      'User not found',
      'user name not found',
      404,
    ),
  roleNameEmpty: () =>
    invalid(
      'role-name-empty',
      'Role name is empty',
      `A role's name has 1 to ${authNameBytesMax} bytes.`,
      'role name is empty',
    ),
  roleExists: () =>
    refusedFor('role-exists', 'There is a role of this name already.', 'Role exists', 'role name already exists'),
  roleNotFound: () =>
    refusedFor(
      'role-not-found',
      'There is no role of this name. POST /v3/auth/role/list lists them.',
      'Role not found',
      'role name not found',
      404,
    ),
  roleNotGranted: () =>
    refusedFor(
      'role-not-granted',
      'The user does not have this role.',
      'Role is not granted',
      'role is not granted to the user',
    ),
  permissionNotGiven: () =>
    invalid(
      'permission-not-given',
      'Permission not given',
      'A grant says which permission: a key, and READ, WRITE or READWRITE.',
      'permission not given',
    ),
  permissionNotGranted: () =>
    refusedFor(
      'permission-not-granted',
      'The role does not have this permission.',
      'Not granted',
      'permission is not granted to the role',
    ),
  invalidAuthManagement: () =>
    invalid(
      'invalid-auth-management',
      'Invalid auth management',
      'A permission has a key and a range that is not empty; the root user and its role stay while auth is on.',
      'invalid auth management',
    ),
  authenticationFailed: () => ({
    ...invalid(
      'authentication-failed',
      'Authentication failed',
      'The tenant, the user or the password is wrong.',
      'authentication failed, invalid user ID or password',
    ),
    status: 401,
    headers: challenge,
  }),
  userWithoutPassword: () => ({
    code: grpc.unknown,
    words: 'auth: authentication failed, password was given for no password user',
    status: 401,
    slug: 'user-without-password',
    title: 'User without a password',
    detail: 'This user has no password, and cannot log in with one.',
    headers: challenge,
  }),
  invalidToken: () =>
    challenged(
      'invalid-token',
      'Invalid token',
      'The token has expired, is older than a change of users or roles, or is not a token. Log in again: POST /v3/auth/authenticate.',
    ),
  permissionDenied: () => ({
    code: grpc.permissionDenied,
    words: 'etcdserver: permission denied',
    status: 403,
    slug: 'permission-denied',
    title: 'Permission denied',
    detail: 'No role of this user permits it; root grants permissions to roles, and roles to users.',
  }),
};
