// The bytes of a WebSocket's attachment: what a stream watches and what each watch needs next. The platform keeps 16 KiB for
// each socket while the object sleeps; a stream that does not fit is refused when a watch is created, never later.

import { callerText, parseCaller } from '../api/routing.ts';
import { assert } from '../assert.ts';
import { textOf, utf8 } from '../bytes.ts';
import { watchAttachmentBytesMax } from '../limits.ts';
import type { Caller } from '../model.ts';
import type { SavedStream, SavedWatch } from './watch-channel.ts';

/** Read by other versions of the code: a new layout gets a new number, and an unknown one ends the stream. */
const layout = 2;
const headBytes = 16;
const watchHeadBytes = 29;

const flagV3 = 1;
const flagNoPut = 1;
const flagNoDelete = 2;
const flagPrevious = 4;
const flagProgressNotify = 8;
const flagFragment = 16;

export type Attachment =
  | { readonly kind: 'saved'; readonly stream: SavedStream }
  /** Messages were sent since the stream was last saved: what the client has is not known here. */
  | { readonly kind: 'stale' };

/** Stands in the place of a stream while its object is awake and sends. */
export const staleAttachment: Uint8Array = Uint8Array.of(0);

export function streamBytes(caller: Caller, watches: Iterable<Pick<SavedWatch, 'shape'>>): number {
  let bytes = headBytes + utf8(callerText(caller)).byteLength;
  for (const { shape } of watches) {
    bytes += watchHeadBytes + shape.range.key.byteLength + shape.range.rangeEnd.byteLength;
  }
  return bytes;
}

export function encodeStream(stream: SavedStream): Uint8Array {
  const bytes = new Uint8Array(streamBytes(stream.caller, stream.watches));
  assert(bytes.byteLength <= watchAttachmentBytesMax, 'a stream was taken that does not fit its attachment');
  const view = new DataView(bytes.buffer);
  const caller = utf8(callerText(stream.caller));
  view.setUint8(0, layout);
  view.setUint8(1, stream.protocol === 'v3' ? flagV3 : 0);
  view.setUint16(2, caller.byteLength);
  view.setUint32(4, stream.watches.length);
  view.setBigInt64(8, stream.nextId);
  bytes.set(caller, headBytes);
  let offset = headBytes + caller.byteLength;
  for (const watch of stream.watches) offset = writeWatch(view, bytes, offset, watch);
  return bytes;
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

/** null: not of this layout, or not an attachment of a watch stream. */
export function decodeAttachment(attachment: unknown): Attachment | null {
  if (!(attachment instanceof Uint8Array)) return null;
  if (attachment[0] === staleAttachment[0]) return { kind: 'stale' };
  if (attachment[0] !== layout || attachment.byteLength < headBytes) return null;
  const view = new DataView(attachment.buffer, attachment.byteOffset, attachment.byteLength);
  const flags = view.getUint8(1);
  const callerEnd = headBytes + view.getUint16(2);
  const caller = parseCaller(textOf(attachment.subarray(headBytes, callerEnd)) ?? '');
  assert(caller !== null, 'an attachment has its caller');
  const watches: SavedWatch[] = [];
  let offset = callerEnd;
  for (let count = view.getUint32(4); count > 0; count--) {
    const watch = readWatch(view, attachment, offset);
    watches.push(watch);
    offset += watchHeadBytes + watch.shape.range.key.byteLength + watch.shape.range.rangeEnd.byteLength;
  }
  return {
    kind: 'saved',
    stream: {
      protocol: (flags & flagV3) === 0 ? 'v1' : 'v3',
      caller,
      nextId: view.getBigInt64(8),
      watches,
    },
  };
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
