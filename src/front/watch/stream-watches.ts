// The watches of one of etcd's streams that ends at the front: between the watches by session that know the events and
// the machine that knows what etcd answers (`api/v3/watch-stream.ts`). It is pure.

import { knownFailure, type Failure } from '../../api/errors/errors.ts';
import type { WatchRequest } from '../../api/v3/watch.ts';
import { cancelReasons, cutRange, fullReasons, permissionReason } from '../../api/v3/watch-reasons.ts';
import {
  type StreamWatch,
  type StreamWatchEnd,
  type WantedWatch,
  WatchStream,
  type WatchWriter,
} from '../../api/v3/watch-stream.ts';
import { frontProgressWaitingMax, frontWatchesPerStreamMax } from '../../limits.ts';
import { isEmptyRange } from '../../model/key-range.ts';
import type { FailureData, ResponseHeader } from '../../model/calls.ts';
import type { KeyRange } from '../../model/store.ts';
import type { ToldAt } from '../../session/client-port.ts';
import type { ClientSink, ClientWatch } from './shared-watches.ts';

export type StreamWatchesPort = {
  readonly open: (wanted: WantedWatch, sink: ClientSink) => ClientWatch;
  /** Calls back with the store's revision, which is no older than this question. Null: no replica said it. */
  readonly position: (then: (header: ResponseHeader | null) => void) => void;
  /** False: the client has not read what it was sent. */
  readonly hasRoom: () => boolean;
  /** The caller's access has ended, and its watches were told so. */
  readonly accessEnded: (failure: Failure) => void;
  /** No replica can be reached. The client is to ask anew. */
  readonly lost: () => void;
};

type Watch = StreamWatch<ClientWatch>;
type Told = (header: ResponseHeader) => void;

/** What is asked of each watch of the stream. */
type Question = {
  readonly awaited: Set<Watch>;
  readonly told: readonly Told[];
  /** The lowest that was told. Null: there was no answer yet. */
  at: ToldAt | null;
};

/** A replica without room for a watch is no reason for its client to give the stream up. */
const full: ReadonlySet<string> = new Set(['memoryFull', 'tooManyOpen', 'overloaded']);

export class StreamWatches<Events> {
  readonly #port: StreamWatchesPort;
  readonly #stream: WatchStream<ClientWatch, Events>;
  /** The newest that is known of the store. */
  #header: ResponseHeader;
  /** Those that were handed nothing because there was no room. */
  readonly #paused = new Set<Watch>();
  /** Watches that are told the same have the very same header. */
  #told: { readonly at: ToldAt; readonly header: ResponseHeader } | null = null;
  #question: Question | null = null;
  /** Who asked for progress since. */
  #nextQuestion: Told[] = [];
  /** Who waits for the store's position, and who has asked since that was asked for. Null: it was not. */
  #position: readonly Told[] | null = null;
  #nextPosition: Told[] = [];
  #isOver = false;

  /** `header`: what is known of the store. */
  constructor(port: StreamWatchesPort, writer: WatchWriter<Events>, header: ResponseHeader) {
    this.#port = port;
    this.#header = header;
    this.#stream = new WatchStream<ClientWatch, Events>(
      {
        open: (watch, asked) => this.#open(watch, asked),
        end: (watch) => this.#end(watch),
        changed: () => undefined,
        goOn: (watch) => this.#goOn(watch),
        position: (then) => this.#askPosition(then),
        header: () => this.#header,
        askProgress: (watches, then) => this.#askProgress(watches, then),
        progressOf: (watch) => {
          const revision = toldOf(watch);
          return revision === null ? null : { ...this.#header, revision };
        },
      },
      writer,
      frontWatchesPerStreamMax,
    );
  }

  /** Requests that were not answered. */
  get waitingCount(): number {
    return this.#stream.waitingCount;
  }

  /** Returns why the message could not be read. The stream should then end. */
  take(request: WatchRequest): string | null {
    return this.#stream.take(request);
  }

  tick(nowMs: number): void {
    this.#stream.tick(nowMs);
  }

  /** There is room again. */
  goOn(): void {
    const paused = [...this.#paused];
    for (const watch of paused) this.#goOn(watch);
  }

  /** Every watch is told why it ends. */
  end(cancelReason: string): void {
    this.#stream.end(cancelReason);
    this.dispose();
  }

  /** The client has gone. */
  dispose(): void {
    this.#isOver = true;
    this.#stream.dispose();
    this.#question = null;
    this.#nextQuestion = [];
  }

  // Watches

  #open(watch: Watch, asked: KeyRange): void {
    let isCreated = false;
    // A replica refuses a range that is empty, after it has looked at the permission.
    const range = isEmptyRange(asked) ? cutRange(asked) : watch.wanted.range;
    // No store comes as far as this, and a frame holds no larger number.
    const start = Math.min(watch.wanted.start, Number.MAX_SAFE_INTEGER);
    const wanted = { ...watch.wanted, range, start };
    const handle = this.#port.open(wanted, {
      created: ({ header }) => {
        isCreated = true;
        this.#heard(header);
        this.#stream.created(watch, header);
      },
      events: (revisions, at) => this.#stream.events(watch, revisions, this.#headerAt(at)),
      progress: (at) => this.#progress(watch, at),
      ended: (failure, next) => {
        const end = isCreated ? endOf(failure, next) : null;
        this.#forget(watch);
        if (end !== null) this.#stream.ended(watch, end);
        else if (isCreated) this.#broken(failure);
        else this.#refused(watch, asked, failure);
      },
      lost: () => this.#lost(),
      hasRoom: () => {
        const hasRoom = this.#stream.isAnnounced(watch) && this.#port.hasRoom();
        if (!hasRoom) this.#paused.add(watch);
        return hasRoom;
      },
    });
    if (this.#isOver) handle.end();
    else watch.handle = handle;
  }

  #goOn(watch: Watch): void {
    if (!this.#paused.has(watch) || !this.#port.hasRoom()) return;
    this.#paused.delete(watch);
    watch.handle?.goOn();
  }

  #end(watch: Watch): void {
    const { handle } = watch;
    this.#forget(watch);
    handle?.end();
  }

  #forget(watch: Watch): void {
    watch.handle = null;
    this.#paused.delete(watch);
    if (this.#question?.awaited.delete(watch) === true) this.#answer(this.#question);
  }

  #refused(watch: Watch, asked: KeyRange, data: FailureData): void {
    if (full.has(data.kind)) {
      const ofTenant = data.kind === 'tooManyOpen' && data['of'] === 'tenant';
      return this.#stream.refused(watch, fullReasons[ofTenant ? 'tooManyOfTenant' : 'tooManyWatchers']);
    }
    // A replica looks at the permission first.
    if (data.kind === 'badRequest' && isEmptyRange(asked)) return this.#stream.refused(watch, cancelReasons.emptyRange);
    if (ofAccess.has(data.kind)) return this.#stream.refused(watch, permissionReason(knownFailure(data)));
    this.#broken(data);
  }

  /** What was open ended for another reason than its own. */
  #broken(data: FailureData): void {
    if (this.#isOver) return;
    if (full.has(data.kind)) return this.#lost();
    const failure = knownFailure(data);
    this.end(permissionReason(failure));
    this.#port.accessEnded(failure);
  }

  #lost(): void {
    if (this.#isOver) return;
    this.dispose();
    this.#port.lost();
  }

  // The store's revision

  #heard(header: ResponseHeader): void {
    if (header.revision >= this.#header.revision) this.#header = header;
  }

  #headerAt(at: ToldAt): ResponseHeader {
    if (this.#told?.at === at) return this.#told.header;
    const { clusterId, memberId } = this.#header;
    const header = { clusterId, memberId, ...at };
    this.#told = { at, header };
    this.#heard(header);
    return header;
  }

  /** Those who ask while it is asked for share the next answer. */
  #askPosition(then: Told): void {
    this.#nextPosition.push(then);
    if (this.#position === null) this.#nextPositions();
  }

  #nextPositions(): void {
    const asked = this.#nextPosition;
    this.#position = asked;
    this.#nextPosition = [];
    this.#port.position((header) => {
      if (header !== null) this.#heard(header);
      for (const each of asked) each(header ?? this.#header);
      this.#position = null;
      if (this.#nextPosition.length > 0) this.#nextPositions();
    });
  }

  // Progress

  /** Those who ask while a question is under way share the next answer. */
  #askProgress(watches: readonly Watch[], then: Told): void {
    // As at etcd, whoever gets no answer asks again.
    if (this.#nextQuestion.length >= frontProgressWaitingMax) return;
    if (watches.some((watch) => toldOf(watch) === null)) return;
    this.#nextQuestion.push(then);
    if (this.#question === null) this.#ask(watches);
  }

  #ask(watches: readonly Watch[]): void {
    this.#question = { awaited: new Set(watches), told: this.#nextQuestion, at: null };
    this.#nextQuestion = [];
    for (const { handle } of watches) handle?.askProgress();
  }

  #progress(watch: Watch, at: ToldAt): void {
    this.#headerAt(at);
    const question = this.#question;
    if (question?.awaited.delete(watch) !== true) return;
    if (question.at === null || at.revision < question.at.revision) question.at = at;
    this.#answer(question);
  }

  #answer({ awaited, told, at }: Question): void {
    if (awaited.size > 0) return;
    this.#question = null;
    if (at !== null) for (const each of told) each(this.#headerAt(at));
    if (this.#nextQuestion.length === 0) return;
    const watches = [...this.#stream.watches.values()];
    if (watches.some((watch) => toldOf(watch) === null)) this.#nextQuestion = [];
    else this.#ask(watches);
  }
}

/** The revision up to which it was told all events. Null: that is before the revision at which it is to start. */
function toldOf({ handle, wanted }: Watch): number | null {
  const told = handle?.told() ?? null;
  return told === null || told < wanted.start ? null : told;
}

/** Refusals of the caller, which are told to the watch that is refused. */
const ofAccess: ReadonlySet<string> = new Set<Failure['kind']>([
  'accessKeyForbidden',
  'accessKeyInvalid',
  'accessKeyMissing',
  'forbidden',
  'invalidToken',
  'permissionDenied',
  'unauthenticated',
  'userNameEmpty',
]);

/** Null: it is no end of this watch alone. */
function endOf(failure: FailureData, next: number | null): StreamWatchEnd | null {
  const { kind, compactedRevision } = failure;
  if (kind === 'compacted' && typeof compactedRevision === 'number') return { kind, compactedRevision };
  return kind === 'answerTooLarge' ? { kind: 'tooLarge', revision: next ?? 0 } : null;
}
