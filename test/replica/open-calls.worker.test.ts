// What a client holds open on real objects ends with its key.

import { evictDurableObject, runDurableObjectAlarm } from 'cloudflare:test';
import { beforeAll, expect, it } from 'vitest';
import { FrameSocket } from '../support/etcd-client.ts';
import {
  newKey,
  newTenant,
  prepareDirectory,
  replicaStub,
  revokeKey,
  WatchSocket,
  withKey,
} from '../support/service.ts';

beforeAll(prepareDirectory);

const base64 = (text: string): string => btoa(text);

type Queue = { readonly holders: readonly { readonly lease: string }[]; readonly waiting: number };

function post(key: string, path: string, body: object): Promise<Response> {
  return withKey(key, path, { method: 'POST', body: JSON.stringify(body) });
}

it('OPEN-5: a key that is revoked while its calls wait gets neither lock nor lease, on v1, v3 and in elections', async () => {
  const tenant = await newTenant({ name: 'wait-revoked', replicas: 1 });
  const queue = async (): Promise<Queue> => (await withKey(tenant.key, '/v1/locks/a')).json();
  const leases = async (): Promise<number> => {
    const list: { leases: unknown[] } = await (await withKey(tenant.key, '/v1/leases')).json();
    return list.leases.length;
  };
  const held: { lease: string } = await (await post(tenant.key, '/v1/locks/a', { ttl: 60 })).json();
  const key = await newKey(tenant, 'write');
  const waits = [
    post(key.key, '/v1/locks/a', { ttl: 60, wait: 60 }),
    post(key.key, '/v3/lock/lock', { name: base64('a') }),
    post(key.key, '/v3/election/campaign', { name: base64('a'), value: base64('v') }),
  ];
  await expect.poll(async () => (await queue()).waiting).toBe(3);
  await revokeKey(tenant, key);
  expect((await Promise.all(waits)).map(({ status }) => status)).toEqual([401, 401, 401]);
  expect(await queue()).toMatchObject({ holders: [{ lease: held.lease }], waiting: 0 });
  expect(await leases()).toBe(1);
});

it('OPEN-6: sockets for calls end with their key, also after a sleep, and those of other keys go on', async () => {
  const tenant = await newTenant({ name: 'sockets-revoked', replicas: 1 });
  const key = await newKey(tenant, 'read');
  const ended = await FrameSocket.open('/v3/kv/range', { 'Quorate-Key': key.key });
  const kept = await FrameSocket.open('/v3/kv/range', { 'Quorate-Key': tenant.key });
  await expect
    .poll(() => evictDurableObject(replicaStub(tenant.id, 1), { webSockets: 'hibernate' }).then(() => true), {
      timeout: 20_000,
    })
    .toBe(true);
  await revokeKey(tenant, key);
  expect((await ended.closed).code).toBe(4401);
  kept.send({ key: base64('a') });
  expect(await kept.next()).toHaveProperty('header');
}, 40_000);

it('OPEN-7: the sockets of a key that expires while its group rests end with it: an alarm wakes the object', async () => {
  const tenant = await newTenant({ name: 'sockets-expired', replicas: 1 });
  const key = await newKey(tenant, 'read', { expires_in: 12 });
  const watch = await WatchSocket.open(key.key, 'prefix=');
  const frames = await FrameSocket.open('/v3/kv/range', { 'Quorate-Key': key.key });
  await scheduler.wait(8_000);
  await evictDurableObject(replicaStub(tenant.id, 1), { webSockets: 'hibernate' });
  const codes = Promise.all([watch.closed, frames.closed]).then((all) => all.map(({ code }) => code));
  await scheduler.wait(5_000);
  await runDurableObjectAlarm(replicaStub(tenant.id, 1));
  expect(await codes).toEqual([4401, 4401]);
}, 40_000);
