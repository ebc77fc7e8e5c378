// Tenants, access keys and isolation, through the gateway, with the real directory and real objects.

import { forged } from '../support/forged.ts';
import { listDurableObjectIds, runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test';
import { beforeAll, describe, expect, it } from 'vitest';
import { labelsMax } from '../../src/limits.ts';
import {
  asOperator,
  bindings,
  call,
  newTenant,
  prepareDirectory,
  put,
  replicaStub,
  WatchSocket,
  withKey,
} from '../support/service.ts';

beforeAll(prepareDirectory);

async function problemOf(response: Response): Promise<{ status: number; type: string; detail: string }> {
  expect(response.headers.get('content-type')).toContain('application/problem+json');
  return response.json();
}

describe('tenants', () => {
  it('TENANT-1: a provisioned tenant is usable at once, its key is shown once', async () => {
    const response = await asOperator('/v1/tenants', { method: 'POST', body: '{"name":"first"}' });
    expect(response.status).toBe(201);
    const tenant: Record<string, unknown> = await response.json();
    expect(tenant).toMatchObject({ name: 'first', state: 'ready', key: expect.stringMatching(/^qrt_/) });
    expect(tenant['replicas']).toHaveLength(3);
    expect(await put(String(tenant['key']), 'a', '1')).toBe(2);
    const shown: Record<string, unknown> = await (await asOperator(`/v1/tenants/${String(tenant['id'])}`)).json();
    expect(shown).not.toHaveProperty('key');
  });

  it('TENANT-2: groups of 1, 3 and 5 replicas; other sizes are refused', async () => {
    for (const replicas of [1, 3, 5]) {
      const tenant = await newTenant({ name: `size-${replicas}`, replicas });
      expect(await put(tenant.key, 'a', '1')).toBe(2);
    }
    const refused = await asOperator('/v1/tenants', { method: 'POST', body: '{"name":"size-2","replicas":2}' });
    expect(refused.status).toBe(400);
    expect((await problemOf(refused)).detail).toContain('replicas');
  });

  it('TENANT-3: a taken name is refused with 409', async () => {
    await newTenant({ name: 'taken' });
    const second = await asOperator('/v1/tenants', { method: 'POST', body: '{"name":"taken"}' });
    expect(second.status).toBe(409);
  });

  it('TENANT-4: without the operator token nothing is provisioned', async () => {
    for (const headers of [{}, { Authorization: 'Bearer wrong' }, { Authorization: `Basic ${btoa('a:b')}` }]) {
      const response = await call('/v1/tenants', { method: 'POST', body: '{"name":"nobody"}', headers });
      expect(response.status).toBe(401);
    }
  });

  it('TENANT-5: deleting a tenant leaves no byte of it behind, and its key opens nothing', async () => {
    const tenant = await newTenant({ name: 'short-lived' });
    await put(tenant.key, 'a', '1');
    expect((await asOperator(`/v1/tenants/${tenant.id}?force=true`, { method: 'DELETE' })).status).toBe(204);
    expect((await withKey(tenant.key, '/v1/kv/a')).status).toBe(401);
    const tablesOf = (replica: number) =>
      runInDurableObject(replicaStub(tenant.id, replica), (_, state) =>
        state.storage.sql.exec("SELECT name FROM sqlite_master WHERE name NOT LIKE '\\_cf%' ESCAPE '\\'").toArray(),
      );
    for (const replica of [1, 2, 3]) {
      expect(await tablesOf(replica)).toEqual([{ name: 'deletion' }]);
      // The state as it is after an hour.
      expect(await runDurableObjectAlarm(replicaStub(tenant.id, replica))).toBe(true);
      expect(await tablesOf(replica)).toEqual([]);
    }
    expect((await asOperator(`/v1/tenants/${tenant.id}`)).status).toBe(404);
    await newTenant({ name: 'short-lived' });
  });

  it('TENANT-15: deleting a tenant while it is used ends its calls, each with an answer', async () => {
    const tenant = await newTenant({ name: 'busy' });
    const statuses = new Set<number>();
    const use = async (caller: number): Promise<void> => {
      for (let call = 0; call < 30; call++) {
        const path = `/v1/kv/${caller}/${call}`;
        const init = call % 2 === 0 ? { method: 'PUT', body: 'x' } : {};
        statuses.add((await withKey(tenant.key, path, init)).status);
      }
    };
    const callers = Array.from({ length: 8 }, (_, caller) => use(caller));
    await scheduler.wait(30);
    const deleted = await asOperator(`/v1/tenants/${tenant.id}?force=true`, { method: 'DELETE' });
    expect(deleted.status).toBe(204);
    await Promise.all(callers);
    expect([...statuses].filter((status) => ![200, 401, 404].includes(status))).toEqual([]);
    expect((await withKey(tenant.key, '/v1/kv/a')).status).toBe(401);
  });

  it('TENANT-6: tenants are listed in pages', async () => {
    for (const name of ['page-a', 'page-b', 'page-c']) await newTenant({ name, replicas: 1 });
    const names: string[] = [];
    let cursor = '';
    do {
      const page: { tenants: { name: string }[]; cursor?: string } = await (
        await asOperator(`/v1/tenants?limit=2${cursor === '' ? '' : `&cursor=${cursor}`}`)
      ).json();
      expect(page.tenants.length).toBeLessThanOrEqual(2);
      names.push(...page.tenants.map((tenant) => tenant.name));
      cursor = page.cursor ?? '';
    } while (cursor !== '');
    expect(names).toEqual(expect.arrayContaining(['page-a', 'page-b', 'page-c']));
    expect(new Set(names).size).toBe(names.length);
  });

  it('TENANT-7: a rename keeps the store', async () => {
    const tenant = await newTenant({ name: 'old-name' });
    await put(tenant.key, 'a', '1');
    const renamed = await asOperator(`/v1/tenants/${tenant.id}`, { method: 'PATCH', body: '{"name":"new-name"}' });
    expect(await renamed.json()).toMatchObject({ name: 'new-name' });
    expect(await (await withKey(tenant.key, '/v1/kv/a')).text()).toBe('1');
  });
});

type Page = { tenants: { name: string; labels: object; state: string }[]; cursor?: string };
const list = async (query: string): Promise<Page> => (await asOperator(`/v1/tenants?${query}`)).json();

const namesOf = ({ tenants }: Page): string[] => tenants.map(({ name }) => name);

const suspend = (id: string, state: 'suspended' | 'ready'): Promise<Response> =>
  asOperator(`/v1/tenants/${id}`, { method: 'PATCH', body: JSON.stringify({ state }) });

describe('the list', () => {
  it('TENANT-26: by name, labels and state, in pages whose cursor is a place in the order', async () => {
    for (const [name, labels] of [
      ['list-c', { team: 'red', tier: '1' }],
      ['list-a', { team: 'red' }],
      ['list-b', { team: 'blue' }],
    ] as const) {
      await newTenant({ name, replicas: 1, labels });
    }
    expect(namesOf(await list('name=list-&order=name'))).toEqual(['list-a', 'list-b', 'list-c']);
    expect(namesOf(await list('name=list-&order=created_at'))).toEqual(['list-c', 'list-a', 'list-b']);
    expect(namesOf(await list('label=team=red&order=name'))).toEqual(['list-a', 'list-c']);
    expect(namesOf(await list('label=team=red&label=tier'))).toEqual(['list-c']);
    expect(namesOf(await list('label=team=red&label=tier=2'))).toEqual([]);
    expect(namesOf(await list('name=list-&state=suspended'))).toEqual([]);
    for (const order of ['name', 'created_at', 'id']) {
      const first = await list(`name=list-&order=${order}&limit=1`);
      const late = await newTenant({ name: `list-${order.replace('_', '-')}-late`, replicas: 1 });
      const rest = await list(`name=list-&order=${order}&cursor=${first.cursor}`);
      expect(namesOf(rest)).not.toContain(namesOf(first)[0]);
      expect(namesOf(rest)).toEqual(
        expect.arrayContaining(['list-a', 'list-b', 'list-c'].filter((name) => name !== namesOf(first)[0])),
      );
      await asOperator(`/v1/tenants/${late.id}?force=true`, { method: 'DELETE' });
    }
    const bad = [
      'order=size',
      'state=gone',
      'name=A',
      'label=%22',
      'limit=0',
      'limit=1001',
      'cursor=!',
      'order=name&cursor=abc',
    ];
    const most = 'label=a=b&'.repeat(labelsMax);
    expect(namesOf(await list(most))).toEqual([]);
    for (const query of [...bad, 'name=a&name=b', 'page=1', `${most}label=a`]) {
      expect([query, (await asOperator(`/v1/tenants?${query}`)).status]).toEqual([query, 400]);
    }
  });

  it('TENANT-27: labels are replaced all at once', async () => {
    const tenant = await newTenant({ name: 'labelled', replicas: 1, labels: { a: '1', b: '2' } });
    const changed = await asOperator(`/v1/tenants/${tenant.id}`, { method: 'PATCH', body: '{"labels":{"b":"3"}}' });
    expect(await changed.json()).toMatchObject({ name: 'labelled', labels: { b: '3' } });
    expect(await (await asOperator(`/v1/tenants/${tenant.id}`)).json()).toMatchObject({
      labels: { b: '3' },
    });
    expect(namesOf(await list('label=a'))).not.toContain('labelled');
  });
});

describe('a suspended tenant', () => {
  it('TENANT-24: is refused with the reason, ends its streams, keeps its data, and serves as before when resumed', async () => {
    const tenant = await newTenant({ name: 'suspended' });
    await put(tenant.key, 'a', '1');
    const watch = await WatchSocket.open(tenant.key, 'prefix=a');
    expect(await watch.next()).toMatchObject({ type: 'created' });
    const suspended = await suspend(tenant.id, 'suspended');
    expect([suspended.status, await suspended.json()]).toMatchObject([200, { state: 'suspended' }]);
    expect(await watch.next()).toMatchObject({ type: 'canceled' });
    expect((await watch.closed).code).toBe(4403);
    const calls: [string, RequestInit][] = [
      ['/v1/kv/a', {}],
      ['/v1/kv/a?consistency=serializable', {}],
      ['/v1/kv/a', { method: 'PUT', body: '2' }],
      ['/v1/watch?prefix=a', {}],
      ['/v1/status', {}],
      ['/v1/leases', { method: 'POST', body: '{"ttl":5}' }],
      ['/v1/locks/a', { method: 'POST', body: '{"ttl":5}' }],
      ['/v3/kv/range', { method: 'POST', body: '{"key":"YQ=="}' }],
      ['/v3/maintenance/status', { method: 'POST', body: '{}' }],
      ['/v3/cluster/member/list', { method: 'POST', body: '{}' }],
      ['/health', {}],
      [`/v1/tenants/${tenant.id}/keys`, {}],
      [`/v1/tenants/${tenant.id}/keys`, { method: 'POST', body: '{"role":"read"}' }],
    ];
    for (const [path, init] of calls) {
      const { status } = await withKey(tenant.key, path, init);
      expect([path, status]).toEqual([path, 403]);
    }
    expect(await (await withKey(tenant.key, '/v1/kv/a')).json()).toMatchObject({
      type: 'urn:quorate:problem:tenant-suspended',
    });
    expect(await (await withKey(tenant.key, '/v1/whoami')).json()).toMatchObject({ state: 'suspended' });
    expect((await asOperator(`/v1/tenants/${tenant.id}/keys`)).status).toBe(200);
    const listed: { tenants: { id: string }[] } = await (await asOperator('/v1/tenants?state=suspended')).json();
    expect(listed.tenants.map(({ id }) => id)).toEqual([tenant.id]);
    expect(await (await suspend(tenant.id, 'ready')).json()).toMatchObject({ state: 'ready' });
    expect(await (await withKey(tenant.key, '/v1/kv/a')).text()).toBe('1');
    expect(await put(tenant.key, 'a', '2')).toBe(3);
  });
});

describe('keys', () => {
  it('TENANT-8: a forged key is refused and wakes no object', async () => {
    const tenant = await newTenant({ name: 'forged', replicas: 1 });
    const before = (await listDurableObjectIds(bindings.REPLICA)).length;
    const texts = [
      'qrt_nosuchtenant_abc_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',
      forged(tenant.key),
      'qrt_',
      '',
      'x'.repeat(10_000),
    ];
    for (const key of texts) expect((await withKey(key, '/v1/kv/a')).status).toBe(401);
    expect((await listDurableObjectIds(bindings.REPLICA)).length).toBe(before);
  });

  it('TENANT-9: the key travels as bearer, as Quorate-Key, as the password of Basic, and as a subprotocol', async () => {
    const tenant = await newTenant({ name: 'carried', replicas: 1 });
    await put(tenant.key, 'a', '1');
    const ways: Record<string, string>[] = [
      { Authorization: `Bearer ${tenant.key}` },
      { Authorization: tenant.key },
      { 'Quorate-Key': tenant.key },
      { 'Quorate-Key': tenant.key, Authorization: 'some-token-of-etcd' },
      { Authorization: `Basic ${btoa(`anyone:${tenant.key}`)}` },
    ];
    for (const headers of ways) expect((await call('/v1/kv/a', { headers })).status).toBe(200);
    const upgrade = await call('/v1/watch?key=a', {
      headers: { Upgrade: 'websocket', 'Sec-WebSocket-Protocol': `Bearer, ${tenant.key}` },
    });
    expect(upgrade.status).toBe(101);
    expect(upgrade.headers.get('Sec-WebSocket-Protocol')).toBe('Bearer');
    upgrade.webSocket?.accept();
    upgrade.webSocket?.close();
  });

  it('TENANT-53: a key may have several prefixes', async () => {
    const tenant = await newTenant({ name: 'prefixes', replicas: 1 });
    const body = JSON.stringify({ role: 'write', prefixes: ['b/', 'a/'] });
    const response = await asOperator(`/v1/tenants/${tenant.id}/keys`, { method: 'POST', body });
    const made: { id: string; key: string; prefixes: string[] } = await response.json();
    expect([response.status, made.prefixes]).toEqual([201, ['a/', 'b/']]);
    for (const name of ['a/x', 'b/x']) await put(made.key, name, '1');
    const refused = await withKey(made.key, '/v1/kv/c', { method: 'PUT', body: '1' });
    expect([refused.status, await refused.json()]).toMatchObject([
      403,
      { detail: expect.stringContaining('GET /v1/whoami') },
    ]);
    expect(await (await withKey(made.key, '/v1/whoami')).json()).toMatchObject({ prefixes: ['a/', 'b/'] });
    const rotation = { method: 'POST', body: '{"overlap":0}' };
    const rotated: { key: string } = await (
      await asOperator(`/v1/tenants/${tenant.id}/keys/${made.id}/rotate`, rotation)
    ).json();
    expect(rotated).toMatchObject({ prefixes: ['a/', 'b/'] });
    await put(rotated.key, 'b/y', '1');
  });

  it('TENANT-10: roles and prefixes bound what a key may do', async () => {
    const tenant = await newTenant({ name: 'roles' });
    const make = async (body: Record<string, unknown>): Promise<string> => {
      const response = await withKey(tenant.key, `/v1/tenants/${tenant.id}/keys`, {
        method: 'POST',
        body: JSON.stringify(body),
      });
      expect(response.status).toBe(201);
      const answer: { key: string } = await response.json();
      return answer.key;
    };
    const reader = await make({ role: 'read', prefix: 'app/' });
    const writer = await make({ role: 'write', prefix: 'app/' });
    await put(tenant.key, 'other', '1');
    await put(writer, 'app/a', '1');
    expect((await withKey(reader, '/v1/kv/app/a')).status).toBe(200);
    const refused: [string, string, RequestInit][] = [
      [reader, '/v1/kv/app/a', { method: 'PUT', body: '2' }],
      [reader, '/v1/kv/other', {}],
      [reader, '/v1/kv?prefix=', {}],
      [reader, '/v1/kv?prefix=app', {}],
      [reader, '/v1/watch?prefix=', {}],
      [writer, '/v1/kv/other', { method: 'PUT', body: '2' }],
      [writer, '/v1/kv?prefix=', { method: 'DELETE' }],
      [writer, '/v3/kv/compaction', { method: 'POST', body: '{"revision":"2"}' }],
      [writer, '/v1/txn', { method: 'POST', body: '{"then":[{"put":{"key":"other","value":"2"}}]}' }],
      [writer, `/v1/tenants/${tenant.id}/keys`, {}],
      [writer, `/v1/tenants/${tenant.id}/keys`, { method: 'POST', body: '{"role":"admin"}' }],
    ];
    for (const [key, path, init] of refused)
      expect([path, (await withKey(key, path, init)).status]).toEqual([path, 403]);
    expect(await (await withKey(tenant.key, '/v1/kv/other')).text()).toBe('1');
  });

  it('TENANT-11: a revoked key is refused from the next request on, and its open watches end', async () => {
    const tenant = await newTenant({ name: 'revoked' });
    const made: { id: string; key: string } = await (
      await withKey(tenant.key, `/v1/tenants/${tenant.id}/keys`, { method: 'POST', body: '{"role":"read"}' })
    ).json();
    const watch = await WatchSocket.open(made.key, 'prefix=a');
    expect(await watch.next()).toMatchObject({ type: 'created' });
    const revoked = await asOperator(`/v1/tenants/${tenant.id}/keys/${made.id}`, { method: 'DELETE' });
    expect(revoked.status).toBe(204);
    expect((await withKey(made.key, '/v1/kv/a')).status).toBe(401);
    expect((await withKey(made.key, '/v1/kv/a?consistency=serializable')).status).toBe(401);
    expect(await watch.next()).toMatchObject({ type: 'canceled' });
    expect((await watch.closed).code).toBe(4401);
    const again = await asOperator(`/v1/tenants/${tenant.id}/keys/${made.id}`, { method: 'DELETE' });
    expect(again.status).toBe(404);
    for (const id of ['x'.repeat(4_000), 'A%2Fb', '%00']) {
      const none = await asOperator(`/v1/tenants/${tenant.id}/keys/${id}`, { method: 'DELETE' });
      expect([id, none.status]).toEqual([id, 404]);
    }
  });

  it('TENANT-22: whoami says what a key is, and nothing to one that cannot be used', async () => {
    const tenant = await newTenant({ name: 'whoami', replicas: 1 });
    const body = JSON.stringify({ name: 'ci runner', role: 'write', prefix: 'app/', expires_in: 60 });
    const made: { id: string; key: string } = await (
      await asOperator(`/v1/tenants/${tenant.id}/keys`, { method: 'POST', body })
    ).json();
    const shown = await (await withKey(made.key, '/v1/whoami')).json();
    expect(shown).toEqual({
      tenant: tenant.id,
      state: 'ready',
      id: made.id,
      name: 'ci runner',
      role: 'write',
      prefix: 'app/',
      created_at: expect.stringMatching(/^\d{4}-/),
      expires_at: expect.stringMatching(/^\d{4}-/),
      limits: expect.objectContaining({ reads_per_second: null }),
    });
    expect(await (await withKey(tenant.key, '/v1/whoami')).json()).toMatchObject({ role: 'admin', tenant: tenant.id });
    expect((await call('/v1/whoami')).status).toBe(401);
    expect((await asOperator('/v1/whoami')).status).toBe(401);
    expect((await withKey(made.key, '/v1/whoami', { method: 'POST' })).status).toBe(405);
    await asOperator(`/v1/tenants/${tenant.id}/keys/${made.id}`, { method: 'DELETE' });
    expect((await withKey(made.key, '/v1/whoami')).status).toBe(401);
  });

  it('TENANT-23: a rotated key is good during the overlap, and another one has its rights', async () => {
    const tenant = await newTenant({ name: 'rotated' });
    const path = `/v1/tenants/${tenant.id}/keys`;
    const make = async (body: object): Promise<{ id: string; key: string; expires_at?: string }> => {
      const response = await withKey(tenant.key, path, { method: 'POST', body: JSON.stringify(body) });
      expect(response.status).toBe(201);
      return response.json();
    };
    const rotate = (id: string, overlap: number): Promise<Response> =>
      withKey(tenant.key, `${path}/${id}/rotate`, { method: 'POST', body: JSON.stringify({ overlap }) });
    const former = await make({ name: 'app', role: 'read', prefix: 'a', expires_in: 1_000 });
    const watch = await WatchSocket.open(former.key, 'prefix=a');
    expect(await watch.next()).toMatchObject({ type: 'created' });
    const rotated = await rotate(former.id, 1);
    expect(rotated.status).toBe(201);
    const successor: { id: string; key: string } = await rotated.json();
    expect(successor).toMatchObject({ name: 'app', role: 'read', prefix: 'a' });
    expect(rotated.headers.get('location')).toBe(`${path}/${successor.id}`);
    expect((await withKey(successor.key, '/v1/kv?prefix=a')).status).toBe(200);
    expect(await (await rotate(former.id, 1)).json()).toMatchObject({ type: 'urn:quorate:problem:access-key-ending' });
    expect(await watch.next()).toMatchObject({ type: 'canceled' });
    expect((await watch.closed).code).toBe(4401);
    expect((await withKey(former.key, '/v1/kv?prefix=a')).status).toBe(401);
    expect((await rotate('nosuchkey', 1)).status).toBe(404);
    expect(
      (await withKey(successor.key, `${path}/${successor.id}/rotate`, { method: 'POST', body: '{"overlap":1}' }))
        .status,
    ).toBe(403);
    // Within the overlap both are good, until one is revoked.
    const again: { key: string } = await (await rotate(successor.id, 1_000)).json();
    for (const { key } of [successor, again]) expect((await withKey(key, '/v1/kv?prefix=a')).status).toBe(200);
    expect((await withKey(tenant.key, `${path}/${successor.id}`, { method: 'DELETE' })).status).toBe(204);
    expect((await withKey(successor.key, '/v1/kv?prefix=a')).status).toBe(401);
    const { results } = await bindings.DIRECTORY.prepare(
      "SELECT detail FROM audit WHERE tenant_id = ? AND action = 'key.rotate' ORDER BY id",
    )
      .bind(tenant.id)
      .all<{ detail: string }>();
    expect(results[0]?.detail).toBe(`${former.id} to ${successor.id}`);
  });

  it('TENANT-12: a key past its expiry is refused', async () => {
    const tenant = await newTenant({ name: 'expiring', replicas: 1 });
    const made: { key: string; expires_at: string } = await (
      await withKey(tenant.key, `/v1/tenants/${tenant.id}/keys`, {
        method: 'POST',
        body: '{"role":"write","expires_in":1}',
      })
    ).json();
    expect(made.expires_at).toMatch(/^\d{4}-/);
    await put(made.key, 'a', '1');
    await scheduler.wait(1_100);
    expect((await withKey(made.key, '/v1/kv/a')).status).toBe(401);
    expect((await withKey(made.key, '/v1/kv/a', { method: 'PUT', body: '2' })).status).toBe(401);
  });

  it('TENANT-13: one tenant sees nothing of another', async () => {
    const [one, two] = [await newTenant({ name: 'one' }), await newTenant({ name: 'two' })];
    await put(one.key, 'secret', 'of one');
    expect((await withKey(two.key, '/v1/kv/secret')).status).toBe(404);
    const list: { kvs: unknown[] } = await (await withKey(two.key, '/v1/kv?prefix=')).json();
    expect(list.kvs).toEqual([]);
    const foreign = await withKey(two.key, `/v1/tenants/${one.id}/keys`);
    expect(foreign.status).toBe(403);
  });

  it('TENANT-14: what the gateway says to a replica cannot be said by a client', async () => {
    const tenant = await newTenant({ name: 'spoofed', replicas: 1 });
    const made: { key: string } = await (
      await withKey(tenant.key, `/v1/tenants/${tenant.id}/keys`, { method: 'POST', body: '{"role":"read"}' })
    ).json();
    const adminId = tenant.key.split('_')[2] ?? '';
    const response = await withKey(made.key, '/v1/kv/a', {
      method: 'PUT',
      body: '1',
      headers: { 'quorate-caller': adminId, 'quorate-write-id': 'x', 'quorate-failed-leader': '1' },
    });
    expect(response.status).toBe(403);
    expect((await withKey(tenant.key, '/internal/raft', { method: 'POST', body: 'x' })).status).toBe(404);
  });
});
