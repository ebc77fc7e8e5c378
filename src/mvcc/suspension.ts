// Whether the operator has closed the tenant to its own callers: it is suspended, or it is deleted and will be wiped.
// Suspension counts in groups of level 4 alone, and deletion in those of level 5: below, code that does not know it may
// be among the replicas, and they must agree. What was set is kept while the level is lower.

import { groupLevel } from '../model/levels.ts';
import type { SuspensionFailure } from '../model/store.ts';
import type { SqlPort } from '../base/sql-port.ts';
import { readMeta, writeMeta } from './schema.ts';
import type { Terms } from './terms.ts';

export class Suspension {
  readonly #sql: SqlPort;
  readonly #terms: Terms;
  #level: number;
  #isSet: boolean;

  constructor(sql: SqlPort, level: number, terms: Terms) {
    this.#sql = sql;
    this.#terms = terms;
    this.#level = level;
    this.#isSet = readMeta(sql, 'suspended') === 1;
  }

  /** Why every caller but the service is refused; null: nobody is refused for that. */
  get failure(): SuspensionFailure | null {
    const wipeAtMs = this.#level < groupLevel.fifth ? null : this.#terms.value('wipeAtMs');
    if (wipeAtMs !== null) return { kind: 'tenantUnderDeletion', wipeAtMs };
    return this.#isSet && this.#level >= groupLevel.fourth ? { kind: 'tenantSuspended' } : null;
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
