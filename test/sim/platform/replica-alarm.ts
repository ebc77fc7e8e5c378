// The alarm of an object: a row of its storage, rung by the platform whether or not an instance is in memory, and again
// if the instance ended while it was handled.

import type { SimulatedSql } from './simulated-sql.ts';

/** The platform calls an alarm's handler again after it failed. */
const alarmRetryMs = 2_000;

export class ReplicaAlarm {
  readonly #sql: SimulatedSql;

  constructor(sql: SimulatedSql) {
    this.#sql = sql;
    sql.run('CREATE TABLE simulated_alarm (at_ms REAL NOT NULL)');
    sql.sync();
  }

  get atMs(): number | null {
    const at = this.#sql.reader.all('SELECT at_ms FROM simulated_alarm')[0]?.[0];
    return at === undefined ? null : Number(at);
  }

  set(atMs: number | null): void {
    this.#sql.transaction(() => {
      this.#sql.run('DELETE FROM simulated_alarm');
      if (atMs !== null) this.#sql.run('INSERT INTO simulated_alarm VALUES (?)', atMs);
    });
  }

  /** The handler ended with its instance. */
  retry(nowMs: number): void {
    this.set(nowMs + alarmRetryMs);
    this.#sql.sync();
  }
}
