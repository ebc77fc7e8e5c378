// What is known of a request from its path and its method alone: which function parses it, and what the gateway must
// know before it hands the request on. Types only; `routes.ts` has the endpoints.

import type { ApiCall, ApiRequest, Protocol } from './contract.ts';

/** What is done about an answer that does not come. */
export type Patience =
  /** Another replica is asked meanwhile; the first answer counts. */
  | 'hedged'
  /** The attempt is given up after a while, and another replica asked. */
  | 'bounded'
  /** Nothing: the call waits on purpose, or cannot be sent twice. */
  | 'waits';

/** Which replica answers. Of the two choices the first is taken where the caller makes none. */
export type ServedBy =
  | 'leader'
  /** A read of keys: the header Quorate-Read, or a serializable read, may choose the nearest replica. */
  | 'leaderOrNearest'
  /** A watch: Quorate-Read may choose the leader. */
  | 'nearestOrLeader';

/** How a request's body gets to the replica. */
export type BodyPassage =
  /** The gateway reads all of it first, so that it can be sent again to another leader. */
  | 'whole'
  /** It is handed on as it comes: its messages are answered as they come. */
  | 'asItComes'
  /** Whole where Content-Length says how long it is, and else as it comes. */
  | 'wholeIfMeasured';

/** Whether the operator's token opens a call, for the tenant that the header Quorate-Tenant names. */
export type OperatorAccess = 'none' | 'reads' | 'changes';

/** What all methods of a path have in common. */
export type PathTraits = {
  /** The call logs a user in, so its message may name the tenant that it is for. */
  readonly isLogin: boolean;
  readonly operatorAccess: OperatorAccess;
  /** The answer names the scheme, host and port that the client called. */
  readonly namesOrigin: boolean;
};

/** What is done with the requests of one method on one path. */
export type Endpoint = PathTraits & {
  readonly protocol: Protocol;
  /** Pure: it knows the request alone, and makes of it a call as data with the function that renders its answer. */
  readonly parse: (request: ApiRequest) => ApiCall;
  readonly patience: Patience;
  readonly servedBy: ServedBy;
  readonly body: BodyPassage;
};
