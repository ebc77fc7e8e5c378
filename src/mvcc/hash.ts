// Hashes by which replicas compare what they hold. They depend on the log alone: not on how far a sweep went, nor on which rows
// large values lie in.

import type { StoreFailure } from '../model.ts';
import type { SqlPort } from '../sql-port.ts';
import { Checksum } from './checksum.ts';
import { valueColumn } from './rows.ts';

export type HashKv =
  | {
      readonly kind: 'answer';
      readonly hash: number;
      readonly hashRevision: number;
      readonly compactedRevision: number;
    }
  | { readonly kind: 'failed'; readonly failure: StoreFailure };

const columns = `key, mod, created, version, lease, ${valueColumn}`;
/** ?1 the revision, ?2 the compacted one. A version that ended later had not ended then. */
const versions = `SELECT ${columns}, 0 FROM head WHERE mod <= ?1
  UNION ALL SELECT ${columns}, CASE WHEN until <= ?1 THEN until ELSE 0 END FROM superseded
  WHERE mod <= ?1 AND (until > ?2 OR mod >= ?2) ORDER BY key, mod`;

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

/** Every version that the store had at `revision` and that compaction left: as etcd's, 0 is the current one, and below is none. */
export function hashKv(sql: SqlPort, revision: number, at: { current: number; compacted: number }): HashKv {
  const hashRevision = revision === 0 ? at.current : revision;
  if (hashRevision > at.current) return { kind: 'failed', failure: { kind: 'futureRevision', revision: at.current } };
  if (hashRevision > 0 && hashRevision < at.compacted) {
    return { kind: 'failed', failure: { kind: 'compacted', compactedRevision: at.compacted } };
  }
  const checksum = new Checksum();
  addRows(checksum, sql, versions, hashRevision, at.compacted);
  return { kind: 'answer', hash: checksum.value(), hashRevision, compactedRevision: at.compacted };
}

/** All that the store holds, the memory of writes aside. */
export function hashOf(sql: SqlPort, at: { current: number; compacted: number }): number {
  const checksum = new Checksum();
  checksum.add(at.current);
  addRows(checksum, sql, versions, at.current, at.compacted);
  for (const statement of otherTables) addRows(checksum, sql, statement);
  return checksum.value();
}

function addRows(checksum: Checksum, sql: SqlPort, statement: string, ...bindings: readonly number[]): void {
  for (const row of sql.iterate(statement, ...bindings)) for (const value of row) checksum.add(value);
  checksum.add(null);
}
