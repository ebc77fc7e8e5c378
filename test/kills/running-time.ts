// Time as this process lives through it: a machine that is busy, or that stops the process and the servers beside it,
// stops it. A wait that is over by this time saw nothing happen while there was time for it.

const tickMs = 100;
let ticks = 0;

// A tick that comes late is one tick, and those that did not come are not made up for.
setInterval(() => ticks++, tickMs).unref();

/** In milliseconds, from some beginning. It is never ahead of a clock. */
export function runningMs(): number {
  return ticks * tickMs;
}
