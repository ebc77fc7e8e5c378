// The place in memory for the answer to a write is taken before the write is done, and no tenant takes that of others.

import { beforeAll, expect, it } from 'vitest';
import { isolateMemory, type Reservation } from '../../src/base/memory-budget.ts';
import { memoryCountedBytesMin, memoryOfTenantBytesMax, writeRoomMs } from '../../src/limits.ts';
import { b64, EtcdClient } from '../support/etcd-client.ts';
import { newTenant, prepareDirectory, put, until, withKey } from '../support/service.ts';

beforeAll(prepareDirectory);

it('MEMORY-8: a write whose answer finds no memory is refused before it is done, and other writes are done', async () => {
  const { id, key } = await newTenant({ name: 'write-answers', replicas: 1 });
  for (const name of ['a', 'b']) await put(key, name, 'x'.repeat(1_000_000));
  const etcd = new EtcdClient(key);
  const deletion = { key: b64('a'), range_end: b64('c'), prev_kv: true };
  const read = { request_range: { key: b64('a') } };
  const held = await allButLittle(id);
  for (const refused of [
    await etcd.post('/v3/kv/deleterange', deletion),
    await etcd.post('/v3/kv/put', { key: b64('a'), value: b64('new'), prev_kv: true }),
    await etcd.post('/v3/kv/txn', { success: [{ request_put: { key: b64('c'), value: b64('v') } }, read] }),
  ]) {
    expect([refused.status, refused.body['message']]).toEqual([429, expect.stringContaining('MiB')]);
  }
  expect((await withKey(key, '/v1/kv/c')).status).toBe(404);
  expect((await etcd.post('/v3/kv/deleterange', { key: b64('b') })).body).toMatchObject({ deleted: '1' });
  release(held);
  const { status, body } = await etcd.post('/v3/kv/deleterange', deletion);
  expect([status, body['deleted']]).toEqual([200, '1']);
  await until(() => isolateMemory.lacking({ tenant: id, key: 'all' }, 44 * 1_048_576) === null);
});

it('MEMORY-8: a write whose answer finds memory within writeRoomMs is done', async () => {
  const { id, key } = await newTenant({ name: 'write-answers-late', replicas: 1 });
  await put(key, 'a', 'x'.repeat(1_000_000));
  const held = await allButLittle(id);
  const asked = new EtcdClient(key).post('/v3/kv/deleterange', { key: b64('a'), prev_kv: true });
  await scheduler.wait(writeRoomMs / 4);
  release(held);
  const { status, body } = await asked;
  expect([status, body['deleted']]).toEqual([200, '1']);
});

it('MEMORY-8: transactions that read the past of a small store take no more than it has', async () => {
  const { id, key } = await newTenant({ name: 'write-answers-past', replicas: 1 });
  await put(key, 'a', 'x'.repeat(10_000));
  const held = isolateMemory.reserve({ tenant: id, key: 'another' });
  await until(() => held.hold(memoryOfTenantBytesMax - 4 * 1_048_576) === null);
  const range = { key: b64('a'), range_end: b64('c'), revision: '2' };
  const success = [{ request_put: { key: b64('b'), value: b64('v') } }, { request_range: range }];
  const etcd = new EtcdClient(key);
  const answers = await Promise.all(Array.from({ length: 20 }, () => etcd.post('/v3/kv/txn', { success })));
  expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
  held.release();
});

it('MEMORY-9: beside tenants that hold all that they may, others put and get', async () => {
  const { key } = await newTenant({ name: 'write-answers-neighbour', replicas: 1 });
  const value = 'x'.repeat(300_000);
  await put(key, 'a', value);
  await until(() => isolateMemory.bytes === 0);
  const hostile = [...all('a'), ...all('b')];
  const etcd = new EtcdClient(key);
  const written = await etcd.post('/v3/kv/put', { key: b64('a'), value: b64(value), prev_kv: true });
  expect(written.status).toBe(200);
  const read = await withKey(key, '/v1/kv/a');
  expect([read.status, (await read.text()).length]).toEqual([200, value.length]);
  release(hostile);
});

/** Holds all that the tenant may. */
function all(tenant: string): readonly Reservation[] {
  return ['first', 'second'].map((key) => {
    const memory = isolateMemory.reserve({ tenant, key });
    for (let step = memoryOfTenantBytesMax; step > memoryCountedBytesMin; step /= 2) {
      while (memory.hold(memory.bytes + step) === null);
    }
    return memory;
  });
}

/** Of what the tenant may hold, 900,000 bytes are left. What was written counts until it is flushed. */
async function allButLittle(tenant: string): Promise<readonly Reservation[]> {
  await until(() => isolateMemory.bytes === 0);
  const held = all(tenant);
  const [most] = held;
  expect(most?.hold(most.bytes - 900_000)).toBeNull();
  return held;
}

function release(held: readonly Reservation[]): void {
  for (const memory of held) memory.release();
}
