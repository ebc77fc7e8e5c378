// The calls beside keys and watches that the wire hands to the replica: leases, users, locks, elections, maintenance,
// members, health. Types, and one constant. What a replica has to do for each stands with it; the functions of a call
// encode what came of it.

import type { LeaseId } from '../model/brands.ts';
import type { Operation, Outcome, RangeRequest } from '../model/store.ts';
import type { Query, QueryResult } from '../model/queries.ts';
import type { Bounded, ResponseHeader, Transport } from './call-parts.ts';
import type { Failure } from './errors/failures.ts';
import type { WriteCondition } from './v1/conditions.ts';

/** What became of a call that the replica does itself. */
export type Result<Answer> =
  | { readonly kind: 'answer'; readonly answer: Answer }
  | { readonly kind: 'failed'; readonly failure: Failure };

// Leases and what else is read

/** A linearizable read: the store answers the query, and looks at whether the caller may ask it. */
export type QueryCall = Bounded & {
  readonly kind: 'query';
  readonly query: Query;
  respond(result: QueryResult, header: ResponseHeader): Response;
};

/**
 * The leader answers: it alone knows how long a lease has still to live. `remainingSeconds` is rounded down, and null
 * where the lease is past its deadline, even before it is gone.
 */
export type TimeToLiveCall = Bounded & {
  readonly kind: 'timeToLive';
  readonly query: Extract<Query, { readonly kind: 'timeToLive' }>;
  respond(result: QueryResult, remainingSeconds: number | null, header: ResponseHeader): Response;
};

/** The leader answers, once it has made sure that it still is the leader, and has then extended the lease. */
export type KeepAliveCall = Bounded & {
  readonly kind: 'keepAlive';
  readonly query: Extract<Query, { readonly kind: 'keepAlive' }>;
  respond(result: QueryResult, header: ResponseHeader): Response;
};

/**
 * etcd's stream of keepalives: its messages are those of `v3/lease.ts`. A POSTed one answers each message of its body,
 * as it comes, and ends with it; a WebSocket goes on. A message that fails ends the stream.
 */
export type KeepAliveStreamCall = Bounded & {
  readonly kind: 'keepAliveStream';
  readonly transport: Transport;
  readonly accepted: string | null;
};

// Users

/** A write that needs a password's hash: hash it, then it is the write of `operation`. The password is kept nowhere. */
export type PasswordCall = Bounded & {
  readonly kind: 'password';
  readonly password: string;
  readonly writeId: string | null;
  operation(passwordHash: string): Operation;
  respond(outcome: Outcome, header: ResponseHeader): Response;
};

/** The query `credential`, the password held against its hash, and a token that carries the query's auth revision. */
export type AuthenticateCall = Bounded & {
  readonly kind: 'authenticate';
  readonly name: string;
  readonly password: string;
  respond(result: Result<{ readonly token: string; readonly revision: number }>, header: ResponseHeader): Response;
};

// Locks and elections. `v3/concurrency.ts` has their transactions and ranges.

/** A write in a session: where `lease` is 0n, one of `sessionSeconds` is granted first. */
export type SessionWriteCall = Bounded & {
  readonly kind: 'sessionWrite';
  readonly lease: LeaseId;
  readonly writeId: string | null;
  operation(lease: LeaseId): Operation;
  respond(outcome: Outcome, header: ResponseHeader): Response;
};

/**
 * etcd's Lock: one transaction (`lockTxn`); if the oldest key below the prefix is not this lease's, wait until all that
 * were created before it are gone, then read the own key: without it the session has expired. `lease` 0n as in a
 * session write. A caller that goes away while it waits loses its key. Asked again under the same `writeId`, it waits
 * on in the same place.
 */
export type LockCall = Bounded & {
  readonly kind: 'lock';
  readonly name: Uint8Array;
  readonly lease: LeaseId;
  readonly writeId: string | null;
  /** `revision` is that of the last read, or of the transaction where there was nothing to wait for. */
  respond(result: Result<{ readonly key: Uint8Array; readonly revision: number }>, header: ResponseHeader): Response;
};

export type Elected = {
  readonly key: Uint8Array;
  readonly createRevision: number;
  readonly lease: LeaseId;
  /** That of the first transaction, however long it waited. */
  readonly revision: number;
};

/**
 * etcd's Campaign: as a lock (`campaignTxn`), with a value, which is proclaimed where the key was there with another.
 */
export type CampaignCall = Bounded & {
  readonly kind: 'campaign';
  readonly name: Uint8Array;
  readonly lease: LeaseId;
  readonly value: Uint8Array;
  readonly writeId: string | null;
  respond(result: Result<Elected>, header: ResponseHeader): Response;
};

/**
 * etcd's Observe: the leader (the first answer to `request`) at once if there is one, and again with each change of
 * leader or of its value; the messages are those of `v3/concurrency.ts`. It ends with the caller.
 */
export type ObserveCall = Bounded & {
  readonly kind: 'observe';
  readonly request: RangeRequest;
  /** Of a stream that cannot begin, or ends by a failure: its last message. */
  failed(failure: Failure): StreamFailure;
};

/** `text` is a message; the status is that of an answer which begins with it. */
export type StreamFailure = { readonly status: number; readonly text: string };

// v1's locks and semaphores

/** Whose lease holds a place: a new one, which lives on while its caller waits, or one that the caller keeps alive. */
export type Hold =
  | { readonly kind: 'session'; readonly ttlSeconds: number }
  | { readonly kind: 'lease'; readonly id: LeaseId };

export type Acquired = {
  readonly key: Uint8Array;
  readonly lease: LeaseId;
  readonly ttlSeconds: number;
  /** The create revision of the key: higher than that of every holder before. */
  readonly fencingToken: number;
  readonly revision: number;
};

/**
 * A place in the queue of a name: the key `<name>/<lease in hex>` with `holderValue(...)` as its value, made if it does
 * not exist (`acquireTxn`). It holds while fewer than `limit` keys below `<name>/` were created before it. All keys of
 * a queue have the same limit; a key whose value says none (etcd's own locks) has 1. The rest of the rules stands in
 * the OpenAPI document.
 */
export type AcquireCall = Bounded & {
  readonly kind: 'acquire';
  readonly name: Uint8Array;
  readonly limit: number;
  readonly hold: Hold;
  /** 0: not at all. */
  readonly waitSeconds: number;
  readonly writeId: string | null;
  /** Failures of its own: `lockHeld`, `limitDiffers`, `sessionExpired`. */
  respond(result: Result<Acquired>, header: ResponseHeader): Response;
};

/**
 * Gives a place up, or leaves the queue: deletes the key; where its value says "session", revokes the lease instead.
 */
export type ReleaseCall = Bounded & {
  readonly kind: 'release';
  readonly key: Uint8Array;
  readonly lease: LeaseId;
  /** Without If-Match: the place exists. */
  readonly condition: WriteCondition;
  readonly writeId: string | null;
  /** Failures of its own: `lockNotHeld`, `fencingTokenDiffers`. */
  respond(result: Result<{ readonly revision: number }>, header: ResponseHeader): Response;
};

// The group

export type EtcdStatus = {
  readonly databaseBytes: number;
  readonly databaseBytesInUse: number;
  readonly quotaBytes: number;
  /** The leader's member id in decimal; "0": none is known. */
  readonly leader: string;
  readonly raftIndex: number;
  readonly raftAppliedIndex: number;
  /** One text each: alarms as etcd writes them, and "etcdserver: no leader". */
  readonly errors: readonly string[];
  readonly isLearner: boolean;
  readonly downgradeTarget: string | null;
};

/** Any user may ask. */
export type EtcdStatusCall = Bounded & {
  readonly kind: 'etcdStatus';
  respond(result: Result<EtcdStatus>, header: ResponseHeader): Response;
};

/** Root only, answered at once: space is given back all the time. */
export type DefragmentCall = Bounded & {
  readonly kind: 'defragment';
  respond(result: Result<null>): Response;
};

/** Root only. Parts of `snapshotPartBytes`, then one with the SHA-256 of them all: `snapshotMessage`. */
export type SnapshotCall = Bounded & {
  readonly kind: 'snapshot';
  failed(failure: Failure): StreamFailure;
};

/** Root only. `target` is a member id; one that is not a voter of the group, or leads already, is `badTransferee`. */
export type TransferLeadershipCall = Bounded & {
  readonly kind: 'transferLeadership';
  readonly target: bigint;
  respond(result: Result<null>): Response;
};

/**
 * Root only. `action` as it came: others than these are `unknownMethod`; `version` is looked at with
 * `parseDowngradeTarget`.
 */
export const downgradeAction = { validate: 0, enable: 1, cancel: 2 } as const;
export type DowngradeCall = Bounded & {
  readonly kind: 'downgrade';
  readonly action: number;
  readonly version: string;
  readonly writeId: string | null;
  /** `version` is that of the cluster, major.minor. */
  respond(result: Result<{ readonly version: string; readonly revision: number }>, header: ResponseHeader): Response;
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
  respond(result: Result<readonly ClusterMember[]>, header: ResponseHeader): Response;
};

export type MemberChange =
  | { readonly kind: 'add'; readonly peerUrls: readonly string[]; readonly isLearner: boolean }
  | { readonly kind: 'remove'; readonly id: bigint }
  | { readonly kind: 'promote'; readonly id: bigint }
  /** `peerUrls` null: they are no URLs of peers, which counts once the caller may and the member exists. */
  | { readonly kind: 'update'; readonly id: bigint; readonly peerUrls: readonly string[] | null };

/** Root only. */
export type MemberChangeCall = Bounded & {
  readonly kind: 'memberChange';
  readonly change: MemberChange;
  /** `member` is the one that was added. */
  respond(
    result: Result<{ readonly members: readonly ClusterMember[]; readonly member: ClusterMember | null }>,
    header: ResponseHeader,
  ): Response;
};

// Health

/**
 * Null: that read succeeded; else why it did not. A read that the call does not need may count as succeeded unasked.
 */
export type HealthFacts = {
  readonly alarms: readonly number[];
  readonly hasLeader: boolean;
  readonly isLearner: boolean;
  readonly serializableRead: string | null;
  readonly linearizableRead: string | null;
};

/** GET /health, /livez, /readyz: anyone who can name the tenant may ask, auth or not. */
export type HealthCall = Bounded & {
  readonly kind: 'health';
  readonly needs: { readonly serializableRead: boolean; readonly linearizableRead: boolean };
  respond(facts: HealthFacts): Response;
};

// Frames

/**
 * A WebSocket on a call that etcd has no stream for. Each text frame is the body of a POST to `path`, parsed as such a
 * request; the answer's body, whatever its status, is the text frame that answers it. Of a call whose answer is a
 * stream (observe, snapshot) each line is a frame. Frames are answered in their order.
 */
export type FramesCall = Bounded & {
  readonly kind: 'frames';
  readonly path: string;
  readonly accepted: string | null;
};

/** Nobody else has to be asked. */
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
  | SnapshotCall
  | TransferLeadershipCall
  | DowngradeCall
  | MemberListCall
  | MemberChangeCall
  | HealthCall
  | FramesCall
  | AnsweredCall;
