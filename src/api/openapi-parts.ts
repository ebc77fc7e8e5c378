// Building blocks of the OpenAPI document: schemas of the JSON that v1 speaks, parameters, answers. Data only.

import {
  accessKeyLifeSecondsMax,
  listLimitDefault,
  listLimitMax,
  tenantNameCharactersMax,
  txnOperationsMax,
  writeIdBytesMax,
} from '../limits.ts';
import { jurisdictions, locationHints, replicaCounts } from './v1/tenants.ts';

export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };
export type JsonObject = { readonly [name: string]: Json };

const text: JsonObject = { type: 'string' };
const encoded: JsonObject = { type: 'string', contentEncoding: 'base64' };
const flag: JsonObject = { type: 'boolean', default: false };
const count: JsonObject = { type: 'integer', minimum: 0 };
const revision: JsonObject = { type: 'integer', minimum: 1 };
const time: JsonObject = { type: 'string', format: 'date-time' };
const leaseText: JsonObject = { type: 'string', pattern: '^-?[0-9]+$', description: 'A 64-bit integer.' };

export function reference(name: string): JsonObject {
  return { $ref: `#/components/schemas/${name}` };
}

export function listOf(items: JsonObject): JsonObject {
  return { type: 'array', items };
}

/** An object that has no members beside these. */
export function record(properties: JsonObject, required: readonly string[] = []): JsonObject {
  return { type: 'object', properties, required, additionalProperties: false };
}

const rangeProperties = {
  key: text,
  key_base64: encoded,
  prefix: text,
  prefix_base64: encoded,
  start: text,
  start_base64: encoded,
  end: text,
  end_base64: encoded,
};

const branch: JsonObject = { type: 'array', items: reference('Operation'), maxItems: txnOperationsMax };

export const schemas: JsonObject = {
  KeyValue: {
    ...record(
      {
        key: text,
        key_base64: encoded,
        value: text,
        value_base64: encoded,
        create_revision: revision,
        mod_revision: revision,
        version: revision,
        lease: leaseText,
      },
      ['mod_revision'],
    ),
    description:
      'key and value are text where they are UTF-8, and come under the name with _base64 where they are not.',
  },
  Put: record({ revision, create_revision: revision, mod_revision: revision, version: revision }, [
    'revision',
    'create_revision',
    'mod_revision',
    'version',
  ]),
  Deleted: record({ deleted: count, revision }, ['deleted', 'revision']),
  List: {
    ...record({ kvs: listOf(reference('KeyValue')), count, cursor: text, revision }, ['count', 'revision']),
    description: 'count is that of all pages. Pages of one cursor show one revision; kvs is absent with count_only.',
  },
  Txn: record({
    if: { type: 'array', items: reference('Compare'), maxItems: txnOperationsMax },
    // oxlint-disable-next-line unicorn/no-thenable -- a member of the transaction, not a promise
    then: branch,
    else: branch,
  }),
  Compare: {
    ...record(
      {
        ...rangeProperties,
        target: { enum: ['version', 'create_revision', 'mod_revision', 'value', 'lease'] },
        op: { enum: ['=', '!=', '<', '>'] },
        value: { type: ['string', 'integer'] },
        value_base64: encoded,
      },
      ['target', 'op'],
    ),
    description: 'Over a range, it must hold for every key.',
  },
  Operation: {
    type: 'object',
    minProperties: 1,
    maxProperties: 1,
    additionalProperties: false,
    properties: {
      put: record({
        key: text,
        key_base64: encoded,
        value: text,
        value_base64: encoded,
        lease: { type: ['string', 'integer'] },
        prev: flag,
        ignore_value: flag,
        ignore_lease: flag,
      }),
      get: record({
        ...rangeProperties,
        revision,
        limit: { type: 'integer', minimum: 1, maximum: listLimitMax, default: listLimitDefault },
        order: { enum: ['asc', 'desc'], default: 'asc' },
        keys_only: flag,
        count_only: flag,
      }),
      delete: record({ ...rangeProperties, prev: flag }),
      txn: reference('Txn'),
    },
  },
  TxnResult: record({ revision, succeeded: { type: 'boolean' }, results: listOf(reference('Result')) }, [
    'revision',
    'succeeded',
    'results',
  ]),
  Result: {
    type: 'object',
    minProperties: 1,
    maxProperties: 1,
    properties: {
      put: record({ prev: reference('KeyValue') }),
      get: record({ kvs: listOf(reference('KeyValue')), count, more: { type: 'boolean' } }, ['kvs', 'count', 'more']),
      delete: record({ deleted: count, prev: listOf(reference('KeyValue')) }, ['deleted']),
      txn: record({ succeeded: { type: 'boolean' }, results: listOf(reference('Result')) }, ['succeeded', 'results']),
    },
  },
  WatchFrame: {
    type: 'object',
    required: ['type', 'revision'],
    properties: {
      type: { enum: ['created', 'events', 'progress', 'canceled'] },
      revision: count,
      from: { ...revision, description: 'created: the first revision that will be told of.' },
      events: listOf(reference('Event')),
      reason: { enum: ['slow', 'failed'], description: 'canceled: why.' },
      resume_from: { ...revision, description: 'canceled: watch again from here, nothing is missed.' },
      problem: reference('Problem'),
    },
  },
  Event: record({ type: { enum: ['put', 'delete'] }, kv: reference('KeyValue'), prev: reference('KeyValue') }, [
    'type',
    'kv',
  ]),
  Status: record(
    {
      leader: { type: ['integer', 'null'] },
      term: count,
      commit_index: count,
      applied_index: count,
      replicas: listOf(
        record({
          id: revision,
          location: { type: ['string', 'null'] },
          role: { enum: ['leader', 'follower', 'candidate', 'unknown'] },
          match: { type: ['integer', 'null'] },
        }),
      ),
      revision,
      compacted_revision: { type: 'integer', minimum: -1 },
      keys: count,
      database_bytes: count,
      version: text,
      commands_undone: {
        ...count,
        description:
          'Writes at which the service failed since the store was made. Each was undone as a whole and answered 500.',
      },
    },
    ['leader', 'term', 'revision', 'replicas', 'version'],
  ),
  TenantCreation: record(
    {
      name: { type: 'string', pattern: '^[a-z0-9-]+$', minLength: 1, maxLength: tenantNameCharactersMax },
      replicas: { enum: replicaCounts, default: 3 },
      placement: {
        oneOf: [{ type: 'array', items: { enum: locationHints }, minItems: 1, maxItems: 5 }, { enum: jurisdictions }],
      },
    },
    ['name'],
  ),
  TenantChange: record({ name: text }, ['name']),
  Tenant: {
    type: 'object',
    required: ['id', 'name', 'replicas'],
    properties: {
      id: text,
      name: text,
      state: text,
      created_at: time,
      replicas: listOf(record({ id: revision, location: { type: ['string', 'null'] } })),
      key: { ...text, description: 'On creation only: the first access key, shown once.' },
    },
  },
  AccessKeyCreation: record(
    {
      role: { enum: ['admin', 'write', 'read'] },
      prefix: text,
      prefix_base64: encoded,
      expires_in: { type: 'integer', minimum: 1, maximum: accessKeyLifeSecondsMax, description: 'Seconds.' },
    },
    ['role'],
  ),
  AccessKey: {
    type: 'object',
    required: ['id', 'role', 'created_at'],
    properties: {
      id: text,
      role: { enum: ['admin', 'write', 'read'] },
      prefix: text,
      prefix_base64: encoded,
      created_at: time,
      expires_at: time,
      key: { ...text, description: 'On creation only: the key itself, shown once.' },
    },
  },
  Problem: {
    type: 'object',
    description: 'RFC 9457. type is urn:quorate:problem:<name> and never changes for a kind of problem.',
    required: ['type', 'title', 'status', 'detail'],
    properties: { type: { type: 'string', format: 'uri' }, title: text, status: count, detail: text },
  },
};

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
  ifNoneMatch: headerParameter('If-None-Match', 'Entity tags, or * for a key that must not exist.'),
  idempotencyKey: headerParameter(
    'Idempotency-Key',
    `1 to ${writeIdBytesMax} visible ASCII characters. A second write with the same one is answered, not applied again; another request with it is 422, and not done.`,
  ),
} satisfies Record<string, JsonObject>;

/** Of reads and watches. */
export const servedByHeaders: JsonObject = {
  'Quorate-Served-By': {
    schema: count,
    description:
      'The number of the replica that answered. On watches, and on reads for which Quorate-Read or serializable was asked.',
  },
};

export function jsonContent(schema: JsonObject): JsonObject {
  return { 'application/json': { schema } };
}

export function jsonAnswer(description: string, schema: JsonObject): JsonObject {
  return { description, content: jsonContent(schema) };
}

export const problemAnswer: JsonObject = {
  description: 'A problem.',
  content: { 'application/problem+json': { schema: reference('Problem') } },
};

export const bytesContent: JsonObject = { 'application/octet-stream': { schema: {} } };
export const eventsContent: JsonObject = {
  'application/x-ndjson': { schema: reference('WatchFrame') },
  'text/event-stream': { schema: reference('WatchFrame') },
};

export type Operation = { readonly [name: string]: Json };
type OperationParts = Operation & { readonly responses: { readonly [status: string]: Json } };

const accessKey: Json = [{ bearer: [] }, { accessKey: [] }, { basic: [] }];
export function operation(operationId: string, summary: string, { responses, ...parts }: OperationParts): Operation {
  return { operationId, summary, security: accessKey, ...parts, responses: { ...responses, default: problemAnswer } };
}
