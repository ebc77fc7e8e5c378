// What is known of a call beside its message, and what it is served with. A call came as a request of the gateway or as
// a message of a socket (`framed-calls.ts`).

import type { FramesCall, SessionCall, WatchCall } from '../../api/contract.ts';
import type { ReplicaId } from '../../model/brands.ts';
import type { Caller } from '../../model/store.ts';
import type { Services } from '../services.ts';

/** What the gateway says of leaders that did not answer. */
export type Doubts = {
  /** The leader that the gateway could not reach. */
  readonly failedLeader: ReplicaId | null;
  /** The leader that has not answered the gateway for a while. */
  readonly suspectedLeader: ReplicaId | null;
};

export type CallFacts = Doubts & {
  readonly caller: Caller;
  /** The gateway's id for the write, where the client gave none. */
  readonly writeId: string;
  /** Whoever sent this attempt knows what becomes of each: a write may be refused for this one alone (`Write`). */
  readonly mayBeAlone: boolean;
  /** Scheme, host and port that the client called. */
  readonly origin: string;
  /** Aborts when the client goes away, where that is known; null: it is not. */
  readonly gone: AbortSignal | null;
};

/**
 * Opens what a call may go on as once it is answered. A call that is itself a message of a socket goes on as nothing.
 */
export type Openings = {
  readonly openWatch: (call: WatchCall) => Response | Promise<Response>;
  readonly openFrames: (call: FramesCall) => Response;
  readonly openSession: (call: SessionCall) => Response;
  /** null: the body of the call has ended, and is all that there is to answer. */
  readonly openKeepAlives: ((timeoutMs: number | null) => Promise<Response>) | null;
};

export type CallContext = CallFacts & { readonly services: Services; readonly openings: Openings };
