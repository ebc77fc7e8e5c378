// What can be read of the store beside its keys: leases, users and roles, alarms, hashes. Both the state machine
// (`mvcc/`) and the wire (`api/`) speak it. Types only. Who may ask is looked at with the query: an answer tells only
// what the caller may see.

import type { Permission } from './auth.ts';
import type { LeaseId, Revision } from './brands.ts';
import type { Alarm, AnnouncedLearner, StoreFailure } from './store.ts';

export type Query =
  /** `keys`: the keys attached to it, too. */
  | { readonly kind: 'timeToLive'; readonly id: LeaseId; readonly keys: boolean }
  | { readonly kind: 'leases' }
  /** May the caller extend this lease, and by how much? Extending it is the leader's, in memory. */
  | { readonly kind: 'keepAlive'; readonly id: LeaseId }
  /** Anyone may, unless the token is a bad one. */
  | { readonly kind: 'authStatus' }
  | { readonly kind: 'userGet'; readonly name: string }
  | { readonly kind: 'userList' }
  | { readonly kind: 'roleGet'; readonly role: string }
  | { readonly kind: 'roleList' }
  /**
   * For `authenticate`, by the service alone: fails with `authNotEnabled`, `authenticationFailed`,
   * `userWithoutPassword`.
   */
  | { readonly kind: 'credential'; readonly name: string }
  /** `alarm` 0: of every kind. */
  | { readonly kind: 'alarms'; readonly alarm: number }
  | { readonly kind: 'hash' }
  /** `revision` 0 or less: the current one. */
  | { readonly kind: 'hashKv'; readonly revision: number }
  /** The store's part of etcd's Status. */
  | { readonly kind: 'storeStatus' }
  | { readonly kind: 'announcedLearner' };

export type QueryAnswer =
  /** `lease` null: there is no such lease. `keys` is empty unless it was asked for. */
  | {
      readonly kind: 'timeToLive';
      readonly id: LeaseId;
      readonly lease: { readonly ttlSeconds: number; readonly keys: readonly Uint8Array[] } | null;
    }
  | { readonly kind: 'leases'; readonly ids: readonly LeaseId[] }
  /** `ttlSeconds` null: there is no such lease. */
  | { readonly kind: 'keepAlive'; readonly id: LeaseId; readonly ttlSeconds: number | null }
  | { readonly kind: 'authStatus'; readonly enabled: boolean; readonly authRevision: number }
  /** Names in order. */
  | { readonly kind: 'userGet'; readonly roles: readonly string[] }
  | { readonly kind: 'userList'; readonly users: readonly string[] }
  /** In the order of keys; those of one key in the order in which they came. */
  | { readonly kind: 'roleGet'; readonly permissions: readonly Permission[] }
  | { readonly kind: 'roleList'; readonly roles: readonly string[] }
  /** A token given for this password carries this auth revision. */
  | { readonly kind: 'credential'; readonly passwordHash: string; readonly authRevision: number }
  | { readonly kind: 'alarms'; readonly alarms: readonly Alarm[] }
  /** Of 32 bits. Equal on replicas that applied the same log. */
  | { readonly kind: 'hash'; readonly hash: number }
  /** `compactedRevision` -1 before the first compaction. */
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
      /** Of a downgrade that was announced, major.minor; null: none. */
      readonly downgradeTarget: string | null;
    }
  | { readonly kind: 'announcedLearner'; readonly learner: AnnouncedLearner | null };

/** The answer to a query of one kind. */
export type AnswerTo<Kind extends Query['kind']> = Extract<QueryAnswer, { readonly kind: Kind }>;

export function isAnswerTo<Kind extends Query['kind']>(kind: Kind, answer: QueryAnswer): answer is AnswerTo<Kind> {
  return answer.kind === kind;
}

/** `revision` is the store's when it answered. */
export type QueryResult<Kind extends Query['kind'] = Query['kind']> =
  | { readonly kind: 'answer'; readonly revision: Revision; readonly answer: AnswerTo<Kind> }
  | { readonly kind: 'failed'; readonly failure: StoreFailure };
