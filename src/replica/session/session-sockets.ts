// Sessions at a replica: the WebSockets behind them, and what each of their calls is served with. The protocol itself
// is in `session/session-server.ts`. The sockets hibernate. An object that wakes says so, and each client declares anew
// what it holds.

import { parseCaller, callerText } from '../../api/caller-text.ts';
import { closeSocket } from '../../api/close-frames.ts';
import type { SessionCall } from '../../api/contract.ts';
import { type Failure, failureResponse, knownFailure } from '../../api/errors/errors.ts';
import type { Reservation } from '../../base/memory-budget.ts';
import { replicaId } from '../../model/brands.ts';
import type { AnswerRoom } from '../../model/answer-room.ts';
import type { CallAnswer, Credentials, ResponseHeader, StoreCall } from '../../model/calls.ts';
import type { Caller } from '../../model/store.ts';
import { type SessionCallFacts, type SessionIdentity, SessionServer } from '../../session/session-server.ts';
import type { Doubts } from '../calls/call-context.ts';
import type { OpenCall, OpenCalls } from '../open-calls.ts';
import type { SessionWatchPort } from '../../session/watch-server.ts';
import { hasTag } from '../socket-tags.ts';
import type { ReplicaWaits } from './session-waits.ts';

/** The part of the object's state that is used here. */
export type SessionHost = Pick<DurableObjectState, 'acceptWebSocket' | 'getWebSockets'>;

export type SessionFacts = Doubts & {
  readonly caller: Caller;
  readonly writeId: string;
  readonly mayBeAlone: boolean;
  readonly seen: number | null | undefined;
  /** Names the session on this replica. */
  readonly session: string;
  /** Where the answer to a read goes. */
  readonly room: AnswerRoom;
  /** Aborts when nobody waits for the answer any more. */
  readonly gone: AbortSignal;
};

export type SessionSocketsOptions = {
  readonly host: SessionHost;
  readonly replica: number;
  readonly open: OpenCalls;
  /** The share of the isolate's memory that a session of this caller holds. */
  readonly memory: (caller: Caller) => Reservation;
  readonly identify: (credentials: Credentials) => SessionIdentity;
  readonly answer: (call: StoreCall, facts: SessionFacts) => Promise<CallAnswer>;
  /** Hands what the calls of a message ask of the store to the store now. */
  readonly submit: () => void;
  readonly watches: SessionWatchPort;
  readonly waits: Pick<ReplicaWaits, 'begin' | 'end'>;
  /** Called when all sessions have ended for good. */
  readonly ended: () => void;
  /** Reads that wait for room may have it now. */
  readonly roomMade: () => void;
  readonly header: () => ResponseHeader;
  /** How many writes of the group were ever remembered. */
  readonly writes: () => number;
  readonly nowMs: () => number;
  readonly broken: (error: unknown) => void;
};

type Session = {
  readonly server: SessionServer;
  readonly memory: Reservation;
  readonly handles: Map<number, OpenCall>;
};

/** The tag that tells these sockets from others of the object. */
const sessionTag = 'session';

export function isSessionSocket(host: Pick<DurableObjectState, 'getTags'>, socket: WebSocket): boolean {
  return hasTag(host, socket, sessionTag);
}

export class SessionSockets {
  readonly #options: SessionSocketsOptions;
  readonly #sessions = new Map<WebSocket, Session>();
  readonly #places = new Map<WebSocket, OpenCall>();
  #sessionsBegun = 0;

  constructor(options: SessionSocketsOptions) {
    this.#options = options;
    // The sockets that an instance before this one accepted.
    for (const socket of options.host.getWebSockets(sessionTag)) {
      const caller = callerOf(socket.deserializeAttachment());
      if (caller !== null) this.#begin(socket, caller).server.welcome();
    }
  }

  open(call: SessionCall, caller: Caller): Response {
    const { host, open } = this.#options;
    const refusal = open.refusal('session', caller);
    if (refusal !== null) return failureResponse(call.protocol, refusal);
    const { 0: client, 1: server } = new WebSocketPair();
    host.acceptWebSocket(server, [sessionTag]);
    server.serializeAttachment(callerText(caller));
    this.#begin(server, caller);
    const headers = { 'sec-websocket-protocol': call.accepted, 'sec-websocket-extensions': noExtension };
    return new Response(null, { status: 101, webSocket: client, headers });
  }

  message(socket: WebSocket, message: string | ArrayBuffer): void {
    const session = this.#sessions.get(socket);
    if (session === undefined) return closeSocket(socket, { kind: 'restarted' });
    if (typeof message === 'string') {
      return this.#end(socket, { kind: 'badRequest', detail: 'a session has binary messages' });
    }
    session.server.message(new Uint8Array(message));
  }

  /** False: the socket is not that of a session, or its session has ended. */
  closed(socket: WebSocket): boolean {
    const session = this.#sessions.get(socket);
    session?.server.closed();
    this.#forget(socket);
    return session !== undefined;
  }

  /** Called by the replica's clock: calls that are past their time are answered so. */
  tick(): void {
    for (const { server } of this.#sessions.values()) server.tick();
  }

  /** Called when watches may have caught up. */
  caughtUp(): void {
    for (const { server } of this.#sessions.values()) server.caughtUp();
  }

  /** Called before the object may be put to sleep. */
  resting(): void {
    for (const { server } of this.#sessions.values()) server.resting();
  }

  /** False: a client must read, or be left by the clock, which stops where the object sleeps. */
  mayRest(): boolean {
    return ![...this.#sessions.values()].some(({ server }) => server.isBehind);
  }

  /** Called when the replica serves no more. */
  end(failure: Failure): void {
    for (const { server } of this.#sessions.values()) server.goAway(failure);
    this.#options.waits.end();
    this.#options.ended();
  }

  #begin(socket: WebSocket, caller: Caller): Session {
    const { open, replica, identify, submit, roomMade, header, writes, nowMs, watches, waits } = this.#options;
    const memory = this.#options.memory(caller);
    const handles = new Map<number, OpenCall>();
    const name = `s ${this.#sessionsBegun++}`;
    const server: SessionServer = new SessionServer({
      replica,
      send: (message) => send(socket, message),
      close: (failure) => this.#end(socket, knownFailure(failure)),
      identify,
      begin: (call, facts, settle) => this.#answer(call, { ...facts, session: name }, settle),
      begun: submit,
      soon: (task) => this.#soon(task),
      header,
      writes,
      nowMs,
      watches,
      waits: { begin: (wait, facts, settle) => waits.begin(wait, { ...facts, session: name }, settle) },
      hold: (bytes) => {
        const lacking = memory.hold(bytes);
        return lacking === null ? null : { kind: 'memoryFull', of: lacking };
      },
      mayHold: (bytes) => memory.mayHold(bytes),
      holdAlways: (bytes) => void memory.holdAlways(bytes),
      roomMade,
      declared: (handle, by) => {
        const refusal = open.refusal('sessionHandle', by);
        if (refusal !== null) return server.endHandle(handle, refusal);
        const end = (failure: Failure): void => server.endHandle(handle, failure);
        const place: OpenCall = { kind: 'sessionHandle', caller: by, end, probe: null };
        handles.set(handle, place);
        open.add(place);
      },
      released: (handle) => {
        const place = handles.get(handle);
        if (handles.delete(handle) && place !== undefined) open.delete(place);
      },
    });
    const session: Session = { server, memory, handles };
    this.#sessions.set(socket, session);
    const place: OpenCall = { kind: 'session', caller, end: (failure) => server.goAway(failure), probe: null };
    this.#places.set(socket, place);
    open.add(place);
    return session;
  }

  #answer(
    call: StoreCall,
    facts: SessionCallFacts & { readonly session: string },
    settle: (answer: CallAnswer) => void,
  ): () => void {
    const { caller, writeId, suspectedLeader, mayBeAlone, seen, room, session } = facts;
    const gone = new AbortController();
    const doubts = { failedLeader: null, suspectedLeader: replicaOrNone(suspectedLeader) };
    this.#options
      .answer(call, { ...doubts, caller, writeId, mayBeAlone, seen, room, session, gone: gone.signal })
      .then(settle, this.#options.broken);
    return () => gone.abort();
  }

  /**
   * All answers of a turn settle in one run of microtasks, one after the other. A task that waits for a few microtasks
   * comes after them all.
   */
  #soon(task: () => void): void {
    const { broken } = this.#options;
    let turns = microtasksOfTurn;
    const next = (): void => {
      if (--turns > 0) return queueMicrotask(next);
      try {
        task();
      } catch (error) {
        broken(error);
      }
    };
    queueMicrotask(next);
  }

  #end(socket: WebSocket, failure: Failure): void {
    // Until its client has closed it, too, the socket is there, and more may come on it. All of that is ignored.
    socket.serializeAttachment(null);
    closeSocket(socket, failure);
    this.#forget(socket);
  }

  #forget(socket: WebSocket): void {
    const session = this.#sessions.get(socket);
    this.#sessions.delete(socket);
    session?.memory.release();
    const place = this.#places.get(socket);
    this.#places.delete(socket);
    if (place !== undefined) this.#options.open.delete(place);
  }
}

/**
 * Compression of small frames costs more than it saves. The platform agrees to compress whenever the client offers it,
 * unless the answer has this header. A name that the platform does not know is not sent.
 */
const noExtension = 'none';

/** More microtasks than the ways of two calls from the store's answer to the session's differ by. */
const microtasksOfTurn = 8;

export function replicaOrNone(number: number): ReturnType<typeof replicaId> | null {
  return number === 0 ? null : replicaId(number);
}

/** Null: the session has ended, or its attachment is of another form. */
function callerOf(attachment: unknown): Caller | null {
  return typeof attachment === 'string' ? parseCaller(attachment) : null;
}

function send(socket: WebSocket, message: Uint8Array): void {
  try {
    socket.send(message);
  } catch {
    // The client has gone, and the platform says so with an event of its own.
  }
}
