// What clients hold open with each access key: how much that may be, and what ends it.

import { expect, test } from 'vitest';
import type { OpenKind } from '../../src/api/errors/failures.ts';
import { openProbeMs, openProbeSpacingMs } from '../../src/limits.ts';
import type { Caller } from '../../src/model/store.ts';
import { type OpenCall, openMax, openOfKeyMax } from '../../src/replica/open-calls.ts';
import { keyOf, PlainKeys } from './plain-keys.ts';

const kinds = Object.keys(openMax) as readonly OpenKind[];

class Bench {
  nowMs = 1_000;
  tasks: { readonly atMs: number; readonly task: () => void }[] = [];
  readonly ends: string[] = [];
  readonly keys = new PlainKeys(
    () => this.nowMs,
    (task, delayMs) => {
      const due = { atMs: this.nowMs + delayMs, task };
      this.tasks.push(due);
      return () => {
        this.tasks = this.tasks.filter((each) => each !== due);
      };
    },
  );

  add(kind: OpenKind, caller: Caller, probe: (() => void) | null = null): OpenCall {
    const call: OpenCall = {
      kind,
      caller,
      end: (failure) => this.ends.push(`${kind} ${'reason' in failure ? failure.reason : failure.kind}`),
      probe,
    };
    this.keys.open.add(call);
    return call;
  }

  run(afterMs: number): void {
    this.nowMs += afterMs;
    for (;;) {
      const due = this.tasks.find(({ atMs }) => atMs <= this.nowMs);
      if (due === undefined) return;
      this.tasks = this.tasks.filter((each) => each !== due);
      due.task();
    }
  }
}

test('OPEN-1: a key holds half of the places of each kind, a replica all of them, and one more is refused by name', () => {
  for (const kind of kinds) {
    const bench = new Bench();
    const { open } = bench.keys;
    const ofKey = openOfKeyMax(kind);
    for (let count = 0; count < ofKey; count++) bench.add(kind, keyOf('a'));
    expect(open.refusal(kind, keyOf('a'))).toEqual({ kind: 'tooManyOpen', what: kind, of: 'key', max: ofKey });
    expect(open.refusal(kind, keyOf('b'))).toBeNull();
    let last: OpenCall | null = null;
    for (let count = ofKey; count < openMax[kind]; count++) last = bench.add(kind, keyOf('b'));
    const full = { kind: 'tooManyOpen', what: kind, of: 'replica', max: openMax[kind] };
    expect(open.refusal(kind, keyOf('c'))).toEqual(full);
    if (last === null) throw new Error('nothing was opened');
    open.delete(last);
    open.delete(last);
    expect(open.refusal(kind, keyOf('c'))).toBeNull();
    expect(open.count(kind)).toBe(openMax[kind] - 1);
  }
});

test('TENANT-52: what the operator bounds for the tenant counts over all of its keys, connections of every kind together', () => {
  const bench = new Bench();
  const { open } = bench.keys;
  bench.keys.most = { connections: 3, waits: 1 };
  const sockets = (['watchSocket', 'session', 'observer'] as const).map((kind) => bench.add(kind, keyOf(kind)));
  bench.add('wait', keyOf('a'));
  for (const what of ['watchSocket', 'watchStream', 'callSocket', 'session', 'observer', 'keepAliveStream'] as const) {
    expect(open.refusal(what, keyOf('b'))).toEqual({ kind: 'tooManyOpen', what, of: 'tenant', max: 3 });
  }
  expect(open.refusal('wait', keyOf('b'))).toEqual({ kind: 'tooManyOpen', what: 'wait', of: 'tenant', max: 1 });
  for (const what of ['sessionWatch', 'sessionHandle', 'dump', 'hash'] as const) {
    expect(open.refusal(what, keyOf('b'))).toBeNull();
  }
  for (const socket of sockets) open.delete(socket);
  expect(open.refusal('session', keyOf('b'))).toBeNull();
  bench.keys.most = {};
  expect(open.refusal('wait', keyOf('b'))).toBeNull();
});

function user(name: string): Caller {
  return { kind: 'user', id: '', name, authRevision: 1 };
}

test('OPEN-1: users who logged in without a key have places of their own', () => {
  const bench = new Bench();
  for (let count = 0; count < openOfKeyMax('observer'); count++) bench.add('observer', user('ann'));
  expect(bench.keys.open.refusal('observer', user('ann'))?.kind).toBe('tooManyOpen');
  expect(bench.keys.open.refusal('observer', user('bob'))).toBeNull();
});

test('OPEN-2: when a key is revoked, everything that is open with it ends, and what others opened goes on', () => {
  const bench = new Bench();
  for (const kind of kinds) {
    bench.add(kind, keyOf('a'));
    bench.add(kind, keyOf('b'));
  }
  bench.keys.revoke('a');
  expect(bench.ends).toEqual(kinds.map((kind) => `${kind} revoked`));
  for (const kind of kinds) expect(bench.keys.open.count(kind)).toBe(1);
});

test('OPEN-3: what is open with a key that expires ends at that time, by a timer where the object is awake anyway', () => {
  const bench = new Bench();
  bench.keys.expiresAtMs.set('a', bench.nowMs + 5_000);
  bench.add('watchSocket', keyOf('a'));
  // A socket sleeps with its object.
  expect(bench.tasks).toEqual([]);
  expect(bench.keys.open.earliestExpiryMs).toBe(bench.nowMs + 5_000);
  const wait = bench.add('wait', keyOf('a'));
  bench.run(4_999);
  expect(bench.ends).toEqual([]);
  bench.run(1);
  expect(bench.ends).toEqual(['watchSocket expired', 'wait expired']);
  expect(bench.tasks).toEqual([]);
  bench.keys.open.delete(wait);
  expect(bench.keys.open.earliestExpiryMs).toBeNull();
});

test('OPEN-3: a timer goes with the last call that needs it', () => {
  const bench = new Bench();
  bench.keys.expiresAtMs.set('a', bench.nowMs + 5_000);
  const wait = bench.add('wait', keyOf('a'));
  expect(bench.tasks).toHaveLength(1);
  bench.keys.open.delete(wait);
  expect(bench.tasks).toEqual([]);
});

test('OPEN-3: before anything is sent the expiry is looked at', () => {
  const bench = new Bench();
  bench.keys.expiresAtMs.set('a', bench.nowMs + 5_000);
  bench.add('watchSocket', keyOf('a'));
  bench.nowMs += 5_000;
  bench.keys.open.expire();
  expect(bench.ends).toEqual(['watchSocket expired']);
});

test('OPEN-4: before a place is refused, those that hold one are asked for a sign of life, once for all who come', async () => {
  const bench = new Bench();
  let probes = 0;
  const calls: OpenCall[] = [];
  for (let count = 0; count < openOfKeyMax('observer'); count++) {
    const probe = (): void => {
      probes++;
      // One client has left. The platform tells so when something is written to it.
      const [left] = calls;
      if (left !== undefined && probes === 1) bench.keys.open.delete(left);
    };
    calls.push(bench.add('observer', keyOf('a'), probe));
  }
  const answers = [1, 2].map(() => bench.keys.open.refusalAfterProbe('observer', keyOf('a')));
  bench.run(openProbeMs);
  expect(await Promise.all(answers)).toEqual([null, null]);
  expect(probes).toBe(openOfKeyMax('observer'));
  bench.add('observer', keyOf('a'), () => probes++);
  // Soon after that nobody is asked again.
  const soon = bench.keys.open.refusalAfterProbe('observer', keyOf('a'));
  expect((await soon)?.kind).toBe('tooManyOpen');
  expect(probes).toBe(openOfKeyMax('observer'));
  bench.run(openProbeSpacingMs);
  const later = bench.keys.open.refusalAfterProbe('observer', keyOf('a'));
  bench.run(openProbeMs);
  await later;
  expect(probes).toBeGreaterThan(openOfKeyMax('observer'));
});

test('OPEN-8: what is open with a key that the replica does not know yet goes on, and ends with a key that it knew', () => {
  const bench = new Bench();
  const { keys } = bench;
  keys.unknown.add('new');
  bench.add('sessionHandle', keyOf('new'));
  bench.add('session', keyOf('old'));
  keys.open.tick();
  expect(bench.ends).toEqual([]);
  keys.unknown.add('old');
  keys.open.keysChanged();
  expect(bench.ends).toEqual(['session unknown']);
  keys.unknown.delete('new');
  keys.open.keysChanged();
  keys.unknown.add('new');
  keys.open.keysChanged();
  expect(bench.ends).toEqual(['session unknown', 'sessionHandle unknown']);
});
