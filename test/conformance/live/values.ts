// The keys, ranges, revisions and leases of random sessions. There are few of each, so that steps collide. At most
// twelve keys exist at a time, because with more, etcd's order of equal keys is that of Go's sort.

import type { Json, JsonObject } from '../conversation.ts';
import type { Random } from '../../support/random.ts';

const keys = ['\0', 'a', 'a\0', 'a/1', 'a/2', 'a\xff', 'b', '\xff', '\xfb\xef?'] as const;
const values = ['', '1', '2', '10', 'hello', '\0\x01\xfe\xff', 'zz?'] as const;
const leaseIds = ['7', '12', '255', '9007199254740995', '-3'] as const;

/** The bytes that a text of characters below 256 stands for, as JSON carries them. */
export function bytes(text: string): string {
  return Buffer.from(text, 'latin1').toString('base64');
}

export function randomKey(random: Random): string {
  return random.chance(0.02) ? '' : bytes(random.pick(keys));
}

export function randomValue(random: Random): string {
  return bytes(random.pick(values));
}

/** One key, or a range: between two keys, a prefix, from a key on, everything, empty, or with its ends swapped. */
export function randomRange(random: Random): { readonly key?: string; readonly range_end?: string } {
  return random.weighted<() => { readonly key?: string; readonly range_end?: string }>([
    [5, () => ({ key: randomKey(random) })],
    [3, () => ({ key: randomKey(random), range_end: randomKey(random) })],
    [2, () => ({ key: bytes('a'), range_end: bytes('b') })],
    [1, () => ({ key: bytes('a/'), range_end: bytes('a0') })],
    [2, () => ({ key: randomKey(random), range_end: bytes('\0') })],
    [2, () => ({ key: bytes('\0'), range_end: bytes('\0') })],
    [0.3, () => ({ range_end: bytes('b') })],
    [0.1, () => ({})],
  ])();
}

/** A revision, mostly one that has been: revisions grow about as fast as steps are made. */
export function randomRevision(random: Random, stepsMade: number): string {
  return random.weighted([
    [10, String(random.below(Math.ceil(stepsMade * 0.5) + 2))],
    [1, '0'],
    [0.5, '-1'],
    [0.5, '100000'],
  ]);
}

export function randomLease(random: Random): string {
  return random.pick(leaseIds);
}

/** Each member comes with its own probability; the others are left out. */
export function optional(random: Random, members: Readonly<Record<string, readonly [number, () => Json]>>): JsonObject {
  const chosen = Object.entries(members).filter(([, [probability]]) => random.chance(probability));
  return Object.fromEntries(chosen.map(([name, [, make]]) => [name, make()]));
}
