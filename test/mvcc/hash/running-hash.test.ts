// The running hash over random logs depends on the log alone.

import { Buffer } from 'node:buffer';
import { crc32 as crc32OfZlib } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { logIndex } from '../../../src/model/brands.ts';
import type { Command } from '../../../src/model/store.ts';
import { crc32 } from '../../../src/mvcc/hash/checksum.ts';
import { NodeSql } from '../../support/node-sql.ts';
import { dump, randomCommands, steadyKey } from '../random-commands.ts';
import { RandomOperations } from '../random-operations.ts';
import { Fed, service, toLevel } from '../requests.ts';

describe('MVCC-HASH-9: stores that apply the same log have the same hash after each entry, whenever they restarted, swept and flushed', () => {
  for (const seed of [1, 2, 3, 4, 5]) {
    it(`seed ${seed}`, () => {
      const random = new RandomOperations(seed);
      const replicas = [new Fed(new NodeSql()), Fed.inMemory(() => new Fed(new NodeSql()))] as const;
      const sent: Command[] = [];
      const hashes = new Set<number>();
      let told = 0;
      for (const replica of replicas) replica.do(steadyKey);
      for (let round = 2; round <= 200; round++) {
        const commands = randomCommands(random, sent, replicas[0], round);
        if (round === 20 || random.chance(0.05)) {
          const operation = toLevel(round === 20 || random.chance(0.8) ? 2 : 1);
          commands.splice(random.below(commands.length + 1), 0, {
            writeId: `to ${round}`,
            caller: service,
            atMs: 1,
            operation,
          });
        }
        for (const replica of replicas) replica.apply(logIndex(round), commands);
        const [one, other] = replicas.map(({ store }) => [store.level, store.runningHash] as const);
        expect(other).toEqual(one);
        if (one?.[1] !== null && one?.[1].index === round) {
          hashes.add(one[1].hash);
          told++;
        }
        for (const replica of replicas) {
          if (random.chance(0.15)) replica.reopen();
          if (random.chance(0.3)) replica.store.compactStep(1 + random.below(10));
          const { appliedIndex, runningHash, level } = replica.store;
          expect([level, runningHash]).toEqual(one);
          // After a restart an entry that left no row is applied again, as the log does.
          if (appliedIndex < round) replica.store.skip(logIndex(round));
        }
      }
      expect(hashes.size).toBe(told);
      expect(told).toBeGreaterThan(50);
      const [one, other] = replicas.map((replica) => dump(replica.sql, replica.store.compactedRevision));
      expect(other).toEqual(one);
    });
  }
});

it('MVCC-HASH-10: the checksum is CRC-32, over any bytes and after any others', () => {
  const random = new RandomOperations(7);
  for (let length = 0; length < 300; length++) {
    const bytes = Uint8Array.from({ length }, () => random.below(256));
    const before = random.below(2 ** 32);
    expect(crc32(bytes)).toBe(crc32OfZlib(bytes));
    expect(crc32(bytes, before)).toBe(crc32OfZlib(bytes, before));
    expect(crc32(bytes.subarray(1), crc32(bytes.subarray(0, 1)))).toBe(crc32(bytes));
  }
  expect(crc32(Buffer.from('123456789'))).toBe(0xcbf43926);
});
