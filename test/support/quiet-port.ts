import type { DriverPort } from '../../src/driver/driver-port.ts';

/** A port of a driver that sends to nobody, and whose clock stands still. A command that throws fails the test. */
export const quietPort: DriverPort = {
  send: () => undefined,
  undone: ({ error }) => {
    throw error;
  },
  configured: () => undefined,
  removed: () => undefined,
  restart: () => undefined,
  rest: () => undefined,
  applySoon: () => undefined,
  flushSoon: () => undefined,
  nowMs: () => 1,
};
