// Random writes, compactions, sleeps, breaks and watches against both ends of a session. A failure names its seed, and
// `SESSION_SEED=n npx vitest run test/session/watch-random.test.ts` runs it alone.

import { expect, test } from 'vitest';
import type { RevisionEvents, StoreEvent } from '../../src/model/store.ts';
import type { OpenWatch, WatchSink } from '../../src/session/client-port.ts';
import type { SessionWatch } from '../../src/session/watch-codec.ts';
import { randomRevision, shape } from '../mvcc/watch/plain-history.ts';
import { Random } from '../support/random.ts';
import { SessionPair } from './session-pair.ts';

const named = process.env['SESSION_SEED'];
const seeds = named === undefined ? [1, 2, 3, 4, 5, 6, 7, 8] : [Number(named)];
const keys = ['a', 'b', 'c'];

class Model implements WatchSink {
  readonly wanted: SessionWatch;
  readonly told: number[] = [];
  from: number | null = null;
  compacted: { readonly revision: number; readonly next: number | null } | null = null;
  watch: OpenWatch | null = null;

  constructor(wanted: SessionWatch) {
    this.wanted = wanted;
  }

  readonly created: WatchSink['created'] = ({ from }) => {
    expect(this.from).toBeNull();
    this.from = from;
  };
  readonly events: WatchSink['events'] = (revisions) => {
    for (const { revision, events } of revisions) {
      expect(events.every(({ kv }) => kv.modRevision === revision)).toBe(true);
      this.told.push(revision);
    }
  };
  /** All events up to here were told, which `check` looks at. */
  progressAt = 0;
  readonly progress: WatchSink['progress'] = ({ revision }) => {
    this.progressAt = revision;
    expect(this.told.every((each) => each <= revision)).toBe(true);
  };
  readonly interrupted = (): void => undefined;
  readonly ended: WatchSink['ended'] = (failure, next) => {
    expect(failure.kind).toBe('compacted');
    this.compacted = { revision: Number(failure['compactedRevision']), next };
  };

  /** The revisions that it must have been told from its first one through this one. */
  expected(history: readonly RevisionEvents[], through: number): number[] {
    const first = this.from ?? Infinity;
    const isWanted = ({ type, kv }: StoreEvent): boolean =>
      Buffer.from(kv.key).equals(this.wanted.range.key) && !(type === 'delete' && this.wanted.noDelete);
    return history
      .filter(({ revision, events }) => revision >= first && revision <= through && events.some(isWanted))
      .map(({ revision }) => Number(revision));
  }
}

class Run {
  readonly pair = new SessionPair();
  readonly random: Random;
  readonly handle: number;
  readonly models: Model[] = [];

  constructor(seed: number) {
    this.random = new Random(seed);
    this.handle = this.pair.client.declare({ kind: 'alone', text: 'good' });
  }

  step(): void {
    const dice = this.random.next();
    if (dice < 0.5) this.#write();
    else if (dice < 0.6) this.#watch();
    else if (dice < 0.65) this.pair.cut();
    else if (dice < 0.7 && this.pair.server !== null) this.pair.sleep();
    else if (dice < 0.75) this.pair.server?.resting();
    else if (dice < 0.8) this.models[this.random.below(this.models.length)]?.watch?.askProgress();
    else if (dice < 0.9) this.#compact();
    this.pair.catchUpMs = 1 + this.random.below(30);
    this.pair.random = this.random.next();
    this.pair.run(this.random.below(12));
  }

  #write(): void {
    const events = randomRevision(this.random, keys, this.pair.history.next);
    if (events.length > 0) this.pair.commit(...events);
  }

  #watch(): void {
    const start = this.random.below(3) === 0 ? 0 : 1 + this.random.below(this.pair.history.revision + 4);
    const wanted = { ...shape(keys[this.random.below(3)] ?? 'a'), start, noDelete: this.random.below(3) === 0 };
    const model = new Model(wanted);
    this.models.push(model);
    model.watch = this.pair.client.watch(wanted, this.handle, model);
  }

  #compact(): void {
    const { history } = this.pair;
    const to = history.compactedRevision + this.random.below(6);
    if (to >= 1 && to < history.revision) this.pair.compact(to);
  }

  check(model: Model): void {
    const { revisions, revision } = this.pair.history;
    if (model.compacted === null) {
      expect(model.told).toEqual(model.expected(revisions, revision));
      return;
    }
    const { next, revision: compacted } = model.compacted;
    // It was told all before what it says that it lacks, and that is gone.
    expect(model.told).toEqual(model.expected(revisions, (next ?? model.wanted.start) - 1));
    expect(next ?? model.wanted.start).toBeLessThan(compacted);
  }
}

test.each(seeds)('SESSION-WATCH-4: no break leaves a gap or repeats an event (seed %i)', (seed) => {
  const run = new Run(seed);
  for (let step = 0; step < 400; step++) run.step();
  run.pair.catchUpMs = 1;
  run.pair.run(60_000);
  run.pair.server?.tick();
  for (const { watch } of run.models) watch?.askProgress();
  run.pair.run(60_000);
  for (const model of run.models) run.check(model);
  const revision = Number(run.pair.history.revision);
  for (const model of run.models) {
    if (model.compacted === null && (model.from ?? 0) <= revision + 1) expect(model.progressAt).toBe(revision);
  }
  expect(run.models.length).toBeGreaterThan(20);
});
