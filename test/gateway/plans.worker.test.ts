// Plans, and how the groups of their tenants hear of them, with the real directory and real objects.

import { beforeAll, describe, expect, it } from 'vitest';
import { runSchedule } from '../../src/gateway/schedule.ts';
import { ToldTerms } from '../../src/gateway/told-terms.ts';
import { plansMax, quotaBytesDefault, quotaBytesMax, termsRetryMs, termsToldMax } from '../../src/limits.ts';
import { Directory } from '../../src/tenants/directory.ts';
import { asOperator, bindings, newTenant, prepareDirectory, put, withKey } from '../support/service.ts';

beforeAll(prepareDirectory);

const directory = new Directory(bindings.DIRECTORY);
type Shown = { readonly plan: string; readonly limits: Record<string, unknown>; readonly own_limits: object };

const send = (path: string, method: string, body?: unknown): Promise<Response> =>
  asOperator(path, { method, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
const change = (id: string, body: unknown): Promise<Response> => send(`/v1/tenants/${id}`, 'PATCH', body);
const setPlan = (name: string, limits: object): Promise<Response> => send(`/v1/plans/${name}`, 'PUT', { limits });

async function shown(id: string): Promise<Shown> {
  return (await asOperator(`/v1/tenants/${id}`)).json();
}

/** What the tenant's group has in its log. */
async function known(key: string): Promise<Record<string, unknown>> {
  const own: { limits: Record<string, unknown> } = await (await withKey(key, '/v1/whoami')).json();
  return own.limits;
}

async function planNames(): Promise<string[]> {
  const { plans }: { plans: { name: string }[] } = await (await asOperator('/v1/plans')).json();
  return plans.map(({ name }) => name);
}

async function statusOfPut(key: string, name: string): Promise<number> {
  return (await withKey(key, `/v1/kv/${name}`, { method: 'PUT', body: '1' })).status;
}

describe('TENANT-47: plans', () => {
  it('are listed, shown, made, changed and removed', async () => {
    expect(await planNames()).toEqual(['free', 'large', 'standard']);
    expect(await (await asOperator('/v1/plans/standard')).json()).toMatchObject({
      limits: { bytes: quotaBytesDefault, keys: null, reads_per_second: null },
    });
    const made = await setPlan('tiny', { keys: 3, bytes: null });
    expect([made.status, await made.json()]).toMatchObject([
      200,
      { name: 'tiny', limits: { keys: 3, bytes: quotaBytesDefault }, tenants_to_tell: 0 },
    ]);
    await setPlan('large', { bytes: quotaBytesMax, keys: 9 });
    expect(await planNames()).toEqual(['free', 'large', 'standard', 'tiny']);
    expect(await (await asOperator('/v1/plans/large')).json()).toMatchObject({ limits: { keys: 9 } });
    expect((await send('/v1/plans/large', 'DELETE')).status).toBe(204);
    expect(await (await asOperator('/v1/plans/large')).json()).toMatchObject({ limits: { keys: null } });
    const tenant = await newTenant({ name: 'of-tiny', replicas: 1, plan: 'tiny' });
    const inUse = await send('/v1/plans/tiny', 'DELETE');
    expect([inUse.status, await inUse.json()]).toMatchObject([409, { type: 'urn:quorate:problem:plan-in-use' }]);
    const listed: { tenants: { id: string }[] } = await (await asOperator('/v1/tenants?plan=tiny')).json();
    expect(listed.tenants.map(({ id }) => id)).toEqual([tenant.id]);
    expect((await change(tenant.id, { plan: 'standard' })).status).toBe(200);
    expect((await send('/v1/plans/tiny', 'DELETE')).status).toBe(204);
    for (const [path, method, body] of [
      ['/v1/plans/tiny', 'GET', undefined],
      ['/v1/plans/tiny', 'DELETE', undefined],
      ['/v1/plans/Bad', 'PUT', {}],
    ] as const) {
      expect([path, method, (await send(path, method, body)).status]).toEqual([path, method, 404]);
    }
    expect((await send('/v1/tenants', 'POST', { name: 'of-none', plan: 'none' })).status).toBe(404);
    expect((await change(tenant.id, { plan: 'none' })).status).toBe(404);
    expect((await setPlan('tiny', { keys: 0 })).status).toBe(400);
    const audited: { entries: { action: string; detail: string }[] } = await (await asOperator('/v1/audit')).json();
    expect(audited.entries).toContainEqual(
      expect.objectContaining({ action: 'plan.set', detail: 'tiny {"keysMax":3}' }),
    );
  });

  it('plansMax of them may be made', async () => {
    const insert = bindings.DIRECTORY.prepare("INSERT INTO plans (name, terms) VALUES (?, '{}')");
    await bindings.DIRECTORY.batch(Array.from({ length: plansMax - 1 }, (_, n) => insert.bind(`many-${n}`)));
    expect((await setPlan('last', {})).status).toBe(200);
    expect((await setPlan('last', { keys: 1 })).status).toBe(200);
    const beyond = await setPlan('beyond', {});
    expect([beyond.status, await beyond.json()]).toMatchObject([409, { type: 'urn:quorate:problem:too-many-plans' }]);
    await bindings.DIRECTORY.prepare("DELETE FROM plans WHERE name LIKE 'many-%' OR name = 'last'").run();
  });
});

describe('TENANT-48: what counts for a tenant', () => {
  it('is what is set for it alone, then its plan, then what every tenant has', async () => {
    await setPlan('small', { keys: 2, reads_per_second: 1_000 });
    const tenant = await newTenant({ name: 'counted', replicas: 1, plan: 'small' });
    for (const name of ['a', 'b']) await put(tenant.key, name, '1');
    const full = await withKey(tenant.key, '/v1/kv/c', { method: 'PUT', body: '1' });
    expect([full.status, await full.json()]).toMatchObject([
      507,
      { type: 'urn:quorate:problem:too-many-keys', max: 2 },
    ]);
    const etcd = await withKey(tenant.key, '/v3/kv/put', { method: 'POST', body: '{"key":"Yw==","value":"MQ=="}' });
    expect(await etcd.json()).toMatchObject({ code: 8, message: 'etcdserver: mvcc: database space exceeded' });
    expect(await (await change(tenant.id, { limits: { keys: 3, leases: 1 } })).json()).toMatchObject({
      plan: 'small',
      limits: { keys: 3, leases: 1, reads_per_second: 1_000 },
      own_limits: { keys: 3, leases: 1 },
    });
    expect(await statusOfPut(tenant.key, 'c')).toBe(200);
    expect(await known(tenant.key)).toMatchObject({ keys: 3, leases: 1, reads_per_second: 1_000 });
    expect(await (await change(tenant.id, { limits: { keys: null } })).json()).toMatchObject({
      limits: { keys: 2, leases: 1 },
      own_limits: { leases: 1 },
    });
    expect([await statusOfPut(tenant.key, 'd'), await statusOfPut(tenant.key, 'a')]).toEqual([507, 200]);
    await change(tenant.id, { plan: 'standard' });
    expect(await known(tenant.key)).toMatchObject({ keys: null, leases: 1, reads_per_second: null });
    expect(await statusOfPut(tenant.key, 'd')).toBe(200);
  });
});

describe('TENANT-49: a change of a plan', () => {
  it('reaches its tenants at once, and goes before no limit of their own', async () => {
    await setPlan('shared', { keys: 5 });
    const [first, second, other] = await Promise.all([
      newTenant({ name: 'first-shared', replicas: 1, plan: 'shared' }),
      newTenant({ name: 'second-shared', replicas: 1, plan: 'shared' }),
      newTenant({ name: 'not-shared', replicas: 1 }),
    ]);
    await change(second.id, { limits: { keys: 8 } });
    expect(await (await setPlan('shared', { keys: 1, leases: 2 })).json()).toMatchObject({ tenants_to_tell: 0 });
    expect(await known(first.key)).toMatchObject({ keys: 1, leases: 2 });
    expect(await known(second.key)).toMatchObject({ keys: 8, leases: 2 });
    expect(await known(other.key)).toMatchObject({ keys: null });
    expect((await shown(first.id)).limits).toMatchObject({ keys: 1, leases: 2 });
  });

  it('is told again by the schedule until the group has heard', async () => {
    await setPlan('later', { keys: 5 });
    const tenant = await newTenant({ name: 'told-later', replicas: 1, plan: 'later' });
    const isToTell = (): Promise<number | null> =>
      bindings.DIRECTORY.prepare('SELECT tell_at_ms FROM tenants WHERE id = ?').bind(tenant.id).first('tell_at_ms');
    expect(await isToTell()).toBeNull();
    await bindings.DIRECTORY.prepare('UPDATE plans SET terms = ? WHERE name = ?').bind('{"keysMax":7}', 'later').run();
    const [nowMs] = [Date.now()];
    await bindings.DIRECTORY.prepare('UPDATE tenants SET terms_version = 9, tell_at_ms = ? WHERE id = ?')
      .bind(nowMs, tenant.id)
      .run();
    const silent = new ToldTerms(directory, { administer: () => Promise.resolve({ kind: 'unavailable' }) });
    await silent.run(nowMs);
    expect(await isToTell()).toBe(nowMs + termsRetryMs);
    await runSchedule(bindings, nowMs + termsRetryMs - 1);
    expect(await known(tenant.key)).toMatchObject({ keys: 5 });
    await runSchedule(bindings, nowMs + termsRetryMs);
    expect([await isToTell(), await known(tenant.key)]).toMatchObject([null, { keys: 7 }]);
  });

  it('is told termsToldMax groups in a run, and the next run goes on', async () => {
    const insert = bindings.DIRECTORY.prepare(
      "INSERT INTO tenants (id, name, state, created_at_ms, tell_at_ms) VALUES (?1, ?1, 'ready', 0, 1)",
    );
    await bindings.DIRECTORY.batch(Array.from({ length: termsToldMax + 1 }, (_, n) => insert.bind(`many${n}`)));
    const told: string[] = [];
    const groups = {
      administer: (id: string) => {
        told.push(id);
        return Promise.resolve({ kind: 'done', value: { kind: 'done', revision: 1 } } as never);
      },
    };
    await new ToldTerms(directory, groups).run(1);
    expect(told).toHaveLength(termsToldMax);
    await new ToldTerms(directory, groups).run(1);
    expect(new Set(told).size).toBe(termsToldMax + 1);
    await bindings.DIRECTORY.prepare("DELETE FROM tenants WHERE id LIKE 'many%'").run();
  });
});
