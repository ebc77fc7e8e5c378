// What is read of tables and overlay together, and what a flush leaves, against a store that writes at once.

import { describe, expect, it } from 'vitest';
import { keptHeadsBytesMax, keptValueBytesMax, rememberedWritesMax } from '../../../src/limits.ts';
import { logIndex, noLease, type Revision, revision as asRevision } from '../../../src/model/brands.ts';
import type { Command, KeyValue, Operation } from '../../../src/model/store.ts';
import { keyText, utf8 } from '../../../src/base/bytes.ts';
import { type NotPromise, type SqlRow, type SqlValue, StorageFault } from '../../../src/base/sql-port.ts';
import { type KeySpan, spanOf } from '../../../src/model/key-range.ts';
import { flushOverlay } from '../../../src/mvcc/overlay/flush.ts';
import { Heads } from '../../../src/mvcc/overlay/heads.ts';
import { Versions } from '../../../src/mvcc/overlay/versions.ts';
import {
  type AsOf,
  countCreatedBefore,
  countKeys,
  firstCreated,
  pairAt,
  pairOf,
  previousPair,
  scanPairs,
} from '../../../src/mvcc/range-scan.ts';
import { openSchema } from '../../../src/mvcc/schema.ts';
import { Store } from '../../../src/mvcc/store.ts';
import { NodeSql } from '../../support/node-sql.ts';
import { PassingSql } from '../../support/passing-sql.ts';
import { Random } from '../../support/random.ts';
import { dump } from '../random-commands.ts';
import { compact, Fed, grant, keyRange, prefix, put, putLeased, remove, service, txn } from '../requests.ts';

const runs = 25;
const leases = [7, 8] as const;
const keys = ['a', 'a/1', 'a/2', 'b', 'b/1', 'c', '\u00ff'] as const;
const spans: readonly KeySpan[] = [
  ...keys.map((key) => spanOf(keyRange(key))),
  spanOf(prefix('a')),
  spanOf(keyRange('a/1', 'b/1')),
  spanOf(keyRange('b', 'a')),
  spanOf(keyRange('a/2', '\0')),
];

/** A database that counts the statements that answer rows. */
class CountingSql extends PassingSql {
  read = 0;

  override all(statement: string, ...bindings: readonly SqlValue[]): SqlRow[] {
    this.read++;
    return super.all(statement, ...bindings);
  }
}

/** As in an object, what a turn wrote before it threw stays. The statement that writes a batch's row throws. */
class FailingSql extends PassingSql {
  fails = false;

  override run(statement: string, ...bindings: readonly SqlValue[]): void {
    if (this.fails && /^(INSERT INTO|UPDATE) batches/.test(statement)) throw new StorageFault('the disk is full');
    super.run(statement, ...bindings);
  }

  override turn<Result>(body: () => NotPromise<Result>): Result {
    return body();
  }
}

/** The same writes: to a store at once, and to an overlay over tables of its own. */
class Both {
  readonly direct = new NodeSql();
  readonly tables = new NodeSql();
  readonly versions = new Versions(this.tables);
  flushed = 1;
  readonly #store = new Store(this.direct);
  #index = 0;

  constructor() {
    openSchema(this.tables);
    for (const id of leases) this.#apply(grant(id));
  }

  get revision(): Revision {
    return this.#store.revision;
  }

  write(random: Random): void {
    const key = random.pick(keys);
    const value = 'v'.repeat(random.pick([0, 1, 20, 600]));
    const drawn = random.next();
    if (drawn < 0.5) this.#apply(put(key, value));
    else if (drawn < 0.65) this.#apply(putLeased(key, random.pick(leases), { value: utf8(value) }));
    else if (drawn < 0.85) this.#apply(remove(key));
    // A txn may put a key and delete it.
    else this.#apply(txn({ success: [put(key, value), remove(random.pick(keys))] }));
  }

  flush(): void {
    this.tables.transaction(() => flushOverlay(this.tables, this.versions.overlay));
    this.versions.flushed();
    this.flushed = this.revision;
  }

  #apply(operation: Operation): void {
    const index = logIndex(++this.#index);
    const command = { writeId: `w${index}`, caller: service, atMs: 1, operation };
    for (const { revision: mod, events } of this.#store.apply(index, [command]).events) {
      for (const { type, kv } of events) {
        const version = { mod, kv: type === 'put' ? kv : null };
        const isUnread = mod % 3 === 0;
        if (mod % 2 === 0) this.versions.readAhead([kv.key, utf8('absent')]);
        this.versions.overlay.write(kv.key, version, this.versions.pair(kv.key, 'head', !isUnread), isUnread);
      }
    }
  }
}

/** Without `values` a scan may hand them over or not. */
function shown(pairs: Iterable<KeyValue>, values = true): string[] {
  return [...pairs].map((kv) => {
    const { createRevision, modRevision, version, lease } = kv;
    return `${keyText(kv.key)} ${values ? kv.value.byteLength : '-'} ${createRevision} ${modRevision} ${version} ${lease}`;
  });
}

function expectSameReads(both: Both, random: Random): void {
  for (const span of spans) {
    const at = random.integer(both.flushed, both.revision);
    const asOf: AsOf = at === both.revision ? 'head' : at;
    const isFiltered = random.chance(0.3);
    const filter = isFiltered
      ? { minModRevision: random.integer(0, at), maxModRevision: 0, minCreateRevision: 0, maxCreateRevision: at - 1 }
      : null;
    const scan = {
      span,
      filter,
      descending: random.chance(0.5),
      values: random.chance(0.7),
      limit: random.chance(0.5) ? random.integer(1, 4) : null,
    };
    const mine = shown(both.versions.pairs({ ...scan, asOf: random.chance(0.5) ? asOf : at }), scan.values);
    expect(mine).toEqual(shown(scanPairs(both.direct, { ...scan, asOf }), scan.values));
    expect(both.versions.count(span, at)).toBe(countKeys(both.direct, span, asOf));
    if (span.kind === 'single') continue;
    const created = { asOf, createRevision: random.integer(1, at + 1), max: random.integer(0, 5) };
    expect(both.versions.countCreatedBefore(span, created)).toBe(countCreatedBefore(both.direct, span, created));
    const [first] = firstCreated(both.direct, span, asOf, 1);
    const firstPair = first === undefined ? null : pairOf(both.direct, first, asOf, true);
    expect(both.versions.firstCreated(span, asOf)).toEqual(firstPair);
    const [counted, max] = [countKeys(both.direct, span, 'head'), random.integer(0, 6)];
    const upTo = both.versions.countUpTo(span, max);
    if (counted <= max) expect(upTo).toBe(counted);
    else expect(upTo).toBeGreaterThan(max);
  }
  for (const key of keys) {
    expect(both.versions.pair(utf8(key), 'head', true)).toEqual(pairOf(both.direct, utf8(key), 'head', true));
    const at = both.revision;
    const previous = previousPair(both.direct, utf8(key), at);
    if (previous !== null) expect(both.versions.previousPair(utf8(key), at)).toEqual(previous);
    expect(both.versions.pairAt(utf8(key), at)).toEqual(pairAt(both.direct, utf8(key), at));
  }
}

function entryOf(index: number): readonly Command[] {
  return [{ writeId: `w${index}`, caller: service, operation: put('k', `v${index}`), atMs: 1 }];
}

/** The puts of some waiters that join a queue. */
function joined(entry: number): Command[] {
  return Array.from({ length: 200 }, (_, n) => {
    return { writeId: `${entry}.${n}`, caller: service, operation: put(`q/${entry}/${n}`), atMs: 1 };
  });
}

function again(command: Command): Command {
  return { ...command, writeId: `again ${command.writeId}` };
}

/** A transaction that names two keys of a queue. */
function txnOfTwo(place: number): Operation {
  return txn({ success: [put(`q/1/${place}`), put(`q/1/${place + 1}`)], failure: [remove(`q/1/${place}`)] });
}

function pairOfBytes(valueBytes: number): KeyValue {
  const at = asRevision(2);
  const value = new Uint8Array(valueBytes);
  return { key: utf8('k0000'), value, createRevision: at, modRevision: at, version: 1, lease: noLease };
}

function rowsOf(sql: NodeSql): unknown {
  const { head, superseded, leaseKeys } = dump(sql, -1);
  return { head, superseded, leaseKeys };
}

describe('an overlay', () => {
  it('MVCC-OVERLAY-1: with the tables below it, it is read as a store that writes at once', () => {
    for (let run = 1; run <= runs; run++) {
      const random = new Random(run);
      const both = new Both();
      for (let step = 0; step < 40; step++) {
        both.write(random);
        if (random.chance(0.1)) both.flush();
        if (random.chance(0.3)) expectSameReads(both, random);
      }
    }
  });

  it('MVCC-OVERLAY-2: flushes at any moments leave the rows that writing at once leaves', () => {
    for (let run = 1; run <= runs; run++) {
      const random = new Random(run);
      const both = new Both();
      for (let step = 0; step < 60; step++) {
        both.write(random);
        if (random.chance(0.1)) both.flush();
      }
      both.flush();
      expect(rowsOf(both.tables)).toEqual(rowsOf(both.direct));
      const { isEmpty, bytes, versions } = both.versions.overlay;
      expect([isEmpty, bytes, versions]).toEqual([true, 0, 0]);
    }
  });

  it('MVCC-OVERLAY-5: a sweep keeps the writes that the rows remember, however many more are remembered in memory', () => {
    const sql = new NodeSql();
    const fed = Fed.inMemory(() => new Fed(sql));
    const some = Array.from({ length: 512 }, () => put('k'));
    const entries = rememberedWritesMax / some.length + 2;
    for (let entry = 0; entry < entries; entry++) fed.batch(some);
    fed.do(compact(fed.store.revision));
    fed.sweep();
    const oldest = entries * some.length + 1 - rememberedWritesMax;
    for (let entry = 0; entry < 2; entry++) fed.batch(some);
    expect(fed.store.hasUnflushed).toBe(true);
    fed.sweep();
    const command = { writeId: `w${oldest}`, caller: service, operation: put('k'), atMs: 1 };
    expect(new Store(sql).answerWithoutLog(command)).toMatchObject({ kind: 'remembered' });
  });

  it('MVCC-OVERLAY-6: the key of a queue that was created first takes two statements, however many are in memory', () => {
    const sql = new CountingSql(new NodeSql());
    const store = new Store(sql);
    store.apply(logIndex(1), joined(1));
    store.applyToMemory(logIndex(2), joined(2));
    sql.read = 0;
    expect(keyText(store.firstCreated(prefix('q/'))?.key ?? utf8(''))).toBe('q/1/0');
    expect(sql.read).toBe(2);
  });

  it('MVCC-OVERLAY-7: a hash that fails half-way in its flush leaves rows and memory as they were, and the store goes on', () => {
    const disk = new NodeSql();
    const sql = new FailingSql(disk);
    const store = new Store(sql);
    store.apply(logIndex(1), entryOf(1));
    store.applyToMemory(logIndex(2), entryOf(2));
    const before = rowsOf(disk);
    sql.fails = true;
    expect(() => store.query({ kind: 'hashKv', revision: 0 }, service, 1)).toThrow(StorageFault);
    expect(rowsOf(disk)).toEqual(before);
    expect(store.persistedIndex).toBe(1);
    sql.fails = false;
    const direct = new Store(new NodeSql());
    for (const index of [1, 2]) direct.apply(logIndex(index), entryOf(index));
    expect(store.query({ kind: 'hashKv', revision: 0 }, service, 1)).toEqual(
      direct.query({ kind: 'hashKv', revision: 0 }, service, 1),
    );
  });

  it('MVCC-OVERLAY-8: the pairs that the keys of an entry have are read with one statement for 64 keys', () => {
    const sql = new CountingSql(new NodeSql());
    const store = new Store(sql);
    store.apply(logIndex(1), joined(1));
    sql.read = 0;
    store.applyToMemory(logIndex(2), joined(1).slice(0, 129).map(again));
    expect(sql.read).toBe(3);
    store.applyToMemory(logIndex(3), [{ writeId: 'txn', caller: service, operation: txnOfTwo(130), atMs: 1 }]);
    expect(sql.read).toBe(4);
  });

  it('MVCC-OVERLAY-9: after a flush, a key that was written needs no statement to be written again, until tables are written otherwise', () => {
    const sql = new CountingSql(new NodeSql());
    const store = new Store(sql);
    store.applyToMemory(logIndex(1), joined(1));
    store.flush();
    sql.read = 0;
    const done = store.applyToMemory(logIndex(2), joined(1).map(again));
    expect([sql.read, done.events[0]?.events[0]?.kv.version]).toEqual([0, 2]);
    store.flush();
    const gone = { writeId: 'gone', caller: service, operation: remove(prefix('q/')), atMs: 1 };
    store.apply(logIndex(3), [gone]);
    expect(store.keptBytes).toBe(0);
    sql.read = 0;
    const anew = store.applyToMemory(logIndex(4), joined(2).map(again).slice(0, 1));
    expect([sql.read, anew.events[0]?.events[0]?.kv.version]).toEqual([1, 1]);
  });

  it('MVCC-OVERLAY-10: of what is in tables keptHeadsBytesMax are kept, and no value above keptValueBytesMax', () => {
    const heads = new Heads();
    const bytesOfOne = heads.learn('k0000', pairOfBytes(keptValueBytesMax));
    expect(heads.learn('large', pairOfBytes(keptValueBytesMax + 1))).toBe(0);
    expect([heads.find('large'), heads.bytes]).toEqual([undefined, bytesOfOne]);
    const fitting = Math.floor(keptHeadsBytesMax / bytesOfOne);
    for (let n = 1; n < fitting; n++) heads.learn(`k${String(n).padStart(4, '0')}`, pairOfBytes(keptValueBytesMax));
    expect([heads.has('k0000'), heads.bytes]).toEqual([true, fitting * bytesOfOne]);
    heads.learn('k9999', pairOfBytes(keptValueBytesMax));
    expect([heads.has('k0000'), heads.has('k0001'), heads.bytes]).toEqual([false, true, fitting * bytesOfOne]);
    heads.forgetAll();
    expect([heads.has('k0001'), heads.bytes]).toEqual([false, 0]);
  });

  it('MVCC-OVERLAY-11: what an altered row took the place of goes into the history, where memory has it', () => {
    const sql = new NodeSql();
    const store = new Store(sql);
    store.applyToMemory(logIndex(1), entryOf(1));
    store.flush();
    sql.run('UPDATE head SET value = ?', utf8('altered'));
    store.applyToMemory(logIndex(2), entryOf(2));
    store.flush();
    expect(sql.all('SELECT value FROM superseded')).toEqual([[utf8('v1')]]);
    expect(sql.all('SELECT value FROM head')).toEqual([[utf8('v2')]]);
  });
});
