// Several operators with roles, through the gateway, with the real directory.

import { forged } from '../support/forged.ts';
import { beforeAll, describe, expect, it } from 'vitest';
import { operatorNameCharactersMax, operatorsMax } from '../../src/limits.ts';
import { asOperator, bindings, call, newTenant, prepareDirectory, withKey } from '../support/service.ts';

beforeAll(prepareDirectory);

type Made = { readonly id: string; readonly token: string };

async function make(role: string, more: object = {}): Promise<Made> {
  const response = await asOperator('/v1/operators', {
    method: 'POST',
    body: JSON.stringify({ name: `of ${role}`, role, ...more }),
  });
  expect(response.status).toBe(201);
  return response.json();
}

async function audited(query: string): Promise<string[]> {
  const page: { entries: { actor: string; action: string; refused?: string }[] } = await (
    await asOperator(`/v1/audit?${query}`)
  ).json();
  return page.entries.map(({ actor, action, refused = 'done' }) => `${actor} ${action} ${refused}`);
}

const post = (body: object): RequestInit => ({ method: 'POST', body: JSON.stringify(body) });

describe('TENANT-38: operators', () => {
  it('are made with a token that is shown once and kept as a hash, listed, and revoked from the next call on', async () => {
    const made = await make('read', { name: 'Grafana' });
    expect(made.token).toMatch(/^qro_[a-z0-9]{12}_[a-z2-7]{32}$/);
    const listed = await (await asOperator('/v1/operators')).json();
    expect(listed).toEqual({
      operators: [{ id: made.id, name: 'Grafana', role: 'read', created_at: expect.stringMatching(/^\d{4}-/) }],
    });
    const { results } = await bindings.DIRECTORY.prepare('SELECT * FROM operators').all();
    expect(JSON.stringify(results)).not.toContain(made.token.split('_')[2]);
    expect((await withKey(made.token, '/v1/tenants')).status).toBe(200);
    const wrong = forged(made.token);
    const refused = await withKey(wrong, '/v1/tenants');
    expect([refused.status, await refused.text()]).toEqual([401, expect.stringContaining('was revoked, has expired')]);
    expect((await asOperator(`/v1/operators/${made.id}`, { method: 'DELETE' })).status).toBe(204);
    expect((await withKey(made.token, '/v1/tenants')).status).toBe(401);
    for (const id of [made.id, made.token, 'A%2Fb']) {
      const none = await asOperator(`/v1/operators/${id}`, { method: 'DELETE' });
      expect([none.status, await none.text()]).toEqual([404, expect.not.stringContaining(made.token)]);
    }
  });

  it('expire, where they were made to', async () => {
    const made = await make('read', { expires_in: 1 });
    expect((await withKey(made.token, '/v1/tenants')).status).toBe(200);
    await scheduler.wait(1_050);
    expect((await withKey(made.token, '/v1/tenants')).status).toBe(401);
    await asOperator(`/v1/operators/${made.id}`, { method: 'DELETE' });
  });

  it('have a name and a role, and are operatorsMax at most', async () => {
    const longest = 'n'.repeat(operatorNameCharactersMax);
    const bad = [{ role: 'read' }, { name: 'a' }, { name: 'a', role: 'admin' }, { name: '', role: 'read' }];
    for (const body of [...bad, { name: `${longest}n`, role: 'read' }, { name: 'a', role: 'read', expires_in: 0 }]) {
      expect([body, (await asOperator('/v1/operators', post(body))).status]).toEqual([body, 400]);
    }
    const insert = bindings.DIRECTORY.prepare("INSERT INTO operators VALUES (?1, 'n', 'read', 1, NULL, 'h')");
    await bindings.DIRECTORY.batch(Array.from({ length: operatorsMax - 1 }, (_, at) => insert.bind(`full${at}`)));
    await make('read', { name: longest });
    const beyond = await asOperator('/v1/operators', post({ name: 'a', role: 'read' }));
    expect([beyond.status, await beyond.text()]).toEqual([409, expect.stringContaining(String(operatorsMax))]);
    await bindings.DIRECTORY.prepare("DELETE FROM operators WHERE id LIKE 'full%'").run();
  });
});

describe('TENANT-39: the role of an operator', () => {
  it('bounds what it may do', async () => {
    const tenant = await newTenant({ name: 'roles-of-operators', replicas: 1 });
    const [reader, provisioner, all] = [await make('read'), await make('provision'), await make('all')];
    const path = `/v1/tenants/${tenant.id}`;
    const etcd = { headers: { 'Quorate-Tenant': tenant.id } };
    const calls: [string, string, RequestInit, number][] = [
      ['read', '/v1/tenants', {}, 200],
      ['read', path, {}, 200],
      ['read', `${path}/keys`, {}, 200],
      ['read', `${path}/replicas`, {}, 200],
      ['read', '/v1/audit', {}, 200],
      ['read', '/v3/maintenance/status', { ...etcd, ...post({}) }, 200],
      ['provision', '/v1/tenants', post({ name: 'roles-of-operators' }), 409],
      ['provision', path, { method: 'PATCH', body: '{"labels":{}}' }, 200],
      ['provision', `${path}/keys`, post({ role: 'read' }), 201],
      ['provision', `${path}/keys/nosuchkey/rotate`, post({ overlap: 1 }), 404],
      ['provision', `${path}/keys/nosuchkey`, { method: 'DELETE' }, 404],
      ['provision', `${path}/replicas/7`, { method: 'DELETE' }, 404],
      ['provision', path, { method: 'DELETE' }, 200],
      ['provision', `${path}/restore`, { method: 'POST' }, 200],
      ['all', '/v1/operators', {}, 200],
      ['all', '/v1/operators', post({ name: '' }), 400],
      ['all', '/v1/operators/nosuchoperator', { method: 'DELETE' }, 404],
      ['all', '/v3/cluster/member/promote', { ...etcd, ...post({ ID: '5' }) }, 404],
      ['all', `${path}?force=true`, { method: 'DELETE' }, 204],
    ];
    const roles = ['read', 'provision', 'all'];
    for (const [need, url, init, status] of calls) {
      for (const [at, { token }] of [reader, provisioner, all].entries()) {
        const isEnough = at >= roles.indexOf(need);
        // What may be done once is done by the role that is just enough.
        if (isEnough && roles[at] !== need) continue;
        const response = await withKey(token, url, init);
        const told = isEnough ? '' : 'of operators; this token has';
        const text = await response.text();
        expect([roles[at], url, init.method, response.status]).toEqual([
          roles[at],
          url,
          init.method,
          isEnough ? status : 403,
        ]);
        if (!url.startsWith('/v3/')) expect(text).toContain(told);
      }
    }
  });

  it('opens no store, and the token is told what it is', async () => {
    const { token } = await make('all');
    for (const path of ['/v1/kv/a', '/v1/whoami']) {
      const refused = await withKey(token, path);
      expect([path, refused.status, await refused.text()]).toEqual([
        path,
        401,
        expect.stringContaining("This is the operator's token"),
      ]);
    }
  });
});

it('TENANT-40: each line of the audit names its operator', async () => {
  const { id, token } = await make('provision');
  const created = await withKey(token, '/v1/tenants', post({ name: 'of-an-operator', replicas: 1 }));
  const tenant: { id: string } = await created.json();
  const path = `/v1/tenants/${tenant.id}`;
  await withKey(token, path, { method: 'PATCH', body: '{"state":"suspended"}' });
  await withKey(token, `${path}?force=true`, { method: 'DELETE' });
  await asOperator(path, { method: 'PATCH', body: '{"labels":{"a":"b"}}' });
  await call('/v1/operators', post({ name: 'a', role: 'all' }));
  expect(await audited(`tenant=${tenant.id}`)).toEqual([
    'operator tenant.label done',
    `operator:${id} tenant.delete operator-forbidden`,
    `operator:${id} tenant.suspend done`,
    `operator:${id} tenant.create done`,
  ]);
  expect((await audited(`actor=operator:${id}`)).length).toBe(3);
  expect((await audited('limit=1'))[0]).toBe('unknown operator.create operator-token-invalid');
  expect(await audited('actor=operator')).toContain('operator operator.create done');
});
