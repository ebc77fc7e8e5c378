// The level of the group: it rises only when all members have run code that knows the next one.

import type { ReplicaId } from '../../src/brands.ts';
import { type Code, levelKnownTo } from './code.ts';
import { check, type Trace } from './trace.ts';

export type LevelCheckerOptions = {
  readonly trace: Trace;
  /** Of the members those that exist: whose storage is gone holds nobody back. */
  readonly members: () => readonly ReplicaId[];
};

export class LevelChecker {
  readonly #options: LevelCheckerOptions;
  /** The highest level that code which the replica has run knows. */
  readonly #known = new Map<ReplicaId, number>();

  constructor(options: LevelCheckerOptions) {
    this.#options = options;
  }

  /** From now on the replica runs that code. */
  deployed(id: ReplicaId, code: Code): void {
    this.#known.set(id, Math.max(this.#known.get(id) ?? 0, levelKnownTo(code)));
  }

  /** The log says so. */
  became(level: number): void {
    const { trace, members } = this.#options;
    trace.count(`group of level ${level}`);
    for (const id of members()) {
      const known = this.#known.get(id) ?? 0;
      check(level <= known, 'a level that all members know', () => {
        return `the group is of level ${level}; replica ${id} has never run code that knows more than ${known}`;
      });
    }
  }
}
