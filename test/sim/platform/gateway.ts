// The gateway that a client talks through. It finds the leader by what replicas say, and repeats a request whose answer
// does not come, a write always under the same id. Requests and answers get lost, late and doubled on the way, too. An
// answer is checked before the client has it.

import { type AttemptEnd, SentAttempts } from '../../../src/api/sent-attempts.ts';
import { unreachable } from '../../../src/base/assert.ts';
import type { ReplicaId } from '../../../src/model/brands.ts';
import { requestTimeoutMs } from '../../../src/limits.ts';
import type { Caller } from '../../../src/model/store.ts';
import type { PlantedBug } from '../bugs/bugs.ts';
import type { ClientHistory } from '../checkers/client-history.ts';
import type {
  ClientAction,
  ClientAnswer,
  ClientOperation,
  ClientRequest,
  CountedWrites,
} from '../workloads/client-operation.ts';
import type { WriteResult } from '../../../src/driver/proposals.ts';
import type { FaultMix } from '../faults.ts';
import type { SimulatedGroup } from './group.ts';
import type { HistoryChecker } from '../checkers/history-checker.ts';
import type { Random } from '../../support/random.ts';
import type { Schedule } from './schedule.ts';
import type { ClientSessions } from '../workloads/client-sessions.ts';
import type { Trace } from '../trace.ts';

export type GatewayOptions = {
  readonly random: Random;
  readonly schedule: Schedule;
  readonly trace: Trace;
  readonly group: SimulatedGroup;
  readonly history: HistoryChecker;
  /** The history for the checker that does not look at the log. */
  readonly told: ClientHistory;
  /** True: answers are judged by that checker alone. */
  readonly blind: boolean;
  readonly faults: () => FaultMix;
  readonly bug: PlantedBug | null;
  readonly counts: CountedWrites;
  /** Null: every call is a request of its own. */
  readonly sessions: ClientSessions | null;
};

/** Null: the gateway gave up. A write may be applied or not. */
export type Ended = (answer: ClientAnswer | null) => void;

/** One operation under way. Late answers to attempts that were given up do not count for it. */
type Running = {
  readonly operation: ClientOperation;
  readonly deadlineMs: number;
  readonly ended: Ended;
  readonly sent: SentAttempts;
  attempt: number;
};

/**
 * `isLastWord`: to be called once with its answer. False: it was refused, and another attempt may be done all the same.
 */
type Asked = { readonly request: ClientRequest; readonly isLastWord: (answer: ClientAnswer) => boolean };

export class Gateway {
  readonly #options: GatewayOptions;
  #leader: ReplicaId;

  constructor(options: GatewayOptions) {
    this.#options = options;
    this.#leader = options.group.pick(options.random).id;
  }

  ask(
    name: string,
    { action, caller }: { readonly action: ClientAction; readonly caller: Caller },
    ended: Ended,
  ): void {
    const { random, schedule, trace, history, group, told, blind, counts } = this.#options;
    const operation = history.begin(name, action, caller);
    const call = told.called(name, action);
    const endedAs: Ended = (answer) => {
      if (answer !== null) told.answered(call, answer);
      if (answer !== null && !blind) history.answered(operation, answer);
      ended(answer);
    };
    trace.add('operation', () => `${name} ${action.kind === 'write' ? action.operation.kind : action.kind}`);
    const deadlineMs = schedule.nowMs + requestTimeoutMs;
    const running = { operation, deadlineMs, ended: endedAs, sent: new SentAttempts(counts.seen), attempt: 0 };
    const goesAnywhere = action.kind === 'read' && (action.request.serializable || random.chance(0.3));
    this.#ask(running, goesAnywhere ? group.pick(random).id : this.#leader);
  }

  /** Asks that replica, and looks for the leader if no answer comes. */
  #ask(running: Running, to: ReplicaId): void {
    const { random, bug, trace, faults } = this.#options;
    const { operation } = running;
    const attempt = ++running.attempt;
    if (attempt > 1) trace.count('attempts repeated');
    const writeId = bug === 'retryWithNewId' ? `${operation.name}/${attempt}` : operation.name;
    const request = (): Asked => this.#requestOf(running, writeId);
    this.#exchange(request, to, {
      isWanted: () => running.attempt === attempt,
      answered: (answer) => this.#answered(running, answer, to),
      timeoutMs: random.chance(faults().impatient) ? random.between(5, 300) : 2_000,
      // The gateway then tells another replica that this one does not answer.
      timedOut: () => this.#locate(running, to),
    });
  }

  /** One for each copy that is sent. */
  #requestOf({ operation, sent }: Running, writeId: string): Asked {
    const { bug } = this.#options;
    const { action, caller } = operation;
    switch (action.kind) {
      case 'read': {
        const atHead = bug === 'laterPageAtHead';
        const request = atHead ? { ...action.request, revision: 0 } : action.request;
        return { request: { kind: 'read', caller, request }, isLastWord: () => true };
      }
      case 'keepAlive':
        return { request: { kind: 'keepAlive', caller, id: action.id }, isLastWord: () => true };
      case 'login':
        return { request: { kind: 'login', name: action.name }, isLastWord: () => true };
      case 'write': {
        const attempt = sent.begin();
        const { seen, mayBeAlone } = attempt;
        return {
          request: {
            kind: 'write',
            operation,
            request: { writeId, caller, operation: action.operation, seen },
            mayBeAlone,
          },
          isLastWord: (answer) => sent.ended(attempt, endOf(answer)) || bug === 'refusalTakenForAll',
        };
      }
      default:
        return unreachable(action);
    }
  }

  #answered(running: Running, answer: ClientAnswer, by: ReplicaId): void {
    const { trace } = this.#options;
    const { operation } = running;
    running.attempt++;
    const writes = forgottenAt(answer);
    if (writes !== null) {
      const mayRenew = running.sent.mayRenew(writes);
      trace.count(mayRenew ? 'writes sent again with another count' : 'writes whose outcome is unknown');
      return mayRenew ? this.#ask(running, by) : this.#end(running, null);
    }
    const isAnswer = answer.kind === 'write' ? isTold(answer.result) : answer.kind === operation.action.kind;
    if (!isAnswer) return this.#redirected(running, answer);
    trace.add(`${answer.kind} answered`, () => `${operation.name}: ${inWords(answer)}`);
    this.#end(running, answer);
  }

  #redirected(running: Running, answer: ClientAnswer): void {
    const { random, trace, schedule } = this.#options;
    trace.count(answer.kind === 'write' ? `answers ${answer.result.kind}` : 'requests refused');
    const hint = leaderIn(answer);
    // Now and then a caller takes "not the leader" for the end of the operation: then the write must never be done.
    if (random.chance(0.05)) return this.#end(running, null);
    const attempt = running.attempt;
    schedule.after(random.exponential(5), () => {
      if (running.attempt !== attempt) return;
      if (hint === null) return this.#locate(running, null);
      this.#leader = hint;
      this.#ask(running, hint);
    });
  }

  #locate(running: Running, failed: ReplicaId | null): void {
    const { random, schedule, group } = this.#options;
    if (schedule.nowMs >= running.deadlineMs) return this.#end(running, null);
    const attempt = ++running.attempt;
    const again = (): void => {
      running.attempt++;
      const next = running.attempt;
      schedule.after(random.exponential(50), () => {
        // The replica that did not answer may be well again, and lead.
        if (running.attempt === next) this.#locate(running, null);
      });
    };
    const request = (): Asked => ({ request: { kind: 'leader', failed }, isLastWord: () => true });
    this.#exchange(request, group.pickOther(random, failed).id, {
      isWanted: () => running.attempt === attempt,
      answered: (answer) => {
        const leader = leaderIn(answer);
        if (leader === null) return again();
        this.#leader = leader;
        this.#ask(running, leader);
      },
      timeoutMs: 2_000,
      timedOut: again,
    });
  }

  #exchange(
    asked: () => Asked,
    to: ReplicaId,
    then: {
      readonly isWanted: () => boolean;
      readonly answered: (answer: ClientAnswer) => void;
      readonly timeoutMs: number;
      readonly timedOut: () => void;
    },
  ): void {
    const { random, schedule, trace, group, sessions, counts } = this.#options;
    const faults = this.#options.faults();
    const copies = random.chance(faults.requestDuplicated) ? 2 : 1;
    for (let copy = 1; copy <= copies; copy++) {
      if (copy > 1) trace.count('requests duplicated');
      const { request, isLastWord } = asked();
      const heard = (answer: ClientAnswer): void => {
        if ('writes' in answer && answer.writes !== undefined) counts.told(answer.writes);
        const isLast = isLastWord(answer);
        if (!isLast) trace.count('refusals that were not the last word');
        if (then.isWanted()) then.answered(isLast ? answer : { kind: 'refused', leader: null });
      };
      if (sessions?.carries(request) === true) {
        if (request.kind === 'write') request.operation.possible++;
        sessions.ask(to, request, heard);
        break;
      }
      if (random.chance(faults.requestLost)) {
        trace.count('requests lost');
        continue;
      }
      if (request.kind === 'write') request.operation.possible++;
      // The second copy may arrive when everything has changed.
      const delayMs = random.exponential(2) + (copy > 1 ? random.exponential(random.pick([10, 3_000])) : 0);
      schedule.after(delayMs, () => {
        const isThere = group.find(to)?.handle(request, (answer) => {
          if (random.chance(this.#options.faults().requestLost)) return trace.count('answers lost');
          schedule.after(random.exponential(2), () => heard(answer));
        });
        if (isThere !== true && request.kind === 'write') request.operation.possible--;
      });
    }
    schedule.after(then.timeoutMs, () => {
      if (then.isWanted()) then.timedOut();
    });
  }

  #end(running: Running, answer: ClientAnswer | null): void {
    running.attempt++;
    this.#options.trace.count(answer === null ? 'operations gaveUp' : 'operations answered');
    running.ended(answer);
  }
}

/** The answer that the group decided. Otherwise the request has to be sent again. */
function isTold({ kind }: WriteResult): boolean {
  return kind === 'applied' || kind === 'refused' || kind === 'refusedAlone';
}

/** As far as the gateway knows. */
function endOf(answer: ClientAnswer): AttemptEnd {
  if (answer.kind !== 'write') return 'unknown';
  const { result } = answer;
  switch (result.kind) {
    case 'applied':
      return forgottenAt(answer) === null ? 'done' : 'refused';
    case 'refused':
    case 'refusedAlone':
      return 'refused';
    case 'notLeader':
      return result.leader === null ? 'unknown' : 'nothing';
    case 'overloaded':
    case 'tooLarge':
      return 'nothing';
    case 'unknown':
    case 'halted':
      return 'unknown';
    default:
      return unreachable(result);
  }
}

/** How many writes there were, where the write may have been forgotten and was not done. Null: another answer. */
function forgottenAt(answer: ClientAnswer): number | null {
  if (answer.kind !== 'write' || answer.result.kind !== 'applied') return null;
  const { outcome } = answer.result;
  return outcome.kind === 'failed' && outcome.failure.kind === 'outcomeUnknown' ? outcome.failure.writes : null;
}

function leaderIn(answer: ClientAnswer): ReplicaId | null {
  switch (answer.kind) {
    case 'write':
      return answer.result.kind === 'notLeader' ? answer.result.leader : null;
    case 'refused':
    case 'leader':
      return answer.leader;
    case 'read':
    case 'keepAlive':
    case 'login':
      return null;
    default:
      return unreachable(answer);
  }
}

function inWords(answer: ClientAnswer): string {
  if (answer.kind === 'write' && answer.result.kind === 'applied') return `at ${answer.result.outcome.revision}`;
  if (answer.kind === 'read') return `at ${answer.revision}`;
  return JSON.stringify(answer, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value));
}
