// Streams that observe an election: a stream tells the leader at once, then each value that the leader proclaims, then
// the next leader. It works as in etcd: the key of the leader is followed until it is deleted, and then the oldest
// place is read. Any replica serves these streams, and they end with the object.

import type { ObserveCall, ResponseHeader } from '../../api/contract.ts';
import type { Failure } from '../../api/errors/failures.ts';
import { observeMessage } from '../../api/v3/concurrency.ts';
import { bytesOfKeyText, keyText } from '../../base/bytes.ts';
import { observerBacklogBytesMax, streamProbeMs, watchBodyDrainMs } from '../../limits.ts';
import type { Reservation } from '../../base/memory-budget.ts';
import type { Caller, KeyValue, RevisionEvents, StoreEvent } from '../../model/store.ts';
import type { Store } from '../../mvcc/store.ts';
import { placeAt } from './lock-places.ts';
import { queuesOf } from './lock-queues.ts';
import type { OpenCall, OpenCalls } from '../open-calls.ts';
import { blankSpace } from '../../api/blanks.ts';
import { BodyChannel, type BodyOptions } from '../watch/watch-body.ts';

export type ObserversOptions = {
  readonly store: Pick<Store, 'range' | 'firstCreated' | 'revision'>;
  readonly header: (revision: number) => ResponseHeader;
  readonly open: OpenCalls;
  /** Counts the memory of the isolate that a stream of this caller holds. */
  readonly memory: (caller: Caller) => Reservation;
  readonly durable: BodyOptions['durable'];
};

type Observer = {
  readonly call: ObserveCall;
  readonly openCall: OpenCall;
  readonly channel: BodyChannel;
  timer: ReturnType<typeof setTimeout> | null;
  /** The key of the leader; null: there is no leader. */
  leader: string | null;
  /** The observer was told of all changes up to this revision, or need not know of them. */
  seen: number;
};

export class Observers {
  readonly #options: ObserversOptions;
  /** The observers of each election, by its prefix. */
  readonly #observers = new Map<string, Set<Observer>>();
  #count = 0;
  #probing = false;

  constructor(options: ObserversOptions) {
    this.#options = options;
  }

  get count(): number {
    return this.#count;
  }

  /** The caller may read the election, and the replica has caught up. */
  async open(call: ObserveCall, caller: Caller): Promise<Response> {
    const refusal = await this.#options.open.refusalAfterProbe('observer', caller);
    if (refusal !== null) return refused(call, refusal);
    const channel: BodyChannel = new BodyChannel({
      terminator: '\n',
      blank: blankSpace,
      durable: this.#options.durable,
      memory: this.#options.memory(caller),
      backlogBytesMax: () => observerBacklogBytesMax,
      drained: () => undefined,
      gone: () => this.#forget(observer),
      closed: () => this.#forget(observer),
    });
    const openCall: OpenCall = {
      kind: 'observer',
      caller,
      end: (failure) => this.#end(observer, failure),
      probe: () => channel.probe(),
    };
    const observer: Observer = { call, openCall, channel, timer: null, leader: null, seen: 0 };
    this.#options.open.add(openCall);
    const queue = queueOf(observer);
    this.#observers.set(queue, (this.#observers.get(queue) ?? new Set()).add(observer));
    this.#count++;
    if (call.timeoutMs !== null) {
      observer.timer = setTimeout(() => this.#end(observer, { kind: 'timeout' }), call.timeoutMs);
    }
    this.#probeLater();
    this.#tellOldest(observer);
    return new Response(channel.stream, { headers: { 'content-type': 'application/json' } });
  }

  /** What was just applied; null: very many keys were deleted, and a leader's may be among them. */
  published(events: readonly RevisionEvents[] | null): void {
    if (this.#count === 0) return;
    this.#options.open.expire();
    if (events === null) {
      for (const observer of this.#all()) if (this.#leaderIsGone(observer)) this.#tellOldest(observer);
      return;
    }
    for (const { revision, events: changes } of events) {
      for (const change of changes) {
        for (const queue of queuesOf(change.kv.key)) {
          for (const observer of this.#observers.get(queue) ?? []) this.#tell(observer, change, revision);
        }
      }
    }
  }

  /** A stream keeps the object awake, also while its replica's clock stands still. */
  #probeLater(): void {
    if (this.#probing) return;
    this.#probing = true;
    setTimeout(() => {
      this.#probing = false;
      for (const { channel } of this.#all()) channel.probeIfQuiet();
      if (this.#count > 0) this.#probeLater();
    }, streamProbeMs);
  }

  /** The replica no longer serves: all streams end, and `failure` says why. */
  stop(failure: Failure): void {
    for (const observer of this.#all()) this.#end(observer, failure);
  }

  #tell(observer: Observer, { type, kv }: StoreEvent, revision: number): void {
    if (revision <= observer.seen) return;
    const key = keyText(kv.key);
    if (type === 'put') {
      if (observer.leader !== null && observer.leader !== key) return;
      observer.leader = key;
      this.#send(observer, kv, revision);
    } else if (observer.leader === key) {
      this.#tellOldest(observer);
    }
  }

  #leaderIsGone({ leader }: Observer): boolean {
    return leader !== null && placeAt(this.#options.store, bytesOfKeyText(leader)) === null;
  }

  /** Tells who leads now. Earlier changes are not told any more. */
  #tellOldest(observer: Observer): void {
    const { store } = this.#options;
    const { revision } = store;
    const kv = store.firstCreated(observer.call.request);
    observer.leader = kv === null ? null : keyText(kv.key);
    observer.seen = revision;
    if (kv !== null) this.#send(observer, kv, revision);
  }

  #send(observer: Observer, kv: KeyValue, revision: number): void {
    const { channel } = observer;
    if (channel.room() === 'over') return this.#end(observer, { kind: 'overloaded' });
    channel.send(observeMessage(this.#options.header(revision), kv));
  }

  #end(observer: Observer, failure: Failure): void {
    const { channel, call } = observer;
    channel.send(call.failed(failure).text);
    channel.close(failure);
    // What the client has not read by then is dropped.
    setTimeout(() => channel.abandon(), watchBodyDrainMs);
  }

  #forget(observer: Observer): void {
    const queue = queueOf(observer);
    const observers = this.#observers.get(queue);
    if (observers === undefined || !observers.delete(observer)) return;
    if (observers.size === 0) this.#observers.delete(queue);
    if (observer.timer !== null) clearTimeout(observer.timer);
    this.#options.open.delete(observer.openCall);
    this.#count--;
  }

  *#all(): Generator<Observer, void, void> {
    for (const observers of this.#observers.values()) yield* observers;
  }
}

function queueOf({ call }: Observer): string {
  return keyText(call.request.key);
}

/** A refusal, as the only message of a stream. */
export function refused(call: ObserveCall, failure: Failure): Response {
  const { status, text } = call.failed(failure);
  return new Response(`${text}\n`, { status, headers: { 'content-type': 'application/json' } });
}
