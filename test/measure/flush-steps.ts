// What `npm run flush` measures, over the SQL port, on Node and in an object alike: puts as the store applies them, and
// the effects of many revisions written at once, sorted, as a store that keeps them in memory first would write them.

import { PassingSql } from '../support/passing-sql.ts';
import { assert } from '../../src/base/assert.ts';
import { keyText, utf8 } from '../../src/base/bytes.ts';
import { BinaryWriter } from '../../src/base/binary.ts';
import type { SqlPort, SqlRow, SqlValue } from '../../src/base/sql-port.ts';
import { logIndex } from '../../src/model/brands.ts';
import type { Command } from '../../src/model/store.ts';
import { Store } from '../../src/mvcc/store.ts';
import { put, service } from '../mvcc/requests.ts';

export type Counted = { statements: number; rowsWritten: number };

/** `keys`: how many there are. The puts of a step take them one after the other, or at random. */
export type Shape = { readonly keys: number; readonly valueBytes: number };

/** A put of a prototype's memory: what it needs to be written later. */
type Version = { readonly mod: number; readonly value: Uint8Array };

const parametersMax = 100;

/** Of one database. Revisions that `flush` writes are unknown to the store: the two are measured apart. */
export class FlushSteps {
  readonly #sql: SqlPort;
  readonly #store: Store;
  readonly #shape: Shape;
  readonly #value: Uint8Array;
  #index: number;
  #written = 0;
  #seed: number;

  constructor(sql: SqlPort, shape: Shape, seed: number) {
    this.#sql = sql;
    this.#shape = shape;
    this.#store = new Store(sql);
    this.#index = this.#store.appliedIndex;
    this.#value = new Uint8Array(shape.valueBytes).fill(0x76);
    this.#seed = seed;
  }

  /** Puts of keys that are not there yet, some at a time. False: all are there. */
  fill(): boolean {
    const first = this.#written;
    const count = Math.min(1_000, this.#shape.keys - first);
    if (count <= 0) return false;
    this.#apply(Array.from({ length: count }, (_, n) => this.#keyAt(first + n)));
    this.#written += count;
    return true;
  }

  /** One log entry of random puts, as the store applies them by now. */
  applyEntry(puts: number): void {
    this.#apply(Array.from({ length: puts }, () => this.#randomKey()));
  }

  /** What an update in memory would have to know of the tables: the pairs as they are, read for a whole entry. */
  readEntry(puts: number): number {
    const keys = [...new Map(Array.from({ length: puts }, () => this.#randomKey()).map((key) => [keyText(key), key]))];
    let found = 0;
    for (let first = 0; first < keys.length; first += parametersMax) {
      const part = keys.slice(first, first + parametersMax).map(([, key]) => key);
      const places = part.map(() => '(?)').join(', ');
      const select = `SELECT key, mod, created, version, lease, value FROM (VALUES ${places}) CROSS JOIN head
        ON head.key = column1`;
      found += this.#sql.all(select, ...part).length;
    }
    return found;
  }

  /** So many random puts, one revision each, written at once in the order of their keys. `rows` at most a statement. */
  flush(revisions: number): void {
    let mod = this.#newestMod() + 1;
    const byKey = new Map<string, { readonly key: Uint8Array; readonly versions: Version[] }>();
    const batch = new BinaryWriter(revisions * 64);
    for (let put = 0; put < revisions; put++, mod++) {
      const key = this.#randomKey();
      const text = keyText(key);
      const known = byKey.get(text);
      const version = { mod, value: this.#value };
      if (known === undefined) byKey.set(text, { key, versions: [version] });
      else known.versions.push(version);
      // As much as a batch has of a put: the change, the write's id and its outcome.
      batch.varint(mod);
      batch.bytes(key);
      batch.text(`write-${mod}`);
      batch.varint(mod);
    }
    const texts = [...byKey.keys()].sort();
    this.#supersede(texts.map((text) => this.#entryOf(byKey, text)));
    const later = new Rows(this.#sql, 'INSERT INTO superseded (key, mod, until, created, version, value) VALUES', 6);
    const head = new Rows(this.#sql, 'INSERT OR REPLACE INTO head (key, mod, created, version, value) VALUES', 5);
    for (const text of texts) {
      const { key, versions } = this.#entryOf(byKey, text);
      for (const [place, version] of versions.entries()) {
        const next = versions[place + 1];
        if (next === undefined) head.add([key, version.mod, 2, 3, version.value]);
        else later.add([key, version.mod, next.mod, 2, 3, version.value]);
      }
    }
    later.finish();
    head.finish();
    const body = batch.finish();
    for (let part = 0, offset = 0; offset < body.byteLength; part++, offset += 500_000) {
      const bytes = body.subarray(offset, offset + 500_000);
      const insert = 'INSERT INTO batches (last_revision, log_index, part, writes_total, body) VALUES (?, ?, ?, ?, ?)';
      this.#sql.run(insert, mod, mod, part, 0, bytes);
    }
  }

  #supersede(changed: readonly { readonly key: Uint8Array; readonly versions: readonly Version[] }[]): void {
    const into = 'INSERT INTO superseded (key, mod, until, created, version, lease, value, large)';
    const pairs = parametersMax / 2;
    for (let first = 0; first < changed.length; first += pairs) {
      const part = changed.slice(first, first + pairs);
      const places = part.map(() => '(?, ?)').join(', ');
      this.#sql.run(
        `${into} SELECT key, mod, column2, created, version, lease, value, large
          FROM (VALUES ${places}) CROSS JOIN head ON head.key = column1`,
        ...part.flatMap(({ key, versions }) => [key, versions[0]?.mod ?? 0]),
      );
    }
  }

  #entryOf<Entry>(byKey: ReadonlyMap<string, Entry>, text: string): Entry {
    const entry = byKey.get(text);
    assert(entry !== undefined, 'a key that was changed has its versions');
    return entry;
  }

  #newestMod(): number {
    return Number(this.#sql.all('SELECT max(last_revision) FROM batches')[0]?.[0] ?? 1);
  }

  #apply(keys: readonly Uint8Array[]): void {
    const index = logIndex(++this.#index);
    const commands = keys.map((key, place): Command => ({
      writeId: `w${index}.${place}`,
      caller: service,
      atMs: 1,
      operation: put(key, this.#value),
    }));
    this.#store.apply(index, commands);
  }

  #randomKey(): Uint8Array {
    // Numerical Recipes' generator: neighbours of a seed must not put in step with each other.
    this.#seed = (Math.imul(this.#seed, 1_664_525) + 1_013_904_223) >>> 0;
    return this.#keyAt(Math.floor((this.#seed / 2 ** 32) * this.#shape.keys));
  }

  #keyAt(place: number): Uint8Array {
    return utf8(`registry/pods/namespace-${place % 50}/${String(place).padStart(9, '0')}`);
  }
}

/** Rows of one table, as many to a statement as it takes parameters. */
class Rows {
  readonly #sql: SqlPort;
  readonly #into: string;
  readonly #columns: number;
  readonly #waitingMax: number;
  #waiting: SqlValue[] = [];

  constructor(sql: SqlPort, into: string, columns: number) {
    this.#sql = sql;
    this.#into = into;
    this.#columns = columns;
    this.#waitingMax = Math.floor(parametersMax / columns) * columns;
  }

  add(row: readonly SqlValue[]): void {
    this.#waiting.push(...row);
    if (this.#waiting.length === this.#waitingMax) this.finish();
  }

  finish(): void {
    if (this.#waiting.length === 0) return;
    const row = `(${Array.from({ length: this.#columns }, () => '?').join(', ')})`;
    const rows = Array.from({ length: this.#waiting.length / this.#columns }, () => row).join(', ');
    this.#sql.run(`${this.#into} ${rows}`, ...this.#waiting);
    this.#waiting = [];
  }
}

/** Counts statements, whatever the port below is. */
export class CountingSql extends PassingSql {
  readonly counted: Counted = { statements: 0, rowsWritten: 0 };

  override run(statement: string, ...bindings: readonly SqlValue[]): void {
    this.counted.statements++;
    super.run(statement, ...bindings);
  }

  override all(statement: string, ...bindings: readonly SqlValue[]): SqlRow[] {
    this.counted.statements++;
    return super.all(statement, ...bindings);
  }

  override iterate(statement: string, ...bindings: readonly SqlValue[]): IterableIterator<SqlRow> {
    this.counted.statements++;
    return super.iterate(statement, ...bindings);
  }
}

/** What is measured, by name. */
export type Work =
  | { readonly kind: 'apply'; readonly puts: number; readonly savepoint: boolean }
  | { readonly kind: 'read'; readonly puts: number }
  | { readonly kind: 'flush'; readonly puts: number };

export function runWork(sql: SqlPort, steps: FlushSteps, work: Work): void {
  switch (work.kind) {
    case 'apply':
      if (work.savepoint) sql.transaction(() => steps.applyEntry(work.puts));
      else steps.applyEntry(work.puts);
      return;
    case 'read':
      steps.readEntry(work.puts);
      return;
    case 'flush':
      steps.flush(work.puts);
  }
}
