// How a replica sees itself and its group at this moment, as an operator is told of it.

import { lagEntriesMax, nearQuotaPart, silentTicksMax } from '../limits.ts';
import { type ToldPeer, type Trouble, troubles as troubleNames } from '../model/told-report.ts';
import { alarmKind } from '../model/store.ts';
import { queryStore } from './calls/call-steps.ts';
import { quotaBytesOf } from './calls/maintenance-quota.ts';
import type { Member } from './member.ts';
import type { OpenCalls } from './open-calls.ts';
import type { SeenState } from './reporter.ts';

export function seenState(member: Member, open: OpenCalls, watches: number): SeenState {
  const { raft, store, storeBytes, logSize } = member.driver;
  const leads = raft.role === 'leader';
  const peers = leads ? member.members.filter(({ id }) => id !== raft.id).map(({ id }) => peer(member, id)) : [];
  const behind = peers.filter(({ lacks, state, isSilent }) => {
    return isSilent || lacks === null || lacks > lagEntriesMax || state !== 'serving';
  });
  const quotaBytes = quotaBytesOf(member);
  const alarms = leads ? alarmsOf(member) : [];
  const state = {
    leader: raft.leader,
    term: raft.term,
    revision: store.revision,
    appliedIndex: store.appliedIndex,
    storeBytes,
    logBytes: logSize.bytes,
    quotaBytes,
    alarms,
    behind,
    lag: Math.max(0, ...peers.map(({ lacks }) => lacks ?? 0)),
    sessions: open.count('session'),
    sockets: open.count('watchSocket') + open.count('callSocket') + open.count('watchStream'),
    watches,
  };
  const is: Readonly<Record<Trouble, boolean>> = {
    alarm: alarms.length > 0,
    noQuorum: raft.leader === null && member.isAwake,
    behind: behind.length > 0,
    nearQuota: leads && !member.driver.holdsOtherStore && storeBytes > quotaBytes * nearQuotaPart,
  };
  const troubles = troubleNames.filter((each) => is[each]);
  return { leads, state, troubles };
}

function peer({ driver }: Member, id: Member['members'][number]['id']): ToldPeer {
  const { raft } = driver;
  const match = raft.matchOf(id);
  return {
    replica: id,
    lacks: match === null ? null : Math.max(0, raft.lastIndex - match),
    // A replica that has said nothing yet is told by its silence.
    state: driver.reportOf(id)?.state ?? 'serving',
    isSilent: (raft.silentTicksOf(id) ?? 0) > silentTicksMax,
  };
}

function alarmsOf(member: Member): readonly string[] {
  const result = queryStore(member, { kind: 'service' }, { kind: 'alarms', alarm: alarmKind.none });
  if (result.kind === 'failed') return [];
  return result.answer.alarms.map(({ alarm }) => (alarm === alarmKind.corrupt ? 'CORRUPT' : 'NOSPACE'));
}
