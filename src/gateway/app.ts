// The gateway is a stateless Worker in front of every store. This file only puts its parts together: what a route does
// is in the file of that route.

import { Hono } from 'hono';
import { failureResponse, type Failure } from '../api/errors/errors.ts';
import { etcdPrefixes, isAmbiguousPath, knownPaths, pathsNear, type Route } from '../api/routes.ts';
import { isHost, pathAndQuery } from '../api/request-target.ts';
import { openapiDocument } from '../api/openapi/openapi.ts';
import { Directory } from '../tenants/directory.ts';
import { Plans } from '../tenants/plan-table.ts';
import { Reports } from '../tenants/reports.ts';
import { Operators } from '../tenants/operators.ts';
import { KeyRing } from '../tenants/key-text.ts';
import { Signatures } from '../tenants/signatures.ts';
import { TokenRing } from '../tenants/token-text.ts';
import { credentialsOf } from '../api/credentials.ts';
import { Identities } from '../tenants/identities.ts';
import { UnknownRequestError } from './ask-replica.ts';
import { readAudit } from './audit-routes.ts';
import { preflight, withCors } from './cross-origin.ts';
import type { Env } from './env.ts';
import { readFleet } from './fleet-routes.ts';
import { GroupRouter } from './group-router.ts';
import { readableRefusal } from './refused-upgrade.ts';
import { serviceHealth, SetUpHealth } from './health.ts';
import { AuditLog } from './audit-log.ts';
import { OperatorMetrics } from './metrics-routes.ts';
import { OperatorAccess } from './operator-access.ts';
import { OperatorCalls, tenantHeader } from './operator-calls.ts';
import { operatorRoutes } from './operator-routes.ts';
import { planRoutes } from './plan-routes.ts';
import { Provisioning } from './provisioning.ts';
import { settingsFaults } from './settings.ts';
import { StoreCalls } from './store-calls.ts';
import { SuspendedCallers } from './suspended-callers.ts';
import { tenantRoutes } from './tenant-routes.ts';
import { requestIdOf, withRequestId } from './request-ids.ts';
import { ToldTerms } from './told-terms.ts';
import { whoami } from './whoami.ts';

export function createApp(env: Env): Hono {
  const signatures = new Signatures(env.SERVICE_SECRET ?? '');
  const keys = new KeyRing(signatures);
  const directory = new Directory(env.DIRECTORY);
  const groups = new GroupRouter(env.REPLICA, (tenant) => directory.placedReplicas(tenant));
  const provisioning = new Provisioning(directory, groups, keys);
  const plans = new Plans(env.DIRECTORY);
  const told = new ToldTerms(directory, provisioning);
  const suspended = new SuspendedCallers();
  const access = new OperatorAccess(env);
  const isOperatorToken = (text: string): boolean => access.isOperatorToken(text);
  const audit = new AuditLog({ directory, keys, operators: access });
  const identities = new Identities(keys, new TokenRing(signatures), isOperatorToken);
  const stores = new StoreCalls(identities, groups, suspended);
  const faults = settingsFaults(env);
  const all = [...faults.service, ...faults.operator];
  const app = new Hono();

  if (all.length > 0) console.error(`not set up: ${all.join('; ')}`);
  // This comes before any key is looked at: without its settings the service would take every key for a forged one.
  if (faults.service.length > 0) {
    for (const prefix of ['/v1/', ...etcdPrefixes]) {
      app.use(`${prefix}*`, async ({ req }) => refused(req.path, { kind: 'notConfigured', faults: all }));
    }
  }

  const operators = new OperatorCalls({ operators: access, directory, stores });
  // The calls on stores are the hot path, and so they come first.
  const store = ({ req }: { req: { raw: Request } }) => {
    const tenant = req.raw.headers.get(tenantHeader);
    return tenant === null ? stores.serve(req.raw) : operators.serve(req.raw, tenant.trim());
  };
  for (const path of mountsOf((route) => !route.isProbe)) app.all(path, store);

  for (const path of mountsOf((route) => route.isProbe)) {
    app.all(path, ({ req }) =>
      credentialsOf(req.raw.headers).kind === 'none' ? serviceHealth(req.raw) : store({ req }),
    );
  }

  app.all('/v1/whoami', ({ req }) => whoami(req.raw, { keys, groups, suspended, isOperatorToken }));
  app.all('/v1/audit', ({ req }) => readAudit(req.raw, { operators: access, directory, keys, groups, suspended }));
  const reports = new Reports(env.DIRECTORY);
  const metrics = new OperatorMetrics({ access, reports, nowMs: () => Date.now() });
  app.all('/metrics', ({ req }) => metrics.serve(req.raw));
  app.all('/v1/fleet', ({ req }) => readFleet(req.raw, { access, reports }));
  app.route(
    '/v1/tenants',
    tenantRoutes({ operators: access, audit, directory, keys, groups, provisioning, plans, told, suspended }),
  );
  app.route('/v1/plans', planRoutes({ plans, told, access, audit }));
  app.route('/v1/operators', operatorRoutes({ operators: new Operators(env.DIRECTORY), access, audit }));
  const setUp = new SetUpHealth(all, directory);
  app.get('/healthz', () => setUp.answer());
  app.get('/openapi.json', (context) => context.json(openapiDocument));
  app.get('/', (context) => context.json({ name: 'quorate', api: '/openapi.json', health: '/healthz' }));

  app.notFound(({ req }) => refused(req.path, { kind: 'notFound', near: pathsNear(req.path) }));
  app.onError((error, context) => {
    if (error instanceof UnknownRequestError) return refused(context.req.path, error.failure);
    console.error(error);
    return refused(context.req.path, { kind: 'internal' });
  });
  return app;
}

/**
 * The paths of the table in Hono's form. Behind the first parameter of a path Hono takes anything; the table then
 * decides.
 */
function mountsOf(isMeant: (route: Route) => boolean): readonly string[] {
  const patterns = knownPaths.filter(({ route }) => isMeant(route)).map(({ route }) => route.pattern);
  return [...new Set(patterns.map((pattern) => pattern.replace(/\{.*/, '*')))];
}

/** Answers a request: by one of the routes, with the headers around it that browsers ask of every answer. */
export async function handle(app: Hono, request: Request): Promise<Response> {
  return withRequestId(await answer(app, request), requestIdOf(request));
}

async function answer(app: Hono, request: Request): Promise<Response> {
  if (request.method === 'OPTIONS') return preflight(request);
  const { path } = pathAndQuery(request.url);
  const unreadable = unreadableHost(request.headers) ?? (isAmbiguousPath(path) ? ambiguousPath : null);
  const response = unreadable === null ? await app.fetch(request) : refused(path, unreadable);
  const readable = await readableRefusal(request, response);
  return request.headers.has('Origin') ? withCors(readable) : readable;
}

/** Null: there is none to be read, or it is a host. */
function unreadableHost(headers: Headers): Failure | null {
  const host = headers.get('host');
  if (host === null || isHost(host)) return null;
  const shown = JSON.stringify(host.length > hostCharactersMax ? `${host.slice(0, hostCharactersMax)}…` : host);
  const right = 'one host, with a port of at most 65535 where it has one, such as "localhost:8787"';
  return { kind: 'badRequest', detail: `the header Host must be ${right}; ${shown} is not` };
}

const ambiguousPath: Failure = {
  kind: 'badRequest',
  detail:
    'the path has a segment "." or "..", which is taken only in the name of a key, a lock or a semaphore (/v1/kv/a/../b is the key "a/../b")',
};

/** The longest name of DNS, and a port. */
const hostCharactersMax = 260;

/** A path that begins as etcd's do is refused in etcd's form, even where etcd has no such path. */
function refused(path: string, failure: Failure): Response {
  return failureResponse(path.startsWith('/v3') ? 'v3' : 'v1', failure);
}
