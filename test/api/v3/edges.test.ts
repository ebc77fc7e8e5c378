import { describe, expect, it } from 'vitest';
import type { ApiCall, HealthFacts } from '../../../src/api/contract.ts';
import { decodeCredential } from '../../../src/api/v3/auth.ts';
import { peerUrlsOf } from '../../../src/api/v3/cluster.ts';
import { alarmError, dumpMessage } from '../../../src/api/v3/maintenance.ts';
import { parseDowngradeTarget } from '../../../src/api/v3/versions.ts';
import { revision } from '../../../src/model/brands.ts';
import { emptyBytes, utf8 } from '../../../src/base/bytes.ts';
import { passwordBytesMax } from '../../../src/limits.ts';
import { alarmKind } from '../../../src/model/store.ts';
import { Concrete } from './concrete.ts';
import { steps } from './recording.ts';
import { call, callOf, header } from '../wire.ts';

const post = (path: string, body: string, headers: Record<string, string> = {}) =>
  call(`POST /v3/${path}`, { body, headers });

async function told(parsed: ApiCall): Promise<unknown[]> {
  if (parsed.kind !== 'refused') throw new Error(parsed.kind);
  const { code, message } = await parsed.response.json<{ code: number; message: string }>();
  return [parsed.response.status, code, message];
}

describe('passwords', () => {
  it('API-V3-44: have at most passwordBytesMax bytes of UTF-8, where one is hashed', async () => {
    const words = 'bcrypt: password length exceeds 72 bytes';
    for (const path of ['auth/user/add', 'auth/user/changepw']) {
      const of = (password: string) => post(path, JSON.stringify({ name: 'n', password }));
      expect(of('x'.repeat(passwordBytesMax)).kind).toBe('password');
      expect(await told(of('x'.repeat(passwordBytesMax + 1)))).toEqual([500, 2, words]);
      expect(await told(of('ü'.repeat(37)))).toEqual([500, 2, words]);
    }
  });

  it('API-V3-44: are nowhere but in the call; a user is made with the hash', () => {
    const add = callOf('password', 'POST /v3/auth/user/add', { body: '{"name":"n","password":"geheim"}' });
    expect(add.operation('#')).toEqual({ kind: 'userAdd', name: 'n', passwordHash: '#' });
    const change = callOf('password', 'POST /v3/auth/user/changepw', { body: '{"name":"n","password":"geheim"}' });
    expect(change.operation('#')).toEqual({ kind: 'userChangePassword', name: 'n', passwordHash: '#' });
    expect(post('auth/user/add', '{"name":"n"}')).toMatchObject({ kind: 'password', password: '' });
    expect(post('auth/user/add', '{"options":{"noPassword":false}}').kind).toBe('password');
  });

  it('API-V3-44: a credential is read for the gateway, too', () => {
    expect(decodeCredential(utf8('{"name":"a\\u00fc","password":"p","more":1}'))).toEqual({
      name: 'aü',
      password: 'p',
    });
    expect(decodeCredential(emptyBytes)).toEqual({ name: '', password: '' });
    expect(decodeCredential(utf8('{"name":1}'))).toBeNull();
  });
});

const transferTo = (text: string) => post('maintenance/transfer-leadership', `{"targetID":${text}}`);

describe('numbers and names', () => {
  it('API-V3-45: the number of a member is an unsigned integer of 64 bits', () => {
    expect(transferTo('18446744073709551615')).toMatchObject({ target: 2n ** 64n - 1n });
    expect(transferTo('"18446744073709551615"')).toMatchObject({ target: 2n ** 64n - 1n });
    expect(transferTo('1.5e1')).toMatchObject({ target: 15n });
    expect(transferTo('-0')).toMatchObject({ target: 0n });
    for (const text of ['18446744073709551616', '-1', '1.5', '"01"', '""', 'true', '[1]']) {
      expect(transferTo(text).kind, text).toBe('refused');
    }
  });

  it('API-V3-45: unknown actions are refused, unknown kinds are kept', async () => {
    const words = 'etcdserver: unknown alarm action';
    expect(await told(post('maintenance/alarm', '{"action":3}'))).toEqual([400, 3, words]);
    expect(await told(post('maintenance/alarm', '{"action":-1}'))).toEqual([400, 3, words]);
    expect(post('maintenance/alarm', '{"action":"NONE"}').kind).toBe('query');
    expect(post('maintenance/alarm', '{"action":1,"alarm":9}')).toMatchObject({
      operation: { kind: 'alarmActivate', alarm: { memberId: 0n, alarm: 9 } },
    });
    expect(post('maintenance/downgrade', '{"action":9}')).toMatchObject({ kind: 'downgrade', action: 9 });
    const alarms = callOf('query', 'POST /v3/maintenance/alarm');
    const answer = { kind: 'alarms', alarms: [{ memberId: 2n ** 64n - 1n, alarm: 9 }] } as const;
    expect(alarms.respond({ kind: 'answer', revision: revision(3), answer }, header).toResponse().status).toBe(200);
    expect(alarmError({ memberId: 7n, alarm: alarmKind.corrupt })).toBe('memberID:7 alarm:CORRUPT ');
  });

  it('API-V3-45: strings must be strings, ids may have 64 bits', () => {
    for (const [path, body] of [
      ['auth/user/add', '{"name":7}'],
      ['auth/user/add', '{"hashedPassword":7}'],
      ['auth/role/grant', '{"perm":7}'],
      ['cluster/member/add', '{"peerURLs":"http://a:1"}'],
      ['cluster/member/add', '{"peerURLs":[null]}'],
      ['lease/grant', '{"ID":9223372036854775808}'],
      ['lock/lock', '{"name":"%"}'],
      ['election/proclaim', '{"leader":[]}'],
    ] as const) {
      expect(post(path, body).kind, body).toBe('refused');
    }
    expect(post('lease/grant', '{"ID":"-9223372036854775808","TTL":1e9}')).toMatchObject({
      operation: { id: -(2n ** 63n), ttlSeconds: 1_000_000_000 },
    });
    expect(post('election/proclaim', '{"leader":null}').kind).toBe('refused');
    expect(post('election/proclaim', '{"leader":{}}').kind).toBe('sessionWrite');
  });

  it('API-V3-45: an Idempotency-Key names every write of these, and none of the reads', () => {
    const bad = { 'idempotency-key': 'with space' };
    const good = { 'idempotency-key': 'w1' };
    for (const path of ['lease/revoke', 'auth/enable', 'auth/user/add', 'lock/lock', 'election/campaign']) {
      expect(post(path, '{}', bad).kind, path).toBe('refused');
      expect(post(path, '{}', good), path).toMatchObject({ writeId: 'w1' });
    }
    for (const path of ['lease/leases', 'auth/status', 'election/leader', 'kv/range', 'maintenance/status']) {
      expect(post(path, '{}', bad).kind, path).not.toBe('refused');
    }
  });
});

const kindsOf = (versions: string[]) => new Set(versions.map((version) => parseDowngradeTarget(version).kind));

describe('members and versions', () => {
  it('API-V3-46: peers have http://host:port and no path; their URLs are trimmed and in order', () => {
    expect(peerUrlsOf([' http://b:1 ', 'https://a:2', 'http://[::1]:2380'])).toEqual([
      'http://[::1]:2380',
      'http://b:1',
      'https://a:2',
    ]);
    for (const url of [
      '',
      'a:1',
      'http://a',
      'http://a:1/',
      'http://a:1/p',
      'ftp://a:1',
      'http://:x',
      'http://a:b:1',
    ]) {
      expect(peerUrlsOf(['http://good:1', url]), url).toBeNull();
    }
    expect(peerUrlsOf([])).toBeNull();
  });

  it('API-V3-47: a downgrade aims at one minor version, given with or without a patch', () => {
    expect(kindsOf(['3.6', '3.6.0', '3.6.99', '3.6.0-rc.1', '3.6.0+a', '03.06.1'])).toEqual(new Set(['target']));
    expect(kindsOf(['3.5', '3.7', '3.8.0', '4.6', '0.0', '3.60'])).toEqual(new Set(['invalid']));
    expect(kindsOf(['', '3', 'v3.6.0', '3.6.0.0', '3.6-rc', 'x.y', '3.', ' 3.6'])).toEqual(new Set(['malformed']));
  });

  it('API-V3-48: a snapshot’s message has its part, what remains, and the version', () => {
    expect(JSON.parse(dumpMessage(32_768, utf8('ab')))).toEqual({
      result: { remaining_bytes: '32768', blob: 'YWI=', version: '3.7.0' },
    });
    expect(JSON.parse(dumpMessage(0, utf8('b')))).toEqual({ result: { blob: 'Yg==', version: '3.7.0' } });
  });

  it('API-V3-49: upgrades of what is no stream take frames, each the body of a POST', () => {
    const upgrade = { headers: { upgrade: 'websocket', 'sec-websocket-protocol': 'Bearer, k' } };
    expect(call('GET /v3/lease/keepalive', upgrade)).toMatchObject({ kind: 'keepAliveStream', transport: 'websocket' });
    expect(call('POST /v3/lease/keepalive')).toMatchObject({ kind: 'keepAliveStream', transport: 'post' });
    for (const path of ['/v3/kv/put', '/v3/election/observe', '/v3/maintenance/snapshot', '/v3beta/auth/status']) {
      expect(call(`GET ${path}`, upgrade)).toMatchObject({ kind: 'frames', path, accepted: 'Bearer' });
    }
    expect(call('GET /v3/none', upgrade).kind).toBe('refused');
  });
});

const healthy: HealthFacts = {
  alarms: [],
  hasLeader: true,
  isLearner: false,
  serializableRead: null,
  linearizableRead: null,
};

async function healthOf(path: string, facts: Partial<HealthFacts> = {}): Promise<[number, string]> {
  const parsed = call(`GET ${path}`);
  const response =
    parsed.kind === 'health'
      ? parsed.respond({ ...healthy, ...facts }).toResponse()
      : parsed.kind === 'answered' || parsed.kind === 'refused'
        ? parsed.response
        : null;
  if (response === null) throw new Error(parsed.kind);
  return [response.status, await response.text()];
}

const needsOf = (path: string) => callOf('health', `GET ${path}`).needs;

const reasonOf = async (path: string, facts: Partial<HealthFacts>): Promise<unknown> => {
  const [status, text] = await healthOf(path, facts);
  const { health, reason } = JSON.parse(text) as { health: string; reason: string };
  expect(health).toBe(String(status === 200));
  return reason;
};

describe('health', () => {
  it('API-HEALTH-1: as it was recorded', async () => {
    let seen = 0;
    for (const { place, step } of ['health-and-version.jsonl', 'alarms.jsonl'].flatMap(steps)) {
      const path = step.call?.path ?? '';
      if (!/^\/(version|health|livez|readyz)/.test(path) || step.answer === undefined) continue;
      const answer = step.answer as { status: number; type?: string; json?: unknown; text?: string };
      const reason = (answer.json as { reason?: string } | undefined)?.reason ?? '';
      const alarms =
        reason.includes('CORRUPT') || (path === '/readyz' && answer.status === 503)
          ? [alarmKind.corrupt]
          : reason.includes('NOSPACE')
            ? [alarmKind.noSpace]
            : [];
      const parsed = call(`${step.call?.method ?? 'POST'} ${path}`);
      const response =
        parsed.kind === 'health'
          ? parsed.respond({ ...healthy, alarms }).toResponse()
          : 'response' in parsed
            ? parsed.response
            : null;
      if (response === null) throw new Error(`${place}: ${parsed.kind}`);
      expect(response.status, place).toBe(answer.status);
      const type = response.headers.get('content-type')?.split(';')[0];
      if (answer.type !== undefined) expect(type, place).toBe(answer.type);
      if (answer.status === 405) expect(response.headers.get('allow')).toBe('GET');
      if (answer.json !== undefined) expect(await response.json(), place).toEqual(new Concrete().of(answer.json));
      if (answer.text !== undefined) expect(await response.text(), place).toBe(answer.text);
      seen++;
    }
    expect(seen).toBeGreaterThan(30);
  });

  it('API-HEALTH-2: the first fault counts: alarm, leader, read; exclusions pass over theirs', async () => {
    const bad = { alarms: [alarmKind.corrupt, alarmKind.noSpace], hasLeader: false, linearizableRead: 'late' };
    expect(await reasonOf('/health', bad)).toBe('ALARM NOSPACE');
    expect(await reasonOf('/health?exclude=NOSPACE', bad)).toBe('ALARM CORRUPT');
    expect(await reasonOf('/health?exclude=NOSPACE&exclude=CORRUPT', bad)).toBe('RAFT NO LEADER');
    expect(await reasonOf('/health', { linearizableRead: 'late' })).toBe('QGET ERROR:late');
    expect(await reasonOf('/health?serializable=true', { linearizableRead: 'late', hasLeader: false })).toBe('');
    expect(await reasonOf('/health?serializable=true', { serializableRead: 'torn' })).toBe('RANGE ERROR:torn');
  });

  it('API-HEALTH-3: checks are told in full where one fails or it is asked for', async () => {
    expect(await healthOf('/readyz', { alarms: [alarmKind.corrupt], isLearner: true })).toEqual([
      503,
      '[-]data_corruption failed: alarm activated: CORRUPT\n[+]serializable_read ok\n[+]linearizable_read ok\n' +
        '[-]non_learner failed: etcdserver: rpc not supported for learner\n\n',
    ]);
    expect(await healthOf('/readyz?verbose&exclude=linearizable_read', { linearizableRead: 'late' })).toEqual([
      200,
      '[+]data_corruption ok\n[+]serializable_read ok\n[+]non_learner ok\nok\n',
    ]);
    expect(await healthOf('/livez', { linearizableRead: 'late' })).toEqual([200, 'ok\n']);
    expect((await healthOf('/livez/serializable_read', { serializableRead: 'torn' }))[0]).toBe(503);
    expect((await healthOf('/livez/linearizable_read'))[0]).toBe(404);
    expect((await healthOf('/readyz/'))[0]).toBe(404);
  });

  it('API-HEALTH-4: a check asks for the reads that it looks at, and for no other', () => {
    expect(needsOf('/health')).toEqual({ serializableRead: false, linearizableRead: true });
    expect(needsOf('/health?serializable=true')).toEqual({ serializableRead: true, linearizableRead: false });
    expect(needsOf('/livez')).toEqual({ serializableRead: true, linearizableRead: false });
    expect(needsOf('/readyz/data_corruption')).toEqual({ serializableRead: false, linearizableRead: false });
  });
});
