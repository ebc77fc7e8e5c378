// What crosses sessions, beside the bytes that cross: which operation a write id names, and what a replica answered.
// The header of each answer carries a number by which it is found here. So the client's checkers get what they get over
// any other way, and it is held that the bytes said the same.

import { isDeepStrictEqual } from 'node:util';
import { outcomeOfQuery, outcomeOfWrite, refusedByStore } from '../../../src/api/store-call.ts';
import { assert, unreachable } from '../../../src/base/assert.ts';
import type { CallAnswer, CallOutcome } from '../../../src/model/calls.ts';
import type { ClientAnswer, ClientOperation } from '../workloads/client-operation.ts';
import { check } from '../trace.ts';

type Told = { readonly answer: ClientAnswer; readonly outcome: CallOutcome };

/** The header of what a replica says by itself, such as that a call is late. */
export const ownHeader = { clusterId: '1', memberId: '1', raftTerm: 1, revision: 1 };

export class SessionLedger {
  readonly #operations = new Map<string, ClientOperation>();
  readonly #told = new Map<string, Told>();
  #numbers = 1;

  named(writeId: string, operation: ClientOperation): void {
    this.#operations.set(writeId, operation);
  }

  operationOf(writeId: string): ClientOperation {
    const operation = this.#operations.get(writeId);
    check(operation !== undefined, 'no write from nowhere', () => `${writeId} came over a session`);
    return operation;
  }

  /** The answer in the form in which it crosses. */
  answered(answer: ClientAnswer): CallAnswer {
    const outcome = outcomeOf(answer);
    if (outcome === null) return { kind: 'notLeader', leader: leaderIn(answer), members: [] };
    const memberId = String(++this.#numbers);
    this.#told.set(memberId, { answer, outcome });
    return { kind: 'answered', header: { ...ownHeader, memberId }, outcome };
  }

  /** What the replica meant. Null: it could not ask the store. */
  heard({ header, outcome }: Extract<CallAnswer, { readonly kind: 'answered' }>): ClientAnswer | null {
    const told = this.#told.get(header.memberId);
    if (told === undefined) {
      check(
        outcome.kind === 'failed' && outcome.by === 'service',
        'an answer comes from somewhere',
        () => outcome.kind,
      );
      return null;
    }
    check(isDeepStrictEqual(outcome, told.outcome), 'an answer crosses a session whole', () => {
      return `${outcome.kind} was ${told.outcome.kind}`;
    });
    return told.answer;
  }
}

/** Null: another replica must answer, or nobody knows what became of the write. */
function outcomeOf(answer: ClientAnswer): CallOutcome | null {
  switch (answer.kind) {
    case 'write': {
      const { result } = answer;
      if (result.kind === 'applied') return outcomeOfWrite(result.outcome);
      if (result.kind === 'refused' || result.kind === 'refusedAlone') return refusedByStore(result.failure);
      if (result.kind === 'overloaded') return { kind: 'failed', by: 'service', failure: { kind: 'overloaded' } };
      return null;
    }
    case 'read': {
      const { result } = answer;
      return result.kind === 'failed' ? refusedByStore(result.failure) : { kind: 'range', answer: result.answer };
    }
    case 'keepAlive':
      return outcomeOfQuery(answer.result);
    case 'login':
    case 'refused':
    case 'leader':
      return null;
    default:
      return unreachable(answer);
  }
}

function leaderIn(answer: ClientAnswer): number {
  assert(answer.kind !== 'login', 'a login does not come over a session');
  if (answer.kind === 'write') return answer.result.kind === 'notLeader' ? (answer.result.leader ?? 0) : 0;
  return answer.kind === 'refused' || answer.kind === 'leader' ? (answer.leader ?? 0) : 0;
}
