// A call on a tenant's store: find out who calls, find the replica, hand the request on. The gateway looks neither at
// the body nor at the answer, except for a login whose message alone names its tenant. A body is read whole, so that it
// can be sent again when its leader is gone; streams and upgrades are passed on as they come.

import type { Endpoint } from '../api/endpoint.ts';
import { type Failure, failureResponse } from '../api/errors/errors.ts';
import { endpointOf } from '../api/routes.ts';
import { sessionPath, sessionReplica } from '../api/v1/session.ts';
import {
  absentLeader,
  type AttemptAnswer,
  leaderHeader,
  membersHeader,
  parseMembers,
  redirectStatus,
} from '../api/redirects.ts';
import {
  askedAsOf,
  forwardedHeaders,
  failedLeaderHeader,
  goesOnHeader,
  mayBeAloneHeader,
  readHeader,
  setSeen,
  suspectedLeaderHeader,
} from '../api/forwarded.ts';
import { callUrl, pathAndQuery, type RequestTarget } from '../api/request-target.ts';
import { ownerText } from '../api/caller-text.ts';
import { suspensionIn } from '../api/suspended-answer.ts';
import { type CallAttempt, SentAttempts } from '../api/sent-attempts.ts';
import { loginBodyBytesMax, requestBodyBytesMax } from '../limits.ts';
import { emptyBytes } from '../base/bytes.ts';
import { isolateMemory } from '../base/memory-budget.ts';
import { newId } from '../tenants/key-text.ts';
import { type Told, toLeader } from '../routing/attempts.ts';
import { isOutage } from './stub-calls.ts';
import { credentialsOf } from '../api/credentials.ts';
import type { Identified, Identities } from '../tenants/identities.ts';
import type { ReplicaStub } from './env.ts';
import { askOnce, type CallFrame, frameOf, settled } from '../routing/call-frame.ts';
import { isUnknownRequest } from './ask-replica.ts';
import { askFrame } from './framed-call.ts';
import type { GroupRouter } from './group-router.ts';
import { GuardedLogins, identifyLogin } from './login.ts';
import { readTargetOf } from './read-target.ts';
import { readBody } from './request-body.ts';
import { SuspendedCallers } from './suspended-callers.ts';

/** A caller, and the tenant that its credentials name. */
type Named = Pick<Extract<Identified, { readonly kind: 'caller' }>, 'tenant' | 'caller'>;

export class StoreCalls {
  readonly #identities: Identities;
  readonly #groups: GroupRouter;
  readonly #suspended: SuspendedCallers;
  readonly #logins = new GuardedLogins(
    () => Date.now(),
    (delayMs) => scheduler.wait(delayMs),
  );
  #writeIdPrefix = '';
  #writes = 0;

  constructor(identities: Identities, groups: GroupRouter, suspended = new SuspendedCallers()) {
    this.#identities = identities;
    this.#groups = groups;
    this.#suspended = suspended;
  }

  async serve(request: Request): Promise<Response> {
    const incoming = incomingOf(request);
    const { endpoint } = incoming;
    const refuse = (failure: Failure): Response => failureResponse(endpoint.protocol, failure);
    const credentials = credentialsOf(request.headers);
    const identified = this.#identities.identify(credentials);
    const byMessage = identified.kind === 'failed' && credentials.kind !== 'named' && endpoint.isLogin;
    if (identified.kind === 'failed' && !byMessage) return refuse(identified.failure);

    // The body of a GET means nothing (RFC 9110, section 9.3.1). An upgrade is a GET.
    const body: ReadableStream | null = hasNoBody(request.method) ? null : request.body;
    if (body !== null && isReadWhole(incoming)) {
      if (identified.kind === 'caller') return this.#askWithBody(identified, incoming, refuse);
      const read = await readBody(request, { bytesMax: loginBodyBytesMax, memory: null });
      if (read.kind === 'failed') return refuse(read.failure);
      const { body: message } = read;
      if (byMessage) {
        const login = identifyLogin(this.#identities, message);
        if (login === null) return refuse(identified.failure);
        const { tenant, user } = login;
        const asked = () => this.ask(login, incoming, message);
        return user === null ? asked() : this.#logins.guard(request, { tenant, user }, asked);
      }
    }
    if (identified.kind === 'failed') return refuse(identified.failure);
    return this.ask(identified, incoming, body);
  }

  /** The body stays in memory until the call is answered, because it may have to be sent again. */
  async #askWithBody(
    identified: Extract<Identified, { readonly kind: 'caller' }>,
    incoming: Incoming,
    refuse: (failure: Failure) => Response,
  ): Promise<Response> {
    const { tenant, caller } = identified;
    const memory = isolateMemory.reserve({ tenant, key: ownerText(caller) });
    try {
      const read = await readBody(incoming.request, { bytesMax: requestBodyBytesMax, memory });
      return read.kind === 'failed' ? refuse(read.failure) : await this.ask(identified, incoming, read.body);
    } finally {
      memory.release();
    }
  }

  /**
   * Asks the group in the name of `caller`, who has been checked by the gateway or has the operator's token. A caller
   * whose tenant is known to be suspended is refused, and no group is asked.
   */
  async ask(named: Named, incoming: Incoming, body: ArrayBuffer | ReadableStream | null): Promise<Response> {
    const { tenant, caller } = named;
    const { protocol } = incoming.endpoint;
    const known = this.#suspended.refusal(tenant, caller, Date.now());
    if (known !== null) return failureResponse(protocol, known);
    const answer = await this.#askGroup(named, incoming, body);
    const told = suspensionIn(answer);
    if (told === null) return answer;
    this.#suspended.note(tenant, caller, told, Date.now());
    return failureResponse(protocol, told);
  }

  async #askGroup(
    { tenant, caller }: Named,
    { request, target, endpoint }: Incoming,
    body: ArrayBuffer | ReadableStream | null,
  ): Promise<Response> {
    const { protocol, patience } = endpoint;
    const readTarget = readTargetOf(request, target.query, endpoint);
    if (readTarget === null) return failureResponse(protocol, badReadHeader);
    const { method } = request;
    const url = callUrl(target);
    const origin = endpoint.namesOrigin ? originOf(request.url) : null;
    const writeId = this.#newWriteId();
    const headers = forwardedHeaders(request.headers, { caller, writeId, origin });
    if (body instanceof ReadableStream && endpoint.body === 'wholeIfMeasured') headers.set(goesOnHeader, '1');
    const named = sessionReplicaOf(target);
    if (named !== null) return this.#askNamed({ tenant, replica: named }, url, { method, headers });
    const reader = readTarget.kind === 'nearest' ? readTarget.reader : null;
    // A read that was refused has changed nothing, wherever it was asked.
    const sent = endpoint.servedBy === 'leader' ? new SentAttempts(this.#groups.writesSeen(tenant)) : null;
    const counted = (writes: number): void => this.#groups.counted(tenant, writes);
    const frame = body instanceof ReadableStream ? null : frameOfRequest({ request, target, endpoint }, body);
    const holder = { tenant, key: ownerText(caller) };
    const routed = await this.#groups.route<Response>(tenant, {
      patience,
      reader,
      ask: (stub, told, signal) => {
        const isTold = told !== toLeader || reader !== null;
        if (isTold) tell(headers, told);
        const byRequest = () => ask(stub, url, { method, headers, body, signal });
        const once = ({ mayBeAlone, seen }: CallAttempt): Promise<AttemptAnswer<Response>> => {
          if (frame === null) return byRequest();
          const askedAs = isTold ? told.read : askedAsOf(request.headers);
          const doubted = { failedLeader: told.failed, suspectedLeader: told.suspected };
          const facts = { caller, writeId, mayBeAlone, seen, askedAs, ...doubted };
          return askFrame(stub, frame, facts, { holder, signal, counted }).catch((error: unknown) => {
            if (isUnknownRequest(error)) return byRequest();
            throw error;
          });
        };
        if (sent === null) return once({ mayBeAlone: false, seen: undefined });
        return askOnce(sent, (attempt) => {
          if (attempt.mayBeAlone) headers.set(mayBeAloneHeader, '1');
          else headers.delete(mayBeAloneHeader);
          // What comes as a stream cannot be sent again with another count.
          if (!(body instanceof ReadableStream)) setSeen(headers, attempt.seen);
          return once(attempt);
        });
      },
    });
    const came = settled(routed, sent);
    if (came.kind === 'done') return came.value;
    if (came.kind === 'unavailable') return failureResponse(protocol, { kind: 'timeout' });
    // A caller without a key of a tenant is not told whether the tenant exists.
    const hasKey = caller.kind !== 'service' && caller.id !== '';
    return failureResponse(
      protocol,
      hasKey ? { kind: 'unauthenticated', reason: 'unknown' } : { kind: 'authenticationFailed' },
    );
  }

  /** A session is with the replica that its client names: no other one is asked. */
  async #askNamed(
    { tenant, replica }: { readonly tenant: string; readonly replica: number },
    url: string,
    init: RequestInit,
  ): Promise<Response> {
    const absent: Failure = { kind: 'replicaNotFound', replica };
    if (!this.#groups.mayHave(tenant, replica)) return failureResponse('v1', absent);
    try {
      const answer = await ask(this.#groups.stub(tenant, replica), url, init);
      return answer.kind === 'done' ? answer.value : failureResponse('v1', absent);
    } catch (error) {
      if (!isOutage(error)) throw error;
      return failureResponse('v1', { kind: 'timeout' });
    }
  }

  /** The prefix is random and made once for this isolate; a counter follows it. So no call asks for randomness. */
  #newWriteId(): string {
    if (this.#writeIdPrefix === '') this.#writeIdPrefix = `${newId()}${newId()}`;
    this.#writes++;
    return `${this.#writeIdPrefix}.${this.#writes.toString(36)}`;
  }
}

/** A request with its path and query, and with what the table of routes says of it. */
export type Incoming = { readonly request: Request; readonly target: RequestTarget; readonly endpoint: Endpoint };

export function incomingOf(request: Request): Incoming {
  const target = pathAndQuery(request.url);
  const { method, headers } = request;
  return { request, target, endpoint: endpointOf({ method, path: target.path, headers }) };
}

/** null: the request is for no session, or names no replica. */
function sessionReplicaOf({ path, query }: RequestTarget): number | null {
  const replica = path === sessionPath ? sessionReplica(query) : null;
  return replica?.kind === 'parsed' ? replica.value : null;
}

/** null: it crosses as it came. An upgrade and a call that waits are no frames. */
function frameOfRequest({ request, target, endpoint }: Incoming, body: ArrayBuffer | null): CallFrame | null {
  if (endpoint.patience !== 'hedged') return null;
  const { method, headers } = request;
  const bytes = body === null ? emptyBytes : new Uint8Array(body);
  return frameOf(endpoint.parse({ method, ...target, headers, body: bytes }));
}

function isReadWhole({ request, endpoint }: Incoming): boolean {
  return endpoint.body === 'whole' || (endpoint.body === 'wholeIfMeasured' && request.headers.has('content-length'));
}

function hasNoBody(method: string): boolean {
  return method === 'GET' || method === 'HEAD';
}

/** The scheme, host and port that the client called; empty where its host is not a valid one. */
function originOf(url: string): string {
  return URL.parse(url)?.origin ?? '';
}

const badReadHeader: Failure = { kind: 'badRequest', detail: 'Quorate-Read must be leader or nearest' };

/** Sets the headers for the next attempt. Each attempt sends the headers as they are when it begins. */
function tell(headers: Headers, { failed, suspected, read }: Told): void {
  tellReplica(headers, failedLeaderHeader, failed);
  tellReplica(headers, suspectedLeaderHeader, suspected);
  headers.set(readHeader, read);
}

function tellReplica(headers: Headers, name: string, replica: number): void {
  if (replica === 0) headers.delete(name);
  else headers.set(name, String(replica));
}

async function ask(stub: ReplicaStub, url: string, init: RequestInit): Promise<AttemptAnswer<Response>> {
  const response = await stub.fetch(url, init);
  if (response.status !== redirectStatus) return { kind: 'done', value: response };
  const leader = response.headers.get(leaderHeader) ?? '0';
  if (leader === absentLeader) return { kind: 'absent' };
  const members = parseMembers(response.headers.get(membersHeader) ?? '');
  return { kind: 'redirect', leader: Number(leader), members };
}
