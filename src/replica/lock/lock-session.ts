// The waits of sessions: the same calls as over HTTP, with what comes of them as data.

import type { Failure } from '../../api/errors/failures.ts';
import { AssertionError, unreachable } from '../../base/assert.ts';
import type { CallAnswer } from '../../model/calls.ts';
import type { SessionWait, WaitAnswer, WaitOutcome } from '../../model/waits.ts';
import { headerOf, notLeader } from '../calls/leader-steps.ts';
import { suspensionOf } from '../calls/suspension.ts';
import type { Member } from '../member.ts';
import type { Services } from '../services.ts';
import { acquireFor } from './lock-acquire.ts';
import { campaign, type Interim, lock, type QueueContext, type Queuing } from './lock-calls.ts';
import { Handover } from './lock-handover.ts';

export type WaitContext = QueueContext & { readonly services: Pick<Services, 'rates'> };

/**
 * `answer` null: the caller has gone, and its place with it. `giveUp`: what is done if nobody hears the answer; null:
 * nothing is.
 */
export type WaitEnd = { readonly answer: WaitAnswer | null; readonly giveUp: (() => Promise<void>) | null };

export async function serveWait(member: Member, wait: SessionWait, context: WaitContext): Promise<WaitEnd> {
  const handover = new Handover(context.gone);
  try {
    // Of a store that is wrong nothing is told.
    if (!member.driver.serves) return { answer: elsewhere(notLeader(member, member.driver.raft.leader)), giveUp: null };
    const refusal = suspensionOf(member, context.caller) ?? context.services.rates.refusal(context.caller, 'reads');
    if (refusal !== null) return { answer: refused(member, await refusal), giveUp: null };
    const queuing: Queuing = { member, context, call: { writeId: null }, handover };
    const answer = await answerOf(member, wait, queuing);
    return { answer, giveUp: handover.giveUp };
  } catch (error) {
    if (error instanceof AssertionError) throw error;
    console.error(error);
    return { answer: refused(member, { kind: 'internal' }), giveUp: handover.giveUp };
  }
}

async function answerOf(member: Member, wait: SessionWait, queuing: Queuing): Promise<WaitAnswer | null> {
  switch (wait.kind) {
    case 'lock':
      return told(member, await lock(queuing, { ...wait, timeoutMs: null }), (locked) => ({ kind: 'locked', locked }));
    case 'campaign':
      return told(member, await campaign(queuing, { ...wait, timeoutMs: null }), (elected) => ({
        kind: 'elected',
        elected,
      }));
    case 'acquire':
      return told(member, await acquireFor(queuing, wait), (acquired) => ({ kind: 'acquired', acquired }));
    default:
      return unreachable(wait);
  }
}

function told<Value>(
  member: Member,
  interim: Interim<Value>,
  outcomeOf: (value: Value) => WaitOutcome,
): WaitAnswer | null {
  switch (interim.kind) {
    case 'value':
      return { kind: 'answered', header: headerOf(member), outcome: outcomeOf(interim.value) };
    case 'failed':
      return refused(member, interim.failure, 'store');
    case 'answer':
      return elsewhere(interim.answer);
    case 'gone':
      return null;
    default:
      return unreachable(interim);
  }
}

/** `by` the store: the call itself refuses, in the words of its protocol for such a call. */
function refused(member: Member, failure: Failure, by: 'store' | 'service' = 'service'): WaitAnswer {
  return { kind: 'answered', header: headerOf(member), outcome: { kind: 'failed', by, failure } };
}

/** Another replica must answer, or the service refuses the wait. */
function elsewhere(answer: CallAnswer): WaitAnswer {
  if (answer.kind === 'notLeader') return answer;
  if (answer.kind === 'answered' && answer.outcome.kind === 'failed') {
    return { kind: 'answered', header: answer.header, outcome: answer.outcome };
  }
  throw new AssertionError('the answer is elsewhere, or a refusal');
}
