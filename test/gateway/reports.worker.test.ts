// What replicas tell the directory, and what an operator sees of it: metrics, and the tenants in trouble.

import { runInDurableObject } from 'cloudflare:test';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { fleetPageMax, metricsKnownMs } from '../../src/limits.ts';
import type { ToldReport, ToldState, Trouble } from '../../src/model/told-report.ts';
import { newId } from '../../src/tenants/key-text.ts';
import { Reports } from '../../src/tenants/reports.ts';
import {
  asOperator,
  bindings,
  call,
  crash,
  type NewTenant,
  newTenant,
  prepareDirectory,
  put,
  replicaStub,
  withKey,
} from '../support/service.ts';

beforeAll(prepareDirectory);
afterEach(() => vi.restoreAllMocks());

const reports = new Reports(bindings.DIRECTORY);

const state: ToldState = {
  leader: 1,
  term: 1,
  revision: 7,
  appliedIndex: 9,
  storeBytes: 100,
  logBytes: 10,
  quotaBytes: 1_000,
  alarms: [],
  behind: [],
  lag: 0,
  sessions: 1,
  sockets: 2,
  watches: 3,
};

function report(puts: number, more: Partial<ToldReport> = {}): ToldReport {
  const totals = { 'call put OK': puts, 'ms put 4': puts, 'msSum put': 3 * puts };
  const hours = [{ hour: 7, counts: { 'call put OK': puts } }];
  return { replica: 1, atMs: 1_000, leads: true, state, troubles: [], totals, hours, ...more };
}

/** A tenant that is in the directory alone. */
async function row(plan: string): Promise<string> {
  const id = newId();
  await bindings.DIRECTORY.batch([
    bindings.DIRECTORY.prepare(
      "INSERT INTO tenants (id, name, state, created_at_ms, plan) VALUES (?1, 'n' || ?1, 'ready', 0, ?2)",
    ).bind(id, plan),
    bindings.DIRECTORY.prepare("INSERT INTO replicas (tenant_id, number, location) VALUES (?, 1, 'weur')").bind(id),
  ]);
  return id;
}

async function putsOf(plan: string): Promise<number> {
  const sums = await reports.sums(null);
  return sums.find((each) => each.plan === plan && each.name === 'call put OK')?.value ?? 0;
}

async function samples(path: string): Promise<Map<string, number>> {
  const answer = await asOperator(path);
  expect([answer.status, answer.headers.get('content-type')]).toEqual([
    200,
    'text/plain; version=0.0.4; charset=utf-8',
  ]);
  const lines = (await answer.text()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(lines.map((line) => [line.replace(/ \S+$/, ''), Number(/\S+$/.exec(line)?.[0])]));
}

/** The replicas of the tenant are as if each had counted two puts, and had told long ago: they tell once they wake. */
async function longAgo({ id }: NewTenant, replicas: readonly number[]): Promise<void> {
  const totals = { 'call put OK': 2, 'ms put 4': 2, 'msSum put': 6 };
  const kept = JSON.stringify({ told: { atMs: 1, leads: false, troubles: [] }, totals, isTold: false });
  for (const replica of replicas) {
    await runInDurableObject(replicaStub(id, replica), async (_, { storage }) => {
      storage.sql.exec('CREATE TABLE IF NOT EXISTS report (one INTEGER PRIMARY KEY, format INTEGER, kept TEXT)');
      storage.sql.exec('INSERT OR REPLACE INTO report VALUES (1, 1, ?)', kept);
      await storage.sync();
    });
    await crash(id, replica);
  }
}

type Fleet = {
  readonly tenants: readonly { readonly id: string; readonly troubles: readonly { readonly trouble: string }[] }[];
  readonly cursor?: string;
};

async function fleet(query = ''): Promise<Fleet> {
  return (await asOperator(`/v1/fleet${query}`)).json();
}

describe('TOLD-1: a report may be told again, and in any order', () => {
  it('the latest counts, and of an hour and of all what was counted in all', async () => {
    const id = await row('told-1');
    await reports.tell(id, report(5, { atMs: 2_000 }));
    await reports.tell(id, report(5, { atMs: 2_000 }));
    await reports.tell(id, report(3, { atMs: 1_000, hours: [] }));
    expect(await putsOf('told-1')).toBe(5);
    const { results } = await bindings.DIRECTORY.prepare('SELECT * FROM usage WHERE tenant_id = ?').bind(id).all();
    expect(results).toEqual([{ tenant_id: id, hour: 7, replica: 1, plan: 'told-1', counts: '{"call put OK":5}' }]);
  });

  it('of a tenant that is gone nothing is stored', async () => {
    await reports.tell('gone', report(5));
    for (const table of ['reports', 'usage']) {
      const sql = `SELECT count(*) AS count FROM ${table} WHERE tenant_id = 'gone'`;
      expect(await bindings.DIRECTORY.prepare(sql).first('count')).toBe(0);
    }
  });
});

describe('TOLD-2: the sums of a plan never fall', () => {
  it('where a tenant takes another plan, and where it goes', async () => {
    for (const name of ['told-a', 'told-b']) {
      const made = await asOperator(`/v1/plans/${name}`, { method: 'PUT', body: '{"limits":{}}' });
      expect(made.status).toBeLessThan(300);
    }
    const { id } = await newTenant({ name: 'moves', plan: 'told-a' });
    await reports.tell(id, report(5));
    const patch = { method: 'PATCH', body: '{"plan":"told-b"}' };
    expect((await asOperator(`/v1/tenants/${id}`, patch)).status).toBe(200);
    expect([await putsOf('told-a'), await putsOf('told-b')]).toEqual([5, 0]);
    await reports.tell(id, report(8, { atMs: 9e15 }));
    expect([await putsOf('told-a'), await putsOf('told-b')]).toEqual([5, 3]);
    expect((await asOperator(`/v1/tenants/${id}?force=true`, { method: 'DELETE' })).status).toBe(204);
    expect([await putsOf('told-a'), await putsOf('told-b')]).toEqual([5, 3]);
  });
});

describe('METRICS-1: an operator reads what replicas told, by plan, or of one tenant', () => {
  it('what a group served, once it has told', async () => {
    const tenant: NewTenant = await newTenant({ name: 'metrics-of-one' });
    await put(tenant.key, 'a', 'x');
    await longAgo(tenant, [1, 2, 3]);
    const path = `/metrics?tenant=${tenant.id}`;
    const puts = `quorate_calls_total{plan="standard",tenant="${tenant.id}",call="put",code="OK"}`;
    const led = `quorate_groups_led{plan="standard",tenant="${tenant.id}"}`;
    const isTold = (told: Map<string, number>): boolean => told.get(puts) === 6 && told.get(led) === 1;
    for (let tries = 0; !isTold(await samples(path)); tries++) {
      expect(tries).toBeLessThan(300);
      await withKey(tenant.key, '/v1/kv/a');
      await scheduler.wait(50);
    }
    const told = await samples(path);
    const of = (name: string, more = ''): number | undefined =>
      told.get(`${name}{plan="standard",tenant="${tenant.id}"${more}}`);
    expect(of('quorate_call_duration_seconds_count', ',call="put"')).toBe(6);
    expect(of('quorate_call_duration_seconds_bucket', ',call="put",le="0.002"')).toBe(0);
    expect(of('quorate_call_duration_seconds_bucket', ',call="put",le="0.004"')).toBe(6);
    expect(of('quorate_call_duration_seconds_sum', ',call="put"')).toBeCloseTo(0.018);
    expect(of('quorate_store_bytes')).toBeGreaterThan(0);
    expect(of('quorate_alarms')).toBe(0);
  });

  it('asks no replica', async () => {
    const id = await row('metrics-sleeps');
    await reports.tell(id, report(2));
    const asked: string[] = [];
    const namespace = Object.getPrototypeOf(bindings.REPLICA) as { get: (...all: readonly unknown[]) => unknown };
    vi.spyOn(namespace, 'get').mockImplementation((...all) => {
      asked.push(String(all[0]));
      throw new Error('a scrape asks nobody');
    });
    await scheduler.wait(metricsKnownMs);
    const told = await samples('/metrics');
    expect(told.get('quorate_calls_total{plan="metrics-sleeps",call="put",code="OK"}')).toBe(2);
    expect(told.get('quorate_watches{plan="metrics-sleeps"}')).toBe(3);
    await fleet();
    expect(asked).toEqual([]);
  });

  it('and nobody else does', async () => {
    const tenant = await newTenant({ name: 'metrics-closed' });
    expect((await call('/metrics')).status).toBe(401);
    for (const path of ['/v1/fleet']) {
      expect((await call(path)).status).toBe(401);
      expect((await withKey(tenant.key, path)).status).toBe(401);
    }
    expect((await asOperator('/metrics?tenant=none0')).status).toBe(404);
    for (const query of ['?tenant=A', '?plan=x', '?tenant=a&tenant=b']) {
      expect((await asOperator(`/metrics${query}`)).status).toBe(400);
    }
    expect((await asOperator('/metrics', { method: 'POST' })).status).toBe(405);
  });
});

describe('FLEET-1: the tenants in trouble, in pages', () => {
  it('each once, with what is wrong', async () => {
    const ids: string[] = [];
    const kinds: readonly Trouble[] = ['alarm', 'noQuorum', 'behind', 'nearQuota', 'alarm'];
    for (const kind of kinds) {
      const id = await row('fleet');
      ids.push(id);
      await reports.tell(id, report(0, { troubles: [kind], leads: kind !== 'noQuorum' }));
    }
    const well = await row('fleet');
    await reports.tell(well, report(0));
    const seen: string[] = [];
    let cursor = '';
    for (let page = 0; page < 20; page++) {
      const answer = await fleet(`?limit=2${cursor === '' ? '' : `&cursor=${cursor}`}`);
      expect(answer.tenants.length).toBeLessThanOrEqual(2);
      for (const { id, troubles } of answer.tenants) if (ids.includes(id)) seen.push(`${id} ${troubles[0]?.trouble}`);
      if (answer.cursor === undefined) break;
      ({ cursor } = answer);
    }
    const words = { alarm: 'alarm', noQuorum: 'no-quorum', behind: 'behind', nearQuota: 'near-quota' };
    expect(seen).toEqual(ids.map((id, at) => `${id} ${words[kinds[at] ?? 'alarm']}`).toSorted());
    expect(JSON.stringify(await fleet())).not.toContain(well);
  });

  it('a replica that left its group says nothing of it', async () => {
    const id = await row('fleet');
    await reports.tell(id, report(0, { replica: 9, troubles: ['alarm'] }));
    expect(JSON.stringify(await fleet())).not.toContain(id);
  });

  it('refuses a page that is none', async () => {
    for (const query of ['?limit=0', `?limit=${fleetPageMax + 1}`, '?cursor=A', '?x=1', '?limit=1&limit=2']) {
      expect((await asOperator(`/v1/fleet${query}`)).status).toBe(400);
    }
    expect((await asOperator(`/v1/fleet?limit=${fleetPageMax}`)).status).toBe(200);
  });
});
