// What a group tells of itself: its replicas, its alarms, its log and its store. Types only. Their fields cross between
// the gateway and replicas of other versions, and stand in the JSON of v1 under the same names.

/** One replica, as the replica that answers sees it. */
export type ReplicaReport = {
  readonly id: number;
  /** The location that it was asked to run in. */
  readonly location: string;
  readonly role: 'leader' | 'follower' | 'candidate' | 'learner';
  /** The last index up to which its log is known to agree. Null: that is not known. */
  readonly match: number | null;
  /**
   * What the replica last said of itself. `rebuilding`: its store was found to differ, and is made anew. `unknown`: it
   * has said nothing yet.
   */
  readonly state: 'serving' | 'rebuilding' | 'halted' | 'unknown';
  /** The entry after which its store was last found to differ from the others. Null: never. */
  readonly diverged_at: number | null;
  /** The replica that leaves once this one votes. Null: none. */
  readonly replaces: number | null;
};

/** All replicas of a group, as its leader knows them. */
export type GroupReplicas = {
  readonly kind: 'replicas';
  readonly replicas: readonly ReplicaReport[];
  /** The number of the next replica that joins. */
  readonly nextNumber: number;
};

/**
 * What an operator should look at. CORRUPT: the store of a replica differs from the others; the replica does not serve
 * and is being rebuilt.
 */
export type GroupAlarm = { readonly alarm: 'NOSPACE' | 'CORRUPT'; readonly replica: number | null };

export type StatusReport = {
  /** Null: no leader is known. */
  readonly leader: number | null;
  readonly term: number;
  readonly commitIndex: number;
  readonly appliedIndex: number;
  readonly replicas: readonly ReplicaReport[];
  readonly revision: number;
  readonly compactedRevision: number;
  /** The number of keys at the present revision. */
  readonly keys: number;
  readonly databaseBytes: number;
  readonly version: string;
  /** The level of the group: what the code of all replicas can apply. */
  readonly level: number;
  /** Entries and bytes of the answering replica's log. */
  readonly logEntries: number;
  readonly logBytes: number;
  /** How many writes the service failed at since the store was made. Each was undone whole. */
  readonly commandsUndone: number;
  readonly alarms: readonly GroupAlarm[];
};
