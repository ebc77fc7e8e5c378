// The sessions of one instance of a replica: the production end of each, on the calls that the simulator serves.

import { requestTimeoutMs } from '../../../src/limits.ts';
import type { CallAnswer, Credentials, StoreCall } from '../../../src/model/calls.ts';
import type { Caller } from '../../../src/model/store.ts';
import { type SessionCallFacts, type SessionIdentity, SessionServer } from '../../../src/session/session-server.ts';
import type { SessionWatchPort } from '../../../src/session/watch-server.ts';
import type { PlantedBug } from '../bugs/bugs.ts';
import { ownHeader, type SessionLedger } from '../checkers/session-ledger.ts';
import type { ClientRequest } from '../workloads/client-operation.ts';
import { callerOfText } from '../workloads/client-sessions.ts';
import type { Instance } from './instance.ts';
import type { ReplicaCalls } from './replica-calls.ts';
import type { SimulatedSession } from './simulated-session.ts';
import type { WatchHost } from './watch-host.ts';

export type SessionHostOptions = {
  readonly instance: Instance;
  /** They stay open while the replica sleeps. */
  readonly sockets: Set<SimulatedSession>;
  readonly calls: ReplicaCalls;
  readonly watches: WatchHost;
  readonly ledger: SessionLedger;
  readonly bug: PlantedBug | null;
};

type Settle = (answer: CallAnswer) => void;

export class SessionHost {
  readonly #options: SessionHostOptions;
  readonly #servers = new Map<SimulatedSession, SessionServer>();
  readonly #watches: SessionWatchPort;

  constructor(options: SessionHostOptions) {
    this.#options = options;
    this.#watches = options.watches.ofSessions(
      (task) => this.#catchUp(task),
      () => {
        for (const server of this.#servers.values()) server.caughtUp();
      },
    );
    for (const socket of options.sockets) {
      socket.woken();
      this.begin(socket).welcome();
    }
  }

  begin(socket: SimulatedSession): SessionServer {
    const { instance, sockets } = this.#options;
    const { schedule } = instance;
    const answers = new Answers(this.#options);
    const server = new SessionServer({
      replica: instance.id,
      send: (message) => socket.tell(message),
      close: () => {
        sockets.delete(socket);
        this.#servers.delete(socket);
        socket.dropped();
      },
      identify: (credentials) => answers.identify(credentials),
      begin: (call, facts, settle) => answers.begin(call, facts, settle),
      begun: () => {},
      soon: (task) => instance.after(0, task),
      header: () => ({ ...ownHeader, revision: instance.driver.store.revision }),
      writes: () => instance.driver.store.writesTotal ?? 0,
      nowMs: () => schedule.nowMs,
      hold: () => null,
      mayHold: () => true,
      holdAlways: () => undefined,
      roomMade: () => {},
      declared: () => {},
      released: () => {},
      watches: this.#watches,
      waits: {
        begin: (_, __, settle) => {
          settle({ kind: 'notLeader', leader: 0, members: [] });
          return { leave: () => {}, detach: () => {} };
        },
      },
    });
    this.#servers.set(socket, server);
    return server;
  }

  message(socket: SimulatedSession, bytes: Uint8Array): void {
    this.#servers.get(socket)?.message(bytes);
  }

  closed(socket: SimulatedSession): void {
    this.#servers.get(socket)?.closed();
    this.#servers.delete(socket);
  }

  tick(): void {
    for (const server of this.#servers.values()) server.tick();
  }

  resting(): void {
    for (const server of this.#servers.values()) server.resting();
  }

  /** Without a leader the replica asks again: the task waits as long as its instance lives. */
  #catchUp(task: () => void): void {
    const { calls, instance } = this.#options;
    const awake = instance.stayAwake();
    const ask = (): void =>
      calls.catchUp(instance.schedule.nowMs + requestTimeoutMs, (isCaughtUp) => {
        if (!isCaughtUp) return ask();
        awake();
        task();
      });
    ask();
  }
}

/** The calls of one session, each answered by the replica. */
class Answers {
  readonly #options: SessionHostOptions;
  #first: Caller | null = null;
  #before: CallAnswer | null = null;

  constructor(options: SessionHostOptions) {
    this.#options = options;
  }

  identify(credentials: Credentials): SessionIdentity {
    const caller = credentials.kind === 'alone' ? callerOfText(credentials.text) : null;
    if (caller === null) return { kind: 'failed', failure: { kind: 'accessKeyMissing' } };
    this.#first ??= caller;
    return { kind: 'caller', caller };
  }

  begin(call: StoreCall, facts: SessionCallFacts, settle: Settle): () => void {
    const { calls, ledger, bug } = this.#options;
    const caller = bug === 'handleOfAnother' ? (this.#first ?? facts.caller) : facts.caller;
    let isWanted = true;
    calls.handle(this.#requestOf(call, { ...facts, caller }), (answer) => {
      if (isWanted) settle(this.#told(ledger.answered(answer)));
    });
    return () => {
      isWanted = false;
    };
  }

  /** With a planted bug the answer to the call before comes under the id of this one, now and then. */
  #told(answer: CallAnswer): CallAnswer {
    const before = this.#before;
    this.#before = answer;
    return this.#options.bug === 'answerOfAnother' && before !== null ? before : answer;
  }

  #requestOf(call: StoreCall, { caller, writeId, mayBeAlone, seen }: SessionCallFacts): ClientRequest {
    if (call.kind === 'read') return { kind: 'read', caller, request: call.request };
    if (call.kind === 'query') {
      if (call.query.kind !== 'keepAlive') throw new Error(`no client asks for ${call.query.kind} over a session`);
      return { kind: 'keepAlive', caller, id: call.query.id };
    }
    const operation = this.#options.ledger.operationOf(writeId);
    const { action } = operation;
    // The replica chooses the id of a lease that has none. Here the client has chosen it.
    const isGrant = call.operation.kind === 'leaseGrant' && action.kind === 'write';
    const asked = isGrant ? action.operation : call.operation;
    const request = { writeId, caller, operation: asked, ...(seen === undefined ? {} : { seen }) };
    return { kind: 'write', operation, request, mayBeAlone };
  }
}
