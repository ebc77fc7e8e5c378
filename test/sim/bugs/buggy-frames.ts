// Planted bugs of watches: a replica sends something else than its code says.

import type { PlantedBug } from './bugs.ts';
import { type JsonObject, listOf, numberIn, objectOf, parseObject } from '../json.ts';
import type { Random } from '../../support/random.ts';

/** Frames of v1 name their kind. A message of v3 that says nothing else tells of progress. */
export function isProgress(message: string): boolean {
  if (message.startsWith('{"type":')) return message.startsWith('{"type":"progress"');
  return !message.includes('"events":') && !message.includes('"created":') && !message.includes('"canceled":');
}

type Twist = (message: string, random: Random) => readonly string[];

/** The revisions of messages that tell events. */
const twists: { readonly [Bug in PlantedBug]?: Twist } = {
  watchEventLost: (message, random) => (random.chance(0.03) ? [] : [message]),
  watchEventsSwapped: (message) => [withEvents(message, (events) => events.toSorted(laterFirst))],
  watchRevisionSplit: split,
  watchPreviousWrong: (message) => [withEvents(message, (events) => events.map(withWrongPrevious))],
};

/** The messages that are sent in place of this one. */
export function framesWithBug(bug: PlantedBug | null, message: string, random: Random): readonly string[] {
  const twist = bug === null ? undefined : twists[bug];
  return twist === undefined || !message.includes('"events":[') ? [message] : twist(message, random);
}

function split(message: string): readonly string[] {
  const first = withEvents(message, (events) => events.slice(0, 1));
  const rest = withEvents(message, (events) => events.slice(1));
  return rest.includes('"events":[]') ? [first] : [first, rest];
}

function withEvents(message: string, change: (events: readonly unknown[]) => readonly unknown[]): string {
  const frame = parseObject(message);
  const result = frame['result'];
  if (result === undefined) return JSON.stringify({ ...frame, events: change(listOf(frame['events'])) });
  const inner = objectOf(result);
  return JSON.stringify({ result: { ...inner, events: change(listOf(inner['events'])) } });
}

function laterFirst(left: unknown, right: unknown): number {
  return revisionOf(right) - revisionOf(left);
}

function revisionOf(event: unknown): number {
  return numberIn(objectOf(objectOf(event)['kv'])['mod_revision']);
}

function withWrongPrevious(event: unknown): JsonObject {
  const seen = objectOf(event);
  const name = seen['prev'] === undefined ? 'prev_kv' : 'prev';
  return seen[name] === undefined ? seen : { ...seen, [name]: seen['kv'] };
}
