// GET /v1/whoami: what an access key is, for whoever has it. The key's group answers, also while the tenant is
// suspended, and only for a key that can still be used.

import { type Failure, failureResponse } from '../api/errors/errors.ts';
import { ownAccessJson } from '../api/v1/access-keys.ts';
import { refusedHeader } from '../api/v1/request-headers.ts';
import type { KeyRing } from '../tenants/key-text.ts';
import { groupCall } from './ask-replica.ts';
import { keyTextOf } from '../api/credentials.ts';
import type { GroupRouter } from './group-router.ts';
import type { SuspendedCallers } from './suspended-callers.ts';

export type WhoamiOptions = {
  readonly keys: KeyRing;
  readonly groups: GroupRouter;
  readonly suspended: SuspendedCallers;
  readonly isOperatorToken: (text: string) => boolean;
};

export async function whoami(request: Request, options: WhoamiOptions): Promise<Response> {
  const { keys, groups, suspended, isOperatorToken } = options;
  if (request.method !== 'GET') return refused({ kind: 'methodNotAllowed', allow: ['GET'] });
  const refusal = refusedHeader('read', request.headers);
  if (refusal !== null) return refused(refusal);
  const text = keyTextOf(request.headers);
  if (text === null) return refused({ kind: 'accessKeyMissing' });
  const key = keys.verify(text);
  if (key === null) {
    return refused({ kind: 'accessKeyInvalid', given: isOperatorToken(text) ? 'operatorToken' : 'other' });
  }
  const routed = await groups.route(key.tenant, groupCall('hedged', { kind: 'whoami', id: key.keyId }));
  if (routed.kind === 'absent') return refused({ kind: 'tenantNotFound', tenant: key.tenant });
  if (routed.kind === 'unavailable') return refused({ kind: 'timeout' });
  const { value } = routed;
  if (value.kind === 'failed') return refused(value.failure);
  if (!value.isSuspended) suspended.forget(key.tenant);
  return Response.json(ownAccessJson(key.tenant, value));
}

function refused(failure: Failure): Response {
  return failureResponse('v1', failure);
}
