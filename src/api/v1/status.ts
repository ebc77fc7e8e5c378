// GET /v1/status: what a tenant's group looks like, and its JSON.

/** One replica as the one that answers sees it. `match` is how far its log is known to agree; null where that is not known. */
export type ReplicaReport = {
  readonly id: number;
  /** Where it runs, as the platform names it; null where that is not known. */
  readonly location: string | null;
  readonly role: 'leader' | 'follower' | 'candidate' | 'unknown';
  readonly match: number | null;
};

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
};

export function statusResponse(report: StatusReport): Response {
  return Response.json({
    leader: report.leader,
    term: report.term,
    commit_index: report.commitIndex,
    applied_index: report.appliedIndex,
    replicas: report.replicas,
    revision: report.revision,
    compacted_revision: report.compactedRevision,
    keys: report.keys,
    database_bytes: report.databaseBytes,
    version: report.version,
  });
}
