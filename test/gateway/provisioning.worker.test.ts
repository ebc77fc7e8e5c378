// How a tenant is made: what is written before the answer, what is not, and what becomes of one that is half-made.

import { runInDurableObject } from 'cloudflare:test';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Env, ReplicaStub } from '../../src/gateway/env.ts';
import { GroupRouter } from '../../src/gateway/group-router.ts';
import { Provisioning } from '../../src/gateway/provisioning.ts';
import { runSchedule } from '../../src/gateway/schedule.ts';
import { provisioningMs } from '../../src/limits.ts';
import { groupLevelMax } from '../../src/model/levels.ts';
import { Directory } from '../../src/tenants/directory.ts';
import { KeyRing } from '../../src/tenants/key-text.ts';
import { Signatures } from '../../src/tenants/signatures.ts';
import { asOperator, bindings, newTenant, prepareDirectory, put, replicaStub, withKey } from '../support/service.ts';

beforeAll(prepareDirectory);

const directory = new Directory(bindings.DIRECTORY);
const secret = (bindings as unknown as { SERVICE_SECRET: string }).SERVICE_SECRET;
const placement = ['weur', 'enam', 'apac'] as const;

/** `answers`: what a replica says to a request before it is asked. */
function provisioningWith(answers: (kind: string, asked: number) => { kind: 'unknownRequest' } | null): Provisioning {
  const asked: string[] = [];
  const namespace = {
    idFromName: (name: string) => bindings.REPLICA.idFromName(name),
    get: (id: DurableObjectId) => {
      const stub = bindings.REPLICA.get(id);
      const ask = (request: { kind: string }): unknown => {
        asked.push(request.kind);
        const count = asked.filter((kind) => kind === request.kind).length;
        return Promise.resolve(answers(request.kind, count) ?? Reflect.apply(stub.ask, stub, [request]));
      };
      return { ask } as unknown as ReplicaStub;
    },
  } as unknown as Env['REPLICA'];
  const groups = new GroupRouter(namespace, (tenant) => directory.placedReplicas(tenant));
  return new Provisioning(directory, groups, new KeyRing(new Signatures(secret)));
}

async function rowsOf(tenant: string, replica: number, sql: string): Promise<unknown[]> {
  return runInDurableObject(replicaStub(tenant, replica), (_, { storage }) => storage.sql.exec(sql).toArray());
}

const tables = "SELECT name FROM sqlite_master WHERE name NOT LIKE '\\_cf%' ESCAPE '\\' ORDER BY name";

describe('TENANT-60: a tenant that is made', () => {
  it('has a log on each replica, no leader and no table of a store, until it is called', async () => {
    const { id, key } = await newTenant({ name: 'asleep' });
    for (const replica of [1, 2, 3]) {
      const names = (await rowsOf(id, replica, tables)).map((row) => (row as { name: string }).name);
      expect(names).toEqual(['hard_state', 'log', 'member', 'members']);
      const state = await rowsOf(id, replica, 'SELECT term, voted_for, commit_index FROM hard_state');
      expect(state).toEqual([{ term: 1, voted_for: null, commit_index: 2 }]);
    }
    expect(await put(key, 'a', '1')).toBe(2);
    const status: { level: number } = await (await withKey(key, '/v1/status')).json();
    expect(status).toMatchObject({ revision: 2 });
    const shown = (await (await asOperator(`/v1/tenants/${id}/keys`)).json()) as { keys: unknown[] };
    expect(shown.keys).toHaveLength(1);
  });

  it.each([
    ['/v1/kv/a', 404],
    ['/v1/kv/a?consistency=serializable', 404],
    ['/v1/kv?prefix=a', 200],
    ['/v1/kv?prefix=a&consistency=serializable', 200],
    ['/v1/status', 200],
    ['/v1/whoami', 200],
  ])('takes its key whatever the first call is: %s', async (path, status) => {
    for (const headers of [{}, { 'Quorate-Read': 'nearest' }]) {
      const { key } = await newTenant({ name: `first-${Math.random().toString(36).slice(2)}` });
      const response = await withKey(key, path, { headers });
      expect([path, response.status, await response.text()]).toEqual([path, status, expect.any(String)]);
    }
  });

  it('knows the terms of its plan, and the schedule has nothing to tell it', async () => {
    const { id, key } = await newTenant({ name: 'with-terms', plan: 'free', replicas: 1 });
    const whoami: { limits: object } = await (await withKey(key, '/v1/whoami')).json();
    expect(whoami.limits).toMatchObject({ keys: 10_000 });
    const row = bindings.DIRECTORY.prepare('SELECT tell_at_ms, wipe_at_ms, wipe_told FROM tenants WHERE id = ?');
    expect(await row.bind(id).first()).toEqual({ tell_at_ms: null, wipe_at_ms: null, wipe_told: 0 });
  });

  it('is not there where there is no such plan, and nothing of it is', async () => {
    const body = JSON.stringify({ name: 'no-plan', plan: 'nosuch' });
    expect((await asOperator('/v1/tenants', { method: 'POST', body })).status).toBe(404);
    expect(await directory.byName('no-plan')).toBeNull();
    const count = 'SELECT count(*) AS count FROM replicas WHERE tenant_id NOT IN (SELECT id FROM tenants)';
    expect(await bindings.DIRECTORY.prepare(count).first('count')).toBe(0);
  });
});

describe('TENANT-61: beside replicas of the code before', () => {
  it('a tenant is made with an empty log, and is served', async () => {
    const provisioning = provisioningWith((kind, count) =>
      kind === 'found' && count === 2 ? { kind: 'unknownRequest' } : null,
    );
    const made = await provisioning.create(
      { name: 'mixed', labels: {}, plan: 'free', placement },
      'operator',
      Date.now(),
    );
    if (made.kind !== 'created') throw new Error(made.kind);
    expect(made.isTold).toBe(false);
    const tell = 'SELECT tell_at_ms FROM tenants WHERE id = ?';
    expect(await bindings.DIRECTORY.prepare(tell).bind(made.tenant.id).first('tell_at_ms')).not.toBeNull();
    expect(await put(made.key, 'a', '1')).toBe(2);
    const entries = await directory.audit({ tenant: null, actor: null, sinceMs: null, before: null, limit: 100 });
    const ofName = entries.filter(({ action, detail }) => action === 'tenant.create' && detail === 'mixed');
    expect(ofName.map(({ tenantId }) => tenantId)).toEqual([made.tenant.id]);
    const { results } = await bindings.DIRECTORY.prepare("SELECT id FROM tenants WHERE name = 'mixed'").all();
    expect(results).toEqual([{ id: made.tenant.id }]);
  });

  it('a replica refuses a level that it does not know, and writes nothing', async () => {
    const stub = replicaStub('level-unknown', 1);
    const members = [{ number: 1, location: 'weur' }];
    const request = { kind: 'found', tenant: 'level-unknown', number: 1, members, commands: [] } as const;
    expect(await stub.ask({ ...request, level: groupLevelMax + 1 })).toEqual({ kind: 'unknownRequest' });
    expect(await rowsOf('level-unknown', 1, tables)).toEqual([]);
  });
});

describe('TENANT-62: a tenant whose making broke off', () => {
  it('is wiped by the schedule after provisioningMs, with the replicas that it had, and not before', async () => {
    let made = 0;
    const provisioning = provisioningWith((kind) => {
      if (kind === 'found' && ++made === 3) throw new Error('the gateway was killed');
      if (kind === 'retire') throw new Error('the gateway was killed');
      return null;
    });
    const creation = provisioning.create(
      { name: 'half-made', labels: {}, plan: 'standard', placement },
      'operator',
      1_000,
    );
    await expect(creation).rejects.toThrow('killed');
    // A gateway that is killed does not even begin to wipe.
    const killed = "UPDATE tenants SET state = 'provisioning', wipe_at_ms = ? WHERE name = 'half-made'";
    await bindings.DIRECTORY.prepare(killed)
      .bind(1_000 + provisioningMs)
      .run();
    const { id } = (await directory.byName('half-made')) ?? { id: '' };
    expect(await rowsOf(id, 1, 'SELECT term FROM hard_state')).toEqual([{ term: 1 }]);
    await runSchedule(bindings, 1_000 + provisioningMs - 1);
    expect(await directory.byId(id)).toMatchObject({ state: 'provisioning' });
    await runSchedule(bindings, 1_000 + provisioningMs);
    expect(await directory.byId(id)).toBeNull();
    for (const replica of [1, 2, 3]) {
      expect(await rowsOf(id, replica, tables)).toEqual([{ name: 'deletion' }]);
    }
  });
});
