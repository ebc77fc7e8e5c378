// The edge: a request becomes a call whose types can be trusted, or the answer that refuses it. No code behind this one
// looks at what a client sent. Parsing is pure, so it runs wherever a request arrives.

import type { ApiCall, ApiRequest } from './contract.ts';
import { endpointOf } from './routes.ts';

export type * from './contract.ts';
export { protocolOf } from './routes.ts';

export function parseCall(request: ApiRequest): ApiCall {
  return endpointOf(request).parse(request);
}
