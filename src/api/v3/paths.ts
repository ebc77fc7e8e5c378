// The paths of etcd's gateway, each with what reads its messages. All take POST alone, and upgrades.

import { authPaths } from './auth.ts';
import { clusterPaths } from './cluster.ts';
import { concurrencyPaths } from './concurrency.ts';
import { kvPaths } from './kv.ts';
import { leasePaths } from './lease.ts';
import { maintenancePaths } from './maintenance.ts';
import type { ParseUnary } from './unary.ts';

export type V3Path =
  /** One message, one answer (or, of observe and snapshot, a stream of them). */
  { readonly kind: 'unary'; readonly parse: ParseUnary } | { readonly kind: 'watch' } | { readonly kind: 'keepAlive' };

const unaryPaths = {
  ...kvPaths,
  ...leasePaths,
  ...authPaths,
  ...maintenancePaths,
  ...clusterPaths,
  ...concurrencyPaths,
};

const paths: ReadonlyMap<string, V3Path> = new Map<string, V3Path>(
  [
    ...Object.entries(unaryPaths).map(([name, parse]): [string, V3Path] => [name, { kind: 'unary', parse }]),
    ['watch', { kind: 'watch' }] satisfies [string, V3Path],
    ['lease/keepalive', { kind: 'keepAlive' }] satisfies [string, V3Path],
  ].flatMap(([name, path]): [string, V3Path][] => [
    [`/v3/${name}`, path],
    [`/v3beta/${name}`, path],
  ]),
);

export function isV3Path(path: string): boolean {
  return path.startsWith('/v3/') || path.startsWith('/v3beta/');
}

export function findV3Path(path: string): V3Path | null {
  return paths.get(path) ?? null;
}

/** Every path, in the spelling of v3. */
export function v3Paths(): readonly string[] {
  return [...paths.keys()].filter((path) => path.startsWith('/v3/'));
}
