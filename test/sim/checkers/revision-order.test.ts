import { describe, expect, it } from 'vitest';
import { Random } from '../../support/random.ts';
import type { Answer, Operation } from './history.ts';
import { makeHistory, type MadeHistory, SequentialStore } from './random-history.ts';
import { checkLinearizable } from './linearizable-history.ts';
import { checkRevisions, resolveLost } from './revision-order.ts';
import { answered, gets, input, lost, pair, put, puts, refused, remove } from './small-history.ts';
import { checkTruth, Truth, type TruthRevision } from '../models/truth.ts';

/** What happened to a store: each list is one transaction. */
function truthOf(...transactions: readonly Parameters<typeof input>[0]['writes'][]): Truth {
  const store = new SequentialStore();
  for (const writes of transactions) store.take(input({ writes: writes ?? [] }));
  return new Truth(store.revisions);
}

function rulesOf(truth: Truth, ...history: readonly Operation[]): string[] {
  return checkRevisions(history, truth).map(({ rule }) => rule);
}

const ended = (revision: number, deleted: number) => answered([2, 9], { writes: [remove('a')] }, { revision, deleted });
const when = (mod: number) => [{ key: 'a', mod }];
const made = (seed: number): MadeHistory =>
  makeHistory({
    random: new Random(seed),
    operations: 400,
    clients: 8,
    keys: ['a', 'b', 'c'],
    lost: 0.1,
    refused: 0.05,
  });
const x = put('a', 'x');
const y = put('a', 'y');

const second = (mod: number) => answered([2, 3], { when: when(mod), writes: [y] }, { revision: 3 });
const beaten = (mod: number) => answered([2, 9], { when: when(mod), writes: [y] }, { held: false, revision: 3 });

describe('acknowledged writes', () => {
  it('CHECK-REVISION-1: each is there under the revision that it was told, and nothing else made it', () => {
    const truth = truthOf([x], [y]);
    expect(rulesOf(truth, puts([0, 1], 'a', 'x', 2), puts([2, 3], 'a', 'y', 3))).toEqual([]);
    expect(rulesOf(truth, puts([0, 1], 'a', 'x', 2), puts([2, 3], 'a', 'z', 3))).toContain('acknowledged');
    expect(rulesOf(truth, puts([0, 1], 'a', 'x', 2), puts([2, 3], 'a', 'y', 4))).toContain('acknowledged');
    expect(rulesOf(truth, puts([0, 1], 'a', 'x', 2))).toEqual(['no write from nowhere']);
  });

  it('CHECK-REVISION-1: two are never told the same one', () => {
    expect(rulesOf(truthOf([x]), puts([0, 1], 'a', 'x', 2), puts([0, 1], 'a', 'x', 2))).toEqual(['own revision']);
  });

  it('CHECK-REVISION-1: a transaction is all of its revision; a delete that found nothing made none', () => {
    const both = answered([0, 1], { writes: [x, put('b', 'x')] }, { revision: 2 });
    expect(rulesOf(truthOf([x, put('b', 'x')]), both)).toEqual([]);
    expect(rulesOf(truthOf([x]), both)).toContain('acknowledged');
    const truth = truthOf([x], [remove('a')]);
    expect(rulesOf(truth, puts([0, 1], 'a', 'x', 2), ended(3, 1), ended(3, 0))).toEqual([]);
    expect(rulesOf(truth, puts([0, 1], 'a', 'x', 2), ended(3, 1), ended(3, 1))).toEqual(['own revision']);
    expect(rulesOf(truth, puts([0, 1], 'a', 'x', 2), ended(3, 1), ended(2, 0))).toEqual(['answer']);
  });

  it('CHECK-REVISION-2: a lost write is there once, later or never; not before it was asked for', () => {
    const asked = lost(2, { writes: [y] });
    const first = puts([0, 1], 'a', 'x', 2);
    expect(rulesOf(truthOf([x]), first, asked)).toEqual([]);
    expect(rulesOf(truthOf([x], [y]), first, asked)).toEqual([]);
    expect(rulesOf(truthOf([x], [y], [y]), first, asked)).toEqual(['applied once']);
    expect(rulesOf(truthOf([y], [x]), puts([0, 1], 'a', 'x', 3), asked)).toEqual(['applied once']);
    expect(rulesOf(truthOf([x], [y]), first, lost(2, { writes: [y], when: [{ key: 'a', mod: 9 }] }))).toContain(
      'no write from nowhere',
    );
  });

  it('CHECK-REVISION-3: a write that was answered as failed must not appear later', () => {
    const failed = refused([2, 3], { writes: [y] });
    expect(rulesOf(truthOf([x]), puts([0, 1], 'a', 'x', 2), failed)).toEqual([]);
    expect(rulesOf(truthOf([x], [y]), puts([0, 1], 'a', 'x', 2), failed)).toEqual(['refused never appears']);
  });
});

describe('answers', () => {
  const truth = truthOf([x], [y], [put('b', 'z')]);
  const writes = [puts([0, 1], 'a', 'x', 2), puts([2, 3], 'a', 'y', 3), puts([4, 5], 'b', 'z', 4)];

  it('CHECK-REVISION-4: revisions go forward with time; a serializable read may be of the past', () => {
    expect(rulesOf(truth, ...writes, gets([6, 7], 'a', pair(3, 'y', 2), 4))).toEqual([]);
    expect(rulesOf(truth, ...writes, gets([6, 7], 'a', pair(3, 'y', 2), 3))).toEqual(['real-time order']);
    expect(rulesOf(truth, ...writes, gets([4, 7], 'a', pair(3, 'y', 2), 3))).toEqual([]);
    expect(rulesOf(truth, ...writes, gets([6, 7], 'a', pair(2, 'x', 1), 2, true))).toEqual([]);
    const early = puts([6, 7], 'b', 'z', 4);
    expect(rulesOf(truth, ...writes.slice(0, 2), gets([4, 5], 'a', pair(3, 'y', 2), 4), early)).toEqual([
      'real-time order',
    ]);
  });

  it('CHECK-REVISION-4: what a serializable read has seen is over for all that begin after it', () => {
    const seen = gets([4, 5], 'b', pair(4, 'z', 1), 4, true);
    const unseen = gets([6, 7], 'b', null, 3);
    expect(rulesOf(truth, ...writes.slice(0, 2), puts([3, 9], 'b', 'z', 4), seen, unseen)).toEqual(['real-time order']);
  });

  it('CHECK-REVISION-5: a read shows exactly the state at its revision', () => {
    expect(rulesOf(truth, ...writes, gets([0, 9], 'a', pair(2, 'x', 1), 2))).toEqual([]);
    for (const seen of [null, pair(2, 'x', 1), pair(3, 'x', 2), pair(3, 'y', 1)]) {
      expect(rulesOf(truth, ...writes, gets([0, 9], 'a', seen, 3))).toEqual(['read of one revision']);
    }
    const list = answered([0, 9], { reads: ['a', 'b'] }, { revision: 3, pairs: [pair(3, 'y', 2), pair(4, 'z', 1)] });
    expect(rulesOf(truth, ...writes, list)).toEqual(['read of one revision']);
    expect(rulesOf(truth, ...writes, gets([0, 9], 'a', pair(3, 'y', 2), 5))).toEqual(['acknowledged']);
  });

  it('CHECK-REVISION-6: a condition held where the write is, and did not hold where it was refused', () => {
    const [first, , last] = writes;
    if (first === undefined || last === undefined) throw new Error('no writes');
    expect(rulesOf(truth, first, second(2), last)).toEqual([]);
    expect(rulesOf(truth, first, second(0), last)).toEqual(['conditions']);
    expect(rulesOf(truth, ...writes, beaten(2))).toEqual([]);
    expect(rulesOf(truth, ...writes, beaten(3))).toEqual(['conditions']);
  });
});

describe('the truth', () => {
  it('CHECK-REVISION-7: a history of a store that is none is found', () => {
    const { revisions } = makeHistory({
      random: new Random(1),
      operations: 60,
      clients: 3,
      keys: ['a', 'b'],
      lost: 0,
      refused: 0,
    });
    expect(checkTruth(revisions)).toEqual([]);
    const [, second, third] = revisions;
    const event = second?.events[0];
    if (second === undefined || third === undefined || event === undefined) throw new Error('too short');
    const damaged: readonly TruthRevision[][] = [
      revisions.toSpliced(1, 1),
      revisions.toSpliced(1, 2, third, second),
      revisions.with(1, { ...second, events: [] }),
      revisions.with(1, { ...second, events: [event, event] }),
      revisions.with(1, { ...second, events: [{ ...event, pair: { ...event.pair, version: 9 } }] }),
      revisions.with(1, { ...second, events: [{ ...event, pair: { ...event.pair, mod: 9 } }] }),
      revisions.with(1, { ...second, events: [{ ...event, previous: { ...event.pair, value: 'w' } }] }),
    ];
    for (const each of damaged) expect(checkTruth(each).map(({ rule }) => rule)).toContain('truth');
  });
});

describe('at random', () => {
  const seeds = Array.from({ length: 30 }, (_, index) => index + 1);

  it.each(seeds)('CHECK-REVISION-8: a history that is right passes (seed %i)', (seed) => {
    const { history, revisions } = made(seed);
    expect(checkRevisions(history, new Truth(revisions))).toEqual([]);
  });

  it.each(seeds)(
    'CHECK-REVISION-9: what was lost is known from what happened, and leaves an order (seed %i)',
    (seed) => {
      const { history, revisions } = made(seed);
      const known = resolveLost(history, new Truth(revisions));
      expect(known.filter(({ outcome }) => outcome.kind === 'lost')).toEqual([]);
      expect(checkRevisions(known, new Truth(revisions))).toEqual([]);
      expect(checkLinearizable(known)).toEqual([]);
    },
  );

  it.each(seeds)('CHECK-REVISION-8: a planted anomaly is found by its rule (seed %i)', (seed) => {
    const { history, revisions } = made(seed);
    const random = new Random(seed);
    for (const { rule, plant } of anomalies) {
      const places = [...history.keys()].filter((place) => plant(history[place], revisions) !== null);
      const place = random.pick(places);
      const planted = plant(history[place], revisions);
      if (planted === null) throw new Error(`nothing to plant for ${rule}`);
      const rules = checkRevisions(history.with(place, planted), new Truth(revisions)).map((each) => each.rule);
      expect(rules).toContain(rule);
    }
  });
});

type Anomaly = {
  readonly rule: string;
  readonly plant: (operation: Operation | undefined, revisions: readonly TruthRevision[]) => Operation | null;
};

function withAnswer(operation: Operation | undefined, change: (answer: Answer) => Answer | null): Operation | null {
  if (operation?.outcome.kind !== 'answered') return null;
  const answer = change(operation.outcome.answer);
  return answer === null ? null : { ...operation, outcome: { ...operation.outcome, answer } };
}

const wrote = (operation: Operation | undefined): boolean =>
  operation?.outcome.kind === 'answered' &&
  operation.outcome.answer.held &&
  operation.input.writes.some(({ kind }) => kind === 'put');

const anomalies: readonly Anomaly[] = [
  // A stale read: the answer of a store to which nothing has happened.
  {
    rule: 'real-time order',
    plant: (operation) => {
      if (operation === undefined || operation.call < 100 || operation.input.serializable) return null;
      if (operation.input.writes.length > 0) return null;
      return withAnswer(operation, ({ pairs, ...answer }) => ({
        ...answer,
        revision: 1,
        pairs: pairs.map(() => null),
      }));
    },
  },
  // A lost update: the store has no such write.
  {
    rule: 'acknowledged',
    plant: (operation) =>
      wrote(operation) && operation !== undefined
        ? { ...operation, input: { ...operation.input, writes: [put('a', 'another')] } }
        : null,
  },
  // A write that was answered as failed, and is there.
  {
    rule: 'refused never appears',
    plant: (operation) =>
      wrote(operation) && operation?.outcome.kind === 'answered'
        ? { ...operation, outcome: { kind: 'refused', return: operation.outcome.return, why: '' } }
        : null,
  },
  // A torn read: one key is of another revision.
  {
    rule: 'read of one revision',
    plant: (operation) =>
      withAnswer(operation, (answer) => {
        const [first, ...others] = answer.pairs;
        return first === undefined || first === null
          ? null
          : { ...answer, pairs: [{ ...first, mod: first.mod - 1 }, ...others] };
      }),
  },
  // A write on a condition that did not hold.
  {
    rule: 'conditions',
    plant: (operation) =>
      wrote(operation) && operation !== undefined && operation.input.when.length > 0
        ? {
            ...operation,
            input: { ...operation.input, when: operation.input.when.map(({ key, mod }) => ({ key, mod: mod + 1 })) },
          }
        : null,
  },
];
