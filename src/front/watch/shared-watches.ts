// The watches of a tenant's clients, and the watches by session that serve them. Each client's watch begins with a
// watch by session of its own, which says where it begins; once that has told everything up to where a shared one is,
// the client hears by the shared one. Only watches of one caller that want the same are shared. It is pure.

import { keyText } from '../../base/bytes.ts';
import type { FailureData } from '../../model/calls.ts';
import type { RevisionEvents } from '../../model/store.ts';
import type { OpenWatch, ToldAt, WatchSink } from '../../session/client-port.ts';
import type { SessionWatch } from '../../session/watch-codec.ts';

/** What a replica said when it created a watch. */
export type Created = Parameters<WatchSink['created']>[0] & { readonly replica: number };

/** Who hears of a client's watch. */
export type ClientSink = Pick<WatchSink, 'events' | 'progress'> & {
  /** This comes once, before anything else but `ended` and `lost`. */
  readonly created: (told: Created) => void;
  /**
   * The watch was refused or has ended, perhaps before its client was told of it. `next`: the first revision that was
   * not told; null: it was never created.
   */
  readonly ended: (failure: FailureData, next: number | null) => void;
  /** No replica could be reached for a while. The client is to ask anew. */
  readonly lost: () => void;
  /** False: the client has not read what it was sent. It is handed nothing more until `goOn`. */
  readonly hasRoom: () => boolean;
};

export type ClientWatch = {
  /** All events up to this revision were told. Null: the watch was not created yet, or is before its first revision. */
  readonly told: () => number | null;
  /** The sink gets `progress` once it was told all that was acknowledged before this. */
  readonly askProgress: () => void;
  /** There is room again. */
  readonly goOn: () => void;
  /** The sink hears nothing any more. */
  readonly end: () => void;
};

/** Who hears of a watch by session that outlives its connections. */
export type UpstreamSink = Pick<WatchSink, 'events' | 'progress' | 'ended'> & {
  readonly created: (told: Created) => void;
  readonly lost: () => void;
};

export type OpenUpstream<Caller> = (caller: Caller, watch: SessionWatch, sink: UpstreamSink) => OpenWatch;

type Member<Caller> = {
  readonly caller: Caller;
  readonly wanted: SessionWatch;
  readonly sink: ClientSink;
  /** Null: the client does not keep up, and nothing is asked for it. */
  upstream: Upstream<Caller> | null;
  /** The first revision of which the client was not told. Null: it was not told that its watch was created. */
  next: number | null;
  /** The first revision that is wanted is still to come, so there is nothing of which it was told all. */
  isEarly: boolean;
  /** The client waits for progress. */
  isAsking: boolean;
  isOver: boolean;
};

/** A watch by session, and those who hear by it. */
type Upstream<Caller> = {
  readonly members: Set<Member<Caller>>;
  watch: OpenWatch | null;
  isShared: boolean;
  /** Those who asked for progress: before the question that is under way was sent, and since then. */
  asked: Set<Member<Caller>>;
  asking: Set<Member<Caller>>;
  isQuestionUnderWay: boolean;
};

export class SharedWatches<Caller> {
  readonly #open: OpenUpstream<Caller>;
  readonly #shared = new Map<Caller, Map<string, Upstream<Caller>>>();
  readonly #members = new Set<Member<Caller>>();
  #upstreams = 0;
  #isClosed = false;

  constructor(open: OpenUpstream<Caller>) {
    this.#open = open;
  }

  /** The watches of clients. */
  get count(): number {
    return this.#members.size;
  }

  /** The watches by session that serve them. */
  get upstreamCount(): number {
    return this.#upstreams;
  }

  open(caller: Caller, wanted: SessionWatch, sink: ClientSink): ClientWatch {
    const member: Member<Caller> = {
      caller,
      wanted,
      sink,
      upstream: null,
      next: null,
      isEarly: false,
      isAsking: false,
      isOver: false,
    };
    this.#members.add(member);
    if (this.#isClosed) this.#lose(member);
    else this.#begin(member);
    return {
      told: () => (member.next === null || member.isEarly ? null : member.next - 1),
      askProgress: () => {
        if (member.isOver) return;
        member.isAsking = true;
        if (member.upstream !== null) this.#ask(member.upstream, member);
      },
      goOn: () => {
        if (member.upstream === null && !member.isOver) this.#begin(member);
      },
      end: () => this.#remove(member),
    };
  }

  /** No replica serves any of them any more. */
  close(): void {
    this.#isClosed = true;
    for (const member of this.#members) this.#lose(member);
  }

  // Watches by session

  /** A watch by session for this client alone. What the client has been told is not asked for. */
  #begin(member: Member<Caller>): void {
    const upstream: Upstream<Caller> = {
      members: new Set([member]),
      watch: null,
      isShared: false,
      asked: new Set(),
      asking: new Set(),
      isQuestionUnderWay: false,
    };
    member.upstream = upstream;
    this.#upstreams++;
    const start = member.next ?? member.wanted.start;
    upstream.watch = this.#open(
      member.caller,
      { ...member.wanted, start },
      {
        created: (told) => this.#created(upstream, told),
        events: (revisions, at) => this.#events(upstream, revisions, at),
        progress: (at) => this.#progress(upstream, at),
        ended: (failure, next) => this.#ended(upstream, (each) => each.sink.ended(failure, next)),
        lost: () => this.#ended(upstream, (each) => each.sink.lost()),
      },
    );
    // It may have ended already.
    if (member.isOver) this.#drop(upstream);
  }

  #created(upstream: Upstream<Caller>, told: Created): void {
    const { header, from } = told;
    for (const member of upstream.members) {
      if (member.next !== null) continue;
      member.next = from;
      member.isEarly = from > header.revision + 1;
      member.sink.created(told);
    }
    for (const member of upstream.members) if (member.isAsking) this.#ask(upstream, member);
    // Before its first revision, a watch of the future has nothing to tell, and no progress.
    if (from === header.revision + 1) this.#upToDate(upstream);
    else if (from > header.revision) this.#join(upstream);
    else this.#question(upstream);
  }

  #events(upstream: Upstream<Caller>, revisions: readonly RevisionEvents[], at: ToldAt): void {
    for (const member of upstream.members) this.#hand(member, revisions, at);
    this.#join(upstream);
  }

  /** A revision that a client has been told, or that is before its `created`, is not for it. */
  #hand(member: Member<Caller>, revisions: readonly RevisionEvents[], at: ToldAt): void {
    const { next, sink } = member;
    const last = revisions.at(-1);
    if (next === null || last === undefined || last.revision < next) return;
    if (!sink.hasRoom()) return this.#pause(member);
    const isAllNew = (revisions[0]?.revision ?? 0) >= next;
    member.next = last.revision + 1;
    member.isEarly = false;
    sink.events(isAllNew ? revisions : revisions.filter(({ revision }) => revision >= next), at);
  }

  #progress(upstream: Upstream<Caller>, at: ToldAt): void {
    const { asked } = upstream;
    upstream.asked = upstream.asking;
    upstream.asking = new Set();
    upstream.isQuestionUnderWay = false;
    for (const member of upstream.members) {
      // A watch of the future has no progress before its first revision.
      if (member.next === null || member.next > at.revision + 1) continue;
      member.next = at.revision + 1;
      member.isEarly = false;
      if (!asked.has(member)) continue;
      member.isAsking = upstream.asked.has(member);
      member.sink.progress(at);
    }
    if (upstream.asked.size > 0) this.#question(upstream);
    this.#upToDate(upstream);
  }

  #ended(upstream: Upstream<Caller>, tell: (member: Member<Caller>) => void): void {
    this.#unshare(upstream);
    if (upstream.watch !== null) this.#upstreams--;
    upstream.watch = null;
    for (const member of upstream.members) {
      this.#forget(member);
      tell(member);
    }
    upstream.members.clear();
  }

  #lose(member: Member<Caller>): void {
    this.#remove(member);
    member.sink.lost();
  }

  // Sharing

  /** It has told all that there was: clients that come may hear by it. */
  #upToDate(upstream: Upstream<Caller>): void {
    if (upstream.isShared || upstream.watch === null) return;
    const [member] = upstream.members;
    if (member === undefined) return;
    if (this.#sharedFor(member) !== undefined) return this.#join(upstream);
    let ofCaller = this.#shared.get(member.caller);
    if (ofCaller === undefined) this.#shared.set(member.caller, (ofCaller = new Map()));
    ofCaller.set(shapeKey(member.wanted), upstream);
    upstream.isShared = true;
  }

  /**
   * Whoever was told everything up to where the shared watch is hears by that one from now on. What the shared one
   * still tells of before that is passed over.
   */
  #join(upstream: Upstream<Caller>): void {
    if (upstream.isShared) return;
    for (const member of upstream.members) {
      const shared = this.#sharedFor(member);
      const position = shared?.watch?.next() ?? null;
      if (shared === undefined || position === null || (member.next ?? 0) < position) continue;
      this.#leave(member);
      member.upstream = shared;
      shared.members.add(member);
      if (member.isAsking) this.#ask(shared, member);
    }
  }

  #sharedFor({ caller, wanted }: Member<Caller>): Upstream<Caller> | undefined {
    return this.#shared.get(caller)?.get(shapeKey(wanted));
  }

  /** Its client reads history later, from where it is. */
  #pause(member: Member<Caller>): void {
    this.#leave(member);
    member.upstream = null;
  }

  #leave(member: Member<Caller>): void {
    const { upstream } = member;
    if (upstream === null) return;
    upstream.members.delete(member);
    upstream.asked.delete(member);
    upstream.asking.delete(member);
    if (upstream.members.size === 0) this.#drop(upstream, member);
  }

  #drop(upstream: Upstream<Caller>, last?: Member<Caller>): void {
    if (last !== undefined) this.#unshare(upstream, last);
    if (upstream.watch !== null) this.#upstreams--;
    upstream.watch?.cancel();
    upstream.watch = null;
  }

  #unshare(upstream: Upstream<Caller>, last = [...upstream.members][0]): void {
    if (!upstream.isShared || last === undefined) return;
    upstream.isShared = false;
    const ofCaller = this.#shared.get(last.caller);
    ofCaller?.delete(shapeKey(last.wanted));
    if (ofCaller?.size === 0) this.#shared.delete(last.caller);
  }

  #remove(member: Member<Caller>): void {
    if (member.isOver) return;
    this.#leave(member);
    this.#forget(member);
  }

  #forget(member: Member<Caller>): void {
    member.isOver = true;
    member.upstream = null;
    this.#members.delete(member);
  }

  // Progress

  /** The answer to a question that was sent before is no answer to who asks now: more may be acknowledged by now. */
  #ask(upstream: Upstream<Caller>, member: Member<Caller>): void {
    if (member.next === null) return;
    if (upstream.isQuestionUnderWay) {
      upstream.asking.add(member);
      return;
    }
    upstream.asked.add(member);
    this.#question(upstream);
  }

  #question(upstream: Upstream<Caller>): void {
    if (upstream.isQuestionUnderWay) return;
    upstream.isQuestionUnderWay = true;
    upstream.watch?.askProgress();
  }
}

function shapeKey({ range: { key, rangeEnd }, noPut, noDelete, previous }: SessionWatch): string {
  const flags = (noPut ? 1 : 0) + (noDelete ? 2 : 0) + (previous ? 4 : 0);
  // The length comes first, so that no two pairs of key and end make the same text.
  return `${flags} ${key.byteLength} ${keyText(key)}${keyText(rangeEnd)}`;
}
