// Headers that change what a request means are honoured or refused by name, on each kind of call of v1.

import { describe, expect, it } from 'vitest';
import { compareResult } from '../../../src/model/store.ts';
import { createApp } from '../../../src/gateway/app.ts';
import type { Env } from '../../../src/gateway/env.ts';
import { call, callOf, header, problemOf, refusal, type Sent } from '../wire.ts';

/** One call of each kind, with the body that it takes. */
const calls: Readonly<Record<string, string>> = {
  'GET /v1/kv/a': '',
  'HEAD /v1/kv/a': '',
  'PUT /v1/kv/a': 'v',
  'DELETE /v1/kv/a': '',
  'GET /v1/kv?prefix=a': '',
  'DELETE /v1/kv?prefix=a': '',
  'POST /v1/txn': '{}',
  'GET /v1/watch?prefix=a': '',
  'GET /v1/status': '',
  'GET /v1/leases': '',
  'POST /v1/leases': '{"ttl":5}',
  'GET /v1/leases/5': '',
  'DELETE /v1/leases/5': '',
  'POST /v1/leases/5/keepalive': '',
  'GET /v1/locks/a': '',
  'POST /v1/locks/a': '{"ttl":5}',
  'DELETE /v1/locks/a?lease=5': '',
  'GET /v1/semaphores/a': '',
  'POST /v1/semaphores/a': '{"ttl":5,"limit":2}',
  'DELETE /v1/semaphores/a?lease=5': '',
};
const all = Object.keys(calls);
const withBodies = all.filter((target) => /^(PUT|POST)/.test(target));
const writes = all.filter((target) => !/^(GET|HEAD)/.test(target));
const writesOfKey = ['PUT /v1/kv/a', 'DELETE /v1/kv/a'];
const readsOfKey = ['GET /v1/kv/a', 'HEAD /v1/kv/a'];
const releases = all.filter((target) => /^DELETE .*(locks|semaphores)/.test(target));

function sent(target: string, headers: Record<string, string>): Sent {
  return { headers, body: calls[target] ?? '' };
}

/**
 * The calls that are refused with these headers, each with the same status and with the header's name in the detail.
 */
async function refusedBy(headers: Record<string, string>, status: number): Promise<string[]> {
  const refused: string[] = [];
  const [name = ''] = Object.keys(headers);
  for (const target of all) {
    if (call(target, sent(target, headers)).kind !== 'refused') continue;
    const problem = await refusal(target, sent(target, headers));
    expect(problem.status, `${target} ${name}`).toBe(status);
    expect(problem.detail, target).toContain(name);
    refused.push(target);
  }
  return refused;
}

function except(targets: readonly string[], ...others: readonly string[]): string[] {
  return targets.filter((target) => !others.includes(target));
}

function conditionOf(headers: Record<string, string>) {
  const { compare, holdsWhen } = callOf('release', 'DELETE /v1/locks/a?lease=5', { headers }).condition;
  return [holdsWhen, ...compare.map((each) => [each.target, each.result, 'operand' in each ? each.operand : null])];
}

describe('headers of v1', () => {
  it('API-HEADER-1: a part of a value is 400, and an encoded body 415 that says what is taken', async () => {
    const bodied = expect.arrayContaining(withBodies) as unknown;
    expect(await refusedBy({ 'Content-Range': 'bytes 7-9/10' }, 400)).toEqual(bodied);
    for (const coding of ['gzip', 'br', 'identity, gzip', 'x']) {
      expect(await refusedBy({ 'Content-Encoding': coding }, 415)).toEqual(bodied);
    }
    const problem = await refusal('PUT /v1/kv/a', { headers: { 'content-encoding': 'gzip' } });
    expect(problem.headers.get('accept-encoding')).toBe('identity');
    expect(await refusedBy({ 'Content-Encoding': 'Identity' }, 415)).toEqual([]);
    expect(await refusedBy({ 'Transfer-Encoding': 'gzip, chunked' }, 501)).toEqual(bodied);
    expect(await refusedBy({ 'Transfer-Encoding': 'chunked' }, 501)).toEqual([]);
  });

  it('API-HEADER-2: a form of several parts, and JSON in other letters than UTF-8, are 415', async () => {
    const json = except(withBodies, 'PUT /v1/kv/a');
    const form = { 'Content-Type': 'multipart/form-data; boundary=x' };
    expect(await refusedBy(form, 415)).toEqual(expect.arrayContaining(withBodies));
    const utf16 = await refusedBy({ 'Content-Type': 'application/json; charset=UTF-16' }, 415);
    expect(utf16).toEqual(expect.arrayContaining(json));
    expect(utf16).not.toContain('PUT /v1/kv/a');
    for (const type of ['application/json', 'application/json; charset="utf-8"', 'text/plain', 'image/png']) {
      expect(await refusedBy({ 'Content-Type': type }, 415)).toEqual([]);
    }
    // The Content-Type that `curl -d` sends whatever the data are.
    expect(await refusedBy({ 'Content-Type': 'application/x-www-form-urlencoded' }, 415)).toEqual([]);
  });

  it('API-HEADER-3: a condition is honoured where there is a tag, and refused by name elsewhere', async () => {
    expect(await refusedBy({ 'If-Match': '"5"' }, 400)).toEqual(except(all, ...writesOfKey, ...releases));
    expect(await refusedBy({ 'If-None-Match': '"5"' }, 400)).toEqual(except(all, ...writesOfKey, ...readsOfKey));
    const dated = { 'If-Unmodified-Since': 'Sat, 29 Oct 1994 19:43:31 GMT' };
    expect(await refusedBy(dated, 400)).toEqual(writes);
    expect(call('PUT /v1/kv/a', { headers: { ...dated, 'if-match': '"5"' } }).kind).toBe('write');
  });

  it('API-HEADER-4: another method in a header is refused by name, and another expectation than 100-continue is 417', async () => {
    for (const name of ['X-HTTP-Method-Override', 'X-HTTP-Method', 'X-Method-Override']) {
      const problem = await refusal('POST /v1/txn', { headers: { [name]: 'DELETE' }, body: '{}' });
      expect(problem).toMatchObject({ status: 400, detail: expect.stringContaining('X-HTTP-Method-Override') });
    }
    expect(await refusedBy({ Expect: 'a-miracle' }, 417)).toEqual(all);
    expect(await refusedBy({ Expect: '100-Continue' }, 417)).toEqual([]);
  });

  it('API-HEADER-5: what a server may pass over changes nothing', async () => {
    const passedOver = {
      Range: 'bytes=0-1',
      'If-Range': '"5"',
      'If-Modified-Since': 'Sat, 29 Oct 1994 19:43:31 GMT',
      Accept: 'image/png',
      'Accept-Charset': 'iso-8859-1',
      'Accept-Encoding': 'gzip, identity;q=0',
      'Accept-Language': 'de',
      TE: 'trailers, gzip',
      Trailer: 'Digest',
      'Max-Forwards': '0',
      From: 'a@b',
      'Content-Language': 'de',
      'Content-Location': '/elsewhere',
      Prefer: 'respond-async',
      'Idempotency-Key': 'w1',
    };
    for (const [name, value] of Object.entries(passedOver)) {
      expect(await refusedBy({ [name]: value }, 400), name).toEqual([]);
    }
  });

  it('API-HEADER-6: v3 passes over all of them, as etcd does', () => {
    const headers = {
      'content-range': 'bytes 7-9/10',
      'content-encoding': 'gzip',
      'if-match': '"5"',
      'if-none-match': '*',
      'if-unmodified-since': 'x',
      expect: 'y',
      'x-http-method-override': 'DELETE',
      'content-type': 'multipart/form-data',
    };
    expect(call('POST /v3/kv/put', { headers, body: '{"key":"YQ=="}' }).kind).toBe('write');
  });

  it('API-HEADER-7: the tag of a place is its fencing token, and If-Match of a release names the one that is meant', async () => {
    const name = new TextEncoder().encode('a/5');
    const answer = { key: name, lease: 5n as never, ttlSeconds: 30, fencingToken: 12, revision: 15 };
    const acquired = callOf('acquire', 'POST /v1/locks/a', { body: '{"ttl":5}' });
    expect(acquired.respond({ kind: 'answer', answer }, header).toResponse().headers.get('etag')).toBe('"12"');

    const { notEqual, greater } = compareResult;
    expect(conditionOf({})).toEqual([true, ['create', greater, 0]]);
    expect(conditionOf({ 'if-match': '*' })).toEqual([true, ['create', greater, 0]]);
    expect(conditionOf({ 'if-match': '"12", "13"' })).toEqual([
      false,
      ['create', notEqual, 12],
      ['create', notEqual, 13],
    ]);
    for (const tags of ['12', 'W/"12"', '']) {
      expect((await refusal('DELETE /v1/locks/a?lease=5', { headers: { 'if-match': tags } })).status, tags).toBe(400);
    }
    const release = callOf('release', 'DELETE /v1/locks/a?lease=5');
    const failure = { kind: 'fencingTokenDiffers', current: 12, revision: 15 } as const;
    const problem = await problemOf(release.respond({ kind: 'failed', failure }, header).toResponse());
    expect(problem).toMatchObject({ status: 412, slug: 'fencing-token-differs' });
    expect(problem.headers.get('etag')).toBe('"12"');
  });
});

describe('headers of the operator’s calls', () => {
  const token = 'operator-token-of-the-tests';
  // A request that is refused by its headers never reaches a binding.
  const app = createApp({
    OPERATOR_TOKEN: token,
    SERVICE_SECRET: 'service-secret-of-the-tests',
    DIRECTORY: { withSession: () => null },
    REPLICA: null,
  } as unknown as Env);
  const ask = async (method: string, path: string, headers: Record<string, string>) =>
    app.request(path, { method, headers: { authorization: `Bearer ${token}`, ...headers } });

  it('API-HEADER-8: conditions, parts, codings and an Idempotency-Key are refused by name on them', async () => {
    const refused: Readonly<Record<string, readonly [string, number]>> = {
      'If-Match': ['*', 400],
      'If-None-Match': ['*', 400],
      'Content-Encoding': ['gzip', 415],
      'Content-Range': ['bytes 0-1/2', 400],
      'If-Unmodified-Since': ['x', 400],
      'Idempotency-Key': ['w1', 400],
      'X-HTTP-Method-Override': ['DELETE', 400],
      Expect: ['x', 417],
    };
    for (const path of ['/v1/tenants', '/v1/tenants/a/keys', '/v1/tenants/a/replicas']) {
      for (const [name, [value, status]] of Object.entries(refused)) {
        const problem = await problemOf(await ask('POST', path, { [name]: value }));
        expect(problem.status, `${path} ${name}`).toBe(status);
        expect(problem.detail).toContain(name);
      }
    }
    expect((await ask('GET', '/v1/tenants/a', { 'If-None-Match': '*' })).status).toBe(400);
  });
});
