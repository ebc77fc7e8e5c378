import { describe, expect, it } from 'vitest';
import { openapiDocument } from '../../../src/api/openapi/openapi.ts';
import { createApp, handle } from '../../../src/gateway/app.ts';
import type { Env } from '../../../src/gateway/env.ts';
import { endpointOf, knownPaths } from '../../../src/api/routes.ts';
import { sessionSubprotocol } from '../../../src/api/v1/session.ts';
import { call } from '../wire.ts';

type Operation = {
  readonly operationId: string;
  readonly parameters?: readonly { name: string; in: string; required?: boolean }[];
  readonly responses: Record<string, unknown>;
};

const methods = ['get', 'head', 'put', 'post', 'delete', 'patch'];
const operations = Object.entries(openapiDocument.paths).flatMap(([path, item]) =>
  Object.entries(item).map(([method, operation]) => ({ path, method, operation: operation as unknown as Operation })),
);

/** The value and everything below it. */
function* within(value: unknown): Generator<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null) return;
  if (!Array.isArray(value)) yield value as Record<string, unknown>;
  for (const member of Object.values(value)) yield* within(member);
}

/** The checks that stand before any binding is asked for. */
const app = createApp({
  OPERATOR_TOKEN: 'operator-token-of-the-tests',
  SERVICE_SECRET: 'service-secret-of-the-tests',
  DIRECTORY: { withSession: () => null },
  REPLICA: null,
} as unknown as Env);

function sampleOf(path: string): string {
  return path.replace('{check}', 'serializable_read').replaceAll(/\{\w+\}/g, 'a1');
}

const samplePaths: Readonly<Record<string, string>> = { key: 'a', id: '5', name: 'n' };
const storePaths = Object.keys(openapiDocument.paths).filter(
  (path) =>
    path.startsWith('/v1/') &&
    !path.includes('tenants') &&
    !path.includes('operators') &&
    path !== '/v1/whoami' &&
    path !== '/v1/audit' &&
    path !== '/v1/fleet' &&
    !path.startsWith('/v1/plans'),
);
/** The parameters and members without which a call is refused. */
const needed: Readonly<Record<string, string>> = {
  'DELETE /v1/locks/{name}': 'lease=1',
  'DELETE /v1/semaphores/{name}': 'lease=1',
  'GET /v1/watch': 'prefix=a',
  'DELETE /v1/kv': 'prefix=a',
};
const bodies: Readonly<Record<string, string>> = {
  '/v1/leases': '{"ttl":5}',
  '/v1/locks/{name}': '{"ttl":5}',
  '/v1/semaphores/{name}': '{"ttl":5,"limit":2}',
};

/** A WebSocket and nothing else. */
const upgrades: Readonly<Record<string, Record<string, string>>> = {
  '/v1/session': { upgrade: 'websocket', 'sec-websocket-protocol': sessionSubprotocol },
};

function targetOf(method: string, path: string): string {
  return `${method.toUpperCase()} ${path.replaceAll(/\{(\w+)\}/g, (_, name: string) => samplePaths[name] ?? '')}`;
}

function servedBy(method: string, path: string): string {
  return endpointOf({ method, path, headers: new Headers() }).servedBy;
}

describe('the OpenAPI document', () => {
  it('API-DOC-1: has the form of OpenAPI 3.1, and every reference leads somewhere', () => {
    const document = JSON.parse(JSON.stringify(openapiDocument)) as typeof openapiDocument;
    expect(document.openapi).toMatch(/^3\.1\.\d+$/);
    const ids = operations.map(({ operation }) => operation.operationId);
    expect(new Set(ids).size).toBe(ids.length);
    for (const { path, method, operation } of operations) {
      expect(methods, path).toContain(method);
      expect(Object.keys(operation.responses).length).toBeGreaterThan(0);
      const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
      const described = (operation.parameters ?? []).filter((parameter) => parameter.in === 'path');
      expect(
        described.map(({ name }) => name),
        path,
      ).toEqual(inPath);
      expect(described.every(({ required }) => required === true)).toBe(true);
    }
    const names = Object.entries(document.components).flatMap(([kind, all]) =>
      Object.keys(all).map((name) => `#/components/${kind}/${name}`),
    );
    for (const { $ref } of within(document)) {
      if (typeof $ref === 'string') expect(names).toContain($ref);
    }
    for (const { security } of operations.map(({ operation }) => operation as { security?: object[] })) {
      for (const scheme of (security ?? []).flatMap((each) => Object.keys(each))) {
        expect(Object.keys(document.components.securitySchemes)).toContain(scheme);
      }
    }
  });

  it('API-DOC-2: every call on a store that it names is taken, and every method that is taken is named', () => {
    // The table of routes, as the document writes it.
    const inTable = knownPaths.flatMap(({ route: { pattern, endpoints, socket } }) =>
      [...endpoints.keys(), ...(socket === null ? [] : ['GET'])].map(
        (method) => `${method} ${pattern.replace('{+', '{')}`,
      ),
    );
    const own = [
      '/v1/tenants',
      '/v1/plans',
      '/v1/operators',
      '/v1/whoami',
      '/v1/audit',
      '/v1/fleet',
      '/metrics',
      '/healthz',
      '/openapi.json',
    ];
    const inDocument = operations
      .filter(({ path }) => path !== '/' && !own.some((start) => path.startsWith(start)))
      .map(({ method, path }) => `${method.toUpperCase()} ${path}`);
    expect(inDocument.toSorted()).toEqual([...new Set(inTable)].toSorted());
    for (const path of storePaths) {
      for (const method of methods) {
        const target = targetOf(method, path);
        const query = needed[`${method.toUpperCase()} ${path}`] ?? '';
        const body = bodies[path] ?? '{}';
        const headers = upgrades[path] ?? {};
        const isTaken = call(`${target}?${query}`, { body, headers }).kind !== 'refused';
        const isNamed = operations.some((each) => each.path === path && each.method === method);
        expect(isNamed, target).toBe(isTaken);
      }
    }
  });

  it('API-DOC-3: every query parameter that it names is known to the call', () => {
    const samples: Record<string, string> = {
      revision: '3',
      consistency: 'serializable',
      lease: '5',
      limit: '2',
      order: 'desc',
      keys_only: 'true',
      count_only: 'true',
      prefix: 'a',
      start: 'a',
      end: 'b',
      key: 'a',
      keys: 'true',
      from: '3',
      prev: 'true',
      replica: '2',
    };
    for (const { path, method, operation } of operations.filter(({ path: each }) => storePaths.includes(each))) {
      for (const { name } of (operation.parameters ?? []).filter((parameter) => parameter.in === 'query')) {
        if (name === 'cursor') continue;
        const isOfRange = ['prefix', 'start', 'end', 'key'].includes(name) || path.includes('{name}');
        const needs = isOfRange ? undefined : needed[`${method.toUpperCase()} ${path}`];
        const sample = path.includes('{name}') && name === 'key' ? 'n/5' : samples[name];
        const query = `${name}=${sample}${needs === undefined ? '' : `&${needs}`}`;
        const target = `${targetOf(method, path)}?${query}`;
        const headers = upgrades[path] ?? {};
        expect(call(target, { body: '{}', headers }).kind, target).not.toBe('refused');
      }
    }
  });

  it('API-DOC-5: Quorate-Read stands with the reads that any replica may answer, and nowhere else', () => {
    const named = operations
      .filter(({ operation }) => operation.parameters?.some(({ name }) => name === 'Quorate-Read'))
      .map(({ method, path }) => targetOf(method, path));
    const reads = operations
      .filter(({ method, path }) => servedBy(method.toUpperCase(), path.replace('{key}', 'a')) !== 'leader')
      .map(({ method, path }) => targetOf(method, path));
    expect(named).toEqual(reads);
    expect(named).toHaveLength(4);
  });

  it('API-DOC-4: names the calls of the gateway', () => {
    const paths = Object.keys(openapiDocument.paths);
    const tenant = '/v1/tenants/{id}';
    const gateway = [
      '/v1/tenants',
      tenant,
      `${tenant}/keys`,
      `${tenant}/keys/{key_id}`,
      `${tenant}/replicas`,
      '/v1/whoami',
    ];
    expect(paths).toEqual(
      expect.arrayContaining([...gateway, `${tenant}/replicas/{number}`, '/healthz', '/openapi.json']),
    );
  });

  it('API-DOC-7: every route of the gateway is in it with the methods that it takes, and no other', async () => {
    const documented = Object.keys(openapiDocument.paths);
    const routes = [...new Set(app.routes.map(({ path }) => path))];
    const forms = routes.map((path) => new RegExp(`^${path.replaceAll(/:\w+/g, '[^/]+').replace('/*', '/.+')}$`));
    for (const path of documented)
      expect(
        forms.some((form) => form.test(sampleOf(path))),
        path,
      ).toBe(true);
    for (const [index, path] of routes.entries()) {
      expect(
        documented.some((each) => forms[index]?.test(sampleOf(each))),
        path,
      ).toBe(true);
    }
    // API-DOC-2 holds the answers of a store; here are the answers that the gateway gives by itself.
    for (const path of documented.filter((each) => !each.startsWith('/v3') && !storePaths.includes(each))) {
      for (const method of methods) {
        const { status } = await app.request(sampleOf(path), { method: method.toUpperCase() });
        const isNamed = operations.some((each) => each.path === path && each.method === method);
        // HEAD is GET without its body.
        if (method !== 'head') expect(status !== 404 && status !== 405, `${method} ${path}`).toBe(isNamed);
      }
    }
  });

  it('API-DOC-8: a browser of another origin may send every header, and read every one, that it names', async () => {
    const origin = { Origin: 'https://elsewhere.test' };
    const shown = await handle(app, new Request('http://quorate.test/healthz', { headers: origin }));
    const readable = listOf(shown.headers.get('access-control-expose-headers'));
    const answered = [...within(openapiDocument)].flatMap(({ headers }) => Object.keys(headers ?? {}));
    // Of the headers that every script may read, one is answered.
    const names = answered.map((name) => name.toLowerCase()).filter((name) => name !== 'cache-control');
    expect(readable).toEqual(expect.arrayContaining(names));
    const preflight = await handle(
      app,
      new Request('http://quorate.test/v1/kv/a', { method: 'OPTIONS', headers: origin }),
    );
    const sendable = listOf(preflight.headers.get('access-control-allow-headers'));
    const taken = [...within(openapiDocument)].flatMap(({ in: place, name }) =>
      place === 'header' ? [String(name)] : [],
    );
    expect(taken.length).toBeGreaterThan(5);
    expect(sendable).toEqual(expect.arrayContaining(taken.map((name) => name.toLowerCase())));
  });
});

function listOf(header: string | null): string[] {
  return (header ?? '').split(',').map((name) => name.trim().toLowerCase());
}
