// The levels of a group. The meaning of a log entry, and what a store writes, must be the same on every replica, also
// while some of them run older code. So whatever newer code does differently begins with a command in the log
// (`groupLevel`), which is proposed once all members know the level. Code that does not know a level halts at its
// command. What belongs to a released level never changes: a change of it is a new level.

export const groupLevel = {
  /** Puts, transactions, compaction, access keys, leases, users and roles, alarms. The store has format 2. */
  first: 1,
  /**
   * Members join and leave, the log is cut and replicas are rebuilt from snapshots, entries are hashed
   * (`mvcc/hash/running-hash.ts`), and a lease past its deadline ends only if it is still the one that its leader saw.
   * The store has format 3.
   */
  second: 2,
  /**
   * One command does bounded work (`mvcc/work-budget.ts`), a user has a bounded number of roles, and a write is
   * remembered with a digest of its request. The store has format 4.
   */
  third: 3,
  /**
   * An access key has a name, is rotated (`rotateAccessKey`), and a tenant is suspended (`suspension`). The store is of
   * format 5.
   */
  fourth: 4,
  /**
   * The operator sets terms of a tenant (`terms.ts`): when it is wiped, if it is deleted, and how much history is kept.
   * The writes of an entry are remembered in its order, also those that are refused. What was applied may be in memory
   * alone until it is flushed (`mvcc/overlay/`), so after a restart the tables are behind what was shown before: code
   * of level 4 does not expect that. The store is of format 6.
   */
  fifth: 5,
  /**
   * The operator's bounds on what a tenant keeps decide commands (`mvcc/bounds.ts`): keys, leases, access keys. An
   * access key may have several prefixes. The entries of the log use their places again (`driver/log-places.ts`), where
   * code of level 5 does not look. The store is of format 7, and the log of format 2.
   */
  sixth: 6,
  /**
   * A write says how many writes its sender had seen remembered before it was first sent. One that may have been done
   * and forgotten is not done, and its outcome is unknown (`mvcc/write-ids.ts`). The store is of format 8, which has
   * the tables of format 7.
   */
  seventh: 7,
} as const;

export const groupLevelMin: number = groupLevel.first;
export const groupLevelMax: number = groupLevel.seventh;

export function isKnownLevel(level: number): boolean {
  return Number.isInteger(level) && level >= groupLevelMin && level <= groupLevelMax;
}
