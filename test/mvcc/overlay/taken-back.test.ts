// Commands that throw while their entry stays in memory, against a store whose entries are all written through.

import { expect, it } from 'vitest';
import { logIndex } from '../../../src/model/brands.ts';
import { groupLevel } from '../../../src/model/levels.ts';
import type { Command, Operation } from '../../../src/model/store.ts';
import { applyCarefully, applyToMemoryOrUndo } from '../../../src/mvcc/careful-apply.ts';
import { Store } from '../../../src/mvcc/store.ts';
import { NodeSql } from '../../support/node-sql.ts';
import { Random } from '../../support/random.ts';
import { thrownAt, ThrowingSql } from '../../support/throwing-sql.ts';
import { dump } from '../random-commands.ts';
import { grant, put, putLeased, remove, service, toLevel, txn } from '../requests.ts';

const keys = ['a', 'b', 'c', 'd'];

function operationOf(random: Random): Operation {
  const key = random.pick(keys);
  return random.weighted<() => Operation>([
    [4, () => put(key, 'v'.repeat(random.pick([1, 700])), { previous: true })],
    [2, () => remove(key)],
    [1, () => putLeased(key, 7)],
    [2, () => txn({ success: [put(key), remove(random.pick(keys)), put(random.pick(keys), 'w')] })],
    [1, () => put(thrownAt)],
    [1, () => txn({ success: [put(key, 'not done'), remove(random.pick(keys)), put(thrownAt)] })],
  ])();
}

function openThrowing(): { readonly sql: ThrowingSql; readonly store: Store } {
  const sql = new ThrowingSql(new NodeSql());
  return { sql, store: new Store(sql) };
}

it('GROUP-FLUSH-10: a command that throws is taken back from memory, and nothing else changes', () => {
  let takenBack = 0;
  for (let seed = 1; seed <= 30; seed++) {
    const random = new Random(seed);
    const [memory, direct] = [openThrowing(), openThrowing()];
    let written = 0;
    const entryOf = (operations: readonly Operation[]): Command[] =>
      operations.map((operation) => ({ writeId: `w${written++}`, caller: service, atMs: 1, operation }));
    const first = entryOf([toLevel(groupLevel.fifth), grant(7)]);
    for (const { store } of [memory, direct]) store.apply(logIndex(1), first);
    for (let index = logIndex(2); index <= 40; index = logIndex(index + 1)) {
      const entry = entryOf(Array.from({ length: random.integer(1, 5) }, () => operationOf(random)));
      const done = memory.sql.turn(() => applyToMemoryOrUndo(memory, { index, commands: entry }));
      const expected = direct.sql.turn(() => applyCarefully(direct.sql, direct.store, index, entry));
      const { outcomes, events } = 'result' in done ? done.result : done.applied;
      expect({ outcomes, events }).toEqual({ outcomes: expected.applied.outcomes, events: expected.applied.events });
      expect('result' in done ? [] : done.undone.map((one) => one.operation)).toEqual(
        expected.undone.map((one) => one.operation),
      );
      takenBack += expected.undone.length;
      expect([memory.store.revision, memory.store.appliedIndex, memory.store.commandsUndone]).toEqual([
        direct.store.revision,
        index,
        direct.store.commandsUndone,
      ]);
      expect(memory.store.runningHash).toEqual(direct.store.runningHash);
      if (random.chance(0.1)) memory.sql.turn(() => memory.store.flush());
    }
    memory.sql.turn(() => memory.store.flush());
    expect(dump(memory.sql, -1)).toEqual(dump(direct.sql, -1));
  }
  expect(takenBack).toBeGreaterThan(100);
});
