// The operator's calls on tenants and their access keys. An admin key of a tenant may also manage the keys of that
// tenant.

import { type Context, Hono } from 'hono';
import { pathAndQuery } from '../api/request-target.ts';
import type { Failure } from '../api/errors/errors.ts';
import {
  parseAccessKeyCreation,
  parseAccessKeyRotation,
  parseTenantChange,
  parseTenantCreation,
  parseTenantDeletion,
  type TenantCreation,
} from '../api/v1/tenants.ts';
import { emptyBytes } from '../base/bytes.ts';
import { accessKeyJson } from '../api/v1/access-keys.ts';
import { type ChangedTerms, limitsJson, retentionJson, setLimitsJson } from '../api/v1/limits.ts';
import { deletionPeriodSecondsDefault, tenantBodyBytesMax } from '../limits.ts';
import type { Caller, Operation } from '../model/store.ts';
import { termChanges } from '../model/terms.ts';
import type { Audit, Directory, Tenant } from '../tenants/directory.ts';
import type { KeyRing } from '../tenants/key-text.ts';
import type { OperatorRole } from '../model/operators.ts';
import { type Plan, termsOf, usualPlan } from '../tenants/plans.ts';
import type { Plans } from '../tenants/plan-table.ts';
import { placementOf } from '../tenants/placement.ts';
import { keyTextOf } from '../api/credentials.ts';
import { invalidKey } from '../tenants/identities.ts';
import type { AuditLog } from './audit-log.ts';
import { groupCall } from './ask-replica.ts';
import type { Routed } from '../routing/attempts.ts';
import type { GroupRouter } from './group-router.ts';
import { type Actions, refused, serveDirectoryCall } from './directory-call.ts';
import { type CallingOperator, type OperatorAccess, roleRefusal } from './operator-access.ts';
import type { Provisioning } from './provisioning.ts';
import { ReplicaRoutes } from './replica-routes.ts';
import { readBody } from './request-body.ts';
import type { SuspendedCallers } from './suspended-callers.ts';
import type { ToldTerms } from './told-terms.ts';
import { cursorAfter, parseTenantList } from './tenant-list-query.ts';

export type TenantRoutesOptions = {
  readonly operators: OperatorAccess;
  readonly audit: AuditLog;
  readonly directory: Directory;
  readonly keys: KeyRing;
  readonly groups: GroupRouter;
  readonly provisioning: Provisioning;
  readonly plans: Plans;
  readonly told: ToldTerms;
  readonly suspended: SuspendedCallers;
};

type Method = 'GET' | 'POST' | 'PATCH' | 'DELETE';
type Handler = (request: TenantRequest) => Promise<Response>;
type TenantRequest = {
  readonly raw: Request;
  readonly query: string;
  readonly id: string;
  readonly keyId: string;
  readonly number: string;
};

const idForm = /^[a-z0-9]{1,32}$/;

export function tenantRoutes(options: TenantRoutesOptions): Hono {
  const routes = new TenantRoutes(options);
  const app = new Hono();
  const on = (path: string, handlers: Partial<Record<Method, Handler>>, actions: Actions = {}) => {
    app.all(path, (context) => routes.handle(context, handlers, actions));
  };
  on(
    '/',
    { GET: (request) => routes.list(request), POST: (request) => routes.create(request) },
    { POST: 'tenant.create' },
  );
  on(
    '/:id',
    {
      GET: (request) => routes.show(request),
      PATCH: (request) => routes.change(request),
      DELETE: (request) => routes.remove(request),
    },
    { PATCH: 'tenant.change', DELETE: 'tenant.delete' },
  );
  on('/:id/restore', { POST: (request) => routes.restore(request) }, { POST: 'tenant.restore' });
  on(
    '/:id/replicas',
    { GET: (request) => routes.listReplicas(request), POST: (request) => routes.addReplica(request) },
    { POST: 'replica.add' },
  );
  on('/:id/replicas/:number', { DELETE: (request) => routes.removeReplica(request) }, { DELETE: 'replica.remove' });
  on(
    '/:id/keys',
    { GET: (request) => routes.listKeys(request), POST: (request) => routes.createKey(request) },
    { POST: 'key.create' },
  );
  on('/:id/keys/:keyId/rotate', { POST: (request) => routes.rotateKey(request) }, { POST: 'key.rotate' });
  on('/:id/keys/:keyId', { DELETE: (request) => routes.revokeKey(request) }, { DELETE: 'key.revoke' });
  return app;
}

class TenantRoutes {
  readonly #options: TenantRoutesOptions;
  readonly #directory: Directory;
  readonly #replicas: ReplicaRoutes;

  constructor(options: TenantRoutesOptions) {
    this.#options = options;
    this.#directory = options.directory;
    this.#replicas = new ReplicaRoutes({ groups: options.groups });
  }

  handle(context: Context, handlers: Partial<Record<Method, Handler>>, actions: Actions): Promise<Response> {
    const raw = context.req.raw;
    return serveDirectoryCall({ context, handlers, actions, audit: this.#options.audit }, (handler) => {
      const id = context.req.param('id') ?? '';
      if (id !== '' && !idForm.test(id)) return refused({ kind: 'tenantNotFound', tenant: id });
      const [keyId, number] = [context.req.param('keyId') ?? '', context.req.param('number') ?? ''];
      return handler({ raw, query: pathAndQuery(raw.url).query, id, keyId, number });
    });
  }

  // Tenants: the operator's token

  async create({ raw }: TenantRequest): Promise<Response> {
    const allowed = await this.#options.operators.allow(raw.headers, 'provision');
    if (allowed.kind === 'refused') return refused(allowed.failure);
    const read = await readBody(raw, tenantBody);
    if (read.kind === 'failed') return refused(read.failure);
    const { body } = read;
    const parsed = parseTenantCreation(new Uint8Array(body));
    if (parsed.kind === 'bad') return refused(parsed.failure);
    const { name, labels, placement } = parsed.value;
    if (placement.kind === 'jurisdiction') return refused({ kind: 'notServed', what: 'placement in a jurisdiction' });
    const created = await this.#options.provisioning.create(
      { name, labels, plan: parsed.value.plan ?? usualPlan, placement: this.#place(raw, parsed.value) },
      allowed.operator.actor,
      Date.now(),
    );
    if (created.kind === 'nameTaken') return refused({ kind: 'tenantNameTaken', name });
    if (created.kind === 'planNotFound') return refused({ kind: 'planNotFound', name: parsed.value.plan });
    const { tenant, key } = created;
    if (!created.isTold) await this.#options.told.tell(tenant);
    const headers = { location: `/v1/tenants/${tenant.id}` };
    return Response.json({ ...tenantJson(tenant), key }, { status: 201, headers });
  }

  async list({ raw, query: text }: TenantRequest): Promise<Response> {
    const allowed = await this.#options.operators.allow(raw.headers, 'read');
    if (allowed.kind === 'refused') return refused(allowed.failure);
    const query = parseTenantList(new URLSearchParams(text));
    if ('kind' in query) return refused(query.failure);
    const { filter, after, limit } = query;
    const tenants = await this.#directory.list(filter, after, limit + 1);
    const page = tenants.slice(0, limit);
    const last = page.at(-1);
    const more = tenants.length > limit && last !== undefined ? { cursor: cursorAfter(last, filter.order) } : {};
    return Response.json({ tenants: page.map(tenantJson), ...more });
  }

  async show(request: TenantRequest): Promise<Response> {
    return this.#withTenant(request, 'read', async (tenant) => Response.json(tenantJson(tenant)));
  }

  async change(request: TenantRequest): Promise<Response> {
    return this.#withTenant(request, 'provision', async (tenant, operator) => {
      const read = await readBody(request.raw, tenantBody);
      if (read.kind === 'failed') return refused(read.failure);
      const parsed = parseTenantChange(new Uint8Array(read.body));
      if (parsed.kind === 'bad') return refused(parsed.failure);
      const { name, labels, state, terms } = parsed.value;
      const plan = parsed.value.plan === null ? null : await this.#options.plans.byName(parsed.value.plan);
      if (plan === null && parsed.value.plan !== null)
        return refused({ kind: 'planNotFound', name: parsed.value.plan });
      let changed = tenant;
      if (name !== null) {
        if (!(await this.#directory.rename(tenant.id, name))) return refused({ kind: 'tenantNameTaken', name });
        changed = { ...changed, name };
        await this.#record(operator.actor, 'tenant.rename', tenant.id, `${tenant.name} to ${name}`);
      }
      if (labels !== null) {
        await this.#directory.setLabels(tenant.id, labels);
        changed = { ...changed, labels };
        await this.#record(operator.actor, 'tenant.label', tenant.id, JSON.stringify(labels));
      }
      if (plan !== null || Object.keys(terms).length > 0) {
        const result = await this.#options.told.change(changed, { plan, terms }, Date.now());
        if (result.kind === 'refused') return refused(result.failure);
        changed = result.tenant;
        await this.#record(operator.actor, 'tenant.terms', tenant.id, termsDetail(plan, terms));
      }
      if (state === null) return Response.json(tenantJson(changed));
      const isSuspended = state === 'suspended';
      const failure = await this.#suspend(tenant, isSuspended, operator.actor);
      return failure === null ? Response.json(tenantJson({ ...changed, isSuspended })) : refused(failure);
    });
  }

  /** The group is told first: the list never shows as suspended what is served. null: it is done. */
  async #suspend(tenant: Tenant, isSuspended: boolean, actor: string): Promise<Failure | null> {
    const failure = await this.#administer(tenant, { kind: 'suspension', isSuspended });
    if (failure !== null) return failure;
    const { id } = tenant;
    await this.#directory.setSuspended(id, isSuspended);
    await this.#record(actor, isSuspended ? 'tenant.suspend' : 'tenant.resume', id, '');
    return null;
  }

  /**
   * The tenant refuses from here on, and can be taken back. By force, or where it is not whole, it is wiped at once.
   */
  async remove(request: TenantRequest): Promise<Response> {
    return this.#withTenant(request, 'provision', async (tenant, operator) => {
      const parsed = parseTenantDeletion(request.query);
      if (parsed.kind === 'bad') return refused(parsed.failure);
      const deletion = parsed.value;
      const nowMs = Date.now();
      const refusal = deletion.kind === 'wiped' ? roleRefusal(operator, 'all') : null;
      if (refusal !== null) return refused(refusal);
      if (deletion.kind === 'wiped' || tenant.state !== 'ready') {
        const isGone = await this.#options.provisioning.wipe(tenant, operator.actor, nowMs);
        return isGone
          ? new Response(null, { status: 204 })
          : refused({ kind: 'deletionUnfinished', tenant: tenant.id });
      }
      const { seconds } = deletion;
      // Whoever deletes it once more, and says nothing of the time, changes nothing of it.
      const former = seconds === null ? tenant.wipeAtMs : null;
      const wipeAtMs = former ?? nowMs + (seconds ?? deletionPeriodSecondsDefault) * 1_000;
      if (!(await this.#directory.setWipeAt(tenant.id, wipeAtMs))) return refused(beingWiped(tenant));
      const failure = await this.#administer(tenant, { kind: 'terms', changes: termChanges({ wipeAtMs }) });
      if (failure?.kind === 'groupLevelTooLow')
        await this.#directory.takeBackWipeAt(tenant.id, { wipeAtMs, formerMs: tenant.wipeAtMs });
      if (failure !== null) return refused(failure);
      // Two calls at a time may reach the group in another order than the directory. Nothing is wiped then.
      const isTold = await this.#directory.setWipeTold(tenant.id, wipeAtMs);
      if (!isTold) return refused({ kind: 'tenantChanging', tenant: tenant.id });
      await this.#record(operator.actor, 'tenant.delete', tenant.id, `wiped at ${new Date(wipeAtMs).toISOString()}`);
      return Response.json(tenantJson({ ...tenant, wipeAtMs }));
    });
  }

  /** The directory is told first: what is not to be wiped any more is not wiped while the group is told. */
  async restore(request: TenantRequest): Promise<Response> {
    return this.#withTenant(request, 'provision', async (tenant, operator) => {
      if (!(await this.#directory.setWipeAt(tenant.id, null))) return refused(beingWiped(tenant));
      const failure = await this.#administer(tenant, { kind: 'terms', changes: termChanges({ wipeAtMs: null }) });
      if (failure !== null) return refused(failure);
      await this.#record(operator.actor, 'tenant.restore', tenant.id, '');
      return Response.json(tenantJson({ ...tenant, wipeAtMs: null }));
    });
  }

  #record(actor: string, action: Audit['action'], tenantId: string, detail: string): Promise<void> {
    return this.#options.audit.record(actor, action, tenantId, detail);
  }

  /** Tells the group what the service has decided. null: it is done. */
  async #administer({ id }: Tenant, operation: Operation): Promise<Failure | null> {
    const routed = await this.#options.provisioning.administer(id, { kind: 'service' }, operation);
    if (routed.kind === 'absent') return { kind: 'tenantNotFound', tenant: id };
    if (routed.kind !== 'done') return { kind: 'timeout' };
    if (routed.value.kind === 'failed') return routed.value.failure;
    this.#options.suspended.forget(id);
    return null;
  }

  // Replicas: the operator's token

  async listReplicas(request: TenantRequest): Promise<Response> {
    return this.#withTenant(request, 'read', (tenant) => this.#replicas.list(tenant));
  }

  async addReplica(request: TenantRequest): Promise<Response> {
    return this.#withTenant(request, 'provision', (tenant, { actor }) =>
      this.#replicas.add(request.raw, tenant, (detail) => this.#record(actor, 'replica.add', tenant.id, detail)),
    );
  }

  async removeReplica(request: TenantRequest): Promise<Response> {
    return this.#withTenant(request, 'provision', (tenant, { actor }) =>
      this.#replicas.remove({
        text: request.number,
        query: request.query,
        tenant,
        record: (detail) => this.#record(actor, 'replica.remove', tenant.id, detail),
      }),
    );
  }

  // Keys: the operator's token, or an admin key of the tenant

  async listKeys(request: TenantRequest): Promise<Response> {
    return this.#withCaller(request, 'read', async (caller) => {
      const routed = await this.#options.groups.route(request.id, groupCall('hedged', { kind: 'accessKeys', caller }));
      if (routed.kind !== 'done') return unrouted(request.id, routed);
      const { value } = routed;
      if (value.kind === 'failed') return this.#refusedByGroup(request.id, caller, value.failure);
      return Response.json({ keys: value.keys.map(accessKeyJson) });
    });
  }

  async createKey(request: TenantRequest): Promise<Response> {
    return this.#withCaller(request, 'provision', async (caller, actor) => {
      const read = await readBody(request.raw, tenantBody);
      if (read.kind === 'failed') return refused(read.failure);
      const { body } = read;
      const parsed = parseAccessKeyCreation(new Uint8Array(body));
      if (parsed.kind === 'bad') return refused(parsed.failure);
      const { name, role, prefixes, expiresInSeconds } = parsed.value;
      const [prefix = emptyBytes, ...morePrefixes] = prefixes;
      const nowMs = Date.now();
      const expiresAtMs = expiresInSeconds === null ? null : nowMs + expiresInSeconds * 1000;
      const more = morePrefixes.length === 0 ? {} : { morePrefixes };
      const access = { name, role, prefix, ...more, expiresAtMs };
      const routed = await this.#options.provisioning.issueKey({ tenant: request.id, caller, access, nowMs });
      if (routed.kind !== 'done') return unrouted(request.id, routed);
      const { accessKey, key, outcome } = routed.value;
      if (outcome.kind === 'failed') return this.#refusedByGroup(request.id, caller, outcome.failure);
      await this.#record(actor, 'key.create', request.id, `${accessKey.id} ${role}`);
      const headers = { location: `/v1/tenants/${request.id}/keys/${accessKey.id}` };
      return Response.json({ ...accessKeyJson(accessKey), key }, { status: 201, headers });
    });
  }

  async rotateKey(request: TenantRequest): Promise<Response> {
    return this.#withCaller(request, 'provision', async (caller, actor) => {
      const { id, keyId } = request;
      const read = await readBody(request.raw, tenantBody);
      if (read.kind === 'failed') return refused(read.failure);
      const parsed = parseAccessKeyRotation(new Uint8Array(read.body));
      if (parsed.kind === 'bad') return refused(parsed.failure);
      const listed = await this.#options.groups.route(id, groupCall('hedged', { kind: 'accessKeys', caller }));
      if (listed.kind !== 'done') return unrouted(id, listed);
      if (listed.value.kind === 'failed') return this.#refusedByGroup(id, caller, listed.value.failure);
      const former = listed.value.keys.find((key) => key.id === keyId);
      if (former === undefined) return refused({ kind: 'accessKeyNotFound', id: idForm.test(keyId) ? keyId : null });
      const [overlapMs, nowMs] = [parsed.value * 1000, Date.now()];
      const rotation = { tenant: id, caller, former, overlapMs, nowMs };
      const routed = await this.#options.provisioning.rotateKey(rotation);
      if (routed.kind !== 'done') return unrouted(id, routed);
      const { accessKey, key, outcome } = routed.value;
      if (outcome.kind === 'failed') return this.#refusedByGroup(id, caller, outcome.failure);
      await this.#record(actor, 'key.rotate', id, `${keyId} to ${accessKey.id}`);
      const headers = { location: `/v1/tenants/${id}/keys/${accessKey.id}` };
      return Response.json({ ...accessKeyJson(accessKey), key }, { status: 201, headers });
    });
  }

  async revokeKey(request: TenantRequest): Promise<Response> {
    return this.#withCaller(request, 'provision', async (caller, actor) => {
      const { id, keyId } = request;
      // A text that cannot be the id of a key is not written to the log of the group.
      if (!idForm.test(keyId)) return refused({ kind: 'accessKeyNotFound', id: null });
      const routed = await this.#options.provisioning.administer(id, caller, { kind: 'revokeAccessKey', id: keyId });
      if (routed.kind !== 'done') return unrouted(id, routed);
      const outcome = routed.value;
      if (outcome.kind === 'failed') return this.#refusedByGroup(id, caller, outcome.failure);
      if (outcome.kind === 'revokeAccessKey' && !outcome.existed)
        return refused({ kind: 'accessKeyNotFound', id: keyId });
      await this.#record(actor, 'key.revoke', id, keyId);
      return new Response(null, { status: 204 });
    });
  }

  // Who asks

  async #withTenant(
    { raw, id }: TenantRequest,
    need: OperatorRole,
    answer: (tenant: Tenant, operator: CallingOperator) => Promise<Response>,
  ): Promise<Response> {
    const allowed = await this.#options.operators.allow(raw.headers, need);
    if (allowed.kind === 'refused') return refused(allowed.failure);
    const tenant = await this.#directory.byId(id);
    return tenant === null ? refused({ kind: 'tenantNotFound', tenant: id }) : answer(tenant, allowed.operator);
  }

  /** `actor`: who is to be in the audit. */
  async #withCaller(
    { raw, id }: TenantRequest,
    need: OperatorRole,
    answer: (caller: Caller, actor: string) => Promise<Response>,
  ): Promise<Response> {
    const { operators, keys } = this.#options;
    const operator = await operators.caller(raw.headers);
    if (operator !== null) {
      const failure = roleRefusal(operator, need);
      return failure === null ? answer({ kind: 'service' }, operator.actor) : refused(failure);
    }
    const text = keyTextOf(raw.headers);
    if (text === null) return refused({ kind: 'accessKeyMissing' });
    const key = keys.verify(text);
    if (key === null) return refused(invalidKey(text, (given) => operators.isOperatorToken(given)));
    if (key.tenant !== id) return refused({ kind: 'accessKeyForbidden', need: 'a key of this tenant' });
    const caller: Caller = { kind: 'accessKey', id: key.keyId };
    const suspended = this.#options.suspended.refusal(id, caller, Date.now());
    return suspended === null ? answer(caller, key.keyId) : refused(suspended);
  }

  #refusedByGroup(tenant: string, caller: Caller, failure: Failure): Response {
    this.#options.suspended.note(tenant, caller, failure, Date.now());
    return refused(failure);
  }

  #place(request: Request, { replicas, placement }: TenantCreation): ReturnType<typeof placementOf> {
    const hints = placement.kind === 'hints' ? placement.hints : [];
    return placementOf({ replicas, hints, continent: request.cf?.['continent'] });
  }
}

function tenantJson(tenant: Tenant): Record<string, unknown> {
  const { id, name, labels, createdAtMs } = tenant;
  const replicas = tenant.replicas.map((replica) => ({ id: replica.number, location: replica.location }));
  const terms = termsOf(tenant);
  const limited = { plan: tenant.plan, retention: retentionJson(terms), limits: limitsJson(terms) };
  const own = { own_limits: setLimitsJson(tenant.terms) };
  const createdAt = new Date(createdAtMs).toISOString();
  return { id, name, ...stateJson(tenant), labels, ...limited, ...own, replicas, created_at: createdAt };
}

function termsDetail(plan: Plan | null, terms: ChangedTerms): string {
  return JSON.stringify({ ...(plan === null ? {} : { plan: plan.name }), ...terms });
}

function stateJson({ state, isSuspended, wipeAtMs }: Tenant): Record<string, unknown> {
  if (state !== 'ready') return { state };
  if (wipeAtMs !== null) return { state: 'deleted', wipe_at: new Date(wipeAtMs).toISOString() };
  return { state: isSuspended ? 'suspended' : 'ready' };
}

function beingWiped({ id }: Tenant): Failure {
  return { kind: 'tenantBeingWiped', tenant: id };
}

const tenantBody = { bytesMax: tenantBodyBytesMax, memory: null };

function unrouted(tenant: string, routed: Exclude<Routed<unknown>, { kind: 'done' }>): Response {
  return refused(routed.kind === 'absent' ? { kind: 'tenantNotFound', tenant } : { kind: 'timeout' });
}
