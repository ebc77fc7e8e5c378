/* oxlint-disable unicorn/no-thenable -- `then` is a member of a transaction here */
// Reads and watches at replicas that do not lead: a reader sees all that was acknowledged, whichever replica it is sent
// to.

import { evictDurableObject, runInDurableObject } from 'cloudflare:test';
import { beforeAll, describe, expect, it } from 'vitest';
import { callerHeader } from '../../../src/api/forwarded.ts';
import { callerText } from '../../../src/api/caller-text.ts';
import { groupLevelMax } from '../../../src/model/levels.ts';
import {
  crash,
  cutFromPeers,
  leaderOf,
  type NewTenant,
  newTenant,
  prepareDirectory,
  put,
  replicaStub,
  WatchSocket,
  withKey,
} from '../../support/service.ts';

beforeAll(prepareDirectory);

const nearest = { 'Quorate-Read': 'nearest' };

type Seen = { readonly value: string; readonly servedBy: number; readonly revision: number };

async function get(tenant: NewTenant, path: string, headers: Record<string, string> = nearest): Promise<Seen> {
  const response = await withKey(tenant.key, `/v1/kv/${path}`, { headers });
  const value = new TextDecoder().decode(await response.arrayBuffer());
  expect(response.status, value).toBe(200);
  const number = (name: string): number => Number(response.headers.get(name) ?? '0');
  return { value, servedBy: number('Quorate-Served-By'), revision: number('Quorate-Revision') };
}

/** The follower to which this isolate sends readers. */
async function followerOf(tenant: NewTenant): Promise<number> {
  await put(tenant.key, 'first', '1');
  const leader = await leaderOf(tenant.key);
  const { servedBy } = await get(tenant, 'first');
  expect(servedBy).not.toBe(leader);
  expect(servedBy).toBeGreaterThan(0);
  return servedBy;
}

/** The last entry of the replica's log, without asking it to catch up. */
function lastEntryOf(tenant: NewTenant, replica: number): Promise<unknown> {
  return runInDurableObject(
    replicaStub(tenant.id, replica),
    (_, { storage }) => storage.sql.exec('SELECT max(log_index) AS entry FROM log_places').one()['entry'],
  );
}

describe('a follower', () => {
  it('READ-20: serves linearizable reads of both protocols, each after all that was acknowledged before', async () => {
    const tenant = await newTenant({ name: 'read-your-writes' });
    const follower = await followerOf(tenant);
    for (let round = 0; round < 10; round++) {
      const revision = await put(tenant.key, 'k', `value ${round}`);
      expect(await get(tenant, 'k')).toEqual({ value: `value ${round}`, servedBy: follower, revision });
    }
    const list = await withKey(tenant.key, '/v1/kv?prefix=k', { headers: nearest });
    expect(list.headers.get('Quorate-Served-By')).toBe(String(follower));
    expect(await list.json()).toMatchObject({ count: 1, revision: 12 });
    const body = JSON.stringify({ key: btoa('k') });
    const range = await withKey(tenant.key, '/v3/kv/range', { method: 'POST', body, headers: nearest });
    expect(range.headers.get('Quorate-Served-By')).toBe(String(follower));
    expect(await range.json()).toMatchObject({ header: { revision: '12' }, kvs: [{ value: btoa('value 9') }] });
    // A reader that does not choose is sent to the leader, and gets no header more.
    const plain = await withKey(tenant.key, '/v1/kv/k');
    expect(plain.headers.get('Quorate-Served-By')).toBeNull();
    expect(await get(tenant, 'k', { 'Quorate-Read': 'leader' })).toMatchObject({
      servedBy: await leaderOf(tenant.key),
    });
  });

  it('READ-21: that lags, was crashed or evicted catches up before it answers', async () => {
    const tenant = await newTenant({ name: 'lagging' });
    const follower = await followerOf(tenant);
    const heal = await cutFromPeers(tenant.id, follower);
    const entry = await lastEntryOf(tenant, follower);
    const revision = await put(tenant.key, 'k', 'while it was away');
    expect(entry).not.toBeNull();
    expect(await lastEntryOf(tenant, follower)).toBe(entry);
    heal();
    expect(await get(tenant, 'k')).toEqual({ value: 'while it was away', servedBy: follower, revision });
    await put(tenant.key, 'k', 'crashed');
    await crash(tenant.id, follower);
    // Which replica refuses depends on how soon the leader notices that its way to the follower broke.
    expect(await get(tenant, 'k')).toMatchObject({ value: 'crashed' });
    await scheduler.wait(6_000);
    await evictDurableObject(replicaStub(tenant.id, follower));
    await put(tenant.key, 'k', 'evicted');
    expect(await get(tenant, 'k')).toMatchObject({ value: 'evicted' });
  });

  it('READ-22: that reaches nobody answers no linearizable read; what it answers serializable says how old it is', async () => {
    const tenant = await newTenant({ name: 'partitioned' });
    const follower = await followerOf(tenant);
    const old = await put(tenant.key, 'k', 'old');
    await get(tenant, 'k');
    // A replica that starts anew, and had not flushed all, must ask before it shows anything (GROUP-FLUSH-4).
    await scheduler.wait(1_500);
    await cutFromPeers(tenant.id, follower);
    const revision = await put(tenant.key, 'k', 'new');
    const stale = await get(tenant, 'k?consistency=serializable');
    expect(stale).toEqual({ value: 'old', servedBy: follower, revision: old });
    const fresh = await get(tenant, 'k');
    expect(fresh).toMatchObject({ value: 'new', revision });
    expect(fresh.servedBy).not.toBe(follower);
    // A replica must not refuse a revision that it does not know yet.
    const later = await get(tenant, `k?consistency=serializable&revision=${revision}`);
    expect(later).toMatchObject({ value: 'new' });
  });

  it('READ-23: that lags serves a revision that it did not know when it was asked serializable', async () => {
    const tenant = await newTenant({ name: 'future' });
    const follower = await followerOf(tenant);
    const heal = await cutFromPeers(tenant.id, follower);
    const revision = await put(tenant.key, 'k', 'new');
    heal();
    const seen = await get(tenant, `k?consistency=serializable&revision=${revision}`);
    expect(seen).toMatchObject({ value: 'new', servedBy: follower });
    const response = await withKey(tenant.key, `/v1/kv/k?consistency=serializable&revision=${revision + 1}`, {
      headers: nearest,
    });
    expect(response.status).toBe(400);
  });

  it('READ-24: serves watches, which miss nothing when it crashes and they come again', async () => {
    const tenant = await newTenant({ name: 'watched' });
    const follower = await followerOf(tenant);
    const open = async (from: string): Promise<WatchSocket> => {
      const headers = { ...nearest, Upgrade: 'websocket' };
      const response = await withKey(tenant.key, `/v1/watch?prefix=k${from}`, { headers });
      expect(response.headers.get('Quorate-Served-By')).toBe(String(follower));
      if (response.webSocket === null) throw new Error(`no upgrade: ${response.status}`);
      return new WatchSocket(response.webSocket);
    };
    const watch = await open('');
    expect(await watch.next()).toMatchObject({ type: 'created' });
    await put(tenant.key, 'k', 'one');
    expect(await watch.next()).toMatchObject({ type: 'events', revision: 3 });
    await crash(tenant.id, follower);
    await put(tenant.key, 'k', 'two');
    const again = await open('&from=4');
    expect(await again.next()).toMatchObject({ type: 'created' });
    expect(await again.next()).toMatchObject({ type: 'events', revision: 4 });
    again.socket.close();
    const stream = await withKey(tenant.key, '/v1/watch?prefix=k', {
      headers: { ...nearest, Accept: 'text/event-stream' },
    });
    expect(stream.headers.get('Quorate-Served-By')).toBe(String(follower));
    await stream.body?.cancel();
  });

  it('READ-25: goes on answering when the leader changes', async () => {
    const tenant = await newTenant({ name: 'changing' });
    await followerOf(tenant);
    for (let round = 0; round < 6; round++) {
      await crash(tenant.id, await leaderOf(tenant.key));
      const revision = await put(tenant.key, 'k', `${round}`);
      expect(await get(tenant, 'k')).toMatchObject({ value: `${round}`, revision });
    }
  });
});

function askTxn(tenant: NewTenant, path: string, body: unknown): Promise<Response> {
  const headers: Record<string, string> = path.startsWith('/v1') ? { 'Idempotency-Key': 'the-same' } : {};
  return withKey(tenant.key, path, { method: 'POST', body: JSON.stringify(body), headers });
}

describe('a transaction that only reads', () => {
  const readK = { requestRange: { key: btoa('k') } };
  const compare = [{ key: btoa('k'), target: 'VERSION', result: 'GREATER', version: '0' }];
  it('READ-27: leaves nothing in the log, and sees all that was acknowledged before it', async () => {
    const tenant = await newTenant({ name: 'txn-reads' });
    const status = async (): Promise<{ commit_index: number; level: number }> =>
      (await withKey(tenant.key, '/v1/status')).json();
    const committed = async (): Promise<number> => (await status()).commit_index;
    // A young group writes entries of its own until it is at its level.
    while ((await status()).level < groupLevelMax) await scheduler.wait(50);
    for (let round = 0; round < 5; round++) {
      const revision = await put(tenant.key, 'k', `value ${round}`);
      const before = await committed();
      const v3 = await askTxn(tenant, '/v3/kv/txn', { compare, success: [readK] });
      expect(await v3.json()).toMatchObject({
        header: { revision: String(revision) },
        succeeded: true,
        responses: [{ response_range: { kvs: [{ value: btoa(`value ${round}`) }] } }],
      });
      const v1 = await askTxn(tenant, '/v1/txn', {
        if: [{ key: 'k', target: 'mod_revision', op: '=', value: revision }],
        then: [{ get: { key: 'k' } }],
      });
      expect(await v1.json()).toMatchObject({ revision, succeeded: true });
      expect(await committed()).toBe(before);
    }
  });

  it('READ-28: is not answered by a leader that reaches nobody, unless all its ranges are serializable', async () => {
    const tenant = await newTenant({ name: 'txn-alone' });
    await put(tenant.key, 'k', 'old');
    const leader = await leaderOf(tenant.key);
    for (const follower of [1, 2, 3].filter((each) => each !== leader)) await cutFromPeers(tenant.id, follower);
    const stub = replicaStub(tenant.id, leader);
    const read = async (serializable: boolean): Promise<Response | null> => {
      const success = [{ requestRange: { ...readK.requestRange, serializable } }];
      const asked = stub.fetch('https://replica.internal/v3/kv/txn', {
        method: 'POST',
        body: JSON.stringify({ success }),
        headers: { [callerHeader]: callerText({ kind: 'service' }) },
      });
      return Promise.race([asked, scheduler.wait(1_500).then(() => null)]);
    };
    expect((await read(true))?.status).toBe(200);
    expect((await read(false))?.status ?? 'none').not.toBe(200);
  });
});

describe('a read of very many keys', () => {
  it('READ-35: lets others be answered meanwhile, and is of one revision', async () => {
    const tenant = await newTenant({ name: 'many', replicas: 1 });
    const before = await put(tenant.key, 'other', '0');
    const many = 1_000_000;
    await runInDurableObject(replicaStub(tenant.id, 1), (_, { storage }) => {
      storage.sql.exec(
        `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
        INSERT INTO head (key, mod, created, version, value)
          SELECT CAST('many/' || printf('%07d', i) AS BLOB), 2, 2, 1, x'76' FROM n`,
        many,
      );
    });
    const range = { key: btoa('many/'), range_end: btoa('many0'), count_only: true };
    const counted = async (): Promise<unknown> => {
      const response = await withKey(tenant.key, '/v3/kv/range', { method: 'POST', body: JSON.stringify(range) });
      return response.json();
    };
    let answered = 0;
    const running = { isCounted: false };
    const count = counted().finally(() => {
      running.isCounted = true;
    });
    while (!running.isCounted) await put(tenant.key, `many/${answered++}`, 'v');
    expect(answered).toBeGreaterThan(3);
    const answer = (await count) as { header: { revision: string }; count: string };
    // The count is that of the keys at its revision.
    expect(Number(answer.count) - many).toBe(Number(answer.header.revision) - before);
    const status: { keys: number } = await (await withKey(tenant.key, '/v1/status')).json();
    expect(status.keys).toBe(many + answered + 1);
  });
});

describe('Quorate-Read', () => {
  it('READ-26: is leader or nearest; anything else is refused by name, in the form of the protocol', async () => {
    const tenant = await newTenant({ name: 'refused' });
    const headers = { 'Quorate-Read': 'members' };
    const v1 = await withKey(tenant.key, '/v1/kv/k', { headers });
    expect(v1.status).toBe(400);
    expect(await v1.json()).toMatchObject({ detail: 'Quorate-Read must be leader or nearest' });
    const v3 = await withKey(tenant.key, '/v3/kv/range', { method: 'POST', body: '{}', headers });
    expect(v3.status).toBe(400);
    expect(await v3.json()).toMatchObject({ code: 3, message: 'Quorate-Read must be leader or nearest' });
  });
});
