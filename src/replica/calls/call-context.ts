// What is known of a call beside its message, and the parts of the replica that serve it. A call comes as a request of
// the gateway or as a message of a socket (`framed-calls.ts`).

import type { FramesCall, SessionCall, WatchCall } from '../../api/contract.ts';
import type { AnswerRoom } from '../../model/answer-room.ts';
import type { ReplicaId } from '../../model/brands.ts';
import type { Caller } from '../../model/store.ts';
import type { Services } from '../services.ts';

/** The leaders that did not answer the gateway. */
export type Doubts = {
  /** The leader that the gateway could not reach. */
  readonly failedLeader: ReplicaId | null;
  /** The leader that has not answered the gateway for a while. */
  readonly suspectedLeader: ReplicaId | null;
};

export type CallFacts = Doubts & {
  readonly caller: Caller;
  /** The gateway's id for the write, for a client that gave no id. */
  readonly writeId: string;
  /** Whoever sent this attempt knows what becomes of each: a write may be refused for this one alone (`Write`). */
  readonly mayBeAlone: boolean;
  /**
   * How many writes the sender had been told of before it first sent this one; null: it was told of no count yet.
   * undefined: it does not count.
   */
  readonly seen: number | null | undefined;
  /** Scheme, host and port that the client called. */
  readonly origin: string;
  /** Aborts when the client goes away; null: the platform would not tell of that. */
  readonly gone: AbortSignal | null;
};

/**
 * Opens the sockets and streams that answer a call. A call that is itself a message of a socket is never answered by
 * another socket.
 */
export type Openings = {
  readonly openWatch: (call: WatchCall) => Response | Promise<Response>;
  readonly openFrames: (call: FramesCall) => Response;
  readonly openSession: (call: SessionCall) => Response;
  /** null: the body of the call has ended, and each of its messages is answered in one response. */
  readonly openKeepAlives: ((timeoutMs: number | null) => Promise<Response>) | null;
};

/** What a call comes with. */
export type CallOrigin = CallFacts & { readonly services: Services; readonly openings: Openings };

export type CallContext = CallOrigin & {
  /** Where the answer to a read goes. */
  readonly room: AnswerRoom;
};
