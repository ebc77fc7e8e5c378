// The directory and the groups in it: what it learns of their members, also late, and what is left of a deleted tenant.

import { runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test';
import { beforeAll, describe, expect, it } from 'vitest';
import { createApp } from '../../src/gateway/app.ts';
import { replicaId } from '../../src/model/brands.ts';
import { encodeConfiguration, foundingConfiguration } from '../../src/raft/configuration.ts';
import { Directory } from '../../src/tenants/directory.ts';
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

const directory = new Directory(bindings.DIRECTORY);

function tablesOf(tenant: NewTenant, replica: number): Promise<string[]> {
  return runInDurableObject(replicaStub(tenant.id, replica), (_, state) =>
    [...state.storage.sql.exec(`SELECT name FROM sqlite_master WHERE name NOT LIKE '\\_cf%' ESCAPE '\\'`).raw()].map(
      String,
    ),
  );
}

/** The change is made by etcd's calls; the operator's route has no part in it. */
async function members(tenant: NewTenant, path: string, body: object): Promise<{ ID: string; name: string }[]> {
  for (;;) {
    const response = await asOperator(`/v3/cluster/member/${path}`, {
      method: 'POST',
      body: JSON.stringify(body),
      headers: { 'Quorate-Tenant': tenant.id },
    });
    if (response.status === 200) return (await response.json<{ members: { ID: string; name: string }[] }>()).members;
    await scheduler.wait(50);
  }
}

async function untilVoters(tenant: NewTenant, names: readonly string[]): Promise<void> {
  for (;;) {
    const list = await members(tenant, 'list', {});
    const voters = list.filter((member) => !('isLearner' in member)).map(({ name }) => name);
    if (voters.join() === names.join()) return;
    await scheduler.wait(50);
  }
}

/** Each of the first replicas gives its place to another one. */
async function replaceAll(tenant: NewTenant): Promise<void> {
  for (const number of [1, 2, 3]) {
    await members(tenant, 'add', { peerURLs: ['http://sam.quorate.internal:2380'] });
    const stay = [1, 2, 3, 4, 5, 6].filter((one) => one >= number && one <= number + 3);
    await untilVoters(
      tenant,
      stay.map((one) => `replica-${one}`),
    );
    const ID = (await members(tenant, 'list', {})).find(({ name }) => name === `replica-${number}`)?.ID ?? '';
    await members(tenant, 'remove', { ID });
    await untilVoters(
      tenant,
      stay.slice(1).map((one) => `replica-${one}`),
    );
  }
}

/** The binding by which the objects of a tenant reach the directory. */
async function setDirectory(tenant: NewTenant, replicas: readonly number[], isAway: boolean): Promise<void> {
  const away = {
    withSession: () => {
      throw new Error('the directory is away');
    },
  };
  for (const replica of replicas) {
    await runInDurableObject(replicaStub(tenant.id, replica), (instance) => {
      Reflect.set(instance, 'env', { ...bindings, DIRECTORY: isAway ? away : bindings.DIRECTORY });
    });
  }
}

async function untilDirectoryHas(tenant: NewTenant, numbers: readonly number[]): Promise<void> {
  for (;;) {
    const replicas = (await directory.byId(tenant.id))?.replicas ?? [];
    if (replicas.map(({ number }) => number).join() === numbers.join()) return;
    await scheduler.wait(50);
  }
}

async function readOfFreshGateway(tenant: NewTenant): Promise<[number, string]> {
  const fresh = createApp(bindings);
  const headers = { Authorization: `Bearer ${tenant.key}` };
  const response = await fresh.fetch(new Request('http://quorate.test/v1/kv/k', { headers }));
  return [response.status, await response.text()];
}

function remove(tenant: NewTenant): Promise<Response> {
  return asOperator(`/v1/tenants/${tenant.id}?force=true`, { method: 'DELETE' });
}

async function expectNothingLeft(tenant: NewTenant, replicas: readonly number[]): Promise<void> {
  for (const replica of replicas) expect([replica, await tablesOf(tenant, replica)]).toEqual([replica, ['deletion']]);
  // The objects are as they would be after an hour.
  for (const replica of replicas) expect(await runDurableObjectAlarm(replicaStub(tenant.id, replica))).toBe(true);
  for (const replica of replicas) expect([replica, await tablesOf(tenant, replica)]).toEqual([replica, []]);
}

describe('what the directory knows', () => {
  it('MEMBER-24: once etcd’s calls have replaced every replica, a gateway that knows nothing finds the group', async () => {
    const tenant = await newTenant({ name: 'by-etcd' });
    await put(tenant.key, 'k', 'v');
    await replaceAll(tenant);
    await untilDirectoryHas(tenant, [4, 5, 6]);
    // The objects are as they would be after an hour.
    for (const replica of [1, 2, 3]) expect(await runDurableObjectAlarm(replicaStub(tenant.id, replica))).toBe(true);
    expect(await readOfFreshGateway(tenant)).toEqual([200, 'v']);
  }, 60_000);

  it('MEMBER-25: a directory that is away holds nothing up, and learns of the members when the group is woken for it', async () => {
    const tenant = await newTenant({ name: 'away', replicas: 1 });
    await put(tenant.key, 'k', 'v');
    await setDirectory(tenant, [1], true);
    await members(tenant, 'add', { peerURLs: ['http://sam.quorate.internal:2380'], isLearner: true });
    expect(await put(tenant.key, 'k', 'w')).toBe(3);
    expect((await directory.byId(tenant.id))?.replicas).toHaveLength(1);
    const alarmMs = async (): Promise<number | null> =>
      runInDurableObject(replicaStub(tenant.id, 1), (_, state) => state.storage.getAlarm());
    while ((await alarmMs()) === null) await scheduler.wait(100);
    await setDirectory(tenant, [1], false);
    await runInDurableObject(replicaStub(tenant.id, 1), async (_, state) => {
      state.storage.sql.exec('UPDATE directory_entry SET wake_at_ms = 1');
      await state.storage.sync();
      state.abort('made anew by the test');
    }).catch(() => undefined);
    await runDurableObjectAlarm(replicaStub(tenant.id, 1));
    await untilDirectoryHas(tenant, [1, 2]);
  }, 60_000);

  it('MEMBER-26: an older entry never takes the place of a newer one, and a number that was given is never forgotten', async () => {
    const tenant = await newTenant({ name: 'in-order' });
    const told = (configuredAt: number, number: number, nextNumber: number) =>
      directory.configured(tenant.id, { configuredAt, nextNumber, replicas: [{ number, location: 'oc' }] });
    await told(50, 7, 8);
    await told(40, 5, 9);
    await told(50, 6, 7);
    expect(await directory.byId(tenant.id)).toMatchObject({ replicas: [{ number: 7, location: 'oc' }], nextNumber: 9 });
    await told(51, 4, 5);
    expect(await directory.byId(tenant.id)).toMatchObject({ replicas: [{ number: 4 }], nextNumber: 9 });
    await directory.configured('nosuchtenant', { configuredAt: 1, nextNumber: 2, replicas: [] });
    expect(await directory.byId('nosuchtenant')).toBeNull();
  });
});

describe('deleting a tenant', () => {
  it('TENANT-17: every object that was ever a replica is wiped, also those that the directory was never told of', async () => {
    const tenant = await newTenant({ name: 'untold' });
    await put(tenant.key, 'k', 'v');
    await setDirectory(tenant, [1, 2, 3, 4, 5, 6], true);
    await replaceAll(tenant);
    expect(await directory.byId(tenant.id)).toMatchObject({ nextNumber: 4 });
    expect((await remove(tenant)).status).toBe(204);
    await expectNothingLeft(tenant, [1, 2, 3, 4, 5, 6]);
  }, 60_000);

  it('TENANT-18: a deletion that broke off half-way is finished when it is asked for again', async () => {
    const tenant = await newTenant({ name: 'broken-off' });
    await put(tenant.key, 'k', 'v');
    await setDirectory(tenant, [1, 2, 3, 4], true);
    await members(tenant, 'add', { peerURLs: ['http://sam.quorate.internal:2380'] });
    await untilVoters(tenant, ['replica-1', 'replica-2', 'replica-3', 'replica-4']);
    const leader = await leaderOf(tenant.key);
    const survivor = leader === 4 ? 3 : 4;
    const stub = replicaStub(tenant.id, survivor);
    await runInDurableObject(stub, (instance) => {
      const ask = instance.ask.bind(instance);
      instance.ask = (request) =>
        request.kind === 'wipe' ? Promise.reject(new Error('the test breaks it off')) : ask(request);
    });
    const brokenOff = await remove(tenant);
    expect([brokenOff.status, await brokenOff.json()]).toMatchObject([
      503,
      { detail: expect.stringContaining('again') },
    ]);
    expect(await directory.byId(tenant.id)).toMatchObject({ state: 'deleting', nextNumber: 5 });
    expect((await withKey(tenant.key, '/v1/kv/k')).status).toBe(401);
    await runInDurableObject(stub, (instance) => Reflect.deleteProperty(instance, 'ask'));
    // The objects that were wiped know nothing any more, as after an hour.
    for (const replica of [1, 2, 3, 4])
      if (replica !== survivor) await runDurableObjectAlarm(replicaStub(tenant.id, replica));
    expect((await remove(tenant)).status).toBe(204);
    await expectNothingLeft(tenant, [1, 2, 3, 4]);
    expect((await remove(tenant)).status).toBe(404);
  }, 60_000);

  it('TENANT-19: no object becomes a replica again, by a call that was slow or of a leader that is not wiped yet', async () => {
    const tenant = await newTenant({ name: 'slow-calls' });
    await put(tenant.key, 'k', 'v');
    const placed = [1, 2, 3].map((number) => ({ number, location: 'weur' }));
    const founding = foundingConfiguration(placed.map(({ number, location }) => ({ id: replicaId(number), location })));
    const slowCalls = async (number: number): Promise<void> => {
      const stub = replicaStub(tenant.id, number);
      await stub.ask({ kind: 'provision', tenant: tenant.id, number, members: placed });
      await stub.join(tenant.id, {
        number: replicaId(number),
        location: 'weur',
        configuration: encodeConfiguration(founding),
      });
    };
    await replicaStub(tenant.id, 2).ask({ kind: 'retire' });
    await slowCalls(2);
    expect(await replicaStub(tenant.id, 2).receive(new Uint8Array(0))).toEqual({ kind: 'left' });
    expect((await remove(tenant)).status).toBe(204);
    for (const number of [1, 2, 3]) await slowCalls(number);
    await expectNothingLeft(tenant, [1, 2, 3]);
  });

  it('TENANT-20: a tenant that was taken back while it was made does not come to be', async () => {
    const tenant = await newTenant({ name: 'taken-back', replicas: 1 });
    const audit = { atMs: 1, actor: 'operator', action: 'tenant.create', tenantId: tenant.id, detail: 'late' } as const;
    const recorded = () => directory.audit({ tenant: tenant.id, actor: null, sinceMs: null, before: null, limit: 9 });
    expect(await directory.setReady(tenant.id, null, audit)).toBe(false);
    await directory.setDeleting(tenant.id, { retryAtMs: 0 });
    expect(await directory.setReady(tenant.id, null, audit)).toBe(false);
    expect((await recorded()).map(({ detail }) => detail)).toEqual(['taken-back']);
    expect(await directory.byId(tenant.id)).toMatchObject({ state: 'deleting' });
  });
});
