// The contract of the store on the object's own SQLite: the rules that hold on Node must hold here.

import { runInDurableObject } from 'cloudflare:test';
import { describe, it } from 'vitest';
import { ObjectSql } from '../../src/replica/object-sql.ts';
import { storeContract } from './contract/store-contract.ts';
import { replicaStub } from '../support/service.ts';

describe('the contract of the store, in an object', () => {
  it.each(storeContract)('$name', async ({ name, run }) => {
    const stub = replicaStub(`contract of ${name}`, 1);
    await runInDurableObject(stub, (_instance, state) => run(new ObjectSql(state.storage)));
  });

  /** In the rules about deletes, each whole delete goes in steps of one key. */
  const deleting = storeContract.filter(({ name }) => /MVCC-(DELETE|LEASE|HISTORY|HASH|TXN)-/.test(name));
  it.each(deleting)('MVCC-DELETE-2, in steps: $name', async ({ name, run }) => {
    const stub = replicaStub(`contract in steps of ${name}`, 1);
    await runInDurableObject(stub, (_instance, state) => run(new ObjectSql(state.storage), 1));
  });
});
