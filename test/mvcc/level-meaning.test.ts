// What entries mean at the levels that have been released. The code of level 2 and the present code apply random
// entries, and leave the same rows and answers, so replicas of both may be in one group.

import { describe, expect, it } from 'vitest';
import { logIndex } from '../../src/model/brands.ts';
import type { Command } from '../../src/model/store.ts';
import { decodeCommands, encodeCommands } from '../../src/mvcc/codec/command-codec.ts';
import { Store } from '../../src/mvcc/store.ts';
import { dumpText } from './dump-text.ts';
import { randomCommands, steadyKey } from './random-commands.ts';
import { RandomOperations } from './random-operations.ts';
import { Fed, service, toLevel } from './requests.ts';
import { NodeSql } from '../support/node-sql.ts';
import * as level2 from '../support/levels/level-2.js';

/** More are explored with `SEEDS=1000 vitest run test/mvcc/level-meaning.test.ts`. */
const seeds = Number(process.env['SEEDS'] ?? 6);
const rounds = 200;

/** `stepping`: true: the level changes now and then. */
function compare(seed: number, levelOf: (random: RandomOperations) => number | null, first: number): void {
  const random = new RandomOperations(seed);
  const [formerSql, sql] = [new NodeSql(), new NodeSql()];
  const former = new level2.Store(formerSql);
  const fed = new Fed(sql);
  let present = fed.store;
  const apply = (commands: readonly Command[]): void => {
    const entry = encodeCommands(commands);
    expect(level2.encodeCommands(commands)).toEqual(entry);
    const index = logIndex(++fed.index);
    const by = former.apply(index, level2.decodeCommands(entry));
    // Only the present code tells how much work a command took.
    expect(present.apply(index, decodeCommands(entry))).toMatchObject(by);
    expect(present.runningHash).toEqual(former.runningHash);
  };
  const sent: Command[] = [];
  apply(
    [steadyKey, toLevel(first)].map((operation, n) => ({ writeId: `first ${n}`, caller: service, atMs: 0, operation })),
  );
  for (let round = 0; round < rounds; round++) {
    const level = levelOf(random);
    const change =
      level === null ? [] : [{ writeId: `level ${round}`, caller: service, atMs: 0, operation: toLevel(level) }];
    apply([...randomCommands(random, sent, fed, round), ...change]);
    if (random.chance(0.3)) expect(present.compactStep(5)).toBe(former.compactStep(5));
    if (random.chance(0.1)) {
      present = new Store(sql);
      fed.store = present;
    }
  }
  expect(dumpText(sql)).toBe(dumpText(formerSql));
}

describe('VERSION-6: at levels 1 and 2 entries mean to the present code what they meant to the code of level 2', () => {
  for (let seed = 1; seed <= seeds; seed++) {
    it(`level 1, seed ${seed}`, () => compare(seed, () => null, 1));
    it(`level 2, seed ${seed}`, () => compare(seed, () => null, 2));
    it(`now 1, now 2, seed ${seed}`, () =>
      compare(seed, (random) => (random.chance(0.1) ? 1 + random.below(2) : null), 1));
  }
});
