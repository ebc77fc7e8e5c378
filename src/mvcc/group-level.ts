// What the level of its group decides for a store (`levels.ts`): the format of its tables, and whether entries are
// hashed. A command changes the level, as it changes everything of the store, and the format alone tells the level.

import { assert } from '../base/assert.ts';
import { groupLevel, isKnownLevel } from '../model/levels.ts';
import type { Batches, Hashed } from './batches.ts';
import { type HashedEntry, RunningHash } from './hash/running-hash.ts';
import type { Versions } from './overlay/versions.ts';
import { changeFormat } from './schema.ts';

export class GroupLevel {
  readonly #versions: Versions;
  #value: number;
  #running: RunningHash | null;

  /** `value`: the level as the store was opened. */
  constructor(versions: Versions, value: number, batches: Batches) {
    this.#versions = versions;
    this.#value = value;
    this.#running = value >= groupLevel.second ? new RunningHash(versions, batches.newestHash()) : null;
  }

  get value(): number {
    return this.#value;
  }

  /** The hash after the newest entry that has a row. Null: the level has no hashes. */
  get hash(): number | null {
    return this.#running?.hash ?? null;
  }

  change(level: number): void {
    assert(isKnownLevel(level), `level ${level} is known: an entry with another one is not decoded`);
    if (level === this.#value) return;
    changeFormat(this.#versions.sql, level);
    this.#value = level;
    if (level < groupLevel.second) this.#running = null;
    else this.#running ??= new RunningHash(this.#versions, null);
  }

  /** The hash of an entry that was just applied. Null: the level has no hashes. */
  hashed(entry: HashedEntry): Hashed | null {
    return this.#running?.next(entry) ?? null;
  }

  /** The same for an entry that was hashed in parts. */
  hashedAfter(written: number): Hashed | null {
    return this.#running?.after(written) ?? null;
  }
}
