// The waits on one replica: whose turn it is, and what ends a wait.

import { expect, test } from 'vitest';
import { utf8 } from '../../../src/base/bytes.ts';
import { revision } from '../../../src/model/brands.ts';
import { lockWaitersMax } from '../../../src/limits.ts';
import type { RevisionEvents } from '../../../src/model/store.ts';
import type { Place } from '../../../src/replica/lock/lock-queues.ts';
import { LockWaits, type WaitOptions } from '../../../src/replica/lock/lock-waits.ts';
import { openOfKeyMax } from '../../../src/replica/open-calls.ts';
import { keyOf, PlainKeys } from '../plain-keys.ts';
import { lease } from '../lease/group-of-one.ts';

/** Places by their keys, as a store would have them, and how often they were counted. */
class Places {
  readonly created = new Map<string, number>();
  looks = 0;
  #revision = 1;

  take(key: string): number {
    this.#revision++;
    this.created.set(key, this.#revision);
    return this.#revision;
  }

  delete(...keys: string[]): RevisionEvents[] {
    this.#revision++;
    const events = keys.map((key) => {
      this.created.delete(key);
      const empty = utf8('');
      const kv = {
        key: utf8(key),
        value: empty,
        createRevision: revision(0),
        modRevision: revision(this.#revision),
        version: 0,
        lease: lease(0),
      };
      return { type: 'delete', kv, previous: null } as const;
    });
    return [{ revision: revision(this.#revision), events }];
  }

  before(name: Uint8Array, createRevision: number, limit: number): number {
    this.looks++;
    const prefix = `${new TextDecoder().decode(name)}/`;
    const before = [...this.created].filter(([key, created]) => key.startsWith(prefix) && created < createRevision);
    return Math.min(limit, before.length);
  }
}

class Group {
  readonly places = new Places();
  readonly keys = new PlainKeys();
  readonly waits = new LockWaits({
    open: this.keys.open,
    placesBefore: (name, createRevision, limit) => this.places.before(name, createRevision, limit),
    holds: ({ key, createRevision }) => this.places.created.get(new TextDecoder().decode(key)) === createRevision,
  });
  readonly ends: string[] = [];

  place(name: string, holder: string, limit = 1): Place {
    const key = `${name}/${holder}`;
    return { name: utf8(name), key: utf8(key), createRevision: this.places.take(key), limit };
  }

  wait(place: Place, options: Partial<WaitOptions> = {}): void {
    const key = new TextDecoder().decode(place.key);
    const all = { place, caller: keyOf('1'), timeoutMs: null, gone: null, kept: null, untilLost: false, ...options };
    void this.waits.wait(all).then((end) => this.ends.push(`${key} ${end}`));
  }

  async delete(...keys: string[]): Promise<void> {
    this.waits.published(this.places.delete(...keys));
    await Promise.resolve();
    await Promise.resolve();
  }
}

test('LOCK-1: a turn comes when fewer places than the limit are left before it, in the order of places, each once', async () => {
  const group = new Group();
  group.place('s', 'a', 2);
  group.place('s', 'b', 2);
  const [c, d, e] = [group.place('s', 'c', 2), group.place('s', 'd', 2), group.place('s', 'e', 2)];
  // The waits do not come in order: over a change of leader a wait may come later than its place.
  for (const place of [e, c, d]) group.wait(place);
  await group.delete('s/b');
  expect(group.ends).toEqual(['s/c turn']);
  await group.delete('s/a', 's/c');
  expect(group.ends).toEqual(['s/c turn', 's/d turn', 's/e turn']);
  await group.delete('s/d', 's/e');
  expect(group.ends.length).toBe(3);
  expect(group.waits.count).toBe(0);
});

test('LOCK-2: whose turn it is already does not wait', async () => {
  const group = new Group();
  group.wait(group.place('a', '1'));
  await Promise.resolve();
  await Promise.resolve();
  expect(group.ends).toEqual(['a/1 turn']);
});

test('LOCK-3: a queue is looked at when a key below it goes, and then only until the first who must wait on', async () => {
  const group = new Group();
  group.place('q', 'holder');
  for (let caller = 0; caller < 50; caller++) group.wait(group.place('q', String(caller)));
  group.places.looks = 0;
  await group.delete('other/1');
  expect(group.places.looks).toBe(0);
  await group.delete('q/holder');
  expect(group.ends).toEqual(['q/0 turn']);
  expect(group.places.looks).toBe(2);
});

test('LOCK-4: any key below the name counts, also those of names below it', async () => {
  const group = new Group();
  group.place('a/b', 'x');
  group.wait(group.place('a', 'y'));
  await group.delete('a/b/x');
  expect(group.ends).toEqual(['a/y turn']);
});

test('LOCK-5: whose own place goes is told at once where it asked for that, else at its turn', async () => {
  const group = new Group();
  group.place('a', 'holder');
  group.wait(group.place('a', 'v1'), { untilLost: true });
  group.wait(group.place('a', 'v3'));
  await group.delete('a/v1', 'a/v3');
  expect(group.ends).toEqual(['a/v1 lost']);
  await group.delete('a/holder');
  expect(group.ends).toEqual(['a/v1 lost', 'a/v3 turn']);
});

test('LOCK-6: a wait ends with its time, its caller, or its leader, and holds its lease no longer', async () => {
  const group = new Group();
  group.place('a', 'holder');
  const caller = new AbortController();
  group.wait(group.place('a', '1'), { timeoutMs: 10, kept: lease(1) });
  group.wait(group.place('a', '2'), { gone: caller.signal, kept: lease(2) });
  group.wait(group.place('a', '3'), { kept: lease(3) });
  group.wait(group.place('a', '4'), { kept: lease(3) });
  expect([...group.waits.kept]).toEqual([lease(1), lease(2), lease(3)]);
  await new Promise((resolve) => setTimeout(resolve, 30));
  caller.abort();
  await Promise.resolve();
  await Promise.resolve();
  expect(group.ends).toEqual(['a/1 timeout', 'a/2 gone']);
  expect([...group.waits.kept]).toEqual([lease(3)]);
  group.waits.moved();
  await Promise.resolve();
  await Promise.resolve();
  expect(group.ends.slice(2)).toEqual(['a/3 moved', 'a/4 moved']);
  expect([...group.waits.kept]).toEqual([]);
  expect(group.waits.count).toBe(0);
});

test('LOCK-29: a wait ends when the key of its caller does, and the others go on', async () => {
  const group = new Group();
  group.place('a', 'holder');
  group.wait(group.place('a', 'x'), { caller: keyOf('1'), kept: lease(7) });
  group.wait(group.place('a', 'y'), { caller: keyOf('2') });
  group.keys.revoke('1');
  await Promise.resolve();
  await Promise.resolve();
  expect(group.ends).toEqual(['a/x keyEnded']);
  expect([...group.waits.kept]).toEqual([]);
  expect(group.waits.count).toBe(1);
});

test('LOCK-7: lockWaitersMax wait on a replica, half as many of one key, and one more is turned away', async () => {
  const group = new Group();
  group.place('a', 'holder');
  // Each wait is in a queue of its own, because this test is not about how long one queue takes.
  const fill = (count: number, id: string): void => {
    for (let caller = 0; caller < count; caller++) {
      group.places.created.clear();
      group.place(`${id}-${caller}`, 'holder');
      group.wait(group.place(`${id}-${caller}`, 'x'), { caller: keyOf(id) });
    }
  };
  fill(openOfKeyMax('wait') + 1, '1');
  fill(lockWaitersMax - openOfKeyMax('wait'), '2');
  expect(group.waits.count).toBe(lockWaitersMax);
  group.places.created.clear();
  group.place('last', 'holder');
  group.wait(group.place('last', 'x'), { caller: keyOf('3') });
  await Promise.resolve();
  await Promise.resolve();
  expect(group.ends).toEqual([`1-${openOfKeyMax('wait')}/x full`, 'last/x full']);
});
