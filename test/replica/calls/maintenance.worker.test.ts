// Maintenance, members, health and calls on a WebSocket, through the gateway and on real objects. The recorded
// conversations hold each single answer.

import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import { evictDurableObject } from 'cloudflare:test';
import { beforeAll, describe, expect, it } from 'vitest';
import { BinaryReader } from '../../../src/base/binary.ts';
import {
  alarmsMax,
  alarmsOfGroup,
  framesQueuedBytesMax,
  framesQueuedMax,
  frameSocketsMax,
  peerUrlsBytesMax,
  quotaEndsAtPart,
  quotaReliefPart,
  dumpFramesBytesMax,
  dumpPagePairsMin,
  dumpPartBytes,
  dumpsMax,
} from '../../../src/limits.ts';
import { Quota } from '../../../src/replica/calls/maintenance-quota.ts';
import { type Alarm, alarmKind } from '../../../src/model/store.ts';
import { addUser, b64, enableAuth, EtcdClient, FrameSocket, Operator, post } from '../../support/etcd-client.ts';
import {
  asOperator,
  bindings,
  call,
  leaderOf,
  newKey,
  newTenant,
  origin,
  prepareDirectory,
  put,
  replicaStub,
  withKey,
} from '../../support/service.ts';

beforeAll(prepareDirectory);

const members = [1, 2, 3] as const;

// The bytes of a dump

type Dump = { readonly records: ReadonlyMap<number, readonly BinaryReader[]>; readonly kinds: readonly number[] };

/** Checks the stream of a dump, and takes its bytes apart as `maintenance-dump.ts` describes them. */
function readSnapshot(lines: readonly string[]): Dump {
  const parts = lines.map((line): { blob: Buffer; remaining: number } => {
    const { result }: { result: { blob: string; remaining_bytes?: string } } = JSON.parse(line);
    return { blob: Buffer.from(result.blob, 'base64'), remaining: Number(result.remaining_bytes ?? '0') };
  });
  const digest = parts.pop()?.blob;
  const bytes = Buffer.concat(parts.map(({ blob }) => blob));
  expect(digest).toEqual(createHash('sha256').update(bytes).digest());
  let follow = bytes.byteLength;
  for (const [place, { blob, remaining }] of parts.entries()) {
    follow -= blob.byteLength;
    expect(remaining).toBe(follow);
    if (place < parts.length - 1) expect(blob.byteLength).toBe(dumpPartBytes);
  }
  const reader = new BinaryReader(bytes);
  expect(Buffer.from(reader.raw(16)).toString()).toBe('quorate-snapshot');
  expect(reader.byte()).toBe(1);
  const records = new Map<number, BinaryReader[]>();
  const kinds: number[] = [];
  while (reader.remaining > 0) {
    const kind = reader.byte();
    kinds.push(kind);
    records.set(kind, [...(records.get(kind) ?? []), new BinaryReader(reader.bytes())]);
  }
  return { records, kinds };
}

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();

function snapshotOf(key: string): Promise<Response> {
  return call('/v3/maintenance/snapshot', { method: 'POST', body: '{}', headers: { 'Quorate-Key': key } });
}

async function linesOf(response: Response): Promise<string[]> {
  return (await response.text()).split('\n').filter((line) => line !== '');
}

describe('snapshots', () => {
  it('MAINT-1: a snapshot holds all that clients put into the store, at one revision, while writes go on', async () => {
    const tenant = await newTenant({ name: 'snapshot' });
    const client = new EtcdClient(tenant.key);
    await client.done('/v3/lease/grant', { ID: 7, TTL: 600 });
    const value = 'v'.repeat(3_000);
    for (let place = 0; place < 3 * dumpPagePairsMin; place++) {
      await client.done('/v3/kv/put', { key: b64(`k/${100 + place}`), value: b64(value), lease: place === 0 ? 7 : 0 });
    }
    const root = await enableAuth(tenant.key);
    await addUser(root, 'user', [{ permType: 'READ', key: 'k/', rangeEnd: 'k0' }]);
    const response = await withKey(tenant.key, '/v3/maintenance/snapshot', { method: 'POST', body: '{}' });
    const reading = linesOf(response);
    await put(tenant.key, 'k/100', 'changed since');
    await put(tenant.key, 'k/999', 'new since');
    const { records, kinds } = readSnapshot(await reading);
    const [head] = records.get(1) ?? [];
    expect([head?.varint(), head?.varint(), head?.boolean(), head?.varint()]).toEqual([49, 0, true, 8]);
    const [lease] = records.get(2) ?? [];
    expect([lease?.signed64(), lease?.varint()]).toEqual([7n, 600]);
    expect((records.get(3) ?? []).map((each) => each.text())).toEqual(['role-of-user', 'root']);
    const users = (records.get(4) ?? []).map((each) => ({
      name: each.text(),
      hasPassword: each.boolean(),
      hash: each.text().split('$')[0],
      roles: Array.from({ length: each.varint() }, () => each.text()),
    }));
    expect(users).toEqual([
      { name: 'root', hasPassword: true, hash: 'pbkdf2-sha256', roles: ['root'] },
      { name: 'user', hasPassword: true, hash: 'pbkdf2-sha256', roles: ['role-of-user'] },
    ]);
    const pairs = (records.get(6) ?? []).map((each) => ({
      key: text(each.bytes()),
      revisions: [each.varint(), each.varint(), each.varint()],
      lease: each.signed64(),
      value: text(each.bytes()),
    }));
    expect(pairs).toEqual(
      Array.from({ length: 48 }, (_, place) => ({
        key: `k/${100 + place}`,
        revisions: [2 + place, 2 + place, 1],
        lease: place === 0 ? 7n : 0n,
        value,
      })),
    );
    expect(kinds.at(-1)).toBe(7);
    expect(records.get(7)?.[0]?.varint()).toBe(48);
  });

  it('MAINT-2: a dump of pairs of every size is cut into parts of dumpPartBytes', async () => {
    const tenant = await newTenant({ name: 'snapshot-sizes', replicas: 1 });
    const sizes = [0, 1, 32_700, 32_768, 40_000, 1_500_000, 5, 1_000_000];
    for (const [place, size] of sizes.entries()) await put(tenant.key, `k/${place}`, 'x'.repeat(size));
    const { records } = readSnapshot(await linesOf(await snapshotOf(tenant.key)));
    const values = (records.get(6) ?? []).map((each) => {
      each.bytes();
      for (let number = 0; number < 3; number++) each.varint();
      each.signed64();
      return each.bytes().byteLength;
    });
    expect(values).toEqual(sizes);
  });

  it('MAINT-3: a replica sends dumpsMax dumps at a time, half of them with one key; one more is answered 429, until one ends', async () => {
    const tenant = await newTenant({ name: 'many-snapshots', replicas: 1 });
    const keys = [tenant.key, (await newKey(tenant, 'admin')).key, (await newKey(tenant, 'admin')).key];
    for (let place = 0; place < 3 * dumpPagePairsMin; place++)
      await put(tenant.key, `k/${place}`, 'x'.repeat(1_000_000));
    expect(dumpsMax).toBe(2);
    const open = [await snapshotOf(tenant.key)];
    const refused = await snapshotOf(tenant.key);
    expect([refused.status, await refused.json()]).toMatchObject([429, { error: { code: 8 } }]);
    open.push(await snapshotOf(keys[1] ?? ''));
    expect(open.map(({ status }) => status)).toEqual([200, 200]);
    const third = await snapshotOf(keys[2] ?? '');
    expect([third.status, 'third']).toEqual([429, 'third']);
    await open[0]?.body?.cancel();
    for (const response of open.slice(1)) readSnapshot(await linesOf(response));
    await expect.poll(async () => (await snapshotOf(tenant.key)).status).toBe(200);
  });

  it('MAINT-4: a snapshot that a compaction overtakes ends by that failure', async () => {
    const tenant = await newTenant({ name: 'overtaken', replicas: 1 });
    for (let place = 0; place < 40; place++) await put(tenant.key, `k/${100 + place}`, 'x'.repeat(1_000_000));
    const response = await snapshotOf(tenant.key);
    await put(tenant.key, 'k/100', 'new');
    await put(tenant.key, 'k/100', 'newer');
    await new EtcdClient(tenant.key).done('/v3/kv/compaction', { revision: 43 });
    const last: unknown = JSON.parse((await linesOf(response)).at(-1) ?? '');
    expect(last).toMatchObject({
      error: { code: 11, message: 'etcdserver: mvcc: required revision has been compacted' },
    });
  });
});

describe('the group', () => {
  it('MAINT-5: leadership moves to the member that is named, and hashes are equal on every replica', async () => {
    const tenant = await newTenant({ name: 'transfer' });
    const client = new EtcdClient(tenant.key);
    for (let place = 0; place < 10; place++) await put(tenant.key, `k/${place % 4}`, String(place));
    const listed = await client.done('/v3/cluster/member/list', {});
    const { members: list } = listed as { members: { ID: string; name: string }[] };
    const hashes = new Set<unknown>();
    for (const replica of [2, 3, 1]) {
      const { ID: targetID } = list.find(({ name }) => name === `replica-${replica}`) ?? { ID: '' };
      if ((await leaderOf(tenant.key)) !== replica) {
        expect(await client.done('/v3/maintenance/transfer-leadership', { targetID })).toEqual({});
      }
      expect(await leaderOf(tenant.key)).toBe(replica);
      expect(await client.done('/v3/maintenance/status', {})).toMatchObject({ leader: targetID });
      hashes.add((await client.done('/v3/maintenance/hashkv', {}))['hash']);
      const again = await client.post('/v3/maintenance/transfer-leadership', { targetID });
      expect(again.body).toMatchObject({ code: 9, message: 'etcdserver: bad leader transferee' });
    }
    expect(hashes.size).toBe(1);
  });

  it('MAINT-6: there is a member for each replica, and its client URL is where the tenant is called', async () => {
    for (const replicas of [1, 3, 5]) {
      const tenant = await newTenant({ name: `members-${replicas}`, replicas });
      const { members: list } = (await new EtcdClient(tenant.key).done('/v3/cluster/member/list', {})) as {
        members: { ID: string; clientURLs: string[]; peerURLs: string[] }[];
      };
      expect(new Set(list.map(({ ID }) => ID)).size).toBe(replicas);
      for (const { clientURLs, peerURLs } of list) {
        expect(clientURLs).toEqual([origin]);
        expect(new URL(peerURLs[0] ?? '').protocol).toBe('http:');
      }
    }
  });

  it('MAINT-7: an announced learner outlives its leader; what no replica can be made of is refused by its name', async () => {
    const tenant = await newTenant({ name: 'learner' });
    const client = new Operator(tenant.id);
    const peerURLs = ['http://192.0.2.9:2380'];
    const added = await client.done('/v3/cluster/member/add', { peerURLs, isLearner: true });
    const { member } = added as { member: { ID: string } };
    await replicaStub(tenant.id, await leaderOf(tenant.key))
      .wipe()
      .catch(() => undefined);
    const { members: list } = (await client.done('/v3/cluster/member/list', { linearizable: true })) as {
      members: { ID: string; isLearner?: boolean }[];
    };
    expect(list.filter(({ isLearner }) => isLearner === true).map(({ ID }) => ID)).toEqual([member.ID]);
    const [replica] = list;
    const refused: [string, Record<string, unknown>, string][] = [
      ['add', { peerURLs: ['http://192.0.2.7:2380'] }, 'A voting member that is no place of this service'],
      ['update', { ID: replica?.ID, peerURLs: ['http://192.0.2.7:2380'] }, 'Giving a replica another peer URL'],
    ];
    for (const [path, body, what] of refused) {
      const answer = await client.post(`/v3/cluster/member/${path}`, body);
      expect([answer.status, answer.body['message']]).toEqual([501, `quorate: ${what} is not served`]);
    }
  });

  it('MAINT-8: peer URLs have at most peerUrlsBytesMax', async () => {
    const tenant = await newTenant({ name: 'peer-urls', replicas: 1 });
    const client = new Operator(tenant.id);
    const start = 'http://host:1?';
    const of = (bytes: number): unknown => ({ peerURLs: [start.padEnd(bytes, 'x')], isLearner: true });
    expect((await client.post('/v3/cluster/member/add', of(peerUrlsBytesMax + 1))).status).toBe(400);
    expect((await client.post('/v3/cluster/member/add', of(peerUrlsBytesMax))).status).toBe(200);
  });

  it('MAINT-9: a database over its quota raises NOSPACE once, and ends it when it is well below', async () => {
    let bytes = 100;
    let active: readonly Alarm[] | null = [];
    let isRelieved = false;
    const proposed: unknown[] = [];
    const own = { memberId: 5n, alarm: alarmKind.noSpace };
    const quota = new Quota({
      quotaBytes: () => 100,
      memberId: own.memberId,
      storeBytes: () => bytes,
      alarms: () => active,
      isOwn: ({ memberId }) => memberId === own.memberId,
      isRelieved: () => isRelieved,
      propose: async (operation) => {
        await Promise.resolve();
        proposed.push(operation);
        if (active !== null) active = operation.kind === 'alarmActivate' ? [...active, own] : active.slice(1);
      },
    });
    const ticked = async (): Promise<unknown> => {
      quota.tick();
      quota.tick();
      await scheduler.wait(1);
      return proposed.splice(0);
    };
    expect(await ticked()).toEqual([]);
    // RETENTION-5: old history is going.
    isRelieved = true;
    bytes = 100 * quotaReliefPart;
    expect(await ticked()).toEqual([]);
    bytes = 100 * quotaReliefPart + 1;
    expect(await ticked()).toEqual([{ kind: 'alarmActivate', alarm: own }]);
    active = [];
    isRelieved = false;
    bytes = 101;
    expect(await ticked()).toEqual([{ kind: 'alarmActivate', alarm: own }]);
    expect(await ticked()).toEqual([]);
    // An operator has ended the alarm.
    active = [];
    expect(await ticked()).toEqual([{ kind: 'alarmActivate', alarm: own }]);
    bytes = 100 * quotaEndsAtPart + 1;
    expect(await ticked()).toEqual([]);
    bytes = 100 * quotaEndsAtPart;
    expect(await ticked()).toEqual([{ kind: 'alarmDeactivate', alarm: own }]);
    expect(await ticked()).toEqual([]);
    // An alarm that a tenant has raised is the tenant's. A replica that does not lead raises and ends no alarm.
    active = [{ memberId: 77n, alarm: alarmKind.noSpace }];
    expect(await ticked()).toEqual([]);
    active = null;
    bytes = 101;
    expect(await ticked()).toEqual([]);
  });

  it('MAINT-12: alarms of a tenant leave room for those of the group, also where many are activated at once', async () => {
    const client = new EtcdClient((await newTenant({ name: 'own-alarms' })).key);
    const raise = (memberID: number): ReturnType<EtcdClient['post']> =>
      client.post('/v3/maintenance/alarm', { action: 'ACTIVATE', alarm: 'CORRUPT', memberID: String(memberID) });
    const max = alarmsMax - alarmsOfGroup;
    const atOnce = 49;
    const raiseAll = async (first: number, count: number): Promise<readonly number[]> => {
      const answers = await Promise.all(Array.from({ length: count }, (_, n) => raise(first + n)));
      return answers.map(({ status }) => status);
    };
    for (let first = 1; first <= max - atOnce; first += atOnce) {
      expect(new Set(await raiseAll(first, atOnce))).toEqual(new Set([200]));
    }
    // There is room for half of those that come now, all at once.
    const statuses = await raiseAll(max - atOnce + 1, 2 * atOnce);
    expect(statuses.filter((status) => status === 200)).toHaveLength(atOnce);
    expect(statuses.filter((status) => status === 429)).toHaveLength(atOnce);
    const refused = await raise(max + 1);
    expect([refused.status, refused.body['message']]).toEqual([429, expect.stringContaining(String(max))]);
  });

  it('MAINT-10: what changes the group is the operator’s: a tenant’s root is refused in etcd’s words, and the audit has each call', async () => {
    const tenant = await newTenant({ name: 'whose-group' });
    const client = new EtcdClient(tenant.key);
    const { members } = (await client.done('/v3/cluster/member/list', {})) as { members: { ID: string }[] };
    const ID = members[0]?.ID;
    const denied: readonly (readonly [string, object])[] = [
      ['cluster/member/add', { peerURLs: ['http://sam.quorate.internal:2380'] }],
      ['cluster/member/add', { peerURLs: ['http://192.0.2.9:2380'], isLearner: true }],
      ['cluster/member/remove', { ID }],
      ['cluster/member/update', { ID, peerURLs: ['http://192.0.2.9:2380'] }],
      ['cluster/member/promote', { ID }],
      ['maintenance/downgrade', { action: 'ENABLE', version: '3.6' }],
      ['maintenance/downgrade', { action: 'CANCEL' }],
      ['maintenance/alarm', { action: 'ACTIVATE', alarm: 'NOSPACE', memberID: ID }],
      ['maintenance/alarm', { action: 'DEACTIVATE', alarm: 'NOSPACE', memberID: ID }],
    ];
    for (const [path, body] of denied) {
      const answer = await client.post(`/v3/${path}`, body);
      expect([path, answer.status, answer.body['message']]).toEqual([path, 403, 'etcdserver: permission denied']);
    }
    // Calls that change nothing, and alarms of numbers that no replica has, stay the tenant's.
    await client.done('/v3/maintenance/downgrade', { action: 'VALIDATE', version: '3.6' });
    await client.done('/v3/maintenance/alarm', { action: 'ACTIVATE', alarm: 'NOSPACE', memberID: '77' });
    await client.done('/v3/maintenance/alarm', { action: 'DEACTIVATE', alarm: 'NOSPACE', memberID: '77' });

    const operator = new Operator(tenant.id);
    await operator.done('/v3/maintenance/alarm', { action: 'ACTIVATE', alarm: 'NOSPACE', memberID: ID });
    await operator.done('/v3/maintenance/downgrade', { action: 'ENABLE', version: '3.6' });
    await operator.done('/v3/maintenance/downgrade', { action: 'CANCEL' });
    const recorded = await bindings.DIRECTORY.prepare(
      'SELECT actor, action, detail FROM audit WHERE tenant_id = ? ORDER BY id',
    )
      .bind(tenant.id)
      .all<{ actor: string; action: string; detail: string }>();
    const changes = recorded.results.filter(({ action }) => action === 'group.change');
    expect(changes.map(({ actor, detail }) => [actor, detail.split(' ')[0]])).toEqual([
      ['operator', 'maintenance/alarm'],
      ['operator', 'maintenance/downgrade'],
      ['operator', 'maintenance/downgrade'],
    ]);
    expect(changes[1]?.detail).toContain('ENABLE');
  });

  it('MAINT-11: with the operator’s token nothing else is called, and with another token nothing', async () => {
    const tenant = await newTenant({ name: 'not-the-operators', replicas: 1 });
    const operator = new Operator(tenant.id);
    expect(await operator.post('/v3/kv/range', { key: 'AA==' })).toMatchObject({ status: 403, body: { code: 7 } });
    expect((await operator.post('/v3/auth/user/list', {})).status).toBe(403);
    expect((await new Operator('nosuchtenant').post('/v3/cluster/member/list', {})).status).toBe(404);
    const headers = { Authorization: 'Bearer wrong', 'Quorate-Tenant': tenant.id };
    expect((await post('/v3/cluster/member/list', {}, headers)).status).toBe(401);
    const withKey = { Authorization: `Bearer ${tenant.key}`, 'Quorate-Tenant': tenant.id };
    expect((await post('/v3/cluster/member/list', {}, withKey)).status).toBe(401);
  });
});

describe('health', () => {
  it('HEALTH-1: without a key the service answers for itself, in etcd’s forms', async () => {
    const version: unknown = await (await call('/version')).json();
    expect(version).toMatchObject({ etcdserver: expect.stringMatching(/^3\.\d+\.\d+$/) });
    expect(await (await call('/health')).json()).toEqual({ health: 'true', reason: '' });
    expect(await (await call('/readyz?verbose')).text()).toContain('[+]linearizable_read ok\n');
    expect(await (await call('/livez/serializable_read')).text()).toBe('ok\n');
    expect((await call('/livez/no_such_check')).status).toBe(404);
    expect((await call('/health', { method: 'POST', body: '{}' })).status).toBe(405);
  });

  it('HEALTH-2: with a key the tenant’s group answers, whoever its users are; a bad key is refused', async () => {
    const tenant = await newTenant({ name: 'health' });
    const headers = { 'Quorate-Key': tenant.key };
    await enableAuth(tenant.key);
    expect((await call('/health', { headers })).status).toBe(200);
    const root = await new EtcdClient(tenant.key).login('root', 'root-password');
    await root.done('/v3/maintenance/alarm', { action: 'ACTIVATE', alarm: 'CORRUPT' });
    expect(await (await call('/health', { headers })).json()).toEqual({ health: 'false', reason: 'ALARM CORRUPT' });
    expect((await call('/readyz', { headers })).status).toBe(503);
    expect((await call('/livez', { headers })).status).toBe(200);
    expect((await call('/health', { headers: { 'Quorate-Key': `${tenant.key}x` } })).status).toBe(401);
    const made: { id: string; key: string } = await (
      await withKey(tenant.key, `/v1/tenants/${tenant.id}/keys`, { method: 'POST', body: '{"role":"read"}' })
    ).json();
    await asOperator(`/v1/tenants/${tenant.id}/keys/${made.id}`, { method: 'DELETE' });
    expect((await call('/health', { headers: { 'Quorate-Key': made.key } })).status).toBe(401);
  });
});

function putText(key: string): string {
  return JSON.stringify({ key: b64(key), value: b64('}\n{') });
}

describe('calls on a WebSocket', () => {
  it('FRAME-1: each frame is answered by one, in order, errors too', async () => {
    const tenant = await newTenant({ name: 'frames' });
    const headers = { 'Quorate-Key': tenant.key };
    const puts = await FrameSocket.open('/v3/kv/put', headers);
    for (let place = 0; place < 20; place++) puts.send({ key: b64(`k/${place}`), value: b64('v') });
    puts.send('no JSON');
    puts.send({});
    for (let place = 0; place < 20; place++) {
      expect(await puts.next()).toMatchObject({ header: { revision: String(2 + place) } });
    }
    expect(await puts.next()).toMatchObject({ code: 3 });
    expect(await puts.next()).toMatchObject({ code: 3, message: 'etcdserver: key is not provided' });
    const ranges = await FrameSocket.open('/v3beta/kv/range', headers);
    ranges.send({ key: b64('k/'), range_end: b64('k0'), count_only: true });
    expect(await ranges.next()).toMatchObject({ count: '20' });
    const lists = await FrameSocket.open('/v3/cluster/member/list', headers);
    lists.send({});
    expect(await lists.next()).toMatchObject({ members: [{ clientURLs: [origin] }, {}, {}] });
    for (const { socket } of [puts, ranges, lists]) socket.close();
  });

  it('FRAME-2: each frame is the caller’s who opened the socket, as its rights are when it comes', async () => {
    const tenant = await newTenant({ name: 'frames-auth', replicas: 1 });
    const root = await enableAuth(tenant.key);
    const user = await addUser(root, 'user', [{ permType: 'READ', key: 'a' }]);
    const socket = await FrameSocket.open('/v3/kv/range', user.headers);
    socket.send({ key: b64('a') });
    expect(await socket.next()).toMatchObject({ header: {} });
    socket.send({ key: b64('b') });
    expect(await socket.next()).toMatchObject({ code: 7 });
    await root.done('/v3/auth/user/revoke', { name: 'user', role: 'role-of-user' });
    socket.send({ key: b64('a') });
    expect(await socket.next()).toMatchObject({ code: 7 });
    const logins = await FrameSocket.open('/v3/auth/authenticate', { 'Quorate-Key': tenant.key });
    logins.send({ name: 'user', password: 'useruser' });
    const { token } = await logins.next();
    expect(await new EtcdClient(tenant.key, String(token)).post('/v3/kv/range', { key: b64('a') })).toMatchObject({
      status: 403,
    });
    socket.socket.close();
    logins.socket.close();
  });

  it('FRAME-3: a socket sleeps with its object, and its next frame is answered by whoever leads then', async () => {
    const tenant = await newTenant({ name: 'frames-sleep' });
    const socket = await FrameSocket.open('/v3/kv/put', { 'Quorate-Key': tenant.key });
    socket.send({ key: b64('a'), value: b64('1') });
    expect(await socket.next()).toMatchObject({ header: { revision: '2' } });
    await scheduler.wait(6_000);
    for (const replica of members) {
      await evictDurableObject(replicaStub(tenant.id, replica), { webSockets: 'hibernate' });
    }
    socket.send({ key: b64('a'), value: b64('2') });
    expect(await socket.next()).toMatchObject({ header: { revision: '3' } });
    const client = new EtcdClient(tenant.key);
    const { members: list } = (await client.done('/v3/cluster/member/list', {})) as { members: { ID: string }[] };
    for (const { ID } of list) {
      await client.post('/v3/maintenance/transfer-leadership', { targetID: ID });
      socket.send({ key: b64('a'), value: b64('3'), prev_kv: true });
      expect(await socket.next()).toMatchObject({ prev_kv: { key: b64('a') } });
    }
    // No write was applied twice.
    expect(await client.done('/v3/kv/range', { key: b64('a') })).toMatchObject({
      kvs: [{ version: String(2 + list.length) }],
    });
    socket.socket.close();
  });

  it('FRAME-4: of an answer that is a stream each line is a frame', async () => {
    const tenant = await newTenant({ name: 'frames-stream', replicas: 1 });
    await put(tenant.key, 'a', 'x'.repeat(100_000));
    const socket = await FrameSocket.open('/v3/maintenance/snapshot', { 'Quorate-Key': tenant.key });
    socket.send({});
    const lines: string[] = [];
    for (let left = 4; left > 0; left--) lines.push(await socket.nextText());
    lines.push(await socket.nextText());
    expect(readSnapshot(lines).kinds).toEqual([1, 6, 7]);
    socket.socket.close();
  });

  it('FRAME-4: what is observed comes as it happens, wherever the leader is', async () => {
    const tenant = await newTenant({ name: 'frames-observe' });
    const client = new EtcdClient(tenant.key);
    const observed = await FrameSocket.open('/v3/election/observe', { 'Quorate-Key': tenant.key });
    observed.send({ name: b64('e') });
    const campaign = await FrameSocket.open('/v3/election/campaign', { 'Quorate-Key': tenant.key });
    await client.done('/v3/lease/grant', { ID: 9, TTL: 600 });
    campaign.send({ name: b64('e'), lease: 9, value: b64('first') });
    const { leader } = await campaign.next();
    expect(await observed.next()).toMatchObject({ result: { kv: { value: b64('first') } } });
    await client.done('/v3/election/proclaim', { leader, value: b64('second') });
    expect(await observed.next()).toMatchObject({ result: { kv: { value: b64('second') } } });
    observed.socket.close();
    campaign.socket.close();
  });

  it('FRAME-5: framesQueuedMax frames of a socket wait; one more closes it', async () => {
    const tenant = await newTenant({ name: 'frames-bound', replicas: 1 });
    const headers = { 'Quorate-Key': tenant.key };
    const busy = await FrameSocket.open('/v3/auth/user/add', headers);
    for (let count = 0; count < framesQueuedMax; count++) busy.send({ name: 'same', password: 'p' });
    for (let count = 0; count < framesQueuedMax; count++) await busy.next();
    for (let count = 0; count < 2 * framesQueuedMax; count++) busy.send({ name: 'same', password: 'p' });
    expect((await busy.closed).code).toBe(4429);
  });

  it('FRAME-9: a frame may be binary, and have several messages: each is answered, and what cannot be read, too', async () => {
    const tenant = await newTenant({ name: 'frames-several', replicas: 1 });
    const socket = await FrameSocket.open('/v3/kv/put', { 'Quorate-Key': tenant.key });
    socket.send(`${putText('a')}\n${putText('b')}${putText('c')}`);
    for (const revision of ['2', '3', '4']) expect(await socket.next()).toMatchObject({ header: { revision } });
    socket.socket.send(new TextEncoder().encode(putText('d')));
    expect(await socket.next()).toMatchObject({ header: { revision: '5' } });
    socket.send(`${putText('e')} {"key":`);
    expect(await socket.next()).toMatchObject({ header: { revision: '6' } });
    expect(await socket.next()).toMatchObject({ code: 3, message: 'the frame ends inside a message' });
    socket.socket.send(new Uint8Array(3));
    expect(await socket.next()).toMatchObject({ code: 3 });
    expect(socket.rest).toEqual([]);
    socket.socket.close();
  });

  it('FRAME-10: what comes on a socket after the service has closed it is not done', async () => {
    const tenant = await newTenant({ name: 'frames-late', replicas: 1 });
    const client = new EtcdClient(tenant.key);
    const socket = await FrameSocket.open('/v3/auth/user/add', { 'Quorate-Key': tenant.key });
    for (let count = 0; count < 2 * framesQueuedMax; count++) socket.send({ name: `u${count}`, password: 'p' });
    await socket.closed;
    const before = ((await client.done('/v3/auth/user/list', {})) as { users?: string[] }).users ?? [];
    await scheduler.wait(2_000);
    const { users = [] } = (await client.done('/v3/auth/user/list', {})) as { users?: string[] };
    // At most the frame that was under way is answered.
    expect(users.length).toBeLessThanOrEqual(before.length + 1);
  });

  it('FRAME-6: a replica holds frameSocketsMax such sockets, half of them with one key; one more is answered 429', async () => {
    const tenant = await newTenant({ name: 'frames-many', replicas: 1 });
    const sockets: WebSocket[] = [];
    for (const key of [tenant.key, (await newKey(tenant, 'read')).key]) {
      const headers = { 'Quorate-Key': key, Upgrade: 'websocket' };
      for (let count = 0; count < frameSocketsMax / 2; count++) {
        const { status, webSocket } = await call('/v3/kv/range', { headers });
        expect(status).toBe(101);
        webSocket?.accept();
        if (webSocket !== null) sockets.push(webSocket);
      }
      const refused = await call('/v3/kv/range', { headers });
      expect([refused.status, await refused.text()]).toEqual([429, expect.stringContaining('This access key has')]);
    }
    const headers = { 'Quorate-Key': (await newKey(tenant, 'read')).key, Upgrade: 'websocket' };
    expect((await call('/v3/kv/range', { headers })).status).toBe(429);
    for (const socket of sockets) socket.close();
  });

  it('FRAME-7: framesQueuedBytesMax wait; one byte more closes the socket', async () => {
    const tenant = await newTenant({ name: 'frames-bytes', replicas: 1 });
    const socket = await FrameSocket.open('/v3/kv/range', { 'Quorate-Key': tenant.key });
    socket.send(' '.repeat(framesQueuedBytesMax));
    expect(await socket.next()).toMatchObject({ code: 8 });
    socket.send(' '.repeat(framesQueuedBytesMax + 1));
    expect((await socket.closed).code).toBe(4429);
  });

  it('FRAME-8: a dump in frames ends at dumpFramesBytesMax, and says so', async () => {
    const tenant = await newTenant({ name: 'frames-snapshot', replicas: 1 });
    const valueBytes = 1_500_000;
    // As base64 the value is a third longer.
    const fitting = Math.floor((dumpFramesBytesMax * 0.74) / valueBytes);
    const last = async (): Promise<Record<string, unknown>> => {
      const socket = await FrameSocket.open('/v3/maintenance/snapshot', { 'Quorate-Key': tenant.key });
      socket.send({});
      for (;;) {
        const frame = await socket.next();
        const { error, result } = frame as { error?: unknown; result?: { blob: string } };
        if (error === undefined && result?.blob.length !== 44) continue;
        socket.socket.close();
        return frame;
      }
    };
    for (let place = 0; place < fitting; place++) await put(tenant.key, `k/${place}`, 'x'.repeat(valueBytes));
    expect(await last()).toHaveProperty('result');
    for (let place = 0; place < 2; place++) await put(tenant.key, `more/${place}`, 'x'.repeat(valueBytes));
    expect(await last()).toMatchObject({ error: { code: 12 } });
  });
});
