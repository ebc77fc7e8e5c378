// The versions that etcd's clients look at: those of the etcd whose API this is, not of this service.

/** kube-apiserver wants at least 3.5.13, in semver, for consistent lists from its cache. */
export const etcdServerVersion = '3.7.1';
export const etcdClusterVersion = '3.7.0';
export const etcdStorageVersion = '3.7.0';
/** As downgrade answers it. */
export const etcdClusterLevel = '3.7';
/** The one version that a downgrade may aim at. */
const downgradeLevel = '3.6';

/** semver, or major.minor alone; what stands behind the minor does not count, but must have its form. */
const form = /^(\d{1,15})\.(\d{1,15})(?:\.\d{1,15}(?:-[0-9A-Za-z.-]*)?(?:\+[0-9A-Za-z.-]*)?)?$/;

export type DowngradeTarget =
  | { readonly kind: 'target'; readonly level: string }
  | { readonly kind: 'malformed' }
  | { readonly kind: 'invalid' };

/** What downgrade's `version` aims at, once the caller may ask. */
export function parseDowngradeTarget(version: string): DowngradeTarget {
  const [, major, minor] = form.exec(version) ?? [];
  if (major === undefined || minor === undefined) return { kind: 'malformed' };
  const level = `${Number(major)}.${Number(minor)}`;
  return level === downgradeLevel ? { kind: 'target', level } : { kind: 'invalid' };
}
