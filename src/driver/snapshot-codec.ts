// The messages of a snapshot in an envelope.

import { unreachable } from '../base/assert.ts';
import { type BinaryReader, type BinaryWriter, MalformedBytesError } from '../base/binary.ts';
import { logIndex, type ReplicaId, term } from '../model/brands.ts';
import { readName, writeName } from '../mvcc/snapshot/snapshot-page.ts';
import type { PeerMessage, SnapshotMessage, TransferPoint } from './snapshot-messages.ts';

const kinds: readonly string[] = [
  'snapshotAsk',
  'snapshotPart',
  'snapshotGone',
  'diverged',
] as const satisfies readonly SnapshotMessage['kind'][];

type Sides = { readonly from: ReplicaId; readonly to: ReplicaId };

export function isSnapshotKind(kind: PeerMessage['kind']): kind is SnapshotMessage['kind'] {
  return kinds.includes(kind);
}

export function isSnapshotMessage(message: PeerMessage): message is SnapshotMessage {
  return isSnapshotKind(message.kind);
}

export function writeSnapshotMessage(writer: BinaryWriter, message: SnapshotMessage): void {
  switch (message.kind) {
    case 'snapshotAsk':
      writer.boolean(message.name !== null);
      if (message.name !== null) writeName(writer, message.name);
      return writePoint(writer, message.point);
    case 'snapshotPart':
      writeName(writer, message.name);
      writer.varint(message.term);
      writer.bytes(message.configuration);
      writePoint(writer, message.point);
      writer.bytes(message.bytes);
      writer.boolean(message.next !== null);
      if (message.next !== null) writePoint(writer, message.next);
      return;
    case 'snapshotGone':
      return writeName(writer, message.name);
    case 'diverged':
      writer.varint(message.index);
      return writer.varint(message.hash);
    default:
      return unreachable(message);
  }
}

export function readSnapshotMessage(
  reader: BinaryReader,
  kind: SnapshotMessage['kind'],
  sides: Sides,
): SnapshotMessage {
  switch (kind) {
    case 'snapshotAsk': {
      const name = reader.boolean() ? readName(reader) : null;
      return { ...sides, kind, name, point: readPoint(reader) };
    }
    case 'snapshotPart': {
      const name = readName(reader);
      const entryTerm = term(reader.varint());
      const configuration = reader.bytes();
      const point = readPoint(reader);
      const bytes = reader.bytes();
      const next = reader.boolean() ? readPoint(reader) : null;
      return { ...sides, kind, name, term: entryTerm, configuration, point, bytes, next };
    }
    case 'snapshotGone':
      return { ...sides, kind, name: readName(reader) };
    case 'diverged':
      return { ...sides, kind, index: logIndex(reader.varint()), hash: reader.varint() };
    default:
      return unreachable(kind);
  }
}

function writePoint(writer: BinaryWriter, point: TransferPoint): void {
  if (point.kind === 'head') {
    writer.byte(0);
    return writer.varint(point.part);
  }
  writer.byte(point.after === null ? 1 : 2);
  if (point.after !== null) writer.bytes(point.after);
}

function readPoint(reader: BinaryReader): TransferPoint {
  const code = reader.byte();
  if (code === 0) return { kind: 'head', part: reader.varint() };
  if (code > 2) throw new MalformedBytesError(`a place of kind ${code}`);
  return { kind: 'rows', after: code === 1 ? null : reader.bytes() };
}
