// Writes a whole database as statements, one a line. `fixtures` keeps the stores of earlier versions in this form.

import { Buffer } from 'node:buffer';
import type { SqlPort, SqlValue } from '../../src/base/sql-port.ts';

export function dumpText(sql: SqlPort): string {
  const lines: string[] = [];
  for (const [kind, name, statement] of sql.all('SELECT type, name, sql FROM sqlite_master ORDER BY rowid')) {
    if (typeof statement !== 'string') continue;
    lines.push(`${statement.replaceAll(/\s+/g, ' ')};`);
    if (kind !== 'table') continue;
    for (const row of sql.all(`SELECT * FROM ${String(name)}`)) {
      lines.push(`INSERT INTO ${String(name)} VALUES (${row.map(literal).join(', ')});`);
    }
  }
  return `${lines.join('\n')}\n`;
}

function literal(value: SqlValue): string {
  if (value === null) return 'NULL';
  if (typeof value === 'number') return String(value);
  if (typeof value === 'string') return `'${value.replaceAll("'", "''")}'`;
  return `x'${Buffer.from(value).toString('hex')}'`;
}
