// A client and the gateway it talks through: it finds the leader by what replicas say, and repeats a request whose answer does
// not come, a write always under the same id. Requests and answers get lost, late and doubled on the way, too.

import { unreachable } from '../../src/assert.ts';
import type { LeaseId, ReplicaId } from '../../src/brands.ts';
import { requestTimeoutMs } from '../../src/limits.ts';
import type { Caller, Outcome, StoreFailure } from '../../src/model.ts';
import type { ClientAction, ClientAnswer, ClientOperation, ClientRequest } from './client-operation.ts';
import type { FaultMix, PlantedBug } from './faults.ts';
import type { HistoryChecker } from './history-checker.ts';
import type { Random } from './random.ts';
import type { SimulatedReplica } from './replica.ts';
import type { Schedule } from './schedule.ts';
import type { Trace } from './trace.ts';
import { administration, administrator, callerOf, preparation, service } from './simulated-people.ts';
import { grant, type Knowledge, nextAction, plainPut, write } from './workload.ts';

export type ClientOptions = {
  readonly number: number;
  readonly random: Random;
  readonly schedule: Schedule;
  readonly trace: Trace;
  readonly replicas: readonly SimulatedReplica[];
  readonly history: HistoryChecker;
  readonly faults: () => FaultMix;
  readonly bug: PlantedBug | null;
  /** Set by who administers: before that nobody else has a key. */
  readonly people: { areReady: boolean };
};

/** How it went, for the bound on liveness. */
export type Ended = 'answered' | 'gaveUp';
/** What is to be done, and for whom. */
type Task = { readonly action: ClientAction; readonly caller: Caller };
/** One operation under way. Answers to requests that were given up on are not for it any more. */
type Running = {
  readonly operation: ClientOperation;
  readonly deadlineMs: number;
  readonly ended: (how: Ended) => void;
  attempt: number;
};

export class SimulatedClient {
  readonly #options: ClientOptions;
  readonly #knowledge: Knowledge = { revision: 1, modRevisions: new Map(), leases: [] };
  #caller: Caller;
  /** The token is not one, or not any more. */
  #mustLogIn = false;
  #prepared = 0;
  #leader: ReplicaId;
  #count = 0;
  #hasStopped = false;
  #isQuiet = false;
  isBusy = false;

  constructor(options: ClientOptions) {
    this.#options = options;
    this.#leader = options.random.pick(options.replicas).id;
    this.#caller = options.faults().auth === 0 ? service : callerOf(options.number, options.random);
    this.#think();
  }

  /** No further operations; the one under way goes on. */
  stop(): void {
    this.#hasStopped = true;
  }

  /** A stop for a while: the group may come to rest. */
  quiet(forMs: number): void {
    this.#isQuiet = true;
    this.#options.schedule.after(forMs, () => {
      this.#isQuiet = false;
    });
  }

  /** One write that changes the store. */
  writeOnce(ended: (how: Ended) => void): void {
    const { random } = this.#options;
    this.#begin((name) => ({ action: plainPut(name, random), caller: this.#caller }), ended);
  }

  /** A grant, or a key for the lease that was granted last. */
  leaseOnce(step: 'grant' | 'attach', ended: (how: Ended) => void): void {
    const { random } = this.#options;
    const lease = this.#knowledge.leases.at(-1);
    const action = (name: string): ClientAction =>
      step === 'grant' ? grant(random, random.integer(6, 20)) : plainPut(name, random, lease);
    this.#begin((name) => ({ action: action(name), caller: this.#caller }), ended);
  }

  #think(): void {
    const { schedule, random } = this.#options;
    if (this.#hasStopped) return;
    const thinkMs = this.#isQuiet ? 100 : this.#options.faults().thinkMs;
    schedule.after(random.exponential(thinkMs), () => {
      const mayAsk = this.#options.people.areReady || this.#options.number === 1;
      if (!this.#hasStopped && !this.#isQuiet && mayAsk)
        this.#begin(
          (name) => this.#nextTask(name),
          () => this.#think(),
        );
      else this.#think();
    });
  }

  #nextTask(name: string): Task {
    const { random, number, faults } = this.#options;
    const caller = this.#caller;
    if (faults().auth > 0 && number === 1) {
      const next = preparation[this.#prepared];
      if (next !== undefined) return { action: write(next.operation), caller: next.caller };
      this.#options.people.areReady = true;
      if (random.chance(0.2)) return { action: write(administration(random)), caller: administrator };
    }
    if (caller.kind === 'user' && (this.#mustLogIn || random.chance(0.02))) {
      this.#mustLogIn = false;
      return { action: { kind: 'login', name: caller.name }, caller: service };
    }
    return {
      action: nextAction(name, random, { knowledge: this.#knowledge, longLeases: faults().longLeases > 0 }),
      caller,
    };
  }

  #begin(taskOf: (name: string) => Task, ended: (how: Ended) => void): void {
    const { number, random, schedule, trace, history } = this.#options;
    const name = `c${number}-${++this.#count}`;
    const { action, caller } = taskOf(name);
    const operation = history.begin(name, action, caller);
    this.isBusy = true;
    trace.add('operation', () => `${name} ${action.kind === 'write' ? action.operation.kind : action.kind}`);
    const running = { operation, deadlineMs: schedule.nowMs + requestTimeoutMs, ended, attempt: 0 };
    const goesAnywhere = action.kind === 'read' && (action.request.serializable || random.chance(0.3));
    this.#ask(running, goesAnywhere ? random.pick(this.#options.replicas).id : this.#leader);
  }

  /** Asks that replica, and looks for the leader if the answer does not come. */
  #ask(running: Running, to: ReplicaId): void {
    const { random, bug, trace, faults } = this.#options;
    const { operation } = running;
    const attempt = ++running.attempt;
    if (attempt > 1) trace.count('attempts repeated');
    const writeId = bug === 'retryWithNewId' ? `${operation.name}/${attempt}` : operation.name;
    const request = this.#requestOf(operation, writeId);
    this.#exchange(request, to, {
      isWanted: () => running.attempt === attempt,
      answered: (answer) => this.#answered(running, writeId, answer),
      timeoutMs: random.chance(faults().impatient) ? random.between(5, 300) : 2_000,
      // The gateway then tells another replica that this one does not answer.
      timedOut: () => this.#locate(running, to),
    });
  }

  #requestOf(operation: ClientOperation, writeId: string): ClientRequest {
    const { action, caller } = operation;
    switch (action.kind) {
      case 'read':
        return { kind: 'read', caller, request: action.request };
      case 'keepAlive':
        return { kind: 'keepAlive', caller, id: action.id };
      case 'login':
        return { kind: 'login', name: action.name };
      case 'write':
        this.#options.history.asked(operation, writeId);
        return { kind: 'write', operation, request: { writeId, caller, operation: action.operation } };
      default:
        return unreachable(action);
    }
  }

  #answered(running: Running, writeId: string, answer: ClientAnswer): void {
    const { history, trace } = this.#options;
    const { operation } = running;
    running.attempt++;
    if (answer.kind === 'write' && answer.result.kind === 'applied') {
      const { outcome } = answer.result;
      trace.add('write answered', () => `${operation.name} at revision ${outcome.revision}`);
      history.writeAnswered(operation, writeId, outcome);
      this.#learn(operation, outcome);
      return this.#end(running, 'answered');
    }
    if (answer.kind === 'read' && operation.action.kind === 'read') {
      trace.add('read answered', () => `${operation.name} at revision ${answer.revision}`);
      history.readAnswered(operation, operation.action.request, answer);
      this.#noteFailure(answer.result);
      this.#knowledge.revision = Math.max(this.#knowledge.revision, answer.revision);
      if (answer.result.kind === 'answer' && operation.action.request.revision === 0) {
        for (const pair of answer.result.answer.kvs) {
          this.#knowledge.modRevisions.set(Buffer.from(pair.key).toString(), pair.modRevision);
        }
      }
      return this.#end(running, 'answered');
    }
    if (answer.kind === 'keepAlive' && operation.action.kind === 'keepAlive') {
      const { id } = operation.action;
      const { result } = answer;
      trace.add('keepalive answered', () => `${operation.name} of ${id}: ${JSON.stringify(result, plainNumbers)}`);
      history.keepAliveAnswered(operation, id, answer);
      this.#noteFailure(result);
      if (result.kind === 'answer' && result.answer.ttlSeconds === null) this.#forgetLease(id);
      return this.#end(running, 'answered');
    }
    if (answer.kind === 'login' && operation.action.kind === 'login') {
      history.loginAnswered(operation, operation.action.name, answer);
      const { result } = answer;
      if (result.kind === 'answer' && this.#caller.kind === 'user') {
        this.#caller = { ...this.#caller, authRevision: result.answer.authRevision };
      }
      return this.#end(running, 'answered');
    }
    this.#redirected(running, answer);
  }

  #redirected(running: Running, answer: ClientAnswer): void {
    const { random, trace, schedule } = this.#options;
    trace.count(answer.kind === 'write' ? `answers ${answer.result.kind}` : 'requests refused');
    const hint = leaderIn(answer);
    // Now and then a caller takes "not the leader" for the end of it: then the write must never show up.
    if (random.chance(0.05)) return this.#end(running, 'gaveUp');
    const attempt = running.attempt;
    schedule.after(random.exponential(5), () => {
      if (running.attempt !== attempt) return;
      if (hint === null) return this.#locate(running, null);
      this.#leader = hint;
      this.#ask(running, hint);
    });
  }

  #locate(running: Running, failed: ReplicaId | null): void {
    const { random, schedule, replicas } = this.#options;
    if (schedule.nowMs >= running.deadlineMs) return this.#end(running, 'gaveUp');
    const attempt = ++running.attempt;
    const again = (): void => {
      running.attempt++;
      const next = running.attempt;
      schedule.after(random.exponential(50), () => {
        // Whoever did not answer may be well again, and lead.
        if (running.attempt === next) this.#locate(running, null);
      });
    };
    const others = replicas.filter((replica) => replica.id !== failed);
    this.#exchange({ kind: 'leader', failed }, random.pick(others.length > 0 ? others : replicas).id, {
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
    request: ClientRequest,
    to: ReplicaId,
    then: {
      readonly isWanted: () => boolean;
      readonly answered: (answer: ClientAnswer) => void;
      readonly timeoutMs: number;
      readonly timedOut: () => void;
    },
  ): void {
    const { random, schedule, trace, replicas } = this.#options;
    const faults = this.#options.faults();
    const replica = replicas.find((one) => one.id === to);
    const copies = random.chance(faults.requestDuplicated) ? 2 : 1;
    for (let copy = 1; copy <= copies; copy++) {
      if (copy > 1) trace.count('requests duplicated');
      if (random.chance(faults.requestLost)) {
        trace.count('requests lost');
        continue;
      }
      if (request.kind === 'write') request.operation.possible++;
      // The second copy may come when all has changed.
      const delayMs = random.exponential(2) + (copy > 1 ? random.exponential(random.pick([10, 3_000])) : 0);
      schedule.after(delayMs, () => {
        const isThere = replica?.handle(request, (answer) => {
          if (random.chance(this.#options.faults().requestLost)) return trace.count('answers lost');
          schedule.after(random.exponential(2), () => {
            if (then.isWanted()) then.answered(answer);
          });
        });
        if (isThere === false && request.kind === 'write') request.operation.possible--;
      });
    }
    schedule.after(then.timeoutMs, () => {
      if (then.isWanted()) then.timedOut();
    });
  }

  #learn(operation: ClientOperation, outcome: Outcome): void {
    const { action } = operation;
    if (action.kind === 'write' && action.operation === preparation[this.#prepared]?.operation) this.#prepared++;
    this.#knowledge.revision = Math.max(this.#knowledge.revision, outcome.revision);
    this.#noteFailure(outcome);
    if (outcome.kind === 'leaseGrant') this.#knowledge.leases = [...this.#knowledge.leases, outcome.id].slice(-4);
    else if (action.kind === 'write' && action.operation.kind === 'leaseRevoke') this.#forgetLease(action.operation.id);
  }

  #forgetLease(id: LeaseId): void {
    this.#knowledge.leases = this.#knowledge.leases.filter((one) => one !== id);
  }

  #noteFailure(result: { readonly kind: string } | { readonly kind: 'failed'; readonly failure: StoreFailure }): void {
    if (!('failure' in result)) return;
    this.#options.trace.count(`failed: ${result.failure.kind}`);
    if (result.failure.kind === 'invalidToken') this.#mustLogIn = true;
  }

  #end(running: Running, how: Ended): void {
    running.attempt++;
    this.#options.trace.count(`operations ${how}`);
    this.isBusy = false;
    running.ended(how);
  }
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

function plainNumbers(_: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value;
}
