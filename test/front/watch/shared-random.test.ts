// Random writes, breaks, sleeps, compactions, slow clients and joins, against both ends of a session and a store. A
// failure names its seed, and `WATCH_SEED=n npx vitest run test/front/watch/shared-random.test.ts` runs it alone.

import { assert, describe, expect, it, test } from 'vitest';
import { MovingWatch } from '../../../src/front/watch/moving-watch.ts';
import {
  type ClientSink,
  type ClientWatch,
  type Created,
  SharedWatches,
} from '../../../src/front/watch/shared-watches.ts';
import type { FailureData } from '../../../src/model/calls.ts';
import type { StoreEvent } from '../../../src/model/store.ts';
import type { SessionWatch } from '../../../src/session/watch-codec.ts';
import { randomRevision, shape } from '../../mvcc/watch/plain-history.ts';
import { SessionPair } from '../../session/session-pair.ts';
import { Random } from '../../support/random.ts';

const named = process.env['WATCH_SEED'];
const seeds = named === undefined ? [1, 2, 3, 4, 5, 6, 7, 8] : [Number(named)];
const keys = ['a', 'b', 'c'];
const callers = ['good one', 'good other'];

/** Faults that are put in on purpose. */
type Plant = { readonly sharesOverCallers?: true; readonly hearsBeforeCreated?: true };

class Client implements ClientSink {
  readonly caller: string;
  readonly wanted: SessionWatch;
  /** The store's revision when the watch was asked for: all of it was acknowledged. */
  readonly askedAt: number;
  watch: ClientWatch | null = null;
  readonly told: number[] = [];
  from: number | null = null;
  room = true;
  hasLeft = false;
  end: FailureData | null = null;

  constructor(caller: string, wanted: SessionWatch, askedAt: number) {
    this.caller = caller;
    this.wanted = wanted;
    this.askedAt = askedAt;
  }

  readonly created = ({ from }: Created): void => {
    assert(this.from === null && !this.hasLeft, 'created comes once');
    this.from = from;
    if (this.wanted.start === 0) assert(from > this.askedAt, 'it begins after all that was acknowledged');
    else assert(from === this.wanted.start, 'it begins where it was asked to');
  };
  readonly events: ClientSink['events'] = (revisions) => {
    assert(this.room && !this.hasLeft && this.end === null, 'events are for those who take them');
    for (const { revision, events } of revisions) {
      assert(
        events.every(({ kv }) => kv.modRevision === revision),
        'a revision is whole',
      );
      this.told.push(revision);
    }
  };
  readonly progress: ClientSink['progress'] = ({ revision }) => {
    assert(this.from !== null && this.from <= revision + 1, 'progress is of a watch that began');
    this.progressAt = revision;
    assert((this.told.at(-1) ?? 0) <= revision, 'progress comes behind the events before it');
  };
  /** Every event up to this was told. */
  progressAt = 0;
  readonly ended: ClientSink['ended'] = (failure) => {
    this.end = failure;
  };
  readonly lost = (): void => assert.fail('a replica can be reached');
  readonly hasRoom = (): boolean => this.room;
}

class Run {
  readonly pair = new SessionPair();
  readonly random: Random;
  readonly clients: Client[] = [];
  readonly watches: SharedWatches<string>;

  constructor(seed: number, plant: Plant = {}) {
    this.random = new Random(seed);
    this.pair.tellsRevision = true;
    this.watches = new SharedWatches((caller, wanted, sink) => {
      const handle = this.pair.client.declare({ kind: 'alone', text: caller });
      const created = (told: Created): void =>
        sink.created(plant.hearsBeforeCreated === true ? { ...told, from: Math.max(1, told.from - 2) } : told);
      return new MovingWatch(
        wanted,
        { ...sink, created },
        {
          watchAt: (_, watch, own) => this.pair.client.watch(watch, handle, own),
          first: () => 1,
          after: () => 1,
          nowMs: () => this.pair.nowMs,
        },
      );
    });
    this.#plant = plant;
  }

  readonly #plant: Plant;

  step(): void {
    const dice = this.random.next();
    const any = this.clients[this.random.below(this.clients.length)];
    if (dice < 0.4) this.#write();
    else if (dice < 0.6) this.#watch();
    else if (dice < 0.63) this.pair.cut();
    else if (dice < 0.66 && this.pair.server !== null) this.pair.sleep();
    else if (dice < 0.7) this.pair.server?.resting();
    else if (dice < 0.75) any?.watch?.askProgress();
    else if (dice < 0.83 && any !== undefined) this.#turn(any);
    else if (dice < 0.87 && any !== undefined) this.#leave(any);
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
    const start = this.random.below(3) > 0 ? 0 : 1 + this.random.below(this.pair.history.revision + 4);
    const wanted = { ...shape(keys[this.random.below(3)] ?? 'a'), start, noDelete: this.random.below(4) === 0 };
    const caller = callers[this.random.below(2)] ?? '';
    const client = new Client(caller, wanted, this.pair.history.revision);
    this.clients.push(client);
    client.watch = this.watches.open(
      this.#plant.sharesOverCallers === true ? (callers[0] ?? '') : caller,
      wanted,
      client,
    );
  }

  /** A client that takes nothing, or does again. */
  #turn(client: Client): void {
    client.room = !client.room;
    if (client.room) client.watch?.goOn();
  }

  #leave(client: Client): void {
    client.hasLeft = true;
    client.watch?.end();
  }

  #compact(): void {
    const { history } = this.pair;
    const to = history.compactedRevision + this.random.below(6);
    if (to >= 1 && to < history.revision) this.pair.compact(to);
  }

  /** Everybody reads, and everything is told. */
  settle(): void {
    this.pair.catchUpMs = 1;
    for (const client of this.clients) if (!client.room) this.#turn(client);
    this.pair.run(60_000);
    for (const { watch } of this.clients) watch?.askProgress();
    this.pair.run(60_000);
  }

  revoke(caller: string): void {
    for (const call of this.pair.openWatches) {
      // The test's own callers are access keys.
      const isOf = call.caller.kind === 'accessKey' && call.caller.id === caller;
      if (isOf) call.end({ kind: 'unauthenticated', reason: 'revoked' });
    }
    this.pair.run(1_000);
  }

  check(client: Client): void {
    if (client.hasLeft) return;
    const { revisions, revision } = this.pair.history;
    const first = client.from ?? Infinity;
    const isWanted = ({ type, kv }: StoreEvent): boolean =>
      Buffer.from(kv.key).equals(client.wanted.range.key) && !(type === 'delete' && client.wanted.noDelete);
    const through = client.end?.kind === 'compacted' ? (client.told.at(-1) ?? 0) : revision;
    const expected = revisions
      .filter((each) => each.revision >= first && each.revision <= through && each.events.some(isWanted))
      .map((each) => Number(each.revision));
    expect(client.told).toEqual(expected);
    if (client.end === null && first <= revision + 1) expect(client.progressAt).toBe(Number(revision));
  }
}

function ran(seed: number, plant: Plant = {}): Run {
  const run = new Run(seed, plant);
  for (let step = 0; step < 400; step++) run.step();
  run.settle();
  return run;
}

test.each(seeds)('FRONT-37: no break, join or slow client leaves a gap or repeats an event (seed %i)', (seed) => {
  const run = ran(seed);
  for (const client of run.clients) run.check(client);
  const open = run.clients.filter(({ hasLeft, end }) => !hasLeft && end === null);
  expect(open.length).toBeGreaterThan(20);
  expect(run.watches.count).toBe(open.length);
  // 3 keys, with and without deletes, for each caller, and those whose first revision is to come.
  const early = open.filter(({ from }) => (from ?? 0) > run.pair.history.revision + 1);
  expect(run.watches.upstreamCount).toBeLessThanOrEqual(12 + early.length);
  for (const { watch } of run.clients) watch?.end();
  run.pair.run(1_000);
  expect([run.watches.count, run.watches.upstreamCount, run.pair.openWatches.size]).toEqual([0, 0, 0]);
});

test('FRONT-38: the watches of a caller whose key is revoked end, and those of others go on', () => {
  const run = ran(1);
  run.revoke('good other');
  for (const { hasLeft, end, caller } of run.clients) {
    if (hasLeft || end?.kind === 'compacted') continue;
    expect(end?.kind ?? null).toBe(caller === 'good other' ? 'unauthenticated' : null);
  }
});

describe('faults that are put in on purpose are found', () => {
  it('FRONT-37: a join that hears what came before its created', () => {
    expect(() => {
      const run = ran(1, { hearsBeforeCreated: true });
      for (const client of run.clients) run.check(client);
    }).toThrow();
  });

  it('FRONT-38: a watch by session that is shared by two callers', () => {
    const run = ran(1, { sharesOverCallers: true });
    run.revoke('good other');
    const goOn = run.clients.filter(({ hasLeft, end, caller }) => !hasLeft && end === null && caller === 'good other');
    expect(goOn.length).toBeGreaterThan(0);
  });
});
