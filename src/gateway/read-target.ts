// Which replica a read or a watch goes to, by the caller's choice (`Quorate-Read`) and by where the caller is.

import type { Endpoint } from '../api/endpoint.ts';
import { readHeader } from '../api/forwarded.ts';
import { pointOf } from '../model/nearness.ts';
import type { Reader } from '../routing/known-group.ts';

export type ReadTarget = { readonly kind: 'leader' } | { readonly kind: 'nearest'; readonly reader: Reader };

const toLeader: ReadTarget = { kind: 'leader' };

/** null where the header says neither `leader` nor `nearest`. */
export function readTargetOf(request: Request, query: string, endpoint: Endpoint): ReadTarget | null {
  const choice = request.headers.get(readHeader);
  if (choice !== null && choice !== 'leader' && choice !== 'nearest') return null;
  const { servedBy } = endpoint;
  if (choice === 'leader' || servedBy === 'leader') return toLeader;
  if (choice === null && servedBy === 'leaderOrNearest' && !isSerializable(endpoint, query)) return toLeader;
  const { cf } = request;
  const point = pointOf({ continent: cf?.['continent'], latitude: cf?.['latitude'], longitude: cf?.['longitude'] });
  // The caller did not ask for another replica than the leader, and no replica is known to be nearer.
  return choice === null && point === null ? toLeader : { kind: 'nearest', reader: { point } };
}

/** A read of v1 says so in the query. A read of v3 says so in its body, which the gateway does not look at. */
function isSerializable({ protocol }: Endpoint, query: string): boolean {
  return protocol === 'v1' && query.includes('consistency=serializable');
}
