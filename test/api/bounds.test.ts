import { Buffer } from 'node:buffer';
import { describe, expect, it } from 'vitest';
import { parseAccessKeyCreation } from '../../src/api/v1/tenants.ts';
import { utf8 } from '../../src/base/bytes.ts';
import {
  authNameBytesMax,
  keyBytesMax,
  lockNameBytesMax,
  peerUrlsBytesMax,
  rangeBoundBytesMax,
  txnOperationsMax,
  writeBytesMax,
} from '../../src/limits.ts';
import { call, callOf, refusal } from './wire.ts';

const base64Of = (bytes: number): string => Buffer.alloc(bytes, 'k').toString('base64');
const nameOf = (bytes: number): string => 'n'.repeat(bytes);

async function etcdRefusal(path: string, body: unknown): Promise<string> {
  const { response } = callOf('refused', `POST /v3/${path}`, { body: JSON.stringify(body) });
  const { code, message } = (await response.json()) as { code: number; message: string };
  return `${response.status} ${code} ${message}`;
}

function urls(bytes: number): object {
  return { peerURLs: [`unix:${nameOf(bytes - 5)}`], ID: '1' };
}

const tooLarge = '400 3 etcdserver: request is too large';

describe('API-BOUND-1: what names a key or a range has a bound, and is refused by its name beyond it', () => {
  it('v1', async () => {
    for (const method of ['GET', 'PUT', 'DELETE']) {
      expect(call(`${method} /v1/kv/${nameOf(keyBytesMax)}`).kind, method).not.toBe('refused');
      const refused = await refusal(`${method} /v1/kv/${nameOf(keyBytesMax + 1)}`);
      expect(refused).toMatchObject({ status: 400, slug: 'key-too-long' });
      expect(refused.detail).toContain(String(keyBytesMax));
    }
    const places = [
      ['GET', '/v1/kv'],
      ['DELETE', '/v1/kv'],
      ['GET', '/v1/watch'],
    ] as const;
    for (const [method, path] of places) {
      for (const [name, bytesMax] of [
        ['prefix', keyBytesMax],
        ['start', rangeBoundBytesMax],
        ['end', rangeBoundBytesMax],
      ] as const) {
        expect(call(`${method} ${path}?${name}=${nameOf(bytesMax)}`).kind, `${path} ${name}`).not.toBe('refused');
        const refused = await refusal(`${method} ${path}?${name}=${nameOf(bytesMax + 1)}`);
        expect(refused, `${path} ${name}`).toMatchObject({ status: 400, slug: 'bad-request' });
        expect(refused.detail).toBe(`${name} has ${bytesMax + 1} bytes; at most ${bytesMax}`);
      }
    }
    expect(await refusal(`GET /v1/watch?key=${nameOf(keyBytesMax + 1)}`)).toMatchObject({ slug: 'key-too-long' });
    const [good, long] = [keyBytesMax, keyBytesMax + 1].map((bytes) => `{"then":[{"get":{"key":"${nameOf(bytes)}"}}]}`);
    expect(call('POST /v1/txn', { body: good ?? '' }).kind).toBe('write');
    const refused = await refusal('POST /v1/txn', { body: long ?? '' });
    expect(refused.detail).toBe(`then[0].get.key: a key of ${keyBytesMax + 1} bytes; at most ${keyBytesMax}`);
  });

  it('the prefix of a key of the tenant', () => {
    const [good, long] = [keyBytesMax, keyBytesMax + 1].map((bytes) =>
      parseAccessKeyCreation(utf8(JSON.stringify({ role: 'read', prefix: nameOf(bytes) }))),
    );
    expect(good?.kind).toBe('parsed');
    expect(long).toMatchObject({ kind: 'bad', failure: { kind: 'badRequest' } });
  });

  it('v3: locks, elections and their keys', async () => {
    const named = ['lock/lock', 'election/campaign', 'election/leader', 'election/observe'];
    for (const path of named) {
      const body = (bytes: number): string => JSON.stringify({ name: base64Of(bytes) });
      expect(call(`POST /v3/${path}`, { body: body(lockNameBytesMax) }).kind, path).not.toBe('refused');
      expect(await etcdRefusal(path, { name: base64Of(lockNameBytesMax + 1) }), path).toBe(tooLarge);
    }
    for (const path of ['election/proclaim', 'election/resign']) {
      const body = (bytes: number): object => ({ leader: { key: base64Of(bytes) } });
      expect(call(`POST /v3/${path}`, { body: JSON.stringify(body(keyBytesMax)) }).kind, path).not.toBe('refused');
      expect(await etcdRefusal(path, body(keyBytesMax + 1)), path).toBe(tooLarge);
    }
    expect(call('POST /v3/lock/unlock', { body: JSON.stringify({ key: base64Of(1_000_000) }) }).kind).toBe('write');
    expect(await etcdRefusal('lock/unlock', { key: base64Of(writeBytesMax) })).toBe(tooLarge);
    expect(await etcdRefusal('election/campaign', { value: base64Of(writeBytesMax) })).toBe(tooLarge);
    expect(await etcdRefusal('election/proclaim', { leader: {}, value: base64Of(writeBytesMax) })).toBe(tooLarge);
  });
});

describe('API-BOUND-2: names of users and roles, and the ranges of permissions, have bounds in every call', () => {
  const calls: readonly (readonly [string, (name: string) => object])[] = [
    ['auth/user/add', (name) => ({ name, options: { no_password: true } })],
    ['auth/user/add', (name) => ({ name, password: 'p' })],
    ['auth/user/changepw', (name) => ({ name, password: 'p' })],
    ['auth/user/get', (name) => ({ name })],
    ['auth/user/delete', (name) => ({ name })],
    ['auth/user/grant', (name) => ({ user: name })],
    ['auth/user/grant', (name) => ({ role: name })],
    ['auth/user/revoke', (name) => ({ name })],
    ['auth/user/revoke', (name) => ({ role: name })],
    ['auth/role/add', (name) => ({ name })],
    ['auth/role/get', (name) => ({ role: name })],
    ['auth/role/delete', (name) => ({ role: name })],
    ['auth/role/grant', (name) => ({ name })],
    ['auth/role/revoke', (name) => ({ role: name })],
  ];
  for (const [path, body] of calls) {
    it(`${path} ${Object.keys(body('')).join(' ')}`, async () => {
      expect(call(`POST /v3/${path}`, { body: JSON.stringify(body(nameOf(authNameBytesMax))) }).kind).not.toBe(
        'refused',
      );
      expect(await etcdRefusal(path, body(nameOf(authNameBytesMax + 1)))).toBe(tooLarge);
      // The bound counts bytes of UTF-8, not characters.
      expect(await etcdRefusal(path, body('é'.repeat(authNameBytesMax / 2 + 1)))).toBe(tooLarge);
    });
  }

  it('ranges of permissions', async () => {
    for (const field of ['key', 'range_end']) {
      const grant = (bytes: number): object => ({ name: 'r', perm: { [field]: base64Of(bytes) } });
      expect(call('POST /v3/auth/role/grant', { body: JSON.stringify(grant(keyBytesMax)) }).kind).toBe('write');
      expect(await etcdRefusal('auth/role/grant', grant(keyBytesMax + 1))).toBe(tooLarge);
      expect(await etcdRefusal('auth/role/revoke', { role: 'r', [field]: base64Of(keyBytesMax + 1) })).toBe(tooLarge);
    }
  });
});

describe('API-BOUND-3: lists have bounds', () => {
  it('of a transaction no more is kept than the store needs to refuse it', () => {
    for (const [field, kept] of [
      ['compare', 'compare'],
      ['success', 'success'],
      ['failure', 'failure'],
    ] as const) {
      const body = JSON.stringify({ [field]: Array.from({ length: 10_000 }, () => ({})) });
      const { operation } = callOf('write', 'POST /v3/kv/txn', { body });
      expect(operation.kind === 'txn' && operation.request[kept].length).toBe(txnOperationsMax + 1);
    }
  });

  it('peer URLs', async () => {
    const body = (bytes: number): { body: string } => ({ body: JSON.stringify(urls(bytes)) });
    expect(call('POST /v3/cluster/member/add', body(peerUrlsBytesMax)).kind).toBe('memberChange');
    expect(await etcdRefusal('cluster/member/add', urls(peerUrlsBytesMax + 1))).toContain('400 3');
    // Whether the caller may do this, and whether the member exists, is checked first.
    const { change } = callOf('memberChange', 'POST /v3/cluster/member/update', body(peerUrlsBytesMax + 1));
    expect(change).toMatchObject({ kind: 'update', peerUrls: null });
  });
});
