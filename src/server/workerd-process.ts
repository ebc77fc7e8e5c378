// Tells a running workerd from one that ended, by its process id.

import { existsSync, readlinkSync } from 'node:fs';
import { basename } from 'node:path';

/**
 * Whether a process is a workerd that runs: on Linux its program tells, which a dead one that nobody waited for has no
 * more.
 */
export function isWorkerd(processId: number): boolean {
  try {
    process.kill(processId, 0);
    return !existsSync('/proc/self/exe') || basename(readlinkSync(`/proc/${processId}/exe`)) === 'workerd';
  } catch {
    return false;
  }
}
