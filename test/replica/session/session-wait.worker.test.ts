// Waits of sessions in workerd: their queues are those of locks over HTTP, and outlive connections, sleeps and leaders.

import { evictDurableObject } from 'cloudflare:test';
import { beforeAll, describe, expect, it } from 'vitest';
import { textOf, utf8 } from '../../../src/base/bytes.ts';
import { sessionWaitGraceMs } from '../../../src/limits.ts';
import { noLease } from '../../../src/model/brands.ts';
import type { SessionWait, WaitOutcome } from '../../../src/model/waits.ts';
import {
  crash,
  leaderOf,
  newKey,
  newTenant,
  type NewTenant,
  prepareDirectory,
  replicaStub,
  revokeKey,
  until,
  withKey,
} from '../../support/service.ts';
import { alone, nextId, Session } from './worker-session.ts';

beforeAll(prepareDirectory);

const lock: SessionWait = { kind: 'lock', name: utf8('jobs'), lease: noLease };
const acquire = { kind: 'acquire', name: utf8('jobs'), limit: 1, hold: { kind: 'session', ttlSeconds: 2 } } as const;
const campaign: SessionWait = { kind: 'campaign', name: utf8('jobs'), lease: noLease, value: utf8('me') };

/** One wait, at whichever replica leads. */
class Waiting {
  outcome: WaitOutcome | null = null;
  /** How often it was asked for at a replica. */
  asked = 0;
  readonly #id = nextId();
  #leave: () => void = () => undefined;

  constructor(sessions: readonly Session[], wait: SessionWait, { replica = 1, handle = 0 } = {}) {
    const session = sessions[replica - 1] ?? sessions[0];
    if (session === undefined) throw new Error('there is a session');
    this.#at(sessions, session, wait, handle);
  }

  get key(): string | null {
    const { outcome } = this;
    if (outcome?.kind === 'locked') return textOf(outcome.locked.key);
    if (outcome?.kind === 'elected') return textOf(outcome.elected.key);
    return outcome?.kind === 'acquired' ? textOf(outcome.acquired.key) : null;
  }

  get failure(): string | null {
    return this.outcome?.kind === 'failed' ? this.outcome.failure.kind : null;
  }

  leave(): void {
    this.#leave();
  }

  #at(sessions: readonly Session[], session: Session, wait: SessionWait, handle: number): void {
    this.asked++;
    const more = { handle: handle === 0 ? session.handle : handle, suspectedLeader: 0, mayBeAlone: false };
    const open = session.client.wait(
      wait,
      { id: this.#id, ...more },
      {
        settled: (answer) => {
          if (answer.kind === 'answered') this.outcome = answer.outcome;
          else {
            const next = sessions[answer.leader - 1] ?? session;
            setTimeout(() => this.#at(sessions, next, wait, handle), answer.leader === 0 ? 100 : 0);
          }
        },
        interrupted: () => undefined,
      },
    );
    this.#leave = open.leave;
  }
}

/** The places of the queue, the oldest first. */
async function places(tenant: NewTenant): Promise<readonly string[]> {
  const range = { key: btoa('jobs/'), range_end: btoa('jobs0'), sort_target: 'CREATE', keys_only: true };
  const response = await withKey(tenant.key, '/v3/kv/range', { method: 'POST', body: JSON.stringify(range) });
  const { kvs = [] }: { kvs?: { key: string }[] } = await response.json();
  return kvs.map(({ key }) => atob(key));
}

async function release(tenant: NewTenant, key: string | null): Promise<void> {
  const body = JSON.stringify({ key: btoa(key ?? '') });
  await (await withKey(tenant.key, '/v3/lock/unlock', { method: 'POST', body })).arrayBuffer();
}

describe('waits of sessions', () => {
  it('SESSION-SOCKET-13: stand in the queues of locks over HTTP, and each is served in its turn', async () => {
    const tenant = await newTenant({ name: 'wait-order', replicas: 1 });
    const session = new Session(tenant.key, 1);
    const first = new Waiting([session], lock);
    await until(() => first.key !== null);
    const second = new Waiting([session], campaign);
    await until(async () => (await places(tenant)).length === 2);
    const body = JSON.stringify({ ttl: 30, wait: 30 });
    let third: { key: string } | null = null;
    const overHttp = withKey(tenant.key, '/v1/locks/jobs', { method: 'POST', body }).then(async (response) => {
      third = await response.json();
    });
    await until(async () => (await places(tenant)).length === 3);
    const fourth = new Waiting([session], { ...acquire, waitMs: 30_000 });
    await until(async () => (await places(tenant)).length === 4);
    const queue = await places(tenant);
    // Longer than the lease of the last one lives by itself.
    await scheduler.wait(4_000);
    expect([second.outcome, third, fourth.outcome]).toEqual([null, null, null]);
    expect(await places(tenant)).toEqual(queue);
    await release(tenant, first.key);
    await until(() => second.key !== null);
    expect(second.key).toBe(queue[1]);
    expect(second.outcome).toMatchObject({ elected: { revision: expect.any(Number) } });
    await release(tenant, second.key);
    await overHttp;
    expect(third).toMatchObject({ key: queue[2] });
    expect(fourth.outcome).toBeNull();
    await release(tenant, queue[2] ?? '');
    await until(() => fourth.key !== null);
    expect(fourth.outcome).toMatchObject({ kind: 'acquired', acquired: { ttlSeconds: 2 } });
    const inVain = new Waiting([session], { ...acquire, waitMs: 0 });
    await until(() => inVain.outcome !== null);
    expect(inVain.failure).toBe('lockHeld');
    session.client.close();
  }, 60_000);

  it('SESSION-SOCKET-14: a place is left at once by its client, and after sessionWaitGraceMs where the connection broke', async () => {
    const tenant = await newTenant({ name: 'wait-left', replicas: 1 });
    const session = new Session(tenant.key, 1);
    const leaving = new Session(tenant.key, 1);
    // It leaves before it is served, and before it hears that nobody was before it.
    new Waiting([session], lock).leave();
    await until(() => session.client.isOpen);
    new Waiting([session], lock).leave();
    const crossing = new Waiting([session], lock);
    await until(async () => (await places(tenant)).length > 0);
    crossing.leave();
    await until(async () => (await places(tenant)).length === 0);
    const first = new Waiting([session], lock);
    await until(() => first.key !== null);
    const left = new Waiting([session], lock);
    await until(async () => (await places(tenant)).length === 2);
    left.leave();
    await until(async () => (await places(tenant)).length === 1);

    // It comes back, and has its place.
    const back = new Waiting([session], campaign);
    await until(async () => (await places(tenant)).length === 2);
    session.client.endIfSilent(Number.POSITIVE_INFINITY);
    await until(() => session.connections === 2);
    const gone = new Waiting([leaving], lock);
    await until(async () => (await places(tenant)).length === 3);
    const next = new Waiting([session], lock);
    await until(async () => (await places(tenant)).length === 4);
    const queue = await places(tenant);
    leaving.client.close();
    await release(tenant, first.key);
    await until(() => back.key !== null);
    expect(back.key).toBe(queue[1]);
    await release(tenant, back.key);
    await scheduler.wait(1_000);
    expect(await places(tenant)).toEqual(queue.slice(2));
    expect(next.outcome).toBeNull();
    await scheduler.wait(sessionWaitGraceMs - 1_000);
    await until(() => next.key !== null);
    expect([next.key, gone.outcome]).toEqual([queue[3], null]);
    session.client.close();
  }, 60_000);

  it('SESSION-SOCKET-14: a place goes with the access key of its handle, and the other handles wait on', async () => {
    const tenant = await newTenant({ name: 'wait-key', replicas: 1 });
    const session = new Session(tenant.key, 1);
    const other = await newKey(tenant, 'write');
    const handle = session.client.declare(alone(other.key));
    const first = new Waiting([session], lock);
    await until(() => first.key !== null);
    const revoked = new Waiting([session], lock, { handle });
    await until(async () => (await places(tenant)).length === 2);
    const next = new Waiting([session], lock);
    await until(async () => (await places(tenant)).length === 3);
    await revokeKey(tenant, other);
    await until(() => revoked.outcome !== null);
    expect(revoked.failure).toBe('unauthenticated');
    await until(async () => (await places(tenant)).length === 2);
    expect(next.outcome).toBeNull();
    await release(tenant, first.key);
    await until(() => next.key !== null);
    session.client.close();
  }, 30_000);

  it('SESSION-SOCKET-21: each wait of a session has the rights of its own handle, and a place and a lease of its own', async () => {
    const tenant = await newTenant({ name: 'wait-handles', replicas: 1 });
    const session = new Session(tenant.key, 1);
    const keys = await Promise.all(['jobs', 'other'].map((prefix) => newKey(tenant, 'write', { prefix })));
    const [jobs = 0, other = 0] = keys.map(({ key }) => session.client.declare(alone(key)));
    const refused = [lock, campaign, { ...acquire, waitMs: 30_000 }].map(
      (wait) => new Waiting([session], wait, { handle: other }),
    );
    await until(() => refused.every(({ outcome }) => outcome !== null));
    expect(refused.map(({ failure }) => failure)).toEqual(['forbidden', 'forbidden', 'forbidden']);
    expect(await places(tenant)).toEqual([]);
    const [first, second] = [new Waiting([session], lock, { handle: jobs }), new Waiting([session], lock)];
    await until(() => first.key !== null || second.key !== null);
    const queue = await places(tenant);
    expect(new Set(queue).size).toBe(2);
    // A handle that is released takes its wait with it, and what it was told of, it keeps.
    const third = new Waiting([session], lock, { handle: jobs });
    await until(async () => (await places(tenant)).length === 3);
    session.client.release(jobs);
    await until(async () => (await places(tenant)).length === (first.key === null ? 1 : 2));
    expect(third.outcome).toBeNull();
    if (first.key !== null) await release(tenant, first.key);
    await until(() => second.key !== null);
    session.client.close();
  }, 30_000);

  it('SESSION-SOCKET-15: a wait keeps its place over a sleep of the object, and over its crash', async () => {
    const tenant = await newTenant({ name: 'wait-asleep', replicas: 1 });
    const session = new Session(tenant.key, 1);
    const first = new Waiting([session], lock);
    await until(() => first.key !== null);
    const second = new Waiting([session], lock);
    const third = new Waiting([session], campaign);
    await until(async () => (await places(tenant)).length === 3);
    const queue = await places(tenant);
    await scheduler.wait(6_000);
    await evictDurableObject(replicaStub(tenant.id, 1), { webSockets: 'hibernate' });
    await release(tenant, first.key);
    await until(() => second.key !== null);
    expect(session.connections).toBe(1);
    await crash(tenant.id, 1);
    expect(await places(tenant)).toEqual([second.key, queue[2] === second.key ? queue[1] : queue[2]]);
    await release(tenant, second.key);
    await until(() => third.key !== null);
    expect(await places(tenant)).toEqual([third.key]);
    session.client.close();
  }, 60_000);

  it('SESSION-SOCKET-15: a wait moves on with the leader, and has one place', async () => {
    const tenant = await newTenant({ name: 'wait-moves', replicas: 3 });
    const sessions = [1, 2, 3].map((replica) => new Session(tenant.key, replica));
    const leader = await leaderOf(tenant.key);
    const first = new Waiting(sessions, lock, { replica: (leader % 3) + 1 });
    await until(() => first.key !== null);
    expect(first.asked).toBe(2);
    const second = new Waiting(sessions, lock, { replica: leader });
    await until(async () => (await places(tenant)).length === 2);
    const queue = await places(tenant);
    for (let times = 0; times < 2; times++) {
      await crash(tenant.id, await leaderOf(tenant.key));
      expect(await places(tenant)).toEqual(queue);
    }
    await release(tenant, first.key);
    await until(() => second.key !== null);
    expect(await places(tenant)).toEqual([second.key]);
    for (const { client } of sessions) client.close();
  }, 60_000);
});
