// How much memory a test holds at a moment.

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const collect: unknown = runInNewContext('gc');

/** The bytes that the program holds, on the heap and in buffers beside it. SQLite's own cache is bounded elsewhere. */
export function heldBytes(): number {
  if (typeof collect !== 'function') throw new TypeError('no garbage collector to call');
  collect();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}
