// The audit as it is read, with the real directory.

import { beforeAll, describe, expect, it } from 'vitest';
import { asOperator, bindings, call, newTenant, prepareDirectory, withKey } from '../support/service.ts';

beforeAll(prepareDirectory);

type Entry = { id: number; at: string; actor: string; action: string; tenant: string; refused?: string };
type Page = { entries: Entry[]; cursor?: string };

async function read(query: string, key = bindings.OPERATOR_TOKEN): Promise<Page> {
  const response = await withKey(key, `/v1/audit?${query}`);
  expect(response.status).toBe(200);
  return response.json();
}

const shown = ({ entries }: Page): string[] =>
  entries.map(({ action, refused }) => (refused === undefined ? action : `${action} refused: ${refused}`));

async function makeKey(tenant: { id: string; key: string }, role: string): Promise<{ id: string; key: string }> {
  const response = await withKey(tenant.key, `/v1/tenants/${tenant.id}/keys`, {
    method: 'POST',
    body: JSON.stringify({ role }),
  });
  return response.json();
}

describe('the audit', () => {
  it('TENANT-28: is read newest first, in pages, by tenant, actor and time', async () => {
    const tenant = await newTenant({ name: 'audited', replicas: 1 });
    const reader = await makeKey(tenant, 'read');
    const between = new Date(Date.now() + 1).toISOString();
    await scheduler.wait(5);
    await asOperator(`/v1/tenants/${tenant.id}/keys/${reader.id}`, { method: 'DELETE' });
    await asOperator(`/v1/tenants/${tenant.id}`, { method: 'PATCH', body: '{"labels":{"a":"b"}}' });
    const all = ['tenant.label', 'key.revoke', 'key.create', 'tenant.create'];
    expect(shown(await read(`tenant=${tenant.id}`))).toEqual(all);
    expect(shown(await read(`tenant=${tenant.id}&since=${between}`))).toEqual(all.slice(0, 2));
    const byKey = await read(`tenant=${tenant.id}&actor=${tenant.key.split('_')[2]}`);
    expect(shown(byKey)).toEqual(['key.create']);
    const first = await read(`tenant=${tenant.id}&limit=3`);
    await asOperator(`/v1/tenants/${tenant.id}`, { method: 'PATCH', body: '{"labels":{}}' });
    const second = await read(`tenant=${tenant.id}&limit=3&cursor=${first.cursor}`);
    expect([...shown(first), ...shown(second)]).toEqual(all);
    expect(second.cursor).toBeUndefined();
    for (const query of ['since=yesterday', 'limit=0', 'limit=1001', 'cursor=x', 'page=1', 'actor=a&actor=b']) {
      expect([query, (await asOperator(`/v1/audit?${query}`)).status]).toEqual([query, 400]);
    }
    expect((await call('/v1/audit')).status).toBe(401);
  });

  it('TENANT-29: an admin key reads the part of its tenant, and no other key reads any', async () => {
    const [tenant, other] = [await newTenant({ name: 'own-part' }), await newTenant({ name: 'other-part' })];
    const page = await read('', tenant.key);
    expect(page.entries.map((entry) => entry.tenant)).toEqual([tenant.id]);
    expect((await withKey(tenant.key, `/v1/audit?tenant=${other.id}`)).status).toBe(403);
    const reader = await makeKey(tenant, 'read');
    expect((await withKey(reader.key, '/v1/audit')).status).toBe(403);
    await asOperator(`/v1/tenants/${tenant.id}/keys/${reader.id}`, { method: 'DELETE' });
    expect((await withKey(reader.key, '/v1/audit')).status).toBe(401);
  });

  it('TENANT-30: refused calls on tenants and keys are in it', async () => {
    const tenant = await newTenant({ name: 'refused-calls', replicas: 1 });
    const reader = await makeKey(tenant, 'read');
    const keys = `/v1/tenants/${tenant.id}/keys`;
    await withKey(reader.key, keys, { method: 'POST', body: '{"role":"admin"}' });
    await withKey(reader.key, `/v1/tenants/${tenant.id}`, { method: 'DELETE' });
    await asOperator(`${keys}/nosuchkey`, { method: 'DELETE' });
    await withKey('wrong', `/v1/tenants/${tenant.id}`, { method: 'PATCH', body: '{"name":"x"}' });
    await withKey(reader.key, keys);
    await withKey('wrong', '/v1/tenants/nosuchtenant/keys', { method: 'POST', body: '{"role":"admin"}' });
    await withKey(reader.key, '/v1/tenants/nosuchtenant', { method: 'DELETE' });
    expect((await read('tenant=nosuchtenant')).entries).toEqual([]);
    const { entries } = await read(`tenant=${tenant.id}&limit=5`);
    expect(entries.map(({ actor, action, refused }) => [actor, action, refused])).toEqual([
      [reader.id, 'tenant.delete', 'operator-token-invalid'],
      ['unknown', 'tenant.change', 'operator-token-invalid'],
      ['operator', 'key.revoke', 'access-key-not-found'],
      [reader.id, 'tenant.delete', 'operator-token-invalid'],
      [reader.id, 'key.create', 'forbidden'],
    ]);
  });
});
