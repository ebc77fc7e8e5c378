// The callers that wait for a turn on one replica: for locks, semaphores and elections. A queue is a prefix that ends
// in "/". A place is a key below it, and the places of a queue are in the order of their create revisions. The turn of
// a place comes when fewer than `limit` places are left before it. Nothing is polled: a queue is looked at when a key
// below it is deleted, up to the first waiter that must wait on. There is no I/O and no clock here.

import { assert } from '../../base/assert.ts';
import { keyText } from '../../base/bytes.ts';
import type { RevisionEvents } from '../../model/store.ts';

const slash = '/'.charCodeAt(0);

export type Place = {
  readonly name: Uint8Array;
  readonly key: Uint8Array;
  readonly createRevision: number;
  /** How many places may hold at a time. */
  readonly limit: number;
};

/**
 * `turn`: fewer than `limit` places are left before the waiter's own, which may have gone. `lost`: the waiter's own
 * place has gone.
 */
export type News = 'turn' | 'lost';

export type Waiter = {
  readonly place: Place;
  /** The waiter is also told when its own place goes. */
  readonly untilLost: boolean;
  /** Called once at most, and not after `leave`. A waiter that was told has left the queue. */
  readonly told: (news: News) => void;
};

export type QueuesOptions = {
  /**
   * How many places of a name were taken before this revision, as far as the log was applied; no more than `limit` are
   * counted.
   */
  readonly placesBefore: (name: Uint8Array, createRevision: number, limit: number) => number;
  /** Whether a place is still there. */
  readonly holds: (place: Place) => boolean;
};

/** The prefixes, ending in a slash, that hold a key. */
export function* queuesOf(key: Uint8Array): Generator<string, void, void> {
  const text = keyText(key);
  for (let end = key.indexOf(slash); end >= 0; end = key.indexOf(slash, end + 1)) yield text.slice(0, end + 1);
}

function queueText(name: Uint8Array): string {
  return `${keyText(name)}/`;
}

export class LockQueues {
  readonly #options: QueuesOptions;
  /** Those who wait for each queue, in the order of their places. */
  readonly #queues = new Map<string, Waiter[]>();
  #count = 0;

  constructor(options: QueuesOptions) {
    this.#options = options;
  }

  get count(): number {
    return this.#count;
  }

  /** False: it is the turn of this place already, and the waiter does not join. */
  join(waiter: Waiter): boolean {
    const { place } = waiter;
    if (!this.#mustWait(place)) return false;
    const queue = this.#queues.get(queueText(place.name)) ?? [];
    this.#queues.set(queueText(place.name), queue);
    const after = queue.findLastIndex((other) => other.place.createRevision <= place.createRevision);
    queue.splice(after + 1, 0, waiter);
    this.#count++;
    return true;
  }

  leave(waiter: Waiter): void {
    const text = queueText(waiter.place.name);
    const queue = this.#queues.get(text);
    const index = queue?.indexOf(waiter) ?? -1;
    if (queue === undefined || index < 0) return;
    queue.splice(index, 1);
    if (queue.length === 0) this.#queues.delete(text);
    this.#count--;
  }

  /**
   * What was just applied; what the options tell is up to date with it. null: very many keys were deleted, of any
   * queue.
   */
  published(events: readonly RevisionEvents[] | null): void {
    if (this.#count === 0) return;
    if (events === null) {
      for (const text of this.#queues.keys()) this.#look(text, (place) => !this.#options.holds(place));
      return;
    }
    const changed = new Map<string, Set<string>>();
    for (const { events: changes } of events) {
      for (const { type, kv } of changes) {
        if (type !== 'delete') continue;
        for (const text of queuesOf(kv.key)) {
          if (!this.#queues.has(text)) continue;
          const keys = changed.get(text) ?? new Set();
          changed.set(text, keys.add(keyText(kv.key)));
        }
      }
    }
    for (const [text, keys] of changed) this.#look(text, ({ key }) => keys.has(keyText(key)));
  }

  #look(text: string, isLost: (place: Place) => boolean): void {
    // Of two with one limit, the later has a turn only when the earlier has one.
    const waiting = new Set<number>();
    for (const waiter of this.#queues.get(text)?.slice() ?? []) {
      const { place, untilLost } = waiter;
      const { limit } = place;
      if (!waiting.has(limit) && this.#mustWait(place)) waiting.add(limit);
      if (!waiting.has(limit)) this.#tell(waiter, 'turn');
      else if (untilLost && isLost(place)) this.#tell(waiter, 'lost');
    }
  }

  #tell(waiter: Waiter, news: News): void {
    this.leave(waiter);
    waiter.told(news);
  }

  #mustWait({ name, createRevision, limit }: Place): boolean {
    assert(limit >= 1, 'a queue lets one hold at least');
    return this.#options.placesBefore(name, createRevision, limit) >= limit;
  }
}
