// How much history a tenant keeps, as the operator sets it, with real objects.

import { beforeAll, describe, expect, it } from 'vitest';
import { retentionRevisionsDefault, retentionSecondsDefault, retentionStepRevisions } from '../../src/limits.ts';
import { asOperator, newTenant, prepareDirectory, put, withKey } from '../support/service.ts';

beforeAll(prepareDirectory);

async function change(id: string, retention: unknown): Promise<Response> {
  return asOperator(`/v1/tenants/${id}`, { method: 'PATCH', body: JSON.stringify({ retention }) });
}

describe('TENANT-42: the retention of a tenant', () => {
  it('is set by one call, and history beyond it goes by itself', async () => {
    const tenant = await newTenant({ name: 'retains', replicas: 1 });
    const usual = { seconds: retentionSecondsDefault, revisions: retentionRevisionsDefault };
    expect(await (await asOperator(`/v1/tenants/${tenant.id}`)).json()).toMatchObject({ retention: usual });
    const writers = Array.from({ length: 8 }, async (_, writer) => {
      for (let write = 0; write < (2 * retentionStepRevisions) / 8; write++) {
        await put(tenant.key, `k${writer}`, String(write));
      }
    });
    await Promise.all(writers);
    const changed = await change(tenant.id, { seconds: 0, revisions: 100 });
    expect([changed.status, await changed.json()]).toMatchObject([200, { retention: { seconds: 0, revisions: 100 } }]);
    const compacted = async (): Promise<number> => {
      const status: { compacted_revision: number } = await (await withKey(tenant.key, '/v1/status')).json();
      return status.compacted_revision;
    };
    await expect.poll(compacted, { timeout: 15_000 }).toBe(2 * retentionStepRevisions + 1 - 100);
    expect((await withKey(tenant.key, '/v1/kv/k1?revision=1000')).status).toBe(410);
    expect((await withKey(tenant.key, '/v1/kv/k1?revision=1901')).status).toBe(200);
    expect(await (await change(tenant.id, null)).json()).toMatchObject({ retention: usual });
    const page: { entries: { action: string }[] } = await (
      await asOperator(`/v1/audit?tenant=${tenant.id}&limit=1`)
    ).json();
    expect(page.entries[0]?.action).toBe('tenant.terms');
  });

  it('is taken within its bounds alone', async () => {
    const tenant = await newTenant({ name: 'bad-retention', replicas: 1 });
    for (const retention of [
      {},
      { seconds: 60 },
      { seconds: 59, revisions: 0 },
      { seconds: 315_360_001, revisions: 0 },
      { seconds: 0, revisions: 1_000_000_001 },
      { seconds: 0, revisions: 0, bytes: 1 },
      '1h',
    ]) {
      expect([retention, (await change(tenant.id, retention)).status]).toEqual([retention, 400]);
    }
    for (const retention of [
      { seconds: 60, revisions: 0 },
      { seconds: 315_360_000, revisions: 1_000_000_000 },
      { seconds: 0, revisions: 0 },
    ]) {
      expect(await (await change(tenant.id, retention)).json()).toMatchObject({ retention });
    }
  });
});
