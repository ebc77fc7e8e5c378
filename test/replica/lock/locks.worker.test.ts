// Locks, semaphores and elections on a group of real objects: turns come in order, each once, over crashes of holders
// and leaders.

import { beforeAll, describe, expect, it, vi } from 'vitest';
import { Store } from '../../../src/mvcc/store.ts';
import { crash, leaderOf, type NewTenant, newTenant, prepareDirectory, put, withKey } from '../../support/service.ts';

beforeAll(prepareDirectory);

type Place = {
  readonly key: string;
  readonly lease: string;
  readonly ttl: number;
  readonly fencing_token: number;
  readonly revision: number;
};
type Held = { readonly type: string; readonly fencing_token: number; readonly waiting: number };
type Answer<Body> = { readonly status: number; readonly body: Body };

async function post<Body>(tenant: NewTenant, path: string, body: object, headers = {}): Promise<Answer<Body>> {
  const response = await withKey(tenant.key, path, { method: 'POST', body: JSON.stringify(body), headers });
  return { status: response.status, body: await response.json() };
}

async function acquired(tenant: NewTenant, path: string, body: object): Promise<Place> {
  const answer = await post<Place>(tenant, path, body);
  expect(answer).toMatchObject({ status: 200 });
  return answer.body;
}

async function release(tenant: NewTenant, path: string, { lease }: Place): Promise<number> {
  const response = await withKey(tenant.key, `${path}?lease=${lease}`, { method: 'DELETE' });
  await response.arrayBuffer();
  return response.status;
}

async function queue(tenant: NewTenant, path: string): Promise<{ holders: { lease: string }[]; waiting: number }> {
  return (await withKey(tenant.key, path)).json();
}

async function untilWaiting(tenant: NewTenant, path: string, waiting: number): Promise<void> {
  while ((await queue(tenant, path)).waiting !== waiting) await scheduler.wait(20);
}

async function leases(tenant: NewTenant): Promise<number> {
  const list: { leases: unknown[] } = await (await withKey(tenant.key, '/v1/leases')).json();
  return list.leases.length;
}

const base64 = (text: string): string => btoa(text);

describe('v1', () => {
  it('LOCK-20: those who wait are served in the order in which they came, each once, with higher fencing tokens', async () => {
    const tenant = await newTenant({ name: 'lock-order' });
    const path = '/v1/locks/jobs/nightly';
    const first = await acquired(tenant, path, { ttl: 30 });
    const served: number[] = [];
    const waits: Promise<void>[] = [];
    for (let caller = 0; caller < 4; caller++) {
      waits.push(
        acquired(tenant, path, { ttl: 30, wait: 30 }).then(async (place) => {
          served.push(place.fencing_token);
          expect((await queue(tenant, path)).holders).toMatchObject([{ lease: place.lease }]);
          expect(await release(tenant, path, place)).toBe(200);
        }),
      );
      await untilWaiting(tenant, path, caller + 1);
    }
    expect(served).toEqual([]);
    expect(await release(tenant, path, first)).toBe(200);
    await Promise.all(waits);
    expect(served.length).toBe(4);
    expect(served).toEqual(served.toSorted((left, right) => left - right));
    expect(served[0]).toBeGreaterThan(first.fencing_token);
    expect(await release(tenant, path, first)).toBe(404);
    expect(await leases(tenant)).toBe(0);
  });

  it('LOCK-21: a try, and a wait in vain, leave nothing behind and say who holds', async () => {
    const tenant = await newTenant({ name: 'lock-vain' });
    const path = '/v1/locks/a';
    const holder = await acquired(tenant, path, { ttl: 30 });
    const tried = await post<Held>(tenant, path, { ttl: 30 });
    expect(tried).toMatchObject({ status: 409, body: { fencing_token: holder.fencing_token, waiting: 0 } });
    const sinceMs = Date.now();
    const waited = await post<Held>(tenant, path, { ttl: 30, wait: 1 });
    expect(waited).toMatchObject({ status: 409, body: { fencing_token: holder.fencing_token } });
    expect(Date.now() - sinceMs).toBeGreaterThanOrEqual(1_000);
    expect(await queue(tenant, path)).toMatchObject({ holders: [{ lease: holder.lease }], waiting: 0 });
    expect(await leases(tenant)).toBe(1);
  });

  it('LOCK-53: a release with the fencing token of an earlier holding leaves the newer one of the same lease', async () => {
    const tenant = await newTenant({ name: 'lock-late' });
    const path = '/v1/locks/a';
    const { body: lease } = await post<{ id: string }>(tenant, '/v1/leases', { ttl: 60 });
    const first = await acquired(tenant, path, { lease: lease.id });
    expect(await release(tenant, path, first)).toBe(200);
    const second = await acquired(tenant, path, { lease: lease.id });
    const releaseOf = async (token: number): Promise<Answer<object>> => {
      const headers = { 'If-Match': `"${token}"` };
      const response = await withKey(tenant.key, `${path}?lease=${lease.id}`, { method: 'DELETE', headers });
      return { status: response.status, body: await response.json() };
    };
    expect(await releaseOf(first.fencing_token)).toMatchObject({
      status: 412,
      body: { type: 'urn:quorate:problem:fencing-token-differs', fencing_token: second.fencing_token },
    });
    expect((await queue(tenant, path)).holders).toMatchObject([{ lease: lease.id }]);
    expect(await releaseOf(second.fencing_token)).toMatchObject({ status: 200 });
    expect(await releaseOf(second.fencing_token)).toMatchObject({ status: 404 });
  });

  it('LOCK-50: a name below which another key lies is refused, naming it, and its holders keep what they have', async () => {
    const tenant = await newTenant({ name: 'lock-in-use' });
    const { body: lease } = await post<{ id: string }>(tenant, '/v1/leases', { ttl: 60 });
    await put(tenant.key, 'config/size', '1');
    await put(tenant.key, `leased/leader?lease=${lease.id}`, '1');
    await put(tenant.key, 'jobs/5', '1');
    for (const [name, key] of Object.entries({ config: 'config/size', leased: 'leased/leader', jobs: 'jobs/5' })) {
      for (const [path, more] of [['/v1/locks', {}] as const, ['/v1/semaphores', { limit: 2 }] as const]) {
        const answer = await post<object>(tenant, `${path}/${name}`, { ttl: 30, wait: 30, ...more });
        expect(answer).toMatchObject({ status: 409, body: { type: 'urn:quorate:problem:name-in-use', key } });
      }
    }
    expect(await leases(tenant)).toBe(1);
    expect(await queue(tenant, '/v1/locks/config')).toMatchObject({ holders: [], waiting: 0 });

    // Those who hold or wait already are not affected by a key that comes later.
    const path = '/v1/locks/deploy';
    const holder = await acquired(tenant, path, { ttl: 30 });
    const waiting = acquired(tenant, path, { ttl: 30, wait: 30 });
    await untilWaiting(tenant, path, 1);
    await put(tenant.key, 'deploy/notes', 'x');
    expect(await queue(tenant, path)).toMatchObject({ holders: [{ lease: holder.lease }], waiting: 1 });
    expect(await post<object>(tenant, path, { ttl: 30 })).toMatchObject({ status: 409, body: { key: 'deploy/notes' } });
    expect(await release(tenant, path, holder)).toBe(200);
    const next = await waiting;
    expect(await release(tenant, path, next)).toBe(200);
    // Places of longer names count as they do for etcd, and are no obstacle.
    const below = await acquired(tenant, '/v1/locks/up/low', { ttl: 30 });
    expect(await post<object>(tenant, '/v1/locks/up', { ttl: 30 })).toMatchObject({
      status: 409,
      body: { type: 'urn:quorate:problem:lock-held' },
    });
    expect(await release(tenant, '/v1/locks/up/low', below)).toBe(200);
    expect((await acquired(tenant, '/v1/locks/up', { ttl: 30 })).fencing_token).toBeGreaterThan(0);
  });

  it('LOCK-51: a key that is put below the name while the place is taken is seen, and the place is given up', async () => {
    const tenant = await newTenant({ name: 'lock-race' });
    const path = '/v1/locks/race';
    await put(tenant.key, 'race/key', 'x');
    // The check before the write runs before the key is put.
    const look = vi.spyOn(Store.prototype, 'heads').mockReturnValueOnce([].values());
    expect(await post<object>(tenant, path, { ttl: 30, wait: 30 })).toMatchObject({
      status: 409,
      body: { type: 'urn:quorate:problem:name-in-use', key: 'race/key' },
    });
    expect(look).toHaveBeenCalledTimes(2);
    look.mockRestore();
    expect(await leases(tenant)).toBe(0);
    const places: { count: number } = await (await withKey(tenant.key, '/v1/kv?prefix=race/&count_only=true')).json();
    expect(places.count).toBe(1);
  });

  it('LOCK-22: a semaphore has as many holders as its limit, and the next in line follows whoever leaves', async () => {
    const tenant = await newTenant({ name: 'semaphore' });
    const path = '/v1/semaphores/reboots';
    const holders = [
      await acquired(tenant, path, { limit: 3, ttl: 30 }),
      await acquired(tenant, path, { limit: 3, ttl: 30 }),
      await acquired(tenant, path, { limit: 3, ttl: 30 }),
    ];
    expect(await post<Held>(tenant, path, { limit: 3, ttl: 30 })).toMatchObject({ status: 409 });
    expect(await post<Held>(tenant, path, { limit: 2, ttl: 30 })).toMatchObject({ status: 409, body: { limit: 3 } });
    const fourth = acquired(tenant, path, { limit: 3, ttl: 30, wait: 30 });
    await untilWaiting(tenant, path, 1);
    const fifth = acquired(tenant, path, { limit: 3, ttl: 30, wait: 30 });
    await untilWaiting(tenant, path, 2);
    const [, middle, last] = holders;
    if (middle === undefined || last === undefined) throw new Error('three hold');
    await release(tenant, path, middle);
    const next = await fourth;
    expect(next.fencing_token).toBeGreaterThan(last.fencing_token);
    expect((await queue(tenant, path)).waiting).toBe(1);
    await release(tenant, path, last);
    expect((await fifth).fencing_token).toBeGreaterThan(next.fencing_token);
  });

  it('LOCK-23: the crash of a holder frees the lock after its ttl, also when the leader crashes meanwhile; the next gets it, once', async () => {
    const tenant = await newTenant({ name: 'lock-crash' });
    const path = '/v1/locks/a';
    // The client never says a word again.
    const holder = await acquired(tenant, path, { ttl: 3 });
    const got: Place[] = [];
    const waits = [1, 2].map(async () => {
      const place = await acquired(tenant, path, { ttl: 30, wait: 60 });
      got.push(place);
      return place;
    });
    await untilWaiting(tenant, path, 2);
    await crash(tenant.id, await leaderOf(tenant.key));
    const crashedMs = Date.now();
    const next = await Promise.race(waits);
    // The new leader gave the holder its full time again.
    expect(Date.now() - crashedMs).toBeGreaterThanOrEqual(2_500);
    expect(Date.now() - crashedMs).toBeLessThan(8_000);
    expect(next.fencing_token).toBeGreaterThan(holder.fencing_token);
    await scheduler.wait(500);
    expect(got).toEqual([next]);
    expect(await queue(tenant, path)).toMatchObject({ holders: [{ lease: next.lease }], waiting: 1 });
    expect(await release(tenant, path, next)).toBe(200);
    const [one, two] = await Promise.all(waits);
    expect(new Set([one?.lease, two?.lease, holder.lease]).size).toBe(3);
    // Those who waited kept their first places: nobody queued twice.
    expect(await queue(tenant, path)).toMatchObject({ waiting: 0 });
    expect(await leases(tenant)).toBe(1);
  }, 90_000);

  it('LOCK-24: a session lives on while its caller waits, longer than its ttl, also while the group rests', async () => {
    const tenant = await newTenant({ name: 'lock-session' });
    const path = '/v1/locks/a';
    const holder = await acquired(tenant, path, { ttl: 60 });
    const waiting = acquired(tenant, path, { ttl: 8, wait: 60 });
    await untilWaiting(tenant, path, 1);
    await scheduler.wait(20_000);
    await release(tenant, path, holder);
    const place = await waiting;
    expect(place.ttl).toBe(8);
    const response = await withKey(tenant.key, `/v1/leases/${place.lease}`);
    const lease: { ttl: number } = await response.json();
    expect(lease.ttl).toBeGreaterThanOrEqual(6);
  }, 90_000);

  it('LOCK-25: whose place is deleted while it waits is told at once', async () => {
    const tenant = await newTenant({ name: 'lock-lost' });
    const path = '/v1/locks/a';
    await acquired(tenant, path, { ttl: 60 });
    const lease = await post<{ id: string }>(tenant, '/v1/leases', { ttl: 60 });
    const waiting = post<{ type: string }>(tenant, path, { lease: lease.body.id, wait: 60 });
    await untilWaiting(tenant, path, 1);
    await (await withKey(tenant.key, `/v1/leases/${lease.body.id}`, { method: 'DELETE' })).arrayBuffer();
    const answer = await waiting;
    expect(answer.status).toBe(409);
    expect(answer.body.type).toContain('session-expired');
  });

  it('LOCK-26: the same call, sent again, has the same place; a lease that has one is answered with it', async () => {
    const tenant = await newTenant({ name: 'lock-again' });
    const path = '/v1/locks/a';
    const call = { 'Idempotency-Key': 'boot-7' };
    const first = await post<Place>(tenant, path, { ttl: 60 }, call);
    await crash(tenant.id, await leaderOf(tenant.key));
    const second = await post<Place>(tenant, path, { ttl: 60 }, call);
    expect(second.body).toMatchObject({ lease: first.body.lease, fencing_token: first.body.fencing_token });
    const third = await post<Place>(tenant, path, { lease: first.body.lease });
    expect(third.body).toMatchObject({ fencing_token: first.body.fencing_token, revision: 2 });
  });
});

describe('v3', () => {
  it('LOCK-28: a caller that closes its socket while it waits loses its place', async () => {
    const tenant = await newTenant({ name: 'lock-closed' });
    for (const ID of ['7', '8']) await post(tenant, '/v3/lease/grant', { ID, TTL: '60' });
    const name = base64('a');
    await post(tenant, '/v3/lock/lock', { name, lease: '7' });
    const response = await withKey(tenant.key, '/v3/lock/lock', { headers: { Upgrade: 'websocket' } });
    response.webSocket?.accept();
    response.webSocket?.send(JSON.stringify({ name, lease: '8' }));
    await untilWaiting(tenant, '/v1/locks/a', 1);
    response.webSocket?.close();
    await untilWaiting(tenant, '/v1/locks/a', 0);
    expect(await queue(tenant, '/v1/locks/a')).toMatchObject({ holders: [{ lease: '7' }] });
  });

  it('LOCK-27: a campaign that waits, and a stream that observes, see the next leader; a crash moves the wait on', async () => {
    const tenant = await newTenant({ name: 'election' });
    await post(tenant, '/v3/lease/grant', { ID: '7', TTL: '60' });
    await post(tenant, '/v3/lease/grant', { ID: '8', TTL: '60' });
    const name = base64('e');
    const first = await post<{ leader: object }>(tenant, '/v3/election/campaign', {
      name,
      lease: '7',
      value: base64('a'),
    });
    expect(first.status).toBe(200);
    const second = post<{ leader: { key: string } }>(tenant, '/v3/election/campaign', {
      name,
      lease: '8',
      value: base64('b'),
    });
    const count = async (): Promise<string> => {
      const range = { key: base64('e/'), range_end: base64('e0'), count_only: true };
      return (await post<{ count: string }>(tenant, '/v3/kv/range', range)).body.count;
    };
    while ((await count()) !== '2') await scheduler.wait(20);
    await crash(tenant.id, await leaderOf(tenant.key));
    const observed = await withKey(tenant.key, '/v3/election/observe', {
      method: 'POST',
      body: JSON.stringify({ name }),
    });
    const reader = observed.body?.pipeThrough(new TextDecoderStream()).getReader();
    expect((await reader?.read())?.value).toContain(`"value":"${base64('a')}"`);
    await post(tenant, '/v3/election/resign', { leader: first.body.leader });
    expect((await second).body.leader.key).toBe(base64('e/8'));
    expect((await reader?.read())?.value).toContain(`"value":"${base64('b')}"`);
    await reader?.cancel();
  }, 60_000);
});
