// What the gateway asks of a replica beside the calls of clients: for each kind of request, what it says and its
// answer, as data. All of them go through one method of the object (`ask`), so that code which delays or refuses
// requests treats them all alike. A new kind of request is added in this file.

import type {
  AccessKey,
  Caller,
  Command,
  Operation,
  Outcome,
  StoreFailure,
  SuspensionFailure,
} from '../model/store.ts';
import type { LimitTerm } from '../model/terms.ts';
import type { Failure } from './errors/failures.ts';
import type { AttemptAnswer } from './redirects.ts';
import type { AskedAs, DoubtedLeaders } from './forwarded.ts';
import type { PlacedMember } from '../model/calls.ts';
import type { GroupReplicas } from '../model/reports.ts';

/** Why a group's members were not changed. */
export type FailedChange = { readonly kind: 'failed'; readonly failure: Failure };

export type AccessKeys =
  | { readonly kind: 'keys'; readonly keys: readonly AccessKey[] }
  | { readonly kind: 'failed'; readonly failure: StoreFailure };

/** What a key is told of itself. */
export type OwnAccess = {
  readonly kind: 'key';
  readonly accessKey: AccessKey;
  /** The tenant is closed to its keys. */
  readonly isSuspended: boolean;
  /** Why it is. A replica whose code is of the version before does not say. */
  readonly suspension?: SuspensionFailure | null;
  /** What the operator has set for the tenant. A replica whose code is of the version before does not say. */
  readonly terms?: Readonly<Partial<Record<LimitTerm, number>>>;
};

/** null: the tenant is open to its keys. */
export function suspensionOfTenant({ isSuspended, suspension = null }: OwnAccess): SuspensionFailure | null {
  return isSuspended ? (suspension ?? { kind: 'tenantSuspended' }) : null;
}

/** What one replica does with its own object, whichever replica leads. Each of these requests may be repeated. */
type ObjectRequests = {
  /** Makes the object a replica of a group that begins. */
  provision: {
    readonly says: { readonly tenant: string; readonly number: number; readonly members: readonly PlacedMember[] };
    readonly answer: null;
  };
  /**
   * As `provision`, and the group begins at this level with these commands in its log. Every replica gets the same
   * before one of them is asked anything else. If one does not take it, the tenant is wiped.
   */
  found: {
    readonly says: {
      readonly tenant: string;
      readonly number: number;
      readonly members: readonly PlacedMember[];
      readonly level: number;
      readonly commands: readonly Command[];
    };
    readonly answer: null;
  };
  /**
   * The tenant is being deleted. The object stops being a replica, makes no other object a replica, and never becomes
   * one again. Its data stay until it is wiped. The answer is the number that the group's next replica would have got,
   * as far as this replica knew, so that any object with a lower number may be a replica. The answer is 0 where it knew
   * of no group.
   */
  retire: { readonly says: object; readonly answer: number };
  /** As `retire`, and the data go: only the answer is kept, for a while. */
  wipe: { readonly says: object; readonly answer: number };
};

/** The outcome of a change of the tenant itself: it has no pairs. */
export type ChangeOutcome = Exclude<Outcome, { readonly kind: 'put' | 'deleteRange' | 'txn' }>;

/** What the leader of the group answers. Another replica names the leader. */
type GroupRequests = {
  /** Applies an operation of the tenant's administrators. `writeId` names it over all attempts. */
  administer: {
    readonly says: { readonly writeId: string; readonly caller: Caller; readonly operation: Operation };
    readonly answer: ChangeOutcome | FailedChange;
  };
  /** The access keys of the tenant, for a caller who may manage them. */
  accessKeys: { readonly says: { readonly caller: Caller }; readonly answer: AccessKeys };
  /** The access key of this id, for whoever has it. */
  whoami: {
    readonly says: { readonly id: string };
    readonly answer: OwnAccess | { readonly kind: 'failed'; readonly failure: StoreFailure };
  };
  /** The replicas of the group, as its leader knows them. */
  replicas: { readonly says: object; readonly answer: GroupReplicas };
  /** `number` is that of the next replica, so that a repeated request adds no second one. */
  addReplica: {
    readonly says: { readonly number: number; readonly location: string; readonly replaces: number | null };
    readonly answer: GroupReplicas | FailedChange;
  };
  /** `force`: remove the replica even where few voters stay. A gateway of older code does not send it. */
  removeReplica: {
    readonly says: { readonly number: number; readonly force?: boolean };
    readonly answer: GroupReplicas | FailedChange;
  };
};

export type ObjectRequestKind = keyof ObjectRequests;
export type GroupRequestKind = keyof GroupRequests;

/** A request as the gateway makes it. Each attempt adds which leaders are in doubt. */
export type GroupRequest<Kind extends GroupRequestKind = GroupRequestKind> = {
  readonly [Each in Kind]: { readonly kind: Each } & GroupRequests[Each]['says'];
}[Kind];

export type ObjectRequest<Kind extends ObjectRequestKind = ObjectRequestKind> = {
  readonly [Each in Kind]: { readonly kind: Each } & ObjectRequests[Each]['says'];
}[Kind];

/** A call of a client that the gateway has parsed, as a frame (`session/call-codec.ts`). */
export type FrameCall = DoubtedLeaders & {
  readonly kind: 'call';
  readonly call: Uint8Array;
  readonly caller: Caller;
  /** Names a write that its client did not name, over all attempts. */
  readonly writeId: string;
  readonly mayBeAlone: boolean;
  /** As in `SentAttempt`. Left out, as the version before does: the sender does not count. */
  readonly seen?: number | null | undefined;
  /** null: the caller did not choose who answers. */
  readonly askedAs: AskedAs | null;
  /** null: the time-out of the service. */
  readonly timeoutMs: number | null;
  /** Bytes of 0 may come before an answer that is late. Left out, as the version before does: they may not. */
  readonly takesPadding?: boolean;
};

/**
 * The answer as a frame (`session/answer-codec.ts`), or in the body of a response, where it is large or late. `writes`:
 * how many writes the group has remembered, as far as the replica knows. A replica of the version before does not say.
 */
export type FrameAnswer = {
  readonly replica: number;
  readonly answer: Uint8Array | Response;
  readonly writes?: number;
};

/** What a replica is sent. */
export type ReplicaRequest = ObjectRequest | (GroupRequest & DoubtedLeaders) | FrameCall;

export type GroupAnswer<Kind extends GroupRequestKind> = GroupRequests[Kind]['answer'];
export type ObjectAnswer<Kind extends ObjectRequestKind> = ObjectRequests[Kind]['answer'];

/** The replica's code is older than this kind of request. Nothing was done. */
export type UnknownRequest = { readonly kind: 'unknownRequest' };

/** What a replica sends back. */
export type ReplicaAnswer =
  | UnknownRequest
  | ObjectAnswer<ObjectRequestKind>
  | AttemptAnswer<GroupAnswer<GroupRequestKind>>
  | FrameAnswer;

/** Whether the platform's error says that the object's code has no such method. */
export function isUnknownMethod(error: unknown): boolean {
  return error instanceof TypeError && error.message.includes('does not implement');
}

/** Whether this is what an object throws whose `ask` is of older code, and had no answer for an unknown kind. */
export function isUnknownKind(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith('unreachable: {"kind":');
}
