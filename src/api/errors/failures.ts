// What can go wrong outside of the store: values, with what there is to say of each. `errors.ts` says it to the client.

import type { MemoryShare } from '../../base/memory-budget.ts';
import type { StoreFailure } from '../../model/store.ts';

/** What can be wrong with, or true of, one request. */
export type RequestFailure =
  | { readonly kind: 'bodyTooLarge'; readonly bytes: number; readonly bytesMax: number }
  /** It did not come in time. */
  | { readonly kind: 'bodyLate'; readonly seconds: number }
  | { readonly kind: 'requestTooLarge'; readonly bytes: number; readonly bytesMax: number }
  | { readonly kind: 'notFound' }
  | { readonly kind: 'methodNotAllowed'; readonly allow: readonly string[] }
  | { readonly kind: 'notServed'; readonly what: string }
  | { readonly kind: 'badRequest'; readonly detail: string }
  | { readonly kind: 'contentCodingNotTaken'; readonly coding: string }
  | { readonly kind: 'contentTypeNotTaken'; readonly contentType: string; readonly takes: string }
  | { readonly kind: 'expectationFailed'; readonly expectation: string }
  | { readonly kind: 'keyAbsent'; readonly key: Uint8Array; readonly revision: number }
  /** `current` is the key's mod_revision, null where it does not exist. */
  | { readonly kind: 'preconditionFailed'; readonly current: number | null; readonly revision: number }
  | { readonly kind: 'appliedBefore'; readonly revision: number };

/** Of locks, elections, members and maintenance. */
export type GroupFailure =
  | { readonly kind: 'electionNoLeader' }
  | { readonly kind: 'notElectionLeader' }
  | { readonly kind: 'leaderKeyMissing' }
  /** The own key went while its owner waited. */
  | { readonly kind: 'sessionExpired' }
  /** v1: nobody gave up a place in time. `fencingToken` is that of the oldest that holds one. */
  | { readonly kind: 'lockHeld'; readonly fencingToken: number; readonly waiting: number; readonly revision: number }
  /** v1: others wait for this name with another limit. */
  | { readonly kind: 'limitDiffers'; readonly limit: number }
  /** v1: this key lies below the name, and is no place: the lock would wait for it for ever. */
  | { readonly kind: 'nameInUse'; readonly key: Uint8Array }
  | { readonly kind: 'lockNotHeld' }
  /** v1: the place that If-Match meant is gone, and its lease has another one. */
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
  /** So many would be left that vote. */
  | { readonly kind: 'tooFewReplicas'; readonly staying: number; readonly min: number }
  /** Nobody would vote any more. */
  | { readonly kind: 'lastReplica' }
  /**
   * One change of the members at a time: another one is not committed yet, or leadership is being handed over for it.
   */
  | { readonly kind: 'membersChanging' }
  /** A replica still runs code that does not know this, or an operator has announced a downgrade. */
  | { readonly kind: 'groupLevelTooLow'; readonly what: string };

/** What a client may hold open on a replica. */
export type OpenKind =
  | 'watchSocket'
  | 'watchStream'
  | 'callSocket'
  | 'observer'
  | 'keepAliveStream'
  /** A call that waits for a lock, for a place of a semaphore or to be elected. */
  | 'wait'
  | 'snapshot'
  /** A hash over the whole store. */
  | 'hash';

/** What can go wrong in the gateway and between replicas. */
export type ServiceFailure =
  | { readonly kind: 'accessKeyMissing' }
  /** Not of the form of a key, or not one that this service made. */
  | { readonly kind: 'accessKeyInvalid'; readonly given: 'operatorToken' | 'other' }
  | { readonly kind: 'operatorTokenInvalid'; readonly given: 'accessKey' | 'other' | 'nothing' }
  /** The key is good, but not for this tenant or this call. */
  | { readonly kind: 'accessKeyForbidden'; readonly need: string }
  | { readonly kind: 'tenantNotFound'; readonly tenant: string }
  | { readonly kind: 'tenantNameTaken'; readonly name: string }
  /** `id` null: what was asked for is no id; it may be a secret, and is not repeated. */
  | { readonly kind: 'accessKeyNotFound'; readonly id: string | null }
  | { readonly kind: 'noLeader' }
  | { readonly kind: 'leaderChanged' }
  | { readonly kind: 'timeout' }
  | { readonly kind: 'overloaded' }
  /** Too many logins have failed. */
  | { readonly kind: 'loginDelayed'; readonly seconds: number }
  /** What is under way takes as much memory as it may: of this key, of its tenant, or of the whole service here. */
  | { readonly kind: 'memoryFull'; readonly of: MemoryShare }
  /** As many of these are open as one key, or one replica, may hold. */
  | { readonly kind: 'tooManyOpen'; readonly what: OpenKind; readonly of: 'key' | 'replica'; readonly max: number }
  | { readonly kind: 'directoryUnavailable' }
  /** Its tables were never made. */
  | { readonly kind: 'directoryNotMigrated' }
  /** Settings that are missing, or too weak: what is wrong with each. */
  | { readonly kind: 'notConfigured'; readonly faults: readonly string[] }
  /** A replica could not be reached: the tenant is not wholly deleted. */
  | { readonly kind: 'deletionUnfinished'; readonly tenant: string }
  | { readonly kind: 'tenantDeleted' }
  /** A fault of the service: a bug. What it was is in the log and nowhere else. */
  | { readonly kind: 'internal' };

export type Failure = StoreFailure | ServiceFailure | GroupFailure | RequestFailure;
