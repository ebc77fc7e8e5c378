// Replicas that lack truncated entries, and replicas whose store was altered behind their back, on real objects.

import { runInDurableObject } from 'cloudflare:test';
import { beforeAll, describe, expect, it } from 'vitest';
import { logEntriesMax } from '../../src/limits.ts';
import {
  asOperator,
  crash,
  leaderOf,
  type NewTenant,
  newTenant,
  prepareDirectory,
  put,
  replicaStub,
  until,
  withKey,
} from '../support/service.ts';

beforeAll(prepareDirectory);

type Status = {
  leader: number;
  log_entries: number;
  replicas: { id: number; role: string; state: string; diverged_at: number | null; match: number | null }[];
  alarms: { alarm: string; replica: number | null }[];
};

async function statusOf(key: string): Promise<Status> {
  return (await withKey(key, '/v1/status')).json();
}

function rowsOf(tenant: NewTenant, replica: number, table = 'head'): Promise<string> {
  return runInDurableObject(replicaStub(tenant.id, replica), (_, state) =>
    JSON.stringify([...state.storage.sql.exec(`SELECT * FROM ${table}`).raw()], (_key, value: unknown) =>
      value instanceof ArrayBuffer ? [...new Uint8Array(value)] : value,
    ),
  );
}

/** Puts keys one after the other, each as a log entry of its own. */
async function fill(tenant: NewTenant, count: number): Promise<void> {
  for (let value = 0; value < count; value++) await put(tenant.key, `fill/${value % 50}`, String(value));
}

async function alter(tenant: NewTenant, replica: number): Promise<void> {
  await runInDurableObject(replicaStub(tenant.id, replica), (_, state) => {
    state.storage.sql.exec(`UPDATE head SET value = CAST('forged' AS BLOB) WHERE key = CAST('k/1' AS BLOB)`);
  });
}

/** After so long of quiet a replica has rows of all that it applied. */
const flushedMs = 1_000;

describe('a log that is bounded', () => {
  it('REBUILD-1: the log stays within its bound, and a replica that joins after a truncation gets a snapshot', async () => {
    const tenant = await newTenant({ name: 'truncated', replicas: 1 });
    await fill(tenant, logEntriesMax + 10);
    await until(async () => (await statusOf(tenant.key)).log_entries <= logEntriesMax);
    await asOperator(`/v1/tenants/${tenant.id}/replicas`, { method: 'POST' });
    await until(async () =>
      (await statusOf(tenant.key)).replicas.every(({ role }) => role === 'leader' || role === 'follower'),
    );
    expect((await statusOf(tenant.key)).replicas).toHaveLength(2);
    await put(tenant.key, 'after', 'x');
    // Replicas flush soon after the last write.
    await scheduler.wait(flushedMs);
    for (const table of ['head', 'superseded', 'access_keys']) {
      expect(await rowsOf(tenant, 2, table)).toBe(await rowsOf(tenant, 1, table));
    }
    // The new replica alone serves what it was given, with its history.
    await crash(tenant.id, 1);
    const old = await withKey(tenant.key, '/v1/kv/fill/1?revision=3');
    expect([old.status, await old.text()]).toEqual([200, '1']);
  }, 120_000);
});

describe('a store that was altered', () => {
  it('REBUILD-2: a follower whose rows were altered is found at the next write, does not serve, and is rebuilt', async () => {
    const tenant = await newTenant({ name: 'altered-follower' });
    for (let key = 0; key < 5; key++) await put(tenant.key, `k/${key}`, 'right');
    const leader = await leaderOf(tenant.key);
    const altered = leader === 2 ? 3 : 2;
    await scheduler.wait(flushedMs);
    await alter(tenant, altered);
    await put(tenant.key, 'k/other', 'x');
    const seen: Status[] = [];
    await until(async () => {
      const status = await statusOf(tenant.key);
      seen.push(status);
      const replica = status.replicas.find(({ id }) => id === altered);
      return replica?.state === 'serving' && replica.diverged_at !== null;
    });
    expect(
      seen.some(({ alarms }) => alarms.some(({ alarm, replica }) => alarm === 'CORRUPT' && replica === altered)),
    ).toBe(true);
    expect(await put(tenant.key, 'k/last', 'x')).toBe(8);
    await scheduler.wait(flushedMs);
    expect(await rowsOf(tenant, altered)).toBe(await rowsOf(tenant, leader));
    expect((await statusOf(tenant.key)).alarms).toEqual([]);
  });

  it('REBUILD-3: a leader whose rows were altered gives up its lead and is rebuilt', async () => {
    const tenant = await newTenant({ name: 'altered-leader' });
    for (let key = 0; key < 5; key++) await put(tenant.key, `k/${key}`, 'right');
    await scheduler.wait(flushedMs);
    const altered = await leaderOf(tenant.key);
    await alter(tenant, altered);
    await put(tenant.key, 'k/other', 'x');
    await until(async () => {
      const status = await statusOf(tenant.key);
      const replica = status.replicas.find(({ id }) => id === altered);
      // The replica may lead again by now.
      return replica?.state === 'serving' && replica.diverged_at !== null;
    });
    const value = await withKey(tenant.key, '/v1/kv/k/1');
    expect(await value.text()).toBe('right');
    await put(tenant.key, 'k/last', 'x');
    await scheduler.wait(flushedMs);
    const rows = await Promise.all([1, 2, 3].map((replica) => rowsOf(tenant, replica)));
    expect(new Set(rows).size).toBe(1);
    expect(rows[0]).not.toContain('forged');
  });

  it('REBUILD-4: a replica that is being rebuilt shows nobody its store, also not to serializable reads', async () => {
    const tenant = await newTenant({ name: 'shows-nothing' });
    await put(tenant.key, 'k/1', 'right');
    const leader = await leaderOf(tenant.key);
    const replica = leader === 2 ? 3 : 2;
    await scheduler.wait(flushedMs);
    await alter(tenant, replica);
    await runInDurableObject(replicaStub(tenant.id, replica), (_, { storage: { sql } }) => {
      sql.exec(`CREATE TABLE divergence
        (one INTEGER PRIMARY KEY, format INTEGER NOT NULL, at_index INTEGER NOT NULL, rebuilding INTEGER NOT NULL)`);
      sql.exec('INSERT INTO divergence VALUES (1, 1, 2, 1)');
    });
    await crash(tenant.id, replica);
    const headers = { 'quorate-caller': 'service' };
    const read = () =>
      replicaStub(tenant.id, replica).fetch('http://quorate.test/v1/kv/k/1?consistency=serializable', { headers });
    const first = await read();
    expect([first.status, await first.text()]).toEqual([421, '']);
    await until(async () => (await read()).status === 200);
    expect(await (await read()).text()).toBe('right');
  });
});
