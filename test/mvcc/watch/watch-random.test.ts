// Random writes, watchers, compactions and slow sinks against a model that knows only the plain history. A failure
// names its seed; `WATCH_SEED=n npx vitest run test/mvcc/watch/watch-random.test.ts` runs it alone.

import { expect, test } from 'vitest';
import type { StoreEvent } from '../../../src/model/store.ts';
import { lets } from '../../../src/mvcc/watch/watch-batch.ts';
import { isEmptyRange } from '../../../src/model/key-range.ts';
import { Watcher, WatchHub, type WatchRequest } from '../../../src/mvcc/watch/watch-hub.ts';
import { Random } from '../../support/random.ts';
import { holds, PlainHistory, put, RecordingSink, removal, shape } from './plain-history.ts';

const named = process.env['WATCH_SEED'];
const seeds = named === undefined ? [1, 2, 3, 4, 5, 6, 7, 8] : [Number(named)];

type Open = {
  readonly watcher: Watcher;
  readonly sink: RecordingSink;
  readonly request: WatchRequest;
  /** The first revision that the watcher must see. */
  from: number;
};

/** The events that a watch must have received of the revisions `from` … `through`, as text. */
function expected(history: PlainHistory, request: WatchRequest, from: number, through: number): string[] {
  const lines: string[] = [];
  for (const { revision, events } of history.revisions) {
    if (revision < from || revision > through) continue;
    const seen = events.filter((event) => holds(request.range, event.kv.key) && lets(request, event));
    if (seen.length > 0) lines.push(line(revision, seen, request.previous));
  }
  return lines;
}

function line(revision: number, events: readonly StoreEvent[], withPrevious: boolean): string {
  const parts = events.map((event) => {
    const previous = event.previous === null || !withPrevious ? '' : ' previous';
    return `${event.type} ${Buffer.from(event.kv.key).toString('latin1')}${previous}`;
  });
  return `${revision}: ${parts.join(', ')}`;
}

function received(sink: RecordingSink): string[] {
  return sink.batches.flatMap((batch) =>
    batch.revisions.map((whole) => line(whole.revision, whole.events, batch.previous)),
  );
}

class Run {
  readonly history = new PlainHistory();
  readonly hub = new WatchHub(this.history);
  readonly random: Random;
  open: Open[] = [];
  checked = 0;

  constructor(seed: number) {
    this.random = new Random(seed);
  }

  below(bound: number): number {
    return this.random.below(bound);
  }
  key(): string {
    return ['a', 'b', 'b/', 'b/1', 'b/2', 'c', 'c/x'][this.below(7)] ?? 'a';
  }

  write(): void {
    const published = Array.from({ length: 1 + this.below(3) }, () => {
      const at = this.history.next;
      const events = Array.from({ length: 1 + this.below(4) }, () =>
        this.random.next() < 0.6 ? put(this.key(), at, 'x'.repeat(this.below(40_000))) : removal(this.key(), at),
      );
      return this.history.commit(events);
    });
    // Now and then the events of an entry are not in memory, as after a snapshot.
    this.hub.publish(this.random.next() < 0.05 ? [] : published, this.history.revision);
  }

  create(start: number, request: WatchRequest | null = null): void {
    const end = ['', '', '\0', this.key(), 'b0'][this.below(5)] ?? '';
    const options = {
      noPut: this.random.next() < 0.2,
      noDelete: this.random.next() < 0.2,
      previous: this.random.next() < 0.5,
    };
    const wanted = request ?? { ...shape(this.key(), end, options), start };
    const sink = new RecordingSink();
    const watcher = this.hub.create(wanted, sink);
    if (!(watcher instanceof Watcher)) return expect(isEmptyRange(wanted.range)).toBe(true);
    const from = start === 0 ? this.history.next : Math.max(start, 1);
    this.open.push({ watcher, sink, request: wanted, from });
  }

  compact(): void {
    const to = this.history.compactedRevision + this.below(8);
    if (to >= this.history.revision || to < 1) return;
    this.history.compactedRevision = to;
    this.hub.compacted(to);
  }

  /**
   * Ordered, unique, reliable, atomic: the events received are exactly those of the history from `from` up to where the
   * watcher claims to be.
   */
  check(entry: Open): void {
    this.checked++;
    const ended = entry.sink.end;
    const next = ended?.kind === 'slow' ? Number(ended.resume) : Number(this.hub.nextRevision(entry.watcher));
    const through = ended?.kind === 'compacted' ? Number(entry.watcher.next) - 1 : next - 1;
    expect(received(entry.sink)).toEqual(expected(this.history, entry.request, entry.from, through));
    if (ended?.kind === 'compacted') expect(Number(entry.watcher.next)).toBeLessThan(ended.compactedRevision);
    // Bookmarkable: progress never runs ahead of events.
    const progress = this.hub.progress([entry.watcher]);
    if (ended === null && progress !== null) {
      expect(received(entry.sink)).toEqual(expected(this.history, entry.request, entry.from, Number(progress)));
    }
  }

  step(): void {
    const dice = this.random.next();
    if (dice < 0.35) this.write();
    else if (dice < 0.55) this.create(this.random.next() < 0.3 ? 0 : 1 + this.below(this.history.revision + 6));
    else if (dice < 0.8) this.hub.catchUp();
    else if (dice < 0.84) this.compact();
    else if (dice < 0.94) this.#turn();
    else this.#resume();
    this.open = this.open.filter((entry) => {
      if (entry.sink.end === null) return true;
      this.check(entry);
      return false;
    });
  }

  #turn(): void {
    for (const { sink } of this.open) {
      const dice = this.random.next();
      sink.has = dice < 0.6 ? 'free' : dice < 0.8 ? 'full' : dice < 0.95 ? 'none' : 'over';
    }
  }

  /** Resumable: another watcher goes on exactly where one ended. */
  #resume(): void {
    const [entry] = this.open.splice(this.below(this.open.length), 1);
    if (entry === undefined) return;
    this.check(entry);
    const next = Number(this.hub.nextRevision(entry.watcher));
    this.hub.delete(entry.watcher);
    this.create(next, { ...entry.request, start: next });
    const resumed = this.open.at(-1);
    if (resumed === undefined) return;
    resumed.sink.batches.push(...entry.sink.batches);
    resumed.from = entry.from;
  }
}

test.each(seeds)('WATCH-GUARANTEE-1: ordered, unique, reliable, atomic, resumable, bookmarkable (seed %i)', (seed) => {
  const run = new Run(seed);
  for (let step = 0; step < 500; step++) run.step();
  for (const { sink } of run.open) sink.has = 'free';
  while (run.hub.catchUp());
  for (const entry of run.open) {
    run.check(entry);
    if (entry.sink.end !== null) continue;
    const through = Math.max(run.history.revision, entry.from - 1);
    expect(received(entry.sink)).toEqual(expected(run.history, entry.request, entry.from, through));
  }
  expect(run.checked).toBeGreaterThan(30);
  expect(run.hub.watcherCount).toBe(run.open.filter((entry) => entry.sink.end === null).length);
});
