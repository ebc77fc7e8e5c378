// A store that an earlier version wrote. The fixture is a dump of one that the version of format 1 made: keys, compacted history,
// access keys, remembered writes.

import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect, it } from 'vitest';
import { leaseId } from '../../src/brands.ts';
import { openSchema, schemaFormat } from '../../src/mvcc/schema.ts';
import type { SqlRow } from '../../src/sql-port.ts';
import { NodeSql } from '../support/node-sql.ts';
import { everything, Fed, grant, put, putLeased, revokeLease, service, shown, shownEvents } from './requests.ts';

function written(): NodeSql {
  const sql = new NodeSql();
  const text = readFileSync(resolve(import.meta.dirname, 'fixtures/store-format-1.sql'), 'utf8');
  for (const statement of text.split('\n')) if (statement !== '') sql.run(statement);
  return sql;
}

function tables(sql: NodeSql): SqlRow[] {
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
  // A retry of a write that the earlier version remembered: put a=4, the previous pair with it.
  const retried = { writeId: 'w6', caller: service, atMs: 1, operation: put('a', '4', { previous: true }) };
  expect(fed.commands([retried])).toMatchObject([
    { kind: 'put', revision: 5, answer: { previous: { modRevision: 2 } } },
  ]);
  fed.reopen();
  expect(fed.sql.all("SELECT value FROM mvcc_meta WHERE name = 'format'")).toEqual([[schemaFormat]]);
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
