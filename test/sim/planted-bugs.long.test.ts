// Shows that the checkers can fail: each planted bug is found, by the rule that it breaks.

import { describe, expect, it } from 'vitest';
import { bugs, type PlantedBug } from './bugs/bugs.ts';
import { simulate } from './simulation.ts';

/**
 * At most so many seeds are tried for a bug: a search ends with the first seed that finds it. The rarest bug shows in
 * one run of 150.
 */
const canarySeeds = 200;

describe('planted bugs', () => {
  it.each(canaries)('%s', async (_, bug, rule) => {
    expect(await rulesBroken(bug, rule)).toContain(rule);
  });

  it.each(blindCanaries)('%s', async (_, bug) => {
    expect(await rulesBroken(bug, 'linearizability', { blind: true })).toContain('linearizability');
  });
});

/** Planted bugs, and the rule that each breaks. `npm run sim:bugs` has all of them. */
const canaries: readonly (readonly [string, PlantedBug, string])[] = [
  ['SIM-CANARY-1: messages that leave too early are found', 'replyBeforePersist', 'commit by a durable quorum'],
  ['SIM-CANARY-2: a retry under a new id is found', 'retryWithNewId', 'a write is applied once'],
  [
    'SIM-CANARY-3: keepalives that a failover forgets are found',
    'leasesNotExtended',
    'a lease lives as long as was acknowledged',
  ],
  ['SIM-CANARY-4: keys that outlive their lease are found', 'attachedKeyKept', 'events are right'],
  ['SIM-CANARY-5: leases that nobody ends are found', 'alarmNotSet', 'a lease ends within a bound'],
  [
    'SIM-CANARY-6: permissions that are looked at too early are found',
    'permissionCheckedEarly',
    'nobody sees more than is permitted',
  ],
  ['SIM-CANARY-7: ids that a failover forgets are found', 'idsForgottenOnFailover', 'a write is applied once'],
  ['SIM-CANARY-60: a write that is done again is found', 'forgottenWriteRepeated', 'a write is applied once'],
  ['SIM-CANARY-8: answers that leave too early are found', 'answerBeforeDurable', 'an acknowledged write is committed'],
  ['SIM-CANARY-9: entries of older terms that are committed are found', 'olderTermCommitted', 'commit of the own term'],
  ['SIM-CANARY-10: a page of another revision is found', 'laterPageAtHead', 'a read is of one revision'],
  ['SIM-CANARY-11: a sweep that goes too far is found', 'compactedTooFar', 'equal states'],
  ['SIM-CANARY-12: a level that not all know is found', 'levelAssumed', 'a level that all members know'],
  ['SIM-CANARY-13: an entry that is skipped is found', 'unknownEntrySkipped', 'log matching'],
  ['SIM-CANARY-14: a log without a bound is found', 'logHeldForever', 'log bound'],
  ['SIM-CANARY-15: hashes that are not compared are found', 'hashNotTold', 'liveness'],
  ['SIM-CANARY-16: learners that do not tell what they lost are found', 'lossNotTold', 'commit by a durable quorum'],
  ['SIM-CANARY-17: a command that is undone in part is found', 'undoneInPart', 'an answer is right'],
  ['SIM-CANARY-18: a replica that counts work otherwise is found', 'workCountedOtherwise', 'equal states'],
  ['SIM-CANARY-19: writes that are refused too early are found', 'refusedTooEarly', 'an answer is right'],
  ['SIM-CANARY-20: what is deleted too early is found', 'deletedTooEarly', 'an answer is right'],
  ['SIM-CANARY-21: a large delete that goes on too late is found', 'deleteResumedLate', 'events are right'],
  ['SIM-CANARY-22: an entry that counts as applied too early is found', 'appliedWithFirstStep', 'equal views'],
  ['SIM-CANARY-23: a refusal that nobody confirmed is found', 'refusalUnconfirmed', 'real-time order'],
  [
    'SIM-CANARY-24: a refusal that is taken for the last word is found',
    'refusalTakenForAll',
    'a refused write never shows up',
  ],
  ['SIM-CANARY-25: a retry that an alarm refuses is found', 'retryRefused', 'a refused write never shows up'],
  ['SIM-CANARY-26: half a turn that stays is found', 'halfTurnKept', 'an answer is right'],
  ['SIM-CANARY-27: an instance that is careful for too short is found', 'carefulTooShort', 'liveness'],
  ['SIM-CANARY-28: a flushed index that moves apart from its rows is found', 'flushedApart', 'equal states'],
  ['SIM-CANARY-29: a version that a flush forgets is found', 'versionForgotten', 'equal states'],
  ['SIM-CANARY-30: a read of the tables alone is found', 'tablesAlone', 'an answer is right'],
  ['SIM-CANARY-31: a log that is cut beyond the flush is found', 'logCutBeyondFlush', 'liveness'],
  ['SIM-CANARY-32: a state that goes back over a restart is found', 'stateGoesBack', 'nothing goes back'],
  ['SIM-CANARY-33: an answer to another call is found', 'answerOfAnother', 'an answer is right'],
  [
    'SIM-CANARY-34: a handle that acts with the rights of another is found',
    'handleOfAnother',
    'the log holds what was asked',
  ],
  ['SIM-CANARY-35: a window that is not honoured is found', 'windowIgnored', 'a window is honoured'],
  ['SIM-CANARY-36: a resend under a new id is found', 'resendWithNewId', 'a write is applied once'],
  ['SIM-CANARY-37: an entry that is written over too early is found', 'placeUsedWhileHeld', 'leader completeness'],
  ['SIM-CANARY-38: an end of the log that comes back is found', 'suffixLeft', 'log'],
  ['SIM-CANARY-39: the promotion of a learner that is gone is found', 'promotionKept', 'liveness'],
  ['SIM-CANARY-40: a watch of a session that is declared one too late is found', 'sessionWatchLate', 'watch: reliable'],
  ['SIM-CANARY-50: a group that is founded by halves is found', 'foundedApart', 'log matching'],
  ['SIM-CANARY-41: a compare of the tables alone is found', 'compareOfTablesAlone', 'events are of committed writes'],
  ['SIM-CANARY-42: a scrub of the tables alone is found', 'scrubOfTablesAlone', 'equal states'],
  ['SIM-CANARY-43: a flush that is undone with a command is found', 'flushedInTransaction', 'an answer is right'],
  [
    'SIM-CANARY-44: a revocation that a kill of all takes back is found',
    'revocationInMemory',
    'nobody sees more than is permitted',
  ],
  [
    'SIM-CANARY-45: an alarm that the end of an instance takes away is found',
    'alarmSetLate',
    'a lease ends within a bound',
  ],
  ['SIM-WATCH-1: swapped revisions are found', 'watchEventsSwapped', 'watch: ordered'],
  ['SIM-WATCH-2: an event that is told twice is found', 'watchRestoredEarly', 'watch: unique'],
  ['SIM-WATCH-3: a revision in two messages is found', 'watchRevisionSplit', 'watch: atomic'],
  ['SIM-WATCH-4: an event that is not told is found', 'watchEventLost', 'watch: reliable'],
  ['SIM-WATCH-5: a watch restored one too late is found', 'watchRestoredLate', 'watch: resumable'],
  ['SIM-WATCH-6: progress ahead of its events is found', 'progressAhead', 'watch: bookmarkable'],
  ['SIM-WATCH-7: wrong previous values are found', 'watchPreviousWrong', 'watch: previous values'],
  ['SIM-WATCH-8: events from before the start are found', 'watchStartsEarly', 'watch: nothing from before'],
  ['SIM-WATCH-9: events that leave too early are found', 'eventsBeforeDurable', 'watch: committed'],
  ['SIM-WATCH-10: a watch that begins too early is found', 'watchNotCaughtUp', 'watch: real-time order'],
];

const blindCanaries: readonly (readonly [string, PlantedBug])[] = [
  ['SIM-BLIND-1: a stale read is found without the log', 'readUnconfirmed'],
  ['SIM-BLIND-2: a page of another revision is found without the log', 'laterPageAtHead'],
];

/** Tries as many seeds as it takes, in order. */
async function rulesBroken(
  bug: PlantedBug,
  rule: string,
  how: { readonly blind?: boolean } = {},
): Promise<(string | undefined)[]> {
  const rules: (string | undefined)[] = [];
  const { mix = {} } = bugs[bug];
  for (let seed = 1; seed <= canarySeeds && !rules.includes(rule); seed++) {
    rules.push((await simulate({ seed, bug, mix, ...how })).failure?.rule);
  }
  return rules;
}
