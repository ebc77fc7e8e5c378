// etcd's calls on the group itself, as the operator makes them: with the operator's token, on the tenant that the
// header `Quorate-Tenant` names. No credential of the tenant changes its group. A call that may change something is
// recorded in the audit before it is made.

import { type Failure, failureResponse } from '../api/errors/errors.ts';
import { auditDetailCharactersMax, requestBodyBytesMax } from '../limits.ts';
import { type Directory, DirectoryUnavailable } from '../tenants/directory.ts';
import { equalSecrets } from '../tenants/signatures.ts';
import { bearerOf, keyTextOf } from '../api/credentials.ts';
import type { Env } from './env.ts';
import { readBody } from './request-body.ts';
import { secretFault, settingsFaults } from './settings.ts';
import { incomingOf, type StoreCalls } from './store-calls.ts';

export const tenantHeader = 'Quorate-Tenant';

export type OperatorCallsOptions = {
  readonly env: Env;
  readonly directory: Directory;
  readonly stores: StoreCalls;
};

export function isOperator(env: Env, headers: Headers): boolean {
  return isOperatorToken(env, bearerOf(headers));
}

/** False for a token that can be guessed, even where it is the one that was set. */
export function isOperatorToken(env: Env, token: string | null): boolean {
  const expected = env.OPERATOR_TOKEN ?? '';
  return token !== null && secretFault(expected) === null && equalSecrets(token, expected);
}

/** Why the caller is not taken for the operator; null: it is the operator. */
export function operatorRefusal(env: Env, headers: Headers): Failure | null {
  if (isOperator(env, headers)) return null;
  const { operator } = settingsFaults(env);
  if (operator.length > 0) return { kind: 'notConfigured', faults: operator };
  const text = bearerOf(headers) ?? keyTextOf(headers);
  const given = text === null ? 'nothing' : text.startsWith('qrt_') ? 'accessKey' : 'other';
  return { kind: 'operatorTokenInvalid', given };
}

export function directoryFailure({ hasNoTables }: DirectoryUnavailable): Failure {
  return { kind: hasNoTables ? 'directoryNotMigrated' : 'directoryUnavailable' };
}

export class OperatorCalls {
  readonly #options: OperatorCallsOptions;

  constructor(options: OperatorCallsOptions) {
    this.#options = options;
  }

  async serve(request: Request, tenantId: string): Promise<Response> {
    const { env, directory, stores } = this.#options;
    const incoming = incomingOf(request);
    const { endpoint, target } = incoming;
    const refuse = (failure: Failure): Response => failureResponse(endpoint.protocol, failure);
    const refusal = operatorRefusal(env, request.headers);
    if (refusal !== null) return refuse(refusal);
    if (endpoint.operatorAccess === 'none' || request.method !== 'POST') {
      const need =
        "an access key of the tenant: with the operator's token only etcd's calls on members and maintenance are made";
      return refuse({ kind: 'accessKeyForbidden', need });
    }
    const read = await readBody(request, { bytesMax: requestBodyBytesMax, memory: null });
    if (read.kind === 'failed') return refuse(read.failure);
    const { body } = read;
    try {
      const tenant = await directory.byId(tenantId);
      if (tenant === null) return refuse({ kind: 'tenantNotFound', tenant: tenantId });
      if (endpoint.operatorAccess === 'changes') {
        const { path } = target;
        const detail = `${path.slice(path.indexOf('/', 1) + 1)} ${new TextDecoder().decode(body)}`;
        await directory.record({
          atMs: Date.now(),
          actor: 'operator',
          action: 'group.change',
          tenantId,
          detail: detail.slice(0, auditDetailCharactersMax),
        });
      }
    } catch (error) {
      if (!(error instanceof DirectoryUnavailable)) throw error;
      console.error(error);
      return refuse(directoryFailure(error));
    }
    return stores.ask({ tenant: tenantId, caller: { kind: 'service' } }, incoming, body);
  }
}
