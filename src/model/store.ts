// The vocabulary of the store: what can be asked of it and what it answers. Both the state machine (`mvcc/`) and the
// wire (`api/`) speak it. Types and constants only. Names, numbers and meaning are etcd's (rpc.proto of v3.7).

import type { AuthFailure, AuthOperation } from './auth.ts';
import type { KeyRange } from './ranges.ts';
import type { LeaseId, Revision } from './brands.ts';

export type KeyValue = {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  readonly createRevision: Revision;
  readonly modRevision: Revision;
  /** Puts since the key was created, from 1. */
  readonly version: number;
  readonly lease: LeaseId;
};

export type { KeyRange } from './ranges.ts';

export const sortOrder = { none: 0, ascend: 1, descend: 2 } as const;
export const sortTarget = { key: 0, version: 1, create: 2, mod: 3, value: 4 } as const;

/**
 * Numbers out of range stay as they came: the store refuses them (`invalidSortOption`). 0 or less means "none" or
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

/** Unknown results hold; of an unknown target both sides count as equal: so does etcd. */
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
  /** None of the four was given. */
  | { readonly kind: 'empty' };

export type TxnRequest = {
  readonly compare: readonly Compare[];
  readonly success: readonly TxnOperation[];
  readonly failure: readonly TxnOperation[];
};

export type CompactRequest = { readonly revision: number };

/** What a key of a tenant may do. `prefix` empty: every key of the store. */
export type AccessRole = 'admin' | 'write' | 'read';
export type AccessKey = {
  readonly id: string;
  readonly role: AccessRole;
  readonly prefix: Uint8Array;
  /** Milliseconds since 1970; null: never. */
  readonly expiresAtMs: number | null;
  readonly createdAtMs: number;
};

/**
 * Leases. A grant, and the revocation of a lease without keys, make no revision. Keeping a lease alive is no operation:
 * its leader extends it in memory, and a new leader extends every lease to its full time.
 */
export type LeaseOperation =
  /** `id` 0n: the store takes `candidate`, a number from 1 to 2^53 - 1, or the next one that is free. */
  | {
      readonly kind: 'leaseGrant';
      readonly id: LeaseId;
      readonly candidate: LeaseId;
      /** As it was asked for: the store raises it to `leaseSecondsMin` and refuses what is above `leaseSecondsMax`. */
      readonly ttlSeconds: number;
    }
  | { readonly kind: 'leaseRevoke'; readonly id: LeaseId }
  /**
   * Of the service: the leader found these past their deadlines. One revision for each that has keys; unknown ids count
   * as done, and so do those that are not what the leader saw any more.
   */
  | { readonly kind: 'leaseExpire'; readonly leases: readonly OverdueLease[] }
  /**
   * Of the service. Sets the stored deadlines of these leases (unknown ids are passed over), and whether the store is
   * settled: if it is, no lease has a later deadline in its leader's memory, and a new leader takes the stored ones as
   * they are; if not, it extends all. A store begins not settled, and each grant makes it so. Written before a group
   * rests (`settled`), and, with no deadlines, before the first extension after a rest. `replica/lease/lease-lessor.ts`
   * says why this is enough.
   */
  | { readonly kind: 'leaseCheckpoint'; readonly deadlines: readonly LeaseDeadline[]; readonly settled: boolean };

/** Milliseconds since 1970, by the leader's clock. */
export type LeaseDeadline = { readonly id: LeaseId; readonly deadlineMs: number };

/**
 * `storedMs`: the deadline in the lease's row when its end was proposed. With another one it stays: its client may have
 * revoked it and granted the id again meanwhile. null: whatever the row says, as in all groups of level 1.
 */
export type OverdueLease = { readonly id: LeaseId; readonly storedMs: number | null };

export const alarmKind = { none: 0, noSpace: 1, corrupt: 2 } as const;

/** A pair: to end an alarm, both must be given. `memberId` is any number of 64 bits, unsigned, 0n if none was given. */
export type Alarm = { readonly memberId: bigint; readonly alarm: number };

/** Activating `alarmKind.none` does nothing, and so does ending what is not there. Neither makes a revision. */
export type AlarmOperation =
  | { readonly kind: 'alarmActivate'; readonly alarm: Alarm }
  | { readonly kind: 'alarmDeactivate'; readonly alarm: Alarm };

/**
 * A downgrade of the group's level, as etcd has it: announced, and taken back. Enabling it twice is
 * `downgradeInProgress`; cancelling none is fine. Which versions may be targets is for the replica to say, before.
 */
export type DowngradeOperation =
  /** `targetVersion` is major.minor. */
  { readonly kind: 'downgradeEnable'; readonly targetVersion: string } | { readonly kind: 'downgradeCancel' };

/**
 * A member that was announced and has not joined: no replica of the group. `id` is of 64 bits, unsigned, and not 0n.
 */
export type AnnouncedLearner = { readonly id: bigint; readonly peerUrls: readonly string[] };

/** In place of the one whose id is `from` (0n: there is none); if it is another, nothing is done. */
export type LearnerOperation = {
  readonly kind: 'learnerChange';
  readonly from: bigint;
  readonly to: AnnouncedLearner | null;
};

/** Of the service: what the group's members all know is used from here on (`levels.ts`). It makes no revision. */
export type GroupLevelOperation = { readonly kind: 'groupLevel'; readonly level: number };

/** What changes the store. Reads are not here: they never enter the log. */
export type Operation =
  | LeaseOperation
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
 * Who asks. `id` is always that of the access key, which must be good, and whose rights bound the call, in every arm.
 * While auth is off, `user` and `anonymous` are that key and nothing else: tokens, good and bad, are not looked at.
 */
export type Caller =
  /** The service itself: provisioning, the operator, the expiry of leases. */
  | { readonly kind: 'service' }
  /** A key that speaks for itself (it was sent as `Authorization`). An admin key is root, also while auth is on. */
  | { readonly kind: 'accessKey'; readonly id: string }
  /**
   * The key named the tenant, and a token the user. `authRevision` is the store's when the password was checked: the
   * token has ended if auth was disabled, or this user added or given another password, at a later one. `id` is empty
   * for who logged in as user@tenant, without a key: the roles alone bound the call, and it may nothing while auth is
   * off.
   */
  | { readonly kind: 'user'; readonly id: string; readonly name: string; readonly authRevision: number }
  /**
   * The key named the tenant, and there was no token, or one that this service never gave. `id` empty: who may log in.
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
   * Of the request, where its client named it: 64 bits, in groups of level 3. A command with the id of one whose digest
   * is another is answered `idempotencyKeyReused`. Absent: nothing is known of the request but what it is.
   */
  readonly digest?: bigint;
};

export type RangeAnswer = {
  readonly kvs: readonly KeyValue[];
  readonly more: boolean;
  /** Keys in the range, limit and filters aside. */
  readonly count: number;
};

export type PutAnswer = { readonly previous: KeyValue | null };
export type DeleteRangeAnswer = { readonly deleted: number; readonly previous: readonly KeyValue[] };

/** `revision` of a part is what its own header shows: the store's once the part has run. */
export type TxnPart =
  | { readonly kind: 'range'; readonly revision: Revision; readonly answer: RangeAnswer; readonly keysOnly: boolean }
  | { readonly kind: 'put'; readonly revision: Revision; readonly answer: PutAnswer }
  | { readonly kind: 'deleteRange'; readonly revision: Revision; readonly answer: DeleteRangeAnswer }
  | { readonly kind: 'txn'; readonly answer: TxnAnswer };

export type TxnAnswer = { readonly succeeded: boolean; readonly parts: readonly TxnPart[] };

/** What became of a command. `revision` is the store's after it, for the header of the answer. */
export type Outcome = { readonly revision: Revision } & (
  | { readonly kind: 'put'; readonly answer: PutAnswer }
  | { readonly kind: 'deleteRange'; readonly answer: DeleteRangeAnswer }
  | { readonly kind: 'txn'; readonly answer: TxnAnswer }
  | { readonly kind: 'compact' }
  | { readonly kind: 'createAccessKey' }
  | { readonly kind: 'revokeAccessKey'; readonly existed: boolean }
  /** `id` as it was granted, `ttlSeconds` as it was raised. */
  | { readonly kind: 'leaseGrant'; readonly id: LeaseId; readonly ttlSeconds: number }
  /** The alarm that was activated, was active already, or was ended; else none. */
  | { readonly kind: 'alarm'; readonly alarms: readonly Alarm[] }
  /**
   * Of an operation that answers nothing but that it was done: every other one of leases, users and roles, and of
   * levels.
   */
  | { readonly kind: 'done' }
  | { readonly kind: 'failed'; readonly failure: StoreFailure }
  /** A retry of a write that was applied at `revision`, whose answer was too large to be kept. */
  | { readonly kind: 'appliedBefore' }
);

/**
 * What a client can do wrong, or the store's state can forbid. `api/errors/errors.ts` maps each arm to HTTP and to
 * etcd's words.
 */
export type StoreFailure =
  | AuthFailure
  | { readonly kind: 'leaseExists' }
  | { readonly kind: 'leaseTtlTooLarge' }
  /** The alarm CORRUPT: nothing is written until an operator has ended it. */
  | { readonly kind: 'corruptAlarm' }
  /** A bound of the store (`limits.ts`): how many there may be of what. */
  | {
      readonly kind: 'tooMany';
      readonly what: 'leases' | 'users' | 'roles' | 'permissions' | 'alarms';
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
  /** The write id named another request before. */
  | { readonly kind: 'idempotencyKeyReused' }
  | { readonly kind: 'duplicateKey' }
  | { readonly kind: 'invalidSortOption' }
  | { readonly kind: 'compacted'; readonly compactedRevision: number }
  | { readonly kind: 'futureRevision'; readonly revision: number }
  | { readonly kind: 'answerTooLarge' }
  /**
   * It looks at more, or writes more, than one request may (`limits.commandRowsMax`, `limits.commandValueBytesMax`).
   */
  | { readonly kind: 'tooMuchWork'; readonly what: 'rows' | 'value bytes'; readonly max: number }
  | { readonly kind: 'noSpace' }
  /** As many keys of the tenant may be used as there can be (`limits.accessKeysMax`). */
  | { readonly kind: 'tooManyAccessKeys'; readonly max: number }
  /** The id was given to another key before. */
  | { readonly kind: 'accessKeyExists' }
  /** The caller's key is unknown, revoked or past its expiry. */
  | { readonly kind: 'unauthenticated'; readonly reason: 'unknown' | 'revoked' | 'expired' }
  /** The caller's key may not do this. `need` names the missing right. */
  | { readonly kind: 'forbidden'; readonly need: string };

/** One change. A delete's `kv` has only key and modRevision (the rest zero or empty). */
export type StoreEvent = {
  readonly type: 'put' | 'delete';
  readonly kv: KeyValue;
  /** The pair as it was before, null when there was none (or, from history, when it is compacted). */
  readonly previous: KeyValue | null;
};

/** All events of one revision, in the order in which its operations ran. Never empty. */
export type RevisionEvents = { readonly revision: Revision; readonly events: readonly StoreEvent[] };
