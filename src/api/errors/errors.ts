// The one map to the wire: every failure, of the store or of the service around it, to HTTP, to gRPC's codes with
// etcd's words, and to a problem of RFC 9457. Nothing else knows a status. Secrets and internals never appear in a text
// here.

import { unreachable } from '../../base/assert.ts';
import {
  memoryBytesMax,
  memoryOfKeyBytesMax,
  memoryOfTenantBytesMax,
  messageBytesMax,
  requestTimeoutMs,
} from '../../limits.ts';
import type { MemoryShare } from '../../base/memory-budget.ts';
import type { Protocol, StreamFailure } from '../contract.ts';
import type { Failure, OpenKind, RequestFailure, ServiceFailure } from './failures.ts';
import { isOfGroup, isOfService, isOfStore } from './failures.ts';
import { describeGroup } from './group-errors.ts';
import { describeStore } from './store-errors.ts';
import {
  absent,
  conflict,
  forbidden,
  grpc,
  httpOfGrpc,
  invalid,
  later,
  shownKey,
  unauthenticated,
  unavailable,
  type WireError,
} from './wire-error.ts';

/** RFC 6585, 4; also what etcd's gateway makes of RESOURCE_EXHAUSTED. */
const overloadedStatus = 429;

export type { Failure, RequestFailure, ServiceFailure } from './failures.ts';

const mebibyte = 1_048_576;
const memoryWords: Readonly<Record<MemoryShare, string>> = {
  key: `What is under way with this access key takes ${memoryOfKeyBytesMax / mebibyte} MiB, as much as one key may have here: read the answers, or ask for less at a time.`,
  tenant: `What is under way for this tenant takes ${memoryOfTenantBytesMax / mebibyte} MiB, as much as one tenant may have here: try again in a second, or ask for less at a time.`,
  service: `What is under way takes ${memoryBytesMax / mebibyte} MiB, as much as there is here for all tenants: try again in a second.`,
};

const openWords: Readonly<Record<OpenKind, string>> = {
  watchSocket: 'WebSockets that watch',
  watchStream: 'streaming watches',
  callSocket: 'WebSockets for calls',
  observer: 'streams that observe elections',
  keepAliveStream: 'streams of keepalives',
  wait: 'calls that wait for a lock or an election',
  snapshot: 'snapshots under way',
  hash: 'hashes of the whole store under way',
};

const sendOperatorToken = "Send the operator's token: Authorization: Bearer <token>.";
const operatorTokenDetails = {
  nothing: sendOperatorToken,
  accessKey: `This is an access key of a tenant, and this call is the operator's. ${sendOperatorToken}`,
  other: `This is not the operator's token. ${sendOperatorToken}`,
} as const;

function describeService(failure: ServiceFailure): WireError {
  switch (failure.kind) {
    case 'accessKeyMissing':
      return unauthenticated(
        'access-key-missing',
        'Access key missing',
        'Send an access key: Authorization: Bearer <key>, or Quorate-Key: <key>.',
      );
    case 'accessKeyInvalid':
      return unauthenticated(
        'access-key-invalid',
        'Access key invalid',
        failure.given === 'operatorToken'
          ? "This is the operator's token. A store takes an access key of its tenant: make one with POST /v1/tenants/{id}/keys."
          : 'This is not an access key of this service. A key looks like qrt_<tenant>_<id>_<secret>, and opens no other service.',
      );
    case 'operatorTokenInvalid':
      return unauthenticated(
        'operator-token-invalid',
        'Operator token missing or invalid',
        operatorTokenDetails[failure.given],
      );
    case 'accessKeyForbidden':
      return forbidden(failure.need);
    case 'tenantNotFound':
      return absent(
        'tenant-not-found',
        'Tenant not found',
        `There is no tenant with the id "${failure.tenant}". GET /v1/tenants lists them.`,
      );
    case 'tenantNameTaken':
      return conflict(
        'tenant-name-taken',
        'Tenant name is taken',
        `There is a tenant named "${failure.name}" already. Take another name.`,
      );
    case 'accessKeyNotFound':
      return absent(
        'access-key-not-found',
        'Access key not found',
        failure.id === null
          ? 'What stands in the path is no id of an access key (a whole key is none, and is not repeated here). GET /v1/tenants/{id}/keys lists them.'
          : `The tenant has no access key with the id "${failure.id}". GET /v1/tenants/{id}/keys lists them.`,
      );
    case 'noLeader':
      return unavailable(
        'no-leader',
        'No leader',
        'The replicas have no leader: they are electing one, or fewer than half of them answer. Try again in a second.',
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
        detail:
          `No replica answered within ${requestTimeoutMs / 1000} s. A write may still take effect; with the same Idempotency-Key it ` +
          'is safe to send again.',
      };
    case 'overloaded':
      return {
        code: grpc.resourceExhausted,
        words: 'etcdserver: too many requests',
        status: overloadedStatus,
        slug: 'overloaded',
        title: 'Too many requests',
        detail: 'The store has as many requests under way as it takes. Try again after a second, then less often.',
        headers: later,
      };
    case 'loginDelayed':
      return {
        code: grpc.resourceExhausted,
        words: 'etcdserver: too many requests',
        status: overloadedStatus,
        slug: 'login-delayed',
        title: 'Login delayed',
        detail: `Too many logins have failed: the next one is looked at in ${failure.seconds} s.`,
        headers: { 'retry-after': String(failure.seconds) },
      };
    case 'memoryFull': {
      const { of } = failure;
      const detail = memoryWords[of];
      return {
        code: grpc.resourceExhausted,
        words: `quorate: ${detail}`,
        status: overloadedStatus,
        slug: 'memory-full',
        title: 'Memory is full',
        detail,
        headers: later,
      };
    }
    case 'tooManyOpen': {
      const { what, of, max } = failure;
      const holder = of === 'key' ? 'This access key' : 'This replica';
      const detail = `${holder} has ${max} ${openWords[what]}, as many as ${of === 'key' ? 'one key' : 'it'} may. Close some, or wait until others end.`;
      return {
        code: grpc.resourceExhausted,
        words: `quorate: ${detail}`,
        status: overloadedStatus,
        slug: 'too-many-open',
        title: 'Too many open',
        detail,
        members: { max, of },
        headers: later,
      };
    }
    case 'tenantDeleted':
      return absent(
        'tenant-deleted',
        'Tenant deleted',
        'The tenant of this key was deleted, with all that its store held.',
      );
    case 'internal':
      return {
        code: grpc.internal,
        words: 'quorate: internal error',
        status: 500,
        slug: 'internal',
        title: 'Internal error',
        detail: 'The service failed at this request; its log says why. A write may have taken effect or not.',
      };
    case 'directoryUnavailable':
      return unavailable(
        'directory-unavailable',
        'Directory unavailable',
        'The directory (D1) does not answer: tenants can be neither made nor changed until it does. Every store goes on.',
        'quorate: the directory of tenants is unavailable',
      );
    case 'deletionUnfinished':
      return unavailable(
        'deletion-unfinished',
        'Deletion is not finished',
        `Not every replica of tenant ${failure.tenant} could be reached. It serves nobody any more; delete it again to finish.`,
        'quorate: a tenant is not wholly deleted',
      );
    case 'directoryNotMigrated':
      return setUp(
        'directory-not-migrated',
        'Directory has no tables',
        'The directory (D1) has no tables: apply the migrations, "npx wrangler d1 migrations apply quorate-directory --remote".',
      );
    case 'notConfigured':
      return setUp(
        'not-configured',
        'Service is not set up',
        `${failure.faults.join('; ')}. Make a secret with "openssl rand -base64 32" and set it with "npx wrangler secret put <name>".`,
      );
    case 'corrupt':
      return {
        code: grpc.dataLoss,
        words: 'etcdserver: corrupt cluster',
        status: 500,
        slug: 'corrupt',
        title: 'Replica diverged',
        detail:
          'This replica differs from its leader, has stopped serving and is being rebuilt. Try again: another one answers.',
      };
    default:
      return unreachable(failure);
  }
}

/** What passes only when somebody has set the service up: nobody need try again before. */
function setUp(slug: string, title: string, detail: string): WireError {
  return { code: grpc.unavailable, words: `quorate: ${detail}`, status: 503, slug, title, detail };
}

function describeRequest(failure: RequestFailure): WireError {
  switch (failure.kind) {
    case 'bodyTooLarge':
      return {
        code: grpc.resourceExhausted,
        words: `grpc: received message larger than max (${failure.bytes} vs. ${Math.min(failure.bytesMax, messageBytesMax)})`,
        status: 413,
        slug: 'body-too-large',
        title: 'Body is too large',
        detail: `A body of ${failure.bytes} bytes or more; this call takes at most ${failure.bytesMax}.`,
      };
    case 'bodyLate':
      return {
        code: grpc.deadlineExceeded,
        words: `quorate: the body did not arrive within ${failure.seconds} s`,
        status: 408,
        slug: 'body-late',
        title: 'Body did not arrive',
        detail: `The body did not arrive within ${failure.seconds} s. Nothing was done.`,
      };
    case 'requestTooLarge':
      return {
        ...invalid('request-too-large', 'Request is too large', `${failure.bytes} bytes.`, 'request is too large'),
        status: 413,
        detail: `A request of ${failure.bytes} bytes, as protobuf; at most ${failure.bytesMax}. Send it in parts.`,
      };
    case 'notFound':
      return {
        ...absent('not-found', 'Not found', 'There is nothing at this path. GET /openapi.json says what there is.'),
        words: 'Not Found',
      };
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
        detail: `${failure.what} is not served here.`,
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
    case 'contentCodingNotTaken':
      return {
        ...invalid('content-coding-not-taken', 'Content coding is not taken', '', 'request is encoded'),
        status: 415,
        detail: `Content-Encoding: ${shown(failure.coding)} is not taken. Send the body as it is, without this header.`,
        // RFC 9110, 15.5.16.
        headers: { 'accept-encoding': 'identity' },
      };
    case 'contentTypeNotTaken':
      return {
        ...invalid('content-type-not-taken', 'Content type is not taken', '', 'content type is not taken'),
        status: 415,
        detail: `Content-Type: ${shown(failure.contentType)} is not taken. Send ${failure.takes}.`,
      };
    case 'expectationFailed':
      return {
        ...invalid('expectation-failed', 'Expectation failed', '', 'expectation failed'),
        status: 417,
        detail: `Expect: ${shown(failure.expectation)} cannot be met. Send 100-continue or no Expect.`,
      };
    case 'keyAbsent':
      return {
        ...absent(
          'key-not-found',
          'Key not found',
          `The key ${shownKey(failure.key)} does not exist at the revision that was asked for; the store is at ${failure.revision}.`,
        ),
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
        detail:
          failure.current === null
            ? 'The key does not exist. Nothing was written.'
            : `The key is at revision ${failure.current}. Nothing was written: read it again, and send its ETag.`,
        members: { mod_revision: failure.current, revision: failure.revision },
        ...(failure.current === null ? {} : { headers: { etag: `"${failure.current}"` } }),
      };
    case 'appliedBefore':
      return {
        ...conflict(
          'applied-before',
          'Applied before',
          `A write with this Idempotency-Key was applied at revision ${failure.revision}; its answer was not kept. Read what is there.`,
        ),
        members: { revision: failure.revision },
      };
    default:
      return unreachable(failure);
  }
}

/** For the tables of this folder: others have the answers below. */
export function describe(failure: Failure): WireError {
  if (isOfStore(failure)) return describeStore(failure);
  if (isOfGroup(failure)) return describeGroup(failure);
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
    return new Response(statusJson(error), { status, headers: etcdHeaders(error) });
  }
  const headers = { ...error.headers, 'content-type': 'application/problem+json' };
  return new Response(problemJson(error), { status: error.status, headers });
}

/**
 * Of several attempts to deliver a call, the answer that came: a refusal for want of room is that attempt's alone, and
 * what another one began may still be done. Nobody knows then, and the caller is told so.
 */
export function unlessRefusedAlone(answer: Response, protocol: Protocol): Response {
  // Others of that status are the group's decision, which every attempt is told; none of them says when to come again.
  const isOverloaded = answer.status === overloadedStatus && answer.headers.has('retry-after');
  return isOverloaded ? failureResponse(protocol, { kind: 'timeout' }) : answer;
}

/**
 * v1 says 401 of some that etcd answers 400: no challenge then. Where a token was refused, etcd's own words are one.
 */
function etcdHeaders({ headers, challenge, code }: WireError): Record<string, string> {
  const { 'www-authenticate': own, ...others } = { ...headers };
  const shown = code === grpc.unauthenticated ? (challenge ?? own) : undefined;
  return {
    ...others,
    'content-type': 'application/json',
    ...(shown === undefined ? {} : { 'www-authenticate': shown }),
  };
}

/** The kinds that lock and election pass on as they are: not theirs, but of the service around them. */
const passedOn: ReadonlySet<Failure['kind']> = new Set<Failure['kind']>([
  'timeout',
  'overloaded',
  'tooManyOpen',
  'memoryFull',
  'internal',
  'notServed',
  'operationNotServed',
  'commandUndone',
  'badRequest',
  'bodyTooLarge',
  'requestTooLarge',
  'unauthenticated',
  'tenantDeleted',
  'appliedBefore',
  'idempotencyKeyReused',
]);

/** etcd's lock and election lose the code of what failed: 2, whatever it was. */
function withoutCode(failure: Failure): WireError {
  const error = describe(failure);
  return passedOn.has(failure.kind) ? error : { ...error, code: grpc.unknown };
}

/** The answer of etcd's lock and election services to a call that failed. */
export function bareFailureResponse(failure: Failure): Response {
  const error = withoutCode(failure);
  return new Response(statusJson(error), { status: httpOfGrpc[error.code].status, headers: etcdHeaders(error) });
}

/** A failure as a message of a v3 stream; the status is that of an answer which begins with it. */
export function streamFailure(failure: Failure, codes: 'kept' | 'lost'): StreamFailure {
  const error = codes === 'kept' ? describe(failure) : withoutCode(failure);
  return { status: httpOfGrpc[error.code].status, text: streamErrorJson(error) };
}

/** A problem as JSON text, for the frames of a v1 stream. */
export function problemText(failure: Failure): string {
  return problemJson(describe(failure));
}

/** One message of a v3 stream, without its newline. Clients of etcd 3.5 read the names with "grpc" and "http". */
export function streamErrorText(failure: Failure): string {
  return streamErrorJson(describe(failure));
}

function streamErrorJson({ code, words }: WireError): string {
  const { status, phrase } = httpOfGrpc[code];
  return JSON.stringify({
    error: { grpc_code: code, http_code: status, message: words, http_status: phrase, code },
  });
}

/** etcd's words for a failure, as a watch's cancel_reason shows them. */
export function etcdWords(failure: Failure): string {
  return describe(failure).words;
}

/** What a client sent, short enough to stand in an answer. */
function shown(text: string): string {
  const charactersMax = 64;
  return text.length > charactersMax ? `${text.slice(0, charactersMax)}…` : text;
}

function statusJson(error: WireError): string {
  const message = JSON.stringify(error.words);
  return `{"error":${message},"code":${error.code},"message":${message}}`;
}

function problemJson(error: WireError): string {
  const { slug, title, status, detail, members } = error;
  return JSON.stringify({ type: problemType(slug), title, status, detail, ...members });
}
