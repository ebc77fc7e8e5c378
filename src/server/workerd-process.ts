// Tells a running workerd from one that ended, by its process id.

import { existsSync, readlinkSync } from 'node:fs';
import { basename } from 'node:path';

/**
 * Whether the process with this id is a workerd that runs. On Linux a running process tells its program; a dead process
 * that nobody waited for has no program any more.
 */
export function isWorkerd(processId: number): boolean {
  try {
    process.kill(processId, 0);
    return !existsSync('/proc/self/exe') || basename(readlinkSync(`/proc/${processId}/exe`)) === 'workerd';
  } catch {
    return false;
  }
}
