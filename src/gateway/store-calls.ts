// A call on a tenant's store: find out who calls, find the replica, hand the request on. Neither the body nor the
// answer is looked at here (but for a login that says in its message alone which tenant it is for). A call that is
// answered in one piece is buffered, so that it can be sent again when its leader is gone; streams and upgrades are
// passed through.

import { protocolOf } from '../api/call.ts';
import { type Failure, failureResponse, unlessRefusedAlone } from '../api/errors/errors.ts';
import {
  absentLeader,
  type Attempt,
  callHeaders,
  callUrl,
  failedLeaderHeader,
  goesOn,
  goesOnHeader,
  isReadPath,
  isStreamPath,
  leaderHeader,
  membersHeader,
  namesItsOrigin,
  ownerText,
  parseMembers,
  pathAndQuery,
  patienceOf,
  readHeader,
  redirectStatus,
  suspectedLeaderHeader,
} from '../api/routing.ts';
import { isWebSocketUpgrade } from '../api/upgrade.ts';
import { loginBodyBytesMax, requestBodyBytesMax } from '../limits.ts';
import { isolateMemory } from '../base/memory-budget.ts';
import { newId } from '../tenants/key-text.ts';
import { type Told, toLeader } from './attempts.ts';
import { credentialsOf, type Identified, type Identities } from './credentials.ts';
import type { ReplicaStub } from './env.ts';
import type { GroupRouter } from './group-router.ts';
import { GuardedLogins, identifyLogin, isLoginPath } from './login.ts';
import { readTargetOf } from './read-target.ts';
import { readBody } from './request-body.ts';

export class StoreCalls {
  readonly #identities: Identities;
  readonly #groups: GroupRouter;
  readonly #logins = new GuardedLogins(
    () => Date.now(),
    (delayMs) => scheduler.wait(delayMs),
  );
  #writeIdPrefix = '';
  #writes = 0;

  constructor(identities: Identities, groups: GroupRouter) {
    this.#identities = identities;
    this.#groups = groups;
  }

  async serve(request: Request): Promise<Response> {
    const { path } = pathAndQuery(request.url);
    const refuse = (failure: Failure): Response => failureResponse(protocolOf(path), failure);
    const credentials = credentialsOf(request.headers);
    const identified = this.#identities.identify(credentials);
    const byMessage = identified.kind === 'failed' && credentials.kind !== 'named' && isLoginPath(path);
    if (identified.kind === 'failed' && !byMessage) return refuse(identified.failure);

    // A GET has no body that means anything (RFC 9110, section 9.3.1), nor has an upgrade, which is one.
    const body: ReadableStream | null = hasNoBody(request.method) ? null : request.body;
    if (body !== null && !isStreamPath(path) && !goesOn(path, request.headers)) {
      if (identified.kind === 'caller') return this.#askWithBody(identified, request, refuse);
      const read = await readBody(request, { bytesMax: loginBodyBytesMax, memory: null });
      if (read.kind === 'failed') return refuse(read.failure);
      const { body: message } = read;
      if (byMessage) {
        const login = identifyLogin(this.#identities, message);
        if (login === null) return refuse(identified.failure);
        const { tenant, user } = login;
        const asked = () => this.ask(login, request, message);
        return user === null ? asked() : this.#logins.guard(request, { tenant, user }, asked);
      }
    }
    if (identified.kind === 'failed') return refuse(identified.failure);
    return this.ask(identified, request, body);
  }

  /** The body is in memory until the call is answered: it may have to be sent again. */
  async #askWithBody(
    identified: Extract<Identified, { readonly kind: 'caller' }>,
    request: Request,
    refuse: (failure: Failure) => Response,
  ): Promise<Response> {
    const { tenant, caller } = identified;
    const memory = isolateMemory.reserve({ tenant, key: ownerText(caller) });
    try {
      const read = await readBody(request, { bytesMax: requestBodyBytesMax, memory });
      return read.kind === 'failed' ? refuse(read.failure) : await this.ask(identified, request, read.body);
    } finally {
      memory.release();
    }
  }

  /** For whom the gateway, or the operator's token, says that it is. */
  async ask(
    { tenant, caller }: Pick<Extract<Identified, { readonly kind: 'caller' }>, 'tenant' | 'caller'>,
    request: Request,
    body: ArrayBuffer | ReadableStream | null,
  ): Promise<Response> {
    const { path, query } = pathAndQuery(request.url);
    const target = readTargetOf(request, path, query);
    if (target === null) return failureResponse(protocolOf(path), badReadHeader);
    const { method } = request;
    const url = callUrl({ path, query });
    const upgrades = isWebSocketUpgrade(request);
    const origin = namesItsOrigin(path, upgrades) ? originOf(request.url) : null;
    const headers = callHeaders(request.headers, { caller, writeId: this.#newWriteId(), origin });
    if (body instanceof ReadableStream && goesOn(path, request.headers)) headers.set(goesOnHeader, '1');
    const reader = target.kind === 'nearest' ? target.reader : null;
    let attempts = 0;
    const routed = await this.#groups.route<Response>(tenant, {
      patience: patienceOf(method, path, upgrades),
      reader,
      ask: (stub, told, signal) => {
        attempts++;
        if (told !== toLeader || reader !== null) tell(headers, told);
        return ask(stub, url, { method, headers, body, signal });
      },
    });
    const protocol = protocolOf(path);
    if (routed.kind === 'done') {
      // A read that was refused has done nothing, wherever it was asked.
      const mayHaveDone = attempts > 1 && !isReadPath(method, path);
      return mayHaveDone ? unlessRefusedAlone(routed.value, protocol) : routed.value;
    }
    if (routed.kind === 'unavailable') return failureResponse(protocol, { kind: 'timeout' });
    // Which tenants there are is not told to who has no key of one.
    const hasKey = caller.kind !== 'service' && caller.id !== '';
    return failureResponse(
      protocol,
      hasKey ? { kind: 'unauthenticated', reason: 'unknown' } : { kind: 'authenticationFailed' },
    );
  }

  /** Random for this isolate, then counted: made without a call for randomness on each request. */
  #newWriteId(): string {
    if (this.#writeIdPrefix === '') this.#writeIdPrefix = `${newId()}${newId()}`;
    this.#writes++;
    return `${this.#writeIdPrefix}.${this.#writes.toString(36)}`;
  }
}

function hasNoBody(method: string): boolean {
  return method === 'GET' || method === 'HEAD';
}

/** Empty where the client called a host that is none. */
function originOf(url: string): string {
  return URL.parse(url)?.origin ?? '';
}

const badReadHeader: Failure = { kind: 'badRequest', detail: 'Quorate-Read must be leader or nearest' };

/** Each attempt takes the headers as they stand when it begins. */
function tell(headers: Headers, { failed, suspected, read }: Told): void {
  tellReplica(headers, failedLeaderHeader, failed);
  tellReplica(headers, suspectedLeaderHeader, suspected);
  headers.set(readHeader, read);
}

function tellReplica(headers: Headers, name: string, replica: number): void {
  if (replica === 0) headers.delete(name);
  else headers.set(name, String(replica));
}

async function ask(stub: ReplicaStub, url: string, init: RequestInit): Promise<Attempt<Response>> {
  const response = await stub.fetch(url, init);
  if (response.status !== redirectStatus) return { kind: 'done', value: response };
  const leader = response.headers.get(leaderHeader) ?? '0';
  if (leader === absentLeader) return { kind: 'absent' };
  const members = parseMembers(response.headers.get(membersHeader) ?? '');
  return { kind: 'redirect', leader: Number(leader), members };
}
