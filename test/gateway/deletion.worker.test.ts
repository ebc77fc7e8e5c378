// How a tenant is deleted: it is kept for a while, can be taken back, and is then wiped by the schedule.

import { runInDurableObject } from 'cloudflare:test';
import { exports } from 'cloudflare:workers';
import { beforeAll, describe, expect, it } from 'vitest';
import { DueWipes } from '../../src/gateway/due-wipes.ts';
import { GroupRouter } from '../../src/gateway/group-router.ts';
import { type Administered, Provisioning } from '../../src/gateway/provisioning.ts';
import { runSchedule } from '../../src/gateway/schedule.ts';
import {
  deletionPeriodSecondsDefault,
  deletionPeriodSecondsMax,
  deletionPeriodSecondsMin,
  wipeRetryMs,
  wipesOfRunMax,
} from '../../src/limits.ts';
import type { Routed } from '../../src/routing/attempts.ts';
import { Directory } from '../../src/tenants/directory.ts';
import { KeyRing } from '../../src/tenants/key-text.ts';
import { Signatures } from '../../src/tenants/signatures.ts';
import { Operator } from '../support/etcd-client.ts';
import {
  asOperator,
  bindings,
  newTenant,
  type NewTenant,
  prepareDirectory,
  put,
  replicaStub,
  WatchSocket,
  withKey,
} from '../support/service.ts';

beforeAll(prepareDirectory);

const directory = new Directory(bindings.DIRECTORY);
const schedule = (nowMs: number): Promise<void> => runSchedule(bindings, nowMs);

type Shown = { readonly state: string; readonly wipe_at?: string };

async function remove({ id }: NewTenant, query = ''): Promise<Shown> {
  const response = await asOperator(`/v1/tenants/${id}${query}`, { method: 'DELETE' });
  expect(response.status).toBe(200);
  return response.json();
}

const restore = ({ id }: NewTenant): Promise<Response> => asOperator(`/v1/tenants/${id}/restore`, { method: 'POST' });

function countOfMany(): Promise<number | null> {
  return bindings.DIRECTORY.prepare("SELECT count(*) AS count FROM tenants WHERE id LIKE 'many%'").first('count');
}

async function actionsOf({ id }: NewTenant): Promise<string[]> {
  const page: { entries: { actor: string; action: string }[] } = await (
    await asOperator(`/v1/audit?tenant=${id}`)
  ).json();
  return page.entries.map(({ actor, action }) => `${action} by ${actor}`).toReversed();
}

describe('TENANT-34: a deleted tenant', () => {
  it('refuses with the reason and the time, ends its streams, and keeps its name', async () => {
    const tenant = await newTenant({ name: 'kept' });
    await put(tenant.key, 'a', '1');
    const watch = await WatchSocket.open(tenant.key, 'prefix=a');
    expect(await watch.next()).toMatchObject({ type: 'created' });
    const beforeMs = Date.now();
    const deleted = await remove(tenant);
    expect(deleted.state).toBe('deleted');
    const wipeAtMs = Date.parse(deleted.wipe_at ?? '');
    expect(wipeAtMs).toBeGreaterThanOrEqual(beforeMs + deletionPeriodSecondsDefault * 1_000);
    expect(wipeAtMs).toBeLessThanOrEqual(Date.now() + deletionPeriodSecondsDefault * 1_000);
    expect(await watch.next()).toMatchObject({ type: 'canceled' });
    expect((await watch.closed).code).toBe(4403);
    for (const path of ['/v1/kv/a', '/v1/status', '/v1/watch?prefix=a', `/v1/tenants/${tenant.id}/keys`, '/v1/audit']) {
      const refused = await withKey(tenant.key, path);
      expect([path, refused.status, await refused.json()]).toMatchObject([
        path,
        403,
        { type: 'urn:quorate:problem:tenant-under-deletion', wipe_at: deleted.wipe_at },
      ]);
    }
    const shown = await (await withKey(tenant.key, '/v1/whoami')).json();
    expect(shown).toMatchObject({ state: 'deleted', wipe_at: deleted.wipe_at });
    const second = await asOperator('/v1/tenants', { method: 'POST', body: '{"name":"kept"}' });
    expect([second.status, await second.text()]).toEqual([409, expect.stringContaining('force')]);
    const listed: { tenants: { id: string }[] } = await (await asOperator('/v1/tenants?state=deleted')).json();
    expect(listed.tenants.map(({ id }) => id)).toEqual([tenant.id]);
    expect(await remove(tenant)).toMatchObject({ state: 'deleted', wipe_at: deleted.wipe_at });
    const sooner = await remove(tenant, `?keep_for=${deletionPeriodSecondsMin}`);
    expect(Date.parse(sooner.wipe_at ?? '')).toBeLessThan(wipeAtMs);
  });

  it('is kept for as long as the request says, within bounds', async () => {
    const tenant = await newTenant({ name: 'bounds', replicas: 1 });
    const beyond = [`keep_for=${deletionPeriodSecondsMin - 1}`, `keep_for=${deletionPeriodSecondsMax + 1}`];
    for (const query of [...beyond, 'keep_for=1d', 'force=true&keep_for=60', 'force=maybe', 'for=60']) {
      const response = await asOperator(`/v1/tenants/${tenant.id}?${query}`, { method: 'DELETE' });
      expect([query, response.status]).toEqual([query, 400]);
    }
    for (const seconds of [deletionPeriodSecondsMin, deletionPeriodSecondsMax]) {
      const { wipe_at: at = '' } = await remove(tenant, `?keep_for=${seconds}`);
      expect(Math.abs(Date.parse(at) - Date.now() - seconds * 1_000)).toBeLessThan(30_000);
    }
  });
});

describe('TENANT-35: a deletion is taken back', () => {
  it('by one call, after which the tenant serves, or is suspended, as before', async () => {
    const tenant = await newTenant({ name: 'restored', replicas: 1 });
    await put(tenant.key, 'a', '1');
    await remove(tenant, '?keep_for=60');
    expect((await withKey(tenant.key, '/v1/kv/a')).status).toBe(403);
    const restored = await restore(tenant);
    expect([restored.status, await restored.json()]).toMatchObject([200, { state: 'ready' }]);
    expect(await (await withKey(tenant.key, '/v1/kv/a')).text()).toBe('1');
    await schedule(Date.now() + deletionPeriodSecondsMax * 2_000);
    expect(await put(tenant.key, 'a', '2')).toBe(3);
    await asOperator(`/v1/tenants/${tenant.id}`, { method: 'PATCH', body: '{"state":"suspended"}' });
    await remove(tenant);
    expect(await (await restore(tenant)).json()).toMatchObject({ state: 'suspended' });
    const refused: { type: string } = await (await withKey(tenant.key, '/v1/kv/a')).json();
    expect(refused.type).toBe('urn:quorate:problem:tenant-suspended');
    expect((await restore({ ...tenant, id: 'nosuchtenant' })).status).toBe(404);
    expect((await withKey(tenant.key, `/v1/tenants/${tenant.id}/restore`, { method: 'POST' })).status).toBe(401);
  });

  it('until it is being wiped', async () => {
    const tenant = await newTenant({ name: 'too-late', replicas: 1 });
    await directory.setDeleting(tenant.id, { retryAtMs: 0 });
    expect((await restore(tenant)).status).toBe(409);
    await schedule(Date.now());
    expect((await restore(tenant)).status).toBe(404);
  });
});

describe('TENANT-36: the schedule', () => {
  it('wipes what is due, with every object, and TENANT-37: it is in the audit', async () => {
    const [due, later, living] = [
      await newTenant({ name: 'due' }),
      await newTenant({ name: 'later', replicas: 1 }),
      await newTenant({ name: 'living', replicas: 1 }),
    ];
    await put(due.key, 'a', '1');
    const nowMs = Date.now();
    await remove(due, '?keep_for=60');
    await remove(later, '?keep_for=600');
    await schedule(nowMs + 59_000);
    expect((await asOperator(`/v1/tenants/${due.id}`)).status).toBe(200);
    await schedule(nowMs + 120_000);
    expect((await asOperator(`/v1/tenants/${due.id}`)).status).toBe(404);
    for (const replica of [1, 2, 3]) {
      const tables = await runInDurableObject(replicaStub(due.id, replica), (_, state) =>
        state.storage.sql.exec("SELECT name FROM sqlite_master WHERE name NOT LIKE '\\_cf%' ESCAPE '\\'").toArray(),
      );
      expect(tables).toEqual([{ name: 'deletion' }]);
    }
    expect((await withKey(due.key, '/v1/kv/a')).status).toBe(401);
    expect((await restore(later)).status).toBe(200);
    expect(await put(later.key, 'a', '1')).toBe(2);
    expect(await put(living.key, 'a', '1')).toBe(2);
    expect(await actionsOf(due)).toEqual([
      'tenant.create by operator',
      'tenant.delete by operator',
      'tenant.wipe by service',
    ]);
    expect((await actionsOf(later)).slice(1)).toEqual(['tenant.delete by operator', 'tenant.restore by operator']);
    await newTenant({ name: 'due', replicas: 1 });
  });

  it('wipes no tenant whose group may serve its callers', async () => {
    const tenant = await newTenant({ name: 'untold', replicas: 1 });
    // The call that deletes it broke off before the group was told.
    await directory.setWipeAt(tenant.id, 1_000);
    await schedule(Date.now());
    expect(await put(tenant.key, 'a', '1')).toBe(2);
    // Another call took the deletion back while this one told the group.
    await directory.setWipeAt(tenant.id, null);
    expect(await directory.setWipeTold(tenant.id, 1_000)).toBe(false);
    await directory.setWipeAt(tenant.id, 2_000);
    expect(await directory.setWipeTold(tenant.id, 1_000)).toBe(false);
    await schedule(Date.now());
    expect(await put(tenant.key, 'a', '2')).toBe(3);
  });

  it('goes on with a wipe that broke off, after wipeRetryMs', async () => {
    const tenant = await newTenant({ name: 'broken-off', replicas: 1 });
    const nowMs = Date.now();
    await directory.setDeleting(tenant.id, { retryAtMs: nowMs + wipeRetryMs });
    await schedule(nowMs + wipeRetryMs - 1);
    expect((await asOperator(`/v1/tenants/${tenant.id}`)).status).toBe(200);
    await schedule(nowMs + wipeRetryMs);
    expect((await asOperator(`/v1/tenants/${tenant.id}`)).status).toBe(404);
  });

  it('wipes wipesOfRunMax tenants in one run', async () => {
    const insert = bindings.DIRECTORY.prepare(
      "INSERT INTO tenants (id, name, state, created_at_ms, wipe_at_ms, wipe_told) VALUES (?1, ?1, 'ready', 1, 5, 1)",
    );
    await bindings.DIRECTORY.batch(Array.from({ length: wipesOfRunMax + 1 }, (_, at) => insert.bind(`many${at}`)));
    await schedule(10);
    expect(await countOfMany()).toBe(1);
    await schedule(10);
    expect(await countOfMany()).toBe(0);
  });

  it('is what the deployed Worker does at its cron trigger', async () => {
    const worker = exports as unknown as { default: { scheduled(event: object): Promise<unknown> } };
    const tenant = await newTenant({ name: 'by-cron', replicas: 1 });
    await remove(tenant, '?keep_for=60');
    await worker.default.scheduled({ scheduledTime: Date.now() + 120_000, cron: '' });
    expect((await asOperator(`/v1/tenants/${tenant.id}`)).status).toBe(404);
  });
});

/** Announces a downgrade, or ends it, and waits until the group knows terms no more, or again. */
async function downgrade({ id }: NewTenant, action: 'ENABLE' | 'CANCEL'): Promise<void> {
  await new Operator(id).done('/v3/maintenance/downgrade', { action, version: '3.6' });
  const body = '{"limits":{"reads_per_second":null}}';
  const wanted = action === 'ENABLE' ? 409 : 200;
  const change = async () => (await asOperator(`/v1/tenants/${id}`, { method: 'PATCH', body })).status;
  await expect.poll(change, { timeout: 20_000 }).toBe(wanted);
}

async function show({ id }: NewTenant): Promise<Shown> {
  const response = await asOperator(`/v1/tenants/${id}`);
  expect(response.status).toBe(200);
  return response.json();
}

async function auditOf({ id }: NewTenant): Promise<unknown[]> {
  const page: { entries: unknown[] } = await (await asOperator(`/v1/audit?tenant=${id}`)).json();
  return page.entries;
}

/** Runs the schedule. `first` is done before a group is told the first time, and may answer in its place. */
async function scheduleWhile(first: () => Promise<Routed<Administered> | null>, nowMs: number): Promise<void> {
  const groups = new GroupRouter(bindings.REPLICA, (id) => directory.placedReplicas(id));
  const provisioning = new Provisioning(directory, groups, new KeyRing(new Signatures('')));
  let calls = 0;
  const told: Pick<Provisioning, 'administer' | 'wipeIfDue'> = {
    administer: async (...call) => (calls++ === 0 ? await first() : null) ?? provisioning.administer(...call),
    wipeIfDue: (tenant, atMs) => provisioning.wipeIfDue(tenant, atMs),
  };
  await new DueWipes(directory, told).run(nowMs);
}

describe('a deleted tenant whose group has forgotten that', () => {
  const weekMs = deletionPeriodSecondsDefault * 1_000;

  it('TENANT-44: is not wiped while its group does not take that it is deleted', async () => {
    const tenant = await newTenant({ name: 'fallen', replicas: 1 });
    await downgrade(tenant, 'ENABLE');
    // As the gateway before would leave it: the deletion was told, and nobody noted that the level fell.
    const dueMs = Date.now();
    await directory.setWipeAt(tenant.id, dueMs);
    await directory.setWipeTold(tenant.id, dueMs);
    expect(await put(tenant.key, 'a', '1')).toBe(2);
    await schedule(dueMs);
    expect(await (await withKey(tenant.key, '/v1/kv/a')).text()).toBe('1');
    const retryMs = dueMs + wipeRetryMs;
    expect(await show(tenant)).toMatchObject({ state: 'deleted', wipe_at: new Date(retryMs).toISOString() });
    const postponed = { actor: 'service', action: 'tenant.wipe', refused: 'group-level-too-low' };
    expect((await auditOf(tenant))[0]).toMatchObject(postponed);
    // The level has risen: the group was told of no time yet that is still to come, so its callers are told of one.
    await downgrade(tenant, 'CANCEL');
    expect(await put(tenant.key, 'a', '2')).toBe(3);
    await schedule(retryMs);
    const wipeAt = new Date(retryMs + weekMs).toISOString();
    expect((await auditOf(tenant))[0]).toMatchObject({ actor: 'service', action: 'tenant.delete' });
    const refused = await withKey(tenant.key, '/v1/kv/a');
    expect([refused.status, await refused.json()]).toMatchObject([403, { wipe_at: wipeAt }]);
    await schedule(retryMs + weekMs);
    expect((await asOperator(`/v1/tenants/${tenant.id}`)).status).toBe(404);
  });

  it('TENANT-44: is not wiped while its group does not answer, and then at once', async () => {
    const tenant = await newTenant({ name: 'silent', replicas: 1 });
    await remove(tenant, '?keep_for=60');
    const dueMs = Date.now() + 60_000;
    await scheduleWhile(() => Promise.resolve({ kind: 'unavailable' }), dueMs);
    expect((await auditOf(tenant))[0]).toMatchObject({ action: 'tenant.wipe', refused: 'timeout' });
    await schedule(dueMs + wipeRetryMs - 1);
    expect(await show(tenant)).toMatchObject({ state: 'deleted' });
    await schedule(dueMs + wipeRetryMs);
    expect((await asOperator(`/v1/tenants/${tenant.id}`)).status).toBe(404);
  });

  it('TENANT-44: whoever takes the deletion back while the group is told once more has it back', async () => {
    const tenant = await newTenant({ name: 'just-in-time', replicas: 1 });
    await put(tenant.key, 'a', '1');
    await remove(tenant, '?keep_for=60');
    const takenBack = async (): Promise<null> => {
      expect((await restore(tenant)).status).toBe(200);
      return null;
    };
    await scheduleWhile(takenBack, Date.now() + 60_000);
    expect(await put(tenant.key, 'a', '2')).toBe(3);
  });

  it('TENANT-45: is told anew before its wipe, also where the level has risen since', async () => {
    const tenant = await newTenant({ name: 'risen', replicas: 1 });
    await remove(tenant, '?keep_for=60');
    await downgrade(tenant, 'ENABLE');
    expect(await put(tenant.key, 'a', '1')).toBe(2);
    await downgrade(tenant, 'CANCEL');
    const dueMs = Date.now() + 120_000;
    await schedule(dueMs);
    const wipeAt = new Date(dueMs + weekMs).toISOString();
    expect(await show(tenant)).toMatchObject({ state: 'deleted', wipe_at: wipeAt });
    expect(await (await withKey(tenant.key, '/v1/whoami')).json()).toMatchObject({ wipe_at: wipeAt });
    expect((await restore(tenant)).status).toBe(200);
    expect(await (await withKey(tenant.key, '/v1/kv/a')).text()).toBe('1');
    await directory.setDeleting(tenant.id, { retryAtMs: 0 });
    const late = await new Operator(tenant.id).post('/v3/maintenance/downgrade', { action: 'ENABLE', version: '3.6' });
    expect(late.status).toBe(409);
  });

  it('TENANT-46: is not listed as deleted where its group did not take the deletion', async () => {
    const tenant = await newTenant({ name: 'not-taken', replicas: 1 });
    await downgrade(tenant, 'ENABLE');
    const refused = await asOperator(`/v1/tenants/${tenant.id}`, { method: 'DELETE' });
    expect(refused.status).toBe(409);
    expect(await show(tenant)).toMatchObject({ state: 'ready' });
    // The level has not fallen yet, and will.
    await downgrade(tenant, 'CANCEL');
    const operator = new Operator(tenant.id);
    await operator.done('/v3/maintenance/downgrade', { action: 'ENABLE', version: '3.6' });
    expect((await asOperator(`/v1/tenants/${tenant.id}`, { method: 'DELETE' })).status).toBe(409);
    expect(await show(tenant)).toMatchObject({ state: 'ready' });
  });
});
