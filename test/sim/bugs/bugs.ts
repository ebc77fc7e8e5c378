// Bugs that can be planted into a run from outside, to show that its checkers find them: by messages, SQL and ports
// that do something else than they seem to. None of them is in the code under test.

import { leaseClocksDifferMs } from '../../../src/limits.ts';
import { groupLevel, groupLevelMax } from '../../../src/model/levels.ts';
import type { FaultMix } from '../faults.ts';

type BugEntry = {
  readonly what: string;
  /** Faults without which the bug hardly ever shows. */
  readonly mix?: Partial<FaultMix>;
};

const watched: Partial<FaultMix> = { watchers: 4 };
/** The group rests often, is woken, and soon after that its leader fails. */
const rested: Partial<FaultMix> = {
  workload: 'mixed',
  longLeases: 1,
  replicas: 3,
  faultyMs: 40_000,
  quietEveryMs: 2_000,
  thinkMs: 30,
  crashAtStep: 0,
  auth: 0,
};

/** The same faults, with clocks that differ by as much as leaders allow for. */
export const clocksDiffer: Partial<FaultMix> = {
  ...rested,
  clockJumpEveryMs: 0,
  clockDifferenceMs: leaseClocksDifferMs / 2,
};

/** Members come and go, replicas crash, and one falls behind. */
const moving: Partial<FaultMix> = {
  replicas: 3,
  longLeases: 0,
  thinkMs: 5,
  faultyMs: 15_000,
  memberChangeEveryMs: 1_500,
  crashEveryMs: 2_000,
  transferEveryMs: 2_500,
};

/** A group of one gets another member again and again, and loses it before it votes. */
const alone: Partial<FaultMix> = {
  ...moving,
  replicas: 1,
  memberChangeEveryMs: 600,
  loseLearnerEveryMs: 150,
  delayMs: 10,
  crashEveryMs: 0,
  crashAllEveryMs: 0,
  crashAtStep: 0,
  crashAfterSync: 0,
  rivalsEveryMs: 0,
  throwing: 0,
  deployEveryMs: 0,
  startsFormer: 0,
};

/** The same faults of members, and clients write faster than snapshots are taken. */
export const outrun: Partial<FaultMix> = {
  ...moving,
  workload: 'batch',
  clients: 8,
  thinkMs: 1,
  delayMs: 30,
  jitterMs: 0,
  loseStorageEveryMs: 4_000,
};

/** Replicas that hear slowly from their leader start again and again, and callers ask them at once. */
const restarting: Partial<FaultMix> = {
  workload: 'mixed',
  longLeases: 0,
  replicas: 3,
  clients: 8,
  thinkMs: 5,
  delayMs: 60,
  syncMs: 20,
  requestLost: 0,
  crashEveryMs: 0,
  crashAfterSync: 0.05,
  flush: 0,
  memberChangeEveryMs: 0,
  loseStorageEveryMs: 0,
  alterEveryMs: 0,
  throwing: 0,
  deployEveryMs: 0,
  startsFormer: 0,
};

/** Leaders are cut off from the others, and not from clients. */
const deposed: Partial<FaultMix> = {
  workload: 'mixed',
  longLeases: 0,
  replicas: 3,
  clients: 6,
  thinkMs: 5,
  impatient: 0.5,
  faultyMs: 16_000,
  delayMs: 1,
  partitionEveryMs: 1_500,
  oneWay: 0,
  auth: 0,
  throwing: 0,
  memberChangeEveryMs: 0,
  loseStorageEveryMs: 0,
  loseLearnerEveryMs: 0,
  deployEveryMs: 0,
  startsFormer: 0,
};

/** Callers whose rights change all the time. */
const refusing: Partial<FaultMix> = {
  workload: 'mixed',
  auth: 1,
  alarms: 0,
  bounds: 0,
  suspensions: 0,
  longLeases: 0,
  thinkMs: 5,
  replicas: 3,
  startsFormer: 0,
  deployEveryMs: 0,
};

/** The same, in a group that answers many of them. */
const asked: Partial<FaultMix> = {
  ...refusing,
  clients: 6,
  faultyMs: 16_000,
  delayMs: 1,
  drop: 0,
  late: 0,
  syncMs: 0.1,
  slowSync: 0,
  crashEveryMs: 0,
  crashAtStep: 0,
  crashAllEveryMs: 0,
  pauseEveryMs: 0,
  quietEveryMs: 0,
  watchers: 0,
  throwing: 0,
  memberChangeEveryMs: 0,
  loseStorageEveryMs: 0,
};

/** Commands throw: the former code has no net below them. */
const throwing: Partial<FaultMix> = { throwing: 0.1, startsFormer: 0, deployEveryMs: 0 };

/** What is in memory alone stays there for a while, and all code is the present one. */
const undisturbed: Partial<FaultMix> = {
  replicas: 3,
  longLeases: 0,
  throwing: 0,
  memberChangeEveryMs: 0,
  loseStorageEveryMs: 0,
  loseLearnerEveryMs: 0,
  alterEveryMs: 0,
  deployEveryMs: 0,
  startsFormer: 0,
};

/** Learners take snapshots all the time, over slow links, beside writes; nothing else goes wrong. */
const joining: Partial<FaultMix> = {
  ...undisturbed,
  workload: 'kubernetes',
  isFounded: 1,
  faultyMs: 12_000,
  clients: 6,
  thinkMs: 15,
  memberChangeEveryMs: 700,
  transferEveryMs: 1_000,
  slowLinkEveryMs: 1_000,
  clockSkew: 0.05,
  delayMs: 1,
  jitterMs: 0.5,
  drop: 0,
  duplicate: 0,
  late: 0,
  partitionEveryMs: 0,
  oneWay: 0,
  syncMs: 20,
  slowSync: 0,
  crashEveryMs: 0,
  crashAtStep: 0,
  crashAfterSync: 0,
  crashAllEveryMs: 0,
  rivalsEveryMs: 0,
  pauseEveryMs: 0,
  evict: 0,
  clockJumpEveryMs: 0,
  clockDifferenceMs: 0,
  quietEveryMs: 0,
  requestLost: 0,
  requestDuplicated: 0,
  impatient: 0,
  flush: 0,
  commandRowsMax: 20_000,
  auth: 0,
  alarms: 0,
  sessions: 0,
  watchers: 0,
  cutEveryMs: 0,
  slowReader: 0,
};

/** Stores are altered, and no other fault hinders that this is found. */
const altered: Partial<FaultMix> = {
  replicas: 3,
  alterEveryMs: 1_500,
  memberChangeEveryMs: 0,
  loseStorageEveryMs: 0,
  deployEveryMs: 0,
  startsFormer: 0,
};

/** Replicas are updated, go back, also where they should not, and fall behind. */
export const deploying: Partial<FaultMix> = {
  replicas: 3,
  longLeases: 0,
  faultyMs: 15_000,
  startsFormer: 1,
  deployEveryMs: 300,
  rollBack: 0.4,
  carelessRollBack: 0.3,
  downgrade: 0.3,
  partitionEveryMs: 1_500,
};

/** Clients ask over sessions, which break, and get their answers late. */
export const inSession: Partial<FaultMix> = {
  sessions: 1,
  cutEveryMs: 500,
  sessionWindowBytes: 1_500,
  impatient: 0.3,
  longLeases: 0,
  startsFormer: 0,
  deployEveryMs: 0,
  throwing: 0,
};

/** Stores remember few writes, and requests come a second time long after the first. */
export const forgetting: Partial<FaultMix> = {
  rememberedWrites: 20,
  requestDuplicated: 0.3,
  thinkMs: 5,
  longLeases: 0,
  startsFormer: 0,
  deployEveryMs: 0,
  sessions: 0,
};

/** The group rests often, and its objects leave the memory. */
const asleep: Partial<FaultMix> = {
  quietEveryMs: 2_000,
  evict: 1,
  thinkMs: 30,
  crashAtStep: 0,
  cutEveryMs: 0,
  crashEveryMs: 0,
};

const entries = {
  // Consensus and storage
  voteForgotten: {
    what: 'a crash loses the vote of the replica',
    // A vote counts twice only where several stand in one term and a voter crashes.
    mix: { replicas: 3, longLeases: 0, crashAfterSync: 0.05, rivalsEveryMs: 1_000, impatient: 0.5 },
  },
  replyBeforePersist: { what: 'messages leave before the writes that they promise are durable' },
  answerBeforeDurable: { what: 'answers to clients leave before the writes that they acknowledge are durable' },
  olderTermCommitted: {
    what: "a leader counts copies of an entry of an older term (figure 3.7 of Ongaro's dissertation), and tells that it is committed",
  },
  // Members, truncation, snapshots
  learnerCounted: { what: "a learner's answers count as a voter's", mix: moving },
  snapshotWithoutTerm: {
    what: 'a log that was cut, or came with a snapshot, has forgotten the term before its first entry',
    mix: moving,
  },
  truncatedTooFar: { what: 'a truncation takes the first entry that should stay', mix: moving },
  placeUsedWhileHeld: { what: 'an entry is written over one that the log still needs', mix: moving },
  foundedApart: {
    what: 'a group is made although a majority of its replicas did not take the log with which it begins',
    mix: { isFounded: 1, replicas: 3, startsFormer: 0, deployEveryMs: 0 },
  },
  suffixLeft: {
    what: 'what was cut at the end of the log is in it again after a restart',
    mix: { ...moving, partitionEveryMs: 1_500, oneWay: 0, memberChangeEveryMs: 0, loseStorageEveryMs: 0 },
  },
  logHeldForever: { what: 'a log is held for a snapshot, however long it becomes', mix: outrun },
  configurationForgotten: { what: 'a replica that starts again counts by an older configuration', mix: moving },
  snapshotRowLost: { what: 'a snapshot lacks some rows', mix: moving },
  lossNotTold: {
    what: 'a learner that lost entries says that it has what its leader believes it to have',
    mix: { ...moving, loseLearnerEveryMs: 400 },
  },
  promotionKept: {
    what: 'a leader waits for the vote of a learner that lost its disk just before it was promoted',
    mix: alone,
  },
  hashNotTold: { what: 'replicas do not hear which hash others hold', mix: altered },
  // Deployments
  levelAssumed: {
    what: 'a leader assumes that all members know the next level',
    mix: { startsFormer: 1, deployEveryMs: 2_000, replicas: 3 },
  },
  unknownEntrySkipped: {
    what: 'the former code skips an entry that it does not know as if it were empty',
    mix: deploying,
  },
  // Reads and writes
  readUnconfirmed: {
    what: 'a replica that believes it leads answers reads without asking the others',
    mix: deposed,
  },
  laterPageAtHead: {
    what: 'the second page of a list is read at the newest revision',
    mix: { workload: 'kubernetes' },
  },
  retryWithNewId: { what: 'a retry comes under another id than the first attempt' },
  forgottenWriteRepeated: {
    what: 'a resend is applied twice after its id was forgotten',
    mix: forgetting,
  },
  idsForgottenOnFailover: { what: 'a new leader does not know the ids of earlier writes' },
  compactedTooFar: {
    what: 'the sweep after a compaction takes one revision too many',
    mix: { workload: 'kubernetes' },
  },
  undoneInPart: {
    what: 'a command that throws is answered as undone and leaves some of its rows',
    mix: throwing,
  },
  halfTurnKept: {
    what: 'what a turn has written stays although it threw',
    mix: throwing,
  },
  carefulTooShort: {
    what: 'an instance that has just started is careful with what its log holds, and not with what that may have lost',
    mix: throwing,
  },
  workCountedOtherwise: {
    what: 'some replicas refuse a transaction as too much work one row later than others',
    mix: { workload: 'batch', commandRowsMax: 30, throwing: 0, startsFormer: 0, deployEveryMs: 0 },
  },
  // Memory over the log
  flushedApart: {
    what: 'the flushed index moves in another transaction than the rows that it tells of',
    mix: { flush: 0.6, crashAfterSync: 0.01, crashAtStep: 0.01, crashEveryMs: 1_000, throwing: 0, thinkMs: 5 },
  },
  sharedRowNotWritten: {
    what: 'entries that join the row of those before them are flushed without that row',
    mix: { flush: 0.3, crashEveryMs: 1_000, thinkMs: 5 },
  },
  versionForgotten: { what: 'a flush forgets a version between two others', mix: { thinkMs: 5 } },
  tablesAlone: { what: 'a read sees the tables alone', mix: { flush: 0.02 } },
  compareOfTablesAlone: {
    what: 'a compare of a transaction sees the tables alone',
    mix: { ...undisturbed, flush: 0.05, workload: 'kubernetes', thinkMs: 5 },
  },
  scrubOfTablesAlone: {
    what: 'the hash of an entry covers the rows of the tables alone',
    mix: { ...undisturbed, flush: 0.05, thinkMs: 5 },
  },
  // No canary: since level 7 no seed of the first 200 shows it. GROUP-FLUSH-6 holds it.
  flushedOnStop: {
    what: 'a replica flushes when it stops, also where a snapshot has just taken the place of its store',
    mix: joining,
  },
  flushedInTransaction: {
    what: 'a flush is in the transaction of a command that throws, and is undone with it',
    mix: throwing,
  },
  logCutBeyondFlush: {
    what: 'the log is cut as far as it was applied, and not as far as it was flushed',
    mix: { ...moving, flush: 0 },
  },
  stateGoesBack: {
    what: 'a replica that has just started shows an older state than before, without asking the leader',
    mix: restarting,
  },
  // Large deletes
  deletedTooEarly: {
    what: 'the keys that a step of a large delete has taken are missing at the revision before, too',
    mix: { workload: 'mixed' },
  },
  deleteResumedLate: {
    what: 'after a crash a large delete goes on one key too late',
    mix: { workload: 'mixed', crashEveryMs: 1_000, throwing: 0 },
  },
  appliedWithFirstStep: {
    what: 'an entry counts as applied once the first step of its large delete is done',
    mix: { workload: 'mixed' },
  },
  // Leases
  attachedKeyKept: { what: 'the end of a lease leaves its last key' },
  openingNotWritten: {
    what: 'a keepalive after a rest extends the lease in memory, and the log does not say that deadlines are open again',
    mix: rested,
  },
  leasesNotExtended: { what: 'a new leader takes deadlines as they were granted, whatever was kept alive since' },
  keepAliveUnconfirmed: {
    what: 'a replica that believes it leads answers keepalives without asking the others',
    mix: { workload: 'mixed', longLeases: 0, replicas: 3, partitionEveryMs: 2_000 },
  },
  checkpointRepeated: {
    what: 'deadlines that were written before a rest are written again after a later keepalive',
    mix: rested,
  },
  alarmSetLate: {
    what: 'the alarm for a lease is set some time after the lease was granted, unless the object has left the memory by then',
    mix: { ...undisturbed, ...asleep, workload: 'mixed', faultyMs: 15_000, crashAllEveryMs: 0, auth: 0 },
  },
  alarmNotSet: { what: 'no alarm is set for the leases of a group that rests' },
  // Permissions
  permissionCheckedEarly: {
    what: 'the permissions of a caller are looked at when the request comes, before the replica has caught up',
    mix: { workload: 'mixed', auth: 1, longLeases: 0, thinkMs: 5, replicas: 3 },
  },
  revocationInMemory: {
    what: 'an access key is revoked in memory alone, and may be used again once all replicas have started anew',
    mix: { ...refusing, crashAllEveryMs: 2_000 },
  },
  refusedTooEarly: {
    what: 'a leader refuses a write by permissions before it has caught up',
    mix: refusing,
  },
  refusalUnconfirmed: {
    what: 'a replica that believes it leads refuses a write alone without asking the others',
    mix: { ...asked, partitionEveryMs: 1_500, impatient: 0.5 },
  },
  refusalTakenForAll: {
    what: 'a gateway takes the refusal of one attempt for the last word while another one is under way',
    mix: { ...asked, partitionEveryMs: 0, requestDuplicated: 0.9, requestLost: 0.1 },
  },
  retryRefused: {
    what: 'a retry of a write that was applied is refused by an alarm',
    mix: { ...asked, alarms: 0.2, partitionEveryMs: 0, requestDuplicated: 0.9, requestLost: 0.1 },
  },
  // Sessions
  answerOfAnother: { what: 'a session answers a call with the answer to the call before', mix: inSession },
  handleOfAnother: {
    what: 'all calls of a session are done with the rights of its first handle',
    mix: { ...inSession, workload: 'mixed', auth: 1 },
  },
  windowIgnored: {
    what: 'a replica sends large answers without credit',
    mix: { ...inSession, sessionWindowBytes: 600, thinkMs: 5, workload: 'mixed', cutEveryMs: 0 },
  },
  sessionWatchLate: {
    what: 'after its replica woke, a watch of a session is declared one revision too late',
    mix: { ...inSession, ...asleep },
  },
  resendWithNewId: { what: 'a write that is sent again over a session has a new id', mix: inSession },
  // Watches
  eventsSkipped: { what: 'now and then a revision is not published' },
  eventsBeforeDurable: { what: 'events leave before the writes that they tell are durable', mix: watched },
  watchRestoredLate: { what: 'a watch that slept goes on one revision too late', mix: { ...watched, evict: 1 } },
  watchRestoredEarly: { what: 'a watch that slept goes on one revision too early', mix: { ...watched, evict: 1 } },
  watchStartsEarly: { what: 'a watch begins one revision before the one that was asked for', mix: watched },
  watchEventLost: { what: 'now and then a watch lacks an event', mix: watched },
  watchEventsSwapped: { what: 'revisions of one message are told in the wrong order', mix: watched },
  watchRevisionSplit: { what: 'a revision is told in two messages', mix: watched },
  watchPreviousWrong: { what: 'the pair before an event is told as the pair after it', mix: watched },
  progressAhead: { what: 'progress overtakes the events that it speaks of', mix: watched },
  watchNotCaughtUp: {
    what: 'a watch begins at the revision that the replica knows, without asking the leader',
    mix: watched,
  },
} as const satisfies Readonly<Record<string, BugEntry>>;

export type PlantedBug = keyof typeof entries;
export const bugs: Readonly<Record<PlantedBug, BugEntry>> = entries;

function isPlantedBug(name: string): name is PlantedBug {
  return Object.hasOwn(bugs, name);
}

/** The bugs in the order in which they stand above. */
export const plantedBugs: readonly PlantedBug[] = Object.keys(bugs).filter(isPlantedBug);

/**
 * The highest level of a group whose code has this bug. Where point operations stay in memory, a command that throws is
 * taken back, and no turn ends with it. Where entries use places again, a truncation deletes none.
 */
export function levelWith(bug: PlantedBug | null): number {
  if (bug === 'carefulTooShort') return groupLevel.fourth;
  return bug === 'truncatedTooFar' ? groupLevel.fifth : groupLevelMax;
}
