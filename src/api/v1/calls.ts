// The v1 calls on a store: what each request must pass before its own parser looks at it.

import type { ApiCall, ApiRequest } from '../contract.ts';
import type { Failure } from '../errors/errors.ts';
import { failureResponse } from '../errors/errors.ts';
import { requestBodyBytesMax } from '../../limits.ts';
import type { Parsed } from './parsed.ts';
import { type HeaderClass, refusedHeader } from './request-headers.ts';

/**
 * `parameter` is the text in the path for the parameter of the route, not decoded; empty where the path has no
 * parameter.
 */
export type ParseV1 = (request: ApiRequest, parameter: string) => Parsed<ApiCall>;

/**
 * Parses a request of v1. `headers` is its class of headers (`request-headers.ts`), and `parameterOf` finds the
 * parameter in a path.
 */
export function parseV1(
  parse: ParseV1,
  headers: HeaderClass,
  parameterOf: (path: string) => string,
): (request: ApiRequest) => ApiCall {
  return (request) => {
    const bytes = request.body.byteLength;
    if (bytes > requestBodyBytesMax) return refuse({ kind: 'bodyTooLarge', bytes, bytesMax: requestBodyBytesMax });
    const refused = refusedHeader(headers, request.headers);
    if (refused !== null) return refuse(refused);
    const call = parse(request, parameterOf(request.path));
    return call.kind === 'bad' ? refuse(call.failure) : call.value;
  };
}

export function refuse(failure: Failure): ApiCall {
  return { kind: 'refused', response: failureResponse('v1', failure) };
}
