// What a receiver of snapshots takes and refuses, what it leaves behind, and which tables it never touches.

import { beforeEach, describe, expect, it } from 'vitest';
import { AssertionError } from '../../../src/base/assert.ts';
import { BinaryWriter, MalformedBytesError } from '../../../src/base/binary.ts';
import { emptyBytes, utf8 } from '../../../src/base/bytes.ts';
import { groupLevel } from '../../../src/model/levels.ts';
import type { KeptVersion } from '../../../src/mvcc/kept-versions.ts';
import { openSchema, schemaFormat, UnknownStoreFormat } from '../../../src/mvcc/schema.ts';
import { seal } from '../../../src/mvcc/codec/sealed-bytes.ts';
import { beforeBatches, encodeCursor, PageWriter, writeName } from '../../../src/mvcc/snapshot/snapshot-page.ts';
import { openSnapshot, type SnapshotPage, snapshotPage } from '../../../src/mvcc/snapshot/snapshot-source.ts';
import { SnapshotSink } from '../../../src/mvcc/snapshot/snapshot-sink.ts';
import type { SqlRow } from '../../../src/base/sql-port.ts';
import { NodeSql } from '../../support/node-sql.ts';
import { compact, everything, Fed, grant, put, putLeased } from '../requests.ts';
import { clear, copied, expectSame, incomingRows, openedAt, pagesOf, schemaOf } from './snapshot-transfer.ts';

/** A store that holds a little of everything. */
function filled(): Fed {
  const fed = new Fed(new NodeSql());
  fed.do(grant(7));
  for (let round = 0; round < 3; round++) fed.batch([put('a', new Uint8Array(600).fill(round)), putLeased('b', 7)]);
  fed.batch([
    { kind: 'userAdd', name: 'u', passwordHash: 'hash' },
    { kind: 'roleAdd', name: 'r' },
    { kind: 'userGrantRole', name: 'u', role: 'r' },
    { kind: 'roleGrantPermission', role: 'r', permission: { ...everything, type: 2 } },
    { kind: 'alarmActivate', alarm: { memberId: 3n, alarm: 1 } },
    { kind: 'downgradeEnable', targetVersion: '3.6' },
  ]);
  fed.do({ kind: 'alarmDeactivate', alarm: { memberId: 3n, alarm: 1 } });
  fed.do(compact(4));
  return fed;
}

const version: KeptVersion = {
  key: utf8('k'),
  mod: 2,
  until: null,
  created: 2,
  version: 1,
  lease: null,
  value: emptyBytes,
};

function stagedRows(sql: NodeSql): SqlRow[] {
  const tables = ['head', 'superseded', 'large_values', 'batches', 'lease_keys'];
  return tables.flatMap((table) => sql.all(`SELECT '${table}', * FROM incoming_${table}`));
}

function writeTable(writer: BinaryWriter, table: string, columns: readonly string[]): void {
  writer.byte(0);
  writer.text(table);
  writer.varint(columns.length);
  for (const column of columns) writer.text(column);
}

/** A database with a store of its own and tables that are not the store's. */
function receiver(): { readonly sql: NodeSql; readonly fed: Fed; readonly others: () => unknown } {
  const sql = new NodeSql();
  const others = ['log', 'hard_state', 'configurations', 'member', 'members'];
  for (const table of others) {
    sql.run(`CREATE TABLE ${table} (id INTEGER PRIMARY KEY, body BLOB NOT NULL)`);
    sql.run(`INSERT INTO ${table} VALUES (1, ?)`, utf8(table));
  }
  const fed = new Fed(sql);
  fed.batch([put('own', new Uint8Array(900)), put('own', 'newer'), grant(3)]);
  return { sql, fed, others: () => others.map((table) => sql.all(`SELECT * FROM ${table}`)) };
}

function crash(): never {
  throw new Error('crashed');
}

describe('MVCC-SNAP-3: what is no page of the snapshot, or not the next one, is refused and changes nothing', () => {
  const source = filled();
  const { name, head } = openSnapshot(source.sql, source.store);
  const pages: readonly SnapshotPage[] = [...pagesOf(source.sql, name, 700)];
  const [first, second] = pages;
  let sql = new NodeSql();
  let sink = new SnapshotSink(sql);

  beforeEach(() => {
    sql = new NodeSql();
    sink = new SnapshotSink(sql);
    sink.begin(name, head);
  });

  function refuses(page: Uint8Array, next: Uint8Array | null): void {
    const { progress } = sink;
    const before = stagedRows(sql);
    expect(() => sink.write(page, next)).toThrow(MalformedBytesError);
    expect(sink.progress).toEqual(progress);
    expect(stagedRows(sql)).toEqual(before);
  }

  it('cut, longer, or with any byte changed', () => {
    if (first === undefined) throw new Error('there is a page');
    const { page, next } = first;
    for (let place = 0; place < page.byteLength; place++) {
      const changed = page.slice();
      changed[place] = (page[place] ?? 0) ^ 0x10;
      expect(() => sink.write(changed, next)).toThrow(MalformedBytesError);
      expect(() => sink.write(page.subarray(0, place), next)).toThrow(MalformedBytesError);
    }
    refuses(new Uint8Array([...page, 0]), next);
    sink.write(page, next);
  });

  it('out of order, given again, or with another end than it has', () => {
    if (first === undefined || second === undefined) throw new Error('there are two pages');
    refuses(second.page, second.next);
    refuses(first.page, second.next);
    refuses(first.page, null);
    sink.write(first.page, first.next);
    refuses(first.page, first.next);
    sink.write(second.page, second.next);
  });

  it('of another snapshot', () => {
    source.put('later');
    const later = openSnapshot(source.sql, source.store);
    const { page, next } = snapshotPage(source.sql, later.name, null, 700);
    refuses(page, next);
    expect(() => sink.begin(name, later.head)).toThrow(MalformedBytesError);
    expect(() => sink.begin({ ...name, compacted: 3 }, head)).toThrow(MalformedBytesError);
    expect(sink.progress).toEqual({ name, cursor: null, isComplete: false });
  });

  const to = encodeCursor(beforeBatches);
  const newPage = (): PageWriter => new PageWriter({ name, from: null, bytesMax: 10_000 });
  it.each<[string, (page: PageWriter) => unknown]>([
    ['with a version after the snapshot', (page) => page.addVersion({ ...version, mod: name.revision + 1 })],
    ['with a version given twice', (page) => [page.addVersion(version), page.addVersion(version)]],
    [
      'with versions out of order',
      (page) => [page.addVersion(version), page.addVersion({ ...version, key: utf8('j') })],
    ],
    ['with no column that is known', (page) => page.addBatch(['other'], [[null]])],
  ])('%s', (_, add) => {
    const page = newPage();
    add(page);
    refuses(page.finish(to, false), to);
  });

  it('that says that it is the last, before the newest batch came', () => {
    const page = newPage();
    page.addVersion(version);
    refuses(page.finish(to, true), null);
  });

  it('a head that is changed, lacks a part, has one twice, or rows of another table', () => {
    const many = new Fed(new NodeSql());
    for (let role = 0; role < 300; role++) {
      many.do({ kind: 'roleAdd', name: `r${role}` });
      const permissions = Array.from({ length: 4 }, (_, n) => ({
        key: new Uint8Array(2_000).fill(n),
        rangeEnd: emptyBytes,
        type: 2,
      }));
      many.batch(permissions.map((permission) => ({ kind: 'roleGrantPermission', role: `r${role}`, permission })));
    }
    const { name: manyName, head: parts } = openSnapshot(many.sql, many.store);
    const [one, two, three] = parts;
    if (one === undefined || two === undefined || three === undefined) throw new Error('there are three parts');
    const changed = two.slice();
    changed[1_000] = (two[1_000] ?? 0) ^ 1;
    for (const wrong of [
      [],
      [one],
      [one, two],
      [two, one, three],
      [one, one, three],
      [one, changed, three],
      [...parts, three],
    ]) {
      expect(() => sink.begin(manyName, wrong)).toThrow(MalformedBytesError);
    }
    expect(() => sink.begin(name, [headOf((writer) => writeTable(writer, 'log', ['log_index']))])).toThrow(
      MalformedBytesError,
    );
    expect(() => sink.begin(name, [headOf((writer) => writeTable(writer, 'leases', ['other']))])).toThrow(
      MalformedBytesError,
    );
    expect(sink.progress).toEqual({ name, cursor: null, isComplete: false });
    sink.begin(manyName, parts);
    expect(sink.progress?.name).toEqual(manyName);
  });

  it('a head of a newer format of the store, by its own error', () => {
    expect(() => sink.begin(name, [headOf(() => undefined, schemaFormat + 1)])).toThrow(UnknownStoreFormat);
  });

  function headOf(body: (writer: BinaryWriter) => void, format = schemaFormat): Uint8Array {
    const writer = new BinaryWriter();
    writer.byte(1);
    writeName(writer, name);
    writer.varint(format);
    writer.varint(0);
    body(writer);
    writer.byte(2);
    writer.boolean(true);
    return seal(writer);
  }
});

describe('MVCC-SNAP-6: what comes lies beside the store and the log until it is complete, and leaves nothing behind', () => {
  const source = filled();
  const { name, head } = openSnapshot(source.sql, source.store);

  it('the store that is there serves and is written meanwhile', () => {
    const { sql, fed, others } = receiver();
    const before = others();
    const sink = new SnapshotSink(sql);
    expect([sink.progress, incomingRows(sql)]).toEqual([null, null]);
    sink.begin(name, head);
    for (const { page, next } of pagesOf(source.sql, name, 500)) {
      fed.put('own', 'again');
      sink.write(page, next);
    }
    expect(sink.progress?.isComplete).toBe(true);
    expect(fed.range('own').kvs).toHaveLength(1);
    sink.finish();
    expect(sink.progress).toBeNull();
    expectSame(openedAt(sql, name), source);
    expect(others()).toEqual(before);
  });

  it('the tables and indexes are then those of a store that was never anything else', () => {
    const [made, fresh, again] = [new NodeSql(), new NodeSql(), new NodeSql()];
    copied(source, made);
    openSchema(fresh);
    expect(schemaOf(made)).toEqual(schemaOf(fresh));
    openSchema(again);
    for (let times = 0; times < 3; times++) {
      expectSame(copied(source, again), source);
      expect(schemaOf(again)).toEqual(schemaOf(fresh));
      clear(again);
      expect(incomingRows(again)).toBe(0);
    }
  });

  it('stores of both levels follow each other in one database', () => {
    const sql = new NodeSql();
    const second = filled();
    second.do({ kind: 'groupLevel', level: groupLevel.second });
    second.put('later');
    for (const fed of [source, second, source, second, second]) {
      const copy = copied(fed, sql);
      expect([copy.store.level, copy.store.runningHash]).toEqual([fed.store.level, fed.store.runningHash]);
      expect(copy.ask<'hash'>({ kind: 'hash' })).toEqual(fed.ask<'hash'>({ kind: 'hash' }));
      expect(copy.history(4)).toEqual(fed.history(4));
    }
  });

  it('also while somebody has left a read of the old tables, or of others, unfinished', () => {
    const { sql, fed } = receiver();
    fed.batch(Array.from({ length: 10 }, (_, n) => put(`own${n}`)));
    const left = ['head', 'batches', 'log'].map((table) => sql.iterate(`SELECT * FROM ${table}`));
    for (const read of left) expect(read.next().done).toBe(false);
    const sink = new SnapshotSink(sql);
    sink.begin(name, head);
    sink.abandon();
    sink.begin(name, head);
    for (const { page, next } of pagesOf(source.sql, name, 500)) sink.write(page, next);
    sink.finish();
    expectSame(openedAt(sql, name), source);
    expect(left).toHaveLength(3);
  });

  it('abandoned or begun anew, nothing of it is left', () => {
    const { sql, fed, others } = receiver();
    const [tables, before] = [schemaOf(sql), others()];
    const sink = new SnapshotSink(sql);
    sink.abandon();
    sink.begin(name, head);
    const [first] = pagesOf(source.sql, name, 500);
    if (first === undefined) throw new Error('there is a page');
    sink.write(first.page, first.next);
    new SnapshotSink(sql).begin(name, head);
    expect(sink.progress).toEqual({ name, cursor: null, isComplete: false });
    expect(sql.all('SELECT COUNT(*) FROM incoming_head')).toEqual([[0]]);
    sink.write(first.page, first.next);
    new SnapshotSink(sql).abandon();
    clear(sql);
    expect([sink.progress, incomingRows(sql)]).toEqual([null, 0]);
    expect(schemaOf(sql)).toEqual(tables);
    expect(others()).toEqual(before);
    expect(fed.range('own').kvs).toHaveLength(1);
  });

  it('an incomplete one never becomes the store', () => {
    const { sql } = receiver();
    const sink = new SnapshotSink(sql);
    expect(() => sink.finish()).toThrow(AssertionError);
    sink.begin(name, head);
    expect(() => sink.finish()).toThrow(AssertionError);
    const pages = [...pagesOf(source.sql, name, 500)];
    for (const { page, next } of pages.slice(0, -1)) sink.write(page, next);
    expect(() => sink.finish()).toThrow(AssertionError);
  });

  it('a receiver that was stopped after the last page asks once more and is complete', () => {
    const { sql } = receiver();
    new SnapshotSink(sql).begin(name, head);
    for (const { page, next } of pagesOf(source.sql, name, 100_000)) new SnapshotSink(sql).write(page, next);
    const sink = new SnapshotSink(sql);
    for (let again = 0; again < 2; again++) {
      const { page, next } = snapshotPage(source.sql, name, sink.progress?.cursor ?? null, 500);
      expect(next).toBeNull();
      sink.write(page, next);
    }
    sink.finish();
    expectSame(openedAt(sql, name), source);
  });

  it('a swap that is rolled back leaves both as they were', () => {
    const { sql, fed, others } = receiver();
    const before = others();
    const sink = new SnapshotSink(sql);
    sink.begin(name, head);
    for (const { page, next } of pagesOf(source.sql, name, 500)) sink.write(page, next);
    const tables = schemaOf(sql);
    expect(() =>
      sql.transaction(() => {
        sink.finish();
        crash();
      }),
    ).toThrow('crashed');
    expect(schemaOf(sql)).toEqual(tables);
    fed.reopen();
    expect(fed.range('own').kvs).toHaveLength(1);
    sink.finish();
    expectSame(openedAt(sql, name), source);
    expect(others()).toEqual(before);
  });

  it('columns that its format has not are no part of it', () => {
    const wider = filled();
    const { name: widerName, head: widerHead } = openSnapshot(wider.sql, wider.store);
    const sql = new NodeSql();
    const sink = new SnapshotSink(sql);
    sink.begin(widerName, widerHead);
    wider.sql.run('ALTER TABLE batches ADD COLUMN later INTEGER');
    wider.sql.run('UPDATE batches SET later = 1');
    for (const { page, next } of pagesOf(wider.sql, widerName, 500)) sink.write(page, next);
    sink.finish();
    expectSame(openedAt(sql, widerName), source);
  });
});
