// Hashes by which replicas compare what they hold. They depend on the log alone, and not on how far a sweep is, or on
// the rows that large values lie in.

import { hashStepBytes } from '../../limits.ts';
import type { StoreFailure } from '../../model/store.ts';
import type { SqlPort } from '../../base/sql-port.ts';
import { Checksum } from './checksum.ts';
import { beforeAllVersions, type KeptView, scanVersions } from '../kept-versions.ts';

/** What a row takes beside its bytes: as long as so many more bytes. */
const rowBytes = 256;

export type HashKv =
  | {
      readonly kind: 'answer';
      readonly hash: number;
      readonly hashRevision: number;
      readonly compactedRevision: number;
    }
  | { readonly kind: 'failed'; readonly failure: StoreFailure };

const otherTables = [
  'SELECT id, ttl, deadline FROM leases ORDER BY id',
  'SELECT lease, key FROM lease_keys ORDER BY lease, key',
  'SELECT name, password, since FROM auth_users ORDER BY name',
  'SELECT name FROM auth_roles ORDER BY name',
  'SELECT user, role FROM auth_grants ORDER BY user, role',
  'SELECT role, key, place, range_end, type FROM auth_permissions ORDER BY role, key, place',
  'SELECT member, alarm FROM alarms ORDER BY member, alarm',
  'SELECT id, role, prefix, expires_at, created_at, state FROM access_keys ORDER BY id',
  `SELECT name, value FROM mvcc_meta WHERE name NOT IN ('format', 'sweep') ORDER BY name`,
];

/**
 * Hashes every version that the store had at `revision` and that compaction left. As in etcd, 0 is the present
 * revision, and negative ones are below it. It goes in steps, between which anything may be written, and swept as far
 * as `at.compacted`.
 */
export function* hashKv(
  sql: SqlPort,
  revision: number,
  at: { current: number; compacted: number },
): Generator<void, HashKv, void> {
  const hashRevision = revision === 0 ? at.current : revision;
  if (hashRevision > at.current) return { kind: 'failed', failure: { kind: 'futureRevision', revision: at.current } };
  if (hashRevision > 0 && hashRevision < at.compacted) {
    return { kind: 'failed', failure: { kind: 'compacted', compactedRevision: at.compacted } };
  }
  const checksum = new Checksum();
  yield* addVersions(checksum, sql, { revision: hashRevision, compacted: at.compacted });
  return { kind: 'answer', hash: checksum.value(), hashRevision, compactedRevision: at.compacted };
}

/**
 * Hashes everything that the store now holds, except the remembered writes. It goes in steps like the other hash; the
 * first step takes the tables that change in place.
 */
export function* hashOf(sql: SqlPort, at: { current: number; compacted: number }): Generator<void, number, void> {
  const checksum = new Checksum();
  checksum.add(at.current);
  for (const statement of otherTables) {
    for (const row of sql.iterate(statement)) for (const value of row) checksum.add(value);
    checksum.add(null);
  }
  yield;
  yield* addVersions(checksum, sql, { revision: at.current, compacted: at.compacted });
  return checksum.value();
}

function* addVersions(checksum: Checksum, sql: SqlPort, view: KeptView): Generator<void, void, void> {
  let bytes = 0;
  for (const { version } of scanVersions(sql, view, beforeAllVersions)) {
    bytes += rowBytes;
    if (version !== null) {
      const { key, mod, created, lease, value, until } = version;
      for (const part of [key, mod, created, version.version, lease, value, until ?? 0]) checksum.add(part);
      bytes += key.byteLength + value.byteLength;
    }
    if (bytes < hashStepBytes) continue;
    bytes = 0;
    yield;
  }
  checksum.add(null);
}
