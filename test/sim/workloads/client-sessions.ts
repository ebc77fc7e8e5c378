// The sessions of one client with the replicas that it asks: the production end of each. A write keeps its id over all
// attempts, on whichever replica. What is rare does not come over sessions.

import { unreachable } from '../../../src/base/assert.ts';
import { utf8 } from '../../../src/base/bytes.ts';
import { type ReplicaId, replicaId } from '../../../src/model/brands.ts';
import type { ClientWrite, StoreCall } from '../../../src/model/calls.ts';
import type { Caller, Operation } from '../../../src/model/store.ts';
import { encodeCall } from '../../../src/session/call-codec.ts';
import type {
  ConnectionEvents,
  OpenWatch,
  SessionAnswer,
  SessionConnection,
  WatchSink,
} from '../../../src/session/client-port.ts';
import { SessionClient } from '../../../src/session/session-client.ts';
import type { SessionWatch } from '../../../src/session/watch-codec.ts';
import type { PlantedBug } from '../bugs/bugs.ts';
import type { SessionLedger } from '../checkers/session-ledger.ts';
import type { FaultMix } from '../faults.ts';
import type { SimulatedGroup } from '../platform/group.ts';
import type { Schedule } from '../platform/schedule.ts';
import { SimulatedSession } from '../platform/simulated-session.ts';
import type { Random } from '../../support/random.ts';
import type { Trace } from '../trace.ts';
import type { ClientAnswer, ClientOperation, ClientRequest, CountedWrites } from './client-operation.ts';

export type ClientSessionsOptions = {
  readonly number: number;
  readonly random: Random;
  readonly schedule: Schedule;
  readonly trace: Trace;
  readonly group: SimulatedGroup;
  readonly ledger: SessionLedger;
  readonly faults: () => FaultMix;
  readonly bug: PlantedBug | null;
  readonly counts: CountedWrites;
};

/** How long the replica may take. */
const deadlineMs = 2_000;

export class ClientSessions {
  readonly #options: ClientSessionsOptions;
  readonly #processId: Uint8Array;
  readonly #sessions = new Map<ReplicaId, SessionClient>();
  readonly #handles = new Map<string, number>();
  readonly #open = new Set<SimulatedSession>();
  readonly #ids = new Map<ClientOperation, number>();
  /** The last attempt of each call at each replica. */
  readonly #cancels = new Map<string, () => void>();
  #lastId = 0;

  constructor(options: ClientSessionsOptions) {
    this.#options = options;
    this.#processId = utf8(`client-${options.number}`.padEnd(16, '.'));
    this.#planCut();
  }

  /** What is asked in another way comes to the replica as a request of its own. */
  carries(request: ClientRequest): boolean {
    return callOf(request) !== null;
  }

  /** `reply` is called once. */
  ask(to: ReplicaId, request: ClientRequest, reply: (answer: ClientAnswer) => void): void {
    const { trace, random, schedule } = this.#options;
    const call = callOf(request);
    if (call === null || request.kind === 'login' || request.kind === 'leader') throw new Error('it is carried');
    const caller = request.kind === 'write' ? request.request.caller : request.caller;
    const session = this.#sessionWith(to);
    const isWrite = request.kind === 'write';
    const id = isWrite ? this.#idOf(request.operation) : ++this.#lastId;
    const writeId = `s.${Buffer.from(this.#processId).toString('hex')}.${id.toString(36)}`;
    if (isWrite) this.#options.ledger.named(writeId, request.operation);
    const handle = this.#handleOf(session, to, caller);
    const mayBeAlone = isWrite && request.mayBeAlone;
    const seen = isWrite ? request.request.seen : undefined;
    const options = { id, handle, deadlineMs, failedLeader: 0, suspectedLeader: 0, mayBeAlone, seen };
    trace.count('calls over sessions');
    // Whoever asks the same replica again has given up the attempt before.
    const attempt = `${to} ${id}`;
    this.#cancels.get(attempt)?.();
    const cancel = session.call(encodeCall(call), options, (answer) => {
      trace.count(`session answers: ${answer.kind}`);
      reply(this.#told(answer, isWrite ? writeId : null));
    });
    this.#cancels.set(attempt, cancel);
    if (!random.chance(this.#options.faults().impatient * 0.2)) return;
    // The client takes the call back. Whether a write is done is unknown then.
    schedule.after(random.exponential(20), () => {
      trace.count('calls cancelled');
      cancel();
    });
  }

  /** Watches over the session with that replica. */
  watch(to: ReplicaId, watch: SessionWatch, caller: Caller, sink: WatchSink): OpenWatch {
    const session = this.#sessionWith(to);
    return session.watch(watch, this.#handleOf(session, to, caller), sink);
  }

  #idOf(operation: ClientOperation): number {
    const known = this.#options.bug === 'resendWithNewId' ? undefined : this.#ids.get(operation);
    const id = known ?? ++this.#lastId;
    this.#ids.set(operation, id);
    return id;
  }

  #told(answer: SessionAnswer, writeId: string | null): ClientAnswer {
    switch (answer.kind) {
      case 'answered':
        return this.#options.ledger.heard(answer) ?? { kind: 'refused', leader: null };
      case 'notLeader': {
        const leader = answer.leader === 0 ? null : replicaId(answer.leader);
        if (writeId === null) return { kind: 'refused', leader };
        return { kind: 'write', writeId, result: { kind: 'notLeader', leader }, ...nowhere };
      }
      case 'absent':
      case 'lost':
      case 'late':
        return { kind: 'refused', leader: null };
      default:
        return unreachable(answer);
    }
  }

  #handleOf(session: SessionClient, to: ReplicaId, caller: Caller): number {
    const text = JSON.stringify(caller);
    const known = this.#handles.get(`${to} ${text}`);
    if (known !== undefined) return known;
    const handle = session.declare({ kind: 'alone', text });
    this.#handles.set(`${to} ${text}`, handle);
    return handle;
  }

  #sessionWith(to: ReplicaId): SessionClient {
    const { schedule, random } = this.#options;
    const known = this.#sessions.get(to);
    if (known !== undefined) return known;
    const later = (delayMs: number, task: () => void): (() => void) => {
      let isWanted = true;
      schedule.after(delayMs, () => {
        if (isWanted) task();
      });
      return () => {
        isWanted = false;
      };
    };
    const session = new SessionClient({
      connect: (events) => this.#connect(to, events),
      processId: this.#processId,
      nowMs: () => schedule.nowMs,
      later,
      soon: (task) => schedule.after(0, task),
      ended: () => {},
      random: () => random.next(),
      counted: this.#options.counts.told,
    });
    this.#sessions.set(to, session);
    return session;
  }

  #connect(to: ReplicaId, events: ConnectionEvents): SessionConnection {
    const { schedule, random, group, bug, trace, faults } = this.#options;
    trace.count('sessions opened');
    const windowBytes = faults().sessionWindowBytes;
    const closed = (): void => {
      this.#open.delete(socket);
      events.closed();
    };
    const socket: SimulatedSession = new SimulatedSession({
      to,
      random,
      schedule,
      bug,
      windowBytes,
      client: { ...events, closed },
    });
    this.#open.add(socket);
    schedule.after(random.exponential(2), () => {
      if (group.find(to)?.openSession(socket) !== true) socket.cut();
    });
    return socket;
  }

  #planCut(): void {
    const { schedule, random, faults, trace } = this.#options;
    const { cutEveryMs } = faults();
    if (cutEveryMs === 0) return;
    schedule.after(random.exponential(cutEveryMs), () => {
      const open = [...this.#open];
      if (faults().cutEveryMs > 0 && open.length > 0) {
        trace.count('sessions cut');
        random.pick(open).cut();
      }
      this.#planCut();
    });
  }
}

const nowhere = { revision: 0, index: 0 } as Pick<Extract<ClientAnswer, { kind: 'write' }>, 'revision' | 'index'>;

const clientWrites: readonly Operation['kind'][] = [
  'put',
  'deleteRange',
  'txn',
  'compact',
  'leaseGrant',
  'leaseRevoke',
];

function isClients(operation: Operation): operation is ClientWrite {
  return clientWrites.includes(operation.kind);
}

/** Null: it does not come over a session. */
function callOf(request: ClientRequest): StoreCall | null {
  switch (request.kind) {
    case 'read':
      return { kind: 'read', request: request.request };
    case 'keepAlive':
      return { kind: 'query', query: { kind: 'keepAlive', id: request.id } };
    case 'write': {
      const { operation } = request.request;
      return isClients(operation) ? { kind: 'write', operation, writeId: null } : null;
    }
    case 'login':
    case 'leader':
      return null;
    default:
      return unreachable(request);
  }
}

/** The credentials of the simulator say who calls. */
export function callerOfText(text: string): Caller {
  return JSON.parse(text) as Caller;
}
