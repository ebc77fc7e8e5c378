import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { faultPath, faultTokenHeader } from '../../src/server/fault-protocol.ts';
import { startQuorate, type QuorateProcess } from '../support/quorate-process.ts';

let server: QuorateProcess;

beforeAll(async () => {
  server = await startQuorate({ arguments: ['--fault-port', '0'] });
});

afterAll(async () => {
  await server.dispose();
});

function abort(body: object | string, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${server.ready.faultUrl}/abort`, {
    method: 'POST',
    headers,
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
}

async function call(path: string, init: RequestInit = {}): Promise<{ status: number; body: Map<string, unknown> }> {
  const response = await fetch(`${server.ready.url}${path}`, {
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
    const aborted = await abort({ tenant: id, replica: 'leader' }, { 'Quorate-Key': key });
    expect([aborted.status, await aborted.json()]).toEqual([200, { tenant: id, aborted: before.body.get('leader') }]);
    const again = await call('/v1/kv/a', { method: 'PUT', body: '2' });
    expect([again.status, again.body.get('version')]).toEqual([200, 2]);
    const after = await call('/v1/status');
    expect(Number(after.body.get('term'))).toBeGreaterThan(Number(before.body.get('term')));
  });

  it('SERVER-FAULT-1: any replica is aborted by its number', async () => {
    const { id } = server.ready.tenant;
    for (const replica of [1, 2, 3]) {
      const response = await abort({ tenant: id, replica });
      expect([response.status, await response.json()]).toEqual([200, { tenant: id, aborted: replica }]);
    }
    expect((await call('/v1/kv/b', { method: 'PUT', body: '1' })).status).toBe(200);
  });

  it.each([
    ['{', 'tenant'],
    [{}, 'tenant'],
    [{ tenant: 7, replica: 1 }, 'tenant'],
    [{ tenant: 'a' }, 'replica'],
    [{ tenant: 'a', replica: 0 }, 'replica'],
    [{ tenant: 'a', replica: 1.5 }, 'replica'],
    [{ tenant: 'a', replica: '1' }, 'replica'],
    [{ tenant: 'a', replica: 'leader' }, 'Quorate-Key'],
    [{ tenant: 'a'.repeat(5000), replica: 1 }, 'tenant'],
  ])('SERVER-FAULT-2: %j is refused with 400, and the fault is named', async (body, named) => {
    const response = await abort(body);
    expect(response.status).toBe(400);
    expect(await response.text()).toContain(named);
  });

  it('SERVER-FAULT-2: other paths and methods, and a key of nobody, are refused', async () => {
    expect((await fetch(`${server.ready.faultUrl}/abort`)).status).toBe(405);
    expect((await fetch(`${server.ready.faultUrl}/other`, { method: 'POST' })).status).toBe(404);
    const response = await abort({ tenant: server.ready.tenant.id, replica: 'leader' }, { 'Quorate-Key': 'qrt_a_b_c' });
    expect(response.status).toBe(502);
    expect(await response.text()).toContain('401');
  });

  it('SERVER-FAULT-3: the way from the port to the Worker is closed to others', async () => {
    const url = `${server.ready.url}${faultPath}?object=${server.ready.tenant.id}/1`;
    for (const token of ['', 'guessed', server.ready.operatorToken]) {
      const response = await fetch(url, { method: 'POST', headers: { [faultTokenHeader]: token } });
      expect(response.status).toBe(404);
    }
  });
});
