// What clients ask of a store, as data, and what comes of it, as data: what crosses from where a call is parsed to the
// replica that answers it, and back. Whoever parsed a call keeps the function that renders its answer. Types only.

import type { Revision } from './brands.ts';
import type { AnswerTo, Query } from './queries.ts';
import type { Operation, Outcome, RangeAnswer, RangeRequest } from './store.ts';

/** The writes that a client asks for as such. What the service itself writes is not among them, whoever sends it. */
export type ClientWrite = Extract<
  Operation,
  { readonly kind: 'put' | 'deleteRange' | 'txn' | 'compact' | 'leaseGrant' | 'leaseRevoke' }
>;

/** The queries that a client asks for as such, and whose answers are small or bounded. */
export type ClientQuery = Extract<
  Query,
  {
    readonly kind:
      | 'timeToLive'
      | 'keepAlive'
      | 'leases'
      | 'authStatus'
      | 'userGet'
      | 'userList'
      | 'roleGet'
      | 'roleList'
      | 'alarms';
  }
>;

/** Who calls is never part of a call: it is told beside it, by whoever checked the credentials. */
export type StoreCall =
  | { readonly kind: 'read'; readonly request: RangeRequest }
  /** `writeId`: the client's own Idempotency-Key; null: whoever sends the call names the write. */
  | { readonly kind: 'write'; readonly operation: ClientWrite; readonly writeId: string | null }
  | { readonly kind: 'query'; readonly query: ClientQuery };

/** Who answers. Ids are decimal strings of 64 bits, never "0". `revision` is the store's when the answer was made. */
export type ResponseHeader = {
  readonly clusterId: string;
  readonly memberId: string;
  readonly raftTerm: number;
  readonly revision: number;
};

/** What there is to say of a failure. The kinds are those of `Failure`; newer code may have more of them. */
export type FailureData = { readonly kind: string; readonly [field: string]: FailureValue };
export type FailureValue = number | string | boolean | null | Uint8Array | readonly string[];

export type ClientQueryAnswer = AnswerTo<ClientQuery['kind']>;

export type CallOutcome =
  | { readonly kind: 'range'; readonly answer: RangeAnswer }
  | { readonly kind: 'written'; readonly outcome: Exclude<Outcome, { readonly kind: 'failed' }> }
  | { readonly kind: 'queried'; readonly revision: Revision; readonly answer: ClientQueryAnswer }
  /** To a `timeToLive`. `remainingSeconds` null: the lease is past its deadline, even before it is gone. */
  | {
      readonly kind: 'timeToLive';
      readonly revision: Revision;
      readonly answer: AnswerTo<'timeToLive'>;
      readonly remainingSeconds: number | null;
    }
  /** `by`: the store refused what was asked, or the service could not ask it. */
  | { readonly kind: 'failed'; readonly by: 'store' | 'service'; readonly failure: FailureData };

export type PlacedMember = { readonly number: number; readonly location: string };

/** What one replica says to a call. */
export type CallAnswer =
  | { readonly kind: 'answered'; readonly header: ResponseHeader; readonly outcome: CallOutcome }
  /** Another replica leads (0: nobody knows). `members` are the replicas of the group that vote. */
  | { readonly kind: 'notLeader'; readonly leader: number; readonly members: readonly PlacedMember[] }
  /** There is no such replica. */
  | { readonly kind: 'absent' };

/** What a caller sent to say who it is, as it stands in its headers. */
export type Credentials =
  | { readonly kind: 'none' }
  /** A key, or a token that names its tenant: it speaks for itself. */
  | { readonly kind: 'alone'; readonly text: string }
  /** `Quorate-Key` names the tenant, and bounds the call; the token, if one came, names the user. */
  | { readonly kind: 'named'; readonly key: string; readonly token: string | null };
