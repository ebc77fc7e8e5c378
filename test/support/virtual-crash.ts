// A crash of a replica in virtual time: it ends whatever runs in the object, and nobody handles it.

import { vi } from 'vitest';

/** Ends the turn of a replica that crashes in it. */
export class Crash extends Error {
  override readonly name = 'Crash';
}

function unlessCrash(error: unknown): void {
  if (!(error instanceof Crash)) throw error;
}

/** Lets virtual time pass. Nobody handles what a crash ended in the turn of a timer, as in an object that is gone. */
export async function pass(delayMs: number): Promise<void> {
  try {
    await vi.advanceTimersByTimeAsync(delayMs);
  } catch (error) {
    if (!(error instanceof Crash)) throw error;
  }
}

/** The same for a promise. Returns the function that ends it. */
export function leaveCrashesUnhandled(): () => void {
  const others = process.listeners('unhandledRejection');
  process.removeAllListeners('unhandledRejection');
  process.on('unhandledRejection', unlessCrash);
  return () => {
    process.off('unhandledRejection', unlessCrash);
    for (const other of others) process.on('unhandledRejection', other);
  };
}
