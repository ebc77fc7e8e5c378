// Compares what a watcher was told over all its connections with everything that happened: `WatchWitness` has the
// rules.

import type { Truth } from '../models/truth.ts';
import type { Violation } from './history.ts';
import { type WatchEvent, WatchWitness } from './watch-witness.ts';

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

export function checkWatch({ name, matches, previous, connections, through }: Watched, truth: Truth): Violation[] {
  const violations: Violation[] = [];
  const witness = new WatchWitness({
    happened: { revision: truth.last, compacted: 0, eventsOf: (revision) => truth.eventsOf(revision) },
    matches: ({ pair }) => matches(pair.key),
    previous,
    // A connection may give the revision before the one that it was asked for as the one to go on after.
    start: null,
    fail: (rule, what) => violations.push({ rule, what: `${name}: ${what}`, operations: [] }),
  });
  for (const { asked, floor, frames } of connections) {
    witness.connects({ asked, floor });
    let isFirst = true;
    for (const frame of frames) {
      switch (frame.kind) {
        case 'created':
          witness.created(frame);
          break;
        case 'events':
          witness.events(frame.events, isFirst);
          isFirst = false;
          break;
        case 'progress':
          witness.progress(frame.revision);
          break;
        default:
          frame satisfies never;
      }
    }
  }
  witness.ends(through);
  return violations;
}
