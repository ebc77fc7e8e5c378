// The part of the OpenAPI document that is on leases, locks and semaphores. Their rules stand here and nowhere else:
// who builds them and who uses them read the same text.

import { leaseSecondsMax, leaseSecondsMin, lockWaitSecondsMax, semaphoreLimitMax } from '../../limits.ts';
import { count, encoded, type JsonObject, listOf, record, reference, revision, text } from './openapi-json.ts';
import {
  headers,
  jsonAnswer,
  jsonContent,
  operation,
  type Operation,
  parameters,
  pathParameter,
  problems,
  queryParameter,
} from './openapi-parts.ts';

const id: JsonObject = { type: 'string', pattern: '^-?[0-9]+$', description: 'A 64-bit integer.' };
const seconds: JsonObject = { type: 'integer', minimum: 1, maximum: leaseSecondsMax, description: 'Seconds.' };
const wait: JsonObject = {
  type: 'integer',
  minimum: 0,
  maximum: lockWaitSecondsMax,
  default: 0,
  description: 'How many seconds to wait until the place holds. 0: do not wait.',
};
const fencingToken: JsonObject = {
  ...revision,
  description:
    'Higher than the token of every earlier holder. Send it to what the lock protects, and refuse lower tokens there.',
};
const hold = {
  ttl: { ...seconds, description: 'Make a lease of so many seconds for the place. Give one of ttl and lease.' },
  lease: {
    type: ['string', 'integer'],
    description: 'Attach the place to this lease of yours. Give one of ttl and lease.',
  },
  wait,
};

export const coordinationSchemas = {
  LeaseGrant: record({ ttl: seconds }, ['ttl']),
  Lease: {
    ...record({ id, ttl: count, granted_ttl: seconds, keys: listOf(reference('LeasedKey')), revision }, [
      'id',
      'ttl',
      'granted_ttl',
      'revision',
    ]),
    description:
      'ttl: the seconds that the lease has left, rounded down. granted_ttl: the seconds that it has after each keepalive.',
  },
  LeasedKey: record({ key: text, key_base64: encoded }),
  Leases: record({ leases: listOf(record({ id }, ['id'])), revision }, ['leases', 'revision']),
  LeaseRevoked: record({ id, revision }, ['id', 'revision']),
  LockRequest: record(hold),
  SemaphoreRequest: record(
    {
      limit: { type: 'integer', minimum: 1, maximum: semaphoreLimitMax, description: 'How many may hold at once.' },
      ...hold,
    },
    ['limit'],
  ),
  Place: record(
    {
      name: text,
      name_base64: encoded,
      key: text,
      key_base64: encoded,
      lease: id,
      ttl: seconds,
      limit: revision,
      fencing_token: fencingToken,
      revision,
    },
    ['lease', 'ttl', 'limit', 'fencing_token', 'revision'],
  ),
  Holders: {
    ...record(
      {
        name: text,
        name_base64: encoded,
        limit: { type: ['integer', 'null'], description: 'How many may hold at once. null: nobody holds.' },
        holders: listOf(
          record({ key: text, key_base64: encoded, lease: id, fencing_token: fencingToken }, [
            'lease',
            'fencing_token',
          ]),
        ),
        waiting: count,
        revision,
      },
      ['limit', 'holders', 'waiting', 'revision'],
    ),
    description: 'holders: those who hold, the longest holder first. waiting: how many wait behind them.',
  },
  Released: record({ released: { const: true }, revision }, ['released', 'revision']),
} satisfies Record<string, JsonObject>;

type PathItem = { readonly [method: string]: Operation };

const leaseIdParameter = pathParameter('id', 'The id of the lease, in decimal.');
const nameParameter = pathParameter('name', 'Percent-encoded bytes; "/" needs no encoding.');

const queueRules =
  'Each caller has a place in the queue of the name: the key <name>/<lease in hex>, attached to its lease. Places are ordered ' +
  'by when they were taken, and the first ones hold. A place ends by DELETE, when its lease is revoked or runs out, or when its key ' +
  'is deleted. The next one in the queue then holds, and its caller is answered at once. The places are those of ' +
  "etcd's lock service, so clients of both wait in one queue. A name below which another key lies is refused with 409 name-in-use: etcd's " +
  'locks count any key below <name>/ as a place, and nobody would give that key up. A caller needs the rights on these keys.\n\n' +
  'With ttl, a lease is made for the place. That lease lives on while the call waits, and has its full ttl when the call is ' +
  'answered. From then on keep it alive with POST /v1/leases/{lease}/keepalive. It is revoked where the call ends without a place: by ' +
  '409, or because a caller without an Idempotency-Key went away. With lease, you keep your lease alive yourself, also ' +
  'while the call waits, and it lives on when its place ends. A lease that has a place already is answered with that place and the same ' +
  'fencing token, and makes no revision.\n\n' +
  'A wait goes on over a change of leader, in the same place. With an Idempotency-Key a call that broke off can be sent again ' +
  'and finds its place.\n\n' +
  'Refusals: 404 lease-not-found; 409 lock-held (with the fencing_token of the oldest holder, waiting and revision), limit-differs (with ' +
  'limit), name-in-use (with key), session-expired (the place ended while its caller waited).';

function queuePath(kind: 'Lock' | 'Semaphore', request: string, summary: string, more: string): PathItem {
  return {
    get: operation(`get${kind}`, 'Says who holds and how many wait', {
      parameters: [nameParameter],
      responses: { 200: jsonAnswer('Who holds and how many wait. An empty queue is no error.', reference('Holders')) },
    }),
    post: operation(`acquire${kind}`, summary, {
      description: `${queueRules}\n\n${more}`,
      does: 'write',
      parameters: [nameParameter, parameters.idempotencyKey],
      requestBody: { required: true, content: jsonContent(reference(request)) },
      responses: {
        200: jsonAnswer('The place. It holds.', reference('Place'), headers.fencingToken),
        ...problems(404),
      },
    }),
    delete: operation(`release${kind}`, 'Gives a place up, or leaves the queue', {
      description:
        'A lease that was made for the place ends with it; a lease of yours lives on. Give one of lease and key to say which place. ' +
        'If-Match says which holding of the place, so that a late release does not end a newer one. 404 lock-not-held: there is no such place.',
      does: 'write',
      parameters: [
        nameParameter,
        queryParameter('lease', { type: 'string' }, 'The lease that has the place.'),
        queryParameter('key', { type: 'string' }, 'The key of the place.'),
        parameters.ifMatchToken,
        parameters.idempotencyKey,
      ],
      responses: { 200: jsonAnswer('The place was given up.', reference('Released')), ...problems(404, 412) },
    }),
  };
}

export const coordinationPaths = {
  '/v1/leases': {
    get: operation('listLeases', 'Lists leases', {
      description: 'Once the store has users, an access key that may not read all attached keys is refused.',
      responses: { 200: jsonAnswer('The ids of all leases.', reference('Leases')) },
    }),
    post: operation('grantLease', 'Makes a lease', {
      does: 'write',
      description:
        `A ttl below ${leaseSecondsMin} is raised to it. When the lease ends, all keys attached to it are deleted in one revision. A ` +
        'new leader gives every lease its full ttl again. A lease never ends early. It ends at most 2 s late, or 5 s on a store that sleeps.',
      parameters: [parameters.idempotencyKey],
      requestBody: { required: true, content: jsonContent(reference('LeaseGrant')) },
      responses: { 201: jsonAnswer('The lease was made. Location is its path.', reference('Lease'), headers.location) },
    }),
  },
  '/v1/leases/{id}': {
    get: operation('getLease', 'Shows a lease', {
      parameters: [
        leaseIdParameter,
        queryParameter('keys', { type: 'boolean', default: true }, 'Whether the answer has the keys of the lease.'),
      ],
      responses: { 200: jsonAnswer('The lease.', reference('Lease')), ...problems(404) },
    }),
    delete: operation('revokeLease', 'Ends a lease, and deletes its keys in one revision', {
      does: 'write',
      parameters: [leaseIdParameter, parameters.idempotencyKey],
      responses: { 200: jsonAnswer('The lease has ended.', reference('LeaseRevoked')), ...problems(404) },
    }),
  },
  '/v1/leases/{id}/keepalive': {
    post: operation('keepLeaseAlive', 'Gives a lease its full ttl again', {
      parameters: [leaseIdParameter],
      requestBody: { description: 'No body, or an empty object.', content: jsonContent(record({})) },
      responses: { 200: jsonAnswer('The lease lives on.', reference('Lease')), ...problems(404) },
    }),
  },
  '/v1/locks/{name}': queuePath('Lock', 'LockRequest', 'Takes a lock', 'A lock is a semaphore of the limit 1.'),
  '/v1/semaphores/{name}': queuePath(
    'Semaphore',
    'SemaphoreRequest',
    'Takes one of several places of a semaphore',
    'All places in a queue have the same limit; a call with another limit is 409 limit-differs. Once the queue is empty, any limit is taken.',
  ),
} satisfies Record<string, PathItem>;
