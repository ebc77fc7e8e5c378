// The level of the group rises only when all members have run code that knows the next level, and nothing that belongs
// to a level is done below it.

import type { ReplicaId } from '../../../src/model/brands.ts';
import { groupLevel, groupLevelMin } from '../../../src/model/levels.ts';
import { type Code, levelKnownTo } from '../platform/code.ts';
import { check, type Trace } from '../trace.ts';

export type LevelCheckerOptions = {
  readonly trace: Trace;
  /** The members that exist. A member whose storage is lost holds nobody back. */
  readonly members: () => readonly ReplicaId[];
};

export class LevelChecker {
  readonly #options: LevelCheckerOptions;
  /** The highest level that any code which the replica has run knows. */
  readonly #known = new Map<ReplicaId, number>();
  #level = groupLevelMin;
  /** The entries with which the group went back to the first level, whose stores have no hashes. */
  readonly #falls: number[] = [];

  constructor(options: LevelCheckerOptions) {
    this.#options = options;
  }

  /** From now on the replica runs this code. */
  deployed(id: ReplicaId, code: Code): void {
    this.#known.set(id, Math.max(this.#known.get(id) ?? 0, levelKnownTo(code)));
  }

  get level(): number {
    return this.#level;
  }

  /** The last fall of the level up to that entry; 0: there was none. */
  fellAt(index: number): number {
    return this.#falls.findLast((fall) => fall <= index) ?? 0;
  }

  /** The log has this, in its order. */
  became(level: number, index: number): void {
    const { trace, members } = this.#options;
    this.#level = level;
    if (level === groupLevelMin) this.#falls.push(index);
    trace.count(`group of level ${level}`);
    for (const id of members()) {
      const known = this.#known.get(id) ?? 0;
      check(level <= known, 'a level that all members know', () => {
        return `the group is of level ${level}; replica ${id} has never run code that knows more than ${known}`;
      });
    }
  }

  /** Code of the first level does not count by this configuration. */
  membersChanged(index: number): void {
    check(this.#level >= groupLevel.second, 'members change at level 2', () => {
      return `entry ${index} changes the members of a group of level ${this.#level}`;
    });
  }
}
