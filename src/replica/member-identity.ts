// What an object must know of itself to be a replica at all: its tenant, its number, and the voters when it last heard.
// It stands in two tables beside those of the log and the store, from the provisioning of the object on.

import { assert } from '../base/assert.ts';
import { hasTable, type SqlPort } from '../base/sql-port.ts';
import { replicaId, type ReplicaId } from '../model/brands.ts';
import type { Configuration } from '../raft/configuration.ts';

export type MemberIdentity = {
  readonly tenant: string;
  readonly number: ReplicaId;
  /** The voters by the last configuration that was committed here. The log knows more. */
  readonly members: readonly { readonly number: ReplicaId; readonly location: string }[];
};

const memberFormat = 1;

/** Null: the object was never provisioned, or was wiped. This writes nothing. */
export function loadIdentity(sql: SqlPort): MemberIdentity | null {
  const row = hasTable(sql, 'member') ? sql.all('SELECT format, tenant, number FROM member')[0] : undefined;
  if (row === undefined) return null;
  const [format, tenant, number] = row;
  assert(
    Number(format) <= memberFormat,
    `the replica has format ${String(format)}; this code reads up to ${memberFormat}`,
  );
  const members = sql
    .all('SELECT number, location FROM members ORDER BY number')
    .map(([memberNumber, location]) => ({ number: replicaId(Number(memberNumber)), location: String(location) }));
  return { tenant: String(tenant), number: replicaId(Number(number)), members };
}

export function saveIdentity(sql: SqlPort, identity: MemberIdentity): void {
  sql.transaction(() => {
    sql.run('CREATE TABLE member (format INTEGER NOT NULL, tenant TEXT NOT NULL, number INTEGER NOT NULL)');
    sql.run('CREATE TABLE members (number INTEGER PRIMARY KEY, location TEXT NOT NULL)');
    sql.run('INSERT INTO member VALUES (?, ?, ?)', memberFormat, identity.tenant, identity.number);
    for (const member of identity.members) sql.run('INSERT INTO members VALUES (?, ?)', member.number, member.location);
  });
}

/** The voters, which are the only members that code of level 1 knows. */
export function saveVoters(sql: SqlPort, { members }: Configuration): void {
  sql.run('DELETE FROM members');
  for (const { id, location, voter } of members) if (voter) sql.run('INSERT INTO members VALUES (?, ?)', id, location);
}
