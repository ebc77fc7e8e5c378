// Sessions in workerd: what the platform adds to both ends of the protocol, which test/session holds by themselves.

import { evictDurableObject } from 'cloudflare:test';
import { beforeAll, describe, expect, it } from 'vitest';
import { readOf } from '../../../src/api/requests.ts';
import { sessionSubprotocol } from '../../../src/api/v1/session.ts';
import { emptyBytes, utf8 } from '../../../src/base/bytes.ts';
import { groupLevelMax } from '../../../src/model/levels.ts';
import type { SessionAnswer } from '../../../src/session/client-port.ts';
import {
  asOperator,
  crash,
  leaderOf,
  newKey,
  newTenant,
  type NewTenant,
  prepareDirectory,
  put,
  replicaStub,
  revokeKey,
  withKey,
} from '../../support/service.ts';
import { alone, getOf, nextId, putOf, Session, upgrade } from './worker-session.ts';

beforeAll(prepareDirectory);

async function opened(name: string, replicas = 1): Promise<{ tenant: NewTenant; session: Session; leader: number }> {
  const tenant = await newTenant({ name, replicas });
  const leader = await leaderOf(tenant.key);
  return { tenant, session: new Session(tenant.key, leader), leader };
}

async function levelOf(key: string): Promise<unknown> {
  const status: unknown = await (await withKey(key, '/v1/status')).json();
  return Reflect.get(Object(status), 'level');
}

/** The value that a read found. */
function valueIn(answer: SessionAnswer): string | null {
  if (answer.kind !== 'answered' || answer.outcome.kind !== 'range') throw new Error(JSON.stringify(answer.kind));
  const pair = answer.outcome.answer.kvs.at(0);
  return pair === undefined ? null : new TextDecoder().decode(pair.value);
}

function failureIn(answer: SessionAnswer): string {
  if (answer.kind !== 'answered' || answer.outcome.kind !== 'failed') throw new Error(JSON.stringify(answer.kind));
  return answer.outcome.failure.kind;
}

function revisionIn(answer: SessionAnswer): number {
  if (answer.kind !== 'answered' || answer.outcome.kind !== 'written') throw new Error(JSON.stringify(answer.kind));
  return answer.outcome.outcome.revision;
}

describe('sessions', () => {
  it('SESSION-SOCKET-1: a session writes and reads what requests do', async () => {
    const { tenant, session } = await opened('session-calls', 3);
    const puts = await Promise.all(['a', 'b', 'c'].map((key) => session.ask(putOf(key, `of ${key}`))));
    expect(puts.map(({ kind }) => kind)).toEqual(['answered', 'answered', 'answered']);
    expect(await (await withKey(tenant.key, '/v1/kv/b')).text()).toBe('of b');
    await put(tenant.key, 'd', 'by request');
    expect(valueIn(await session.ask(getOf('d')))).toBe('by request');
    expect(valueIn(await session.ask(getOf('none')))).toBeNull();
    session.client.close();
  });

  it('SESSION-SOCKET-2: a replica that does not lead says who does, and answers what any replica may', async () => {
    const { tenant, leader } = await opened('session-elsewhere', 3);
    await put(tenant.key, 'a', 'here');
    const follower = [1, 2, 3].find((replica) => replica !== leader) ?? 0;
    const session = new Session(tenant.key, follower);
    expect(await session.ask(putOf('a', 'there'))).toMatchObject({ kind: 'notLeader', leader });
    const request = readOf({ key: utf8('a'), rangeEnd: emptyBytes }, { serializable: true });
    // It may be behind, and says what it has.
    await expect.poll(async () => valueIn(await session.ask({ kind: 'read', request }))).toBe('here');
    session.client.close();
  });

  it('SESSION-SOCKET-3: a write that is sent again under its id is applied once, also on another connection', async () => {
    const { tenant, session, leader } = await opened('session-again');
    const id = nextId();
    const first = await session.ask(putOf('a', '1'), { id });
    await session.ask(putOf('a', '2'));
    session.client.close();
    const again = new Session(tenant.key, leader);
    expect(await again.ask(putOf('a', '1'), { id })).toMatchObject({
      outcome: first.kind === 'answered' && first.outcome,
    });
    expect(valueIn(await again.ask(getOf('a')))).toBe('2');
    again.client.close();
  });

  it('SESSION-SOCKET-12: a write under the id of another write is refused, and nothing of it is done', async () => {
    const { tenant, session } = await opened('session-reused');
    // The group rises to the newest level with its first ticks.
    await expect.poll(() => levelOf(tenant.key), { timeout: 10_000 }).toBe(groupLevelMax);
    const id = nextId();
    await session.ask(putOf('a', '1'), { id });
    expect(failureIn(await session.ask(putOf('b', '1'), { id }))).toBe('idempotencyKeyReused');
    expect(failureIn(await session.ask(putOf('a', '2'), { id }))).toBe('idempotencyKeyReused');
    expect([valueIn(await session.ask(getOf('a'))), valueIn(await session.ask(getOf('b')))]).toEqual(['1', null]);
    expect(await session.ask(putOf('a', '1'), { id })).toMatchObject({ outcome: { kind: 'written' } });
    session.client.close();
  });

  it('SESSION-SOCKET-20: a write whose client was told of no count is told of it, and is done with it, once', async () => {
    const { tenant, session } = await opened('session-counts');
    await expect.poll(() => levelOf(tenant.key), { timeout: 10_000 }).toBe(groupLevelMax);
    const id = nextId();
    expect(failureIn(await session.ask(putOf('a', '1'), { id, seen: null }))).toBe('outcomeUnknown');
    expect(valueIn(await session.ask(getOf('a')))).toBeNull();
    expect(session.writes).toBeGreaterThan(0);
    const first = await session.ask(putOf('a', '1'), { id, seen: session.writes });
    expect(first).toMatchObject({ outcome: { kind: 'written' } });
    for (const seen of [null, session.writes]) {
      expect(await session.ask(putOf('a', '1'), { id, seen })).toMatchObject({
        outcome: { kind: 'written', outcome: { revision: revisionIn(first) } },
      });
    }
    session.client.close();
  });

  it('SESSION-SOCKET-4: a handle has the rights of its key, ends with it, and other handles go on', async () => {
    const { tenant, session } = await opened('session-handles');
    const reader = await newKey(tenant, 'read');
    const handle = session.client.declare(alone(reader.key));
    await session.ask(putOf('a', '1'));
    expect(valueIn(await session.ask(getOf('a'), { handle }))).toBe('1');
    expect(failureIn(await session.ask(putOf('a', '2'), { handle }))).toBe('forbidden');
    await revokeKey(tenant, reader);
    expect(failureIn(await session.ask(getOf('a'), { handle }))).toBe('unauthenticated');
    expect(valueIn(await session.ask(getOf('a')))).toBe('1');
    const other = await newTenant({ name: 'session-other', replicas: 1 });
    for (const [key, kind] of [
      [other.key, 'accessKeyForbidden'],
      ['qrt_forged', 'accessKeyInvalid'],
    ] as const) {
      const foreign = session.client.declare(alone(key));
      expect(failureIn(await session.ask(getOf('a'), { handle: foreign }))).toBe(kind);
    }
    session.client.close();
  });

  it('SESSION-SOCKET-5: an object that slept, or crashed, goes on with the sessions that its clients declare anew', async () => {
    const { tenant, session, leader } = await opened('session-sleep');
    await session.ask(putOf('a', '1'));
    await scheduler.wait(6_000);
    await evictDurableObject(replicaStub(tenant.id, leader), { webSockets: 'hibernate' });
    expect(valueIn(await session.ask(getOf('a')))).toBe('1');
    expect(session.connections).toBe(1);
    await crash(tenant.id, leader);
    await expect
      .poll(async () => (await session.ask(getOf('a'))).kind, { timeout: 5_000, interval: 100 })
      .toBe('answered');
    expect(session.connections).toBeGreaterThan(1);
    session.client.close();
  }, 30_000);

  it('SESSION-SOCKET-6: a session is refused to whoever offers no subprotocol, has no key, or names no replica', async () => {
    const { tenant } = await opened('session-refused');
    const status = async (path: string, headers: Record<string, string>, key = tenant.key): Promise<number> => {
      const { status: code, webSocket } = await withKey(key, path, { headers });
      webSocket?.accept();
      webSocket?.close();
      return code;
    };
    expect(await status('/v1/session', upgrade)).toBe(101);
    expect(await status('/v1/session', { Upgrade: 'websocket' })).toBe(400);
    expect(await status('/v1/session', {})).toBe(400);
    expect(await status('/v1/session', upgrade, 'qrt_forged')).toBe(401);
    expect(await status('/v1/session?replica=9', upgrade)).toBe(404);
    expect(await status('/v1/session?replica=12345', upgrade)).toBe(404);
    expect(await status('/v1/session?replica=x', upgrade)).toBe(400);
    const { headers, webSocket } = await withKey(tenant.key, '/v1/session', { headers: upgrade });
    expect(headers.get('sec-websocket-protocol')).toBe(sessionSubprotocol);
    webSocket?.accept();
    webSocket?.close();
  });

  it('SESSION-SOCKET-7: a replica whose tenant is deleted ends its sessions', async () => {
    const { tenant, session } = await opened('session-deleted');
    await session.ask(putOf('a', '1'));
    expect((await asOperator(`/v1/tenants/${tenant.id}?force=true`, { method: 'DELETE' })).status).toBe(204);
    await expect.poll(async () => (await session.ask(getOf('a'))).kind, { interval: 50 }).toBe('lost');
    session.client.close();
  });
});
