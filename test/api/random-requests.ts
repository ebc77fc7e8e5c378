// Requests that a client could send: right, nearly right and wrong, small and as large as the wire takes. The fuzz
// tests send them.

import { Buffer } from 'node:buffer';
import { utf8 } from '../../src/base/bytes.ts';
import { keyBytesMax, requestBodyBytesMax, txnOperationsMax } from '../../src/limits.ts';
import type { ApiRequest } from '../../src/api/contract.ts';
import type { WireRandom } from './wire-random.ts';
import { etcdPaths } from './wire.ts';

const lengths: readonly number[] = [
  255,
  256,
  257,
  2_030,
  2_031,
  keyBytesMax - 1,
  keyBytesMax,
  keyBytesMax + 1,
  keyBytesMax + 2,
  8_191,
  8_200,
  65_536,
  500_000,
  700_000,
  1_048_576,
  1_572_864,
  1_900_000,
];

/** A length: mostly short, sometimes at a bound or one past it, seldom as long as a body. */
function length(random: WireRandom): number {
  if (random.below(12) > 0) return random.below(6);
  return random.pick(lengths);
}

/** There are few different short names, so that requests meet. */
function name(random: WireRandom): string {
  const characters = length(random);
  if (characters > 8) return 'n'.repeat(characters);
  return random.pick(['', 'a', 'b', 'a/b', 'root', 'alice', 'é\0', '🙂', random.text()]);
}

function key(random: WireRandom): string {
  return JSON.stringify(Buffer.from(name(random)).toString('base64'));
}

function integer(random: WireRandom): string {
  return random.pick([
    '0',
    '1',
    '2',
    '3',
    '5',
    '-1',
    '17',
    '"7"',
    '9007199254740993',
    '"9223372036854775807"',
    '1e3',
    '-0',
  ]);
}

const flag = (random: WireRandom): string => random.pick(['true', 'false', 'null']);
const text = (random: WireRandom): string => JSON.stringify(name(random));

type Make = (random: WireRandom, depth: number) => string;

function object(fields: Readonly<Record<string, Make>>): Make {
  return objectOf(Object.entries(fields));
}

function objectOf(fields: readonly (readonly [string, Make])[]): Make {
  return (random, depth) => {
    const members: string[] = [];
    for (const [field, make] of fields) {
      if (random.below(3) > 0) members.push(`${JSON.stringify(field)}:${make(random, depth)}`);
    }
    return `{${members.join(',')}}`;
  };
}

function list(item: Make): Make {
  return (random, depth) => {
    const few = Array.from({ length: random.below(4) }, () => item(random, depth));
    if (random.below(30) > 0) return `[${few.join(',')}]`;
    const many = random.pick([txnOperationsMax, txnOperationsMax + 1, 2_000]);
    if ((few[0]?.length ?? 0) * many > requestBodyBytesMax) return '[]';
    return `[${Array.from({ length: many }, () => few[0] ?? '{}').join(',')}]`;
  };
}

const range = { key, range_end: key };
const rangeRequest = object({
  ...range,
  limit: integer,
  revision: integer,
  sort_order: integer,
  keys_only: flag,
  count_only: flag,
});
const put = object({ key, value: key, lease: integer, prev_kv: flag, ignore_value: flag, ignore_lease: flag });
const deleteRange = object({ ...range, prev_kv: flag });
const compare = object({
  ...range,
  target: (random) => random.pick(['"VALUE"', '"MOD"', '"VERSION"', '"LEASE"', '9']),
  result: integer,
  mod_revision: integer,
});
const operation: Make = (random, depth) => {
  if (depth > 4) return '{}';
  const kinds = { request_put: put, request_range: rangeRequest, request_delete_range: deleteRange, request_txn: txn };
  const [kind, make] = random.pick(Object.entries(kinds));
  return `{"${kind}":${make(random, depth + 1)}}`;
};
const txn: Make = (random, depth) =>
  object({ compare: list(compare), success: list(operation), failure: list(operation) })(random, depth);

const leader = object({ name: key, key, rev: integer, lease: integer });
const permission = object({ permType: (random) => random.pick(['"READ"', '"WRITE"', '"READWRITE"', '7']), ...range });
const person = object({ name: text, user: text, role: text, password: text, options: object({ no_password: flag }) });

const messages: Readonly<Record<string, Make>> = {
  'kv/put': put,
  'kv/range': rangeRequest,
  'kv/deleterange': deleteRange,
  'kv/txn': txn,
  'kv/compaction': object({ revision: integer, physical: flag }),
  'auth/role/grant': object({ name: text, perm: permission }),
  'auth/role/revoke': object({ role: text, ...range }),
  'lock/lock': object({ name: key, lease: integer }),
  'lock/unlock': object({ key }),
  'election/campaign': object({ name: key, lease: integer, value: key }),
  'election/proclaim': object({ leader, value: key }),
  'election/resign': object({ leader }),
  'election/leader': object({ name: key }),
  'election/observe': object({ name: key }),
  'maintenance/alarm': object({
    action: integer,
    memberID: integer,
    alarm: (random) => random.pick(['0', '1', '2', '9']),
  }),
  'maintenance/downgrade': object({
    action: integer,
    version: (random) => random.pick(['"3.6"', '"3.6.0"', '"x"', text(random)]),
  }),
  watch: object({
    create_request: object({ ...range, start_revision: integer, filters: list(integer), watch_id: integer }),
  }),
};
const others: Make = (random, depth) =>
  random.pick([
    person,
    object({ ID: integer, TTL: integer, keys: flag, revision: integer, targetID: integer }),
    object({
      ID: integer,
      peerURLs: list((some) => JSON.stringify(some.pick(['http://a:1', 'unix:x', name(some)]))),
      isLearner: flag,
    }),
  ])(random, depth);

// v1

const v1Range = { key: text, prefix: text, start: text, end: text };
const v1Operation: Make = (random, depth) => {
  if (depth > 4) return '{}';
  const kinds: Readonly<Record<string, Make>> = {
    put: object({ key: text, value: text, lease: integer, prev: flag, ignore_value: flag }),
    get: object({ ...v1Range, limit: integer, keys_only: flag }),
    delete: object({ ...v1Range, prev: flag }),
    txn: v1Txn,
  };
  const [kind, make] = random.pick(Object.entries(kinds));
  return `{"${kind}":${make(random, depth + 1)}}`;
};
const v1Compare = object({
  ...v1Range,
  target: (random) => random.pick(['"version"', '"value"', '"lease"']),
  op: (random) => random.pick(['"="', '"!="', '"<"']),
  value: (random) => random.pick([integer, text])(random),
});
const v1Txn: Make = (random, depth) =>
  objectOf([
    ['if', list(v1Compare)],
    ['then', list(v1Operation)],
    ['else', list(v1Operation)],
  ])(random, depth);
const place: Make = (random) =>
  random.pick(['{"ttl":5}', '{"lease":"7","wait":1}', '{"ttl":5,"limit":2}', '{"ttl":0}']);

const methods = ['GET', 'POST', 'PUT', 'DELETE', 'HEAD', 'PATCH'] as const;
const headers: Readonly<Record<string, readonly string[]>> = {
  'if-match': ['"1"', '*', 'W/"2"', '"', '"1",'.repeat(64) + '"2"'],
  'if-none-match': ['"1"', '*', ''],
  'idempotency-key': ['i', 'i', 'j', '', 'x'.repeat(64), 'x'.repeat(65), 'é'],
  'grpc-timeout': ['7S', '-1S', '99999999999999999999H', '1n', 'x'],
  'last-event-id': ['5', '999999999999999', '9999999999999999', '-1', 'x'],
  accept: ['text/event-stream', ',,', '*/*'],
  upgrade: ['websocket'],
};

function encoded(random: WireRandom): string {
  return encodeURIComponent(name(random).toWellFormed());
}

const empty: Make = () => '';

type Sample = { readonly method: string; readonly path: string; readonly body: Make };

/** A method that the path takes, and the parameters that this method takes there. */
function v1Sample(random: WireRandom): Sample {
  const lease = random.pick(['5', '7', '-1', 'x', '9'.repeat(length(random))]);
  return random.pick<Sample>([
    { method: random.pick(['GET', 'DELETE']), path: `/v1/kv/${encoded(random)}`, body: empty },
    { method: 'PUT', path: `/v1/kv/${encoded(random)}`, body: text },
    { method: random.pick(['GET', 'DELETE']), path: '/v1/kv', body: empty },
    { method: 'POST', path: '/v1/txn', body: v1Txn },
    { method: 'GET', path: '/v1/watch', body: empty },
    { method: random.pick(['GET', 'POST']), path: '/v1/leases', body: place },
    { method: random.pick(['GET', 'DELETE']), path: `/v1/leases/${lease}`, body: empty },
    { method: 'POST', path: `/v1/leases/${lease}/keepalive`, body: empty },
    { method: random.pick(['GET', 'POST', 'DELETE']), path: `/v1/locks/${encoded(random)}`, body: place },
    { method: random.pick(['GET', 'POST', 'DELETE']), path: `/v1/semaphores/${encoded(random)}`, body: place },
    { method: 'GET', path: '/v1/status', body: empty },
  ]);
}

const parameters = [
  'prefix',
  'start',
  'end',
  'key',
  'limit',
  'cursor',
  'lease',
  'from',
  'revision',
  'count_only',
] as const;

function query(random: WireRandom): string {
  const pairs = Array.from(
    { length: random.below(3) },
    () => `${random.pick(parameters)}=${random.pick([encoded(random), '5', 'true'])}`,
  );
  return pairs.join('&');
}

/** One request, whose body is no larger than the wire takes. */
export function randomRequest(random: WireRandom): ApiRequest {
  const sent = new Headers();
  for (let count = random.below(3); count > 0; count--) {
    const [header, values] = random.pick(Object.entries(headers));
    if (header !== 'upgrade' || random.below(8) === 0) sent.set(header, random.pick(values).replaceAll('é', '\u00e9'));
  }
  const v3Path = random.pick(etcdPaths);
  const v3: Sample = { method: 'POST', path: v3Path, body: messages[v3Path.slice('/v3/'.length)] ?? others };
  const isV3 = random.below(2) === 0;
  const { method, path, body: make } = isV3 ? v3 : v1Sample(random);
  const isWrong = random.below(8) === 0;
  const body = (isWrong ? random.pick<Make>([v1Txn, (some) => some.json(4), others]) : make)(random, 0);
  return {
    method: random.below(8) === 0 ? random.pick(methods) : method,
    path,
    query: isV3 ? '' : query(random),
    headers: sent,
    body: utf8(random.below(8) === 0 ? random.mutate(body) : body).subarray(0, requestBodyBytesMax),
  };
}
