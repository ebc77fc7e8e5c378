// A downgrade that was announced: the version that it goes to, until it is taken back.

import { textOf, utf8 } from '../base/bytes.ts';
import { assert } from '../base/assert.ts';
import type { DowngradeOperation, StoreFailure } from '../model/store.ts';
import type { SqlPort } from '../base/sql-port.ts';
import { readMeta, writeMeta } from './schema.ts';

export class Downgrade {
  readonly #sql: SqlPort;
  #target: string | null;

  constructor(sql: SqlPort) {
    this.#sql = sql;
    const stored = readMeta(sql, 'downgrade');
    this.#target = stored instanceof Uint8Array ? textOf(stored) : null;
  }

  /** The version as major.minor. Null: none was announced. */
  get target(): string | null {
    return this.#target;
  }

  /** Null: the change was made. */
  change(operation: DowngradeOperation): StoreFailure | null {
    if (operation.kind === 'downgradeCancel') {
      if (this.#target === null) return null;
      writeMeta(this.#sql, 'downgrade', 0);
      this.#target = null;
      return null;
    }
    if (this.#target !== null) return { kind: 'downgradeInProgress' };
    assert(operation.targetVersion !== '', 'a downgrade has a target');
    writeMeta(this.#sql, 'downgrade', utf8(operation.targetVersion));
    this.#target = operation.targetVersion;
    return null;
  }
}
