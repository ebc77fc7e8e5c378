// What a group says of itself: its replicas, its alarms, its log and its store. Types only. Their fields cross between
// the gateway and replicas of other versions, and stand in the JSON of v1 under the same names.

/** One replica as the one that answers sees it. */
export type ReplicaReport = {
  readonly id: number;
  /** Where it was placed. */
  readonly location: string;
  readonly role: 'leader' | 'follower' | 'candidate' | 'learner';
  /** How far its log is known to agree; null where that is not known. */
  readonly match: number | null;
  /**
   * What it last said of itself. `rebuilding`: its store was found to differ, and is made anew; unknown: it said
   * nothing yet.
   */
  readonly state: 'serving' | 'rebuilding' | 'halted' | 'unknown';
  /** The entry after which its store was last found to differ from the others'; null: never. */
  readonly diverged_at: number | null;
  /** The replica whose place it is to take; null: nobody's. */
  readonly replaces: number | null;
};

/** All of a group's, as its leader knows them. */
export type GroupReplicas = {
  readonly kind: 'replicas';
  readonly replicas: readonly ReplicaReport[];
  /** That of the next replica that joins. */
  readonly nextNumber: number;
};

/**
 * What an operator should look at. CORRUPT: a replica's store differs from the others', it does not serve and is being
 * rebuilt.
 */
export type GroupAlarm = { readonly alarm: 'NOSPACE' | 'CORRUPT'; readonly replica: number | null };

export type StatusReport = {
  /** null: none is known. */
  readonly leader: number | null;
  readonly term: number;
  readonly commitIndex: number;
  readonly appliedIndex: number;
  readonly replicas: readonly ReplicaReport[];
  readonly revision: number;
  readonly compactedRevision: number;
  /** At the current revision. */
  readonly keys: number;
  readonly databaseBytes: number;
  readonly version: string;
  /** Of the group: what all replicas' code can apply. */
  readonly level: number;
  /** Entries and bytes of the answering replica's log. */
  readonly logEntries: number;
  readonly logBytes: number;
  /** Writes at which the service failed since the store was made; each was undone as a whole. */
  readonly commandsUndone: number;
  readonly alarms: readonly GroupAlarm[];
};
