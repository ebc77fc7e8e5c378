// The edge of a replica: a request becomes one call that the types vouch for, or the answer that refuses it. Every byte
// that a client sends is looked at here and nowhere behind.

import type { ApiCall, ApiRequest, Protocol } from './contract.ts';
import { parseV1Call } from './v1/calls.ts';
import { parseV3Call } from './v3/calls.ts';
import { isHealthPath, parseHealthCall } from './v3/health.ts';
import { isV3Path } from './v3/paths.ts';

export type * from './contract.ts';

/** In which protocol a path is answered, whoever refuses it. */
export function protocolOf(path: string): Protocol {
  return isV3Path(path) || isHealthPath(path) ? 'v3' : 'v1';
}

export function parseCall(request: ApiRequest): ApiCall {
  if (isV3Path(request.path)) return parseV3Call(request);
  return parseHealthCall(request) ?? parseV1Call(request);
}
