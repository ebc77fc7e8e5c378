// The calls on operators: list them, make one, revoke one. An operator of the role `all` makes them. The operator of
// the secret OPERATOR_TOKEN makes the first ones, and is not in the list.

import { type Context, Hono } from 'hono';
import { operatorJson, parseOperatorCreation } from '../api/v1/operators.ts';
import { operatorsMax, tenantBodyBytesMax } from '../limits.ts';
import type { Operator } from '../model/operators.ts';
import { newOperatorToken, type Operators } from '../tenants/operators.ts';
import type { AuditLog } from './audit-log.ts';
import { refused, serveDirectoryCall } from './directory-call.ts';
import type { OperatorAccess } from './operator-access.ts';
import { readBody } from './request-body.ts';

export type OperatorRoutesOptions = {
  readonly operators: Operators;
  readonly access: OperatorAccess;
  readonly audit: AuditLog;
};

type Handler = (request: Request, actor: string, id: string) => Promise<Response>;
type Handlers = Readonly<Partial<Record<'GET' | 'POST' | 'DELETE', Handler>>>;

const actions = { POST: 'operator.create', DELETE: 'operator.revoke' } as const;
const idForm = /^[a-z0-9]{1,32}$/;

export function operatorRoutes(options: OperatorRoutesOptions): Hono {
  const { operators, audit } = options;
  const app = new Hono();

  const list: Handler = async () => Response.json({ operators: (await operators.list()).map(operatorJson) });

  const create: Handler = async (request, actor) => {
    const read = await readBody(request, { bytesMax: tenantBodyBytesMax, memory: null });
    if (read.kind === 'failed') return refused(read.failure);
    const parsed = parseOperatorCreation(new Uint8Array(read.body));
    if (parsed.kind === 'bad') return refused(parsed.failure);
    const { name, role, expiresInSeconds } = parsed.value;
    const { id, token } = newOperatorToken();
    const createdAtMs = Date.now();
    const expiresAtMs = expiresInSeconds === null ? null : createdAtMs + expiresInSeconds * 1_000;
    const operator: Operator = { id, name, role, createdAtMs, expiresAtMs };
    if (!(await operators.add(operator, token, operatorsMax))) {
      return refused({ kind: 'tooManyOperators', max: operatorsMax });
    }
    await audit.record(actor, 'operator.create', '', `${id} ${role} ${name}`);
    const headers = { location: `/v1/operators/${id}` };
    return Response.json({ ...operatorJson(operator), token }, { status: 201, headers });
  };

  const revoke: Handler = async (_, actor, id) => {
    if (!idForm.test(id)) return refused({ kind: 'operatorNotFound', id: null });
    if (!(await operators.remove(id))) return refused({ kind: 'operatorNotFound', id });
    await audit.record(actor, 'operator.revoke', '', id);
    return new Response(null, { status: 204 });
  };

  app.all('/', (context) => handle(context, { GET: list, POST: create }, options));
  app.all('/:operatorId', (context) => handle(context, { DELETE: revoke }, options));
  return app;
}

function handle(context: Context, handlers: Handlers, { access, audit }: OperatorRoutesOptions): Promise<Response> {
  const request = context.req.raw;
  return serveDirectoryCall({ context, handlers, actions, audit }, async (handler) => {
    const allowed = await access.allow(request.headers, 'all');
    if (allowed.kind === 'refused') return refused(allowed.failure);
    return handler(request, allowed.operator.actor, context.req.param('operatorId') ?? '');
  });
}
