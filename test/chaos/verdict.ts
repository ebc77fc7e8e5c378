// The verdict after a run: reads all that ever happened to the store, and compares what clients and watchers were told
// with it.

import { setTimeout as sleep } from 'node:timers/promises';
import type { Input, Operation, Pair, Violation, Write } from '../sim/checkers/history.ts';
import { short } from '../sim/checkers/history.ts';
import { checkLinearizable } from '../sim/checkers/linearizable-history.ts';
import { checkRevisions, resolveLost } from '../sim/checkers/revision-order.ts';
import { checkTruth, pairInWords, Truth, type TruthRevision } from '../sim/models/truth.ts';
import { checkWatch, type Watched } from '../sim/checkers/watch-checker.ts';
import type { Recorder } from './recorder.ts';
import { listPage, type StoreAddress, writeKey } from './store-calls.ts';
import type { ChaosWatcher } from './watcher.ts';

const waitMs = 60_000;

/** Makes a last write under each prefix, so that every watcher has one to wait for. Returns the last revision. */
export async function writeLast(
  recorder: Recorder,
  store: () => StoreAddress,
  prefixes: readonly string[],
): Promise<number> {
  for (const prefix of prefixes) {
    const client = recorder.newClient();
    const write: Write = { kind: 'put', key: `${prefix}~last`, value: `last of ${client}` };
    const input: Input = { when: [], writes: [write], reads: [write.key], serializable: false };
    const call = recorder.nowMs;
    for (const deadline = Date.now() + waitMs; ; await sleep(200)) {
      const options = { store: store(), writeId: `last-${client}`, waitMs: 15_000, nearest: false };
      const called = await writeKey(write, null, options);
      if (called.kind === 'answered') {
        recorder.ended(client, call, input, called);
        break;
      }
      if (Date.now() > deadline) throw new Error('the healed group acknowledges no write');
    }
  }
  return recorder.revision;
}

/** The revisions that a watch from the first revision tells. */
export function revisionsOf({ connections }: Watched): TruthRevision[] {
  const revisions = new Map<number, TruthRevision['events']>();
  for (const { frames } of connections) {
    for (const frame of frames) {
      if (frame.kind !== 'events') continue;
      for (const event of frame.events) {
        revisions.set(event.pair.mod, [...(revisions.get(event.pair.mod) ?? []), event]);
      }
    }
  }
  return [...revisions].map(([revision, events]) => ({ revision, events }));
}

/** The list of all keys, as the present leader has it. */
export async function listAll(
  store: StoreAddress,
): Promise<{ readonly revision: number; readonly pairs: readonly Pair[] }> {
  const pairs: Pair[] = [];
  let cursor: string | null = null;
  let revision = 0;
  do {
    const list = { prefix: '', limit: 10, revision: null, serializable: false, cursor };
    const called = await listPage(list, { store, writeId: null, waitMs, nearest: false });
    if (called.kind !== 'answered') throw new Error('the healed group answers no list');
    for (const [key, pair] of called.value.pairs) pairs.push(wholePair(key, pair));
    ({ cursor, revision } = called.value);
  } while (cursor !== null);
  return { revision, pairs };
}

function wholePair(
  key: string,
  { mod, value, create, version }: { mod: number; value: string | null; create: number | null; version: number | null },
): Pair {
  return { key, mod, value: value ?? '', create: create ?? 0, version: version ?? 0 };
}

export type Evidence = {
  readonly history: readonly Operation[];
  readonly revisions: readonly TruthRevision[];
  readonly watched: readonly Watched[];
  /** The copies of watchers that listed first: the list and all events after it. */
  readonly copies: readonly {
    readonly name: string;
    readonly prefix: string;
    readonly copy: NonNullable<ChaosWatcher['copy']>;
  }[];
  /** The list of each replica that led in the end. */
  readonly lists: readonly { readonly leader: number; readonly revision: number; readonly pairs: readonly Pair[] }[];
};

export function judge({ history, revisions, watched, copies, lists }: Evidence): Violation[] {
  const faults = checkTruth(revisions);
  // If the history of the store is not one history, nothing can be compared with it.
  if (faults.length > 0) return faults;
  const truth = new Truth(revisions);
  return [
    ...checkRevisions(history, truth),
    ...checkLinearizable(resolveLost(history, truth)),
    ...watched.flatMap((each) => checkWatch(each, truth)),
    ...copies.flatMap(({ name, prefix, copy }) => checkCopy(name, truth, prefix, copy)),
    ...lists.flatMap(({ leader, ...list }) => checkList(leader, truth, list)),
  ];
}

function checkList(
  leader: number,
  truth: Truth,
  list: { readonly revision: number; readonly pairs: readonly Pair[] },
): Violation[] {
  const said = list.pairs.map((pair) => `${pair.key} is ${pairInWords(pair)}`);
  const expected = truth.pairsAt(truth.last).map((pair) => `${pair.key} is ${pairInWords(pair)}`);
  const differences = differencesOf(said, expected);
  if (list.revision === truth.last && differences.length === 0) return [];
  const what = `replica ${leader} leads and lists revision ${list.revision}, the last is ${truth.last}: ${differences.join('; ')}`;
  return [{ rule: 'equal states', what, operations: [] }];
}

function checkCopy(name: string, truth: Truth, prefix: string, copy: NonNullable<ChaosWatcher['copy']>): Violation[] {
  const kept = [...copy].map(([key, { mod, value }]) => `${key}=${short(value)} at ${mod}`).sort();
  const pairs = truth.pairsAt(truth.last).filter(({ key }) => key.startsWith(prefix));
  const differences = differencesOf(
    kept,
    pairs.map(({ key, mod, value }) => `${key}=${short(value)} at ${mod}`).sort(),
  );
  if (differences.length === 0) return [];
  return [{ rule: 'list and watch make the store', what: `${name}: ${differences.join('; ')}`, operations: [] }];
}

function differencesOf(said: readonly string[], expected: readonly string[]): string[] {
  const [left, right] = [new Set(said), new Set(expected)];
  return [
    ...said.filter((each) => !right.has(each)).map((each) => `it has ${each}`),
    ...expected.filter((each) => !left.has(each)).map((each) => `it lacks ${each}`),
  ].slice(0, 5);
}
