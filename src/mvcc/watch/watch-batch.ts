// What a watcher is handed: the events of whole revisions, cut to what it watches. One batch serves every watcher of
// the same shape, and its text is made once for each format. It does not know who watches.

import type { Revision } from '../../model/brands.ts';
import type { KeyRange, KeyValue, RevisionEvents, StoreEvent } from '../../model/store.ts';
import { isLate } from '../revision-writer.ts';

/** What a watch lets through. Watches of one shape receive the same events. */
export type WatchShape = {
  readonly range: KeyRange;
  readonly noPut: boolean;
  readonly noDelete: boolean;
  /** Events carry the pair as it was before. */
  readonly previous: boolean;
};

export type WatchBatch = {
  /** Ascending; none is empty, none is split. */
  readonly revisions: readonly RevisionEvents[];
  /**
   * What the answer's header shows: a live batch's own last revision, in catch-up the store's current one (as etcd
   * does).
   */
  readonly headerRevision: Revision;
  /**
   * Whether events are told with the pair before them. Where not, it must not even be looked at: that may be a read.
   */
  readonly previous: boolean;
};

/** What a format makes of a batch, made once however many watchers receive it, and gone with the batch. */
export class EncodedOnce<Encoded> {
  readonly #encode: (batch: WatchBatch) => Encoded;
  readonly #made = new WeakMap<WatchBatch, { readonly encoded: Encoded }>();

  constructor(encode: (batch: WatchBatch) => Encoded) {
    this.#encode = encode;
  }

  of(batch: WatchBatch): Encoded {
    const known = this.#made.get(batch);
    if (known !== undefined) return known.encoded;
    const encoded = this.#encode(batch);
    this.#made.set(batch, { encoded });
    return encoded;
  }
}

/** Bytes that an event takes beside key and values: revisions, version, lease and their names on the wire. */
const eventOverheadBytes = 128;

export function eventBytes(event: StoreEvent, withPrevious: boolean): number {
  const bytes = eventOverheadBytes + pairBytes(event.kv);
  // A late event's earlier pair is read when it is encoded, and not to measure it.
  if (!withPrevious || isLate(event) || event.previous === null) return bytes;
  return bytes + pairBytes(event.previous);
}

function pairBytes(pair: KeyValue): number {
  return pair.key.byteLength + pair.value.byteLength;
}

/** Whether a watch of this shape wants such an event, the range aside. */
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
