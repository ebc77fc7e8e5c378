// The calls that are neither on keys nor watches: leases, users, locks, elections, maintenance, members, health. Types,
// and one constant. Each type says what a replica has to do for its call, and `respond` makes the answer of what came
// of it.

import type { Answer } from './answer.ts';
import type { LeaseId } from '../model/brands.ts';
import type { Operation, Outcome, RangeRequest } from '../model/store.ts';
import type { Query, QueryResult } from '../model/queries.ts';
import type { Acquired, Elected, Hold, Locked } from '../model/waits.ts';
import type { Bounded, ResponseHeader, Transport, WriteCondition } from './call-parts.ts';
import type { Failure } from './errors/failures.ts';

/** What came of a call that the replica does itself. */
export type Result<Answer> =
  | { readonly kind: 'answer'; readonly answer: Answer }
  | { readonly kind: 'failed'; readonly failure: Failure };

// Leases and what else is read

/** A linearizable read: the store checks whether the caller may ask the query, and answers it. */
export type QueryCall = Bounded & {
  readonly kind: 'query';
  readonly query: Query;
  respond(result: QueryResult, header: ResponseHeader): Answer;
};

/**
 * The leader answers, because only the leader knows how long a lease has still to live. `remainingSeconds` is rounded
 * down; null where the lease is past its deadline, even before it is gone.
 */
export type TimeToLiveCall = Bounded & {
  readonly kind: 'timeToLive';
  readonly query: Extract<Query, { readonly kind: 'timeToLive' }>;
  respond(result: QueryResult, remainingSeconds: number | null, header: ResponseHeader): Answer;
};

/** The leader answers, once it has found out that it still leads and has then extended the lease. */
export type KeepAliveCall = Bounded & {
  readonly kind: 'keepAlive';
  readonly query: Extract<Query, { readonly kind: 'keepAlive' }>;
  respond(result: QueryResult, header: ResponseHeader): Answer;
};

/**
 * etcd's stream of keepalives, whose messages are in `v3/lease.ts`. A POST answers each message of its body as it
 * comes, and ends with its body; a WebSocket goes on. A message that fails ends the stream.
 */
export type KeepAliveStreamCall = Bounded & {
  readonly kind: 'keepAliveStream';
  readonly transport: Transport;
  readonly accepted: string | null;
};

// Users

/**
 * A write that needs the hash of a password. The replica makes the hash, and then does the write of `operation`. The
 * password is not kept.
 */
export type PasswordCall = Bounded & {
  readonly kind: 'password';
  readonly password: string;
  readonly writeId: string | null;
  operation(passwordHash: string): Operation;
  respond(outcome: Outcome, header: ResponseHeader): Answer;
};

/**
 * The replica asks the query `credential`, checks the password against its hash, and makes a token with the auth
 * revision of the query.
 */
export type AuthenticateCall = Bounded & {
  readonly kind: 'authenticate';
  readonly name: string;
  readonly password: string;
  respond(result: Result<{ readonly token: string; readonly revision: number }>, header: ResponseHeader): Answer;
};

// Locks and elections. `v3/concurrency.ts` has their transactions and ranges.

/** A write in a session of etcd's. Where `lease` is 0n, a lease of `sessionSeconds` is granted first. */
export type SessionWriteCall = Bounded & {
  readonly kind: 'sessionWrite';
  readonly lease: LeaseId;
  readonly writeId: string | null;
  operation(lease: LeaseId): Operation;
  respond(outcome: Outcome, header: ResponseHeader): Answer;
};

/**
 * etcd's Lock: one transaction (`lockTxn`). Where the oldest key below the prefix is not that of this lease, the call
 * waits until all keys that were created before its own are gone. It then reads its own key: where the key is gone, the
 * session has expired. A `lease` of 0n is as in a session write. A caller that goes away while it waits loses its key.
 * A call that comes again with the same `writeId` waits on in the same place.
 */
export type LockCall = Bounded & {
  readonly kind: 'lock';
  readonly name: Uint8Array;
  readonly lease: LeaseId;
  readonly writeId: string | null;
  /** `revision` is that of the last read, or that of the transaction where the call did not wait. */
  respond(result: Result<Locked>, header: ResponseHeader): Answer;
};

/**
 * etcd's Campaign: as a lock (`campaignTxn`), with a value. Where the key exists with another value, the new value is
 * proclaimed.
 */
export type CampaignCall = Bounded & {
  readonly kind: 'campaign';
  readonly name: Uint8Array;
  readonly lease: LeaseId;
  readonly value: Uint8Array;
  readonly writeId: string | null;
  respond(result: Result<Elected>, header: ResponseHeader): Answer;
};

/**
 * etcd's Observe tells the leader of an election (the first answer to `request`) at once if there is one, and again
 * with each change of the leader or of its value. The messages are in `v3/concurrency.ts`. The stream ends when its
 * caller goes.
 */
export type ObserveCall = Bounded & {
  readonly kind: 'observe';
  readonly request: RangeRequest;
  /** The last message of a stream that cannot begin, or that ends by a failure. */
  failed(failure: Failure): StreamFailure;
};

/** `text` is a message. The status is that of an answer which begins with this message. */
export type StreamFailure = { readonly status: number; readonly text: string };

// v1's locks and semaphores

/**
 * Takes a place in the queue of a name: the key `<name>/<lease in hex>` with the value `holderValue(...)`, made where
 * it does not exist (`acquireTxn`). A place holds while fewer than `limit` keys below `<name>/` were created before it.
 * All keys of a queue have the same limit, and a key whose value says none (of etcd's own locks) has the limit 1. The
 * OpenAPI document has the other rules.
 */
export type AcquireCall = Bounded & {
  readonly kind: 'acquire';
  readonly name: Uint8Array;
  readonly limit: number;
  readonly hold: Hold;
  /** 0: the call does not wait. */
  readonly waitSeconds: number;
  readonly writeId: string | null;
  /** The failures of this call alone are `lockHeld`, `limitDiffers` and `sessionExpired`. */
  respond(result: Result<Acquired>, header: ResponseHeader): Answer;
};

/**
 * Gives a place up, or leaves the queue: deletes the key, or revokes its lease where the value of the key says
 * "session".
 */
export type ReleaseCall = Bounded & {
  readonly kind: 'release';
  readonly key: Uint8Array;
  readonly lease: LeaseId;
  /** The condition on the place. Without If-Match it is that the place exists. */
  readonly condition: WriteCondition;
  readonly writeId: string | null;
  /** The failures of this call alone are `lockNotHeld` and `fencingTokenDiffers`. */
  respond(result: Result<{ readonly revision: number }>, header: ResponseHeader): Answer;
};

// The group

export type EtcdStatus = {
  readonly databaseBytes: number;
  readonly databaseBytesInUse: number;
  readonly quotaBytes: number;
  /** The member id of the leader in decimal; "0" where no leader is known. */
  readonly leader: string;
  readonly raftIndex: number;
  readonly raftAppliedIndex: number;
  /** One text for each alarm, as etcd writes it, and "etcdserver: no leader". */
  readonly errors: readonly string[];
  readonly isLearner: boolean;
  readonly downgradeTarget: string | null;
};

/** Any user may ask. */
export type EtcdStatusCall = Bounded & {
  readonly kind: 'etcdStatus';
  respond(result: Result<EtcdStatus>, header: ResponseHeader): Answer;
};

/** Only root may ask. The answer comes at once, because space is given back all the time. */
export type DefragmentCall = Bounded & {
  readonly kind: 'defragment';
  respond(result: Result<null>): Answer;
};

/**
 * Only root may ask. The answer is a dump in parts of `dumpPartBytes`, and then one part with the SHA-256 of them
 * all (`dumpMessage`).
 */
export type DumpCall = Bounded & {
  readonly kind: 'dump';
  failed(failure: Failure): StreamFailure;
};

/**
 * Only root may ask. `target` is a member id. Where that member does not vote, or already leads, the failure is
 * `badTransferee`.
 */
export type TransferLeadershipCall = Bounded & {
  readonly kind: 'transferLeadership';
  readonly target: bigint;
  respond(result: Result<null>): Answer;
};

/**
 * Only root may ask. `action` is as it came: an action that is not in `downgradeAction` is the failure `unknownMethod`.
 * `parseDowngradeTarget` looks at `version`.
 */
export const downgradeAction = { validate: 0, enable: 1, cancel: 2 } as const;
export type DowngradeCall = Bounded & {
  readonly kind: 'downgrade';
  readonly action: number;
  readonly version: string;
  readonly writeId: string | null;
  /** `version` is the version of the cluster, as major.minor. */
  respond(result: Result<{ readonly version: string; readonly revision: number }>, header: ResponseHeader): Answer;
};

export type ClusterMember = {
  readonly id: bigint;
  readonly name: string;
  readonly peerUrls: readonly string[];
  readonly clientUrls: readonly string[];
  readonly isLearner: boolean;
};

/** Any user may ask. */
export type MemberListCall = Bounded & {
  readonly kind: 'memberList';
  readonly linearizable: boolean;
  respond(result: Result<readonly ClusterMember[]>, header: ResponseHeader): Answer;
};

export type MemberChange =
  | { readonly kind: 'add'; readonly peerUrls: readonly string[]; readonly isLearner: boolean }
  | { readonly kind: 'remove'; readonly id: bigint }
  | { readonly kind: 'promote'; readonly id: bigint }
  /**
   * `peerUrls` is null where they are not URLs of peers. That failure is told once the caller may ask and the member
   * exists.
   */
  | { readonly kind: 'update'; readonly id: bigint; readonly peerUrls: readonly string[] | null };

/** Only the operator may change the members. */
export type MemberChangeCall = Bounded & {
  readonly kind: 'memberChange';
  readonly change: MemberChange;
  /** `member` is the member that was added. */
  respond(
    result: Result<{ readonly members: readonly ClusterMember[]; readonly member: ClusterMember | null }>,
    header: ResponseHeader,
  ): Answer;
};

// Health

/**
 * For each read null where it succeeded, else why it did not. A read that the call does not need may be null without
 * being made.
 */
export type HealthFacts = {
  readonly alarms: readonly number[];
  readonly hasLeader: boolean;
  readonly isLearner: boolean;
  readonly serializableRead: string | null;
  readonly linearizableRead: string | null;
};

/** GET /health, /livez, /readyz. Whoever can name the tenant may ask, whether or not auth is on. */
export type HealthCall = Bounded & {
  readonly kind: 'health';
  readonly needs: { readonly serializableRead: boolean; readonly linearizableRead: boolean };
  respond(facts: HealthFacts): Answer;
};

// Frames

/**
 * A WebSocket on a call that is not a stream in etcd. Each text frame is the body of a POST to `path` and is parsed as
 * such a request. The body of the answer, whatever its status, is the text frame that answers it. Where the answer is a
 * stream (observe, snapshot), each of its lines is a frame. Frames are answered in their order.
 */
export type FramesCall = Bounded & {
  readonly kind: 'frames';
  readonly path: string;
  readonly accepted: string | null;
};

/** A call that is answered by its parser. */
export type AnsweredCall = { readonly kind: 'answered'; readonly response: Response };

export type ServiceCall =
  | QueryCall
  | TimeToLiveCall
  | KeepAliveCall
  | KeepAliveStreamCall
  | PasswordCall
  | AuthenticateCall
  | SessionWriteCall
  | LockCall
  | CampaignCall
  | ObserveCall
  | AcquireCall
  | ReleaseCall
  | EtcdStatusCall
  | DefragmentCall
  | DumpCall
  | TransferLeadershipCall
  | DowngradeCall
  | MemberListCall
  | MemberChangeCall
  | HealthCall
  | FramesCall
  | AnsweredCall;
