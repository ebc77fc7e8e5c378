// The contract of the store on Node's SQLite.

import { describe, it } from 'vitest';
import { NodeSql } from '../support/node-sql.ts';
import { storeContract } from './contract/store-contract.ts';

describe('the store on Node’s SQLite', () => {
  for (const { name, run } of storeContract) it(name, () => run(new NodeSql()));
});
