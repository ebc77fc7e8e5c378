// A group that nobody uses costs nothing, and the next call finds it.

import { evictDurableObject, runInDurableObject } from 'cloudflare:test';
import { beforeAll, describe, expect, it } from 'vitest';
import { FrameSocket } from '../support/etcd-client.ts';
import { newTenant, prepareDirectory, put, replicaStub, WatchSocket, withKey } from '../support/service.ts';

beforeAll(prepareDirectory);

const members = [1, 2, 3] as const;
const restMs = 6_000;
const idleMs = 60_000;

/** What an object holds, and how many rows its present instance has written. */
function rowsOf(tenant: string, replica: number): Promise<{ readonly content: string; readonly written: number }> {
  return runInDurableObject(replicaStub(tenant, replica), (_, { storage: { sql } }) => {
    const names = [
      ...sql.exec<{ name: string }>(
        `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '\\_cf%' ESCAPE '\\'`,
      ),
    ];
    const rows = names.map(({ name }) => [...sql.exec(`SELECT * FROM ${name}`).raw()]);
    const content = JSON.stringify(rows, (_key, value: unknown) =>
      value instanceof ArrayBuffer ? [...new Uint8Array(value)] : value,
    );
    return { content, written: Number(sql.exec('SELECT total_changes() AS rows').one()['rows']) };
  });
}

/**
 * Counts every call of any object from now on: requests, calls of its methods by gateways and peers, alarms, and
 * messages of sockets. It counts calls of the class, so objects that are made anew count as well.
 */
async function countCalls(tenant: string): Promise<{ calls: number }> {
  const counted = { calls: 0 };
  await runInDurableObject(replicaStub(tenant, 1), (instance) => {
    const prototype: object = Object.getPrototypeOf(instance);
    for (const [name, { value, ...property }] of Object.entries(Object.getOwnPropertyDescriptors(prototype))) {
      if (name === 'constructor' || typeof value !== 'function') continue;
      const method: (this: unknown, ...given: unknown[]) => unknown = value;
      const counting = function (this: unknown, ...given: unknown[]): unknown {
        counted.calls++;
        return method.apply(this, given);
      };
      Object.defineProperty(prototype, name, { ...property, value: counting });
    }
  });
  return counted;
}

describe('a group that sleeps', () => {
  it('SOCKET-3: a ping is answered while the object sleeps, on every kind of socket, without a row', async () => {
    const tenant = await newTenant({ name: 'pinged', replicas: 1 });
    const headers = { 'Quorate-Key': tenant.key };
    const sockets: FrameSocket[] = [];
    for (const path of ['/v1/watch?prefix=', '/v3/watch', '/v3/lease/keepalive', '/v3/kv/range']) {
      sockets.push(await FrameSocket.open(path, headers));
    }
    await sockets[0]?.next();
    await scheduler.wait(restMs);
    const before = await rowsOf(tenant.id, 1);
    await evictDurableObject(replicaStub(tenant.id, 1), { webSockets: 'hibernate' });
    for (const socket of sockets) {
      socket.send('ping');
      expect(await socket.nextText()).toBe('pong');
    }
    const answeredBy = await runInDurableObject(replicaStub(tenant.id, 1), (_, state) =>
      state.getWebSockets().map((socket) => state.getWebSocketAutoResponseTimestamp(socket)),
    );
    // The platform itself has answered, so none of this code ran.
    expect(answeredBy.filter((date) => date !== null)).toHaveLength(sockets.length);
    expect(await rowsOf(tenant.id, 1)).toEqual({ content: before.content, written: 0 });

    // Where the platform does not answer, this code does.
    await runInDurableObject(replicaStub(tenant.id, 1), (_, state) => state.setWebSocketAutoResponse());
    for (const socket of sockets) {
      socket.send('ping');
      expect(await socket.nextText()).toBe('pong');
      socket.socket.close();
    }
  });

  it('SLEEP-1: in 60 idle seconds no object is called and no row is written; all can be evicted; the next call answers, and a watch goes on', async () => {
    const tenant = await newTenant({ name: 'asleep' });
    const watch = await WatchSocket.open(tenant.key, 'prefix=k');
    await watch.next();
    await put(tenant.key, 'k', '1');
    await watch.next();
    await scheduler.wait(restMs);

    const counted = await countCalls(tenant.id);
    const before = await Promise.all(members.map((replica) => rowsOf(tenant.id, replica)));
    await scheduler.wait(idleMs);
    const after = await Promise.all(members.map((replica) => rowsOf(tenant.id, replica)));
    expect(counted.calls).toBe(0);
    expect(after.map(({ content }) => content)).toEqual(before.map(({ content }) => content));
    // The platform may have dropped an object meanwhile; its next instance has written nothing.
    for (const [place, { written }] of after.entries()) expect([0, before[place]?.written]).toContain(written);

    // The counters count: a call and its rows are seen.
    await put(tenant.key, 'k', '2');
    expect(counted.calls).toBeGreaterThan(0);
    expect((await rowsOf(tenant.id, 1)).content).not.toBe(after[0]?.content);
    await watch.next();

    await scheduler.wait(restMs);
    for (const replica of members) {
      await evictDurableObject(replicaStub(tenant.id, replica), { webSockets: 'hibernate' });
    }
    expect(await (await withKey(tenant.key, '/v1/kv/k')).text()).toBe('2');
    await put(tenant.key, 'k', '3');
    expect(await watch.next()).toMatchObject({ type: 'events', revision: 4 });
    watch.socket.close();
  }, 120_000);
});
