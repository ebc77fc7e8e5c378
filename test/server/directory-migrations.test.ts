// The migrations of the directory, applied one after the other to what an earlier version had written.

import { readdirSync, readFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { splitStatements } from '../../src/server/sql-statements.ts';

const folder = fileURLToPath(import.meta.resolve('../../migrations/'));
const files = readdirSync(folder).sort();

function apply(database: DatabaseSync, names: readonly string[]): void {
  for (const name of names) {
    for (const statement of splitStatements(readFileSync(`${folder}${name}`, 'utf8'))) database.exec(statement);
  }
}

describe('the directory of the version before', () => {
  it('TENANT-21: is brought up to date', () => {
    const database = new DatabaseSync(':memory:');
    apply(database, files.slice(0, 1));
    database.exec("INSERT INTO tenants VALUES ('moved', 'a', 'ready', 1), ('unplaced', 'b', 'deleting', 2)");
    database.exec("INSERT INTO replicas VALUES ('moved', 2, 'weur'), ('moved', 7, 'oc')");
    apply(database, files.slice(1));
    const rows = database
      .prepare('SELECT id, state, configured_at, next_number, wipe_at_ms, wipe_told FROM tenants ORDER BY id')
      .all();
    expect(rows.map((row) => Object.values(row))).toEqual([
      ['moved', 'ready', 0, 8, null, 0],
      ['unplaced', 'deleting', 0, 1, 0, 1],
    ]);
    expect(database.prepare('SELECT count(*) AS count FROM replicas').get()).toEqual({ count: 2 });
    database.close();
  });
});
