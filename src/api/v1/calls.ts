// The v1 calls that a tenant's group answers: which path and method is which.

import type { ApiCall, ApiRequest } from '../contract.ts';
import type { Failure } from '../errors.ts';
import { failureResponse } from '../errors.ts';
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
import { statusResponse } from './status.ts';
import { parseTxn } from './txn-call.ts';
import { parseWatch } from './watch.ts';

type Parse = (request: ApiRequest) => Parsed<ApiCall>;
type Methods = ReadonlyMap<string, Parse>;

const keyMethods: Methods = new Map<string, Parse>([
  ['GET', parseGetKey],
  ['HEAD', parseGetKey],
  ['PUT', parsePutKey],
  ['DELETE', parseDeleteKey],
]);

const leaseMethods: Readonly<Record<LeasePath, Methods>> = {
  lease: new Map<string, Parse>([
    ['GET', parseLook],
    ['DELETE', parseRevoke],
  ]),
  keepAlive: new Map<string, Parse>([['POST', parseKeepAlive]]),
};

const queueMethods: Methods = new Map<string, Parse>([
  ['GET', parseHolders],
  ['POST', parseAcquire],
  ['DELETE', parseRelease],
]);

const pathMethods: ReadonlyMap<string, Methods> = new Map<string, Methods>([
  [
    '/v1/kv',
    new Map<string, Parse>([
      ['GET', parseList],
      ['DELETE', parseDeleteRange],
    ]),
  ],
  [
    '/v1/leases',
    new Map<string, Parse>([
      ['GET', parseLeases],
      ['POST', parseGrant],
    ]),
  ],
  ['/v1/txn', new Map<string, Parse>([['POST', parseTxn]])],
  ['/v1/watch', new Map<string, Parse>([['GET', parseWatch]])],
  ['/v1/status', new Map<string, Parse>([['GET', parseStatus]])],
]);

export function parseV1Call(request: ApiRequest): ApiCall {
  const methods = methodsOf(request.path);
  if (methods === undefined) return refuse({ kind: 'notFound' });
  const parse = methods.get(request.method);
  if (parse === undefined) return refuse({ kind: 'methodNotAllowed', allow: [...methods.keys()] });
  const bytes = request.body.byteLength;
  if (bytes > requestBodyBytesMax) return refuse({ kind: 'bodyTooLarge', bytes });
  const call = parse(request);
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
