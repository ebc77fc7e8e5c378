// In whose name a request over HTTP/1.1 is made on the port of a tenant.

import type { IncomingMessage } from 'node:http';
import { describe, expect, it } from 'vitest';
import { etcdctlWords, isLoopback, nameCaller } from '../../src/front/port.ts';

const port = { key: 'the key', scheme: 'http', clientUrl: null, tls: null } as const;

function headersAt(url: string, headers: readonly string[], scheme: 'http' | 'https' = 'http'): readonly string[] {
  const rawHeaders = [...headers];
  // Nothing else of the request is looked at.
  nameCaller({ method: 'POST', url, rawHeaders } as IncomingMessage, { ...port, scheme });
  return rawHeaders.slice(headers.length);
}

const host = ['Host', '127.0.0.1:2379'];

describe('SERVER-ETCD-4: the words that are printed for etcdctl', () => {
  it('name the port, and by TLS what its user has to say', () => {
    const files = { cert: 'c', key: 'k', clientCa: null };
    expect(etcdctlWords('http://127.0.0.1:1', null)).toBe('--endpoints 127.0.0.1:1');
    expect(etcdctlWords('https://127.0.0.1:1', files)).toBe('--endpoints https://127.0.0.1:1 --cacert CA');
    const asking = { ...files, clientCa: 'a' };
    expect(etcdctlWords('https://127.0.0.1:1', asking)).toMatch(/ --cacert CA --cert CERT --key KEY$/);
  });
});

describe('FRONT-44: a call of etcd on the port of a tenant is in the name of its key', () => {
  it.each([
    ['/v3/kv/range', host],
    ['/v3beta/kv/range', host],
    ['/health?serializable=true', host],
    ['/readyz/linearizable_read', host],
    ['/v3/kv/put', ['Host', 'localhost']],
    ['/v3/kv/put', ['Host', '[::1]:2379']],
    ['/v3/kv/put', [...host, 'Authorization', 'a token of a user']],
    ['/v3/kv/put', [...host, 'Sec-Fetch-Site', 'none']],
  ])('%s with %j', (url, headers) => {
    expect(headersAt(url, headers)).toEqual(['Quorate-Key', 'the key']);
  });

  it.each([
    ['another call', '/v1/kv/a', host],
    ['a caller with its own key', '/v3/kv/put', [...host, 'quorate-key', 'own']],
    ['an operator who names a tenant', '/v3/kv/put', [...host, 'Quorate-Tenant', 't']],
    ['a page of another site', '/v3/kv/put', [...host, 'Origin', 'http://site.test']],
    ['a page that a browser does not name', '/v3/kv/put', [...host, 'Sec-Fetch-Site', 'cross-site']],
    ['a name that was made to resolve to this machine', '/v3/kv/put', ['Host', 'site.test:2379']],
    ['no host', '/v3/kv/put', []],
  ])('but not that of %s', (_, url, headers) => {
    expect(headersAt(url, headers)).toEqual([]);
  });

  it('and by TLS under any name, which the certificate has', () => {
    expect(headersAt('/v3/kv/put', ['Host', 'etcd.test'], 'https')).toEqual(['Quorate-Key', 'the key']);
  });

  it.each([
    ['127.0.0.1', true],
    ['127.9.9.9', true],
    ['localhost', true],
    ['::1', true],
    ['0.0.0.0', false],
    ['::', false],
    ['192.0.2.1', false],
    ['127.0.0.1.site.test', false],
  ])('%s is loopback: %s', (name, is) => {
    expect(isLoopback(name)).toBe(is);
  });
});
