// The table of routes: each path is found, whatever other path begins alike, and means the same under both names of v3.

import { describe, expect, it } from 'vitest';
import type { Endpoint } from '../../src/api/endpoint.ts';
import { endpointOf, etcdPrefixes, isAmbiguousPath, knownPaths, protocolOf } from '../../src/api/routes.ts';
import { etcdPaths } from './wire.ts';

function endpoint(method: string, path: string, upgrade: boolean): Endpoint {
  return endpointOf({ method, path, headers: new Headers(upgrade ? { upgrade: 'websocket' } : {}) });
}

describe('the table of routes', () => {
  it('API-PATH-5: each path leads to its own route, by its methods, by an upgrade, or to the answer 405', () => {
    expect(knownPaths.length).toBeGreaterThan(100);
    for (const { path, route } of knownPaths) {
      const names = path.includes('{+') ? ['a', '', 'a/b', 'keepalive', '/', '..'] : ['a', '', '%2F'];
      for (const name of path.includes('{') ? names : ['']) {
        const sample = path.replace(/\{\+?\w+\}/, name);
        for (const [method, expected] of route.endpoints) {
          expect([sample, endpoint(method, sample, false)]).toEqual([sample, expected]);
        }
        expect(endpoint('TRACE', sample, false)).toBe(route.notAllowed);
        expect(endpoint('GET', sample, true)).toBe(route.socket ?? route.endpoints.get('GET') ?? route.notAllowed);
        expect(protocolOf(sample)).toBe(route.notAllowed.protocol);
        expect(isAmbiguousPath(sample)).toBe(false);
      }
    }
    const others = [
      '/v1/leases/a/b',
      '/v1/leases/a/b/keepalive',
      '/v1/locks',
      '/v1/kv2',
      '/livez/none',
      '/v3',
      '/v3/kv',
      '',
    ];
    for (const path of others) {
      const response = refusalOf(endpoint('GET', path, false), path);
      expect([path, response.status]).toEqual([path, 404]);
    }
  });

  it('API-PATH-6: a call of etcd’s is the same under /v3beta/ as under /v3/', () => {
    const [first, second] = etcdPrefixes;
    for (const path of etcdPaths) {
      const same = { ...endpoint('POST', path, false), parse: expect.any(Function) as Endpoint['parse'] };
      expect(endpoint('POST', path.replace(first, second), false)).toEqual(same);
    }
  });
});

function refusalOf({ parse }: Endpoint, path: string): Response {
  const call = parse({ method: 'GET', path, query: '', headers: new Headers(), body: new Uint8Array() });
  if (call.kind !== 'refused') throw new Error(`${path} is taken`);
  return call.response;
}
