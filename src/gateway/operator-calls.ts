// etcd's calls on the group itself, as the operator makes them: with the operator's token, on the tenant that the
// header `Quorate-Tenant` names. No credential of the tenant changes its group. A call that may change something is
// recorded in the audit before it is made.

import { type Failure, failureResponse } from '../api/errors/errors.ts';
import { auditDetailCharactersMax, requestBodyBytesMax } from '../limits.ts';
import { type Directory, DirectoryUnavailable } from '../tenants/directory.ts';
import { type CallingOperator, type OperatorAccess, roleRefusal } from './operator-access.ts';
import { readBody } from './request-body.ts';
import { incomingOf, type StoreCalls } from './store-calls.ts';

export const tenantHeader = 'Quorate-Tenant';

export type OperatorCallsOptions = {
  readonly operators: OperatorAccess;
  readonly directory: Directory;
  readonly stores: StoreCalls;
};

export function directoryFailure({ hasNoTables }: DirectoryUnavailable): Failure {
  return { kind: hasNoTables ? 'directoryNotMigrated' : 'directoryUnavailable' };
}

export class OperatorCalls {
  readonly #options: OperatorCallsOptions;

  constructor(options: OperatorCallsOptions) {
    this.#options = options;
  }

  async serve(request: Request, tenantId: string): Promise<Response> {
    const { directory, stores } = this.#options;
    const incoming = incomingOf(request);
    const { endpoint, target } = incoming;
    const refuse = (failure: Failure): Response => failureResponse(endpoint.protocol, failure);
    const operator = await this.#operator(request.headers);
    if ('failure' in operator) return refuse(operator.failure);
    const refusal = roleRefusal(operator, endpoint.operatorAccess === 'changes' ? 'all' : 'read');
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
      // Below its level a group forgets that its tenant is deleted.
      const isDowngrade = target.path.endsWith('/maintenance/downgrade');
      if (isDowngrade && !(await directory.setMayServe(tenantId))) {
        return refuse({ kind: 'tenantBeingWiped', tenant: tenantId });
      }
      if (endpoint.operatorAccess === 'changes') {
        const { path } = target;
        const detail = `${path.slice(path.indexOf('/', 1) + 1)} ${new TextDecoder().decode(body)}`;
        await directory.record({
          atMs: Date.now(),
          actor: operator.actor,
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

  async #operator(headers: Headers): Promise<CallingOperator | { readonly failure: Failure }> {
    try {
      const answer = await this.#options.operators.allow(headers, 'read');
      return answer.kind === 'operator' ? answer.operator : { failure: answer.failure };
    } catch (error) {
      if (!(error instanceof DirectoryUnavailable)) throw error;
      console.error(error);
      return { failure: directoryFailure(error) };
    }
  }
}
