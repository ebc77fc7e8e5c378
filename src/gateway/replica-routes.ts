// The operator's calls on the replicas of a tenant: list them, add one, remove one, replace one. The group makes the
// change, finishes it by itself, and tells the directory.

import type { FailedChange } from '../api/replica-request.ts';
import { parseReplicaCreation, parseReplicaRemoval } from '../api/v1/tenants.ts';
import { failureResponse, type Failure } from '../api/errors/errors.ts';
import { tenantBodyBytesMax } from '../limits.ts';
import type { Tenant } from '../tenants/directory.ts';
import { placeForAnother } from '../tenants/placement.ts';
import { groupCall } from './ask-replica.ts';
import type { GroupRouter } from './group-router.ts';
import type { StubCall } from './stub-calls.ts';
import { readBody } from './request-body.ts';

export type ReplicaRoutesOptions = { readonly groups: GroupRouter };

/** `text` is what the path has in place of a replica's number. `record` is called once the replica is gone. */
export type Removal = {
  readonly text: string;
  readonly query: string;
  readonly tenant: Tenant;
  readonly record: (detail: string) => Promise<void>;
};

const tenantBody = { bytesMax: tenantBodyBytesMax, memory: null };

const numberForm = /^[1-9]\d{0,8}$/;

export class ReplicaRoutes {
  readonly #options: ReplicaRoutesOptions;

  constructor(options: ReplicaRoutesOptions) {
    this.#options = options;
  }

  async list(tenant: Tenant): Promise<Response> {
    const answered = await this.#ask(tenant, groupCall('hedged', { kind: 'replicas' }));
    if (answered.kind === 'failed') return failureResponse('v1', answered.failure);
    return Response.json({ replicas: answered.replicas });
  }

  /**
   * Answers 202 once the replica is in the group, where it catches up with the others. `record` is called at that time.
   */
  async add(request: Request, tenant: Tenant, record: (detail: string) => Promise<void>): Promise<Response> {
    const read = await readBody(request, tenantBody);
    if (read.kind === 'failed') return refused(read.failure);
    const { body } = read;
    const parsed = parseReplicaCreation(new Uint8Array(body));
    if (parsed.kind === 'bad') return refused(parsed.failure);
    const before = await this.#ask(tenant, groupCall('hedged', { kind: 'replicas' }));
    if (before.kind === 'failed') return refused(before.failure);
    const taken = before.replicas.map((replica) => replica.location);
    const location = parsed.value.location ?? placeForAnother(taken, request.cf?.['continent']);
    const { replaces } = parsed.value;
    const number = before.nextNumber;
    const answered = await this.#ask(tenant, groupCall('bounded', { kind: 'addReplica', number, location, replaces }));
    if (answered.kind === 'failed') return refused(answered.failure);
    await record(`${number} at ${location}${replaces === null ? '' : ` for ${replaces}`}`);
    const added = answered.replicas.find(({ id }) => id === number);
    const headers = { location: `/v1/tenants/${tenant.id}/replicas` };
    return Response.json(added ?? { id: number, location }, { status: 202, headers });
  }

  async remove({ text, query, tenant, record }: Removal): Promise<Response> {
    const force = parseReplicaRemoval(query);
    if (force.kind === 'bad') return refused(force.failure);
    if (!numberForm.test(text))
      return refused({ kind: 'badRequest', detail: `"${text}" is not the number of a replica` });
    const number = Number(text);
    const before = await this.#ask(tenant, groupCall('hedged', { kind: 'replicas' }));
    if (before.kind === 'failed') return refused(before.failure);
    if (!before.replicas.some(({ id }) => id === number)) return refused({ kind: 'replicaNotFound', replica: number });
    const answered = await this.#ask(
      tenant,
      groupCall('bounded', { kind: 'removeReplica', number, force: force.value }),
    );
    if (answered.kind === 'failed') return refused(answered.failure);
    await record(force.value ? `${number} by force` : String(number));
    return new Response(null, { status: 204 });
  }

  async #ask<Value>(tenant: Tenant, call: StubCall<Value>): Promise<Value | FailedChange> {
    const routed = await this.#options.groups.route(tenant.id, call);
    if (routed.kind === 'absent') return { kind: 'failed', failure: { kind: 'tenantNotFound', tenant: tenant.id } };
    if (routed.kind === 'unavailable') return { kind: 'failed', failure: { kind: 'timeout' } };
    return routed.value;
  }
}

function refused(failure: Failure): Response {
  return failureResponse('v1', failure);
}
