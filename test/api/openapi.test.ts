import { describe, expect, it } from 'vitest';
import { openapiDocument } from '../../src/api/openapi.ts';
import { isReadPath } from '../../src/api/routing.ts';
import { call } from './wire.ts';

type Operation = {
  readonly operationId: string;
  readonly parameters?: readonly { name: string; in: string; required?: boolean }[];
  readonly responses: Record<string, unknown>;
};

const methods = ['get', 'head', 'put', 'post', 'delete', 'patch'];
const operations = Object.entries(openapiDocument.paths).flatMap(([path, item]) =>
  Object.entries(item).map(([method, operation]) => ({ path, method, operation: operation as unknown as Operation })),
);

/** Everything below a value, itself included. */
function* within(value: unknown): Generator<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null) return;
  if (!Array.isArray(value)) yield value as Record<string, unknown>;
  for (const member of Object.values(value)) yield* within(member);
}

const samplePaths: Readonly<Record<string, string>> = { key: 'a', id: '5', name: 'n' };
const storePaths = Object.keys(openapiDocument.paths).filter(
  (path) => path.startsWith('/v1/') && !path.includes('tenants'),
);
/** Of what a call cannot be without. */
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

function targetOf(method: string, path: string): string {
  return `${method.toUpperCase()} ${path.replaceAll(/\{(\w+)\}/g, (_, name: string) => samplePaths[name] ?? '')}`;
}

describe('the OpenAPI document', () => {
  it('API-DOC-1: has the form of OpenAPI 3.1, and every reference leads somewhere', () => {
    const document = JSON.parse(JSON.stringify(openapiDocument)) as typeof openapiDocument;
    expect(document.openapi).toMatch(/^3\.1\.\d+$/);
    const ids = operations.map(({ operation }) => operation.operationId);
    expect(new Set(ids).size).toBe(ids.length);
    for (const { path, method, operation } of operations) {
      expect(methods, path).toContain(method);
      expect(Object.keys(operation.responses).length).toBeGreaterThan(1);
      const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
      const described = (operation.parameters ?? []).filter((parameter) => parameter.in === 'path');
      expect(
        described.map(({ name }) => name),
        path,
      ).toEqual(inPath);
      expect(described.every(({ required }) => required === true)).toBe(true);
    }
    const names = Object.keys(document.components.schemas);
    for (const { $ref } of within(document)) {
      if (typeof $ref === 'string') expect(names).toContain($ref.replace('#/components/schemas/', ''));
    }
    for (const { security } of operations.map(({ operation }) => operation as { security?: object[] })) {
      for (const scheme of (security ?? []).flatMap((each) => Object.keys(each))) {
        expect(Object.keys(document.components.securitySchemes)).toContain(scheme);
      }
    }
  });

  it('API-DOC-2: every call on a store that it names is taken, and every method that is taken is named', () => {
    for (const path of storePaths) {
      for (const method of methods) {
        const target = targetOf(method, path);
        const query = needed[`${method.toUpperCase()} ${path}`] ?? '';
        const body = bodies[path] ?? '{}';
        const isTaken = call(`${target}?${query}`, { body }).kind !== 'refused';
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
    };
    for (const { path, method, operation } of operations.filter(({ path: each }) => storePaths.includes(each))) {
      for (const { name } of (operation.parameters ?? []).filter((parameter) => parameter.in === 'query')) {
        if (name === 'cursor') continue;
        const isOfRange = ['prefix', 'start', 'end', 'key'].includes(name) || path.includes('{name}');
        const needs = isOfRange ? undefined : needed[`${method.toUpperCase()} ${path}`];
        const sample = path.includes('{name}') && name === 'key' ? 'n/5' : samples[name];
        const query = `${name}=${sample}${needs === undefined ? '' : `&${needs}`}`;
        const target = `${targetOf(method, path)}?${query}`;
        expect(call(target, { body: '{}' }).kind, target).not.toBe('refused');
      }
    }
  });

  it('API-DOC-5: Quorate-Read stands with the reads that any replica may answer, and nowhere else', () => {
    const named = operations
      .filter(({ operation }) => operation.parameters?.some(({ name }) => name === 'Quorate-Read'))
      .map(({ method, path }) => targetOf(method, path));
    const reads = operations
      .filter(({ method, path }) => isReadPath(method.toUpperCase(), path.replace('{key}', 'a')))
      .map(({ method, path }) => targetOf(method, path));
    expect(named).toEqual(reads);
    expect(named).toHaveLength(4);
  });

  it('API-DOC-4: names the calls of the gateway', () => {
    const paths = Object.keys(openapiDocument.paths);
    const gateway = ['/v1/tenants', '/v1/tenants/{id}', '/v1/tenants/{id}/keys', '/v1/tenants/{id}/keys/{key_id}'];
    expect(paths).toEqual(expect.arrayContaining([...gateway, '/healthz', '/openapi.json']));
  });
});
