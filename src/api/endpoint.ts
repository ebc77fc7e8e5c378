// What is known of a request from its path and its method alone: which function parses it, and what the gateway must
// know before it hands the request on. Types only; `routes.ts` has the endpoints.

import type { ApiCall, ApiRequest, Protocol } from './contract.ts';

/** What is done about an answer that does not come. */
export type Patience =
  /** Another replica is asked beside the first one, and the first answer counts. */
  | 'hedged'
  /** The attempt is given up after a while, and another replica is asked. */
  | 'bounded'
  /** The attempt goes on: the call waits on purpose, or cannot be sent twice. */
  | 'waits';

/** Which replica answers. Where the name has two, the first one answers unless the caller chooses the other. */
export type ServedBy =
  | 'leader'
  /** A read of keys. The header Quorate-Read or a serializable read can choose the nearest replica. */
  | 'leaderOrNearest'
  /** A watch. The header Quorate-Read can choose the leader. */
  | 'nearestOrLeader';

/** How a request's body gets to the replica. */
export type BodyPassage =
  /** The gateway reads the whole body first, so that it can send it again to another leader. */
  | 'whole'
  /** The body is handed on as it comes, and each message in it is answered as it comes. */
  | 'asItComes'
  /** As `whole` where Content-Length says how long the body is, and else as `asItComes`. */
  | 'wholeIfMeasured';

/**
 * Whether the operator's token opens the call, on the tenant that the header Quorate-Tenant names, and whether the call
 * changes anything.
 */
export type OperatorAccess = 'none' | 'reads' | 'changes';

/** What all methods of a path have in common. */
export type PathTraits = {
  /** The call logs a user in, and its message may name the tenant. */
  readonly isLogin: boolean;
  readonly operatorAccess: OperatorAccess;
  /** The answer names the scheme, host and port that the client called. */
  readonly namesOrigin: boolean;
};

/** What is done with the requests of one method on one path. */
export type Endpoint = PathTraits & {
  readonly protocol: Protocol;
  /**
   * Makes of a request a call: data, and the function that renders its answer. It is pure and uses nothing but the
   * request.
   */
  readonly parse: (request: ApiRequest) => ApiCall;
  readonly patience: Patience;
  readonly servedBy: ServedBy;
  readonly body: BodyPassage;
};
