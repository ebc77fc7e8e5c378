// Watches of sessions in workerd: what the platform adds to them, which test/session holds by themselves.

import { evictDurableObject } from 'cloudflare:test';
import { beforeAll, describe, expect, it } from 'vitest';
import { prefixEnd, utf8 } from '../../../src/base/bytes.ts';
import type { WatchSink } from '../../../src/session/client-port.ts';
import {
  crash,
  leaderOf,
  newKey,
  newTenant,
  prepareDirectory,
  put,
  replicaStub,
  revokeKey,
} from '../../support/service.ts';
import { alone, Session } from './worker-session.ts';

beforeAll(prepareDirectory);

/** Watches all keys below `watched/`, or below another prefix, and keeps the values that it is told. */
class Told implements WatchSink {
  readonly values: string[] = [];
  from: number | null = null;
  failure: string | null = null;

  constructor(session: Session, { handle = session.handle, start = 0, below = 'watched/' } = {}) {
    const watched = utf8(below);
    const range = { key: watched, rangeEnd: prefixEnd(watched) ?? watched };
    session.client.watch({ range, start, noPut: false, noDelete: false, previous: false }, handle, this);
  }

  readonly created: WatchSink['created'] = ({ from }) => {
    this.from = from;
  };
  readonly events: WatchSink['events'] = (revisions) => {
    for (const { events } of revisions) {
      for (const { kv } of events) this.values.push(new TextDecoder().decode(kv.value));
    }
  };
  readonly progress = (): void => undefined;
  readonly interrupted = (): void => undefined;
  readonly ended: WatchSink['ended'] = ({ kind }) => {
    this.failure = kind;
  };
}

const patience = { timeout: 10_000, interval: 50 };

describe('watches of sessions', () => {
  it('SESSION-SOCKET-9: any replica serves the watches of a session, each after all that was acknowledged', async () => {
    const tenant = await newTenant({ name: 'session-watch', replicas: 3 });
    await put(tenant.key, 'watched/a', 'before');
    const sessions = [1, 2, 3].map((replica) => new Session(tenant.key, replica));
    const past = sessions.map((session) => new Told(session, { start: 1 }));
    const live = sessions.map((session) => new Told(session));
    await expect.poll(() => live.every(({ from }) => from !== null), patience).toBe(true);
    expect(new Set(live.map(({ from }) => from)).size).toBe(1);
    for (const value of ['1', '2', '3']) await put(tenant.key, 'watched/a', value);
    await expect.poll(() => live.map(({ values }) => values), patience).toEqual(live.map(() => ['1', '2', '3']));
    expect(past.map(({ values }) => values)).toEqual(past.map(() => ['before', '1', '2', '3']));
    for (const session of sessions) session.client.close();
  });

  it('SESSION-SOCKET-21: each watch of a session has the rights of its own handle, and is told its own range alone', async () => {
    const tenant = await newTenant({ name: 'session-watch-handles', replicas: 1 });
    const session = new Session(tenant.key, 1);
    const keys = await Promise.all(
      ['watched/one/', 'watched/two/'].map((prefix) => newKey(tenant, 'read', { prefix })),
    );
    const [one = 0, two = 0] = keys.map(({ key }) => session.client.declare(alone(key)));
    const all = new Told(session);
    const own = [
      new Told(session, { handle: one, below: 'watched/one/' }),
      new Told(session, { handle: two, below: 'watched/two/' }),
    ];
    const ofAnother = new Told(session, { handle: one, below: 'watched/two/' });
    const ofAll = new Told(session, { handle: two });
    await expect.poll(() => [all, ...own].every(({ from }) => from !== null), patience).toBe(true);
    await expect.poll(() => [ofAnother.failure, ofAll.failure], patience).toEqual(['forbidden', 'forbidden']);
    await put(tenant.key, 'watched/one/a', '1');
    await put(tenant.key, 'watched/two/a', '2');
    await expect.poll(() => all.values, patience).toEqual(['1', '2']);
    await expect.poll(() => own.map(({ values }) => values), patience).toEqual([['1'], ['2']]);
    expect([ofAnother.values, ofAll.values]).toEqual([[], []]);
    // A handle that is released takes its watches with it, and no others.
    session.client.release(one);
    await put(tenant.key, 'watched/one/a', '3');
    await put(tenant.key, 'watched/two/a', '4');
    await expect.poll(() => own[1]?.values, patience).toEqual(['2', '4']);
    expect(own[0]?.values).toEqual(['1']);
    session.client.close();
  });

  it('SESSION-SOCKET-10: a watch ends on every replica when its key is revoked, and the others go on', async () => {
    const tenant = await newTenant({ name: 'session-watch-key', replicas: 3 });
    const reader = await newKey(tenant, 'read');
    const sessions = [1, 2, 3].map((replica) => new Session(tenant.key, replica));
    const own = sessions.map((session) => new Told(session));
    const readers = sessions.map((session) => new Told(session, { handle: session.client.declare(alone(reader.key)) }));
    await expect.poll(() => [...own, ...readers].every(({ from }) => from !== null), patience).toBe(true);
    await put(tenant.key, 'watched/a', '1');
    await expect.poll(() => readers.map(({ values }) => values), patience).toEqual(readers.map(() => ['1']));
    await revokeKey(tenant, reader);
    await put(tenant.key, 'watched/a', '2');
    await expect
      .poll(() => readers.map(({ failure }) => failure), patience)
      .toEqual(readers.map(() => 'unauthenticated'));
    await expect.poll(() => own.map(({ values }) => values), patience).toEqual(own.map(() => ['1', '2']));
    expect(readers.map(({ values }) => values)).toEqual(readers.map(() => ['1']));
    for (const session of sessions) session.client.close();
  });

  it('SESSION-SOCKET-11: the watches go on after a sleep of the object and after its crash, without gap or repetition', async () => {
    const tenant = await newTenant({ name: 'session-watch-sleep', replicas: 1 });
    const leader = await leaderOf(tenant.key);
    const session = new Session(tenant.key, leader);
    const told = new Told(session);
    await expect.poll(() => told.from, patience).not.toBeNull();
    await put(tenant.key, 'watched/a', '1');
    await expect.poll(() => told.values, patience).toEqual(['1']);
    await scheduler.wait(6_000);
    await evictDurableObject(replicaStub(tenant.id, leader), { webSockets: 'hibernate' });
    for (const value of ['2', '3']) await put(tenant.key, 'watched/a', value);
    await expect.poll(() => told.values, patience).toEqual(['1', '2', '3']);
    expect(session.connections).toBe(1);
    await crash(tenant.id, leader);
    await put(tenant.key, 'watched/a', '4');
    await expect.poll(() => told.values, patience).toEqual(['1', '2', '3', '4']);
    expect(told.failure).toBeNull();
    session.client.close();
  }, 30_000);
});
