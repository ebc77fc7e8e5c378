import { describe, expect, it } from 'vitest';
import { parseCall } from '../../src/api/call.ts';
import { parseAccessKeyCreation, parseAccessKeyRotation, parseTenantCreation } from '../../src/api/v1/tenants.ts';
import { decodeCredential } from '../../src/api/v3/auth.ts';
import { decodeKeepAlive } from '../../src/api/v3/lease.ts';
import { decodeWatchRequest } from '../../src/api/v3/watch.ts';
import { MessageSplitter } from '../../src/api/v3/message-splitter.ts';
import { utf8 } from '../../src/base/bytes.ts';
import { WireRandom } from './wire-random.ts';

const paths = [
  '/v3/kv/put',
  '/v3/kv/range',
  '/v3/kv/txn',
  '/v3/kv/deleterange',
  '/v3/kv/compaction',
  '/v3/watch',
  '/v3/none',
  '/v3/lease/grant',
  '/v3/lease/keepalive',
  '/v3/auth/user/add',
  '/v3/auth/role/grant',
  '/v3/maintenance/alarm',
  '/v3/cluster/member/add',
  '/v3/election/proclaim',
  '/v3/lock/lock',
  '/health',
  '/readyz',
  '/v1/leases',
  '/v1/leases/5',
  '/v1/locks/l',
  '/v1/semaphores/s/1',
  '/v3beta/kv/put',
  '/v1/kv/a',
  '/v1/kv',
  '/v1/kv/',
  '/v1/txn',
  '/v1/watch',
  '/v1/status',
  '/',
];
const methods = ['GET', 'POST', 'PUT', 'DELETE', 'HEAD', 'PATCH', 'OPTIONS'];
const headerValues = [
  '"1"',
  '*',
  'W/"2"',
  '"',
  'websocket',
  'text/event-stream',
  'Bearer, x',
  '7',
  '10S',
  '',
  ',,',
  'x'.repeat(300),
];
const headerNames = [
  'if-match',
  'if-none-match',
  'upgrade',
  'accept',
  'last-event-id',
  'grpc-timeout',
  'idempotency-key',
  'sec-websocket-protocol',
];
const bodies = [
  '{"key":"Zm9v","value":"YmFy"}',
  '{"success":[{"request_put":{"key":"Zm9v"}}],"compare":[{"key":"YQ==","target":"MOD","mod_revision":"3"}]}',
  '{"if":[{"key":"a","target":"mod_revision","op":"=","value":3}],"then":[{"put":{"key":"a","value":"b"}}]}',
  '{"ID":"5","TTL":10,"ttl":10,"limit":3,"lease":"7","wait":1}',
  '{"name":"bA==","leader":{"key":"bA==","rev":"3"},"password":"x","perm":{"permType":"WRITE","key":"YQ=="}}',
  '{"action":"ACTIVATE","memberID":"18446744073709551615","alarm":2,"peerURLs":["http://a:1"]}',
  '{"create_request":{"key":"YQ==","start_revision":"3"}}',
  '{"name":"a","replicas":3,"placement":["weur"]}',
];
const queries = [
  '',
  'prefix=a',
  'limit=3&cursor=AAAA',
  'revision=7',
  'start=a&end=b',
  'key=%ff',
  'lease=1',
  'count_only=true',
  '%',
  '&&==',
];

const kindsMet = [
  'read',
  'refused',
  'status',
  'watch',
  'write',
  'frames',
  'health',
  'query',
  'keepAliveStream',
  'password',
];

describe('any bytes', () => {
  for (const seed of [1, 3, 4]) {
    it(`API-FUZZ-1: are taken or refused with a status below 500 (or 501, 504), and nothing is thrown: seed ${seed}`, () => {
      const random = new WireRandom(seed);
      const kinds = new Set<string>();
      for (let round = 0; round < 10_000; round++) {
        const headers = new Headers();
        for (let count = random.below(3); count > 0; count--)
          headers.set(random.pick(headerNames), random.pick(headerValues));
        const text = random.pick([random.pick(bodies), random.json(4), random.mutate(random.pick(bodies))]);
        const body = random.below(4) === 0 ? random.bytes(random.below(60)) : utf8(text);
        const path = random.below(3) === 0 ? random.mutate(random.pick(paths)) : random.pick(paths);
        const query = random.below(3) === 0 ? random.mutate(random.pick(queries)) : random.pick(queries);
        const call = parseCall({ method: random.pick(methods), path, query, headers, body });
        kinds.add(call.kind);
        if (call.kind === 'refused') {
          const { status } = call.response;
          // etcd answers these failures with code 2: the leader of an election does not exist, a password is too long.
          const isEtcds = /election|auth\/user/.test(path);
          expect(
            status >= 400 && (status < 500 || status === 501 || status === 504 || (status === 500 && isEtcds)),
            `round ${round}: ${status}`,
          ).toBe(true);
        }
        decodeWatchRequest(body);
        decodeKeepAlive(body);
        decodeCredential(body);
        parseTenantCreation(body);
        parseAccessKeyCreation(body);
        parseAccessKeyRotation(body);
        new MessageSplitter().push(body);
      }
      expect([...kinds]).toEqual(expect.arrayContaining([...kindsMet]));
    });
  }
});
