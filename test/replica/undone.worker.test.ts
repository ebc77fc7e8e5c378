// Requests that no log may hold, sent through the API: the store answers them and goes on.

import { beforeAll, describe, expect, it } from 'vitest';
import { b64, EtcdClient } from '../support/etcd-client.ts';
import { crash, newTenant, prepareDirectory, put, withKey } from '../support/service.ts';

beforeAll(prepareDirectory);

describe('a transaction whose reads are too large', () => {
  it('GROUP-UNDO-4: it is refused, whether or not it writes, and the store goes on, also after a restart', async () => {
    const { id, key } = await newTenant({ name: 'too-large', replicas: 3 });
    await put(key, 'large', 'x'.repeat(1_500_000));
    const etcd = new EtcdClient(key);
    const reads = Array.from({ length: 25 }, () => ({ requestRange: { key: b64('large') } }));
    const write = { requestPut: { key: b64('written'), value: b64('v') } };
    for (const success of [reads, [...reads, write]]) {
      const { status, body } = await etcd.post('/v3/kv/txn', { success });
      expect([status, body['message']]).toEqual([429, expect.stringContaining('the answer is too large')]);
    }
    expect((await withKey(key, '/v1/kv/written')).status).toBe(404);
    const revision = await put(key, 'after', '1');
    await Promise.all([1, 2, 3].map((replica) => crash(id, replica)));
    expect(await put(key, 'after', '2')).toBe(revision + 1);
    const status: { commands_undone: number } = await (await withKey(key, '/v1/status')).json();
    expect(status.commands_undone).toBe(0);
  });
});
