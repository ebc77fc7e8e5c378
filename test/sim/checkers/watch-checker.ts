// Compares what a watcher was told over all its connections with everything that happened. The rules are etcd's words
// for a watch: ordered, unique, atomic (a revision comes whole, never in parts), reliable (no gap), resumable (no gap
// where a watch went on), bookmarkable (all events up to a progress message come before it). Previous values are right,
// and nothing comes from before the revision that was asked for.

import type { Pair, Violation } from './history.ts';
import { isSamePair, pairInWords, type Truth, type TruthEvent } from '../models/truth.ts';

export type WatchEvent = TruthEvent;

export type WatchFrame =
  /** `from`: the first revision that the watch will tell. Null: it does not say. */
  | { readonly kind: 'created'; readonly revision: number; readonly from: number | null }
  | { readonly kind: 'events'; readonly events: readonly WatchEvent[] }
  /** All events up to this revision were told. A connection gives such a revision, too, as the one to go on after. */
  | { readonly kind: 'progress'; readonly revision: number };

export type WatchConnection = {
  /** The revision that was asked for. Null: what comes next. */
  readonly asked: number | null;
  /** The highest revision that anybody had been told when the watch was asked for. */
  readonly floor: number;
  readonly frames: readonly WatchFrame[];
};

export type Watched = {
  readonly name: string;
  readonly matches: (key: string) => boolean;
  /** Whether previous values were asked for. */
  readonly previous: boolean;
  /** The connections in their order. Each after the first goes on where the one before it ended. */
  readonly connections: readonly WatchConnection[];
  /** The run waited until the watch had everything up to this revision. */
  readonly through: number;
};

export function checkWatch(watched: Watched, truth: Truth): Violation[] {
  return new WatchWitness(watched, truth).check();
}

class WatchWitness {
  readonly #watched: Watched;
  readonly #truth: Truth;
  readonly #violations: Violation[] = [];
  /** All matching events were told up to this revision. Null: the watch has not said where it begins. */
  #through: number | null = null;
  /** The keys that this connection told, by revision. */
  readonly #told = new Map<number, Set<string>>();
  #asked = 0;
  /** No events came since the connection began, or since its watcher resumed. */
  #isFresh = true;

  constructor(watched: Watched, truth: Truth) {
    this.#watched = watched;
    this.#truth = truth;
  }

  check(): Violation[] {
    for (const connection of this.#watched.connections) this.#checkConnection(connection);
    const lacking = this.#matching(this.#through ?? 0, this.#watched.through)[0];
    if (this.#through !== null && lacking !== undefined) {
      this.#fail('reliable', `it never told of revision ${lacking}; ${this.#watched.through} is the last`);
    }
    return this.#violations;
  }

  #checkConnection({ asked, floor, frames }: WatchConnection): void {
    this.#isFresh = true;
    this.#asked = asked ?? 0;
    if (asked !== null && this.#through !== null && asked > this.#through + 1) {
      this.#fail('resumable', `it went on from ${asked}, and had been told up to ${this.#through}`);
    }
    // A watcher that asks for an earlier revision than it needs is told again, which is no fault of the watch.
    if (asked !== null) this.#through = asked - 1;
    this.#told.clear();
    for (const frame of frames) {
      switch (frame.kind) {
        case 'created':
          this.#created(frame, asked, floor);
          break;
        case 'events':
          this.#events(frame.events);
          break;
        case 'progress':
          this.#progress(frame.revision);
          break;
        default:
          return frame satisfies never;
      }
    }
  }

  #created({ revision, from }: Extract<WatchFrame, { kind: 'created' }>, asked: number | null, floor: number): void {
    if (revision < floor) this.#fail('begins', `at revision ${revision}; ${floor} was told before it was asked for`);
    if (revision > this.#truth.last) this.#fail('committed', `revision ${revision} is not there`);
    const first = from ?? asked ?? revision + 1;
    const expected = asked ?? revision + 1;
    if (first !== expected) this.#fail('begins', `at ${first}, the store being at ${revision}; ${asked} was asked for`);
    this.#through ??= first - 1;
  }

  #events(events: readonly WatchEvent[]): void {
    const through = this.#through;
    if (through === null) return this.#fail('begins', 'events came before it was created');
    let last = 0;
    const revisions = new Map<number, WatchEvent[]>();
    for (const event of events) {
      const { mod } = event.pair;
      if (mod < last) this.#fail('ordered', `revision ${mod} came after ${last}`);
      last = mod;
      revisions.set(mod, [...(revisions.get(mod) ?? []), event]);
      if (mod < this.#asked) this.#fail('not before', `${this.#asked} was asked for, and revision ${mod} came`);
    }
    for (const revision of [...revisions.keys()].sort((left, right) => left - right)) {
      if (revision >= this.#asked) this.#revision(revision, revisions.get(revision) ?? []);
      this.#isFresh = false;
    }
  }

  /** The events of one revision in one frame. */
  #revision(revision: number, events: readonly WatchEvent[]): void {
    const through = this.#through ?? 0;
    for (const event of events) this.#compare(event);
    if (revision <= through) return this.#again(revision, events);
    const missed = this.#matching(through, revision - 1);
    if (missed.length > 0) {
      const rule = this.#isFresh ? 'resumable' : 'reliable';
      this.#fail(rule, `revision ${revision} came after ${through}, without ${missed.slice(0, 5).join(', ')}`);
    }
    this.#through = revision;
    const keys = new Set(events.map(({ pair }) => pair.key));
    this.#told.set(revision, keys);
    if (keys.size < events.length) this.#fail('unique', `revision ${revision} has a key twice`);
    const lacking = this.#eventsOf(revision).filter(({ pair }) => !keys.has(pair.key));
    if (lacking.length > 0) {
      this.#fail(
        'atomic',
        `of revision ${revision} ${lacking.map(({ pair }) => pair.key).join(', ')} did not come with it`,
      );
    } else this.#checkOrderWithin(revision, events);
  }

  /** A revision below the last one: it was told already, in part, or was left out before. */
  #again(revision: number, events: readonly WatchEvent[]): void {
    const told = this.#told.get(revision);
    if (told === undefined) return this.#fail('ordered', `revision ${revision} came after ${this.#through}`);
    const isRest = events.every(({ pair }) => !told.has(pair.key));
    for (const { pair } of events) told.add(pair.key);
    if (isRest) return this.#fail('atomic', `revision ${revision} came in parts`);
    this.#fail('unique', `revision ${revision} came again`);
  }

  #checkOrderWithin(revision: number, events: readonly WatchEvent[]): void {
    const expected = this.#eventsOf(revision).map(({ pair }) => pair.key);
    const keys = events.map(({ pair }) => pair.key);
    if (expected.length === keys.length && expected.some((key, place) => key !== keys[place])) {
      this.#fail(
        'ordered',
        `revision ${revision} has ${keys.join(', ')}, which were changed as ${expected.join(', ')}`,
      );
    }
  }

  #compare({ type, pair, previous }: WatchEvent): void {
    const { key, mod } = pair;
    if (!this.#watched.matches(key)) return this.#fail('events are right', `${key} is not watched`);
    const expected = this.#truth.eventsOf(mod).find((event) => event.pair.key === key);
    if (expected === undefined) return this.#fail('events are right', `revision ${mod} did not change ${key}`);
    if (type !== expected.type || !isSamePair(pair, expected.pair)) {
      const right = `${expected.type} ${pairInWords(expected.pair)}`;
      this.#fail('events are right', `revision ${mod} of ${key}: ${type} ${pairInWords(pair)}, not ${right}`);
    }
    const before: Pair | null = this.#watched.previous ? this.#truth.pairAt(key, mod - 1) : null;
    if (isSamePair(previous, before)) return;
    this.#fail('previous', `before ${mod} ${key} was ${pairInWords(before)}, not ${pairInWords(previous)}`);
  }

  #progress(revision: number): void {
    const through = this.#through;
    if (through === null) return this.#fail('begins', 'progress came before it was created');
    if (revision > this.#truth.last)
      this.#fail('committed', `progress ${revision}; the store ends at ${this.#truth.last}`);
    const lacking = this.#matching(through, revision);
    if (lacking.length > 0) {
      this.#fail(
        'bookmarkable',
        `progress ${revision}, without ${lacking.slice(0, 5).join(', ')}; ${through} was told`,
      );
    }
    if (revision < through) this.#fail('bookmarkable', `progress ${revision}, after all up to ${through}`);
    this.#through = Math.max(through, revision);
  }

  #eventsOf(revision: number): TruthEvent[] {
    return this.#truth.eventsOf(revision).filter(({ pair }) => this.#watched.matches(pair.key));
  }

  /** The revisions after one and up to another that have an event for this watch. */
  #matching(after: number, through: number): number[] {
    const matching: number[] = [];
    for (let revision = after + 1; revision <= Math.min(through, this.#truth.last); revision++) {
      if (this.#eventsOf(revision).length > 0) matching.push(revision);
    }
    return matching;
  }

  #fail(rule: string, what: string): void {
    this.#violations.push({ rule, what: `${this.#watched.name}: ${what}`, operations: [] });
  }
}
