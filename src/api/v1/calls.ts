// The v1 calls that a tenant's group answers: which path and method is which.

import type { ApiCall, ApiRequest } from '../contract.ts';
import type { Failure } from '../errors/errors.ts';
import { failureResponse } from '../errors/errors.ts';
import { requestBodyBytesMax } from '../../limits.ts';
import { isKeyPath, parseDeleteKey, parseGetKey, parsePutKey } from './key-calls.ts';
import {
  type LeasePath,
  leasePathOf,
  parseGrant,
  parseKeepAlive,
  parseLeases,
  parseLook,
  parseRevoke,
} from './lease-calls.ts';
import { parseQuery } from './parameters.ts';
import type { Parsed } from './parsed.ts';
import { parsed } from './parsed.ts';
import { parseAcquire, parseHolders, parseRelease, queuePathOf } from './queue-calls.ts';
import { parseDeleteRange, parseList } from './range-calls.ts';
import { type HeaderCall, refusedHeader } from './request-headers.ts';
import { statusResponse } from './status.ts';
import { parseTxn } from './txn-call.ts';
import { parseWatch } from './watch.ts';

type Parse = (request: ApiRequest) => Parsed<ApiCall>;
/** How a call is read, and which of its headers mean something. */
type Route = { readonly parse: Parse; readonly headers: HeaderCall };
type Methods = ReadonlyMap<string, Route>;

const keyMethods = methods({
  GET: { parse: parseGetKey, headers: 'readKey' },
  HEAD: { parse: parseGetKey, headers: 'readKey' },
  PUT: { parse: parsePutKey, headers: 'putKey' },
  DELETE: { parse: parseDeleteKey, headers: 'deleteKey' },
});

const leaseMethods: Readonly<Record<LeasePath, Methods>> = {
  lease: methods({
    GET: { parse: parseLook, headers: 'read' },
    DELETE: { parse: parseRevoke, headers: 'change' },
  }),
  keepAlive: methods({ POST: { parse: parseKeepAlive, headers: 'change' } }),
};

const queueMethods = methods({
  GET: { parse: parseHolders, headers: 'read' },
  POST: { parse: parseAcquire, headers: 'change' },
  DELETE: { parse: parseRelease, headers: 'release' },
});

const pathMethods: ReadonlyMap<string, Methods> = new Map([
  [
    '/v1/kv',
    methods({
      GET: { parse: parseList, headers: 'read' },
      DELETE: { parse: parseDeleteRange, headers: 'change' },
    }),
  ],
  [
    '/v1/leases',
    methods({
      GET: { parse: parseLeases, headers: 'read' },
      POST: { parse: parseGrant, headers: 'change' },
    }),
  ],
  ['/v1/txn', methods({ POST: { parse: parseTxn, headers: 'change' } })],
  ['/v1/watch', methods({ GET: { parse: parseWatch, headers: 'read' } })],
  ['/v1/status', methods({ GET: { parse: parseStatus, headers: 'read' } })],
]);

function methods(routes: Readonly<Record<string, Route>>): Methods {
  return new Map(Object.entries(routes));
}

export function parseV1Call(request: ApiRequest): ApiCall {
  const known = methodsOf(request.path);
  if (known === undefined) return refuse({ kind: 'notFound' });
  const route = known.get(request.method);
  if (route === undefined) return refuse({ kind: 'methodNotAllowed', allow: [...known.keys()] });
  const bytes = request.body.byteLength;
  if (bytes > requestBodyBytesMax) return refuse({ kind: 'bodyTooLarge', bytes, bytesMax: requestBodyBytesMax });
  const refused = refusedHeader(route.headers, request.headers);
  if (refused !== null) return refuse(refused);
  const call = route.parse(request);
  return call.kind === 'bad' ? refuse(call.failure) : call.value;
}

function methodsOf(path: string): Methods | undefined {
  if (isKeyPath(path)) return keyMethods;
  if (queuePathOf(path) !== null) return queueMethods;
  const leasePath = leasePathOf(path);
  return leasePath === null ? pathMethods.get(path) : leaseMethods[leasePath];
}

function parseStatus(request: ApiRequest): Parsed<ApiCall> {
  const query = parseQuery(request.query, []);
  return query.kind === 'bad' ? query : parsed({ kind: 'status', protocol: 'v1', respond: statusResponse });
}

function refuse(failure: Failure): ApiCall {
  return { kind: 'refused', response: failureResponse('v1', failure) };
}
