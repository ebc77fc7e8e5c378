// Which requests may go to a store by session: those that nobody can read in two ways, for calls that a frame may hold.
// All others are handed on as they came, and the Worker judges them. A form that is rare is not worth a second judge.

import type { IncomingMessage } from 'node:http';
import type { ApiRequest } from '../api/contract.ts';
import type { Endpoint } from '../api/endpoint.ts';
import { readHeader } from '../api/forwarded.ts';
import { splitTarget } from '../api/request-target.ts';
import { endpointOf, isAmbiguousPath } from '../api/routes.ts';
import { requestBodyBytesMax } from '../limits.ts';
import { ListedHeaders } from './request-headers.ts';

/** `bodyBytes`: the length that the body is said to have. */
export type PlainRequest = Omit<ApiRequest, 'body'> & { readonly endpoint: Endpoint; readonly bodyBytes: number };

const methods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'PUT', 'POST', 'DELETE']);

/**
 * Fields that make more of a request than a call and its answer: another framing, another protocol, a page of another
 * origin, another replica or tenant than usual, a time-out of its own, the credentials of a WebSocket.
 */
const notPlain = [
  'transfer-encoding',
  'expect',
  'upgrade',
  'origin',
  'sec-websocket-protocol',
  'quorate-tenant',
  readHeader,
  'grpc-timeout',
] as const;

/** A path and a query of which every reader sees the same. */
const plainUrl = /^\/[\w\-.~!$&'()*+,;=:@%/]*(?:\?[\w\-.~!$&'()*+,;=:@%/?]*)?$/;
const plainHost = /^(?:[\w\-.]+|\[[\da-fA-F:.]+\])(?::\d{1,5})?$/;
const plainLength = /^\d{1,8}$/;

/** Null: it is handed on as it came. */
export function plainRequest(request: IncomingMessage): PlainRequest | null {
  const plain = plainTarget(request, null);
  if (plain === null || !mayBeFrame(plain.endpoint)) return null;
  const { method, headers } = plain;
  const length = headers.get('content-length') ?? '0';
  if (!plainLength.test(length)) return null;
  const bodyBytes = Number(length);
  const isRead = method === 'GET' || method === 'HEAD';
  if (bodyBytes > requestBodyBytesMax || (isRead && bodyBytes > 0)) return null;
  return { ...plain, bodyBytes };
}

/**
 * What every reader of a request sees alike: its target, its host and its headers, which are none of `notPlain` but the
 * `expected` one. Null: readers may differ.
 */
export function plainTarget(
  { method = '', url = '', rawHeaders, httpVersion }: IncomingMessage,
  expected: (typeof notPlain)[number] | null,
): Omit<PlainRequest, 'bodyBytes'> | null {
  if (httpVersion !== '1.1' || !methods.has(method) || !plainUrl.test(url)) return null;
  const headers = new ListedHeaders(rawHeaders);
  if (!headers.isPlain || !isPlainHost(headers.get('host') ?? '')) return null;
  for (const name of notPlain) if (name !== expected && headers.has(name)) return null;
  const target = splitTarget(url);
  if (isAmbiguousPath(target.path)) return null;
  return { method, ...target, headers, endpoint: endpointOf({ method, path: target.path, headers }) };
}

/** Whether the runtime can make a URL of it. */
function isPlainHost(host: string): boolean {
  return plainHost.test(host) && URL.canParse(`http://${host}/`);
}

/** A call that is answered at once, or waits for its turn in a queue. */
function mayBeFrame({ patience, body, isLogin, operatorAccess, namesOrigin }: Endpoint): boolean {
  return patience !== 'bounded' && body === 'whole' && !isLogin && operatorAccess === 'none' && !namesOrigin;
}
