import { describe, expect, it } from 'vitest';
import {
  parseAccessKeyCreation,
  parseAccessKeyRotation,
  parseTenantChange,
  parseTenantCreation,
} from '../../../src/api/v1/tenants.ts';
import { emptyBytes, utf8 } from '../../../src/base/bytes.ts';
import {
  accessKeyLifeSecondsMax,
  accessKeyNameCharactersMax,
  accessKeyOverlapSecondsMax,
  accessKeyPrefixesBytesMax,
  accessKeyPrefixesMax,
  keyBytesMax,
  labelCharactersMax,
  labelsMax,
  tenantNameCharactersMax,
} from '../../../src/limits.ts';

const json = (value: unknown): Uint8Array => utf8(JSON.stringify(value));
const longest = 'a'.repeat(tenantNameCharactersMax);

function detailOf(result: { kind: string; failure?: unknown }): string {
  expect(result.kind).toBe('bad');
  expect(result.failure).toMatchObject({ kind: 'badRequest' });
  return (result.failure as { detail: string }).detail;
}

function prefixesOf(body: object): unknown {
  const parsed = parseAccessKeyCreation(json({ role: 'read', ...body }));
  return parsed.kind === 'parsed' ? parsed.value.prefixes : detailOf(parsed);
}

function manyLabels(count: number): Record<string, string> {
  return Object.fromEntries(Array.from({ length: count }, (_, n) => [`k${n}`, '']));
}

describe('bodies of tenants and keys', () => {
  it('API-TENANT-1: a tenant has a name of a DNS label, 1, 3 or 5 replicas, and places', () => {
    expect(parseTenantCreation(json({ name: 'a' }))).toEqual({
      kind: 'parsed',
      value: { name: 'a', labels: {}, plan: null, replicas: 3, placement: { kind: 'automatic' } },
    });
    expect(parseTenantCreation(json({ name: longest, replicas: 5, placement: ['weur', 'apac-ne'] }))).toMatchObject({
      value: { replicas: 5, placement: { kind: 'hints', hints: ['weur', 'apac-ne'] } },
    });
    expect(parseTenantCreation(json({ name: '0-9', replicas: 1, placement: 'fedramp-high' }))).toMatchObject({
      value: { replicas: 1, placement: { kind: 'jurisdiction', jurisdiction: 'fedramp-high' } },
    });
  });

  it('API-TENANT-2: anything else about a tenant is refused by name', () => {
    const bad: [unknown, string][] = [
      [{}, 'name is missing'],
      [{ name: '' }, 'name must'],
      [{ name: `${longest}a` }, 'name must'],
      [{ name: 'A' }, 'name must'],
      [{ name: 'a_b' }, 'name must'],
      [{ name: 3 }, 'name must'],
      [{ name: 'a', replicas: 2 }, 'replicas must'],
      [{ name: 'a', replicas: '3' }, 'replicas must'],
      [{ name: 'a', replicas: null }, 'replicas must'],
      [{ name: 'a', placement: 'weur' }, 'placement must'],
      [{ name: 'a', placement: ['mars'] }, 'placement: locations are'],
      [{ name: 'a', placement: [] }, 'placement must'],
      [{ name: 'a', replicas: 1, placement: ['weur', 'eeur'] }, 'placement must'],
      [{ name: 'a', placement: {} }, 'placement must'],
      [{ name: 'a', limits: {} }, '"limits"'],
      [[], 'the body must be an object'],
    ];
    for (const [body, part] of bad)
      expect(detailOf(parseTenantCreation(json(body))), JSON.stringify(body)).toContain(part);
    expect(detailOf(parseTenantCreation(utf8('{')))).toContain('not JSON');
    expect(detailOf(parseTenantCreation(emptyBytes))).toContain('the body is empty');
  });

  it('API-TENANT-3: a change is a new name and nothing else', () => {
    const name = { name: 'b', labels: null, state: null, plan: null, terms: {} };
    expect(parseTenantChange(json({ name: 'b' }))).toEqual({ kind: 'parsed', value: name });
    const suspended = { name: null, labels: {}, state: 'suspended', plan: null, terms: {} };
    expect(parseTenantChange(json({ labels: {}, state: 'suspended' }))).toEqual({ kind: 'parsed', value: suspended });
    expect(detailOf(parseTenantChange(json({ state: 'deleting' })))).toContain('state must');
    expect(detailOf(parseTenantChange(json({ name: 'b', replicas: 5 })))).toContain('"replicas"');
    expect(detailOf(parseTenantChange(json({})))).toContain('retention or limits is missing');
  });

  it('API-TENANT-6: labels are words with short texts', () => {
    const key = 'k'.repeat(labelCharactersMax);
    const value = 'v'.repeat(labelCharactersMax);
    for (const labels of [{ [key]: value }, { 'team/a.b_c-d': '\u00e9' }, manyLabels(labelsMax)]) {
      expect(parseTenantChange(json({ labels }))).toMatchObject({ value: { labels } });
    }
    const bad = [
      { [`${key}k`]: '' },
      { a: `${value}v` },
      { A: '' },
      { '': '' },
      { 'a"': '' },
      { a: 1 },
      { a: '\n' },
      [],
      'a',
    ];
    for (const labels of [...bad, manyLabels(labelsMax + 1)]) {
      expect(detailOf(parseTenantChange(json({ labels })))).toContain('labels');
    }
  });

  it('API-TENANT-4: a key has a role, and may have a prefix and an expiry', () => {
    expect(parseAccessKeyCreation(json({ role: 'read' }))).toEqual({
      kind: 'parsed',
      value: { name: '', role: 'read', prefixes: [], expiresInSeconds: null },
    });
    const full = { role: 'write', prefix_base64: '/w==', expires_in: accessKeyLifeSecondsMax };
    expect(parseAccessKeyCreation(json(full))).toMatchObject({
      value: { role: 'write', prefixes: [new Uint8Array([255])], expiresInSeconds: accessKeyLifeSecondsMax },
    });
    const bad: [unknown, string][] = [
      [{}, 'role is missing'],
      [{ role: 'root' }, 'role must'],
      [{ role: 'read', expires_in: 0 }, 'expires_in'],
      [{ role: 'read', expires_in: accessKeyLifeSecondsMax + 1 }, 'expires_in'],
      [{ role: 'read', expires_in: '60' }, 'expires_in'],
      [{ role: 'read', prefix: 1 }, 'prefix'],
      [{ role: 'read', label: 'x' }, '"label"'],
      [{ role: 'read', name: '' }, 'name must'],
      [{ role: 'read', name: 'a\nb' }, 'name must'],
      [{ role: 'read', name: 'x'.repeat(accessKeyNameCharactersMax + 1) }, 'name must'],
      [{ role: 'admin', prefix: 'cfg/' }, 'prefix does not bound'],
      [{ role: 'admin', prefix_base64: '/w==' }, 'prefix does not bound'],
    ];
    for (const [body, part] of bad) expect(detailOf(parseAccessKeyCreation(json(body)))).toContain(part);
    const name = '\u{1f511}'.repeat(accessKeyNameCharactersMax);
    expect(parseAccessKeyCreation(json({ role: 'read', name }))).toMatchObject({ value: { name } });
    expect(parseAccessKeyCreation(json({ role: 'admin', prefix: '' }))).toMatchObject({ value: { role: 'admin' } });
  });

  it('API-TENANT-7: a key has up to accessKeyPrefixesMax prefixes, of accessKeyPrefixesBytesMax together', () => {
    expect(prefixesOf({ prefixes: ['b/', 'a/', 'b/'] })).toEqual([utf8('a/'), utf8('b/')]);
    expect(prefixesOf({ prefixes_base64: ['/w==', 'YQ=='] })).toEqual([utf8('a'), new Uint8Array([255])]);
    expect(prefixesOf({ prefixes: ['a/'] })).toEqual([utf8('a/')]);
    const many = Array.from({ length: accessKeyPrefixesMax }, (_, n) => String.fromCodePoint(97 + n));
    expect(prefixesOf({ prefixes: many })).toHaveLength(accessKeyPrefixesMax);
    const half = accessKeyPrefixesBytesMax / 2;
    expect(prefixesOf({ prefixes: ['a'.repeat(half), 'b'.repeat(half)] })).toHaveLength(2);
    const bad: [object, string][] = [
      [{ prefixes: [] }, 'prefixes must hold 1 to'],
      [{ prefixes: [''] }, 'none of them empty'],
      [{ prefixes: [...many, 'z'] }, 'prefixes must hold 1 to'],
      [{ prefixes: ['a'.repeat(half), 'b'.repeat(half), 'c'] }, 'together'],
      [{ prefixes: ['a'.repeat(keyBytesMax + 1)] }, `each at most ${keyBytesMax}`],
      [{ prefixes: 'a' }, 'prefixes must be a list'],
      [{ prefixes: [1] }, 'prefixes must be a list of strings'],
      [{ prefixes_base64: ['?'] }, 'prefixes_base64 must be a list of base64'],
      [{ prefixes: ['a'], prefix: 'b' }, 'exclude each other'],
      [{ prefixes: ['a'], prefixes_base64: ['YQ=='] }, 'exclude each other'],
      [{ role: 'admin', prefixes: ['a'] }, 'prefix does not bound'],
    ];
    for (const [body, part] of bad) expect(prefixesOf(body)).toContain(part);
  });

  it('API-TENANT-5: a rotation has an overlap of 0 to accessKeyOverlapSecondsMax seconds', () => {
    for (const overlap of [0, accessKeyOverlapSecondsMax]) {
      expect(parseAccessKeyRotation(json({ overlap }))).toEqual({ kind: 'parsed', value: overlap });
    }
    const bad = [
      {},
      { overlap: -1 },
      { overlap: accessKeyOverlapSecondsMax + 1 },
      { overlap: '1' },
      { overlap: 1, a: 1 },
    ];
    for (const body of bad) expect(parseAccessKeyRotation(json(body)).kind).toBe('bad');
  });
});
