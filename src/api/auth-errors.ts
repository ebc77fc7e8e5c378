// The failures of users and roles, in etcd's words and codes.

import { unreachable } from '../assert.ts';
import type { AuthFailure } from '../auth-model.ts';
import { challenge, challenged, grpc, invalid, refusedFor, type WireError } from './wire-error.ts';

export function describeAuth(failure: AuthFailure): WireError {
  switch (failure.kind) {
    case 'authNotEnabled':
      return refusedFor('auth-not-enabled', 'Authentication is not enabled', 'authentication is not enabled');
    case 'rootUserMissing':
      return refusedFor('root-user-missing', 'Root user does not exist', 'root user does not exist');
    case 'rootRoleMissing':
      return refusedFor('root-role-missing', 'Root user has no root role', 'root user does not have root role');
    case 'userNameEmpty':
      return {
        ...invalid(
          'user-name-empty',
          'User name is empty',
          'The store has users: send a token of one, or an admin key, as Authorization.',
          'user name is empty',
        ),
        status: 401,
        headers: challenge,
      };
    case 'userExists':
      return refusedFor('user-exists', 'User exists', 'user name already exists');
    case 'userNotFound':
      return refusedFor('user-not-found', 'User not found', 'user name not found', 404);
    case 'roleNameEmpty':
      return invalid('role-name-empty', 'Role name is empty', 'A role has a name.', 'role name is empty');
    case 'roleExists':
      return refusedFor('role-exists', 'Role exists', 'role name already exists');
    case 'roleNotFound':
      return refusedFor('role-not-found', 'Role not found', 'role name not found', 404);
    case 'roleNotGranted':
      return refusedFor('role-not-granted', 'Role is not granted', 'role is not granted to the user');
    case 'permissionNotGiven':
      return invalid('permission-not-given', 'Permission not given', 'No permission.', 'permission not given');
    case 'permissionNotGranted':
      return refusedFor('permission-not-granted', 'Not granted', 'permission is not granted to the role');
    case 'invalidAuthManagement':
      return invalid(
        'invalid-auth-management',
        'Invalid auth management',
        'A permission has a key and a range that is not empty; the root user and its role stay while auth is on.',
        'invalid auth management',
      );
    case 'authenticationFailed':
      return {
        ...invalid(
          'authentication-failed',
          'Authentication failed',
          'Unknown user or wrong password.',
          'authentication failed, invalid user ID or password',
        ),
        status: 401,
        headers: challenge,
      };
    case 'userWithoutPassword':
      return {
        code: grpc.unknown,
        words: 'auth: authentication failed, password was given for no password user',
        status: 401,
        slug: 'user-without-password',
        title: 'User without a password',
        detail: 'This user has no password.',
        headers: challenge,
      };
    case 'invalidToken':
      return challenged('invalid-token', 'Invalid token', 'The token is not good any more, or never was.');
    case 'permissionDenied':
      return {
        code: grpc.permissionDenied,
        words: 'etcdserver: permission denied',
        status: 403,
        slug: 'permission-denied',
        title: 'Permission denied',
        detail: 'No role of this user permits it.',
      };
    default:
      return unreachable(failure.kind);
  }
}
