// The gateway's router in virtual time: which replicas are asked, when, and which answer counts.

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Patience } from '../../src/api/endpoint.ts';
import { endpointOf } from '../../src/api/routes.ts';
import {
  absentKnownMs,
  attemptHedgeFactor,
  attemptHedgeLatestMs,
  attemptHedgeMs,
  attemptTimeoutMs,
  requestTimeoutMs,
} from '../../src/limits.ts';
import { after, answers, fails, hangs, isNone, ScriptedGroup, sendsTo, wentOnWith } from './scripted-group.ts';

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

function patienceOf(method: string, path: string, upgrades: boolean): Patience {
  return endpointOf({ method, path, headers: new Headers(upgrades ? { upgrade: 'websocket' } : {}) }).patience;
}

const answered = { kind: 'done', value: 'answered' };

describe('one attempt', () => {
  it('GATEWAY-1: a leader that answers is asked once, nobody else is, and no timer is left', async () => {
    const group = new ScriptedGroup({ 1: answers(attemptHedgeMs - 1) });
    expect(await after(attemptHedgeMs - 1, group.call())).toEqual(answered);
    expect(group.order).toEqual(['1 at 0']);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('GATEWAY-2: a replica to which the call fails is named to the next one; who does not lead is followed', async () => {
    const group = new ScriptedGroup({ 1: fails, 2: sendsTo(3), 3: answers() });
    expect(await after(10, group.call())).toEqual(answered);
    expect(group.asked).toMatchObject([
      { replica: 1, failed: 0, suspected: 0 },
      { replica: 2, failed: 1, suspected: 0 },
      { replica: 3, failed: 1, suspected: 0 },
    ]);
    group.asked.length = 0;
    expect(await after(10, group.call())).toEqual(answered);
    expect(group.asked).toMatchObject([{ replica: 3, failed: 0 }]);
  });

  it('GATEWAY-3: where no replica exists the call is told so; where none can answer it ends in time', async () => {
    const absent = { afterMs: 1, answer: () => ({ kind: 'absent' }) as const };
    expect(await after(10, new ScriptedGroup({ 1: absent, 2: absent, 3: absent }).call())).toEqual({ kind: 'absent' });
    const lost = new ScriptedGroup({ 1: sendsTo(0), 2: sendsTo(0), 3: sendsTo(0) });
    const call = lost.call();
    expect(await after(requestTimeoutMs - 1, call)).toBeNull();
    expect(await after(1, call)).toMatchObject({ kind: 'unavailable' });
    // Four attempts at once, then pauses that double up to 250 ms.
    expect(lost.asked.length).toBeLessThan(4 + 5 + requestTimeoutMs / 250);
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('hedging', () => {
  it('GATEWAY-4: after attemptHedgeMs without an answer another replica is asked, too, and told whom to suspect', async () => {
    const group = new ScriptedGroup({ 1: hangs, 2: answers(30) });
    const call = group.call();
    expect(await after(attemptHedgeMs - 1, call)).toBeNull();
    expect(group.order).toEqual(['1 at 0']);
    expect(await after(1 + 30, call)).toEqual(answered);
    expect(group.asked).toMatchObject([
      { replica: 1, failed: 0, suspected: 0 },
      { replica: 2, failed: 0, suspected: 1 },
    ]);
    // As far as anybody knows, this replica leads now.
    group.asked.length = 0;
    await after(50, group.call());
    expect(group.order).toEqual([`2 at ${attemptHedgeMs + 30}`]);
  });

  it('GATEWAY-5: the first answer counts, and what is still under way is aborted', async () => {
    const group = new ScriptedGroup({ 1: answers(attemptHedgeMs + 50), 2: hangs });
    expect(await after(attemptHedgeMs + 50, group.call())).toEqual(answered);
    expect(group.order).toEqual(['1 at 0', `2 at ${attemptHedgeMs}`]);
    expect(group.aborted).toEqual([2]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('GATEWAY-6: told that the leader lives, a call waits on, longer each time; then it is sent once more, in case it was lost', async () => {
    const group = new ScriptedGroup({ 1: hangs, 2: sendsTo(1, 1), 3: sendsTo(1, 1) });
    await after(10 * attemptHedgeMs, group.call());
    const h = attemptHedgeMs;
    // Each of these answers takes 1 ms.
    expect(group.order).toEqual(['1 at 0', `2 at ${h}`, `1 at ${3 * h + 1}`, `2 at ${5 * h + 1}`, `3 at ${9 * h + 2}`]);
    expect(group.asked.slice(1).map(({ suspected }) => suspected)).toEqual([1, 0, 1, 1]);
  });

  it('GATEWAY-7: a busy leader, which answers other calls, is not suspected before attemptHedgeLatestMs', async () => {
    const group = new ScriptedGroup({ 1: hangs, 2: sendsTo(1) });
    const waiting = group.call();
    group.set(1, answers());
    const others = setInterval(() => void group.call(), attemptHedgeMs / 2);
    await after(attemptHedgeLatestMs - 1, waiting);
    expect(new Set(group.asked.map(({ replica }) => replica))).toEqual(new Set([1]));
    await after(1, waiting);
    expect(group.asked.some(({ replica, suspected }) => replica === 2 && suspected === 1)).toBe(true);
    clearInterval(others);
  });

  it('GATEWAY-8: of a leader whose answers usually take long, so many times as long is waited for, up to a bound', async () => {
    const usualMs = 150;
    const group = new ScriptedGroup({ 1: answers(usualMs), 2: sendsTo(1) });
    await after(usualMs, group.call());
    group.asked.length = 0;
    group.set(1, hangs);
    await after(attemptHedgeFactor * usualMs - 1, group.call());
    expect(group.asked.length).toBe(1);
    await vi.advanceTimersByTimeAsync(1);
    expect(group.asked.length).toBe(2);

    const far = new ScriptedGroup({ 1: answers(2 * attemptHedgeLatestMs), 2: sendsTo(1) });
    await after(2 * attemptHedgeLatestMs, far.call());
    far.asked.length = 0;
    await after(attemptHedgeLatestMs, far.call());
    expect(far.asked.map(({ replica }) => replica)).toEqual([1, 2]);
  });

  it('GATEWAY-9: a third replica is asked where neither of two answers', async () => {
    const group = new ScriptedGroup({ 1: hangs, 2: hangs, 3: answers() });
    expect(await after(2 * attemptHedgeMs + 1, group.call())).toEqual(answered);
    expect(group.asked).toMatchObject([{ replica: 1 }, { replica: 2, suspected: 1 }, { replica: 3, suspected: 1 }]);
    expect(group.aborted).toEqual([2]);
  });
});

describe('bounds', () => {
  it('GATEWAY-10: an attempt is given up after attemptTimeoutMs, and a call after requestTimeoutMs', async () => {
    const group = new ScriptedGroup({ 1: hangs, 2: answers() });
    const call = group.call('bounded');
    expect(await after(attemptTimeoutMs - 1, call)).toBeNull();
    expect(group.order).toEqual(['1 at 0']);
    expect(await after(2, call)).toEqual(answered);
    expect(group.asked).toMatchObject([{ replica: 1 }, { replica: 2, suspected: 1 }]);

    const hung = new ScriptedGroup({ 1: hangs, 2: hangs, 3: hangs }).call();
    expect(await after(requestTimeoutMs - 1, hung)).toBeNull();
    expect(await after(1, hung)).toMatchObject({ kind: 'unavailable' });
    expect(vi.getTimerCount()).toBe(0);
  });

  it('GATEWAY-25: replicas that left and name those that are none are asked once more where the directory names them, and no longer', async () => {
    for (const patience of ['hedged', 'bounded', 'waits'] as const) {
      const left = new ScriptedGroup({ 1: wentOnWith(9), 2: wentOnWith(9), 3: wentOnWith(9), 9: isNone }, [1, 2, 3]);
      const call = left.call(patience);
      expect(await after(requestTimeoutMs, call)).not.toBeNull();
      expect(left.directoryAsked).toBe(1);
      expect(left.asked.length).toBeLessThan(8);
      expect(vi.getTimerCount()).toBe(0);
    }
  });

  it('GATEWAY-26: the directory names a group that no replica knew of; where it does not answer nobody knows whether there is one', async () => {
    const none = { 1: isNone, 2: isNone, 3: isNone };
    const moved = new ScriptedGroup({ ...none, 7: answers() }, [7]);
    expect(await after(10, moved.call())).toEqual(answered);
    expect(await after(10, new ScriptedGroup(none, [1, 2, 3]).call())).toEqual({ kind: 'absent' });
    expect(await after(10, new ScriptedGroup(none, null).call())).toMatchObject({ kind: 'unavailable' });
    const unclear = new ScriptedGroup({ ...none, 7: sendsTo(8), 8: sendsTo(7) }, [7, 8]);
    const call = unclear.call();
    expect(await after(requestTimeoutMs, call)).toMatchObject({ kind: 'unavailable' });
    expect(unclear.asked.length).toBeLessThan(3 + 4 + 5 + requestTimeoutMs / 250);
  });

  it('GATEWAY-27: a tenant of which nothing was found is not looked for again for absentKnownMs', async () => {
    const group = new ScriptedGroup({ 1: isNone, 2: isNone, 3: isNone });
    for (let count = 0; count < 3; count++) expect(await after(10, group.call())).toEqual({ kind: 'absent' });
    expect([group.asked.length, group.directoryAsked]).toEqual([3, 1]);
    await vi.advanceTimersByTimeAsync(absentKnownMs);
    group.set(1, answers());
    expect(await after(10, group.call())).toEqual(answered);
    const away = new ScriptedGroup({ 1: isNone, 2: isNone, 3: isNone }, null);
    for (let count = 0; count < 2; count++) await after(10, away.call());
    expect(away.directoryAsked).toBe(2);
  });

  it('GATEWAY-11: a call that waits on purpose is neither hedged nor given up', async () => {
    const group = new ScriptedGroup({ 1: answers(600_000), 2: answers() });
    const call = group.call('waits');
    expect(await after(599_999, call)).toBeNull();
    expect(await after(1, call)).toEqual(answered);
    expect(group.order).toEqual(['1 at 0']);
  });

  it('GATEWAY-12: these wait on purpose: locks, semaphores, campaigns, observers, hashes of a store, snapshots, streams, changes of members', () => {
    const waiting = [
      'lock/lock',
      'election/campaign',
      'election/observe',
      'lease/keepalive',
      'maintenance/hash',
      'maintenance/hashkv',
      'maintenance/snapshot',
      'maintenance/transfer-leadership',
      'cluster/member/add',
      'cluster/member/remove',
      'cluster/member/update',
      'cluster/member/promote',
      'watch',
    ];
    for (const path of waiting.flatMap((name) => [`/v3/${name}`, `/v3beta/${name}`])) {
      expect(patienceOf('POST', path, false), path).toBe('waits');
    }
    for (const path of ['/v1/locks/a', '/v1/semaphores/a/b']) {
      expect(patienceOf('POST', path, false), path).toBe('waits');
      expect(patienceOf('GET', path, false), path).toBe('hedged');
      expect(patienceOf('DELETE', path, false), path).toBe('hedged');
    }
    for (const name of ['kv/put', 'kv/range', 'kv/txn', 'lease/grant', 'auth/authenticate', 'lock/unlock']) {
      expect(patienceOf('POST', `/v3/${name}`, false), name).toBe('hedged');
    }
    expect(patienceOf('GET', '/v1/watch', false)).toBe('bounded');
    expect(patienceOf('GET', '/v1/watch', true)).toBe('bounded');
    expect(patienceOf('GET', '/v3/lock/lock', true)).toBe('bounded');
  });
});
