import { describe, expect, it } from 'vitest';
import { SimulatedSql } from './simulated-sql.ts';

function filled(): SimulatedSql {
  const sql = new SimulatedSql();
  sql.run('CREATE TABLE pairs (name TEXT PRIMARY KEY, value BLOB NOT NULL)');
  insert(sql, 'first');
  sql.sync();
  return sql;
}

function insert(sql: SimulatedSql, name: string): void {
  sql.run('INSERT INTO pairs VALUES (?, ?)', name, new Uint8Array(0));
}

function names(sql: SimulatedSql): unknown[] {
  return sql.all('SELECT name FROM pairs ORDER BY rowid').map(([name]) => name);
}

describe('simulated storage', () => {
  it('SIM-STORAGE-1: a crash loses what was written since the last sync, from some transaction on', () => {
    for (const kept of [0, 1, 2, 3]) {
      const sql = filled();
      sql.transaction(() => {
        insert(sql, 'second');
        sql.transaction(() => insert(sql, 'third'));
      });
      insert(sql, 'fourth');
      insert(sql, 'fifth');
      expect(sql.unsynced).toBe(3);
      sql.crash(kept);
      const survivors = ['first', 'second', 'third', 'fourth', 'fifth'].slice(0, [1, 3, 4, 5][kept]);
      expect(names(sql)).toEqual(survivors);
      insert(sql, 'later');
      sql.crash(0);
      expect(names(sql)).toEqual(survivors);
      sql.close();
    }
  });

  it('SIM-STORAGE-2: what is synced survives; what was rolled back is neither there nor counted as lost', () => {
    const sql = filled();
    insert(sql, 'second');
    sql.sync();
    expect(sql.unsynced).toBe(0);
    sql.crash(0);
    expect(names(sql)).toEqual(['first', 'second']);
    const failing = (): void =>
      sql.transaction(() => {
        insert(sql, 'third');
        throw new Error('not now');
      });
    expect(failing).toThrow('not now');
    expect(names(sql)).toEqual(['first', 'second']);
    insert(sql, 'fourth');
    expect(sql.unsynced).toBe(1);
    sql.crash(1);
    expect(names(sql)).toEqual(['first', 'second', 'fourth']);
    sql.close();
  });
});
