// What a replica tells the directory of itself and of its group, so that operators see every group without waking one.
// It crosses to the directory and stands there as JSON, where other versions of this code read it.

/** Numbers that only rise while a replica lives, by name. The names are those of `replica/tallies.ts`. */
export type Counts = Readonly<Record<string, number>>;

/** What was counted in one hour. `hour`: hours since 1970. */
export type HourCounts = { readonly hour: number; readonly counts: Counts };

/** What an operator should look at. */
export const troubles = ['alarm', 'noQuorum', 'behind', 'nearQuota'] as const;
export type Trouble = (typeof troubles)[number];

/** Another replica, as the leader knows it. */
export type ToldPeer = {
  readonly replica: number;
  /** How many entries of the log it lacks. Null: that is not known. */
  readonly lacks: number | null;
  readonly state: string;
  /** The leader has not heard it for a while. */
  readonly isSilent: boolean;
};

export type ToldState = {
  readonly leader: number | null;
  readonly term: number;
  readonly revision: number;
  readonly appliedIndex: number;
  readonly storeBytes: number;
  readonly logBytes: number;
  readonly quotaBytes: number;
  readonly alarms: readonly string[];
  /** Of a leader: those that are behind. Empty where this replica does not lead. */
  readonly behind: readonly ToldPeer[];
  /** The most entries that another replica lacks. */
  readonly lag: number;
  /** What clients hold open here. */
  readonly sessions: number;
  readonly sockets: number;
  readonly watches: number;
};

export type ToldReport = {
  readonly replica: number;
  readonly atMs: number;
  readonly leads: boolean;
  readonly state: ToldState;
  readonly troubles: readonly Trouble[];
  /** All that was ever counted. */
  readonly totals: Counts;
  /** The hours of which the directory may not know all. The same hour may be told again, with more. */
  readonly hours: readonly HourCounts[];
};
