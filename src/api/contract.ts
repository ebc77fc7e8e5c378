// A parsed call, with the function that makes its answer: what the parsers hand to the replica, and what the replica
// hands back to that function. Types only; `call.ts` parses.

import type { Answer } from './answer.ts';
import type { Operation, Outcome, RangeAnswer, RangeRequest, StoreFailure, KeyRange } from '../model/store.ts';
import type { Bounded, Protocol, ResponseHeader, Transport } from './call-parts.ts';
import type { ServiceCall } from './service-calls.ts';
import type { StatusReport } from '../model/reports.ts';

export type * from './call-parts.ts';
export type * from './service-calls.ts';

/** The headers of a request: a name may be in any letters, and a field that came more than once is one list. */
export type RequestHeaders = Pick<Headers, 'get' | 'has'>;

/** A request as it came. `path` and `query` are not decoded, and `query` does not begin with "?". */
export type ApiRequest = {
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly headers: RequestHeaders;
  readonly body: Uint8Array;
};

/** A request whose headers are all there, so that it can be handed on. */
export type WholeRequest = ApiRequest & { readonly headers: Headers };

export type ReadResult =
  | { readonly kind: 'answer'; readonly answer: RangeAnswer }
  | { readonly kind: 'failed'; readonly failure: StoreFailure };

/** What a write did, where it neither failed nor is a retry whose answer was not kept. */
export type AppliedOutcome = Exclude<Outcome, { readonly kind: 'failed' | 'appliedBefore' }>;

export type WriteCall = Bounded & {
  readonly kind: 'write';
  readonly operation: Operation;
  /** The client's Idempotency-Key; null: an id of the gateway's own names the write. */
  readonly writeId: string | null;
  /**
   * The answer shows the revision of the outcome and not that of the header, because a retry may be answered long after
   * the write.
   */
  respond(outcome: Outcome, header: ResponseHeader): Answer;
};

export type ReadCall = Bounded & {
  readonly kind: 'read';
  readonly request: RangeRequest;
  readonly serializable: boolean;
  respond(result: ReadResult, header: ResponseHeader): Answer;
};

export type StatusCall = {
  readonly kind: 'status';
  readonly protocol: Protocol;
  respond(report: StatusReport): Answer;
};

/** `from` is the first revision; null: the watch tells what comes after the store's current revision. */
export type WatchParameters = {
  readonly range: KeyRange;
  readonly from: number | null;
  readonly previous: boolean;
};

/**
 * A watch of v1 says all in its request, and one of v3 in the messages of its stream (`v3/watch.ts`). `accepted` is the
 * subprotocol that the answer repeats.
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

/** Calls as frames on a WebSocket, by `src/session`. `accepted` is the subprotocol that the answer repeats. */
export type SessionCall = { readonly kind: 'session'; readonly protocol: Protocol; readonly accepted: string };

export type RefusedCall = { readonly kind: 'refused'; readonly response: Response };

export type ApiCall = WriteCall | ReadCall | StatusCall | WatchCall | SessionCall | RefusedCall | ServiceCall;
