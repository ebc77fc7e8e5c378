// Opens the stores that earlier versions wrote, from `fixtures`.

import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { NodeSql } from '../support/node-sql.ts';

export function fixtureText(name: string): string {
  return readFileSync(resolve(import.meta.dirname, 'fixtures', name), 'utf8');
}

export function storeOf(fixture: string): NodeSql {
  const sql = new NodeSql();
  for (const statement of fixtureText(fixture).split('\n')) if (statement !== '') sql.run(statement);
  return sql;
}
