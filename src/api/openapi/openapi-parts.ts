// Building blocks of the OpenAPI document: parameters, headers, answers, and what every operation has in common. Data
// only.

import { writeIdBytesMax } from '../../limits.ts';
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
  prefix: queryParameter('prefix', text, 'Keys that begin so. Empty: every key.'),
  start: queryParameter('start', text, 'The first key.'),
  end: queryParameter('end', text, 'The first key that is no longer meant.'),
  lease: queryParameter('lease', leaseText, 'The lease that the key is attached to.'),
  revision: queryParameter('revision', revision, 'Read as of this revision.'),
  consistency: queryParameter(
    'consistency',
    { enum: ['linearizable', 'serializable'], default: 'linearizable' },
    'serializable: what the nearest replica has, perhaps not the newest. Quorate-Revision says how new it is; what the caller may ' +
      'is looked at as of then, too.',
  ),
  read: {
    name: 'Quorate-Read',
    in: 'header',
    schema: { enum: ['leader', 'nearest'] },
    description:
      'Who answers: the leader, or the replica nearest to the caller. A linearizable read is one at either. Absent: the leader for ' +
      'linearizable reads, the nearest for serializable ones and watches.',
  },
  ifMatch: headerParameter('If-Match', 'Entity tags: "<mod_revision>", or * for any. Else 412.'),
  ifMatchToken: headerParameter(
    'If-Match',
    'The fencing token that is to be released, in quotes. Another one stays: 412 fencing-token-differs.',
  ),
  ifNoneMatch: headerParameter('If-None-Match', 'Entity tags, or * for a key that must not exist.'),
  idempotencyKey: headerParameter(
    'Idempotency-Key',
    `1 to ${writeIdBytesMax} visible ASCII characters. A second write with the same one is answered, not applied again; another request with it is 422, and not done.`,
  ),
} satisfies Record<string, JsonObject>;

function header(description: string, schema: JsonObject = text): JsonObject {
  return { schema, description };
}

const storeHeaders = { 'Cache-Control': header('private, no-cache: asked for again before it is used again.') };

export const headers = {
  revision: { 'Quorate-Revision': header("The store's revision.", revision) },
  entityTag: { ETag: header("The key's mod_revision, in quotes.") },
  fencingToken: { ETag: header('The fencing token, in quotes, for If-Match of the release.') },
  location: { Location: header('Where it is.') },
  version: {
    'Quorate-Create-Revision': header('The revision that made the key.', revision),
    'Quorate-Version': header('How often the key was written since.', revision),
    'Quorate-Lease': header('The lease that the key is attached to; absent: none.', leaseText),
    'X-Content-Type-Options': header('nosniff.'),
  },
  stream: {
    'Cache-Control': header('no-store.'),
    'X-Accel-Buffering': header('no: a proxy that knows this hands on each event as it comes.'),
  },
  /** Of reads and watches. */
  servedBy: {
    'Quorate-Served-By': header(
      'The number of the replica that answered. On watches, and on reads for which Quorate-Read or serializable was asked.',
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

const retryAfter = { 'Retry-After': header('Seconds.', count) };
const etcdError: JsonObject = {
  type: 'object',
  properties: { error: text, code: count, message: text },
  required: ['error', 'code', 'message'],
};

/** What a status means wherever it is answered; the problems of one status are told apart by their type. */
const problemMeanings: Readonly<Record<number, readonly [description: string, headers: JsonObject]>> = {
  400: ['The request is wrong; detail says what, and what would be right.', {}],
  401: ['Nobody is known by these credentials.', { 'WWW-Authenticate': header('How to come in.') }],
  403: ['The caller may not.', {}],
  404: ['It does not exist.', headers.revision],
  405: ['This path does not take this method.', { Allow: header('The methods that it takes.') }],
  408: ['The body did not arrive in time. Nothing was done.', {}],
  409: ['The state of things is against it; another call can change that.', retryAfter],
  410: ['The revision has been compacted.', {}],
  412: ['A condition in the headers does not hold.', { ETag: header('That of what is there.') }],
  413: ['It is too large; detail says how large it may be.', {}],
  415: ['The body is encoded, or of a type that is not taken.', { 'Accept-Encoding': header('identity.') }],
  417: ['An expectation other than 100-continue.', {}],
  422: ['The Idempotency-Key was that of another request.', {}],
  429: ['Too much is under way.', retryAfter],
  500: ['The service failed at this request.', {}],
  501: ['This is not served.', {}],
  503: ['It cannot be served at the moment, or an operator has to act; detail says which.', retryAfter],
  504: ['No answer in time. A write may still take effect: send it again with its Idempotency-Key.', {}],
  507: ['The store is full. Delete keys and compact.', {}],
};

export const problemResponses: JsonObject = Object.fromEntries(
  Object.entries(problemMeanings).map(([status, [description, own]]) => [
    status,
    {
      description,
      headers: { ...own, ...headers.servedBy },
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
  return { operationId, summary, security: accessKey, ...parts, responses: { ...usual, ...responses } };
}
