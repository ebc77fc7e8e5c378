// The server's clock for what a deployed Worker does at its cron trigger: at the start, for what became due while the
// server was off, and then at times.

import { wait, within } from '../base/timers.ts';
import { frontEndMs, scheduleMs } from '../limits.ts';
import { errorMessage } from './failure.ts';

const saidAfterMs = 1_000;

/** Returns what ends it: a run under way has `frontEndMs` to finish, and a later one goes on where it breaks off. */
export function startSchedule(run: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | null = null;
  let hasEnded = false;
  const begin = (): void => {
    running ??= run()
      .catch(async (error: unknown) => {
        // Where the runtime has died, the server says so, and ends before this.
        await wait(saidAfterMs);
        if (hasEnded) return;
        process.stderr.write(`quorate: the schedule failed, and is tried again: ${errorMessage(error)}\n`);
      })
      .finally(() => {
        running = null;
      });
  };
  begin();
  const timer = setInterval(begin, scheduleMs);
  return async () => {
    hasEnded = true;
    clearInterval(timer);
    if (running !== null) await within(running, frontEndMs);
  };
}
