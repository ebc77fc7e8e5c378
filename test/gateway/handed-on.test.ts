// What of a client's request reaches a replica: the path, the headers, and how much of the body.

import { describe, expect, it } from 'vitest';
import { isAmbiguousPath } from '../../src/api/routes.ts';
import { membersHeader } from '../../src/api/redirects.ts';
import { originHeader, readHeader, servedByHeader } from '../../src/api/forwarded.ts';
import { pathAndQuery, targetOf } from '../../src/api/request-target.ts';
import { Identities } from '../../src/tenants/identities.ts';
import type { ReplicaNamespace } from '../../src/gateway/env.ts';
import { GroupRouter } from '../../src/gateway/group-router.ts';
import { StoreCalls } from '../../src/gateway/store-calls.ts';
import { discardedBodyBytesMax, loginBodyBytesMax } from '../../src/limits.ts';
import { KeyRing } from '../../src/tenants/key-text.ts';
import { Signatures } from '../../src/tenants/signatures.ts';
import { TokenRing } from '../../src/tenants/token-text.ts';

type HandedOn = { readonly url: string; readonly init: RequestInit };

const signatures = new Signatures('a secret of the tests');
const key = new KeyRing(signatures).issue({ tenant: 'a', keyId: 'b' });

async function serve(request: Request): Promise<{ status: number; handedOn: readonly HandedOn[] }> {
  const handedOn: HandedOn[] = [];
  const namespace = {
    idFromName: (name: string) => name,
    get: () => ({
      // Its code is of the version before this one.
      ask: () => Promise.reject(new TypeError('The RPC receiver does not implement the method "ask".')),
      fetch: (url: string, init: RequestInit) => {
        handedOn.push({ url, init });
        return Promise.resolve(Response.json({}));
      },
    }),
  };
  const router = new GroupRouter(namespace as unknown as ReplicaNamespace, () => Promise.resolve([]));
  const calls = new StoreCalls(new Identities(new KeyRing(signatures), new TokenRing(signatures)), router);
  return { status: (await calls.serve(request)).status, handedOn };
}

/** A request whose URL is this text, as the runtime gives it. `Request` itself would resolve its dot segments. */
function requestTo(url: string, init: RequestInit = {}): Request {
  const request = new Request('http://quorate.test/', { headers: { 'Quorate-Key': key }, ...init });
  return new Proxy(request, {
    get: (target, property): unknown => (property === 'url' ? url : Reflect.get(target, property, target)),
  });
}

/** A body of this size, and how many of its bytes were asked for. */
function bodyOf(bytes: number): { readonly stream: ReadableStream; readonly taken: () => number } {
  const part = new Uint8Array(65_536);
  let taken = 0;
  const stream = new ReadableStream(
    {
      pull(controller) {
        if (taken >= bytes) return controller.close();
        taken += part.byteLength;
        controller.enqueue(part);
      },
    },
    { highWaterMark: 0 },
  );
  return { stream, taken: () => taken };
}

/** Node requires `duplex` where a body is a stream. */
function posted(body: ReadableStream): RequestInit {
  return Object.assign({ method: 'POST', body }, { duplex: 'half' });
}

describe('where a call goes', () => {
  it('TENANT-14: nothing in a URL chooses where it goes, and the replica sees the path that was sent', async () => {
    const targets = [
      '/v1/kv/a/../b?prefix=x',
      '/v1/kv/../../internal/raft',
      '/v1/kv/%2e%2E/%2e?a=/../b',
      '/v1/kv/a\\..\\b',
      '/v3/kv/put',
      '/v1/kv//evil.example/a',
    ];
    for (const host of ['quorate.test', 'replica.internal', 'a/../b', 'h?x']) {
      for (const target of targets) {
        const sent = `http://${host}${target}`;
        const { handedOn } = await serve(requestTo(sent));
        const url = handedOn[0]?.url ?? '';
        // The path as the runtime would resolve it on the way.
        const { origin, pathname } = new URL(url);
        expect([sent, origin, pathname]).toEqual([sent, 'http://replica.internal', '/call']);
        expect(targetOf(new URL(url).href)).toEqual(pathAndQuery(sent));
      }
    }
    expect(targetOf('http://replica.internal/internal/raft')).toBeNull();
  });

  it('TENANT-14: no header that the gateway or a replica sets is a client’s', async () => {
    const own = ['caller', 'origin', 'write-id', 'failed-leader', 'suspected-leader', 'leader', 'members', 'served-by'];
    const headers = Object.fromEntries(own.map((name) => [`quorate-${name}`, 'of the client']));
    const { handedOn } = await serve(requestTo('http://h/v1/kv/a', { headers: { ...headers, 'Quorate-Key': key } }));
    const handed = [...new Headers(handedOn[0]?.init.headers)];
    expect(handed.filter(([, value]) => value === 'of the client')).toEqual([]);
    expect(Object.keys(headers)).toEqual(expect.arrayContaining([originHeader, membersHeader, servedByHeader]));
    const members = requestTo('http://h/v1/kv/a', { headers: { [readHeader]: 'members', 'Quorate-Key': key } });
    expect((await serve(members)).handedOn).toEqual([]);
  });

  it('GATEWAY-21: a path with a dot segment is ambiguous, but where it is a name', () => {
    for (const path of [
      '/v3/../x',
      '/v3/.',
      '/%2E%2e/x',
      '/v3/%2e',
      '/v3\\..\\x',
      '/v1/tenants/.%2e/x',
      '/v1/kv\\..\\x',
    ]) {
      expect([path, isAmbiguousPath(path)]).toEqual([path, true]);
    }
    for (const path of ['/v1/kv/a/../b', '/v1/kv/..', '/v1/locks/../a', '/v3/...', '/v3/a.b/..c/.d', '/v3/%2e%2e%2e']) {
      expect([path, isAmbiguousPath(path)]).toEqual([path, false]);
    }
  });
});

describe('how much of a body is taken', () => {
  it('GATEWAY-22: nothing before the caller is known, and of a login by its message what a login has', async () => {
    const unknown = bodyOf(1_048_576);
    const init = posted(unknown.stream);
    expect((await serve(requestTo('http://h/v3/kv/put', { ...init, headers: {} }))).status).toBe(401);
    expect(unknown.taken()).toBe(0);
    const login = bodyOf(loginBodyBytesMax + 65_536);
    const request = requestTo('http://h/v3/auth/authenticate', { ...posted(login.stream), headers: {} });
    expect((await serve(request)).status).toBe(429);
  });

  it('GATEWAY-23: no header takes the bound off', async () => {
    for (const upgrade of ['h2c', 'websocket', 'x']) {
      const body = bodyOf(3 * discardedBodyBytesMax);
      const headers = { 'Quorate-Key': key, Upgrade: upgrade };
      const request = requestTo('http://h/v1/kv/a', { ...posted(body.stream), method: 'PUT', headers });
      const { status, handedOn } = await serve(request);
      expect([upgrade, status, handedOn.length]).toEqual([upgrade, 413, 0]);
      expect(body.taken()).toBeLessThanOrEqual(discardedBodyBytesMax + 2 * 65_536);
    }
  });

  it('GATEWAY-24: a GET hands on no body', async () => {
    const { handedOn } = await serve(
      requestTo('http://h/v1/kv/a', { headers: { 'Quorate-Key': key, Upgrade: 'h2c' } }),
    );
    expect(handedOn[0]?.init.body).toBeNull();
  });
});
