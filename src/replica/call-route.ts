// A call that came to this replica on a socket, and that another one may have to serve: here first, then where the leader is.
// What the gateway does for requests, done for frames, which no gateway sees.

import type { ApiRequest } from '../api/contract.ts';
import { failureResponse } from '../api/errors.ts';
import {
  callerHeader,
  callerText,
  failedLeaderHeader,
  leaderHeader,
  originHeader,
  redirectStatus,
  writeIdHeader,
} from '../api/routing.ts';
import { replicaId, type ReplicaId } from '../brands.ts';
import { attemptLongMs, requestTimeoutMs, tickMs } from '../limits.ts';
import type { Caller } from '../model.ts';

export type RouteOptions = {
  readonly own: ReplicaId;
  readonly serve: (request: ApiRequest, failedLeader: ReplicaId | null) => Promise<Response>;
  readonly stubOf: (replica: ReplicaId) => { fetch(input: string, init: RequestInit): Promise<Response> };
  readonly nowMs: () => number;
};

export type RoutedCall = {
  readonly request: ApiRequest;
  readonly caller: Caller;
  readonly origin: string;
  readonly writeId: string;
  /** Aborts when the client goes away. */
  readonly gone: AbortSignal;
};

/** Gives up after `requestTimeoutMs`. A write may be sent more than once; its id makes the group apply it once. */
export async function routeCall(
  { request, caller, origin, writeId, gone }: RoutedCall,
  options: RouteOptions,
): Promise<Response> {
  let deadlineMs = options.nowMs() + requestTimeoutMs;
  let failedLeader: ReplicaId | null = null;
  while (!gone.aborted) {
    const startedMs = options.nowMs();
    const here = await options.serve(request, failedLeader);
    if (here.status !== redirectStatus) return here;
    const leader = replicaId(Number(here.headers.get(leaderHeader) ?? '0'));
    if (leader !== 0 && leader !== options.own) {
      const headers = new Headers(request.headers);
      headers.set(callerHeader, callerText(caller));
      headers.set(originHeader, origin);
      headers.set(writeIdHeader, writeId);
      if (failedLeader !== null) headers.set(failedLeaderHeader, String(failedLeader));
      try {
        const { method, path, body } = request;
        const there = await options.stubOf(leader).fetch(`${origin}${path}`, { method, headers, body, signal: gone });
        if (there.status !== redirectStatus) return there;
      } catch {
        failedLeader = leader;
      }
    }
    const nowMs = options.nowMs();
    if (nowMs - startedMs >= attemptLongMs) deadlineMs = nowMs + requestTimeoutMs;
    if (nowMs >= deadlineMs) break;
    await scheduler.wait(tickMs);
  }
  return failureResponse('v3', { kind: 'timeout' });
}
