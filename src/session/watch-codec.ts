// What a session watches, and the events that come of it, in bytes. Events are encoded once for all watches that want
// the same of them, so nothing here names a watch.

import { emptyBytes } from '../base/bytes.ts';
import { BinaryReader, BinaryWriter, MalformedBytesError } from '../base/binary.ts';
import { noLease, type Revision, revision } from '../model/brands.ts';
import { readPair, writePair } from '../model/codec/pair-codec.ts';
import type { KeyRange, KeyValue, RevisionEvents, StoreEvent } from '../model/store.ts';

export type SessionWatch = {
  readonly range: KeyRange;
  /** The first revision that is wanted. 0: what comes after the present one. */
  readonly start: number;
  readonly noPut: boolean;
  readonly noDelete: boolean;
  /** True: events come with the previous pairs. */
  readonly previous: boolean;
};

const watchFlag = { noPut: 1, noDelete: 2, previous: 4 } as const;
const eventFlag = { delete: 1, previous: 2 } as const;

export function writeWatch(writer: BinaryWriter, watch: SessionWatch): void {
  writer.bytes(watch.range.key);
  writer.bytes(watch.range.rangeEnd);
  writer.byte(
    (watch.noPut ? watchFlag.noPut : 0) |
      (watch.noDelete ? watchFlag.noDelete : 0) |
      (watch.previous ? watchFlag.previous : 0),
  );
  writer.varint(watch.start);
}

/** @throws MalformedBytesError, also for a flag that is not known: what it asks for would be passed over. */
export function readWatch(reader: BinaryReader): SessionWatch {
  const range = { key: reader.bytes(), rangeEnd: reader.bytes() };
  const flags = reader.byte();
  if (flags > 7) throw new MalformedBytesError(`flags of a watch: ${flags}`);
  return {
    range,
    start: reader.varint(),
    noPut: (flags & watchFlag.noPut) !== 0,
    noDelete: (flags & watchFlag.noDelete) !== 0,
    previous: (flags & watchFlag.previous) !== 0,
  };
}

/**
 * The events of whole revisions. Without `previous` the previous pairs are not even looked at, because that may be a
 * read. Null: they are more than `bytesMax`.
 */
export function encodeEvents(
  revisions: readonly RevisionEvents[],
  { previous, bytesMax }: { readonly previous: boolean; readonly bytesMax: number },
): Uint8Array | null {
  const writer = new BinaryWriter(1_024);
  for (const { events } of revisions) {
    for (const event of events) {
      writeEvent(writer, event, previous ? event.previous : null);
      if (writer.length > bytesMax) return null;
    }
  }
  return writer.finish();
}

/** The bytes of keys and values are views of `bytes`. Null: the bytes are no events. */
export function decodeEvents(bytes: Uint8Array): readonly RevisionEvents[] | null {
  const reader = new BinaryReader(bytes);
  const revisions: { readonly revision: Revision; readonly events: StoreEvent[] }[] = [];
  try {
    while (reader.remaining > 0) {
      const event = readEvent(reader);
      const at = event.kv.modRevision;
      const last = revisions.at(-1);
      if (last?.revision === at) last.events.push(event);
      else revisions.push({ revision: at, events: [event] });
    }
    return revisions;
  } catch (error) {
    if (error instanceof MalformedBytesError) return null;
    throw error;
  }
}

function writeEvent(writer: BinaryWriter, { type, kv }: StoreEvent, previous: KeyValue | null): void {
  writer.byte((type === 'delete' ? eventFlag.delete : 0) | (previous === null ? 0 : eventFlag.previous));
  if (type === 'put') writePair(writer, kv);
  else {
    writer.bytes(kv.key);
    writer.varint(kv.modRevision);
  }
  if (previous !== null) writePair(writer, previous);
}

function readEvent(reader: BinaryReader): StoreEvent {
  const flags = reader.byte();
  if (flags > 3) throw new MalformedBytesError(`flags of an event: ${flags}`);
  const isDelete = (flags & eventFlag.delete) !== 0;
  const kv = isDelete ? deletedPair(reader.bytes(), revision(reader.varint())) : readPair(reader);
  const previous = (flags & eventFlag.previous) === 0 ? null : readPair(reader);
  return { type: isDelete ? 'delete' : 'put', kv, previous };
}

function deletedPair(key: Uint8Array, modRevision: Revision): KeyValue {
  return { key, value: emptyBytes, createRevision: revision(0), modRevision, version: 0, lease: noLease };
}
