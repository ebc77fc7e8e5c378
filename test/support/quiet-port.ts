import type { DriverPort } from '../../src/driver/driver.ts';

/** Nobody hears what the driver says, and its clock stands still. A command that throws is a fault of the test's. */
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
