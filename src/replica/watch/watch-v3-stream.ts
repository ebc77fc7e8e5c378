// One watch stream of etcd's: many watches, one connection. It answers etcd's messages as etcd 3.7 does (ids, order,
// words). The hub knows the events, `api/v3/watch.ts` how they are written, and the channel where they go.

import { eventTexts } from '../../api/event-texts.ts';
import { etcdWords, type Failure, streamErrorText } from '../../api/errors/errors.ts';
import {
  cancelReasons,
  decodeWatchRequest,
  encodeEvent,
  noWatchId,
  type WatchAnswer,
  type WatchCreate,
  watchResponse,
} from '../../api/v3/watch.ts';
import { assert, unreachable } from '../../base/assert.ts';
import { EncodedOnce } from '../../base/encoded-once.ts';
import { revision as asRevision, type Revision } from '../../model/brands.ts';
import { emptyBytes } from '../../base/bytes.ts';
import { rangeBoundBytesMax, watchesPerStreamMax, watchFragmentBytesMax, watchProgressNotifyMs } from '../../limits.ts';
import type { Caller, KeyRange } from '../../model/store.ts';
import type { WatchBatch, WatchShape } from '../../mvcc/watch/watch-batch.ts';
import { isEmptyRange } from '../../model/key-range.ts';
import { Watcher, type WatchEnd, type WatchRefusal, type WatchSink } from '../../mvcc/watch/watch-hub.ts';
import {
  type Room,
  type SavedStream,
  type SavedWatch,
  type StreamEnd,
  type WatchChannel,
  type WatchStreamContext,
} from './watch-channel.ts';

type Watch = {
  readonly id: bigint;
  readonly shape: WatchShape;
  readonly watcher: Watcher;
  readonly progressNotify: boolean;
  readonly fragment: boolean;
  /** True: no event has come since the last interval of `progress_notify` began. */
  quiet: boolean;
};

/** Null: it is more than one message may hold. */
const eventsText = new EncodedOnce((batch: WatchBatch) => eventTexts(batch, encodeEvent)?.join(',') ?? null);
const fragmentTexts = new EncodedOnce((batch: WatchBatch) => cutFragments(eventTexts(batch, encodeEvent)));

/** These are words of this service, because etcd has none: a stream holds what fits its bounds. */
const refusalWords = {
  tooManyWatchers: 'quorate: this replica serves as many watches as it can',
  tooManyOfTenant: 'quorate: the tenant has as many watches on this replica as its operator lets it have, end some',
  streamFull: 'quorate: this stream holds as many watches as it can, open another stream',
} as const;

export class V3WatchStream implements WatchSink {
  readonly #context: WatchStreamContext;
  readonly #channel: WatchChannel;
  readonly #watches = new Map<bigint, Watch>();
  readonly #byWatcher = new Map<Watcher, Watch>();
  #nextId = 0n;
  #notifiedMs: number | null = null;

  constructor(context: WatchStreamContext, channel: WatchChannel) {
    this.#context = context;
    this.#channel = channel;
  }

  get caller(): Caller {
    return this.#context.caller;
  }

  /**
   * Takes one message of the client. Returns why it could not be read: the stream should then end, because it is not
   * known what else came with it.
   */
  message(message: string | Uint8Array): string | null {
    const request = decodeWatchRequest(message);
    switch (request.kind) {
      case 'create':
        this.#create(request.request);
        return null;
      case 'cancel':
        this.#cancel(request.watchId);
        return null;
      case 'progress':
        this.#answerProgress();
        return null;
      case 'none':
        return null;
      case 'malformed':
        return request.detail;
      default:
        return unreachable(request);
    }
  }

  /** The checks are in etcd's order: start, permission, range, id. */
  #create(request: WatchCreate): void {
    const { range, shape } = shapeOf(request);
    if (request.startRevision < 0) return this.#refuse(cancelReasons.compacted);
    const failure = this.#context.authorize(range);
    if (failure !== null) return this.#refuse(permissionWords(failure));
    if (isEmptyRange(range)) return this.#refuse(cancelReasons.emptyRange);
    if (this.#watches.has(request.watchId) && request.watchId !== 0n) {
      return this.#refuse(cancelReasons.duplicateWatchId);
    }
    if (!this.#fits(shape)) return this.#refuse(refusalWords.streamFull);
    const watcher = this.#context.hub.create({ ...shape, start: request.startRevision }, this);
    if (!(watcher instanceof Watcher)) return this.#refuse(wordsOf(watcher));
    const id = request.watchId === 0n ? this.#countId() : request.watchId;
    const { progressNotify, fragment } = request;
    this.#add({ id, shape, watcher, progressNotify, fragment, quiet: false });
    this.#send({ watchId: id, created: true });
    this.#channel.changed();
  }

  #fits(shape: WatchShape): boolean {
    return this.#watches.size < watchesPerStreamMax && this.#channel.holds([...this.#watches.values(), { shape }]);
  }

  #countId(): bigint {
    while (this.#watches.has(this.#nextId)) this.#nextId++;
    return this.#nextId++;
  }

  #add(watch: Watch): void {
    this.#watches.set(watch.id, watch);
    this.#byWatcher.set(watch.watcher, watch);
  }

  #remove(watch: Watch): void {
    this.#watches.delete(watch.id);
    this.#byWatcher.delete(watch.watcher);
    this.#context.hub.delete(watch.watcher);
    this.#channel.changed();
  }

  #cancel(id: bigint): void {
    const watch = this.#watches.get(id);
    if (watch === undefined) return;
    this.#remove(watch);
    this.#send({ watchId: id, canceled: true });
  }

  #refuse(cancelReason: string): void {
    this.#send({ watchId: noWatchId, created: true, canceled: true, cancelReason });
  }

  /** This is answered only if every watch is up to date; otherwise the client asks again. */
  #answerProgress(): void {
    const revision = this.#context.hub.progress(this.#byWatcher.keys());
    if (revision !== null) this.#send({ watchId: noWatchId }, revision);
  }

  #send(answer: WatchAnswer, revision: Revision = this.#context.hub.revision): void {
    this.#channel.send(watchResponse(this.#context.header(revision), answer));
  }

  // What the hub says

  receive(watcher: Watcher, batch: WatchBatch): void {
    const watch = this.#byWatcher.get(watcher);
    if (watch === undefined) return;
    watch.quiet = false;
    const watchId = watch.id;
    const whole = watch.fragment ? null : eventsText.of(batch);
    const parts = watch.fragment ? fragmentTexts.of(batch) : whole === null ? null : [whole];
    if (parts === null) {
      this.#remove(watch);
      this.#send({ watchId, canceled: true, cancelReason: tooLargeWords(batch.revisions[0]?.revision ?? 0) });
      return;
    }
    for (const [place, part] of parts.entries()) {
      this.#send({ watchId, eventsText: part, fragment: place < parts.length - 1 }, batch.headerRevision);
    }
  }

  ended(watcher: Watcher, end: WatchEnd): void {
    const watch = this.#byWatcher.get(watcher);
    if (watch === undefined) return;
    this.#remove(watch);
    switch (end.kind) {
      case 'compacted':
        // etcd sends neither a reason nor the store's revision here.
        this.#send({ watchId: watch.id, canceled: true, compactRevision: end.compactedRevision }, asRevision(0));
        return;
      case 'slow':
        this.#send({ watchId: watch.id, canceled: true, cancelReason: slowWords(end.resume) });
        return;
      case 'tooLarge':
        this.#send({ watchId: watch.id, canceled: true, cancelReason: tooLargeWords(end.revision) });
        return;
      default:
        unreachable(end);
    }
  }

  room(): Room {
    return this.#channel.room();
  }

  // What the service says

  /** After ten minutes without an event, a watch that asked for it is told how far it is, if the object is awake. */
  tick(nowMs: number): void {
    if (this.#notifiedMs === null) this.#notifiedMs = nowMs;
    if (nowMs - this.#notifiedMs < watchProgressNotifyMs) return;
    this.#notifiedMs = nowMs;
    for (const watch of this.#watches.values()) {
      const revision = watch.progressNotify && watch.quiet ? this.#context.hub.progress([watch.watcher]) : null;
      if (revision !== null) this.#send({ watchId: watch.id }, revision);
      watch.quiet = true;
    }
  }

  /** Ends the watches that the caller may no longer read. */
  lost(): Failure | null {
    for (const { shape } of this.#watches.values()) {
      const failure = this.#context.mayGoOn(shape.range);
      if (failure !== null) return failure;
    }
    return null;
  }

  /** Ends every watch with a last message, and the connection. */
  end(end: StreamEnd): void {
    const cancelReason = end.reason === 'accessEnded' ? permissionWords(end.failure) : etcdWords(end.failure);
    for (const { id } of this.#watches.values()) this.#send({ watchId: id, canceled: true, cancelReason });
    if (end.reason === 'timeout' || end.reason === 'badMessage') this.#channel.send(streamErrorText(end.failure));
    this.dispose();
    this.#channel.close(end.failure);
  }

  /** The connection is gone. */
  dispose(): void {
    for (const { watcher } of this.#watches.values()) this.#context.hub.delete(watcher);
    this.#watches.clear();
    this.#byWatcher.clear();
  }

  save(): SavedStream {
    const watches = [...this.#watches.values()].map((watch): SavedWatch => {
      const { id, shape, watcher, progressNotify, fragment } = watch;
      const start = watcher.start > this.#context.hub.revision ? watcher.start : 0;
      return { id, shape, start, next: this.#context.hub.nextRevision(watcher), progressNotify, fragment };
    });
    return { protocol: 'v3', caller: this.caller, nextId: this.#nextId, watches };
  }

  /** Goes on where the saved stream was. The client is told nothing: for it there was no break. */
  restore(saved: SavedStream): void {
    this.#nextId = saved.nextId;
    for (const { id, shape, start, next, progressNotify, fragment } of saved.watches) {
      const watcher = this.#context.hub.create({ ...shape, start }, this, asRevision(next));
      assert(watcher instanceof Watcher, 'a saved watch is one that the hub took before');
      this.#add({ id, shape, watcher, progressNotify, fragment, quiet: false });
    }
  }
}

function shapeOf(request: WatchCreate): { readonly range: KeyRange; readonly shape: WatchShape } {
  const { key, rangeEnd, noPut, noDelete, previous } = request;
  const range = { key, rangeEnd };
  return { range, shape: { range: withinKeys(range), noPut, noDelete, previous } };
}

/**
 * The same of the keys that can be: beyond the longest one, and a byte more, a bound tells no two of them apart. etcd
 * takes a key of any length, and no event ever comes for one that cannot be written.
 */
function withinKeys({ key, rangeEnd }: KeyRange): KeyRange {
  const range = { key: key.slice(0, rangeBoundBytesMax), rangeEnd: rangeEnd.slice(0, rangeBoundBytesMax) };
  return isEmptyRange(range) ? { key: range.key, rangeEnd: emptyBytes } : range;
}

function wordsOf(refusal: WatchRefusal): string {
  switch (refusal) {
    case 'negativeStart':
      return cancelReasons.compacted;
    case 'emptyRange':
      return cancelReasons.emptyRange;
    case 'tooManyWatchers':
    case 'tooManyOfTenant':
      return refusalWords[refusal];
    default:
      return unreachable(refusal);
  }
}

/** etcd prints the error of its interceptor here, code and all. */
function permissionWords(failure: Failure): string {
  return `rpc error: code = ${permissionCode(failure)} desc = ${etcdWords(failure)}`;
}

function permissionCode(failure: Failure): string {
  if (failure.kind === 'userNameEmpty') return 'InvalidArgument';
  const denied = ['forbidden', 'accessKeyForbidden', 'permissionDenied'].includes(failure.kind);
  return denied ? 'PermissionDenied' : 'Unauthenticated';
}

function slowWords(resume: Revision): string {
  return `quorate: the client does not keep up, watch again from revision ${resume}`;
}

function tooLargeWords(revision: number): string {
  return `quorate: the events of revision ${revision} do not fit a message, watch without prev_kv`;
}

/** The texts in parts of at most `watchFragmentBytesMax`; a larger event is a part of its own. */
function cutFragments(texts: readonly string[] | null): readonly string[] | null {
  if (texts === null) return null;
  const parts: string[] = [];
  let part: string[] = [];
  let bytes = 0;
  for (const text of texts) {
    if (part.length > 0 && bytes + text.length > watchFragmentBytesMax) {
      parts.push(part.join(','));
      part = [];
      bytes = 0;
    }
    part.push(text);
    bytes += text.length + 1;
  }
  return [...parts, part.join(',')];
}
