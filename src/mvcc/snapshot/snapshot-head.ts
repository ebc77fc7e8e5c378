// The head of a snapshot: every table of the store that is small and changes in place, whole, as it was when the
// snapshot was opened. These are all tables that are not paged, so a table that is added later travels, too.

import { assert } from '../../base/assert.ts';
import { type BinaryReader, BinaryWriter, MalformedBytesError } from '../../base/binary.ts';
import { snapshotHeadPartBytes } from '../../limits.ts';
import type { SqlPort, SqlRow } from '../../base/sql-port.ts';
import { columnsOf, readNames, readRow, rowBytesMax, writeNames, writeRow } from './generic-rows.ts';
import { numberOf } from '../rows.ts';
import { readMeta, schemaStatements } from '../schema.ts';
import { seal, unseal } from '../codec/sealed-bytes.ts';
import { isSameName, readName, type SnapshotName, writeName } from './snapshot-page.ts';

/** These tables go page by page. `lease_keys` says no more than the leases of the versions do. */
const pagedTables: ReadonlySet<string> = new Set(['head', 'superseded', 'large_values', 'batches', 'lease_keys']);
/** The progress of the sweep, which concerns this replica alone. */
const localMeta = 'sweep';

export type HeadRecord =
  /** The table of the rows that follow. */
  | { readonly kind: 'table'; readonly table: string; readonly names: readonly string[] }
  | { readonly kind: 'row'; readonly row: SqlRow };
/**
 * `format`: that of the store. The records are read as they are asked for, once, and reading them throws
 * MalformedBytesError.
 */
export type ReadHead = { readonly format: number; readonly records: Generator<HeadRecord, void, void> };

const headVersion = 1;
const record = { table: 0, row: 1, end: 2 } as const;

/** The names of the tables of a store of that format. */
export function tablesOf(format: number): readonly string[] {
  const names = schemaStatements(format).map((statement) => /^CREATE TABLE (\w+)/.exec(statement)?.[1]);
  return names.filter((name) => name !== undefined);
}

/** The tables that the head holds. */
export function headTables(format: number): readonly string[] {
  return tablesOf(format).filter((table) => !pagedTables.has(table));
}

/** Each part is at most snapshotHeadPartBytes, or one row. */
export function encodeHead(sql: SqlPort, name: SnapshotName): readonly Uint8Array[] {
  const format = numberOf(readMeta(sql, 'format'));
  const head = new HeadWriter(name, format);
  for (const table of headTables(format)) {
    const columns = columnsOf(sql, table);
    head.beginTable(table, columns);
    for (const row of sql.iterate(`SELECT ${columns.join(', ')} FROM ${table}`)) {
      if (table !== 'mvcc_meta' || row[0] !== localMeta) head.add(row);
    }
  }
  return head.finish();
}

class HeadWriter {
  readonly #name: SnapshotName;
  readonly #format: number;
  readonly #parts: Uint8Array[] = [];
  #writer: BinaryWriter;
  #table: { readonly name: string; readonly columns: readonly string[] } | null = null;

  constructor(name: SnapshotName, format: number) {
    this.#name = name;
    this.#format = format;
    this.#writer = this.#partWriter();
  }

  beginTable(name: string, columns: readonly string[]): void {
    this.#table = { name, columns };
    this.#writeTable();
  }

  add(row: SqlRow): void {
    if (this.#writer.length + rowBytesMax(row) + 2 > snapshotHeadPartBytes) {
      this.#closePart(false);
      this.#writer = this.#partWriter();
      this.#writeTable();
    }
    this.#writer.byte(record.row);
    writeRow(this.#writer, row);
  }

  finish(): readonly Uint8Array[] {
    this.#closePart(true);
    return this.#parts;
  }

  #partWriter(): BinaryWriter {
    const writer = new BinaryWriter();
    writer.byte(headVersion);
    writeName(writer, this.#name);
    writer.varint(this.#format);
    writer.varint(this.#parts.length);
    return writer;
  }

  /** Every part begins with this, so that it can be read by itself. */
  #writeTable(): void {
    assert(this.#table !== null, 'rows belong to a table');
    this.#writer.byte(record.table);
    this.#writer.text(this.#table.name);
    writeNames(this.#writer, this.#table.columns);
  }

  #closePart(isLast: boolean): void {
    this.#writer.byte(record.end);
    this.#writer.boolean(isLast);
    this.#parts.push(seal(this.#writer));
  }
}

/** @throws MalformedBytesError where the parts are not the head of that snapshot. */
export function readHead(parts: readonly Uint8Array[], name: SnapshotName): ReadHead {
  const [first] = parts;
  if (first === undefined) throw new MalformedBytesError('a head of no parts');
  const { format } = openPart(first, name, 0);
  return { format, records: recordsOf(parts, name) };
}

function openPart(
  bytes: Uint8Array,
  name: SnapshotName,
  place: number,
): { readonly format: number; readonly reader: BinaryReader } {
  const reader = unseal(bytes);
  const version = reader.byte();
  if (version !== headVersion) throw new MalformedBytesError(`a head of version ${version}`);
  if (!isSameName(readName(reader), name)) throw new MalformedBytesError('the head of another snapshot');
  const format = reader.varint();
  const part = reader.varint();
  if (part !== place) throw new MalformedBytesError(`part ${part} of a head in the place of part ${place}`);
  return { format, reader };
}

function* recordsOf(parts: readonly Uint8Array[], name: SnapshotName): Generator<HeadRecord, void, void> {
  for (const [place, bytes] of parts.entries()) {
    const { reader } = openPart(bytes, name, place);
    const isLast = yield* recordsOfPart(reader);
    if (isLast !== (place === parts.length - 1))
      throw new MalformedBytesError('a head that lacks parts, or has too many');
  }
}

/** Returns whether this is the last part. */
function* recordsOfPart(reader: BinaryReader): Generator<HeadRecord, boolean, void> {
  let columns: number | null = null;
  for (;;) {
    const kind = reader.byte();
    if (kind === record.table) {
      const table = reader.text();
      const names = readNames(reader);
      columns = names.length;
      yield { kind: 'table', table, names };
    } else if (kind === record.row && columns !== null) {
      yield { kind: 'row', row: readRow(reader, columns) };
    } else if (kind === record.end) {
      const isLast = reader.boolean();
      reader.end();
      return isLast;
    } else {
      throw new MalformedBytesError(`a record of kind ${kind}`);
    }
  }
}
