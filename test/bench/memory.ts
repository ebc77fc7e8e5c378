// How much of the machine's memory the processes of a side take.

import { readFileSync } from 'node:fs';

/**
 * Pages that several processes share count once (PSS of proc(5)). @throws where the system does not tell, as systems
 * other than Linux do not.
 */
export function memoryMiB(processIds: readonly number[]): number {
  const kibibytes = processIds.map((id) => {
    const text = readFileSync(`/proc/${id}/smaps_rollup`, 'utf8');
    return Number(/^Pss: +(\d+) kB$/m.exec(text)?.[1] ?? Number.NaN);
  });
  return kibibytes.reduce((sum, each) => sum + each, 0) / 1_024;
}
