// Compares what one watcher was told with what happened. The rules are etcd's words for a watch: ordered, unique,
// atomic (a revision comes whole, never in parts), reliable (no gap), resumable (no gap where a watch went on),
// bookmarkable (all events up to a progress message come before it). Previous values are right, and nothing comes from
// before the revision that was asked for. The simulator asks while a watch goes on, and ends at the first broken rule;
// `checkWatch` asks at the end, and collects the broken rules.

import { isSamePair, pairInWords, type TruthEvent } from '../models/truth.ts';

/** `previous` null: the key was absent before, or its previous pair was not told. */
export type WatchEvent = TruthEvent;

/** Everything that happened to the store, as far as it is known by now. */
type Happened = {
  /** The newest revision. */
  readonly revision: number;
  readonly compacted: number;
  /** In the order in which they happened. */
  readonly eventsOf: (revision: number) => readonly WatchEvent[];
};

type WitnessOptions = {
  readonly happened: Happened;
  readonly matches: (event: WatchEvent) => boolean;
  /** Whether previous values were asked for. */
  readonly previous: boolean;
  /** The first revision that was asked for. Null: what comes next. */
  readonly start: number | null;
  /** Called where a rule is broken. The function may throw. */
  readonly fail: (rule: string, what: string) => void;
};

const shownMax = 5;

export class WatchWitness {
  readonly #options: WitnessOptions;
  readonly #happened: Happened;
  readonly #fail: WitnessOptions['fail'];
  /** All events that match were told up to this revision. Null: the watch has not said where it begins. */
  #through: number | null;
  /** The revision that this connection asked for. Null: what comes next. */
  #asked: number | null = null;
  /** The revision of what was over when the connection was asked for. */
  #floor = 0;
  #isCreated = false;
  /** The keys that this connection told, by revision. */
  readonly #told = new Map<number, Set<string>>();

  constructor(options: WitnessOptions) {
    this.#options = options;
    this.#happened = options.happened;
    this.#fail = options.fail;
    this.#through = options.start === null ? null : options.start - 1;
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
    return this.#matching(this.#through ?? 0, this.#happened.revision)[0] ?? null;
  }

  inWords(): string {
    return `from ${this.#options.start}, told through ${this.#through}, lacking ${this.#lacking}`;
  }

  /** `asked`: the revision that the connection asks for. `floor`: the newest that anybody had been told of by then. */
  connects({ asked, floor }: { readonly asked: number | null; readonly floor: number }): void {
    this.#isCreated = false;
    this.#asked = asked;
    this.#floor = floor;
    this.#told.clear();
    if (asked === null) return;
    if (this.#through !== null && asked > this.#through + 1) {
      this.#fail('resumable', `it went on from ${asked}, and had been told up to ${this.#through}`);
    }
    // A watcher that asks for an earlier revision than it needs is told again, which is no fault of the watch.
    this.#through = asked - 1;
  }

  /** `from`: the first revision that the watch will tell. Null: it does not say. */
  created({ revision, from }: { readonly revision: number; readonly from: number | null }): void {
    if (this.#isCreated) this.#fail('created once', `and again, at revision ${revision}`);
    this.#isCreated = true;
    this.#isCommitted(revision, 'created at');
    if (revision < this.#floor) {
      this.#fail('real-time order', `at revision ${revision}; ${this.#floor} was over before it was asked for`);
    }
    const asked = this.#asked;
    const first = from ?? asked ?? revision + 1;
    if (first !== (asked ?? revision + 1)) {
      this.#fail('begins where asked', `at ${first}, the store being at ${revision}; ${asked} was asked for`);
    }
    this.#through ??= first - 1;
  }

  /** The events of one message. `isFirst`: the first message since the connection began, or since its replica woke. */
  events(events: readonly WatchEvent[], isFirst: boolean): void {
    if (!this.#isCreated || this.#through === null) return this.#fail('created once', 'events came before it was');
    if (events.length === 0) return this.#fail('events are right', 'a message has none');
    let last = 0;
    const revisions = new Map<number, WatchEvent[]>();
    for (const event of events) {
      const { mod } = event.pair;
      this.#isCommitted(mod, 'an event of');
      if (mod < last) this.#fail('ordered', `revision ${mod} came after ${last}`);
      last = mod;
      revisions.set(mod, [...(revisions.get(mod) ?? []), event]);
      if (mod < (this.#asked ?? 0)) {
        this.#fail('nothing from before', `${this.#asked} was asked for, and revision ${mod} came`);
      }
    }
    let gap = isFirst ? 'resumable' : 'reliable';
    for (const revision of [...revisions.keys()].sort((left, right) => left - right)) {
      if (revision >= (this.#asked ?? 0)) this.#revision(revision, revisions.get(revision) ?? [], gap);
      gap = 'reliable';
    }
  }

  progress(revision: number): void {
    const through = this.#through;
    if (through === null) return this.#fail('created once', 'progress came before it was');
    this.#isCommitted(revision, 'progress up to');
    const lacking = this.#matching(through, revision);
    if (lacking.length > 0) {
      const missing = lacking.slice(0, shownMax).join(', ');
      this.#fail('bookmarkable', `progress up to ${revision}, without ${missing}; ${through} was told`);
    }
    if (revision < through || revision < (this.#options.start ?? 0)) {
      this.#fail(
        'bookmarkable',
        `progress up to ${revision}, after all up to ${through}, from ${this.#options.start} on`,
      );
    }
    this.#through = Math.max(through, revision);
  }

  /** The revisions that the watch still needed are compacted. */
  compacted(compacted: number): void {
    const known = this.#happened.compacted;
    if (compacted <= known && (this.resume ?? 0) < compacted) return;
    this.#fail('compacted', `its next is ${this.resume}, and it was told that ${compacted} is compacted; ${known} is`);
  }

  /** The watch did not keep up, and is to go on here. */
  slow(resume: number): void {
    const through = this.#through;
    if (through === null) return this.#fail('created once', 'it was too slow before it was');
    const lacking = this.#matching(through, resume - 1)[0];
    if (lacking !== undefined || resume <= through) {
      this.#fail('resumable', `it is to go on from ${resume}, was told up to ${through}, and not of ${lacking}`);
    }
    this.#through = resume - 1;
  }

  /** The run waited until the watch had everything up to `through`. */
  ends(through: number): void {
    if (this.#through === null) return;
    const lacking = this.#matching(this.#through, through)[0];
    if (lacking !== undefined) this.#fail('reliable', `it never told of revision ${lacking}; ${through} is the last`);
  }

  /** The events of one revision in one message. */
  #revision(revision: number, events: readonly WatchEvent[], gap: string): void {
    const through = this.#through ?? 0;
    for (const event of events) this.#compare(event);
    if (revision <= through) return this.#again(revision, events);
    const missed = this.#matching(through, revision - 1);
    if (missed.length > 0) {
      this.#fail(gap, `revision ${revision} came after ${through}, without ${missed.slice(0, shownMax).join(', ')}`);
    }
    this.#through = revision;
    const keys = new Set(events.map(({ pair }) => pair.key));
    this.#told.set(revision, keys);
    if (keys.size < events.length) this.#fail('unique', `revision ${revision} has a key twice`);
    const lacking = this.#eventsOf(revision).filter(({ pair }) => !keys.has(pair.key));
    if (lacking.length === 0) return this.#checkOrderWithin(revision, events);
    const missing = lacking.map(({ pair }) => pair.key).join(', ');
    this.#fail('atomic', `of revision ${revision} ${missing} did not come with it`);
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
    if (expected.length !== keys.length || expected.every((key, place) => key === keys[place])) return;
    this.#fail('ordered', `revision ${revision} has ${keys.join(', ')}, changed in the order ${expected.join(', ')}`);
  }

  #compare(event: WatchEvent): void {
    const { key, mod } = event.pair;
    if (!this.#options.matches(event)) return this.#fail('events are right', `${key} at ${mod} is not watched`);
    const expected = this.#happened.eventsOf(mod).find(({ pair }) => pair.key === key);
    if (expected === undefined) return this.#fail('events are right', `revision ${mod} did not change ${key}`);
    if (event.type !== expected.type || !isSamePair(event.pair, expected.pair)) {
      this.#fail('events are right', `revision ${mod} of ${key}: ${inWords(event)}, not ${inWords(expected)}`);
    }
    const before = this.#options.previous ? expected.previous : null;
    if (isSamePair(event.previous, before)) return;
    // At the compacted revision the previous pairs are gone.
    if (event.previous === null && mod - 1 < this.#happened.compacted) return;
    this.#fail(
      'previous values',
      `before ${mod} ${key} was ${pairInWords(before)}, not ${pairInWords(event.previous)}`,
    );
  }

  #isCommitted(revision: number, what: string): void {
    if (revision <= this.#happened.revision) return;
    this.#fail('committed', `${what} revision ${revision}; ${this.#happened.revision} is the newest`);
  }

  #eventsOf(revision: number): WatchEvent[] {
    return this.#happened.eventsOf(revision).filter((event) => this.#options.matches(event));
  }

  /** The revisions after one and up to another that have an event for this watch. */
  #matching(after: number, through: number): number[] {
    const matching: number[] = [];
    for (let revision = after + 1; revision <= Math.min(through, this.#happened.revision); revision++) {
      if (this.#happened.eventsOf(revision).some((event) => this.#options.matches(event))) matching.push(revision);
    }
    return matching;
  }
}

function inWords({ type, pair }: WatchEvent): string {
  return `${type} ${pairInWords(pair)}`;
}
