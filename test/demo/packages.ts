// The input of the demo: what this repository's lock file says of each of its packages.

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { members } from './store-client.ts';

export const prefix = 'packages/';

/**
 * The key is `packages/<name>`, and the value is the package's JSON. A package that is nested in another one keeps its
 * path, so that keys differ.
 */
export function readPackages(): { readonly key: string; readonly value: string }[] {
  const file = fileURLToPath(import.meta.resolve('../../package-lock.json'));
  const lock = members(JSON.parse(readFileSync(file, 'utf8')));
  const rootName = lock.get('name');
  return [...members(lock.get('packages'))].map(([path, content]) => ({
    key: `${prefix}${path === '' ? String(rootName) : path.replace(/^node_modules\//, '')}`,
    value: JSON.stringify(content),
  }));
}
