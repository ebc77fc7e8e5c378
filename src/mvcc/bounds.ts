// The operator's bounds on what a tenant keeps (`model/terms.ts`), as far as they decide commands. They count in groups
// of level 6 alone: below, code that does not know them may be among the replicas, and they must agree. What was set is
// kept while the level is lower, and counts from the entry on that raises it.

import { groupLevel } from '../model/levels.ts';
import type { TermName } from '../model/terms.ts';
import type { Terms } from './terms.ts';

export type BoundName = Extract<TermName, 'keysMax' | 'leasesMax' | 'accessKeysMax'>;

export class Bounds {
  readonly #terms: Terms;
  #level: number;

  constructor(terms: Terms, level: number) {
    this.#terms = terms;
    this.#level = level;
  }

  /** Null: the operator has set no such bound. */
  max(name: BoundName): number | null {
    return this.#level < groupLevel.sixth ? null : this.#terms.value(name);
  }

  levelChanged(level: number): void {
    this.#level = level;
  }
}
