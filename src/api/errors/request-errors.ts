// The failures of one request: what is wrong with it, or with what it asks for.

import { messageBytesMax } from '../../limits.ts';
import type { RequestFailure } from './failures.ts';
import { absent, conflict, grpc, invalid, shownKey, type WireErrors } from './wire-error.ts';

export const requestErrors: WireErrors<RequestFailure> = {
  bodyTooLarge: (failure) => ({
    code: grpc.resourceExhausted,
    words: `grpc: received message larger than max (${failure.bytes} vs. ${Math.min(failure.bytesMax, messageBytesMax)})`,
    status: 413,
    slug: 'body-too-large',
    title: 'Body is too large',
    detail: `The body has ${failure.bytes} bytes or more; this call takes at most ${failure.bytesMax}.`,
  }),
  bodyLate: (failure) => ({
    code: grpc.deadlineExceeded,
    words: `quorate: the body did not arrive within ${failure.seconds} s`,
    status: 408,
    slug: 'body-late',
    title: 'Body did not arrive',
    detail: `The body did not arrive within ${failure.seconds} s. Nothing was done.`,
  }),
  requestTooLarge: (failure) => ({
    ...invalid('request-too-large', 'Request is too large', `${failure.bytes} bytes.`, 'request is too large'),
    status: 413,
    detail: `As protobuf the request has ${failure.bytes} bytes; at most ${failure.bytesMax} are taken. Send it in parts.`,
  }),
  notFound: ({ near }) => ({
    ...absent(
      'not-found',
      'Not found',
      `There is nothing at this path${near.length === 0 ? '' : `; near it there is ${near.join(', ')}`}. GET /openapi.json says what there is.`,
    ),
    words: 'Not Found',
  }),
  methodNotAllowed: (failure) => ({
    code: grpc.unimplemented,
    words: 'Method Not Allowed',
    status: 405,
    slug: 'method-not-allowed',
    title: 'Method not allowed',
    detail: `This path takes ${failure.allow.join(', ')}.`,
    headers: { allow: failure.allow.join(', ') },
  }),
  notServed: (failure) => ({
    code: grpc.unimplemented,
    words: `quorate: ${failure.what} is not served`,
    status: 501,
    slug: 'not-served',
    title: 'Not served',
    detail: `${failure.what} is not served here.`,
  }),
  badRequest: (failure) => ({
    code: grpc.invalidArgument,
    words: failure.detail,
    status: 400,
    slug: 'bad-request',
    title: 'Bad request',
    detail: failure.detail,
  }),
  contentCodingNotTaken: (failure) => ({
    ...invalid('content-coding-not-taken', 'Content coding is not taken', '', 'request is encoded'),
    status: 415,
    detail: `Content-Encoding: ${shown(failure.coding)} is not taken. Send the body as it is, without this header.`,
    // RFC 9110, section 15.5.16, has this header in the answer.
    headers: { 'accept-encoding': 'identity' },
  }),
  contentTypeNotTaken: (failure) => ({
    ...invalid('content-type-not-taken', 'Content type is not taken', '', 'content type is not taken'),
    status: 415,
    detail: `Content-Type: ${shown(failure.contentType)} is not taken. Send ${failure.takes}.`,
  }),
  expectationFailed: (failure) => ({
    ...invalid('expectation-failed', 'Expectation failed', '', 'expectation failed'),
    status: 417,
    detail: `Expect: ${shown(failure.expectation)} cannot be met. Send 100-continue or no Expect.`,
  }),
  keyAbsent: (failure) => ({
    ...absent(
      'key-not-found',
      'Key not found',
      failure.asked > 0
        ? `The key ${shownKey(failure.key)} did not exist at revision ${failure.asked}; the store is at revision ${failure.revision}.`
        : `The key ${shownKey(failure.key)} does not exist; the store is at revision ${failure.revision}.`,
    ),
    members: { revision: failure.revision },
    headers: { 'quorate-revision': String(failure.revision) },
  }),
  preconditionFailed: (failure) => ({
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
  }),
  appliedBefore: (failure) => ({
    ...conflict(
      'applied-before',
      'Applied before',
      `A write with this Idempotency-Key was applied at revision ${failure.revision}; its answer was not kept. Read what is there.`,
    ),
    members: { revision: failure.revision },
  }),
};

/** A text that a client sent, short enough for an answer. */
function shown(text: string): string {
  const charactersMax = 64;
  return text.length > charactersMax ? `${text.slice(0, charactersMax)}…` : text;
}
