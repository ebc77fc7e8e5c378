// Histories that are right by construction, for the tests of the checkers: clients of a store that does one thing at a
// time, with calls that overlap, answers that get lost, writes that are done late or never, reads of earlier states,
// and watchers that reconnect.

import type { Random } from '../../support/random.ts';
import type { Answer, Input, Operation, Pair, SeenPair } from './history.ts';
import type { TruthEvent, TruthRevision } from '../models/truth.ts';
import type { WatchConnection, Watched, WatchFrame } from './watch-checker.ts';

export class SequentialStore {
  readonly revisions: TruthRevision[] = [];
  readonly #pairs = new Map<string, Pair>();
  /** The versions of each key, and the revision until which each was current. */
  readonly #states: ReadonlyMap<string, Pair>[] = [new Map(), new Map()];

  get revision(): number {
    return this.revisions.length + 1;
  }

  take(input: Input): Answer {
    const held = input.when.every(({ key, mod }) => (this.#pairs.get(key)?.mod ?? 0) === mod);
    const events: TruthEvent[] = [];
    const mod = this.revision + 1;
    for (const write of held ? input.writes : []) {
      const previous = this.#pairs.get(write.key) ?? null;
      if (write.kind === 'put') {
        const { key, value } = write;
        const pair = { key, value, mod, create: previous?.create ?? mod, version: (previous?.version ?? 0) + 1 };
        events.push({ type: 'put', pair, previous });
        this.#pairs.set(key, pair);
      } else if (previous !== null) {
        events.push({ type: 'delete', pair: { key: write.key, value: '', mod, create: 0, version: 0 }, previous });
        this.#pairs.delete(write.key);
      }
    }
    if (events.length > 0) {
      this.revisions.push({ revision: mod, events });
      this.#states.push(new Map(this.#pairs));
    }
    const hasDelete = input.writes.some(({ kind }) => kind === 'delete');
    return {
      held,
      revision: this.revision,
      deleted: held && hasDelete ? events.filter(({ type }) => type === 'delete').length : null,
      pairs: input.reads.map((key) => seen(this.#pairs.get(key), input.writes.length > 0)),
    };
  }

  read(input: Input, revision: number): Answer {
    const pairs = input.reads.map((key) => seen(this.#states[revision]?.get(key), false));
    return { held: true, revision, deleted: null, pairs };
  }
}

function seen(pair: Pair | undefined, withoutValue: boolean): SeenPair | null {
  if (pair === undefined) return null;
  return { mod: pair.mod, create: pair.create, version: pair.version, value: withoutValue ? null : pair.value };
}

export type HistoryOptions = {
  readonly random: Random;
  readonly operations: number;
  readonly clients: number;
  readonly keys: readonly string[];
  /** The chances that an answer gets lost, and that a write is refused. */
  readonly lost: number;
  readonly refused: number;
};

export type MadeHistory = { readonly history: Operation[]; readonly revisions: readonly TruthRevision[] };

type Step = { readonly at: number; readonly run: () => void };

export function makeHistory(options: HistoryOptions): MadeHistory {
  return new Maker(options).run();
}

class Maker {
  readonly #options: HistoryOptions;
  readonly #store = new SequentialStore();
  readonly #history: Operation[] = [];
  readonly #steps: Step[] = [];
  #now = 0;
  #clients = 0;
  #asked = 0;
  /** What clients know of keys, for their conditions. */
  readonly #known = new Map<string, number>();

  constructor(options: HistoryOptions) {
    this.#options = options;
  }

  run(): MadeHistory {
    for (let client = 0; client < this.#options.clients; client++) this.#begin(this.#clients++);
    for (let step = this.#next(); step !== undefined; step = this.#next()) {
      this.#now = step.at;
      step.run();
    }
    return { history: this.#history, revisions: this.#store.revisions };
  }

  #next(): Step | undefined {
    if (this.#steps.length === 0) return undefined;
    const first = this.#steps.reduce((best, step, place) => (step.at < (this.#steps[best]?.at ?? 0) ? place : best), 0);
    return this.#steps.splice(first, 1)[0];
  }

  #after(mean: number, run: () => void): void {
    this.#steps.push({ at: this.#now + this.#options.random.exponential(mean), run });
  }

  #begin(client: number): void {
    this.#after(3, () => {
      if (this.#asked >= this.#options.operations) return;
      this.#ask(client, this.#someInput(this.#asked++));
    });
  }

  #ask(client: number, input: Input): void {
    const { random, lost, refused } = this.#options;
    const call = this.#now;
    const base = { client, call, input };
    const isWrite = input.writes.length > 0;
    if (isWrite && random.chance(refused)) {
      this.#after(5, () => {
        this.#history.push({ ...base, outcome: { kind: 'refused', return: this.#now, why: 'too many' } });
        this.#begin(client);
      });
    } else if (random.chance(lost)) {
      // The write is done soon, late or never.
      const late = random.integer(0, 2);
      if (late < 2) this.#after(late === 0 ? 5 : 300, () => void this.#store.take(input));
      this.#history.push({ ...base, outcome: { kind: 'lost', why: 'cut' } });
      this.#begin(this.#clients++);
    } else {
      this.#after(5, () => {
        const answer = this.#answer(input);
        this.#after(5, () => {
          for (const [place, pair] of answer.pairs.entries()) this.#known.set(input.reads[place] ?? '', pair?.mod ?? 0);
          this.#history.push({ ...base, outcome: { kind: 'answered', return: this.#now, answer } });
          this.#begin(client);
        });
      });
    }
  }

  #answer(input: Input): Answer {
    if (!input.serializable) return this.#store.take(input);
    return this.#store.read(input, Math.max(1, this.#store.revision - this.#options.random.integer(0, 5)));
  }

  #someInput(number: number): Input {
    const { random, keys } = this.#options;
    const key = random.pick(keys);
    const other = random.pick(keys.filter((each) => each !== key).concat(keys.length === 1 ? keys : []));
    const put = (name: string) => ({ kind: 'put' as const, key: name, value: `v${number}` });
    const when = [{ key, mod: this.#known.get(key) ?? 0 }];
    const base: Input = { when: [], writes: [], reads: [key], serializable: false };
    switch (random.integer(0, 7)) {
      case 0:
      case 1:
        return { ...base, writes: [put(key)] };
      case 2:
        return { ...base, writes: [put(key)], when };
      case 3:
        return { ...base, writes: [{ kind: 'delete', key }], when: random.chance(0.5) ? when : [], reads: [] };
      case 4:
        return { ...base, serializable: true };
      case 5:
        if (other === key) return base;
        return {
          ...base,
          writes: [put(key), random.chance(0.7) ? put(other) : { kind: 'delete', key: other }],
          when,
          reads: [key, other],
        };
      default:
        return random.chance(0.3) ? { ...base, reads: keys } : base;
    }
  }
}

export type WatchOptions = {
  readonly random: Random;
  readonly revisions: readonly TruthRevision[];
  readonly matches: (key: string) => boolean;
  readonly previous: boolean;
  readonly asked: number;
};

/** What a watcher of that history may have been told, over some reconnections. */
export function makeWatch({ random, revisions, matches, previous, asked }: WatchOptions): Watched {
  const last = revisions.at(-1)?.revision ?? 1;
  const connections: WatchConnection[] = [];
  let next = asked;
  while (next <= last || connections.length === 0) {
    const from = next;
    const frames: WatchFrame[] = [{ kind: 'created', revision: Math.max(next - 1, last - random.integer(0, 3)), from }];
    let until = Math.min(last, next + random.integer(0, 40));
    for (let events: TruthEvent[] = []; next <= until; next++) {
      const whole =
        revisions.find(({ revision }) => revision === next)?.events.filter(({ pair }) => matches(pair.key)) ?? [];
      events.push(...whole.map((event) => (previous ? event : { ...event, previous: null })));
      if (next < until && random.chance(0.5)) continue;
      if (events.length > 0) frames.push({ kind: 'events', events });
      else if (random.chance(0.5)) frames.push({ kind: 'progress', revision: next });
      events = [];
    }
    connections.push({ asked: from, floor: 0, frames });
    // The watcher does not know of revisions without events unless progress told it: it asks from after what it saw.
    const told = frames.map((frame) => {
      if (frame.kind === 'events') return frame.events.at(-1)?.pair.mod ?? 0;
      return frame.kind === 'progress' ? frame.revision : from - 1;
    });
    until = Math.max(...told);
    if (next <= last) next = until + 1;
  }
  return { name: 'watcher', matches, previous, connections, through: last };
}
