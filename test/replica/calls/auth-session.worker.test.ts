// What users see of a store: nothing that their roles do not show, whatever they ask. The lines of etcd's documentation
// are here as well.

import { Buffer } from 'node:buffer';
import { beforeAll, expect, it } from 'vitest';
import { addUser, b64, enableAuth, type EtcdClient, FrameSocket, type Granted } from '../../support/etcd-client.ts';
import { Random } from '../../support/random.ts';
import { call, newTenant, prepareDirectory } from '../../support/service.ts';

beforeAll(prepareDirectory);

const keyCount = 24;
const keyOf = (place: number): string => `key/${String(place).padStart(2, '0')}`;
const secretOf = (place: number): string => `<secret of ${keyOf(place)}>`;

/** All that an answer shows: its text, and each of its strings decoded as base64. */
function shownBy(answer: string): string {
  const decoded = [...answer.matchAll(/"([A-Za-z0-9+/=]{4,})"/g)].map(([, text = '']) =>
    Buffer.from(text, 'base64').toString('latin1'),
  );
  return [answer, ...decoded].join('\n');
}

type Session = {
  readonly client: EtcdClient;
  readonly readable: ReadonlySet<number>;
  readonly random: Random;
};

function randomRange({ random }: Session): { key: string; range_end?: string } {
  const from = random.below(keyCount);
  switch (random.below(5)) {
    case 0:
      return { key: b64('\0'), range_end: b64('\0') };
    case 1:
      return { key: b64(keyOf(from)), range_end: b64('\0') };
    case 2:
    case 3:
      return { key: b64(keyOf(from)), range_end: b64(keyOf(from + random.below(keyCount - from) + 1)) };
    default:
      return { key: b64(keyOf(from)) };
  }
}

function randomOperation(session: Session): Record<string, unknown> {
  const { random } = session;
  const range = randomRange(session);
  switch (random.below(4)) {
    case 0:
      return { request_delete_range: { ...range, prev_kv: true } };
    case 1:
      return {
        request_put: { key: b64(keyOf(random.below(keyCount))), value: b64('written'), prev_kv: random.below(2) === 0 },
      };
    default:
      return { request_range: { ...range, revision: random.below(3) === 0 ? 5 + random.below(20) : 0 } };
  }
}

function randomRequest(session: Session): { path: string; body: Record<string, unknown> } {
  const { random } = session;
  const range = randomRange(session);
  switch (random.below(9)) {
    case 0:
    case 1:
      return {
        path: '/v3/kv/range',
        body: { ...range, keys_only: random.below(3) === 0, serializable: random.below(2) === 0 },
      };
    case 2:
      return { path: '/v3/kv/range', body: { ...range, revision: 2 + random.below(keyCount), sort_order: 'DESCEND' } };
    case 3:
      return { path: '/v3/kv/deleterange', body: { ...range, prev_kv: true } };
    case 4:
      return {
        path: '/v3/kv/put',
        body: { key: range.key, value: b64('written'), prev_kv: true, lease: random.below(2) * 77 },
      };
    case 5:
    case 6: {
      const place = random.below(keyCount);
      const compare = [{ key: b64(keyOf(place)), target: 'VALUE', result: 'EQUAL', value: b64(secretOf(place)) }];
      const branch = (): unknown[] => Array.from({ length: 1 + random.below(2) }, () => randomOperation(session));
      const nested = { request_txn: { success: branch(), failure: branch() } };
      return {
        path: '/v3/kv/txn',
        body: {
          compare: random.below(2) === 0 ? compare : [],
          success: random.below(3) === 0 ? [nested] : branch(),
          failure: branch(),
        },
      };
    }
    case 7:
      return { path: '/v3/lease/timetolive', body: { ID: 77, keys: true } };
    default:
      return { path: '/v3/election/leader', body: { name: b64('key') } };
  }
}

async function watchAll(client: EtcdClient, session: Session): Promise<FrameSocket> {
  const watch = await FrameSocket.open('/v3/watch', client.headers);
  for (let count = 0; count < 12; count++) {
    watch.send({ create_request: { ...randomRange(session), prev_kv: true, start_revision: session.random.below(4) } });
  }
  return watch;
}

it.each([13, 15, 16])('AUTH-14: a random session shows no byte outside of its user’s ranges, seed %i', async (seed) => {
  const tenant = await newTenant({ name: `session-${seed}` });
  const root = await enableAuth(tenant.key);
  await root.done('/v3/lease/grant', { ID: 77, TTL: 600 });
  const random = new Random(seed);
  const write = async (place: number): Promise<void> => {
    const lease = place % 5 === 0 ? 77 : 0;
    await root.done('/v3/kv/put', { key: b64(keyOf(place)), value: b64(secretOf(place)), lease });
  };
  for (let place = 0; place < keyCount; place++) await write(place);
  let seen = false;
  for (let user = 0; user < 2; user++) {
    const readable = new Set<number>();
    const permissions: Granted[] = [];
    for (let count = 0; count < 3; count++) {
      const from = random.below(keyCount);
      const to = Math.min(keyCount, from + 1 + random.below(4));
      const permType = ['READ', 'WRITE', 'READWRITE'][random.below(3)] ?? 'READ';
      permissions.push({ permType, key: keyOf(from), rangeEnd: keyOf(to) });
      if (permType !== 'WRITE') for (let place = from; place < to; place++) readable.add(place);
    }
    const client = await addUser(root, `user-${user}`, permissions);
    const session: Session = { client, readable, random };
    const watch = await watchAll(client, session);
    const answers: string[] = [];
    let allowed = 0;
    for (let count = 0; count < 120; count++) {
      const { path, body } = randomRequest(session);
      const answer = await client.post(path, body);
      if (answer.status === 200) allowed++;
      answers.push(JSON.stringify(answer.body));
      if (count % 20 === 0) await write(random.below(keyCount));
    }
    await scheduler.wait(200);
    const shown = shownBy([...answers, ...watch.rest].join('\n'));
    watch.socket.close();
    for (let place = 0; place < keyCount; place++) {
      if (!readable.has(place)) expect(shown, `seed ${seed}, user ${user}`).not.toContain(secretOf(place));
    }
    // The session was refused something, and not refused everything.
    expect(allowed).toBeGreaterThan(0);
    expect(allowed).toBeLessThan(120);
    seen ||= [...readable].some((place) => shown.includes(secretOf(place)));
    for (let place = 0; place < keyCount; place++) await write(place);
  }
  expect(seen).toBe(true);
});

it('AUTH-15: the lines of etcd’s documentation work as printed, with the key that names the tenant', async () => {
  const tenant = await newTenant({ name: 'documentation', replicas: 1 });
  // The request that `curl -L … -X POST -d` sends.
  const curl = async (path: string, data: string, headers: Record<string, string> = {}): Promise<unknown> => {
    const form = { 'Content-Type': 'application/x-www-form-urlencoded', 'Quorate-Key': tenant.key };
    const response = await call(path, { method: 'POST', body: data, headers: { ...form, ...headers } });
    return response.json();
  };
  const header = {
    cluster_id: expect.stringMatching(/^\d+$/),
    member_id: expect.stringMatching(/^\d+$/),
    revision: '1',
    raft_term: expect.stringMatching(/^\d+$/),
  };
  expect(await curl('/v3/auth/user/add', '{"name": "root", "password": "pass"}')).toEqual({ header });
  expect(await curl('/v3/auth/role/add', '{"name": "root"}')).toEqual({ header });
  expect(await curl('/v3/auth/user/grant', '{"user": "root", "role": "root"}')).toEqual({ header });
  expect(await curl('/v3/auth/enable', '{}')).toEqual({ header });
  const login = await curl('/v3/auth/authenticate', '{"name": "root", "password": "pass"}');
  expect(login).toEqual({ header, token: expect.stringMatching(/^\S+$/) });
  const { token } = login as { token: string };
  const put = await curl('/v3/kv/put', '{"key": "Zm9v", "value": "YmFy"}', { Authorization: token });
  expect(put).toEqual({ header: { ...header, revision: '2' } });
});
