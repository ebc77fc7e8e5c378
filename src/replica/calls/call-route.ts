// A call that came to this replica on a socket, and that another one may have to serve: here first, then where the
// leader is. What the gateway does for requests, done for frames, which no gateway sees.

import type { ApiRequest } from '../../api/contract.ts';
import { failureResponse, unlessRefusedAlone } from '../../api/errors/errors.ts';
import { endpointOf } from '../../api/routes.ts';
import { forwardedHeaders, failedLeaderHeader } from '../../api/forwarded.ts';
import { callUrl } from '../../api/request-target.ts';
import { leaderHeader, redirectStatus } from '../../api/redirects.ts';
import { replicaId, type ReplicaId } from '../../model/brands.ts';
import { attemptHedgeMs, attemptLongMs, attemptTimeoutMs, requestTimeoutMs, tickMs } from '../../limits.ts';
import type { Caller } from '../../model/store.ts';
import type { Doubts } from './call-context.ts';
import { wait, within } from '../../base/timers.ts';

export type RouteOptions = {
  readonly own: ReplicaId;
  readonly serve: (request: ApiRequest, doubts: Doubts) => Promise<Response>;
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

/** What came of asking the leader. */
type There =
  | { readonly kind: 'answer'; readonly response: Response }
  /** It does not lead any more, or another one is known to. */
  | { readonly kind: 'redirect' }
  | { readonly kind: 'failed' };

/** Gives up after `requestTimeoutMs`. A write may be sent more than once; its id makes the group apply it once. */
export async function routeCall(call: RoutedCall, options: RouteOptions): Promise<Response> {
  let attempts = 0;
  const answer = await findAnswer(call, {
    ...options,
    serve: async (request, doubts) => {
      attempts++;
      const here = await options.serve(request, doubts);
      // Who names another leader has begun nothing.
      if (here.status === redirectStatus && leaderOf(here) !== null) attempts--;
      return here;
    },
    stubOf: (leader) => {
      attempts++;
      return options.stubOf(leader);
    },
  });
  return attempts > 1 ? unlessRefusedAlone(answer, 'v3') : answer;
}

async function findAnswer(call: RoutedCall, options: RouteOptions): Promise<Response> {
  let deadlineMs = options.nowMs() + requestTimeoutMs;
  let failedLeader: ReplicaId | null = null;
  while (!call.gone.aborted) {
    const startedMs = options.nowMs();
    const here = await options.serve(call.request, { failedLeader, suspectedLeader: null });
    if (here.status !== redirectStatus) return here;
    const leader = leaderOf(here);
    if (leader !== null && leader !== options.own) {
      const there = await askLeader(call, { leader, failedLeader, deadlineMs }, options);
      if (there.kind === 'answer') return there.response;
      if (there.kind === 'failed') failedLeader = leader;
    }
    const nowMs = options.nowMs();
    if (nowMs - startedMs >= attemptLongMs && waits(call)) deadlineMs = nowMs + requestTimeoutMs;
    if (nowMs >= deadlineMs) break;
    await wait(tickMs);
  }
  return failureResponse('v3', { kind: 'timeout' });
}

type Ask = { readonly leader: ReplicaId; readonly failedLeader: ReplicaId | null; readonly deadlineMs: number };

/**
 * Asks the leader. Where it takes long, this replica makes sure now and then that it lives, and serves the call itself
 * once it leads instead.
 */
async function askLeader(call: RoutedCall, ask: Ask, options: RouteOptions): Promise<There> {
  const abort = new AbortController();
  const there = fetchFrom(call, ask, abort.signal, options);
  if (waits(call)) return there;
  const { leader, failedLeader, deadlineMs } = ask;
  const endMs = Math.min(options.nowMs() + attemptTimeoutMs, deadlineMs);
  for (let patienceMs = attemptHedgeMs; ; patienceMs *= 2) {
    const leftMs = Math.max(0, endMs - options.nowMs());
    const early = await within(there, Math.min(patienceMs, leftMs));
    if (early !== null) return early;
    if (options.nowMs() >= endMs) {
      abort.abort();
      return { kind: 'failed' };
    }
    const here = options.serve(call.request, { failedLeader, suspectedLeader: leader });
    const first = await Promise.race([there, here]);
    if (!(first instanceof Response)) return first;
    if (first.status === redirectStatus && leaderOf(first) === leader) continue;
    abort.abort();
    return first.status === redirectStatus ? { kind: 'redirect' } : { kind: 'answer', response: first };
  }
}

async function fetchFrom(
  { request, caller, origin, writeId, gone }: RoutedCall,
  { leader, failedLeader }: Ask,
  givenUp: AbortSignal,
  options: RouteOptions,
): Promise<There> {
  const { method, body } = request;
  const headers = forwardedHeaders(request.headers, { caller, origin, writeId });
  if (failedLeader !== null) headers.set(failedLeaderHeader, String(failedLeader));
  const signal = AbortSignal.any([gone, givenUp]);
  try {
    const response = await options.stubOf(leader).fetch(callUrl(request), { method, headers, body, signal });
    return response.status === redirectStatus ? { kind: 'redirect' } : { kind: 'answer', response };
  } catch {
    return { kind: 'failed' };
  }
}

function waits({ request }: RoutedCall): boolean {
  return endpointOf(request).patience === 'waits';
}

function leaderOf(redirect: Response): ReplicaId | null {
  const leader = Number(redirect.headers.get(leaderHeader) ?? '0');
  return leader === 0 ? null : replicaId(leader);
}
