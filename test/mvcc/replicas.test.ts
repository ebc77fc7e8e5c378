// Two stores that apply the same log, restarted and swept at different times, hold the same and answer the same.

import { describe, expect, it } from 'vitest';
import { logIndex } from '../../src/model/brands.ts';
import type { Command } from '../../src/model/store.ts';
import { NodeSql } from '../support/node-sql.ts';
import { dump, randomCommands, steadyKey } from './random-commands.ts';
import { RandomOperations } from './random-operations.ts';
import { Fed } from './requests.ts';

describe('MVCC-REPLICA-1: stores that apply the same log are equal, whenever they restarted, swept and flushed', () => {
  for (const seed of [1, 2, 3, 4, 5]) {
    it(`seed ${seed}`, () => {
      const random = new RandomOperations(seed);
      const replicas = [new Fed(new NodeSql()), Fed.inMemory(() => new Fed(new NodeSql()))] as const;
      const sent: Command[] = [];
      let doneByUsers = 0;
      for (const replica of replicas) replica.do(steadyKey);
      for (let round = 2; round <= 200; round++) {
        const commands = randomCommands(random, sent, replicas[0], round);
        const [one, other] = replicas.map((replica) => replica.apply(logIndex(round), commands));
        expect(other).toEqual(one);
        for (const [place, outcome] of one?.outcomes.entries() ?? []) {
          if (commands[place]?.caller.kind === 'user' && outcome.kind !== 'failed') doneByUsers++;
        }
        for (const replica of replicas) {
          if (random.chance(0.15)) replica.reopen();
          if (random.chance(0.3)) replica.store.compactStep(1 + random.below(10));
          // After a restart an entry that changed nothing is applied again, as the log does.
          const { appliedIndex } = replica.store;
          if (appliedIndex < round) replica.store.skip(logIndex(round));
        }
      }
      const [one, other] = replicas.map((replica) => dump(replica.sql, replica.store.compactedRevision));
      expect(other).toEqual(one);
      const [hash, otherHash] = replicas.map((replica) => replica.ask<'hash'>({ kind: 'hash' }).hash);
      expect(otherHash).toBe(hash);
      expect(doneByUsers).toBeGreaterThan(5);
      const at = Math.max(1, replicas[0].store.compactedRevision);
      for (let revision = at; revision <= replicas[0].store.revision; revision++) {
        const [kv, otherKv] = replicas.map((replica) => replica.ask<'hashKv'>({ kind: 'hashKv', revision }));
        expect(otherKv).toEqual(kv);
      }
      expect(replicas[1].store.accessKeys()).toEqual(replicas[0].store.accessKeys());
    });
  }
});
