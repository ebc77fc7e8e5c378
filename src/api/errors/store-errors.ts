// What the store refuses, in etcd's words and codes, and as problems of v1.

import {
  authNameBytesMax,
  keyBytesMax,
  leaseSecondsMax,
  rangeAnswerBytesMax,
  rememberedWritesMax,
  txnOperationsMax,
  txnOperationsTotalMax,
  valueBytesMax,
} from '../../limits.ts';
import type { AuthFailure } from '../../model/auth.ts';
import type { StoreFailure } from '../../model/store.ts';
import { writesHeader } from '../forwarded.ts';
import {
  conflict,
  forbidden,
  grpc,
  invalid,
  refusedFor,
  unauthenticated,
  type WireErrors,
  shownKey,
} from './wire-error.ts';

const endSome = 'end or delete some';
const askOperator = 'or ask the operator of the service for more';
const moreThan: Readonly<Record<Extract<StoreFailure, { kind: 'tooMany' }>['what'], string>> = {
  keys: `delete some, ${askOperator}`,
  leases: `end some, ${askOperator}`,
  users: endSome,
  roles: endSome,
  permissions: endSome,
  alarms: endSome,
};

export const storeErrors: WireErrors<Exclude<StoreFailure, AuthFailure>> = {
  keyNotProvided: () =>
    invalid(
      'key-not-provided',
      'Key is not provided',
      `A key has 1 to ${keyBytesMax} bytes, and this one has none.`,
      'key is not provided',
    ),
  keyTooLong: (failure) =>
    invalid(
      'key-too-long',
      'Key is too long',
      `The key has ${failure.bytes} bytes; a key has at most ${keyBytesMax}.`,
      'request is too large',
    ),
  valueTooLarge: (failure) => ({
    ...invalid(
      'value-too-large',
      'Value is too large',
      `The value has ${failure.bytes} bytes; a value has at most ${valueBytesMax}.`,
      'request is too large',
    ),
    status: 413,
  }),
  valueProvided: () =>
    invalid(
      'value-provided',
      'Value is provided',
      'ignore_value keeps the value that the key has: send no value with it.',
      'value is provided',
    ),
  leaseProvided: () =>
    invalid(
      'lease-provided',
      'Lease is provided',
      'ignore_lease keeps the lease that the key has: send no lease with it.',
      'lease is provided',
    ),
  keyNotFound: () => ({
    ...invalid(
      'key-not-found',
      'Key not found',
      'ignore_value and ignore_lease keep what a key has, and this key does not exist.',
      'key not found',
    ),
    status: 404,
  }),
  leaseNotFound: () => ({
    code: grpc.notFound,
    words: 'etcdserver: requested lease not found',
    status: 404,
    slug: 'lease-not-found',
    title: 'Lease not found',
    detail:
      'There is no lease with this id: it has ended, was revoked, or was never granted. POST /v1/leases grants one.',
  }),
  tooManyOperations: () =>
    invalid(
      'too-many-operations',
      'Too many operations',
      `A transaction holds at most ${txnOperationsMax} operations in each level, with the levels below counted in, and ${txnOperationsTotalMax} compares and operations in all.`,
      'too many operations in txn request',
    ),
  duplicateKey: () =>
    invalid(
      'duplicate-key',
      'Duplicate key',
      'One branch writes a key twice, or puts a key that it also deletes: a key changes once in a transaction.',
      'duplicate key given in txn request',
    ),
  invalidSortOption: () =>
    invalid(
      'invalid-sort',
      'Invalid sort option',
      'An order is NONE, ASCEND or DESCEND; a target is KEY, VERSION, CREATE, MOD or VALUE.',
      'invalid sort option',
    ),
  compacted: (failure) => ({
    code: grpc.outOfRange,
    words: 'etcdserver: mvcc: required revision has been compacted',
    status: 410,
    slug: 'compacted',
    title: 'Revision has been compacted',
    detail: `History begins at revision ${failure.compactedRevision}: read at that revision or a later one, or without a revision.`,
    members: { compacted_revision: failure.compactedRevision },
  }),
  futureRevision: (failure) => ({
    code: grpc.outOfRange,
    words: 'etcdserver: mvcc: required revision is a future revision',
    status: 400,
    slug: 'future-revision',
    title: 'Revision is in the future',
    detail: `The store is at revision ${failure.revision}, and a later revision was asked for.`,
    members: { revision: failure.revision },
  }),
  answerTooLarge: () => ({
    code: grpc.resourceExhausted,
    words: 'quorate: the answer is too large, set a limit and read in pages',
    status: 400,
    slug: 'answer-too-large',
    title: 'Answer is too large',
    detail: `An answer has at most ${rangeAnswerBytesMax} bytes: set a smaller limit, or keys_only, and read in pages.`,
  }),
  tooMuchWork: (failure) => {
    const most = `${failure.max} ${failure.what}`;
    return {
      code: grpc.resourceExhausted,
      words: `quorate: the request looks at or writes too much (more than ${most}), use smaller ranges`,
      status: 400,
      slug: 'too-much-work',
      title: 'Too much work',
      detail: `The request looks at or writes more than ${most}: use smaller ranges, or several requests.`,
      members: { max: failure.max },
    };
  },
  noSpace: () => ({
    code: grpc.resourceExhausted,
    words: 'etcdserver: mvcc: database space exceeded',
    status: 507,
    slug: 'no-space',
    title: 'Database space exceeded',
    detail:
      'The store has reached its quota. Reads and deletes go on: delete keys and compact, and writes go on once enough is free; or ask the operator of the service for more.',
  }),
  tooManyAccessKeys: (failure) =>
    conflict(
      'too-many-access-keys',
      'Too many access keys',
      `A tenant holds at most ${failure.max} access keys that are neither revoked nor expired: revoke some, ${askOperator}.`,
    ),
  accessKeyExists: () =>
    conflict(
      'access-key-exists',
      'Access key exists',
      'There is an access key with this id already. Send the call again: it gets another one.',
    ),
  accessKeyEnding: () =>
    conflict(
      'access-key-ending',
      'Access key is ending',
      'Only an access key that goes on is rotated, and this one was rotated before, was revoked or has expired. Rotate the key that took its place, or make a new one.',
    ),
  tenantSuspended: () => ({
    code: grpc.permissionDenied,
    words: 'quorate: the tenant is suspended',
    status: 403,
    slug: 'tenant-suspended',
    title: 'Tenant suspended',
    detail:
      'The operator of the service has suspended this tenant. Its data are kept; nothing of them is served until the operator resumes it.',
  }),
  tenantUnderDeletion: ({ wipeAtMs }) => {
    const wiped = new Date(wipeAtMs).toISOString();
    return {
      code: grpc.permissionDenied,
      words: `quorate: the tenant is deleted and will be wiped at ${wiped}`,
      status: 403,
      slug: 'tenant-under-deletion',
      title: 'Tenant under deletion',
      detail: `The operator of the service has deleted this tenant. Its data are kept until ${wiped}; until then the operator can take the deletion back with POST /v1/tenants/{id}/restore.`,
      members: { wipe_at: wiped },
    };
  },
  unauthenticated: (failure) => ({
    ...unauthenticated('access-key-refused', 'Access key refused', `The access key is ${failure.reason}.`),
    detail: `The access key is ${failure.reason}. An admin of the tenant, or the operator, makes another one.`,
  }),
  forbidden: ({ need, prefix }) => forbidden(prefix === null ? need : `${need} ${shownKey(prefix)}`),
  leaseExists: () =>
    refusedFor(
      'lease-exists',
      'There is a lease with this id already: leave the id out, and the store chooses one.',
      'Lease exists',
      'lease already exists',
    ),
  leaseTtlTooLarge: () => ({
    code: grpc.outOfRange,
    words: 'etcdserver: too large lease TTL',
    status: 400,
    slug: 'lease-ttl-too-large',
    title: 'TTL is too large',
    detail: `A lease lives at most ${leaseSecondsMax} seconds without being kept alive.`,
  }),
  corruptAlarm: () => ({
    code: grpc.dataLoss,
    words: 'etcdserver: corrupt cluster',
    status: 503,
    slug: 'corrupt-alarm',
    title: 'The store has the alarm CORRUPT',
    detail: 'Nothing is written until an operator has ended the alarm; reads go on.',
  }),
  downgradeInProgress: () =>
    refusedFor(
      'downgrade-in-progress',
      'A downgrade is announced: end it first, by POST /v3/maintenance/downgrade with CANCEL.',
      'A downgrade is in progress',
      'cluster has a downgrade job in progress',
    ),
  tooMany: ({ what, max }) => ({
    code: grpc.resourceExhausted,
    // etcd bounds the space alone, and its clients know these words.
    words:
      what === 'keys'
        ? 'etcdserver: mvcc: database space exceeded'
        : `quorate: too many ${what}, at most ${max}: end or delete some`,
    status: what === 'keys' ? 507 : 409,
    slug: `too-many-${what}`,
    title: `Too many ${what}`,
    detail: `This store holds at most ${max} ${what}: ${moreThan[what]}.`,
    members: { max },
  }),
  nameTooLong: (failure) =>
    invalid(
      'name-too-long',
      'Name is too long',
      `The name has ${failure.bytes} bytes; a name has at most ${authNameBytesMax}.`,
      'request is too large',
    ),
  commandUndone: (failure) => ({
    code: grpc.internal,
    words: `quorate: the store failed at this ${failure.operation} and undid all of it`,
    status: 500,
    slug: 'command-undone',
    title: 'The store failed at this command',
    detail: `The store failed at this ${failure.operation} and undid all of it. The fault is the service's own; the store goes on.`,
  }),
  // draft-ietf-httpapi-idempotency-key-header, section 2.7: another payload with a key that was used is answered 422.
  idempotencyKeyReused: () => ({
    code: grpc.invalidArgument,
    words: 'quorate: the Idempotency-Key was used for another request',
    status: 422,
    slug: 'idempotency-key-reused',
    title: 'Idempotency-Key was used for another request',
    detail: 'Nothing was done. A key names one request over all of its retries: send this one with a key of its own.',
  }),
  // Of etcd's failures this is the one after which its clients take a write for done or not: by its code and words they
  // know `ErrTimeout`, and none of them sends a write again for it. Nobody has to wait, so there is no Retry-After.
  outcomeUnknown: ({ writes }) => ({
    code: grpc.unavailable,
    words: 'etcdserver: request timed out',
    status: 409,
    slug: 'outcome-unknown',
    title: 'Whether the write was done is unknown',
    detail: `More than ${rememberedWritesMax} writes of the tenant came since this one was first sent, so whether it was done before is forgotten. It is not done now. Read what it was to change before you write again.`,
    headers: { [writesHeader]: String(writes) },
  }),
  operationNotServed: (failure) => ({
    code: grpc.unimplemented,
    words: `quorate: ${failure.operation} is not served`,
    status: 501,
    slug: 'operation-not-served',
    title: 'Not served',
    detail: `${failure.operation} is known, but is not served here.`,
  }),
};
