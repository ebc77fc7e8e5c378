// Compares what the store and the watch say with what was acknowledged. Returns violations, each a sentence.

import type { Pair } from './store-client.ts';
import type { Seen } from './watcher.ts';
import type { Acknowledged } from './writer.ts';

/** Every acknowledged put is the last version of its key, there is no other key, and no put was applied twice. */
export function checkState(acknowledged: readonly Acknowledged[], listed: readonly Pair[]): string[] {
  const puts = new Map<string, Acknowledged[]>();
  for (const write of acknowledged) puts.set(write.key, [...(puts.get(write.key) ?? []), write]);
  const found = new Map(listed.map((pair) => [pair.key, pair]));
  const violations: string[] = [];
  for (const [key, writes] of puts) {
    const last = writes.toSorted((left, right) => left.modRevision - right.modRevision).at(-1);
    const pair = found.get(key);
    if (last === undefined) continue;
    if (pair === undefined) violations.push(`${key} was acknowledged and is not there`);
    else if (pair.modRevision !== last.modRevision || pair.value !== last.value) {
      violations.push(
        `${key} was acknowledged at revision ${last.modRevision}, the store has revision ${pair.modRevision}`,
      );
    } else if (pair.version !== writes.length) {
      violations.push(`${key} was put ${writes.length} times and has version ${pair.version}`);
    }
  }
  for (const { key } of listed) if (!puts.has(key)) violations.push(`${key} is there and was never put`);
  return violations;
}

/**
 * Each revision from the store's first to its last came exactly once, in order, and is the put that was acknowledged
 * with it.
 */
export function checkWatch(acknowledged: readonly Acknowledged[], seen: readonly Seen[]): string[] {
  const violations: string[] = [];
  let expected = 2;
  for (const { revision } of seen) {
    if (revision !== expected) violations.push(`the watch went from revision ${expected - 1} to ${revision}`);
    expected = revision + 1;
  }
  const told = new Map(seen.map(({ revision, pairs }) => [revision, pairs]));
  for (const { key, value, modRevision } of acknowledged) {
    const pairs = told.get(modRevision);
    const [pair] = pairs ?? [];
    if (pair === undefined) violations.push(`the watch did not tell of revision ${modRevision}, ${key}`);
    else if (pairs?.length !== 1 || pair.key !== key || pair.value !== value) {
      violations.push(`at revision ${modRevision} the watch told of ${pair.key}, acknowledged was ${key}`);
    }
  }
  if (seen.length !== acknowledged.length) {
    violations.push(`the watch told of ${seen.length} revisions, ${acknowledged.length} puts were acknowledged`);
  }
  return violations;
}

/** The pairs at an old revision: the last put up to it of each key. */
export function stateAt(acknowledged: readonly Acknowledged[], revision: number): readonly Acknowledged[] {
  return acknowledged.filter(({ modRevision }) => modRevision <= revision);
}
