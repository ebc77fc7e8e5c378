// The work that a command may take, as estimated from its request, compared with the work that it takes.

import { describe, expect, it } from 'vitest';
import { revision } from '../../src/model/brands.ts';
import { Leases } from '../../src/mvcc/leases.ts';
import { Versions } from '../../src/mvcc/overlay/versions.ts';
import { ReplacedPairs } from '../../src/mvcc/revision-writer.ts';
import { operationShape } from '../../src/mvcc/txn-shape.ts';
import { runTxn } from '../../src/mvcc/txn.ts';
import { WorkBudget } from '../../src/mvcc/work-budget.ts';
import { workAtMost } from '../../src/mvcc/work-estimate.ts';
import { NodeSql } from '../support/node-sql.ts';
import { RandomOperations } from './random-operations.ts';
import { Fed, toLevel } from './requests.ts';

const seeds = 6;

describe('MVCC-WORK-7: no txn draws more than is taken from its request', () => {
  for (let seed = 1; seed <= seeds; seed++) {
    it(`seed ${seed}`, () => {
      const random = new RandomOperations(seed);
      const fed = new Fed(new NodeSql());
      fed.do(toLevel(3));
      for (let round = 0; round < 300; round++) {
        random.revision = fed.store.revision;
        fed.batch([random.operation()]);
        const operation = { kind: 'txn', request: random.txn(2) } as const;
        if (operationShape(operation, 3) !== null) continue;
        const work = new WorkBudget({ rowsMax: 1e9, valueBytesMax: 1e9 });
        const { revision: current, compactedRevision: compacted } = fed.store;
        const versions = new Versions(fed.sql);
        const state = {
          current: revision(current),
          compacted,
          pages: null,
          leases: new Leases(versions),
          work,
          replaced: new ReplacedPairs(),
          keys: null,
        };
        fed.sql.run('SAVEPOINT tried');
        runTxn(versions, operation.request, state);
        fed.sql.run('ROLLBACK TO tried');
        fed.sql.run('RELEASE tried');
        const most = workAtMost(operation);
        expect(work.rows).toBeLessThanOrEqual(most.rows);
        expect(work.valueBytes).toBeLessThanOrEqual(most.valueBytes);
      }
    });
  }
});
