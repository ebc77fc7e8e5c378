// Rows as the platform bills them, beside rows as SQLite counts changes: what is pinned on Node holds on Cloudflare.

import { runInDurableObject } from 'cloudflare:test';
import { expect, it } from 'vitest';
import { ObjectSql } from '../../src/replica/object-sql.ts';
import { put, prefix, remove } from '../mvcc/requests.ts';
import { replicaStub } from '../support/service.ts';
import { countSql } from './counted-sql.ts';
import { CountedGroup } from './counted-group.ts';

it('COST-2: in an object the platform counts as written the rows that SQLite counts as changed', async () => {
  await runInDurableObject(replicaStub('cost', 1), async (_, { storage }) => {
    const soFar = countSql(storage.sql);
    const written = async (): Promise<number> => {
      // What ran in this turn is looked at behind it.
      await Promise.resolve();
      return soFar().rowsWritten;
    };
    const group = new CountedGroup([new ObjectSql(storage)]);
    const changes = (): number => Number(storage.sql.exec('SELECT total_changes() AS rows').one()['rows']);
    const works: Record<string, () => void> = {
      'puts of one client, with cuts of the log': () => group.put(200, { together: 1, keys: 10 }),
      'puts that come together': () => group.put(64 * 40, { together: 64, keys: 500 }),
      'a large value': () => group.write(put('large', 'v'.repeat(100_000))),
      'a large value again, and a flush': () => group.write(put('large', 'w'.repeat(100_000))),
      'a delete of many keys': () => group.write(remove(prefix('registry/pods/00000000'))),
      'a compaction': () => {
        group.write({ kind: 'compact', request: { revision: 1_000 } });
        group.rest();
      },
    };
    for (const [name, work] of Object.entries(works)) {
      const before = { counted: await written(), changes: changes() };
      work();
      group.rest();
      const counted = (await written()) - before.counted;
      expect({ name, counted }).toEqual({ name, counted: changes() - before.changes });
      expect(counted).toBeGreaterThan(0);
    }
  });
});
