// What the client's end of a session is for whoever uses it (`session-client.ts` makes it): calls on one replica, over
// one WebSocket that is opened anew when it breaks. It finds no leader and asks no other replica: what a replica says
// of that is handed up.

import type { CallAnswer, Credentials, StoreCall } from '../model/calls.ts';

/** Credentials that were declared on a session. It outlives reconnects. */
export type Handle = number;

export type CallOptions = {
  /**
   * Names the call, and a write over all attempts and all replicas: never used again within this process (`processId`).
   * A write that is sent again under its id is applied once.
   */
  readonly id: number;
  readonly handle: Handle;
  /** How long the replica may take. A call that was not answered by then is `late`. */
  readonly deadlineMs: number;
  /**
   * Leaders that did not answer; 0: none. At once `failedLeader`, after a look at it `suspectedLeader` is stood
   * against.
   */
  readonly failedLeader: number;
  readonly suspectedLeader: number;
  /** No attempt before this one may have begun the write (`api/sent-attempts.ts`). False is always right. */
  readonly mayBeAlone: boolean;
};

/** `settle` is called once. */
export type SessionAnswer =
  | CallAnswer
  /**
   * The connection broke, or could not be made: a write may be applied or not. Ask again, here or elsewhere, under the
   * same id.
   */
  | { readonly kind: 'lost' }
  /** No answer came within the deadline: the same is true of it. */
  | { readonly kind: 'late' };

export type ReplicaSession = {
  /** Declares who calls. The same credentials get the same handle as long as it is not released. */
  readonly declare: (credentials: Credentials) => Handle;
  /** Once for each `declare`. */
  readonly release: (handle: Handle) => void;
  /**
   * The function it returns cancels the call: `settle` is not called any more. Calls made in one turn share a message.
   */
  readonly call: (call: StoreCall, options: CallOptions, settle: (answer: SessionAnswer) => void) => () => void;
  /** For good. Calls under way are lost. */
  readonly close: () => void;
};

/** One message each way is one binary message of the WebSocket. */
export type SessionConnection = {
  readonly send: (message: Uint8Array) => void;
  readonly close: () => void;
};

export type ConnectionEvents = {
  readonly opened: () => void;
  readonly message: (message: Uint8Array) => void;
  /** Once, also where it never opened. */
  readonly closed: () => void;
};

/** What the client's end needs. */
export type SessionClientPort = {
  /** A WebSocket to `GET /v1/session?replica=<n>` with the subprotocol of `api/v1/session.ts`, without compression. */
  readonly connect: (events: ConnectionEvents) => SessionConnection;
  /** 16 random bytes, made once for each start of the process. */
  readonly processId: Uint8Array;
  readonly nowMs: () => number;
  /** The function it returns takes the task back. */
  readonly later: (delayMs: number, task: () => void) => () => void;
  /** When all that is under way in this turn of the event loop is done (a microtask or `setImmediate`). */
  readonly soon: (task: () => void) => void;
  /** From 0 to 1. */
  readonly random: () => number;
};
