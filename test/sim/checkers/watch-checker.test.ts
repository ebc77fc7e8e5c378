import { describe, expect, it } from 'vitest';
import { Random } from '../../support/random.ts';
import { makeHistory, makeWatch, SequentialStore } from './random-history.ts';
import { input, put, remove } from './small-history.ts';
import { Truth, type TruthEvent } from '../models/truth.ts';
import { checkWatch, type WatchConnection, type Watched, type WatchFrame } from './watch-checker.ts';
import { WatchWitness } from './watch-witness.ts';

const store = new SequentialStore();
const transactions = [
  [put('a', '1')], // 2
  [put('b', '1')], // 3
  [put('a', '2'), put('b', '2')], // 4
  [put('z', '1')], // 5
  [remove('a')], // 6
  [put('b', '3')], // 7
];
for (const writes of transactions) store.take(input({ writes }));
const truth = new Truth(store.revisions);

const of = (...revisions: number[]): TruthEvent[] =>
  revisions.flatMap((revision) => truth.eventsOf(revision)).filter(isWatched);
const isWatched = ({ pair }: TruthEvent): boolean => pair.key < 'z';
const events = (...revisions: number[]): WatchFrame => ({ kind: 'events', events: of(...revisions) });
const these = (...list: (TruthEvent | undefined)[]): WatchFrame => ({
  kind: 'events',
  events: list.flatMap((event) => event ?? []),
});
const progress = (revision: number): WatchFrame => ({ kind: 'progress', revision });
const created = (revision: number, from: number): WatchFrame => ({ kind: 'created', revision, from });
const connection = (asked: number | null, ...frames: WatchFrame[]): WatchConnection => ({ asked, floor: 0, frames });

function rulesOf(connections: readonly WatchConnection[], changes: Partial<Watched> = {}): string[] {
  const watched = {
    name: 'w',
    matches: (key: string) => key < 'z',
    previous: true,
    connections,
    through: 7,
    ...changes,
  };
  return [...new Set(checkWatch(watched, truth).map(({ rule }) => rule))];
}

/** One connection from revision 2 on. */
function rulesOfFrames(...frames: WatchFrame[]): string[] {
  return rulesOf([connection(2, created(7, 2), ...frames)]);
}

describe('a watch', () => {
  it('CHECK-WATCH-1: what is right passes, in frames of one or of many revisions, over connections, with progress', () => {
    expect(rulesOfFrames(events(2), events(3), events(4), progress(5), events(6), events(7), progress(7))).toEqual([]);
    expect(rulesOfFrames(events(2, 3, 4, 6, 7))).toEqual([]);
    expect(
      rulesOf([
        connection(2, created(4, 2), events(2, 3)),
        connection(4),
        connection(4, created(7, 4), events(4, 6, 7)),
      ]),
    ).toEqual([]);
    expect(
      rulesOf([connection(2, created(7, 2), events(2, 3, 4), progress(5)), connection(6, created(7, 6), events(6, 7))]),
    ).toEqual([]);
    expect(rulesOf([connection(null, created(4, 5), progress(5), events(6, 7))])).toEqual([]);
  });

  it('CHECK-WATCH-2: ordered', () => {
    expect(rulesOfFrames(events(2), events(4), events(3), events(6, 7))).toContain('ordered');
    expect(rulesOfFrames(events(3, 2), events(4, 6, 7))).toEqual(['ordered']);
    const [a, b] = of(4);
    expect(rulesOfFrames(events(2, 3), these(b, a), events(6, 7))).toEqual(['ordered']);
  });

  it('CHECK-WATCH-3: unique', () => {
    expect(rulesOfFrames(events(2), events(2), events(3, 4, 6, 7))).toEqual(['unique']);
    expect(rulesOfFrames(events(2, 3), these(...of(4), ...of(4).slice(1)), events(6, 7))).toEqual(['unique']);
  });

  it('CHECK-WATCH-4: atomic: a revision is never in parts, and whole', () => {
    const [a, b] = of(4);
    expect(rulesOfFrames(events(2, 3), these(a), these(b), events(6, 7))).toEqual(['atomic']);
    expect(rulesOfFrames(events(2, 3), these(a), events(6, 7))).toEqual(['atomic']);
  });

  it('CHECK-WATCH-5: reliable: nothing is left out, also not at the end', () => {
    expect(rulesOfFrames(events(2), events(4, 6, 7))).toEqual(['reliable']);
    expect(rulesOfFrames(events(2, 3, 4, 7))).toEqual(['reliable']);
    expect(rulesOfFrames(events(2, 3, 4, 6))).toEqual(['reliable']);
  });

  it('CHECK-WATCH-6: resumable: nothing is left out where a watch goes on', () => {
    const first = connection(2, created(7, 2), events(2, 3));
    expect(rulesOf([first, connection(4, created(7, 4), events(6, 7))])).toEqual(['resumable']);
    expect(rulesOf([first, connection(5, created(7, 5), events(6, 7))])).toEqual(['resumable']);
    expect(rulesOfFrames(events(3, 4, 6, 7))).toEqual(['resumable']);
  });

  it('CHECK-WATCH-7: bookmarkable: progress has all events behind it, and does not go back', () => {
    expect(rulesOfFrames(events(2), progress(3), events(3, 4, 6, 7))).toContain('bookmarkable');
    expect(rulesOfFrames(events(2, 3, 4, 6, 7), progress(6))).toEqual(['bookmarkable']);
    const ahead = connection(2, created(7, 2), events(2), progress(4));
    expect(rulesOf([ahead, connection(5, created(7, 5), events(6, 7))])).toEqual(['bookmarkable']);
  });

  it('CHECK-WATCH-8: previous values are right, and come where they were asked for', () => {
    const whole = connection(2, created(7, 2), events(2, 3, 4, 6, 7));
    expect(rulesOf([whole], { previous: false })).toEqual(['previous values']);
    const [last] = of(7);
    if (last?.previous === undefined || last.previous === null) throw new Error('the last event has no previous value');
    const wrong = { ...last, previous: { ...last.previous, value: '1' } };
    expect(rulesOfFrames(events(2, 3, 4, 6), these(wrong))).toEqual(['previous values']);
    expect(rulesOfFrames(events(2, 3, 4, 6), these({ ...last, previous: null }))).toEqual(['previous values']);
  });

  it('CHECK-WATCH-9: no event from before the asked revision', () => {
    expect(rulesOf([connection(4, created(7, 4), events(3), events(4, 6, 7))])).toEqual(['nothing from before']);
    expect(rulesOf([connection(4, created(7, 4), events(3, 4, 6, 7))])).toEqual(['nothing from before']);
  });

  it('CHECK-WATCH-10: it begins where asked, after what was over, and tells what is and was asked for', () => {
    expect(rulesOf([connection(4, created(7, 3), events(4, 6, 7))])).toEqual(['begins where asked']);
    expect(rulesOf([connection(null, created(4, 3), events(6, 7))])).toContain('begins where asked');
    expect(rulesOf([{ ...connection(null, created(4, 5), events(6, 7)), floor: 5 }])).toEqual(['real-time order']);
    expect(rulesOf([connection(null, events(6, 7))])).toContain('created once');
    expect(rulesOfFrames(events(2, 3, 4, 6, 7), progress(8))).toEqual(['committed']);
    expect(rulesOfFrames(events(2, 3, 4), these(...truth.eventsOf(5)), events(6, 7))).toContain('events are right');
    const [two] = of(2);
    if (two === undefined) throw new Error('no event');
    const other = { ...two, pair: { ...two.pair, value: '9' } };
    expect(rulesOfFrames(these(other), events(3, 4, 6, 7))).toEqual(['events are right']);
    expect(rulesOfFrames(these({ ...two, type: 'delete' }), events(3, 4, 6, 7))).toEqual(['events are right']);
  });

  it('CHECK-WATCH-12: it is created once; it ends by a compaction that was, and goes on behind what it told', () => {
    expect(rulesOfFrames(created(7, 2), events(2, 3, 4, 6, 7))).toEqual(['created once']);
    const rules: string[] = [];
    const witness = new WatchWitness({
      happened: { revision: 7, compacted: 5, eventsOf: (revision) => truth.eventsOf(revision) },
      matches: isWatched,
      previous: true,
      start: 2,
      fail: (rule) => rules.push(rule),
    });
    witness.connects({ asked: 2, floor: 0 });
    witness.created({ revision: 7, from: 2 });
    witness.events(of(2, 3), true);
    witness.compacted(5);
    witness.slow(4);
    expect(rules).toEqual([]);
    witness.compacted(6);
    witness.compacted(4);
    expect(rules.splice(0)).toEqual(['compacted', 'compacted']);
    witness.slow(3);
    witness.slow(5);
    expect(rules).toEqual(['resumable', 'resumable']);
    // At the compacted revision what was before it is gone.
    witness.connects({ asked: 5, floor: 0 });
    witness.created({ revision: 7, from: 5 });
    witness.events(
      of(6).map((event) => ({ ...event, previous: null })),
      true,
    );
    expect(rules.splice(2)).toEqual(['previous values']);
    witness.connects({ asked: 4, floor: 0 });
    witness.created({ revision: 7, from: 4 });
    witness.events(
      of(4).map((event) => ({ ...event, previous: null })),
      true,
    );
    expect(rules.splice(2)).toEqual([]);
  });
});

describe('at random', () => {
  const seeds = Array.from({ length: 30 }, (_, index) => index + 1);

  it.each(seeds)(
    'CHECK-WATCH-11: a watch that is right passes, a planted anomaly is found by its rule (seed %i)',
    (seed) => {
      const random = new Random(seed);
      const { revisions } = makeHistory({
        random,
        operations: 300,
        clients: 6,
        keys: ['a', 'b', 'c', 'd'],
        lost: 0.05,
        refused: 0,
      });
      const whole = new Truth(revisions);
      const matches = random.pick([() => true, (key: string) => key < 'c', (key: string) => key === 'a']);
      const watched = makeWatch({ random, revisions, matches, previous: true, asked: random.integer(2, 20) });
      expect(checkWatch(watched, whole)).toEqual([]);
      for (const [rule, plant] of Object.entries(anomalies)) {
        const places = framesOf(watched).filter(({ frame }) => plant(frame) !== null);
        if (places.length === 0) continue;
        const { place, index, frame } = random.pick(places);
        const planted = withFrames(watched, place, index, plant(frame) ?? []);
        expect(checkWatch(planted, whole).map((each) => each.rule)).toContain(rule);
      }
    },
  );
});

/** The frame after the damage. Null: this kind of damage cannot be done to it. */
const anomalies: Readonly<Record<string, (frame: WatchFrame) => WatchFrame[] | null>> = {
  unique: (frame) => (frame.kind === 'events' ? [frame, frame] : null),
  reliable: (frame) => {
    if (frame.kind !== 'events') return null;
    const [first, second, third] = new Set(frame.events.map(({ pair }) => pair.mod));
    if (first === undefined || second === undefined || third === undefined) return null;
    return [{ kind: 'events', events: frame.events.filter(({ pair }) => pair.mod !== second) }];
  },
  ordered: (frame) => {
    if (frame.kind !== 'events') return null;
    return frame.events.at(0)?.pair.mod === frame.events.at(-1)?.pair.mod
      ? null
      : [{ kind: 'events', events: frame.events.toReversed() }];
  },
  atomic: (frame) => {
    if (frame.kind !== 'events' || frame.events.length < 2) return null;
    const last = frame.events.at(-1);
    if (last === undefined || frame.events.at(-2)?.pair.mod !== last.pair.mod) return null;
    return [
      { kind: 'events', events: frame.events.slice(0, -1) },
      { kind: 'events', events: [last] },
    ];
  },
  bookmarkable: (frame) =>
    frame.kind === 'events' ? [{ kind: 'progress', revision: frame.events.at(0)?.pair.mod ?? 0 }, frame] : null,
  'previous values': (frame) => {
    if (frame.kind !== 'events') return null;
    const [first, ...others] = frame.events;
    return first === undefined || first.previous === null
      ? null
      : [{ kind: 'events', events: [{ ...first, previous: null }, ...others] }];
  },
};

function framesOf({ connections }: Watched): { place: number; index: number; frame: WatchFrame }[] {
  return connections.flatMap(({ frames }, place) => frames.map((frame, index) => ({ place, index, frame })));
}

function withFrames(watched: Watched, place: number, index: number, frames: readonly WatchFrame[]): Watched {
  const connections = watched.connections.map((each, at) =>
    at === place ? { ...each, frames: each.frames.toSpliced(index, 1, ...frames) } : each,
  );
  return { ...watched, connections };
}
