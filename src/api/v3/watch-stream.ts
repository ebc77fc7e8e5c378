// One watch stream of etcd's: many watches, one connection. It answers etcd's messages as etcd 3.7 does (ids, order,
// words), whatever knows the events (the hub of a replica, the watches by session of a front), and however the answers
// are written and carried. It is pure.

import { assert, unreachable } from '../../base/assert.ts';
import { watchProgressNotifyMs } from '../../limits.ts';
import type { ResponseHeader } from '../../model/calls.ts';
import type { KeyRange, RevisionEvents } from '../../model/store.ts';
import { noWatchId, type WatchAnswer, type WatchCreate, type WatchRequest } from './watch.ts';
import { cancelReasons, fullReasons, slowReason, tooLargeReason, withinKeys } from './watch-reasons.ts';

/** What a watch lets through, and the first revision that is wanted. 0: what comes after the present one. */
export type WantedWatch = {
  readonly range: KeyRange;
  readonly start: number;
  readonly noPut: boolean;
  readonly noDelete: boolean;
  readonly previous: boolean;
};

/** Why a watch ended that was created. `resume` and `revision` are the first that its client was not told. */
export type StreamWatchEnd =
  | { readonly kind: 'compacted'; readonly compactedRevision: number }
  | { readonly kind: 'slow'; readonly resume: number }
  /** The events of this revision do not fit a message. */
  | { readonly kind: 'tooLarge'; readonly revision: number };

/** `Handle`: what the source knows the watch by. */
export type StreamWatch<Handle> = {
  readonly wanted: WantedWatch;
  readonly progressNotify: boolean;
  readonly fragment: boolean;
  /** Until the client is told that the watch was created: the id that it asked for, or 0 for any. */
  id: bigint;
  /** Null: the source does not serve it yet, or not any more. */
  handle: Handle | null;
  /** True: no event has come since the last interval of `progress_notify` began. */
  quiet: boolean;
  /** What the source said of its end before the client was told that it was created. */
  ended: StreamWatchEnd | null;
  /** Where its answer stands among those to other requests. Null: it was given. */
  step: Step | null;
};

/** Knows the events. It may answer at once, or later. */
export type WatchSource<Handle> = {
  /**
   * Begins a watch, of which `created` or `refused` of the stream says what came. `asked`: the range as it was asked
   * for.
   */
  readonly open: (watch: StreamWatch<Handle>, asked: KeyRange) => void;
  /** Ends one that was begun. Nothing more is said of it. */
  readonly end: (watch: StreamWatch<Handle>) => void;
  /** The watches of the stream are others than before. */
  readonly changed: () => void;
  /** Events that were held back, because the client was not told that the watch is created, may come. */
  readonly goOn: (watch: StreamWatch<Handle>) => void;
  /** Calls back with the store's revision, which is no older than this question. */
  readonly position: (then: (header: ResponseHeader) => void) => void;
  /** The newest header that is known. */
  readonly header: () => ResponseHeader;
  /**
   * Calls back once each of these was told all events up to a revision, which is no older than this question. It may
   * never do so where one of them is behind, or before its start: the client asks again.
   */
  readonly askProgress: (watches: readonly StreamWatch<Handle>[], then: (header: ResponseHeader) => void) => void;
  /** The revision up to which it was told all events, as far as is known. Null: it is behind, or before its start. */
  readonly progressOf: (watch: StreamWatch<Handle>) => ResponseHeader | null;
};

/** Writes the answers. `Events`: the events of one message as they are written. */
export type WatchWriter<Events> = {
  /** Null: they are more than one message may hold. */
  readonly whole: (revisions: readonly RevisionEvents[], previous: boolean) => Events | null;
  /** The same, in parts that are no larger than etcd's. */
  readonly fragments: (revisions: readonly RevisionEvents[], previous: boolean) => readonly Events[] | null;
  readonly write: (header: ResponseHeader, answer: WatchAnswer, events: Events | null) => void;
};

/** The answer to one request. Answers are given in the order of the requests. Null: what it takes is not known yet. */
type Step = { answer: (() => void) | null };

export class WatchStream<Handle, Events> {
  readonly #source: WatchSource<Handle>;
  readonly #writer: WatchWriter<Events>;
  readonly #watchesMax: number;
  readonly #watches = new Map<bigint, StreamWatch<Handle>>();
  /** Those of which their client was not told that they were created. */
  readonly #opening = new Set<StreamWatch<Handle>>();
  #steps: Step[] = [];
  #nextId = 0n;
  #notifiedMs: number | null = null;

  constructor(source: WatchSource<Handle>, writer: WatchWriter<Events>, watchesMax: number) {
    this.#source = source;
    this.#writer = writer;
    this.#watchesMax = watchesMax;
  }

  /** Those that their client was told of, by their ids. */
  get watches(): ReadonlyMap<bigint, StreamWatch<Handle>> {
    return this.#watches;
  }

  /** The number at which counting goes on. */
  get nextId(): bigint {
    return this.#nextId;
  }

  /** Requests that were not answered. */
  get waitingCount(): number {
    return this.#steps.length;
  }

  // What the client says

  /** Returns why the message could not be read. The stream should then end: it is not known what else came with it. */
  take(request: WatchRequest): string | null {
    switch (request.kind) {
      case 'create':
        this.#create(request.request);
        return null;
      case 'cancel':
        this.#withPosition((header) => this.#cancel(request.watchId, header));
        return null;
      case 'progress':
        this.#settle(this.#step(), () => this.#askProgress());
        return null;
      case 'none':
        return null;
      case 'malformed':
        return request.detail;
      default:
        return unreachable(request);
    }
  }

  /** The checks are in etcd's order: start, permission, range, id. The source knows of the two in the middle. */
  #create(request: WatchCreate): void {
    const { key, rangeEnd, startRevision: start, noPut, noDelete, previous, progressNotify, fragment } = request;
    if (start < 0) return this.#refuseLater(this.#step(), cancelReasons.compacted);
    if (this.#watches.size + this.#opening.size >= this.#watchesMax) {
      return this.#refuseLater(this.#step(), fullReasons.streamFull);
    }
    const asked = { key, rangeEnd };
    const watch: StreamWatch<Handle> = {
      wanted: { range: withinKeys(asked), start, noPut, noDelete, previous },
      progressNotify,
      fragment,
      id: request.watchId,
      handle: null,
      quiet: false,
      ended: null,
      step: this.#step(),
    };
    this.#opening.add(watch);
    this.#source.open(watch, asked);
  }

  /** In the order of the requests, so that the ids are those that etcd would give. */
  #announce(watch: StreamWatch<Handle>, header: ResponseHeader): void {
    watch.step = null;
    this.#opening.delete(watch);
    if (this.#watches.has(watch.id) && watch.id !== 0n) {
      this.#source.end(watch);
      return this.#refuse(cancelReasons.duplicateWatchId, header);
    }
    if (watch.id === 0n) watch.id = this.#countId();
    this.#watches.set(watch.id, watch);
    this.#say({ watchId: watch.id, created: true }, header);
    this.#source.changed();
    if (watch.ended !== null) this.#sayEnd(watch, watch.ended);
    else this.#source.goOn(watch);
  }

  #countId(): bigint {
    while (this.#watches.has(this.#nextId)) this.#nextId++;
    return this.#nextId++;
  }

  #cancel(id: bigint, header: ResponseHeader): void {
    const watch = this.#watches.get(id);
    if (watch === undefined) return;
    this.#watches.delete(id);
    this.#source.end(watch);
    this.#source.changed();
    this.#say({ watchId: id, canceled: true }, header);
  }

  #refuseLater(step: Step, cancelReason: string): void {
    this.#source.position((header) => this.#settle(step, () => this.#refuse(cancelReason, header)));
  }

  #refuse(cancelReason: string, header: ResponseHeader): void {
    this.#say({ watchId: noWatchId, created: true, canceled: true, cancelReason }, header);
  }

  #askProgress(): void {
    if (this.#watches.size === 0) return;
    this.#source.askProgress([...this.#watches.values()], (header) => this.#say({ watchId: noWatchId }, header));
  }

  // What the source says

  /** The source serves the watch. `header`: the revision after which it begins, unless its client named one. */
  created(watch: StreamWatch<Handle>, header: ResponseHeader): void {
    if (watch.step !== null) this.#settle(watch.step, () => this.#announce(watch, header));
  }

  refused(watch: StreamWatch<Handle>, cancelReason: string): void {
    this.#opening.delete(watch);
    if (watch.step !== null) this.#refuseLater(watch.step, cancelReason);
  }

  /** False: the client was not told yet that the watch was created. */
  isAnnounced(watch: StreamWatch<Handle>): boolean {
    return watch.step === null;
  }

  events(watch: StreamWatch<Handle>, revisions: readonly RevisionEvents[], header: ResponseHeader): void {
    assert(watch.step === null, 'a watch is told events once it was created');
    watch.quiet = false;
    const { previous } = watch.wanted;
    const parts = watch.fragment
      ? this.#writer.fragments(revisions, previous)
      : onlyPart(this.#writer.whole(revisions, previous));
    if (parts === null) {
      this.#source.end(watch);
      return this.#sayEnd(watch, { kind: 'tooLarge', revision: revisions[0]?.revision ?? 0 });
    }
    for (const [place, part] of parts.entries()) {
      this.#writer.write(header, { watchId: watch.id, fragment: place < parts.length - 1 }, part);
    }
  }

  /** The source serves the watch no longer. */
  ended(watch: StreamWatch<Handle>, end: StreamWatchEnd): void {
    if (watch.step === null) this.#sayEnd(watch, end);
    else watch.ended = end;
  }

  #sayEnd(watch: StreamWatch<Handle>, end: StreamWatchEnd): void {
    this.#watches.delete(watch.id);
    this.#source.changed();
    const said = { watchId: watch.id, canceled: true };
    switch (end.kind) {
      case 'compacted': {
        // etcd sends neither a reason nor the store's revision here.
        const header = { ...this.#source.header(), revision: 0 };
        return this.#say({ ...said, compactRevision: end.compactedRevision }, header);
      }
      case 'slow':
        return this.#say({ ...said, cancelReason: slowReason(end.resume) });
      case 'tooLarge':
        return this.#say({ ...said, cancelReason: tooLargeReason(end.revision) });
      default:
        return unreachable(end);
    }
  }

  // What the connection says

  /** After ten minutes without an event, a watch that asked for it is told how far it is. */
  tick(nowMs: number): void {
    this.#notifiedMs ??= nowMs;
    if (nowMs - this.#notifiedMs < watchProgressNotifyMs) return;
    this.#notifiedMs = nowMs;
    for (const watch of this.#watches.values()) {
      const header = watch.progressNotify && watch.quiet ? this.#source.progressOf(watch) : null;
      if (header !== null) this.#say({ watchId: watch.id }, header);
      watch.quiet = true;
    }
  }

  /** Every watch is told why it ends. */
  end(cancelReason: string): void {
    const header = this.#source.header();
    for (const { id } of this.#watches.values()) this.#say({ watchId: id, canceled: true, cancelReason }, header);
    this.dispose();
  }

  /** The connection is gone. */
  dispose(): void {
    this.#steps = [];
    for (const watch of [...this.#opening, ...this.#watches.values()]) this.#source.end(watch);
    this.#opening.clear();
    this.#watches.clear();
  }

  /** Goes on where another stream was. The client is told nothing: for it there was no break. */
  restore(nextId: bigint, watches: Iterable<StreamWatch<Handle>>): void {
    this.#nextId = nextId;
    for (const watch of watches) this.#watches.set(watch.id, watch);
  }

  // Answers

  #step(): Step {
    const step: Step = { answer: null };
    this.#steps.push(step);
    return step;
  }

  #withPosition(answer: (header: ResponseHeader) => void): void {
    const step = this.#step();
    this.#source.position((header) => this.#settle(step, () => answer(header)));
  }

  #settle(step: Step, answer: () => void): void {
    step.answer = answer;
    for (let first = this.#steps[0]; first?.answer != null; first = this.#steps[0]) {
      this.#steps.shift();
      first.answer();
    }
  }

  #say(answer: WatchAnswer, header: ResponseHeader = this.#source.header()): void {
    this.#writer.write(header, answer, null);
  }
}

function onlyPart<Events>(whole: Events | null): readonly Events[] | null {
  return whole === null ? null : [whole];
}
