// How much work a transaction of the simulator's clients takes, by the rules of MVCC-WORK-1 and 2, as the model counts
// it: it has nothing of the store's own counting.

import { assert } from '../../../src/base/assert.ts';
import type { KeyRange, TxnOperation } from '../../../src/model/store.ts';

/** A key that is written counts as much as four that are read. */
const writtenRow = 4;

/** Thrown where the work is too much: nothing of the transaction is done. */
export class TooMuchWork extends Error {
  override readonly name = 'TooMuchWork';
}

export class ReferenceWork {
  readonly #rowsMax: number;
  #rows = 0;

  constructor(rowsMax: number) {
    this.#rowsMax = rowsMax;
  }

  /** A key that was looked for, and whether it was found. */
  compared(isFound: boolean): void {
    this.#draw(isFound ? 2 : 1);
  }

  /** Counts the operations that will run, before any of them does. */
  chosen(operation: TxnOperation): void {
    if (operation.kind === 'range') return this.#draw(1);
    assert(operation.kind === 'put' || operation.kind === 'deleteRange', 'clients nest no txns');
    this.#draw(operation.kind === 'deleteRange' && !isOneKey(operation.request) ? 1 : writtenRow);
  }

  ranged(rows: number): void {
    this.#draw(rows);
  }

  /** `rows`: the pairs that the range holds. */
  deleted({ previous, ...range }: KeyRange & { readonly previous: boolean }, rows: number): void {
    if (!isOneKey(range)) this.#draw(rows * writtenRow);
    if (previous) this.#draw(rows);
  }

  #draw(rows: number): void {
    this.#rows += rows;
    if (this.#rows > this.#rowsMax) throw new TooMuchWork();
  }
}

function isOneKey({ rangeEnd }: KeyRange): boolean {
  return rangeEnd.byteLength === 0;
}
