// What the local runtime must know of wrangler.toml: the compatibility date and flags, so that `npm start` and a
// deployment run the same platform. Wrangler's own reader takes more than a second to load, so these two lines are read
// here; a test compares the result with Wrangler's.

import { readFileSync } from 'node:fs';
import { ServerFailure } from './failure.ts';

export type WorkerSettings = { readonly compatibilityDate: string; readonly compatibilityFlags: readonly string[] };

/**
 * @throws ServerFailure where the file does not have the two settings, each on one line, as wrangler.toml of this
 * project has them.
 */
export function readWorkerSettings(file: string): WorkerSettings {
  const text = readFileSync(file, 'utf8');
  const date = /^compatibility_date = "(\d{4}-\d{2}-\d{2})"$/m.exec(text)?.[1];
  const flags = /^compatibility_flags = \[([^\]]*)\]$/m.exec(text)?.[1];
  if (date === undefined || flags === undefined) {
    throw new ServerFailure(
      `${file} must set compatibility_date and compatibility_flags, each on one line, as in: compatibility_flags = ["nodejs_compat"]`,
    );
  }
  return {
    compatibilityDate: date,
    compatibilityFlags: [...flags.matchAll(/"([^"]+)"/g)].map(([, flag]) => flag ?? ''),
  };
}
