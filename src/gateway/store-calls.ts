// A call on a tenant's store: check the key, find the replica, hand the request on. Neither the body nor the answer is
// looked at here. A call that is answered in one piece is buffered, so that it can be sent again when its leader is gone;
// streams and upgrades are passed through.

import type { Protocol } from '../api/contract.ts';
import { failureResponse } from '../api/errors.ts';
import {
  absentLeader,
  type Attempt,
  callerHeader,
  failedLeaderHeader,
  isStreamPath,
  leaderHeader,
  membersHeader,
  pathAndQuery,
  redirectStatus,
  writeIdHeader,
} from '../api/routing.ts';
import { requestBodyBytesMax } from '../limits.ts';
import { type KeyRing, newId } from '../tenants/key-text.ts';
import { authenticate, keyTextOf } from './credentials.ts';
import type { ReplicaStub } from './env.ts';
import type { GroupRouter } from './group-router.ts';
import { readBody } from './request-body.ts';

export class StoreCalls {
  readonly #keys: KeyRing;
  readonly #groups: GroupRouter;
  #writeIdPrefix = '';
  #writes = 0;

  constructor(keys: KeyRing, groups: GroupRouter) {
    this.#keys = keys;
    this.#groups = groups;
  }

  async serve(request: Request): Promise<Response> {
    const { path } = pathAndQuery(request.url);
    const protocol: Protocol = path.startsWith('/v3') ? 'v3' : 'v1';
    const text = keyTextOf(request.headers);
    if (text === null) return failureResponse(protocol, { kind: 'accessKeyMissing' });
    const known = authenticate(this.#keys, text);
    const key = known instanceof Promise ? await known : known;
    if (key === null) return failureResponse(protocol, { kind: 'accessKeyInvalid' });

    const headers = new Headers(request.headers);
    headers.set(callerHeader, key.keyId);
    headers.set(writeIdHeader, this.#newWriteId());
    headers.delete(failedLeaderHeader);
    let body: ArrayBuffer | ReadableStream | null = request.body;
    if (!headers.has('Upgrade') && !isStreamPath(path) && body !== null) {
      body = await readBody(request, requestBodyBytesMax);
      if (body === null) return failureResponse(protocol, { kind: 'bodyTooLarge', bytes: requestBodyBytesMax + 1 });
    }

    const init = { method: request.method, headers, body };
    const routed = await this.#groups.route(key.tenant, (stub, failedLeader) => {
      if (failedLeader !== 0) headers.set(failedLeaderHeader, String(failedLeader));
      return ask(stub, request.url, init);
    });
    switch (routed.kind) {
      case 'done':
        return routed.value;
      case 'absent':
        return failureResponse(protocol, { kind: 'unauthenticated', reason: 'unknown' });
      case 'unavailable':
        return failureResponse(protocol, { kind: 'timeout' });
    }
  }

  /** Random for this isolate, then counted: made without a call for randomness on each request. */
  #newWriteId(): string {
    if (this.#writeIdPrefix === '') this.#writeIdPrefix = `${newId()}${newId()}`;
    this.#writes++;
    return `${this.#writeIdPrefix}.${this.#writes.toString(36)}`;
  }
}

async function ask(stub: ReplicaStub, url: string, init: RequestInit): Promise<Attempt<Response>> {
  const response = await stub.fetch(url, init);
  if (response.status !== redirectStatus) return { kind: 'done', value: response };
  const leader = response.headers.get(leaderHeader) ?? '0';
  if (leader === absentLeader) return { kind: 'absent' };
  const members = response.headers.get(membersHeader) ?? '';
  return { kind: 'redirect', leader: Number(leader), members: members.split(',').map(Number) };
}
