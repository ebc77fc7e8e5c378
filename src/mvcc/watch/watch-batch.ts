// What a watcher is handed: the events of whole revisions, cut to the ranges that it watches. One batch serves every
// watcher of the same shape, and its text is made once for each format. This file does not know who watches.

import type { Revision } from '../../model/brands.ts';
import type { KeyRange, KeyValue, RevisionEvents, StoreEvent } from '../../model/store.ts';
import { isLate } from '../revision-writer.ts';

/** What a watch lets through. Watches of one shape receive the same events. */
export type WatchShape = {
  readonly range: KeyRange;
  readonly noPut: boolean;
  readonly noDelete: boolean;
  /** True: events carry the previous pair. */
  readonly previous: boolean;
};

export type WatchBatch = {
  /** The revisions ascend; none is empty, and none is split. */
  readonly revisions: readonly RevisionEvents[];
  /**
   * The revision in the header of the message: the last revision of a live batch, or the store's present one for a
   * watch that catches up (as in etcd).
   */
  readonly headerRevision: Revision;
  /**
   * Whether events are told with their previous pairs. If not, these must not even be looked at, because that may be a
   * read.
   */
  readonly previous: boolean;
};

/** Bytes that an event takes beside key and values: revisions, version, lease and their names on the wire. */
const eventOverheadBytes = 128;

export function eventBytes(event: StoreEvent, withPrevious: boolean): number {
  const bytes = eventOverheadBytes + pairBytes(event.kv);
  // The previous pair of a late event is read when the event is encoded, and not to measure it.
  if (!withPrevious || isLate(event) || event.previous === null) return bytes;
  return bytes + pairBytes(event.previous);
}

function pairBytes(pair: KeyValue): number {
  return pair.key.byteLength + pair.value.byteLength;
}

const batchBytes = new WeakMap<WatchBatch, number>();

/** The bytes of its keys and values, which are summed up once for all who are handed it. */
export function bytesOfBatch(batch: WatchBatch): number {
  let bytes = batchBytes.get(batch);
  if (bytes !== undefined) return bytes;
  bytes = 0;
  for (const { events } of batch.revisions) {
    for (const event of events) bytes += eventBytes(event, batch.previous) - eventOverheadBytes;
  }
  batchBytes.set(batch, bytes);
  return bytes;
}

/** Whether a watch of this shape wants such an event, whatever its range. */
export function lets(shape: WatchShape, event: StoreEvent): boolean {
  return event.type === 'put' ? !shape.noPut : !shape.noDelete;
}

/** Collects the events of one shape, revision by revision, in their order. */
export class EventCollector {
  readonly revisions: RevisionEvents[] = [];
  #current: StoreEvent[] = [];
  #revision: Revision | null = null;

  add(revision: Revision, event: StoreEvent): void {
    if (this.#revision !== revision) {
      this.#revision = revision;
      this.#current = [];
      this.revisions.push({ revision, events: this.#current });
    }
    this.#current.push(event);
  }
}

/** Cuts revisions into batches of at most `bytesMax`; a single larger revision is a batch of its own. */
export function batchesOf(
  revisions: readonly RevisionEvents[],
  options: { readonly bytesMax: number; readonly headerRevision: Revision | 'own'; readonly previous: boolean },
): WatchBatch[] {
  const batches: WatchBatch[] = [];
  let part: RevisionEvents[] = [];
  let bytes = 0;
  const close = (): void => {
    const last = part.at(-1);
    if (last === undefined) return;
    batches.push({
      revisions: part,
      headerRevision: options.headerRevision === 'own' ? last.revision : options.headerRevision,
      previous: options.previous,
    });
    part = [];
    bytes = 0;
  };
  for (const whole of revisions) {
    const more = whole.events.reduce((sum, event) => sum + eventBytes(event, options.previous), 0);
    if (bytes + more > options.bytesMax) close();
    part.push(whole);
    bytes += more;
  }
  close();
  return batches;
}
