// The client's end of a session as its user sees it (`session-client.ts` makes it): calls on one replica, over one
// WebSocket that is opened anew when it breaks. It finds no leader and asks no other replica. What a replica says of
// the leader is handed on.

import type { CallAnswer, Credentials, FailureData, ResponseHeader } from '../model/calls.ts';
import type { RevisionEvents } from '../model/store.ts';
import type { SessionWait, WaitAnswer } from '../model/waits.ts';
import type { SessionWatch } from './watch-codec.ts';

/** Credentials that were declared on a session. A handle outlives the connection. */
export type Handle = number;

export type CallOptions = {
  /**
   * Names the call, and names a write over all attempts and all replicas, so an id is never used again within this
   * process (`processId`). A write that is sent again under its id is applied once.
   */
  readonly id: number;
  readonly handle: Handle;
  /** The time in which the replica may answer. A call that was not answered by then is `late`. */
  readonly deadlineMs: number;
  /**
   * Leaders that could not be reached, or did not answer. 0: there are none. The replica stands for election against
   * one of them after it has made sure.
   */
  readonly failedLeader: number;
  readonly suspectedLeader: number;
  /** True: no attempt before this one may have begun the write (`api/sent-attempts.ts`). False is always right. */
  readonly mayBeAlone: boolean;
  /**
   * Of a write: how many writes its sender had been told of (`SessionClientPort.counted`) before its first attempt, the
   * same in all attempts. Null: it was told of no count. undefined: the call is no write.
   */
  readonly seen: number | null | undefined;
};

/** `settle` is called once. */
export type SessionAnswer =
  | CallAnswer
  /**
   * The connection broke, or could not be made, so a write may be applied or not. Ask again, here or elsewhere, under
   * the same id.
   */
  | { readonly kind: 'lost' }
  /** No answer came within the deadline, so the same is true of the write. */
  | { readonly kind: 'late' };

/** The term of the replica that told this, and the store's revision as its header has it. */
export type ToldAt = { readonly raftTerm: number; readonly revision: number };

/** Who hears of a watch. */
export type WatchSink = {
  /** This comes once, before anything else but `interrupted` and `ended`. Every event from `from` on follows. */
  readonly created: (told: { readonly header: ResponseHeader; readonly from: number }) => void;
  /** Watches that are told the same get the very same events. */
  readonly events: (revisions: readonly RevisionEvents[], at: ToldAt) => void;
  /** All events up to this revision were told. */
  readonly progress: (at: ToldAt) => void;
  /**
   * The connection broke. The watch goes on by itself when there is another one, without a gap. Whoever does not want
   * to wait cancels it, and watches elsewhere from `next`. `why`: what the replica said of it; null: nothing.
   */
  readonly interrupted: (why: FailureData | null) => void;
  /** The watch was refused or has ended. `next`: the first revision that was not told; null: it was never created. */
  readonly ended: (failure: FailureData, next: number | null) => void;
};

export type OpenWatch = {
  /** The first revision of which the sink was not told. Null: the watch was not created yet. */
  readonly next: () => number | null;
  /** The sink gets `progress` once the watch was told all that was acknowledged before this. */
  readonly askProgress: () => void;
  /** The sink hears nothing any more. */
  readonly cancel: () => void;
};

/** Who hears of a wait. */
export type WaitSink = {
  /** This comes once, and is the end of the wait. Of `notLeader`: the same wait goes to another replica, by its id. */
  readonly settled: (answer: WaitAnswer) => void;
  /**
   * The connection broke. The wait goes on by itself when there is another one, in the same place. Whoever does not
   * want to wait for that leaves, and waits at another replica under the same id.
   */
  readonly interrupted: () => void;
};

/** `id`, `handle`, and the rest are as for calls. */
export type WaitOptions = Pick<CallOptions, 'id' | 'handle' | 'suspectedLeader' | 'mayBeAlone'>;

export type OpenWait = {
  /**
   * The sink hears nothing any more. While the connection is there the replica gives the place up, also where its turn
   * came a moment ago, and the id is not used again.
   */
  readonly leave: () => void;
};

export type ReplicaSession = {
  /** Calls that were not answered. */
  readonly callsUnderWay: number;
  /** Whether the connection is there, so that a call leaves at once. */
  readonly isOpen: boolean;
  /**
   * Called where another replica has answered what was asked here. If nothing came since that moment (of `nowMs`), the
   * connection ends, with the calls on it, so that what is asked next does not wait behind what hangs.
   */
  readonly endIfSilent: (sinceMs: number) => void;
  /** Opens the connection, unless it is there, is being opened, or broke a moment ago. */
  readonly open: () => void;
  /** Declares who calls. The same credentials get the same handle until the handle is released. */
  readonly declare: (credentials: Credentials) => Handle;
  /** It is called once for each `declare`, after the watches of the handle were cancelled. */
  readonly release: (handle: Handle) => void;
  /**
   * The function that this returns cancels the call: then `settle` is not called any more. Calls that are made in one
   * turn share a message. `call`: the bytes of `call-codec.ts`.
   */
  readonly call: (call: Uint8Array, options: CallOptions, settle: (answer: SessionAnswer) => void) => () => void;
  /** Any replica serves it. It lives until it is cancelled or ends, whatever becomes of connections. */
  readonly watch: (watch: SessionWatch, handle: Handle, sink: WatchSink) => OpenWatch;
  /**
   * Takes a place in a queue and waits for its turn, however long that takes. Only the leader serves it. A place whose
   * client was away for `sessionWaitGraceMs` has to be taken anew.
   */
  readonly wait: (wait: SessionWait, options: WaitOptions, sink: WaitSink) => OpenWait;
  /** Closes the session for good. Calls under way are lost, and watches and waits go on no more. */
  readonly close: () => void;
};

/** Each message, in either direction, is one binary message of the WebSocket. */
export type SessionConnection = {
  readonly send: (message: Uint8Array) => void;
  readonly close: () => void;
};

export type ConnectionEvents = {
  readonly opened: () => void;
  readonly message: (message: Uint8Array) => void;
  /** It is called once, also if the connection never opened. */
  readonly closed: () => void;
};

/** What the client's end needs of the world. */
export type SessionClientPort = {
  /** A WebSocket to `GET /v1/session?replica=<n>` with the subprotocol of `api/v1/session.ts`, without compression. */
  readonly connect: (events: ConnectionEvents) => SessionConnection;
  /** 16 random bytes, made once for each start of the process. */
  readonly processId: Uint8Array;
  readonly nowMs: () => number;
  /** The function that this returns takes the task back. */
  readonly later: (delayMs: number, task: () => void) => () => void;
  /**
   * Runs the task when everything that is under way in this turn of the event loop is done (a microtask or
   * `setImmediate`).
   */
  readonly soon: (task: () => void) => void;
  /**
   * The credentials of a handle are no good any more, or never were. Calls with that handle are refused for the same
   * reason.
   */
  readonly ended: (handle: Handle, failure: FailureData) => void;
  /** So many writes of the group were ever remembered, as the replica knows. */
  readonly counted: (writes: number) => void;
  /** A random number from 0 to 1. */
  readonly random: () => number;
};
