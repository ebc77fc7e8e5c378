// Stores that earlier versions wrote. The fixture of format 1 has keys, compacted history, access keys and remembered
// writes. The fixture of format 2, by the last version before groups had levels, also has leases, users, alarms and the
// rest. The store of format 3 is written by the code of level 2 itself.

import { Buffer } from 'node:buffer';
import { expect, it } from 'vitest';
import { groupLevelMax } from '../../src/model/levels.ts';
import { leaseId, logIndex } from '../../src/model/brands.ts';
import { decodeCommands, encodeCommands } from '../../src/mvcc/codec/command-codec.ts';
import { openSchema, schemaFormat } from '../../src/mvcc/schema.ts';
import { Store } from '../../src/mvcc/store.ts';
import { tablesOf } from '../../src/mvcc/snapshot/snapshot-head.ts';
import type { SqlPort, SqlRow } from '../../src/base/sql-port.ts';
import { NodeSql } from '../support/node-sql.ts';
import * as level2 from '../support/levels/level-2.js';
import { dumpText } from './dump-text.ts';
import { fixtureText, storeOf } from './fixture-store.ts';
import {
  everything,
  Fed,
  grant,
  keysOf,
  put,
  putLeased,
  revokeLease,
  service,
  shown,
  shownEvents,
  toLevel,
} from './requests.ts';

const written = (): NodeSql => storeOf('store-format-1.sql');

function tables(sql: SqlPort): SqlRow[] {
  return sql.all('SELECT name, sql FROM sqlite_master ORDER BY name');
}

const plain = (rows: SqlRow[]): unknown => rows.map((row) => row.map((value) => String(value).replaceAll(/\s+/g, ' ')));

it('MVCC-FORMAT-2: a store of format 1 is taken over as it was, and holds leases, users and alarms from then on', () => {
  const fed = new Fed(written(), 1_000);
  fed.index = 13;
  expect(fed.store).toMatchObject({ revision: 11, appliedIndex: 13, compactedRevision: 4 });
  const [large] = fed.range('large').kvs;
  expect(large?.value).toHaveLength(700);
  expect(
    shown(fed.range(everything).kvs.filter((pair) => pair !== large)).filter((pair) => !pair.startsWith('large')),
  ).toEqual(['a=4@5', 'app/1=of k1@10', 'app/2=kept@11', 'd=5@9', 'e=6@9']);
  const history = fed.history(8);
  expect(history.kind === 'events' && shownEvents(history.revisions)).toEqual([
    '8: delete b was b=2@3, delete c was c=3@4',
    '9: put d=5@9, put e=6@9',
    '10: put app/1=of k1@10',
    '11: put app/2=kept@11',
  ]);
  expect(fed.store.accessKeys().map((key) => key.id)).toEqual(['k1']);
  // Retries a write that the earlier version remembered: put a=4, with its previous pair.
  const retried = { writeId: 'w6', caller: service, atMs: 1, operation: put('a', '4', { previous: true }) };
  expect(fed.commands([retried])).toMatchObject([
    { kind: 'put', revision: 5, answer: { previous: { modRevision: 2 } } },
  ]);
  fed.reopen();
  expect(fed.sql.all("SELECT value FROM mvcc_meta WHERE name = 'format'")).toEqual([[2]]);
  fed.batch([
    grant(7),
    putLeased('a', 7),
    { kind: 'userAdd', name: 'u', passwordHash: null },
    { kind: 'roleAdd', name: 'r' },
  ]);
  fed.do({ kind: 'alarmActivate', alarm: { memberId: 1n, alarm: 2 } });
  fed.do({ kind: 'alarmDeactivate', alarm: { memberId: 1n, alarm: 2 } });
  expect(fed.ask<'timeToLive'>({ kind: 'timeToLive', id: leaseId(7n), keys: true }).lease?.keys).toHaveLength(1);
  expect(fed.fails(revokeLease(7))).toBeNull();
  expect(fed.range('a').kvs).toEqual([]);
});

it('MVCC-FORMAT-2: it then has the tables of a fresh one', () => {
  const [taken, fresh] = [written(), new NodeSql()];
  for (const sql of [taken, fresh]) openSchema(sql);
  expect(plain(tables(taken))).toEqual(plain(tables(fresh)));
});

it('MVCC-FORMAT-3: a store of format 2 is opened as it was, at level 1', () => {
  const sql = storeOf('store-format-2.sql');
  const before = dumpText(sql);
  const fed = new Fed(sql, 1_000);
  fed.index = 18;
  expect(fed.store).toMatchObject({
    revision: 16,
    appliedIndex: 18,
    compactedRevision: 4,
    level: 1,
    runningHash: null,
  });
  expect(keysOf(fed.range(everything).kvs)).toEqual(['a', 'by/u', 'd', 'e', 'held', 'large', 'z']);
  expect(fed.store.leasesAfter(null, 10)).toEqual([{ id: 7n, ttlSeconds: 60, deadlineMs: 77_000 }]);
  expect(dumpText(sql)).toBe(before);
  const retried = { writeId: 'w4', caller: service, atMs: 1, operation: put('a', '4', { previous: true }) };
  expect(fed.commands([retried])).toMatchObject([{ kind: 'put', revision: 5, answer: { previous: { version: 1 } } }]);
  fed.do(toLevel(2));
  fed.reopen();
  expect(fed.store).toMatchObject({ revision: 16, level: 2, runningHash: { index: fed.index } });
  expect(fed.do(put('a', '5', { previous: true }))).toMatchObject({ answer: { previous: { version: 2 } } });
});

it('MVCC-FORMAT-4: a store of format 3 is opened as it was, at level 2', () => {
  const sql = new NodeSql();
  const entries = fixtureText('entries-of-level-1.txt').trimEnd().split('\n');
  const former = new level2.Store(sql);
  former.apply(logIndex(1), [{ writeId: 'up', caller: service, atMs: 1, operation: toLevel(2) }]);
  for (const [place, text] of entries.entries()) {
    former.apply(logIndex(place + 2), level2.decodeCommands(new Uint8Array(Buffer.from(text, 'base64'))));
  }
  const before = dumpText(sql);
  const fed = new Fed(sql, 1_000);
  fed.index = 19;
  expect(fed.store).toMatchObject({ revision: 16, appliedIndex: 19, level: 2, runningHash: former.runningHash });
  expect(dumpText(sql)).toBe(before);
  fed.do(toLevel(3));
  fed.reopen();
  expect(fed.store).toMatchObject({ revision: 16, level: 3, runningHash: { index: fed.index } });
  expect(fed.do(put('a', '5', { previous: true }))).toMatchObject({ answer: { previous: { version: 2 } } });
  fed.do(toLevel(2));
  expect(() => new level2.Store(sql)).not.toThrow();
});

it.each([1, 2])(
  'MVCC-FORMAT-5: a store of level %i that comes to the newest level has the tables of one that came there by steps',
  (level) => {
    const [direct, stepped] = [new Fed(new NodeSql()), new Fed(new NodeSql())];
    for (let step = 1; step <= groupLevelMax; step++) stepped.do(toLevel(step));
    direct.batch([toLevel(level), toLevel(groupLevelMax)]);
    expect(plain(tables(direct.sql))).toEqual(plain(tables(stepped.sql)));
    expect(tables(direct.sql).map(([name]) => name)).toEqual(expect.arrayContaining([...tablesOf(schemaFormat)]));
  },
);

it.each([
  [2, 3, 'goes on'],
  [3, 2, 'goes on'],
  [1, 3, 'begins'],
  [1, 2, 'begins'],
] as const)('MVCC-LEVEL-6: from level %i to %i the running hash %s', (from, to, how) => {
  const hashes = [0, 1].map((added) => {
    const fed = new Fed(new NodeSql());
    fed.batch([put('a'), toLevel(2), toLevel(from)]);
    fed.sql.run('UPDATE batches SET hash = hash + ?', added);
    fed.reopen();
    fed.do(toLevel(to));
    return fed.store.runningHash?.hash;
  });
  expect(new Set(hashes).size).toBe(how === 'goes on' ? 2 : 1);
});

it('MVCC-LEVEL-5: at level 1 entries and rows are, byte for byte, what they were before there were levels', () => {
  const sql = new NodeSql();
  const store = new Store(sql);
  const entries = fixtureText('entries-of-level-1.txt').trimEnd().split('\n');
  for (const [place, text] of entries.entries()) {
    const commands = decodeCommands(new Uint8Array(Buffer.from(text, 'base64')));
    expect(Buffer.from(encodeCommands(commands)).toString('base64')).toBe(text);
    sql.transaction(() => store.apply(logIndex(place + 1), commands));
  }
  while (store.compactStep(3));
  expect(dumpText(sql)).toBe(fixtureText('store-format-2.sql'));
});
