// How many rows a put takes, of three replicas in the long run: what is deleted when the log is cut counts, too.

import { afterAll, expect, it } from 'vitest';
import { NodeSql } from '../support/node-sql.ts';
import { CountedGroup, type PutShape } from './counted-group.ts';

const databases: NodeSql[] = [];
afterAll(() => {
  for (const sql of databases) sql.close();
});

/** Rows that are written, changed and deleted, which are billed alike. */
function changesOf(replicas: readonly NodeSql[]): number {
  return replicas.reduce((sum, sql) => sum + Number(sql.all('SELECT total_changes()')[0]?.[0]), 0);
}

function rowsPerPut(shape: PutShape, puts: number): number {
  const replicas = [1, 2, 3].map(() => new NodeSql());
  databases.push(...replicas);
  const group = new CountedGroup(replicas);
  // Every key is there, and the log has reached its bound.
  group.put(Math.max(shape.keys, 600, 20 * shape.together), shape);
  const before = changesOf(replicas);
  group.put(puts, shape);
  return Math.round((100 * (changesOf(replicas) - before)) / puts) / 100;
}

it('COST-1: the rows that a put of one client takes on three replicas, of few keys and of many', () => {
  // A row of the log, and the version that is superseded. Heads and batches are written at each flush.
  expect(rowsPerPut({ together: 1, keys: 10 }, 1_600)).toBe(6.23);
  expect(rowsPerPut({ together: 1, keys: 1_600 }, 1_600)).toBe(9.04);
});

it('COST-1: the rows that a put takes where 64 share an entry', () => {
  expect(rowsPerPut({ together: 64, keys: 10 }, 64 * 100)).toBe(3.21);
  expect(rowsPerPut({ together: 64, keys: 6_400 }, 64 * 100)).toBe(6.07);
});
