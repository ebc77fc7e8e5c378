// Building blocks of the OpenAPI document: parameters, headers, answers, and what every operation has in common. Data
// only.

import { rememberedWritesMax, requestIdBytesMax, writeIdBytesMax } from '../../limits.ts';
import { count, type Json, type JsonObject, leaseText, reference, revision, text } from './openapi-json.ts';

export function queryParameter(name: string, schema: JsonObject, description: string): JsonObject {
  return { name, in: 'query', schema, description };
}

export function headerParameter(name: string, description: string): JsonObject {
  return { name, in: 'header', schema: text, description };
}

export function pathParameter(name: string, description: string): JsonObject {
  return { name, in: 'path', required: true, schema: text, description };
}

export const parameters = {
  key: pathParameter(
    'key',
    'Percent-encoded bytes; "/" needs no encoding. A path is taken as it was sent, also where it has a segment "." or "..". Clients that follow the URL standard (browsers, fetch, curl without --path-as-is) resolve such segments before they send, and so may a zone of Cloudflare: write the slashes beside them as %2F (a%2F..%2Fb); for the keys "." and ".." use POST /v1/txn.',
  ),
  prefix: queryParameter('prefix', text, 'All keys that begin with this. Empty: every key.'),
  start: queryParameter('start', text, 'The first key.'),
  end: queryParameter('end', text, 'The first key after the range.'),
  lease: queryParameter('lease', leaseText, 'The lease that the key is attached to.'),
  revision: queryParameter('revision', revision, 'Read as of this revision.'),
  consistency: queryParameter(
    'consistency',
    { enum: ['linearizable', 'serializable'], default: 'linearizable' },
    'serializable: the answer is what the nearest replica has, which may be older. Quorate-Revision says how new it is. The rights of the ' +
      'caller are looked at as of the same moment.',
  ),
  read: {
    name: 'Quorate-Read',
    in: 'header',
    schema: { enum: ['leader', 'nearest'] },
    description:
      'Which replica answers: the leader, or the one nearest to the caller. A linearizable read is linearizable at either. Absent: the ' +
      'leader answers linearizable reads, and the nearest replica answers serializable ones and watches.',
  },
  requestId: headerParameter(
    'X-Request-Id',
    `A name for the request: 1 to ${requestIdBytesMax} letters, digits and . _ ~ : + / = @ -. It is in the answer. Without one, or with one in another form, the service makes one.`,
  ),
  ifMatch: headerParameter(
    'If-Match',
    'Entity tags ("<mod_revision>"), or * for any. A key that has none of them is 412.',
  ),
  ifMatchToken: headerParameter(
    'If-Match',
    'The fencing token that is to be released, in quotes. If the place has another token, it stays: 412 fencing-token-differs.',
  ),
  ifNoneMatch: headerParameter('If-None-Match', 'Entity tags, or * for a key that must not exist.'),
  idempotencyKey: headerParameter(
    'Idempotency-Key',
    `1 to ${writeIdBytesMax} visible ASCII characters. The same write under the same key is answered and not applied again. Another request under that key is 422 and not done. What was refused for want of a right or of room (401, 403, 507) may be sent again under its key once that has changed. A key is remembered until ${rememberedWritesMax} other writes of the tenant came after it, which are seconds of a very busy store: send a write again soon, or read first.`,
  ),
} satisfies Record<string, JsonObject>;

function header(description: string, schema: JsonObject = text): JsonObject {
  return { schema, description };
}

/** Of every answer. */
const everyHeaders = {
  'X-Request-Id': header('The id of the request, which also stands in a problem and in the log of the service.'),
};

const storeHeaders = {
  'Cache-Control': header('private, no-cache: a cache asks again before it uses the answer again.'),
};

export const headers = {
  revision: { 'Quorate-Revision': header("The store's revision.", revision) },
  entityTag: { ETag: header("The key's mod_revision, in quotes.") },
  fencingToken: { ETag: header('The fencing token, in quotes, for If-Match of the release.') },
  writes: {
    'Quorate-Writes': header(
      'Of outcome-unknown alone: how many writes of the tenant were ever remembered. Nothing needs it.',
      count,
    ),
  },
  location: { Location: header('The path of what was made.') },
  version: {
    'Quorate-Create-Revision': header('The revision at which the key was made.', revision),
    'Quorate-Version': header('How often the key was written since it was made.', revision),
    'Quorate-Lease': header('The lease that the key is attached to. Absent: the key has no lease.', leaseText),
    'X-Content-Type-Options': header('nosniff.'),
  },
  stream: {
    'Cache-Control': header('no-store.'),
    'X-Accel-Buffering': header('no: a proxy that knows this header hands on each event as it comes.'),
  },
  /** Of reads and watches. */
  servedBy: {
    'Quorate-Served-By': header(
      'The number of the replica that answered. It stands on watches, and on reads with Quorate-Read or serializable.',
      count,
    ),
  },
} satisfies Record<string, JsonObject>;

export function jsonContent(schema: JsonObject): JsonObject {
  return { 'application/json': { schema } };
}

/** Of a store. */
export function storeAnswer(description: string, content: JsonObject | null, own: JsonObject = {}): JsonObject {
  const described = { description, headers: { ...storeHeaders, ...own } };
  return content === null ? described : { ...described, content };
}

export function jsonAnswer(description: string, schema: JsonObject, own: JsonObject = {}): JsonObject {
  return storeAnswer(description, jsonContent(schema), own);
}

/** Of the calls of the operator. */
export function plainAnswer(description: string, schema: JsonObject, own: JsonObject = {}): JsonObject {
  return { description, headers: own, content: jsonContent(schema) };
}

export const bytesContent: JsonObject = { 'application/octet-stream': { schema: {} } };
export const eventsContent: JsonObject = {
  'application/x-ndjson': { schema: reference('WatchFrame') },
  'text/event-stream': { schema: reference('WatchFrame') },
};

const retryAfter = { 'Retry-After': header('Seconds until the next try.', count) };
const rateLimit = {
  ...retryAfter,
  RateLimit: header(
    'rate-limited, too-many-open of a tenant: the limit, what is left of it, and in how many seconds more is.',
  ),
  'RateLimit-Policy': header(
    'rate-limited, too-many-open of a tenant: the limit, how much it is, in how many seconds, and of what.',
  ),
};
const etcdError: JsonObject = {
  type: 'object',
  properties: { error: text, code: count, message: text },
  required: ['error', 'code', 'message'],
};

/** What a status means wherever it is answered; the problems of one status are told apart by their type. */
const problemMeanings: Readonly<Record<number, readonly [description: string, headers: JsonObject]>> = {
  400: ['The request is wrong; detail says what, and what would be right.', {}],
  401: ['The credentials are missing or not valid.', { 'WWW-Authenticate': header('The credentials that are taken.') }],
  403: ['The caller has no permission for this.', {}],
  404: ['What the request names does not exist.', headers.revision],
  405: ['This path does not take this method.', { Allow: header('The methods that it takes.') }],
  408: ['The body did not arrive in time. Nothing was done.', {}],
  409: ['The present state does not allow it; another call can change that.', { ...retryAfter, ...headers.writes }],
  410: ['The revision has been compacted.', {}],
  412: ['A condition in the headers does not hold.', { ETag: header('The tag of what is there.') }],
  413: ['The request is too large; detail says how large it may be.', {}],
  415: ['The body is encoded, or of a type that is not taken.', { 'Accept-Encoding': header('identity.') }],
  417: ['The header Expect asks for something else than 100-continue.', {}],
  422: ['The Idempotency-Key has named another request before.', {}],
  429: ['Too much is under way, or the tenant makes more calls a second than its operator lets it.', rateLimit],
  500: ['The service failed at this request.', {}],
  501: ['This service does not do that.', {}],
  503: ['The request cannot be served now, or an operator has to act; detail says which.', retryAfter],
  504: ['There was no answer in time. A write may still take effect: send it again with its Idempotency-Key.', {}],
  507: ['The store is full, or has as many keys as its operator lets it have. Delete keys and compact.', {}],
};

export const problemResponses: JsonObject = Object.fromEntries(
  Object.entries(problemMeanings).map(([status, [description, own]]) => [
    status,
    {
      description,
      headers: { ...everyHeaders, ...own, ...headers.servedBy },
      content: {
        'application/problem+json': { schema: reference('Problem') },
        'application/json': { schema: etcdError },
      },
    },
  ]),
);

/** These statuses, each a problem. */
export function problems(...statuses: readonly number[]): JsonObject {
  return Object.fromEntries(statuses.map((status) => [String(status), { $ref: `#/components/responses/${status}` }]));
}

export type Operation = { readonly [name: string]: Json };
type OperationParts = Operation & {
  readonly responses: { readonly [status: string]: Json };
  /** `write`: it changes a store. `manage`: it is the operator's. */
  readonly does?: 'write' | 'manage' | 'nothing';
};

const accessKey: Json = [{ bearer: [] }, { accessKey: [] }, { basic: [] }];
const ofAll = [400, 401, 403, 417, 429, 500, 503, 504] as const;
const ofBodies = [408, 413, 415, 501] as const;

/** Beside its own answers, an operation has those that any of its kind may have. Nothing else is answered. */
export function operation(
  operationId: string,
  summary: string,
  { responses, does, ...parts }: OperationParts,
): Operation {
  const usual = {
    ...(does === 'nothing' ? {} : problems(...ofAll)),
    ...(parts['requestBody'] === undefined ? {} : problems(...ofBodies)),
    ...(does === 'write' ? problems(409, 422, 507) : {}),
    ...(does === 'manage' ? problems(404) : {}),
  };
  const given = parts['parameters'];
  const all = [...(Array.isArray(given) ? given : []), parameters.requestId];
  return {
    operationId,
    summary,
    security: accessKey,
    ...parts,
    parameters: all,
    responses: { ...usual, ...named(responses) },
  };
}

/** The answers that are described here: those that are shared have the header already. */
function named(responses: OperationParts['responses']): JsonObject {
  return Object.fromEntries(
    Object.entries(responses).map(([status, answer]) => [status, isJsonObject(answer) ? withId(answer) : answer]),
  );
}

function withId(answer: JsonObject): JsonObject {
  if ('$ref' in answer) return answer;
  const own = answer['headers'];
  return { ...answer, headers: { ...everyHeaders, ...(isJsonObject(own) ? own : {}) } };
}

function isJsonObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
