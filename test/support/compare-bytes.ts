// Makes vitest compare bytes at once. By itself it compares byte by byte through JavaScript objects, which takes
// seconds for a value of some megabytes. Every project of tests on Node runs this file before each file of tests.

import { expect } from 'vitest';

/** Undefined: the two are not both bytes of one kind, so vitest compares them as ever. */
function haveEqualBytes(left: unknown, right: unknown): boolean | undefined {
  if (!(left instanceof Uint8Array && right instanceof Uint8Array)) return undefined;
  if (Object.getPrototypeOf(left) !== Object.getPrototypeOf(right)) return undefined;
  return Buffer.compare(left, right) === 0;
}

expect.addEqualityTesters([haveEqualBytes]);
