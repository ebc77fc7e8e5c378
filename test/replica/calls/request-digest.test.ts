// The digest by which a write id recognises its request.

import { expect, it } from 'vitest';
import { leaseId } from '../../../src/model/brands.ts';
import type { Operation } from '../../../src/model/store.ts';
import { requestDigest } from '../../../src/replica/calls/request-digest.ts';
import { callOf, type Sent } from '../../api/wire.ts';

function digestOf(methodAndPath: string, sent: Sent = {}): bigint {
  return requestDigest(callOf('write', methodAndPath, sent).operation);
}

const grant = (candidate: bigint, id = 0n): Operation => {
  return { kind: 'leaseGrant', id: leaseId(id), candidate: leaseId(candidate), ttlSeconds: 60 };
};
const user = (passwordHash: string | null): Operation => ({ kind: 'userAdd', name: 'alice', passwordHash });
const change = (passwordHash: string): Operation => ({ kind: 'userChangePassword', name: 'alice', passwordHash });

it('WRITE-6: requests that say the same have one digest, others have others', () => {
  const same: readonly (readonly bigint[])[] = [
    [digestOf('PUT /v1/kv/a%2Fb', { body: 'v' }), digestOf('PUT /v1/kv/a/b', { body: 'v' })],
    [
      digestOf('POST /v1/txn', { body: '{"then":[{"put":{"key":"a","value":"v"}}]}' }),
      digestOf('POST /v1/txn', {
        body: ' { "then" : [ {"put":{"value_base64":"dg==","key_base64":"YQ=="}} ], "if": [] } ',
      }),
    ],
    [
      digestOf('POST /v3/kv/put', { body: '{"key":"YQ==","value":"dg==","prev_kv":false}' }),
      digestOf('POST /v3/kv/put', { body: '{"value":"dg==","key":"YQ","lease":null}' }),
    ],
  ];
  for (const digests of same) expect(new Set(digests).size).toBe(1);
  const others = [
    ...['PUT /v1/kv/a', 'PUT /v1/kv/b', 'DELETE /v1/kv/a', 'PUT /v1/kv/a?lease=5'].map((call) => digestOf(call)),
    digestOf('PUT /v1/kv/a', { body: 'v' }),
    digestOf('PUT /v1/kv/a', { headers: { 'if-none-match': '*' } }),
    digestOf('DELETE /v1/kv?prefix=a'),
    digestOf('POST /v1/leases', { body: '{"ttl":60}' }),
    digestOf('POST /v1/leases', { body: '{"ttl":61}' }),
  ];
  expect(new Set(others).size).toBe(others.length);
  for (const digest of others) expect(digest >= 0n && digest < 2n ** 64n).toBe(true);
});

it('WRITE-7: what a replica chooses at each attempt is no part of a digest, nor is a password', () => {
  expect(requestDigest(grant(5n))).toBe(requestDigest(grant(6n)));
  expect(requestDigest(grant(5n, 5n))).not.toBe(requestDigest(grant(5n, 6n)));
  expect(requestDigest(user('one salt'))).toBe(requestDigest(user('another')));
  expect(requestDigest(user(null))).not.toBe(requestDigest(user('one')));
  expect(requestDigest(change('one'))).toBe(requestDigest(change('another')));
});

it('WRITE-6: a digest stays what it was, of short requests and of long ones', () => {
  const digests = [1, 900, 1_100, 100_000].map((bytes) => digestOf('PUT /v1/kv/a', { body: 'v'.repeat(bytes) }));
  expect(digests.map((digest) => digest.toString(16))).toEqual([
    '2a89e91d67924add',
    '319db862b992e376',
    'f966c2192174c2d3',
    'b22f4c8e8a9d0f67',
  ]);
});
