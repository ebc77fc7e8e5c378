// A watch stream of etcd's at its replica, between the hub that knows the events and the machine that knows what etcd
// answers (`api/v3/watch-stream.ts`). What the stream must not forget while the object sleeps is saved here, and taken
// up again.

import type { ResponseHeader } from '../../api/contract.ts';
import { etcdWords, type Failure, streamErrorText } from '../../api/errors/errors.ts';
import { decodeWatchRequest, watchResponse } from '../../api/v3/watch.ts';
import { jsonEvents } from '../../api/v3/watch-events.ts';
import { cancelReasons, fullReasons, permissionReason } from '../../api/v3/watch-reasons.ts';
import { type StreamWatch, WatchStream } from '../../api/v3/watch-stream.ts';
import { assert, unreachable } from '../../base/assert.ts';
import { revision as asRevision } from '../../model/brands.ts';
import { watchesPerStreamMax } from '../../limits.ts';
import { isEmptyRange } from '../../model/key-range.ts';
import type { Caller, KeyRange } from '../../model/store.ts';
import type { WatchBatch } from '../../mvcc/watch/watch-batch.ts';
import { Watcher, type WatchEnd, type WatchRefusal, type WatchSink } from '../../mvcc/watch/watch-hub.ts';
import {
  type Room,
  type SavedStream,
  type SavedWatch,
  type StreamEnd,
  type WatchChannel,
  type WatchStreamContext,
} from './watch-channel.ts';

type Watch = StreamWatch<Watcher>;

export class V3WatchStream implements WatchSink {
  readonly #context: WatchStreamContext;
  readonly #channel: WatchChannel;
  readonly #byWatcher = new Map<Watcher, Watch>();
  readonly #stream: WatchStream<Watcher, string>;

  constructor(context: WatchStreamContext, channel: WatchChannel) {
    this.#context = context;
    this.#channel = channel;
    const { hub, header } = context;
    const progressOf = (watches: readonly Watch[]): ResponseHeader | null => {
      const revision = hub.progress(watches.map(watcherOf));
      return revision === null ? null : header(revision);
    };
    this.#stream = new WatchStream<Watcher, string>(
      {
        open: (watch, asked) => this.#open(watch, asked),
        end: (watch) => this.#end(watch),
        changed: () => channel.changed(),
        goOn: () => undefined,
        position: (then) => then(header(hub.revision)),
        header: () => header(hub.revision),
        // This is answered only if every watch is up to date; otherwise the client asks again.
        askProgress: (watches, then) => {
          const at = progressOf(watches);
          if (at !== null) then(at);
        },
        progressOf: (watch) => progressOf([watch]),
      },
      { ...jsonEvents, write: (at, answer, events) => channel.send(watchResponse(at, answer, events ?? '')) },
      watchesPerStreamMax,
    );
  }

  get caller(): Caller {
    return this.#context.caller;
  }

  /**
   * Takes one message of the client. Returns why it could not be read: the stream should then end, because it is not
   * known what else came with it.
   */
  message(message: string | Uint8Array): string | null {
    return this.#stream.take(decodeWatchRequest(message));
  }

  #open(watch: Watch, asked: KeyRange): void {
    const { hub, authorize, header } = this.#context;
    const failure = authorize(asked);
    if (failure !== null) return this.#stream.refused(watch, permissionReason(failure));
    if (isEmptyRange(asked)) return this.#stream.refused(watch, cancelReasons.emptyRange);
    const others = [...this.#stream.watches.values()];
    if (!this.#channel.holds([...others, watch].map(({ wanted }) => ({ shape: wanted })))) {
      return this.#stream.refused(watch, fullReasons.streamFull);
    }
    const watcher = hub.create(watch.wanted, this);
    if (!(watcher instanceof Watcher)) return this.#stream.refused(watch, reasonOf(watcher));
    this.#add(watch, watcher);
    this.#stream.created(watch, header(hub.revision));
  }

  #add(watch: Watch, watcher: Watcher): void {
    watch.handle = watcher;
    this.#byWatcher.set(watcher, watch);
  }

  #end(watch: Watch): void {
    const { handle } = watch;
    if (handle === null) return;
    watch.handle = null;
    this.#byWatcher.delete(handle);
    this.#context.hub.delete(handle);
  }

  // What the hub says

  receive(watcher: Watcher, batch: WatchBatch): void {
    const watch = this.#byWatcher.get(watcher);
    if (watch !== undefined) this.#stream.events(watch, batch.revisions, this.#context.header(batch.headerRevision));
  }

  ended(watcher: Watcher, end: WatchEnd): void {
    const watch = this.#byWatcher.get(watcher);
    if (watch === undefined) return;
    this.#end(watch);
    this.#stream.ended(watch, end);
  }

  room(): Room {
    return this.#channel.room();
  }

  // What the service says

  /** The object tells what it is to tell after a while as long as it is awake. */
  tick(nowMs: number): void {
    this.#stream.tick(nowMs);
  }

  /** Why the caller may no longer read what one of the watches tells. */
  lost(): Failure | null {
    for (const { wanted } of this.#stream.watches.values()) {
      const failure = this.#context.mayGoOn(wanted.range);
      if (failure !== null) return failure;
    }
    return null;
  }

  /** Ends every watch with a last message, and the connection. */
  end(end: StreamEnd): void {
    this.#stream.end(end.reason === 'accessEnded' ? permissionReason(end.failure) : etcdWords(end.failure));
    if (end.reason === 'timeout' || end.reason === 'badMessage') this.#channel.send(streamErrorText(end.failure));
    this.#channel.close(end.failure);
  }

  /** The connection is gone. */
  dispose(): void {
    this.#stream.dispose();
  }

  save(): SavedStream {
    const { hub } = this.#context;
    const watches = [...this.#stream.watches.values()].map((watch): SavedWatch => {
      const { id, wanted, progressNotify, fragment } = watch;
      const watcher = watcherOf(watch);
      const start = watcher.start > hub.revision ? watcher.start : 0;
      return { id, shape: wanted, start, next: hub.nextRevision(watcher), progressNotify, fragment };
    });
    return { protocol: 'v3', caller: this.caller, nextId: this.#stream.nextId, watches };
  }

  /** Goes on where the saved stream was. The client is told nothing: for it there was no break. */
  restore(saved: SavedStream): void {
    const watches = saved.watches.map(({ id, shape, start, next, progressNotify, fragment }): Watch => {
      const wanted = { ...shape, start };
      const watcher = this.#context.hub.create(wanted, this, asRevision(next));
      assert(watcher instanceof Watcher, 'a saved watch is one that the hub took before');
      const watch = { id, wanted, progressNotify, fragment, handle: null, quiet: false, ended: null, step: null };
      this.#add(watch, watcher);
      return watch;
    });
    this.#stream.restore(saved.nextId, watches);
  }
}

function watcherOf({ handle }: Watch): Watcher {
  assert(handle !== null, 'a watch of a stream is at the hub');
  return handle;
}

function reasonOf(refusal: WatchRefusal): string {
  switch (refusal) {
    case 'negativeStart':
      return cancelReasons.compacted;
    case 'emptyRange':
      return cancelReasons.emptyRange;
    case 'tooManyWatchers':
    case 'tooManyOfTenant':
      return fullReasons[refusal];
    default:
      return unreachable(refusal);
  }
}
