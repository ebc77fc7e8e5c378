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
  description: 'Seconds to wait for a place; 0: not at all.',
};
const fencingToken: JsonObject = {
  ...revision,
  description:
    'Higher than that of every holder before. Send it along with what the lock protects; refuse lower ones there.',
};
const hold = {
  ttl: { ...seconds, description: 'Seconds. A new lease holds the place.' },
  lease: { type: ['string', 'integer'], description: 'A lease of the caller holds the place. One of ttl and lease.' },
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
    description: 'ttl: the seconds it has left, rounded down. granted_ttl: what it has after each keepalive.',
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
        limit: { type: ['integer', 'null'], description: 'null: nobody holds.' },
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
    description: 'holders: the longest first. waiting: how many are in the queue behind them.',
  },
  Released: record({ released: { const: true }, revision }, ['released', 'revision']),
} satisfies Record<string, JsonObject>;

type PathItem = { readonly [method: string]: Operation };

const leaseIdParameter = pathParameter('id', 'The id of a lease, in decimal.');
const nameParameter = pathParameter('name', 'Percent-encoded bytes; "/" needs no encoding.');

const queueRules =
  'Each caller has a place in the queue of the name: the key <name>/<lease in hex>, attached to its lease. Places are ordered ' +
  'by when they were taken, and the first ones hold. A place is given up by DELETE, by revoking its lease, by its lease ' +
  'running out, or by deleting its key; the next in line then holds, and its caller is answered at once. Places are those ' +
  "of etcd's lock service: both wait in one queue. A name below which another key lies is refused with 409 name-in-use: etcd's " +
  'locks count any key below <name>/ as a place, and nobody would give that one up. Rights are those on these keys.\n\n' +
  'With ttl, a lease is made for the place. It lives on while the call waits, and has all of its ttl when the call is ' +
  'answered; from then on keep it alive with POST /v1/leases/{lease}/keepalive. A call that ends without a place (409, or a ' +
  "caller without an Idempotency-Key that went away) revokes it. With lease, the lease is the caller's to keep alive, also " +
  'while it waits, and lives on ' +
  'afterwards; only its place goes. A lease that has a place already is answered with that place, the same fencing token, and ' +
  'without a revision.\n\n' +
  'Waiting goes on over a change of leader, in the same place. With an Idempotency-Key a call that broke off can be sent again ' +
  'and finds its place.\n\n' +
  'Refusals: 404 lease-not-found; 409 lock-held (with fencing_token of the oldest holder, waiting and revision), limit-differs (with ' +
  'limit), name-in-use (with key), session-expired (the place went while its caller waited).';

function queuePath(kind: 'Lock' | 'Semaphore', request: string, summary: string, more: string): PathItem {
  return {
    get: operation(`get${kind}`, 'Says who holds and how many wait', {
      parameters: [nameParameter],
      responses: { 200: jsonAnswer('The queue. Nobody in it is no error.', reference('Holders')) },
    }),
    post: operation(`acquire${kind}`, summary, {
      description: `${queueRules}\n\n${more}`,
      does: 'write',
      parameters: [nameParameter, parameters.idempotencyKey],
      requestBody: { required: true, content: jsonContent(reference(request)) },
      responses: {
        200: jsonAnswer('The place, which holds.', reference('Place'), headers.fencingToken),
        ...problems(404),
      },
    }),
    delete: operation(`release${kind}`, 'Gives a place up, or leaves the queue', {
      description:
        'A lease that was made for the place goes with it; a lease of the caller lives on. One of lease and key says which place; ' +
        'If-Match says which holding of it, so that a late release does not end a newer one. 404 lock-not-held: there is none.',
      does: 'write',
      parameters: [
        nameParameter,
        queryParameter('lease', { type: 'string' }, 'The lease that has the place.'),
        queryParameter('key', { type: 'string' }, 'The key of the place.'),
        parameters.ifMatchToken,
        parameters.idempotencyKey,
      ],
      responses: { 200: jsonAnswer('It is free.', reference('Released')), ...problems(404, 412) },
    }),
  };
}

export const coordinationPaths = {
  '/v1/leases': {
    get: operation('listLeases', 'Lists leases', {
      description: 'A key of the tenant that may not read all attached keys is refused, once the store has users.',
      responses: { 200: jsonAnswer('Their ids.', reference('Leases')) },
    }),
    post: operation('grantLease', 'Makes a lease', {
      does: 'write',
      description:
        `A ttl below ${leaseSecondsMin} is raised to it. When the lease ends, all keys attached to it are deleted in one revision. A ` +
        'new leader gives every lease its full ttl again. It ends late by at most 2 s, on a store that sleeps 5 s, and never early.',
      parameters: [parameters.idempotencyKey],
      requestBody: { required: true, content: jsonContent(reference('LeaseGrant')) },
      responses: { 201: jsonAnswer('Made. Location says where it is.', reference('Lease'), headers.location) },
    }),
  },
  '/v1/leases/{id}': {
    get: operation('getLease', 'Shows a lease', {
      parameters: [leaseIdParameter, queryParameter('keys', { type: 'boolean', default: true }, 'With its keys.')],
      responses: { 200: jsonAnswer('The lease.', reference('Lease')), ...problems(404) },
    }),
    delete: operation('revokeLease', 'Ends a lease, and deletes its keys in one revision', {
      does: 'write',
      parameters: [leaseIdParameter, parameters.idempotencyKey],
      responses: { 200: jsonAnswer('It is gone.', reference('LeaseRevoked')), ...problems(404) },
    }),
  },
  '/v1/leases/{id}/keepalive': {
    post: operation('keepLeaseAlive', 'Gives a lease its full ttl again', {
      parameters: [leaseIdParameter],
      requestBody: { description: 'Nothing, or an empty object.', content: jsonContent(record({})) },
      responses: { 200: jsonAnswer('It lives on.', reference('Lease')), ...problems(404) },
    }),
  },
  '/v1/locks/{name}': queuePath('Lock', 'LockRequest', 'Takes a lock', 'A lock is a semaphore of the limit 1.'),
  '/v1/semaphores/{name}': queuePath(
    'Semaphore',
    'SemaphoreRequest',
    'Takes one of several places',
    'All in a queue have the same limit: another one is 409 limit-differs. Once the queue is empty, any limit goes.',
  ),
} satisfies Record<string, PathItem>;
