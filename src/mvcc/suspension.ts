// Whether the operator has suspended the tenant. It counts in groups of level 4 alone: below, code that knows no
// suspension may be among the replicas, and they must agree. What was set is kept while the level is lower.

import { groupLevel } from '../model/levels.ts';
import type { SqlPort } from '../base/sql-port.ts';
import { readMeta, writeMeta } from './schema.ts';

export class Suspension {
  readonly #sql: SqlPort;
  #level: number;
  #isSet: boolean;

  constructor(sql: SqlPort, level: number) {
    this.#sql = sql;
    this.#level = level;
    this.#isSet = readMeta(sql, 'suspended') === 1;
  }

  get isSuspended(): boolean {
    return this.#isSet && this.#level >= groupLevel.fourth;
  }

  change(isSuspended: boolean): void {
    if (isSuspended === this.#isSet) return;
    writeMeta(this.#sql, 'suspended', isSuspended ? 1 : 0);
    this.#isSet = isSuspended;
  }

  levelChanged(level: number): void {
    this.#level = level;
  }
}
