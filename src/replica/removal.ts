// What is left of a replica that was removed from its group: who the members are, for callers that come late, and for a while only.

import { assert } from '../assert.ts';
import { replicaId, type ReplicaId } from '../brands.ts';
import { hasTable, type SqlPort } from '../sql-port.ts';

const removalFormat = 1;

/** The members as far as it knows; null: it was not removed. Writes nothing. */
export function loadRemoval(sql: SqlPort): readonly ReplicaId[] | null {
  const row = hasTable(sql, 'removal') ? sql.all('SELECT format, members FROM removal')[0] : undefined;
  if (row === undefined) return null;
  const [format, members] = row;
  assert(Number(format) <= removalFormat, `the removal has format ${String(format)}; this code reads ${removalFormat}`);
  return String(members)
    .split(',')
    .filter((member) => member !== '')
    .map((member) => replicaId(Number(member)));
}

export function saveRemoval(sql: SqlPort, members: readonly ReplicaId[]): void {
  sql.transaction(() => {
    sql.run('CREATE TABLE removal (format INTEGER NOT NULL, members TEXT NOT NULL)');
    sql.run('INSERT INTO removal VALUES (?, ?)', removalFormat, members.join(','));
  });
}
