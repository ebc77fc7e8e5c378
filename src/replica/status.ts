// The report that GET /v1/status answers, as this replica sees its group.

import type { GroupAlarm, ReplicaReport, StatusReport } from '../model/reports.ts';
import { unreachable } from '../base/assert.ts';
import { alarmKind } from '../model/store.ts';
import type { GroupMember } from '../raft/configuration.ts';
import type { Role } from '../raft/types.ts';
import { version } from '../version.ts';
import { queryStore } from './calls/call-steps.ts';
import type { Member } from './member.ts';

export function statusReport(member: Member): StatusReport {
  const { raft, store, logSize } = member.driver;
  const replicas = replicaReports(member);
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
    level: store.level,
    logEntries: logSize.entries,
    logBytes: logSize.bytes,
    commandsUndone: store.commandsUndone,
    alarms: [...storeAlarms(member), ...replicas.filter(({ state }) => state === 'rebuilding').map(corrupt)],
  };
}

export function replicaReports(member: Member): ReplicaReport[] {
  return member.members.map((each) => replicaReport(member, each));
}

function replicaReport({ driver }: Member, { id, location, voter, plan }: GroupMember): ReplicaReport {
  const { raft } = driver;
  const isOwn = id === raft.id;
  const role = isOwn ? reportedRole(raft.role) : id === raft.leader ? 'leader' : 'follower';
  const report = isOwn ? driver.report : driver.reportOf(id);
  return {
    id,
    location,
    role: voter ? role : 'learner',
    match: isOwn ? raft.lastIndex : raft.matchOf(id),
    state: report?.state ?? 'unknown',
    diverged_at: report === null || report.divergedAt === 0 ? null : report.divergedAt,
    replaces: plan?.replaces ?? null,
  };
}

function storeAlarms(member: Member): GroupAlarm[] {
  const result = queryStore(member, { kind: 'service' }, { kind: 'alarms', alarm: alarmKind.none });
  if (result.kind === 'failed') return [];
  return result.answer.alarms.map(({ alarm }) => ({
    alarm: alarm === alarmKind.corrupt ? 'CORRUPT' : 'NOSPACE',
    replica: null,
  }));
}

function corrupt({ id }: ReplicaReport): GroupAlarm {
  return { alarm: 'CORRUPT', replica: id };
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
