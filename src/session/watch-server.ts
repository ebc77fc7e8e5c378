// The replica's end of a session's watches: which there are, in whose name, and what each is told. Events are handed
// over only while there is room for them, so what waits here is bounded by the client's credit. It is pure.

import { rangeBoundBytesMax, sessionWatchesMax, sessionWatchOverheadBytes, watchQuietMs } from '../limits.ts';
import type { FailureData, ResponseHeader } from '../model/calls.ts';
import type { Caller } from '../model/store.ts';
import type { ClientFrame, ServerFrame } from './frames.ts';
import type { SessionWatch } from './watch-codec.ts';

/** A watch as the replica serves it. */
export type ServedWatch = {
  /** The first revision of which it was not told. */
  readonly next: () => number;
  /** The revision up to which it was told everything. Null: it is behind, or before its start. */
  readonly progress: () => number | null;
  readonly end: () => void;
};

/** Events in the bytes of `watch-codec.ts`: one object for all watches that are told the same. */
export type EncodedEvents = { readonly bytes: Uint8Array; readonly first: number; readonly last: number };

/** Who hears of a watch. Nothing of this is called before `begin` has returned. */
export type WatchListener = {
  /** `revision`: what the frame says of the store. */
  readonly events: (events: EncodedEvents, revision: number) => void;
  /** The watch has ended. `next`: the first revision of which it was not told. */
  readonly ended: (failure: FailureData, next: number) => void;
  /** False: no events may be handed over now, and the watch falls back to history. */
  readonly hasRoom: () => boolean;
};

export type SessionWatchPort = {
  /** Runs the task, in a later turn, once the replica knows all that was acknowledged before now. */
  readonly caughtUp: (task: () => void) => void;
  readonly begin: (
    watch: SessionWatch,
    caller: Caller,
    listener: WatchListener,
  ) =>
    | { readonly kind: 'serves'; readonly served: ServedWatch }
    | { readonly kind: 'failed'; readonly failure: FailureData };
  /** Watches that fell back to history may go on. */
  readonly goOn: () => void;
};

/** What the watches need of the session that they are on. */
export type WatchingSession = {
  readonly send: (frame: ServerFrame) => void;
  /** What waits is sealed and sent when everything that ends in this turn has ended. */
  readonly flushSoon: () => void;
  /** The bytes that may be sent beside what waits here. */
  readonly credit: () => number;
  /** Why no call may be made with this handle. Null: it may. */
  readonly refusalOf: (handle: number) => FailureData | null;
  readonly callerOf: (handle: number) => Caller | null;
  /** Counts again what the session holds in memory. Null: it may be held. */
  readonly hold: () => FailureData | null;
  readonly header: () => ResponseHeader;
};

type WatchFrame = Extract<ClientFrame, { readonly kind: 'watch' }>;
type Watch = {
  readonly id: number;
  readonly handle: number;
  readonly wanted: SessionWatch;
  /** Null: the replica may not know yet all that was acknowledged before. */
  served: ServedWatch | null;
  /** The revision up to which the client knows that it was told everything. */
  told: number;
};

export class SessionWatches {
  readonly #port: SessionWatchPort;
  readonly #session: WatchingSession;
  readonly #watches = new Map<number, Watch>();
  readonly #ofHandle = new Map<number, Set<Watch>>();
  /** Those that begin, and those whose progress is asked for, once the replica knows all that was acknowledged. */
  readonly #beginning = new Set<Watch>();
  readonly #asking = new Set<Watch>();
  #isCatchingUp = false;
  /** Those whose clients get progress as soon as they are up to date. */
  readonly #asked = new Set<Watch>();
  /** Events that wait for the next message, each with the watches that are told. */
  #waiting = new Map<EncodedEvents, { readonly ids: number[]; readonly revision: number }>();
  #waitingBytes = 0;
  #watchBytes = 0;
  #toldMs: number | null = null;

  constructor(port: SessionWatchPort, session: WatchingSession) {
    this.#port = port;
    this.#session = session;
  }

  get count(): number {
    return this.#watches.size;
  }

  /** What is held in memory here. */
  get heldBytes(): number {
    return this.#waitingBytes + this.#watchBytes;
  }

  // What the client says

  watch({ id, handle, watch }: WatchFrame): void {
    // The client says again what is known.
    if (this.#watches.has(id)) return;
    const failure = this.#refusal(watch, handle);
    if (failure !== null) return this.#say({ kind: 'canceled', id, next: 0, failure });
    const { key, rangeEnd } = watch.range;
    // The message is not kept for the sake of a few of its bytes.
    const wanted = { ...watch, range: { key: key.slice(), rangeEnd: rangeEnd.slice() } };
    const own: Watch = { id, handle, wanted, served: null, told: 0 };
    this.#watches.set(id, own);
    const others = this.#ofHandle.get(handle);
    if (others === undefined) this.#ofHandle.set(handle, new Set([own]));
    else others.add(own);
    this.#watchBytes += bytesOf(own);
    const lacking = this.#session.hold();
    if (lacking !== null) return this.#cancel(own, lacking, 0);
    this.#beginning.add(own);
    this.#catchUp();
  }

  unwatch(id: number): void {
    const watch = this.#watches.get(id);
    if (watch === undefined) return;
    this.#remove(watch);
    this.#session.hold();
  }

  askProgress(id: number): void {
    const watch = this.#watches.get(id);
    if (watch === undefined) return;
    this.#asking.add(watch);
    this.#catchUp();
  }

  /** The watches of a handle end. `failure` null: the client knows. */
  endOf(handle: number, failure: FailureData | null): void {
    for (const watch of this.#ofHandle.get(handle) ?? []) {
      if (failure === null) this.#remove(watch);
      else this.#cancel(watch, failure, watch.served?.next() ?? 0);
    }
    this.#session.hold();
  }

  /** The session has ended. */
  closed(): void {
    for (const watch of this.#watches.values()) this.#remove(watch);
    this.#waiting.clear();
    this.#waitingBytes = 0;
  }

  /** There is credit again. */
  roomy(): void {
    if (this.#watches.size > 0) this.#port.goOn();
  }

  // What the replica says

  /** Quiet watches are told how far they are, so that they ask for nothing compacted after a break. */
  tick(nowMs: number): void {
    this.answerProgress();
    this.#toldMs ??= nowMs;
    if (nowMs - this.#toldMs < watchQuietMs) return;
    this.#toldMs = nowMs;
    this.resting();
  }

  /** After this the replica may forget the watches, which the client then declares anew from where they are. */
  resting(): void {
    this.#tellProgress(this.#watches.values(), (watch, revision) => revision > watch.told);
  }

  /** Called whenever watches may have caught up. */
  answerProgress(): void {
    if (this.#asked.size > 0) this.#tellProgress(this.#asked, () => true);
  }

  /** Events that wait become frames. */
  seal(): void {
    if (this.#waiting.size === 0) return;
    const { raftTerm } = this.#session.header();
    const waiting = this.#waiting;
    this.#waiting = new Map();
    this.#waitingBytes = 0;
    for (const [{ bytes }, { ids, revision }] of waiting) {
      this.#session.send({ kind: 'events', ids, raftTerm, revision, events: bytes });
    }
  }

  #refusal({ range }: SessionWatch, handle: number): FailureData | null {
    if (this.#watches.size >= sessionWatchesMax) {
      return { kind: 'tooManyOpen', what: 'sessionWatch', of: 'session', max: sessionWatchesMax };
    }
    const bytes = Math.max(range.key.byteLength, range.rangeEnd.byteLength);
    if (bytes > rangeBoundBytesMax) {
      return { kind: 'badRequest', detail: `a bound of a range has at most ${rangeBoundBytesMax} bytes, not ${bytes}` };
    }
    return this.#session.refusalOf(handle);
  }

  /** One task at a time: what a client says meanwhile, and takes back, does not pile up. */
  #catchUp(): void {
    if (this.#isCatchingUp || this.#beginning.size + this.#asking.size === 0) return;
    this.#isCatchingUp = true;
    const beginning = [...this.#beginning];
    const asking = [...this.#asking];
    this.#beginning.clear();
    this.#asking.clear();
    this.#port.caughtUp(() => {
      this.#isCatchingUp = false;
      for (const watch of beginning) this.#begin(watch);
      for (const watch of asking) if (this.#isOpen(watch)) this.#asked.add(watch);
      this.answerProgress();
      this.#catchUp();
    });
  }

  #begin(watch: Watch): void {
    const caller = this.#session.callerOf(watch.handle);
    if (!this.#isOpen(watch) || caller === null) return;
    const begun = this.#port.begin(watch.wanted, caller, {
      events: (events, revision) => this.#events(watch, events, revision),
      ended: (failure, next) => this.#cancel(watch, failure, next),
      hasRoom: () => this.#session.credit() > this.#waitingBytes,
    });
    if (begun.kind === 'failed') return this.#cancel(watch, begun.failure, 0);
    watch.served = begun.served;
    const from = begun.served.next();
    watch.told = from - 1;
    this.#say({ kind: 'created', id: watch.id, header: this.#session.header(), from });
  }

  #events(watch: Watch, events: EncodedEvents, revision: number): void {
    watch.told = events.last;
    const waiting = this.#waiting.get(events);
    if (waiting !== undefined) {
      waiting.ids.push(watch.id);
      return;
    }
    this.#waiting.set(events, { ids: [watch.id], revision });
    this.#waitingBytes += events.bytes.byteLength;
    const lacking = this.#session.hold();
    if (lacking === null) return this.#session.flushSoon();
    this.#waiting.delete(events);
    this.#waitingBytes -= events.bytes.byteLength;
    this.#cancel(watch, lacking, events.first);
  }

  #cancel(watch: Watch, failure: FailureData, next: number): void {
    if (!this.#isOpen(watch)) return;
    this.#remove(watch);
    this.#say({ kind: 'canceled', id: watch.id, next, failure });
  }

  #isOpen(watch: Watch): boolean {
    return this.#watches.get(watch.id) === watch;
  }

  #remove(watch: Watch): void {
    if (!this.#isOpen(watch)) return;
    this.#watches.delete(watch.id);
    const others = this.#ofHandle.get(watch.handle);
    others?.delete(watch);
    if (others?.size === 0) this.#ofHandle.delete(watch.handle);
    this.#beginning.delete(watch);
    this.#asking.delete(watch);
    this.#asked.delete(watch);
    this.#watchBytes -= bytesOf(watch);
    watch.served?.end();
  }

  /** Watches that are told the same share a frame. */
  #tellProgress(watches: Iterable<Watch>, isNews: (watch: Watch, revision: number) => boolean): void {
    const idsAt = new Map<number, number[]>();
    for (const watch of watches) {
      const revision = watch.served?.progress() ?? null;
      if (revision === null || !isNews(watch, revision)) continue;
      watch.told = revision;
      this.#asked.delete(watch);
      const ids = idsAt.get(revision);
      if (ids === undefined) idsAt.set(revision, [watch.id]);
      else ids.push(watch.id);
    }
    if (idsAt.size === 0) return;
    const { raftTerm } = this.#session.header();
    for (const [revision, ids] of idsAt) this.#say({ kind: 'progress', ids, raftTerm, revision });
  }

  /** What is said of a watch comes after the events that it was told before. */
  #say(frame: ServerFrame): void {
    this.seal();
    this.#session.send(frame);
  }
}

function bytesOf({ wanted: { range } }: Watch): number {
  return sessionWatchOverheadBytes + range.key.byteLength + range.rangeEnd.byteLength;
}
