// The one map to the wire: it takes every failure, of the store or of the service around it, to HTTP, to gRPC's codes
// with etcd's words, and to a problem of RFC 9457. No other code knows a status. No text here shows a secret or an
// internal.

import type { FailureData } from '../../model/calls.ts';
import type { StoreFailure } from '../../model/store.ts';
import type { Protocol, StreamFailure } from '../contract.ts';
import { Answer } from '../answer.ts';
import { writesHeader } from '../forwarded.ts';
import { authErrors } from './auth-errors.ts';
import type { Failure } from './failures.ts';
import { groupErrors } from './group-errors.ts';
import { requestErrors } from './request-errors.ts';
import { serviceErrors } from './service-errors.ts';
import { storeErrors } from './store-errors.ts';
import {
  type ByKind,
  codeNames,
  grpc,
  type GrpcCode,
  httpOfGrpc,
  okName,
  overloadedStatus,
  problemContentType,
  type WireError,
  type WireErrors,
} from './wire-error.ts';

export type { Failure } from './failures.ts';

const wireErrors: WireErrors<Failure> = {
  ...storeErrors,
  ...authErrors,
  ...groupErrors,
  ...serviceErrors,
  ...requestErrors,
};

/**
 * A failure as a replica told it. The replica may run newer code than this, and a failure of a kind that is not known
 * here is told as a fault of the service.
 */
export function knownFailure(data: FailureData): Failure {
  return isKnown(data) ? data : { kind: 'internal' };
}

/** As `knownFailure`, for what a store refused; null where no store refuses so. */
export function knownStoreFailure(data: FailureData): StoreFailure | null {
  return isOfStore(data) ? data : null;
}

/** Only a replica makes such data, and only of a failure, so a known kind has the fields of that kind. */
function isKnown(data: FailureData): data is FailureData & Failure {
  return Object.hasOwn(wireErrors, data.kind);
}

function isOfStore(data: FailureData): data is FailureData & StoreFailure {
  return Object.hasOwn(storeErrors, data.kind) || Object.hasOwn(authErrors, data.kind);
}

type FailureOf<Kind extends Failure['kind']> = { readonly kind: Kind } & ByKind<Failure>[Kind];

/** The form of a failure on the wire. Code outside of this folder uses the answers below. */
export function describe<Kind extends Failure['kind']>(failure: FailureOf<Kind>): WireError {
  return wireErrors[failure.kind](failure);
}

/** The `type` of a problem. It is a name and not an address: it never changes, and nobody need fetch it. */
function problemType(slug: string): string {
  return `urn:quorate:problem:${slug}`;
}

/** The name of the problem, as the audit has it. */
export function problemName(failure: Failure): string {
  return describe(failure).slug;
}

/** The name of the code of a failure, as it is counted. */
export function codeName(failure: Failure): string {
  return codeNames[describe(failure).code];
}

/** As `codeName`, of an answer of which only the status is known. */
export function codeNameOfStatus(status: number): string {
  if (status < 400) return okName;
  const of = Object.entries(httpOfGrpc).find(([, known]) => known.status === status);
  return of === undefined ? codeNames[grpc.failedPrecondition] : (codeNames[Number(of[0]) as GrpcCode] ?? okName);
}

/** The answer to a call that failed, in its protocol's form. */
export function failureAnswer(protocol: Protocol, failure: Failure): Answer {
  const error = describe(failure);
  if (protocol === 'v3') return new Answer(httpOfGrpc[error.code].status, etcdHeaders(error), statusJson(error));
  const headers = { ...error.headers, 'content-type': problemContentType };
  return new Answer(error.status, headers, problemJson(error));
}

export function failureResponse(protocol: Protocol, failure: Failure): Response {
  return failureAnswer(protocol, failure).toResponse();
}

/**
 * Whether a call that was sent in several attempts was refused for want of room. That speaks of one attempt alone,
 * while what another attempt has begun may still be done. So the caller is told that the outcome is not known.
 */
export function isRefusedAlone(answer: Answer | Response): boolean {
  // Any other answer of that status is a decision of the group, which each attempt would get. None of those has
  // Retry-After.
  if (answer.status !== overloadedStatus) return false;
  return answer instanceof Answer ? 'retry-after' in answer.headers : answer.headers.has('retry-after');
}

/**
 * How many writes the group has remembered, where it says that it may have forgotten this one, and did not do it. Null:
 * the answer is another one.
 */
export function writesToldBy(answer: Answer | Response): number | null {
  const told = answer instanceof Answer ? (answer.headers[writesHeader] ?? null) : answer.headers.get(writesHeader);
  return told === null ? null : Number(told);
}

/**
 * Some failures are 401 on v1 and 400 in etcd, and then have no challenge on v3. Where etcd refuses a token, its words
 * are the challenge.
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

/**
 * The kinds that lock and election pass on with their own codes, because they are failures of the service around them.
 */
const passedOn: ReadonlySet<Failure['kind']> = new Set<Failure['kind']>([
  'timeout',
  'overloaded',
  'rateLimited',
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
  'outcomeUnknown',
]);

/** A failure as etcd's lock and election tell it: with code 2, whatever code it had. */
function withoutCode(failure: Failure): WireError {
  const error = describe(failure);
  return passedOn.has(failure.kind) ? error : { ...error, code: grpc.unknown };
}

/** The answer of etcd's lock and election services to a call that failed. */
export function bareFailureAnswer(failure: Failure): Answer {
  const error = withoutCode(failure);
  return new Answer(httpOfGrpc[error.code].status, etcdHeaders(error), statusJson(error));
}

/** A failure as a message of a v3 stream. Its status is that of an answer which begins with this message. */
export function streamFailure(failure: Failure, codes: 'kept' | 'lost'): StreamFailure {
  const error = codes === 'kept' ? describe(failure) : withoutCode(failure);
  return { status: httpOfGrpc[error.code].status, text: streamErrorJson(error) };
}

/** A problem as JSON text, for the frames of a v1 stream. */
export function problemText(failure: Failure): string {
  return problemJson(describe(failure));
}

/**
 * One message of a v3 stream, without its newline. Clients of etcd 3.5 read the names that begin with "grpc" and
 * "http".
 */
export function streamErrorText(failure: Failure): string {
  return streamErrorJson(describe(failure));
}

function streamErrorJson({ code, words }: WireError): string {
  const { status, phrase } = httpOfGrpc[code];
  return JSON.stringify({
    error: { grpc_code: code, http_code: status, message: words, http_status: phrase, code },
  });
}

/** etcd's words for a failure, which a watch shows as its cancel_reason. */
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
