// Which request headers each class of v1 calls honours, and which it refuses because passing over them would change
// what the request means. The headers are the request fields of RFC 9110, and those of other documents that name a
// condition, a part or another method. v3 looks at none of these, as etcd's gateway does not.

import type { RequestHeaders } from '../contract.ts';
import type { Failure } from '../errors/errors.ts';

/** A class of calls to which the same headers mean something. */
export type HeaderClass =
  | 'readKey'
  /** A PUT of a key, whose body is the value. */
  | 'putKey'
  | 'deleteKey'
  /** The release of a lock or of a place of a semaphore. */
  | 'release'
  /** Any other call that only reads. */
  | 'read'
  /** Any other call that changes something. Its body is JSON. */
  | 'change'
  /** As `change`, but an Idempotency-Key does not find the call again. */
  | 'manage';

type Look = (value: string, call: HeaderClass, headers: RequestHeaders) => Failure | null;

type Rule = {
  /** The classes that refuse the header. In the other classes it is honoured or means nothing. */
  readonly calls: readonly HeaderClass[];
  /** null where the value is not refused. */
  readonly look: Look;
};

const writes = ['putKey', 'deleteKey', 'release', 'change', 'manage'] as const;
const withBodies = ['putKey', 'change', 'manage'] as const;

function refusedAs(detail: string): Look {
  return () => ({ kind: 'badRequest', detail });
}

const methodOverridden = refusedAs(
  'X-HTTP-Method-Override and its like are not taken: send the request with the method that is meant',
);

/**
 * The headers that are refused. Honoured where they are not refused: If-Match, If-None-Match, Idempotency-Key, Accept
 * and Last-Event-ID (watches).
 *
 * Passed over on every call, as RFC 9110 has it: Range and If-Range (14.2: a server may answer the whole, which its
 * status 200 says), If-Modified-Since, and If-Unmodified-Since of a read (13.1: ignored where there are no dates),
 * Accept on other calls and Accept-Charset, Accept-Encoding, Accept-Language (12.5: the answer says what it is), TE,
 * Trailer, Via, Max-Forwards, From, Referer, User-Agent, Content-Language and Content-Location (8.5, 8.7), and Prefer
 * (RFC 7240, 2). Content-Length, Host and Connection are the runtime's.
 */
const refusals: ReadonlyMap<string, Rule> = new Map<string, Rule>([
  [
    'content-encoding',
    {
      calls: withBodies,
      // The value would be stored in its coding, and to decode it would take the time of the replica's one thread.
      look: (coding) => (isIdentity(coding) ? null : { kind: 'contentCodingNotTaken', coding }),
    },
  ],
  [
    'content-range',
    {
      calls: withBodies,
      // RFC 9110, section 14.5: a server that does not write parts answers 400.
      look: refusedAs('Content-Range: a part of a value is not taken; send the whole value without this header'),
    },
  ],
  [
    'transfer-encoding',
    {
      calls: withBodies,
      // RFC 9112, section 6.1. Some runtimes decode the chunks, and pass over any other coding of the body.
      look: (codings) =>
        codings.trim().toLowerCase() === 'chunked'
          ? null
          : { kind: 'notServed', what: 'Transfer-Encoding other than chunked' },
    },
  ],
  ['content-type', { calls: withBodies, look: lookAtType }],
  [
    'expect',
    {
      calls: ['putKey', 'deleteKey', 'release', 'change', 'manage', 'read', 'readKey'],
      look: (expectation) =>
        expectation.trim().toLowerCase() === '100-continue' ? null : { kind: 'expectationFailed', expectation },
    },
  ],
  [
    'if-match',
    {
      calls: ['readKey', 'read', 'change', 'manage'],
      look: (_, call) => ({ kind: 'badRequest', detail: conditionRefusal('If-Match', call) }),
    },
  ],
  [
    'if-none-match',
    {
      calls: ['release', 'read', 'change', 'manage'],
      look: (_, call) => ({ kind: 'badRequest', detail: conditionRefusal('If-None-Match', call) }),
    },
  ],
  [
    'if-unmodified-since',
    {
      calls: writes,
      // RFC 9110, section 13.1.4, lets a server pass over this header beside If-Match, and where resources have no
      // dates. But a write without the guard that its sender asked for is another write, and a server may refuse any
      // request.
      look: (_, _call, headers) =>
        headers.has('if-match')
          ? null
          : {
              kind: 'badRequest',
              detail:
                'If-Unmodified-Since: keys have revisions and no dates; send If-Match with the ETag that you read',
            },
    },
  ],
  ['x-http-method-override', { calls: writes, look: methodOverridden }],
  ['x-http-method', { calls: writes, look: methodOverridden }],
  ['x-method-override', { calls: writes, look: methodOverridden }],
  [
    'idempotency-key',
    {
      calls: ['manage'],
      look: refusedAs('Idempotency-Key is for writes to a store; the calls of the operator do not remember it'),
    },
  ],
]);

const rulesOf: ReadonlyMap<HeaderClass, readonly (readonly [string, Look])[]> = new Map(
  (['readKey', 'read', ...writes] as const).map((call) => [
    call,
    [...refusals].filter(([, { calls }]) => calls.includes(call)).map(([name, { look }]) => [name, look] as const),
  ]),
);

/** The failure of a request with a header that its class refuses; null: it has none. */
export function refusedHeader(call: HeaderClass, headers: RequestHeaders): Failure | null {
  for (const [name, look] of rulesOf.get(call) ?? []) {
    const value = headers.get(name);
    const failure = value === null ? null : look(value, call, headers);
    if (failure !== null) return failure;
  }
  return null;
}

function conditionRefusal(name: string, call: HeaderClass): string {
  if (call === 'readKey') return `${name} is for writes; a read takes If-None-Match`;
  if (call === 'release') return `${name} means nothing here; If-Match takes the fencing token that is to be released`;
  const elsewhere = call === 'manage' ? '' : '; POST /v1/txn compares keys and ranges in its body';
  return `${name} is for one key, and for the release of a lock${elsewhere}`;
}

/** RFC 9110, section 8.4: the codings in the order in which they were applied. */
function isIdentity(codings: string): boolean {
  return codings.split(',').every((coding) => ['', 'identity'].includes(coding.trim().toLowerCase()));
}

/**
 * A value may have any type, because it is kept as bytes. Where JSON is taken, the type need not say so, because curl's
 * `-d` says that it sends a form. But a form of several parts is neither a value nor JSON, and JSON in another charset
 * than UTF-8 would be misread.
 */
function lookAtType(contentType: string, call: HeaderClass): Failure | null {
  const [type = '', ...parameters] = contentType.split(';').map((part) => part.trim().toLowerCase());
  const isJson = call !== 'putKey';
  const takes = isJson
    ? 'application/json, in UTF-8'
    : 'the value itself, of any type, for instance application/octet-stream';
  if (type === 'multipart/form-data' || type === 'multipart/byteranges' || (isJson && type.startsWith('multipart/'))) {
    return { kind: 'contentTypeNotTaken', contentType, takes };
  }
  if (!isJson) return null;
  const charset = parameters.find((parameter) => parameter.startsWith('charset='));
  const letters = charset?.slice('charset='.length).replaceAll('"', '') ?? 'utf-8';
  return ['utf-8', 'utf8', 'us-ascii'].includes(letters) ? null : { kind: 'contentTypeNotTaken', contentType, takes };
}
