// A call that came to this replica on a socket, and that another replica may have to serve: it is tried here first,
// then at the leader. This does for frames, which no gateway sees, what the gateway does for requests.

import type { WholeRequest } from '../../api/contract.ts';
import { failureResponse, isRefusedAlone, writesToldBy } from '../../api/errors/errors.ts';
import { endpointOf } from '../../api/routes.ts';
import { failedLeaderHeader, forwardedHeaders, mayBeAloneHeader, setSeen } from '../../api/forwarded.ts';
import { callUrl } from '../../api/request-target.ts';
import { absentLeader, type AttemptAnswer, leaderHeader, redirectStatus } from '../../api/redirects.ts';
import { SentAttempts } from '../../api/sent-attempts.ts';
import { replicaId, type ReplicaId } from '../../model/brands.ts';
import { attemptHedgeMs, attemptLongMs, attemptTimeoutMs, requestTimeoutMs, tickMs } from '../../limits.ts';
import type { Caller } from '../../model/store.ts';
import type { CallFacts, Doubts } from './call-context.ts';
import { wait, within } from '../../base/timers.ts';

export type RouteOptions = {
  readonly own: ReplicaId;
  readonly serve: (request: WholeRequest, told: Doubts & Pick<CallFacts, 'mayBeAlone' | 'seen'>) => Promise<Response>;
  readonly stubOf: (replica: ReplicaId) => { fetch(input: string, init: RequestInit): Promise<Response> };
  readonly nowMs: () => number;
};

export type RoutedCall = {
  readonly request: WholeRequest;
  readonly caller: Caller;
  readonly origin: string;
  readonly writeId: string;
  /** How many writes this replica has applied. */
  readonly seen: number;
  /** Aborts when the client goes away. */
  readonly gone: AbortSignal;
};

/** The outcome of asking the leader. */
type There = AttemptAnswer<Response> | { readonly kind: 'failed' };

/** A call on its way, and what is known of its attempts. */
type Route = { readonly call: RoutedCall; readonly options: RouteOptions; readonly sent: SentAttempts };

/** Gives up after `requestTimeoutMs`. A write may be sent more than once; its id makes the group apply it once. */
export async function routeCall(call: RoutedCall, options: RouteOptions): Promise<Response> {
  const sent = new SentAttempts(call.seen);
  const answer = await findAnswer({ call, options, sent });
  return sent.mayHaveBegun && isRefusedAlone(answer) ? failureResponse('v3', { kind: 'timeout' }) : answer;
}

async function findAnswer(route: Route): Promise<Response> {
  const { call, options } = route;
  let deadlineMs = options.nowMs() + requestTimeoutMs;
  let failedLeader: ReplicaId | null = null;
  while (!call.gone.aborted) {
    const startedMs = options.nowMs();
    const here = await serveHere(route, { failedLeader, suspectedLeader: null });
    if (here.kind === 'done' && mayRenew(route, here.value)) continue;
    if (here.kind === 'done') return here.value;
    const leader = leaderOf(here);
    if (leader !== null && leader !== options.own) {
      const there = await askLeader(route, { leader, failedLeader, deadlineMs });
      if (there.kind === 'done' && mayRenew(route, there.value)) continue;
      if (there.kind === 'done') return there.value;
      if (there.kind === 'failed') failedLeader = leader;
    }
    const nowMs = options.nowMs();
    if (nowMs - startedMs >= attemptLongMs && waits(call)) deadlineMs = nowMs + requestTimeoutMs;
    if (nowMs >= deadlineMs) break;
    await wait(tickMs);
  }
  return failureResponse('v3', { kind: 'timeout' });
}

/** This replica was far behind the leader, who did nothing, and told what there was. */
function mayRenew({ sent }: Route, answer: Response): boolean {
  const writes = writesToldBy(answer);
  return writes !== null && sent.mayRenew(writes);
}

async function serveHere({ call, options, sent }: Route, doubts: Doubts): Promise<AttemptAnswer<Response>> {
  const attempt = sent.begin();
  return sent.answered(attempt, attemptOf(await options.serve(call.request, { ...doubts, ...attempt })));
}

type Ask = { readonly leader: ReplicaId; readonly failedLeader: ReplicaId | null; readonly deadlineMs: number };

/**
 * Asks the leader. If that takes long, this replica makes sure now and then that the leader lives, and serves the call
 * itself once it leads instead.
 */
async function askLeader(route: Route, ask: Ask): Promise<There> {
  const { call, options } = route;
  const abort = new AbortController();
  const there = fetchFrom(route, ask, abort.signal);
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
    const here = serveHere(route, { failedLeader, suspectedLeader: leader });
    const isThere = there.then((came) => ({ came, livesOn: false }));
    const isHere = here.then((came) => ({ came, livesOn: leaderOf(came) === leader }));
    const first = await Promise.race([isThere, isHere]);
    if (first.livesOn) continue;
    abort.abort();
    return first.came;
  }
}

async function fetchFrom({ call, options, sent }: Route, ask: Ask, givenUp: AbortSignal): Promise<There> {
  const { request, caller, origin, writeId, gone } = call;
  const { leader, failedLeader } = ask;
  const { method, body } = request;
  const headers = forwardedHeaders(request.headers, { caller, origin, writeId });
  if (failedLeader !== null) headers.set(failedLeaderHeader, String(failedLeader));
  const signal = AbortSignal.any([gone, givenUp]);
  const attempt = sent.begin();
  if (attempt.mayBeAlone) headers.set(mayBeAloneHeader, '1');
  setSeen(headers, attempt.seen);
  try {
    const response = await options.stubOf(leader).fetch(callUrl(request), { method, headers, body, signal });
    return sent.answered(attempt, attemptOf(response));
  } catch {
    sent.ended(attempt, 'unknown');
    return { kind: 'failed' };
  }
}

function waits({ request }: RoutedCall): boolean {
  return endpointOf(request).patience === 'waits';
}

function attemptOf(response: Response): AttemptAnswer<Response> {
  if (response.status !== redirectStatus) return { kind: 'done', value: response };
  const leader = response.headers.get(leaderHeader) ?? '0';
  return leader === absentLeader ? { kind: 'absent' } : { kind: 'redirect', leader: Number(leader), members: [] };
}

function leaderOf(came: AttemptAnswer<Response>): ReplicaId | null {
  return came.kind === 'redirect' && came.leader !== 0 ? replicaId(came.leader) : null;
}
