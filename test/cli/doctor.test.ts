import { describe, expect, it } from 'vitest';
import { examine, type Finding } from '../../src/cli/doctor.ts';

type Reply = { readonly status: number; readonly body?: unknown };

const url = 'https://service.test';
const replica = (id: number, location: string, state = 'serving') => ({ id, location, state });
const replicas = [replica(1, 'weur'), replica(2, 'eeur'), replica(3, 'enam')];

/** A service that is well; `replies` are its other answers, by method and path. */
async function examined(replies: Readonly<Record<string, Reply>>) {
  const calls: string[] = [];
  let stored = '';
  const well: Readonly<Record<string, () => Reply>> = {
    'GET /healthz': () => ({ status: 200, body: 'ok\n' }),
    'GET /v1/tenants?limit=1': () => ({ status: 200, body: { tenants: [] } }),
    'POST /v1/tenants': () => ({ status: 201, body: { id: 'abc', key: 'qrt_abc' } }),
    'PUT /v1/kv/doctor': () => ({ status: 200, body: {} }),
    'GET /v1/kv/doctor': () => ({ status: 200, body: stored }),
    'GET /v1/status': () => ({ status: 200, body: { level: 4, replicas } }),
    'GET /v1/tenants/abc/replicas': () => ({ status: 200, body: { replicas } }),
    'DELETE /v1/tenants/abc?force=true': () => ({ status: 204 }),
  };
  const fetch = async (address: string, init: RequestInit = {}): Promise<Response> => {
    const call = `${init.method} ${address.slice(url.length)}`;
    calls.push(call);
    if (typeof init.body === 'string') stored = init.body;
    const { status, body } = replies[call] ?? well[call]?.() ?? { status: 404 };
    const text = typeof body === 'string' ? body : body === undefined ? null : JSON.stringify(body);
    return new Response(text, { status });
  };
  const findings: Finding[] = [];
  const options = { url, operatorToken: 'token', tenantName: 'doctor-1', fetch, now: () => 0 };
  for await (const finding of examine(options)) findings.push(finding);
  return { findings, calls, last: findings.at(-1) };
}

const kinds = (findings: readonly Finding[]) => findings.map(({ check, kind }) => `${check}: ${kind}`);

describe('the examination of a service', () => {
  it('DOCTOR-1: a service that is well passes every check, and its tenant is deleted', async () => {
    const { findings, calls } = await examined({});
    expect(kinds(findings)).toEqual(
      ['settings', 'directory', 'provisioning', 'store', 'group', 'placement', 'deletion'].map(
        (check) => `${check}: well`,
      ),
    );
    expect(calls.at(-1)).toBe('DELETE /v1/tenants/abc?force=true');
  });

  it.each([
    [
      { 'GET /healthz': { status: 503, body: 'not set up: SERVICE_SECRET is not set\n' } },
      'settings',
      'SERVICE_SECRET',
      'secret put',
    ],
    [{ 'GET /healthz': { status: 404, body: 'no' } }, 'settings', '404', 'Another service'],
    [
      {
        'GET /healthz': { status: 503, body: 'not set up: the directory (D1) lacks tables\n' },
        'GET /v1/tenants?limit=1': { status: 503, body: { detail: 'no tables' } },
      },
      'directory',
      'no tables',
      'd1 migrations apply',
    ],
    [
      { 'GET /v1/tenants?limit=1': { status: 401, body: { detail: 'not the token' } } },
      'directory',
      'not the token',
      'OPERATOR_TOKEN',
    ],
    [
      { 'GET /v1/tenants?limit=1': { status: 503, body: { detail: 'no tables' } } },
      'directory',
      'no tables',
      'd1 migrations apply',
    ],
    [{ 'POST /v1/tenants': { status: 503, body: 'x' } }, 'provisioning', '503 x', 'wrangler tail'],
  ])('DOCTOR-2: %j ends the examination, with what to do', async (replies, check, detail, advice) => {
    const { last, calls } = await examined(replies);
    expect(last).toMatchObject({ kind: 'ill', check });
    expect(last?.detail).toContain(detail);
    expect(last?.kind === 'ill' ? last.advice : '').toContain(advice);
    expect(calls).not.toContain('PUT /v1/kv/doctor');
  });

  it.each([
    [{ 'PUT /v1/kv/doctor': { status: 504, body: { detail: 'no leader' } } }, 'store: ill'],
    [{ 'GET /v1/kv/doctor': { status: 200, body: 'another value' } }, 'store: ill'],
    [{ 'GET /v1/status': { status: 200, body: { replicas: [replica(1, 'weur', 'halted')] } } }, 'group: doubt'],
    [{ 'GET /v1/status': { status: 504 } }, 'group: ill'],
    [
      { 'GET /v1/tenants/abc/replicas': { status: 200, body: { replicas: [replicas[0], replicas[0]] } } },
      'placement: doubt',
    ],
    [{ 'DELETE /v1/tenants/abc?force=true': { status: 503 } }, 'deletion: ill'],
  ])('DOCTOR-3: %j is found, and the tenant is deleted all the same', async (replies, found) => {
    const { findings, calls } = await examined(replies);
    expect(kinds(findings).filter((kind) => !kind.endsWith('well'))).toEqual([found]);
    expect(calls.at(-1)).toBe('DELETE /v1/tenants/abc?force=true');
  });
});
