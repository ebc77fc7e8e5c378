// What GET /v1/status tells, as this replica sees its group.

import type { ReplicaReport, StatusReport } from '../api/v1/status.ts';
import { unreachable } from '../assert.ts';
import type { Role } from '../raft/types.ts';
import { version } from '../version.ts';
import type { Member } from './member.ts';

export function statusReport(member: Member): StatusReport {
  const { raft, store } = member.driver;
  const replicas = member.identity.members.map(({ number, location }): ReplicaReport => {
    const isOwn = number === member.identity.number;
    const role = isOwn ? reportedRole(raft.role) : number === raft.leader ? 'leader' : 'follower';
    return { id: number, location, role, match: isOwn ? raft.lastIndex : raft.matchOf(number) };
  });
  const { databaseBytes, keys } = store.sizes();
  return {
    leader: raft.leader,
    term: raft.term,
    commitIndex: raft.commit,
    appliedIndex: store.appliedIndex,
    replicas,
    revision: store.revision,
    compactedRevision: store.compactedRevision,
    keys,
    databaseBytes,
    version,
  };
}

function reportedRole(role: Role): ReplicaReport['role'] {
  switch (role) {
    case 'leader':
    case 'follower':
      return role;
    case 'preCandidate':
    case 'candidate':
      return 'candidate';
    default:
      return unreachable(role);
  }
}
