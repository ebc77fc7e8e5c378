// The calls on plans: list them, show, set or remove one. A change counts for all tenants of the plan: their groups are
// told at once, as many as there is time for, and the others by the schedule.

import { type Context, Hono } from 'hono';
import { limitsJson, parsePlan, retentionJson } from '../api/v1/limits.ts';
import { isPlanName } from '../api/v1/tenants.ts';
import { plansMax, tenantBodyBytesMax } from '../limits.ts';
import { isFirstPlan, type Plan } from '../tenants/plans.ts';
import type { Plans } from '../tenants/plan-table.ts';
import type { AuditLog } from './audit-log.ts';
import { refused, serveDirectoryCall } from './directory-call.ts';
import type { OperatorAccess } from './operator-access.ts';
import { readBody } from './request-body.ts';
import type { ToldTerms } from './told-terms.ts';

export type PlanRoutesOptions = {
  readonly plans: Plans;
  readonly told: ToldTerms;
  readonly access: OperatorAccess;
  readonly audit: AuditLog;
};

type Handler = (request: Request, actor: string, name: string) => Promise<Response>;
type Handlers = Readonly<Partial<Record<'GET' | 'PUT' | 'DELETE', Handler>>>;

const actions = { PUT: 'plan.set', DELETE: 'plan.remove' } as const;

export function planRoutes(options: PlanRoutesOptions): Hono {
  const { plans, told, audit } = options;
  const app = new Hono();

  const list: Handler = async () => Response.json({ plans: (await plans.list()).map(planJson) });

  const show: Handler = async (_, __, name) => {
    const plan = await plans.byName(name);
    return plan === null ? refused({ kind: 'planNotFound', name }) : Response.json(planJson(plan));
  };

  const set: Handler = async (request, actor, name) => {
    if (!isPlanName(name)) return refused({ kind: 'planNotFound', name: null });
    const read = await readBody(request, { bytesMax: tenantBodyBytesMax, memory: null });
    if (read.kind === 'failed') return refused(read.failure);
    const parsed = parsePlan(new Uint8Array(read.body));
    if (parsed.kind === 'bad') return refused(parsed.failure);
    const plan = { name, terms: parsed.value };
    const nowMs = Date.now();
    if (!(await plans.set(plan, { max: plansMax, nowMs }))) return refused({ kind: 'tooManyPlans', max: plansMax });
    await audit.record(actor, 'plan.set', '', `${name} ${JSON.stringify(plan.terms)}`);
    await told.run(nowMs, name);
    return Response.json({ ...planJson(plan), tenants_to_tell: await plans.countToTell(name) });
  };

  const remove: Handler = async (_, actor, name) => {
    const nowMs = Date.now();
    if (!(await plans.remove(name, nowMs))) {
      const plan = await plans.byName(name);
      if (plan === null) return refused({ kind: 'planNotFound', name: isPlanName(name) ? name : null });
      if (!isFirstPlan(name)) return refused({ kind: 'planInUse', name });
      return new Response(null, { status: 204 });
    }
    await audit.record(actor, 'plan.remove', '', name);
    await told.run(nowMs, name);
    return new Response(null, { status: 204 });
  };

  app.all('/', (context) => handle(context, { GET: list }, options));
  app.all('/:plan', (context) => handle(context, { GET: show, PUT: set, DELETE: remove }, options));
  return app;
}

function handle(context: Context, handlers: Handlers, { access, audit }: PlanRoutesOptions): Promise<Response> {
  const request = context.req.raw;
  return serveDirectoryCall({ context, handlers, actions, audit }, async (handler) => {
    const allowed = await access.allow(request.headers, request.method === 'GET' ? 'read' : 'all');
    if (allowed.kind === 'refused') return refused(allowed.failure);
    return handler(request, allowed.operator.actor, context.req.param('plan') ?? '');
  });
}

function planJson({ name, terms }: Plan): Record<string, unknown> {
  return { name, limits: limitsJson(terms), retention: retentionJson(terms) };
}
