// The calls of etcd's maintenance that a replica answers itself: status, defragmentation, leadership, downgrade,
// health. What the store answers (alarms, hashes) goes the way of queries and writes; the snapshot and the members
// stand beside this.

import type {
  DefragmentCall,
  DowngradeCall,
  EtcdStatus,
  EtcdStatusCall,
  HealthCall,
  TransferLeadershipCall,
} from '../../api/contract.ts';
import { failureResponse, type Failure } from '../../api/errors/errors.ts';
import { downgradeAction } from '../../api/service-calls.ts';
import { alarmError } from '../../api/v3/maintenance.ts';
import { etcdClusterLevel, parseDowngradeTarget } from '../../api/v3/versions.ts';
import { unreachable } from '../../base/assert.ts';
import type { AccessNeed } from '../../mvcc/auth/access.ts';
import type { Operation } from '../../model/store.ts';
import type { AnswerTo } from '../../model/queries.ts';
import { keyFailure } from './auth-calls.ts';
import type { CallContext } from './call-context.ts';
import { authorize, leadsAndCaughtUp, propose, queryStore } from './call-steps.ts';
import { headerOf, untilSure } from './leader-steps.ts';
import type { Member } from '../member.ts';

export const rootOnly: AccessNeed = { kind: 'admin' };
export const anyUser: AccessNeed = { kind: 'anyUser', role: 'read' };
const service = { kind: 'service' } as const;

/** The status as this replica sees its group, with or without a leader. */
export async function serveEtcdStatus(member: Member, call: EtcdStatusCall, context: CallContext): Promise<Response> {
  await member.leader(context.failedLeader);
  await untilSure(member);
  const refused = await authorize(member, context.caller, anyUser);
  const header = headerOf(member);
  if (refused !== null) return call.respond({ kind: 'failed', failure: refused }, header).toResponse();
  return call.respond({ kind: 'answer', answer: etcdStatus(member) }, header).toResponse();
}

function etcdStatus(member: Member): EtcdStatus {
  const { raft, store } = member.driver;
  const status = storeStatus(member);
  const noLeader = raft.leader === null ? ['etcdserver: no leader'] : [];
  return {
    databaseBytes: status.databaseBytes,
    databaseBytesInUse: status.databaseBytesInUse,
    quotaBytes: status.quotaBytes,
    leader: raft.leader === null ? '0' : member.memberIdOf(raft.leader),
    raftIndex: raft.commit,
    raftAppliedIndex: store.appliedIndex,
    errors: [...status.alarms.map(alarmError), ...noLeader],
    isLearner: false,
    downgradeTarget: status.downgradeTarget,
  };
}

function storeStatus(member: Member): Omit<AnswerTo<'storeStatus'>, 'kind'> {
  const result = queryStore(member, service, { kind: 'storeStatus' });
  if (result.kind === 'failed')
    throw new Error(`the service may not ask for the store's status: ${result.failure.kind}`);
  return result.answer;
}

/** Nothing needs to be done: space is given back all the time. */
export async function serveDefragment(member: Member, call: DefragmentCall, context: CallContext): Promise<Response> {
  const elsewhere = await leadsAndCaughtUp(member, call, context);
  if (elsewhere !== null) return elsewhere;
  const failure = await authorize(member, context.caller, rootOnly);
  return call.respond(failure === null ? { kind: 'answer', answer: null } : { kind: 'failed', failure }).toResponse();
}

export async function serveTransferLeadership(
  member: Member,
  call: TransferLeadershipCall,
  context: CallContext,
): Promise<Response> {
  const elsewhere = await leadsAndCaughtUp(member, call, context);
  if (elsewhere !== null) return elsewhere;
  const refused = await authorize(member, context.caller, rootOnly);
  if (refused !== null) return call.respond({ kind: 'failed', failure: refused }).toResponse();
  const target = member.voters.find((voter) => member.memberIdOf(voter) === String(call.target));
  if (target === undefined || target === member.identity.number) {
    return call.respond({ kind: 'failed', failure: { kind: 'badTransferee' } }).toResponse();
  }
  const leads = await member.transferLeadership(target);
  return call
    .respond(leads ? { kind: 'answer', answer: null } : { kind: 'failed', failure: { kind: 'timeout' } })
    .toResponse();
}

/**
 * The checks are in etcd's order: the caller, the action, the form of the target, whether the group can have this
 * target, and whether another downgrade is under way.
 */
export async function serveDowngrade(member: Member, call: DowngradeCall, context: CallContext): Promise<Response> {
  const elsewhere = await leadsAndCaughtUp(member, call, context);
  if (elsewhere !== null) return elsewhere;
  const failed = (failure: Failure): Response =>
    call.respond({ kind: 'failed', failure }, headerOf(member)).toResponse();
  const refused = await authorize(member, context.caller, rootOnly);
  if (refused !== null) return failed(refused);
  // To announce a downgrade, or to end it, changes the group and not the store: that is the operator's alone.
  const changesGroup = call.action !== downgradeAction.validate;
  if (context.caller.kind !== 'service' && changesGroup) return failed({ kind: 'permissionDenied' });
  const planned = planDowngrade(call);
  switch (planned.kind) {
    case 'failed':
      return failed(planned.failure);
    case 'validate': {
      if (storeStatus(member).downgradeTarget !== null) return failed({ kind: 'downgradeInProgress' });
      const { revision } = member.driver.store;
      return call
        .respond({ kind: 'answer', answer: { version: etcdClusterLevel, revision } }, headerOf(member))
        .toResponse();
    }
    case 'change': {
      const { protocol, writeId } = call;
      const proposed = await propose(member, context, { protocol, writeId, operation: planned.operation });
      if (proposed.kind === 'response') return proposed.response;
      const { outcome } = proposed;
      if (outcome.kind === 'failed') return failed(outcome.failure);
      const answer = { version: etcdClusterLevel, revision: outcome.revision };
      return call.respond({ kind: 'answer', answer }, headerOf(member)).toResponse();
    }
    default:
      return unreachable(planned);
  }
}

type PlannedDowngrade =
  | { readonly kind: 'failed'; readonly failure: Failure }
  | { readonly kind: 'validate' }
  | { readonly kind: 'change'; readonly operation: Operation };

function planDowngrade({ action, version }: DowngradeCall): PlannedDowngrade {
  if (action === downgradeAction.cancel) return { kind: 'change', operation: { kind: 'downgradeCancel' } };
  if (action !== downgradeAction.validate && action !== downgradeAction.enable) {
    return { kind: 'failed', failure: { kind: 'unknownMethod' } };
  }
  const target = parseDowngradeTarget(version);
  switch (target.kind) {
    case 'malformed':
      return { kind: 'failed', failure: { kind: 'downgradeFormatWrong' } };
    case 'invalid':
      return { kind: 'failed', failure: { kind: 'downgradeTargetInvalid' } };
    case 'target':
      return action === downgradeAction.validate
        ? { kind: 'validate' }
        : { kind: 'change', operation: { kind: 'downgradeEnable', targetVersion: target.level } };
    default:
      return unreachable(target);
  }
}

/** Only what the call needs is checked. The key must be good; its user does not count. */
export async function serveHealth(member: Member, call: HealthCall, context: CallContext): Promise<Response> {
  const hasLeader = (await member.leader(context.failedLeader)) !== null;
  const refused = await keyFailure(member, context.caller);
  if (refused !== null) return failureResponse(call.protocol, refused);
  const read = call.needs.linearizableRead && hasLeader ? (await member.read()).kind : 'ready';
  const { halted } = member.driver;
  return call
    .respond({
      alarms: storeStatus(member).alarms.map(({ alarm }) => alarm),
      hasLeader,
      isLearner: false,
      serializableRead: halted,
      linearizableRead: halted ?? (hasLeader && read === 'ready' ? null : 'etcdserver: request timed out'),
    })
    .toResponse();
}
