// Very many retries at once, as after a change of leaders under load.

import { expect, it } from 'vitest';
import type { SqlPort, SqlRow, SqlValue } from '../../src/base/sql-port.ts';
import { NodeSql } from '../support/node-sql.ts';
import { Fed, put, service, toLevel } from './requests.ts';

/** Counts how often the writes of an entry are read. */
class CountingSql extends NodeSql implements SqlPort {
  bodiesRead = 0;

  override *iterate(statement: string, ...bindings: readonly SqlValue[]): IterableIterator<SqlRow> {
    if (statement.startsWith('SELECT body FROM batches')) this.bodiesRead++;
    yield* super.iterate(statement, ...bindings);
  }
}

it('MVCC-RETRY-9: retries of the writes of one entry go through that entry once', () => {
  const sql = new CountingSql();
  const fed = new Fed(sql);
  fed.do(toLevel(3));
  fed.do(put('z'));
  const commands = Array.from({ length: 500 }, (_, n) => {
    return { writeId: `client ${n}`, caller: service, atMs: 1, operation: put(`k${n}`), digest: BigInt(n + 1) };
  });
  const first = fed.commands(commands);
  for (const reopens of [false, true]) {
    if (reopens) fed.reopen();
    const before = sql.bodiesRead;
    expect(fed.commands(commands)).toEqual(first);
    expect(sql.bodiesRead - before).toBe(1);
  }
});
