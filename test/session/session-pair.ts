// Both ends of a session on a network and a clock of the test's own. Whatever is due runs in the order of time.

import { assert } from '../../src/base/assert.ts';
import { utf8 } from '../../src/base/bytes.ts';
import type { CallAnswer, Credentials, FailureData, StoreCall } from '../../src/model/calls.ts';
import type { Caller, StoreEvent } from '../../src/model/store.ts';
import type { SessionWait, WaitAnswer } from '../../src/model/waits.ts';
import type { OpenCall } from '../../src/replica/open-calls.ts';
import type { Failure } from '../../src/api/errors/failures.ts';
import { encodeCall } from '../../src/session/call-codec.ts';
import type { CallOptions, ConnectionEvents, SessionAnswer } from '../../src/session/client-port.ts';
import { SessionClient } from '../../src/session/session-client.ts';
import { type SessionCallFacts, SessionServer } from '../../src/session/session-server.ts';
import type { WaitFacts } from '../../src/session/wait-server.ts';
import { WatchHub } from '../../src/mvcc/watch/watch-hub.ts';
import { ReplicaWatches } from '../../src/replica/session/session-watches.ts';
import { PlainHistory } from '../mvcc/watch/plain-history.ts';

export const header = { clusterId: '11', memberId: '12', raftTerm: 3, revision: 9 };
export const latencyMs = 5;

export type Begun = {
  readonly call: StoreCall;
  readonly facts: SessionCallFacts;
  readonly answer: (answer: CallAnswer) => void;
  cancelled: boolean;
};

export type BegunWait = {
  readonly wait: SessionWait;
  readonly facts: WaitFacts;
  readonly settle: (answer: WaitAnswer) => void;
  ended: 'left' | 'detached' | null;
};

type Task = { readonly atMs: number; readonly run: () => void; dead: boolean };

function callerOf(credentials: Credentials): Caller | null {
  return credentials.kind === 'alone' && credentials.text.startsWith('good')
    ? { kind: 'accessKey', id: credentials.text }
    : null;
}

export class SessionPair {
  nowMs = 1_000;
  readonly client: SessionClient;
  server: SessionServer | null = null;
  readonly begun: Begun[] = [];
  /** How many times the calls of a message had all begun. */
  turns = 0;
  /** What waits, as the replica was asked, each with what was done to it. */
  readonly waits: BegunWait[] = [];
  held = 0;
  /** How often there may have been room for more answers. */
  roomMade = 0;
  heldMax = Infinity;
  connections = 0;
  /** Messages that arrived, each way. */
  readonly toServer: Uint8Array[] = [];
  readonly toClient: Uint8Array[] = [];
  readonly closedWith: FailureData[] = [];
  /** The network takes nothing, and says nothing. */
  silent = false;
  refuses = false;
  /** Connections neither open nor fail. */
  hangs = false;
  /** What arrives is not given to the client, which another one stands in for. */
  mute = false;
  random = 0.5;
  readonly declared: number[] = [];
  /** The writes that were ever remembered. */
  writes = 0;
  /** What the client was told of them. */
  readonly counted: number[] = [];
  /** What the client was told of handles that ended. */
  readonly ended: (readonly [number, string])[] = [];
  /** What the store holds, and who watches it. An object that slept has another hub. */
  readonly history = new PlainHistory();
  hub = new WatchHub(this.history);
  /** How long it takes until the replica knows all that was acknowledged. Infinity: there is no leader. */
  catchUpMs = 2;
  watchFailure: Failure | null = null;
  /** The header has the store's revision, and not one that is always the same. */
  tellsRevision = false;
  /** The watches that are open, as the replica counts them. */
  readonly openWatches = new Set<OpenCall>();
  #events: ConnectionEvents | null = null;
  #tasks: Task[] = [];
  #soon: (() => void)[] = [];

  constructor() {
    this.client = new SessionClient({
      connect: (events) => this.#connect(events),
      processId: utf8('0123456789abcdef'),
      nowMs: () => this.nowMs,
      later: (delayMs, task) => this.#at(this.nowMs + delayMs, task),
      soon: (task) => void this.#soon.push(task),
      ended: (handle, failure) => void this.ended.push([handle, failure.kind]),
      random: () => this.random,
      counted: (writes) => void this.counted.push(writes),
    });
  }

  /** What a call gets, once it gets it. */
  ask(
    call: StoreCall,
    options: Partial<CallOptions> & { id: number; handle: number },
  ): { answer: SessionAnswer | null } {
    const asked: { answer: SessionAnswer | null } = { answer: null };
    this.client.call(
      encodeCall(call),
      { deadlineMs: 5_000, failedLeader: 0, suspectedLeader: 0, mayBeAlone: false, seen: undefined, ...options },
      (answer) => {
        assert(asked.answer === null, 'a call settles once');
        asked.answer = answer;
      },
    );
    return asked;
  }

  run(forMs: number): void {
    const untilMs = this.nowMs + forMs;
    for (;;) {
      this.#runSoon();
      const next = this.#tasks.filter(({ dead }) => !dead).toSorted((left, right) => left.atMs - right.atMs)[0];
      if (next === undefined || next.atMs > untilMs) break;
      this.nowMs = next.atMs;
      next.dead = true;
      next.run();
    }
    this.#tasks = this.#tasks.filter(({ dead }) => !dead);
    this.nowMs = untilMs;
  }

  /** The connection breaks. */
  cut(): void {
    const events = this.#events;
    this.#events = null;
    this.server?.closed();
    this.server = null;
    events?.closed();
  }

  /** The object forgets what it held, and its socket stays. */
  sleep(): void {
    assert(this.server !== null, 'there is a session');
    this.hub = new WatchHub(this.history);
    // Nothing of the instance before this one goes on.
    this.server.closed();
    this.server = this.#newServer();
    this.server.welcome();
  }

  /** What a replica says that this project did not write. */
  tell(message: Uint8Array): void {
    this.#events?.message(message);
  }

  /** One revision with these events, which all replicas have. */
  commit(...events: readonly StoreEvent[]): void {
    this.hub.publish([this.history.commit(events)], this.history.revision);
    this.#pump();
  }

  compact(revision: number): void {
    this.history.compactedRevision = revision;
    this.hub.compacted(revision);
  }

  #pump(): void {
    this.#at(this.nowMs, () => {
      if (this.hub.catchUp()) this.#pump();
      else this.server?.caughtUp();
    });
  }

  #connect(events: ConnectionEvents): { send: (message: Uint8Array) => void; close: () => void } {
    this.connections++;
    this.#events = events;
    const isThis = (): boolean => this.#events === events;
    this.#at(this.nowMs + latencyMs, () => {
      if (this.hangs) return;
      if (this.refuses) return events.closed();
      this.server = this.#newServer();
      events.opened();
    });
    return {
      send: (message) => {
        const copy = message.slice();
        this.#at(this.nowMs + latencyMs, () => {
          if (!isThis() || this.silent) return;
          this.toServer.push(copy);
          this.server?.message(copy);
        });
      },
      close: () => {
        if (!isThis()) return;
        this.#events = null;
        this.server?.closed();
        this.server = null;
        events.closed();
      },
    };
  }

  #newServer(): SessionServer {
    const events = this.#events;
    this.openWatches.clear();
    const watches = new ReplicaWatches({
      hub: this.hub,
      open: {
        refusal: () => null,
        add: (call) => void this.openWatches.add(call),
        delete: (call) => void this.openWatches.delete(call),
      },
      authorize: () => this.watchFailure,
      caughtUp: (task) => void this.#at(this.nowMs + this.catchUpMs, task),
      goOn: () => this.#pump(),
    });
    return new SessionServer({
      replica: 1,
      send: (message) => {
        const copy = message.slice();
        this.#at(this.nowMs + latencyMs, () => {
          if (this.#events !== events || this.silent) return;
          this.toClient.push(copy);
          if (!this.mute) events?.message(copy);
        });
      },
      close: (failure) => {
        this.closedWith.push(failure);
        this.#at(this.nowMs + latencyMs, () => {
          if (this.#events === events) this.cut();
        });
      },
      identify: (credentials) => {
        const caller = callerOf(credentials);
        return caller === null
          ? { kind: 'failed', failure: { kind: 'accessKeyInvalid', given: 'other' } }
          : { kind: 'caller', caller };
      },
      begin: (call, facts, answer) => {
        const begun: Begun = { call, facts, answer, cancelled: false };
        this.begun.push(begun);
        return () => {
          begun.cancelled = true;
        };
      },
      begun: () => {
        this.turns++;
      },
      soon: (task) => void this.#soon.push(task),
      header: () => (this.tellsRevision ? { ...header, revision: this.history.revision } : header),
      writes: () => this.writes,
      nowMs: () => this.nowMs,
      hold: (bytes) => {
        if (bytes > this.heldMax && bytes > this.held) return { kind: 'memoryFull', of: 'key' };
        this.held = bytes;
        return null;
      },
      mayHold: (bytes) => bytes <= this.heldMax,
      holdAlways: (bytes) => void (this.held = bytes),
      roomMade: () => {
        this.roomMade++;
      },
      declared: (handle) => void this.declared.push(handle),
      released: (handle) => void this.declared.splice(this.declared.indexOf(handle), 1),
      watches,
      waits: {
        begin: (wait, facts, settle) => {
          const begun: BegunWait = { wait, facts, settle, ended: null };
          this.waits.push(begun);
          return { leave: () => (begun.ended = 'left'), detach: () => (begun.ended = 'detached') };
        },
      },
    });
  }

  #at(atMs: number, run: () => void): () => void {
    const task: Task = { atMs, run, dead: false };
    this.#tasks.push(task);
    return () => {
      task.dead = true;
    };
  }

  #runSoon(): void {
    while (this.#soon.length > 0) for (const task of this.#soon.splice(0)) task();
  }
}
