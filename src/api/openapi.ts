// The OpenAPI 3.1 document of v1, as GET /openapi.json answers it. A test holds it against the routes.

import { listLimitDefault, listLimitMax } from '../limits.ts';
import { coordinationPaths, coordinationSchemas } from './openapi-coordination.ts';
import {
  bytesContent,
  eventsContent,
  headerParameter,
  type Json,
  jsonAnswer,
  jsonContent,
  operation,
  parameters,
  pathParameter,
  problemAnswer,
  queryParameter,
  reference,
  schemas,
  servedByHeaders,
} from './openapi-parts.ts';

const operator: Json = [{ operator: [] }];
const operatorOrAdmin: Json = [{ operator: [] }, { bearer: [] }, { accessKey: [] }];

const id = pathParameter('id', "The tenant's id.");
const range = [parameters.prefix, parameters.start, parameters.end];

const keyPath = {
  get: operation('getKey', 'Reads one key', {
    parameters: [parameters.key, parameters.revision, parameters.consistency, parameters.read, parameters.ifNoneMatch],
    responses: {
      200: {
        description: 'The value. ETag is its mod_revision; Quorate-Revision is the store’s.',
        headers: servedByHeaders,
        content: bytesContent,
      },
      304: { description: 'If-None-Match names what is there.' },
      404: problemAnswer,
      410: problemAnswer,
    },
  }),
  head: operation('headKey', 'Reads what is known of one key, without its value', {
    parameters: [parameters.key, parameters.revision, parameters.consistency, parameters.read, parameters.ifNoneMatch],
    responses: { 200: { description: 'As GET, without a body.' } },
  }),
  put: operation('putKey', 'Writes one key', {
    parameters: [
      parameters.key,
      parameters.lease,
      parameters.ifMatch,
      parameters.ifNoneMatch,
      parameters.idempotencyKey,
    ],
    requestBody: {
      description: 'The value, any bytes. Without a body the value is empty, and the key exists.',
      content: bytesContent,
    },
    responses: { 200: jsonAnswer('Written.', reference('Put')), 412: problemAnswer },
  }),
  delete: operation('deleteKey', 'Deletes one key', {
    parameters: [parameters.key, parameters.ifMatch, parameters.ifNoneMatch, parameters.idempotencyKey],
    responses: { 200: jsonAnswer('How many keys went: 0 or 1.', reference('Deleted')), 412: problemAnswer },
  }),
};

const rangePath = {
  get: operation('listKeys', 'Lists keys in order, in pages of one revision', {
    parameters: [
      ...range,
      queryParameter(
        'limit',
        { type: 'integer', minimum: 1, maximum: listLimitMax, default: listLimitDefault },
        'Keys of a page.',
      ),
      queryParameter('cursor', { type: 'string' }, 'From the page before; range and order as there.'),
      parameters.revision,
      queryParameter('order', { enum: ['asc', 'desc'], default: 'asc' }, 'By key.'),
      queryParameter('keys_only', { type: 'boolean', default: false }, 'No values.'),
      queryParameter('count_only', { type: 'boolean', default: false }, 'Only how many.'),
      parameters.consistency,
      parameters.read,
    ],
    responses: { 200: jsonAnswer('A page.', reference('List')), 410: problemAnswer },
  }),
  delete: operation('deleteKeys', 'Deletes all keys of a range in one revision', {
    parameters: [...range, parameters.idempotencyKey],
    responses: { 200: jsonAnswer('How many keys went.', reference('Deleted')) },
  }),
};

const socketsText =
  'On a WebSocket of any path the text frame ping is answered by the text frame pong, which costs a sleeping store nothing: a client ' +
  'that hears neither has lost its connection. The service closes a WebSocket with 4000 and the HTTP status of what went wrong, and ' +
  'says why in the reason: 4400, 4401 (the key ended, or is none), 4403, 4404 (no such path, or the tenant is gone), 4410 (compacted), ' +
  '4429, 4500, 4503 and 4504 (try again); 4408: the client did not keep up, 4413: events do not fit a message, 1012: restarted, resume. ' +
  'An upgrade that is refused to a request with an Origin, or with the subprotocol Bearer, is accepted and closed so, because a browser ' +
  'shows no status of it; others get the status.';

const watchPath = {
  get: operation('watch', 'Tells of every change from a revision on, each once and in order', {
    description:
      'By WebSocket each text frame is one WatchFrame. With Accept: text/event-stream, server-sent events whose id is the ' +
      'revision to go on after. Else one WatchFrame a line. A revision is never split. ' +
      socketsText,
    parameters: [
      queryParameter('key', { type: 'string' }, 'One key.'),
      ...range,
      queryParameter('from', { type: 'integer', minimum: 1 }, 'The first revision; absent: what comes from now on.'),
      queryParameter('prev', { type: 'boolean', default: false }, 'With each event, the pair as it was before.'),
      headerParameter('Last-Event-ID', 'The last revision that was seen. It goes before `from`.'),
      parameters.read,
    ],
    responses: {
      101: { description: 'A WebSocket.', headers: servedByHeaders },
      200: { description: 'The stream.', headers: servedByHeaders, content: eventsContent },
      410: problemAnswer,
    },
  }),
};

const tenantPaths = {
  '/v1/tenants': {
    get: operation('listTenants', 'Lists tenants', {
      security: operator,
      parameters: [
        queryParameter('limit', { type: 'integer', minimum: 1 }, 'Tenants of a page.'),
        queryParameter('cursor', { type: 'string' }, 'From the page before.'),
      ],
      responses: {
        200: jsonAnswer('A page.', {
          type: 'object',
          properties: { tenants: { type: 'array', items: reference('Tenant') }, cursor: { type: 'string' } },
        }),
      },
    }),
    post: operation('createTenant', 'Makes a tenant, whose store is usable at once', {
      security: operator,
      requestBody: { required: true, content: jsonContent(reference('TenantCreation')) },
      responses: { 201: jsonAnswer('Made.', reference('Tenant')), 409: problemAnswer },
    }),
  },
  '/v1/tenants/{id}': {
    get: operation('getTenant', 'Shows a tenant', {
      security: operator,
      parameters: [id],
      responses: { 200: jsonAnswer('The tenant.', reference('Tenant')), 404: problemAnswer },
    }),
    patch: operation('changeTenant', 'Renames a tenant', {
      security: operator,
      parameters: [id],
      requestBody: { required: true, content: jsonContent(reference('TenantChange')) },
      responses: { 200: jsonAnswer('The tenant.', reference('Tenant')), 404: problemAnswer, 409: problemAnswer },
    }),
    delete: operation('deleteTenant', 'Deletes a tenant and every byte of its store', {
      security: operator,
      parameters: [id],
      responses: { 204: { description: 'Gone.' }, 404: problemAnswer, 503: problemAnswer },
    }),
  },
  '/v1/tenants/{id}/keys': {
    get: operation('listAccessKeys', 'Lists the access keys of a tenant', {
      security: operatorOrAdmin,
      parameters: [id],
      responses: {
        200: jsonAnswer('The keys, without their secrets.', {
          type: 'object',
          properties: { keys: { type: 'array', items: reference('AccessKey') } },
        }),
      },
    }),
    post: operation('createAccessKey', 'Makes an access key', {
      security: operatorOrAdmin,
      parameters: [id],
      requestBody: { required: true, content: jsonContent(reference('AccessKeyCreation')) },
      responses: { 201: jsonAnswer('Made; the key is shown once.', reference('AccessKey')), 409: problemAnswer },
    }),
  },
  '/v1/tenants/{id}/keys/{key_id}': {
    delete: operation('revokeAccessKey', 'Revokes an access key, from the next request on', {
      security: operatorOrAdmin,
      parameters: [id, pathParameter('key_id', "The key's id.")],
      responses: { 204: { description: 'Revoked.' }, 404: problemAnswer },
    }),
  },
};

const text = (description: string, type: string): Json => ({ description, content: { [type]: { schema: {} } } });

export const openapiDocument = {
  openapi: '3.1.0',
  info: {
    title: 'Quorate',
    version: '1',
    description:
      'A strongly consistent, versioned and watchable key-value store. Keys and values are bytes. Every change is a revision. ' +
      'Beside what stands here, all paths of the JSON gateway of etcd 3.7 are served below /v3/, with an access key, and ' +
      '/version, /health, /livez and /readyz. Of its paths that are no streams, a WebSocket takes messages in text or binary ' +
      'frames and answers each in one: the body of the answer. The header Quorate-Read counts on /v3/kv/range and /v3/watch as on the ' +
      'reads here; without it they go to the leader, serializable or not, but for watches.',
    license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
  },
  externalDocs: { description: "etcd's API over JSON", url: 'https://etcd.io/docs/latest/dev-guide/api_grpc_gateway/' },
  paths: {
    '/v1/kv/{key}': keyPath,
    '/v1/kv': rangePath,
    '/v1/txn': {
      post: operation('txn', 'Compares, then runs one of two lists of operations, in one revision', {
        parameters: [parameters.idempotencyKey],
        requestBody: { required: true, content: jsonContent(reference('Txn')) },
        responses: { 200: jsonAnswer('Which list ran, and its results.', reference('TxnResult')) },
      }),
    },
    '/v1/watch': watchPath,
    '/v1/status': {
      get: operation('status', 'Leader, replicas, revision and sizes of the store', {
        responses: { 200: jsonAnswer('The status.', reference('Status')) },
      }),
    },
    ...coordinationPaths,
    ...tenantPaths,
    '/healthz': {
      get: operation('health', 'Says that the gateway answers', {
        security: [],
        responses: { 200: text('It does.', 'text/plain') },
      }),
    },
    '/openapi.json': {
      get: operation('openapi', 'This document', { security: [], responses: { 200: text('It.', 'application/json') } }),
    },
  },
  components: {
    schemas: { ...schemas, ...coordinationSchemas },
    securitySchemes: {
      bearer: { type: 'http', scheme: 'bearer', description: 'An access key.' },
      accessKey: { type: 'apiKey', in: 'header', name: 'Quorate-Key', description: 'An access key.' },
      basic: { type: 'http', scheme: 'basic', description: 'Any name, an access key as the password.' },
      operator: { type: 'http', scheme: 'bearer', description: "The operator's token." },
    },
  },
} as const;
