// The configurations along the log: the one that holds at its start, and those that entries brought. The newest one
// counts, whether or not it is committed (§4.1). If a new leader replaces its entry, it is taken back.

import { assert } from '../base/assert.ts';
import type { LogIndex } from '../model/brands.ts';
import { type Configuration, decodeConfiguration } from './configuration.ts';
import type { StoredConfiguration } from './types.ts';

type Placed = { readonly index: LogIndex; readonly configuration: Configuration };

export class Configurations {
  /** The configurations in the order of their indexes. Invariant: there is at least one. */
  readonly #placed: Placed[];

  /** `founding` holds from index 0 on, if nothing else is stored. */
  constructor(founding: Configuration, stored: readonly StoredConfiguration[], base: LogIndex) {
    this.#placed = stored.map(({ index, data }) => ({ index, configuration: decodeConfiguration(data) }));
    const first = this.#placed[0];
    if (first === undefined || first.index > base) this.#placed.unshift({ index: base, configuration: founding });
  }

  get newest(): Configuration {
    return this.#last.configuration;
  }

  /** The index of the entry that brought the newest configuration. */
  get newestIndex(): LogIndex {
    return this.#last.index;
  }

  /** The configuration that held once the entry at `index` was appended. */
  at(index: LogIndex): Configuration {
    const placed = this.#placed.findLast((one) => one.index <= index);
    assert(placed !== undefined, 'a configuration before the start of the log');
    return placed.configuration;
  }

  append(index: LogIndex, data: Uint8Array): void {
    assert(index > this.#last.index, 'configurations come in the order of the log');
    this.#placed.push({ index, configuration: decodeConfiguration(data) });
  }

  /** Called when entries from `first` on are taken back. */
  truncate(first: LogIndex): void {
    while (this.#placed.length > 1 && this.#last.index >= first) this.#placed.pop();
    assert(this.#last.index < first, 'the configuration at the start of the log cannot be taken back');
  }

  /** The log begins after `base` from now on. */
  discard(base: LogIndex): void {
    while ((this.#placed[1]?.index ?? Number.POSITIVE_INFINITY) <= base) this.#placed.shift();
  }

  get #last(): Placed {
    const last = this.#placed.at(-1);
    assert(last !== undefined, 'a group has a configuration');
    return last;
  }
}
