// The limits of a tenant, as the operator sets them, with real objects.

import { beforeAll, describe, expect, it } from 'vitest';
import { limitDefinitions } from '../../src/api/v1/limits.ts';
import { limitPerSecondMax, quotaBytesDefault, quotaBytesMax, quotaBytesMin } from '../../src/limits.ts';
import { asOperator, newTenant, prepareDirectory, put, WatchSocket, withKey } from '../support/service.ts';

beforeAll(prepareDirectory);

const change = (id: string, limits: unknown): Promise<Response> =>
  asOperator(`/v1/tenants/${id}`, { method: 'PATCH', body: JSON.stringify({ limits }) });

async function refusedAt(ask: () => Promise<Response>): Promise<Response> {
  for (let call = 0; call < 50; call++) {
    const response = await ask();
    if (response.status === 429) return response;
    expect(response.status).toBe(200);
  }
  throw new Error('no call was refused');
}

describe('TENANT-43: the limits of a tenant', () => {
  it('are set by one call, and refuse what is beyond with 429, its headers, and etcd’s words', async () => {
    const tenant = await newTenant({ name: 'limited', replicas: 1 });
    await put(tenant.key, 'a', '1');
    const changed = await change(tenant.id, { reads_per_second: 1, writes_per_second: 1 });
    expect([changed.status, await changed.json()]).toMatchObject([
      200,
      { limits: { bytes: quotaBytesDefault, reads_per_second: 1, writes_per_second: 1 } },
    ]);
    const range = { method: 'POST', body: '{"key":"YQ=="}' };
    const calls: [string, 'reads' | 'writes', () => Promise<Response>][] = [
      ['get', 'reads', () => withKey(tenant.key, '/v1/kv/a')],
      ['put', 'writes', () => withKey(tenant.key, '/v1/kv/a', { method: 'PUT', body: '2' })],
      ['status', 'reads', () => withKey(tenant.key, '/v1/status')],
      ['range', 'reads', () => withKey(tenant.key, '/v3/kv/range', range)],
    ];
    for (const [name, what, ask] of calls) {
      const refused = await refusedAt(ask);
      const { headers } = refused;
      expect([name, headers.get('retry-after'), headers.get('ratelimit'), headers.get('ratelimit-policy')]).toEqual([
        name,
        '1',
        `"${what}";r=0;t=1`,
        `"${what}";q=1;w=1`,
      ]);
      expect(await refused.json()).toMatchObject(
        name === 'range'
          ? { code: 8, message: 'etcdserver: too many requests' }
          : { type: 'urn:quorate:problem:rate-limited', max: 1 },
      );
    }
    expect((await asOperator(`/v1/tenants/${tenant.id}/keys`)).status).toBe(200);
    expect((await change(tenant.id, { reads_per_second: null, writes_per_second: null })).status).toBe(200);
    for (let call = 0; call < 20; call++) expect((await withKey(tenant.key, '/v1/kv/a')).status).toBe(200);
  });

  it('bound the bytes of the store: beyond them it is full, as etcd says it', async () => {
    const tenant = await newTenant({ name: 'small', replicas: 1 });
    expect((await change(tenant.id, { bytes: quotaBytesMin })).status).toBe(200);
    const body = 'x'.repeat(400_000);
    const write = async (): Promise<number> => {
      const response = await withKey(tenant.key, `/v1/kv/${crypto.randomUUID()}`, { method: 'PUT', body });
      return response.status;
    };
    await expect.poll(write, { timeout: 15_000, interval: 100 }).toBe(507);
    const status = await withKey(tenant.key, '/v3/maintenance/status', { method: 'POST', body: '{}' });
    expect(await status.json()).toMatchObject({ dbSizeQuota: String(quotaBytesMin), errors: expect.anything() });
    await change(tenant.id, { bytes: null });
    await expect.poll(write, { timeout: 15_000, interval: 100 }).toBe(200);
  });

  it('are taken within their bounds alone', async () => {
    const tenant = await newTenant({ name: 'bad-limits', replicas: 1 });
    const bad = [
      { bytes: quotaBytesMin - 1 },
      { bytes: quotaBytesMax + 1 },
      { reads_per_second: 0 },
      { sheep: 5 },
      null,
      ...limitDefinitions.flatMap(({ name, min, max }) => [{ [name]: min - 1 }, { [name]: max + 1 }]),
    ];
    for (const limits of [...bad, { writes_per_second: limitPerSecondMax + 1 }, { reads_per_second: '5' }]) {
      expect([limits, (await change(tenant.id, limits)).status]).toEqual([limits, 400]);
    }
    for (const bound of ['min', 'max'] as const) {
      const limits = Object.fromEntries(limitDefinitions.map((each) => [each.name, each[bound]]));
      expect(await (await change(tenant.id, limits)).json()).toMatchObject({ limits, own_limits: limits });
    }
    const most = { bytes: quotaBytesMax, reads_per_second: limitPerSecondMax, writes_per_second: 1 };
    expect(await (await change(tenant.id, most)).json()).toMatchObject({ limits: most });
    expect(await (await change(tenant.id, { bytes: quotaBytesMin })).json()).toMatchObject({
      limits: { ...most, bytes: quotaBytesMin },
    });
  });
});

describe('TENANT-52: what a tenant holds open', () => {
  it('is bounded on each replica, and one more is refused with 429 and its policy', async () => {
    const tenant = await newTenant({ name: 'open', replicas: 1 });
    await put(tenant.key, 'a', '1');
    await change(tenant.id, { watches: 2, connections: 3, waits: 1 });
    const first = await WatchSocket.open(tenant.key, 'prefix=a');
    const second = await WatchSocket.open(tenant.key, 'prefix=a');
    for (const watch of [first, second]) expect(await watch.next()).toMatchObject({ type: 'created' });
    const refused = await withKey(tenant.key, '/v1/watch?prefix=a');
    expect([refused.status, refused.headers.get('ratelimit-policy')]).toEqual([
      429,
      '"watches";q=2;qu="concurrent-requests"',
    ]);
    expect(await refused.json()).toMatchObject({ type: 'urn:quorate:problem:too-many-open', of: 'tenant', max: 2 });
    await change(tenant.id, { watches: null });
    const third = await WatchSocket.open(tenant.key, 'prefix=a');
    expect(await third.next()).toMatchObject({ type: 'created' });
    const beyond = await withKey(tenant.key, '/v1/watch?prefix=a');
    expect([beyond.status, beyond.headers.get('ratelimit-policy')]).toEqual([
      429,
      '"connections";q=3;qu="concurrent-requests"',
    ]);
    await change(tenant.id, { connections: 1 });
    await put(tenant.key, 'a', '2');
    for (const watch of [first, second, third]) expect(await watch.next()).toMatchObject({ type: 'events' });
  });
});

describe('TENANT-51: the bytes that a tenant moves', () => {
  it('refuse its next calls, and say when there are more', async () => {
    const tenant = await newTenant({ name: 'moved', replicas: 1 });
    await put(tenant.key, 'a', 'x'.repeat(100_000));
    await change(tenant.id, { bytes_per_second: 10_000 });
    expect((await withKey(tenant.key, '/v1/kv/a')).status).toBe(200);
    const refused = await withKey(tenant.key, '/v1/kv/a');
    const { headers } = refused;
    const seconds = Number(headers.get('retry-after'));
    expect([refused.status, seconds > 1 && seconds <= 9]).toEqual([429, true]);
    expect([headers.get('ratelimit'), headers.get('ratelimit-policy')]).toEqual([
      `"bytes";r=0;t=${seconds}`,
      '"bytes";q=10000;w=1;qu="content-bytes"',
    ]);
    await change(tenant.id, { bytes_per_second: null });
    expect((await withKey(tenant.key, '/v1/kv/a')).status).toBe(200);
  });
});
