// Programs that a measurement uses where they are installed.

import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** The whole path of a program. Null: it is not on PATH. */
export function programOnPath(name: string): string | null {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    const path = join(folder, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // The program is not in this folder.
    }
  }
  return null;
}
