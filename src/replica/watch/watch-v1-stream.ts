// One v1 watch: one range, one connection. `created` comes first, then events, and progress while nothing happens.
// There is at most one `canceled`, which is the last message.

import type { WatchParameters } from '../../api/contract.ts';
import type { Failure } from '../../api/errors/errors.ts';
import {
  canceledFrame,
  createdFrame,
  frameTexts,
  parseWatchFrame,
  progressFrame,
  revisionsFrame,
  unknownFrame,
  type V1Transport,
  type WatchFrame,
} from '../../api/v1/watch.ts';
import { assert, unreachable } from '../../base/assert.ts';
import { EncodedOnce } from '../../base/encoded-once.ts';
import { revision as asRevision, type Revision } from '../../model/brands.ts';
import { watchQuietMs } from '../../limits.ts';
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

function eventsOn(transport: V1Transport): EncodedOnce<WatchBatch, string | null> {
  return new EncodedOnce((batch) => {
    const frame = revisionsFrame(batch);
    return frame === null ? null : frameTexts[transport](frame);
  });
}

const eventFrames: Readonly<Record<V1Transport, EncodedOnce<WatchBatch, string | null>>> = {
  websocket: eventsOn('websocket'),
  sse: eventsOn('sse'),
  ndjson: eventsOn('ndjson'),
};

export class V1WatchStream implements WatchSink {
  readonly #context: WatchStreamContext;
  readonly #channel: WatchChannel;
  readonly #transport: V1Transport;
  #watcher: Watcher | null = null;
  /** The newest revision that the client was told. */
  #told: Revision = asRevision(0);
  #spokeMs: number | null = null;
  #spoke = true;

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
    const shape: WatchShape = { range, noPut: false, noDelete: false, previous };
    const watcher = this.#context.hub.create({ ...shape, start: from ?? 0 }, this);
    assert(watcher instanceof Watcher, 'a v1 watch was opened that the hub refuses');
    this.#watcher = watcher;
    const { hub } = this.#context;
    const next = hub.nextRevision(watcher);
    this.#say(createdFrame({ revision: hub.revision, from: next }), asRevision(next - 1));
    this.#channel.changed();
  }

  /** Takes a frame of the client. Returns why the stream does not take it. */
  message(message: string | Uint8Array): Failure | null {
    if (parseWatchFrame(message) === 'unknown') {
      return unknownFrame;
    }
    const revision = this.#watcher === null ? null : this.#context.hub.progress([this.#watcher]);
    if (revision !== null) this.#say(progressFrame(revision), revision);
    return null;
  }

  receive(_watcher: Watcher, batch: WatchBatch): void {
    const frame = eventFrames[this.#transport].of(batch);
    if (frame === null) return this.end({ reason: 'tooLarge', failure: { kind: 'answerTooLarge' } });
    this.#spoke = true;
    this.#told = lastRevision(batch);
    this.#channel.send(frame);
  }

  ended(_watcher: Watcher, end: WatchEnd): void {
    this.#watcher = null;
    switch (end.kind) {
      case 'compacted':
        this.#write(canceledFrame(this.#context.hub.revision, { reason: 'failed', failure: end }));
        break;
      case 'slow':
        this.#write(canceledFrame(this.#context.hub.revision, { reason: 'slow', resumeFrom: end.resume }));
        break;
      case 'tooLarge':
        return this.end({ reason: 'tooLarge', failure: { kind: 'answerTooLarge' } });
      default:
        unreachable(end);
    }
    this.#channel.close(end);
  }

  room(): Room {
    return this.#channel.room();
  }

  /** Tells a quiet client how far it is, while the object is awake: a revision to resume from, and a sign of life. */
  tick(nowMs: number): void {
    if (this.#spoke || this.#spokeMs === null) {
      this.#spoke = false;
      this.#spokeMs = nowMs;
      return;
    }
    if (nowMs - this.#spokeMs < watchQuietMs || this.#watcher === null) return;
    const revision = this.#context.hub.progress([this.#watcher]);
    this.#spokeMs = nowMs;
    if (revision === null || (revision === this.#told && !this.#channel.needsSigns)) return;
    this.#say(progressFrame(revision), revision);
    this.#spoke = false;
  }

  lost(): Failure | null {
    return this.#watcher === null ? null : this.#context.mayGoOn(this.#watcher.shape.range);
  }

  end(end: StreamEnd): void {
    this.#write(canceledFrame(this.#context.hub.revision, { reason: 'failed', failure: end.failure }));
    this.dispose();
    this.#channel.close(end.reason === 'tooLarge' ? { kind: 'eventsTooLarge' } : end.failure);
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
    const watcher = this.#context.hub.create({ ...shape, start }, this, asRevision(next));
    assert(watcher instanceof Watcher, 'a saved watch is one that the hub took before');
    this.#watcher = watcher;
  }

  #say(frame: WatchFrame, revision: Revision): void {
    this.#spoke = true;
    this.#told = revision;
    this.#write(frame);
  }

  #write(frame: WatchFrame): void {
    this.#channel.send(frameTexts[this.#transport](frame));
  }
}

function lastRevision(batch: WatchBatch): Revision {
  const last = batch.revisions.at(-1);
  assert(last !== undefined, 'a batch holds a revision');
  return last.revision;
}
