// What can go wrong outside of the store, as values that have what there is to say of each. The tables beside this file
// say it.

import type { MemoryShare } from '../../base/memory-budget.ts';
import type { OperatorRole } from '../../model/operators.ts';
import type { StoreFailure } from '../../model/store.ts';

/** What can be wrong with one request, or with what it asks for. */
export type RequestFailure =
  | { readonly kind: 'bodyTooLarge'; readonly bytes: number; readonly bytesMax: number }
  /** The body did not arrive in time. */
  | { readonly kind: 'bodyLate'; readonly seconds: number }
  | { readonly kind: 'requestTooLarge'; readonly bytes: number; readonly bytesMax: number }
  /** `near`: paths of the API of which this one is the beginning, or that it would be without its last slash. */
  | { readonly kind: 'notFound'; readonly near: readonly string[] }
  | { readonly kind: 'methodNotAllowed'; readonly allow: readonly string[] }
  | { readonly kind: 'notServed'; readonly what: string }
  | { readonly kind: 'badRequest'; readonly detail: string }
  | { readonly kind: 'contentCodingNotTaken'; readonly coding: string }
  | { readonly kind: 'contentTypeNotTaken'; readonly contentType: string; readonly takes: string }
  | { readonly kind: 'expectationFailed'; readonly expectation: string }
  /** `asked`: the revision at which it was read; 0: the newest. */
  | { readonly kind: 'keyAbsent'; readonly key: Uint8Array; readonly asked: number; readonly revision: number }
  /** `current` is the mod_revision of the key, null where it does not exist. */
  | { readonly kind: 'preconditionFailed'; readonly current: number | null; readonly revision: number }
  | { readonly kind: 'appliedBefore'; readonly revision: number };

/** What can go wrong with locks, elections, members and maintenance. */
export type GroupFailure =
  | { readonly kind: 'electionNoLeader' }
  | { readonly kind: 'notElectionLeader' }
  | { readonly kind: 'leaderKeyMissing' }
  /** The key of the caller's place went while the caller waited. */
  | { readonly kind: 'sessionExpired' }
  /** v1: no place became free in time. `fencingToken` is that of the oldest place that holds. */
  | { readonly kind: 'lockHeld'; readonly fencingToken: number; readonly waiting: number; readonly revision: number }
  /** v1: others hold or wait for this name with another limit. */
  | { readonly kind: 'limitDiffers'; readonly limit: number }
  /** v1: this key lies below the name and is not a place, so the lock would wait for it for ever. */
  | { readonly kind: 'nameInUse'; readonly key: Uint8Array }
  | { readonly kind: 'lockNotHeld' }
  /** v1: the place that If-Match named is gone, and its lease has taken another place. */
  | { readonly kind: 'fencingTokenDiffers'; readonly current: number; readonly revision: number }
  | { readonly kind: 'passwordTooLong' }
  | { readonly kind: 'unknownAlarmAction' }
  | { readonly kind: 'memberUrlsInvalid' }
  | { readonly kind: 'memberNotFound' }
  | { readonly kind: 'memberNotLearner' }
  | { readonly kind: 'learnerNotReady' }
  | { readonly kind: 'peerUrlsExist' }
  | { readonly kind: 'tooManyLearners' }
  | { readonly kind: 'badTransferee' }
  | { readonly kind: 'downgradeTargetInvalid' }
  | { readonly kind: 'downgradeFormatWrong' }
  | { readonly kind: 'unknownMethod' }
  | { readonly kind: 'replicaNotFound'; readonly replica: number }
  | { readonly kind: 'tooManyReplicas'; readonly max: number }
  /** The change would leave `staying` voters. */
  | { readonly kind: 'tooFewReplicas'; readonly staying: number; readonly min: number }
  /** The change would leave no voter. */
  | { readonly kind: 'lastReplica' }
  /** Members change one at a time: another change is not committed yet, or leadership is being handed over for one. */
  | { readonly kind: 'membersChanging' }
  /** A replica still runs code that does not know this call, or an operator has announced a downgrade. */
  | { readonly kind: 'groupLevelTooLow'; readonly what: string };

/** What a client may hold open on a replica. */
export type OpenKind =
  | 'watchSocket'
  | 'watchStream'
  | 'callSocket'
  | 'session'
  /** Credentials that a session has declared. */
  | 'sessionHandle'
  /** A watch of a session. */
  | 'sessionWatch'
  | 'observer'
  | 'keepAliveStream'
  /** A call that waits for a lock, for a place of a semaphore or to be elected. */
  | 'wait'
  /** The call `maintenance/snapshot`, whose answer is a dump of the store. */
  | 'dump'
  /** A hash of the whole store. */
  | 'hash';

/** Who holds as many as it may. */
export type OpenHolder = 'key' | 'session' | 'tenant' | 'replica';

/** What was sent in place of an operator's token. `ended`: one that was revoked, has expired, or never was. */
export type OperatorTokenGiven = 'accessKey' | 'ended' | 'other' | 'nothing';

/** What can go wrong in the gateway and between replicas. */
export type ServiceFailure =
  | { readonly kind: 'accessKeyMissing' }
  /** The text does not have the form of an access key, or this service did not make it. */
  | { readonly kind: 'accessKeyInvalid'; readonly given: 'operatorToken' | 'cutKey' | 'otherScheme' | 'other' }
  | { readonly kind: 'operatorTokenInvalid'; readonly given: OperatorTokenGiven }
  /** The operator's token is good, and its role is not enough. */
  | { readonly kind: 'operatorForbidden'; readonly role: OperatorRole; readonly need: OperatorRole }
  /** There are as many operators as there may be. */
  | { readonly kind: 'tooManyOperators'; readonly max: number }
  | { readonly kind: 'operatorNotFound'; readonly id: string | null }
  /** The key is valid, but not for this tenant or this call. */
  | { readonly kind: 'accessKeyForbidden'; readonly need: string }
  | { readonly kind: 'tenantNotFound'; readonly tenant: string }
  | { readonly kind: 'tenantNameTaken'; readonly name: string }
  /** `id` is null where the text in the path cannot be an id. It may be a secret, and is not repeated. */
  | { readonly kind: 'accessKeyNotFound'; readonly id: string | null }
  /** `name` null: the text cannot be the name of a plan. */
  | { readonly kind: 'planNotFound'; readonly name: string | null }
  /** Tenants name it. */
  | { readonly kind: 'planInUse'; readonly name: string }
  | { readonly kind: 'tooManyPlans'; readonly max: number }
  | { readonly kind: 'noLeader' }
  | { readonly kind: 'leaderChanged' }
  | { readonly kind: 'timeout' }
  | { readonly kind: 'overloaded' }
  /** The tenant makes more calls of this kind than its operator lets it. */
  | {
      readonly kind: 'rateLimited';
      readonly what: 'reads' | 'writes' | 'bytes';
      readonly perSecond: number;
      /** After this time there is more. A replica whose code is of the version before does not say. */
      readonly seconds?: number;
    }
  /** Too many logins have failed, so this one is not looked at. */
  | { readonly kind: 'loginDelayed'; readonly seconds: number }
  /** The calls under way take as much memory as they may: of one key, of its tenant, or of the whole isolate. */
  | { readonly kind: 'memoryFull'; readonly of: MemoryShare }
  /** Answers wait on a session, and its client has taken nothing for so long. */
  | { readonly kind: 'answersUnread'; readonly seconds: number }
  /** One key, one session or one replica has as many of these open as it may. */
  | { readonly kind: 'tooManyOpen'; readonly what: OpenKind; readonly of: OpenHolder; readonly max: number }
  | { readonly kind: 'directoryUnavailable' }
  /** The directory has no tables. */
  | { readonly kind: 'directoryNotMigrated' }
  /** Settings are missing or too weak; `faults` says what is wrong with each. */
  | { readonly kind: 'notConfigured'; readonly faults: readonly string[] }
  /** A replica could not be reached, so the tenant is not wholly deleted. */
  | { readonly kind: 'deletionUnfinished'; readonly tenant: string }
  | { readonly kind: 'tenantDeleted' }
  /** Another call has deleted it, or taken that back, at the same time. */
  | { readonly kind: 'tenantChanging'; readonly tenant: string }
  /** The time in which its deletion could be taken back is over. */
  | { readonly kind: 'tenantBeingWiped'; readonly tenant: string }
  /** A bug of the service. Only its log says what it was. */
  | { readonly kind: 'internal' };

export type Failure = StoreFailure | ServiceFailure | GroupFailure | RequestFailure;
