// The vocabulary of the store: what can be asked of it and what it answers, for the state machine (`mvcc/`) and the
// wire (`api/`) alike. Types and constants only. Names, numbers and meaning are etcd's (rpc.proto of v3.7).

import type { AuthFailure, AuthOperation } from './auth.ts';
import type { KeyRange } from './ranges.ts';
import type { LeaseId, Revision } from './brands.ts';
import type { TermChange } from './terms.ts';

export type KeyValue = {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  readonly createRevision: Revision;
  readonly modRevision: Revision;
  /** The number of puts since the key was created, from 1. */
  readonly version: number;
  readonly lease: LeaseId;
};

export type { KeyRange } from './ranges.ts';

export const sortOrder = { none: 0, ascend: 1, descend: 2 } as const;
export const sortTarget = { key: 0, version: 1, create: 2, mod: 3, value: 4 } as const;

/**
 * Numbers out of range stay as they came, and the store refuses them (`invalidSortOption`). 0 or less means "none" or
 * "newest".
 */
export type RangeRequest = KeyRange & {
  readonly limit: number;
  readonly revision: number;
  readonly sortOrder: number;
  readonly sortTarget: number;
  readonly serializable: boolean;
  readonly keysOnly: boolean;
  readonly countOnly: boolean;
  readonly minModRevision: number;
  readonly maxModRevision: number;
  readonly minCreateRevision: number;
  readonly maxCreateRevision: number;
};

export type PutRequest = {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  readonly lease: LeaseId;
  readonly previous: boolean;
  readonly ignoreValue: boolean;
  readonly ignoreLease: boolean;
};

export type DeleteRangeRequest = KeyRange & { readonly previous: boolean };

/** As in etcd, an unknown result holds, and of an unknown target both sides count as equal. */
export const compareResult = { equal: 0, greater: 1, less: 2, notEqual: 3 } as const;

export type Compare = KeyRange & { readonly result: number } & (
    | { readonly target: 'version' | 'create' | 'mod'; readonly operand: number }
    | { readonly target: 'value'; readonly operand: Uint8Array }
    | { readonly target: 'lease'; readonly operand: LeaseId }
    | { readonly target: 'unknown' }
  );

export type TxnOperation =
  | { readonly kind: 'range'; readonly request: RangeRequest }
  | { readonly kind: 'put'; readonly request: PutRequest }
  | { readonly kind: 'deleteRange'; readonly request: DeleteRangeRequest }
  | { readonly kind: 'txn'; readonly request: TxnRequest }
  /** None of the four targets was given. */
  | { readonly kind: 'empty' };

export type TxnRequest = {
  readonly compare: readonly Compare[];
  readonly success: readonly TxnOperation[];
  readonly failure: readonly TxnOperation[];
};

export type CompactRequest = { readonly revision: number };

/** The rights of an access key. `prefix` empty: every key of the store. */
export type AccessRole = 'admin' | 'write' | 'read';
export type AccessKey = {
  readonly id: string;
  /** What its owner calls it; empty: nothing. */
  readonly name: string;
  readonly role: AccessRole;
  readonly prefix: Uint8Array;
  /** Further prefixes, since level 6: each range must lie in one of them, or in `prefix`, which is then not empty. */
  readonly morePrefixes?: readonly Uint8Array[];
  /** Milliseconds since 1970. Null: never. */
  readonly expiresAtMs: number | null;
  readonly createdAtMs: number;
};

/**
 * Leases. A grant, and the revocation of a lease without keys, make no revision. Keeping a lease alive is no operation:
 * its leader extends it in memory, and a new leader extends every lease to its full time.
 */
export type LeaseOperation =
  /** `id` 0n: the store takes `candidate`, a number from 1 to 2^53 - 1, or the next free number. */
  | {
      readonly kind: 'leaseGrant';
      readonly id: LeaseId;
      readonly candidate: LeaseId;
      /**
       * The time as it was asked for: the store raises it to `leaseSecondsMin` and refuses more than `leaseSecondsMax`.
       */
      readonly ttlSeconds: number;
    }
  | { readonly kind: 'leaseRevoke'; readonly id: LeaseId }
  /**
   * Proposed by the service: the leader found these leases past their deadlines. Each that has keys makes one revision.
   * Unknown ids count as done, and so do leases that are not the ones that the leader saw any more.
   */
  | { readonly kind: 'leaseExpire'; readonly leases: readonly OverdueLease[] }
  /**
   * Proposed by the service. Sets the stored deadlines of these leases (unknown ids are ignored), and whether the store
   * is settled. If it is, no lease has a later deadline in its leader's memory, and a new leader takes the stored ones
   * as they are. If it is not, a new leader extends all leases. A store begins not settled, and each grant makes it so.
   * It is written before a group rests (`settled`), and, with no deadlines, before the first extension after a rest.
   * `replica/lease/lease-lessor.ts` says why this is enough.
   */
  | { readonly kind: 'leaseCheckpoint'; readonly deadlines: readonly LeaseDeadline[]; readonly settled: boolean };

/** Milliseconds since 1970, by the leader's clock. */
export type LeaseDeadline = { readonly id: LeaseId; readonly deadlineMs: number };

/**
 * `storedMs`: the deadline in the lease's row when its end was proposed. A lease with another deadline stays, because
 * its client may have revoked it and granted the id again meanwhile. Null: the lease ends whatever the row says, as in
 * all groups of level 1.
 */
export type OverdueLease = { readonly id: LeaseId; readonly storedMs: number | null };

export const alarmKind = { none: 0, noSpace: 1, corrupt: 2 } as const;

/**
 * An alarm is a pair, and both must be given to end it. `memberId` is any unsigned number of 64 bits, and 0n if none
 * was given.
 */
export type Alarm = { readonly memberId: bigint; readonly alarm: number };

/**
 * Activating `alarmKind.none` does nothing, and neither does ending an alarm that is not active. Neither makes a
 * revision.
 */
export type AlarmOperation =
  | { readonly kind: 'alarmActivate'; readonly alarm: Alarm }
  | { readonly kind: 'alarmDeactivate'; readonly alarm: Alarm };

/**
 * A downgrade of the group's level, as in etcd: announced, and taken back. Announcing it twice is
 * `downgradeInProgress`; taking it back when none is announced is allowed. The replica decides before which versions
 * may be targets.
 */
export type DowngradeOperation =
  /** `targetVersion` is major.minor. */
  { readonly kind: 'downgradeEnable'; readonly targetVersion: string } | { readonly kind: 'downgradeCancel' };

/**
 * A member that was announced and has not joined. It is no replica of the group. `id` is unsigned, has 64 bits, and is
 * not 0n.
 */
export type AnnouncedLearner = { readonly id: bigint; readonly peerUrls: readonly string[] };

/** Replaces the announced learner whose id is `from` (0n: no learner is announced); does nothing if it is another. */
export type LearnerOperation = {
  readonly kind: 'learnerChange';
  readonly from: bigint;
  readonly to: AnnouncedLearner | null;
};

/**
 * Proposed by the service: from here on everything is used that the code of all members knows (`levels.ts`). It makes
 * no revision.
 */
export type GroupLevelOperation = { readonly kind: 'groupLevel'; readonly level: number };

/** What groups know since level 4, or 5. */
export type TenantOperation =
  /**
   * Makes `accessKey`, which has the rights of the key `id`, and ends that key at `endsAtMs`, or sooner if it was to
   * end sooner. A key is rotated once.
   */
  | {
      readonly kind: 'rotateAccessKey';
      readonly id: string;
      readonly endsAtMs: number;
      readonly accessKey: AccessKey;
    }
  /** Proposed by the service: while a tenant is suspended, the service alone may do anything. */
  | { readonly kind: 'suspension'; readonly isSuspended: boolean }
  /** Proposed by the service, since level 5. */
  | { readonly kind: 'terms'; readonly changes: readonly TermChange[] };

/** The operations that change the store. Reads are not among them: they never enter the log. */
export type Operation =
  | LeaseOperation
  | TenantOperation
  | LearnerOperation
  | AuthOperation
  | AlarmOperation
  | DowngradeOperation
  | GroupLevelOperation
  | { readonly kind: 'put'; readonly request: PutRequest }
  | { readonly kind: 'deleteRange'; readonly request: DeleteRangeRequest }
  | { readonly kind: 'txn'; readonly request: TxnRequest }
  | { readonly kind: 'compact'; readonly request: CompactRequest }
  | { readonly kind: 'createAccessKey'; readonly accessKey: AccessKey }
  | { readonly kind: 'revokeAccessKey'; readonly id: string };

/**
 * The caller. In every arm `id` is that of the access key, which must be valid, and whose rights bound the call. While
 * auth is off, `user` and `anonymous` are that key and nothing else: tokens, right and wrong ones, are not looked at.
 */
export type Caller =
  /** The service itself: provisioning, the operator, the expiry of leases. */
  | { readonly kind: 'service' }
  /**
   * An access key that speaks for itself (it was sent as `Authorization`). An admin key is root, also while auth is on.
   */
  | { readonly kind: 'accessKey'; readonly id: string }
  /**
   * The access key named the tenant, and a token named the user. `authRevision` is the store's auth revision when the
   * password was checked: the token has ended if auth was disabled, or this user was added or given another password,
   * at a later one. `id` is empty for a user who logged in as user@tenant, without a key: then the roles alone bound
   * the call, and it may do nothing while auth is off.
   */
  | { readonly kind: 'user'; readonly id: string; readonly name: string; readonly authRevision: number }
  /**
   * The access key named the tenant, and there was no token, or one that this service never gave. `id` empty: the
   * caller may only log in.
   */
  | { readonly kind: 'anonymous'; readonly id: string; readonly token: 'none' | 'invalid' };

/** One write as the log holds it. */
export type Command = {
  /**
   * Names the write over retries: 1 to 64 bytes of UTF-8. A second command with the same id and caller is not applied
   * again.
   */
  readonly writeId: string;
  readonly caller: Caller;
  /** The leader's clock when it proposed, milliseconds since 1970. The only time the state machine knows. */
  readonly atMs: number;
  readonly operation: Operation;
  /**
   * The digest of the request, if its client named the write: 64 bits, in groups of level 3. A command whose id is
   * known with another digest is answered `idempotencyKeyReused`. Absent: the request is known by its form alone.
   */
  readonly digest?: bigint;
  /**
   * How many writes the group had remembered, ever, as far as the sender had been told before it first sent the write.
   * Groups of level 7 do not apply a write that may have been applied since, and forgotten. Absent: the sender does not
   * count, or the group is of a lower level, and such a write may be applied again.
   */
  readonly seen?: number;
};

/** A command as it was sent. `seen` null: the sender counts, and was told of no count yet. No log has such a one. */
export type SentCommand = Omit<Command, 'seen'> & { readonly seen?: number | null };

/** Pairs in their order: an array, or what makes them when they are asked for (`codec/packed-pairs.ts`). */
export type Pairs = Iterable<KeyValue> &
  Pick<readonly KeyValue[], 'length' | 'at'> & {
    readonly filter: (wanted: (pair: KeyValue) => boolean) => KeyValue[];
    readonly map: <Mapped>(map: (pair: KeyValue) => Mapped) => Mapped[];
  };

export type RangeAnswer = {
  readonly kvs: Pairs;
  readonly more: boolean;
  /** The number of keys in the range, whatever the limit and the filters. */
  readonly count: number;
};

export type PutAnswer = { readonly previous: KeyValue | null };
export type DeleteRangeAnswer = { readonly deleted: number; readonly previous: readonly KeyValue[] };

/** `revision` of a part is the one in the part's own header: the store's revision once the part has run. */
export type TxnPart =
  | { readonly kind: 'range'; readonly revision: Revision; readonly answer: RangeAnswer; readonly keysOnly: boolean }
  | { readonly kind: 'put'; readonly revision: Revision; readonly answer: PutAnswer }
  | { readonly kind: 'deleteRange'; readonly revision: Revision; readonly answer: DeleteRangeAnswer }
  | { readonly kind: 'txn'; readonly answer: TxnAnswer };

export type TxnAnswer = { readonly succeeded: boolean; readonly parts: readonly TxnPart[] };

/** The outcome of a command. `revision` is the store's revision after it, for the header of the answer. */
export type Outcome = { readonly revision: Revision } & (
  | { readonly kind: 'put'; readonly answer: PutAnswer }
  | { readonly kind: 'deleteRange'; readonly answer: DeleteRangeAnswer }
  | { readonly kind: 'txn'; readonly answer: TxnAnswer }
  | { readonly kind: 'compact' }
  | { readonly kind: 'createAccessKey' }
  | { readonly kind: 'revokeAccessKey'; readonly existed: boolean }
  /** `id` is the granted one, and `ttlSeconds` the raised one. */
  | { readonly kind: 'leaseGrant'; readonly id: LeaseId; readonly ttlSeconds: number }
  /** The alarm that was activated, was active already, or was ended. Otherwise the list is empty. */
  | { readonly kind: 'alarm'; readonly alarms: readonly Alarm[] }
  /**
   * The outcome of an operation that answers only that it was done: every other one of leases, users and roles, and of
   * levels.
   */
  | { readonly kind: 'done' }
  | { readonly kind: 'failed'; readonly failure: StoreFailure }
  /** A retry of a write that was applied at `revision`, whose answer was too large to be kept. */
  | { readonly kind: 'appliedBefore' }
);

/**
 * The failures that a client can cause, or that the state of the store makes. `api/errors/errors.ts` maps each arm to
 * HTTP and to etcd's words.
 */
export type StoreFailure =
  | AuthFailure
  | { readonly kind: 'leaseExists' }
  | { readonly kind: 'leaseTtlTooLarge' }
  /** The alarm CORRUPT is active: nothing is written until an operator has ended it. */
  | { readonly kind: 'corruptAlarm' }
  /** A bound of the store is reached (`limits.ts`): how many there may be of what. */
  | {
      readonly kind: 'tooMany';
      readonly what: 'keys' | 'leases' | 'users' | 'roles' | 'permissions' | 'alarms';
      readonly max: number;
    }
  /** The name of a user or a role, in UTF-8. */
  | { readonly kind: 'nameTooLong'; readonly bytes: number }
  | { readonly kind: 'downgradeInProgress' }
  /** The service failed at the command, on every replica, and undid all of it (`mvcc/careful-apply.ts`). */
  | { readonly kind: 'commandUndone'; readonly operation: string }
  /** This store does not know the operation. */
  | { readonly kind: 'operationNotServed'; readonly operation: string }
  | { readonly kind: 'keyNotProvided' }
  | { readonly kind: 'keyTooLong'; readonly bytes: number }
  | { readonly kind: 'valueTooLarge'; readonly bytes: number }
  | { readonly kind: 'valueProvided' }
  | { readonly kind: 'leaseProvided' }
  | { readonly kind: 'keyNotFound' }
  | { readonly kind: 'leaseNotFound' }
  | { readonly kind: 'tooManyOperations' }
  /** The write id has named another request before. */
  | { readonly kind: 'idempotencyKeyReused' }
  /**
   * The write may have been done, and forgotten since. It is not done now. `writes`: how many writes the group has
   * remembered by now, which whoever knows that no attempt was done may send as seen.
   */
  | { readonly kind: 'outcomeUnknown'; readonly writes: number }
  | { readonly kind: 'duplicateKey' }
  | { readonly kind: 'invalidSortOption' }
  | { readonly kind: 'compacted'; readonly compactedRevision: number }
  | { readonly kind: 'futureRevision'; readonly revision: number }
  | { readonly kind: 'answerTooLarge' }
  /**
   * The request looks at more, or writes more, than one request may (`limits.commandRowsMax`,
   * `limits.commandValueBytesMax`).
   */
  | { readonly kind: 'tooMuchWork'; readonly what: 'rows' | 'value bytes'; readonly max: number }
  | { readonly kind: 'noSpace' }
  /** As many access keys are in use as there may be (`limits.accessKeysMax`). */
  | { readonly kind: 'tooManyAccessKeys'; readonly max: number }
  /** The id was given to another access key before. */
  | { readonly kind: 'accessKeyExists' }
  /** The key cannot be rotated: it was rotated before, was revoked or has expired, or there is no such key. */
  | { readonly kind: 'accessKeyEnding' }
  /** The operator has suspended the tenant. */
  | { readonly kind: 'tenantSuspended' }
  /** The operator has deleted the tenant. It can be taken back until it is wiped, in milliseconds since 1970. */
  | { readonly kind: 'tenantUnderDeletion'; readonly wipeAtMs: number }
  /** The access key of the caller is unknown, revoked or past its expiry. */
  | { readonly kind: 'unauthenticated'; readonly reason: 'unknown' | 'revoked' | 'expired' }
  /**
   * The access key of the caller may not do this. `need` names the right that it lacks. `prefix`: the key's own, where
   * the call is outside of it. Null: it is not, or the prefix is not remembered with the refusal.
   */
  | { readonly kind: 'forbidden'; readonly need: string; readonly prefix: Uint8Array | null };

/** The operator has closed the tenant to its own callers. */
export type SuspensionFailure = Extract<StoreFailure, { readonly kind: 'tenantSuspended' | 'tenantUnderDeletion' }>;

/** One change. The `kv` of a delete has only its key and modRevision; the rest is zero or empty. */
export type StoreEvent = {
  readonly type: 'put' | 'delete';
  readonly kv: KeyValue;
  /** The previous pair. Null: there was none, or it comes from history and is compacted. */
  readonly previous: KeyValue | null;
};

/** All events of one revision, in the order in which its operations ran. Never empty. */
export type RevisionEvents = { readonly revision: Revision; readonly events: readonly StoreEvent[] };
