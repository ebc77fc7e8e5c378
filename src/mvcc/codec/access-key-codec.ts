// An access key as a log entry holds it.

import { BinaryReader, BinaryWriter, MalformedBytesError } from '../../base/binary.ts';
import type { AccessKey, AccessRole } from '../../model/store.ts';

const roleCode: Readonly<Record<AccessRole, number>> = { admin: 0, write: 1, read: 2 };

/** The most bytes that a key takes. A character of JavaScript is at most three bytes of UTF-8. */
export function accessKeyBytes({ id, name, prefix, morePrefixes = [] }: AccessKey): number {
  const more = morePrefixes.reduce((sum, each) => sum + 10 + each.byteLength, 10);
  return 56 + 3 * (id.length + name.length) + prefix.byteLength + more;
}

export function hasMorePrefixes({ morePrefixes = [] }: AccessKey): boolean {
  return morePrefixes.length > 0;
}

/** Without its name, as every version of entries has it. */
export function writeAccessKey(writer: BinaryWriter, accessKey: AccessKey): void {
  writer.text(accessKey.id);
  writer.byte(roleCode[accessKey.role]);
  writer.bytes(accessKey.prefix);
  writer.float(accessKey.createdAtMs);
  writer.boolean(accessKey.expiresAtMs !== null);
  if (accessKey.expiresAtMs !== null) writer.float(accessKey.expiresAtMs);
}

export function readAccessKey(reader: BinaryReader): AccessKey {
  return {
    id: reader.text(),
    name: '',
    role: readRole(reader),
    prefix: reader.bytes(),
    createdAtMs: reader.float(),
    expiresAtMs: reader.boolean() ? reader.float() : null,
  };
}

/** Since version 5 of entries. */
export function writeNamedAccessKey(writer: BinaryWriter, accessKey: AccessKey): void {
  writeAccessKey(writer, accessKey);
  writer.text(accessKey.name);
}

export function readNamedAccessKey(reader: BinaryReader): AccessKey {
  return { ...readAccessKey(reader), name: reader.text() };
}

/** Since version 7 of entries. */
export function writePrefixedAccessKey(writer: BinaryWriter, accessKey: AccessKey): void {
  writeNamedAccessKey(writer, accessKey);
  writePrefixes(writer, accessKey.morePrefixes ?? []);
}

export function readPrefixedAccessKey(reader: BinaryReader): AccessKey {
  return { ...readNamedAccessKey(reader), morePrefixes: readPrefixes(reader) };
}

/** As the row of a key has them. */
export function encodePrefixes(prefixes: readonly Uint8Array[]): Uint8Array {
  const writer = new BinaryWriter();
  writePrefixes(writer, prefixes);
  return writer.finish();
}

export function decodePrefixes(bytes: Uint8Array): readonly Uint8Array[] {
  const reader = new BinaryReader(bytes);
  const prefixes = readPrefixes(reader);
  reader.end();
  return prefixes;
}

function writePrefixes(writer: BinaryWriter, prefixes: readonly Uint8Array[]): void {
  writer.varint(prefixes.length);
  for (const prefix of prefixes) writer.bytes(prefix);
}

function readPrefixes(reader: BinaryReader): readonly Uint8Array[] {
  return Array.from({ length: reader.count() }, () => reader.bytes().slice());
}

function readRole(reader: BinaryReader): AccessRole {
  const code = reader.byte();
  switch (code) {
    case roleCode.admin:
      return 'admin';
    case roleCode.write:
      return 'write';
    case roleCode.read:
      return 'read';
    default:
      throw new MalformedBytesError(`a role of number ${code}`);
  }
}
