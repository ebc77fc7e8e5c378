// The one table of the calls on a store: each path, the methods that it takes, the parser of each method, and what the
// gateway and the replicas must know of a request before it is parsed. Parsing, the gateway's mounts, retries, the
// answers 404 and 405 and the tests of the OpenAPI document follow from it. The gateway's own calls, on tenants, are
// not in it.

import { assert } from '../base/assert.ts';
import type { ApiRequest, Protocol } from './contract.ts';
import type { Endpoint, OperatorAccess, PathTraits } from './endpoint.ts';
import { isWebSocketUpgrade } from './upgrade.ts';
import { parseV1, type ParseV1, refuse as refuseV1 } from './v1/calls.ts';
import { parseDeleteKey, parseGetKey, parsePutKey } from './v1/key-calls.ts';
import { parseGrant, parseKeepAlive, parseLeases, parseLook, parseRevoke } from './v1/lease-calls.ts';
import { parseHolders, parseRelease, parseTakeLock, parseTakePlace } from './v1/queue-calls.ts';
import { parseDeleteRange, parseList } from './v1/range-calls.ts';
import type { HeaderClass } from './v1/request-headers.ts';
import { parseSession, refuseNoSession, sessionPath } from './v1/session.ts';
import { parseStatus } from './v1/status.ts';
import { parseTxn } from './v1/txn-call.ts';
import { parseWatch } from './v1/watch.ts';
import * as auth from './v3/auth.ts';
import { parseFrames, parseMessage, parseStream } from './v3/calls.ts';
import * as cluster from './v3/cluster.ts';
import * as concurrency from './v3/concurrency.ts';
import { healthChecks, parseChecks, parseHealth, parseVersion, refuseMethod } from './v3/health.ts';
import * as kv from './v3/kv.ts';
import * as lease from './v3/lease.ts';
import * as maintenance from './v3/maintenance.ts';
import { type ParseUnary, refuse as refuseV3 } from './v3/unary.ts';

type Traits = Pick<Endpoint, 'patience' | 'servedBy' | 'body'>;

const usual: Traits & PathTraits = {
  patience: 'hedged',
  servedBy: 'leader',
  body: 'whole',
  isLogin: false,
  operatorAccess: 'none',
  namesOrigin: false,
};

// v1

type V1Entry = Partial<Traits> & { readonly parse: ParseV1; readonly headers: HeaderClass };

/**
 * `{id}` stands for one segment of a path, `{+name}` for all of its rest, slashes included (RFC 6570, section 3.2.3): a
 * name of the client's choice, in which dots mean nothing.
 */
const v1Calls: Readonly<Record<string, Readonly<Record<string, V1Entry>>>> = {
  '/v1/kv/{+key}': {
    GET: { parse: parseGetKey, headers: 'readKey', servedBy: 'leaderOrNearest' },
    HEAD: { parse: parseGetKey, headers: 'readKey', servedBy: 'leaderOrNearest' },
    PUT: { parse: parsePutKey, headers: 'putKey' },
    DELETE: { parse: parseDeleteKey, headers: 'deleteKey' },
  },
  '/v1/kv': {
    GET: { parse: parseList, headers: 'read', servedBy: 'leaderOrNearest' },
    DELETE: { parse: parseDeleteRange, headers: 'change' },
  },
  '/v1/txn': { POST: { parse: parseTxn, headers: 'change' } },
  '/v1/watch': { GET: { parse: parseWatch, headers: 'read', servedBy: 'nearestOrLeader', patience: 'bounded' } },
  '/v1/status': { GET: { parse: parseStatus, headers: 'read' } },
  '/v1/leases': {
    GET: { parse: parseLeases, headers: 'read' },
    POST: { parse: parseGrant, headers: 'change' },
  },
  '/v1/leases/{id}': {
    GET: { parse: parseLook, headers: 'read' },
    DELETE: { parse: parseRevoke, headers: 'change' },
  },
  '/v1/leases/{id}/keepalive': { POST: { parse: parseKeepAlive, headers: 'change' } },
  '/v1/locks/{+name}': {
    GET: { parse: parseHolders, headers: 'read' },
    POST: { parse: parseTakeLock, headers: 'change', patience: 'waits' },
    DELETE: { parse: parseRelease, headers: 'release' },
  },
  '/v1/semaphores/{+name}': {
    GET: { parse: parseHolders, headers: 'read' },
    POST: { parse: parseTakePlace, headers: 'change', patience: 'waits' },
    DELETE: { parse: parseRelease, headers: 'release' },
  },
};

// v3

/** Both prefixes serve the same calls. The second one is older than etcd 3.4. */
export const etcdPrefixes = ['/v3/', '/v3beta/'] as const;

/** Every call of etcd's takes POST, and an upgrade to a WebSocket. */
type EtcdEntry = Partial<Traits & PathTraits> &
  (
    | { readonly parse: ParseUnary }
    /** The call is a stream of messages in both directions. */
    | { readonly stream: 'watch' | 'keepAliveStream' }
  );

/** What all calls on the members of a group share: their answers name the address that the client called. */
const ofCluster = (operatorAccess: OperatorAccess) => ({ operatorAccess, namesOrigin: true });
/** A change of the members waits until replicas have caught up. */
const memberChange = { ...ofCluster('changes'), patience: 'waits' } as const;

const etcdCalls = {
  'kv/range': { parse: kv.range, servedBy: 'leaderOrNearest' },
  'kv/put': { parse: kv.put },
  'kv/deleterange': { parse: kv.deleteRange },
  'kv/txn': { parse: kv.txn },
  'kv/compaction': { parse: kv.compaction },
  watch: { stream: 'watch', servedBy: 'nearestOrLeader', patience: 'waits', body: 'asItComes' },
  'lease/grant': { parse: lease.grant },
  'lease/revoke': { parse: lease.revoke },
  'lease/timetolive': { parse: lease.timeToLive },
  'lease/leases': { parse: lease.leases },
  'lease/keepalive': { stream: 'keepAliveStream', patience: 'waits', body: 'wholeIfMeasured' },
  // etcd serves the next three calls under both of their names.
  'kv/lease/revoke': { parse: lease.revoke },
  'kv/lease/timetolive': { parse: lease.timeToLive },
  'kv/lease/leases': { parse: lease.leases },
  'lock/lock': { parse: concurrency.lock, patience: 'waits' },
  'lock/unlock': { parse: concurrency.unlock },
  'election/campaign': { parse: concurrency.campaign, patience: 'waits' },
  'election/proclaim': { parse: concurrency.proclaim },
  'election/resign': { parse: concurrency.resign },
  'election/leader': { parse: concurrency.leader },
  'election/observe': { parse: concurrency.observe, patience: 'waits' },
  'auth/enable': { parse: auth.enable },
  'auth/disable': { parse: auth.disable },
  'auth/status': { parse: auth.status },
  'auth/authenticate': { parse: auth.authenticate, isLogin: true },
  'auth/user/add': { parse: auth.userAdd },
  'auth/user/get': { parse: auth.userGet },
  'auth/user/list': { parse: auth.userList },
  'auth/user/delete': { parse: auth.userDelete },
  'auth/user/changepw': { parse: auth.changePassword },
  'auth/user/grant': { parse: auth.userGrantRole },
  'auth/user/revoke': { parse: auth.userRevokeRole },
  'auth/role/add': { parse: auth.roleAdd },
  'auth/role/get': { parse: auth.roleGet },
  'auth/role/list': { parse: auth.roleList },
  'auth/role/delete': { parse: auth.roleDelete },
  'auth/role/grant': { parse: auth.roleGrantPermission },
  'auth/role/revoke': { parse: auth.roleRevokePermission },
  'cluster/member/add': { parse: cluster.memberAdd, ...memberChange },
  'cluster/member/remove': { parse: cluster.memberRemove, ...memberChange },
  'cluster/member/update': { parse: cluster.memberUpdate, ...memberChange },
  'cluster/member/promote': { parse: cluster.memberPromote, ...memberChange },
  'cluster/member/list': { parse: cluster.memberList, ...ofCluster('reads') },
  'maintenance/alarm': { parse: maintenance.alarm, operatorAccess: 'changes' },
  'maintenance/status': { parse: maintenance.status, operatorAccess: 'reads' },
  'maintenance/defragment': { parse: maintenance.defragment, operatorAccess: 'reads' },
  // The next three calls read the whole store.
  'maintenance/hash': { parse: maintenance.hash, patience: 'waits' },
  'maintenance/hashkv': { parse: maintenance.hashKv, patience: 'waits' },
  'maintenance/snapshot': { parse: maintenance.snapshot, patience: 'waits' },
  'maintenance/transfer-leadership': {
    parse: maintenance.transferLeadership,
    operatorAccess: 'changes',
    patience: 'waits',
  },
  'maintenance/downgrade': { parse: maintenance.downgrade, operatorAccess: 'changes' },
} as const satisfies Readonly<Record<string, EtcdEntry>>;

export type EtcdCallName = keyof typeof etcdCalls;

/** The path of a call of etcd's. */
export function etcdPath(name: EtcdCallName): string {
  return `/v3/${name}`;
}

/** Whether a path is this call of etcd's, under either of its prefixes. */
export function isEtcdCall(path: string, name: EtcdCallName): boolean {
  return etcdPrefixes.some((prefix) => path === prefix + name);
}

// What the table says of a path

export type Route = {
  /** The path as the OpenAPI document and the gateway have it, in the form of the keys of `v1Calls`. */
  readonly pattern: string;
  /** Anyone may make the call: where no key is sent, the service answers for itself. */
  readonly isProbe: boolean;
  /** By method, in the order in which 405 names them. */
  readonly endpoints: ReadonlyMap<string, Endpoint>;
  /** What takes an upgrade to a WebSocket; null: such a request is a GET as any other. */
  readonly socket: Endpoint | null;
  readonly notAllowed: Endpoint;
};

/** The paths of v1 that begin with that one, or that it would be without its last slash. */
export function pathsNear(path: string): readonly string[] {
  const start = path.endsWith('/') ? path.slice(0, -1) : path;
  const shown = Object.keys(v1Calls).map((pattern) => pattern.replace('{+', '{'));
  return shown.filter((pattern) => pattern === start || pattern.startsWith(`${start}/{`));
}

/** The API has no such path. */
const notFound: Readonly<Record<Protocol, Endpoint>> = {
  v1: { ...usual, protocol: 'v1', parse: ({ path }) => refuseV1({ kind: 'notFound', near: pathsNear(path) }) },
  v3: { ...usual, protocol: 'v3', parse: () => refuseV3({ kind: 'notFound', near: [] }) },
};

function v1Route(pattern: string, calls: Readonly<Record<string, V1Entry>>): Route {
  const parameterOf = parameterReader(pattern);
  const endpoints = Object.entries(calls).map(([method, { parse, headers, ...traits }]): [string, Endpoint] => [
    method,
    { ...usual, ...traits, protocol: 'v1', parse: parseV1(parse, headers, parameterOf) },
  ]);
  const allow = Object.keys(calls);
  const refuse = () => refuseV1({ kind: 'methodNotAllowed', allow });
  return {
    pattern,
    isProbe: false,
    endpoints: new Map(endpoints),
    socket: null,
    notAllowed: { ...usual, protocol: 'v1', parse: refuse },
  };
}

function etcdRoute(prefix: string, entry: EtcdEntry): Route {
  const { patience, servedBy, body, isLogin, operatorAccess, namesOrigin } = { ...usual, ...entry };
  const shared = { ...usual, protocol: 'v3', isLogin, operatorAccess, namesOrigin } as const;
  const [posted, opened] =
    'stream' in entry
      ? [parseStream(entry.stream, 'post'), parseStream(entry.stream, 'websocket')]
      : [parseMessage(entry.parse), parseFrames];
  return {
    pattern: `${prefix}{+call}`,
    isProbe: false,
    endpoints: new Map([['POST', { ...shared, patience, servedBy, body, parse: posted }]]),
    socket: {
      ...shared,
      patience: 'bounded',
      // The replica that holds the socket sends each call in its frames on to the leader.
      servedBy: 'stream' in entry ? servedBy : 'leader',
      namesOrigin: true,
      parse: opened,
    },
    notAllowed: { ...shared, parse: () => refuseV3({ kind: 'methodNotAllowed', allow: ['POST'] }) },
  };
}

/** An upgrade alone. */
function sessionRoute(pattern: string): Route {
  const shared = { ...usual, protocol: 'v1' } as const;
  return {
    pattern,
    isProbe: false,
    endpoints: new Map(),
    socket: { ...shared, patience: 'bounded', parse: parseSession },
    notAllowed: { ...shared, parse: refuseNoSession },
  };
}

/** A path that monitors of etcd read. */
function probeRoute(pattern: string, parse: Endpoint['parse']): Route {
  const shared = { ...usual, protocol: 'v3' } as const;
  return {
    pattern,
    isProbe: true,
    endpoints: new Map([['GET', { ...shared, parse }]]),
    socket: null,
    notAllowed: { ...shared, parse: () => refuseMethod('GET') },
  };
}

// From a path to its route, by one or two look-ups in a Map, however many routes there are

/** The routes by path: those that have no parameter, and those of single checks, of which each name is known. */
const routeOfPath = new Map<string, Route>();

/** The routes that have a parameter, by what stands before it, for instance `/v1/leases/`. */
const routesOfPrefix = new Map<string, { readonly fits: (rest: string) => boolean; readonly route: Route }[]>();

for (const prefix of etcdPrefixes) {
  for (const [name, call] of Object.entries(etcdCalls)) routeOfPath.set(prefix + name, etcdRoute(prefix, call));
}
for (const [pattern, calls] of Object.entries(v1Calls)) addV1(v1Route(pattern, calls));
routeOfPath.set(sessionPath, sessionRoute(sessionPath));
routeOfPath.set('/version', probeRoute('/version', parseVersion));
routeOfPath.set('/health', probeRoute('/health', parseHealth));
for (const [path, checks] of Object.entries(healthChecks)) {
  routeOfPath.set(path, probeRoute(path, parseChecks(checks)));
  for (const check of checks) routeOfPath.set(`${path}/${check}`, probeRoute(`${path}/{check}`, parseChecks([check])));
}

function addV1(route: Route): void {
  const { prefix, takesSlashes, suffix } = partsOf(route.pattern);
  if (prefix === route.pattern) return void routeOfPath.set(prefix, route);
  assert(prefixOf(prefix) === prefix, 'a parameter stands behind two words: /v1/leases/{id}');
  const fits = (rest: string): boolean =>
    takesSlashes || (rest.endsWith(suffix) && !rest.slice(0, rest.length - suffix.length).includes('/'));
  routesOfPrefix.set(prefix, [...(routesOfPrefix.get(prefix) ?? []), { fits, route }]);
}

function partsOf(pattern: string): {
  readonly prefix: string;
  readonly takesSlashes: boolean;
  readonly suffix: string;
} {
  const [prefix = '', parameter = '', suffix = ''] = pattern.split(/[{}]/);
  return { prefix, takesSlashes: parameter.startsWith('+'), suffix };
}

function parameterReader(pattern: string): (path: string) => string {
  const { prefix, suffix } = partsOf(pattern);
  return (path) => path.slice(prefix.length, path.length - suffix.length);
}

/** The path up to its third slash; empty where it has fewer slashes. */
function prefixOf(path: string): string {
  return path.slice(0, path.indexOf('/', path.indexOf('/', 1) + 1) + 1);
}

function routeOf(path: string): Route | null {
  const route = routeOfPath.get(path);
  if (route !== undefined) return route;
  const prefix = prefixOf(path);
  const rest = path.slice(prefix.length);
  return routesOfPrefix.get(prefix)?.find(({ fits }) => fits(rest))?.route ?? null;
}

/** What is done with a request. A request that no route takes has an endpoint that refuses it. */
export function endpointOf({ method, path, headers }: Pick<ApiRequest, 'method' | 'path' | 'headers'>): Endpoint {
  const route = routeOf(path);
  if (route === null) return notFound[protocolOf(path)];
  const { socket, endpoints, notAllowed } = route;
  if (socket !== null && isWebSocketUpgrade({ method, headers })) return socket;
  return endpoints.get(method) ?? notAllowed;
}

/** In which protocol a path is answered, whoever refuses it. */
export function protocolOf(path: string): Protocol {
  if (etcdPrefixes.some((prefix) => path.startsWith(prefix))) return 'v3';
  return routeOf(path)?.notAllowed.protocol ?? 'v1';
}

/** RFC 3986, section 5.2.4, and what browsers take for one (URL standard, "double-dot URL path segment"). */
const dotSegment = /[/\\](?:\.|%2e){1,2}(?=[/\\]|$)/i;

/**
 * Software that resolves the dot segments of a path sees another path than software that does not. So a path that has
 * any is refused, unless they are in a name, which is taken as it is.
 */
export function isAmbiguousPath(path: string): boolean {
  if (!dotSegment.test(path)) return false;
  const route = routeOf(path);
  return route === null || !partsOf(route.pattern).takesSlashes;
}

/** Every path of the table once, with its pattern in place of a path that has a parameter. */
export const knownPaths: readonly { readonly path: string; readonly route: Route }[] = [
  ...[...routeOfPath].map(([path, route]) => ({ path, route })),
  ...[...routesOfPrefix.values()].flat().map(({ route }) => ({ path: route.pattern, route })),
];
