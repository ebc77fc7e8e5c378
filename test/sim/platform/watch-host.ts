// The production watch service of one instance of a replica, with what an object has around it: sockets that sleep and
// wake with it, and timers that end with it.

import type { WatchCall } from '../../../src/api/contract.ts';
import { type Caller, type Command, type RevisionEvents } from '../../../src/model/store.ts';
import type { Revision } from '../../../src/model/brands.ts';
import { assert } from '../../../src/base/assert.ts';
import { accessOfRange } from '../../../src/mvcc/auth/access.ts';
import { MemoryBudget } from '../../../src/base/memory-budget.ts';
import { OpenCalls } from '../../../src/replica/open-calls.ts';
import { ReplicaWatches } from '../../../src/replica/session/session-watches.ts';
import { decodeAttachment, encodeStream } from '../../../src/replica/watch/watch-attachment.ts';
import { WatchService } from '../../../src/replica/watch/watch-service.ts';
import type { SessionWatchPort } from '../../../src/session/watch-server.ts';
import type { PlantedBug } from '../bugs/bugs.ts';
import type { Instance } from './instance.ts';
import type { SimulatedSocket } from './simulated-socket.ts';

/** The sockets that a replica holds, awake or asleep. */
export type HeldSockets = Set<SimulatedSocket>;

export type WatchHostOptions = {
  readonly instance: Instance;
  readonly sockets: HeldSockets;
  /** Joins a socket that is being accepted to this replica. */
  readonly accepted: (socket: SimulatedSocket) => void;
  readonly bug: PlantedBug | null;
};

/** The memory of an isolate does not matter here. */
const boundless = {
  bytesMax: Number.POSITIVE_INFINITY,
  tenantBytesMax: Number.POSITIVE_INFINITY,
  keyBytesMax: Number.POSITIVE_INFINITY,
};

export class WatchHost {
  readonly #options: WatchHostOptions;
  readonly #service: WatchService;
  readonly #open: OpenCalls;
  #accepting: SimulatedSocket | null = null;

  constructor(options: WatchHostOptions) {
    const { instance, sockets, bug } = options;
    const { driver, nowMs } = instance;
    const { store } = driver;
    this.#options = options;
    for (const socket of sockets) wake(socket, bug);
    this.#open = new OpenCalls({
      most: () => null,
      keyFailure: (caller) => store.authorizeKey(caller, { kind: 'anyone' }, nowMs()),
      // Access keys of the simulator never expire.
      expiresAtMs: () => null,
      nowMs,
      later: (task, delayMs) => this.#later(task, delayMs),
    });
    this.#service = new WatchService({
      durable: null,
      limits: { watchesMax: () => null, moved: () => undefined },
      sockets: { accept: () => this.#accept(), open: () => [...sockets], heardMs: () => null },
      history: store,
      sql: instance.sql,
      open: this.#open,
      memory: () => new MemoryBudget(boundless).reserve({ tenant: '', key: '' }),
      header: (revision) => ({ clusterId: '1', memberId: String(instance.id), raftTerm: driver.raft.term, revision }),
      authorize: (caller, range) => store.authorize(caller, accessOfRange(range), nowMs()),
      mayGoOn: (caller, range) => store.authorizeKey(caller, accessOfRange(range), nowMs()),
      nowMs,
      later: (task, delayMs) => this.#later(task, delayMs),
    });
  }

  /** The watches of sessions. `caughtUp` is called when some of them may have caught up. */
  ofSessions(catchUp: SessionWatchPort['caughtUp'], caughtUp: () => void): SessionWatchPort {
    const service = this.#service;
    service.caughtUp = caughtUp;
    const { driver, nowMs } = this.#options.instance;
    return new ReplicaWatches({
      hub: service.hub,
      open: this.#open,
      authorize: (caller, range) => driver.store.authorize(caller, accessOfRange(range), nowMs()),
      caughtUp: catchUp,
      goOn: () => service.pump(),
    });
  }

  /** Returns why the socket was refused. Null: it is open. */
  open(call: WatchCall, socket: SimulatedSocket, caller: Caller): Promise<string> | null {
    this.#accepting = socket;
    const answer = this.#service.open(call, request, caller);
    this.#accepting = null;
    assert(answer instanceof Response, 'a socket is opened in one turn');
    return answer.status === switched.status ? null : answer.text();
  }

  message(socket: SimulatedSocket, text: string): void {
    this.#service.webSocketMessage(socket, requestWithBug(text, this.#options.bug));
  }

  closed(socket: SimulatedSocket): void {
    this.#service.webSocketClose(socket);
  }

  published(events: readonly RevisionEvents[], revision: Revision): void {
    this.#service.published(events, revision);
  }

  /** Tells the watches, as the object does. */
  applied(commands: readonly Command[]): void {
    for (const { operation } of commands) {
      if (operation.kind === 'compact') this.#service.compacted();
      if (operation.kind === 'revokeAccessKey') this.#open.keysChanged();
    }
  }

  tick(): void {
    this.#service.tick(this.#options.instance.nowMs());
  }

  resting(): void {
    this.#service.flush();
  }

  #accept(): { readonly socket: SimulatedSocket; readonly answer: Response } {
    const socket = this.#accepting;
    assert(socket !== null, 'a socket is accepted while it is opened');
    this.#options.accepted(socket);
    return { socket, answer: switched };
  }

  #later(task: () => void, delayMs: number): () => void {
    const { instance } = this.#options;
    // A timer that is set keeps the object in memory.
    const done = instance.stayAwake();
    let isSet = true;
    const end = (): void => {
      if (isSet) done();
      isSet = false;
    };
    instance.after(delayMs, () => {
      if (!isSet) return;
      end();
      instance.run(task);
    });
    return end;
  }
}

/** Nothing looks at the request where a socket is opened. */
const request = new Request('http://replica/v1/watch');
/** Node allows no answer with status 101. */
const switched = new Response(null, { status: 204 });

function wake(socket: SimulatedSocket, bug: PlantedBug | null): void {
  socket.woken();
  const shift = bug === 'watchRestoredLate' ? 1 : bug === 'watchRestoredEarly' ? -1 : 0;
  const attachment = shift === 0 ? null : decodeAttachment(socket.deserializeAttachment());
  if (attachment?.kind !== 'saved') return;
  const { stream } = attachment;
  const watches = stream.watches.map((watch) => ({ ...watch, next: Math.max(1, watch.next + shift) }));
  socket.serializeAttachment(encodeStream({ ...stream, watches }));
}

/** The start of a v3 watch, whose answer does not say where it begins. */
function requestWithBug(text: string, bug: PlantedBug | null): string {
  if (bug !== 'watchStartsEarly') return text;
  return text.replace(/"start_revision":"(\d+)"/, (_, start) => `"start_revision":"${Math.max(1, Number(start) - 1)}"`);
}
