// A group of real objects: replication, crashes by abort, evictions, and watches that survive them.

import { evictDurableObject, runInDurableObject } from 'cloudflare:test';
import { beforeAll, describe, expect, it } from 'vitest';
import { groupLevelMax } from '../../src/model/levels.ts';
import {
  leaderOf,
  type NewTenant,
  newTenant,
  prepareDirectory,
  put,
  replicaStub,
  WatchSocket,
  withKey,
} from '../support/service.ts';

beforeAll(prepareDirectory);

const members = [1, 2, 3] as const;

/** Crashes one object: what was not durable is lost, and so is everything in memory. */
async function crash(tenant: NewTenant, replica: number): Promise<void> {
  await expect(
    runInDurableObject(replicaStub(tenant.id, replica), (_, state) => state.abort('crashed by the test')),
  ).rejects.toThrow();
}

/** The rows that make up the store, as one replica holds them. */
function dump(tenant: NewTenant, replica: number): Promise<string> {
  return runInDurableObject(replicaStub(tenant.id, replica), (_, state) => {
    const rows = (table: string) => [...state.storage.sql.exec(`SELECT * FROM ${table}`).raw()];
    return JSON.stringify({ head: rows('head'), superseded: rows('superseded') }, (_key, value: unknown) =>
      value instanceof ArrayBuffer ? [...new Uint8Array(value)] : value,
    );
  });
}

async function get(key: string, path: string): Promise<string> {
  const response = await withKey(key, `/v1/kv/${path}`);
  return response.status === 200 ? response.text() : String(response.status);
}

/** Waits for the group to rest, so that its objects may be evicted. */
async function untilResting(): Promise<void> {
  await scheduler.wait(6_000);
}

describe('a gateway whose code is of the version before', () => {
  it('GATEWAY-28: it calls a method for each kind of request', async () => {
    const tenant = await newTenant({ name: 'former-gateway' });
    const leader = replicaStub(tenant.id, await leaderOf(tenant.key));
    const doubted = { failedLeader: 0, suspectedLeader: 0 };
    expect(await leader.replicas(doubted)).toMatchObject({ kind: 'done', value: { kind: 'replicas', nextNumber: 4 } });
    const caller = { kind: 'service' } as const;
    expect(await leader.accessKeys({ caller, ...doubted })).toMatchObject({ kind: 'done', value: { kind: 'keys' } });
    const accessKey = {
      id: 'k',
      role: 'read',
      prefix: new Uint8Array(0),
      createdAtMs: 0,
      expiresAtMs: null,
      name: '',
    } as const;
    const operation = { kind: 'createAccessKey', accessKey } as const;
    const created = await leader.administer({ writeId: 's:1', caller, operation, ...doubted });
    expect(created).toMatchObject({ kind: 'done', value: { kind: 'createAccessKey' } });
    const added = await leader.addReplica({ number: 4, location: 'weur', replaces: null, ...doubted });
    expect(added).toMatchObject({ kind: 'done', value: { kind: 'replicas', nextNumber: 5 } });
    const unknown = await leader.removeReplica({ number: 9, ...doubted });
    expect(unknown).toMatchObject({ kind: 'done', value: { kind: 'failed' } });
    for (const number of [1, 2, 3, 4]) expect(await replicaStub(tenant.id, number).wipe()).toBeGreaterThanOrEqual(4);
    const members = [{ number: 1, location: 'weur' }];
    await replicaStub('formerly', 1).provision({ tenant: 'formerly', number: 1, members });
    expect(await replicaStub('formerly', 1).retire()).toBe(2);
  });
});

describe('a group of three', () => {
  it('GROUP-1: every replica comes to hold the same rows', async () => {
    const tenant = await newTenant({ name: 'same-rows' });
    for (let value = 0; value < 20; value++) await put(tenant.key, `k/${value % 7}`, String(value));
    await withKey(tenant.key, '/v1/kv/k/3', { method: 'DELETE' });
    await scheduler.wait(300);
    const [first, ...others] = await Promise.all(members.map((replica) => dump(tenant, replica)));
    for (const other of others) expect(other).toBe(first);
  });

  it('GROUP-2: with any one replica crashed, the next call succeeds and nothing acknowledged is missing', async () => {
    const tenant = await newTenant({ name: 'crash-one' });
    let value = 0;
    for (let round = 0; round < 2; round++) {
      for (const replica of members) {
        await put(tenant.key, `k/${value}`, String(value));
        await crash(tenant, replica);
        value++;
        await put(tenant.key, `k/${value}`, String(value));
        value++;
      }
    }
    for (let key = 0; key < value; key++) expect(await get(tenant.key, `k/${key}`)).toBe(String(key));
    const list: { count: number; revision: number } = await (await withKey(tenant.key, '/v1/kv?prefix=k/')).json();
    expect(list).toMatchObject({ count: value, revision: value + 1 });
  });

  it('GROUP-3: with the leader crashed while writes are under way, each is applied exactly once', async () => {
    const tenant = await newTenant({ name: 'crash-busy' });
    await put(tenant.key, 'first', '1');
    const writes = Array.from({ length: 60 }, (_, place) => put(tenant.key, `k/${place}`, 'x'));
    await crash(tenant, await leaderOf(tenant.key));
    writes.push(...Array.from({ length: 60 }, (_, place) => put(tenant.key, `later/${place}`, 'x')));
    const revisions = await Promise.all(writes);
    expect(new Set(revisions).size).toBe(120);
    const list: { kvs: { version: number }[]; revision: number } = await (
      await withKey(tenant.key, '/v1/kv?prefix=')
    ).json();
    expect(list.kvs.map((pair) => pair.version)).toEqual(list.kvs.map(() => 1));
    expect(list.revision).toBe(1 + 1 + 120);
  });

  it('GROUP-4: with all replicas crashed at once, the store goes on from storage', async () => {
    const tenant = await newTenant({ name: 'crash-all' });
    for (let value = 0; value < 5; value++) await put(tenant.key, `k/${value}`, String(value));
    await Promise.all(members.map((replica) => crash(tenant, replica)));
    for (let value = 0; value < 5; value++) expect(await get(tenant.key, `k/${value}`)).toBe(String(value));
    expect(await put(tenant.key, 'k/5', '5')).toBe(7);
  });

  it('GROUP-5: the same Idempotency-Key is applied once, also by another leader, and answers the same', async () => {
    const tenant = await newTenant({ name: 'idempotent' });
    const init = { method: 'PUT', body: 'once', headers: { 'Idempotency-Key': 'order-17' } };
    const first: unknown = await (await withKey(tenant.key, '/v1/kv/a', init)).json();
    await put(tenant.key, 'a', 'changed since');
    const second: unknown = await (await withKey(tenant.key, '/v1/kv/a', init)).json();
    expect(second).toEqual(first);
    await crash(tenant, await leaderOf(tenant.key));
    const third: unknown = await (await withKey(tenant.key, '/v1/kv/a', init)).json();
    expect(third).toEqual(first);
    expect(await get(tenant.key, 'a')).toBe('changed since');
  });

  it('GROUP-9: an Idempotency-Key that named another request is 422 at once, and that request is not done', async () => {
    const tenant = await newTenant({ name: 'reused' });
    // The group rises to the newest level with its first ticks.
    await expect.poll(() => levelOf(tenant.key), { timeout: 10_000 }).toBe(groupLevelMax);
    const first: unknown = await (await withKey(tenant.key, '/v1/kv/i1', named('PUT', 'v'))).json();
    const others = [
      ['/v1/kv/i2', named('PUT', 'v')],
      ['/v1/kv/i1', named('PUT', 'w')],
      ['/v1/kv/i1', named('DELETE')],
      ['/v1/kv?prefix=i', named('DELETE')],
      ['/v1/leases', named('POST', '{"ttl":60}')],
      ['/v1/locks/l', named('POST', '{"ttl":60}')],
    ] as const;
    for (const [path, init] of others) {
      const answer = await withKey(tenant.key, path, init);
      expect(answer.status, path).toBe(422);
      expect(await answer.json()).toMatchObject({ type: 'urn:quorate:problem:idempotency-key-reused' });
    }
    const v3 = { ...named('POST', '{"key":"aTI=","value":"dg=="}') };
    const put3 = await withKey(tenant.key, '/v3/kv/put', v3);
    expect([put3.status, await put3.json()]).toMatchObject([400, { code: 3 }]);
    expect(await (await withKey(tenant.key, '/v1/kv/i1', named('PUT', 'v'))).json()).toEqual(first);
    expect((await withKey(tenant.key, '/v1/kv/i2')).status).toBe(404);
    expect(await get(tenant.key, 'i1')).toBe('v');
  });
});

function named(method: string, body?: string): RequestInit {
  return { method, headers: { 'Idempotency-Key': 'one' }, ...(body === undefined ? {} : { body }) };
}

/** The level of the group, as its leader has it. */
async function levelOf(key: string): Promise<number> {
  const { level } = await (await withKey(key, '/v1/status')).json<{ level: number }>();
  return level;
}

describe('compaction', () => {
  it('GROUP-8: what a compaction made superfluous leaves every replica, and later revisions stay', async () => {
    const tenant = await newTenant({ name: 'compacted' });
    for (let value = 0; value < 30; value++) await put(tenant.key, 'k', String(value));
    const compacted = await withKey(tenant.key, '/v3/kv/compaction', { method: 'POST', body: '{"revision":"25"}' });
    expect(compacted.status).toBe(200);
    expect((await withKey(tenant.key, '/v1/kv/k?revision=24')).status).toBe(410);
    await scheduler.wait(500);
    for (const replica of members) {
      const oldest = await runInDurableObject(replicaStub(tenant.id, replica), (_, state) =>
        state.storage.sql.exec('SELECT min(mod) AS oldest FROM superseded').one(),
      );
      expect(oldest).toEqual({ oldest: 25 });
    }
    expect(await get(tenant.key, 'k?revision=25')).toBe('23');
  });
});

describe('asleep', () => {
  it('GROUP-6: a resting group can be evicted, and answers the next call', async () => {
    const tenant = await newTenant({ name: 'evicted' });
    await put(tenant.key, 'a', '1');
    await untilResting();
    for (const replica of members) await evictDurableObject(replicaStub(tenant.id, replica));
    expect(await get(tenant.key, 'a')).toBe('1');
    expect(await put(tenant.key, 'a', '2')).toBe(3);
  });

  it('GROUP-7: a watch on an object that slept goes on without a gap and without a repetition', async () => {
    const tenant = await newTenant({ name: 'slept' });
    const watch = await WatchSocket.open(tenant.key, 'prefix=k/');
    expect(await watch.next()).toMatchObject({ type: 'created' });
    await put(tenant.key, 'k/a', '1');
    expect(await watch.next()).toMatchObject({ type: 'events', revision: 2 });
    await untilResting();
    for (const replica of members)
      await evictDurableObject(replicaStub(tenant.id, replica), { webSockets: 'hibernate' });
    await put(tenant.key, 'k/b', '2');
    expect(await watch.next()).toMatchObject({ type: 'events', revision: 3, events: [{ kv: { key: 'k/b' } }] });
    await put(tenant.key, 'k/c', '3');
    expect(await watch.next()).toMatchObject({ type: 'events', revision: 4 });
    watch.socket.close();
  });
});
