// The bytes of the pages of a snapshot. A page says which snapshot it belongs to, where it begins and where it ends, so
// that the receiver mistakes it for no other. Its rows are versions of keys, and after the last of them rows of
// `batches`.

import { unreachable } from '../../base/assert.ts';
import { BinaryReader, BinaryWriter, MalformedBytesError } from '../../base/binary.ts';
import { type LogIndex, logIndex, type Revision, revision } from '../../model/brands.ts';
import { equalBytes } from '../../base/bytes.ts';
import { keyBytesMax, snapshotPartRowsMax } from '../../limits.ts';
import type { SqlRow } from '../../base/sql-port.ts';
import { readNames, readRow, rowBytesMax, writeNames, writeRow } from './generic-rows.ts';
import { beforeAllVersions, type KeptVersion, type VersionCursor } from '../kept-versions.ts';
import { seal, unseal } from '../codec/sealed-bytes.ts';

/**
 * A snapshot is everything that a store holds once `index` is applied: it is then at `revision`, and was compacted at
 * `compacted` (-1: never). Every replica that applied the same log can hand out the rows of the same pages, in the same
 * order.
 */
export type SnapshotName = { readonly index: LogIndex; readonly revision: Revision; readonly compacted: number };

/**
 * The row after which a page begins. Versions come first, in the order of (key, mod), and then batches, in the order of
 * their table. `part`: `allParts` after a whole batch.
 */
export type SnapshotCursor =
  | ({ readonly kind: 'versions' } & VersionCursor)
  | { readonly kind: 'batches'; readonly lastRevision: number; readonly logIndex: number; readonly part: number };

export const beforeVersions: SnapshotCursor & { readonly kind: 'versions' } = {
  kind: 'versions',
  ...beforeAllVersions,
};
export const beforeBatches: SnapshotCursor & { readonly kind: 'batches' } = {
  kind: 'batches',
  lastRevision: 0,
  logIndex: 0,
  part: 0,
};

/**
 * Stands for the last part of a batch. Replicas have one batch in different parts: some applied it at once, others in
 * steps, or with code of another version. So the number of a part means something only to the replica that sent it.
 */
export const allParts = 2 ** 31 - 1;

export type PartCursor = SnapshotCursor & { readonly kind: 'batches' };

/** The cursor, if it lies within a batch or may do so. Null: any replica can go on from it. */
export function withinBatch(cursor: SnapshotCursor): PartCursor | null {
  const isWithin = cursor.kind === 'batches' && cursor.logIndex > 0 && cursor.part !== allParts;
  return isWithin ? cursor : null;
}

export type PageRecord =
  | { readonly kind: 'version'; readonly version: KeptVersion }
  /** The columns of the batches that follow in this page. */
  | { readonly kind: 'columns'; readonly names: readonly string[] }
  | { readonly kind: 'batch'; readonly row: SqlRow }
  /** Nothing follows. */
  | { readonly kind: 'end'; readonly to: Uint8Array; readonly isLast: boolean };

const pageVersion = 1;
const recordKinds: readonly PageRecord['kind'][] = ['version', 'columns', 'batch', 'end'];
/** The bytes of the numbers of a version, with room for their lengths. */
const versionNumbersBytes = 64;
/**
 * The bytes that a page has beside its rows: the key where it begins, the key where it ends, and the names of columns.
 */
export const pageFrameBytesMax = 2 * keyBytesMax + 512;

/** Takes rows up to `bytesMax`, without the frame of the page, or a single larger row. */
export class PageWriter {
  readonly #writer: BinaryWriter;
  readonly #bytesMax: number;
  #rows = 0;
  #names: readonly string[] | null = null;

  constructor(page: { readonly name: SnapshotName; readonly from: Uint8Array | null; readonly bytesMax: number }) {
    const { name, from, bytesMax } = page;
    this.#bytesMax = bytesMax;
    this.#writer = new BinaryWriter(bytesMax + pageFrameBytesMax);
    this.#writer.byte(pageVersion);
    writeName(this.#writer, name);
    this.#writer.boolean(from !== null);
    if (from !== null) this.#writer.bytes(from);
  }

  /** False: the row did not fit any more. */
  addVersion(version: KeptVersion): boolean {
    const { key, value } = version;
    if (!this.#takes(key.byteLength + value.byteLength + versionNumbersBytes)) return false;
    this.#record('version');
    writeVersion(this.#writer, version);
    return true;
  }

  /**
   * Takes all of the rows or none of them. `names`: those of the rows' columns, the same for the whole page. False: the
   * rows did not fit any more.
   */
  addBatch(names: readonly string[], rows: readonly SqlRow[]): boolean {
    if (!this.#takes(batchRowsBytes(rows), rows.length)) return false;
    if (this.#names === null) {
      this.#record('columns');
      writeNames(this.#writer, names);
      this.#names = names;
    }
    for (const row of rows) {
      this.#record('batch');
      writeRow(this.#writer, row);
    }
    return true;
  }

  get isEmpty(): boolean {
    return this.#rows === 0;
  }

  /** False: not even an empty page takes so many rows and bytes together with another row. */
  mayTake(rows: number, bytes: number): boolean {
    return rows < snapshotPartRowsMax && bytes < this.#bytesMax;
  }

  finish(to: Uint8Array, isLast: boolean): Uint8Array {
    this.#record('end');
    this.#writer.bytes(to);
    this.#writer.boolean(isLast);
    return seal(this.#writer);
  }

  #takes(bytes: number, rows = 1): boolean {
    if (this.#rows + rows > snapshotPartRowsMax) return false;
    if (this.#rows + rows > 1 && this.#writer.length + bytes > this.#bytesMax) return false;
    this.#rows += rows;
    return true;
  }

  #record(kind: PageRecord['kind']): void {
    this.#writer.byte(recordKinds.indexOf(kind));
  }
}

function batchRowsBytes(rows: readonly SqlRow[]): number {
  return rows.reduce((bytes, row) => bytes + rowBytesMax(row) + 1, 0);
}

export type ReadPage = {
  readonly name: SnapshotName;
  readonly from: Uint8Array | null;
  /** The records can be read once. The last one is the end. */
  readonly records: Generator<PageRecord, void, void>;
};

/** @throws MalformedBytesError, also while the records are read. */
export function readPage(bytes: Uint8Array): ReadPage {
  const reader = unseal(bytes);
  const version = reader.byte();
  if (version !== pageVersion) throw new MalformedBytesError(`a page of version ${version}`);
  const name = readName(reader);
  const from = reader.boolean() ? reader.bytes() : null;
  return { name, from, records: recordsOf(reader) };
}

function* recordsOf(reader: BinaryReader): Generator<PageRecord, void, void> {
  let columns: number | null = null;
  for (;;) {
    const kind = recordKinds[reader.byte()];
    switch (kind) {
      case 'version':
        yield { kind, version: readVersion(reader) };
        break;
      case 'columns': {
        const names = readNames(reader);
        columns = names.length;
        yield { kind, names };
        break;
      }
      case 'batch':
        if (columns === null) throw new MalformedBytesError('a row without the names of its columns');
        yield { kind, row: readRow(reader, columns) };
        break;
      case 'end': {
        const end = { kind, to: reader.bytes(), isLast: reader.boolean() };
        reader.end();
        yield end;
        return;
      }
      case undefined:
        throw new MalformedBytesError('a record of an unknown kind');
      default:
        unreachable(kind);
    }
  }
}

export function writeName(writer: BinaryWriter, name: SnapshotName): void {
  writer.varint(name.index);
  writer.varint(name.revision);
  writer.varint(name.compacted + 1);
}

export function readName(reader: BinaryReader): SnapshotName {
  const index = logIndex(reader.varint());
  return { index, revision: revision(reader.varint()), compacted: reader.varint() - 1 };
}

export function isSameName(left: SnapshotName, right: SnapshotName): boolean {
  return left.index === right.index && left.revision === right.revision && left.compacted === right.compacted;
}

/** Null: the beginning. */
export function isSameCursor(left: Uint8Array | null, right: Uint8Array | null): boolean {
  return left === null || right === null ? left === right : equalBytes(left, right);
}

export function encodeCursor(cursor: SnapshotCursor): Uint8Array {
  const writer = new BinaryWriter(64);
  writer.boolean(cursor.kind === 'batches');
  if (cursor.kind === 'versions') {
    writer.bytes(cursor.key);
    writer.varint(cursor.mod);
  } else {
    writer.varint(cursor.lastRevision);
    writer.varint(cursor.logIndex);
    writer.varint(cursor.part);
  }
  return writer.finish().slice();
}

export function decodeCursor(bytes: Uint8Array): SnapshotCursor {
  const reader = new BinaryReader(bytes);
  const cursor: SnapshotCursor = reader.boolean()
    ? { kind: 'batches', lastRevision: reader.varint(), logIndex: reader.varint(), part: reader.varint() }
    : { kind: 'versions', key: reader.bytes(), mod: reader.varint() };
  reader.end();
  return cursor;
}

/** 0 stands for a version without an end, because no revision is 0. */
function writeVersion(writer: BinaryWriter, version: KeptVersion): void {
  writer.bytes(version.key);
  writer.varint(version.mod);
  writer.varint(version.until ?? 0);
  writer.varint(version.created);
  writer.varint(version.version);
  writer.boolean(version.lease !== null);
  if (version.lease !== null) writer.text(version.lease);
  writer.bytes(version.value);
}

function readVersion(reader: BinaryReader): KeptVersion {
  const key = reader.bytes();
  const mod = reader.varint();
  const until = reader.varint();
  return {
    key,
    mod,
    until: until === 0 ? null : until,
    created: reader.varint(),
    version: reader.varint(),
    lease: reader.boolean() ? reader.text() : null,
    value: reader.bytes(),
  };
}
