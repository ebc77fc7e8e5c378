// The contract of the store on Node's SQLite.

import { describe, it } from 'vitest';
import { NodeSql } from '../support/node-sql.ts';
import { storeContract } from './contract/store-contract.ts';
import { Fed } from './requests.ts';

describe('the store on Node’s SQLite', () => {
  for (const { name, run } of storeContract) it(name, () => run(new NodeSql()));
});

describe('MVCC-OVERLAY-3: the same contract, where point operations stay in memory between flushes', () => {
  for (const { name, run } of storeContract) it(name, () => Fed.inMemory(() => run(new NodeSql())));
});
