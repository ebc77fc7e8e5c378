// The digest of a request, which is remembered with its write id, so that the id of one request is not taken for
// another. All attempts of one request have the same digest, whichever replica serves them and however the request was
// written. A different request has a different digest.

import { createHash } from 'node:crypto';
import { unreachable } from '../../base/assert.ts';
import { sha256Start } from '../../base/sha256.ts';
import { noLease } from '../../model/brands.ts';
import type { Operation } from '../../model/store.ts';
import { encodeCommands } from '../../mvcc/codec/command-codec.ts';

/** The platform's hash takes some 10 microseconds, whatever it hashes; here a KB takes 6. */
const digestedHereBytesMax = 1_024;

/**
 * 64 bits of SHA-256. What the replica chooses at each attempt is no part of it. Kept in stores: it must not change.
 */
export function requestDigest(operation: Operation): bigint {
  const command = { writeId: '', caller: { kind: 'service' }, atMs: 0, operation: asAsked(operation) } as const;
  const encoded = encodeCommands([command]);
  if (encoded.byteLength <= digestedHereBytesMax) return sha256Start(encoded);
  return createHash('sha256').update(encoded).digest().readBigUInt64BE(0);
}

function asAsked(operation: Operation): Operation {
  switch (operation.kind) {
    // The number that a lease without an id begins with is random.
    case 'leaseGrant':
      return operation.id === noLease ? { ...operation, candidate: noLease } : operation;
    // Each hash has a salt of its own; of the password nothing may be kept that is easier to guess by.
    case 'userAdd':
      return { ...operation, passwordHash: operation.passwordHash === null ? null : '' };
    case 'userChangePassword':
      return { ...operation, passwordHash: '' };
    case 'leaseExpire':
    case 'leaseCheckpoint':
    case 'leaseRevoke':
    case 'learnerChange':
    case 'rotateAccessKey':
    case 'suspension':
    case 'terms':
    case 'authEnable':
    case 'authDisable':
    case 'userDelete':
    case 'userGrantRole':
    case 'userRevokeRole':
    case 'roleAdd':
    case 'roleDelete':
    case 'roleGrantPermission':
    case 'roleRevokePermission':
    case 'alarmActivate':
    case 'alarmDeactivate':
    case 'downgradeEnable':
    case 'downgradeCancel':
    case 'groupLevel':
    case 'put':
    case 'deleteRange':
    case 'txn':
    case 'compact':
    case 'createAccessKey':
    case 'revokeAccessKey':
      return operation;
    default:
      return unreachable(operation);
  }
}
