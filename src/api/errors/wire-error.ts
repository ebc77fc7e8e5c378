// The form of an error on the wire, in both protocols, and the forms that most errors have. For each family of failures
// a table beside this file has the form of every kind.

import { base64, textOf } from '../../base/bytes.ts';
import { retryAfterSeconds } from '../../limits.ts';

/** The status codes of gRPC that are used. */
export const grpc = {
  unknown: 2,
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
export type GrpcCode = (typeof grpc)[keyof typeof grpc];

/** The name of the code of what did not fail. */
export const okName = 'OK';

/** The names of the codes, as metrics of gRPC have them. */
export const codeNames: Readonly<Record<GrpcCode, string>> = {
  [grpc.unknown]: 'Unknown',
  [grpc.invalidArgument]: 'InvalidArgument',
  [grpc.deadlineExceeded]: 'DeadlineExceeded',
  [grpc.notFound]: 'NotFound',
  [grpc.alreadyExists]: 'AlreadyExists',
  [grpc.permissionDenied]: 'PermissionDenied',
  [grpc.resourceExhausted]: 'ResourceExhausted',
  [grpc.failedPrecondition]: 'FailedPrecondition',
  [grpc.outOfRange]: 'OutOfRange',
  [grpc.unimplemented]: 'Unimplemented',
  [grpc.internal]: 'Internal',
  [grpc.unavailable]: 'Unavailable',
  [grpc.dataLoss]: 'DataLoss',
  [grpc.unauthenticated]: 'Unauthenticated',
};

/** grpc-gateway's map of codes to HTTP, with the phrases that streams of its version in etcd 3.5 had. */
export const httpOfGrpc: Readonly<Record<GrpcCode, { readonly status: number; readonly phrase: string }>> = {
  [grpc.unknown]: { status: 500, phrase: 'Internal Server Error' },
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

export type WireError = {
  /** v3: the code, from which the HTTP status follows. */
  readonly code: GrpcCode;
  readonly words: string;
  /** v1. */
  readonly status: number;
  readonly slug: string;
  readonly title: string;
  readonly detail: string;
  readonly members?: Readonly<Record<string, number | string | null>>;
  readonly headers?: Readonly<Record<string, string>>;
  /** v3: a WWW-Authenticate that differs from the one in `headers`. */
  readonly challenge?: string;
};

/** The failures of a family, each under its kind. */
export type ByKind<Family extends { readonly kind: string }> = { readonly [Of in Family as Of['kind']]: Of };

/** For each kind of the failures of a family, its form on the wire. The compiler finds a kind that is left out. */
export type WireErrors<Family extends { readonly kind: string }> = {
  readonly [Kind in keyof ByKind<Family>]: (failure: ByKind<Family>[Kind]) => WireError;
};

/** RFC 6585, section 4. grpc-gateway answers the same status for RESOURCE_EXHAUSTED. */
export const overloadedStatus = 429;

/** RFC 9457. */
export const problemContentType = 'application/problem+json';

export const challenge = { 'www-authenticate': 'Bearer realm="quorate"' };
export const later = { 'retry-after': String(retryAfterSeconds) };

/** A key as text where it is UTF-8 and as base64 where it is not, cut to what a sentence can hold. */
export function shownKey(key: Uint8Array): string {
  const charactersMax = 256;
  const text = textOf(key);
  const shown = text === null ? `${base64(key)} (base64)` : JSON.stringify(text);
  return shown.length > charactersMax ? `${shown.slice(0, charactersMax)}…` : shown;
}

export function invalid(slug: string, title: string, detail: string, words: string): WireError {
  return { code: grpc.invalidArgument, words: `etcdserver: ${words}`, status: 400, slug, title, detail };
}

export function unauthenticated(slug: string, title: string, detail: string): WireError {
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

/** A token that etcd refuses. On v3 etcd's own words are the challenge, which `failureResponse` sets. */
export function challenged(slug: string, title: string, detail: string): WireError {
  const words = 'etcdserver: invalid auth token';
  return { code: grpc.unauthenticated, words, status: 401, slug, title, detail, headers: challenge, challenge: words };
}

export function forbidden(need: string): WireError {
  return {
    code: grpc.permissionDenied,
    words: 'etcdserver: permission denied',
    status: 403,
    slug: 'forbidden',
    title: 'Not allowed',
    detail: `The caller lacks: ${need}.`,
  };
}

export function absent(slug: string, title: string, detail: string): WireError {
  return { code: grpc.notFound, words: `quorate: ${detail}`, status: 404, slug, title, detail };
}

export function conflict(slug: string, title: string, detail: string): WireError {
  return { code: grpc.alreadyExists, words: `quorate: ${detail}`, status: 409, slug, title, detail };
}

export function unavailable(slug: string, title: string, detail: string, words: string): WireError {
  return { code: grpc.unavailable, words, status: 503, slug, title, detail, headers: later };
}

/** A refusal of etcd's because of a state that another call can change. `status` is that of v1. */
export function refusedFor(slug: string, detail: string, title: string, words: string, status = 409): WireError {
  return { code: grpc.failedPrecondition, words: `etcdserver: ${words}`, status, slug, title, detail };
}
