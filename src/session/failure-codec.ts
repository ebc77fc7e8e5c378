// Failures in bytes: the kind, and each field with its name, so that a client can read those of newer code, too.

import { assert } from '../base/assert.ts';
import { type BinaryReader, type BinaryWriter, MalformedBytesError } from '../base/binary.ts';
import type { FailureData, FailureValue } from '../model/calls.ts';

/** The byte after a field's name, which says what follows. */
const valueCode = { nothing: 0, number: 1, text: 2, bytes: 3, no: 4, yes: 5, texts: 6 } as const;

export function writeFailure(writer: BinaryWriter, failure: FailureData): void {
  const fields = Object.entries(failure).filter(([name]) => name !== 'kind');
  writer.text(failure.kind);
  writer.varint(fields.length);
  for (const [name, value] of fields) {
    writer.text(name);
    writeValue(writer, value);
  }
}

export function readFailure(reader: BinaryReader): FailureData {
  const kind = reader.text();
  const fields: [string, FailureValue][] = [];
  for (let left = reader.count(); left > 0; left--) fields.push([reader.text(), readValue(reader)]);
  return { ...Object.fromEntries(fields), kind };
}

function writeValue(writer: BinaryWriter, value: FailureValue): void {
  if (value === null) return writer.byte(valueCode.nothing);
  if (typeof value === 'boolean') return writer.byte(value ? valueCode.yes : valueCode.no);
  if (typeof value === 'number') {
    writer.byte(valueCode.number);
    return writer.float(value);
  }
  if (typeof value === 'string') {
    writer.byte(valueCode.text);
    return writer.text(value);
  }
  if (value instanceof Uint8Array) {
    writer.byte(valueCode.bytes);
    return writer.bytes(value);
  }
  assert(Array.isArray(value), 'a field of a failure is a number, a text, bytes, a truth or texts');
  writer.byte(valueCode.texts);
  writer.varint(value.length);
  for (const text of value) writer.text(text);
}

function readValue(reader: BinaryReader): FailureValue {
  const code = reader.byte();
  switch (code) {
    case valueCode.nothing:
      return null;
    case valueCode.number:
      return reader.float();
    case valueCode.text:
      return reader.text();
    case valueCode.bytes:
      return reader.bytes();
    case valueCode.no:
      return false;
    case valueCode.yes:
      return true;
    case valueCode.texts:
      return Array.from({ length: reader.count() }, () => reader.text());
    default:
      throw new MalformedBytesError(`a field of kind ${code}`);
  }
}
