// The edge: a request becomes one call that the types vouch for, or the answer that refuses it. Every byte that a
// client sends is looked at here and nowhere behind. It is pure, and so runs wherever a request arrives.

import type { ApiCall, ApiRequest } from './contract.ts';
import { endpointOf } from './routes.ts';

export type * from './contract.ts';
export { protocolOf } from './routes.ts';

export function parseCall(request: ApiRequest): ApiCall {
  return endpointOf(request).parse(request);
}
