// Random reads, writes, transactions, compactions, leases and maintenance.

import type { Json, JsonObject } from '../conversation.ts';
import { get, planned, post, type Headers, type Planned } from './plan.ts';
import type { Random } from '../../support/random.ts';
import { optional, randomKey, randomLease, randomRange, randomRevision, randomValue } from './values.ts';

export type Making = {
  readonly random: Random;
  /** The steps before this one. */
  readonly made: number;
  /** In whose name the step is done. */
  readonly headers: Headers;
};

const nestedMax = 2;

function range(making: Making): JsonObject {
  const { random, made } = making;
  return {
    ...randomRange(random),
    ...optional(random, {
      limit: [0.3, () => String(random.below(5) - 1)],
      revision: [0.3, () => randomRevision(random, made)],
      sort_order: [0.3, () => random.pick<Json>(['NONE', 'ASCEND', 'DESCEND', 1, 2, 'descend', 7])],
      sort_target: [0.3, () => random.pick<Json>(['KEY', 'VERSION', 'CREATE', 'MOD', 'VALUE', 3, 9])],
      serializable: [0.1, () => true],
      keys_only: [0.15, () => true],
      count_only: [0.1, () => true],
      min_mod_revision: [0.1, () => randomRevision(random, made)],
      max_mod_revision: [0.1, () => randomRevision(random, made)],
      min_create_revision: [0.1, () => randomRevision(random, made)],
      max_create_revision: [0.1, () => randomRevision(random, made)],
    }),
  };
}

function put(making: Making): JsonObject {
  const { random } = making;
  return {
    key: randomKey(random),
    ...optional(random, {
      value: [0.9, () => randomValue(random)],
      lease: [0.25, () => randomLease(random)],
      prev_kv: [0.3, () => true],
      ignore_value: [0.08, () => true],
      ignore_lease: [0.08, () => true],
    }),
  };
}

function deleteRange(making: Making): JsonObject {
  return { ...randomRange(making.random), ...optional(making.random, { prev_kv: [0.4, () => true] }) };
}

function compare(making: Making): JsonObject {
  const { random, made } = making;
  const small = (): string => (random.chance(0.5) ? String(random.below(4)) : randomRevision(random, made));
  const [target, operand] = random.pick<readonly [Json, JsonObject]>([
    ['VERSION', { version: small() }],
    ['CREATE', { create_revision: small() }],
    ['MOD', { mod_revision: small() }],
    ['VALUE', { value: randomValue(random) }],
    ['LEASE', { lease: random.chance(0.5) ? '0' : randomLease(random) }],
    [random.pick<Json>(['VALUE', 'LEASE', 'MOD', 0, 8]), {}],
  ]);
  return {
    ...randomRange(random),
    target,
    ...optional(random, { result: [0.9, () => random.pick<Json>(['EQUAL', 'GREATER', 'LESS', 'NOT_EQUAL', 1, 3])] }),
    ...operand,
  };
}

function operation(making: Making, depth: number): JsonObject {
  const choices: [number, () => JsonObject][] = [
    [4, () => ({ request_put: put(making) })],
    [3, () => ({ request_range: range(making) })],
    [2, () => ({ request_delete_range: deleteRange(making) })],
    [0.1, () => ({})],
  ];
  if (depth < nestedMax) choices.push([1.5, () => ({ request_txn: transaction(making, depth + 1) })]);
  return making.random.weighted(choices)();
}

function transaction(making: Making, depth = 0): JsonObject {
  const { random } = making;
  return optional(random, {
    compare: [0.8, () => random.several(random.below(3), () => compare(making))],
    success: [0.9, () => random.several(random.below(4), () => operation(making, depth))],
    failure: [0.7, () => random.several(random.below(4), () => operation(making, depth))],
  });
}

function compaction(making: Making): JsonObject {
  const { random } = making;
  return {
    revision: random.chance(0.6) ? String(random.below(making.made / 3 + 1)) : randomRevision(random, making.made),
    ...optional(random, { physical: [0.4, () => true] }),
  };
}

/** A call that reads or writes keys. */
export function keyValueStep(making: Making): Planned {
  const { headers } = making;
  return making.random.weighted<() => Planned>([
    [10, () => planned(post('/v3/kv/put', put(making), headers))],
    [8, () => planned(post('/v3/kv/range', range(making), headers))],
    [3, () => planned(post('/v3/kv/deleterange', deleteRange(making), headers))],
    [9, () => planned(post('/v3/kv/txn', transaction(making), headers))],
    [1, () => planned(post('/v3/kv/compaction', compaction(making), headers))],
  ])();
}

/** Leases are long, so that none ends during a session. The recorded conversations have leases that end. */
export function leaseStep(making: Making): Planned {
  const { random, headers } = making;
  const id = random.chance(0.15) ? '${own_lease}' : randomLease(random);
  const ttl = random.pick<Json>(['600', 601, '700', '9000000000', '9000000001']);
  const alias = random.chance(0.3) ? '/v3/kv/lease' : '/v3/lease';
  return random.weighted<() => Planned>([
    [6, () => planned(post('/v3/lease/grant', { ID: randomLease(random), TTL: ttl }, headers))],
    [
      1,
      () => planned(post('/v3/lease/grant', { TTL: '650' }, headers), { kind: 'own', name: 'own_lease', member: 'ID' }),
    ],
    [2, () => planned(post('/v3/kv/put', { ...put(making), lease: id }, headers))],
    [2, () => planned(post(`${alias}/revoke`, { ID: id }, headers))],
    [
      3,
      () => planned(post(`${alias}/timetolive`, { ID: id, ...optional(random, { keys: [0.7, () => true] }) }, headers)),
    ],
    [2, () => planned(post(`${alias}/leases`, {}, headers))],
    [
      2,
      () => {
        const ids = [id, ...random.several(random.below(3), () => randomLease(random))];
        const text = ids.map((each) => `{"ID":"${each}"}`).join(random.pick(['', '\n', ' ']));
        return { kind: 'brief', call: { ...post('/v3/lease/keepalive', null, headers), body: { kind: 'text', text } } };
      },
    ],
  ])();
}

/** An alarm's action is never beyond 2: etcd 3.7.1 crashes there. */
export function maintenanceStep(making: Making): Planned {
  const { random, made, headers } = making;
  const alarm = (action: Json): Planned =>
    planned(
      post(
        '/v3/maintenance/alarm',
        {
          action,
          ...optional(random, {
            alarm: [0.9, () => random.pick<Json>(['NOSPACE', 'CORRUPT', 'NONE', 1])],
            memberID: [0.3, () => '5'],
          }),
        },
        headers,
      ),
    );
  return random.weighted<() => Planned>([
    [2, () => planned(post('/v3/maintenance/status', {}, headers))],
    [3, () => planned(post('/v3/maintenance/hashkv', { revision: randomRevision(random, made) }, headers))],
    [1, () => planned(post('/v3/maintenance/hash', {}, headers))],
    [1, () => planned(post('/v3/maintenance/defragment', {}, headers))],
    [1, () => planned(post('/v3/maintenance/transfer-leadership', { targetID: '123' }, headers))],
    [2, () => alarm('GET')],
    [1, () => alarm('ACTIVATE')],
    [3, () => alarm('DEACTIVATE')],
    [1, () => planned(get(random.pick(['/health', '/health?exclude=NOSPACE', '/livez', '/readyz'])))],
  ])();
}
