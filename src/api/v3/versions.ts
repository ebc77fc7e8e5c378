// The versions that clients of etcd look at. They are those of the etcd whose API this service has, and not its own.

/** kube-apiserver lists from its cache only where this is at least 3.5.13, as semver. */
export const etcdServerVersion = '3.7.1';
export const etcdClusterVersion = '3.7.0';
export const etcdStorageVersion = '3.7.0';
/** The version of the cluster as the call `downgrade` answers it. */
export const etcdClusterLevel = '3.7';
/** The one version that a downgrade may aim at. */
const downgradeLevel = '3.6';

/**
 * A version as semver, or as major.minor alone. What follows the minor version is checked for its form and then
 * ignored.
 */
const form = /^(\d{1,15})\.(\d{1,15})(?:\.\d{1,15}(?:-[0-9A-Za-z.-]*)?(?:\+[0-9A-Za-z.-]*)?)?$/;

export type DowngradeTarget =
  | { readonly kind: 'target'; readonly level: string }
  | { readonly kind: 'malformed' }
  | { readonly kind: 'invalid' };

/** The version that a downgrade aims at. It is looked at once the caller is known to be allowed. */
export function parseDowngradeTarget(version: string): DowngradeTarget {
  const [, major, minor] = form.exec(version) ?? [];
  if (major === undefined || minor === undefined) return { kind: 'malformed' };
  const level = `${Number(major)}.${Number(minor)}`;
  return level === downgradeLevel ? { kind: 'target', level } : { kind: 'invalid' };
}
