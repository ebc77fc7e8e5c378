// The one map to the wire: every failure, of the store or of the service around it, to HTTP, to gRPC's codes with etcd's
// words, and to a problem of RFC 9457. Nothing else knows a status. Secrets and internals never appear in a text here.

import { unreachable } from '../assert.ts';
import { messageBytesMax, retryAfterSeconds } from '../limits.ts';
import type { StoreFailure } from '../model.ts';
import type { Protocol } from './contract.ts';
import type { Failure, RequestFailure, ServiceFailure } from './failures.ts';
import { isOfService, isOfStore } from './failures.ts';

export type { Failure, RequestFailure, ServiceFailure } from './failures.ts';

/** gRPC's status codes, as far as they are used. */
const grpc = {
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  alreadyExists: 6,
  permissionDenied: 7,
  resourceExhausted: 8,
  failedPrecondition: 9,
  outOfRange: 11,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  dataLoss: 15,
  unauthenticated: 16,
} as const;
type GrpcCode = (typeof grpc)[keyof typeof grpc];

/** grpc-gateway's map of codes to HTTP, with the words that its 3.5 streams had beside. */
const httpOfGrpc: Readonly<Record<GrpcCode, { readonly status: number; readonly phrase: string }>> = {
  [grpc.invalidArgument]: { status: 400, phrase: 'Bad Request' },
  [grpc.deadlineExceeded]: { status: 504, phrase: 'Gateway Timeout' },
  [grpc.notFound]: { status: 404, phrase: 'Not Found' },
  [grpc.alreadyExists]: { status: 409, phrase: 'Conflict' },
  [grpc.permissionDenied]: { status: 403, phrase: 'Forbidden' },
  [grpc.resourceExhausted]: { status: 429, phrase: 'Too Many Requests' },
  [grpc.failedPrecondition]: { status: 400, phrase: 'Bad Request' },
  [grpc.outOfRange]: { status: 400, phrase: 'Bad Request' },
  [grpc.unimplemented]: { status: 501, phrase: 'Not Implemented' },
  [grpc.internal]: { status: 500, phrase: 'Internal Server Error' },
  [grpc.unavailable]: { status: 503, phrase: 'Service Unavailable' },
  [grpc.dataLoss]: { status: 500, phrase: 'Internal Server Error' },
  [grpc.unauthenticated]: { status: 401, phrase: 'Unauthorized' },
};

type WireError = {
  /** v3: the code, from which its HTTP status follows, and the message. */
  readonly code: GrpcCode;
  readonly words: string;
  /** v1. */
  readonly status: number;
  readonly slug: string;
  readonly title: string;
  readonly detail: string;
  readonly members?: Readonly<Record<string, number | string | null>>;
  readonly headers?: Readonly<Record<string, string>>;
};

const challenge = { 'www-authenticate': 'Bearer realm="quorate"' };
const later = { 'retry-after': String(retryAfterSeconds) };

function describeStore(failure: StoreFailure): WireError {
  switch (failure.kind) {
    case 'keyNotProvided':
      return invalid('key-not-provided', 'Key is not provided', 'A key has at least one byte.', 'key is not provided');
    case 'keyTooLong':
      return invalid('key-too-long', 'Key is too long', `A key of ${failure.bytes} bytes.`, 'request is too large');
    case 'valueTooLarge':
      return {
        ...invalid(
          'value-too-large',
          'Value is too large',
          `A value of ${failure.bytes} bytes.`,
          'request is too large',
        ),
        status: 413,
      };
    case 'valueProvided':
      return invalid('value-provided', 'Value is provided', 'ignore_value goes without a value.', 'value is provided');
    case 'leaseProvided':
      return invalid('lease-provided', 'Lease is provided', 'ignore_lease goes without a lease.', 'lease is provided');
    case 'keyNotFound':
      return {
        ...invalid('key-not-found', 'Key not found', 'ignore_value and ignore_lease need the key.', 'key not found'),
        status: 404,
      };
    case 'leaseNotFound':
      return {
        code: grpc.notFound,
        words: 'etcdserver: requested lease not found',
        status: 404,
        slug: 'lease-not-found',
        title: 'Lease not found',
        detail: 'There is no lease with this id.',
      };
    case 'tooManyOperations':
      return invalid(
        'too-many-operations',
        'Too many operations',
        'A transaction holds at most 128 operations a level, the levels below counted in.',
        'too many operations in txn request',
      );
    case 'duplicateKey':
      return invalid(
        'duplicate-key',
        'Duplicate key',
        'One branch writes a key twice, or puts a key that it also deletes.',
        'duplicate key given in txn request',
      );
    case 'invalidSortOption':
      return invalid('invalid-sort', 'Invalid sort option', 'Unknown order or target.', 'invalid sort option');
    case 'compacted':
      return {
        code: grpc.outOfRange,
        words: 'etcdserver: mvcc: required revision has been compacted',
        status: 410,
        slug: 'compacted',
        title: 'Revision has been compacted',
        detail: `History begins at revision ${failure.compactedRevision}.`,
        members: { compacted_revision: failure.compactedRevision },
      };
    case 'futureRevision':
      return {
        code: grpc.outOfRange,
        words: 'etcdserver: mvcc: required revision is a future revision',
        status: 400,
        slug: 'future-revision',
        title: 'Revision is in the future',
        detail: `The store is at revision ${failure.revision}.`,
        members: { revision: failure.revision },
      };
    case 'answerTooLarge':
      return {
        code: grpc.resourceExhausted,
        words: 'quorate: the answer is too large, set a limit and read in pages',
        status: 400,
        slug: 'answer-too-large',
        title: 'Answer is too large',
        detail: 'Set a smaller limit, or keys_only, and read in pages.',
      };
    case 'noSpace':
      return {
        code: grpc.resourceExhausted,
        words: 'etcdserver: mvcc: database space exceeded',
        status: 507,
        slug: 'no-space',
        title: 'Database space exceeded',
        detail: 'Delete keys and compact; reads and deletes go on.',
      };
    case 'tooManyAccessKeys':
      return conflict('too-many-access-keys', 'Too many access keys', `A tenant holds at most ${failure.max} of them.`);
    case 'accessKeyExists':
      return conflict('access-key-exists', 'Access key exists', 'There is an access key with this id.');
    case 'unauthenticated':
      return unauthenticated('access-key-refused', 'Access key refused', `The access key is ${failure.reason}.`);
    case 'forbidden':
      return forbidden(failure.need);
    default:
      return unreachable(failure);
  }
}

function describeService(failure: ServiceFailure): WireError {
  switch (failure.kind) {
    case 'accessKeyMissing':
      return unauthenticated(
        'access-key-missing',
        'Access key missing',
        'Send an access key: Authorization: Bearer <key>, or Quorate-Key: <key>.',
      );
    case 'accessKeyInvalid':
      return unauthenticated('access-key-invalid', 'Access key invalid', 'This is not an access key of this service.');
    case 'operatorTokenInvalid':
      return unauthenticated(
        'operator-token-invalid',
        'Operator token missing or invalid',
        "Send the operator's token: Authorization: Bearer <token>.",
      );
    case 'accessKeyForbidden':
      return forbidden(failure.need);
    case 'tenantNotFound':
      return absent('tenant-not-found', 'Tenant not found', `There is no tenant "${failure.tenant}".`);
    case 'tenantNameTaken':
      return conflict('tenant-name-taken', 'Tenant name is taken', `There is a tenant named "${failure.name}".`);
    case 'accessKeyNotFound':
      return absent('access-key-not-found', 'Access key not found', `There is no access key "${failure.id}".`);
    case 'noLeader':
      return unavailable(
        'no-leader',
        'No leader',
        'The replicas have no leader at the moment.',
        'etcdserver: no leader',
      );
    case 'leaderChanged':
      return unavailable(
        'leader-changed',
        'Leader changed',
        'The leader changed while the request was under way; with the same Idempotency-Key it is safe to send again.',
        'etcdserver: leader changed',
      );
    case 'timeout':
      return {
        code: grpc.deadlineExceeded,
        words: 'etcdserver: request timed out',
        status: 504,
        slug: 'timeout',
        title: 'Request timed out',
        detail: 'A write may still take effect; with the same Idempotency-Key it is safe to send again.',
      };
    case 'overloaded':
      return {
        code: grpc.resourceExhausted,
        words: 'etcdserver: too many requests',
        status: 429,
        slug: 'overloaded',
        title: 'Too many requests',
        detail: 'The store has as many requests under way as it takes.',
        headers: later,
      };
    case 'tenantDeleted':
      return absent('tenant-deleted', 'Tenant deleted', 'The tenant of this key was deleted.');
    case 'internal':
      return {
        code: grpc.internal,
        words: 'quorate: internal error',
        status: 500,
        slug: 'internal',
        title: 'Internal error',
        detail: 'The service failed at this request.',
      };
    case 'directoryUnavailable':
      return unavailable(
        'directory-unavailable',
        'Directory unavailable',
        'Tenants can be neither made nor changed at the moment; every store goes on.',
        'quorate: the directory of tenants is unavailable',
      );
    case 'corrupt':
      return {
        code: grpc.dataLoss,
        words: 'etcdserver: corrupt cluster',
        status: 500,
        slug: 'corrupt',
        title: 'Replica diverged',
        detail: 'This replica differs from its leader and has stopped serving.',
      };
    default:
      return unreachable(failure);
  }
}

function describeRequest(failure: RequestFailure): WireError {
  switch (failure.kind) {
    case 'bodyTooLarge':
      return {
        code: grpc.resourceExhausted,
        words: `grpc: received message larger than max (${failure.bytes} vs. ${messageBytesMax})`,
        status: 413,
        slug: 'body-too-large',
        title: 'Body is too large',
        detail: `A body of ${failure.bytes} bytes.`,
      };
    case 'requestTooLarge':
      return {
        ...invalid('request-too-large', 'Request is too large', `${failure.bytes} bytes.`, 'request is too large'),
        status: 413,
        detail: `A request of ${failure.bytes} bytes; at most ${failure.bytesMax}.`,
      };
    case 'notFound':
      return { ...absent('not-found', 'Not found', 'There is nothing at this path.'), words: 'Not Found' };
    case 'methodNotAllowed':
      return {
        code: grpc.unimplemented,
        words: 'Method Not Allowed',
        status: 405,
        slug: 'method-not-allowed',
        title: 'Method not allowed',
        detail: `This path takes ${failure.allow.join(', ')}.`,
        headers: { allow: failure.allow.join(', ') },
      };
    case 'notServed':
      return {
        code: grpc.unimplemented,
        words: `quorate: ${failure.what} is not served`,
        status: 501,
        slug: 'not-served',
        title: 'Not served',
        detail: `${failure.what} is not served.`,
      };
    case 'badRequest':
      return {
        code: grpc.invalidArgument,
        words: failure.detail,
        status: 400,
        slug: 'bad-request',
        title: 'Bad request',
        detail: failure.detail,
      };
    case 'keyAbsent':
      return {
        ...absent('key-not-found', 'Key not found', 'The key does not exist at this revision.'),
        members: { revision: failure.revision },
        headers: { 'quorate-revision': String(failure.revision) },
      };
    case 'preconditionFailed':
      return {
        code: grpc.failedPrecondition,
        words: 'quorate: precondition failed',
        status: 412,
        slug: 'precondition-failed',
        title: 'Precondition failed',
        detail: failure.current === null ? 'The key does not exist.' : `The key is at revision ${failure.current}.`,
        members: { mod_revision: failure.current, revision: failure.revision },
        ...(failure.current === null ? {} : { headers: { etag: `"${failure.current}"` } }),
      };
    case 'appliedBefore':
      return {
        ...conflict(
          'applied-before',
          'Applied before',
          `A write with this Idempotency-Key was applied at revision ${failure.revision}; its answer was not kept.`,
        ),
        members: { revision: failure.revision },
      };
    default:
      return unreachable(failure);
  }
}

function invalid(slug: string, title: string, detail: string, words: string): WireError {
  return { code: grpc.invalidArgument, words: `etcdserver: ${words}`, status: 400, slug, title, detail };
}

function unauthenticated(slug: string, title: string, detail: string): WireError {
  return {
    code: grpc.unauthenticated,
    words: `quorate: ${detail}`,
    status: 401,
    slug,
    title,
    detail,
    headers: challenge,
  };
}

function forbidden(need: string): WireError {
  return {
    code: grpc.permissionDenied,
    words: 'etcdserver: permission denied',
    status: 403,
    slug: 'forbidden',
    title: 'Not allowed',
    detail: `The access key lacks: ${need}.`,
  };
}

function absent(slug: string, title: string, detail: string): WireError {
  return { code: grpc.notFound, words: `quorate: ${detail}`, status: 404, slug, title, detail };
}

function conflict(slug: string, title: string, detail: string): WireError {
  return { code: grpc.alreadyExists, words: `quorate: ${detail}`, status: 409, slug, title, detail };
}

function unavailable(slug: string, title: string, detail: string, words: string): WireError {
  return { code: grpc.unavailable, words, status: 503, slug, title, detail, headers: later };
}

function describe(failure: Failure): WireError {
  if (isOfStore(failure)) return describeStore(failure);
  return isOfService(failure) ? describeService(failure) : describeRequest(failure);
}

/** The `type` of every problem. A name, not an address: it never changes and need not be fetched. */
export function problemType(slug: string): string {
  return `urn:quorate:problem:${slug}`;
}

/** The answer to a call that failed, in its protocol's form. */
export function failureResponse(protocol: Protocol, failure: Failure): Response {
  const error = describe(failure);
  if (protocol === 'v3') {
    const { status } = httpOfGrpc[error.code];
    const headers = { ...error.headers, 'content-type': 'application/json' };
    return new Response(statusJson(error), { status, headers });
  }
  const headers = { ...error.headers, 'content-type': 'application/problem+json' };
  return new Response(problemJson(error), { status: error.status, headers });
}

/** A problem as JSON text, for the frames of a v1 stream. */
export function problemText(failure: Failure): string {
  return problemJson(describe(failure));
}

/** One message of a v3 stream, without its newline. Clients of etcd 3.5 read the names with "grpc" and "http". */
export function streamErrorText(failure: Failure): string {
  const { code, words } = describe(failure);
  const { status, phrase } = httpOfGrpc[code];
  return JSON.stringify({
    error: { grpc_code: code, http_code: status, message: words, http_status: phrase, code },
  });
}

/** etcd's words for a failure, as a watch's cancel_reason shows them. */
export function etcdWords(failure: Failure): string {
  return describe(failure).words;
}

function statusJson(error: WireError): string {
  const message = JSON.stringify(error.words);
  return `{"error":${message},"code":${error.code},"message":${message}}`;
}

function problemJson(error: WireError): string {
  const { slug, title, status, detail, members } = error;
  return JSON.stringify({ type: problemType(slug), title, status, detail, ...members });
}
