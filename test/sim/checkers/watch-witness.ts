// Compares what one watcher was told with what was committed. Its rules: events are ordered, unique, atomic (a revision
// is never in parts), reliable (none is left out), resumable (none is left out where a watch went on), bookmarkable
// (all events up to a progress message come before it), with right previous values, and none comes from before the
// revision that was asked for.

import type { KeyRange } from '../../../src/model/store.ts';
import type { HistoryChecker } from './history-checker.ts';
import { type PlainEvent, textOfBytes } from '../models/plain.ts';
import { check } from '../trace.ts';
import type { SeenEvent, WatchFrame } from '../workloads/watch-frames.ts';

/** The range that is watched. */
export type WatchedShape = {
  readonly range: KeyRange;
  readonly noPut: boolean;
  readonly noDelete: boolean;
  readonly previous: boolean;
};

export class WatchWitness {
  readonly #who: string;
  readonly #history: HistoryChecker;
  readonly #shape: WatchedShape;
  readonly #from: string;
  readonly #to: string;
  /** The first revision that was asked for. Null: what comes next. */
  readonly #start: number | null;
  /** All events that match were told up to this revision. Null: the watch has not said where it begins. */
  #through: number | null;
  /** The revision of what was over when the connection was asked for. */
  #floor = 0;
  #isConnected = false;

  constructor(history: HistoryChecker, who: string, { shape, start }: { shape: WatchedShape; start: number | null }) {
    this.#history = history;
    this.#who = who;
    this.#shape = shape;
    this.#from = textOfBytes(shape.range.key);
    this.#to = textOfBytes(shape.range.rangeEnd);
    this.#start = start;
    this.#through = start === null ? null : start - 1;
  }

  /** The revision at which another connection goes on. Null: at what comes next. */
  get resume(): number | null {
    return this.#through === null ? null : this.#through + 1;
  }

  get isCaughtUp(): boolean {
    return this.#through !== null && this.#lacking === null;
  }

  /** The first revision that the watcher should have been told and was not. */
  get #lacking(): number | null {
    return this.#matching(this.#through ?? 0, this.#history.revision)[0]?.revision ?? null;
  }

  inWords(): string {
    const range = `${JSON.stringify(this.#from)} to ${JSON.stringify(this.#to)}`;
    return `${range} from ${this.#start}, told through ${this.#through}, lacking ${this.#lacking}`;
  }

  connects(): void {
    this.#isConnected = false;
    this.#floor = this.#history.floor.revision;
  }

  created({ revision, from }: Extract<WatchFrame, { kind: 'created' }>): void {
    check(!this.#isConnected, 'watch: created once', () => this.#who);
    this.#isConnected = true;
    this.#isCommitted(revision);
    check(revision >= this.#floor, 'watch: real-time order', () => {
      return `${this.#who} began at revision ${revision}; ${this.#floor} was over before it was asked for`;
    });
    const first = from ?? this.resume ?? revision + 1;
    check(
      this.#through === null ? first === revision + 1 : first === this.#through + 1,
      'watch: begins where asked',
      () => {
        return `${this.#who} begins at ${first}, the store being at ${revision}, and was to begin at ${this.resume}`;
      },
    );
    this.#through ??= first - 1;
  }

  /** `isFirst`: this is the first message since the connection began, or since its replica woke. */
  events(events: readonly SeenEvent[], isFirst: boolean): void {
    const last = events.at(-1)?.revision;
    check(this.#isConnected && last !== undefined, 'watch: created once', () => this.#who);
    const through = this.#told;
    this.#isCommitted(last);
    this.#checkOrder(events, through);
    const expected = this.#matching(through, last);
    const gap = isFirst ? 'watch: resumable' : 'watch: reliable';
    let place = 0;
    for (const { revision, event } of expected) {
      const seen = events[place];
      if (seen?.revision !== revision) {
        const isSplit = place > 0 && events[place - 1]?.revision === revision;
        return this.#fails(isSplit ? 'watch: atomic' : gap, `lacks an event of revision ${revision}`, events);
      }
      this.#compare(seen, event, events);
      place++;
    }
    const more = events[place];
    if (more !== undefined) this.#fails('watch: unique', `has too many events of revision ${more.revision}`, events);
    this.#through = last;
  }

  progress(revision: number): void {
    const through = this.#told;
    this.#isCommitted(revision);
    const lacking = this.#matching(through, revision)[0];
    check(lacking === undefined, 'watch: bookmarkable', () => {
      return `${this.#who} was told of progress up to ${revision} and not of revision ${lacking?.revision}`;
    });
    check(revision >= through && revision >= (this.#start ?? 0), 'watch: bookmarkable', () => {
      return `${this.#who} was told of progress up to ${revision}, having all up to ${through}, from ${this.#start} on`;
    });
    this.#through = revision;
  }

  /** The revisions that the watch still needed are compacted. */
  compacted(compacted: number): void {
    const known = this.#history.compacted;
    check(compacted <= known && (this.resume ?? 0) < compacted, 'watch: compacted', () => {
      return `${this.#who}, next ${this.resume}, was told that ${compacted} is compacted; ${known} is`;
    });
  }

  /** The watch did not keep up, and is to go on here. */
  slow(resume: number): void {
    const through = this.#told;
    const lacking = this.#matching(through, resume - 1)[0];
    check(lacking === undefined && resume > through, 'watch: resumable', () => {
      return `${this.#who} is to resume from ${resume} and was told up to ${through}, not of ${lacking?.revision}`;
    });
    this.#through = resume - 1;
  }

  get #told(): number {
    check(this.#through !== null, 'watch: created once', () => `${this.#who} hears of events first`);
    return this.#through;
  }

  #isCommitted(revision: number): void {
    check(revision <= this.#history.revision, 'watch: committed', () => {
      return `${this.#who} hears of revision ${revision}; ${this.#history.revision} is committed`;
    });
  }

  #checkOrder(events: readonly SeenEvent[], through: number): void {
    let before = 0;
    for (const { revision } of events) {
      if (revision < (this.#start ?? 0)) {
        this.#fails('watch: nothing from before', `asked for ${this.#start} on and hears of ${revision}`, events);
      }
      if (revision <= through) this.#fails('watch: unique', `hears of ${revision} again, after ${through}`, events);
      if (revision < before) this.#fails('watch: ordered', `hears of ${revision} after ${before}`, events);
      before = revision;
    }
  }

  #compare(seen: SeenEvent, event: PlainEvent, events: readonly SeenEvent[]): void {
    if (seen.type !== event.type || !isSamePair(seen.pair, event.pair)) {
      this.#fails('watch: events are right', `expects ${JSON.stringify(event)}`, events);
    }
    if (!this.#shape.previous) {
      if (seen.previous !== null) this.#fails('watch: previous values', 'asked for none', events);
      return;
    }
    // At the compacted revision the previous pairs are gone.
    const mayBeGone = seen.revision - 1 < this.#history.compacted;
    const isRight =
      seen.previous === null
        ? event.previous === null || mayBeGone
        : event.previous !== null && isSamePair(seen.previous, event.previous);
    if (!isRight) this.#fails('watch: previous values', `expects ${JSON.stringify(event.previous)}`, events);
  }

  #matching(after: number, through: number): { readonly revision: number; readonly event: PlainEvent }[] {
    const matching: { readonly revision: number; readonly event: PlainEvent }[] = [];
    for (let revision = after + 1; revision <= Math.min(through, this.#history.revision); revision++) {
      for (const event of this.#history.eventsOf(revision)) {
        if (this.#matches(event)) matching.push({ revision, event });
      }
    }
    return matching;
  }

  #matches({ type, pair: { key } }: PlainEvent): boolean {
    if (type === 'put' ? this.#shape.noPut : this.#shape.noDelete) return false;
    if (this.#to === '') return key === this.#from;
    return key >= this.#from && (this.#to === '\0' || key < this.#to);
  }

  #fails(rule: string, what: string, events: readonly SeenEvent[]): void {
    check(false, rule, () => `${this.#who} ${what}, and was told ${JSON.stringify(events)}`);
  }
}

function isSamePair(left: PlainEvent['pair'], right: PlainEvent['pair']): boolean {
  return (
    left.key === right.key &&
    left.mod === right.mod &&
    left.create === right.create &&
    left.version === right.version &&
    left.lease === right.lease &&
    left.value === right.value
  );
}
