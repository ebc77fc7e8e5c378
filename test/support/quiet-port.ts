import type { DriverPort } from '../../src/driver/driver.ts';

/** A port of a driver to which nobody listens, and whose clock stands still. A command that throws fails the test. */
export const quietPort: DriverPort = {
  send: () => undefined,
  published: () => undefined,
  applied: () => undefined,
  undone: ({ error }) => {
    throw error;
  },
  leaderChanged: () => undefined,
  configured: () => undefined,
  removed: () => undefined,
  restart: () => undefined,
  rest: () => undefined,
  applySoon: () => undefined,
  nowMs: () => 1,
};
