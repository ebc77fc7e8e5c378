// The OpenAPI 3.1 document of v1, as GET /openapi.json answers it. A test holds it against the routes.

import {
  auditPageMax,
  deletionPeriodSecondsDefault,
  deletionPeriodSecondsMax,
  deletionPeriodSecondsMin,
  fleetPageMax,
  labelsMax,
  listLimitDefault,
  listLimitMax,
  tenantsPageMax,
  votersKeptMin,
} from '../../limits.ts';
import { coordinationPaths, coordinationSchemas } from './openapi-coordination.ts';
import { flag, type Json, type JsonObject, reference } from './openapi-json.ts';
import {
  bytesContent,
  eventsContent,
  headerParameter,
  headers,
  jsonAnswer,
  jsonContent,
  operation,
  parameters,
  pathParameter,
  plainAnswer,
  problemResponses,
  problems,
  queryParameter,
  storeAnswer,
} from './openapi-parts.ts';
import { schemas } from './openapi-schemas.ts';

const operator: Json = [{ operator: [] }];
const operatorOrAdmin: Json = [{ operator: [] }, { bearer: [] }, { accessKey: [] }];

const id = pathParameter('id', 'The id of the tenant.');
const range = [parameters.prefix, parameters.start, parameters.end];

const keyHeaders = { ...headers.entityTag, ...headers.revision, ...headers.version, ...headers.servedBy };
const readKeyParameters = [
  parameters.key,
  parameters.revision,
  parameters.consistency,
  parameters.read,
  parameters.ifNoneMatch,
];

const keyPath = {
  get: operation('getKey', 'Reads one key', {
    description: 'The header Range is ignored: the answer is the whole value.',
    parameters: readKeyParameters,
    responses: {
      200: storeAnswer('The value.', bytesContent, keyHeaders),
      304: storeAnswer('The key has a tag that If-None-Match names.', null, keyHeaders),
      ...problems(404, 410),
    },
  }),
  head: operation('headKey', 'Reads the headers of one key, without its value', {
    parameters: readKeyParameters,
    responses: {
      200: storeAnswer('The same as GET, without a body.', null, keyHeaders),
      304: storeAnswer('The key has a tag that If-None-Match names.', null, keyHeaders),
      ...problems(404, 410),
    },
  }),
  put: operation('putKey', 'Writes one key', {
    does: 'write',
    parameters: [
      parameters.key,
      parameters.lease,
      parameters.ifMatch,
      parameters.ifNoneMatch,
      parameters.idempotencyKey,
    ],
    requestBody: {
      description:
        'The value: any bytes. Content-Type may be anything and is not kept. Without a body the value is empty, and the key exists. ' +
        'A body with a Content-Encoding is 415, and a body with Content-Range is 400.',
      content: bytesContent,
    },
    responses: {
      200: jsonAnswer('The key was written.', reference('Put'), { ...headers.entityTag, ...headers.revision }),
      ...problems(404, 412),
    },
  }),
  delete: operation('deleteKey', 'Deletes one key', {
    does: 'write',
    parameters: [parameters.key, parameters.ifMatch, parameters.ifNoneMatch, parameters.idempotencyKey],
    responses: {
      200: jsonAnswer('How many keys were deleted: 0 or 1.', reference('Deleted'), headers.revision),
      ...problems(412),
    },
  }),
};

const rangePath = {
  get: operation('listKeys', 'Lists keys in order, in pages of one revision', {
    parameters: [
      ...range,
      queryParameter(
        'limit',
        { type: 'integer', minimum: 1, maximum: listLimitMax, default: listLimitDefault },
        'The most keys that a page has.',
      ),
      queryParameter(
        'cursor',
        { type: 'string' },
        'The cursor of the page before. Range and order must be the same as there.',
      ),
      parameters.revision,
      queryParameter('order', { enum: ['asc', 'desc'], default: 'asc' }, 'The order of the keys.'),
      queryParameter('keys_only', { type: 'boolean', default: false }, 'Answer keys without values.'),
      queryParameter('count_only', { type: 'boolean', default: false }, 'Answer only the number of keys.'),
      parameters.consistency,
      parameters.read,
    ],
    responses: {
      200: jsonAnswer('One page.', reference('List'), { ...headers.revision, ...headers.servedBy }),
      ...problems(410),
    },
  }),
  delete: operation('deleteKeys', 'Deletes all keys of a range in one revision', {
    does: 'write',
    parameters: [...range, parameters.idempotencyKey],
    responses: { 200: jsonAnswer('How many keys were deleted.', reference('Deleted'), headers.revision) },
  }),
};

const socketsText =
  'On a WebSocket of any path the text frame ping is answered by the text frame pong, which costs a sleeping store nothing. A client ' +
  'that gets no pong has lost its connection. The service closes a WebSocket with 4000 plus the HTTP status of the failure, and the ' +
  'reason says what was wrong: 4400, 4401 (the access key ended, or is not valid), 4403, 4404 (there is no such path, or the tenant was ' +
  'deleted), 4410 (compacted), 4429, 4500, 4503 and 4504 (try again). 4408: the client did not keep up. 4413: the events of one ' +
  'revision do not fit a message. 1012: the store was restarted, resume. An upgrade that is refused to a request with an Origin, or ' +
  'with the subprotocol Bearer, is accepted and then closed with such a code, because a browser does not show the status. All other ' +
  'clients get the status.';

const watchPath = {
  get: operation('watch', 'Streams every change from a revision on, each once and in order', {
    description:
      'On a WebSocket each text frame is one WatchFrame. With Accept: text/event-stream the answer is server-sent events, whose id is the ' +
      'revision after which to resume. Otherwise each line of the answer is one WatchFrame. A revision is never split. ' +
      socketsText,
    parameters: [
      queryParameter('key', { type: 'string' }, 'Watch one key.'),
      ...range,
      queryParameter(
        'from',
        { type: 'integer', minimum: 1 },
        'The first revision to tell. Absent: everything that happens from now on.',
      ),
      queryParameter('prev', { type: 'boolean', default: false }, 'Tell with each event the pair before it.'),
      headerParameter('Last-Event-ID', 'The last revision that the client has seen. It is taken before `from`.'),
      parameters.read,
    ],
    responses: {
      101: { description: 'The connection is a WebSocket now.', headers: headers.servedBy },
      200: {
        description: 'The stream.',
        headers: { ...headers.stream, ...headers.servedBy },
        content: eventsContent,
      },
      ...problems(410),
    },
  }),
};

const sessionPath = {
  get: operation('session', 'Carries many calls at a time, as binary frames on one WebSocket', {
    description:
      'The subprotocol quorate.session.1 names the form of the frames, which test/SPEC.md of the source describes. Each binary ' +
      'message is a batch of frames. A call names the credentials that it is made with, and is answered by its id, in any order. ' +
      'A replica that does not lead the group says which one does.',
    parameters: [
      queryParameter(
        'replica',
        { type: 'integer', minimum: 1 },
        'The number of the replica that the session is with. Absent: the one that leads now.',
      ),
    ],
    responses: { 101: { description: 'The connection is a WebSocket now.' }, ...problems(404) },
  }),
};

const number = pathParameter('number', 'The number of the replica.');

const auditPath = {
  get: operation('readAudit', 'Lists what operators and admin keys did to tenants and keys, newest first', {
    description:
      'An admin key reads the part of its tenant. Calls that were refused are in it, up to a bound in a minute for each caller.',
    security: operatorOrAdmin,
    parameters: [
      queryParameter('tenant', { type: 'string' }, 'The id of a tenant.'),
      queryParameter(
        'actor',
        { type: 'string' },
        '`operator`: the one of the secret; `operator:<id>`: another one; `service`: the schedule; or the id of an access key.',
      ),
      queryParameter('since', { type: 'string', format: 'date-time' }, 'Entries from this time on.'),
      queryParameter(
        'limit',
        { type: 'integer', minimum: 1, maximum: auditPageMax },
        'The most entries that a page has.',
      ),
      queryParameter('cursor', { type: 'string' }, 'The cursor of the page before.'),
    ],
    responses: { 200: plainAnswer('One page.', reference('Audit')), ...problems(404) },
  }),
};

const tenantPaths = {
  '/v1/tenants': {
    get: operation('listTenants', 'Lists tenants', {
      security: operator,
      parameters: [
        queryParameter(
          'limit',
          { type: 'integer', minimum: 1, maximum: tenantsPageMax },
          'The most tenants that a page has.',
        ),
        queryParameter(
          'cursor',
          { type: 'string' },
          'The cursor of the page before. Order and filters must be the same as there.',
        ),
        queryParameter('order', { enum: ['id', 'name', 'created_at'], default: 'id' }, 'The order of the tenants.'),
        queryParameter('name', { type: 'string' }, 'A part of the name.'),
        queryParameter(
          'label',
          { type: 'array', items: { type: 'string' }, maxItems: labelsMax },
          'The key of a label, or key=value. A tenant is listed that has all of them.',
        ),
        queryParameter('plan', { type: 'string' }, 'The name of its plan.'),
        queryParameter('state', { enum: ['provisioning', 'ready', 'suspended', 'deleted', 'deleting'] }, 'The state.'),
      ],
      responses: { 200: plainAnswer('One page.', reference('Tenants')) },
    }),
    post: operation('createTenant', 'Makes a tenant, whose store can be used at once', {
      does: 'manage',
      security: operator,
      requestBody: { required: true, content: jsonContent(reference('TenantCreation')) },
      responses: { 201: plainAnswer('The tenant was made.', reference('Tenant'), headers.location), ...problems(409) },
    }),
  },
  '/v1/tenants/{id}': {
    get: operation('getTenant', 'Shows a tenant', {
      does: 'manage',
      security: operator,
      parameters: [id],
      responses: { 200: plainAnswer('The tenant.', reference('Tenant')) },
    }),
    patch: operation(
      'changeTenant',
      'Renames, labels, suspends or resumes a tenant, and sets its plan, its limits and how much history it keeps',
      {
        description:
          'While a tenant is suspended, every call with its keys is 403 tenant-suspended, its streams end, and its data are kept. Leases that ' +
          'nobody can keep alive end in their time. A replica that its group cannot reach may refuse for as long after the tenant was resumed.',
        does: 'manage',
        security: operator,
        parameters: [id],
        requestBody: { required: true, content: jsonContent(reference('TenantChange')) },
        responses: { 200: plainAnswer('The tenant.', reference('Tenant')), ...problems(409) },
      },
    ),
    delete: operation('deleteTenant', 'Deletes a tenant, which is kept for a while and then wiped', {
      description:
        'Until it is wiped, every call with its keys is 403 tenant-under-deletion, its name stays taken, and restoreTenant takes the ' +
        'deletion back. A tenant that is being made, or wiped, is wiped at once.',
      does: 'manage',
      security: operator,
      parameters: [
        id,
        queryParameter(
          'keep_for',
          {
            type: 'integer',
            minimum: deletionPeriodSecondsMin,
            maximum: deletionPeriodSecondsMax,
            default: deletionPeriodSecondsDefault,
          },
          'The seconds for which it is kept, from now on. Absent, where it is deleted already: as it was said before.',
        ),
        queryParameter('force', flag, 'Wipe it now, with every byte of its store.'),
      ],
      responses: {
        200: plainAnswer('The tenant, which refuses from now on.', reference('Tenant')),
        204: { description: 'The tenant was wiped.' },
        ...problems(409),
      },
    }),
  },
  '/v1/tenants/{id}/restore': {
    post: operation('restoreTenant', 'Takes the deletion of a tenant back', {
      description: 'It serves as before. A tenant that was suspended when it was deleted is suspended still.',
      does: 'manage',
      security: operator,
      parameters: [id],
      responses: { 200: plainAnswer('The tenant.', reference('Tenant')), ...problems(409) },
    }),
  },
  '/v1/tenants/{id}/replicas': {
    get: operation('listReplicas', "Lists the replicas of a tenant's group, as its leader sees them", {
      does: 'manage',
      security: operator,
      parameters: [id],
      responses: { 200: plainAnswer('The replicas.', reference('Replicas')) },
    }),
    post: operation('addReplica', 'Adds a replica, or moves one', {
      description:
        'The new replica joins as a learner, votes once it has caught up, and then the replica that it replaces leaves; the list shows how ' +
        'far it is. 409 too-many-replicas, members-changing or group-level-too-low says why it cannot be done now.',
      does: 'manage',
      security: operator,
      parameters: [id],
      requestBody: { content: jsonContent(reference('ReplicaCreation')) },
      responses: {
        202: plainAnswer('The replica is in the group, and catches up.', reference('Replica'), headers.location),
        ...problems(409),
      },
    }),
  },
  '/v1/tenants/{id}/replicas/{number}': {
    delete: operation('removeReplica', 'Removes a replica, and its data', {
      description: `Without \`force\`, a removal that would leave fewer than ${votersKeptMin} voters is 409 too-few-replicas.`,
      does: 'manage',
      security: operator,
      parameters: [
        id,
        number,
        queryParameter('force', flag, `Remove it also where fewer than ${votersKeptMin} voters would be left.`),
      ],
      responses: { 204: { description: 'The replica was removed.' }, ...problems(409) },
    }),
  },
  '/v1/tenants/{id}/keys': {
    get: operation('listAccessKeys', 'Lists the access keys of a tenant', {
      does: 'manage',
      security: operatorOrAdmin,
      parameters: [id],
      responses: { 200: plainAnswer('The access keys, without their secrets.', reference('AccessKeys')) },
    }),
    post: operation('createAccessKey', 'Makes an access key', {
      does: 'manage',
      security: operatorOrAdmin,
      parameters: [id],
      requestBody: { required: true, content: jsonContent(reference('AccessKeyCreation')) },
      responses: {
        201: plainAnswer('The access key was made. It is shown this once.', reference('AccessKey'), headers.location),
        ...problems(409),
      },
    }),
  },
  '/v1/tenants/{id}/keys/{key_id}/rotate': {
    post: operation('rotateAccessKey', 'Makes an access key in the place of another one', {
      description:
        'The new key has the role, the prefix and the name of the old one. Where the old one was made to expire, the new one lives as ' +
        'long, from now on. The old one ends after the overlap, or when it expires, if that is sooner. A key is rotated once.',
      does: 'manage',
      security: operatorOrAdmin,
      parameters: [id, pathParameter('key_id', 'The id of the access key.')],
      requestBody: { required: true, content: jsonContent(reference('AccessKeyRotation')) },
      responses: {
        201: plainAnswer('The new access key. It is shown this once.', reference('AccessKey'), headers.location),
        ...problems(409),
      },
    }),
  },
  '/v1/tenants/{id}/keys/{key_id}': {
    delete: operation('revokeAccessKey', 'Revokes an access key, from the next request on', {
      does: 'manage',
      security: operatorOrAdmin,
      parameters: [id, pathParameter('key_id', 'The id of the access key.')],
      responses: { 204: { description: 'The access key was revoked.' }, ...problems(409) },
    }),
  },
};

const plan = pathParameter('plan', 'The name of the plan.');
const planPaths = {
  '/v1/plans': {
    get: operation('listPlans', 'Lists the plans', {
      description:
        'A tenant has a plan, standard unless another one is named. What is set for the tenant itself goes before its plan.',
      security: operator,
      responses: { 200: plainAnswer('The plans.', reference('Plans')) },
    }),
  },
  '/v1/plans/{plan}': {
    get: operation('getPlan', 'Shows a plan', {
      does: 'manage',
      security: operator,
      parameters: [plan],
      responses: { 200: plainAnswer('The plan.', reference('Plan')) },
    }),
    put: operation('setPlan', 'Makes or changes a plan', {
      description:
        'The groups of its tenants are told at once, as many as there is time for, and the others by and by. The same call again goes on at once.',
      does: 'manage',
      security: operator,
      parameters: [plan],
      requestBody: { required: true, content: jsonContent(reference('PlanChange')) },
      responses: { 200: plainAnswer('The plan.', reference('Plan')), ...problems(409) },
    }),
    delete: operation('removePlan', 'Removes a plan that no tenant has', {
      description: 'free, standard and large are there in any case: removed, they are again as they were at first.',
      does: 'manage',
      security: operator,
      parameters: [plan],
      responses: { 204: { description: 'The plan was removed.' }, ...problems(409) },
    }),
  },
};

const operatorPaths = {
  '/v1/operators': {
    get: operation('listOperators', 'Lists the operators that were made', {
      description:
        'The role read lists and shows; provision makes, changes and deletes tenants, their access keys and replicas, too; all does ' +
        "everything: it wipes tenants by force, makes etcd's calls on groups, and makes and revokes operators. The operator whose token " +
        'is the secret OPERATOR_TOKEN has the role all, and is not in the list.',
      security: operator,
      responses: { 200: plainAnswer('The operators, without their tokens.', reference('Operators')) },
    }),
    post: operation('createOperator', 'Makes an operator', {
      does: 'manage',
      security: operator,
      requestBody: { required: true, content: jsonContent(reference('OperatorCreation')) },
      responses: {
        201: plainAnswer(
          'The operator was made. Its token is shown this once.',
          reference('Operator'),
          headers.location,
        ),
        ...problems(409),
      },
    }),
  },
  '/v1/operators/{operator_id}': {
    delete: operation('revokeOperator', 'Revokes an operator, from the next request on', {
      does: 'manage',
      security: operator,
      parameters: [pathParameter('operator_id', 'The id of the operator.')],
      responses: { 204: { description: 'The operator was revoked.' } },
    }),
  },
};

const content = (description: string, ...types: readonly string[]): JsonObject => ({
  description,
  content: Object.fromEntries(types.map((type) => [type, { schema: {} }])),
});

const etcdCall = operation('etcd', "A call of etcd's JSON gateway", {
  description: "The messages are etcd's. On a WebSocket each message is a frame.",
  parameters: [
    pathParameter('call', 'The path of the call after /v3/, for instance kv/range.'),
    headerParameter(
      'Quorate-Tenant',
      "The tenant that a call on members or maintenance is about, where it is sent with the operator's token.",
    ),
  ],
  requestBody: { content: jsonContent({ type: 'object' }) },
  responses: {
    101: { description: 'The connection is a WebSocket now.', headers: headers.servedBy },
    200: {
      ...content('The answer, as etcd gives it.', 'application/json'),
      headers: { ...headers.stream, ...headers.servedBy },
    },
    ...problems(404, 405, 409),
  },
});
const etcdPath = (operationId: string, more: JsonObject) => ({
  get: { ...etcdCall, ...more, operationId: `${operationId}Socket`, requestBody: { content: {} } },
  post: { ...etcdCall, ...more, operationId },
});

type HealthPath = { readonly json?: boolean; readonly ofOne?: boolean };

/** With an access key the tenant's store answers, without one the service itself. */
function healthPath(operationId: string, summary: string, { json = false, ofOne = false }: HealthPath = {}) {
  const types = json ? ['application/json', 'text/plain'] : ['text/plain'];
  const own = { 'X-Content-Type-Options': headers.version['X-Content-Type-Options'] };
  return {
    get: operation(operationId, summary, {
      security: [{}, { bearer: [] }, { accessKey: [] }, { basic: [] }],
      ...(ofOne ? { parameters: [pathParameter('check', 'The name of one check.')] } : {}),
      responses: {
        200: { ...content('The answer, as etcd gives it.', ...types), headers: own },
        404: { ...content('There is no such check.', 'application/problem+json'), headers: own },
        503: { ...content('The check failed; the answer says why.', 'text/plain', 'application/json'), headers: own },
      },
    }),
  };
}

const fleetPath = {
  get: operation('fleet', 'The tenants that an operator should look at, and what to do', {
    security: operator,
    description:
      'What the replicas told last, within ten minutes, and sooner where trouble comes or ends. No group is woken for it.',
    parameters: [
      queryParameter(
        'limit',
        { type: 'integer', minimum: 1, maximum: fleetPageMax, default: fleetPageMax },
        'How many tenants are looked at. A page may have fewer, because the trouble of some has ended.',
      ),
      queryParameter('cursor', { type: 'string' }, 'The cursor of the page before.'),
    ],
    responses: { 200: plainAnswer('One page, in the order of ids.', reference('Fleet')) },
  }),
};

const metricsPath = {
  get: operation('metrics', 'What all tenants, or one, did and hold, as metrics for Prometheus', {
    security: operator,
    description: 'The sums over the tenants of each plan of what the replicas told last. No group is woken for it.',
    parameters: [queryParameter('tenant', { type: 'string' }, 'The id of a tenant: its metrics alone.')],
    responses: { 200: content('The metrics.', 'text/plain'), ...problems(404) },
  }),
};

export const openapiDocument = {
  openapi: '3.1.0',
  info: {
    title: 'Quorate',
    version: '1',
    description:
      'A strongly consistent, versioned and watchable key-value store. Keys and values are bytes. Every change is a revision. ' +
      'All paths of the JSON gateway of etcd 3.7 are served below /v3/ with an access key, and so are /version, /health, /livez and ' +
      '/readyz. A WebSocket on a path of /v3/ that is no stream takes messages in text or binary frames, and answers each message by ' +
      'one frame with the body of the answer. The header Quorate-Read counts on /v3/kv/range and /v3/watch as on the reads below; ' +
      'without it, reads of /v3/ go to the leader, serializable or not, and watches to the nearest replica.',
    license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
  },
  externalDocs: { description: "etcd's API over JSON", url: 'https://etcd.io/docs/latest/dev-guide/api_grpc_gateway/' },
  paths: {
    '/v1/kv/{key}': keyPath,
    '/v1/kv': rangePath,
    '/v1/txn': {
      post: operation('txn', 'Compares, then runs one of two lists of operations, in one revision', {
        does: 'write',
        parameters: [parameters.idempotencyKey],
        requestBody: { required: true, content: jsonContent(reference('Txn')) },
        responses: {
          200: jsonAnswer('Which list of operations ran, and its results.', reference('TxnResult'), headers.revision),
          ...problems(404, 410),
        },
      }),
    },
    '/v1/watch': watchPath,
    '/v1/session': sessionPath,
    '/v1/status': {
      get: operation('status', 'Leader, replicas, revision and sizes of the store', {
        responses: { 200: plainAnswer('The status.', reference('Status')) },
      }),
    },
    '/v1/whoami': {
      get: operation('whoami', 'Says what the access key of the request is', {
        responses: { 200: plainAnswer('The access key, without its secret.', reference('Whoami')), ...problems(404) },
      }),
    },
    '/v1/audit': auditPath,
    '/v1/fleet': fleetPath,
    '/metrics': metricsPath,
    ...coordinationPaths,
    ...tenantPaths,
    ...planPaths,
    ...operatorPaths,
    '/v3/{call}': etcdPath('etcd', {}),
    '/v3beta/{call}': etcdPath('etcdBeta', {
      summary: "A call of etcd's JSON gateway, under the path that it had before etcd 3.4",
    }),
    '/version': healthPath('version', 'The versions of server and cluster', { json: true }),
    '/health': healthPath('health', 'Whether the store takes writes and linearizable reads', { json: true }),
    '/livez': healthPath('livez', 'Whether the store serves at all'),
    '/livez/{check}': healthPath('livezCheck', 'One check of /livez', { ofOne: true }),
    '/readyz': healthPath('readyz', 'Whether the store serves linearizable reads'),
    '/readyz/{check}': healthPath('readyzCheck', 'One check of /readyz', { ofOne: true }),
    '/healthz': {
      get: operation('healthz', 'Says that the gateway answers', {
        does: 'nothing',
        security: [],
        responses: {
          200: content('The gateway answers.', 'text/plain'),
          503: content('The gateway is not set up; the text says what is missing.', 'text/plain'),
        },
      }),
    },
    '/openapi.json': {
      get: operation('openapi', 'This document', {
        does: 'nothing',
        security: [],
        responses: { 200: content('The document.', 'application/json') },
      }),
    },
    '/': {
      get: operation('root', 'Lists the paths to begin with', {
        does: 'nothing',
        security: [],
        responses: { 200: content('The paths.', 'application/json') },
      }),
    },
  },
  components: {
    schemas: { ...schemas, ...coordinationSchemas },
    responses: problemResponses,
    securitySchemes: {
      bearer: { type: 'http', scheme: 'bearer', description: 'An access key.' },
      accessKey: { type: 'apiKey', in: 'header', name: 'Quorate-Key', description: 'An access key.' },
      basic: { type: 'http', scheme: 'basic', description: 'An access key as the password, with any name.' },
      operator: { type: 'http', scheme: 'bearer', description: "An operator's token." },
    },
  },
} as const;
