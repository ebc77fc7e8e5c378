// Commands that throw: what they leave, what is answered, and what becomes of all other commands.

import { describe, expect, it } from 'vitest';
import { emptyBytes } from '../../src/base/bytes.ts';
import { logIndex } from '../../src/model/brands.ts';
import { commandsUndoneMax } from '../../src/limits.ts';
import type { Command, Operation } from '../../src/model/store.ts';
import { applyCarefully } from '../../src/mvcc/careful-apply.ts';
import { groupLevel, groupLevelMax } from '../../src/model/levels.ts';
import { Batches } from '../../src/mvcc/batches.ts';
import { Store } from '../../src/mvcc/store.ts';
import { StorageFault } from '../../src/base/sql-port.ts';
import { NodeSql } from '../support/node-sql.ts';
import { isPlanted, thrownAt, ThrowingSql } from '../support/throwing-sql.ts';
import { dump, randomCommands, steadyKey } from './random-commands.ts';
import { RandomOperations } from './random-operations.ts';
import {
  compact,
  everything,
  Fed,
  grant,
  prefix,
  put,
  putLeased,
  range,
  remove,
  service,
  shown,
  toLevel,
  txn,
} from './requests.ts';

const throwing = put(thrownAt);
const readKey = {
  id: 'reader',
  role: 'read',
  prefix: emptyBytes,
  expiresAtMs: null,
  createdAtMs: 1,
  name: '',
} as const;
const undone = { kind: 'commandUndone', operation: 'put' };

let written = 0;

/** Each command has an id of its own. */
function commandsOf(...operations: readonly Operation[]): Command[] {
  return operations.map((operation) => ({ writeId: `w${written++}`, caller: service, atMs: 1, operation }));
}

/** A store that throws at puts of one key, and a record of everything that is written. */
function openThrowing(): { readonly sql: ThrowingSql; readonly store: Store } {
  const sql = new ThrowingSql(new NodeSql());
  return { sql, store: new Store(sql) };
}

function kindsOf(outcomes: readonly { readonly kind: string }[]): string[] {
  return outcomes.map(({ kind }) => kind);
}

describe('a command that throws', () => {
  it('MVCC-UNDO-1: it is undone as a whole, in rows and memory, and the others of its entry are what they would be without it', () => {
    const { sql, store } = openThrowing();
    const fed = new Fed(new NodeSql());
    const first = [put('a'), grant(7), putLeased('leased', 7)];
    for (const each of [store, fed.store]) each.apply(logIndex(1), commandsOf(...first));
    expect(store.sizes().keys).toBe(2);
    const others = [put('b', '1', { previous: true }), remove('a'), grant(8), put('c')];
    const entry = commandsOf(
      ...others.slice(0, 2),
      txn({ success: [remove(everything), put('d'), throwing, put('e')] }),
      ...others.slice(2),
      throwing,
    );
    expect(() => sql.transaction(() => store.apply(logIndex(2), entry))).toThrow('as planted');
    store.reopen();
    const { applied, undone: told } = sql.transaction(() => applyCarefully(sql, store, logIndex(2), entry));
    const without = fed.store.apply(logIndex(2), commandsOf(...others));
    expect(applied.outcomes.filter((_, place) => place !== 2 && place !== 5)).toEqual(without.outcomes);
    expect(applied.outcomes[2]).toMatchObject({ kind: 'failed', failure: { kind: 'commandUndone', operation: 'txn' } });
    expect(applied.outcomes[5]).toMatchObject({ kind: 'failed', failure: undone });
    expect(applied.events).toEqual(without.events);
    expect(applied.leases).toEqual(without.leases);
    expect(told.map(({ index, operation, error }) => [index, operation, isPlanted(error)])).toEqual([
      [2, 'txn', true],
      [2, 'put', true],
    ]);
    expect([store.revision, store.appliedIndex, store.leaseCount]).toEqual([
      fed.store.revision,
      2,
      fed.store.leaseCount,
    ]);
    expect(store.sizes().keys).toBe(fed.store.sizes().keys);
    for (const table of ['head', 'superseded', 'leases', 'leaseKeys'] as const) {
      expect(dump(sql, -1)[table]).toEqual(dump(fed.sql, -1)[table]);
    }
  });

  it.each([2, 4, 11, 12])(
    'MVCC-UNDO-2: an entry in which no command throws is the same, applied carefully or not: seed %i',
    (seed) => {
      const random = new RandomOperations(seed);
      const plain = new Fed(new NodeSql());
      const careful = new Fed(new NodeSql());
      const sent: Command[] = [];
      for (const fed of [plain, careful]) fed.batch([steadyKey, toLevel(groupLevelMax)]);
      let round = 2;
      for (; round <= 150; round++) {
        const commands = randomCommands(random, sent, plain, round);
        const index = logIndex(round);
        const applied = plain.store.apply(index, commands);
        const carefully = careful.sql.transaction(() => applyCarefully(careful.sql, careful.store, index, commands));
        expect(carefully).toEqual({ applied, undone: [] });
        expect(careful.store.runningHash).toEqual(plain.store.runningHash);
      }
      // Beyond some bytes an entry does not keep the pairs that it overwrites, and where that begins depends on how its
      // puts are grouped.
      const replacing = [
        ...Array.from({ length: 4 }, (_, n) => put(`large/${n}`, new Uint8Array(1_500_000).fill(round))),
        ...Array.from({ length: 40 }, (_, n) => put(`small/${n}`, `${round}`)),
      ];
      for (const index of [logIndex(round), logIndex(round + 1)]) {
        const commands = commandsOf(toLevel(groupLevelMax), ...replacing, remove(prefix('large/')), ...replacing);
        plain.store.apply(index, commands);
        careful.sql.transaction(() => applyCarefully(careful.sql, careful.store, index, commands));
        expect(careful.store.runningHash).toEqual(plain.store.runningHash);
      }
      expect(dump(careful.sql, -1)).toEqual(dump(plain.sql, -1));
    },
  );

  it.each([
    [groupLevel.fourth, ['before', 'refused', 'waits', 'after']],
    [groupLevel.fifth, ['before', 'waits', 'refused', 'after']],
  ])('MVCC-UNDO-2: the order in which writes are remembered at level %i', (level, expected) => {
    const fed = new Fed(new NodeSql());
    fed.batch([{ kind: 'createAccessKey', accessKey: readKey }, toLevel(level)]);
    const [before, waits, refused, after] = ['before', 'waits', 'refused', 'after'].map((writeId): Command => ({
      writeId,
      caller: writeId === 'refused' ? { kind: 'accessKey', id: readKey.id } : service,
      atMs: 1,
      operation: writeId === 'before' ? remove('none') : put(writeId),
    }));
    fed.commands([before, waits, refused, after].filter((command) => command !== undefined));
    const [newest] = new Batches(fed.sql).newestFirst();
    const ids = Array.from(newest?.writes ?? [], ({ identity }) => expected.find((id) => identity.endsWith(id)));
    expect(ids).toEqual(expected);
  });

  it('MVCC-UNDO-3: a retry is answered as the first attempt was, and they are counted, over restarts', () => {
    const { sql, store } = openThrowing();
    const commands = commandsOf(throwing, put('a'));
    const { applied } = applyCarefully(sql, store, logIndex(1), commands);
    expect(store.commandsUndone).toBe(1);
    const again = new Store(sql);
    expect(again.commandsUndone).toBe(1);
    expect(again.apply(logIndex(2), commands).outcomes).toEqual(applied.outcomes);
    applyCarefully(sql, again, logIndex(3), commandsOf(throwing));
    expect(new Store(sql).commandsUndone).toBe(2);
  });

  it('MVCC-UNDO-4: commandsUndoneMax of an entry are undone one by one; with one more, it and all that follow are', () => {
    for (const count of [commandsUndoneMax, commandsUndoneMax + 1]) {
      const { sql, store } = openThrowing();
      const many = Array.from({ length: count }, () => throwing);
      const entry = commandsOf(put('before'), ...many, put('after'));
      const { applied, undone: told } = applyCarefully(sql, store, logIndex(1), entry);
      const isBeyond = count > commandsUndoneMax;
      expect(kindsOf(applied.outcomes)).toEqual(['put', ...many.map(() => 'failed'), isBeyond ? 'failed' : 'put']);
      expect(told.length).toBe(isBeyond ? count + 1 : count);
    }
  });

  it('MVCC-UNDO-5: what storage throws is no command’s: it comes out, and nothing is answered', () => {
    const sql = new NodeSql();
    const store = new Store(sql);
    sql.run('DROP TABLE superseded');
    const apply = (): unknown => sql.transaction(() => applyCarefully(sql, store, logIndex(1), commandsOf(put('a'))));
    expect(apply).toThrow(StorageFault);
    expect(store.commandsUndone).toBe(0);
  });

  it('MVCC-UNDO-6: who reads history while a command is undone goes on reading it', () => {
    const { sql, store } = openThrowing();
    for (const [place, operation] of [put('a', '1'), put('a', '2'), put('a', '3')].entries()) {
      store.apply(logIndex(place + 1), commandsOf(operation));
    }
    const release = store.holdHistory({ revision: 4, compacted: -1, writesTotal: 3 });
    applyCarefully(sql, store, logIndex(4), commandsOf(compact(4), throwing));
    const rows = (): unknown => sql.all('SELECT count(*) FROM superseded')[0]?.[0];
    while (store.compactStep(100));
    expect([store.compactedRevision, rows()]).toEqual([4, 2]);
    release();
    while (store.compactStep(100));
    expect(rows()).toBe(0);
    const result = store.range(range('a'));
    expect(result.kind === 'answer' && shown(result.answer.kvs)).toEqual(['a=3@4']);
  });
});
