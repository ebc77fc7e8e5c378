import { describe, expect, it } from 'vitest';
import { call, callOf, header, pair, problemOf, refusal } from './wire.ts';
import {
  campaignTxn,
  holderOf,
  holderValue,
  isPlace,
  leaseHex,
  leaseOfPlace,
  lockTxn,
  oldestPlace,
  placeKey,
  proclaimTxn,
  queueRange,
  resignTxn,
} from '../../src/api/queues.ts';
import { leaseId, revision } from '../../src/model/brands.ts';
import { base64, emptyBytes, utf8 } from '../../src/base/bytes.ts';
import { leaseSecondsMax, lockNameBytesMax, lockWaitSecondsMax, semaphoreLimitMax } from '../../src/limits.ts';

const name = utf8('l');
const lease = leaseId(7001n);

function named(key: string, id: bigint): boolean {
  return isPlace({ key: utf8(key), lease: leaseId(id) });
}

describe('queues', () => {
  it('API-QUEUE-1: a place is named by its lease in hex, as etcd names it', () => {
    expect(base64(placeKey(name, lease))).toBe('bC8xYjU5');
    expect(base64(placeKey(emptyBytes, lease))).toBe('LzFiNTk=');
    expect([255n, -7n, 2n ** 63n - 1n, -(2n ** 63n)].map((id) => leaseHex(leaseId(id)))).toEqual([
      'ff',
      '-7',
      '7fffffffffffffff',
      '-8000000000000000',
    ]);
    for (const id of [255n, -7n, 1n, 2n ** 63n - 1n, -(2n ** 63n)]) {
      expect(leaseOfPlace(name, placeKey(name, leaseId(id)))).toBe(id);
    }
    for (const text of ['l/', 'l/0', 'l/xyz', 'l/-', 'l/8000000000000000', 'l/1/2', 'l/FF']) {
      expect(leaseOfPlace(name, utf8(text)), text).toBeNull();
    }
    expect([named('l/1b59', 7001n), named('a/b/-7', -7n), named('/5', 5n)]).toEqual([true, true, true]);
    const others = [named('l/1b59', 0n), named('l/1b59', 7n), named('l/size', 7n), named('5', 5n), named('l/', 5n)];
    expect(others).toEqual(others.map(() => false));
    expect(queueRange(name)).toEqual({ key: utf8('l/'), rangeEnd: utf8('l0') });
  });

  it('API-QUEUE-2: places are taken, proclaimed and given up by etcd’s transactions', () => {
    const isNew = { target: 'create', result: 0, operand: 0, key: placeKey(name, lease) };
    expect(lockTxn(name, lease)).toMatchObject({
      compare: [isNew],
      success: [{ kind: 'put', request: { key: placeKey(name, lease), lease, value: emptyBytes } }, { kind: 'range' }],
      failure: [{ kind: 'range', request: { key: placeKey(name, lease) } }, { kind: 'range' }],
    });
    expect(campaignTxn(name, lease, utf8('v'))).toMatchObject({ compare: [isNew], success: [{ kind: 'put' }] });
    const leader = { name, key: utf8('l/1'), createRevision: 9, lease };
    const isOwn = { target: 'create', result: 0, operand: 9, key: utf8('l/1') };
    expect(proclaimTxn(leader, leaseId(5n), utf8('v'))).toMatchObject({
      compare: [isOwn],
      success: [{ kind: 'put', request: { lease: 5n, value: utf8('v') } }],
      failure: [],
    });
    expect(resignTxn(leader)).toMatchObject({ compare: [isOwn], success: [{ kind: 'deleteRange' }], failure: [] });
    expect(oldestPlace(name)).toMatchObject({ limit: 1, sortTarget: 2, sortOrder: 1 });
  });

  it('API-QUEUE-3: a place of v1 says its limit and whether its lease goes with it; any other is a lock of its client', () => {
    for (const limit of [1, 9, semaphoreLimitMax]) {
      for (const session of [true, false])
        expect(holderOf(holderValue({ limit, session }))).toEqual({ limit, session });
    }
    for (const value of ['', 'x', '{"limit":0}', '{"limit":1001}', '{"limit":3,"session":false}', '{"limit":3} ']) {
      expect(holderOf(utf8(value)), value).toEqual({ limit: 1, session: false });
    }
  });
});

const acquire = (body: string, path = 'locks/a/b') => callOf('acquire', `POST /v1/${path}`, { body });

const release = (query: string) => callOf('release', `DELETE /v1/locks/a?${query}`);

describe('POST /v1/locks/{name}', () => {
  it('API-V1-60: takes a lease or makes one, and waits as long as it is told', () => {
    expect(acquire('{"ttl":30}')).toMatchObject({
      name: utf8('a/b'),
      limit: 1,
      hold: { kind: 'session', ttlSeconds: 30 },
      waitSeconds: 0,
      writeId: null,
    });
    expect(acquire('{"lease":"-7","wait":5}')).toMatchObject({ hold: { kind: 'lease', id: -7n }, waitSeconds: 5 });
    expect(acquire(`{"ttl":1,"wait":${lockWaitSecondsMax}}`).waitSeconds).toBe(lockWaitSecondsMax);
    expect(acquire('{"ttl":1,"limit":3}', 'semaphores/s')).toMatchObject({ name: utf8('s'), limit: 3 });
    expect(acquire(`{"ttl":1,"limit":${semaphoreLimitMax}}`, 'semaphores/%ff')).toMatchObject({
      name: Uint8Array.of(0xff),
    });
  });

  it('API-V1-61: refuses what it does not know, and what contradicts', async () => {
    const refusals: readonly (readonly [string, string, RegExp])[] = [
      ['locks/a', '{}', /one of ttl and lease/],
      ['locks/a', '{"ttl":1,"lease":"1"}', /one of ttl and lease/],
      ['locks/a', '{"lease":0}', /lease must not be 0/],
      ['locks/a', '{"ttl":0}', /ttl must be/],
      ['locks/a', `{"ttl":${leaseSecondsMax + 1}}`, /ttl must be/],
      ['locks/a', `{"ttl":1,"wait":${lockWaitSecondsMax + 1}}`, /wait must be/],
      ['locks/a', '{"ttl":1,"wait":-1}', /wait must be/],
      ['locks/a', '{"ttl":1,"limit":1}', /unknown field "limit"/],
      ['semaphores/a', '{"ttl":1}', /limit is missing/],
      ['semaphores/a', '{"ttl":1,"limit":0}', /limit must be/],
      ['semaphores/a', `{"ttl":1,"limit":${semaphoreLimitMax + 1}}`, /limit must be/],
      ['locks/', '{"ttl":1}', /a name has/],
      ['locks/a%2', '{"ttl":1}', /percent-encoding/],
      ['locks/a?wait=1', '{"ttl":1}', /unknown query parameter "wait"/],
      ['locks/a', '', /the body is empty/],
      ['locks/a', '{', /not JSON/],
      [`locks/${'n'.repeat(lockNameBytesMax + 1)}`, '{"ttl":1}', /a name has/],
    ];
    for (const [path, body, detail] of refusals) {
      const problem = await refusal(`POST /v1/${path}`, { body });
      expect([problem.status, problem.detail]).toEqual([400, expect.stringMatching(detail)]);
    }
    expect(acquire('{"ttl":1}', `locks/${'n'.repeat(lockNameBytesMax)}`).name.byteLength).toBe(lockNameBytesMax);
    expect((await refusal('PUT /v1/locks/a')).headers.get('allow')).toBe('GET, POST, DELETE');
  });

  it('API-V1-62: answers the place with its fencing token', async () => {
    const answer = { key: placeKey(utf8('a/b'), lease), lease, ttlSeconds: 30, fencingToken: 12, revision: 15 };
    const response = acquire('{"ttl":30}').respond({ kind: 'answer', answer }, header).toResponse();
    expect(await response.json()).toEqual({
      name: 'a/b',
      key: 'a/b/1b59',
      lease: '7001',
      ttl: 30,
      limit: 1,
      fencing_token: 12,
      revision: 15,
    });
    const held = { kind: 'lockHeld', fencingToken: 9, waiting: 2, revision: 15 } as const;
    const problem = acquire('{"ttl":30}').respond({ kind: 'failed', failure: held }, header).toResponse();
    expect(await problem.clone().json()).toMatchObject({ fencing_token: 9, waiting: 2, revision: 15 });
    expect(await problemOf(problem)).toMatchObject({ status: 409, slug: 'lock-held' });
    const differs = acquire('{"ttl":30}')
      .respond({ kind: 'failed', failure: { kind: 'limitDiffers', limit: 3 } }, header)
      .toResponse();
    expect(await differs.json()).toMatchObject({ status: 409, limit: 3 });
  });

  it('API-V1-63: a place is given up by its lease or its key', async () => {
    expect(release('lease=7001')).toMatchObject({ key: utf8('a/1b59'), lease: 7001n });
    expect(release('key=a/1b59')).toMatchObject({ key: utf8('a/1b59'), lease: 7001n });
    for (const query of ['', 'lease=1&key=a/1', 'lease=0', 'lease=x', 'key=b/1b59', 'key=a/01b59', 'key=a', 'name=a']) {
      expect((await refusal(`DELETE /v1/semaphores/a?${query}`)).status, query).toBe(400);
    }
    const done = release('lease=1')
      .respond({ kind: 'answer', answer: { revision: 4 } }, header)
      .toResponse();
    expect(await done.json()).toEqual({ released: true, revision: 4 });
    const absent = release('lease=1')
      .respond({ kind: 'failed', failure: { kind: 'lockNotHeld' } }, header)
      .toResponse();
    expect(await problemOf(absent)).toMatchObject({ status: 404, slug: 'lock-not-held' });
  });

  it('API-V1-64: a look says who holds, the longest first, and how many wait', async () => {
    const read = callOf('read', 'GET /v1/semaphores/s');
    expect(read.request).toMatchObject({ key: utf8('s/'), rangeEnd: utf8('s0'), sortTarget: 2, sortOrder: 1 });
    const value = holderValue({ limit: 2, session: true });
    const kvs = [3n, 4n, 5n].map((id, place) =>
      pair(`s/${id}`, { value, lease: leaseId(id), createRevision: revision(10 + place) }),
    );
    const response = read.respond({ kind: 'answer', answer: { kvs, more: false, count: 3 } }, header).toResponse();
    expect(await response.json()).toEqual({
      name: 's',
      limit: 2,
      holders: [
        { key: 's/3', lease: '3', fencing_token: 10 },
        { key: 's/4', lease: '4', fencing_token: 11 },
      ],
      waiting: 1,
      revision: 40,
    });
    // A key that is no place was put below the name. It neither holds nor waits.
    const other = pair('s/size', { createRevision: revision(9) });
    const beside = read
      .respond({ kind: 'answer', answer: { kvs: [other, ...kvs], more: true, count: 9 } }, header)
      .toResponse();
    expect(await beside.json()).toMatchObject({ limit: 2, holders: [{ key: 's/3' }, { key: 's/4' }], waiting: 1 });
    const alone = read
      .respond({ kind: 'answer', answer: { kvs: [other], more: false, count: 1 } }, header)
      .toResponse();
    expect(await alone.json()).toMatchObject({ limit: null, holders: [], waiting: 0 });
    const nobody = read.respond({ kind: 'answer', answer: { kvs: [], more: false, count: 0 } }, header).toResponse();
    expect(await nobody.json()).toEqual({ name: 's', limit: null, holders: [], waiting: 0, revision: 40 });
  });
});

const keptAlive = (ttlSeconds: number | null) =>
  ({ kind: 'answer', revision: revision(5), answer: { kind: 'keepAlive', id: leaseId(5n), ttlSeconds } }) as const;

describe('/v1/leases', () => {
  it('API-V1-50: POST makes a lease', async () => {
    const grant = callOf('write', 'POST /v1/leases', { body: '{"ttl":1}', headers: { 'idempotency-key': 'w' } });
    expect(grant).toMatchObject({
      operation: { kind: 'leaseGrant', id: 0n, candidate: 0n, ttlSeconds: 1 },
      writeId: 'w',
    });
    const outcome = { kind: 'leaseGrant', revision: revision(5), id: leaseId(2n ** 60n), ttlSeconds: 2 } as const;
    const response = grant.respond(outcome, header).toResponse();
    expect([response.status, response.headers.get('location')]).toEqual([201, '/v1/leases/1152921504606846976']);
    expect(await response.json()).toEqual({ id: '1152921504606846976', ttl: 2, granted_ttl: 2, revision: 5 });
    for (const body of ['{}', '{"ttl":0}', `{"ttl":${leaseSecondsMax + 1}}`, '{"ttl":"5"}', '{"ttl":1,"id":"2"}', '']) {
      expect((await refusal('POST /v1/leases', { body })).status, body).toBe(400);
    }
    expect(callOf('write', 'POST /v1/leases', { body: `{"ttl":${leaseSecondsMax}}` }).operation).toMatchObject({
      ttlSeconds: leaseSecondsMax,
    });
  });

  it('API-V1-51: GET shows one, with its keys unless they are not wanted, and lists all', async () => {
    const look = callOf('timeToLive', 'GET /v1/leases/-7');
    expect(look.query).toEqual({ kind: 'timeToLive', id: -7n, keys: true });
    const answer = {
      kind: 'timeToLive',
      id: leaseId(-7n),
      lease: { ttlSeconds: 60, keys: [utf8('a'), Uint8Array.of(0xff)] },
    } as const;
    const result = { kind: 'answer', revision: revision(5), answer } as const;
    expect(await look.respond(result, 17, header).toResponse().json()).toEqual({
      id: '-7',
      ttl: 17,
      granted_ttl: 60,
      keys: [{ key: 'a' }, { key_base64: '/w==' }],
      revision: 5,
    });
    const short = callOf('timeToLive', 'GET /v1/leases/-7?keys=false');
    expect(await short.respond(result, 0, header).toResponse().json()).toEqual({
      id: '-7',
      ttl: 0,
      granted_ttl: 60,
      revision: 5,
    });
    const gone = { ...result, answer: { ...answer, lease: null } };
    for (const response of [
      look.respond(gone, null, header).toResponse(),
      look.respond(result, null, header).toResponse(),
    ]) {
      expect(await problemOf(response)).toMatchObject({ status: 404, slug: 'lease-not-found' });
    }
    const ids = { kind: 'leases', ids: [leaseId(1n), leaseId(-2n)] } as const;
    const list = callOf('query', 'GET /v1/leases')
      .respond({ kind: 'answer', revision: revision(5), answer: ids }, header)
      .toResponse();
    expect(await list.json()).toEqual({ leases: [{ id: '1' }, { id: '-2' }], revision: 5 });
  });

  it('API-V1-52: a keepalive and a revocation take an id and nothing else', async () => {
    const keep = callOf('keepAlive', 'POST /v1/leases/5/keepalive', { body: '{}' });
    expect(keep.query).toEqual({ kind: 'keepAlive', id: 5n });
    expect(await keep.respond(keptAlive(60), header).toResponse().json()).toEqual({
      id: '5',
      ttl: 60,
      granted_ttl: 60,
      revision: 5,
    });
    expect(keep.respond(keptAlive(null), header).toResponse().status).toBe(404);
    const revoke = callOf('write', 'DELETE /v1/leases/5');
    expect(revoke.operation).toEqual({ kind: 'leaseRevoke', id: 5n });
    expect(
      await revoke
        .respond({ kind: 'done', revision: revision(6) }, header)
        .toResponse()
        .json(),
    ).toEqual({
      id: '5',
      revision: 6,
    });
    expect((await refusal('POST /v1/leases/5/keepalive', { body: '{"ttl":5}' })).detail).toContain('unknown field');
    for (const target of [
      'GET /v1/leases/x',
      'GET /v1/leases/9223372036854775808',
      'DELETE /v1/leases/5?x=1',
      'POST /v1/leases//keepalive',
    ]) {
      expect((await refusal(target)).status, target).toBe(400);
    }
    expect((await refusal('GET /v1/leases/5/keepalive')).status).toBe(405);
    expect((await refusal('GET /v1/leases/5/more')).status).toBe(404);
    expect(call('GET /v1/leases/5').kind).toBe('timeToLive');
  });
});
