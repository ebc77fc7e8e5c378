// What the wire hands to the replica, and what the replica hands back: one parsed call, with the function that answers
// it. Types only. `call.ts` makes them.

import type { Operation, Outcome, RangeAnswer, RangeRequest, StoreFailure, KeyRange } from '../model/store.ts';
import type { Bounded, Protocol, ResponseHeader, Transport } from './call-parts.ts';
import type { ServiceCall } from './service-calls.ts';
import type { StatusReport } from '../model/reports.ts';

export type * from './call-parts.ts';
export type * from './service-calls.ts';

/** A request as it came. `path` and `query` are not decoded; `query` has no "?". */
export type ApiRequest = {
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly headers: Headers;
  readonly body: Uint8Array;
};

export type ReadResult =
  | { readonly kind: 'answer'; readonly answer: RangeAnswer }
  | { readonly kind: 'failed'; readonly failure: StoreFailure };

/** What a write did. It is no failure, and no retry of a write whose answer was not kept. */
export type AppliedOutcome = Exclude<Outcome, { readonly kind: 'failed' | 'appliedBefore' }>;

export type WriteCall = Bounded & {
  readonly kind: 'write';
  readonly operation: Operation;
  /** The client's Idempotency-Key; null: the gateway's own id names the write. */
  readonly writeId: string | null;
  /** The answer shows the outcome's revision, not the header's: a retry may be answered long after the write. */
  respond(outcome: Outcome, header: ResponseHeader): Response;
};

export type ReadCall = Bounded & {
  readonly kind: 'read';
  readonly request: RangeRequest;
  readonly serializable: boolean;
  respond(result: ReadResult, header: ResponseHeader): Response;
};

export type StatusCall = {
  readonly kind: 'status';
  readonly protocol: Protocol;
  respond(report: StatusReport): Response;
};

/** `from` null: what comes after the store's current revision. */
export type WatchParameters = {
  readonly range: KeyRange;
  readonly from: number | null;
  readonly previous: boolean;
};

/**
 * v1 says all in the request; v3 in the messages of its stream (`v3/watch.ts`). `accepted` is the subprotocol to echo.
 */
export type WatchCall =
  | {
      readonly kind: 'watch';
      readonly protocol: 'v1';
      readonly transport: 'websocket' | 'sse' | 'ndjson';
      readonly accepted: string | null;
      readonly parameters: WatchParameters;
    }
  | {
      readonly kind: 'watch';
      readonly protocol: 'v3';
      readonly transport: Transport;
      readonly accepted: string | null;
      readonly timeoutMs: number | null;
    };

export type RefusedCall = { readonly kind: 'refused'; readonly response: Response };

export type ApiCall = WriteCall | ReadCall | StatusCall | WatchCall | RefusedCall | ServiceCall;
