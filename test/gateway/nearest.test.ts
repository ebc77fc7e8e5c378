// Which replica a reader is sent to: by the choice of the caller, by the locations of all replicas, and where the
// nearest one does not answer.

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { endpointOf } from '../../src/api/routes.ts';
import { membersText, parseMembers } from '../../src/api/redirects.ts';
import { locationHints } from '../../src/model/locations.ts';
import { type ReadTarget, readTargetOf } from '../../src/gateway/read-target.ts';
import { attemptHedgeMs, membersKnownMs, nearestAvoidedMs } from '../../src/limits.ts';
import { distanceTo, type Point, pointOf } from '../../src/model/nearness.ts';
import { after, answers, fails, hangs, ScriptedGroup, sendsTo } from './scripted-group.ts';

const answered = { kind: 'done', value: 'answered' };
const tokyo: Point = { latitude: 35.7, longitude: 139.7 };
const losAngeles: Point = { latitude: 34, longitude: -118 };
const newYork: Point = { latitude: 40.7, longitude: -74 };

/** The members of the scripted group: 1 weur, 2 enam, 3 apac-ne. */
async function informed(behaviours: ConstructorParameters<typeof ScriptedGroup>[0]): Promise<ScriptedGroup> {
  const group = new ScriptedGroup({ 1: sendsTo(1, 0) });
  await after(5, group.call('bounded', { point: newYork }));
  for (const [replica, behaviour] of Object.entries(behaviours)) group.set(Number(replica), behaviour);
  await after(30_000, Promise.resolve());
  group.asked.length = 0;
  group.aborted.length = 0;
  return group;
}

describe('the nearest replica', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('READ-1: is found by asking once who the members are, and is then asked first', async () => {
    const group = new ScriptedGroup({
      1: { afterMs: 1, answer: ({ read }) => (read === 'members' ? sendsTo(1).answer(toNobody) : 'hangs') },
      3: answers(),
    });
    expect(await after(10, group.call('hedged', { point: tokyo }))).toEqual(answered);
    expect(await after(10, group.call('hedged', { point: tokyo }))).toEqual(answered);
    expect(group.asked.map(({ replica, read }) => `${replica} ${read}`)).toEqual([
      '1 members',
      '3 nearest',
      '3 nearest',
    ]);
    await vi.advanceTimersByTimeAsync(membersKnownMs);
    await after(10, group.call('hedged', { point: tokyo }));
    expect(group.asked.slice(3).map(({ replica, read }) => `${replica} ${read}`)).toEqual(['1 members', '3 nearest']);
  });

  it('READ-2: where the reader’s place is not known, is a follower', async () => {
    const group = await informed({ 1: answers(), 2: answers() });
    await after(10, group.call('hedged', { point: null }));
    expect(group.asked).toMatchObject([{ replica: 2, read: 'nearest' }]);
  });

  it('READ-3: that does not answer in time, fails, or knows no leader gives way to the leader, and is avoided for a while', async () => {
    for (const [behaviour, atMs] of [
      [hangs, attemptHedgeMs],
      [fails, 1],
      [sendsTo(0), 1],
      [sendsTo(1), 1],
    ] as const) {
      const group = await informed({ 1: answers(), 2: behaviour, 3: answers() });
      const call = (): Promise<unknown> => group.call('hedged', { point: losAngeles });
      expect(await after(1_000, call())).toEqual(answered);
      expect(group.asked).toMatchObject([
        { replica: 2, read: 'nearest', failed: 0, suspected: 0 },
        { replica: 1, read: 'leader', failed: 0, suspected: 0 },
      ]);
      const [first, second] = group.asked;
      expect((second?.atMs ?? 0) - (first?.atMs ?? 0)).toBe(atMs);
      // The next nearest replica is asked meanwhile; later the nearest has another chance.
      await after(10, call());
      expect(group.asked.at(-1)).toMatchObject({ replica: 3, read: 'nearest' });
      group.set(2, answers());
      await vi.advanceTimersByTimeAsync(nearestAvoidedMs);
      await after(10, call());
      expect(group.asked.at(-1)).toMatchObject({ replica: 2, read: 'nearest' });
    }
  });

  it('READ-4: does not pass for the leader', async () => {
    const group = await informed({ 1: answers(), 3: answers() });
    await after(10, group.call('hedged', { point: tokyo }));
    await after(10, group.call());
    expect(group.asked).toMatchObject([{ replica: 3 }, { replica: 1, read: 'leader' }]);
  });

  it('READ-5: serves no stream that cannot be sent twice before the members are known', async () => {
    const group = new ScriptedGroup({ 1: answers() });
    await after(10, group.call('waits', { point: tokyo }));
    expect(group.asked).toMatchObject([{ replica: 1, read: 'leader' }]);
  });
});

const toNobody = { failed: 0, suspected: 0, read: 'members' } as const;

function target(path: string, init: RequestInit = {}, cf: Record<string, unknown> | null = null): ReadTarget | null {
  const [pathname = '', query = ''] = path.split('?');
  const request = new Request(`http://quorate.test${path}`, init);
  if (cf !== null) Object.defineProperty(request, 'cf', { value: cf });
  return readTargetOf(request, query, endpointOf({ method: request.method, path: pathname, headers: request.headers }));
}

function isRead(call: string): boolean {
  const [method = '', path = ''] = call.split(' ');
  return endpointOf({ method, path, headers: new Headers() }).servedBy !== 'leader';
}

describe('the caller’s choice', () => {
  const nearest = { headers: { 'Quorate-Read': 'nearest' } };
  const europe = { continent: 'EU' };

  it('READ-6: linearizable reads go to the leader, serializable ones and watches to the nearest, unless Quorate-Read says else', () => {
    const toLeader = { kind: 'leader' };
    expect(target('/v1/kv/a', {}, europe)).toEqual(toLeader);
    expect(target('/v1/kv/a', nearest, europe)).toMatchObject({ kind: 'nearest' });
    expect(target('/v1/kv?prefix=a&consistency=serializable', {}, europe)).toMatchObject({ kind: 'nearest' });
    expect(target('/v1/watch?prefix=a', {}, europe)).toMatchObject({ kind: 'nearest' });
    const leader = { headers: { 'Quorate-Read': 'leader' } };
    expect(target('/v1/watch?prefix=a', leader, europe)).toEqual(toLeader);
    expect(target('/v1/kv/a?consistency=serializable', leader, europe)).toEqual(toLeader);
    expect(target('/v3/kv/range', { method: 'POST', ...nearest }, europe)).toMatchObject({ kind: 'nearest' });
    expect(target('/v3/kv/range?consistency=serializable', { method: 'POST' }, europe)).toEqual(toLeader);
    // A call that is no read is not concerned.
    expect(target('/v1/kv/a', { method: 'PUT', body: '', ...nearest }, europe)).toEqual(toLeader);
    expect(target('/v3/kv/put', { method: 'POST', ...nearest }, europe)).toEqual(toLeader);
  });

  it('READ-7: another value of Quorate-Read is none', () => {
    for (const value of ['follower', 'Nearest', 'members', '']) {
      expect(target('/v1/kv/a', { headers: { 'Quorate-Read': value } }), value).toBeNull();
    }
  });

  it('READ-8: without a place of the reader only who asks for another replica gets one', () => {
    expect(target('/v1/watch?prefix=a')).toEqual({ kind: 'leader' });
    expect(target('/v1/kv/a?consistency=serializable')).toEqual({ kind: 'leader' });
    expect(target('/v1/kv/a', nearest)).toEqual({ kind: 'nearest', reader: { point: null } });
  });

  it('READ-9: reads are those of keys, in both protocols, and watches', () => {
    const reads = ['GET /v1/kv', 'HEAD /v1/kv/a', 'GET /v1/watch', 'POST /v3/kv/range', 'POST /v3beta/watch'];
    const others = ['DELETE /v1/kv/a', 'GET /v1/leases', 'GET /v1/status', 'POST /v3/kv/txn', 'POST /v3/lease/leases'];
    expect(reads.filter((call) => !isRead(call))).toEqual([]);
    expect(others.filter(isRead)).toEqual([]);
  });
});

/** The two nearest locations. */
function order(point: Point | null): readonly string[] {
  if (point === null) return [];
  return locationHints.toSorted((left, right) => distanceTo(left, point) - distanceTo(right, point)).slice(0, 2);
}

describe('places', () => {
  it('READ-10: are ordered by their distance to the reader, or to its continent where no more is known of it', () => {
    expect(order(pointOf({ continent: 'NA', latitude: '47.6', longitude: '-122.3' }))).toEqual(['wnam', 'enam']);
    expect(order(pointOf({ latitude: 40.7, longitude: -74 }))).toEqual(['enam', 'wnam']);
    expect(order(pointOf({ latitude: '52.5', longitude: '13.4' }))).toEqual(['eeur', 'weur']);
    expect(order(pointOf({ continent: 'EU' }))[0]).toBe('weur');
    expect(order(pointOf({ continent: 'OC' }))[0]).toBe('oc');
    expect(order(pointOf({ continent: 'SA' }))[0]).toBe('sam');
    expect(order(pointOf({ continent: 'AF' })).includes('afr')).toBe(true);
    expect(pointOf({})).toBeNull();
    expect(pointOf({ continent: 'T1', latitude: '' })).toBeNull();
    expect(distanceTo('nowhere', tokyo)).toBe(Number.POSITIVE_INFINITY);
  });

  it('READ-11: members come back with their places as they were told, or without any', () => {
    const members = [
      { number: 1, location: 'weur' },
      { number: 12, location: 'apac-ne' },
      { number: 3, location: '' },
    ];
    expect(parseMembers(membersText(members))).toEqual(members);
    expect(parseMembers('')).toEqual([]);
  });
});
