// How much one request may look at and write. Everything that it does, nested transactions included, draws on one
// budget, and beyond it the whole request fails. For a command of the log the budget belongs to level 3 of groups: what
// is drawn is a function of the request and the store alone, so all replicas refuse alike. Pure.

import { assert } from '../base/assert.ts';
import { commandRowsMax, commandValueBytesMax, countedRowsOfRow, rowsOfWrittenRow } from '../limits.ts';
import type { StoreFailure } from '../model/store.ts';

export type WorkLimits = { readonly rowsMax: number; readonly valueBytesMax: number };

export const commandWork: WorkLimits = { rowsMax: commandRowsMax, valueBytesMax: commandValueBytesMax };
/** The budget of commands below level 3. */
export const unboundedWork: WorkLimits = { rowsMax: Infinity, valueBytesMax: Infinity };

/**
 * Each method but the getters returns false if it would draw more than is left. From then on `failure` says what was
 * too much.
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

  /** How many rows may still be counted: a statement that counts stops there. */
  get countableRows(): number {
    return Math.max(0, (this.#limits.rowsMax - this.#rows) * countedRowsOfRow);
  }

  /** How many rows may still be written. */
  get writableRows(): number {
    return Math.max(0, Math.floor((this.#limits.rowsMax - this.#rows) / rowsOfWrittenRow));
  }

  /**
   * Draws a row that was handed over, or a key that was looked for. `valueBytes`: the bytes of its value, if that was
   * read.
   */
  look(valueBytes = 0): boolean {
    this.#rows++;
    this.#valueBytes += valueBytes;
    return this.#holds();
  }

  /** Draws rows that the database passed by without handing them over. */
  count(rows: number): boolean {
    this.#rows += Math.ceil(rows / countedRowsOfRow);
    return this.#holds();
  }

  /** Draws rows of keys that are put or deleted. */
  write(rows: number): boolean {
    this.#rows += rows * rowsOfWrittenRow;
    return this.#holds();
  }

  /** Draws a value that is written, and held until its event has been told, although the request does not have it. */
  copy(valueBytes: number): boolean {
    this.#valueBytes += valueBytes * rowsOfWrittenRow;
    return this.#holds();
  }

  #holds(): boolean {
    return this.#rows <= this.#limits.rowsMax && this.#valueBytes <= this.#limits.valueBytesMax;
  }
}
