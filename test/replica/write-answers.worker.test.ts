// The place in memory for the answer to a write is taken before the write is done.

import { beforeAll, expect, it } from 'vitest';
import { isolateMemory } from '../../src/base/memory-budget.ts';
import { memoryOfTenantBytesMax, writeRoomMs } from '../../src/limits.ts';
import { b64, EtcdClient } from '../support/etcd-client.ts';
import { newTenant, prepareDirectory, put, until, withKey } from '../support/service.ts';

beforeAll(prepareDirectory);

it('MEMORY-8: a write whose answer finds no memory is refused before it is done, and other writes are done', async () => {
  const { id, key } = await newTenant({ name: 'write-answers', replicas: 1 });
  for (const name of ['a', 'b']) await put(key, name, 'x'.repeat(1_000_000));
  const etcd = new EtcdClient(key);
  const deletion = { key: b64('a'), range_end: b64('c'), prev_kv: true };
  const read = { request_range: { key: b64('a') } };
  const held = isolateMemory.reserve({ tenant: id, key: 'another' });
  expect(held.hold(40 * 1_048_576)).toBeNull();
  const rest = isolateMemory.reserve({ tenant: id, key: 'rest' });
  // What was written counts until it is flushed.
  await until(() => rest.hold(memoryOfTenantBytesMax - held.bytes - 900_000) === null);
  for (const refused of [
    await etcd.post('/v3/kv/deleterange', deletion),
    await etcd.post('/v3/kv/put', { key: b64('a'), value: b64('new'), prev_kv: true }),
    await etcd.post('/v3/kv/txn', { success: [{ request_put: { key: b64('c'), value: b64('v') } }, read] }),
  ]) {
    expect([refused.status, refused.body['message']]).toEqual([429, expect.stringContaining('MiB')]);
  }
  expect((await withKey(key, '/v1/kv/c')).status).toBe(404);
  expect((await etcd.post('/v3/kv/deleterange', { key: b64('b') })).body).toMatchObject({ deleted: '1' });
  held.release();
  rest.release();
  const { status, body } = await etcd.post('/v3/kv/deleterange', deletion);
  expect([status, body['deleted']]).toEqual([200, '1']);
  await until(() => isolateMemory.lacking({ tenant: id, key: 'all' }, 44 * 1_048_576) === null);
});

it('MEMORY-8: a write whose answer finds memory within writeRoomMs is done', async () => {
  const { id, key } = await newTenant({ name: 'write-answers-late', replicas: 1 });
  await put(key, 'a', 'x'.repeat(1_000_000));
  const held = isolateMemory.reserve({ tenant: id, key: 'another' });
  expect(held.hold(40 * 1_048_576)).toBeNull();
  const rest = isolateMemory.reserve({ tenant: id, key: 'rest' });
  await until(() => rest.hold(memoryOfTenantBytesMax - held.bytes - 900_000) === null);
  const asked = new EtcdClient(key).post('/v3/kv/deleterange', { key: b64('a'), prev_kv: true });
  await scheduler.wait(writeRoomMs / 4);
  rest.release();
  const { status, body } = await asked;
  held.release();
  expect([status, body['deleted']]).toEqual([200, '1']);
});
