// The id of a request in every answer of the gateway.

import { beforeAll, describe, expect, it } from 'vitest';
import { sessionSubprotocol } from '../../src/api/v1/session.ts';
import { call, newTenant, type NewTenant, prepareDirectory } from '../support/service.ts';

let tenant: NewTenant;

beforeAll(async () => {
  await prepareDirectory();
  tenant = await newTenant({ name: 'request-ids' });
});

const asked = (path: string, init: RequestInit = {}): Promise<Response> =>
  call(path, {
    ...init,
    headers: { 'Quorate-Key': tenant.key, 'X-Request-Id': 'of/the:client', ...(init.headers as object) },
  });

const upgrade = { headers: { Upgrade: 'websocket', Connection: 'Upgrade' } };

const protocol = { 'Sec-WebSocket-Protocol': sessionSubprotocol };

describe('GATEWAY-33: every answer has the id of its request', () => {
  it.each<readonly [string, string, RequestInit, number]>([
    ['a write', '/v1/kv/a', { method: 'PUT', body: 'x' }, 200],
    ['a value', '/v1/kv/a', {}, 200],
    ['no key', '/v1/kv/none', {}, 404],
    ['HEAD of no key', '/v1/kv/none', { method: 'HEAD' }, 404],
    ['a status', '/v1/status', {}, 200],
    ["a call of etcd's", '/v3/kv/range', { method: 'POST', body: '{"key":"YQ=="}' }, 200],
    ["a fault of etcd's", '/v3/kv/range', { method: 'POST', body: '{{{' }, 400],
    ['a bad key', '/v1/kv/a', { headers: { 'Quorate-Key': 'none' } }, 401],
    ['no such path', '/v1/nothing', {}, 404],
    ['a preflight', '/v1/kv/a', { method: 'OPTIONS' }, 204],
    ['a page of another origin', '/v1/kv/a', { headers: { Origin: 'https://page.test' } }, 200],
    ['an operator without a token', '/v1/tenants', {}, 401],
    ['whose key it is', '/v1/whoami', {}, 200],
    ['health', '/healthz', {}, 200],
    ['a socket', '/v1/watch?prefix=a', upgrade, 101],
    ['a session', '/v1/session?replica=1', { headers: { ...upgrade.headers, ...protocol } }, 101],
    ['a socket that is refused', '/v1/kv/a', { ...upgrade, headers: { ...upgrade.headers, 'Quorate-Key': 'no' } }, 401],
  ])('%s', async (_, path, init, status) => {
    const answer = await asked(path, init);
    expect([answer.status, answer.headers.get('x-request-id')]).toEqual([status, 'of/the:client']);
    answer.webSocket?.accept();
    answer.webSocket?.close();
    if (answer.headers.get('content-type') !== 'application/problem+json' || init.method === 'HEAD') return;
    expect(await answer.json()).toMatchObject({ request_id: 'of/the:client' });
  });

  it('a stream, which goes on', async () => {
    const answer = await asked('/v1/watch?prefix=a');
    expect([answer.status, answer.headers.get('x-request-id')]).toEqual([200, 'of/the:client']);
    await answer.body?.cancel();
  });

  it('makes an id of its own where the client sends none, or none that is well-formed', async () => {
    const ids = new Set<string | null>();
    for (const sent of ['', 'a b', 'x'.repeat(129), 'a, b']) {
      const answer = await asked('/v1/kv/none', { headers: { 'X-Request-Id': sent } });
      const problem: { request_id: string } = await answer.json();
      expect(problem.request_id).toBe(answer.headers.get('x-request-id'));
      expect(problem.request_id).toMatch(/^[\w-]{10,64}$/);
      ids.add(problem.request_id);
    }
    expect(ids.size).toBe(4);
  });

  it('may be sent and read by a page of another origin', async () => {
    const preflight = await call('/v1/kv/a', { method: 'OPTIONS', headers: { Origin: 'https://page.test' } });
    expect(preflight.headers.get('access-control-allow-headers')).toContain('X-Request-Id');
    const answer = await asked('/v1/kv/a', { headers: { Origin: 'https://page.test' } });
    expect(answer.headers.get('access-control-expose-headers')).toContain('X-Request-Id');
  });
});
