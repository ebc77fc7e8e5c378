// The bytes of a WebSocket's attachment: what a stream watches and what each watch needs next. The platform keeps 16
// KiB for each socket while the object sleeps. If a stream does not fit, its watches are in rows (`watch-rows.ts`).

import { callerText, parseCaller } from '../../api/caller-text.ts';
import { assert } from '../../base/assert.ts';
import { textOf, utf8 } from '../../base/bytes.ts';
import { watchAttachmentBytesMax } from '../../limits.ts';
import type { Caller } from '../../model/store.ts';
import type { SavedStream, SavedWatch } from './watch-channel.ts';

/** Other versions of the code read this: a new layout gets a new number, and an unknown number ends the stream. */
const layout = 2;
/** The watches are in rows. */
const layoutOfRows = 3;
const headBytes = 16;
const watchHeadBytes = 29;
/** After the caller come the number of the stream, and what those of its watches need next that are up to date. */
const rowsBytes = 16;

const flagV3 = 1;
const flagNoPut = 1;
const flagNoDelete = 2;
const flagPrevious = 4;
const flagProgressNotify = 8;
const flagFragment = 16;

export type Attachment =
  | { readonly kind: 'saved'; readonly stream: SavedStream }
  /** `count` watches are in rows. `next`: what those need that are up to date. */
  | ({ readonly kind: 'inRows'; readonly stream: number; readonly next: number; readonly count: number } & SavedHead)
  /** Messages were sent since the stream was last saved, so what the client has is not known here. */
  | { readonly kind: 'stale' };

type SavedHead = { readonly head: Omit<SavedStream, 'watches'> };

/** This stands in place of a stream while its object is awake and sends. */
export const staleAttachment: Uint8Array = Uint8Array.of(0);

export function streamBytes(caller: Caller, watches: Iterable<Pick<SavedWatch, 'shape'>>): number {
  let bytes = headBytes + utf8(callerText(caller)).byteLength;
  for (const watch of watches) bytes += watchBytes(watch);
  return bytes;
}

export function watchBytes({ shape: { range } }: Pick<SavedWatch, 'shape'>): number {
  return watchHeadBytes + range.key.byteLength + range.rangeEnd.byteLength;
}

export function encodeStream(stream: SavedStream): Uint8Array {
  const bytes = new Uint8Array(streamBytes(stream.caller, stream.watches));
  assert(bytes.byteLength <= watchAttachmentBytesMax, 'a stream was taken that does not fit its attachment');
  const view = new DataView(bytes.buffer);
  let offset = writeHead(view, bytes, stream, layout);
  for (const watch of stream.watches) offset = writeWatch(view, bytes, offset, watch);
  return bytes;
}

/** The attachment of a stream whose watches are in rows, with the result of `StreamRows.save`. */
export function encodeStreamOfRows(saved: SavedStream, { stream, next }: { stream: number; next: number }): Uint8Array {
  const bytes = new Uint8Array(streamBytes(saved.caller, []) + rowsBytes);
  const view = new DataView(bytes.buffer);
  const offset = writeHead(view, bytes, saved, layoutOfRows);
  view.setFloat64(offset, stream);
  view.setFloat64(offset + 8, next);
  return bytes;
}

export function encodeWatch(watch: SavedWatch): Uint8Array {
  const bytes = new Uint8Array(watchBytes(watch));
  writeWatch(new DataView(bytes.buffer), bytes, 0, watch);
  return bytes;
}

export function decodeWatch(bytes: Uint8Array): SavedWatch {
  return readWatch(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), bytes, 0);
}

function writeHead(view: DataView, bytes: Uint8Array, stream: SavedStream, number: number): number {
  const caller = utf8(callerText(stream.caller));
  view.setUint8(0, number);
  view.setUint8(1, stream.protocol === 'v3' ? flagV3 : 0);
  view.setUint16(2, caller.byteLength);
  view.setUint32(4, stream.watches.length);
  view.setBigInt64(8, stream.nextId);
  bytes.set(caller, headBytes);
  return headBytes + caller.byteLength;
}

function writeWatch(view: DataView, bytes: Uint8Array, offset: number, watch: SavedWatch): number {
  const { key, rangeEnd } = watch.shape.range;
  view.setBigInt64(offset, watch.id);
  view.setUint8(offset + 8, flagsOf(watch));
  view.setFloat64(offset + 9, watch.start);
  view.setFloat64(offset + 17, watch.next);
  view.setUint16(offset + 25, key.byteLength);
  view.setUint16(offset + 27, rangeEnd.byteLength);
  bytes.set(key, offset + watchHeadBytes);
  bytes.set(rangeEnd, offset + watchHeadBytes + key.byteLength);
  return offset + watchHeadBytes + key.byteLength + rangeEnd.byteLength;
}

function flagsOf({ shape, progressNotify, fragment }: SavedWatch): number {
  return (
    (shape.noPut ? flagNoPut : 0) |
    (shape.noDelete ? flagNoDelete : 0) |
    (shape.previous ? flagPrevious : 0) |
    (progressNotify ? flagProgressNotify : 0) |
    (fragment ? flagFragment : 0)
  );
}

/** Null: the bytes do not have this layout, or are not the attachment of a watch stream. */
export function decodeAttachment(attachment: unknown): Attachment | null {
  if (!(attachment instanceof Uint8Array)) return null;
  if (attachment[0] === staleAttachment[0]) return { kind: 'stale' };
  const [number] = attachment;
  if ((number !== layout && number !== layoutOfRows) || attachment.byteLength < headBytes) return null;
  const view = new DataView(attachment.buffer, attachment.byteOffset, attachment.byteLength);
  let offset = headBytes + view.getUint16(2);
  const caller = parseCaller(textOf(attachment.subarray(headBytes, offset)) ?? '');
  assert(caller !== null, 'an attachment has its caller');
  const protocol = (view.getUint8(1) & flagV3) === 0 ? 'v1' : 'v3';
  const head = { protocol, caller, nextId: view.getBigInt64(8) } as const;
  const count = view.getUint32(4);
  if (number === layoutOfRows) {
    return { kind: 'inRows', head, stream: view.getFloat64(offset), next: view.getFloat64(offset + 8), count };
  }
  const watches: SavedWatch[] = [];
  for (let left = count; left > 0; left--) {
    const watch = readWatch(view, attachment, offset);
    watches.push(watch);
    offset += watchBytes(watch);
  }
  return { kind: 'saved', stream: { ...head, watches } };
}

function readWatch(view: DataView, bytes: Uint8Array, offset: number): SavedWatch {
  const flags = view.getUint8(offset + 8);
  const keyStart = offset + watchHeadBytes;
  const keyEnd = keyStart + view.getUint16(offset + 25);
  return {
    id: view.getBigInt64(offset),
    shape: {
      range: {
        key: bytes.slice(keyStart, keyEnd),
        rangeEnd: bytes.slice(keyEnd, keyEnd + view.getUint16(offset + 27)),
      },
      noPut: (flags & flagNoPut) !== 0,
      noDelete: (flags & flagNoDelete) !== 0,
      previous: (flags & flagPrevious) !== 0,
    },
    start: view.getFloat64(offset + 9),
    next: view.getFloat64(offset + 17),
    progressNotify: (flags & flagProgressNotify) !== 0,
    fragment: (flags & flagFragment) !== 0,
  };
}
