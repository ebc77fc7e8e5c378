// One v1 watch at its replica, between the hub that knows the events and the machine that knows what its client hears
// (`api/v1/watch-stream.ts`). What must not be forgotten while the object sleeps is saved here, and taken up again.

import type { WatchParameters } from '../../api/contract.ts';
import type { Failure } from '../../api/errors/errors.ts';
import { frameTexts, type V1Transport } from '../../api/v1/watch.ts';
import { type V1Written, WatchStream, writtenBy } from '../../api/v1/watch-stream.ts';
import { assert, unreachable } from '../../base/assert.ts';
import { revision as asRevision } from '../../model/brands.ts';
import type { Caller } from '../../model/store.ts';
import type { WatchBatch, WatchShape } from '../../mvcc/watch/watch-batch.ts';
import { Watcher, type WatchEnd, type WatchSink } from '../../mvcc/watch/watch-hub.ts';
import {
  type Room,
  type SavedStream,
  type StreamEnd,
  type WatchChannel,
  type WatchStreamContext,
} from './watch-channel.ts';

const written: Readonly<Record<V1Transport, V1Written<string>>> = {
  websocket: writtenBy(frameTexts.websocket),
  sse: writtenBy(frameTexts.sse),
  ndjson: writtenBy(frameTexts.ndjson),
};

export class V1WatchStream implements WatchSink {
  readonly #context: WatchStreamContext;
  readonly #channel: WatchChannel;
  readonly #transport: V1Transport;
  #watcher: Watcher | null = null;
  #stream: WatchStream<string> | null = null;

  constructor(context: WatchStreamContext, channel: WatchChannel, transport: V1Transport) {
    this.#context = context;
    this.#channel = channel;
    this.#transport = transport;
  }

  get caller(): Caller {
    return this.#context.caller;
  }

  /** The range holds a key, and the replica has room for a watcher: the service has looked. */
  open(parameters: WatchParameters): void {
    const { range, from, previous } = parameters;
    const { hub } = this.#context;
    const watcher = hub.create({ range, noPut: false, noDelete: false, previous, start: from ?? 0 }, this);
    assert(watcher instanceof Watcher, 'a v1 watch was opened that the hub refuses');
    this.#begin(watcher).created(hub.revision, hub.nextRevision(watcher));
    this.#channel.changed();
  }

  #begin(watcher: Watcher): WatchStream<string> {
    this.#watcher = watcher;
    const { hub } = this.#context;
    const told = (): number | null => (this.#watcher === null ? null : hub.progress([this.#watcher]));
    const channel = this.#channel;
    const stream: WatchStream<string> = new WatchStream(
      {
        revision: () => hub.revision,
        told,
        askProgress: () => {
          const revision = told();
          if (revision !== null) stream.progress(revision);
        },
        end: () => this.dispose(),
      },
      {
        written: written[this.#transport],
        previous: watcher.shape.previous,
        send: (message) => channel.send(message),
        close: (closing) => channel.close(closing),
        needsSigns: () => channel.needsSigns,
      },
    );
    this.#stream = stream;
    return stream;
  }

  /** Takes a frame of the client. Returns why the stream does not take it. */
  message(message: string | Uint8Array): Failure | null {
    return this.#stream?.message(message) ?? null;
  }

  receive(_watcher: Watcher, { revisions }: WatchBatch): void {
    this.#stream?.events(revisions);
  }

  ended(_watcher: Watcher, end: WatchEnd): void {
    this.#watcher = null;
    switch (end.kind) {
      case 'compacted':
        return this.#stream?.fail(end);
      case 'slow':
        return this.#stream?.slow(end.resume);
      case 'tooLarge':
        return this.#stream?.tooLarge();
      default:
        unreachable(end);
    }
  }

  room(): Room {
    return this.#channel.room();
  }

  /** Tells a quiet client how far it is, while the object is awake. */
  tick(nowMs: number): void {
    this.#stream?.tick(nowMs);
  }

  lost(): Failure | null {
    return this.#watcher === null ? null : this.#context.mayGoOn(this.#watcher.shape.range);
  }

  end({ failure }: StreamEnd): void {
    this.#stream?.fail(failure);
  }

  dispose(): void {
    if (this.#watcher !== null) this.#context.hub.delete(this.#watcher);
    this.#watcher = null;
  }

  save(): SavedStream {
    const watcher = this.#watcher;
    assert(watcher !== null, 'a v1 stream is saved while it watches');
    const { hub } = this.#context;
    const start = watcher.start > hub.revision ? watcher.start : 0;
    const next = hub.nextRevision(watcher);
    const watch = { id: 0n, shape: watcher.shape, start, next, progressNotify: false, fragment: false };
    return { protocol: 'v1', caller: this.caller, nextId: 0n, watches: [watch] };
  }

  restore(saved: SavedStream): void {
    const [watch] = saved.watches;
    assert(watch !== undefined, 'a v1 stream was saved without its watch');
    const { shape, start, next } = watch;
    const wanted: WatchShape & { readonly start: number } = { ...shape, start };
    const watcher = this.#context.hub.create(wanted, this, asRevision(next));
    assert(watcher instanceof Watcher, 'a saved watch is one that the hub took before');
    this.#begin(watcher);
  }
}
