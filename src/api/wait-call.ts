// A parsed call that waits for its turn as the data that crosses to a replica by session, and the answer to it from the
// data that comes back.

import { assert, unreachable } from '../base/assert.ts';
import type { ResponseHeader } from '../model/calls.ts';
import { checkWait } from '../model/wait-check.ts';
import type { SessionWait, WaitOutcome } from '../model/waits.ts';
import type { Answer } from './answer.ts';
import type { AcquireCall, ApiCall, CampaignCall, LockCall } from './contract.ts';
import { failureAnswer, knownFailure } from './errors/errors.ts';

export type QueueCall = LockCall | CampaignCall | AcquireCall;

export type WaitCall = { readonly call: QueueCall; readonly wait: SessionWait };

/**
 * null: it is no such call, or it crosses as it came. A session names its waits itself, and leaves a wait when its
 * client's time is up.
 */
export function waitOf(call: ApiCall): WaitCall | null {
  if (call.kind !== 'lock' && call.kind !== 'campaign' && call.kind !== 'acquire') return null;
  if (call.writeId !== null || call.timeoutMs !== null) return null;
  const wait = wantedOf(call);
  return checkWait(wait) === null ? { call, wait } : null;
}

function wantedOf(call: QueueCall): SessionWait {
  const { name } = call;
  switch (call.kind) {
    case 'lock':
      return { kind: 'lock', name, lease: call.lease };
    case 'campaign':
      return { kind: 'campaign', name, lease: call.lease, value: call.value };
    case 'acquire':
      return { kind: 'acquire', name, limit: call.limit, hold: call.hold, waitMs: call.waitSeconds * 1_000 };
    default:
      return unreachable(call);
  }
}

/** The answer of the call, in its protocol's form. */
export function respondWait(call: QueueCall, outcome: WaitOutcome, header: ResponseHeader): Answer {
  if (outcome.kind === 'failed') {
    const failure = knownFailure(outcome.failure);
    if (outcome.by === 'service') return failureAnswer(call.protocol, failure);
    return call.respond({ kind: 'failed', failure }, header);
  }
  switch (call.kind) {
    case 'lock':
      assert(outcome.kind === 'locked', 'a lock is answered as one');
      return call.respond({ kind: 'answer', answer: outcome.locked }, header);
    case 'campaign':
      assert(outcome.kind === 'elected', 'a campaign is answered as one');
      return call.respond({ kind: 'answer', answer: outcome.elected }, header);
    case 'acquire':
      assert(outcome.kind === 'acquired', 'a place is answered as one');
      return call.respond({ kind: 'answer', answer: outcome.acquired }, header);
    default:
      return unreachable(call);
  }
}
