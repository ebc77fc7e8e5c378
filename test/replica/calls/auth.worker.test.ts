// How the gateway and real objects tell callers apart while etcd's users are on. The contract of the store and the
// recorded conversations hold what callers may do; here it is which caller a call is done for.

import { forged } from '../../support/forged.ts';
import { evictDurableObject, runInDurableObject } from 'cloudflare:test';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  loginRefusedMsMin,
  loginsBurstMax,
  loginsPerSecondMax,
  passwordBytesMax,
  passwordsHashedMax,
  verifiedTokensCachedMax,
} from '../../../src/limits.ts';
import { Signatures } from '../../../src/tenants/signatures.ts';
import { TokenRing } from '../../../src/tenants/token-text.ts';
import { addUser, b64, enableAuth, EtcdClient, FrameSocket, post, tokenOf } from '../../support/etcd-client.ts';
import {
  asOperator,
  call,
  newTenant,
  type NewTenant,
  prepareDirectory,
  put,
  replicaStub,
  withKey,
} from '../../support/service.ts';

beforeAll(prepareDirectory);

const members = [1, 2, 3] as const;
const range = '/v3/kv/range';
const noUser = { status: 400, body: { code: 3, message: 'etcdserver: user name is empty' } };
const badToken = { status: 401, body: { code: 16, message: 'etcdserver: invalid auth token' } };
const denied = { status: 403, body: { code: 7, message: 'etcdserver: permission denied' } };

function hexOf(text: string): string {
  return Array.from(text, (each) => each.charCodeAt(0).toString(16)).join('');
}

function textOf(value: unknown): string {
  return value instanceof ArrayBuffer ? new TextDecoder().decode(value) : String(value);
}

async function restrictedKey(tenant: NewTenant, access: Record<string, unknown>): Promise<string> {
  const response = await withKey(tenant.key, `/v1/tenants/${tenant.id}/keys`, {
    method: 'POST',
    body: JSON.stringify(access),
  });
  const { key }: { key: string } = await response.json();
  return key;
}

describe('who is asking', () => {
  it('AUTH-1: a key sent as Authorization speaks for itself while auth is on: an admin key stays the root', async () => {
    const tenant = await newTenant({ name: 'stays-root', replicas: 1 });
    await put(tenant.key, 'a', '1');
    await enableAuth(tenant.key);
    const asRoot = { Authorization: `Bearer ${tenant.key}` };
    expect((await post(range, { key: b64('a') }, asRoot)).status).toBe(200);
    const both = { ...asRoot, 'Quorate-Key': tenant.key };
    expect((await post('/v3/auth/user/list', {}, both)).body).toMatchObject({ users: ['root'] });
    expect((await post('/v3/auth/disable', {}, asRoot)).status).toBe(200);
  });

  it('AUTH-2: Quorate-Key alone names the tenant and nobody in it', async () => {
    const tenant = await newTenant({ name: 'nobody', replicas: 1 });
    const anybody = new EtcdClient(tenant.key);
    await anybody.done('/v3/kv/put', { key: b64('a'), value: b64('1') });
    await enableAuth(tenant.key);
    expect(await anybody.post(range, { key: b64('a') })).toMatchObject(noUser);
    expect(await new EtcdClient(tenant.key, 'nonsense').post(range, { key: b64('a') })).toMatchObject(badToken);
    const v1 = await call('/v1/kv/a', { headers: { 'Quorate-Key': tenant.key } });
    expect([v1.status, v1.headers.get('content-type')]).toEqual([401, 'application/problem+json']);
  });

  it('AUTH-3: the key that names the tenant bounds its users', async () => {
    const tenant = await newTenant({ name: 'bounded', replicas: 1 });
    await put(tenant.key, 'app/a', '1');
    await put(tenant.key, 'other', '1');
    const reader = await restrictedKey(tenant, { role: 'read', prefix: 'app/' });
    await enableAuth(tenant.key);
    const root = await new EtcdClient(reader).login('root', 'root-password');
    expect((await root.post(range, { key: b64('app/a') })).status).toBe(200);
    expect((await root.post(range, { key: b64('other') })).status).toBe(403);
    expect((await root.post('/v3/kv/put', { key: b64('app/a'), value: '' })).status).toBe(403);
    expect((await root.post('/v3/auth/disable', {})).status).toBe(403);
  });

  it('AUTH-4: a token is good on every replica, after they were evicted, and until its user has another password', async () => {
    const tenant = await newTenant({ name: 'tokens' });
    const root = await enableAuth(tenant.key);
    const user = await addUser(root, 'user', [{ permType: 'READWRITE', key: 'a' }]);
    await user.done('/v3/kv/put', { key: b64('a'), value: b64('1') });
    await scheduler.wait(6_000);
    for (const replica of members) await evictDurableObject(replicaStub(tenant.id, replica));
    await user.done(range, { key: b64('a') });
    await user.done(range, { key: b64('a'), serializable: true });
    await root.done('/v3/auth/role/revoke', { role: 'role-of-user', key: b64('a') });
    expect(await user.post(range, { key: b64('a') })).toMatchObject(denied);
    await root.done('/v3/auth/user/changepw', { name: 'user', password: 'new' });
    expect(await user.post(range, { key: b64('a') })).toMatchObject(badToken);
    expect(await (await root.login('user', 'new')).post(range, { key: b64('a') })).toMatchObject(denied);
  });

  it('AUTH-5: a key of the tenant as the password of a login is its own token, whatever the name', async () => {
    const tenant = await newTenant({ name: 'key-as-password', replicas: 1 });
    const other = await newTenant({ name: 'another-one', replicas: 1 });
    for (const headers of [{}, { 'Quorate-Key': tenant.key }, { Authorization: 'Bearer outdated' }] as const) {
      const answer = await post('/v3/auth/authenticate', { name: 'anyone', password: tenant.key }, { ...headers });
      expect([answer.status, answer.body['token']]).toEqual([200, tenant.key]);
    }
    const { body } = await post('/v3/auth/authenticate', { name: 'x', password: tenant.key }, {});
    expect((await post('/v3/kv/put', { key: b64('a') }, { Authorization: String(body['token']) })).status).toBe(200);
    const foreign = await post(
      '/v3/auth/authenticate',
      { name: 'x', password: other.key },
      { 'Quorate-Key': tenant.key },
    );
    expect(foreign.body['token']).toBeUndefined();
    const wrong = { name: 'x', password: forged(tenant.key) };
    expect((await post('/v3/auth/authenticate', wrong, {})).status).toBe(401);
  });

  it('AUTH-6: a revoked key is no password', async () => {
    const tenant = await newTenant({ name: 'revoked-password', replicas: 1 });
    const key = await restrictedKey(tenant, { role: 'write' });
    await withKey(tenant.key, `/v1/tenants/${tenant.id}/keys/${key.split('_')[2] ?? ''}`, { method: 'DELETE' });
    const answer = await post('/v3/auth/authenticate', { name: 'x', password: key }, {});
    expect([answer.status, answer.body['token']]).toEqual([401, undefined]);
  });

  it('AUTH-7: while the tenant is suspended nobody logs in without a key, and nothing tells why', async () => {
    const tenant = await newTenant({ name: 'closed-door', replicas: 1 });
    const root = await enableAuth(tenant.key);
    await addUser(root, 'user', [{ permType: 'READWRITE', key: 'a' }]);
    const login = () => post('/v3/auth/authenticate', { name: `user@${tenant.id}`, password: 'useruser' }, {});
    const change = async (state: string) =>
      asOperator(`/v1/tenants/${tenant.id}`, { method: 'PATCH', body: JSON.stringify({ state }) });
    expect((await change('suspended')).status).toBe(200);
    expect((await login()).body).toMatchObject({
      message: 'etcdserver: authentication failed, invalid user ID or password',
    });
    expect((await change('ready')).status).toBe(200);
    expect((await login()).status).toBe(200);
  });

  it('AUTH-7: user@tenant logs in without a key, and its token alone is enough while auth is on', async () => {
    const tenant = await newTenant({ name: 'one-credential' });
    const root = await enableAuth(tenant.key);
    await addUser(root, 'user', [{ permType: 'READWRITE', key: 'a' }]);
    const name = `user@${tenant.id}`;
    const login = await post('/v3/auth/authenticate', { name, password: 'useruser' }, {});
    expect(login.status).toBe(200);
    const alone = { Authorization: `Bearer ${String(login.body['token'])}` };
    expect((await post('/v3/kv/put', { key: b64('a'), value: b64('1') }, alone)).status).toBe(200);
    expect((await post(range, { key: b64('a'), serializable: true }, alone)).status).toBe(200);
    expect(await post(range, { key: b64('b') }, alone)).toMatchObject(denied);
    for (const wrong of [
      { name, password: 'wrong' },
      { name: `nobody@${tenant.id}`, password: 'useruser' },
      { name: 'user@nosuchtenant', password: 'useruser' },
    ]) {
      const refused = await post('/v3/auth/authenticate', wrong, {});
      expect(refused.body).toMatchObject({ message: 'etcdserver: authentication failed, invalid user ID or password' });
    }
    await root.done('/v3/auth/disable', {});
    expect(await post(range, { key: b64('a') }, alone)).toMatchObject(badToken);
  });

  it('AUTH-8: a token of another tenant, a changed one, and one that is good beside a key only, are no tokens', async () => {
    const [one, two] = [
      await newTenant({ name: 'token-one', replicas: 1 }),
      await newTenant({ name: 'token-two', replicas: 1 }),
    ];
    const [root] = [await enableAuth(one.key), await enableAuth(two.key)];
    const token = await tokenOf(root, 'root', 'root-password');
    expect(await new EtcdClient(two.key, token).post(range, { key: b64('a') })).toMatchObject(badToken);
    for (const changed of [
      `${token}x`,
      token.slice(0, -1),
      token.replace(hexOf('root'), hexOf('rooo')),
      token.replace('_b_', '_a_'),
      token.replace(one.id, two.id),
    ]) {
      expect(changed).not.toBe(token);
      expect(await new EtcdClient(one.key, changed).post(range, { key: b64('a') })).toMatchObject(badToken);
    }
    expect((await post(range, { key: b64('a') }, { Authorization: token })).status).toBe(401);
    expect((await post(range, { key: b64('a') }, { Authorization: token.replace('_b_', '_a_') })).status).toBe(401);
  });

  it('AUTH-9: a WebSocket has its token from a cookie or the subprotocol; a cookie counts beside a key only', async () => {
    const tenant = await newTenant({ name: 'socket-tokens', replicas: 1 });
    const root = await enableAuth(tenant.key);
    const token = await tokenOf(root, 'root', 'root-password');
    const key = { 'Quorate-Key': tenant.key };
    const ways: Record<string, string>[] = [
      { ...key, Cookie: `theme=dark; token=${token}` },
      { ...key, 'Sec-WebSocket-Protocol': `Bearer, ${token}` },
      { ...key, Authorization: `Bearer ${token}` },
      { 'Sec-WebSocket-Protocol': `Bearer, ${tenant.key}` },
    ];
    for (const headers of ways) {
      const watch = await FrameSocket.open('/v3/watch', headers);
      watch.send({ create_request: { key: b64('a') } });
      const created = { result: { created: true } };
      expect(await watch.next()).toMatchObject(created);
      watch.socket.close();
    }
    const refused = await call('/v3/watch', {
      headers: { Upgrade: 'websocket', Cookie: `token=${tenant.key}` },
    });
    expect(refused.status).toBe(401);
  });

  it('AUTH-10: a watch goes on when its permission went, also through an eviction; a new one is refused', async () => {
    const tenant = await newTenant({ name: 'watch-goes-on' });
    const root = await enableAuth(tenant.key);
    const user = await addUser(root, 'user', [{ permType: 'READ', key: 'a' }]);
    const watch = await FrameSocket.open('/v3/watch', user.headers);
    watch.send({ create_request: { key: b64('a') } });
    expect(await watch.next()).toMatchObject({ result: { created: true } });
    await root.done('/v3/auth/user/revoke', { name: 'user', role: 'role-of-user' });
    await scheduler.wait(8_000);
    for (const replica of members) {
      await evictDurableObject(replicaStub(tenant.id, replica), { webSockets: 'hibernate' });
    }
    await root.done('/v3/kv/put', { key: b64('a'), value: b64('1') });
    expect(await watch.next()).toMatchObject({ result: { events: [{ kv: { key: b64('a') } }] } });
    watch.send({ create_request: { key: b64('a') } });
    expect(await watch.next()).toMatchObject({
      result: { cancel_reason: 'rpc error: code = PermissionDenied desc = etcdserver: permission denied' },
    });
    watch.socket.close();
  });
});

describe('passwords', () => {
  it('AUTH-11: a store keeps no password, and the same one twice is two hashes', async () => {
    const tenant = await newTenant({ name: 'hashes', replicas: 1 });
    const anybody = new EtcdClient(tenant.key);
    const password = 'correct horse battery staple';
    for (const name of ['a', 'b']) await anybody.done('/v3/auth/user/add', { name, password });
    const tables = await runInDurableObject(replicaStub(tenant.id, 1), (_, { storage }) => {
      const rows = (table: string) => [...storage.sql.exec(`SELECT * FROM ${table}`).raw()];
      return { users: rows('auth_users').map(String), log: rows('log'), batches: rows('batches') };
    });
    const hashes = tables.users.map(
      (row) => /pbkdf2-sha256\$100000\$[A-Za-z0-9+/=]{24}\$[A-Za-z0-9+/=]{44}/.exec(row)?.[0],
    );
    expect(new Set(hashes).size).toBe(2);
    expect(hashes).not.toContain(undefined);
    const everything = [...tables.users, ...[...tables.log, ...tables.batches].flat().map(textOf)].join('\n');
    expect(everything).toContain('pbkdf2');
    expect(everything).not.toContain(password);
  });

  it('AUTH-12: a password of passwordBytesMax is taken, one byte more is refused, and never fits', async () => {
    const tenant = await newTenant({ name: 'long-password', replicas: 1 });
    const root = await enableAuth(tenant.key);
    const longest = 'p'.repeat(passwordBytesMax);
    await root.done('/v3/auth/user/add', { name: 'user', password: longest });
    expect((await root.post('/v3/auth/user/add', { name: 'other', password: `${longest}p` })).status).toBe(500);
    await root.login('user', longest);
    const tooLong = await root.post('/v3/auth/authenticate', { name: 'user', password: `${longest}p` });
    expect(tooLong.status).toBe(400);
  });

  it('AUTH-13: a replica hashes passwordsHashedMax passwords at a time; one more is answered 429', async () => {
    const tenant = await newTenant({ name: 'busy-logins', replicas: 1 });
    await enableAuth(tenant.key);
    const login = () =>
      post('/v3/auth/authenticate', { name: 'root', password: 'root-password' }, { 'Quorate-Key': tenant.key });
    const answers = await Promise.all(Array.from({ length: passwordsHashedMax * 3 }, login));
    const statuses = answers.map(({ status }) => status);
    expect(new Set(statuses)).toEqual(new Set([200, 429]));
    expect(statuses.filter((status) => status === 200).length).toBeGreaterThanOrEqual(passwordsHashedMax);
    await scheduler.wait(1_000);
    expect((await login()).status).toBe(200);
  });

  it('AUTH-17: a replica looks at loginsBurstMax logins at once, and then at loginsPerSecondMax', async () => {
    const tenant = await newTenant({ name: 'many-logins', replicas: 1 });
    await enableAuth(tenant.key);
    await scheduler.wait((1_000 * loginsBurstMax) / loginsPerSecondMax);
    const sinceMs = Date.now();
    let answered = 0;
    while (Date.now() - sinceMs < 2_000) {
      const login = { name: 'root', password: 'root-password' };
      const { status } = await post('/v3/auth/authenticate', login, { 'Quorate-Key': tenant.key });
      if (status === 200) answered++;
      else expect(status).toBe(429);
    }
    const seconds = (Date.now() - sinceMs) / 1_000;
    expect(answered).toBeLessThanOrEqual(loginsBurstMax + loginsPerSecondMax * seconds + 1);
  });

  it('AUTH-18: guesses at one user wait longer and longer, also over a WebSocket, and a right password that comes then waits too', async () => {
    const tenant = await newTenant({ name: 'guessed', replicas: 1 });
    const root = await enableAuth(tenant.key);
    const headers = { 'Quorate-Key': tenant.key };
    const login = (password: string) => post('/v3/auth/authenticate', { name: 'root', password }, headers);
    const wrong = { code: 3, message: 'etcdserver: authentication failed, invalid user ID or password' };
    for (let guess = 0; guess < 6; guess++) expect((await login(`guess ${guess}`)).body).toMatchObject(wrong);
    expect(await login('root-password')).toMatchObject({ status: 429, body: { code: 8 } });
    const socket = await FrameSocket.open('/v3/auth/authenticate', headers);
    socket.send(JSON.stringify({ name: 'root', password: 'root-password' }));
    expect(await socket.next()).toMatchObject({ code: 8 });
    // Other users are not held up.
    await addUser(root, 'alice', []);
    await scheduler.wait(1_100);
    expect((await login('root-password')).status).toBe(200);
  });

  it('AUTH-19: without a key nothing tells whether the tenant, the user or the password is wrong', async () => {
    const [on, off] = [await newTenant({ name: 'auth-on' }), await newTenant({ name: 'auth-off' })];
    await enableAuth(on.key);
    const names = [`root@${on.id}`, `nobody@${on.id}`, `root@${off.id}`, 'root@nosuchtenant'];
    for (const name of names) {
      const sinceMs = Date.now();
      const answer = await post('/v3/auth/authenticate', { name, password: 'wrong' }, {});
      const wrong = { code: 3, message: 'etcdserver: authentication failed, invalid user ID or password' };
      expect([name, answer.status]).toEqual([name, 400]);
      expect(answer.body).toMatchObject(wrong);
      expect(Date.now() - sinceMs).toBeGreaterThanOrEqual(loginRefusedMsMin - 1);
    }
    const right = await post('/v3/auth/authenticate', { name: `root@${on.id}`, password: 'root-password' }, {});
    expect(right.status).toBe(200);
  });
});

it('AUTH-22: large writes that roles, tokens, alarms and used ids refuse grow no log, as clients send them', async () => {
  const tenant = await newTenant({ name: 'refused-writes', replicas: 3 });
  const nobody = new EtcdClient(tenant.key);
  const root = await enableAuth(tenant.key);
  const alice = await addUser(root, 'alice', []);
  const asRoot = { Authorization: `Bearer ${tenant.key}` };
  const value = b64('v'.repeat(1_000_000));
  const body = 'v'.repeat(1_000_000);
  const named = { ...asRoot, 'Idempotency-Key': 'used' };
  expect((await call('/v1/kv/a', { method: 'PUT', headers: named, body: 'first' })).status).toBe(200);
  const progress = async (): Promise<unknown> => {
    const status = await withKey(tenant.key, '/v1/status');
    const { applied_index, log_entries, log_bytes }: Record<string, number> = await status.json();
    return { applied_index, log_entries, log_bytes };
  };
  const tenTimes = async (refused: () => Promise<{ readonly status: number }>, status: number): Promise<void> => {
    const before = await progress();
    for (let count = 0; count < 10; count++) expect((await refused()).status).toBe(status);
    expect(await progress()).toEqual(before);
  };
  const key = b64('a');
  await tenTimes(() => alice.post('/v3/kv/put', { key, value }), 403);
  await tenTimes(() => nobody.post('/v3/kv/put', { key, value }), 400);
  await tenTimes(() => call('/v1/kv/a', { method: 'PUT', headers: named, body }), 422);
  // Another password ends the tokens that were given for the former one.
  expect((await post('/v3/auth/user/changepw', { name: 'alice', password: 'other' }, asRoot)).status).toBe(200);
  await tenTimes(() => alice.post('/v3/kv/put', { key, value }), 401);
  const alarm = { action: 'ACTIVATE', memberID: '7', alarm: 'NOSPACE' };
  expect((await post('/v3/maintenance/alarm', alarm, asRoot)).status).toBe(200);
  await tenTimes(() => post('/v3/kv/put', { key, value }, asRoot), 429);
  await tenTimes(() => call('/v1/kv/b', { method: 'PUT', headers: asRoot, body }), 507);
  // A retry of what was applied before the alarm.
  const again = await call('/v1/kv/a', { method: 'PUT', headers: named, body: 'first' });
  expect(again.status).toBe(200);
});

class CountedSignatures extends Signatures {
  checked = 0;

  override verify(message: string, signature: string): boolean {
    this.checked++;
    return super.verify(message, signature);
  }
}

it('AUTH-16: an isolate remembers verifiedTokensCachedMax tokens that it has checked', () => {
  const signatures = new CountedSignatures('secret');
  const tokens = new TokenRing(signatures);
  const token = { tenant: 't', use: 'beside', name: 'user' } as const;
  const texts = Array.from({ length: verifiedTokensCachedMax + 1 }, (_, authRevision) =>
    tokens.issue({ ...token, authRevision }),
  );
  const [first = ''] = texts;
  for (const text of [...texts.slice(0, -1), first]) expect(tokens.verify(text)).not.toBeNull();
  expect(signatures.checked).toBe(verifiedTokensCachedMax);
  expect(tokens.verify(texts.at(-1) ?? '')).toEqual({ ...token, authRevision: verifiedTokensCachedMax });
  expect(tokens.verify(first)).toEqual({ ...token, authRevision: 0 });
  expect(signatures.checked).toBe(verifiedTokensCachedMax + 2);
});
