// The client's end of a session's watches. Each knows the first revision that it lacks, and is declared anew from there
// when the connection broke or the replica has forgotten the session. It is pure.

import { unreachable } from '../base/assert.ts';
import type { FailureData } from '../model/calls.ts';
import type { Handle, OpenWatch, WatchSink } from './client-port.ts';
import { encodeClientFrame, type ServerFrame } from './frames.ts';
import { decodeEvents, type SessionWatch } from './watch-codec.ts';

type Watch = {
  /** Each declaration has an id of its own: what is still said of an earlier one is not heard. */
  id: number;
  readonly handle: Handle;
  readonly sink: WatchSink;
  readonly wanted: SessionWatch;
  /** The first revision of which the sink was not told. Null: it was not told that the watch was created. */
  next: number | null;
};

type WatchFrame = Extract<ServerFrame, { readonly kind: 'created' | 'events' | 'progress' | 'canceled' }>;

export class DeclaredWatches {
  readonly #say: (frame: Uint8Array) => void;
  readonly #watches = new Map<number, Watch>();
  /** Those of which this connection has not said that they are there. */
  readonly #undeclared = new Set<Watch>();
  /** Those whose sinks wait for progress. */
  readonly #asked = new Set<Watch>();
  #lastId = 0;

  /** `say` sends a frame if the connection is open. */
  constructor(say: (frame: Uint8Array) => void) {
    this.#say = say;
  }

  get count(): number {
    return this.#watches.size;
  }

  /** Whether the replica owes an answer. */
  get isWaiting(): boolean {
    return this.#undeclared.size + this.#asked.size > 0;
  }

  open(wanted: SessionWatch, handle: Handle, sink: WatchSink): OpenWatch {
    const watch: Watch = { id: 0, handle, sink, wanted, next: null };
    this.#say(this.#declare(watch));
    const isOpen = (): boolean => this.#watches.get(watch.id) === watch;
    return {
      next: () => watch.next,
      askProgress: () => {
        if (!isOpen()) return;
        this.#asked.add(watch);
        this.#say(encodeClientFrame({ kind: 'askProgress', id: watch.id }));
      },
      cancel: () => {
        if (!isOpen()) return;
        this.#remove(watch);
        this.#say(encodeClientFrame({ kind: 'unwatch', id: watch.id }));
      },
    };
  }

  /** What is said to a replica that knows nothing of these watches. */
  declarations(): Uint8Array[] {
    const frames: Uint8Array[] = [];
    const watches = [...this.#watches.values()];
    this.#watches.clear();
    for (const watch of watches) {
      frames.push(this.#declare(watch));
      if (this.#asked.has(watch)) frames.push(encodeClientFrame({ kind: 'askProgress', id: watch.id }));
    }
    return frames;
  }

  interrupted(why: FailureData | null): void {
    // A sink may watch something else at once.
    const watches = [...this.#watches.values()];
    for (const { sink } of watches) sink.interrupted(why);
  }

  /** False: the frame cannot be read. */
  take(frame: WatchFrame): boolean {
    switch (frame.kind) {
      case 'created':
        this.#created(frame);
        return true;
      case 'events':
        return this.#events(frame);
      case 'progress':
        this.#progress(frame);
        return true;
      case 'canceled':
        this.#canceled(frame.id, frame.failure, frame.next);
        return true;
      default:
        return unreachable(frame);
    }
  }

  #created({ id, header, from }: Extract<ServerFrame, { readonly kind: 'created' }>): void {
    const watch = this.#watches.get(id);
    if (watch === undefined) return;
    this.#undeclared.delete(watch);
    // Of a watch that goes on after a break, the sink is told nothing.
    if (watch.next !== null) return;
    watch.next = from;
    watch.sink.created({ header, from });
  }

  #events({ ids, raftTerm, revision, events }: Extract<ServerFrame, { readonly kind: 'events' }>): boolean {
    const told = decodeEvents(events);
    const last = told?.at(-1);
    if (told === null || last === undefined) return false;
    for (const id of ids) {
      const watch = this.#watches.get(id);
      if (watch === undefined) continue;
      watch.next = last.revision + 1;
      watch.sink.events(told, { raftTerm, revision });
    }
    return true;
  }

  #progress({ ids, raftTerm, revision }: Extract<ServerFrame, { readonly kind: 'progress' }>): void {
    for (const id of ids) {
      const watch = this.#watches.get(id);
      if (watch === undefined) continue;
      watch.next = Math.max(watch.next ?? 0, revision + 1);
      this.#asked.delete(watch);
      watch.sink.progress({ raftTerm, revision });
    }
  }

  #canceled(id: number, failure: FailureData, next: number): void {
    const watch = this.#watches.get(id);
    if (watch === undefined) return;
    this.#remove(watch);
    watch.sink.ended(failure, next === 0 ? watch.next : next);
  }

  #declare(watch: Watch): Uint8Array {
    const { handle, wanted, next } = watch;
    const id = ++this.#lastId;
    watch.id = id;
    this.#watches.set(id, watch);
    this.#undeclared.add(watch);
    return encodeClientFrame({ kind: 'watch', id, handle, watch: { ...wanted, start: next ?? wanted.start } });
  }

  #remove(watch: Watch): void {
    this.#watches.delete(watch.id);
    this.#undeclared.delete(watch);
    this.#asked.delete(watch);
  }
}
