// The one map to the wire: every failure, of the store or of the service around it, to HTTP, to gRPC's codes with
// etcd's words, and to a problem of RFC 9457. Nothing else knows a status. Secrets and internals never appear in a text
// here.

import type { FailureData } from '../../model/calls.ts';
import type { StoreFailure } from '../../model/store.ts';
import type { Protocol, StreamFailure } from '../contract.ts';
import { authErrors } from './auth-errors.ts';
import type { Failure } from './failures.ts';
import { groupErrors } from './group-errors.ts';
import { requestErrors } from './request-errors.ts';
import { serviceErrors } from './service-errors.ts';
import { storeErrors } from './store-errors.ts';
import { type ByKind, grpc, httpOfGrpc, overloadedStatus, type WireError, type WireErrors } from './wire-error.ts';

export type { Failure } from './failures.ts';

const wireErrors: WireErrors<Failure> = {
  ...storeErrors,
  ...authErrors,
  ...groupErrors,
  ...serviceErrors,
  ...requestErrors,
};

/**
 * A failure as a replica told it. The replica may run newer code than this: what is not known here, or is not what it
 * should be, is told as a fault of the service.
 */
export function knownFailure(data: FailureData): Failure {
  return isKnown(data) ? data : { kind: 'internal' };
}

/** The same of what the store refused; null: it is nothing that a store refuses. */
export function knownStoreFailure(data: FailureData): StoreFailure | null {
  return isOfStore(data) ? data : null;
}

/** Only a replica makes such data, of a failure. */
function isKnown(data: FailureData): data is FailureData & Failure {
  return Object.hasOwn(wireErrors, data.kind);
}

function isOfStore(data: FailureData): data is FailureData & StoreFailure {
  return Object.hasOwn(storeErrors, data.kind) || Object.hasOwn(authErrors, data.kind);
}

type FailureOf<Kind extends Failure['kind']> = { readonly kind: Kind } & ByKind<Failure>[Kind];

/** For the tables of this folder: others have the answers below. */
export function describe<Kind extends Failure['kind']>(failure: FailureOf<Kind>): WireError {
  return wireErrors[failure.kind](failure);
}

/** The `type` of every problem. A name, not an address: it never changes and need not be fetched. */
function problemType(slug: string): string {
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

function statusJson(error: WireError): string {
  const message = JSON.stringify(error.words);
  return `{"error":${message},"code":${error.code},"message":${message}}`;
}

function problemJson(error: WireError): string {
  const { slug, title, status, detail, members } = error;
  return JSON.stringify({ type: problemType(slug), title, status, detail, ...members });
}
