// What a real etcd answered, step by step, against the store alone.

import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readConversation } from '../conformance/conversation.ts';
import { replayOnStore } from './corpus-replay.ts';

/** How many answers of each are compared: fewer would mean that something is passed over unnoticed. */
const comparedAtLeast = {
  alarms: 75,
  'auth-kv': 370,
  'auth-lease': 80,
  'auth-login': 75,
  'auth-txn': 55,
  'auth-users-and-roles': 95,
  'auth-watch': 20,
  'auth-who-may-what': 100,
  compaction: 20,
  'kv-delete': 20,
  'kv-put-options': 40,
  lease: 100,
  maintenance: 28,
  'random-1': 50,
  'random-auth-201': 300,
  'random-auth-202': 300,
  'random-auth-203': 300,
  'txn-errors': 20,
} as const;

describe('MVCC-CORPUS-1: answers as etcd gave them', () => {
  for (const [name, least] of Object.entries(comparedAtLeast)) {
    it(name, async () => {
      const path = resolve(import.meta.dirname, `../corpus/${name}.jsonl`);
      const { compared, differences } = await replayOnStore(readConversation(path));
      expect(differences).toEqual([]);
      expect(compared).toBeGreaterThanOrEqual(least);
    });
  }
});
