// Rows of tables whose columns are not known here: the sender names the columns, and the receiver writes the values
// into the columns of those names. A column that only one of the two has belongs to another format of the store.

import { type BinaryReader, type BinaryWriter, MalformedBytesError } from '../../base/binary.ts';
import type { SqlPort, SqlRow, SqlValue } from '../../base/sql-port.ts';
import { textFrom } from '../rows.ts';

const tag = { nothing: 0, whole: 1, float: 2, text: 3, bytes: 4 } as const;

/**
 * The names of a table's columns. Select these, never `*`: a statement that was prepared before a column was added may
 * answer the first time as if it were not there.
 */
export function columnsOf(sql: SqlPort, table: string): readonly string[] {
  return sql.all(`PRAGMA table_info(${table})`).map((row) => textFrom(row[1]));
}

export function writeNames(writer: BinaryWriter, names: readonly string[]): void {
  writer.varint(names.length);
  for (const name of names) writer.text(name);
}

export function readNames(reader: BinaryReader): readonly string[] {
  return Array.from({ length: reader.count() }, () => reader.text());
}

/** The reader must know how many columns there are. */
export function writeRow(writer: BinaryWriter, row: SqlRow): void {
  for (const value of row) writeValue(writer, value);
}

export function readRow(reader: BinaryReader, columns: number): SqlRow {
  return Array.from({ length: columns }, () => readValue(reader));
}

/** An upper bound of the bytes that `writeRow` takes. */
export function rowBytesMax(row: SqlRow): number {
  let bytes = 0;
  for (const value of row) {
    // A character of text takes three bytes of UTF-8 at most; a tag and a number, or a length, take nine.
    bytes += 9 + (typeof value === 'string' ? 3 * value.length : value instanceof Uint8Array ? value.byteLength : 0);
  }
  return bytes;
}

function writeValue(writer: BinaryWriter, value: SqlValue): void {
  if (value === null) return writer.byte(tag.nothing);
  if (typeof value === 'number') {
    const isWhole = Number.isSafeInteger(value) && value >= 0;
    writer.byte(isWhole ? tag.whole : tag.float);
    return isWhole ? writer.varint(value) : writer.float(value);
  }
  if (typeof value === 'string') {
    writer.byte(tag.text);
    return writer.text(value);
  }
  writer.byte(tag.bytes);
  writer.bytes(value);
}

function readValue(reader: BinaryReader): SqlValue {
  const kind = reader.byte();
  switch (kind) {
    case tag.nothing:
      return null;
    case tag.whole:
      return reader.varint();
    case tag.float:
      return reader.float();
    case tag.text:
      return reader.text();
    case tag.bytes:
      return reader.bytes();
    default:
      throw new MalformedBytesError(`a value of kind ${kind}`);
  }
}
