// A client. It thinks, asks its workload what to do next, and does it through its gateway. One of the clients
// administers.

import type { LeaseId } from '../../../src/model/brands.ts';
import { noLease } from '../../../src/model/brands.ts';
import { alarmKind, type Caller, type Operation, type StoreFailure } from '../../../src/model/store.ts';
import { type ClientAction, type ClientAnswer, CountedWrites } from './client-operation.ts';
import { Gateway, type GatewayOptions } from '../platform/gateway.ts';
import type { Random } from '../../support/random.ts';
import { grant, write } from './requests.ts';
import type { SessionLedger } from '../checkers/session-ledger.ts';
import { ClientSessions } from './client-sessions.ts';
import { throwingOperation } from '../bugs/throwing.ts';
import {
  administration,
  administrator,
  callerOf,
  preparation,
  reader,
  service,
  tenancy,
  unbounded,
} from './simulated-people.ts';
import { type Workload, workloadOf } from './workload.ts';

export type ClientOptions = Omit<GatewayOptions, 'sessions' | 'counts'> & {
  readonly ledger: SessionLedger;
  readonly number: number;
  /** The administrator sets this. Before that nobody else has an access key. */
  readonly people: { areReady: boolean };
};

/** Of a number that no replica has. */
const noSpace = { memberId: 7n, alarm: alarmKind.noSpace };

/** The outcome of the last operations, for the bound on recovery. */
export type HowEnded = (isAnswered: boolean) => void;
/** The operation that is to be done, and in whose name. */
type Task = { readonly action: ClientAction; readonly caller: Caller };

export class SimulatedClient {
  readonly #options: ClientOptions;
  readonly #random: Random;
  readonly #gateway: Gateway;
  readonly #workload: Workload;
  #caller: Caller;
  /** The token is not valid, or not any more. */
  #mustLogIn = false;
  #prepared = 0;
  #count = 0;
  #hasStopped = false;
  #isQuiet = false;
  #lastLease: LeaseId = noLease;
  /** It has raised the alarm NOSPACE, and not been told that it ended. */
  #isAlarmed = false;
  /** It has suspended the tenant, and not been told that it was resumed. */
  #hasSuspended = false;
  #hasBounded = false;
  #termsVersion = 0;
  isBusy = false;

  constructor(options: ClientOptions) {
    const { random, number } = options;
    const { auth, workload, longLeases } = options.faults();
    this.#options = options;
    this.#random = random;
    const counts = new CountedWrites();
    const hasSessions = options.faults().sessions > 0;
    const sessions = hasSessions ? new ClientSessions({ ...options, counts, random: random.fork() }) : null;
    this.#gateway = new Gateway({ ...options, counts, sessions });
    this.#workload = workloadOf(workload, { number, random, longLeases: longLeases > 0 });
    this.#caller = auth === 0 ? service : callerOf(number, random);
    this.#think();
  }

  /** No further operations; the one under way goes on. */
  stop(): void {
    this.#hasStopped = true;
  }

  /** The client stops for a while, so that the group may rest. */
  quiet(forMs: number): void {
    this.#isQuiet = true;
    this.#options.schedule.after(forMs, () => {
      this.#isQuiet = false;
    });
  }

  /** One write that changes the store. */
  writeOnce(ended: HowEnded): void {
    this.#begin(
      (name) =>
        this.#tenancyTask() ??
        this.#alarmTask() ?? { action: this.#workload.plainPut(name, noLease), caller: this.#caller },
      ended,
    );
  }

  /** A grant, or a put of a key with the lease that was granted last. */
  leaseOnce(step: 'grant' | 'attach', ended: HowEnded): void {
    const action = (name: string): ClientAction =>
      step === 'grant'
        ? grant(this.#random, this.#random.integer(4, 12))
        : this.#workload.plainPut(name, this.#lastLease);
    this.#begin((name) => ({ action: action(name), caller: this.#caller }), ended);
  }

  #think(): void {
    const { schedule, people, number, faults, history } = this.#options;
    if (this.#hasStopped) return;
    const thinkMs = this.#isQuiet ? 100 : faults().thinkMs;
    schedule.after(this.#random.exponential(thinkMs), () => {
      const mayAsk = (people.areReady || number === 1) && history.countsEnough;
      if (!this.#hasStopped && !this.#isQuiet && mayAsk)
        this.#begin(
          (name) => this.#nextTask(name),
          () => this.#think(),
        );
      else this.#think();
    });
  }

  #nextTask(name: string): Task {
    const { number, faults, people } = this.#options;
    const caller = this.#caller;
    if (faults().auth > 0 && number === 1) {
      const next = preparation[this.#prepared];
      if (next !== undefined) return { action: write(next.operation), caller: next.caller };
      people.areReady = true;
      const task = this.#tenancyTask() ?? this.#alarmTask();
      if (task !== null) return task;
      if (this.#random.chance(0.2)) return { action: write(administration(this.#random)), caller: administrator };
    }
    if (caller.kind === 'user' && (this.#mustLogIn || this.#random.chance(0.02))) {
      this.#mustLogIn = false;
      return { action: { kind: 'login', name: caller.name }, caller: service };
    }
    const { throwing } = faults();
    if (throwing > 0 && this.#random.chance(throwing)) {
      return { action: write(throwingOperation(name, this.#random)), caller };
    }
    // Many writes that are always refused: the log must not grow by them.
    if (caller.kind !== 'service' && this.#random.chance(0.1)) {
      return { action: this.#workload.plainPut(name, noLease), caller: reader };
    }
    return { action: this.#workload.next(name), caller };
  }

  /** Of the administrator, whose alarm is not for long. */
  #alarmTask(): Task | null {
    const { alarms } = this.#options.faults();
    if (this.#isAlarmed && (alarms === 0 || this.#random.chance(0.2))) {
      return { action: write({ kind: 'alarmDeactivate', alarm: noSpace }), caller: administrator };
    }
    if (this.#isAlarmed || alarms === 0 || this.#options.number !== 1 || !this.#random.chance(alarms)) return null;
    this.#isAlarmed = true;
    return { action: write({ kind: 'alarmActivate', alarm: noSpace }), caller: administrator };
  }

  /** Of the first client, who is the operator, too. What it has set does not stay for long. */
  #tenancyTask(): Task | null {
    const { bounds, suspensions } = this.#options.faults();
    if (this.#options.number !== 1) return null;
    if (this.#hasSuspended && (suspensions === 0 || this.#random.chance(0.4))) return suspension(false);
    if (!this.#hasSuspended && suspensions > 0 && this.#random.chance(suspensions)) {
      this.#hasSuspended = true;
      return suspension(true);
    }
    if (this.#hasBounded && bounds === 0) return taskOf(unbounded(++this.#termsVersion));
    if (bounds === 0 || !this.#random.chance(bounds)) return null;
    this.#hasBounded = true;
    return taskOf(tenancy(this.#random, ++this.#termsVersion));
  }

  #begin(next: (name: string) => Task, ended: HowEnded): void {
    const name = `c${this.#options.number}-${++this.#count}`;
    const task = next(name);
    this.isBusy = true;
    this.#gateway.ask(name, task, (answer) => {
      this.isBusy = false;
      if (answer !== null) this.#learn(task.action, answer);
      ended(answer !== null);
    });
  }

  #learn(action: ClientAction, answer: ClientAnswer): void {
    this.#workload.learned(action, answer);
    if (answer.kind === 'write' && answer.result.kind === 'applied' && action.kind === 'write') {
      const { outcome } = answer.result;
      if (action.operation === preparation[this.#prepared]?.operation) this.#prepared++;
      if (action.operation.kind === 'alarmDeactivate') this.#isAlarmed = false;
      if (action.operation.kind === 'suspension' && !action.operation.isSuspended) this.#hasSuspended = false;
      if (action.operation.kind === 'terms' && this.#options.faults().bounds === 0) this.#hasBounded = false;
      if (outcome.kind === 'leaseGrant') this.#lastLease = outcome.id;
      this.#noteFailure(outcome);
    } else if ('result' in answer) {
      if (answer.kind === 'write' && answer.result.kind === 'refused')
        this.#options.trace.count('writes refused for good');
      if (answer.kind === 'write' && answer.result.kind === 'refusedAlone')
        this.#options.trace.count('writes refused alone');
      this.#noteFailure(answer.result);
    }
    if (answer.kind !== 'login' || answer.result.kind !== 'answer' || this.#caller.kind !== 'user') return;
    this.#caller = { ...this.#caller, authRevision: answer.result.answer.authRevision };
  }

  #noteFailure(result: { readonly kind: string } | { readonly kind: 'failed'; readonly failure: StoreFailure }): void {
    if (!('failure' in result)) return;
    this.#options.trace.count(`failed: ${result.failure.kind}`);
    if (result.failure.kind === 'invalidToken') this.#mustLogIn = true;
  }
}

function suspension(isSuspended: boolean): Task {
  return { action: write({ kind: 'suspension', isSuspended }), caller: service };
}

function taskOf({ caller, operation }: { readonly caller: Caller; readonly operation: Operation }): Task {
  return { action: write(operation), caller };
}
