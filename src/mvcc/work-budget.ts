// How much one request may look at and write. Whatever it does draws on one budget, nested txns included, and beyond it
// the request as a whole fails. Of a command of the log the sum belongs to level 3 of groups: it is a function of the
// request and the store alone, so that all replicas refuse alike. Pure.

import { assert } from '../base/assert.ts';
import { commandRowsMax, commandValueBytesMax, countedRowsOfRow, rowsOfWrittenRow } from '../limits.ts';
import type { StoreFailure } from '../model/store.ts';

export type WorkLimits = { readonly rowsMax: number; readonly valueBytesMax: number };

export const commandWork: WorkLimits = { rowsMax: commandRowsMax, valueBytesMax: commandValueBytesMax };
/** Of commands below level 3. */
export const unboundedWork: WorkLimits = { rowsMax: Infinity, valueBytesMax: Infinity };

/**
 * Each method but the getters answers false where that is more than is left; then, and from then on, `failure` says
 * what was too much.
 */
export class WorkBudget {
  readonly #limits: WorkLimits;
  #rows = 0;
  #valueBytes = 0;

  constructor(limits: WorkLimits) {
    this.#limits = limits;
  }

  get isBounded(): boolean {
    return this.#limits.rowsMax !== Infinity;
  }

  /** What has been drawn so far. */
  get rows(): number {
    return this.#rows;
  }

  get valueBytes(): number {
    return this.#valueBytes;
  }

  get failure(): StoreFailure {
    const { rowsMax, valueBytesMax } = this.#limits;
    assert(!this.#holds(), 'something was too much');
    if (this.#rows > rowsMax) return { kind: 'tooMuchWork', what: 'rows', max: rowsMax };
    return { kind: 'tooMuchWork', what: 'value bytes', max: valueBytesMax };
  }

  /** How many rows may be counted at most: a statement that counts stops there. */
  get countableRows(): number {
    return Math.max(0, (this.#limits.rowsMax - this.#rows) * countedRowsOfRow);
  }

  /** And how many may be written. */
  get writableRows(): number {
    return Math.max(0, Math.floor((this.#limits.rowsMax - this.#rows) / rowsOfWrittenRow));
  }

  /** A row that was handed over, or a key that was looked for. `valueBytes`: of its value, where that was read. */
  look(valueBytes = 0): boolean {
    this.#rows++;
    this.#valueBytes += valueBytes;
    return this.#holds();
  }

  /** Rows that the database passed by without handing them over. */
  count(rows: number): boolean {
    this.#rows += Math.ceil(rows / countedRowsOfRow);
    return this.#holds();
  }

  /** Rows of keys that are put or deleted. */
  write(rows: number): boolean {
    this.#rows += rows * rowsOfWrittenRow;
    return this.#holds();
  }

  /** A value that is written, and held until its event has been told, though the request does not have it. */
  copy(valueBytes: number): boolean {
    this.#valueBytes += valueBytes * rowsOfWrittenRow;
    return this.#holds();
  }

  #holds(): boolean {
    return this.#rows <= this.#limits.rowsMax && this.#valueBytes <= this.#limits.valueBytesMax;
  }
}
