// The answers of a real etcd, step by step, compared with those of the store alone.

import { readdirSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readConversation } from '../conformance/conversation.ts';
import { replayOnStore } from './corpus-replay.ts';

const corpus = resolve(import.meta.dirname, '../corpus');
/** In these conversations time passes, or they are about a group. */
const ofMoreThanAStore: ReadonlySet<string> = new Set(['lease-expiry', 'lease-keepalive', 'lock-expiry', 'members']);
/**
 * The number of answers that are compared, of some conversations. Fewer would mean that calls are left out unnoticed.
 */
const comparedAtLeast: ReadonlyMap<string, number> = new Map([
  ['alarms', 75],
  ['auth-kv', 370],
  ['auth-lease', 80],
  ['auth-login', 75],
  ['auth-txn', 55],
  ['auth-users-and-roles', 95],
  ['auth-who-may-what', 100],
  ['lease', 100],
  ['maintenance', 28],
  ['random-auth-201', 300],
  ['random-auth-202', 300],
  ['random-auth-203', 300],
]);

const stores = readdirSync(corpus)
  .filter((file) => file.endsWith('.jsonl'))
  .map((file) => ({ file, name: basename(file, '.jsonl') }))
  .filter(({ name }) => !ofMoreThanAStore.has(name));

describe('MVCC-CORPUS-1: answers as etcd gave them', () => {
  it.each(stores)('$name', async ({ file, name }) => {
    const { compared, differences } = await replayOnStore(readConversation(resolve(corpus, file)));
    expect(differences).toEqual([]);
    expect(compared).toBeGreaterThanOrEqual(comparedAtLeast.get(name) ?? 0);
  });
});

describe('SESSION-CALL-1: calls and their outcomes as frames are answered as etcd answered them', () => {
  let framed = 0;
  it.each(stores)('$name', async ({ file }) => {
    const replayed = await replayOnStore(readConversation(resolve(corpus, file)), { frames: true });
    expect(replayed.differences).toEqual([]);
    framed += replayed.framed;
  });

  it('are most of the corpus', () => {
    expect(framed).toBeGreaterThan(5_000);
  });
});
