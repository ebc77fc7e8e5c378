// The contract of the store on Node's SQLite, where every delete of more than one key goes in steps of one.

import { describe, it } from 'vitest';
import { NodeSql } from '../support/node-sql.ts';
import { storeContract } from './contract/store-contract.ts';

describe('MVCC-DELETE-2: the same contract, where every delete of more than one key goes in steps of one', () => {
  for (const { name, run } of storeContract) it(name, () => run(new NodeSql(), 1));
});
