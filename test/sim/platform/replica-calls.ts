// The calls of clients to one instance of a replica, answered as the object answers them: who leads, what is applied
// here, what the caller may do. Answers wait for the output gate.

import { unreachable } from '../../../src/base/assert.ts';
import type { ReplicaId } from '../../../src/model/brands.ts';
import { leaderWaitMs, requestTimeoutMs, tickMs } from '../../../src/limits.ts';
import { groupLevelMin } from '../../../src/model/levels.ts';
import { alarmKind, type Caller, type StoreFailure } from '../../../src/model/store.ts';
import { accessOfOperation } from '../../../src/mvcc/auth/access.ts';
import { levelNeeded } from '../../../src/mvcc/codec/command-codec.ts';
import type { RangeOutcome } from '../../../src/mvcc/store.ts';
import type { ReadResult } from '../../../src/driver/pending-reads.ts';
import type { WriteRequest, WriteResult } from '../../../src/driver/proposals.ts';
import type { WatchCall } from '../../../src/api/contract.ts';
import type { PlantedBug } from '../bugs/bugs.ts';
import type { ClientAnswer, ClientOperation, ClientRequest, Place } from '../workloads/client-operation.ts';
import type { HistoryChecker } from '../checkers/history-checker.ts';
import type { Instance } from './instance.ts';
import type { LeaseHost } from './lease-host.ts';
import type { SimulatedSocket } from './simulated-socket.ts';
import type { StateChecker } from '../checkers/state-checker.ts';
import type { Trace } from '../trace.ts';
import type { WatchHost } from './watch-host.ts';

export type CallsOptions = {
  readonly instance: Instance;
  readonly leases: LeaseHost;
  readonly watches: WatchHost;
  readonly history: HistoryChecker;
  readonly state: StateChecker;
  readonly trace: Trace;
  readonly bug: PlantedBug | null;
};

type Reply = (answer: ClientAnswer) => void;

/** A watch that a client asks for. `refused` is called with the reason if it is not served here. */
export type WatchOpening = {
  readonly call: WatchCall;
  readonly caller: Caller;
  readonly socket: SimulatedSocket;
  readonly refused: (why: string) => void;
};

export class ReplicaCalls {
  readonly #options: CallsOptions;
  #waitingForLeader: (() => void)[] = [];
  /**
   * The messages of each socket that wait for the first of them, which waits for the leader. They are taken in their
   * order.
   */
  readonly #messages = new Map<SimulatedSocket, string[]>();

  constructor(options: CallsOptions) {
    this.#options = options;
  }

  handle(request: ClientRequest, reply: Reply): void {
    const answer = this.#answering(reply);
    switch (request.kind) {
      case 'write':
        return this.#write(request, answer);
      case 'read':
        return this.#read(request, answer);
      case 'keepAlive':
        return this.#keepAlive(request, answer);
      case 'login':
        return this.#login(request.name, answer);
      case 'leader':
        this.#options.trace.add(
          'asked for the leader',
          () => `${this.#options.instance.id}, without ${request.failed}`,
        );
        return this.findLeader(request.failed, (leader) => answer({ kind: 'leader', leader }));
      default:
        return unreachable(request);
    }
  }

  leaderChanged(): void {
    const waiting = this.#waitingForLeader;
    this.#waitingForLeader = [];
    for (const proceed of waiting) proceed();
  }

  /** As the object does it: names the known leader, or else stands for election and waits a while. */
  findLeader(failed: ReplicaId | null, found: (leader: ReplicaId | null) => void): void {
    const { driver, after } = this.#options.instance;
    const known = (): ReplicaId | null => (driver.raft.leader === failed ? null : driver.raft.leader);
    if (known() !== null) return found(known());
    let isFound = false;
    const finish = (isLate: boolean): void => {
      if (isFound) return;
      if (known() === null && !isLate) return void this.#waitingForLeader.push(() => finish(false));
      isFound = true;
      found(known());
    };
    after(leaderWaitMs, () => finish(true));
    driver.campaign();
    finish(false);
  }

  // Watches

  /** Any replica serves a watch; it must first know all that was acknowledged before the watch was asked for. */
  openWatch(opening: WatchOpening): void {
    const { instance, bug } = this.#options;
    if (bug === 'watchNotCaughtUp') return this.#serveWatch(opening);
    const awake = instance.stayAwake();
    const refuse = (why: string): void => {
      awake();
      instance.gate(() => opening.refused(why));
    };
    this.findLeader(null, (leader) => {
      if (leader === null) return refuse('no leader');
      this.#asInput(() =>
        instance.driver.read((result) => {
          if (result.kind !== 'ready') return refuse(result.kind);
          awake();
          this.#serveWatch(opening);
        }),
      );
    });
  }

  #serveWatch({ call, socket, caller, refused }: WatchOpening): void {
    const { instance, watches } = this.#options;
    const why = watches.open(call, socket, caller);
    if (why === null) return;
    instance.schedule.promised();
    why.then((text) => instance.gate(() => refused(text))).catch(instance.failed);
  }

  /** A watch begins after all that was acknowledged before it was asked for: so this replica first catches up. */
  socketMessage(socket: SimulatedSocket, text: string): void {
    const { instance, watches } = this.#options;
    const waiting = this.#messages.get(socket);
    if (waiting !== undefined) return void waiting.push(text);
    this.#messages.set(socket, []);
    const awake = instance.stayAwake();
    this.catchUp(instance.schedule.nowMs + requestTimeoutMs, (isCaughtUp) => {
      const later = this.#messages.get(socket) ?? [];
      this.#messages.delete(socket);
      awake();
      if (isCaughtUp) watches.message(socket, text);
      else socket.close(tryAgainLater);
      for (const next of later) this.socketMessage(socket, next);
    });
  }

  /** Waits until this replica knows all that was acknowledged before. */
  catchUp(deadlineMs: number, then: (isCaughtUp: boolean) => void): void {
    const { instance, bug } = this.#options;
    if (bug === 'watchNotCaughtUp') return then(true);
    const again = (): void => {
      if (instance.schedule.nowMs >= deadlineMs) return then(false);
      instance.after(tickMs, () => instance.input(() => this.catchUp(deadlineMs, then)));
    };
    this.findLeader(null, (leader) => {
      if (leader === null) return again();
      this.#asInput(() =>
        instance.driver.read((result) => {
          if (result.kind === 'ready') then(true);
          else again();
        }),
      );
    });
  }

  /** Calls reach the driver in a turn of their own. */
  #asInput(body: () => void): void {
    const { instance } = this.#options;
    instance.after(0, () => instance.input(body));
  }

  // Reads and writes

  #write({ operation, request, mayBeAlone }: Extract<ClientRequest, { kind: 'write' }>, answer: Reply): void {
    const { driver } = this.#options.instance;
    const { bug, history } = this.#options;
    const writeId = bug === 'idsForgottenOnFailover' ? `${request.writeId}@${driver.raft.term}` : request.writeId;
    history.asked(operation, writeId);
    const settle = (result: WriteResult): void => {
      if (isNotTaken.includes(result.kind)) operation.possible--;
      answer({ kind: 'write', writeId, result, ...this.#place });
    };
    const wrong = this.#refusalByBug(request);
    if (wrong !== null && driver.raft.role === 'leader') return settle(wrong);
    // As the object does: an entry that a replica might not know is not proposed.
    const isKnown = levelNeeded(request.operation) === groupLevelMin || driver.knowsOperation(request.operation);
    if (driver.raft.role === 'leader' && !isKnown) return settle({ kind: 'notLeader', leader: null });
    // The code that does not count applies a write twice whose id it has forgotten.
    const { seen, ...uncounted } = request;
    const counted = seen === undefined || bug === 'forgottenWriteRepeated' ? uncounted : { ...uncounted, seen };
    driver.submit([{ request: { ...counted, writeId, ...digestOf(operation) }, settle, mayBeAlone }], []);
  }

  /** null: no bug is planted that refuses it. */
  #refusalByBug({ caller, operation }: WriteRequest): WriteResult | null {
    const { bug, instance } = this.#options;
    if (bug !== 'refusedTooEarly' && bug !== 'refusalUnconfirmed' && bug !== 'retryRefused') return null;
    const { store } = instance.driver;
    const failure = store.authorize(caller, accessOfOperation(operation), instance.nowMs());
    if (bug === 'refusedTooEarly') return failure === null ? null : { kind: 'refused', failure };
    if (bug === 'refusalUnconfirmed') return failure === null ? null : { kind: 'refusedAlone', failure };
    if (failure !== null || operation.kind !== 'put') return null;
    const raised = store.query<'alarms'>({ kind: 'alarms', alarm: alarmKind.noSpace }, service, instance.nowMs());
    const isRaised = raised.kind === 'answer' && raised.answer.alarms.length > 0;
    return isRaised ? { kind: 'refusedAlone', failure: { kind: 'noSpace' } } : null;
  }

  #read({ request, caller }: Extract<ClientRequest, { kind: 'read' }>, answer: Reply): void {
    const { instance, bug } = this.#options;
    const { driver, nowMs } = instance;
    const refusal = (): StoreFailure | null => driver.store.authorizeRange(caller, request, nowMs());
    const early = bug === 'permissionCheckedEarly' ? { failure: refusal() } : null;
    const serve = (): void => {
      const failure = early === null ? refusal() : early.failure;
      const result: RangeOutcome = failure === null ? driver.store.range(request) : { kind: 'failed', failure };
      answer({ kind: 'read', result, ...this.#place });
    };
    const isUnconfirmed = bug === 'readUnconfirmed' && driver.raft.role === 'leader';
    const isSure = driver.isSure !== false || bug === 'stateGoesBack';
    if ((request.serializable && isSure) || isUnconfirmed) return serve();
    driver.read((result: ReadResult) => {
      if (result.kind === 'ready') serve();
      else answer({ kind: 'refused', leader: result.kind === 'refused' ? result.leader : null });
    });
  }

  #keepAlive({ id, caller }: Extract<ClientRequest, { kind: 'keepAlive' }>, answer: Reply): void {
    const { instance, leases } = this.#options;
    const { driver, schedule, failed, run } = instance;
    if (driver.raft.role !== 'leader') return answer({ kind: 'refused', leader: driver.raft.leader });
    const cameMs = schedule.nowMs;
    leases
      .keepAlive(caller, id)
      .then((result) =>
        run(() => {
          if (result === null) answer({ kind: 'refused', leader: null });
          else answer({ kind: 'keepAlive', cameMs, result, ...this.#place });
        }),
      )
      .catch(failed);
  }

  /** As the service does it: looks up the hash of the password of the user who logs in. */
  #login(name: string, answer: Reply): void {
    const { driver, nowMs } = this.#options.instance;
    driver.read((result: ReadResult) => {
      if (result.kind !== 'ready') return answer({ kind: 'refused', leader: null });
      const found = driver.store.query<'credential'>({ kind: 'credential', name }, service, nowMs());
      answer({ kind: 'login', result: found, ...this.#place });
    });
  }

  get #place(): Place {
    const { store } = this.#options.instance.driver;
    const { revision, appliedIndex: index, writesTotal: writes } = store;
    return { revision, index, ...(writes === undefined ? {} : { writes }) };
  }

  #answering(reply: Reply): Reply {
    const { instance, bug, state } = this.#options;
    const awake = instance.stayAwake();
    return (answer) => {
      awake();
      if (bug === 'answerBeforeDurable') return reply(answer);
      instance.gate(() => {
        if (answer.kind === 'read' && answer.result.kind === 'answer') state.shown(instance.id, answer.result.revision);
        reply(answer);
      });
    };
  }
}

const service: Caller = { kind: 'service' };

/** Of these attempts nothing is done. */
const isNotTaken: readonly WriteResult['kind'][] = ['notLeader', 'overloaded', 'halted', 'refused', 'refusedAlone'];

/** The client named every other request itself. */
function digestOf({ name }: ClientOperation): { readonly digest?: bigint } {
  const bytes = Buffer.from(name.slice(-8).padStart(8));
  const digest = bytes.readBigUInt64BE(0);
  return digest % 2n === 0n ? {} : { digest };
}

/** The codes of RFC 6455's registry. */
const tryAgainLater = 1_013;
