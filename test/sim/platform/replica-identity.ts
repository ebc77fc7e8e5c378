// What the object of a replica keeps of its group beside the driver: the voters. Code that does not find them in its
// log is told them.

import { replicaId, type ReplicaId } from '../../../src/model/brands.ts';
import type { SimulatedSql } from './simulated-sql.ts';

export class ReplicaIdentity {
  readonly #sql: SimulatedSql;

  constructor(sql: SimulatedSql, voters: readonly ReplicaId[]) {
    this.#sql = sql;
    sql.run('CREATE TABLE simulated_identity (voter INTEGER NOT NULL)');
    this.save(voters);
    sql.sync();
  }

  get voters(): readonly ReplicaId[] {
    return this.#sql.reader.all('SELECT voter FROM simulated_identity').map(([voter]) => replicaId(Number(voter)));
  }

  /** This is written with the transaction that is under way. */
  save(voters: readonly ReplicaId[]): void {
    this.#sql.transaction(() => {
      this.#sql.run('DELETE FROM simulated_identity');
      for (const voter of voters) this.#sql.run('INSERT INTO simulated_identity VALUES (?)', voter);
    });
  }
}
