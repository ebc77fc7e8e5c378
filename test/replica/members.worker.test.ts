// Members that join, leave, move and are lost, on real objects, while the group serves.

import { runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test';
import { beforeAll, describe, expect, it } from 'vitest';
import { createApp } from '../../src/gateway/app.ts';
import {
  asOperator,
  bindings,
  leaderOf,
  type NewTenant,
  newTenant,
  prepareDirectory,
  put,
  replicaStub,
  withKey,
} from '../support/service.ts';

beforeAll(prepareDirectory);

type Replica = {
  id: number;
  location: string;
  role: string;
  match: number | null;
  state: string;
  replaces: number | null;
};

async function replicasOf(tenant: NewTenant): Promise<Replica[]> {
  const response = await asOperator(`/v1/tenants/${tenant.id}/replicas`);
  expect(response.status).toBe(200);
  return (await response.json<{ replicas: Replica[] }>()).replicas;
}

async function add(tenant: NewTenant, body: Record<string, unknown> = {}): Promise<Replica> {
  const response = await asOperator(`/v1/tenants/${tenant.id}/replicas`, {
    method: 'POST',
    body: JSON.stringify(body),
  });
  if (response.status !== 202)
    throw new Error(`adding a replica answered ${response.status}: ${await response.text()}`);
  return response.json();
}

/** Waits until the group is these voters and nothing else. */
async function untilVoters(tenant: NewTenant, ids: readonly number[]): Promise<Replica[]> {
  for (;;) {
    const replicas = await replicasOf(tenant);
    const isDone =
      replicas.every(({ role }) => role !== 'learner') && replicas.map(({ id }) => id).join() === ids.join();
    if (isDone) return replicas;
    await scheduler.wait(100);
  }
}

function rowsOf(tenant: NewTenant, replica: number): Promise<string> {
  return runInDurableObject(replicaStub(tenant.id, replica), (_, state) =>
    JSON.stringify([...state.storage.sql.exec('SELECT * FROM head').raw()], (_key, value: unknown) =>
      value instanceof ArrayBuffer ? [...new Uint8Array(value)] : value,
    ),
  );
}

function tablesOf(tenant: NewTenant, replica: number): Promise<string[]> {
  return runInDurableObject(replicaStub(tenant.id, replica), (_, state) =>
    [...state.storage.sql.exec(`SELECT name FROM sqlite_master WHERE name NOT LIKE '\\_cf%' ESCAPE '\\'`).raw()].map(
      String,
    ),
  );
}

describe('replicas of a group', () => {
  it('MEMBER-1: a replica that is added catches up and votes', async () => {
    const tenant = await newTenant({ name: 'one-more', replicas: 1 });
    for (let value = 0; value < 20; value++) await put(tenant.key, `k/${value}`, String(value));
    const added = await add(tenant, { location: 'apac' });
    expect(added).toMatchObject({ id: 2, location: 'apac' });
    const replicas = await untilVoters(tenant, [1, 2]);
    expect(replicas.map(({ role }) => role).sort()).toEqual(['follower', 'leader']);
    await put(tenant.key, 'k/last', 'x');
    await scheduler.wait(300);
    expect(await rowsOf(tenant, 2)).toBe(await rowsOf(tenant, 1));
  });

  it('MEMBER-2: one call moves a replica; the one that left tells callers who the members are, and its data are gone', async () => {
    const tenant = await newTenant({ name: 'moved', placement: ['weur', 'eeur', 'enam'] });
    for (let value = 0; value < 10; value++) await put(tenant.key, `k/${value}`, String(value));
    const leader = await leaderOf(tenant.key);
    const moved = await add(tenant, { location: 'oc', replaces: leader });
    expect(moved).toMatchObject({ id: 4, location: 'oc', replaces: leader });
    const left = [1, 2, 3, 4].filter((id) => id !== leader);
    await untilVoters(tenant, left);
    expect(await put(tenant.key, 'k/after', 'x')).toBe(12);
    await scheduler.wait(300);
    expect(await rowsOf(tenant, 4)).toBe(await rowsOf(tenant, left[0] ?? 0));
    expect(await tablesOf(tenant, leader)).toEqual(['removal']);
    const late = await replicaStub(tenant.id, leader).fetch('http://quorate.test/v1/status');
    expect([late.status, late.headers.get('quorate-members')]).toEqual([421, left.join(',')]);
    const shown = await (await asOperator(`/v1/tenants/${tenant.id}`)).json();
    expect(shown).toMatchObject({ replicas: left.map((id) => ({ id })) });
  });

  it('MEMBER-3: a group goes from 1 to 3 to 5 to 3 replicas while it serves, and each write is applied once', async () => {
    const tenant = await newTenant({ name: 'breathing', replicas: 1 });
    const over = new AbortController();
    let written = 0;
    const writers = Array.from({ length: 4 }, async (_, writer) => {
      for (let count = 0; !over.signal.aborted; count++) {
        await put(tenant.key, `w/${writer}/${count}`, 'x');
        written++;
      }
    });
    await add(tenant);
    await add(tenant);
    await untilVoters(tenant, [1, 2, 3]);
    await add(tenant);
    await add(tenant);
    await untilVoters(tenant, [1, 2, 3, 4, 5]);
    const sixth = await asOperator(`/v1/tenants/${tenant.id}/replicas`, { method: 'POST' });
    expect([sixth.status, await sixth.json()]).toMatchObject([
      409,
      { type: expect.stringContaining('too-many-replicas') },
    ]);
    for (const id of [await leaderOf(tenant.key), 0]) {
      const number = id === 0 ? ((await replicasOf(tenant)).find(({ role }) => role === 'follower')?.id ?? 0) : id;
      const removed = await asOperator(`/v1/tenants/${tenant.id}/replicas/${number}`, { method: 'DELETE' });
      expect(removed.status).toBe(204);
    }
    expect(await replicasOf(tenant)).toHaveLength(3);
    await expect.poll(() => written, { timeout: 30_000 }).toBeGreaterThan(100);
    over.abort();
    await Promise.all(writers);
    const list: { count: number; revision: number } = await (
      await withKey(tenant.key, '/v1/kv?prefix=w/&count_only=true')
    ).json();
    expect(list).toMatchObject({ count: written, revision: written + 1 });
  });

  it('MEMBER-4: a replica whose storage is lost is replaced by another one, which has everything', async () => {
    const tenant = await newTenant({ name: 'lost' });
    for (let value = 0; value < 10; value++) await put(tenant.key, `k/${value}`, String(value));
    const leader = await leaderOf(tenant.key);
    const lost = leader === 3 ? 2 : 3;
    await runInDurableObject(replicaStub(tenant.id, lost), async (_, state) => {
      await state.storage.deleteAll();
      state.abort('lost its storage');
    }).catch(() => undefined);
    await put(tenant.key, 'k/during', 'x');
    const others = [1, 2, 3, 4].filter((id) => id !== lost);
    await untilVoters(tenant, others);
    await scheduler.wait(300);
    expect(await rowsOf(tenant, 4)).toBe(await rowsOf(tenant, leader));
  }, 60_000);

  it('MEMBER-5: etcd’s member calls add a learner at a place, promote it, and remove it', async () => {
    const tenant = await newTenant({ name: 'by-etcd' });
    const call = async (path: string, body: Record<string, unknown>) => {
      const headers = { 'Quorate-Tenant': tenant.id };
      const response = await asOperator(`/v3/cluster/member/${path}`, {
        method: 'POST',
        body: JSON.stringify(body),
        headers,
      });
      return {
        status: response.status,
        body: await response.json<{ member?: { ID: string }; members: { isLearner?: boolean }[]; message?: string }>(),
      };
    };
    await put(tenant.key, 'k', 'v');
    const added = await call('add', { peerURLs: ['http://sam.quorate.internal:2380'], isLearner: true });
    expect(added.status).toBe(200);
    expect(added.body.members).toHaveLength(4);
    const ID = added.body.member?.ID ?? '';
    let promoted = await call('promote', { ID });
    for (let tries = 0; promoted.status !== 200 && tries < 50; tries++) {
      expect(promoted.body.message).toContain('in sync with leader');
      await scheduler.wait(100);
      promoted = await call('promote', { ID });
    }
    expect(promoted.body.members.some(({ isLearner }) => isLearner === true)).toBe(false);
    expect((await replicasOf(tenant)).find(({ id }) => id === 4)).toMatchObject({ location: 'sam', state: 'serving' });
    expect((await call('remove', { ID })).body.members).toHaveLength(3);
    expect((await call('remove', { ID })).status).toBe(404);
  });

  it('MEMBER-6: a tenant that is deleted leaves no byte of it in any object that was ever its replica', async () => {
    const tenant = await newTenant({ name: 'all-gone' });
    await put(tenant.key, 'k', 'v');
    await add(tenant, { replaces: 1 });
    await untilVoters(tenant, [2, 3, 4]);
    expect((await asOperator(`/v1/tenants/${tenant.id}?force=true`, { method: 'DELETE' })).status).toBe(204);
    for (const replica of [1, 2, 3, 4]) {
      expect(await tablesOf(tenant, replica), String(replica)).toEqual(['deletion']);
      // The object is as it would be after an hour.
      expect(await runDurableObjectAlarm(replicaStub(tenant.id, replica))).toBe(true);
      expect(await tablesOf(tenant, replica), String(replica)).toEqual([]);
    }
  });

  it('MEMBER-8: once no object of the first replicas is left, the directory tells where the group is', async () => {
    const tenant = await newTenant({ name: 'moved-away', replicas: 1 });
    await put(tenant.key, 'k', 'v');
    await add(tenant, { replaces: 1 });
    await untilVoters(tenant, [2]);
    await add(tenant, { replaces: 2 });
    await untilVoters(tenant, [3]);
    await add(tenant, { replaces: 3 });
    await untilVoters(tenant, [4]);
    // The object is as it would be after an hour.
    for (const replica of [1, 2, 3]) expect(await runDurableObjectAlarm(replicaStub(tenant.id, replica))).toBe(true);
    for (const replica of [1, 2, 3]) expect(await tablesOf(tenant, replica)).toEqual([]);
    const fresh = createApp(bindings);
    const headers = { Authorization: `Bearer ${tenant.key}` };
    const response = await fresh.fetch(new Request('http://quorate.test/v1/kv/k', { headers }));
    expect([response.status, await response.text()]).toEqual([200, 'v']);
  }, 60_000);

  it('MEMBER-11: to go below three replicas that vote an operator has to insist', async () => {
    const tenant = await newTenant({ name: 'few', replicas: 3 });
    await put(tenant.key, 'k', 'v');
    const path = `/v1/tenants/${tenant.id}/replicas`;
    const remove = async (number: number, query = ''): Promise<unknown> => {
      const response = await asOperator(`${path}/${number}${query}`, { method: 'DELETE' });
      return response.status === 204 ? 204 : { status: response.status, ...(await response.json<object>()) };
    };
    const type = 'urn:quorate:problem:too-few-replicas';
    expect(await remove(2)).toMatchObject({ status: 409, type, staying: 2, min: 3 });
    expect(await remove(2, '?force=0')).toMatchObject({ status: 409, type });
    expect(await remove(2, '?force=maybe')).toMatchObject({ status: 400, detail: expect.stringContaining('force') });
    expect(await remove(2, '?faster')).toMatchObject({ status: 400, detail: expect.stringContaining('faster') });

    // The replica that takes another's place does not count twice: with it there are four for a moment.
    const moved = await asOperator(path, { method: 'POST', body: '{"location":"oc","replaces":1}' });
    expect(moved.status).toBe(202);
    expect(await remove(3)).toMatchObject({ status: 409, type });
    await untilVoters(tenant, [2, 3, 4]);

    expect(await remove(2, '?force')).toBe(204);
    expect(await remove(3)).toMatchObject({ status: 409, type, staying: 1 });
    expect(await remove(3, '?force=true')).toBe(204);
    expect(await (await withKey(tenant.key, '/v1/kv/k')).text()).toBe('v');
  }, 60_000);

  it('MEMBER-7: what cannot be done is refused by its name', async () => {
    const tenant = await newTenant({ name: 'refused', replicas: 1 });
    await put(tenant.key, 'k', 'v');
    const answer = async (method: string, path: string, body?: string) => {
      const response = await asOperator(`/v1/tenants/${tenant.id}/replicas${path}`, {
        method,
        ...(body === undefined ? {} : { body }),
      });
      return [response.status, await response.text()];
    };
    expect(await answer('DELETE', '/1')).toEqual([409, expect.stringContaining('last-replica')]);
    expect(await answer('DELETE', '/7')).toEqual([404, expect.stringContaining('no replica 7')]);
    expect(await answer('DELETE', '/x')).toEqual([400, expect.stringContaining('number of a replica')]);
    expect(await answer('POST', '', '{"location":"moon"}')).toEqual([
      400,
      expect.stringContaining('location must be one of'),
    ]);
    expect(await answer('POST', '', '{"replaces":9}')).toEqual([404, expect.stringContaining('no replica 9')]);
    expect(await answer('POST', '', '{"where":1}')).toEqual([400, expect.stringContaining('where')]);
    expect((await withKey(tenant.key, `/v1/tenants/${tenant.id}/replicas`)).status).toBe(401);
  });
});
