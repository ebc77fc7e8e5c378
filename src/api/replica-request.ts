// What the gateway asks of a replica beside the calls of clients: each kind of request with what it says and its
// answer, as data. All of them come by one method of the object (`ask`), so whoever delays or refuses requests does it
// to all alike. A new kind is added here.

import type { AccessKey, Caller, Operation, Outcome, StoreFailure } from '../model/store.ts';
import type { Failure } from './errors/failures.ts';
import type { AttemptAnswer } from './redirects.ts';
import type { DoubtedLeaders } from './forwarded.ts';
import type { PlacedMember } from '../model/calls.ts';
import type { GroupReplicas } from '../model/reports.ts';

/** Why a group's members were not changed. */
export type FailedChange = { readonly kind: 'failed'; readonly failure: Failure };

export type AccessKeys =
  | { readonly kind: 'keys'; readonly keys: readonly AccessKey[] }
  | { readonly kind: 'failed'; readonly failure: StoreFailure };

/** What one replica does with its own object, whoever leads. Each of these may be asked again. */
type ObjectRequests = {
  /** Makes the object a replica of a group that begins. */
  provision: {
    readonly says: { readonly tenant: string; readonly number: number; readonly members: readonly PlacedMember[] };
    readonly answer: null;
  };
  /**
   * The tenant is being deleted: this object serves no more, makes no other one a replica, and is made none again. Its
   * data stay until it is wiped. The answer is the number that the group's next replica would have got, as far as this
   * one knew: each lower one may be that of an object. 0: it knew of no group.
   */
  retire: { readonly says: object; readonly answer: number };
  /** The same, and nothing but that answer stays, for a while. */
  wipe: { readonly says: object; readonly answer: number };
};

/** What the leader of the group answers, or a replica that finds it. */
type GroupRequests = {
  /** Applies an operation of the tenant's administrators. `writeId` names it over all attempts. */
  administer: {
    readonly says: { readonly writeId: string; readonly caller: Caller; readonly operation: Operation };
    readonly answer: Outcome;
  };
  /** The tenant's keys, for whoever may administer them. */
  accessKeys: { readonly says: { readonly caller: Caller }; readonly answer: AccessKeys };
  /** The replicas of the group, as its leader knows them. */
  replicas: { readonly says: object; readonly answer: GroupReplicas };
  /** `number` is that of the next replica: the same request, made again, adds no second one. */
  addReplica: {
    readonly says: { readonly number: number; readonly location: string; readonly replaces: number | null };
    readonly answer: GroupReplicas | FailedChange;
  };
  /** `force`: also where few stay. A gateway of older code does not say it. */
  removeReplica: {
    readonly says: { readonly number: number; readonly force?: boolean };
    readonly answer: GroupReplicas | FailedChange;
  };
};

export type ObjectRequestKind = keyof ObjectRequests;
export type GroupRequestKind = keyof GroupRequests;

/** As the gateway makes it; each attempt says beside it which leaders it doubts. */
export type GroupRequest<Kind extends GroupRequestKind = GroupRequestKind> = {
  readonly [Each in Kind]: { readonly kind: Each } & GroupRequests[Each]['says'];
}[Kind];

export type ObjectRequest<Kind extends ObjectRequestKind = ObjectRequestKind> = {
  readonly [Each in Kind]: { readonly kind: Each } & ObjectRequests[Each]['says'];
}[Kind];

/** What a replica is sent. */
export type ReplicaRequest = ObjectRequest | (GroupRequest & DoubtedLeaders);

export type GroupAnswer<Kind extends GroupRequestKind> = GroupRequests[Kind]['answer'];
export type ObjectAnswer<Kind extends ObjectRequestKind> = ObjectRequests[Kind]['answer'];

/** What a replica sends back. */
export type ReplicaAnswer = ObjectAnswer<ObjectRequestKind> | AttemptAnswer<GroupAnswer<GroupRequestKind>>;

/** As the platform words it: the object runs code that has no such method. */
export function isUnknownMethod(error: unknown): boolean {
  return error instanceof TypeError && error.message.includes('does not implement');
}
