// The gateway's requests on a group, answered by the replica that leads it: operations of administrators, the list of
// keys, and the group's members. A replica that does not lead says who does.

import { assert } from '../base/assert.ts';
import type {
  ChangeOutcome,
  FailedChange,
  GroupAnswer,
  GroupRequest,
  GroupRequestKind,
} from '../api/replica-request.ts';
import type { AttemptAnswer } from '../api/redirects.ts';
import type { DoubtedLeaders } from '../api/forwarded.ts';
import type { GroupReplicas } from '../model/reports.ts';
import { electionTimeoutTicks, votersKeptMin } from '../limits.ts';
import { type ReplicaId, replicaId } from '../model/brands.ts';
import type { Operation, Outcome } from '../model/store.ts';
import type { Store } from '../mvcc/store.ts';
import { placedMembers } from './calls/leader-steps.ts';
import { suspensionOf } from './calls/suspension.ts';
import { addReplica, type Changed, removeReplica } from './member-changes.ts';
import type { Member } from './member.ts';
import { type LimitTerm, limitTerms, termCode } from '../model/terms.ts';
import { replicaReports } from './status.ts';

type Asked<Kind extends GroupRequestKind> = GroupRequest<Kind> & DoubtedLeaders;
type Answers = {
  readonly [Kind in GroupRequestKind]: (
    member: Member,
    request: Asked<Kind>,
  ) => Promise<AttemptAnswer<GroupAnswer<Kind>>>;
};

const answers: Answers = {
  administer: async (member, request) => {
    const suspended = suspensionOf(member, request.caller);
    if (suspended !== null) return done({ kind: 'failed', failure: suspended });
    const leader = await leaderFor(member, request);
    if (leader !== member.identity.number) return redirect(member, leader);
    const { writeId, caller } = request;
    const operation = withName(request.operation);
    if (isForgotten(member, operation) || !(await knowsOperation(member, operation))) {
      return done({ kind: 'failed', failure: { kind: 'groupLevelTooLow', what: operationWords(operation) } });
    }
    const result = await member.write({ writeId, caller, operation });
    if (result.kind === 'applied') return done(changeOutcome(result.outcome));
    if (result.kind === 'refused' || result.kind === 'refusedAlone') {
      return done({ kind: 'failed', revision: member.driver.store.revision, failure: result.failure });
    }
    return redirect(member, result.kind === 'notLeader' ? result.leader : null);
  },

  accessKeys: async (member, request) => {
    const suspended = suspensionOf(member, request.caller);
    if (suspended !== null) return done({ kind: 'failed', failure: suspended });
    const leader = await leaderFor(member, request);
    if (leader === null) return redirect(member, null);
    const read = await member.read();
    if (read.kind !== 'ready') return redirect(member, null);
    const { store } = member.driver;
    const failure = store.authorize(request.caller, { kind: 'admin' }, member.nowMs());
    return done(failure === null ? { kind: 'keys', keys: store.accessKeys() } : { kind: 'failed', failure });
  },

  whoami: async (member, request) => {
    const leader = await leaderFor(member, request);
    if (leader === null) return redirect(member, null);
    if ((await member.read()).kind !== 'ready') return redirect(member, null);
    const { store } = member.driver;
    const found = store.findAccessKey(request.id, member.nowMs());
    if (found.kind === 'refused') return done({ kind: 'failed', failure: found.failure });
    const { suspension } = store;
    return done({
      kind: 'key',
      accessKey: found.accessKey,
      isSuspended: suspension !== null,
      suspension,
      terms: termsOf(store),
    });
  },

  replicas: (member, request) => asLeader(member, request, () => Promise.resolve(done(groupReplicas(member)))),

  addReplica: (member, request) => {
    const { location, replaces } = request;
    const plan = { replaces: replaces === null ? null : replicaId(replaces) };
    const number = replicaId(request.number);
    return asLeader(member, request, async () => changed(member, await addReplica(member, { number, location, plan })));
  },

  removeReplica: (member, request) => {
    const { number, force = false } = request;
    const votersMin = force ? 1 : votersKeptMin;
    return asLeader(member, request, async () =>
      changed(member, await removeReplica(member, replicaId(number), { votersMin })),
    );
  },
};

export function answerGroupRequest<Kind extends GroupRequestKind>(
  member: Member,
  request: Asked<Kind>,
): Promise<AttemptAnswer<GroupAnswer<Kind>>> {
  const answer: Answers[Kind] = answers[request.kind];
  return answer(member, request);
}

function termsOf(store: Store): Partial<Record<LimitTerm, number>> {
  const terms: Partial<Record<LimitTerm, number>> = {};
  for (const name of limitTerms) {
    const value = store.term(name);
    if (value !== null) terms[name] = value;
  }
  return terms;
}

/** A gateway whose code is of the version before sends no name. */
function withName(operation: Operation): Operation {
  if (operation.kind !== 'createAccessKey' || typeof operation.accessKey.name === 'string') return operation;
  const { accessKey } = operation;
  return { kind: 'createAccessKey', accessKey: { ...accessKey, name: '' } };
}

/** A deletion that the group would forget, because its level is about to fall: it would serve its callers again. */
function isForgotten({ driver }: Member, operation: Operation): boolean {
  if (operation.kind !== 'terms' || !driver.store.downgradeAnnounced) return false;
  return operation.changes.some(({ code, value }) => code === termCode.wipeAtMs && value !== null);
}

/** A group that has just begun, or was just updated, raises its level within a few ticks. */
async function knowsOperation(member: Member, operation: Operation): Promise<boolean> {
  const { driver } = member;
  for (let ticks = 0; ticks < 2 * electionTimeoutTicks; ticks++) {
    if (driver.knowsOperation(operation)) return true;
    if (driver.store.downgradeAnnounced || driver.raft.role !== 'leader') return false;
    await member.nextTick();
  }
  return false;
}

function operationWords({ kind }: Operation): string {
  if (kind === 'rotateAccessKey') return 'the rotation of an access key';
  if (kind === 'terms') return 'what the operator sets for a tenant';
  return kind === 'suspension' ? 'the suspension of a tenant' : 'an access key with a name';
}

async function asLeader<Value>(
  member: Member,
  doubted: DoubtedLeaders,
  answer: () => Promise<AttemptAnswer<Value>>,
): Promise<AttemptAnswer<Value>> {
  const leader = await leaderFor(member, doubted);
  if (leader !== member.identity.number) return redirect(member, leader);
  // The answer must include every change of the members that was committed before the request.
  if ((await member.read()).kind !== 'ready') return redirect(member, null);
  return answer();
}

function changed(member: Member, change: Changed): AttemptAnswer<GroupReplicas | FailedChange> {
  if (change.kind === 'elsewhere') return redirect(member, member.driver.raft.leader);
  return done(change.kind === 'failed' ? change : groupReplicas(member));
}

function groupReplicas(member: Member): GroupReplicas {
  const { nextId: nextNumber } = member.driver.raft.configuration;
  return { kind: 'replicas', replicas: replicaReports(member), nextNumber };
}

function done<Value>(value: Value): AttemptAnswer<Value> {
  return { kind: 'done', value };
}

function redirect(member: Member, leader: ReplicaId | null): AttemptAnswer<never> {
  return { kind: 'redirect', leader: leader ?? 0, members: placedMembers(member) };
}

function leaderFor(member: Member, { failedLeader, suspectedLeader }: DoubtedLeaders): Promise<ReplicaId | null> {
  return member.leader(replicaOrNone(failedLeader), replicaOrNone(suspectedLeader));
}

function replicaOrNone(number: number): ReplicaId | null {
  return number === 0 ? null : replicaId(number);
}

function changeOutcome(outcome: Outcome): ChangeOutcome {
  const { kind } = outcome;
  assert(kind !== 'put' && kind !== 'deleteRange' && kind !== 'txn', 'a change of the tenant touches no keys');
  return outcome;
}
