import { globSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { faultPath, faultTokenHeader } from '../../../src/server/faults/fault-protocol.ts';
import { sessionPath, sessionSubprotocol } from '../../../src/api/v1/session.ts';
import { assert } from '../../../src/base/assert.ts';
import {
  type ClientFrame,
  decodeServerMessage,
  encodeClientFrame,
  encodeMessage,
  processIdBytes,
} from '../../../src/session/frames.ts';
import { openWebSocket } from '../../support/websocket-client.ts';
import { checkedFetch } from '../../support/checked-fetch.ts';
import { startQuorate, type QuorateProcess } from '../../support/quorate-process.ts';

let server: QuorateProcess;

beforeAll(async () => {
  server = await startQuorate({ arguments: ['--fault-port', '0'] });
});

afterAll(async () => {
  await server.dispose();
});

type Kind = 'abort' | 'peers' | 'slow' | 'wipe';

function fault(kind: Kind, body: object | string, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${server.ready.faultUrl}/${kind}`, {
    method: 'POST',
    headers,
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
}

/** The status of the first tenant's group, with the tenant's access key. */
async function faultOnGroup(kind: Kind, body: object): Promise<unknown> {
  const { id, key } = server.ready.tenant;
  const response = await fault(kind, { tenant: id, ...body }, { 'Quorate-Key': key });
  const answer: unknown = await response.json();
  expect([response.status, answer]).toMatchObject([200, { tenant: id }]);
  return answer;
}

async function faultsSet(): Promise<unknown> {
  return await (await fetch(`${server.ready.faultUrl}/faults`)).json();
}

async function call(path: string, init: RequestInit = {}): Promise<{ status: number; body: Map<string, unknown> }> {
  const response = await checkedFetch(`${server.ready.url}${path}`, {
    ...init,
    headers: { 'Quorate-Key': server.ready.tenant.key },
  });
  return { status: response.status, body: new Map(Object.entries(Object(await response.json()))) };
}

describe('the fault port', () => {
  it('SERVER-FAULT-1: the leader is aborted, a new term begins, and nothing acknowledged is missing', async () => {
    const { id, key } = server.ready.tenant;
    await call('/v1/kv/a', { method: 'PUT', body: '1' });
    const before = await call('/v1/status');
    const aborted = await fault('abort', { tenant: id, replica: 'leader' }, { 'Quorate-Key': key });
    expect([aborted.status, await aborted.json()]).toEqual([200, { tenant: id, aborted: before.body.get('leader') }]);
    const again = await call('/v1/kv/a', { method: 'PUT', body: '2' });
    expect([again.status, again.body.get('version')]).toEqual([200, 2]);
    const after = await call('/v1/status');
    expect(Number(after.body.get('term'))).toBeGreaterThan(Number(before.body.get('term')));
  });

  it('SERVER-FAULT-1: any replica is aborted by its number', async () => {
    const { id } = server.ready.tenant;
    for (const replica of [1, 2, 3]) {
      const response = await fault('abort', { tenant: id, replica });
      expect([response.status, await response.json()]).toEqual([200, { tenant: id, aborted: replica }]);
    }
    expect((await call('/v1/kv/b', { method: 'PUT', body: '1' })).status).toBe(200);
  });

  it.each<[Kind, object | string, string]>([
    ['abort', '{', 'tenant'],
    ['abort', {}, 'tenant'],
    ['abort', { tenant: 7, replica: 1 }, 'tenant'],
    ['abort', { tenant: 'a/1', replica: 1 }, 'tenant'],
    ['abort', { tenant: 'a' }, 'replica'],
    ['abort', { tenant: 'a', replica: 0 }, 'replica'],
    ['abort', { tenant: 'a', replica: 1.5 }, 'replica'],
    ['abort', { tenant: 'a', replica: '1' }, 'replica'],
    ['abort', { tenant: 'a', replica: 'leader' }, 'Quorate-Key'],
    ['abort', { tenant: 'a', replica: 1, fail: 1 }, 'fail'],
    ['wipe', { tenant: 'a', replica: 'all' }, 'Quorate-Key'],
    ['wipe', { tenant: 'a', replica: 1, delay_ms: 0 }, 'delay_ms'],
    ['peers', { tenant: 'a', replica: 1 }, 'fail'],
    ['peers', { tenant: 'a', replica: 1, fail: 1.1 }, 'fail'],
    ['peers', { tenant: 'a', replica: 1, fail: '1' }, 'fail'],
    ['peers', { tenant: 'a', replica: 1, fail: 1, direction: 'up' }, 'direction'],
    ['peers', { tenant: 'a', replica: 1, delay_ms: -1 }, 'delay_ms'],
    ['peers', { tenant: 'a', replica: 1, delay_ms: 60_001 }, 'delay_ms'],
    ['slow', { tenant: 'a', replica: 1 }, 'delay_ms'],
    ['slow', { tenant: 'a', replica: 1, delay_ms: 1, direction: 'in' }, 'direction'],
  ])('SERVER-FAULT-2: /%s of %j is refused with 400, and the fault is named', async (kind, body, named) => {
    const response = await fault(kind, body);
    expect(response.status).toBe(400);
    expect(await response.text()).toContain(named);
  });

  it('SERVER-FAULT-2: a body that is too large is not read', async () => {
    const response = await fault('abort', { tenant: 'a'.repeat(5000), replica: 1 });
    expect([response.status, await response.text()]).toEqual([400, expect.stringContaining('tenant')]);
  });

  it('SERVER-FAULT-2: other paths and methods, and a key of nobody or of others, are refused', async () => {
    expect((await fetch(`${server.ready.faultUrl}/abort`)).status).toBe(405);
    expect((await fetch(`${server.ready.faultUrl}/faults`, { method: 'POST' })).status).toBe(405);
    expect((await fetch(`${server.ready.faultUrl}/other`, { method: 'POST' })).status).toBe(404);
    const { id, key } = server.ready.tenant;
    const leader = { tenant: id, replica: 'leader' };
    const forged = await fault('abort', leader, { 'Quorate-Key': `qrt_${id}_b_c` });
    expect([forged.status, await forged.text()]).toEqual([502, expect.stringContaining('401')]);
    const others = await fault('abort', { ...leader, tenant: 'a' }, { 'Quorate-Key': key });
    expect([others.status, await others.text()]).toEqual([400, expect.stringContaining('tenant a')]);
  });

  it('SERVER-FAULT-3: the way from the port to the Worker is closed to others', async () => {
    const object = `${server.ready.tenant.id}/1`;
    for (const token of ['', 'guessed', server.ready.operatorToken]) {
      const headers = { [faultTokenHeader]: token };
      const told = await fetch(`${server.ready.url}${faultPath}?object=${object}`, { headers });
      expect(told.status).toBe(404);
      const body = JSON.stringify({ tenant: server.ready.tenant.id, replica: 1 });
      const done = await fetch(`${server.ready.url}${faultPath}?kind=abort`, { method: 'POST', headers, body });
      expect(done.status).toBe(404);
    }
  });

  it('SERVER-FAULT-4: a leader whose calls of peers and to peers fail is replaced; healed, it follows and catches up', async () => {
    await call('/v1/kv/c', { method: 'PUT', body: '1' });
    const cut = await faultOnGroup('peers', { replica: 'leader', fail: 1 });
    const old = new Map(Object.entries(Object(cut))).get('set');
    const both = { in: { fail: 1, delay_ms: 0 }, out: { fail: 1, delay_ms: 0 } };
    const faults = [{ tenant: server.ready.tenant.id, replica: old, peers: both, slow: { delay_ms: 0 } }];
    expect(await faultsSet()).toEqual({ faults });
    const put = await call('/v1/kv/c', { method: 'PUT', body: '2' });
    expect([put.status, put.body.get('version')]).toEqual([200, 2]);
    // The gateway may ask the old leader once more, which has not noticed yet.
    await expect.poll(async () => (await status()).leader, { timeout: 10_000 }).not.toBe(old);
    await faultOnGroup('peers', { replica: old, fail: 0, delay_ms: 0 });
    expect(await faultsSet()).toEqual({ faults: [] });
    await expect.poll(isCaughtUp, { timeout: 20_000 }).toBe(true);
  });

  it('SERVER-FAULT-4: without any call between peers no write is acknowledged', async () => {
    await call('/v1/kv/d', { method: 'PUT', body: '1' });
    await faultOnGroup('peers', { replica: 'all', fail: 1, direction: 'out' });
    expect((await call('/v1/kv/d', { method: 'PUT', body: '2' })).status).toBe(504);
    await faultOnGroup('peers', { replica: 1, fail: 0 });
    await faultOnGroup('peers', { replica: 2, fail: 0 });
    await faultOnGroup('peers', { replica: 3, fail: 0 });
    expect((await call('/v1/kv/d', { method: 'PUT', body: '3' })).status).toBe(200);
  });

  it('SERVER-FAULT-5: a call to a peer is late by what was asked, and a crash ends that', async () => {
    await call('/v1/kv/e', { method: 'PUT', body: '1' });
    await faultOnGroup('peers', { replica: 'all', delay_ms: 300, direction: 'in' });
    // A clock can show only one thing without doubt: that something did not happen earlier.
    expect(await msOf(() => call('/v1/kv/e', { method: 'PUT', body: '2' }))).toBeGreaterThanOrEqual(299);
    await faultOnGroup('abort', { replica: 'all' });
    expect(await faultsSet()).toEqual({ faults: [] });
  });

  it('SERVER-FAULT-6: an object that hangs takes calls only after that time', async () => {
    await call('/v1/kv/f', { method: 'PUT', body: '1' });
    await faultOnGroup('slow', { replica: 'all', delay_ms: 300 });
    const read = () => call('/v1/status');
    expect(await msOf(read)).toBeGreaterThanOrEqual(299);
    for (const replica of [1, 2, 3]) await faultOnGroup('slow', { replica, delay_ms: 0 });
    expect(await faultsSet()).toEqual({ faults: [] });
    expect((await call('/v1/kv/f', { method: 'PUT', body: '2' })).body.get('version')).toBe(2);
  });

  it('SERVER-FAULT-6: an object that hangs takes what the gateway itself asks only after that time', async () => {
    const { id } = await provision({ name: 'hangs', replicas: 1 });
    await fault('slow', { tenant: id, replica: 1, delay_ms: 300 });
    const headers = { Authorization: `Bearer ${server.ready.operatorToken}` };
    const replicas = () => checkedFetch(`${server.ready.url}/v1/tenants/${id}/replicas`, { headers });
    expect(await msOf(replicas)).toBeGreaterThanOrEqual(299);
    await fault('slow', { tenant: id, replica: 1, delay_ms: 0 });
  });

  it('SERVER-FAULT-6: an object that hangs takes the messages of sessions only after that time, in their order', async () => {
    const { id, key } = await provision({ name: 'hangs-sessions', replicas: 1 });
    const offered = { 'Quorate-Key': key, 'Sec-WebSocket-Protocol': sessionSubprotocol };
    const { socket } = await openWebSocket(new URL(`${server.ready.url}${sessionPath}?replica=1`), offered, 5_000);
    assert(socket !== null, 'the session is open');
    const said: unknown[] = [];
    socket.onBinary = (message) => {
      for (const frame of decodeServerMessage(message) ?? []) {
        said.push(frame.kind === 'pong' ? frame.number : frame.kind);
      }
    };
    socket.start();
    const say = (...frames: readonly ClientFrame[]) => socket.sendBinary(encodeMessage(frames.map(encodeClientFrame)));
    await fault('slow', { tenant: id, replica: 1, delay_ms: 300 });
    const ms = await msOf(async () => {
      say({ kind: 'hello', processId: new Uint8Array(processIdBytes), credit: 1_000 }, { kind: 'ping', number: 1 });
      say({ kind: 'ping', number: 2 });
      await expect.poll(() => said, { interval: 5, timeout: 5_000 }).toEqual([1, 2]);
    });
    expect(ms).toBeGreaterThanOrEqual(299);
    await fault('slow', { tenant: id, replica: 1, delay_ms: 0 });
    socket.close();
  });

  it('SERVER-FAULT-7: a wiped replica is one that was never provisioned, and the others go on', async () => {
    const { id, key } = await provision({ name: 'wiped' });
    const headers = { 'Quorate-Key': key };
    const put = (body: string) => checkedFetch(`${server.ready.url}/v1/kv/g`, { method: 'PUT', headers, body });
    expect((await put('1')).status).toBe(200);
    const response = await fault('wipe', { tenant: id, replica: 2 });
    expect([response.status, await response.json()]).toEqual([200, { tenant: id, wiped: 2 }]);
    expect((await put('2')).status).toBe(200);
    // A running runtime keeps its files locked, so this is the last test.
    await server.end('SIGTERM');
    expect(replicasOnDisk(server.ready.tenant.id)).toEqual([1, 2, 3]);
    expect(replicasOnDisk(id)).toEqual([1, 3]);
  });
});

async function msOf(work: () => Promise<unknown>): Promise<number> {
  const startMs = performance.now();
  await work();
  return performance.now() - startMs;
}

async function status(): Promise<{ leader: unknown; replicas: readonly Map<string, unknown>[] }> {
  const { body } = await call('/v1/status');
  const replicas: unknown = body.get('replicas');
  if (!Array.isArray(replicas)) throw new Error('a status without replicas');
  return {
    leader: body.get('leader'),
    replicas: replicas.map((replica: unknown) => new Map(Object.entries(Object(replica)))),
  };
}

async function isCaughtUp(): Promise<boolean> {
  const { body } = await call('/v1/status');
  const { replicas } = await status();
  return replicas.every((replica) => Number(replica.get('match')) >= Number(body.get('commit_index')));
}

async function provision(body: object): Promise<{ id: string; key: string }> {
  const response = await checkedFetch(`${server.ready.url}/v1/tenants`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${server.ready.operatorToken}` },
    body: JSON.stringify(body),
  });
  const answer = new Map(Object.entries(Object(await response.json())));
  return { id: String(answer.get('id')), key: String(answer.get('key')) };
}

/** The numbers of a tenant's replicas that have a store, as the disk shows them. */
function replicasOnDisk(tenant: string): number[] {
  const numbers: number[] = [];
  for (const file of globSync(join(server.dataFolder, '**/*.sqlite'))) {
    const database = new DatabaseSync(file, { readOnly: true });
    const isReplica = database.prepare("SELECT 1 FROM sqlite_master WHERE name = 'member'").get() !== undefined;
    const own = isReplica ? database.prepare('SELECT number FROM member WHERE tenant = ?').get(tenant) : undefined;
    database.close();
    if (own !== undefined) numbers.push(Number(own['number']));
  }
  return numbers.sort((left, right) => left - right);
}
