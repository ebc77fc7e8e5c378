// Leases on a group of real objects: they end in time, awake and asleep, with any leader, and never early.

import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test';
import { beforeAll, describe, expect, it } from 'vitest';
import { leaseAlarmStaggerMs, leaseAlarmStaggerMsMax } from '../../../src/limits.ts';
import {
  crash,
  leaderOf,
  type NewTenant,
  newTenant,
  prepareDirectory,
  put,
  replicaStub,
  withKey,
} from '../../support/service.ts';

beforeAll(prepareDirectory);

const members = [1, 2, 3] as const;
/** This is more than the time that a group takes to rest, with its checkpoint. */
const restMs = 8_000;

type Lease = { readonly id: string; readonly ttl: number; readonly granted_ttl: number };

async function grant(tenant: NewTenant, ttl: number): Promise<Lease> {
  const response = await withKey(tenant.key, '/v1/leases', { method: 'POST', body: JSON.stringify({ ttl }) });
  expect(response.status).toBe(201);
  return response.json();
}

async function keepAlive(tenant: NewTenant, id: string): Promise<number> {
  const response = await withKey(tenant.key, `/v1/leases/${id}/keepalive`, { method: 'POST' });
  await response.arrayBuffer();
  return response.status;
}

async function remaining(tenant: NewTenant, id: string): Promise<number | null> {
  const response = await withKey(tenant.key, `/v1/leases/${id}`);
  const answer: Lease = await response.json();
  return response.status === 200 ? answer.ttl : null;
}

async function attached(tenant: NewTenant, key: string, lease: Lease): Promise<void> {
  const response = await withKey(tenant.key, `/v1/kv/${key}?lease=${lease.id}`, { method: 'PUT', body: 'x' });
  // An answer that is not read to its end keeps its object in memory.
  await response.arrayBuffer();
  expect(response.status).toBe(200);
}

async function exists(tenant: NewTenant, key: string): Promise<boolean> {
  const response = await withKey(tenant.key, `/v1/kv/${key}`);
  await response.arrayBuffer();
  return response.status === 200;
}

/** The milliseconds until the key is gone. It reads the rows of one replica, so that no object is woken. */
async function goneAfter(tenant: NewTenant, replica: number, sinceMs: number): Promise<number> {
  const stub = replicaStub(tenant.id, replica);
  for (;;) {
    const keys = await runInDurableObject(
      stub,
      (_, { storage }) => [...storage.sql.exec('SELECT key FROM head')].length,
    );
    if (keys === 0) return Date.now() - sinceMs;
    await scheduler.wait(50);
  }
}

function alarmOf(tenant: NewTenant, replica: number): Promise<number | null> {
  return runInDurableObject(replicaStub(tenant.id, replica), (_, { storage }) => storage.getAlarm());
}

async function evictAll(tenant: NewTenant): Promise<void> {
  for (const replica of members) await evictDurableObject(replicaStub(tenant.id, replica));
}

// The tests wait for clocks, each with a tenant of its own, so they wait beside each other.
describe.concurrent('awake', () => {
  it('LEASE-20: a lease ends at most 2 s late, its keys go in one revision, and it can be kept alive until then', async () => {
    const tenant = await newTenant({ name: 'lease-awake' });
    const lease = await grant(tenant, 2);
    await attached(tenant, 'a', lease);
    await attached(tenant, 'b', lease);
    for (let round = 0; round < 3; round++) {
      await scheduler.wait(1_000);
      expect(await keepAlive(tenant, lease.id)).toBe(200);
    }
    const sinceMs = Date.now();
    const afterMs = await goneAfter(tenant, 1, sinceMs);
    expect(afterMs).toBeGreaterThanOrEqual(1_900);
    expect(afterMs).toBeLessThan(4_000);
    expect(await keepAlive(tenant, lease.id)).toBe(404);
    expect(await remaining(tenant, lease.id)).toBeNull();
    const list: { revision: number } = await (await withKey(tenant.key, '/v1/kv?prefix=')).json();
    expect(list.revision).toBe(4);
  });

  it('LEASE-21: a new leader gives every lease its full time again, and ends it when that is over', async () => {
    const tenant = await newTenant({ name: 'lease-failover' });
    const lease = await grant(tenant, 4);
    await attached(tenant, 'a', lease);
    await scheduler.wait(2_500);
    expect(await remaining(tenant, lease.id)).toBeLessThanOrEqual(1);
    const crashedMs = Date.now();
    await crash(tenant.id, await leaderOf(tenant.key));
    expect(await remaining(tenant, lease.id)).toBeGreaterThanOrEqual(3);
    const afterMs = await goneAfter(tenant, 2, crashedMs);
    expect(afterMs).toBeGreaterThanOrEqual(3_900);
    expect(afterMs).toBeLessThan(8_000);
  });

  it('LEASE-22: a lease that is kept alive lives through the crash of every leader', async () => {
    const tenant = await newTenant({ name: 'lease-kept' });
    const lease = await grant(tenant, 2);
    await attached(tenant, 'a', lease);
    for (let round = 0; round < 6; round++) {
      await scheduler.wait(600);
      if (round % 2 === 1) await crash(tenant.id, await leaderOf(tenant.key));
      expect(await keepAlive(tenant, lease.id)).toBe(200);
    }
    expect(await exists(tenant, 'a')).toBe(true);
  });

  it('LEASE-30: keepalives that come as parts of one POST are answered as they come, wherever the leader is', async () => {
    const tenant = await newTenant({ name: 'lease-parts' });
    const lease = await grant(tenant, 2);
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    const writer = writable.getWriter();
    const say = (): Promise<void> => writer.write(new TextEncoder().encode(JSON.stringify({ ID: lease.id })));
    const init = { method: 'POST', body: readable, duplex: 'half' };
    const answered = withKey(tenant.key, '/v3/lease/keepalive', init);
    await say();
    const response = await answered;
    expect(response.status).toBe(200);
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    const next = async (): Promise<unknown> => {
      let text = '';
      while (!text.includes('\n')) text += (await reader?.read())?.value ?? '\n';
      return JSON.parse(text);
    };
    expect(await next()).toMatchObject({ result: { ID: lease.id, TTL: '2' } });
    // The POST goes on longer than the time to live. Formerly all keepalives were read when the body ended, and the
    // lease had ended by then.
    for (let count = 0; count < 4; count++) {
      await scheduler.wait(1_000);
      if (count === 1) await transferTo(tenant, (await leaderOf(tenant.key)) === 1 ? 2 : 1);
      await say();
      expect(await next()).toMatchObject({ result: { ID: lease.id, TTL: '2' } });
    }
    await writer.close();
    expect((await reader?.read())?.done).toBe(true);
  }, 30_000);

  it('LEASE-30: a part that cannot be read is the last one; the status is that of the first', async () => {
    const tenant = await newTenant({ name: 'lease-bad-parts', replicas: 1 });
    const lease = await grant(tenant, 60);
    const post = (...parts: readonly string[]): Promise<Response> => {
      const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
      const writer = writable.getWriter();
      void Promise.all(parts.map((part) => writer.write(new TextEncoder().encode(part))))
        .then(() => writer.close())
        .catch(() => undefined);
      const init = { method: 'POST', body: readable, duplex: 'half' };
      return withKey(tenant.key, '/v3/lease/keepalive', init);
    };
    const bad = await post('{"ID":[]}');
    expect([bad.status, await bad.json()]).toMatchObject([400, { error: { code: 3 } }]);
    const later = await post(JSON.stringify({ ID: lease.id }), '{"ID":[]}');
    const lines = (await later.text()).trim().split('\n');
    expect([later.status, lines.length]).toEqual([200, 2]);
    expect(JSON.parse(lines[1] ?? '')).toMatchObject({ error: { code: 3 } });
    const none = await post('');
    expect([none.status, await none.text()]).toEqual([200, '']);
  });

  it('LEASE-23: a keepalive on a WebSocket is answered wherever the leader is by then', async () => {
    const tenant = await newTenant({ name: 'lease-socket' });
    const lease = await grant(tenant, 60);
    const response = await withKey(tenant.key, '/v3/lease/keepalive', { headers: { Upgrade: 'websocket' } });
    const socket = response.webSocket;
    if (socket === null) throw new Error(`no upgrade: ${response.status}`);
    socket.accept();
    const ask = async (): Promise<unknown> => {
      const answered = new Promise<string>((resolve) => {
        socket.addEventListener('message', ({ data }) => resolve(String(data)), { once: true });
      });
      socket.send(JSON.stringify({ ID: lease.id }));
      return JSON.parse(await answered);
    };
    expect(await ask()).toMatchObject({ result: { ID: lease.id, TTL: '60' } });
    // The replica keeps the socket and does not lead any more.
    const other = (await leaderOf(tenant.key)) === 1 ? 2 : 1;
    await transferTo(tenant, other);
    expect(await ask()).toMatchObject({ result: { ID: lease.id, TTL: '60' } });
    // A message that fails is the last one.
    const closed = new Promise((resolve) => socket.addEventListener('close', resolve));
    const failed = new Promise<string>((resolve) => {
      socket.addEventListener('message', ({ data }) => resolve(String(data)), { once: true });
    });
    socket.send('{"ID":');
    expect(JSON.parse(await failed)).toMatchObject({ error: { code: 3 } });
    await closed;
  });
});

async function transferTo(tenant: NewTenant, replica: number): Promise<void> {
  const members = await withKey(tenant.key, '/v3/cluster/member/list', { method: 'POST', body: '{}' });
  const list: { members: { ID: string; name: string }[] } = await members.json();
  const target = list.members[replica - 1]?.ID;
  const response = await withKey(tenant.key, '/v3/maintenance/transfer-leadership', {
    method: 'POST',
    body: JSON.stringify({ targetID: target }),
  });
  expect(await response.text()).toBe('{}');
}

describe.concurrent('asleep', () => {
  it('LEASE-24: a lease ends at most 5 s late on a group that sleeps, evicted from memory, and leaves no alarm', async () => {
    const tenant = await newTenant({ name: 'lease-asleep' });
    const lease = await grant(tenant, 13);
    const grantedMs = Date.now();
    await attached(tenant, 'a', lease);
    await scheduler.wait(restMs);
    const alarms: (number | null)[] = [];
    for (const replica of members) alarms.push(await alarmOf(tenant, replica));
    await evictAll(tenant);
    // The alarms are staggered, and the first one rings at the deadline.
    const [first, second, third] = alarms.map((alarm) => (alarm ?? 0) - grantedMs - 13_000);
    expect(Math.abs(first ?? Number.NaN)).toBeLessThan(500);
    expect((second ?? 0) - (first ?? 0)).toBe(leaseAlarmStaggerMs);
    expect((third ?? 0) - (first ?? 0)).toBe(leaseAlarmStaggerMsMax);
    await scheduler.wait(Math.max(0, grantedMs + 13_000 - Date.now() + 100));
    // The test rings the alarm where the platform of the tests does not ring by itself.
    for (const replica of members) await runDurableObjectAlarm(replicaStub(tenant.id, replica));
    const afterMs = await goneAfter(tenant, 3, grantedMs);
    expect(afterMs).toBeGreaterThanOrEqual(13_000);
    expect(afterMs).toBeLessThan(18_000);
    await scheduler.wait(restMs);
    // What the replicas have served is told minutes later.
    for (const replica of members) {
      expect((await alarmOf(tenant, replica)) ?? Infinity).toBeGreaterThan(Date.now() + 60_000);
    }
  }, 60_000);

  it('LEASE-25: what was kept alive before the rest does not end early after it, nor is it given time that nobody asked for', async () => {
    const tenant = await newTenant({ name: 'lease-rest' });
    const lease = await grant(tenant, 30);
    await scheduler.wait(2_000);
    expect(await keepAlive(tenant, lease.id)).toBe(200);
    const keptMs = Date.now();
    await scheduler.wait(restMs);
    await evictAll(tenant);
    const left = await remaining(tenant, lease.id);
    const expected = 30 - (Date.now() - keptMs) / 1_000;
    expect(left).toBeGreaterThan(expected - 2);
    expect(left).toBeLessThanOrEqual(expected);
  });

  it('LEASE-26: a keepalive after a rest is not forgotten by a crash of the leader', async () => {
    const tenant = await newTenant({ name: 'lease-after-rest' });
    const lease = await grant(tenant, 13);
    await attached(tenant, 'a', lease);
    await scheduler.wait(restMs);
    await evictAll(tenant);
    expect(await keepAlive(tenant, lease.id)).toBe(200);
    const keptMs = Date.now();
    await crash(tenant.id, await leaderOf(tenant.key));
    expect(await remaining(tenant, lease.id)).toBeGreaterThanOrEqual(11);
    await put(tenant.key, 'other', 'x');
    await scheduler.wait(Math.max(0, keptMs + 12_500 - Date.now()));
    expect(await exists(tenant, 'a')).toBe(true);
  }, 60_000);
});
