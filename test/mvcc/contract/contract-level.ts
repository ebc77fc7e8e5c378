// Rules of the store: the level of its group, and the format that follows it.

import { expect } from 'vitest';
import { utf8 } from '../../../src/base/bytes.ts';
import { groupLevelMax, groupLevelMin } from '../../../src/model/levels.ts';
import { columnsOf } from '../../../src/mvcc/snapshot/generic-rows.ts';
import type { SqlRow } from '../../../src/base/sql-port.ts';
import { rule, type StoreRule } from './contract.ts';
import { dump } from '../random-commands.ts';
import { type Fed, grant, put, remove, service, toLevel } from '../requests.ts';

const formatOf = (fed: Fed): unknown => fed.sql.all("SELECT value FROM mvcc_meta WHERE name = 'format'")[0]?.[0];
const hashed = ['hash', 'scrubbed'];
const hashColumns = (fed: Fed): readonly string[] =>
  columnsOf(fed.sql, 'batches').filter((column) => hashed.includes(column));
const hashesOf = (fed: Fed): SqlRow[] => fed.sql.all('SELECT hash IS NOT NULL FROM batches ORDER BY log_index');

export const levelRules: readonly StoreRule[] = [
  rule('MVCC-LEVEL-1: a fresh store is of level 1; a command raises and lowers it, and makes no revision', (fed) => {
    expect([fed.store.level, formatOf(fed), hashColumns(fed)]).toEqual([groupLevelMin, 2, []]);
    fed.put('k');
    for (const [level, format] of [
      [1, 2],
      [2, 3],
      [2, 3],
      [1, 2],
      [1, 2],
      [3, 4],
      [2, 3],
      [4, 5],
      [3, 4],
      [4, 5],
      [1, 2],
    ] as const) {
      expect(fed.do(toLevel(level))).toEqual({ kind: 'done', revision: 2 });
      for (const restarted of [false, true]) {
        if (restarted) fed.reopen();
        expect([fed.store.level, formatOf(fed)]).toEqual([level, format]);
      }
    }
    expect(fed.range('k').count).toBe(1);
    expect(fed.history(1)).toMatchObject({ revisions: fed.events, through: 2 });
  }),
  rule('MVCC-LEVEL-2: only the service changes the level, and only to one that is known', (fed) => {
    const accessKey = {
      id: 'admin',
      role: 'admin',
      prefix: utf8(''),
      expiresAtMs: null,
      createdAtMs: 1,
      name: '',
    } as const;
    fed.batch([
      { kind: 'createAccessKey', accessKey },
      { kind: 'userAdd', name: 'root', passwordHash: 'hash' },
      { kind: 'roleAdd', name: 'root' },
      { kind: 'userGrantRole', name: 'root', role: 'root' },
      { kind: 'authEnable' },
    ]);
    const { authRevision } = fed.ask<'authStatus'>({ kind: 'authStatus' });
    const root = { kind: 'user', id: 'admin', name: 'root', authRevision } as const;
    for (const caller of [{ kind: 'accessKey', id: 'admin' }, root] as const) {
      expect(fed.fails(toLevel(2), caller)).toMatchObject({ kind: 'forbidden', need: 'the service', prefix: null });
    }
    expect(fed.fails(toLevel(2), { kind: 'anonymous', id: 'admin', token: 'none' })).not.toBeNull();
    expect(fed.store.level).toBe(1);
    for (const level of [groupLevelMin - 1, groupLevelMax + 1, 1.5]) {
      expect(() => fed.do(toLevel(level))).toThrow(`level ${level} is known`);
      fed.reopen();
      expect(fed.store.level).toBe(1);
    }
    expect(fed.fails(toLevel(2))).toBeNull();
  }),
  rule('MVCC-LEVEL-3: up, down and up again: rows are hashed from level 2 on, and only there', (fed) => {
    fed.put('a', '1');
    fed.batch([put('a', '2'), toLevel(2), put('b', '3')]);
    fed.put('c');
    expect(hashColumns(fed)).toEqual(hashed);
    expect(hashesOf(fed)).toEqual([[0], [1], [1]]);
    const before = dump(fed.sql, -1);
    fed.do(toLevel(1));
    // The rows that were written stay. Only the format differs, and the row of the entry is new.
    const { meta, batches, ...rest } = dump(fed.sql, -1);
    expect({ ...before, ...rest }).toEqual(before);
    expect(meta).toEqual([['format', 2]]);
    expect(batches?.slice(0, -1)).toEqual(before['batches']);
    expect(batches?.at(-1)).toEqual([5, 4, 0, 6, expect.any(Uint8Array), null, null]);
    fed.put('c');
    fed.reopen();
    fed.put('d');
    fed.batch([toLevel(2), toLevel(1), toLevel(2)]);
    fed.reopen();
    fed.remove('a');
    expect(hashesOf(fed)).toEqual([[0], [1], [1], [0], [0], [0], [1], [1]]);
    expect(fed.history(1)).toMatchObject({ revisions: fed.events });
  }),
  rule(
    'MVCC-LEVEL-4: a retry of its command changes nothing more, and a read that was left open is no obstacle',
    (fed) => {
      fed.batch([put('a'), put('b'), grant(1)]);
      const left = fed.sql.iterate('SELECT key FROM head ORDER BY key');
      expect(left.next().done).toBe(false);
      const command = { writeId: 'up', caller: service, atMs: 1, operation: toLevel(2) };
      expect(fed.commands([command])).toEqual([{ kind: 'done', revision: 3 }]);
      fed.do(toLevel(1));
      expect(fed.commands([command])).toEqual([{ kind: 'done', revision: 3 }]);
      expect(fed.store.level).toBe(1);
      fed.do(remove('a'));
      left.return?.();
    },
  ),
];
