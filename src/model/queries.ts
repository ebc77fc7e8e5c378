// What can be read of the store beside its keys: leases, users and roles, alarms, hashes, for the state machine
// (`mvcc/`) and the wire (`api/`) alike. Types only. The permission of the caller is checked with the query, and an
// answer tells only what the caller may see.

import type { Permission } from './auth.ts';
import type { LeaseId, Revision } from './brands.ts';
import type { Alarm, AnnouncedLearner, StoreFailure } from './store.ts';

export type Query =
  /** `keys`: true: the answer has the keys that are attached to the lease. */
  | { readonly kind: 'timeToLive'; readonly id: LeaseId; readonly keys: boolean }
  | { readonly kind: 'leases' }
  /** Asks whether the caller may extend this lease, and by how much. The leader extends it, in memory. */
  | { readonly kind: 'keepAlive'; readonly id: LeaseId }
  /** Anyone may ask, unless its token is wrong. */
  | { readonly kind: 'authStatus' }
  | { readonly kind: 'userGet'; readonly name: string }
  | { readonly kind: 'userList' }
  | { readonly kind: 'roleGet'; readonly role: string }
  | { readonly kind: 'roleList' }
  /**
   * For `authenticate`, asked by the service alone. Fails with `authNotEnabled`, `authenticationFailed` or
   * `userWithoutPassword`.
   */
  | { readonly kind: 'credential'; readonly name: string }
  /** `alarm` 0: the alarms of every kind. */
  | { readonly kind: 'alarms'; readonly alarm: number }
  | { readonly kind: 'hash' }
  /** `revision` 0 or less: the present one. */
  | { readonly kind: 'hashKv'; readonly revision: number }
  /** The part of etcd's Status that the store knows. */
  | { readonly kind: 'storeStatus' }
  | { readonly kind: 'announcedLearner' };

export type QueryAnswer =
  /** `lease` null: there is no such lease. `keys` is empty unless the keys were asked for. */
  | {
      readonly kind: 'timeToLive';
      readonly id: LeaseId;
      readonly lease: { readonly ttlSeconds: number; readonly keys: readonly Uint8Array[] } | null;
    }
  | { readonly kind: 'leases'; readonly ids: readonly LeaseId[] }
  /** `ttlSeconds` null: there is no such lease. */
  | { readonly kind: 'keepAlive'; readonly id: LeaseId; readonly ttlSeconds: number | null }
  | { readonly kind: 'authStatus'; readonly enabled: boolean; readonly authRevision: number }
  /** The names, in order. */
  | { readonly kind: 'userGet'; readonly roles: readonly string[] }
  | { readonly kind: 'userList'; readonly users: readonly string[] }
  /** The permissions in the order of their keys; those for one key in the order in which they came. */
  | { readonly kind: 'roleGet'; readonly permissions: readonly Permission[] }
  | { readonly kind: 'roleList'; readonly roles: readonly string[] }
  /** The auth revision that a token for this password carries. */
  | { readonly kind: 'credential'; readonly passwordHash: string; readonly authRevision: number }
  | { readonly kind: 'alarms'; readonly alarms: readonly Alarm[] }
  /** A hash of 32 bits, which is equal on replicas that applied the same log. */
  | { readonly kind: 'hash'; readonly hash: number }
  /** `compactedRevision` -1: there was no compaction. */
  | {
      readonly kind: 'hashKv';
      readonly hash: number;
      readonly hashRevision: number;
      readonly compactedRevision: number;
    }
  | {
      readonly kind: 'storeStatus';
      readonly databaseBytes: number;
      readonly databaseBytesInUse: number;
      readonly quotaBytes: number;
      readonly alarms: readonly Alarm[];
      /** The version of an announced downgrade, as major.minor. Null: none is announced. */
      readonly downgradeTarget: string | null;
    }
  | { readonly kind: 'announcedLearner'; readonly learner: AnnouncedLearner | null };

/** The answer to a query of one kind. */
export type AnswerTo<Kind extends Query['kind']> = Extract<QueryAnswer, { readonly kind: Kind }>;

export function isAnswerTo<Kind extends Query['kind']>(kind: Kind, answer: QueryAnswer): answer is AnswerTo<Kind> {
  return answer.kind === kind;
}

/** `revision` is the store's revision when it answered. */
export type QueryResult<Kind extends Query['kind'] = Query['kind']> =
  | { readonly kind: 'answer'; readonly revision: Revision; readonly answer: AnswerTo<Kind> }
  | { readonly kind: 'failed'; readonly failure: StoreFailure };
